//! Machines that die over a change of a contract whose period an operator moves at Stripe, and answers that are lost. What is charged is what was quoted,
//! once, by the period that Stripe bills by then; also where that was moved over half a change, and whether or not anybody has heard of it.

use billing_tests::{
    Answer, Death, Machine, Moment, Organisation, World, at_every_death, at_every_step, id_of,
};
use serde_json::{Value, json};

use crate::moved_periods::{puts_on_trial, resets_the_cycle, seats, sold};

/// Confirms a session, and what it is offered anew by its version.
async fn agrees_on(machine: &Machine, acme: &Organisation<'_>, id: &str) -> Option<Answer> {
    let told = acme.confirms_on(machine, id, &Value::Null).await?;
    match &told.body["version"] {
        Value::Null => Some(told),
        version => {
            let version = json!({ "version": version });
            acme.confirms_on(machine, id, &version).await
        }
    }
}

/// The same by whoever comes next: it is sold, at once or when nobody can be at it any more.
async fn is_agreed(world: &World, acme: &Organisation<'_>, id: &str, context: &str) {
    let machine = world.machine().await;
    let mut sold = agrees_on(&machine, acme, id).await.unwrap();
    if sold.status == 503 {
        world.advance("61s").await;
        sold = agrees_on(&machine, acme, id).await.unwrap();
    }
    assert_eq!(
        sold.body["checkout_status"], "contract_created",
        "{context}: {sold}"
    );
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
}

/// What a session was sold for.
async fn quoted(acme: &Organisation<'_>, id: &str) -> i64 {
    let read = acme.reads(id).await;
    read.body["estimates"]["current_invoice"]["total"]
        .as_i64()
        .unwrap()
}

/// It was amended once, and is covered until then.
async fn is_amended(acme: &Organisation<'_>, contract: &str, until: &str, context: &str) {
    let stored = acme.contract(contract).await;
    assert_eq!(
        (stored.contract.sale, stored.history.len()),
        (None, 2),
        "{context}"
    );
    assert_eq!(acme.covered_until(contract).await, until, "{context}");
}

/// On 11 April, three seats for the month that an operator began a moment ago, of which nobody has heard, and a session for a fourth that was opened
/// before.
async fn begun_anew(world: &World) -> (Organisation<'_>, String, String) {
    let (acme, contract) = sold(world).await;
    world.advance("10d").await;
    let id = acme.session(&seats(&acme, &contract, 4)).await;
    world.stripe.holds_events(true).await;
    resets_the_cycle(world, "none").await;
    (acme, contract, id)
}

/// A fourth seat for all of the month from 11 April on, or all but its first minute, once: 10.00, as it was quoted.
async fn has_a_fourth_seat(
    world: &World,
    acme: &Organisation<'_>,
    (contract, id): (&str, &str),
    context: &str,
) {
    let seat = quoted(acme, id).await;
    assert!((999..=1000).contains(&seat), "{context}: {seat}");
    assert_eq!(world.stripe.charges().await, [3500, 3500, seat], "{context}");
    is_amended(acme, contract, "2026-05-11T00:00:00Z", context).await;
    world.advance("31d").await;
    assert_eq!(
        world.stripe.charges().await,
        [3500, 3500, seat, 4500],
        "{context}"
    );
}

/// The machine dies at any step of being told the fresh offer and taking it.
#[tokio::test]
async fn an_amendment_of_a_moved_period_is_charged_once_whatever_dies() {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract, id) = begun_anew(&world).await;
        let agrees = async |machine: &Machine| agrees_on(machine, &acme, &id).await;
        let told = world.dies_over(death, agrees).await;
        let context = death.to_string();
        if death.step % 2 == 0 {
            world.advance("61s").await;
        }
        is_agreed(&world, &acme, &id, &context).await;
        has_a_fourth_seat(&world, &acme, (&contract, &id), &context).await;
        told.is_some()
    })
    .await;
}

/// The answer of any of these steps is lost, and whoever asked finds out.
#[tokio::test]
async fn an_amendment_of_a_moved_period_is_charged_once_whatever_answer_is_lost() {
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract, id) = begun_anew(&world).await;
        let agrees = async |machine: &Machine| agrees_on(machine, &acme, &id).await;
        let (told, was_lost) = world.loses_over(step, agrees).await;
        let context = format!("lost step {step}");
        assert_eq!(told.status, 200, "{context}: {told}");
        is_agreed(&world, &acme, &id, &context).await;
        has_a_fourth_seat(&world, &acme, (&contract, &id), &context).await;
        !was_lost
    })
    .await;
}

/// The machine dies over a fourth seat for two thirds of April, 6.66, and then an operator begins a month with what there is: what was charged is
/// sold, and the month is 45.00. What was not charged is offered anew by that month, which was 35.00. So it is when nobody has heard of the month.
#[tokio::test]
async fn a_period_that_is_moved_over_half_an_amendment_is_charged_once() {
    for (is_heard_of, moment) in [(true, Moment::Before), (false, Moment::After)] {
        at_every_step(async |step| {
            let death = Death { moment, step };
            let context = format!("{death}, heard of: {is_heard_of}");
            let world = World::at("2026-04-01T00:00:00Z").await;
            let (acme, contract) = sold(&world).await;
            world.advance("10d").await;
            let id = acme.session(&seats(&acme, &contract, 4)).await;
            world.stripe.holds_events(true).await;
            let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &Value::Null).await;
            let told = world.dies_over(death, confirms).await;
            let is_charged = world.stripe.charges().await == [3500, 666];
            world.advance("2m").await;
            world.stripe.holds_events(!is_heard_of).await;
            resets_the_cycle(&world, "none").await;
            is_agreed(&world, &acme, &id, &context).await;
            let charges: &[i64] = if is_charged {
                &[3500, 666, 4500]
            } else {
                &[3500, 3500, 1000]
            };
            assert_eq!(world.stripe.charges().await, charges, "{context}");
            is_amended(&acme, &contract, "2026-05-11T00:02:00Z", &context).await;
            told.is_some()
        })
        .await;
    }
}

