//! Where a client is: told by orders and updates, and left as it was when these come to nothing.

use billing_tests::{Agency, Moment, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// Country and postal code, as Stripe has them of the agency's one customer.
async fn place(north: &Agency<'_>) -> (Value, Value) {
    let address = &north.customers().await[0]["address"];
    (address["country"].clone(), address["postal_code"].clone())
}

fn berlin() -> (Value, Value) {
    (json!("DE"), json!("10115"))
}

fn taxed(mut order: Value, settings: Value) -> Value {
    order["data"]["taxSettings"] = settings;
    order
}

/// A client in Berlin that pays taxes there, and in dollars.
async fn sold_in_berlin(world: &World, north: &Agency<'_>) -> String {
    let settings = json!({ "enabled": true, "country": "DE", "postalCode": "10115" });
    let sold = north.sells(&taxed(north.order(NOW), settings)).await;
    assert_eq!(sold.status, 200, "{sold}");
    north.client_gives_card().await;
    world.advance("2h").await;
    sold.body["id"].as_str().unwrap().to_owned()
}

/// That it is still known to be in Germany, and taxed there.
async fn is_in_berlin(north: &Agency<'_>, context: &str) {
    assert_eq!(place(north).await, berlin(), "{context}");
    // Its postal code is one of the country that is remembered of it.
    let settings = json!({ "enabled": true, "postalCode": "10115" });
    let order = taxed(north.order("2026-08-01T00:00:00Z"), settings);
    let next = north.sells(&order).await;
    assert_eq!(next.status, 200, "{context}: {next}");
    assert_eq!(place(north).await, berlin(), "{context}");
}

/// An order in euros, whose client is in France.
async fn in_france(north: &Agency<'_>) -> Value {
    let product = north.at_stripe("POST", "/v1/products", "name=Voix").await;
    let product = product["id"].as_str().unwrap();
    let form = format!("product={product}&currency=eur&unit_amount=2000&recurring[interval]=month");
    north.at_stripe("POST", "/v1/prices", &form).await;
    let mut order = taxed(
        north.order(NEXT_MONTH),
        json!({ "enabled": true, "country": "FR" }),
    );
    order["data"]["selectedProduct"]["productId"] = json!(product);
    order
}

/// A product in euros is refused before the client is told to be in France: the customer is asked for nothing.
#[tokio::test]
async fn an_order_in_another_currency_moves_nobody() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    sold_in_berlin(&world, &north).await;
    let order = in_france(&north).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/customers/cus_");
    tokio::select! {
        told = north.sells_on(&machine, &order) => assert_eq!(
            told.unwrap(),
            r#"400 {"error":{"fieldErrors":{"data.selectedProduct.productId":["is in another currency than the client pays in"]},"formErrors":[]}}"#
        ),
        () = machine.network.reached() => panic!("it is moved"),
    }
    is_in_berlin(&north, "another currency").await;
}

const REFUSED: &str =
    r#"{"error":{"type":"invalid_request_error","param":"phases[0][items][0][price]","message":"no"}}"#;

/// Stripe refuses it when the client has been told to be in France.
#[tokio::test]
async fn an_order_that_stripe_refuses_leaves_its_client_where_it_was() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    sold_in_berlin(&world, &north).await;
    let machine = world.machine().await;
    machine
        .network
        .tells("POST /v1/subscription_schedules", 400, REFUSED);
    let order = taxed(
        north.order(NEXT_MONTH),
        json!({ "enabled": true, "country": "FR" }),
    );
    let told = north.sells_on(&machine, &order).await.unwrap();
    assert_eq!(told.status, 400, "{told}");
    is_in_berlin(&north, "a refused order").await;
}

