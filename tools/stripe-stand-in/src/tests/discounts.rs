//! Discounts on checkout pages and renewals: what they take off, how often, and for how long.

use serde_json::{Value, json};

use super::harness::{Shop, day, id};
use crate::{Completion, Payment};

pub(super) async fn coupon(shop: &Shop, params: Value) -> String {
    id(&shop.post("/v1/coupons", params).await)
}

pub(super) async fn code(shop: &Shop, coupon: &str, code: &str, more: Value) -> String {
    let mut params = json!({ "promotion": { "type": "coupon", "coupon": coupon }, "code": code });
    let (Value::Object(params), Value::Object(more)) = (&mut params, more) else {
        panic!("an object is wanted");
    };
    params.extend(more);
    id(&shop.post("/v1/promotion_codes", json!(params)).await)
}

pub(super) fn page(customer: &str, price: &str, quantity: u64, discount: Value) -> Value {
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
pub(super) async fn subscriber(shop: &Shop, price: &str, quantity: u64, discount: Value) -> (String, String) {
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

fn totals(invoice: &Value) -> [i64; 3] {
    ["subtotal", "total", "amount_paid"].map(|member| invoice[member].as_i64().unwrap())
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
