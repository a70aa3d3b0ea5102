//! Stripe's errors, told as Stripe tells them.

use serde_json::json;

use super::harness::{Shop, call};
use crate::api::Call;

#[tokio::test]
async fn a_request_needs_a_test_key() {
    let shop = Shop::open().await;
    let with = |authorization: Option<&str>| Call {
        authorization: authorization.map(str::to_owned),
        ..call("GET", "/v1/customers", &json!({}))
    };
    for (authorization, status) in [
        (None, 401),
        (Some("Bearer "), 401),
        (Some("Bearer sk_live_123"), 401),
        (Some("Bearer pk_test_123"), 401),
        (Some("Bearer sk_test_123"), 200),
        (Some("bearer rk_test_123"), 200),
        // base64 of `sk_test_123:` and of `sk_live_123:`.
        (Some("Basic c2tfdGVzdF8xMjM6"), 200),
        (Some("Basic c2tfbGl2ZV8xMjM6"), 401),
    ] {
        assert_eq!(
            shop.send(with(authorization)).await.status,
            status,
            "{authorization:?}"
        );
    }
}

#[tokio::test]
async fn an_object_that_is_not_there_is_404_in_the_path_and_400_in_a_parameter() {
    let shop = Shop::open().await;
    let error = shop
        .refused(404, "GET", "/v1/customers/cus_none", json!({}))
        .await;
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(error["code"], "resource_missing");
    assert_eq!(error["param"], "id");
    assert_eq!(error["message"], "No such customer: 'cus_none'");
    assert_eq!(
        error["doc_url"],
        "https://stripe.com/docs/error-codes/resource-missing"
    );
    let params = json!({ "product": "prod_none", "currency": "usd", "unit_amount": 1 });
    let error = shop.refused(400, "POST", "/v1/prices", params).await;
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("resource_missing"), &json!("product"))
    );
}

#[tokio::test]
async fn parameters_are_named_when_they_are_missing_unknown_or_wrong() {
    let shop = Shop::open().await;
    for (path, params, code, param) in [
        ("/v1/products", json!({}), json!("parameter_missing"), "name"),
        (
            "/v1/products",
            json!({ "name": "" }),
            json!("parameter_invalid_empty"),
            "name",
        ),
        (
            "/v1/products",
            json!({ "name": "A", "nmae": "B" }),
            json!("parameter_unknown"),
            "nmae",
        ),
        (
            "/v1/customers",
            json!({ "address": { "town": "B" } }),
            json!("parameter_unknown"),
            "address[town]",
        ),
        (
            "/v1/customers",
            json!({ "balance": "much" }),
            json!("parameter_invalid_integer"),
            "balance",
        ),
        (
            "/v1/products",
            json!({ "name": "A", "active": "yes" }),
            json!(null),
            "active",
        ),
        (
            "/v1/prices",
            json!({ "currency": "dollar", "unit_amount": 1 }),
            json!(null),
            "currency",
        ),
        (
            "/v1/prices",
            json!({ "currency": "usd" }),
            json!("parameter_missing"),
            "unit_amount",
        ),
    ] {
        let error = shop.refused(400, "POST", path, params.clone()).await;
        assert_eq!(
            (&error["code"], &error["param"]),
            (&code, &json!(param)),
            "{params}"
        );
    }
    let error = shop
        .refused(400, "GET", "/v1/customers", json!({ "color": "red" }))
        .await;
    assert_eq!(error["message"], "Received unknown parameter: color");
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    let shop = Shop::open().await;
    let before = shop.stripe.snapshot().unwrap();
    shop.refused(
        400,
        "POST",
        "/v1/customers",
        json!({ "email": "a@b.c", "payment_method": "pm_none" }),
    )
    .await;
    shop.refused(
        400,
        "POST",
        "/v1/customers",
        json!({ "email": "a@b.c", "unheard_of": "1" }),
    )
    .await;
    shop.refused(
        400,
        "POST",
        "/v1/prices",
        json!({ "currency": "usd", "unit_amount": 1 }),
    )
    .await;
    let mut after = shop.stripe.snapshot().unwrap();
    // Only the counters that ids are made of have moved on.
    for counter in ["/state/request_ids", "/state/platform/ids"] {
        *after.pointer_mut(counter).unwrap() = before.pointer(counter).unwrap().clone();
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_unknown_path_is_told_in_stripes_words() {
    let shop = Shop::open().await;
    let error = shop.refused(404, "GET", "/v1/unheard_of", json!({})).await;
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("Unrecognized request URL (GET: /v1/unheard_of).")
    );
    shop.refused(404, "PATCH", "/v1/customers", json!({})).await;
    shop.refused(404, "GET", "/v2/customers", json!({})).await;
}

#[tokio::test]
async fn a_request_whose_expansion_is_refused_has_no_effect() {
    let shop = Shop::open().await;
    let events = shop.event_types();
    let params = json!({ "email": "ada@example.com", "expand": ["nothing"] });
    shop.refused(400, "POST", "/v1/customers", params).await;
    let customers = shop.get("/v1/customers").await;
    assert_eq!(customers["data"], json!([]));
    assert_eq!(shop.event_types(), events);
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused() {
    let shop = Shop::open().await;
    let (customer, _) = shop.subscriber().await;
    let path = format!("/v1/customers/{customer}");
    let expanded = shop
        .list(&path, json!({ "expand": ["subscriptions.data.latest_invoice"] }))
        .await;
    assert_eq!(
        expanded["subscriptions"]["data"][0]["latest_invoice"]["status"],
        "paid"
    );
    for wrong in [
        "email",
        "metadata.customer",
        "nothing",
        "subscriptions.data.nothing",
    ] {
        let error = shop
            .refused(400, "GET", &path, json!({ "expand": [wrong] }))
            .await;
        assert_eq!(
            error["message"],
            format!("This property cannot be expanded ({wrong}).")
        );
    }
    let listed = shop
        .list(
            "/v1/subscriptions",
            json!({ "expand": ["data.customer", "data.items.data.price.product"] }),
        )
        .await;
    assert_eq!(listed["data"][0]["customer"]["id"], json!(customer));
    assert_eq!(
        listed["data"][0]["items"]["data"][0]["price"]["product"]["name"],
        "Number"
    );
}

#[tokio::test]
async fn what_is_not_done_yet_is_refused_by_name() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let error = shop
        .refused(
            400,
            "POST",
            &path,
            json!({ "pause_collection": { "behavior": "void", "resumes_at": 1 } }),
        )
        .await;
    assert_eq!(error["param"], "pause_collection[resumes_at]");
}
