//! Starts that are over when Stripe is reached at last, of orders and of changes: Stripe would have the subscription begin, and bill it from, then.

use billing_tests::{Agency, Answer, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const SOON: &str = "2026-04-01T00:10:00Z";
const LATER: &str = "2026-04-06T00:00:00Z";
/// Where schedules are made, and rewritten.
const MAKING: &str = "/v1/subscription_schedules";
const REWRITING: &str = "/v1/subscription_schedules/*";

fn at(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

async fn is_sold(north: &Agency<'_>, order: &Value, context: &str) -> Answer {
    let told = north.sells(order).await;
    assert_eq!(told.status, 200, "{context}: {told}");
    told
}

/// Something that is taxed and waits for its start, by its id.
async fn sold_in(north: &Agency<'_>, start: &str, country: &str) -> String {
    let mut order = north.order(start);
    order["data"]["taxSettings"] = json!({ "enabled": true, "country": country });
    let told = is_sold(north, &order, "waiting").await;
    told.body["id"].as_str().unwrap().to_owned()
}

/// Stripe was not reached in time, and would have the subscription begin, and bill it from, when it should have begun: it is not asked any more, and the
/// client is where it was.
#[tokio::test]
async fn an_order_whose_start_is_over_when_stripe_is_reached_sells_nothing() {
    for wait in ["16m1s", "10h"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        sold_in(&north, LATER, "DE").await;
        let mut order = north.order(SOON);
        order["data"]["taxSettings"] = json!({ "enabled": true, "country": "FR" });
        world.stripe.fails("POST", MAKING, 503).await;
        assert_eq!(north.sells(&order).await.status, 503);
        world.stripe.recovers().await;
        assert_eq!(north.customers().await[0]["address"]["country"], "FR");
        world.advance(wait).await;
        assert_eq!(
            north.sells(&order).await,
            r#"400 {"error":{"fieldErrors":{"data.selectedProduct.startDate":["must not be more than 5 minutes in the past"]},"formErrors":[]}}"#
        );
        world.stripe.stand_in().settle().await;
        assert_eq!(north.schedules().await.len(), 1, "{wait}");
        assert!(north.subscriptions().await.is_empty(), "{wait}");
        assert_eq!(north.sales().await.len(), 1, "{wait}");
        assert_eq!(north.customers().await[0]["address"]["country"], "DE");
    }
}

/// A start counts as now for five minutes: it is the start of what is sold then.
#[tokio::test]
async fn an_order_whose_start_counts_as_now_begins_when_it_was_to_begin() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(SOON);
    world.stripe.fails("POST", MAKING, 503).await;
    assert_eq!(north.sells(&order).await.status, 503);
    world.stripe.recovers().await;
    world.advance("15m").await;
    let told = is_sold(&north, &order, "five minutes after its start").await;
    assert_eq!(
        (&told.body["startDate"], &told.body["current_period_start"]),
        (&json!(at(SOON)), &json!(at(SOON)))
    );
    world.stripe.stand_in().settle().await;
    assert_eq!(north.schedules().await.len(), 1);
    assert_eq!(north.sales().await.len(), 1);
}

/// Stripe has made it and nobody knows: that is found, however late, and begins when it was to begin.
#[tokio::test]
async fn an_order_that_was_made_in_time_is_found_when_its_start_is_over() {
    for wait in ["15m30s", "10h"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let order = north.order(SOON);
        world.stripe.holds_events(true).await;
        world.stripe.applies_without_answering("POST", MAKING).await;
        assert_eq!(north.sells(&order).await.status, 503);
        world.stripe.recovers().await;
        world.advance(wait).await;
        let told = is_sold(&north, &order, wait).await;
        assert_eq!(
            (&told.body["type"], &told.body["startDate"]),
            (&json!("subscription"), &json!(at(SOON)))
        );
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(north.subscriptions().await.len(), 1, "{wait}");
        assert_eq!(north.sales().await.len(), 1, "{wait}");
    }
}

/// A machine that has looked at its clock in time is slow: for a minute after the start counts as now nobody takes the sale for one that Stripe will
/// never have.
#[tokio::test]
async fn an_order_that_may_still_be_on_its_way_is_not_given_up() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(SOON);
    let slow = world.machine().await;
    slow.network.holds("POST /v1/customers");
    let (first, ()) = tokio::join!(north.sells_on(&slow, &order), async {
        slow.network.reached().await;
        world.advance("15m59s").await;
        let again = north.sells(&order).await;
        assert_eq!(again.status, 503, "{again}");
        assert!(again.headers.contains_key("retry-after"), "{again}");
        slow.network.lets_go();
    });
    let first = first.unwrap();
    assert_eq!(first.status, 200, "{first}");
    assert_eq!(first.body["startDate"], at(SOON));
    world.stripe.stand_in().settle().await;
    assert_eq!(north.schedules().await.len(), 1);
    let sales = north.sales().await;
    assert_eq!(sales.len(), 1);
    assert!(sales[0].schedule.is_some());
}

