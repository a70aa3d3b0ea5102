//! Starts that are over when Stripe is reached at last, of orders and of changes: Stripe would have the subscription begin, and bill it from, then.

use billing_tests::{Agency, Answer, Machine, Moment, World, at_every_death, at_every_step};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
/// It counts as now.
const A_MOMENT_AGO: &str = "2026-03-31T23:56:00Z";
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
    for (start, wait) in [(SOON, "15m59s"), (NOW, "5m59s"), (A_MOMENT_AGO, "5m59s")] {
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

/// An order for a client that is said to be in France, and was in Germany.
fn order_to_france(north: &Agency<'_>, start: &str) -> Value {
    let mut order = north.order(start);
    order["data"]["taxSettings"] = json!({ "enabled": true, "country": "FR" });
    order
}

/// Another start for what waits, of a client that is said to be in France, and was in Germany.
fn start_in_france(start: &str) -> Value {
    json!({ "startDate": at(start), "taxSettings": { "enabled": true, "country": "FR" } })
}

/// What waits for its start, by its id, of a client in Germany that pays by card. From then on nobody hears of anything.
async fn waiting_in_germany(world: &World, north: &Agency<'_>) -> String {
    let id = sold_in(north, LATER, "DE").await;
    north.client_gives_card().await;
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    id
}

/// Everybody hears of everything. What has begun, at which moments, is what has been paid, and the client is where that is taxed.
async fn has_begun(world: &World, north: &Agency<'_>, starts: &[i64], country: &str, context: &str) {
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    world.advance("2h").await;
    let begun: Vec<i64> = north
        .subscriptions()
        .await
        .iter()
        .filter_map(|subscription| subscription["start_date"].as_i64())
        .collect();
    assert_eq!(begun, starts, "{context}");
    assert_eq!(north.payments().await, vec![2999; starts.len()], "{context}");
    assert_eq!(
        north.customers().await[0]["address"]["country"],
        country,
        "{context}"
    );
    assert!(
        north.sales().await.iter().all(|sale| sale.amendment.is_none()),
        "{context}"
    );
}

/// The machine dies at any step, and the same order comes when its start is over: what Stripe has made by then began when it was to begin, and is told
/// to whoever was not told before. Of what it has not made nothing comes, but of an order of now, which begins when it is asked for again.
#[tokio::test]
async fn an_order_whose_machine_died_begins_in_time_or_not_at_all() {
    for (start, wait) in [(SOON, "16m1s"), (SOON, "10h"), (NOW, "10h")] {
        at_every_death(async |death| {
            let context = format!("{start}, {wait}, {death}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            waiting_in_germany(&world, &north).await;
            let order = order_to_france(&north, start);
            let told = world
                .dies_over(death, async |machine| north.sells_on(machine, &order).await)
                .await;
            let sales = north.sales().await;
            let is_recorded = sales.last().unwrap().schedule.is_some() && sales.len() == 2;
            let is_made = north.schedules().await.len() == 2;
            let begins_anew = !is_made && sales.len() == 2 && start == NOW;
            world.advance(wait).await;
            let began = if begins_anew {
                world.now().as_second()
            } else {
                at(start)
            };
            let again = north.sells(&order).await;
            if is_made && !is_recorded || begins_anew {
                assert_eq!(again.status, 200, "{context}: {again}");
                assert_eq!(again.body["startDate"], began, "{context}");
            } else {
                assert_eq!(again.status, 400, "{context}: {again}");
            }
            let is_sold = is_made || begins_anew;
            let (starts, country) = if is_sold {
                (&[began][..], "FR")
            } else {
                (&[][..], "DE")
            };
            has_begun(&world, &north, starts, country, &context).await;
            assert_eq!(north.schedules().await.len(), 1 + starts.len(), "{context}");
            assert_eq!(north.sales().await.len(), 1 + starts.len(), "{context}");
            told.is_some()
        })
        .await;
    }
}

/// The machine dies at any step, and the same update comes when the start that it gives is over. Where Stripe has made it, what was sold began then;
/// elsewhere it begins when it was to begin before.
#[tokio::test]
async fn a_change_whose_machine_died_begins_in_time_or_is_forgotten() {
    for (start, wait) in [(SOON, "16m1s"), (SOON, "10h"), (NOW, "6m1s"), (NOW, "10h")] {
        at_every_death(async |death| {
            let context = format!("{start}, {wait}, {death}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let id = waiting_in_germany(&world, &north).await;
            let wish = start_in_france(start);
            let told = world
                .dies_over(death, async |machine| north.updates_on(machine, &id, &wish).await)
                .await;
            let phase = &north.schedules().await[0]["phases"][0];
            let is_made = phase["start_date"] == at(start);
            world.advance(wait).await;
            let again = north.updates(&id, &wish).await;
            if is_made {
                assert_eq!(again.status, 200, "{context}: {again}");
                assert_eq!(again.body["startDate"], at(start), "{context}");
                has_begun(&world, &north, &[at(start)], "FR", &context).await;
            } else {
                assert_eq!(again.status, 400, "{context}: {again}");
                has_begun(&world, &north, &[], "DE", &context).await;
            }
            world.advance("6d").await;
            let began = if is_made { at(start) } else { at(LATER) };
            let country = if is_made { "FR" } else { "DE" };
            has_begun(&world, &north, &[began], country, &context).await;
            told.is_some()
        })
        .await;
    }
}

/// Two machines are asked again at once when the start is over, one of which waits for an answer while the other does all of it: both tell the same, and
/// it is done once.
#[tokio::test]
async fn an_order_that_two_machines_find_late_begins_once_or_not_at_all() {
    for (moment, wait) in [(Moment::Before, "16m1s"), (Moment::After, "10h")] {
        at_every_step(async |step| {
            let context = format!("{moment:?}, {wait}, held step {step}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            waiting_in_germany(&world, &north).await;
            let order = order_to_france(&north, SOON);
            let wreck = world.machine().await;
            wreck
                .network
                .stops_named(moment, "POST /v1/subscription_schedules");
            wreck.dies_over(north.sells_on(&wreck, &order)).await;
            world.advance(wait).await;
            let sells = async |machine: &Machine| north.sells_on(machine, &order).await;
            let held = world.held_over(step, sells, north.sells(&order)).await;
            let status = if moment == Moment::After { 200 } else { 400 };
            for told in [&held.answer, &held.other] {
                assert_eq!(told.status, status, "{context}: {told}");
            }
            assert_eq!(held.answer.body["id"], held.other.body["id"], "{context}");
            if moment == Moment::After {
                has_begun(&world, &north, &[at(SOON)], "FR", &context).await;
            } else {
                has_begun(&world, &north, &[], "DE", &context).await;
            }
            assert_eq!(
                north.sales().await.len(),
                north.schedules().await.len(),
                "{context}"
            );
            !held.was_held
        })
        .await;
    }
}

/// So it is with an update.
#[tokio::test]
async fn a_change_that_two_machines_find_late_is_made_once_or_forgotten() {
    for (moment, wait) in [(Moment::Before, "16m1s"), (Moment::After, "10h")] {
        at_every_step(async |step| {
            let context = format!("{moment:?}, {wait}, held step {step}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let id = waiting_in_germany(&world, &north).await;
            let wish = start_in_france(SOON);
            let wreck = world.machine().await;
            wreck
                .network
                .stops_named(moment, "POST /v1/subscription_schedules/");
            wreck.dies_over(north.updates_on(&wreck, &id, &wish)).await;
            world.advance(wait).await;
            let updates = async |machine: &Machine| north.updates_on(machine, &id, &wish).await;
            let held = world.held_over(step, updates, north.updates(&id, &wish)).await;
            let status = if moment == Moment::After { 200 } else { 400 };
            for told in [&held.answer, &held.other] {
                assert_eq!(told.status, status, "{context}: {told}");
            }
            if moment == Moment::After {
                has_begun(&world, &north, &[at(SOON)], "FR", &context).await;
            } else {
                has_begun(&world, &north, &[], "DE", &context).await;
            }
            assert_eq!(north.sales().await.len(), 1, "{context}");
            !held.was_held
        })
        .await;
    }
}
