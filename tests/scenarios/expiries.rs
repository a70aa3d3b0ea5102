//! What expires: the reservation is deleted by DynamoDB, and its session is settled with Stripe, whatever events were lost.

use billing_tests::World;
use serde_json::json;

/// Stripe's own expiry of a session, and the deletion of the reservation at the next full minute.
const A_DAY_LATER: &str = "24h";

#[tokio::test]
async fn an_abandoned_checkout_leaves_nothing_behind() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    // Stripe's word that the session has expired never arrives.
    world.stripe.holds_events(true).await;
    ada.starts_checkout("monthly").await.client_secret();
    assert!(ada.stored().await.profile.open_session.is_some());
    world.advance(A_DAY_LATER).await;
    world.advance("2m").await;
    assert_eq!(ada.stored().await.profile.open_session, None);
    assert!(world.stripe.payable_sessions(&ada).await.is_empty());
    assert!(world.dead_letters().await.is_empty());
}

/// The payer paid in the last minute, and the event was lost: the subscription is linked as by the webhook.
#[tokio::test]
async fn a_session_that_was_paid_after_all_is_completed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.advance("23h").await;
    world.stripe.checks_out(&secret, "succeed").await;
    world.advance("2h").await;
    let stored = ada.stored().await;
    assert_eq!(stored.profile.open_session, None);
    assert!(stored.subscription.is_some_and(|it| it.is_live()));
}

/// Our clock is ahead of Stripe's: the session is still open there, and is made unpayable.
#[tokio::test]
async fn a_session_that_is_still_open_is_expired_at_stripe() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    let record = world.expired_reservation(&ada).await;
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
    assert_eq!(
        world.hands("expire-checkouts", &record).await["batchItemFailures"],
        json!([])
    );
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 0);
    // Delivered once more it changes nothing.
    let stored = ada.stored().await;
    world.hands("expire-checkouts", &record).await;
    assert_eq!(
        ada.stored().await.profile.open_session,
        stored.profile.open_session
    );
}

/// The record of an earlier reservation arrives when a later one holds: that one is not touched.
#[tokio::test]
async fn a_late_record_leaves_a_later_reservation_alone() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    let record = world.expired_reservation(&ada).await;
    let secret = ada.starts_checkout("annual").await.client_secret();
    let open = ada.stored().await.profile.open_session;
    assert!(open.is_some());
    world.hands("expire-checkouts", &record).await;
    assert_eq!(ada.stored().await.profile.open_session, open);
    assert_eq!(ada.starts_checkout("annual").await.client_secret(), secret);
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
}

/// Stripe is down for an hour: the records are handed over again, each for itself, and all are settled.
#[tokio::test]
async fn what_could_not_be_settled_is_handed_over_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, bob) = (world.account(1).await, world.account(1).await);
    world.stripe.holds_events(true).await;
    for account in [&ada, &bob] {
        account.starts_checkout("monthly").await.client_secret();
    }
    let path = format!(
        "/v1/checkout/sessions/{}",
        world.stripe.sessions(&ada).await[0]["id"].as_str().unwrap()
    );
    world.stripe.fails("GET", &path, 503).await;
    world.advance("25h").await;
    assert!(ada.stored().await.profile.open_session.is_some());
    assert_eq!(
        bob.stored().await.profile.open_session,
        None,
        "not held up by the other"
    );
    world.stripe.recovers().await;
    world.advance("1h").await;
    assert_eq!(ada.stored().await.profile.open_session, None);
    assert!(world.dead_letters().await.is_empty());
}

/// What Stripe has no more, as where its test data was deleted, is over.
#[tokio::test]
async fn a_session_that_stripe_does_not_have_any_more_is_over() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    let record = world.expired_reservation(&ada).await;
    let machine = world.machine().await;
    let gone = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"session","message":"No such checkout.session"}}"#;
    machine.network.tells("GET /v1/checkout/sessions/", 404, gone);
    let told = machine.hands("expire-checkouts", &record).await.unwrap().unwrap();
    assert_eq!(told["batchItemFailures"], json!([]));
    assert_eq!(machine.metric("ExpiryFailures"), 0);
}

/// Both records of a batch fail, which is told and counted as two.
#[tokio::test]
async fn every_record_that_failed_is_counted() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut records = Vec::new();
    for sequence in ["1", "2"] {
        let ada = world.account(1).await;
        ada.starts_checkout("monthly").await.client_secret();
        let mut record = world.expired_reservation(&ada).await["Records"][0].take();
        record["dynamodb"]["SequenceNumber"] = sequence.into();
        records.push(record);
    }
    world.stripe.fails("GET", "/v1/checkout/sessions/*", 503).await;
    let machine = world.machine().await;
    let batch = json!({ "Records": records });
    let told = machine.hands("expire-checkouts", &batch).await.unwrap().unwrap();
    assert_eq!(
        told["batchItemFailures"],
        json!([{ "itemIdentifier": "1" }, { "itemIdentifier": "2" }])
    );
    assert_eq!(machine.metric("ExpiryFailures"), 2);
}

/// It dies at each of its steps: the next delivery settles it.
#[tokio::test]
async fn an_expiry_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for step in 1..40 {
        let ada = world.account(1).await;
        ada.starts_checkout("monthly").await.client_secret();
        let record = world.expired_reservation(&ada).await;
        let machine = world.machine().await;
        machine.network.stops(billing_tests::Moment::After, step);
        let finished = tokio::select! {
            answer = machine.hands("expire-checkouts", &record) => {
                assert!(answer.unwrap().is_ok());
                true
            }
            () = machine.network.reached() => false,
        };
        machine.dies();
        world.hands("expire-checkouts", &record).await;
        assert_eq!(
            world.stripe.payable_sessions(&ada).await.len(),
            0,
            "died at step {step}"
        );
        assert_eq!(
            ada.stored().await.profile.open_session,
            None,
            "died at step {step}"
        );
        if finished {
            return;
        }
    }
    panic!("it never finished");
}
