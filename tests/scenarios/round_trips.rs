//! What an operation costs: how often it goes to DynamoDB and to Stripe, and how many of those calls go one after the other. Each is a network
//! away, so these are the latency and the bill.
//!
//! A call more is a decision; here it is made visible. `docs/performance.md` explains each figure.

use std::collections::{BTreeMap, BTreeSet};

use billing_tests::{Account, Machine, World, path_of};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

/// Calls to DynamoDB, calls to Stripe, and how many in a row.
type Cost = (usize, usize, usize);

/// What every operation costs on the way that is usual for it. A function that is missing here has not been measured: add it, and the
/// scenario that measures it.
const COSTS: &[(&str, &[(&str, Cost)])] = &[
    (
        "cancel-connect-subscription",
        &[
            ("what waits", (5, 3, 8)),
            ("what runs", (5, 4, 9)),
            ("what runs, the key remembered", (5, 4, 8)),
        ],
    ),
    ("cancel-subscription", &[("at the period's end", (4, 2, 6))]),
    (
        "change-subscription-interval",
        &[
            ("paid at once", (4, 2, 6)),
            ("by a process that remembers the key", (4, 2, 5)),
            ("there already", (2, 1, 3)),
        ],
    ),
    (
        "confirm-checkout-session",
        &[
            ("a plan, the customer's first", (12, 4, 13)),
            ("a plan, on its page", (9, 3, 9)),
            ("a plan, on its page, the key remembered", (9, 3, 8)),
        ],
    ),
    (
        "create-checkout-session",
        &[("a plan", (6, 0, 4)), ("a plan, the key remembered", (6, 0, 3))],
    ),
    (
        "create-subscription-checkout",
        &[
            ("the account's first", (5, 2, 6)),
            ("the same again", (3, 1, 3)),
            ("the same again, the key remembered", (3, 1, 2)),
            ("another, the key remembered", (5, 2, 5)),
            ("after a subscription that is over", (5, 2, 6)),
            ("with an Idempotency-Key again", (2, 0, 2)),
        ],
    ),
    (
        "create-connect-subscription",
        &[("a client's first", (9, 6, 12)), ("the same again", (6, 1, 5))],
    ),
    ("expire-checkouts", &[("one reservation", (3, 3, 5))]),
    ("get-connect-subscription", &[("with usage", (3, 4, 6))]),
    (
        "list-connect-subscription",
        &[("a page", (3, 1, 4)), ("a page, the key remembered", (3, 1, 3))],
    ),
    (
        "update-connect-subscription",
        &[("an end of what waits", (5, 4, 9))],
    ),
    (
        "get-checkout-session",
        &[("open", (2, 0, 2)), ("open, the key remembered", (2, 0, 1))],
    ),
    (
        "preview-checkout-session",
        &[("a plan", (4, 0, 3)), ("a plan, the key remembered", (4, 0, 2))],
    ),
    (
        "get-billing",
        &[
            ("prices known", (2, 0, 2)),
            ("prices known, the key remembered", (2, 0, 1)),
        ],
    ),
    ("preview-subscription-change", &[("without a code", (3, 2, 5))]),
    (
        "reconcile",
        &[("nothing new, here and on one account", (9, 3, 12))],
    ),
    ("resume-subscription", &[("after a cancellation", (4, 2, 6))]),
    (
        "stripe-webhook",
        &[
            ("a paid invoice", (6, 2, 7)),
            ("a schedule of a connected account", (5, 2, 7)),
            ("a known duplicate", (1, 0, 1)),
            ("a type that means nothing here", (0, 0, 0)),
        ],
    ),
];

/// What was measured.
type Measured = BTreeMap<(&'static str, &'static str), Cost>;

#[test]
fn every_function_is_measured() {
    let functions: BTreeSet<_> = billing_bundle::ALL.iter().map(|function| function.name).collect();
    let measured: BTreeSet<_> = COSTS.iter().map(|(function, _)| *function).collect();
    assert_eq!(functions, measured, "bundle/src/lib.rs and COSTS");
}

