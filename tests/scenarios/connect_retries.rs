//! An order that comes again because its answer was lost, or because somebody clicked twice: one sale, however late the retry is.

use billing_tests::{Agency, Answer, Machine, Moment, World, path_of};
use bytes::Bytes;
use http::Request;
use serde_json::Value;

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// The order as a request under an `Idempotency-Key`, or without one.
fn request(north: &Agency<'_>, order: &Value, key: Option<&str>) -> Request<Bytes> {
    let mut request = north.request("POST", "", order);
    if let Some(key) = key {
        let key = key.parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
    }
    request
}

/// Stripe makes the schedule, which its event has recorded, and nobody is told.
async fn is_made_and_not_told(world: &World, north: &Agency<'_>, order: &Value, key: Option<&str>) {
    let making = "/v1/subscription_schedules";
    world.stripe.applies_without_answering("POST", making).await;
    let told = north.sends(request(north, order, key)).await;
    assert_eq!(told.status, 503, "{told}");
    world.stripe.recovers().await;
    world.stripe.stand_in().settle().await;
    let sales = north.sales().await;
    assert_eq!(sales.len(), 1);
    assert!(sales[0].schedule.is_some(), "its event was here");
}

async fn is_told(north: &Agency<'_>, order: &Value, key: Option<&str>, context: &str) -> Answer {
    let told = north.sends(request(north, order, key)).await;
    assert_eq!(told.status, 200, "{context}: {told}");
    told
}

/// The event knows the sale before whoever ordered it. From when they are told on, the same order is another one after ten minutes, unless it
/// is the same request.
#[tokio::test]
async fn an_order_whose_answer_was_lost_is_the_same_an_hour_later() {
    for key in [None, Some("k1")] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let order = north.order(NEXT_MONTH);
        is_made_and_not_told(&world, &north, &order, key).await;
        world.advance("1h").await;
        let first = is_told(&north, &order, key, "an hour later").await;
        world.advance("9m").await;
        let again = is_told(&north, &order, None, "nine minutes after that").await;
        assert_eq!(again.body["id"], first.body["id"]);
        assert_eq!(north.schedules().await.len(), 1, "{key:?}");
        world.advance("1m").await;
        let second = is_told(&north, &order, None, "ten minutes after that").await;
        assert_ne!(second.body["id"], first.body["id"]);
        if key.is_some() {
            let same = is_told(&north, &order, key, "under its key").await;
            assert_eq!(same.body["id"], first.body["id"]);
        }
        assert_eq!(north.schedules().await.len(), 2, "{key:?}");
    }
}

/// Everything is written down but the answer: the machine dies. Its key is the same sale when the ten minutes are over, also for a start of now.
#[tokio::test]
async fn a_key_whose_answer_was_not_kept_is_the_same_sale() {
    for start in [NEXT_MONTH, NOW] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let order = north.order(start);
        let machine = world.machine().await;
        machine.network.stops_named(Moment::After, "DynamoDB PutItem");
        machine
            .dies_over(machine.call(request(&north, &order, Some("k1"))))
            .await;
        world.advance("11m").await;
        let told = is_told(&north, &order, Some("k1"), start).await;
        let replayed = is_told(&north, &order, Some("k1"), start).await;
        assert_eq!(replayed.header("idempotent-replayed"), "true");
        assert_eq!(told.body["id"], replayed.body["id"]);
        assert_eq!(north.schedules().await.len(), 1, "{start}");
    }
}

/// A second key for the same order, told as well: its retry is that sale too.
#[tokio::test]
async fn each_key_that_an_order_came_under_is_the_same_sale() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NEXT_MONTH);
    let first = is_told(&north, &order, Some("k1"), "first").await;
    let machine = world.machine().await;
    machine.network.stops_named(Moment::After, "DynamoDB PutItem");
    let second = async |machine: &Machine| machine.call(request(&north, &order, Some("k2"))).await;
    machine.dies_over(second(&machine)).await;
    world.advance("11m").await;
    let again = is_told(&north, &order, Some("k2"), "again").await;
    assert_eq!(again.body["id"], first.body["id"]);
    assert_eq!(north.schedules().await.len(), 1);
}

