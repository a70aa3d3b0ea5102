//! Discounts over changes of a subscription: the code that comes with an upgrade, and the one that was there before it.

use serde_json::{Value, json};

use super::harness::{Shop, id};

/// A third of the 31 days of December.
const A_THIRD_IN: &str = "2026-12-11T08:00:00Z";

async fn coupon(shop: &Shop, params: Value) -> String {
    id(&shop.post("/v1/coupons", params).await)
}

async fn code(shop: &Shop, coupon: &str) -> String {
    let params = json!({ "promotion": { "type": "coupon", "coupon": coupon }, "max_redemptions": 1 });
    id(&shop.post("/v1/promotion_codes", params).await)
}

/// The parameters of an upgrade to the annual price.
async fn upgrade(shop: &Shop, subscription: &str, more: Value) -> Value {
    let path = format!("/v1/subscriptions/{subscription}");
    let item = shop.get(&path).await["items"]["data"][0]["id"].clone();
    let mut params = json!({ "items": [{ "id": item, "price": shop.annual, "quantity": 3 }] });
    let (Value::Object(members), Value::Object(more)) = (&mut params, more) else {
        panic!("an object is wanted");
    };
    members.extend(more);
    params
}

/// What a preview of these parameters says, and then what the update charges.
async fn preview_and_charge(shop: &Shop, subscription: &str, params: Value) -> (Value, Value) {
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({
                "subscription": subscription,
                "subscription_details": { "items": params["items"] },
                "discounts": params["discounts"],
            }),
        )
        .await;
    let mut params = params;
    params["expand"] = json!(["latest_invoice"]);
    let path = format!("/v1/subscriptions/{subscription}");
    let updated = shop.post(&path, params).await;
    (preview, updated["latest_invoice"].clone())
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .collect()
}

/// 3 × 10.00 a month to 3 × 96.00 a year, a third into December: two thirds of 30.00 come back, 20.00; the year costs 288.00.
/// 20 % of 288.00 are 57.60: −20.00 + 288.00 − 57.60 = 210.40. 50.00 off: −20.00 + 288.00 − 50.00 = 218.00. The credit is not
/// discountable.
#[tokio::test]
async fn a_code_over_an_upgrade_is_taken_off_the_new_period() {
    for (terms, off, total) in [
        (json!({ "percent_off": 20 }), 5760, 21040),
        (json!({ "amount_off": 5000, "currency": "usd" }), 5000, 21800),
    ] {
        let shop = Shop::open().await;
        let (_, subscription) = shop.subscriber().await;
        shop.advance(A_THIRD_IN).await;
        let code = code(&shop, &coupon(&shop, terms).await).await;
        let params = upgrade(
            &shop,
            &subscription,
            json!({ "discounts": [{ "promotion_code": code }] }),
        )
        .await;
        let (preview, charged) = preview_and_charge(&shop, &subscription, params).await;
        for invoice in [&preview, &charged] {
            assert_eq!(amounts(invoice), [-2000, 28800]);
            assert_eq!(
                (&invoice["subtotal"], &invoice["total"]),
                (&json!(26800), &json!(total))
            );
            assert_eq!(invoice["total_discount_amounts"][0]["amount"], off);
            let lines = &invoice["lines"]["data"];
            assert_eq!(
                (&lines[0]["discountable"], &lines[0]["discount_amounts"]),
                (&json!(false), &json!([]))
            );
            assert_eq!(lines[1]["discount_amounts"][0]["amount"], off);
        }
        assert_eq!(
            (&charged["status"], &charged["amount_paid"]),
            (&json!("paid"), &json!(total))
        );
        assert_eq!(
            shop.get(&format!("/v1/promotion_codes/{code}")).await["times_redeemed"],
            1
        );
        let path = format!("/v1/subscriptions/{subscription}");
        assert_eq!(
            shop.get(&path).await["discounts"],
            json!([]),
            "once is over with the invoice"
        );
    }
}

/// 20 % for ever: 24.00 were paid for December, so two thirds that come back are 16.00; the year costs 288.00 − 57.60.
/// −16.00 + 288.00 − 57.60 = 214.40.
#[tokio::test]
async fn what_is_credited_is_what_was_paid_after_discounts() {
    let shop = Shop::open().await;
    let fifth = coupon(&shop, json!({ "percent_off": 20, "duration": "forever" })).await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    shop.post(&path, json!({ "discounts": [{ "coupon": fifth }] }))
        .await;
    shop.advance("2027-01-11T08:00:00Z").await;
    let params = upgrade(&shop, &subscription, json!({})).await;
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({ "subscription": subscription, "subscription_details": params }),
        )
        .await;
    assert_eq!(
        (amounts(&preview), &preview["total"]),
        (vec![-1600, 28800], &json!(21440))
    );
}

