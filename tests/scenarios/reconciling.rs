//! Events that never arrived, and events that failed: found by the clock, done by the same code, without anybody noticing.

/// On connected accounts.
mod connected;

use std::str::FromStr;
use std::time::Duration;

use billing_store::{EventClaim, EventKey, FailedAttempt, ReceiptStatus};
use billing_stripe::{SyntheticEvent, webhook};
use billing_tests::{Account, Moment, World, path_of};
use serde_json::{Value, json};

const SCHEDULED: &str = "reconcile";

/// Several accounts that have subscribed, of which no event has arrived; ten minutes ago.
async fn unheard(world: &World, count: usize) -> Vec<Account<'_>> {
    world.stripe.holds_events(true).await;
    let mut accounts = Vec::new();
    for _ in 0..count {
        let account = world.account(1).await;
        let secret = account.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out(&secret, "succeed").await;
        accounts.push(account);
    }
    world.advance("10m").await;
    accounts
}

async fn covered_until(accounts: &[Account<'_>]) -> Vec<String> {
    let mut covered = Vec::new();
    for account in accounts {
        assert!(account.ledger().await.len() <= 1, "landed once");
        covered.push(account.covered_until().await);
    }
    covered
}

pub(crate) fn tick() -> Value {
    json!({ "detail-type": "Scheduled Event", "source": "aws.events" })
}

/// Stripe's endpoint is disabled for a day, in which one account subscribes and another's renewal is paid and a third refunded.
#[tokio::test]
async fn a_day_without_a_webhook_heals_by_itself() {
    let world = World::with_schedules_at("2026-04-01T00:00:00Z").await;
    let (ada, bob, eve) = (
        world.account(1).await,
        world.account(1).await,
        world.account(1).await,
    );
    bob.subscribes("monthly").await;
    world.advance("30d").await;
    eve.subscribes("monthly").await;

    world.stripe.stops_delivering().await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let charge = world.stripe.latest_charge(&eve).await;
    world.stripe.refunds(&charge, 1000).await;
    assert_eq!(ada.covered_until().await, "");
    world.advance("24h").await;
    assert_eq!(ada.covered_until().await, "2026-06-01T00:00:00Z");
    assert_eq!(bob.covered_until().await, "2026-06-01T00:00:00Z");
    assert_eq!(eve.covered_until().await, "");
    assert_eq!((ada.ledger().await.len(), bob.ledger().await.len()), (1, 2));
}

/// A payer pays for a plan on its page, and disputes that later; no event of either arrives.
#[tokio::test]
async fn what_became_of_a_plan_is_found_too() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    world.stripe.stops_delivering().await;
    let pending = acme.confirms(&id, &Value::Null).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    let page = world.stripe.latest_page().await;
    world.stripe.pays_page(&page).await;
    world.advance("10m").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    world.hands(SCHEDULED, &tick()).await;

    let session = acme.reads(&id).await;
    assert_eq!(session.body["checkout_status"], "contract_created", "{session}");
    let contract = session.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:00:00Z");

    let invoice = acme.contract(contract).await.ledger.entries[0].invoice.clone();
    let charge = world.stripe.charge_of(invoice.as_str()).await;
    world.stripe.is_disputed(&charge).await;
    world.advance("10m").await;
    let found = world.hands(SCHEDULED, &tick()).await;
    assert!(found["healed"].as_u64().unwrap() >= 1, "{found}");
    let reversals = acme.contract(contract).await.ledger.reversals;
    assert!(reversals[0].disputed, "{reversals:?}");
}

/// The first minutes are left to Stripe's own delivery; after that each event is done once, and then there is nothing more to do.
#[tokio::test]
async fn what_never_arrived_is_done_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 2).await;
    let first = world.hands(SCHEDULED, &tick()).await;
    assert!(first["healed"].as_u64().unwrap() >= 6, "{first}");
    assert_eq!((&first["failed"], &first["complete"]), (&json!(0), &json!(true)));
    assert_eq!(covered_until(&accounts).await, ["2026-05-01T00:00:00Z"; 2]);
    assert_eq!(world.hands(SCHEDULED, &tick()).await["healed"], 0);
    // What Stripe delivers at last was done before.
    let before = accounts[0].stored().await;
    world.stripe.holds_events(false).await;
    assert_eq!(accounts[0].stored().await, before);
}