/// A year, and a session for the starter plan after it. A machine has died between the two requests of the downgrade, and an operator has begun another
/// year two minutes later.
async fn half_downgraded(world: &World, acme: &Organisation<'_>, is_heard_of: bool) -> (String, String) {
    let contract = acme.sells(&acme.order("team-annual")).await;
    let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&less).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscription_schedules/");
    machine
        .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
        .await;
    world.advance("2m").await;
    world.stripe.holds_events(!is_heard_of).await;
    resets_the_cycle(world, "none").await;
    (contract, id)
}

/// It is scheduled, here and at Stripe, for the end of the year that the operator began, once, and nothing is charged for it.
async fn is_downgraded_later(world: &World, acme: &Organisation<'_>, contract: &str, context: &str) {
    let stored = acme.contract(contract).await;
    let (history, contract) = (stored.history.len(), stored.contract);
    assert_eq!((&contract.sale, history), (&None, 2), "{context}");
    let effective = contract.scheduled.unwrap().effective_at;
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    let billed = &subscription["items"]["data"][0];
    assert_eq!(
        (effective, json!(effective.as_second())),
        (contract.standing.period.end, billed["current_period_end"].clone()),
        "{context}"
    );
    assert_eq!(
        subscription["billing_cycle_anchor"], billed["current_period_start"],
        "what the operator began: {context}"
    );
    let path = format!(
        "/v1/subscription_schedules/{}",
        subscription["schedule"].as_str().unwrap()
    );
    let phases = world.stripe.operator("GET", &path, "").await["phases"].take();
    assert_eq!(
        (phases.as_array().unwrap().len(), &phases[1]["start_date"]),
        (2, &json!(effective.as_second())),
        "{context}"
    );
    let path = format!("/v1/invoices?subscription={}", id_of(&subscription));
    let bills = world.stripe.operator("GET", &path, "").await["data"].take();
    let bills = bills.as_array().unwrap();
    let charged: Vec<_> = bills.iter().map(|bill| &bill["amount_paid"]).collect();
    assert_eq!(charged, [75_000, 75_000], "{context}");
}

/// The machine dies at any step of being told the fresh offer and taking it.
#[tokio::test]
async fn a_downgrade_whose_schedule_was_half_made_is_of_the_moved_period_whatever_dies() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    for (is_heard_of, moment) in [(true, Moment::Before), (false, Moment::After)] {
        at_every_step(async |step| {
            let death = Death { moment, step };
            let (contract, id) = half_downgraded(&world, &acme, is_heard_of).await;
            let agrees = async |machine: &Machine| agrees_on(machine, &acme, &id).await;
            let told = world.dies_over(death, agrees).await;
            let context = format!("{death}, heard of: {is_heard_of}");
            world.advance("61s").await;
            is_agreed(&world, &acme, &id, &context).await;
            is_downgraded_later(&world, &acme, &contract, &context).await;
            told.is_some()
        })
        .await;
    }
}

/// The answer of any of these steps is lost, and whoever asked finds out.
#[tokio::test]
async fn a_downgrade_whose_schedule_was_half_made_is_of_the_moved_period_whatever_answer_is_lost() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_step(async |step| {
        let (contract, id) = half_downgraded(&world, &acme, false).await;
        let agrees = async |machine: &Machine| agrees_on(machine, &acme, &id).await;
        let (told, was_lost) = world.loses_over(step, agrees).await;
        let context = format!("lost step {step}");
        assert_eq!(told.status, 200, "{context}: {told}");
        is_agreed(&world, &acme, &id, &context).await;
        is_downgraded_later(&world, &acme, &contract, &context).await;
        !was_lost
    })
    .await;
}

/// Two hours after a trial to 6 April, noon, of which nobody has heard, and for which the month that followed was paid: a fourth seat is what is left of
/// that month, once, whatever dies.
#[tokio::test]
async fn an_amendment_after_a_trial_that_nobody_has_heard_of_is_charged_once_whatever_dies() {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (acme, contract) = sold(&world).await;
        world.advance("5d").await;
        let id = acme.session(&seats(&acme, &contract, 4)).await;
        puts_on_trial(&world, "2026-04-06T12:00:00Z").await;
        world.stripe.holds_events(true).await;
        world.advance("14h").await;
        let agrees = async |machine: &Machine| agrees_on(machine, &acme, &id).await;
        let told = world.dies_over(death, agrees).await;
        let context = death.to_string();
        world.advance("61s").await;
        is_agreed(&world, &acme, &id, &context).await;
        let seat = quoted(&acme, &id).await;
        // 718 of 720 hours of 40.00, less those of 30.00; or a minute less.
        assert!((996..=997).contains(&seat), "{context}: {seat}");
        assert_eq!(world.stripe.charges().await, [3500, 3500, seat], "{context}");
        is_amended(&acme, &contract, "2026-05-06T12:00:00Z", &context).await;
        told.is_some()
    })
    .await;
}
