//! The end of a contract that an operator moves at Stripe, takes away, or loses with the schedule of a downgrade.

use billing_core::contract::Status;
use billing_tests::{Machine, Moment, Organisation, World, at_every_step, path_of};
use serde_json::{Value, json};

fn seconds(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// The starter plan, 35.00 a month, until the 1st of June.
async fn until_june(world: &World) -> (Organisation<'_>, String) {
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-06-01T00:00:00Z");
    let contract = acme.sells(&order).await;
    (acme, contract)
}

/// An operator says when the subscription ends, or with nothing that it does not.
async fn operator_ends(world: &World, end: &str) {
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&subscription);
    let form = format!("cancel_at={end}&proration_behavior=none");
    world.stripe.operator("POST", &path, &form).await;
    world.stripe.stand_in().settle().await;
}

async fn ends_at(acme: &Organisation<'_>, contract: &str) -> Option<String> {
    let stored = acme.contract(contract).await.contract;
    stored.ends_at.map(|end| end.to_string())
}

/// One more seat, which is offered; and until when the next invoice is for.
async fn offers_a_seat(acme: &Organisation<'_>, contract: &str) -> Value {
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    let offered = acme.opens(&more).await;
    assert_eq!(offered.status, 201, "{offered}");
    offered.body["estimates"]["next_invoice"]["period_end"].clone()
}

#[tokio::test]
async fn an_end_that_an_operator_moves_is_the_contracts() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = until_june(&world).await;
    operator_ends(&world, &seconds("2026-05-16T12:00:00Z").to_string()).await;
    assert_eq!(
        ends_at(&acme, &contract).await.as_deref(),
        Some("2026-05-16T12:00:00Z")
    );
    assert_eq!(offers_a_seat(&acme, &contract).await, "2026-05-16T12:00:00Z");
    world.advance("31d").await;
    assert_eq!(world.stripe.charges().await, [3500, 1750]);
    world.advance("16d").await;
    assert_eq!(acme.contract(&contract).await.contract.status, Status::Ended);
}

/// It goes on, is renewed after what was its end, is covered, and can be changed.
#[tokio::test]
async fn an_end_that_an_operator_takes_away_is_none() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = until_june(&world).await;
    operator_ends(&world, "").await;
    assert_eq!(ends_at(&acme, &contract).await, None);
    world.advance("62d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3500, 3500]);
    assert_eq!(acme.covered_until(&contract).await, "2026-07-01T00:00:00Z");
    assert_eq!(offers_a_seat(&acme, &contract).await, "2026-08-01T00:00:00Z");
}

/// Nobody hears of it until two periods after what was the end: what was paid is covered all the same.
#[tokio::test]
async fn an_end_that_was_taken_away_is_heard_of_after_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = until_june(&world).await;
    world.stripe.holds_events(true).await;
    operator_ends(&world, "").await;
    world.advance("100d").await;
    let paid = world.stripe.events("invoice.paid");
    assert_eq!(world.stripe.delivers(paid.last().unwrap()).await, 200);
    assert_eq!(ends_at(&acme, &contract).await, None);
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(acme.covered_until(&contract).await, "2026-08-01T00:00:00Z");
    offers_a_seat(&acme, &contract).await;
}

/// An end that an operator gives a contract that goes on is told, and taken back with it.
#[tokio::test]
async fn an_end_that_an_operator_sets_is_the_contracts() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    operator_ends(&world, &seconds("2026-05-16T12:00:00Z").to_string()).await;
    assert_eq!(offers_a_seat(&acme, &contract).await, "2026-05-16T12:00:00Z");
    operator_ends(&world, "").await;
    assert_eq!(offers_a_seat(&acme, &contract).await, "2026-06-01T00:00:00Z");
}

