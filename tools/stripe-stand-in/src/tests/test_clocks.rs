//! Test clocks: customers that live by a time of their own.

use serde_json::{Value, json};

use super::harness::{Listener, START, Shop, at, call, day, id};
use crate::api::Call;

const CLOCKS: &str = "/v1/test_helpers/test_clocks";

impl Shop {
    async fn clock(&self, frozen: &str) -> String {
        let params = json!({ "frozen_time": at(frozen).as_second(), "name": "A year of Ada" });
        id(&self.post(CLOCKS, params).await)
    }

    async fn advance_clock(&self, clock: &str, to: &str) -> Value {
        let params = json!({ "frozen_time": at(to).as_second() });
        self.post(&format!("{CLOCKS}/{clock}/advance"), params).await
    }

    /// A customer with a card who lives by a test clock.
    async fn customer_of(&self, clock: &str, card: &str) -> String {
        let params = json!({
            "test_clock": clock, "payment_method": card, "invoice_settings": { "default_payment_method": card },
        });
        id(&self.post("/v1/customers", params).await)
    }

    async fn subscribe(&self, customer: &str) -> String {
        let params = json!({ "customer": customer, "items": [{ "price": self.monthly, "quantity": 3 }] });
        id(&self.post("/v1/subscriptions", params).await)
    }
}

fn created(invoices: &[Value]) -> Vec<i64> {
    invoices
        .iter()
        .map(|invoice| invoice["created"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_subscription_renews_by_the_clock_of_its_customer_alone() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-05-31T00:00:00Z").await;
    let (own, other) = (
        shop.customer_of(&clock, "pm_card_visa").await,
        shop.subscriber().await.0,
    );
    let subscription = shop.subscribe(&own).await;
    let begun = shop.get(&format!("/v1/subscriptions/{subscription}")).await;
    assert_eq!(
        (&begun["created"], &begun["test_clock"], &begun["status"]),
        (&json!(day("2030-05-31")), &json!(clock), &json!("active"))
    );
    let advanced = shop.advance_clock(&clock, "2030-09-01T00:00:00Z").await;
    assert_eq!(advanced["status"], "advancing");
    let ready = shop.get(&format!("{CLOCKS}/{clock}")).await;
    assert_eq!(
        (&ready["status"], &ready["frozen_time"]),
        (&json!("ready"), &json!(day("2030-09-01")))
    );
    assert_eq!(
        created(&shop.stripe.invoices_of(&own)),
        ["2030-05-31", "2030-06-30", "2030-07-31", "2030-08-31"].map(day)
    );
    assert_eq!(shop.stripe.invoices_of(&other).len(), 1);
    assert_eq!(
        shop.stripe.clock().now(),
        at(START),
        "the stack's clock stands still"
    );

    shop.advance("2027-01-02T00:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&own).len(), 4, "and moves no other");
    assert_eq!(shop.stripe.invoices_of(&other).len(), 2);
    let customer = shop.get(&format!("/v1/customers/{own}")).await;
    assert_eq!(customer["test_clock"], json!(clock));
}

/// Attempts an hour after the month's end, then after 3, 5 and 7 days; then it is given up.
#[tokio::test]
async fn retries_come_one_by_one_and_each_at_its_time() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let customer = shop.customer_of(&clock, "pm_card_visa").await;
    let subscription = shop.subscribe(&customer).await;
    shop.stripe
        .set_card(&customer, "pm_card_chargeCustomerFail")
        .unwrap();
    shop.advance_clock(&clock, "2030-03-01T00:00:00Z").await;
    let ended = shop.get(&format!("/v1/subscriptions/{subscription}")).await;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&json!("canceled"), &json!(at("2030-02-16T01:00:00Z").as_second()))
    );
    assert_eq!(shop.stripe.invoices_of(&customer)[1]["attempt_count"], 4);
}

#[tokio::test]
async fn schedules_sessions_and_discounts_live_by_it_too() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let customer = shop.customer_of(&clock, "pm_card_visa").await;
    let params = json!({ "percent_off": 50, "duration": "repeating", "duration_in_months": 1 });
    let half = id(&shop.post("/v1/coupons", params).await);
    let session = shop.session(&customer, &shop.monthly, 1).await;
    assert_eq!(session["expires_at"], day("2030-01-02"));
    let schedule = shop
        .post(
            "/v1/subscription_schedules",
            json!({
                "customer": customer,
                "start_date": day("2030-01-10"),
                "phases": [{
                    "items": [{ "price": shop.monthly, "quantity": 3 }],
                    "discounts": [{ "coupon": half }],
                    "duration": { "interval": "month", "interval_count": 2 },
                }],
            }),
        )
        .await;
    let happened = shop
        .events_of(async {
            shop.advance_clock(&clock, "2030-02-10T01:00:00Z").await;
        })
        .await;
    let order: Vec<&str> = happened
        .iter()
        .map(String::as_str)
        .filter(|kind| {
            !kind.starts_with("payment_intent") && !kind.starts_with("charge") && !kind.starts_with("invoice")
        })
        .collect();
    assert_eq!(
        order,
        [
            "test_helpers.test_clock.advancing",
            "checkout.session.expired",
            "customer.discount.created",
            "customer.subscription.created",
            "subscription_schedule.updated",
            "customer.discount.deleted",
            "customer.subscription.updated",
            "customer.subscription.updated",
            "test_helpers.test_clock.ready",
        ]
    );
    let totals: Vec<Value> = shop
        .stripe
        .invoices_of(&customer)
        .iter()
        .map(|invoice| invoice["total"].clone())
        .collect();
    assert_eq!(totals, [1500, 3000]);
    let begun = shop
        .get(&format!("/v1/subscription_schedules/{}", id(&schedule)))
        .await;
    assert_eq!(
        (&begun["status"], &begun["test_clock"]),
        (&json!("active"), &json!(clock))
    );
}