/// More than two pages of events, of types from both ends of the list: all are looked at, the oldest too.
#[tokio::test]
async fn a_long_list_is_read_to_its_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 2).await;
    let subscription = world.stripe.subscription(&accounts[0]).await;
    let path = path_of(&subscription);
    for number in 0..210 {
        let form = format!("metadata[note]={number}");
        world.stripe.operator("POST", &path, &form).await;
    }
    world
        .stripe
        .credits(&accounts[1], 1000, "out_of_band_amount")
        .await;
    world.advance("10m").await;
    let run = world.hands(SCHEDULED, &tick()).await;
    assert!(run["lookedAt"].as_u64().unwrap() > 210, "{run}");
    assert_eq!(covered_until(&accounts).await, ["2026-05-01T00:00:00Z", ""]);
}

/// The event that the second page was to follow is none of Stripe's any more: the window is read from its beginning.
#[tokio::test]
async fn a_list_that_cannot_go_on_where_it_was_is_read_anew() {
    const GONE: &str = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"starting_after","message":"No such event"}}"#;
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 1).await;
    let path = path_of(&world.stripe.subscription(&accounts[0]).await);
    for number in 0..110 {
        let form = format!("metadata[note]={number}");
        world.stripe.operator("POST", &path, &form).await;
    }
    world.advance("10m").await;
    let machine = world.machine().await;
    machine.network.tells_at("GET /v1/events", 2, 400, GONE);
    let run = machine.hands(SCHEDULED, &tick()).await.unwrap().unwrap();
    assert_eq!(run["complete"], true, "{run}");
    assert_eq!(covered_until(&accounts).await, ["2026-05-01T00:00:00Z"]);
}

/// Another machine has an event in hand, and dies over it: what is not done is not passed over.
#[tokio::test]
async fn an_event_that_another_machine_has_in_hand_is_looked_at_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 1).await;
    world.advance("1h").await;
    let event = EventKey {
        connected_account: None,
        event: world.stripe.event("invoice.paid").parse().unwrap(),
    };
    let (now, lease) = (world.now(), billing_core::SignedDuration::from_secs(30));
    let claim = EventClaim {
        kind: "invoice.paid",
        holder: "another",
        now,
        lease_until: now.checked_add(lease).unwrap(),
    };
    let store = world.stack().app.store();
    store.claim_event(&event, &claim).await.unwrap();
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(covered_until(&accounts).await, [""]);
    world.advance("1h").await;
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(covered_until(&accounts).await, ["2026-05-01T00:00:00Z"]);
}

/// Most of what happens on a busy Stripe account means nothing here: it takes none of the time.
#[tokio::test]
async fn types_that_mean_nothing_here_are_not_listed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 1).await;
    for _ in 0..110 {
        world
            .stripe
            .operator("POST", "/v1/customers", "name=Somebody")
            .await;
    }
    world.advance("10m").await;
    let run = world.hands(SCHEDULED, &tick()).await;
    assert!(run["lookedAt"].as_u64().unwrap() < 20, "{run}");
    assert_eq!(covered_until(&accounts).await, ["2026-05-01T00:00:00Z"]);
}

/// The bundle is deployed on a Stripe account on which another program has sold for long. Its events are done with, and nobody is told that
/// the endpoint has missed them.
#[tokio::test]
async fn what_another_program_sold_before_was_not_missed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.holds_events(true).await;
    let product = world.stripe.operator("POST", "/v1/products", "name=Hats").await;
    let form = format!(
        "product={}&currency=usd&unit_amount=100&recurring[interval]=month",
        product["id"].as_str().unwrap()
    );
    let price = world.stripe.operator("POST", "/v1/prices", &form).await;
    let customer = world
        .stripe
        .operator("POST", "/v1/customers", "name=Somebody")
        .await;
    let form = format!(
        "customer={}&items[0][price]={}&collection_method=send_invoice&days_until_due=30",
        customer["id"].as_str().unwrap(),
        price["id"].as_str().unwrap()
    );
    world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    world.advance("10m").await;
    let machine = world.machine().await;
    let run = machine.hands(SCHEDULED, &tick()).await.unwrap().unwrap();
    assert_eq!(
        (&run["healed"], &run["complete"]),
        (&json!(0), &json!(true)),
        "{run}"
    );
    assert_eq!(machine.metric("HealedEvents"), 0);
    assert!(machine.metric("UnknownCustomers") >= 1, "{run}");
}

