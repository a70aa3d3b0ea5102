//! What an operator gives the subscription of a contract at Stripe (a discount, a description, taxes, a trial), and a downgrade, whose schedule says
//! again what Stripe would unset otherwise.

use billing_tests::{Answer, Moment, Organisation, World, at_every_death, at_every_step, path_of};
use serde_json::{Value, json};

/// The second request of a downgrade.
const PHASES: &str = "POST /v1/subscription_schedules/";

/// The subscription of a contract, as Stripe has it.
async fn subscription(world: &World, acme: &Organisation<'_>, contract: &str) -> Value {
    let billing = acme.contract(contract).await.contract.billing.unwrap();
    let path = format!("/v1/subscriptions/{}", billing.subscription);
    world.stripe.operator("GET", &path, "").await
}

/// An operator changes it; the events arrive.
async fn operator_says(world: &World, acme: &Organisation<'_>, contract: &str, form: &str) -> Value {
    let path = path_of(&subscription(world, acme, contract).await);
    let changed = world.stripe.operator("POST", &path, form).await;
    assert_eq!(changed["object"], "subscription", "{changed}");
    world.stripe.stand_in().settle().await;
    changed
}

/// An operator gives it half off for so long. Answers its discounts.
async fn half_off(world: &World, acme: &Organisation<'_>, contract: &str, duration: &str) -> Value {
    let form = format!("percent_off=50&duration={duration}");
    let coupon = world.stripe.operator("POST", "/v1/coupons", &form).await;
    let form = format!("discounts[0][coupon]={}", coupon["id"].as_str().unwrap());
    let discounts = operator_says(world, acme, contract, &form).await["discounts"].clone();
    assert_eq!(discounts.as_array().unwrap().len(), 1);
    discounts
}

/// A year of the annual plan, 750.00, and a session for the starter plan, 35.00 a month, from its end on.
async fn about_to_downgrade(acme: &Organisation<'_>) -> (String, String) {
    let contract = acme.sells(&acme.order("team-annual")).await;
    let id = downgrade(acme, &contract).await;
    (contract, id)
}

async fn downgrade(acme: &Organisation<'_>, contract: &str) -> String {
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    acme.session(&less).await
}

/// The phases of the schedule that leads a subscription.
async fn phases(world: &World, subscription: &Value) -> Vec<Value> {
    let schedule = subscription["schedule"].as_str().unwrap();
    let path = format!("/v1/subscription_schedules/{schedule}");
    let schedule = world.stripe.operator("GET", &path, "").await;
    schedule["phases"].as_array().unwrap().clone()
}

/// It is scheduled, once, and its subscription has these discounts, now and in each of its phases.
async fn scheduled_with(
    world: &World,
    acme: &Organisation<'_>,
    (contract, discounts): (&str, &Value),
    context: &str,
) {
    world.stripe.stand_in().settle().await;
    let stored = acme.contract(contract).await;
    assert!(stored.contract.scheduled.is_some(), "{context}");
    assert_eq!(
        (stored.contract.sale, stored.history.len()),
        (None, 2),
        "{context}"
    );
    let now = subscription(world, acme, contract).await;
    assert_eq!(now["discounts"], *discounts, "{context}");
    let phases = phases(world, &now).await;
    let ids = |phase: &Value| -> Vec<Value> {
        let of_phase = phase["discounts"].as_array().unwrap();
        of_phase.iter().map(|one| one["discount"].clone()).collect()
    };
    let told: Vec<_> = phases.iter().map(ids).collect();
    assert_eq!(json!(told), json!([discounts, discounts]), "{context}");
}

fn is_sold(answer: &Answer, context: &str) {
    assert_eq!(
        answer.body["checkout_status"], "contract_created",
        "{context}: {answer}"
    );
}

/// For good, or for thirteen months from the day it was given, of which a year is over when the new plan begins: its time does not begin anew.
#[tokio::test]
async fn a_discount_outlasts_a_downgrade_for_as_long_as_it_was_given() {
    for (duration, bills) in [
        ("forever", [75000, 1750, 1750]),
        ("repeating&duration_in_months=13", [75000, 1750, 3500]),
    ] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (contract, id) = about_to_downgrade(&acme).await;
        let discounts = half_off(&world, &acme, &contract, duration).await;
        is_sold(&acme.confirms(&id, &Value::Null).await, duration);
        scheduled_with(&world, &acme, (&contract, &discounts), duration).await;
        world.advance("366d").await;
        let now = subscription(&world, &acme, &contract).await;
        assert_eq!((&now["discounts"], &now["schedule"]), (&discounts, &Value::Null));
        world.advance("31d").await;
        assert_eq!(world.stripe.charges().await, bills, "{duration}");
        let coupons = world.stripe.operator("GET", "/v1/coupons", "").await;
        assert_eq!(coupons["data"][0]["times_redeemed"], 1, "{duration}");
        assert_eq!(acme.covered_until(&contract).await, "2027-06-01T00:00:00Z");
    }
}

