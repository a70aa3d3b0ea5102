//! Golden cases of changes: each with its arithmetic, worked out by hand.

use serde_json::{Value, json};

use super::harness::{Shop, day, id};

/// Amounts and texts of an invoice's lines, in order.
fn lines(invoice: &Value) -> Vec<(i64, &str)> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines
        .iter()
        .map(|line| {
            (
                line["amount"].as_i64().unwrap(),
                line["description"].as_str().unwrap(),
            )
        })
        .collect()
}

impl Shop {
    pub(super) async fn item(&self, subscription: &str) -> String {
        let subscription = self.get(&format!("/v1/subscriptions/{subscription}")).await;
        id(&subscription["items"]["data"][0])
    }

    /// The subscription's latest invoice.
    pub(super) async fn latest(&self, subscription: &str) -> Value {
        let subscription = self.get(&format!("/v1/subscriptions/{subscription}")).await;
        let invoice = subscription["latest_invoice"].as_str().unwrap().to_owned();
        self.get(&format!("/v1/invoices/{invoice}")).await
    }
}

/// November has 30 days. After 10 of them two thirds are left: 3 × 10.00 × 2/3 = 20.00 back; 3 × 96.00 = 288.00 for the
/// year; 268.00 in all.
#[tokio::test]
async fn a_month_turned_into_a_year_credits_the_rest_and_begins_anew() {
    let shop = Shop::open_at("2026-11-01T00:00:00Z").await;
    let (customer, subscription) = shop.subscriber().await;
    shop.advance("2026-11-11T00:00:00Z").await;
    let item = shop.item(&subscription).await;
    let preview = shop
        .post(
            "/v1/invoices/create_preview",
            json!({
                "subscription": subscription,
                "subscription_details": {
                    "items": [{ "id": item, "price": shop.annual, "quantity": 3 }],
                    "proration_behavior": "always_invoice",
                },
            }),
        )
        .await;
    let expected = [
        (-2000, "Unused time on 3 × Number after 11 Nov 2026"),
        (28_800, "3 × Number (at $96.00 / year)"),
    ];
    assert_eq!(lines(&preview), expected);
    assert_eq!(preview["amount_due"], 26_800);
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        1,
        "a preview is not a bill"
    );

    let path = format!("/v1/subscriptions/{subscription}");
    let changed = shop
        .post(
            &path,
            json!({
                "items": [{ "id": item, "price": shop.annual }],
                "proration_behavior": "always_invoice",
                "payment_behavior": "pending_if_incomplete",
            }),
        )
        .await;
    let period = &changed["items"]["data"][0];
    assert_eq!(
        (&period["current_period_start"], &period["current_period_end"]),
        (&json!(day("2026-11-11")), &json!(day("2027-11-11")))
    );
    assert_eq!(changed["billing_cycle_anchor"], day("2026-11-11"));
    assert_eq!(changed["pending_update"], Value::Null);
    let invoice = shop.latest(&subscription).await;
    assert_eq!(lines(&invoice), expected);
    assert_eq!(
        (
            &invoice["status"],
            &invoice["amount_paid"],
            &invoice["billing_reason"]
        ),
        (&json!("paid"), &json!(26_800), &json!("subscription_update"))
    );
    assert_eq!(invoice["lines"]["data"][0]["discountable"], false);
    assert_eq!(invoice["lines"]["data"][1]["discountable"], true);

    shop.advance("2026-12-15T00:00:00Z").await;
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        2,
        "the month's end is nothing any more"
    );
}
