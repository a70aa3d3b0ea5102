//! A machine that dies before or after any single step, and answers that are lost: whatever was left behind, the next attempt
//! finishes it, and there is one customer and one payable session.

use std::time::Duration;

use billing_tests::{Account, Death, Limit, Machine, Moment, World, at_every_death, at_every_step};
use serde_json::json;
use stripe_stand_in::{Fault, FaultKind};

/// One customer, one session that can be paid, and it is the one that was answered.
async fn one_session(world: &World, account: &Account<'_>, secret: &str) {
    let payable = world.stripe.payable_sessions(account).await;
    assert_eq!(payable.len(), 1);
    assert_eq!(payable[0]["client_secret"], json!(secret));
    assert_eq!(world.stripe.customers(account).await.len(), 1);
}

/// The next attempt gets a session, and it is the one that was asked for: 1000 a month, 9600 a year.
async fn converges(world: &World, account: &Account<'_>, interval: &str) {
    let secret = account.starts_checkout(interval).await.client_secret();
    one_session(world, account, &secret).await;
    let cents = if interval == "annual" { 9600 } else { 1000 };
    let session = world.stripe.payable_sessions(account).await.remove(0);
    assert_eq!(session["amount_total"], cents);
}

/// Runs a checkout of a new account on a machine that dies at each of its steps in turn, and hands every wreck to `retry`.
/// Answers how many steps there are.
async fn dies_at_every_step(moment: Moment, retry: impl AsyncFn(&World, &Account<'_>)) -> usize {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_step(async |step| {
        let ada = world.account(1).await;
        let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let told = world.dies_over(Death { moment, step }, starts).await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        retry(&world, &ada).await;
        told.is_some()
    })
    .await
}

/// The steps of a first checkout: the key, the account and its reservation, reserving, the customer, the session, recording.
const STEPS: usize = 7;

#[tokio::test]
async fn the_same_intent_converges_after_a_crash_before_any_step() {
    let steps = dies_at_every_step(Moment::Before, async |world, ada| {
        converges(world, ada, "monthly").await;
    });
    assert_eq!(steps.await, STEPS);
}

#[tokio::test]
async fn the_same_intent_converges_after_a_crash_after_any_step() {
    let steps = dies_at_every_step(Moment::After, async |world, ada| {
        converges(world, ada, "monthly").await;
    });
    assert_eq!(steps.await, STEPS);
}

#[tokio::test]
async fn another_intent_converges_after_a_crash_before_any_step() {
    let steps = dies_at_every_step(Moment::Before, async |world, ada| {
        converges(world, ada, "annual").await;
    });
    assert_eq!(steps.await, STEPS);
}

#[tokio::test]
async fn another_intent_converges_after_a_crash_after_any_step() {
    let steps = dies_at_every_step(Moment::After, async |world, ada| {
        converges(world, ada, "annual").await;
    });
    assert_eq!(steps.await, STEPS);
}

/// Two days later Stripe has forgotten its idempotency keys: the customer is found by asking, not made again.
#[tokio::test]
async fn a_wreck_is_cleared_up_long_after_stripe_forgot_its_keys() {
    let steps = dies_at_every_step(Moment::After, async |world, ada| {
        world.advance("48h").await;
        converges(world, ada, "monthly").await;
    });
    assert_eq!(steps.await, STEPS);
}

/// Replacing a session has steps of its own: asking Stripe to expire the first one among them.
#[tokio::test]
async fn replacing_a_session_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let ada = world.account(1).await;
        ada.starts_checkout("monthly").await.client_secret();
        let told = world
            .dies_over(death, async |machine| {
                ada.starts_checkout_on(machine, "annual").await
            })
            .await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        converges(&world, &ada, "annual").await;
        told.is_some()
    })
    .await;
}

/// Every single answer is lost in turn after it took effect. The call itself finds out, by repeating what is safe to repeat.
#[tokio::test]
async fn a_lost_answer_is_found_out_within_the_call() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for step in 1..=STEPS {
        let ada = world.account(1).await;
        let machine = world.machine().await;
        machine.network.loses_answer(step);
        let answer = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
        one_session(&world, &ada, &answer.client_secret()).await;
        assert!(
            machine.network.steps().len() > STEPS,
            "step {step} was not repeated"
        );
    }
}

