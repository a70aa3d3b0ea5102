//! Changes in a free trial, in either Stripe: in one the trial goes on when the interval is changed, in the other it ends and the new
//! interval is paid for at once. Either way nothing is charged that was not quoted, and nobody is served beyond what is free or paid.

use billing_tests::{Account, Machine, World, at_every_death, at_every_step};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

use crate::change_states::made_by_operator;

fn to_a_year() -> Value {
    json!({ "interval": "annual" })
}

/// A world, and an account in the first days of a trial from 1 to 15 April.
async fn on_trial(world: &World, trial_outlasts_interval: bool) -> Account<'_> {
    world.stripe.is(Settings {
        trial_outlasts_interval,
        ..Settings::default()
    });
    let ada = world.account(1).await;
    made_by_operator(world, &ada, "trial_period_days=14").await;
    ada
}

/// Changed on the 11th, cancelled before. Where the trial goes on, nothing is due that day, and 96.00 when it ends; else they are due at
/// once. It is a change like any other: as quoted, made once, and the cancellation is taken back.
#[tokio::test]
async fn a_subscription_on_trial_is_previewed_and_changed() {
    for (goes_on, due, paid, until) in [
        (true, 0, vec![0], "2026-04-15T00:00:00Z"),
        (false, 9600, vec![0, 9600], "2027-04-11T00:00:00Z"),
    ] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = on_trial(&world, goes_on).await;
        world.stripe.gives_card(&ada, "pm_card_visa").await;
        world.advance("10d").await;
        assert_eq!(
            ada.covered_until().await,
            "2026-04-15T00:00:00Z",
            "a free trial covers"
        );
        assert_eq!(ada.cancels().await.body["periodEnd"], "2026-04-15T00:00:00Z");
        let preview = ada.previews(&to_a_year()).await;
        assert_eq!(preview.body["amountDueCents"], due, "{preview}");
        let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
        let machine = world.machine().await;
        for changed in [true, false] {
            let answer = ada.changes_on(&machine, &quoted).await.unwrap();
            assert_eq!(
                answer,
                format!(r#"200 {{"changed":{changed},"interval":"annual"}}"#).as_str()
            );
        }
        assert_eq!(machine.metric("QuoteMismatches"), 0);
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.payments(&ada).await, paid);
        assert_eq!(ada.covered_until().await, until);
        let billing = ada.billing().await;
        assert_eq!(
            (
                &billing.body["subscription"]["interval"],
                &billing.body["subscription"]["cancelAtPeriodEnd"]
            ),
            (&json!("annual"), &json!(false))
        );
        world.advance("5d").await;
        assert_eq!(world.stripe.payments(&ada).await, [0, 9600]);
        let until = if goes_on { "2027-04-15T00:00:00Z" } else { until };
        assert_eq!(ada.covered_until().await, until);
    }
}

/// With a card that is declined. Where the trial goes on, the change is made, and at the trial's end nothing is paid and nothing
/// covered; else the change waits, is dropped, and the trial goes on as it was, covered to its end.
#[tokio::test]
async fn a_change_on_trial_that_is_not_paid_covers_no_longer_than_the_trial() {
    for goes_on in [true, false] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = on_trial(&world, goes_on).await;
        world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
        let answer = ada.changes(&to_a_year()).await;
        let status = &answer.body["payment"]["status"];
        let expected = if goes_on {
            json!(null)
        } else {
            json!("requires_payment_method")
        };
        assert_eq!(*status, expected, "{answer}");
        world.advance("1d").await;
        let subscription = world.stripe.subscription(&ada).await;
        assert_eq!(
            (&subscription["status"], &subscription["pending_update"]),
            (&json!("trialing"), &json!(null))
        );
        assert_eq!(ada.covered_until().await, "2026-04-15T00:00:00Z");
        world.advance("14d").await;
        assert_eq!(ada.covered_until().await, "");
        assert_eq!(world.stripe.payments(&ada).await, [0]);
    }
}