/// A run that does not come to the end of the list tells how far behind it is, and the one that does that it is not.
#[tokio::test]
async fn a_run_tells_how_far_behind_it_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    unheard(&world, 1).await;
    let lag = async |time: Duration| {
        let machine = world.machine().await;
        let handed = machine.hands_within(SCHEDULED, &tick(), time.into()).await;
        let run = handed.unwrap().unwrap();
        (run["settledUntil"].clone(), machine.metric("ReconcileLag"))
    };
    let month = 30 * 24 * 3_600_000;
    assert_eq!(
        lag(Duration::from_secs(5)).await,
        (json!("2026-03-02T00:10:00Z"), month)
    );
    assert_eq!(
        lag(Duration::from_secs(120)).await,
        (json!("2026-03-31T23:55:00Z"), 15 * 60_000)
    );
}

/// No time is left for a single event: nothing is lost, and the next run goes on.
#[tokio::test]
async fn a_run_without_time_leaves_the_rest_to_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 1).await;
    let short = world
        .stack()
        .gateway
        .deliver_within(SCHEDULED, &tick(), Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(
        (&short["lookedAt"], &short["complete"]),
        (&json!(0), &json!(false))
    );
    let long = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(long["complete"], true, "{long}");
    assert_eq!(covered_until(&accounts).await, ["2026-05-01T00:00:00Z"]);
}

/// Two machines run it at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_once_do_each_event_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let accounts = unheard(&world, 3).await;
    let machines = [world.machine().await, world.machine().await];
    let event = tick();
    let runs = machines.iter().map(|machine| machine.hands(SCHEDULED, &event));
    for run in futures_util::future::join_all(runs).await {
        run.unwrap().unwrap();
    }
    // What one run left because the other was at it.
    world.advance("5m").await;
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(covered_until(&accounts).await, vec!["2026-05-01T00:00:00Z"; 3]);
}

/// It dies before or after each of its steps; the next run does the rest.
#[tokio::test]
async fn a_run_that_dies_at_any_step_loses_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for moment in [Moment::Before, Moment::After] {
        for step in 1..200 {
            let accounts = unheard(&world, 1).await;
            let machine = world.machine().await;
            machine.network.stops(moment, step);
            let event = tick();
            let finished = tokio::select! {
                run = machine.hands(SCHEDULED, &event) => {
                    run.unwrap().unwrap();
                    true
                }
                () = machine.network.reached() => false,
            };
            machine.dies();
            // The lease of what it was at runs out.
            world.advance("5m").await;
            world.hands(SCHEDULED, &tick()).await;
            assert_ne!(
                covered_until(&accounts).await,
                [""],
                "died {moment:?} step {step}"
            );
            if finished {
                break;
            }
            assert!(step < 199, "it never finished");
        }
    }
}

/// Stripe fails whenever the invoice is read, for five hours, and then Stripe's own delivery is off: the event is tried again.
#[tokio::test]
async fn what_failed_is_tried_again_until_it_is_done() {
    let world = World::with_schedules_at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    world.stripe.pays(&secret).await;
    world.stripe.stops_delivering().await;
    let paid = world.stripe.event("invoice.paid");
    assert_eq!(world.receipt(&paid).await.status, ReceiptStatus::Failed);
    world.advance("5h").await;
    assert!(world.receipt(&paid).await.attempts >= 2);
    assert_eq!(world.stack().app.store().failures().await.unwrap().len(), 1);
    world.stripe.recovers().await;
    world.advance("24h").await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(world.stack().app.store().failures().await.unwrap(), []);
}

/// The key may not read the events of a connected account: its failed event stays where it is, and ours, which failed after it, is done.
#[tokio::test]
async fn a_failed_event_that_cannot_be_read_keeps_no_other_waiting() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let north = world.agency().await;
    let ada = world.account(1).await;
    world
        .stripe
        .fails("GET", "/v1/subscription_schedules/*", 500)
        .await;
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    north.sells(&north.order("2026-05-01T00:00:00Z")).await;
    world.stripe.stand_in().settle().await;
    let sold = world.stripe.event("subscription_schedule.created");
    world.advance("1m").await;
    ada.subscribes("monthly").await;
    world.stripe.stops_delivering().await;
    world.advance("20m").await;
    let run = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(run["healed"], 0, "both fail, and are passed over: {run}");
    world.advance("2h").await;
    world.stripe.recovers().await;
    let path = format!("/v1/events/{sold}");
    world.stripe.fails("GET", &path, 403).await;
    let run = world.hands(SCHEDULED, &tick()).await;
    assert_eq!((&run["healed"], &run["failed"]), (&json!(1), &json!(1)), "{run}");
    assert_eq!(ada.covered_until().await, "2026-05-01T00:01:00Z");
    let failures = world.stack().app.store().failures().await.unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].event.as_str(), sold);
    world.stripe.recovers().await;
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(world.stack().app.store().failures().await.unwrap(), []);
}