#[tokio::test]
async fn no_operation_costs_more_calls_than_is_written_here() {
    let mut measured = Measured::new();
    of_selling(&mut measured).await;
    of_changing(&mut measured).await;
    of_events(&mut measured).await;
    of_plans(&mut measured).await;
    of_connected_accounts(&mut measured).await;
    let pinned: Measured = COSTS
        .iter()
        .flat_map(|(function, ways)| ways.iter().map(|(way, cost)| ((*function, *way), *cost)))
        .collect();
    assert_eq!(measured, pinned, "(calls to DynamoDB, calls to Stripe, in a row)");
}

async fn of_connected_accounts(measured: &mut Measured) {
    const SELL: &str = "create-connect-subscription";
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.holds_events(true).await;
    let north = world.agency().await;
    let (later, now) = (
        north.order("2026-05-01T00:00:00Z"),
        north.order("2026-04-01T00:00:00Z"),
    );
    let machine = far_machine(&world).await;
    let sold = north.sells_on(&machine, &later).await.unwrap();
    measured.insert((SELL, "a client's first"), cost(&machine));
    let waiting = sold.body["id"].as_str().unwrap();
    let machine = far_machine(&world).await;
    assert_eq!(north.sells_on(&machine, &later).await.unwrap().body, sold.body);
    measured.insert((SELL, "the same again"), cost(&machine));

    let running = north.sells(&now).await.body["id"].as_str().unwrap().to_owned();
    let machine = far_machine(&world).await;
    let request = north.request("GET", &format!("/{running}"), &Value::Null);
    assert_eq!(machine.call(request).await.unwrap().status, 200);
    measured.insert(("get-connect-subscription", "with usage"), cost(&machine));
    let machine = far_machine(&world).await;
    for way in ["a page", "a page, the key remembered"] {
        let before = cost(&machine);
        let request = north.request("GET", "", &Value::Null);
        assert_eq!(machine.call(request).await.unwrap().status, 200);
        measured.insert(("list-connect-subscription", way), since(before, &machine));
    }

    let machine = far_machine(&world).await;
    let ends = json!({ "cancelAtPeriodEnd": true });
    assert_eq!(
        north.updates_on(&machine, waiting, &ends).await.unwrap().status,
        200
    );
    measured.insert(
        ("update-connect-subscription", "an end of what waits"),
        cost(&machine),
    );
    let machine = far_machine(&world).await;
    let created = world.stripe.events("subscription_schedule.created").remove(0);
    let answer = machine.call(world.stripe.signed_event(&created)).await.unwrap();
    assert_eq!(answer.status, 200);
    measured.insert(
        ("stripe-webhook", "a schedule of a connected account"),
        cost(&machine),
    );
    let machine = far_machine(&world).await;
    assert_eq!(north.cancels_on(&machine, waiting).await.unwrap().status, 200);
    measured.insert(("cancel-connect-subscription", "what waits"), cost(&machine));
    let machine = far_machine(&world).await;
    assert_eq!(north.cancels_on(&machine, &running).await.unwrap().status, 200);
    measured.insert(("cancel-connect-subscription", "what runs"), cost(&machine));
    let another = north.sells(&now).await.body["id"].as_str().unwrap().to_owned();
    let before = cost(&machine);
    assert_eq!(north.cancels_on(&machine, &another).await.unwrap().status, 200);
    measured.insert(
        ("cancel-connect-subscription", "what runs, the key remembered"),
        since(before, &machine),
    );
}

