//! Subscription schedules: begun by the clock, led through phases, rewritten, let go and cancelled.

use serde_json::{Value, json};

use super::harness::{Shop, at, day, id};

const SCHEDULES: &str = "/v1/subscription_schedules";

fn path(schedule: &Value) -> String {
    format!("{SCHEDULES}/{}", id(schedule))
}

impl Shop {
    /// A customer with a card, so that invoices are paid by themselves.
    async fn payer(&self) -> String {
        let params = json!({
            "email": "ada@example.com",
            "payment_method": "pm_card_visa",
            "invoice_settings": { "default_payment_method": "pm_card_visa" },
        });
        id(&self.post("/v1/customers", params).await)
    }

    fn phase(&self, quantity: u64, months: u64) -> Value {
        json!({
            "items": [{ "price": self.monthly, "quantity": quantity }],
            "duration": { "interval": "month", "interval_count": months },
        })
    }

    async fn schedule(&self, customer: &str, start: Value, phases: Value) -> Value {
        let params = json!({ "customer": customer, "start_date": start, "phases": phases });
        self.post(SCHEDULES, params).await
    }

    async fn subscription_of(&self, schedule: &Value) -> Value {
        let schedule = self.get(&path(schedule)).await;
        let id = schedule["subscription"]
            .as_str()
            .expect("it has begun")
            .to_owned();
        self.get(&format!("/v1/subscriptions/{id}")).await
    }
}

fn totals(invoices: &[Value]) -> Vec<i64> {
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

#[tokio::test]
async fn what_has_not_begun_is_rewritten() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let made = shop
        .schedule(&customer, json!(day("2026-12-10")), json!([shop.phase(3, 1)]))
        .await;
    let mut phase = shop.phase(7, 1);
    let error = shop
        .refused(400, "POST", &path(&made), json!({ "phases": [phase] }))
        .await;
    assert_eq!(error["param"], "phases[0][start_date]");
    phase["start_date"] = json!(day("2026-12-20"));
    let telling = shop
        .events_of(async {
            let rewritten = shop.post(&path(&made), json!({ "phases": [phase] })).await;
            assert_eq!(rewritten["phases"][0]["start_date"], day("2026-12-20"));
        })
        .await;
    assert_eq!(telling, ["subscription_schedule.updated"]);
    let early = shop.events_of(shop.advance("2026-12-19T00:00:00Z")).await;
    assert_eq!(early, Vec::<String>::new(), "the old start is forgotten");
    shop.advance("2026-12-20T01:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [7000]);
}

/// Five numbers instead of three from two thirds of December left: −20.00 + 33.33 at once.
#[tokio::test]
async fn the_current_phase_is_rewritten_at_once() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let made = shop
        .schedule(&customer, json!("now"), json!([shop.phase(3, 2)]))
        .await;
    shop.advance("2026-12-11T08:00:00Z").await;
    let mut phase = shop.phase(5, 2);
    phase["start_date"] = json!(day("2026-12-02"));
    let error = shop
        .refused(400, "POST", &path(&made), json!({ "phases": [phase] }))
        .await;
    assert_eq!(
        error["message"],
        "You can not modify the start date of the current phase."
    );
    phase["start_date"] = json!(day("2026-12-01"));
    let params = json!({ "phases": [phase], "proration_behavior": "always_invoice" });
    let telling = shop
        .events_of(async {
            shop.post(&path(&made), params).await;
        })
        .await;
    assert!(
        telling.contains(&"customer.subscription.updated".to_owned())
            && telling.last().unwrap() == "subscription_schedule.updated",
        "{telling:?}"
    );
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000, 1333]);
    assert_eq!(
        shop.subscription_of(&made).await["items"]["data"][0]["quantity"],
        5
    );
    let again = json!({ "phases": [phase], "metadata": { "note": "the same" } });
    shop.post(&path(&made), again).await;
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        2,
        "what is the same costs nothing"
    );
}

#[tokio::test]
async fn one_is_let_go_or_cancelled_only_while_it_lives() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let waiting = shop
        .schedule(&customer, json!(day("2026-12-10")), json!([shop.phase(3, 1)]))
        .await;
    let canceled = shop.post(&format!("{}/cancel", path(&waiting)), json!({})).await;
    assert_eq!(
        (&canceled["status"], &canceled["canceled_at"]),
        (&json!("canceled"), &json!(day("2026-12-01")))
    );
    for act in ["cancel", "release"] {
        let error = shop
            .refused(400, "POST", &format!("{}/{act}", path(&waiting)), json!({}))
            .await;
        assert!(
            error["message"].as_str().unwrap().contains("`canceled` status"),
            "{error}"
        );
    }
    shop.refused(400, "POST", &path(&waiting), json!({ "metadata": { "a": "b" } }))
        .await;
    shop.advance("2026-12-11T00:00:00Z").await;
    assert_eq!(shop.stripe.invoices_of(&customer), Vec::<Value>::new());

    let running = shop
        .schedule(&customer, json!("now"), json!([shop.phase(3, 1)]))
        .await;
    let released = shop.post(&format!("{}/release", path(&running)), json!({})).await;
    assert_eq!(
        (&released["status"], &released["released_subscription"]),
        (&json!("released"), &running["subscription"])
    );
    let listed = shop
        .list(
            SCHEDULES,
            json!({ "customer": customer, "released_at": { "gte": 1 } }),
        )
        .await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["id"], running["id"]);
    shop.refused(404, "GET", "/v1/subscription_schedules/sub_sched_none", json!({}))
        .await;
}

