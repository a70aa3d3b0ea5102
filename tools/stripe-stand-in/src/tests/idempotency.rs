//! Idempotency keys.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Shop, call};
use crate::api::Call;
use crate::{Fault, FaultKind};

fn keyed(key: &str, path: &str, params: &Value) -> Call {
    Call {
        idempotency_key: Some(key.to_owned()),
        ..call("POST", path, params)
    }
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_answered_from_memory() {
    let shop = Shop::open().await;
    let request = keyed("k1", "/v1/customers", &json!({ "email": "ada@example.com" }));
    let first = shop.send(request.clone()).await;
    let again = shop.send(request).await;
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!((&first.body, &first.request_id), (&again.body, &again.request_id));
    assert_eq!(
        shop.list("/v1/customers", json!({})).await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_key_belongs_to_its_first_request() {
    let shop = Shop::open().await;
    shop.send(keyed(
        "k1",
        "/v1/customers",
        &json!({ "email": "ada@example.com" }),
    ))
    .await;
    for other in [
        keyed("k1", "/v1/customers", &json!({ "email": "bob@example.com" })),
        keyed("k1", "/v1/products", &json!({ "email": "ada@example.com" })),
    ] {
        let answer = shop.send(other).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["type"]),
            (400, &json!("idempotency_error"))
        );
    }
}

#[tokio::test]
async fn a_request_that_failed_validation_leaves_its_key_free() {
    let shop = Shop::open().await;
    assert_eq!(
        shop.send(keyed("k1", "/v1/products", &json!({}))).await.status,
        400
    );
    let corrected = shop
        .send(keyed("k1", "/v1/products", &json!({ "name": "A" })))
        .await;
    assert_eq!((corrected.status, corrected.replayed), (200, false));
}

#[tokio::test]
async fn a_refusal_of_an_operation_that_had_begun_is_kept() {
    let shop = Shop::open().await;
    let request = keyed(
        "k1",
        "/v1/payment_methods/pm_card_visa/attach",
        &json!({ "customer": "cus_none" }),
    );
    assert_eq!(shop.send(request.clone()).await.status, 400);
    assert!(shop.send(request).await.replayed);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let shop = Shop::open().await;
    let request = keyed("k1", "/v1/customers", &json!({}));
    shop.send(request.clone()).await;
    shop.advance("2026-12-01T23:59:59Z").await;
    assert!(shop.send(request.clone()).await.replayed);
    shop.advance("2026-12-02T00:00:00Z").await;
    assert!(!shop.send(request).await.replayed);
}

#[tokio::test]
async fn a_key_that_is_being_worked_on_is_in_use() {
    let shop = Shop::open().await;
    shop.stripe
        .add_fault(Fault::new(FaultKind::Latency { millis: 200 }));
    let request = keyed("k1", "/v1/customers", &json!({}));
    // The first is polled first and rests in its latency while the second is answered.
    let (slow, quick) = tokio::join!(shop.send(request.clone()), shop.send(request.clone()));
    assert_eq!((slow.status, quick.status), (200, 409));
    assert_eq!(quick.body["error"]["code"], "idempotency_key_in_use");
    assert!(shop.send(request).await.replayed);
}

#[tokio::test]
async fn an_answer_that_got_lost_is_told_to_the_next_try() {
    let shop = Shop::open().await;
    shop.stripe
        .add_fault(Fault::new(FaultKind::DropAfter).on("POST", "/v1/customers"));
    let request = keyed("k1", "/v1/customers", &json!({ "email": "ada@example.com" }));
    assert!(shop.stripe.answer(request.clone()).await.is_none());
    let retry = shop.send(request).await;
    assert_eq!((retry.status, retry.replayed), (200, true));
    assert_eq!(
        shop.list("/v1/customers", json!({})).await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let log = shop.stripe.requests();
    assert!(
        log.iter()
            .any(|record| record.status.is_none() && record.idempotency_key.as_deref() == Some("k1"))
    );
}

#[tokio::test]
async fn a_request_that_never_arrived_did_nothing() {
    let shop = Shop::open().await;
    for kind in [
        FaultKind::DropBefore,
        FaultKind::HangBefore { millis: 1 },
        FaultKind::Status {
            status: 503,
            code: None,
        },
    ] {
        shop.stripe
            .add_fault(Fault::new(kind.clone()).on("POST", "/v1/customers"));
        let request = keyed("k1", "/v1/customers", &json!({ "email": "ada@example.com" }));
        let answer = tokio::time::timeout(Duration::from_secs(5), shop.stripe.answer(request))
            .await
            .unwrap();
        assert!(answer.is_none_or(|answer| answer.status == 503), "{kind:?}");
        assert_eq!(
            shop.list("/v1/customers", json!({})).await["data"],
            json!([]),
            "{kind:?}"
        );
        shop.stripe.clear_faults();
    }
    let retry = shop
        .send(keyed(
            "k1",
            "/v1/customers",
            &json!({ "email": "ada@example.com" }),
        ))
        .await;
    assert_eq!((retry.status, retry.replayed), (200, false));
}
