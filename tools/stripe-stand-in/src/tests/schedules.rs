//! Subscription schedules by the clock: begun, led through phases, and over. What calls do to them is in `schedule_calls`.

use serde_json::{Value, json};

use super::harness::{Shop, at, day, id};

pub(super) const SCHEDULES: &str = "/v1/subscription_schedules";

pub(super) fn path(schedule: &Value) -> String {
    format!("{SCHEDULES}/{}", id(schedule))
}

impl Shop {
    /// A customer with a card, so that invoices are paid by themselves.
    pub(super) async fn payer(&self) -> String {
        let params = json!({
            "email": "ada@example.com",
            "payment_method": "pm_card_visa",
            "invoice_settings": { "default_payment_method": "pm_card_visa" },
        });
        id(&self.post("/v1/customers", params).await)
    }

    pub(super) fn phase(&self, quantity: u64, months: u64) -> Value {
        json!({
            "items": [{ "price": self.monthly, "quantity": quantity }],
            "duration": { "interval": "month", "interval_count": months },
        })
    }

    pub(super) async fn schedule(&self, customer: &str, start: Value, phases: Value) -> Value {
        let mode = json!({ "type": "classic" });
        let params =
            json!({ "customer": customer, "start_date": start, "phases": phases, "billing_mode": mode });
        self.post(SCHEDULES, params).await
    }

    pub(super) async fn subscription_of(&self, schedule: &Value) -> Value {
        let schedule = self.get(&path(schedule)).await;
        let id = schedule["subscription"]
            .as_str()
            .expect("it has begun")
            .to_owned();
        self.get(&format!("/v1/subscriptions/{id}")).await
    }
}

