//! Selling on connected accounts: what is answered in every case, and what it comes to by the clock.

use billing_tests::World;
use serde_json::{Value, json};

/// Stripe's seconds of an instant.
fn at(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// The members of an answer, in their order of the contract.
const MEMBERS: [&str; 17] = [
    "id",
    "type",
    "status",
    "customer",
    "current_period_start",
    "current_period_end",
    "startDate",
    "created",
    "collection_method",
    "cancel_at_period_end",
    "canceled_at",
    "product",
    "automatic_tax",
    "coupon",
    "priceIds",
    "agents",
    "cancelAtPeriodEndDisplay",
];

fn has_every_member(answer: &Value) {
    for member in MEMBERS {
        assert!(answer.get(member).is_some(), "{member} is missing: {answer}");
    }
}

#[tokio::test]
async fn a_schedule_is_told_to_the_letter() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let north = world.agency().await;
    let mut order = north.order("2026-05-01T00:00:00Z");
    order["data"]["couponId"] = json!(north.coupon);
    order["data"]["taxSettings"] = json!({ "enabled": true, "country": "US", "postalCode": "10001" });
    let answer = north.sells(&order).await;
    assert_eq!(answer.status, 200, "{answer}");
    let schedule = &north.schedules().await[0];
    let items = &schedule["phases"][0]["items"];
    assert_eq!(
        answer.body,
        json!({
            "id": schedule["id"],
            "type": "schedule",
            "status": "not_started",
            "customer": { "id": schedule["customer"], "email": "bob@example.com" },
            "current_period_start": at("2026-05-01T00:00:00Z"),
            "current_period_end": at("2026-06-01T00:00:00Z"),
            "startDate": at("2026-05-01T00:00:00Z"),
            "created": at("2026-04-01T00:00:00Z"),
            "collection_method": "charge_automatically",
            "cancel_at_period_end": false,
            "canceled_at": null,
            "product": { "id": north.product, "name": "Voice agent" },
            "automatic_tax": true,
            "coupon": north.coupon,
            "priceIds": [items[0]["price"], items[1]["price"]],
            "agents": answer.body["agents"],
            "cancelAtPeriodEndDisplay": null,
        })
    );
    let mut names: Vec<_> = answer.body["agents"].as_str().unwrap().split(", ").collect();
    names.sort_unstable();
    assert_eq!(names, ["Night shift", "Reception"]);
}

/// By the clock: it begins, its first invoice is paid an hour later, usage is billed with the renewal, and it is canceled.
#[tokio::test]
async fn a_schedule_begins_is_paid_renews_and_is_canceled() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let north = world.agency().await;
    let mut order = north.order("2026-05-01T00:00:00Z");
    order["data"]["couponId"] = json!("");
    let sold = north.sells(&order).await;
    let schedule = sold.body["id"].as_str().unwrap().to_owned();
    assert_eq!(sold.body["coupon"], "");
    assert_eq!(sold.body["automatic_tax"], false);
    north.client_gives_card().await;

    world.advance("30d").await;
    let begun = north.gets(&schedule).await;
    has_every_member(&begun.body);
    let subscription = begun.body["id"].as_str().unwrap().to_owned();
    assert!(subscription.starts_with("sub_") && !subscription.starts_with("sub_sched_"));
    assert_eq!(begun.body["type"], "subscription");
    assert_eq!(begun.body["status"], "active");
    assert_eq!(begun.body["startDate"], at("2026-05-01T00:00:00Z"));
    assert_eq!(begun.body["current_period_end"], at("2026-06-01T00:00:00Z"));
    assert!(north.payments().await.is_empty(), "a draft for an hour");
    world.advance("2h").await;
    assert_eq!(north.payments().await, [2999]);

    // 100 minutes are included; a second more is a quarter of a cent, and 101 minutes are begun.
    north.client_talks(6004).await;
    let used = north.gets(&subscription).await;
    assert_eq!(
        (&used.body["totalUsage"], &used.body["totalPrice"]),
        (&json!(101), &json!(3000)),
        "{used}"
    );
    assert_eq!(
        used.body["pricing"],
        json!({
            "amount": "2999", "billingCycle": "month", "currency": "usd", "pricingModel": "flat_with_overage",
            "metrics": "minutes", "usageLimit": 100, "overage": "15"
        })
    );
    world.advance("31d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [2999, 3000]);
    let renewed = north.gets(&schedule).await;
    assert_eq!(renewed.body["current_period_end"], at("2026-07-01T00:00:00Z"));
    assert_eq!(renewed.body["totalUsage"], 0);
    let stored = north.sales().await.remove(0);
    assert_eq!(stored.state.unwrap().status, "active");

    for _ in 0..2 {
        assert_eq!(
            north.cancels(&subscription).await,
            format!(r#"200 {{"canceled":true,"id":"{subscription}"}}"#).as_str()
        );
    }
    let over = north.gets(&schedule).await;
    assert_eq!(
        (&over.body["status"], &over.body["type"]),
        (&json!("canceled"), &json!("subscription"))
    );
    has_every_member(&over.body);
    world.advance("60d").await;
    assert_eq!(north.payments().await, [2999, 3000], "nothing more");
    assert_eq!(north.sales().await[0].state.as_ref().unwrap().status, "canceled");
}

/// 110 minutes of which 100 are included, by the second: 10 × 0.15. Canceled, they are billed at once and nothing is given back, while
/// its schedule owns it and when it runs by itself.
#[tokio::test]
async fn what_was_used_is_billed_when_it_is_canceled() {
    for (days, paid) in [("1d", vec![2999, 150]), ("32d", vec![2999, 2999, 150])] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let north = world.agency().await;
        let sold = north.sells(&north.order("2026-04-01T00:00:00Z")).await;
        let id = sold.body["id"].as_str().unwrap();
        north.client_gives_card().await;
        world.advance(days).await;
        north.client_talks(6600).await;
        world.advance("1m").await;
        for _ in 0..2 {
            assert_eq!(north.cancels(id).await.body["canceled"], true);
        }
        world.stripe.stand_in().settle().await;
        assert_eq!(north.payments().await, paid, "after {days}");
        world.advance("40d").await;
        assert_eq!(north.payments().await, paid, "nothing more");
    }
}

/// An agent that an order names twice answers once, and the order is the one that names it once.
#[tokio::test]
async fn an_agent_that_is_named_twice_is_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let north = world.agency().await;
    let once = north.order("2026-05-01T00:00:00Z");
    let mut twice = once.clone();
    twice["data"]["agentIds"] = json!([north.agents[0], north.agents[1], north.agents[0]]);
    let sold = north.sells(&twice).await;
    assert_eq!(sold.status, 200, "{sold}");
    let told = sold.body["agents"].as_str().unwrap();
    assert_eq!(told.split(", ").count(), 2, "{sold}");
    assert_eq!(north.sells(&once).await.body["id"], sold.body["id"]);
    assert_eq!(north.schedules().await.len(), 1);
}
