//! Payment collection that is paused: the subscription goes on, and what becomes of its invoices is said by the pause.

use serde_json::{Value, json};

use super::harness::Shop;

/// The renewal of 1 January is kept as a draft, given up or void, nobody is charged, and the subscription is as active as before;
/// collected again, the next one is paid.
#[tokio::test]
async fn what_is_billed_while_collection_is_paused_is_not_collected() {
    for (behavior, status) in [
        ("keep_as_draft", "draft"),
        ("mark_uncollectible", "uncollectible"),
        ("void", "void"),
    ] {
        let shop = Shop::open().await;
        let (_, subscription) = shop.subscriber().await;
        let path = format!("/v1/subscriptions/{subscription}");
        let pause = json!({ "pause_collection": { "behavior": behavior } });
        let paused = shop.post(&path, pause).await;
        assert_eq!(
            (&paused["status"], &paused["pause_collection"]),
            (
                &json!("active"),
                &json!({ "behavior": behavior, "resumes_at": null })
            )
        );
        shop.advance("2027-01-10T00:00:00Z").await;
        let invoice = shop.latest(&subscription).await;
        assert_eq!(
            (&invoice["status"], &invoice["amount_paid"]),
            (&json!(status), &json!(0))
        );
        assert_eq!(shop.get(&path).await["status"], "active", "{behavior}");
        let collected = shop.post(&path, json!({ "pause_collection": "" })).await;
        assert_eq!(collected["pause_collection"], Value::Null);
        shop.advance("2027-02-01T02:00:00Z").await;
        assert_eq!(shop.latest(&subscription).await["amount_paid"], 3000);
    }
}

#[tokio::test]
async fn a_pause_says_what_becomes_of_invoices() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    for (pause, param) in [
        (json!({ "behavior": "burn" }), "pause_collection[behavior]"),
        (json!("void"), "pause_collection"),
    ] {
        let error = shop
            .refused(400, "POST", &path, json!({ "pause_collection": pause }))
            .await;
        assert_eq!(error["param"], param);
    }
}
