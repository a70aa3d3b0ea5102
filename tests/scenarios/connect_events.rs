//! Events of connected accounts: interleaved, twice, out of order, of accounts that nobody knows.

use billing_tests::World;
use futures_util::future::join_all;
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// All events of connected accounts, oldest first.
fn connected_events(world: &World) -> Vec<String> {
    let events = world.stripe.stand_in().events();
    let of_connected = events.iter().filter(|event| !event["account"].is_null());
    of_connected
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Two agencies sell; their events come interleaved, each twice, newest first. What is stored is what Stripe has.
#[tokio::test]
async fn events_of_two_accounts_land_in_any_order_and_any_number() {
    let world = World::at(NOW).await;
    let (north, south) = (world.agency().await, world.agency().await);
    world.stripe.holds_events(true).await;
    for agency in [&north, &south] {
        let answer = agency.sells(&agency.order(NEXT_MONTH)).await;
        assert_eq!(answer.status, 200, "{answer}");
        agency.client_gives_card().await;
    }
    world.advance("31d").await;
    let ended = south.subscriptions().await[0]["id"].as_str().unwrap().to_owned();
    south
        .at_stripe("DELETE", &format!("/v1/subscriptions/{ended}"), "")
        .await;
    let mut events = connected_events(&world);
    assert!(events.len() > 10, "{events:?}");
    events.reverse();
    for event in events.iter().chain(&events) {
        assert_eq!(world.stripe.delivers(event).await, 200);
    }
    let state = |sales: Vec<billing_core::connect::sale::Sale>| sales[0].state.clone().unwrap();
    let (of_north, of_south) = (state(north.sales().await), state(south.sales().await));
    assert_eq!(
        (of_north.status.as_str(), of_south.status.as_str()),
        ("active", "canceled")
    );
    let running = north.subscriptions().await[0]["id"].clone();
    assert_eq!(of_north.subscription.unwrap().as_str(), running);
    assert_eq!(of_south.subscription.unwrap().as_str(), ended);
    world.stripe.holds_events(false).await;
    assert_eq!(state(north.sales().await).status, "active");
}

/// The same event at the same time, on many machines' worth of deliveries.
#[tokio::test]
async fn the_same_event_at_once_is_handled_once() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    world.stripe.holds_events(true).await;
    north.sells(&north.order(NEXT_MONTH)).await;
    let event = connected_events(&world)
        .into_iter()
        .find(|id| world.stripe.events("subscription_schedule.created").contains(id))
        .unwrap();
    let before = north.sales().await[0].version;
    let statuses = join_all((0..6).map(|_| world.stripe.delivers(&event))).await;
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 409)),
        "{statuses:?}"
    );
    assert_eq!(north.sales().await[0].version, before + 1);
}

/// A handler that read Stripe before a cancellation writes after it: it has to look again.
#[tokio::test]
async fn an_older_fact_does_not_overwrite_a_newer_one() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    world.stripe.holds_events(true).await;
    let sold = north.sells(&north.order(NEXT_MONTH)).await;
    let id = sold.body["id"].as_str().unwrap();
    let created = world.stripe.event("subscription_schedule.created");
    let machine = world.machine().await;
    machine.network.holds("DynamoDB GetItem");
    let slow = async {
        let request = world.stripe.signed_event(&created);
        machine.call(request).await.unwrap().status
    };
    let fast = async {
        machine.network.reached().await;
        north.cancels(id).await;
        machine.network.lets_go();
    };
    let (status, ()) = tokio::join!(slow, fast);
    assert_eq!(status, 200);
    assert_eq!(north.sales().await[0].state.as_ref().unwrap().status, "canceled");
}

