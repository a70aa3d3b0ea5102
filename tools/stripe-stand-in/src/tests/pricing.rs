//! Every kind of price, from the first invoice over a change to the renewal; each sum worked out by hand.

use serde_json::{Value, json};

use super::harness::{Shop, at, day, id};

impl Shop {
    async fn price_of(&self, more: Value) -> String {
        let mut params = json!({
            "product": self.product,
            "currency": "usd",
            "recurring": { "interval": "month" },
        });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        id(&self.post("/v1/prices", params).await)
    }

    /// The amounts of the first invoice, of a change after two thirds of the month are left, and of the renewal.
    async fn amounts_over(price: Value, quantities: [u64; 2]) -> [Vec<i64>; 3] {
        let shop = Self::open_at("2026-11-01T00:00:00Z").await;
        let price = shop.price_of(price).await;
        let (_, subscription) = shop.subscribed_to(&price, quantities[0]).await;
        let first = amounts(&shop.latest(&subscription).await);
        shop.advance("2026-11-11T00:00:00Z").await;
        let more = json!({ "proration_behavior": "always_invoice" });
        shop.change(&subscription, json!({ "quantity": quantities[1] }), more)
            .await;
        let change = amounts(&shop.latest(&subscription).await);
        shop.advance("2026-12-01T01:00:00Z").await;
        [first, change, amounts(&shop.latest(&subscription).await)]
    }
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .collect()
}

fn tiers() -> Value {
    json!([
        { "up_to": 5, "unit_amount": 700 },
        { "up_to": 10, "unit_amount": 600, "flat_amount": 300 },
        { "up_to": "inf", "unit_amount": 500 },
    ])
}