/// Its description, and that Stripe works out its taxes: at once, while the schedule leads it, and after that.
#[tokio::test]
async fn what_an_operator_has_a_subscription_say_it_says_after_a_downgrade() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (contract, id) = about_to_downgrade(&acme).await;
    let customer = path_of(&world.stripe.all_customers().await.remove(0));
    let place = "address[country]=DE&address[postal_code]=10115";
    world.stripe.operator("POST", &customer, place).await;
    let says = "description=Bakery&automatic_tax[enabled]=true";
    let before = operator_says(&world, &acme, &contract, says).await;
    assert_eq!(before["automatic_tax"]["enabled"], true);
    is_sold(&acme.confirms(&id, &Value::Null).await, says);
    // The stand-in leaves a description that no phase says, which Stripe may unset.
    let phases = phases(&world, &subscription(&world, &acme, &contract).await).await;
    let said = |phase: &Value| {
        (
            phase["description"].clone(),
            phase["automatic_tax"]["enabled"].clone(),
        )
    };
    let said: Vec<_> = phases.iter().map(said).collect();
    assert_eq!(
        said,
        [(json!("Bakery"), json!(true)), (json!("Bakery"), json!(true))]
    );
    for passed in ["1s", "366d"] {
        world.advance(passed).await;
        let now = subscription(&world, &acme, &contract).await;
        for member in ["description", "automatic_tax"] {
            assert_eq!(now[member], before[member], "{passed}: {member}");
        }
    }
}

/// An operator takes the downgrade back: the year that follows is billed as the one before, with the discount.
#[tokio::test]
async fn a_discount_stays_when_a_downgrade_is_taken_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (contract, id) = about_to_downgrade(&acme).await;
    let discounts = half_off(&world, &acme, &contract, "forever").await;
    is_sold(&acme.confirms(&id, &Value::Null).await, "");
    scheduled_with(&world, &acme, (&contract, &discounts), "").await;
    let schedule = subscription(&world, &acme, &contract).await["schedule"].clone();
    let release = format!(
        "/v1/subscription_schedules/{}/release",
        schedule.as_str().unwrap()
    );
    world.stripe.operator("POST", &release, "").await;
    world.advance("366d").await;
    let now = subscription(&world, &acme, &contract).await;
    assert_eq!(now["discounts"], discounts);
    assert_eq!(world.stripe.charges().await, [75000, 37500]);
}

/// A change at once is not billed at another amount than was quoted: the discount is not in the quote, and nothing is charged.
#[tokio::test]
async fn a_change_at_once_of_what_has_a_discount_is_charged_as_quoted_or_not_at_all() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    half_off(&world, &acme, &contract, "forever").await;
    let seat = acme.product("team-annual", "Annual team seat");
    let more =
        json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": 6 }] });
    let id = acme.session(&more).await;
    assert_eq!(
        acme.confirms(&id, &Value::Null).await,
        r#"409 {"error":"the payment provider would charge another amount than was estimated; nothing was charged"}"#
    );
    assert_eq!(world.stripe.charges().await, [75000]);
}

/// The machine dies before and after every single step, between the two requests as well.
#[tokio::test]
async fn a_discount_outlasts_a_downgrade_whose_machine_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let (contract, id) = about_to_downgrade(&acme).await;
        let discounts = half_off(&world, &acme, &contract, "forever").await;
        let told = world
            .dies_over(death, async |machine| {
                acme.confirms_on(machine, &id, &Value::Null).await
            })
            .await;
        let context = death.to_string();
        is_sold(&acme.confirms(&id, &Value::Null).await, &context);
        scheduled_with(&world, &acme, (&contract, &discounts), &context).await;
        told.is_some()
    })
    .await;
}

/// Another machine confirms the same session while the answer of a step is on its way to the first; and each step's answer is lost.
#[tokio::test]
async fn a_discount_outlasts_a_downgrade_on_two_machines_and_lost_answers() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_step(async |step| {
        let (contract, id) = about_to_downgrade(&acme).await;
        let discounts = half_off(&world, &acme, &contract, "forever").await;
        let held = world
            .held_over(
                step,
                async |machine| acme.confirms_on(machine, &id, &Value::Null).await,
                acme.confirms(&id, &Value::Null),
            )
            .await;
        let context = format!("held over step {step}");
        is_sold(&held.other, &context);
        is_sold(&held.answer, &context);
        scheduled_with(&world, &acme, (&contract, &discounts), &context).await;
        !held.was_held
    })
    .await;
    at_every_step(async |step| {
        let (contract, id) = about_to_downgrade(&acme).await;
        let discounts = half_off(&world, &acme, &contract, "forever").await;
        let (told, was_lost) = world
            .loses_over(step, async |machine| {
                acme.confirms_on(machine, &id, &Value::Null).await
            })
            .await;
        let context = format!("lost the answer of step {step}: {told}");
        is_sold(&acme.confirms(&id, &Value::Null).await, &context);
        scheduled_with(&world, &acme, (&contract, &discounts), &context).await;
        !was_lost
    })
    .await;
}