pub(super) fn totals(invoices: &[Value]) -> Vec<i64> {
    invoices
        .iter()
        .map(|invoice| invoice["total"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_schedule_begins_when_its_time_has_come() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let made = shop
        .schedule(&customer, json!(day("2026-12-10")), json!([shop.phase(3, 2)]))
        .await;
    assert_eq!(
        (&made["status"], &made["subscription"]),
        (&json!("not_started"), &Value::Null)
    );
    assert_eq!(
        (&made["current_phase"], &made["end_behavior"]),
        (&Value::Null, &json!("release"))
    );
    let phase = &made["phases"][0];
    assert_eq!(
        (&phase["start_date"], &phase["end_date"], &phase["currency"]),
        (
            &json!(day("2026-12-10")),
            &json!(day("2027-02-10")),
            &json!("usd")
        )
    );
    assert_eq!(phase["items"][0]["plan"]["object"], "plan");
    let nothing = shop.events_of(shop.advance("2026-12-09T23:59:59Z")).await;
    assert_eq!(nothing, Vec::<String>::new());

    let beginning = shop.events_of(shop.advance("2026-12-10T00:00:00Z")).await;
    assert_eq!(
        beginning,
        [
            "customer.subscription.created",
            "invoice.created",
            "subscription_schedule.updated"
        ]
    );
    let begun = shop.get(&path(&made)).await;
    assert_eq!(begun["status"], "active");
    assert_eq!(
        begun["current_phase"],
        json!({ "start_date": day("2026-12-10"), "end_date": day("2027-02-10") })
    );
    let subscription = shop.subscription_of(&made).await;
    assert_eq!(
        (&subscription["status"], &subscription["schedule"]),
        (&json!("active"), &made["id"])
    );
    let first = &shop.stripe.invoices_of(&customer)[0];
    assert_eq!(
        (&first["status"], &first["billing_reason"], &first["total"]),
        (&json!("draft"), &json!("subscription_create"), &json!(3000)),
        "a draft for an hour"
    );
    shop.advance("2026-12-10T01:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&customer)[0]["status"], "paid");
}

#[tokio::test]
async fn one_that_starts_now_has_begun_in_the_answer() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let making = shop
        .events_of(async {
            let made = shop
                .schedule(&customer, json!("now"), json!([shop.phase(3, 1)]))
                .await;
            assert_eq!(made["status"], "active");
            let expand = json!({ "expand": ["subscription", "phases.items.price"] });
            let whole = shop.list(&path(&made), expand).await;
            assert_eq!(whole["subscription"]["object"], "subscription");
            assert_eq!(whole["phases"][0]["items"][0]["price"]["unit_amount"], 1000);
        })
        .await;
    assert_eq!(
        making,
        [
            "subscription_schedule.created",
            "customer.subscription.created",
            "invoice.created",
            "subscription_schedule.updated"
        ]
    );
}

/// Two months of three numbers, then five: 30.00, 30.00, 50.00; let go after the third month, it renews at 50.00.
#[tokio::test]
async fn a_phase_that_ends_with_a_period_comes_before_the_renewal() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let made = shop
        .schedule(
            &customer,
            json!("now"),
            json!([shop.phase(3, 2), shop.phase(5, 1)]),
        )
        .await;
    shop.advance("2027-02-01T02:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000, 3000, 5000]);
    let second = shop.get(&path(&made)).await;
    assert_eq!(second["current_phase"]["start_date"], day("2027-02-01"));
    let releasing = shop.events_of(shop.advance("2027-03-01T02:00:00Z")).await;
    assert_eq!(
        releasing[..2],
        ["customer.subscription.updated", "subscription_schedule.released"],
        "{releasing:?}"
    );
    assert_eq!(
        totals(&shop.stripe.invoices_of(&customer)),
        [3000, 3000, 5000, 5000]
    );
    let released = shop.get(&path(&made)).await;
    assert_eq!(
        (
            &released["status"],
            &released["subscription"],
            &released["current_phase"]
        ),
        (&json!("released"), &Value::Null, &Value::Null)
    );
    assert_eq!(released["released_at"], day("2027-03-01"));
    let own = released["released_subscription"].as_str().unwrap();
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{own}")).await["schedule"],
        Value::Null
    );
}

/// A month, then a year: 30.00 in December, 288.00 in January, and nothing more until the next.
#[tokio::test]
async fn a_phase_of_another_interval_begins_a_cycle_of_its_own() {
    let shop = Shop::open_at("2026-12-15T00:00:00Z").await;
    let customer = shop.payer().await;
    let year = json!({ "items": [{ "price": shop.annual, "quantity": 3 }] });
    let made = shop
        .schedule(&customer, json!("now"), json!([shop.phase(3, 1), year]))
        .await;
    shop.advance("2027-12-01T00:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000, 28_800]);
    let subscription = shop.subscription_of(&made).await;
    assert_eq!(
        subscription["items"]["data"][0]["current_period_end"],
        day("2028-01-15")
    );
    assert_eq!(
        shop.get(&path(&made)).await["current_phase"]["end_date"],
        day("2028-01-15")
    );
}

/// From three to five numbers 10 of December's 31 days and 8 hours in, with two thirds left: −20.00 + 33.33, then 50.00 in
/// January. 5 × 10.00 × 2/3 = 33.333… → 33.33.
#[tokio::test]
async fn a_phase_that_begins_within_a_period_is_prorated() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let third = at("2026-12-11T08:00:00Z").as_second();
    let mut first = shop.phase(3, 1);
    first.as_object_mut().unwrap().remove("duration");
    first["end_date"] = json!(third);
    let mut second = shop.phase(5, 3);
    for (behavior, expected) in [
        ("always_invoice", vec![3000, 1333, 5000]),
        ("create_prorations", vec![3000, 5000 + 1333]),
        ("none", vec![3000, 5000]),
    ] {
        let shop = Shop::open().await;
        let customer = shop.payer().await;
        second["proration_behavior"] = json!(behavior);
        shop.schedule(&customer, json!("now"), json!([first, second]))
            .await;
        shop.advance("2027-01-02T00:00:00Z").await;
        assert_eq!(
            totals(&shop.stripe.invoices_of(&customer)),
            expected,
            "{behavior}"
        );
    }
    assert_eq!(shop.stripe.invoices_of(&customer), Vec::<Value>::new());
}

#[tokio::test]
async fn after_the_last_phase_a_subscription_may_end() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let params = json!({
        "customer": customer, "start_date": "now", "end_behavior": "cancel", "phases": [shop.phase(3, 1)],
    });
    let made = shop.post(SCHEDULES, params).await;
    shop.advance("2026-12-31T00:00:00Z").await;
    let ending = shop.events_of(shop.advance("2027-02-02T00:00:00Z")).await;
    assert_eq!(
        ending,
        ["customer.subscription.deleted", "subscription_schedule.completed"]
    );
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000]);
    let completed = shop.get(&path(&made)).await;
    assert_eq!(
        (&completed["status"], &completed["completed_at"]),
        (&json!("completed"), &json!(day("2027-01-01")))
    );
}

/// 30.00 less 20 % in the first phase's month; 30.00 after it.
#[tokio::test]
async fn a_phase_has_its_own_discounts() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let params = json!({ "percent_off": 20, "duration": "forever" });
    let fifth = id(&shop.post("/v1/coupons", params).await);
    let mut first = shop.phase(3, 1);
    first["discounts"] = json!([{ "coupon": fifth }]);
    let made = shop
        .schedule(
            &customer,
            json!(day("2026-12-05")),
            json!([first, shop.phase(3, 1)]),
        )
        .await;
    assert_eq!(made["phases"][0]["discounts"][0]["coupon"], json!(fifth));
    let coupon = format!("/v1/coupons/{fifth}");
    assert_eq!(
        shop.get(&coupon).await["times_redeemed"],
        0,
        "not before it begins"
    );
    shop.advance("2027-01-05T02:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [2400, 3000]);
    assert_eq!(shop.get(&coupon).await["times_redeemed"], 1);
}

