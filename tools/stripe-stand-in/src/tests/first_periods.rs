//! First periods that an anchor cuts short, or that begin before the call.

use serde_json::{Value, json};

use super::changes::lines;
use super::harness::{Shop, day, id};

impl Shop {
    /// A customer with a card that pays.
    async fn customer_with_card(&self) -> (String, String) {
        let customer = self.customer().await;
        let attach = json!({ "customer": customer });
        let card = self.post("/v1/payment_methods/pm_card_visa/attach", attach).await;
        (customer, id(&card))
    }

    async fn invoice_of(&self, subscription: &Value) -> Value {
        let invoice = subscription["latest_invoice"].as_str().unwrap();
        self.get(&format!("/v1/invoices/{invoice}")).await
    }
}

fn anchor(date: &str) -> Value {
    json!({ "type": "timestamp", "timestamp": day(date) })
}

/// November has 30 days, and 10 of them are left: a third of 3 × 10.00.
#[tokio::test]
async fn an_anchor_cuts_the_first_period_short() {
    let shop = Shop::open_at("2026-11-21T00:00:00Z").await;
    let (customer, card) = shop.customer_with_card().await;
    let items = json!([{ "price": shop.monthly, "quantity": 3 }]);
    let details = json!({ "items": items, "billing_cycle_anchor": anchor("2026-12-01") });
    let preview = json!({ "customer": customer, "subscription_details": details });
    let preview = shop.post("/v1/invoices/create_preview", preview).await;
    let order = json!({
        "customer": customer, "items": items, "default_payment_method": card,
        "billing_cycle_anchor": day("2026-12-01"),
    });
    let subscription = shop.post("/v1/subscriptions", order).await;
    let invoice = shop.invoice_of(&subscription).await;
    assert_eq!(preview["total"], 1000);
    assert_eq!(
        (&invoice["total"], &invoice["status"]),
        (&json!(1000), &json!("paid"))
    );
    let item = &subscription["items"]["data"][0];
    assert_eq!(item["current_period_end"], day("2026-12-01"));

    shop.advance("2026-12-01T02:00:00Z").await;
    let renewed = shop
        .get(&format!("/v1/subscriptions/{}", id(&subscription)))
        .await;
    assert_eq!(shop.invoice_of(&renewed).await["total"], 3000);
    let item = &renewed["items"]["data"][0];
    assert_eq!(item["current_period_end"], day("2027-01-01"));
}

/// From the 16th on, half of November is billed, although the call comes five days later.
#[tokio::test]
async fn a_first_period_may_begin_before_the_call() {
    let shop = Shop::open_at("2026-11-21T00:00:00Z").await;
    let (customer, card) = shop.customer_with_card().await;
    let items = json!([{ "price": shop.monthly, "quantity": 3 }]);
    let details = json!({
        "items": items, "start_date": day("2026-11-16"), "billing_cycle_anchor": anchor("2026-12-01"),
    });
    let preview = json!({ "customer": customer, "subscription_details": details });
    let preview = shop.post("/v1/invoices/create_preview", preview).await;
    let order = json!({
        "customer": customer, "items": items, "default_payment_method": card,
        "backdate_start_date": day("2026-11-16"), "billing_cycle_anchor": day("2026-12-01"),
    });
    let subscription = shop.post("/v1/subscriptions", order).await;
    let invoice = shop.invoice_of(&subscription).await;
    assert_eq!(
        (&preview["total"], &invoice["total"]),
        (&json!(1500), &json!(1500))
    );
    assert_eq!(subscription["start_date"], day("2026-11-16"));
    assert_eq!(
        subscription["items"]["data"][0]["current_period_start"],
        day("2026-11-16")
    );
}

/// Ten days were paid for, five are left: 5 of 30 days of 30.00 back, 5 of 30 days of 60.00 to pay.
#[tokio::test]
async fn a_change_within_a_short_first_period_is_a_share_of_a_whole_one() {
    let shop = Shop::open_at("2026-11-21T00:00:00Z").await;
    let (customer, card) = shop.customer_with_card().await;
    let order = json!({
        "customer": customer, "items": [{ "price": shop.monthly, "quantity": 3 }],
        "default_payment_method": card, "billing_cycle_anchor": day("2026-12-01"),
    });
    let subscription = id(&shop.post("/v1/subscriptions", order).await);
    shop.advance("2026-11-26T00:00:00Z").await;
    let more = json!({ "proration_behavior": "always_invoice" });
    let changed = shop.change(&subscription, json!({ "quantity": 6 }), more).await;
    let invoice = shop.invoice_of(&changed).await;
    let amounts: Vec<i64> = lines(&invoice).into_iter().map(|(amount, _)| amount).collect();
    assert_eq!(amounts, [-500, 1000]);
}

/// The examples of Stripe's page on backdating: 14 of 28 days from 15 February, 17 of 31 from 15 January. From 1 March to the 15th 14 of 31.
#[tokio::test]
async fn a_short_first_period_is_a_share_of_an_imagined_one_from_its_start_on() {
    for (start, anchored, total) in [
        ("2026-02-15", "2026-03-01", 1500),
        ("2026-01-15", "2026-02-01", 1645),
        ("2026-03-01", "2026-03-15", 1354),
        ("2026-01-30", "2026-02-28", 3000),
    ] {
        let shop = Shop::open_at(&format!("{start}T00:00:00Z")).await;
        let (customer, card) = shop.customer_with_card().await;
        let order = json!({
            "customer": customer, "items": [{ "price": shop.monthly, "quantity": 3 }],
            "default_payment_method": card, "billing_cycle_anchor": day(anchored),
            "backdate_start_date": day(start),
        });
        let subscription = shop.post("/v1/subscriptions", order).await;
        assert_eq!(shop.invoice_of(&subscription).await["total"], total, "{start}");
        let item = &subscription["items"]["data"][0];
        assert_eq!(item["current_period_end"], day(anchored));
    }
}

#[tokio::test]
async fn an_anchor_lies_in_the_first_period() {
    let shop = Shop::open_at("2026-11-21T00:00:00Z").await;
    let (customer, card) = shop.customer_with_card().await;
    for anchored in ["2026-11-21", "2026-12-22"] {
        let order = json!({
            "customer": customer, "items": [{ "price": shop.monthly }], "default_payment_method": card,
            "billing_cycle_anchor": day(anchored),
        });
        let refusal = shop.refused(400, "POST", "/v1/subscriptions", order).await;
        assert_eq!(refusal["param"], "billing_cycle_anchor", "{anchored}");
    }
}

/// A preview says what kind of an anchor it means, as a change does; a new subscription is told the instant itself.
#[tokio::test]
async fn a_preview_takes_an_anchor_as_an_object() {
    let shop = Shop::open_at("2026-11-21T00:00:00Z").await;
    let (customer, _) = shop.customer_with_card().await;
    for (anchor, param) in [
        (json!(day("2026-12-01")), "[billing_cycle_anchor]"),
        (json!("now"), "[billing_cycle_anchor]"),
        (
            json!({ "timestamp": day("2026-12-01") }),
            "[billing_cycle_anchor][type]",
        ),
        (
            json!({ "type": "timestamp" }),
            "[billing_cycle_anchor][timestamp]",
        ),
    ] {
        let items = json!([{ "price": shop.monthly }]);
        let preview = json!({
            "customer": customer, "subscription_details": { "items": items, "billing_cycle_anchor": anchor },
        });
        let refusal = shop
            .refused(400, "POST", "/v1/invoices/create_preview", preview)
            .await;
        assert_eq!(refusal["param"], format!("subscription_details{param}"));
    }
}