/// Stripe applies the call and never answers, again and again: the outcome is unknown, which is a 503 and not a failure; the next
/// attempt finds what took effect.
#[tokio::test]
async fn a_time_out_after_stripe_applied_the_call_is_an_unknown_outcome_that_converges() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for path in ["/v1/customers", "/v1/checkout/sessions"] {
        let ada = world.account(1).await;
        world.stripe.applies_without_answering("POST", path).await;
        let answer = ada.starts_checkout("monthly").await;
        assert_eq!(
            answer,
            r#"503 {"error":"temporarily unavailable, please try again"}"#
        );
        assert_ne!(answer.header("retry-after"), "");
        world.stripe.recovers().await;
        one_session(
            &world,
            &ada,
            &ada.starts_checkout("monthly").await.client_secret(),
        )
        .await;
    }
}

/// The webhook dies at each of its steps. Stripe delivers again; the payment lands once.
#[tokio::test]
async fn a_payment_lands_once_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let ada = world.account(1).await;
        world.stripe.holds_events(true).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out(&secret, "succeed").await;
        let paid = world.stripe.event("invoice.paid");
        let delivery = world.stripe.signed_event(&paid);
        let told = world
            .dies_over(death, async |machine| machine.call(delivery).await)
            .await;
        if let Some(told) = &told {
            assert_eq!(told.status, 200);
        }
        // Within the lease nobody else may be at it; after it, anybody.
        world.advance("5m").await;
        assert_eq!(world.stripe.delivers(&paid).await, 200);
        let ledger = ada.ledger().await;
        assert_eq!(ledger.len(), 1, "{death}");
        assert_ne!(ada.covered_until().await, "");
        world.stripe.holds_events(false).await;
        assert_eq!(ada.ledger().await, ledger);
        told.is_some()
    })
    .await;
}

/// An operator deleted the customer at Stripe. The machine that makes another one dies before it knows its id, and nobody tries
/// again for two days: the one that was made is found.
#[tokio::test]
async fn a_customer_that_replaces_a_deleted_one_is_made_once_too() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    world.stripe.loses_its_customer(&ada).await;
    world.advance("25h").await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/customers");
    machine
        .dies_over(ada.starts_checkout_on(&machine, "monthly"))
        .await;
    world.advance("48h").await;
    one_session(
        &world,
        &ada,
        &ada.starts_checkout("monthly").await.client_secret(),
    )
    .await;
}

/// The invocation comes when its time has run out: nothing is asked of anybody, and the caller is told to come back.
#[tokio::test]
async fn an_invocation_without_time_does_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let late = Limit {
        told: Duration::ZERO,
        ends: Duration::from_secs(30),
    };
    let machine = world.machine().await;
    let request = ada.checkout_request(&json!({ "interval": "monthly" }));
    let told = machine.call_within(request, late).await.unwrap();
    assert_eq!(
        told,
        r#"503 {"error":"temporarily unavailable, please try again"}"#
    );
    assert_ne!(told.header("retry-after"), "");
    assert!(machine.network.steps().is_empty());
    assert!(world.stripe.customers(&ada).await.is_empty());
    let event = json!({ "Records": [] });
    let told = machine
        .hands_within("expire-checkouts", &event, late)
        .await
        .unwrap();
    assert!(told.is_err(), "{told:?}");
}

/// Stripe makes a session, fails, and goes on telling that under its key: what nobody has seen is made unpayable before another is made, also by a
/// machine that takes over from one that died.
#[tokio::test]
async fn a_session_that_stripe_failed_over_is_not_left_open() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for is_first in [true, false] {
        at_every_death(async |death| {
            let ada = world.account(1).await;
            if !is_first {
                ada.starts_checkout("monthly").await.client_secret();
            }
            let fault = Fault::new(FaultKind::StatusAfter { status: 500 });
            let stand_in = world.stripe.stand_in();
            stand_in.add_fault(fault.on("POST", "/v1/checkout/sessions"));
            let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "annual").await;
            let told = world.dies_over(death, starts).await;
            converges(&world, &ada, "annual").await;
            world.stripe.recovers().await;
            told.is_some()
        })
        .await;
    }
}

/// The same for as long as the caller's time lasts.
#[tokio::test]
async fn no_session_is_left_open_by_a_stripe_that_goes_on_failing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world
        .stripe
        .fails_after("POST", "/v1/checkout/sessions", 500)
        .await;
    assert_eq!(ada.starts_checkout("monthly").await.status, 503);
    assert!(!world.stripe.sessions(&ada).await.is_empty());
    assert!(world.stripe.payable_sessions(&ada).await.is_empty());
    world.stripe.recovers().await;
    converges(&world, &ada, "annual").await;
}