#[tokio::test]
async fn a_coupon_that_has_expired_meanwhile_does_not_stop_a_start() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let params = json!({ "percent_off": 20, "redeem_by": day("2026-12-04") });
    let fifth = id(&shop.post("/v1/coupons", params).await);
    let mut phase = shop.phase(3, 1);
    phase["discounts"] = json!([{ "coupon": fifth }]);
    shop.schedule(&customer, json!(day("2026-12-05")), json!([phase]))
        .await;
    shop.post(
        &format!("/v1/prices/{}", shop.monthly),
        json!({ "active": false }),
    )
    .await;
    shop.advance("2026-12-05T02:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000]);
}

#[tokio::test]
async fn automatic_tax_needs_to_know_where_the_customer_is() {
    let shop = Shop::open().await;
    let (nowhere, somewhere) = (shop.payer().await, shop.payer().await);
    let address = json!({ "address": { "country": "DE", "postal_code": "10115" } });
    shop.post(&format!("/v1/customers/{somewhere}"), address).await;
    let mut phase = shop.phase(3, 1);
    phase["automatic_tax"] = json!({ "enabled": true });
    for (customer, enabled, reason) in [
        (&nowhere, false, json!("requires_location_inputs")),
        (&somewhere, true, Value::Null),
    ] {
        let made = shop.schedule(customer, json!("now"), json!([phase])).await;
        assert_eq!(made["phases"][0]["automatic_tax"]["enabled"], true);
        let subscription = shop.subscription_of(&made).await;
        let tax = &subscription["automatic_tax"];
        assert_eq!(
            (&tax["enabled"], &tax["disabled_reason"]),
            (&json!(enabled), &reason)
        );
        let invoice = &shop.stripe.invoices_of(customer)[0];
        assert_eq!(invoice["automatic_tax"]["enabled"], enabled);
    }
    let (_, subscription) = shop.subscriber().await;
    let params = json!({ "automatic_tax": { "enabled": true } });
    let error = shop
        .refused(400, "POST", &format!("/v1/subscriptions/{subscription}"), params)
        .await;
    assert_eq!(error["code"], "customer_tax_location_invalid");
}

/// Three schedules on one day, made in another order, begun in the order of their time.
#[tokio::test]
async fn one_long_step_begins_them_in_the_order_of_their_time() {
    let shop = Shop::open().await;
    let mut expected = Vec::new();
    for hour in ["03", "01", "02"] {
        let customer = shop.payer().await;
        let start = at(&format!("2026-12-10T{hour}:00:00Z")).as_second();
        let made = shop
            .schedule(&customer, json!(start), json!([shop.phase(1, 1)]))
            .await;
        expected.push((start, id(&made)));
    }
    expected.sort();
    shop.advance("2027-01-20T00:00:00Z").await;
    let begun: Vec<(i64, String)> = shop
        .stripe
        .events()
        .iter()
        .filter(|event| event["type"] == "customer.subscription.created")
        .map(|event| {
            (
                event["created"].as_i64().unwrap(),
                event["data"]["object"]["schedule"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(begun, expected);
}

/// As above, with the price archived before the second phase begins: what stays goes on. −20.00 + 33.33.
#[tokio::test]
async fn an_archived_price_goes_on_in_the_next_phase() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let mut first = shop.phase(3, 1);
    first.as_object_mut().unwrap().remove("duration");
    first["end_date"] = json!(at("2026-12-11T08:00:00Z").as_second());
    let mut second = shop.phase(5, 1);
    second["proration_behavior"] = json!("always_invoice");
    shop.schedule(&customer, json!("now"), json!([first, second]))
        .await;
    shop.post(
        &format!("/v1/prices/{}", shop.monthly),
        json!({ "active": false }),
    )
    .await;
    shop.advance("2026-12-12T00:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000, 1333]);
}

/// What runs goes on when its product is archived; nothing begins with it, and no phase is written with it.
#[tokio::test]
async fn a_product_that_is_archived_is_in_no_new_phase() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let later = shop
        .schedule(&customer, json!(day("2026-12-15")), json!([shop.phase(3, 1)]))
        .await;
    let product = format!("/v1/products/{}", shop.product);
    shop.post(&product, json!({ "active": false })).await;
    let mut phase = shop.phase(3, 1);
    phase["start_date"] = json!(day("2026-12-16"));
    let phases = json!({ "phases": [phase] });
    let error = shop.refused(400, "POST", &path(&later), phases).await;
    let words = format!(
        "The product {} is marked as inactive, and thus no new subscriptions can be created to any plans of this product. \
         You provided the plan {}.",
        shop.product, shop.monthly
    );
    assert_eq!(
        (&error["message"], &error["param"]),
        (&json!(words), &json!("phases[0][items][0][price]"))
    );
    shop.advance("2026-12-16T00:00:00Z").await;
    assert_eq!(shop.subscription_of(&later).await["status"], "active");
}
