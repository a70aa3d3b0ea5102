//! Coupons and promotion codes: what they take off, from whom, how often, and for how long.

use serde_json::{Value, json};

use super::harness::{Shop, day, id};
use crate::{Completion, Payment};

async fn coupon(shop: &Shop, params: Value) -> String {
    id(&shop.post("/v1/coupons", params).await)
}

async fn code(shop: &Shop, coupon: &str, code: &str, more: Value) -> String {
    let mut params = json!({ "promotion": { "type": "coupon", "coupon": coupon }, "code": code });
    let (Value::Object(params), Value::Object(more)) = (&mut params, more) else {
        panic!("an object is wanted");
    };
    params.extend(more);
    id(&shop.post("/v1/promotion_codes", json!(params)).await)
}

fn page(customer: &str, price: &str, quantity: u64, discount: Value) -> Value {
    json!({
        "mode": "subscription",
        "ui_mode": "embedded_page",
        "return_url": "https://app.example.com/done",
        "customer": customer,
        "line_items": [{ "price": price, "quantity": quantity }],
        "discounts": [discount],
    })
}

/// A customer who subscribed through a page with a discount; answers customer and subscription.
async fn subscriber(shop: &Shop, price: &str, quantity: u64, discount: Value) -> (String, String) {
    let customer = shop.customer().await;
    let session = shop
        .post(
            "/v1/checkout/sessions",
            page(&customer, price, quantity, discount),
        )
        .await;
    let paid = shop
        .stripe
        .pay_session(&id(&session), Payment::Succeed)
        .await
        .unwrap();
    (customer, paid["subscription"].as_str().unwrap().to_owned())
}

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

fn totals(invoice: &Value) -> [i64; 3] {
    ["subtotal", "total", "amount_paid"].map(|member| invoice[member].as_i64().unwrap())
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

/// 3 × 10.00 = 30.00, less 20 % = 6.00: 24.00 in December; 30.00 in January.
#[tokio::test]
async fn once_is_good_for_one_of_two_invoices() {
    let shop = Shop::open().await;
    let fifth = coupon(&shop, json!({ "percent_off": 20, "duration": "once" })).await;
    let (customer, subscription) = subscriber(&shop, &shop.monthly, 3, json!({ "coupon": fifth })).await;
    shop.advance("2027-01-02T00:00:00Z").await;
    let invoices = shop.stripe.invoices_of(&customer);
    assert_eq!(
        (totals(&invoices[0]), totals(&invoices[1])),
        ([3000, 2400, 2400], [3000, 3000, 3000])
    );
    let line = &invoices[0]["lines"]["data"][0];
    let discount = &invoices[0]["discounts"][0];
    assert_eq!(
        (&line["amount"], &line["discountable"]),
        (&json!(3000), &json!(true))
    );
    assert_eq!(
        line["discount_amounts"],
        json!([{ "amount": 600, "discount": discount }])
    );
    assert_eq!(invoices[0]["total_discount_amounts"], line["discount_amounts"]);
    assert_eq!(invoices[1]["total_discount_amounts"], json!([]));
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["discounts"],
        json!([])
    );
    let path = format!("/v1/invoices/{}", id(&invoices[0]));
    let expand = json!({ "expand": ["discounts.source.coupon", "total_discount_amounts.discount"] });
    let told = shop.list(&path, expand).await;
    assert_eq!(told["discounts"][0]["source"]["coupon"]["percent_off"], 20);
    assert_eq!(
        told["total_discount_amounts"][0]["discount"]["object"],
        "discount"
    );
}

