//! The same request under the same `Idempotency-Key` is done once and answered the same: the four races, and the rest.

use billing_tests::{Account, Answer, Moment, World};
use bytes::Bytes;
use http::Request;
use serde_json::json;

fn keyed(account: &Account<'_>, key: &str, interval: &str) -> Request<Bytes> {
    let mut request = account.checkout_request(&json!({ "interval": interval }));
    request
        .headers_mut()
        .insert("idempotency-key", key.parse().unwrap());
    request
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == "true"
}

#[tokio::test]
async fn an_answer_is_told_again_for_a_day() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let first = ada.sends(keyed(&ada, "order no. 1", "monthly")).await;
    assert!(!replayed(&first));
    // What happened since does not matter to the key: the session has been replaced.
    ada.starts_checkout("annual").await.client_secret();
    world.advance("86399s").await;
    let again = ada.sends(keyed(&ada, "order no. 1", "monthly")).await;
    assert!(replayed(&again));
    assert_eq!(again.to_string(), first.to_string());
    world.advance("2s").await;
    let anew = ada.sends(keyed(&ada, "order no. 1", "monthly")).await;
    assert!(!replayed(&anew));
    assert_ne!(anew.client_secret(), first.client_secret());
}

#[tokio::test]
async fn a_refusal_is_told_again_too() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(0).await;
    let first = ada.sends(keyed(&ada, "k1", "monthly")).await;
    ada.adds_number("+15559990000").await;
    let again = ada.sends(keyed(&ada, "k1", "monthly")).await;
    assert!(replayed(&again) && !replayed(&first));
    assert_eq!(again.to_string(), first.to_string());
    assert_eq!(ada.sends(keyed(&ada, "k2", "monthly")).await.status, 200);
}

/// What its type was is no part of the request: the corrected one has the same body, and nothing was done.
#[tokio::test]
async fn a_body_of_another_type_frees_the_key() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let mut untyped = keyed(&ada, "k1", "monthly");
    untyped.headers_mut().remove("content-type");
    assert_eq!(ada.sends(untyped).await.status, 415);
    let corrected = ada.sends(keyed(&ada, "k1", "monthly")).await;
    assert!(!replayed(&corrected));
    corrected.client_secret();
}

#[tokio::test]
async fn another_request_under_the_same_key_is_a_mistake() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.sends(keyed(&ada, "k1", "monthly")).await.client_secret();
    assert_eq!(
        ada.sends(keyed(&ada, "k1", "annual")).await,
        r#"422 {"error":"this idempotency key was used for another request"}"#
    );
    let bob = world.account(1).await;
    assert_eq!(
        bob.sends(keyed(&bob, "k1", "annual")).await.status,
        200,
        "a key is its caller's own"
    );
}

#[tokio::test]
async fn a_request_in_progress_is_not_done_twice() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/checkout/sessions");
    let first = machine.call(keyed(&ada, "k1", "monthly"));
    let second = async {
        machine.network.reached().await;
        let second = ada.sends(keyed(&ada, "k1", "monthly")).await;
        machine.network.lets_go();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(
        second,
        r#"409 {"error":"a request with this idempotency key is in progress"}"#
    );
    assert_ne!(second.header("retry-after"), "");
    let third = ada.sends(keyed(&ada, "k1", "monthly")).await;
    assert!(replayed(&third));
    assert_eq!(third.client_secret(), first.unwrap().client_secret());
}

/// The first machine dies with the key claimed. Until its lease runs out nobody knows; then the same request takes over, and
/// another one does not.
#[tokio::test]
async fn a_request_that_died_is_taken_over_after_its_lease() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/checkout/sessions");
    machine
        .dies_over(machine.call(keyed(&ada, "k1", "monthly")))
        .await;
    assert_eq!(ada.sends(keyed(&ada, "k1", "monthly")).await.status, 409);
    world.advance("5m").await;
    assert_eq!(ada.sends(keyed(&ada, "k1", "annual")).await.status, 422);
    ada.sends(keyed(&ada, "k1", "monthly")).await.client_secret();
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
}

/// 5xx are not stored: the next request under the key tries again.
#[tokio::test]
async fn a_failure_of_ours_frees_the_key() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.fails("POST", "/v1/checkout/sessions", 503).await;
    assert_eq!(ada.sends(keyed(&ada, "k1", "monthly")).await.status, 503);
    world.stripe.recovers().await;
    let answer = ada.sends(keyed(&ada, "k1", "monthly")).await;
    assert!(!replayed(&answer));
    answer.client_secret();
}

/// The record cannot be written: the request fails, and nothing was begun.
#[tokio::test]
async fn without_its_record_a_request_fails() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    machine.network.stops(Moment::Before, 2);
    let answer = machine.call(keyed(&ada, "k1", "monthly")).await.unwrap();
    assert_eq!(answer.status, 200, "one lost attempt is repeated");
    let machine = world.machine().await;
    for step in 2..8 {
        machine.network.stops(Moment::Before, step);
    }
    let answer = machine.call(keyed(&ada, "k2", "monthly")).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(
        machine
            .network
            .steps()
            .iter()
            .all(|step| step.starts_with("DynamoDB")),
        "Stripe was not asked"
    );
}

#[tokio::test]
async fn a_key_is_1_to_255_printable_characters() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    assert_eq!(
        ada.sends(keyed(&ada, &"k".repeat(255), "monthly")).await.status,
        200
    );
    for wrong in [&b""[..], &[b'k'; 256], b"k\xe9y", b"k\ty"] {
        let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
        request
            .headers_mut()
            .insert("idempotency-key", http::HeaderValue::from_bytes(wrong).unwrap());
        let answer = ada.sends(request).await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.body["error"]["fieldErrors"]["Idempotency-Key"],
            json!(["must be 1 to 255 printable characters"])
        );
    }
}

/// The claim's answer is lost and the claim is sent again: it finds itself, not somebody else at work.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_still_the_claimers() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    machine.network.loses_answer(2);
    let answer = machine.call(keyed(&ada, "k1", "monthly")).await.unwrap();
    answer.client_secret();
    assert_eq!(machine.network.steps()[1..3], ["DynamoDB UpdateItem"; 2]);
}

/// Who asks for problem details is told them the second time too.
#[tokio::test]
async fn a_refusal_is_told_again_in_the_form_that_is_asked_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(0).await;
    let asked = || {
        let mut request = keyed(&ada, "k1", "monthly");
        let wanted = http::HeaderValue::from_static("application/problem+json");
        request.headers_mut().insert("accept", wanted);
        request
    };
    let (first, again) = (ada.sends(asked()).await, ada.sends(asked()).await);
    assert!(replayed(&again) && !replayed(&first));
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(again.to_string(), first.to_string());
    assert_eq!(
        ada.sends(keyed(&ada, "k1", "monthly")).await,
        r#"400 {"error":"the account has no phone numbers to subscribe"}"#
    );
}
