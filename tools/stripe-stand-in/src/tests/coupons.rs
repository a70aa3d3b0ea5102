//! Coupons and promotion codes: made, listed, valid, and redeemable by whom.

use serde_json::{Value, json};

use super::discounts::{code, coupon, page, subscriber};
use super::harness::{Shop, day, id};
use crate::{Payment, Settings};

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

/// What has expired or has been redeemed as often as may be is not brought back, though nobody switched it off; what is active is, twice.
#[tokio::test]
async fn a_code_that_ran_out_is_not_switched_on_again() {
    let shop = Shop::open().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let late = code(&shop, &half, "LATE", json!({ "expires_at": day("2026-12-02") })).await;
    let once = code(&shop, &half, "ONCE", json!({ "max_redemptions": 1 })).await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    for path in [&late, &once].map(|code| format!("/v1/promotion_codes/{code}")) {
        for _ in 0..2 {
            let on = shop.post(&path, json!({ "active": true })).await;
            assert_eq!(on["active"], true, "{path}");
        }
    }
    let redeemed = json!({
        "customer": customer, "items": [{ "price": shop.monthly, "quantity": 3 }], "discounts": [{ "promotion_code": once }],
    });
    shop.post("/v1/subscriptions", redeemed).await;
    shop.advance("2026-12-02T00:00:00Z").await;
    for path in [&late, &once].map(|code| format!("/v1/promotion_codes/{code}")) {
        let error = shop.refused(400, "POST", &path, json!({ "active": true })).await;
        assert_eq!(error["param"], "active", "{path}");
        assert_eq!(shop.get(&path).await["active"], false, "{path}");
    }
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

/// 30.00 are enough of an amount. What begins may have the code, an update or a phase to come may not.
#[tokio::test]
async fn a_code_with_a_minimum_is_for_what_begins() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let least = json!({ "restrictions": { "minimum_amount": 1000, "minimum_amount_currency": "usd" } });
    let code = code(&shop, &half, "LEAST", least).await;
    let discounts = json!([{ "promotion_code": code }]);
    let path = format!("/v1/subscriptions/{subscription}");
    let previewed = json!({ "subscription": subscription, "discounts": discounts });
    for (path, params) in [
        (&path[..], json!({ "discounts": discounts })),
        ("/v1/invoices/create_preview", previewed),
    ] {
        let error = shop.refused(400, "POST", path, params).await;
        assert_eq!(error["param"], "discounts[0][promotion_code]", "{path}");
        assert!(
            error["message"].as_str().unwrap().contains("minimum amount"),
            "{error}"
        );
    }
    let (mut now, later) = (shop.phase(3, 1), shop.phase(3, 1));
    now["discounts"] = discounts.clone();
    let params = json!({ "customer": customer, "start_date": "now", "phases": [now, later] });
    shop.post("/v1/subscription_schedules", params).await;
    let params = json!({ "customer": customer, "start_date": "now", "phases": [later, now] });
    let error = shop
        .refused(400, "POST", "/v1/subscription_schedules", params)
        .await;
    assert_eq!(error["param"], "phases[1][discounts][0][promotion_code]");
    let params = page(&customer, &shop.monthly, 3, discounts[0].clone());
    shop.post("/v1/checkout/sessions", params).await;
}

/// Whoever has tried to pay is no first-time customer any more, except for another try on the same page.
#[tokio::test]
async fn a_payment_in_vain_is_a_transaction() {
    for tries_begin_subscriptions in [false, true] {
        let shop = Shop::open().await;
        shop.stripe.set(Settings {
            tries_begin_subscriptions,
            ..Settings::default()
        });
        let half = coupon(&shop, json!({ "percent_off": 50 })).await;
        let first = json!({ "restrictions": { "first_time_transaction": true } });
        let code = code(&shop, &half, "FIRST", first).await;
        let customer = shop.customer().await;
        let params = page(&customer, &shop.monthly, 3, json!({ "promotion_code": code }));
        let session = id(&shop.post("/v1/checkout/sessions", params).await);
        shop.stripe.pay_session(&session, Payment::Decline).await.unwrap();
        let (told, ..) = refused(&shop, &customer, json!({ "promotion_code": code })).await;
        assert_eq!(told, "promotion_code_customer_not_first_time");
        shop.stripe.pay_session(&session, Payment::Decline).await.unwrap();
        let paid = shop.stripe.pay_session(&session, Payment::Succeed).await.unwrap();
        assert_eq!(
            (&paid["status"], &paid["amount_total"]),
            (&json!("complete"), &json!(1500))
        );
    }
}

#[tokio::test]
async fn a_code_lasts_no_longer_than_its_coupon_and_is_redeemed_no_more_often() {
    let shop = Shop::open().await;
    let terms = json!({ "percent_off": 50, "redeem_by": day("2026-12-05"), "max_redemptions": 3 });
    let half = coupon(&shop, terms).await;
    let made = async |more: Value| {
        let made = code(&shop, &half, &format!("C{}", shop.event_types().len()), more).await;
        shop.get(&format!("/v1/promotion_codes/{made}")).await
    };
    assert_eq!(made(json!({})).await["expires_at"], day("2026-12-05"));
    let less = made(json!({ "expires_at": day("2026-12-04"), "max_redemptions": 3 })).await;
    assert_eq!(
        (&less["expires_at"], &less["max_redemptions"]),
        (&json!(day("2026-12-04")), &json!(3))
    );
    for (param, value) in [
        ("expires_at", json!(day("2026-12-05") + 1)),
        ("max_redemptions", json!(4)),
    ] {
        let params = json!({ "promotion": { "type": "coupon", "coupon": half }, (param): value });
        let error = shop.refused(400, "POST", "/v1/promotion_codes", params).await;
        assert_eq!(error["param"], param, "{error}");
    }
}

#[tokio::test]
async fn up_to_twenty_discounts_are_given() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let mut discounts = Vec::new();
    for _ in 0..20 {
        discounts.push(json!({ "coupon": coupon(&shop, json!({ "percent_off": 1 })).await }));
    }
    let path = format!("/v1/subscriptions/{subscription}");
    let given = shop.post(&path, json!({ "discounts": discounts })).await;
    assert_eq!(given["discounts"].as_array().unwrap().len(), 20);
    discounts.push(json!({ "coupon": "ANOTHER" }));
    let error = shop
        .refused(400, "POST", &path, json!({ "discounts": discounts }))
        .await;
    assert_eq!(error["param"], "discounts");
}