/// 30.00 less 5.00 for the invoices of 1 December and 1 January; its two months are over on 1 February.
#[tokio::test]
async fn two_months_are_two_invoices() {
    let shop = Shop::open().await;
    let params =
        json!({ "amount_off": 500, "currency": "usd", "duration": "repeating", "duration_in_months": 2 });
    let two_months = coupon(&shop, params).await;
    let (customer, subscription) = subscriber(&shop, &shop.monthly, 3, json!({ "coupon": two_months })).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let running = shop.list(&path, json!({ "expand": ["discounts"] })).await;
    assert_eq!(
        (&running["discounts"][0]["start"], &running["discounts"][0]["end"]),
        (&json!(day("2026-12-01")), &json!(day("2027-02-01")))
    );
    shop.advance("2027-01-31T00:00:00Z").await;
    let ending = shop.events_of(shop.advance("2027-02-01T00:00:00Z")).await;
    assert_eq!(
        ending[..2],
        ["customer.discount.deleted", "customer.subscription.updated"],
        "{ending:?}"
    );
    shop.advance("2027-02-02T00:00:00Z").await;
    let paid: Vec<[i64; 3]> = shop.stripe.invoices_of(&customer).iter().map(totals).collect();
    assert_eq!(paid, [[3000, 2500, 2500], [3000, 2500, 2500], [3000, 3000, 3000]]);
    assert_eq!(shop.get(&path).await["discounts"], json!([]));
}

