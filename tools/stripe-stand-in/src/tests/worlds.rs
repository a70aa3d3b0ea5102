//! Connected accounts: worlds apart.

use serde_json::{Value, json};

use super::harness::{Listener, Shop, call, id};
use crate::api::Call;

async fn account(shop: &Shop) -> String {
    id(&shop
        .post(
            "/v1/accounts",
            json!({ "type": "standard", "email": "agency@example.com" }),
        )
        .await)
}

fn of(account: &str, method: &str, path: &str, params: &Value) -> Call {
    Call {
        account: Some(account.to_owned()),
        ..call(method, path, params)
    }
}

#[tokio::test]
async fn what_is_in_one_world_is_not_in_another() {
    let shop = Shop::open().await;
    let (one, other) = (account(&shop).await, account(&shop).await);
    let customer = shop
        .send(of(&one, "POST", "/v1/customers", &json!({ "email": "a@b.c" })))
        .await
        .body;
    let path = format!("/v1/customers/{}", id(&customer));
    assert_eq!(shop.send(of(&one, "GET", &path, &json!({}))).await.status, 200);
    for elsewhere in [
        call("GET", &path, &json!({})),
        of(&other, "GET", &path, &json!({})),
    ] {
        let answer = shop.send(elsewhere).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (404, &json!("resource_missing"))
        );
    }
    assert_eq!(shop.list("/v1/customers", json!({})).await["data"], json!([]));
}

#[tokio::test]
async fn an_account_that_is_not_connected_is_refused() {
    let shop = Shop::open().await;
    let answer = shop
        .send(of("acct_none", "GET", "/v1/customers", &json!({})))
        .await;
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (403, &json!("account_invalid"))
    );
}

#[tokio::test]
async fn an_idempotency_key_is_of_one_account() {
    let shop = Shop::open().await;
    let (one, other) = (account(&shop).await, account(&shop).await);
    let keyed = |account: &str| Call {
        idempotency_key: Some("k1".to_owned()),
        ..of(account, "POST", "/v1/customers", &json!({}))
    };
    let first = shop.send(keyed(&one)).await;
    let elsewhere = shop.send(keyed(&other)).await;
    assert!(!elsewhere.replayed);
    assert_ne!(first.body["id"], elsewhere.body["id"]);
    assert!(shop.send(keyed(&one)).await.replayed);
}

#[tokio::test]
async fn events_of_a_connected_account_name_it_and_go_to_connect_endpoints() {
    let shop = Shop::open().await;
    let agency = account(&shop).await;
    let (own, connect) = (Listener::start().await, Listener::start().await);
    shop.stripe.add_webhook(&own.url, &["customer.created"], false);
    shop.stripe.add_webhook(&connect.url, &["customer.created"], true);
    shop.send(of(&agency, "POST", "/v1/customers", &json!({}))).await;
    shop.customer().await;
    shop.stripe.settle().await;
    let heard = |listener: &Listener| -> Vec<Value> {
        listener
            .heard()
            .iter()
            .map(|heard| heard.event()["account"].clone())
            .collect()
    };
    assert_eq!(heard(&connect), [json!(agency)]);
    assert_eq!(heard(&own), [Value::Null]);
}

#[tokio::test]
async fn each_world_renews_by_the_same_clock() {
    let shop = Shop::open().await;
    let agency = account(&shop).await;
    let post = |path: &'static str, params: Value| {
        let (shop, agency) = (&shop, &agency);
        async move { shop.send(of(agency, "POST", path, &params)).await.body }
    };
    let price = post(
        "/v1/prices",
        json!({
            "currency": "usd",
            "unit_amount": 500,
            "recurring": { "interval": "month" },
            "product_data": { "name": "Agent" },
        }),
    )
    .await;
    let customer = id(&post("/v1/customers", json!({})).await);
    let session = post(
        "/v1/checkout/sessions",
        json!({
            "mode": "subscription",
            "success_url": "https://app.example.com/",
            "customer": customer,
            "line_items": [{ "price": price["id"], "quantity": 2 }],
        }),
    )
    .await;
    shop.stripe
        .pay_session(&id(&session), crate::Payment::Succeed)
        .await
        .unwrap();
    let (platforms, _) = shop.subscriber().await;
    shop.advance("2027-01-01T01:00:00Z").await;
    for (customer, amount) in [(customer, 1000), (platforms, 3000)] {
        let invoices = shop.stripe.invoices_of(&customer);
        assert_eq!((invoices.len(), &invoices[1]["amount_paid"]), (2, &json!(amount)));
    }
}

#[tokio::test]
async fn an_account_can_be_looked_at_from_both_sides() {
    let shop = Shop::open().await;
    let agency = account(&shop).await;
    let seen = shop.get(&format!("/v1/accounts/{agency}")).await;
    assert_eq!(
        (&seen["type"], &seen["email"]),
        (&json!("standard"), &json!("agency@example.com"))
    );
    let own = shop
        .send(of(&agency, "GET", "/v1/account", &json!({})))
        .await
        .body;
    assert_eq!(own["id"], json!(agency));
    shop.refused(403, "GET", "/v1/accounts/acct_none", json!({}))
        .await;
}