/// A year and a quarter. An operator releases the schedule of its downgrade, which takes the downgrade back, and not the end: Stripe drops it with
/// the schedule, and it is set again. The quarter is billed at the yearly plan's price.
#[tokio::test]
async fn a_downgrade_that_is_taken_back_keeps_the_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("team-annual");
    order["end_date"] = json!("2027-07-01T00:00:00Z");
    let contract = acme.sells(&order).await;
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&less).await;
    acme.confirms(&id, &Value::Null).await;
    world.stripe.stand_in().settle().await;
    let schedule = acme.contract(&contract).await.contract.billing.unwrap().schedule;
    let release = format!("/v1/subscription_schedules/{}/release", schedule.unwrap());
    world.stripe.operator("POST", &release, "").await;
    world.stripe.stand_in().settle().await;
    let at_stripe = world.stripe.all_subscriptions().await.remove(0);
    assert_eq!(
        (&at_stripe["schedule"], &at_stripe["cancel_at"]),
        (&Value::Null, &json!(seconds("2027-07-01T00:00:00Z")))
    );
    let stored = acme.contract(&contract).await.contract;
    assert_eq!(
        (&stored.scheduled, stored.billing.unwrap().cancel_at),
        (&None, stored.ends_at)
    );
    world.advance("460d").await;
    // 91 of the 366 days up to April 2028 of 5 × 150.00.
    assert_eq!(world.stripe.charges().await, [75_000, 18_647]);
    assert_eq!(acme.contract(&contract).await.contract.status, Status::Ended);
}

/// Everybody hears of everything. Contract and schedule end when the operator said, or not at all.
async fn is_led_to(world: &World, (acme, contract): (&Organisation<'_>, &str), said: &str) {
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    let end = said.parse::<i64>().ok();
    let stored = acme.contract(contract).await.contract;
    assert!(stored.scheduled.is_some(), "{said}");
    assert_eq!(stored.ends_at.map(|end| end.as_second()), end, "{said}");
    let schedules = world
        .stripe
        .operator("GET", "/v1/subscription_schedules?limit=1", "");
    let schedule = schedules.await["data"][0].take();
    let led_to = schedule["phases"][1]["end_date"].as_i64();
    let ends = (schedule["end_behavior"] == "cancel").then_some(led_to).flatten();
    assert_eq!(ends, end, "{said}: {schedule}");
}

/// The end that a contract was ordered with, and what an operator says instead, in seconds: one where there was none, and none where there was one.
fn ends_said() -> [(Value, String); 2] {
    let end = "2028-07-01T00:00:00Z";
    [
        (Value::Null, seconds(end).to_string()),
        (json!(end), String::new()),
    ]
}

/// A year of the team plan until then, if it ends, and a session for the starter plan after it.
async fn to_be_downgraded(acme: &Organisation<'_>, ordered: Value) -> (String, String) {
    let mut order = acme.order("team-annual");
    if !ordered.is_null() {
        order["end_date"] = ordered;
    }
    let contract = acme.sells(&order).await;
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&less).await;
    (contract, id)
}

/// An operator has a contract end, or takes its end away, and nobody has heard of that. A downgrade that was offered before would write its schedule, and
/// with it what was the end before: it is offered anew, and keeps what the operator said.
#[tokio::test]
async fn a_downgrade_does_not_undo_what_an_operator_said_of_the_end() {
    for (ordered, said) in ends_said() {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (contract, id) = to_be_downgraded(&acme, ordered).await;
        world.stripe.holds_events(true).await;
        operator_ends(&world, &said).await;
        let anew = acme.confirms(&id, &Value::Null).await;
        assert_eq!(anew.status, 409, "{said}: {anew}");
        let version = json!({ "version": acme.reads(&id).await.body["version"] });
        let told = acme.confirms(&id, &version).await;
        assert_eq!(told.status, 200, "{said}: {told}");
        is_led_to(&world, (&acme, &contract), &said).await;
    }
}

/// A machine has died over the downgrade before it had its schedule made, and it is confirmed again when the news has landed: it is offered anew, too.
#[tokio::test]
async fn a_downgrade_that_a_machine_left_does_not_undo_what_an_operator_said_since() {
    for (ordered, said) in ends_said() {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (contract, id) = to_be_downgraded(&acme, ordered).await;
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::Before, "POST /v1/subscription_schedules");
        machine
            .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
            .await;
        world.advance("2m").await;
        operator_ends(&world, &said).await;
        let anew = acme.confirms(&id, &Value::Null).await;
        assert_eq!(anew.status, 409, "{said}: {anew}");
        let version = json!({ "version": anew.body["version"] });
        let told = acme.confirms(&id, &version).await;
        assert_eq!(told.status, 200, "{said}: {told}");
        is_led_to(&world, (&acme, &contract), &said).await;
    }
}