/// An event that Stripe does not tell any more rests, for longer each time, and is kept no longer for it.
#[tokio::test]
async fn what_stripe_does_not_tell_any_more_rests() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let customer = world.stripe.customers(&ada).await[0]["id"].clone();
    let payload =
        json!({ "id": "evt_of_long_ago", "object": "event", "type": "invoice.paid", "livemode": false,
        "data": { "object": { "id": "in_of_long_ago", "customer": customer } } })
        .to_string();
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    let secret = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(payload.as_bytes(), secret, world.now());
    assert_eq!(world.posts_event(&payload, &signature).await.status, 503);
    world.stripe.recovers().await;
    let failure = async || world.stack().app.store().failures().await.unwrap().remove(0);
    for (attempts, wait) in [(1, "5m"), (2, "6m"), (2, "15m"), (3, "6m")] {
        world.advance(wait).await;
        world.hands(SCHEDULED, &tick()).await;
        assert_eq!(failure().await.attempts, attempts, "after {wait} more");
    }
}

/// What an operator told, and failed, is told again by the clock.
#[tokio::test]
async fn what_an_operator_told_is_tried_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.stripe.checks_out(&secret, "succeed").await;
    let completed = world.stripe.event("checkout.session.completed");
    assert_eq!(world.stripe.delivers(&completed).await, 200);
    let invoice = world.stripe.invoices(&ada).await[0]["id"].clone();
    let told = SyntheticEvent::from_str(invoice.as_str().unwrap()).unwrap();
    let payload = told.body(false).to_string();
    let secret = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(payload.as_bytes(), secret, world.now());
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    assert_eq!(world.posts_event(&payload, &signature).await.status, 503);
    world.stripe.recovers().await;
    // Younger than what a run reads of Stripe's list.
    let at = world.stack().app.store().failures().await.unwrap()[0].failed_at;
    let earlier = at
        .checked_sub(billing_core::SignedDuration::from_hours(1))
        .unwrap();
    let failure = &world.stack().app.store().failures().await.unwrap()[0];
    world
        .stack()
        .app
        .store()
        .rest_failure(failure, earlier)
        .await
        .unwrap();
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(world.stack().app.store().failures().await.unwrap(), []);
}

/// A holder whose lease had run out finishes what the next one failed at: it is done, and listed no more.
#[tokio::test]
async fn what_turned_out_to_be_done_is_not_listed_for_ever() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let store = world.stack().app.store();
    world.subscriber(1, "monthly").await;
    let event = EventKey {
        connected_account: None,
        event: world.stripe.event("invoice.paid").parse().unwrap(),
    };
    store.reopen_event(&event, world.now()).await.unwrap();
    let (now, second) = (world.now(), billing_core::SignedDuration::from_secs(1));
    let claim = |holder, lease_until| EventClaim {
        kind: "invoice.paid",
        holder,
        now,
        lease_until,
    };
    store.claim_event(&event, &claim("slow", now)).await.unwrap();
    let lease = now.checked_add(second).unwrap();
    store.claim_event(&event, &claim("next", lease)).await.unwrap();
    let attempt = FailedAttempt {
        kind: "invoice.paid",
        holder: "next",
        attempts: 2,
        error: "stripe was down",
        now,
    };
    store.fail_event(&event, &attempt).await.unwrap();
    store.finish_event(&event, false, now).await.unwrap();
    assert_eq!(store.failures().await.unwrap().len(), 1);
    world.advance("1h").await;
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(store.failures().await.unwrap(), []);
}

/// The event that the last run stopped at is no longer told by Stripe after thirty days; the run begins its window anew.
#[tokio::test]
async fn a_run_that_was_left_for_a_month_begins_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let early = unheard(&world, 1).await;
    let gateway = &world.stack().gateway;
    let within = Duration::from_secs(5);
    gateway.deliver_within(SCHEDULED, &tick(), within).await.unwrap();
    world.advance("31d").await;
    let run = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(run["complete"], true, "{run}");
    let run = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(run["complete"], true, "{run}");
    assert_eq!(
        early[0].ledger().await.len(),
        1,
        "the renewal is found, a month too late for the first"
    );
}
