//! The same on connected accounts, which take turns: one that is gone, or slow, or busy keeps nobody from theirs.

use std::time::Duration;

use billing_core::connect::sale::Sale;
use billing_store::{EventKey, ReceiptStatus};
use billing_tests::{Agency, Moment, World};
use serde_json::json;
use stripe_stand_in::{Fault, FaultKind};

use super::{SCHEDULED, tick};

const NOW: &str = "2026-04-01T00:00:00Z";
const TOMORROW: &str = "2026-04-02T00:00:00Z";

/// Agencies that have sold for tomorrow, with a client that pays by card; and from then on no event has arrived.
async fn unheard(world: &World, count: usize) -> Vec<Agency<'_>> {
    let mut agencies = Vec::new();
    for _ in 0..count {
        let agency = world.agency().await;
        let start = world.now() + Duration::from_secs(24 * 3600);
        let sold = agency.sells(&agency.order(&start.to_string())).await;
        assert_eq!(sold.status, 200, "{sold}");
        agency.client_gives_card().await;
        agencies.push(agency);
    }
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    world.advance("25h").await;
    world.advance("10m").await;
    agencies
}

async fn sale(agency: &Agency<'_>) -> Sale {
    let mut sales = agency.sales().await;
    assert_eq!(sales.len(), 1);
    sales.remove(0)
}

async fn statuses(agencies: &[Agency<'_>]) -> Vec<String> {
    let mut statuses = Vec::new();
    for agency in agencies {
        statuses.push(sale(agency).await.state.unwrap().status);
    }
    statuses
}

/// Accounts of an agency that has disconnected all of them: Stripe says 403 of each.
async fn disconnected(world: &World, ids: impl Iterator<Item = String>) {
    let store = world.stack().app.store();
    let agency = billing_admin::agencies::new_agency_id().unwrap();
    let created = billing_admin::agencies::create(store, &agency, None, world.now()).await;
    created.unwrap();
    for id in ids {
        let linked = billing_admin::agencies::link(store, &agency, &id.parse().unwrap(), world.now()).await;
        linked.unwrap();
    }
}

/// The endpoints are disabled for a day, in which what was sold on two accounts begins, and one is canceled at once.
#[tokio::test]
async fn a_day_without_a_webhook_heals_on_connected_accounts_too() {
    let world = World::with_schedules_at(NOW).await;
    let (north, south) = (world.agency().await, world.agency().await);
    for agency in [&north, &south] {
        assert_eq!(agency.sells(&agency.order(TOMORROW)).await.status, 200);
        agency.client_gives_card().await;
    }
    world.stripe.stand_in().settle().await;
    world.stripe.stops_delivering().await;
    world.advance("25h").await;
    let ended = south.subscriptions().await[0]["id"].as_str().unwrap().to_owned();
    south
        .at_stripe("DELETE", &format!("/v1/subscriptions/{ended}"), "")
        .await;
    world.advance("1h").await;
    assert_eq!(statuses(&[north, south]).await, ["active", "canceled"]);
}

/// Each event once; then there is nothing more to do, and what Stripe delivers at last was done before.
#[tokio::test]
async fn what_never_arrived_of_connected_accounts_is_done_once() {
    let world = World::at(NOW).await;
    let agencies = unheard(&world, 2).await;
    assert_eq!(statuses(&agencies).await, ["not_started"; 2]);
    let first = world.hands(SCHEDULED, &tick()).await;
    assert!(first["healed"].as_u64().unwrap() >= 4, "{first}");
    assert_eq!(
        (&first["accounts"], &first["failed"], &first["unread"]),
        (&json!(2), &json!(0), &json!(0))
    );
    assert_eq!(statuses(&agencies).await, ["active"; 2]);
    assert_eq!(world.hands(SCHEDULED, &tick()).await["healed"], 0);
    let before = sale(&agencies[0]).await.state;
    world.stripe.holds_events(false).await;
    assert_eq!(sale(&agencies[0]).await.state, before);
}

/// Two machines at the same moment: each account is one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_once_share_the_accounts() {
    let world = World::at(NOW).await;
    let agencies = unheard(&world, 4).await;
    let machines = [world.machine().await, world.machine().await];
    let event = tick();
    let runs = machines.iter().map(|machine| machine.hands(SCHEDULED, &event));
    for run in futures_util::future::join_all(runs).await {
        run.unwrap().unwrap();
    }
    world.advance("5m").await;
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(statuses(&agencies).await, ["active"; 4]);
}

/// It dies before or after each of its steps, each time with something to be found on every account; the next run does the rest.
#[tokio::test]
async fn a_run_that_dies_among_the_accounts_loses_nothing() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::at(NOW).await;
        let agencies = unheard(&world, 2).await;
        for agency in &agencies {
            let schedule = agency.schedules().await[0]["id"].as_str().unwrap().to_owned();
            let path = format!("/v1/subscription_schedules/{schedule}/release");
            agency.at_stripe("POST", &path, "").await;
        }
        for step in 1..200 {
            // The agency ends and resumes at Stripe by turns.
            let ends = step % 2 == 1;
            for agency in &agencies {
                let subscription = agency.subscriptions().await[0]["id"].as_str().unwrap().to_owned();
                let path = format!("/v1/subscriptions/{subscription}");
                let form = format!("cancel_at_period_end={ends}");
                agency.at_stripe("POST", &path, &form).await;
            }
            world.advance("6m").await;
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
            for agency in &agencies {
                let known = sale(agency).await.state.unwrap().cancel_at_period_end;
                assert_eq!(known, ends, "died {moment:?} step {step}");
            }
            if finished {
                break;
            }
            assert!(step < 199, "it never finished");
        }
    }
}

