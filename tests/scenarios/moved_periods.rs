//! The period of a contract that an operator moves at Stripe, by resetting the billing cycle or by a trial. The contract follows: what is quoted
//! is what the period that Stripe bills comes to, and nobody is served for longer than was paid for.

use billing_core::contract::Contract;
use billing_tests::{Organisation, World, path_of};
use serde_json::{Value, json};

/// Three seats and the archive for April: 35.00.
pub(crate) async fn sold(world: &World) -> (Organisation<'_>, String) {
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    (acme, contract)
}

/// What an operator does to the one subscription, and what becomes of it.
async fn operator(world: &World, form: &str) {
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    let done = world.stripe.operator("POST", &path_of(&subscription), form).await;
    assert!(done["error"].is_null(), "{done}");
    world.stripe.stand_in().settle().await;
}

/// From now on, with what is left of the old period given back, or without.
pub(crate) async fn resets_the_cycle(world: &World, proration: &str) {
    let form = format!("billing_cycle_anchor[type]=now&proration_behavior={proration}");
    operator(world, &form).await;
}

pub(crate) async fn puts_on_trial(world: &World, end: &str) {
    let end = end.parse::<billing_core::Timestamp>().unwrap().as_second();
    operator(world, &format!("trial_end={end}&proration_behavior=none")).await;
}

pub(crate) fn seats(acme: &Organisation<'_>, contract: &str, quantity: u64) -> Value {
    let seat = acme.product("starter", "Starter seat");
    json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": quantity }] })
}

fn on_trial(until: &str) -> String {
    format!(
        r#"409 {{"error":"the contract is on trial at the payment provider until {until}: it can be changed then, or once an operator has ended the trial"}}"#
    )
}

/// A number of seats from now on, for what it is quoted at.
async fn takes_seats(world: &World, acme: &Organisation<'_>, contract: &str, quantity: u64, quoted: i64) {
    let offered = acme.opens(&seats(acme, contract, quantity)).await;
    assert_eq!(offered.status, 201, "{offered}");
    assert_eq!(
        offered.body["estimates"]["current_invoice"]["total"], quoted,
        "{offered}"
    );
    let id = offered.body["id"].as_str().unwrap();
    let amended = acme.confirms(id, &Value::Null).await;
    assert_eq!(amended.body["checkout_status"], "contract_created", "{amended}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await.last(), Some(&quoted));
}

/// On 13 April, with 18 of 30 days given back: 35.00 − 21.00, and the month is 13 April to 13 May. On the 23rd two thirds of it are left, and a fourth
/// seat is −20.00 + 26.66. On 3 May, when April is over, a fifth is a third of it: −13.34 + 16.66. The next month is 50.00 and 5.00.
#[tokio::test]
async fn a_period_that_an_operator_begins_is_the_contracts() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    world.advance("12d").await;
    resets_the_cycle(&world, "create_prorations").await;
    assert_eq!(world.stripe.charges().await, [3500, 1400]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-13T00:00:00Z");
    world.advance("10d").await;
    takes_seats(&world, &acme, &contract, 4, 666).await;
    world.advance("10d").await;
    takes_seats(&world, &acme, &contract, 5, 332).await;
    world.advance("11d").await;
    assert_eq!(world.stripe.charges().await, [3500, 1400, 666, 332, 5500]);
    assert_eq!(acme.covered_until(&contract).await, "2026-06-13T00:00:00Z");
}

/// Nothing is given back for April's rest. A session that was opened before, and that nobody has told of it: the offer is made anew by the new period,
/// two thirds of which would have been −20.00 + 26.66, and all of it is 10.00.
#[tokio::test]
async fn an_offer_of_before_an_operator_began_a_period_is_made_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    world.advance("10d").await;
    let offered = acme.opens(&seats(&acme, &contract, 4)).await;
    assert_eq!(offered.body["estimates"]["current_invoice"]["total"], 666);
    let id = offered.body["id"].as_str().unwrap();
    world.stripe.holds_events(true).await;
    resets_the_cycle(&world, "none").await;
    let moved = acme.confirms(id, &Value::Null).await;
    let fresh = &moved.body["estimates"];
    assert_eq!(
        (
            moved.status,
            &fresh["current_invoice"]["total"],
            &fresh["current_invoice"]["period_end"]
        ),
        (409, &json!(1000), &json!("2026-05-11T00:00:00Z")),
        "{moved}"
    );
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    let version = json!({ "version": moved.body["version"] });
    let amended = acme.confirms(id, &version).await;
    assert_eq!(amended.body["checkout_status"], "contract_created", "{amended}");
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500, 1000]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-11T00:00:00Z");
}