/// Two more numbers for the last two thirds of December, 20 % off for ever: 5 × 10.00 × 2/3 × 0.8 = 26.666… → 26.66, and
/// 3 × 10.00 × 2/3 × 0.8 = 16.00 come back.
#[tokio::test]
async fn a_share_of_a_period_includes_the_discount() {
    let shop = Shop::open().await;
    let fifth = coupon(&shop, json!({ "percent_off": 20, "duration": "forever" })).await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    shop.post(&path, json!({ "discounts": [{ "coupon": fifth }] }))
        .await;
    shop.advance("2027-01-11T08:00:00Z").await;
    let item = shop.get(&path).await["items"]["data"][0]["id"].clone();
    let params = json!({
        "items": [{ "id": item, "quantity": 5 }], "proration_behavior": "always_invoice", "expand": ["latest_invoice"],
    });
    let invoice = shop.post(&path, params).await["latest_invoice"].clone();
    assert_eq!(
        (amounts(&invoice), &invoice["total"]),
        (vec![-1600, 2666], &json!(1066))
    );
    assert_eq!(invoice["lines"]["data"][1]["discountable"], false);
}

#[tokio::test]
async fn discounts_are_kept_replaced_and_cleared() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let one = coupon(&shop, json!({ "percent_off": 10, "duration": "forever" })).await;
    let other = coupon(&shop, json!({ "percent_off": 20, "duration": "forever" })).await;
    let first = shop
        .post(&path, json!({ "discounts": [{ "coupon": one }] }))
        .await["discounts"][0]
        .clone();
    let params = json!({ "discounts": [{ "discount": first }, { "coupon": other }] });
    let both = shop.post(&path, params).await["discounts"].clone();
    assert_eq!((&both[0], both.as_array().unwrap().len()), (&first, 2));
    shop.post(&path, json!({ "description": "nothing of discounts" }))
        .await;
    assert_eq!(shop.get(&path).await["discounts"], both);
    let telling = shop
        .events_of(async {
            shop.post(&path, json!({ "discounts": "" })).await;
        })
        .await;
    assert_eq!(
        telling,
        [
            "customer.discount.deleted",
            "customer.discount.deleted",
            "customer.subscription.updated"
        ]
    );
    assert_eq!(shop.get(&path).await["discounts"], json!([]));
    for (params, code) in [
        (
            json!({ "discounts": [{ "discount": first }] }),
            json!("resource_missing"),
        ),
        (
            json!({ "discounts": [{ "coupon": one }, { "coupon": one }] }),
            Value::Null,
        ),
        (
            json!({ "discounts": [{ "coupon": "" }] }),
            json!("parameter_invalid_empty"),
        ),
    ] {
        assert_eq!(shop.refused(400, "POST", &path, params).await["code"], code);
    }
    assert_eq!(shop.get(&format!("/v1/coupons/{one}")).await["times_redeemed"], 1);
}

/// The card is declined, so the change waits, and so does the code that is good for one redemption.
#[tokio::test]
async fn a_code_on_a_change_that_is_not_paid_is_not_burnt() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let single = code(&shop, &half).await;
    let seen = async || shop.get(&format!("/v1/promotion_codes/{single}")).await["times_redeemed"].clone();
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let path = format!("/v1/subscriptions/{subscription}");
    let more =
        |behavior: &str| json!({ "discounts": [{ "promotion_code": single }], "payment_behavior": behavior });
    let params = upgrade(&shop, &subscription, more("error_if_incomplete")).await;
    shop.refused(402, "POST", &path, params).await;
    assert_eq!(seen().await, 0);

    let params = upgrade(&shop, &subscription, more("pending_if_incomplete")).await;
    let waiting = shop.post(&path, params).await;
    assert_eq!((seen().await, &waiting["discounts"]), (json!(0), &json!([])));
    shop.advance("2026-12-03T00:00:00Z").await;
    assert_eq!(shop.get(&path).await["pending_update"], Value::Null);
    assert_eq!(seen().await, 0, "dropped with the change");

    let params = upgrade(&shop, &subscription, more("pending_if_incomplete")).await;
    let waiting = shop.post(&path, params).await;
    let invoice = waiting["latest_invoice"].as_str().unwrap();
    shop.stripe.pay_invoice(invoice).await.unwrap();
    assert_eq!(seen().await, 1, "counted when the change landed");
    assert_eq!(
        shop.get(&path).await["discounts"],
        json!([]),
        "and used up by its invoice"
    );
}

/// The subscription's own `once` is on the invoice of a change that is then dropped: it is there for the next invoice. 30.00 less
/// half of it.
#[tokio::test]
async fn a_dropped_change_uses_up_no_discount() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    let half = coupon(&shop, json!({ "percent_off": 50 })).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let own = shop
        .post(&path, json!({ "discounts": [{ "coupon": half }] }))
        .await["discounts"]
        .clone();
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    let more = json!({ "payment_behavior": "pending_if_incomplete" });
    let params = upgrade(&shop, &subscription, more).await;
    let waiting = shop.post(&path, params).await;
    let invoice = shop
        .get(&format!(
            "/v1/invoices/{}",
            waiting["latest_invoice"].as_str().unwrap()
        ))
        .await;
    assert_eq!(invoice["total_discount_amounts"][0]["discount"], own[0]);
    shop.advance("2026-12-03T00:00:00Z").await;
    assert_eq!(shop.get(&path).await["discounts"], own);
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    shop.advance("2027-01-02T00:00:00Z").await;
    let renewal = shop.stripe.invoices_of(&customer).pop().unwrap();
    assert_eq!(
        (&renewal["total"], &renewal["status"]),
        (&json!(1500), &json!("paid"))
    );
}