/// The machine that is refused dies before it has the client be where it was. The same order is told so once more under its key, and is refused
/// under the next.
#[tokio::test]
async fn an_order_that_is_refused_again_leaves_its_client_where_it_was() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    sold_in_berlin(&world, &north).await;
    let making = "POST /v1/subscription_schedules";
    let (one, other) = (world.machine().await, world.machine().await);
    one.network.stops_named(Moment::Before, making);
    let order = taxed(
        north.order(NEXT_MONTH),
        json!({ "enabled": true, "country": "FR" }),
    );
    one.dies_over(north.sells_on(&one, &order)).await;
    assert_eq!(place(&north).await.0, "FR");
    other
        .network
        .answers(making, 500, ("idempotent-replayed", "true"));
    other.network.tells_at(making, 2, 400, REFUSED);
    let told = north.sells_on(&other, &order).await.unwrap();
    assert_eq!(told.status, 400, "{told}");
    is_in_berlin(&north, "refused again").await;
    let moved = north.sells(&order).await;
    assert_eq!(moved.status, 200, "{moved}");
    assert_eq!(place(&north).await.0, "FR");
    let sales = north.sales().await;
    assert!(sales.iter().all(|sale| sale.moved.is_none()), "{sales:?}");
}

/// The machine dies when the client has been told to be in France, and the rest of the update comes to nothing: Stripe keeps a failure, its key is
/// forgotten, or what it is of is canceled.
#[tokio::test]
async fn an_update_that_nobody_can_finish_leaves_its_client_where_it_was() {
    for (start, step) in [
        (NOW, "POST /v1/subscriptions/sub_"),
        (NEXT_MONTH, "POST /v1/subscription_schedules/sub_sched_"),
    ] {
        for end in ["kept", "forgotten", "canceled"] {
            let context = format!("{start} {end}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let mut id = sold_in_berlin(&world, &north).await;
            if start == NEXT_MONTH {
                let sold = north.sells(&north.order(start)).await;
                id = sold.body["id"].as_str().unwrap().to_owned();
            } else {
                // By itself.
                world.advance("31d").await;
            }
            world.stripe.holds_events(true).await;
            let (one, other) = (world.machine().await, world.machine().await);
            one.network.stops_named(Moment::Before, step);
            let wish = json!({ "taxSettings": { "enabled": true, "country": "FR" } });
            one.dies_over(north.updates_on(&one, &id, &wish)).await;
            assert_eq!(place(&north).await.0, "FR", "{context}");
            if end == "canceled" {
                assert_eq!(north.cancels(&id).await.status, 200, "{context}");
                world.stripe.holds_events(false).await;
            } else {
                if end == "kept" {
                    other.network.answers(step, 500, ("idempotent-replayed", "true"));
                } else {
                    world.advance("21h").await;
                }
                let ends = json!({ "cancelAtPeriodEnd": true });
                let told = north.updates_on(&other, &id, &ends).await.unwrap();
                assert_eq!(told.status, 200, "{context}: {told}");
            }
            is_in_berlin(&north, &context).await;
            let sales = north.sales().await;
            assert!(sales.iter().all(|sale| sale.amendment.is_none()), "{context}");
        }
    }
}

/// Who has been told to be elsewhere still while an order was not finished is not put back to where it was at first.
#[tokio::test]
async fn a_client_that_has_moved_on_since_stays_there() {
    let making = "POST /v1/subscription_schedules";
    for step in [making, "POST /v1/customers/cus_"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let first = sold_in_berlin(&world, &north).await;
        let (one, other) = (world.machine().await, world.machine().await);
        one.network.stops_named(Moment::Before, step);
        let order = taxed(
            north.order(NEXT_MONTH),
            json!({ "enabled": true, "country": "FR" }),
        );
        one.dies_over(north.sells_on(&one, &order)).await;
        let moves = json!({ "taxSettings": { "enabled": true, "country": "AT", "postalCode": "1010" } });
        assert_eq!(north.updates(&first, &moves).await.status, 200);
        // Under its number, and under the next.
        for number in [1, 2] {
            other.network.tells_at(making, number, 400, REFUSED);
        }
        let told = north.sells_on(&other, &order).await.unwrap();
        assert_eq!(told.status, 400, "{step}: {told}");
        assert_eq!(place(&north).await, (json!("AT"), json!("1010")), "{step}");
        let settings = json!({ "enabled": true, "postalCode": "1020" });
        let next = north
            .sells(&taxed(north.order("2026-08-01T00:00:00Z"), settings))
            .await;
        assert_eq!(next.status, 200, "{step}: {next}");
        assert_eq!(place(&north).await, (json!("AT"), json!("1020")), "{step}");
    }
}

/// A machine died over an update when the client had been told to be in France, and something else was sold to it there: what becomes of the update
/// moves it no more.
#[tokio::test]
async fn a_client_that_was_sold_to_meanwhile_stays_there() {
    for end in ["forgotten", "canceled"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold_in_berlin(&world, &north).await;
        // By itself.
        world.advance("31d").await;
        world.stripe.holds_events(true).await;
        let one = world.machine().await;
        one.network
            .stops_named(Moment::Before, "POST /v1/subscriptions/sub_");
        let wish = json!({ "taxSettings": { "enabled": true, "country": "FR" } });
        one.dies_over(north.updates_on(&one, &id, &wish)).await;
        let settings = json!({ "enabled": true, "country": "FR", "postalCode": "75001" });
        let sold = north
            .sells(&taxed(north.order("2026-08-01T00:00:00Z"), settings))
            .await;
        assert_eq!(sold.status, 200, "{end}: {sold}");
        if end == "canceled" {
            assert_eq!(north.cancels(&id).await.status, 200, "{end}");
            world.stripe.holds_events(false).await;
        } else {
            world.advance("21h").await;
            let told = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
            assert_eq!(told.status, 200, "{end}: {told}");
        }
        assert_eq!(place(&north).await, (json!("FR"), json!("75001")), "{end}");
        assert!(
            north.sales().await.iter().all(|sale| sale.amendment.is_none()),
            "{end}"
        );
    }
}

/// The same of an update, before it begins and while it runs.
#[tokio::test]
async fn an_update_that_stripe_refuses_leaves_its_client_where_it_was() {
    for (start, step) in [
        (NOW, "POST /v1/subscriptions/sub_"),
        (NEXT_MONTH, "POST /v1/subscription_schedules/sub_sched_"),
    ] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let mut id = sold_in_berlin(&world, &north).await;
        if start == NEXT_MONTH {
            let sold = north.sells(&north.order(start)).await;
            id = sold.body["id"].as_str().unwrap().to_owned();
        } else {
            // By itself.
            world.advance("31d").await;
        }
        let machine = world.machine().await;
        machine.network.tells(step, 400, REFUSED);
        let wish = json!({ "taxSettings": { "enabled": true, "country": "FR" } });
        let told = north.updates_on(&machine, &id, &wish).await.unwrap();
        assert!((400..500).contains(&told.status), "{start}: {told}");
        is_in_berlin(&north, start).await;
        let moved = north.updates(&id, &wish).await;
        assert_eq!(moved.status, 200, "{start}: {moved}");
        assert_eq!(place(&north).await.0, "FR", "{start}");
    }
}