/// It was canceled before its orderer came back: the same request tells that, and an order of its own is a new one.
#[tokio::test]
async fn a_request_whose_sale_was_canceled_meanwhile_sells_nothing() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NEXT_MONTH);
    is_made_and_not_told(&world, &north, &order, Some("k1")).await;
    let made = north.schedules().await[0]["id"].as_str().unwrap().to_owned();
    north.cancels(&made).await;
    world.advance("1h").await;
    let told = is_told(&north, &order, Some("k1"), "again").await;
    assert_eq!(
        (&told.body["id"], &told.body["status"]),
        (&made.into(), &"canceled".into())
    );
    let new = is_told(&north, &order, None, "a new one").await;
    assert_eq!(new.body["status"], "not_started");
}

/// A start of now is over after five minutes; that of a sale that there is already may be.
#[tokio::test]
async fn an_order_of_now_is_the_same_for_ten_minutes() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NOW);
    let first = is_told(&north, &order, None, "first").await;
    for (wait, key) in [("301s", Some("k1")), ("298s", None)] {
        world.advance(wait).await;
        let again = is_told(&north, &order, key, wait).await;
        assert_eq!(again.body["id"], first.body["id"], "{wait}");
    }
    world.advance("1s").await;
    assert_eq!(
        north.sells(&order).await,
        r#"400 {"error":{"fieldErrors":{"data.selectedProduct.startDate":["must not be more than 5 minutes in the past"]},"formErrors":[]}}"#
    );
    assert_eq!(north.subscriptions().await.len(), 1);
}

/// Nobody knows what came of it, and its start is over: it is finished all the same.
#[tokio::test]
async fn an_order_of_now_whose_outcome_is_unknown_is_finished_later() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order(NOW);
    world.stripe.holds_events(true).await;
    let making = "/v1/subscription_schedules";
    world.stripe.applies_without_answering("POST", making).await;
    assert_eq!(north.sells(&order).await.status, 503);
    world.stripe.recovers().await;
    world.advance("20m").await;
    is_told(&north, &order, None, "twenty minutes later").await;
    world.stripe.holds_events(false).await;
    assert_eq!(north.subscriptions().await.len(), 1);
}

/// By a clock that is two seconds ahead, now is a moment ahead, and another one with each click.
#[tokio::test]
async fn two_clicks_on_now_by_a_clock_that_is_ahead_are_one() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let first = is_told(&north, &north.order("2026-04-01T00:00:02Z"), None, "first").await;
    world.advance("1s").await;
    let second = is_told(&north, &north.order("2026-04-01T00:00:03Z"), None, "second").await;
    assert_eq!(second.body["startDate"], first.body["startDate"]);
    world.advance("1m").await;
    assert_eq!(north.schedules().await.len(), 1);
    assert_eq!(north.subscriptions().await.len(), 1);
    // A date is a date.
    let later = is_told(&north, &north.order("2026-04-01T00:05:00Z"), None, "later").await;
    assert_ne!(later.body["id"], first.body["id"]);
    assert_eq!(north.schedules().await.len(), 2);
}

/// The machine dies before Stripe was asked for the schedule, and the agency gives its product another price, or takes it out of sale. The same order
/// is charged what is sold by now, or told what is wrong with that.
#[tokio::test]
async fn an_order_that_is_taken_up_is_of_what_is_sold_by_then() {
    for is_sold in [true, false] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let order = north.order(NEXT_MONTH);
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::Before, "POST /v1/subscription_schedules");
        machine.dies_over(north.sells_on(&machine, &order)).await;
        let product = format!("product={}", north.product);
        let prices = north.all(&format!("/v1/prices?{product}")).await;
        let flat = prices
            .iter()
            .find(|price| price["recurring"]["usage_type"] == "licensed");
        north
            .at_stripe("POST", &path_of(flat.unwrap()), "active=false")
            .await;
        if is_sold {
            let form = format!("{product}&currency=usd&unit_amount=3999&recurring[interval]=month");
            let dearer = north.at_stripe("POST", "/v1/prices", &form).await;
            let told = north.sells(&order).await;
            assert_eq!(
                (told.status, &told.body["priceIds"][0]),
                (200, &dearer["id"]),
                "{told}"
            );
        } else {
            assert_eq!(
                north.sells(&order).await,
                r#"400 {"error":{"fieldErrors":{"data.selectedProduct.productId":["must have exactly one active flat recurring price"]},"formErrors":[]}}"#
            );
        }
        assert_eq!(north.schedules().await.len(), usize::from(is_sold));
    }
}
