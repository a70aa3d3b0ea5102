//! What else is sold on the same Stripe account.

use billing_store::ReceiptStatus;
use billing_stripe::webhook;
use billing_tests::World;
use serde_json::{Value, json};

/// A newsletter for 1.00, by a link of the company's. Whoever follows it names in its address whom he likes (`client_reference_id`): an
/// account, with three numbers at 10.00. It is not the account's, covers nothing, and bars nothing.
#[tokio::test]
async fn what_a_link_sells_in_the_name_of_an_account_is_not_the_accounts() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(3).await;
    let newsletter = world
        .stripe
        .operator("POST", "/v1/products", "name=Newsletter")
        .await;
    let product = newsletter["id"].as_str().unwrap();
    let form = format!("product={product}&currency=usd&unit_amount=100&recurring[interval]=month");
    let price = world.stripe.operator("POST", "/v1/prices", &form).await;
    let form = format!(
        "mode=subscription&ui_mode=embedded_page&return_url=https://company.example/&client_reference_id={}\
         &line_items[0][price]={}&line_items[0][quantity]=3",
        ada.id,
        price["id"].as_str().unwrap()
    );
    let session = world
        .stripe
        .operator("POST", "/v1/checkout/sessions", &form)
        .await;
    world
        .stripe
        .pays(session["client_secret"].as_str().unwrap())
        .await;
    assert_eq!(world.stripe.charges().await, [300]);
    let billing = ada.billing().await;
    assert!(billing.body["subscription"].is_null(), "{billing}");
    assert!(billing.body["coveredUntil"].is_null(), "{billing}");
    assert_eq!(billing.body["numbers"][0]["mode"], "PAYG");
    assert_eq!(ada.stored().await.profile.customer, None);
    ada.subscribes("monthly").await;
    assert_eq!(world.stripe.charges().await, [300, 3000]);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}

/// A refund of what a customer has in cash at Stripe is of no charge and of no payment: it is acknowledged, and nobody is told that something
/// failed. One of a payment alone leads to that.
#[tokio::test]
async fn a_refund_of_no_charge_is_none_of_an_invoice() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.holds_events(true).await;
    world.stripe.refunds(&charge, 1000).await;
    let refund = world.stripe.operator("GET", "/v1/refunds?limit=1", "").await["data"][0].take();
    for (event, payment) in [
        ("evt_cash", Value::Null),
        ("evt_payment", charge["payment_intent"].clone()),
    ] {
        let mut told = refund.clone();
        told["charge"] = Value::Null;
        told["payment_intent"] = payment;
        let payload = json!({
            "id": event, "object": "event", "type": "refund.updated", "livemode": false, "api_version": "2026-09-30.endive",
            "created": world.now().as_second(), "data": { "object": told },
        })
        .to_string();
        let secret = &world.stack().directory.webhook_secret;
        let signature = webhook::sign(payload.as_bytes(), secret, world.now());
        let answer = world.posts_event(&payload, &signature).await;
        assert_eq!(answer.status, 200, "{event}: {answer}");
        let covered = if event == "evt_cash" {
            "2026-05-01T00:00:00Z"
        } else {
            ""
        };
        assert_eq!(ada.covered_until().await, covered, "{event}");
    }
    assert_eq!(world.receipt("evt_payment").await.status, ReceiptStatus::Done);
}