/// The schedule was made, and nobody heard of it; then the client moves, and the address of the order is another one. The same order is the same sale.
#[tokio::test]
async fn an_order_whose_client_has_moved_since_is_the_same() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let first = sold_in_berlin(&world, &north).await;
    world.stripe.holds_events(true).await;
    let order = taxed(
        north.order(NEXT_MONTH),
        json!({ "enabled": true, "postalCode": "20095" }),
    );
    let making = "/v1/subscription_schedules";
    world.stripe.applies_without_answering("POST", making).await;
    assert_eq!(north.sells(&order).await.status, 503);
    world.stripe.recovers().await;
    let moves = json!({ "taxSettings": { "enabled": true, "country": "AT", "postalCode": "1010" } });
    assert_eq!(north.updates(&first, &moves).await.status, 200);
    let again = north.sells(&order).await;
    assert_eq!(again.status, 200, "{again}");
    assert_eq!(north.schedules().await.len(), 2);
    let same = north.sells(&order).await;
    assert_eq!(same.body["id"], again.body["id"]);
}

/// The client moves while its order is made, and a second click tells its postal code in the other country: one schedule, whichever is first. What was
/// told since is not told over.
#[tokio::test]
async fn an_order_whose_client_moves_while_it_is_made_is_made_once() {
    for step in ["POST /v1/customers/cus_", "DynamoDB TransactWriteItems"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let first = sold_in_berlin(&world, &north).await;
        world.stripe.holds_events(true).await;
        let order = taxed(
            north.order(NEXT_MONTH),
            json!({ "enabled": true, "postalCode": "20095" }),
        );
        let (one, other) = (world.machine().await, world.machine().await);
        one.network.holds(step);
        let joins = async {
            one.network.reached().await;
            let moves = json!({ "taxSettings": { "enabled": true, "country": "FR", "postalCode": "75001" } });
            let moved = north.updates(&first, &moves).await;
            assert_eq!(moved.status, 200, "{step}: {moved}");
            let told = north.sells_on(&other, &order).await.unwrap();
            one.network.lets_go();
            told
        };
        let (begun, joined) = tokio::join!(north.sells_on(&one, &order), joins);
        let begun = begun.unwrap();
        assert_eq!(
            (begun.status, joined.status),
            (200, 200),
            "{step}: {begun} {joined}"
        );
        assert_eq!(begun.body["id"], joined.body["id"], "{step}");
        assert_eq!(north.schedules().await.len(), 2, "{step}");
    }
}