/// The card pays no more. The period is moved, and what was paid for is covered, to the end of April; nothing is sold before the bill is paid.
#[tokio::test]
async fn a_period_that_was_begun_and_not_paid_covers_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    world.advance("12d").await;
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    let customer = subscription["customer"].as_str().unwrap();
    let form = format!("customer={customer}");
    let declining = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let method = world.stripe.operator("POST", declining, &form).await;
    let form = format!("default_payment_method={}", method["id"].as_str().unwrap());
    operator(&world, &form).await;
    resets_the_cycle(&world, "create_prorations").await;
    assert_eq!(world.stripe.charges().await, [3500]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-01T00:00:00Z");
    let told = r#"409 {"error":"the contract's latest invoice has to be paid first"}"#;
    assert_eq!(acme.opens(&seats(&acme, &contract, 4)).await, told);
    let bill = world.stripe.latest_invoice().await;
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 1400]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-13T00:00:00Z");
}

/// A year from April, begun anew in May: it is over a year after that. A downgrade that was offered before is offered anew, takes effect then, and is
/// told as scheduled until then, also when the first year would be over.
#[tokio::test]
async fn a_downgrade_waits_for_the_end_of_the_period_that_an_operator_began() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    world.advance("30d").await;
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&less).await;
    world.stripe.holds_events(true).await;
    resets_the_cycle(&world, "none").await;
    let moved = acme.confirms(&id, &Value::Null).await;
    assert_eq!(moved.status, 409, "{moved}");
    let read = acme.reads(&id).await;
    assert_eq!(read.body["effective_at"], "2027-05-01T00:00:00Z");
    let version = json!({ "version": read.body["version"] });
    let scheduled = acme.confirms(&id, &version).await;
    assert_eq!(
        scheduled.body["message"], "the change takes effect at 2027-05-01T00:00:00Z",
        "{scheduled}"
    );
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    world.advance("350d").await;
    let told = r#"409 {"error":"a change of the contract is scheduled for the end of its period"}"#;
    assert_eq!(acme.opens(&less).await, told);
    assert_eq!(world.stripe.charges().await, [75_000, 75_000]);
    world.advance("16d").await;
    assert_eq!(world.stripe.charges().await, [75_000, 75_000, 3500]);
    let stored = acme.contract(&contract).await.contract;
    assert_eq!(
        (stored.scheduled, stored.standing.period.end.to_string().as_str()),
        (None, "2027-06-01T00:00:00Z")
    );
}

/// What the build before this one has written down: a year from April, although Stripe bills one from May. When the first is over, the contract is
/// changed by what is left of the second: a sixth seat for 23 of 365 days, 150.00 × 6 − 150.00 × 5, each rounded.
#[tokio::test]
async fn a_contract_that_was_left_in_its_old_period_is_changed_by_stripes() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.sells(&acme.order("team-annual")).await;
    let before = acme.contract(&id).await.contract.standing;
    world.advance("30d").await;
    resets_the_cycle(&world, "none").await;
    let now = acme.contract(&id).await.contract;
    let old = Contract {
        standing: before,
        ..now.clone()
    };
    let store = world.stack().app.store();
    store.put_contract(&now, &old).await.unwrap();
    world.advance("342d").await;
    let seat = acme.product("team-annual", "Annual team seat");
    let more = json!({ "contract_id": id, "product_overrides": [{ "product_id": seat, "quantity": 6 }] });
    let offered = acme.opens(&more).await;
    assert_eq!(offered.status, 201, "{offered}");
    let total = offered.body["estimates"]["current_invoice"]["total"].as_i64();
    assert_eq!(total, Some(90_000 * 23 / 365 - 75_000 * 23 / 365 - 1));
    let session = offered.body["id"].as_str().unwrap();
    let amended = acme.confirms(session, &Value::Null).await;
    assert_eq!(amended.body["checkout_status"], "contract_created", "{amended}");
    assert_eq!(world.stripe.charges().await.last().copied(), total);
}