/// Acknowledged and counted, and nothing else: no claim, no receipt, nothing written, nothing asked of Stripe. Known by an agency
/// later, its next event is not counted.
#[tokio::test]
async fn an_event_of_an_account_that_nobody_knows_is_acknowledged() {
    let world = World::at(NOW).await;
    let stranger = world
        .stripe
        .operator("POST", "/v1/accounts", "type=standard&country=US")
        .await;
    let account = stranger["id"].as_str().unwrap();
    world.stripe.holds_events(true).await;
    let customer = world
        .stripe
        .operator_on(account, "POST", "/v1/customers", "email=x@example.com")
        .await;
    let event = connected_events(&world).pop().unwrap();
    let before = world.stripe.stand_in().requests().len();
    let machine = world.machine().await;
    let request = world.stripe.signed_event(&event);
    let answer = machine.call(request).await.unwrap();
    assert_eq!(answer, r#"200 {"received":true}"#);
    assert_eq!(machine.metric("UnknownConnectedAccounts"), 1);
    assert_eq!(
        machine.network.steps(),
        ["DynamoDB GetItem"],
        "one look whose account it is"
    );
    assert_eq!(world.stripe.stand_in().requests().len(), before, "{customer}");
    let key = billing_store::EventKey {
        connected_account: Some(account.parse().unwrap()),
        event: event.parse().unwrap(),
    };
    let receipt = world.stack().app.store().receipt(&key).await.unwrap();
    assert!(receipt.is_none());
    let north = world.agency().await;
    north
        .at_stripe("POST", "/v1/customers", "email=y@example.com")
        .await;
    let known = connected_events(&world).pop().unwrap();
    let answer = machine.call(world.stripe.signed_event(&known)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(machine.metric("UnknownConnectedAccounts"), 1);
}

/// The same event id on two accounts is two events.
#[tokio::test]
async fn receipts_are_kept_apart_by_account() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    north.sells(&north.order(NEXT_MONTH)).await;
    world.stripe.stand_in().settle().await;
    let event = world.stripe.event("subscription_schedule.created");
    let receipt = async |connected_account: Option<&str>| {
        let key = billing_store::EventKey {
            connected_account: connected_account.map(|account| account.parse().unwrap()),
            event: event.parse().unwrap(),
        };
        world.stack().app.store().receipt(&key).await.unwrap()
    };
    assert!(receipt(Some(&north.account)).await.is_some());
    assert!(receipt(None).await.is_none());
}

/// Stripe is down: 5xx, so that Stripe delivers again; then it lands.
#[tokio::test]
async fn an_event_that_cannot_be_handled_is_delivered_again() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    world.stripe.holds_events(true).await;
    north.sells(&north.order(NEXT_MONTH)).await;
    let created = world.stripe.event("subscription_schedule.created");
    world
        .stripe
        .fails("GET", "/v1/subscription_schedules/*", 500)
        .await;
    assert_eq!(world.stripe.delivers(&created).await, 503);
    world.stripe.recovers().await;
    assert_eq!(world.stripe.delivers(&created).await, 200);
}

/// A customer of the agency's own that pays an invoice of its own is nothing of ours.
#[tokio::test]
async fn what_an_agency_does_by_itself_is_acknowledged() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let customer = north
        .at_stripe("POST", "/v1/customers", "email=x@example.com")
        .await;
    let customer = customer["id"].as_str().unwrap();
    let form = format!("customer={customer}");
    let card = north
        .at_stripe("POST", "/v1/payment_methods/pm_card_visa/attach", &form)
        .await;
    let other = north.offers("Own", 700).await;
    let prices = north.all(&format!("/v1/prices?product={other}")).await;
    let form = format!(
        "customer={customer}&default_payment_method={}&items[0][price]={}",
        card["id"].as_str().unwrap(),
        prices[0]["id"].as_str().unwrap()
    );
    let own: Value = north.at_stripe("POST", "/v1/subscriptions", &form).await;
    assert_eq!(own["status"], "active");
    world.stripe.stand_in().settle().await;
    for event in connected_events(&world) {
        assert_eq!(world.stripe.delivers(&event).await, 200);
    }
    assert_eq!(north.sales().await, vec![]);
    assert_eq!(north.lists("").await.body["subscriptions"], json!([]));
}

/// What it sells by itself, under names of its own choosing, bars no list of what was sold here, and its events are nothing of ours.
#[tokio::test]
async fn what_an_agency_keeps_by_itself_may_be_called_anything() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let waiting = north.sells(&north.order(NEXT_MONTH)).await;
    let running = north.sells(&north.order(NOW)).await;
    north.client_gives_card().await;
    let coupon = "id=Gold%20plan%21&percent_off=50&duration=forever";
    north.at_stripe("POST", "/v1/coupons", coupon).await;
    let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
    let own = north.offers("Own", 700).await;
    let prices = north.all(&format!("/v1/prices?product={own}")).await;
    let price = prices[0]["id"].as_str().unwrap();
    let form = format!("customer={customer}&items[0][price]={price}&discounts[0][coupon]=Gold%20plan%21");
    let subscription = north.at_stripe("POST", "/v1/subscriptions", &form).await;
    assert_eq!(subscription["status"], "active", "{subscription}");
    let form = format!(
        "customer={customer}&start_date=1777593600&phases[0][items][0][price]={price}\
         &phases[0][discounts][0][coupon]=Gold%20plan%21"
    );
    let schedule = north.at_stripe("POST", "/v1/subscription_schedules", &form).await;
    assert_eq!(schedule["status"], "not_started", "{schedule}");
    world.stripe.stand_in().settle().await;

    for (query, sold) in [("?status=scheduled", &waiting), ("", &running)] {
        let listed = north.lists(query).await;
        assert_eq!(listed.status, 200, "{query}: {listed}");
        let listed = listed.body["subscriptions"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "{query}");
        assert_eq!(listed[0]["id"], sold.body["id"], "{query}");
    }
    for own in [&subscription, &schedule] {
        let id = own["id"].as_str().unwrap();
        assert_eq!(north.gets(id).await.status, 404);
        assert_eq!(north.updates(id, &json!({})).await.status, 404);
        assert_eq!(north.cancels(id).await.status, 404);
    }
    for event in connected_events(&world) {
        assert_eq!(world.stripe.delivers(&event).await, 200, "{event}");
    }
}