/// The agency moves its client back by hand, to where it was before it was recorded elsewhere. What comes to nothing then leaves it there.
#[tokio::test]
async fn a_client_that_its_agency_moved_back_stays_there() {
    for is_ordered in [true, false] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold_in_berlin(&world, &north).await;
        world.advance("31d").await;
        let france = json!({ "enabled": true, "country": "FR", "postalCode": "75001" });
        let order = taxed(north.order("2026-08-01T00:00:00Z"), france.clone());
        assert_eq!(north.sells(&order).await.status, 200);
        let path = format!(
            "/v1/customers/{}",
            north.customers().await[0]["id"].as_str().unwrap()
        );
        let berlin_again = "address[country]=DE&address[postal_code]=10115";
        north.at_stripe("POST", &path, berlin_again).await;
        let machine = world.machine().await;
        let told = if is_ordered {
            machine
                .network
                .tells("POST /v1/subscription_schedules", 400, REFUSED);
            let order = taxed(north.order("2026-09-01T00:00:00Z"), france);
            north.sells_on(&machine, &order).await.unwrap()
        } else {
            machine.network.tells("POST /v1/subscriptions/sub_", 400, REFUSED);
            let wish = json!({ "taxSettings": france });
            north.updates_on(&machine, &id, &wish).await.unwrap()
        };
        assert!((400..500).contains(&told.status), "{is_ordered}: {told}");
        is_in_berlin(&north, &format!("ordered: {is_ordered}")).await;
    }
}

/// The machine dies when the schedule is made: its event, or whoever orders the same, records where the client is. Where the client has been told
/// since to be elsewhere, it stays, and that is what is recorded.
#[tokio::test]
async fn where_an_order_has_its_client_is_recorded_when_it_is_made() {
    for by_event in [true, false] {
        for since in [None, Some("AT")] {
            let context = format!("by event: {by_event}, since: {since:?}");
            let world = World::at(NOW).await;
            let north = world.agency().await;
            let first = sold_in_berlin(&world, &north).await;
            world.stripe.holds_events(true).await;
            let machine = world.machine().await;
            machine
                .network
                .stops_named(Moment::After, "POST /v1/subscription_schedules");
            let france = json!({ "enabled": true, "country": "FR" });
            let order = taxed(north.order(NEXT_MONTH), france);
            machine.dies_over(north.sells_on(&machine, &order)).await;
            if let Some(country) = since {
                let moves = json!({ "taxSettings": { "enabled": true, "country": country } });
                assert_eq!(north.updates(&first, &moves).await.status, 200, "{context}");
            }
            if by_event {
                world.stripe.holds_events(false).await;
            } else {
                let told = north.sells(&order).await;
                assert_eq!(told.status, 200, "{context}: {told}");
            }
            let sales = north.sales().await;
            assert!(sales.iter().all(|sale| sale.schedule.is_some()), "{context}");
            let moves = json!({ "taxSettings": { "enabled": true, "postalCode": "1020" } });
            let told = north.updates(&first, &moves).await;
            assert_eq!(told.status, 200, "{context}: {told}");
            let country = since.unwrap_or("FR");
            assert_eq!(place(&north).await, (json!(country), json!("1020")), "{context}");
        }
    }
}

