//! The flexible billing mode, where it differs: the anchor stays, and what is credited is what was debited.

use serde_json::{Value, json};

use super::changes::lines;
use super::harness::{Shop, day, id};

pub(super) const CLASSIC: &str = "classic";
pub(super) const FLEXIBLE: &str = "flexible";

impl Shop {
    /// A subscription to some of a price, in this mode; none is told where it is empty.
    pub(super) async fn in_mode(&self, mode: &str, price: &str, quantity: u64) -> Value {
        let customer = self.customer().await;
        let attach = json!({ "customer": customer });
        let card = self.post("/v1/payment_methods/pm_card_visa/attach", attach).await;
        let mut order = json!({
            "customer": customer, "items": [{ "price": price, "quantity": quantity }], "default_payment_method": id(&card),
        });
        if !mode.is_empty() {
            order["billing_mode"] = json!({ "type": mode });
        }
        self.post("/v1/subscriptions", order).await
    }

    /// The change is previewed and made; answers the invoice, which is what was previewed, and the subscription.
    async fn changed(&self, subscription: &Value, item: Value) -> (Value, Value) {
        let mut item = item;
        item["id"] = subscription["items"]["data"][0]["id"].clone();
        let change = json!({ "items": [item], "proration_behavior": "always_invoice" });
        let preview = json!({ "subscription": id(subscription), "subscription_details": change });
        let preview = self.post("/v1/invoices/create_preview", preview).await;
        let changed = self
            .post(&format!("/v1/subscriptions/{}", id(subscription)), change)
            .await;
        let invoice = changed["latest_invoice"].as_str().unwrap();
        let invoice = self.get(&format!("/v1/invoices/{invoice}")).await;
        assert_eq!(lines(&preview), lines(&invoice));
        (invoice, changed)
    }
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_mode_is_as_told_and_flexible_otherwise() {
    let shop = Shop::open().await;
    let told = shop.in_mode(CLASSIC, &shop.monthly, 1).await;
    assert_eq!(
        told["billing_mode"],
        json!({ "flexible": null, "type": "classic" })
    );
    let untold = shop.in_mode("", &shop.monthly, 1).await;
    assert_eq!(untold["billing_mode"]["type"], FLEXIBLE);
    assert_eq!(
        untold["billing_mode"]["flexible"],
        json!({ "proration_discounts": "included" })
    );
    let customer = untold["customer"].as_str().unwrap();
    let phases = json!([{ "items": [{ "price": shop.monthly, "quantity": 1 }] }]);
    for (mode, word) in [(json!({ "type": CLASSIC }), CLASSIC), (Value::Null, FLEXIBLE)] {
        let mut order = json!({ "customer": customer, "start_date": "now", "phases": phases });
        if !mode.is_null() {
            order["billing_mode"] = mode;
        }
        let schedule = shop.post("/v1/subscription_schedules", order).await;
        let begun = format!("/v1/subscriptions/{}", schedule["subscription"].as_str().unwrap());
        assert_eq!(schedule["billing_mode"]["type"], word);
        assert_eq!(shop.get(&begun).await["billing_mode"]["type"], word);
    }
    let inherited = json!({ "from_subscription": id(&told) });
    let inherited = shop.post("/v1/subscription_schedules", inherited).await;
    assert_eq!(inherited["billing_mode"]["type"], CLASSIC);
}

#[tokio::test]
async fn a_mode_beside_one_that_is_there_is_refused_and_so_is_the_way_back() {
    let shop = Shop::open().await;
    let subscription = shop.in_mode(FLEXIBLE, &shop.monthly, 1).await;
    let classic = json!({ "type": CLASSIC });
    let path = format!("/v1/subscriptions/{}/migrate", id(&subscription));
    for (path, params) in [
        (
            "/v1/subscription_schedules",
            json!({ "from_subscription": id(&subscription), "billing_mode": classic }),
        ),
        (
            "/v1/invoices/create_preview",
            json!({ "subscription": id(&subscription), "subscription_details": { "billing_mode": classic } }),
        ),
        (path.as_str(), json!({ "billing_mode": { "type": FLEXIBLE } })),
    ] {
        shop.refused(400, "POST", path, params).await;
    }
}

/// 3 × 10.00 for April, changed after 10 of 30 days: 20.00 come back, and of a year from 1 April, 3 × 96.00, 355 of 365 days are charged:
/// 280.10. Back again at the same second, all of it comes back, and 20 of 30 days are charged.
#[tokio::test]
async fn the_anchor_stays_when_the_interval_changes() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    let annual = id(&shop.price(9600, "year").await);
    let subscription = shop.in_mode(FLEXIBLE, &shop.monthly, 3).await;
    shop.advance("2026-04-11T00:00:00Z").await;
    let (invoice, changed) = shop
        .changed(&subscription, json!({ "price": annual, "quantity": 3 }))
        .await;
    assert_eq!(amounts(&invoice), [-2000, 28_010]);
    assert_eq!(changed["billing_cycle_anchor"], day("2026-04-01"));
    assert_eq!(
        changed["items"]["data"][0]["current_period_end"],
        day("2027-04-01")
    );
    let (invoice, changed) = shop
        .changed(&changed, json!({ "price": shop.monthly, "quantity": 3 }))
        .await;
    assert_eq!(amounts(&invoice), [-28_010, 2000]);
    assert_eq!(
        changed["items"]["data"][0]["current_period_end"],
        day("2026-05-01")
    );
}

