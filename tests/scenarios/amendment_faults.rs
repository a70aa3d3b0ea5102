//! An amendment dies at each of its steps, is told as a failure although it was made, or is asked for by many at once: it is made once, and
//! charged once.

use billing_tests::{Organisation, World, at_every_death};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::amendments::{seats, ten_days_later, told};

/// Six seats, once: here, at Stripe, and for the money.
async fn amended_once(world: &World, acme: &Organisation<'_>, contract: &str, context: &str) {
    world.stripe.stand_in().settle().await;
    let stored = acme.contract(contract).await;
    assert_eq!(
        told(&stored.contract),
        ["6 × Starter seat", "1 × Call archive"],
        "{context}"
    );
    assert_eq!(stored.contract.sale, None, "{context}");
    assert_eq!(
        (stored.history.len(), stored.ledger.entries.len()),
        (2, 3),
        "{context}"
    );
}

/// The machine dies before and after every single step of a change of quantities.
#[tokio::test]
async fn an_amendment_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let contract = acme.sells(&acme.order("starter")).await;
        let id = acme.session(&seats(&acme, &contract, 6)).await;
        let told = world
            .dies_over(death, async |machine| {
                acme.confirms_on(machine, &id, &Value::Null).await
            })
            .await;
        if let Some(told) = &told {
            assert_eq!(told.body["checkout_status"], "contract_created");
        }
        let context = death.to_string();
        let answer = acme.confirms(&id, &Value::Null).await;
        assert_eq!(answer.status, 200, "{context}: {answer}");
        amended_once(&world, &acme, &contract, &context).await;
        told.is_some()
    })
    .await;
}

/// The same for a downgrade, which is two requests at Stripe.
#[tokio::test]
async fn a_downgrade_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let contract = acme.sells(&acme.order("team-annual")).await;
        let wish = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
        let id = acme.session(&wish).await;
        let told = world
            .dies_over(death, async |machine| {
                acme.confirms_on(machine, &id, &Value::Null).await
            })
            .await;
        if let Some(told) = &told {
            assert_eq!(told.body["checkout_status"], "contract_created");
        }
        let context = death.to_string();
        let answer = acme.confirms(&id, &Value::Null).await;
        assert_eq!(
            answer.body["checkout_status"], "contract_created",
            "{context}: {answer}"
        );
        world.stripe.stand_in().settle().await;
        let stored = acme.contract(&contract).await;
        assert!(stored.contract.scheduled.is_some(), "{context}");
        assert_eq!(stored.history.len(), 2, "{context}");
        assert_eq!(world.stripe.phases_of_latest_schedule().await, 2, "{context}");
        told.is_some()
    })
    .await;
}

/// Stripe makes the schedule of a downgrade, or writes its phases, and keeps a failure under the key: what it made is taken, and the
/// downgrade is scheduled once.
#[tokio::test]
async fn a_schedule_that_was_made_and_told_as_a_failure_is_taken() {
    for path in ["/v1/subscription_schedules", "/v1/subscription_schedules/*"] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let contract = acme.sells(&acme.order("team-annual")).await;
        let wish = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
        let id = acme.session(&wish).await;
        world.stripe.fails_after("POST", path, 500).await;
        let confirmed = acme.confirms(&id, &Value::Null).await;
        world.stripe.recovers().await;
        world.stripe.stand_in().settle().await;
        assert_eq!(
            confirmed.body["checkout_status"], "contract_created",
            "{path}: {confirmed}"
        );
        assert_eq!(
            acme.confirms(&id, &Value::Null).await.body,
            confirmed.body,
            "{path}"
        );
        assert_eq!(world.stripe.phases_of_latest_schedule().await, 2, "{path}");
        world.advance("366d").await;
        assert_eq!(world.stripe.charges().await, [75000, 3500], "{path}");
        let stored = acme.contract(&contract).await;
        assert_eq!(
            told(&stored.contract),
            ["3 × Starter seat", "1 × Call archive"],
            "{path}"
        );
    }
}

/// One reads the session, and before it reads the contract another has scheduled the change: that is the session's own, and no
/// obstacle to it.
#[tokio::test]
async fn a_change_that_was_scheduled_meanwhile_by_the_same_session_is_told() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("team-annual")).await;
    let wish = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
    let id = acme.session(&wish).await;
    // The key, then the session.
    let held = world
        .held_over(
            2,
            async |machine| acme.confirms_on(machine, &id, &Value::Null).await,
            acme.confirms(&id, &Value::Null),
        )
        .await;
    let sold = held.other;
    assert!(held.was_held);
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    assert_eq!(held.answer.body, sold.body);
    assert_eq!(acme.contract(&contract).await.history.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_amendments_at_once_charge_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (acme, contract) = ten_days_later(&world).await;
    let id = acme.session(&seats(&acme, &contract, 6)).await;
    let machines = [world.machine().await, world.machine().await];
    let body = Value::Null;
    let answers = join_all((0..16).map(|n| acme.confirms_on(&machines[n % 2], &id, &body))).await;
    for answer in answers.into_iter().flatten() {
        assert!(matches!(answer.status, 200 | 503), "{answer}");
    }
    amended_once(&world, &acme, &contract, "16 at once").await;
    assert_eq!(world.stripe.charges().await, [3500, 2000]);
}