/// What Stripe tells of by itself and nobody asked for: an invoice to come has no id.
#[tokio::test]
async fn an_event_of_another_type_is_acknowledged() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    for kind in [
        "invoice.upcoming",
        "invoice.created",
        "subscription_schedule.expiring",
    ] {
        let payload = json!({
            "id": format!("evt_{}", kind.replace('.', "_")),
            "object": "event",
            "api_version": "2026-09-30.endive",
            "account": north.account,
            "created": world.now().as_second(),
            "livemode": false,
            "type": kind,
            "data": { "object": { "object": "invoice", "customer": "cus_1" } },
        })
        .to_string();
        let secret = &world.stack().directory.webhook_secret;
        let signature = billing_stripe::webhook::sign(payload.as_bytes(), secret, world.now());
        let told = world.posts_event(&payload, &signature).await;
        assert_eq!(told, r#"200 {"received":true}"#, "{kind}");
    }
}

/// An agency has cut the connection: its last events stay where an operator sees them, and are no failure of ours. When it connects
/// again, they are done.
#[tokio::test]
async fn the_last_events_of_a_disconnected_account_wait_for_it_to_come_back() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    world.stripe.holds_events(true).await;
    let sold = north.sells(&north.order(NEXT_MONTH)).await;
    let schedule = sold.body["id"].as_str().unwrap();
    north
        .at_stripe(
            "POST",
            &format!("/v1/subscription_schedules/{schedule}/cancel"),
            "",
        )
        .await;
    let event = world.stripe.event("subscription_schedule.canceled");
    world.stripe.stand_in().has_access(&north.account, false);
    let told = r#"409 {"error":"the connected account gives no access to its Stripe account"}"#;
    assert_eq!(north.gets(schedule).await, told);
    assert_eq!(world.stripe.delivers(&event).await, 409);
    assert_eq!(world.stripe.delivers(&event).await, 409, "told twice");
    let store = world.stack().app.store();
    let failures = store.failures().await.unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(
        failures[0].error,
        "the connected account gives no access to its Stripe account"
    );
    let status = async || north.sales().await[0].state.as_ref().unwrap().status.clone();
    assert_eq!(status().await, "not_started");

    let tick = json!({ "detail-type": "Scheduled Event", "source": "aws.events" });
    world.advance("1d").await;
    let looked = world.hands("reconcile", &tick).await;
    assert_eq!(
        (&looked["disconnected"], &looked["unread"], &looked["failed"]),
        (&json!(1), &json!(0), &json!(0)),
        "{looked}"
    );
    assert_eq!(store.failures().await.unwrap().len(), 1, "it is still away");
    let machine = world.machine().await;
    let told = machine.call(world.stripe.signed_event(&event)).await.unwrap();
    assert_eq!(
        (told.status, machine.metric("WebhookLag")),
        (409, 0),
        "no alarm rings"
    );
    world.stripe.stand_in().has_access(&north.account, true);
    world.hands("reconcile", &tick).await;
    assert_eq!(status().await, "canceled");
    assert!(store.failures().await.unwrap().is_empty());
}

/// A key that may not read what is sold there is our own fault: the event is not done, and Stripe delivers it again.
#[tokio::test]
async fn a_key_that_lacks_a_permission_is_no_disconnected_account() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    world.stripe.holds_events(true).await;
    north.sells(&north.order(NEXT_MONTH)).await;
    let created = world.stripe.event("subscription_schedule.created");
    let fault = stripe_stand_in::Fault::new(stripe_stand_in::FaultKind::Status {
        status: 403,
        code: None,
    });
    world.stripe.stand_in().add_fault(fault.times(1000));
    assert_eq!(world.stripe.delivers(&created).await, 502);
    assert_eq!(north.lists("").await.status, 502);
    world.stripe.recovers().await;
    assert_eq!(world.stripe.delivers(&created).await, 200);
}
