//! Coupons and promotion codes: made, listed, valid, and redeemable by whom.

use serde_json::{Value, json};

use super::discounts::{code, coupon, page, subscriber};
use super::harness::{Shop, day, id};

/// The error code and parameter of a page that is refused for its discount.
async fn refused(shop: &Shop, customer: &str, discount: Value) -> (Value, Value, String) {
    let params = page(customer, &shop.monthly, 3, discount);
    let error = shop.refused(400, "POST", "/v1/checkout/sessions", params).await;
    (
        error["code"].clone(),
        error["param"].clone(),
        error["message"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_coupon_is_made_read_listed_and_deleted() {
    let shop = Shop::open().await;
    let made = shop
        .post(
            "/v1/coupons",
            json!({
                "id": "SUMMER", "name": "Summer", "percent_off": "12.5", "duration": "repeating", "duration_in_months": 2,
                "max_redemptions": 3, "redeem_by": day("2027-01-01"), "applies_to": { "products": [shop.product] },
            }),
        )
        .await;
    assert_eq!(
        (&made["percent_off"], &made["amount_off"], &made["valid"]),
        (&json!(12.5), &Value::Null, &json!(true))
    );
    assert_eq!(
        (&made["duration"], &made["duration_in_months"]),
        (&json!("repeating"), &json!(2))
    );
    assert_eq!(made.get("applies_to"), None, "left out unless it is asked for");
    let whole = shop
        .list("/v1/coupons/SUMMER", json!({ "expand": ["applies_to"] }))
        .await;
    assert_eq!(whole["applies_to"], json!({ "products": [shop.product] }));
    let other = coupon(&shop, json!({ "amount_off": 500, "currency": "usd" })).await;
    let listed = shop.list("/v1/coupons", json!({})).await;
    assert_eq!(
        listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(id)
            .collect::<Vec<_>>(),
        [other.clone(), "SUMMER".to_owned()]
    );

    let deleted = shop.call("DELETE", "/v1/coupons/SUMMER", json!({})).await.body;
    assert_eq!(deleted["deleted"], true);
    assert_eq!(
        shop.list("/v1/coupons", json!({})).await["data"][0]["id"],
        json!(other)
    );
    let error = shop.refused(404, "GET", "/v1/coupons/SUMMER", json!({})).await;
    assert_eq!(error["message"], "No such coupon: 'SUMMER'");
    shop.post("/v1/coupons", json!({ "id": "SUMMER", "percent_off": 10 }))
        .await;
}

#[tokio::test]
async fn a_coupon_that_makes_no_sense_is_refused() {
    let shop = Shop::open().await;
    coupon(&shop, json!({ "id": "TAKEN", "percent_off": 10 })).await;
    for (params, param) in [
        (json!({}), "percent_off"),
        (
            json!({ "percent_off": 10, "amount_off": 5, "currency": "usd" }),
            "percent_off",
        ),
        (json!({ "percent_off": 101 }), "percent_off"),
        (json!({ "percent_off": 0 }), "percent_off"),
        (json!({ "amount_off": 500 }), "currency"),
        (json!({ "amount_off": 0, "currency": "usd" }), "amount_off"),
        (
            json!({ "percent_off": 10, "duration": "repeating" }),
            "duration_in_months",
        ),
        (
            json!({ "percent_off": 10, "duration": "once", "duration_in_months": 2 }),
            "duration_in_months",
        ),
        (json!({ "percent_off": 10, "duration": "weekly" }), "duration"),
        (
            json!({ "percent_off": 10, "redeem_by": day("2026-11-30") }),
            "redeem_by",
        ),
        (json!({ "percent_off": 10, "id": "TAKEN" }), "id"),
        (
            json!({ "percent_off": 10, "applies_to": { "products": ["prod_none"] } }),
            "applies_to[products]",
        ),
        (json!({ "percent_off": 10, "colour": "red" }), "colour"),
    ] {
        let error = shop.refused(400, "POST", "/v1/coupons", params.clone()).await;
        assert_eq!(error["param"], param, "{params}: {error}");
    }
}

#[tokio::test]
async fn a_coupon_is_valid_until_its_date_or_its_last_redemption() {
    let shop = Shop::open().await;
    let dated = coupon(
        &shop,
        json!({ "percent_off": 10, "redeem_by": day("2026-12-05") }),
    )
    .await;
    let single = coupon(&shop, json!({ "percent_off": 10, "max_redemptions": 1 })).await;
    let valid = async |id: &str| shop.get(&format!("/v1/coupons/{id}")).await["valid"].clone();
    assert_eq!(
        (valid(&dated).await, valid(&single).await),
        (json!(true), json!(true))
    );
    subscriber(&shop, &shop.monthly, 3, json!({ "coupon": single })).await;
    assert_eq!(
        shop.get(&format!("/v1/coupons/{single}")).await["times_redeemed"],
        1
    );
    shop.advance("2026-12-05T00:00:00Z").await;
    assert_eq!(
        (valid(&dated).await, valid(&single).await),
        (json!(false), json!(false))
    );
    let customer = shop.customer().await;
    for used in [dated, single] {
        let (code, param, message) = refused(&shop, &customer, json!({ "coupon": used })).await;
        assert_eq!(
            (code, param),
            (json!("coupon_expired"), json!("discounts[0][coupon]"))
        );
        assert_eq!(message, format!("Coupon expired: {used}"));
    }
    let (code, ..) = refused(&shop, &customer, json!({ "coupon": "NONE" })).await;
    assert_eq!(code, "resource_missing");
}

#[tokio::test]
async fn a_code_is_found_whatever_its_case_and_active_once() {
    let shop = Shop::open().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let launch = code(&shop, &half, "Launch20", json!({})).await;
    let found = shop
        .list(
            "/v1/promotion_codes",
            json!({ "code": "LAUNCH20", "active": true, "expand": ["data.promotion.coupon"] }),
        )
        .await;
    assert_eq!(found["data"][0]["code"], "Launch20");
    assert_eq!(found["data"][0]["promotion"]["coupon"]["percent_off"], 50);
    let again = json!({ "promotion": { "type": "coupon", "coupon": half }, "code": "launch20" });
    let error = shop
        .refused(400, "POST", "/v1/promotion_codes", again.clone())
        .await;
    assert_eq!(
        error["message"],
        "An active promotion code with `code: launch20` already exists."
    );
    let path = format!("/v1/promotion_codes/{launch}");
    assert_eq!(
        shop.post(&path, json!({ "active": false })).await["active"],
        false
    );
    shop.post("/v1/promotion_codes", again).await;
    let error = shop.refused(400, "POST", &path, json!({ "active": true })).await;
    assert!(
        error["message"].as_str().unwrap().contains("already exists"),
        "{error}"
    );
    let active = shop
        .list("/v1/promotion_codes", json!({ "active": true, "coupon": half }))
        .await;
    assert_eq!(active["data"].as_array().unwrap().len(), 1);
    // Several customers may each have a code of one word, which then is nobody else's.
    let of = |customer: &str| json!({ "promotion": { "type": "coupon", "coupon": half }, "code": "OWN", "customer": customer });
    let (ada, bob) = (shop.customer().await, shop.customer().await);
    shop.post("/v1/promotion_codes", of(&ada)).await;
    shop.post("/v1/promotion_codes", of(&bob)).await;
    shop.refused(400, "POST", "/v1/promotion_codes", of(&ada)).await;
    let anybodys = json!({ "promotion": { "type": "coupon", "coupon": half }, "code": "own" });
    shop.refused(400, "POST", "/v1/promotion_codes", anybodys).await;
    let made = shop
        .post(
            "/v1/promotion_codes",
            json!({ "promotion": { "type": "coupon", "coupon": half } }),
        )
        .await;
    assert_eq!(
        made["code"].as_str().unwrap().len(),
        8,
        "one is made up when none is given"
    );
}

#[tokio::test]
async fn a_code_is_refused_to_whom_it_is_not_for() {
    let shop = Shop::open().await;
    let (old, _) = shop.subscriber().await;
    let new = shop.customer().await;
    let other = id(&shop.post("/v1/products", json!({ "name": "Other" })).await);
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let scoped = coupon(
        &shop,
        json!({ "percent_off": 50, "applies_to": { "products": [other] } }),
    )
    .await;
    let euros = coupon(&shop, json!({ "amount_off": 500, "currency": "eur" })).await;
    let first = code(
        &shop,
        &half,
        "FIRST",
        json!({ "restrictions": { "first_time_transaction": true } }),
    )
    .await;
    let dear = json!({ "restrictions": { "minimum_amount": 3001, "minimum_amount_currency": "usd" } });
    let dear = code(&shop, &half, "DEAR", dear).await;
    let own = code(&shop, &half, "OWN", json!({ "customer": new })).await;
    let late = code(&shop, &half, "LATE", json!({ "expires_at": day("2026-12-02") })).await;
    let off = code(&shop, &half, "OFF", json!({ "active": false })).await;
    let narrow = code(&shop, &scoped, "NARROW", json!({})).await;
    shop.advance("2026-12-02T00:00:00Z").await;
    for (customer, code, expected) in [
        (&old, &first, "promotion_code_customer_not_first_time"),
        (&new, &dear, ""),
        (&old, &own, ""),
        (&new, &late, "coupon_expired"),
        (&new, &off, "coupon_expired"),
        (&new, &narrow, "coupon_applies_to_nothing"),
        (&new, &"promo_none".to_owned(), "resource_missing"),
    ] {
        let (told, param, message) = refused(&shop, customer, json!({ "promotion_code": code })).await;
        assert_eq!(told.as_str().unwrap_or_default(), expected, "{message}");
        assert_eq!(param, "discounts[0][promotion_code]");
    }
    let (.., message) = refused(&shop, &new, json!({ "promotion_code": dear })).await;
    assert_eq!(
        message,
        "This promotion code cannot be redeemed because the associated purchase does not meet the minimum amount requirement."
    );
    let (.., message) = refused(&shop, &new, json!({ "coupon": euros })).await;
    assert!(message.contains("is in eur"), "{message}");
    let (.., message) = refused(&shop, &new, json!({ "coupon": half, "promotion_code": own })).await;
    assert!(
        message.starts_with("You may only specify one of these"),
        "{message}"
    );
    for fitting in [&first, &own] {
        let params = page(&new, &shop.monthly, 3, json!({ "promotion_code": fitting }));
        shop.post("/v1/checkout/sessions", params).await;
    }
    assert_eq!(
        shop.get(&format!("/v1/promotion_codes/{first}")).await["times_redeemed"],
        0,
        "a page that nobody paid redeems nothing"
    );
}