/// Stripe hangs over the list of the second of three accounts until the run's time is up. The next run goes on with the third,
/// before the second gets another turn.
#[tokio::test]
async fn a_run_without_time_leaves_the_other_accounts_to_the_next() {
    let world = World::at(NOW).await;
    let mut agencies = unheard(&world, 3).await;
    agencies.sort_by(|a, b| a.account.cmp(&b.account));
    let all = world
        .stack()
        .app
        .store()
        .connected_accounts(None, 10)
        .await
        .unwrap();
    let second = all.iter().position(|it| it.id.as_str() == agencies[1].account);
    let (before, behind) = (second.unwrap(), all.len() - second.unwrap() - 1);
    // What becomes of the lists after our own, of two parts, and those of so many accounts.
    let afterwards = |accounts: usize, kind| {
        let fault = Fault::new(kind).on("GET", "/v1/events").times(1000);
        let nth = u32::try_from(accounts + 3).unwrap();
        world.stripe.stand_in().add_fault(fault.nth(nth));
    };
    afterwards(before, FaultKind::HangBefore { millis: 60_000 });
    let within = Duration::from_secs(12);
    let gateway = &world.stack().gateway;
    let run = gateway.deliver_within(SCHEDULED, &tick(), within).await.unwrap();
    assert_eq!(
        (&run["accounts"], &run["unread"]),
        (&json!(before + 1), &json!(1)),
        "{run}"
    );
    assert_eq!(
        statuses(&agencies).await,
        ["active", "not_started", "not_started"]
    );
    world.stripe.recovers().await;
    let status = 500;
    afterwards(behind, FaultKind::Status { status, code: None });
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(statuses(&agencies).await, ["active", "not_started", "active"]);
    world.stripe.recovers().await;
    world.hands(SCHEDULED, &tick()).await;
    assert_eq!(statuses(&agencies).await, ["active"; 3]);
}

/// 250 accounts that are gone, before one that is not: a run is bounded, and the next goes on where it stopped.
#[tokio::test]
async fn accounts_that_are_gone_are_counted_and_passed_over() {
    let world = World::at(NOW).await;
    let agencies = unheard(&world, 1).await;
    disconnected(&world, (0..250).map(|number| format!("acct_0{number:03}"))).await;
    let first = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(
        (&first["accounts"], &first["disconnected"], &first["unread"]),
        (&json!(200), &json!(200), &json!(0)),
        "{first}"
    );
    assert_eq!(statuses(&agencies).await, ["not_started"]);
    let second = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(
        (&second["accounts"], &second["disconnected"]),
        (&json!(200), &json!(199)),
        "{second}"
    );
    assert_eq!(statuses(&agencies).await, ["active"]);
}

/// More than a turn's five hundred events on the first account: it is left half-way, and the others have their turn in the same
/// run.
#[tokio::test]
async fn a_busy_account_keeps_nobody_waiting() {
    let world = World::at(NOW).await;
    let mut agencies = unheard(&world, 2).await;
    agencies.sort_by(|a, b| a.account.cmp(&b.account));
    let busy = &agencies[0];
    let subscription = busy.subscriptions().await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/subscriptions/{subscription}");
    for number in 0..560 {
        let note = json!({ "metadata": { "note": number } });
        let stand_in = world.stripe.stand_in();
        assert_eq!(stand_in.call("POST", &path, &note, Some(&busy.account)).0, 200);
    }
    world.advance("10m").await;
    let first = world.hands(SCHEDULED, &tick()).await;
    assert_eq!(first["accounts"], 2, "{first}");
    assert!(first["lookedAt"].as_u64().unwrap() < 560, "{first}");
    assert_eq!(statuses(&agencies[1..]).await, ["active"]);
    let second = world.hands(SCHEDULED, &tick()).await;
    assert!(second["healed"].as_u64().unwrap() > 20, "{second}");
    assert_eq!(world.hands(SCHEDULED, &tick()).await["healed"], 0);
}

/// Stripe fails whenever the schedule is read, and its own delivery is off: the event is tried again, on its account.
#[tokio::test]
async fn what_failed_on_a_connected_account_is_tried_again() {
    let world = World::with_schedules_at(NOW).await;
    let north = world.agency().await;
    north.sells(&north.order(TOMORROW)).await;
    north.client_gives_card().await;
    world.stripe.stand_in().settle().await;
    world
        .stripe
        .fails("GET", "/v1/subscription_schedules/*", 500)
        .await;
    world.stripe.stops_delivering().await;
    world.advance("26h").await;
    assert!(!world.stack().app.store().failures().await.unwrap().is_empty());
    let key = EventKey {
        connected_account: Some(north.account.parse().unwrap()),
        event: world
            .stripe
            .event("customer.subscription.created")
            .parse()
            .unwrap(),
    };
    let receipt = async || world.stack().app.store().receipt(&key).await.unwrap().unwrap();
    assert_eq!(receipt().await.status, ReceiptStatus::Failed);
    world.stripe.recovers().await;
    world.advance("24h").await;
    assert_eq!(receipt().await.status, ReceiptStatus::Done);
    assert_eq!(sale(&north).await.state.unwrap().status, "active");
    assert_eq!(world.stack().app.store().failures().await.unwrap(), []);
}