/// Cancelled with two thirds of December left: 20.00 come back, invoiced at once into the customer's balance.
#[tokio::test]
async fn cancelling_one_that_runs_ends_its_subscription_and_settles_up() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let made = shop
        .schedule(&customer, json!("now"), json!([shop.phase(3, 1)]))
        .await;
    shop.advance("2026-12-11T08:00:00Z").await;
    let subscription = shop.subscription_of(&made).await;
    let canceled = shop.post(&format!("{}/cancel", path(&made)), json!({})).await;
    assert_eq!(canceled["status"], "canceled");
    let ended = shop
        .get(&format!("/v1/subscriptions/{}", id(&subscription)))
        .await;
    assert_eq!(ended["status"], "canceled");
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000, -2000]);
    assert_eq!(
        shop.get(&format!("/v1/customers/{customer}")).await["balance"],
        -2000
    );

    let other = shop
        .schedule(&customer, json!("now"), json!([shop.phase(1, 1)]))
        .await;
    let plainly = json!({ "prorate": false, "invoice_now": false });
    shop.post(&format!("{}/cancel", path(&other)), plainly).await;
    assert_eq!(
        shop.stripe.invoices_of(&customer).len(),
        3,
        "the first invoice alone"
    );
}

#[tokio::test]
async fn when_a_subscription_ends_is_its_schedules_to_say() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let made = shop
        .schedule(&customer, json!("now"), json!([shop.phase(3, 6)]))
        .await;
    let own = format!("/v1/subscriptions/{}", made["subscription"].as_str().unwrap());
    let schedule = id(&made);
    for params in [
        json!({ "cancel_at_period_end": true }),
        json!({ "cancel_at": day("2027-01-15") }),
    ] {
        let error = shop.refused(400, "POST", &own, params).await;
        assert_eq!(
            error["message"],
            format!(
                "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation \
                 behavior directly is not allowed. Please update the schedule instead."
            )
        );
    }
    shop.post(&own, json!({ "metadata": { "a": "b" } })).await;
    let ending = shop
        .events_of(async {
            shop.call("DELETE", &own, json!({})).await;
        })
        .await;
    assert_eq!(
        ending,
        ["customer.subscription.deleted", "subscription_schedule.canceled"]
    );
}

#[tokio::test]
async fn a_running_subscription_can_be_given_a_schedule() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.advance("2026-12-05T00:00:00Z").await;
    let made = shop
        .post(SCHEDULES, json!({ "from_subscription": subscription }))
        .await;
    assert_eq!(
        (&made["status"], &made["subscription"]),
        (&json!("active"), &json!(subscription))
    );
    assert_eq!(
        made["current_phase"],
        json!({ "start_date": day("2026-12-01"), "end_date": day("2027-01-01") })
    );
    for (params, param) in [
        (json!({ "from_subscription": subscription }), "from_subscription"),
        (
            json!({ "from_subscription": subscription, "end_behavior": "cancel" }),
            "end_behavior",
        ),
        (json!({ "from_subscription": "sub_none" }), "from_subscription"),
    ] {
        let error = shop.refused(400, "POST", SCHEDULES, params).await;
        assert_eq!(error["param"], param, "{error}");
    }
    // A downgrade at the period's end, the most common use of all: 30.00, then 10.00.
    let mut first = shop.phase(3, 1);
    first.as_object_mut().unwrap().remove("duration");
    first["start_date"] = json!(day("2026-12-01"));
    first["end_date"] = json!(day("2027-01-01"));
    let params = json!({ "phases": [first, shop.phase(1, 1)] });
    shop.post(&path(&made), params).await;
    shop.advance("2027-01-01T02:00:00Z").await;
    assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000, 1000]);
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

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_name() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let with = |member: &str, value: Value| {
        let mut phase = shop.phase(3, 1);
        phase[member] = value;
        json!({ "customer": customer, "start_date": "now", "phases": [phase] })
    };
    for (params, param) in [
        (
            json!({ "start_date": "now", "phases": [shop.phase(1, 1)] }),
            "customer",
        ),
        (json!({ "customer": customer, "start_date": "now" }), "phases"),
        (with("iterations", json!(3)), "phases[0][iterations]"),
        (with("coupon", json!("HALF")), "phases[0][coupon]"),
        (with("end_date", json!(day("2027-01-01"))), "phases[0][duration]"),
        (with("trial", json!(true)), "phases[0][trial]"),
        (
            with("items", json!([{ "price": "price_none" }])),
            "phases[0][items][0][price]",
        ),
        (
            with("discounts", json!([{ "coupon": "NONE" }])),
            "phases[0][discounts][0][coupon]",
        ),
        (
            json!({ "customer": customer, "start_date": day("2026-11-01"), "phases": [shop.phase(1, 1)] }),
            "start_date",
        ),
        (
            json!({ "customer": "cus_none", "start_date": "now", "phases": [shop.phase(1, 1)] }),
            "customer",
        ),
    ] {
        let error = shop.refused(400, "POST", SCHEDULES, params.clone()).await;
        assert_eq!(error["param"], param, "{params}: {error}");
    }
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