/// A preview of the next invoice is of the customer's time: half of January's 31 days are left, 3 × 10.00 back and 5 × 10.00.
#[tokio::test]
async fn changes_are_prorated_by_it() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let customer = shop.customer_of(&clock, "pm_card_visa").await;
    let subscription = shop.subscribe(&customer).await;
    shop.advance_clock(&clock, "2030-01-16T12:00:00Z").await;
    let path = format!("/v1/subscriptions/{subscription}");
    let item = shop.get(&path).await["items"]["data"][0]["id"].clone();
    let items = json!([{ "id": item, "quantity": 5 }]);
    let params = json!({
        "subscription": subscription,
        "subscription_details": { "items": items, "proration_behavior": "always_invoice" },
    });
    let preview = shop.post("/v1/invoices/create_preview", params).await;
    assert_eq!(preview["total"], 2500 - 1500);
    let params = json!({ "quantity": 5, "proration_behavior": "always_invoice" });
    let path = format!("/v1/subscription_items/{}", item.as_str().unwrap());
    shop.post(&path, params).await;
    let charged = shop.stripe.invoices_of(&customer).pop().unwrap();
    assert_eq!(
        (&charged["total"], &charged["created"]),
        (&json!(1000), &json!(at("2030-01-16T12:00:00Z").as_second()))
    );
}

#[tokio::test]
async fn its_events_are_told_by_the_stacks_clock() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    shop.stripe.add_webhook(&listener.url, &["invoice.paid"], false);
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let customer = shop.customer_of(&clock, "pm_card_visa").await;
    shop.subscribe(&customer).await;
    shop.advance_clock(&clock, "2030-02-02T00:00:00Z").await;
    shop.stripe.settle().await;
    assert_eq!(listener.types(), ["invoice.paid", "invoice.paid"]);
    assert_eq!(listener.heard()[1].event()["created"], day("2026-12-01"));
}

#[tokio::test]
async fn customers_of_a_clock_are_listed_with_it_only() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let own = shop.customer_of(&clock, "pm_card_visa").await;
    shop.subscribe(&own).await;
    let (other, _) = shop.subscriber().await;
    for (kind, member) in [("customers", "id"), ("subscriptions", "customer")] {
        let path = format!("/v1/{kind}");
        for (params, expected) in [(json!({}), &other), (json!({ "test_clock": clock }), &own)] {
            let listed = shop.list(&path, params).await;
            let found = listed["data"].as_array().unwrap();
            assert_eq!((found.len(), &found[0][member]), (1, &json!(expected)));
        }
    }
    let listed = shop.list("/v1/subscriptions", json!({ "customer": own })).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn it_moves_forward_only_and_in_its_own_world() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let path = format!("{CLOCKS}/{clock}/advance");
    for params in [json!({}), json!({ "frozen_time": day("2030-01-01") })] {
        let error = shop.refused(400, "POST", &path, params).await;
        assert_eq!(error["param"], "frozen_time");
    }
    shop.refused(404, "GET", &format!("{CLOCKS}/clock_none"), json!({}))
        .await;
    let error = shop
        .refused(
            400,
            "POST",
            "/v1/customers",
            json!({ "test_clock": "clock_none" }),
        )
        .await;
    assert_eq!(error["param"], "test_clock");
    let agency = id(&shop.post("/v1/accounts", json!({ "type": "standard" })).await);
    let elsewhere = Call {
        account: Some(agency),
        ..call("GET", &format!("{CLOCKS}/{clock}"), &json!({}))
    };
    assert_eq!(shop.send(elsewhere).await.status, 404);
}

#[tokio::test]
async fn a_snapshot_keeps_what_is_due_by_it() {
    let shop = Shop::open().await;
    let clock = shop.clock("2030-01-01T00:00:00Z").await;
    let customer = shop.customer_of(&clock, "pm_card_visa").await;
    shop.subscribe(&customer).await;
    let snapshot = shop.stripe.snapshot().unwrap();
    shop.stripe.restore(snapshot).unwrap();
    shop.advance_clock(&clock, "2030-02-02T00:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&customer).len(), 2);
}