/// An amendment that comes to nothing, between an operator's taking the end away and the news of that, does not hide it.
#[tokio::test]
async fn an_end_that_was_taken_away_is_seen_after_a_refused_amendment() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = until_june(&world).await;
    let seat = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 });
    let more = json!({ "contract_id": contract, "product_overrides": [seat] });
    let id = acme.session(&more).await;
    world.stripe.holds_events(true).await;
    operator_ends(&world, "").await;
    let declined = json!({ "payment_method_id": "pm_card_chargeDeclined" });
    let refused = acme.confirms(&id, &declined).await;
    assert!((400..500).contains(&refused.status), "{refused}");
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(ends_at(&acme, &contract).await, None);
}

/// A year that begins in April and would end in the next does not fit into a contract that ends in September: Stripe would begin it when it is asked, and
/// charge a cent less every few minutes. Told before it is quoted; and of a session that was opened before an operator set the end.
#[tokio::test]
async fn a_period_that_the_end_would_cut_short_is_not_begun() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let year = json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") });
    let id = acme.session(&year).await;
    operator_ends(&world, &seconds("2026-09-01T00:00:00Z").to_string()).await;
    let told = r#"409 {"error":"the contract ends on 2026-09-01T00:00:00Z, which would cut short the period that the change begins"}"#;
    assert_eq!(acme.opens(&year).await, told);
    assert_eq!(acme.previews(&year).await, told);
    assert_eq!(acme.confirms(&id, &Value::Null).await, told);
    assert_eq!(world.stripe.charges().await, [3500]);
    operator_ends(&world, "").await;
    let sold = acme.confirms(&acme.session(&year).await, &Value::Null).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
}

/// An operator has a period end on the 10th of April while what begins it is being written down, at each step of its confirmation. It stays a share of the whole one:
/// from the 6th on, so many of a product are sold for what is left, at what Stripe charges.
async fn is_cut_while_it_is_sold(
    begins: impl AsyncFn(&Organisation<'_>) -> String,
    (plan, product, quantity): (&str, &str, u32),
    charged: &[i64],
) {
    let mut sold_before = 0;
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let id = begins(&acme).await;
        let visa = json!({ "payment_method_id": "pm_card_visa" });
        let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &visa).await;
        let ends = async {
            let is_sold = world.stripe.charges().await.len() == charged.len() - 1;
            if is_sold {
                operator_ends(&world, &seconds("2026-04-10T00:00:00Z").to_string()).await;
            }
            is_sold
        };
        let held = world.held_over(step, confirms, ends).await;
        assert_eq!(held.answer.status, 200, "{step}: {}", held.answer);
        let contract = held.answer.body["contract_id"].as_str().unwrap();
        if held.other {
            sold_before += 1;
            let end = ends_at(&acme, contract).await;
            assert_eq!(end.as_deref(), Some("2026-04-10T00:00:00Z"), "{step}");
            world.advance("5d").await;
            let seats = json!({ "product_id": acme.product(plan, product), "quantity": quantity });
            let more = json!({ "contract_id": contract, "product_overrides": [seats] });
            let bought = acme.confirms(&acme.session(&more).await, &visa).await;
            assert_eq!(bought.status, 200, "{step}: {bought}");
            assert_eq!(world.stripe.charges().await, charged, "{step}");
        }
        !held.was_held
    })
    .await;
    assert!(sold_before > 1, "it was never sold before it was written down");
}

/// 35.00 for April. Of a fourth seat, four of its thirty days: −3000 × 4/30 + 4000 × 4/30 = 1.33.
#[tokio::test]
async fn an_end_that_an_operator_sets_while_a_plan_is_sold_leaves_its_month_whole() {
    let begins = async |acme: &Organisation<'_>| acme.session(&acme.order("starter")).await;
    is_cut_while_it_is_sold(begins, ("starter", "Starter seat", 4), &[3500, 133]).await;
}

/// 750.00 for a year, less the month of 35.00. Of four more seats, four of 365 days: −75000 × 4/365 + 135000 × 4/365 = −822 + 1479.
#[tokio::test]
async fn an_end_that_an_operator_sets_while_a_year_begins_leaves_it_whole() {
    let begins = async |acme: &Organisation<'_>| {
        let contract = acme.sells(&acme.order("starter")).await;
        let year = json!({ "contract_id": contract, "plan_id": acme.plan("team-annual") });
        acme.session(&year).await
    };
    let seats = ("team-annual", "Annual team seat", 9);
    is_cut_while_it_is_sold(begins, seats, &[3500, 71500, 657]).await;
}