/// Neither needs the other: a postal code is one of the country that is known of the client, or says nothing.
#[tokio::test]
async fn a_postal_code_needs_no_country() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let alone = |enabled: bool, code: &str| json!({ "enabled": enabled, "postalCode": code });
    let unknown = north
        .sells(&taxed(north.order(NEXT_MONTH), alone(false, "10115")))
        .await;
    assert_eq!(unknown.status, 200, "{unknown}");
    let wanted = north
        .sells(&taxed(north.order(NEXT_MONTH), alone(true, "10115")))
        .await;
    assert_eq!(
        wanted.body["error"]["fieldErrors"],
        json!({ "data.taxSettings.country": ["is required until the client's country is known"] })
    );
    let wrong = json!({ "enabled": true, "country": "Germany", "postalCode": "10115" });
    assert_eq!(
        north.sells(&taxed(north.order(NEXT_MONTH), wrong)).await.body["error"]["fieldErrors"],
        json!({ "data.taxSettings.country": ["must be a country code of two letters (ISO 3166-1 alpha-2)"] })
    );
    let id = unknown.body["id"].as_str().unwrap();
    let nowhere = north
        .updates(id, &json!({ "taxSettings": alone(false, "10115") }))
        .await;
    assert_eq!(nowhere.status, 200, "{nowhere}");
    let germany = json!({ "taxSettings": { "enabled": true, "country": "DE" } });
    assert_eq!(north.updates(id, &germany).await.status, 200);
    let moves = json!({ "taxSettings": alone(true, "20095") });
    assert_eq!(north.updates(id, &moves).await.status, 200);
    assert_eq!(place(&north).await, (json!("DE"), json!("20095")));
    let ordered = north
        .sells(&taxed(north.order("2026-06-01T00:00:00Z"), alone(true, "10115")))
        .await;
    assert_eq!(ordered.status, 200, "{ordered}");
    assert_eq!(place(&north).await, berlin());
    // Nor does it need taxes.
    let untaxed = north
        .updates(id, &json!({ "taxSettings": alone(false, "80331") }))
        .await;
    assert_eq!(untaxed.body["automatic_tax"], false, "{untaxed}");
    assert_eq!(place(&north).await, (json!("DE"), json!("80331")));
}

/// What Stripe refuses of a change that nobody told the outcome of is a fault of whoever asked for it: the event that finds it is done, and so is
/// the next change.
#[tokio::test]
async fn what_another_caller_is_refused_is_nothing_to_whoever_finds_it() {
    for by_event in [true, false] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let id = sold_in_berlin(&world, &north).await;
        world.advance("31d").await;
        world.stripe.holds_events(true).await;
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::Before, "POST /v1/customers/cus_");
        let unlocated = json!({ "taxSettings": { "enabled": true, "country": "US" } });
        machine
            .dies_over(north.updates_on(&machine, &id, &unlocated))
            .await;
        assert!(north.sales().await[0].amendment.is_some());
        if by_event {
            let path = format!("/v1/subscriptions/{id}");
            north.at_stripe("POST", &path, "metadata[note]=x").await;
            let event = world.stripe.event("customer.subscription.updated");
            assert_eq!(world.stripe.delivers(&event).await, 200);
        } else {
            let told = north.updates(&id, &json!({ "cancelAtPeriodEnd": true })).await;
            assert_eq!(
                (told.status, &told.body["cancel_at_period_end"]),
                (200, &json!(true)),
                "{told}"
            );
        }
        assert_eq!(north.sales().await[0].amendment, None);
        assert_eq!(place(&north).await, berlin());
        let failures = world.stack().app.store().failures().await.unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }
}