/// From 6 to 9 April, and 35.00 are due then for the month that begins. Until then nothing is quoted, also in a session of before that has not heard
/// of it; from then on, what the month to 9 May comes to: on the 19th two thirds of it.
#[tokio::test]
async fn a_contract_on_trial_is_changed_when_that_is_over() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    world.advance("5d").await;
    let more = seats(&acme, &contract, 4);
    let id = acme.session(&more).await;
    world.stripe.holds_events(true).await;
    puts_on_trial(&world, "2026-04-09T00:00:00Z").await;
    let told = on_trial("2026-04-09T00:00:00Z");
    assert_eq!(acme.confirms(&id, &Value::Null).await, told.as_str());
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    let other = json!({ "contract_id": contract, "plan_id": acme.plan("team") });
    for wish in [&more, &other] {
        assert_eq!(acme.opens(wish).await, told.as_str());
        assert_eq!(acme.previews(wish).await, told.as_str());
    }
    assert_eq!(acme.confirms(&id, &Value::Null).await, told.as_str());
    assert_eq!(acme.covered_until(&contract).await, "2026-05-01T00:00:00Z");
    world.advance("13d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    assert_eq!(acme.covered_until(&contract).await, "2026-05-09T00:00:00Z");
    takes_seats(&world, &acme, &contract, 4, 666).await;
}

/// Over for two hours, of which nobody has heard: what is on its way is waited for, and a session of before finds out, and is offered anew.
#[tokio::test]
async fn a_trial_that_is_over_bars_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    let more = seats(&acme, &contract, 4);
    world.advance("5d").await;
    let id = acme.session(&more).await;
    puts_on_trial(&world, "2026-04-06T12:00:00Z").await;
    world.stripe.stand_in().settle().await;
    let told = on_trial("2026-04-06T12:00:00Z");
    assert_eq!(acme.confirms(&id, &Value::Null).await, told.as_str());
    world.stripe.holds_events(true).await;
    world.advance("14h").await;
    assert_eq!(acme.opens(&more).await.status, 503);
    let anew = acme.confirms(&id, &Value::Null).await;
    assert_eq!(anew.status, 409, "{anew}");
    let version = json!({ "version": anew.body["version"] });
    let amended = acme.confirms(&id, &version).await;
    assert_eq!(
        amended.body["checkout_status"], "contract_created",
        "{anew} {amended}"
    );
}

/// Longer than the month that was paid for, which nobody has heard of by the end of that: a trial is told, and not that something is late. When an
/// operator ends it, a month begins.
#[tokio::test]
async fn a_trial_beyond_the_period_is_told_as_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    world.advance("29d").await;
    let more = seats(&acme, &contract, 4);
    world.stripe.holds_events(true).await;
    puts_on_trial(&world, "2026-06-10T00:00:00Z").await;
    world.advance("12h").await;
    let id = acme.session(&more).await;
    world.advance("18h").await;
    let told = on_trial("2026-06-10T00:00:00Z");
    assert_eq!(acme.confirms(&id, &Value::Null).await, told.as_str());
    assert_eq!(acme.opens(&more).await, told.as_str());
    world.stripe.holds_events(false).await;
    world.advance("9d").await;
    assert_eq!(acme.opens(&more).await, told.as_str());
    assert_eq!(acme.covered_until(&contract).await, "");
    operator(&world, "trial_end=now").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    takes_seats(&world, &acme, &contract, 4, 1000).await;
}

/// An end in June, and a month that an operator begins on 20 May, up to it: 11 of 31 days. A seat more five days later is quoted for the rest of those.
#[tokio::test]
async fn a_period_that_an_operator_begins_is_cut_short_by_the_contracts_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["end_date"] = json!("2026-05-31T00:00:00Z");
    let contract = acme.sells(&order).await;
    world.advance("49d").await;
    resets_the_cycle(&world, "none").await;
    // 30 of May's 31 days, and 11 of the 31 from 20 May on; each of the two lines rounded.
    assert_eq!(world.stripe.charges().await, [3500, 3386, 1241]);
    world.advance("5d").await;
    // 6 of 31 days of 40.00, less 6 of 30.00.
    takes_seats(&world, &acme, &contract, 4, 774 - 581).await;
    world.advance("7d").await;
    assert_eq!(world.stripe.charges().await, [3500, 3386, 1241, 193]);
}

/// A machine whose clock is behind is asked in the first second of a period that an operator began: it quotes the whole of it.
#[tokio::test]
async fn a_machine_whose_clock_is_behind_quotes_the_period_that_has_begun() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = sold(&world).await;
    world.advance("12d").await;
    resets_the_cycle(&world, "none").await;
    let behind = world.machine_ahead(-5).await;
    let offered = acme.opens_on(&behind, &seats(&acme, &contract, 4)).await.unwrap();
    assert_eq!(offered.status, 201, "{offered}");
    assert_eq!(offered.body["estimates"]["current_invoice"]["total"], 1000);
    let id = offered.body["id"].as_str().unwrap();
    let amended = acme.confirms_on(&behind, id, &Value::Null).await.unwrap();
    assert_eq!(amended.body["checkout_status"], "contract_created", "{amended}");
    assert_eq!(world.stripe.charges().await, [3500, 3500, 1000]);
}