async fn of_selling(measured: &mut Measured) {
    const CHECKOUT: &str = "create-subscription-checkout";
    let world = World::at("2026-04-01T00:00:00Z").await;
    // Nobody else is at these accounts meanwhile.
    world.stripe.holds_events(true).await;
    let ada = world.account(2).await;
    let monthly = json!({ "interval": "monthly" });
    let machine = far_machine(&world).await;
    ada.starts_checkout_on(&machine, "monthly")
        .await
        .unwrap()
        .client_secret();
    measured.insert((CHECKOUT, "the account's first"), cost(&machine));
    let machine = far_machine(&world).await;
    ada.starts_checkout_on(&machine, "monthly")
        .await
        .unwrap()
        .client_secret();
    measured.insert((CHECKOUT, "the same again"), cost(&machine));
    for (interval, way) in [
        ("monthly", "the same again, the key remembered"),
        ("annual", "another, the key remembered"),
    ] {
        let before = cost(&machine);
        let answer = ada.starts_checkout_on(&machine, interval).await.unwrap();
        answer.client_secret();
        measured.insert((CHECKOUT, way), since(before, &machine));
    }

    let keyed = || {
        let mut request = ada.checkout_request(&monthly);
        request
            .headers_mut()
            .insert("idempotency-key", "once".parse().unwrap());
        request
    };
    assert_eq!(ada.sends(keyed()).await.status, 200);
    let machine = far_machine(&world).await;
    assert_eq!(machine.call(keyed()).await.unwrap().status, 200);
    measured.insert((CHECKOUT, "with an Idempotency-Key again"), cost(&machine));

    let record = world.expired_reservation(&ada).await;
    let machine = far_machine(&world).await;
    machine.hands("expire-checkouts", &record).await.unwrap().unwrap();
    measured.insert(("expire-checkouts", "one reservation"), cost(&machine));
}

async fn of_changing(measured: &mut Measured) {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(2, "monthly").await;
    world.advance("1d").await;

    let machine = far_machine(&world).await;
    let billing = |account: &Account| {
        Request::get("/api/v1/billing")
            .header("authorization", format!("Bearer {}", account.key))
            .body(Bytes::new())
            .unwrap()
    };
    // Another's, so that the prices are known and this key is not.
    let bob = world.account(0).await;
    assert_eq!(machine.call(billing(&bob)).await.unwrap().status, 200);
    for way in ["prices known", "prices known, the key remembered"] {
        let before = cost(&machine);
        assert_eq!(machine.call(billing(&ada)).await.unwrap().status, 200);
        measured.insert(("get-billing", way), since(before, &machine));
    }

    let eve = world.subscriber(1, "monthly").await;
    let path = path_of(&world.stripe.subscription(&eve).await);
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
    let machine = far_machine(&world).await;
    let sold = eve.starts_checkout_on(&machine, "monthly").await.unwrap();
    sold.client_secret();
    measured.insert(
        (
            "create-subscription-checkout",
            "after a subscription that is over",
        ),
        cost(&machine),
    );

    let annual = json!({ "interval": "annual" });
    let machine = far_machine(&world).await;
    assert_eq!(ada.previews_on(&machine, &annual).await.unwrap().status, 200);
    measured.insert(("preview-subscription-change", "without a code"), cost(&machine));
    for (function, way, path) in [
        ("cancel-subscription", "at the period's end", "cancel"),
        ("resume-subscription", "after a cancellation", "resume"),
    ] {
        let machine = far_machine(&world).await;
        assert_eq!(ada.ends_on(&machine, path).await.unwrap().status, 200);
        measured.insert((function, way), cost(&machine));
    }
    let mut machines = Vec::new();
    for way in ["paid at once", "there already"] {
        let machine = far_machine(&world).await;
        assert_eq!(ada.changes_on(&machine, &annual).await.unwrap().status, 200);
        measured.insert(("change-subscription-interval", way), cost(&machine));
        machines.push(machine);
    }
    let (way, before) = ("by a process that remembers the key", cost(&machines[0]));
    let back = json!({ "interval": "monthly" });
    assert_eq!(ada.changes_on(&machines[0], &back).await.unwrap().status, 200);
    measured.insert(("change-subscription-interval", way), since(before, &machines[0]));
}