/// The machine dies between the two requests, and an operator gives the discount before the downgrade is confirmed again: the phases say it.
#[tokio::test]
async fn a_discount_that_is_given_between_the_two_requests_is_kept() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (contract, id) = about_to_downgrade(&acme).await;
    let machine = world.machine().await;
    machine.network.stops_named(Moment::Before, PHASES);
    machine
        .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
        .await;
    let discounts = half_off(&world, &acme, &contract, "forever").await;
    is_sold(&acme.confirms(&id, &Value::Null).await, "");
    scheduled_with(&world, &acme, (&contract, &discounts), "").await;
}

/// The same, and Stripe has the request of the one that died: the discount is another word under the same key. What became of the first is
/// waited for while anybody may be waiting for its answer, and a minute later both are asked for under the next number.
#[tokio::test]
async fn a_discount_that_makes_other_words_of_the_second_request_is_asked_for_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (contract, id) = about_to_downgrade(&acme).await;
    let machine = world.machine().await;
    machine.network.stops_named(Moment::Before, PHASES);
    machine
        .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
        .await;
    let discounts = half_off(&world, &acme, &contract, "forever").await;
    let key = format!("sale/{id}/1/phases");
    world.stripe.spends_idempotency_key(&key).await;
    let waits = acme.confirms(&id, &Value::Null).await;
    assert_eq!(waits.status, 503, "{waits}");
    assert!(waits.headers.contains_key("retry-after"));
    world.advance("61s").await;
    is_sold(&acme.confirms(&id, &Value::Null).await, "");
    scheduled_with(&world, &acme, (&contract, &discounts), "").await;
}

/// Before the downgrade is confirmed, or between its two requests. The trial goes on, no schedule is in anybody's way, and once it is over the
/// downgrade is made.
#[tokio::test]
async fn a_subscription_on_trial_is_not_downgraded() {
    const REFUSED: &str = r#"409 {"error":"the contract is on trial at the payment provider until 2026-04-11T00:00:00Z: it can be changed then, or once an operator has ended the trial"}"#;
    for dies_first in [false, true] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let (contract, id) = about_to_downgrade(&acme).await;
        if dies_first {
            let machine = world.machine().await;
            machine.network.stops_named(Moment::Before, PHASES);
            machine
                .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
                .await;
            // What another machine may be at is left alone.
            world.advance("61s").await;
        }
        let end = "2026-04-11T00:00:00Z"
            .parse::<billing_core::Timestamp>()
            .unwrap()
            .as_second();
        let form = format!("trial_end={end}&proration_behavior=none");
        operator_says(&world, &acme, &contract, &form).await;
        assert_eq!(
            acme.confirms(&id, &Value::Null).await,
            REFUSED,
            "dies first: {dies_first}"
        );
        world.stripe.stand_in().settle().await;
        let now = subscription(&world, &acme, &contract).await;
        assert_eq!(
            (&now["status"], &now["trial_end"], &now["schedule"]),
            (&json!("trialing"), &json!(end), &Value::Null),
            "dies first: {dies_first}"
        );
        world.advance("10d 2h").await;
        assert_eq!(world.stripe.charges().await, [75000, 75000]);
        let later = downgrade(&acme, &contract).await;
        is_sold(&acme.confirms(&later, &Value::Null).await, "after the trial");
    }
}

/// A discount of one item, which is not among what the phases say: nothing is asked of Stripe.
#[tokio::test]
async fn what_a_downgrade_would_take_away_bars_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (contract, id) = about_to_downgrade(&acme).await;
    let path = path_of(&subscription(&world, &acme, &contract).await);
    let expanded =
        "expand[]=latest_invoice&expand[]=schedule&expand[]=default_payment_method&expand[]=customer";
    let mut read = world
        .stripe
        .operator("GET", &format!("{path}?{expanded}"), "")
        .await;
    read["items"]["data"][0]["discounts"] = json!(["di_of_one_item"]);
    let machine = world.machine().await;
    machine
        .network
        .tells("GET /v1/subscriptions/", 200, read.to_string().leak());
    assert_eq!(
        acme.confirms_on(&machine, &id, &Value::Null).await.unwrap(),
        r#"409 {"error":"the subscription was given terms at Stripe that a change at the end of its period would take away: only an operator can change it"}"#
    );
    assert_eq!(world.stripe.events("subscription_schedule.created").len(), 0);
    is_sold(&acme.confirms(&id, &Value::Null).await, "without it");
}
