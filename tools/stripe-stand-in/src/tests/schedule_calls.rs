//! Subscription schedules by call: rewritten, let go, cancelled, made of a running subscription, refused.

use serde_json::{Value, json};

use super::harness::{Shop, day, id};
use super::schedules::{SCHEDULES, path, totals};

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

/// Made so, or rewritten so before it has begun: the subscription begins then, its periods count from there, and the first is billed whole.
#[tokio::test]
async fn a_start_in_the_past_is_when_it_begins() {
    let shop = Shop::open().await;
    shop.advance("2027-01-31T10:00:00Z").await;
    let past = day("2027-01-31");
    let mut all = Vec::new();
    for is_rewritten in [false, true] {
        let customer = shop.payer().await;
        let ordered = |start: Value| {
            json!({
                "customer": customer, "start_date": start, "phases": [shop.phase(3, 1)],
                "billing_mode": { "type": "flexible" },
            })
        };
        let made = if is_rewritten {
            let made = shop.post(SCHEDULES, ordered(json!(day("2027-03-01")))).await;
            let mut phase = shop.phase(3, 1);
            phase["start_date"] = json!(past);
            shop.post(&path(&made), json!({ "phases": [phase] })).await
        } else {
            shop.post(SCHEDULES, ordered(json!(past))).await
        };
        assert_eq!(made["status"], "active", "rewritten: {is_rewritten}: {made}");
        let subscription = shop.subscription_of(&made).await;
        let item = &subscription["items"]["data"][0];
        assert_eq!(
            (&subscription["start_date"], &subscription["billing_cycle_anchor"]),
            (&json!(past), &json!(past))
        );
        assert_eq!(
            (&item["current_period_start"], &item["current_period_end"]),
            (&json!(past), &json!(day("2027-02-28")))
        );
        assert_eq!(totals(&shop.stripe.invoices_of(&customer)), [3000]);
        for (start, mode) in [(day("2026-12-31"), "flexible"), (past, "classic")] {
            let mut other = ordered(json!(start));
            other["billing_mode"]["type"] = json!(mode);
            let error = shop.refused(400, "POST", SCHEDULES, other.clone()).await;
            assert_eq!(error["param"], "start_date", "not here: {other}");
        }
        all.push(id(&subscription));
    }
    shop.advance("2027-03-01T00:00:00Z").await;
    for subscription in all {
        let later = shop.get(&format!("/v1/subscriptions/{subscription}")).await;
        let item = &later["items"]["data"][0];
        assert_eq!(
            item["current_period_end"],
            day("2027-03-31"),
            "the day is remembered"
        );
    }
}

/// What was to end it with January: kept, or forgotten with the schedule.
#[tokio::test]
async fn one_that_is_let_go_keeps_its_end_where_that_is_asked() {
    for keeps in [true, false] {
        let shop = Shop::open().await;
        let customer = shop.payer().await;
        let params = json!({
            "customer": customer, "start_date": "now", "end_behavior": "cancel", "phases": [shop.phase(3, 2)],
        });
        let made = shop.post(SCHEDULES, params).await;
        let released = shop
            .post(
                &format!("{}/release", path(&made)),
                json!({ "preserve_cancel_date": keeps }),
            )
            .await;
        let subscription = format!(
            "/v1/subscriptions/{}",
            released["released_subscription"].as_str().unwrap()
        );
        let end = if keeps {
            json!(day("2027-02-01"))
        } else {
            Value::Null
        };
        assert_eq!(shop.get(&subscription).await["cancel_at"], end);
        shop.advance("2027-03-02T00:00:00Z").await;
        let paid = totals(&shop.stripe.invoices_of(&customer));
        assert_eq!(paid, vec![3000; if keeps { 2 } else { 4 }]);
    }
}

/// What its phases would make of a trial is not done: neither is a schedule made of it, nor are the phases written of one that leads it.
#[tokio::test]
async fn a_trial_is_not_led_by_phases() {
    let shop = Shop::open().await;
    let customer = shop.payer().await;
    let items = json!([{ "price": shop.monthly, "quantity": 3 }]);
    let params = json!({ "customer": customer, "items": items });
    let subscription = id(&shop.post("/v1/subscriptions", params).await);
    let made = shop
        .post(SCHEDULES, json!({ "from_subscription": subscription }))
        .await;
    let trial = json!({ "trial_end": day("2026-12-20"), "proration_behavior": "none" });
    shop.post(&format!("/v1/subscriptions/{subscription}"), trial)
        .await;
    let mut phase = shop.phase(1, 1);
    phase["start_date"] = json!(day("2026-12-01"));
    let written = json!({ "phases": [phase] });
    let error = shop.refused(400, "POST", &path(&made), written).await;
    assert_eq!(error["param"], "phases", "{error}");
    shop.post(&format!("{}/release", path(&made)), json!({})).await;
    let again = json!({ "from_subscription": subscription });
    let error = shop.refused(400, "POST", SCHEDULES, again).await;
    assert_eq!(error["param"], "from_subscription", "{error}");
    assert!(error["message"].as_str().unwrap().contains("stand-in"), "{error}");
}