async fn of_events(measured: &mut Measured) {
    const WEBHOOK: &str = "stripe-webhook";
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(2).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.stripe.checks_out(&secret, "succeed").await;
    for (kind, way) in [
        ("invoice.paid", "a paid invoice"),
        ("invoice.paid", "a known duplicate"),
        ("invoice.created", "a type that means nothing here"),
    ] {
        let event = world.stripe.events(kind)[0].clone();
        let machine = far_machine(&world).await;
        let answer = machine.call(world.stripe.signed_event(&event)).await.unwrap();
        assert_eq!(answer.status, 200, "{way}");
        measured.insert((WEBHOOK, way), cost(&machine));
    }
    let tick = json!({ "detail-type": "Scheduled Event", "source": "aws.events" });
    world.agency().await;
    world.hands("reconcile", &tick).await;
    let machine = far_machine(&world).await;
    machine.hands("reconcile", &tick).await.unwrap().unwrap();
    measured.insert(
        ("reconcile", "nothing new, here and on one account"),
        cost(&machine),
    );
}

async fn of_plans(measured: &mut Measured) {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.holds_events(true).await;
    let acme = world.organisation("acme").await;
    let order = acme.order("starter");
    let machine = far_machine(&world).await;
    for way in ["a plan", "a plan, the key remembered"] {
        let before = cost(&machine);
        assert_eq!(acme.previews_on(&machine, &order).await.unwrap().status, 200);
        measured.insert(("preview-checkout-session", way), since(before, &machine));
    }
    let machine = far_machine(&world).await;
    let mut offered = Vec::new();
    for (way, plan) in [("a plan", "starter"), ("a plan, the key remembered", "team")] {
        let before = cost(&machine);
        let answer = acme.opens_on(&machine, &acme.order(plan)).await.unwrap();
        offered.push(answer.body["id"].as_str().unwrap().to_owned());
        measured.insert(("create-checkout-session", way), since(before, &machine));
    }
    let id = &offered[0];
    let machine = far_machine(&world).await;
    for way in ["open", "open, the key remembered"] {
        let before = cost(&machine);
        let read = acme.request("GET", &format!("/checkouts/{id}"), &Value::Null);
        assert_eq!(machine.call(read).await.unwrap().status, 200);
        measured.insert(("get-checkout-session", way), since(before, &machine));
    }
    let machine = far_machine(&world).await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    assert_eq!(acme.confirms_on(&machine, id, &visa).await.unwrap().status, 200);
    measured.insert(
        ("confirm-checkout-session", "a plan, the customer's first"),
        cost(&machine),
    );
    let machine = far_machine(&world).await;
    for (way, plan) in [
        ("a plan, on its page", "starter"),
        ("a plan, on its page, the key remembered", "team"),
    ] {
        let id = acme.session(&acme.order(plan)).await;
        let before = cost(&machine);
        let pending = acme.confirms_on(&machine, &id, &Value::Null).await.unwrap();
        assert_eq!(pending.body["checkout_status"], "pending");
        measured.insert(("confirm-checkout-session", way), since(before, &machine));
    }
}

/// A machine whose calls take a while, so that those that are made at the same time are seen to be.
async fn far_machine(world: &World) -> Machine {
    let machine = world.machine().await;
    machine.network.is_far();
    machine
}

/// What it has seen since it had seen so much. Calls of different requests wait for one another.
fn since(before: Cost, machine: &Machine) -> Cost {
    let now = cost(machine);
    (now.0 - before.0, now.1 - before.1, now.2 - before.2)
}

/// What a machine's network has seen.
fn cost(machine: &Machine) -> Cost {
    let steps = machine.network.steps();
    let dynamodb = steps.iter().filter(|step| step.starts_with("DynamoDB ")).count();
    (dynamodb, steps.len() - dynamodb, machine.network.steps_in_a_row())
}