/// Nothing has come of it, and somebody finds it who wants something else: what was sold begins when it is told to begin, and the client is where it
/// was. So it is with a start of now.
#[tokio::test]
async fn a_change_whose_start_is_over_when_stripe_is_reached_is_forgotten() {
    for (start, by_event) in [(SOON, false), (SOON, true), (NOW, false), (NOW, true)] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold_in(&north, LATER, "DE").await;
        let wish = json!({ "startDate": at(start), "taxSettings": { "enabled": true, "country": "FR" } });
        world.stripe.fails("POST", REWRITING, 503).await;
        assert_eq!(north.updates(&id, &wish).await.status, 503);
        world.stripe.recovers().await;
        assert_eq!(north.customers().await[0]["address"]["country"], "FR");
        world.advance("10h").await;
        if by_event {
            let path = format!("{MAKING}/{id}");
            north.at_stripe("POST", &path, "metadata[note]=seen").await;
            world.stripe.stand_in().settle().await;
        } else {
            let ends = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
            assert_eq!(ends.status, 200, "{start}: {ends}");
            assert_eq!(ends.body["cancel_at_period_end"], true);
        }
        let told = north.gets(&id).await.body;
        assert_eq!(
            (&told["type"], &told["startDate"]),
            (&json!("schedule"), &json!(at(LATER))),
            "{start}, by an event: {by_event}"
        );
        assert!(north.subscriptions().await.is_empty(), "{start}");
        assert_eq!(north.sales().await[0].amendment, None, "{start}");
        assert_eq!(north.customers().await[0]["address"]["country"], "DE");
        assert_eq!(
            north.updates(&id, &wish).await,
            r#"400 {"error":{"fieldErrors":{"data.startDate":["must not be more than 5 minutes in the past"]},"formErrors":[]}}"#
        );
    }
}

/// Stripe has made it, and nobody knows: it began then.
#[tokio::test]
async fn a_change_that_was_made_in_time_stands_when_its_start_is_over() {
    for (start, wait) in [(SOON, "15m30s"), (SOON, "10h"), (NOW, "5m30s"), (NOW, "10h")] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold_in(&north, LATER, "DE").await;
        world.stripe.holds_events(true).await;
        world.stripe.applies_without_answering("POST", REWRITING).await;
        let wish = json!({ "startDate": at(start) });
        assert_eq!(north.updates(&id, &wish).await.status, 503);
        world.stripe.recovers().await;
        world.advance(wait).await;
        let ends = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
        assert_eq!(ends.status, 200, "{start} {wait}: {ends}");
        assert_eq!(
            (
                &ends.body["type"],
                &ends.body["startDate"],
                &ends.body["cancel_at_period_end"]
            ),
            (&json!("subscription"), &json!(at(start)), &json!(true)),
            "{start} {wait}"
        );
        world.stripe.holds_events(false).await;
        assert_eq!(north.sales().await[0].amendment, None, "{start} {wait}");
    }
}

/// A machine that has looked at its clock in time is slow: for a minute after the start counts as now nobody takes the change for one that Stripe will
/// never have.
#[tokio::test]
async fn a_change_that_may_still_be_on_its_way_is_not_forgotten() {
    for (start, wait) in [(SOON, "15m59s"), (NOW, "5m59s")] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = north.sold(LATER).await;
        world.stripe.stand_in().settle().await;
        let slow = world.machine().await;
        slow.network.holds("DynamoDB PutItem");
        let (wish, end) = (
            json!({ "startDate": at(start) }),
            json!({ "cancelAtPeriodEnd": true }),
        );
        let (first, ()) = tokio::join!(north.updates_on(&slow, &id, &wish), async {
            slow.network.reached().await;
            world.advance(wait).await;
            let other = north.updates(&id, &end).await;
            assert_eq!(other.status, 503, "{start}: {other}");
            assert!(other.headers.contains_key("retry-after"), "{other}");
            slow.network.lets_go();
        });
        let first = first.unwrap();
        assert_eq!(first.status, 200, "{start}: {first}");
        assert_eq!(first.body["type"], "subscription", "{start}");
        let other = north.updates(&id, &end).await;
        assert_eq!(other.body["cancel_at_period_end"], true, "{start}: {other}");
        assert_eq!(north.subscriptions().await.len(), 1, "{start}");
    }
}