/// 4 × 7.00 = 28.00. 12 are 5 × 7.00 + 5 × 6.00 + 3.00 + 2 × 5.00 = 78.00, two thirds of which are 52.00; two thirds of 28.00
/// are 18.666…, credited as 18.67.
#[tokio::test]
async fn graduated_tiers_are_prorated_as_a_whole() {
    let price = json!({ "billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers() });
    let expected = [vec![2800], vec![-1867, 5200], vec![7800]];
    assert_eq!(Shop::amounts_over(price, [4, 12]).await, expected);
}

/// 4 × 7.00 = 28.00. 6 are all in the second tier: 6 × 6.00 + 3.00 = 39.00, of which two thirds are 26.00.
#[tokio::test]
async fn volume_tiers_are_prorated_as_a_whole() {
    let price = json!({ "billing_scheme": "tiered", "tiers_mode": "volume", "tiers": tiers() });
    let expected = [vec![2800], vec![-1867, 2600], vec![3900]];
    assert_eq!(Shop::amounts_over(price, [4, 6]).await, expected);
}

/// By the dozen: 13 are two dozens rounded up, 24.00, and one rounded down; 36 are three, 36.00.
#[tokio::test]
async fn transformed_quantities_are_prorated_as_a_whole() {
    for (round, expected) in [
        ("up", [vec![2400], vec![-1600, 2400], vec![3600]]),
        ("down", [vec![1200], vec![-800, 2400], vec![3600]]),
    ] {
        let price = json!({ "unit_amount": 1200, "transform_quantity": { "divide_by": 12, "round": round } });
        assert_eq!(Shop::amounts_over(price, [13, 36]).await, expected, "{round}");
    }
}

/// 0.5 cents: 103 are 51.5, rounded to 52; 109 are 54.5, rounded to 55. Two thirds: −34.67 is −35, 36.67 is 36.
#[tokio::test]
async fn fractions_of_a_cent_are_rounded_before_they_are_prorated() {
    let price = json!({ "unit_amount_decimal": "0.5" });
    assert_eq!(
        Shop::amounts_over(price, [103, 109]).await,
        [vec![52], vec![-35, 36], vec![55]]
    );
}

/// A subscription of one number and minutes at 0.10, begun on 1 November; and how usage is told.
async fn metered() -> (Shop, String, impl Fn(&str, &str) -> serde_json::Value) {
    metered_in("flexible").await
}

/// The same in this billing mode.
async fn metered_in(mode: &str) -> (Shop, String, impl Fn(&str, &str) -> serde_json::Value) {
    let shop = Shop::open_at("2026-11-01T00:00:00Z").await;
    let meter = json!({
        "display_name": "Minutes",
        "event_name": "minutes",
        "default_aggregation": { "formula": "sum" },
    });
    let meter = id(&shop.post("/v1/billing/meters", meter).await);
    let recurring = json!({ "interval": "month", "usage_type": "metered", "meter": meter });
    let price = shop
        .price_of(json!({ "unit_amount": 10, "recurring": recurring }))
        .await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let items = json!([{ "price": price }, { "price": shop.monthly, "quantity": 1 }]);
    let params = json!({ "customer": customer, "items": items, "billing_mode": { "type": mode } });
    let subscription = id(&shop.post("/v1/subscriptions", params).await);
    let uses = move |value: &str, identifier: &str| {
        json!({
            "event_name": "minutes",
            "identifier": identifier,
            "payload": { "stripe_customer_id": customer, "value": value },
        })
    };
    (shop, subscription, uses)
}

/// Ended by call after 7 minutes: billed at once with `invoice_now`, as a preview tells it, and never without. A schedule that is
/// canceled bills it unless it is told not to.
#[tokio::test]
async fn what_is_metered_is_billed_by_a_cancellation_that_is_to_invoice() {
    for (invoice_now, told) in [(true, vec![70]), (false, vec![1000])] {
        let (shop, subscription, uses) = metered().await;
        shop.post("/v1/billing/meter_events", uses("7", "a")).await;
        shop.advance("2026-11-01T00:01:00Z").await;
        let path = format!("/v1/subscriptions/{subscription}");
        let params = json!({ "subscription": subscription, "subscription_details": { "cancel_now": true } });
        let preview = shop.post("/v1/invoices/create_preview", params).await;
        assert_eq!(amounts(&preview), [-1000, 70]);
        shop.call("DELETE", &path, json!({ "invoice_now": invoice_now }))
            .await;
        assert_eq!(amounts(&shop.latest(&subscription).await), told);
    }
    for (params, told) in [
        (json!({ "prorate": false }), vec![70]),
        (json!({ "prorate": false, "invoice_now": false }), vec![1000]),
    ] {
        let (shop, subscription, uses) = metered().await;
        let schedule = json!({ "from_subscription": subscription });
        let schedule = id(&shop.post("/v1/subscription_schedules", schedule).await);
        shop.post("/v1/billing/meter_events", uses("7", "a")).await;
        shop.advance("2026-11-01T00:01:00Z").await;
        let path = format!("/v1/subscription_schedules/{schedule}/cancel");
        shop.post(&path, params).await;
        assert_eq!(amounts(&shop.latest(&subscription).await), told);
    }
}

/// 0.10 apiece: 30 + 12 used in November, 7 in December until the end on the 10th.
#[tokio::test]
async fn what_is_metered_is_billed_when_it_has_been_used() {
    let (shop, subscription, uses) = metered().await;
    assert_eq!(
        amounts(&shop.latest(&subscription).await),
        [1000],
        "nothing was used yet"
    );
    shop.post("/v1/billing/meter_events", uses("30", "a")).await;
    shop.refused(400, "POST", "/v1/billing/meter_events", uses("30", "a"))
        .await;
    shop.refused(400, "POST", "/v1/billing/meter_events", uses("many", "b"))
        .await;
    shop.advance("2026-11-30T23:59:59Z").await;
    shop.post("/v1/billing/meter_events", uses("12", "c")).await;
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({ "subscription": subscription }),
        )
        .await;
    shop.advance("2026-12-01T01:00:00Z").await;
    let renewal = shop.latest(&subscription).await;
    assert_eq!(amounts(&renewal), [420, 1000]);
    assert_eq!(amounts(&preview), amounts(&renewal));
    let line = &renewal["lines"]["data"][0];
    assert_eq!(
        (&line["quantity"], &line["period"]),
        (
            &json!(42),
            &json!({ "start": day("2026-11-01"), "end": day("2026-12-01") })
        )
    );
    shop.post("/v1/billing/meter_events", uses("7", "d")).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let ends = json!({ "cancel_at": day("2026-12-10"), "proration_behavior": "none" });
    shop.post(&path, ends).await;
    shop.advance("2026-12-10T00:00:00Z").await;
    assert_eq!(shop.get(&path).await["status"], "canceled");
    assert_eq!(amounts(&shop.latest(&subscription).await), [70]);
}

/// 0.10 apiece, and 0.20 from 11 November on: 30 were used before and 12 after. In the flexible mode both are billed, each at its price; in the classic
/// one nobody is ever billed for the 30. Taken away instead, the 30 are billed, or not; `none` bills them in neither.
#[tokio::test]
async fn what_was_used_of_a_price_that_goes_is_billed_in_the_flexible_mode_alone() {
    let (replaced, deleted) = (json!({}), json!({ "deleted": true }));
    for (mode, change, behavior, told) in [
        ("flexible", &replaced, "create_prorations", vec![300, 240, 1000]),
        ("flexible", &deleted, "create_prorations", vec![300, 1000]),
        ("flexible", &replaced, "none", vec![240, 1000]),
        ("classic", &replaced, "create_prorations", vec![240, 1000]),
        ("classic", &deleted, "create_prorations", vec![1000]),
    ] {
        let (shop, subscription, uses) = metered_in(mode).await;
        shop.post("/v1/billing/meter_events", uses("30", "a")).await;
        shop.advance("2026-11-11T00:00:00Z").await;
        let path = format!("/v1/subscriptions/{subscription}");
        let before = shop.get(&path).await;
        let item = &before["items"]["data"][0];
        let mut change = change.clone();
        change["id"] = item["id"].clone();
        if change["deleted"].is_null() {
            let dearer = json!({ "unit_amount": 20, "recurring": {
                "interval": "month", "usage_type": "metered", "meter": item["price"]["recurring"]["meter"],
            } });
            change["price"] = json!(shop.price_of(dearer).await);
        }
        let wish = json!({ "items": [change], "proration_behavior": behavior });
        shop.post(&path, wish).await;
        shop.post("/v1/billing/meter_events", uses("12", "b")).await;
        let preview = json!({ "subscription": subscription });
        let preview = shop.post("/v1/invoices/create_preview", preview).await;
        shop.advance("2026-12-01T01:00:00Z").await;
        let renewal = shop.latest(&subscription).await;
        assert_eq!(amounts(&renewal), told, "{mode}, {behavior}");
        assert_eq!(amounts(&preview), told, "{mode}, {behavior}");
    }
}

/// 30 were used in November and billed with the renewal, then a draft for an hour; 12 more of November and 5 of December are told within it. November's
/// are on the bill when it is final, by the clock or by a call, with a fifth off all and a tenth on top; December's are not, nor is what is
/// told after the hour.
#[tokio::test]
async fn what_is_told_while_the_bill_is_a_draft_is_on_it() {
    for by_call in [false, true] {
        let (shop, subscription, uses) = metered().await;
        shop.stripe.set(crate::Settings {
            tax_basis_points: 1000,
            ..crate::Settings::default()
        });
        let path = format!("/v1/subscriptions/{subscription}");
        let customer = shop.get(&path).await["customer"].as_str().unwrap().to_owned();
        let address = json!({ "address": { "country": "DE" } });
        shop.post(&format!("/v1/customers/{customer}"), address).await;
        let coupon = json!({ "percent_off": 20, "duration": "forever" });
        let coupon = id(&shop.post("/v1/coupons", coupon).await);
        let terms = json!({ "discounts": [{ "coupon": coupon }], "automatic_tax": { "enabled": true } });
        shop.post(&path, terms).await;
        let tells = async |value: &str, date: &str| {
            let mut event = uses(value, date);
            event["timestamp"] = json!(at(date).as_second());
            shop.post("/v1/billing/meter_events", event).await;
        };
        tells("30", "2026-11-01T00:00:00Z").await;
        shop.advance("2026-12-01T00:30:00Z").await;
        let draft = shop.latest(&subscription).await;
        assert_eq!(amounts(&draft), [300, 1000]);
        assert_eq!(draft["total"], 240 + 800 + 24 + 80);
        tells("12", "2026-11-30T23:59:59Z").await;
        tells("5", "2026-12-01T00:00:00Z").await;
        assert_eq!(amounts(&shop.latest(&subscription).await), [300, 1000]);
        if by_call {
            let finalize = format!("/v1/invoices/{}/finalize", id(&draft));
            shop.post(&finalize, json!({})).await;
        } else {
            shop.advance("2026-12-01T01:00:00Z").await;
        }
        let bill = shop.latest(&subscription).await;
        assert_eq!(amounts(&bill), [420, 1000], "{by_call}");
        assert_eq!(bill["lines"]["data"][0]["quantity"], 42, "{by_call}");
        assert_eq!(
            (&bill["total"], &bill["amount_due"]),
            (&json!(336 + 800 + 34 + 80), &json!(336 + 800 + 34 + 80)),
            "{by_call}"
        );
        tells("100", "2026-11-30T00:00:00Z").await;
        shop.advance("2027-01-01T01:00:00Z").await;
        assert_eq!(
            amounts(&shop.latest(&subscription).await),
            [50, 1000],
            "{by_call}"
        );
    }
}