/// More numbers in a trial cost nothing today: the next renewal is not what is due.
#[tokio::test]
async fn a_preview_of_a_quantity_in_a_trial_is_of_today() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = on_trial(&world, true).await;
    let preview = ada.previews(&json!({ "quantity": 5 })).await;
    assert_eq!(
        (
            preview.status,
            &preview.body["amountDueCents"],
            &preview.body["lines"]
        ),
        (200, &json!(0), &json!([])),
        "{preview}"
    );
    assert_eq!(world.stripe.payments(&ada).await, [0]);
}

/// On 15 April, two hours after a trial of which nobody has heard that it is over: the month that followed is paid. Answers the change to a year that was
/// quoted by then, and what it comes to.
async fn after_a_trial(world: &World) -> (Account<'_>, Value, i64) {
    let ada = on_trial(world, true).await;
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    world.advance("10d").await;
    world.stripe.holds_events(true).await;
    world.advance("98h").await;
    let preview = ada.previews(&to_a_year()).await;
    let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let due = preview.body["amountDueCents"].as_i64().unwrap();
    (ada, quoted, due)
}

/// Everybody hears of everything: a trial, a month and a year were paid, each once, and the year is covered.
async fn has_a_year(world: &World, ada: &Account<'_>, due: i64, context: &str) {
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(ada).await, [0, 1000, due], "{context}");
    let billing = ada.billing().await;
    assert_eq!(
        (
            &billing.body["subscription"]["interval"],
            &billing.body["subscription"]["periodEnd"],
            &billing.body["coveredUntil"]
        ),
        (
            &json!("annual"),
            &json!("2027-04-15T02:00:00Z"),
            &json!("2027-04-15T02:00:00Z")
        ),
        "{context}"
    );
}

/// Billing shows what has been heard of: the trial, and that nothing is covered after it. A change is answered by what Stripe has: 409 for the hour in
/// which the month that followed is a draft, and then it is made.
#[tokio::test]
async fn a_trial_that_is_over_unheard_of_is_changed_by_what_came_after() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = on_trial(&world, true).await;
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    world.advance("10d").await;
    world.stripe.holds_events(true).await;
    world.advance("96h").await;
    world.advance("30m").await;
    let billing = ada.billing().await.body;
    assert_eq!(
        (&billing["subscription"]["periodEnd"], &billing["coveredUntil"]),
        (&json!("2026-04-15T00:00:00Z"), &Value::Null)
    );
    let told = ada.changes(&to_a_year()).await;
    assert_eq!(
        told,
        r#"409 {"error":"the subscription's current period is not paid: its invoice has to be paid first"}"#
    );
    world.advance("90m").await;
    assert_eq!(ada.billing().await.body, billing, "nobody has heard");
    let preview = ada.previews(&to_a_year()).await;
    // Of the month from 15 April on, two of 720 hours are over: 96.00 less 9.98.
    assert_eq!(preview.body["amountDueCents"], 8602, "{preview}");
    let quoted = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(ada.changes(&quoted).await.body["changed"], true);
    let billing = ada.billing().await.body;
    assert_eq!(
        (&billing["subscription"]["interval"], &billing["coveredUntil"]),
        (&json!("annual"), &Value::Null)
    );
    has_a_year(&world, &ada, 8602, "").await;
}

/// The machine dies at any step of the change.
#[tokio::test]
async fn a_change_after_a_trial_that_nobody_has_heard_of_is_charged_once_whatever_dies() {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (ada, quoted, due) = after_a_trial(&world).await;
        let changes = async |machine: &Machine| ada.changes_on(machine, &quoted).await;
        let told = world.dies_over(death, changes).await;
        let again = ada.changes(&quoted).await;
        assert_eq!(again.status, 200, "{death}: {again}");
        has_a_year(&world, &ada, due, &death.to_string()).await;
        told.is_some()
    })
    .await;
}

/// Any of its answers is lost.
#[tokio::test]
async fn a_change_after_a_trial_that_nobody_has_heard_of_is_charged_once_whatever_answer_is_lost() {
    at_every_step(async |step| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (ada, quoted, due) = after_a_trial(&world).await;
        let changes = async |machine: &Machine| ada.changes_on(machine, &quoted).await;
        let (told, was_lost) = world.loses_over(step, changes).await;
        assert_eq!(told.status, 200, "lost step {step}: {told}");
        has_a_year(&world, &ada, due, &format!("lost step {step}")).await;
        !was_lost
    })
    .await;
}