/// A year from 1 April that becomes months on 13 June: they go on being counted from the first of a month.
#[tokio::test]
async fn a_year_becomes_months_of_the_old_anchor() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    let annual = id(&shop.price(9600, "year").await);
    let subscription = shop.in_mode(FLEXIBLE, &annual, 1).await;
    shop.advance("2026-06-13T00:00:00Z").await;
    let (invoice, changed) = shop
        .changed(&subscription, json!({ "price": shop.monthly }))
        .await;
    assert_eq!(amounts(&invoice), [-7680, 600]);
    assert_eq!(
        changed["items"]["data"][0]["current_period_end"],
        day("2026-07-01")
    );
}

/// Stripe's own example, in thirds: raised without prorations, lowered with. What nobody was billed for is not given back.
#[tokio::test]
async fn what_was_never_debited_is_not_credited() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    let price = id(&shop.price(900, "month").await);
    let subscription = shop.in_mode(FLEXIBLE, &price, 1).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = &subscription["items"]["data"][0]["id"];
    let raised = json!({ "items": [{ "id": item, "quantity": 2 }], "proration_behavior": "none" });
    shop.post(&path, raised).await;
    shop.advance("2026-04-11T00:00:00Z").await;
    let (invoice, _) = shop.changed(&subscription, json!({ "quantity": 1 })).await;
    assert_eq!(amounts(&invoice), [-600, 600]);
}

/// 1 × 10.00 from 11 April is 6.66 of 6.67; on the 21st half of that is left, 3.33. In the classic mode a third of 10.00 is, 3.34 rounded down.
#[tokio::test]
async fn a_credit_is_a_share_of_the_debit_or_of_the_price() {
    for (mode, credited) in [(CLASSIC, -334), (FLEXIBLE, -333)] {
        let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
        let mut subscription = shop.in_mode(mode, &shop.monthly, 2).await;
        shop.advance("2026-04-11T00:00:00Z").await;
        let (invoice, changed) = shop.changed(&subscription, json!({ "quantity": 1 })).await;
        assert_eq!(amounts(&invoice), [-1334, 666], "{mode}");
        subscription = changed;
        shop.advance("2026-04-21T00:00:00Z").await;
        let (invoice, _) = shop.changed(&subscription, json!({ "quantity": 3 })).await;
        assert_eq!(amounts(&invoice), [credited, 1000], "{mode}");
    }
}

/// As Stripe's portal ends it: by its date, which does not move with the period, and the switch stays off.
#[tokio::test]
async fn an_end_by_its_date_is_no_end_with_the_period() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    for (mode, switch) in [(CLASSIC, true), (FLEXIBLE, false)] {
        let subscription = shop.in_mode(mode, &shop.monthly, 1).await;
        let path = format!("/v1/subscriptions/{}", id(&subscription));
        let ended = shop.post(&path, json!({ "cancel_at": day("2026-05-01") })).await;
        assert_eq!(ended["cancel_at_period_end"], switch, "{mode}");
        assert_eq!(ended["cancel_at"], day("2026-05-01"), "{mode}");
    }
}

/// What is migrated is flexible from then on.
#[tokio::test]
async fn a_subscription_that_is_migrated_keeps_its_anchor() {
    let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
    let annual = id(&shop.price(9600, "year").await);
    let subscription = shop.in_mode(CLASSIC, &shop.monthly, 3).await;
    shop.advance("2026-04-11T00:00:00Z").await;
    let path = format!("/v1/subscriptions/{}/migrate", id(&subscription));
    let migrated = shop
        .post(&path, json!({ "billing_mode": { "type": FLEXIBLE } }))
        .await;
    assert_eq!(migrated["billing_mode"]["updated_at"], day("2026-04-11"));
    let (invoice, _) = shop
        .changed(&migrated, json!({ "price": annual, "quantity": 3 }))
        .await;
    assert_eq!(amounts(&invoice), [-2000, 28_010]);
}