#[tokio::test]
async fn forever_goes_on_when_its_coupon_is_deleted() {
    let shop = Shop::open().await;
    let half = coupon(
        &shop,
        json!({ "id": "HALF", "percent_off": 50, "duration": "forever" }),
    )
    .await;
    let (customer, subscription) = subscriber(&shop, &shop.monthly, 3, json!({ "coupon": half })).await;
    shop.call("DELETE", "/v1/coupons/HALF", json!({})).await;
    coupon(&shop, json!({ "id": "HALF", "percent_off": 1 })).await;
    shop.advance("2027-01-02T00:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)[1]), [3000, 1500, 1500]);
    let path = format!("/v1/subscriptions/{subscription}");
    assert_eq!(shop.get(&path).await["discounts"].as_array().unwrap().len(), 1);
}

/// 50.00 off 30.00 leaves nothing to pay, and nothing owed to the customer.
#[tokio::test]
async fn no_invoice_falls_below_zero() {
    let shop = Shop::open().await;
    let much = coupon(
        &shop,
        json!({ "amount_off": 5000, "currency": "usd", "duration": "forever" }),
    )
    .await;
    let customer = shop.customer().await;
    let params = page(&customer, &shop.monthly, 3, json!({ "coupon": much }));
    let session = shop.post("/v1/checkout/sessions", params).await;
    assert_eq!(
        (
            &session["amount_subtotal"],
            &session["amount_total"],
            &session["total_details"]["amount_discount"]
        ),
        (&json!(3000), &json!(0), &json!(3000))
    );
    let paid = shop
        .stripe
        .pay_session(&id(&session), Payment::Succeed)
        .await
        .unwrap();
    assert_eq!(paid["payment_status"], "no_payment_required");
    let invoice = &shop.stripe.invoices_of(&customer)[0];
    assert_eq!(
        (totals(invoice), &invoice["status"]),
        ([3000, 0, 0], &json!("paid"))
    );
    assert_eq!(invoice["total_discount_amounts"][0]["amount"], 3000);
}

/// ¥1000 × 3 = ¥3000, less 33.3 % = ¥999: ¥2001. KWD 1.250 × 3 = 3.750, less 12.5 % = 0.46875 → 0.469: 3.281.
#[tokio::test]
async fn yen_have_no_decimals_and_dinars_three() {
    let shop = Shop::open().await;
    for (currency, unit_amount, percent_off, off, total) in
        [("jpy", 1000, "33.3", 999, 2001), ("kwd", 1250, "12.5", 469, 3281)]
    {
        let params = json!({
            "product": shop.product, "currency": currency, "unit_amount": unit_amount, "recurring": { "interval": "month" },
        });
        let price = id(&shop.post("/v1/prices", params).await);
        let coupon = coupon(&shop, json!({ "percent_off": percent_off })).await;
        let (customer, _) = subscriber(&shop, &price, 3, json!({ "coupon": coupon })).await;
        let invoice = &shop.stripe.invoices_of(&customer)[0];
        assert_eq!(totals(invoice), [3 * unit_amount, total, total]);
        assert_eq!(invoice["total_discount_amounts"][0]["amount"], off);
    }
}

#[tokio::test]
async fn a_declined_card_burns_no_code() {
    let shop = Shop::open().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let single = code(&shop, &half, "SINGLE", json!({ "max_redemptions": 1 })).await;
    let customer = shop.customer().await;
    let params = page(&customer, &shop.monthly, 3, json!({ "promotion_code": single }));
    let session = id(&shop.post("/v1/checkout/sessions", params).await);
    let path = format!("/v1/promotion_codes/{single}");
    for failing in [Payment::Decline, Payment::RequiresAction] {
        shop.stripe.pay_session(&session, failing).await.unwrap();
        let seen = shop.get(&path).await;
        assert_eq!(
            (&seen["times_redeemed"], &seen["active"]),
            (&json!(0), &json!(true))
        );
    }
    shop.stripe.pay_session(&session, Payment::Succeed).await.unwrap();
    let seen = shop.get(&path).await;
    assert_eq!(
        (&seen["times_redeemed"], &seen["active"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(
        shop.get(&format!("/v1/coupons/{half}")).await["times_redeemed"],
        1
    );
}

/// Two pages with a code that is good for one: whoever pays first has it.
#[tokio::test]
async fn a_code_that_was_used_up_meanwhile_stops_the_payment() {
    let shop = Shop::open().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let single = code(&shop, &half, "SINGLE", json!({ "max_redemptions": 1 })).await;
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let customer = shop.customer().await;
        let params = page(&customer, &shop.monthly, 3, json!({ "promotion_code": single }));
        sessions.push(id(&shop.post("/v1/checkout/sessions", params).await));
    }
    shop.stripe
        .pay_session(&sessions[0], Payment::Succeed)
        .await
        .unwrap();
    assert!(
        shop.stripe
            .pay_session(&sessions[1], Payment::Succeed)
            .await
            .is_err()
    );
    let path = format!("/v1/checkout/sessions/{}", sessions[1]);
    assert_eq!(shop.get(&path).await["status"], "open");
}

/// 30.00 less half of it, by a code typed in lower case.
#[tokio::test]
async fn a_customer_types_a_code_where_the_page_takes_one() {
    let shop = Shop::open().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    code(&shop, &half, "LAUNCH", json!({})).await;
    let customer = shop.customer().await;
    let typed = |code: &str| Completion {
        promotion_code: Some(code.to_owned()),
        ..Completion::default()
    };
    let closed = id(&shop.session(&customer, &shop.monthly, 3).await);
    assert!(
        shop.stripe
            .complete_session(&closed, &typed("launch"))
            .await
            .is_err()
    );

    let mut params = page(&customer, &shop.monthly, 3, json!({ "coupon": half }));
    params["allow_promotion_codes"] = json!(true);
    let error = shop
        .refused(400, "POST", "/v1/checkout/sessions", params.clone())
        .await;
    assert_eq!(error["param"], "discounts");
    params.as_object_mut().unwrap().remove("discounts");
    let open = id(&shop.post("/v1/checkout/sessions", params).await);
    assert!(
        shop.stripe
            .complete_session(&open, &typed("nonsense"))
            .await
            .is_err()
    );
    let paid = shop
        .stripe
        .complete_session(&open, &typed("launch"))
        .await
        .unwrap();
    assert_eq!(
        (&paid["status"], &paid["amount_total"]),
        (&json!("complete"), &json!(1500))
    );
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)[0]), [3000, 1500, 1500]);
}

/// A month from 1 December is over on 1 January, when the renewal is due as well: 30.00, whichever was put into the agenda first.
#[tokio::test]
async fn a_month_that_ends_with_the_period_does_not_reach_the_renewal() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let params = json!({ "percent_off": 50, "duration": "repeating", "duration_in_months": 1 });
    let half = coupon(&shop, params).await;
    let path = format!("/v1/subscriptions/{subscription}");
    shop.post(&path, json!({ "discounts": [{ "coupon": half }] }))
        .await;
    shop.advance("2027-01-02T00:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)[1]), [3000, 3000, 3000]);
}
