//! Events arrive twice, late, early and out of order; the account ends up the same.

use billing_tests::{Account, World};
use futures_util::future::join_all;

/// A subscription of one month, paid and covered, with one ledger entry.
async fn subscribed_once(world: &World, account: &Account<'_>) {
    assert_eq!(account.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(account.ledger().await.len(), 1);
    let stored = account.stored().await;
    let subscriptions = world.stripe.subscriptions(account).await;
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(stored.subscription.unwrap().id.as_str(), subscriptions[0]["id"]);
    assert_eq!(stored.profile.open_session, None);
}

#[tokio::test]
async fn an_event_that_arrives_twice_changes_nothing_the_second_time() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let before = ada.stored().await;
    for kind in [
        "checkout.session.completed",
        "customer.subscription.created",
        "invoice.paid",
    ] {
        let event = world.stripe.events(kind).pop().unwrap();
        assert_eq!(world.stripe.delivers(&event).await, 200);
    }
    assert_eq!(ada.stored().await, before, "not even its version");
    subscribed_once(&world, &ada).await;
}

/// All orders of the three events that matter: 3! = 6.
#[tokio::test]
async fn events_land_in_any_order() {
    const KINDS: [&str; 3] = [
        "checkout.session.completed",
        "customer.subscription.created",
        "invoice.paid",
    ];
    let world = World::at("2026-04-01T00:00:00Z").await;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        world.stripe.holds_events(true).await;
        let ada = world.account(1).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out(&secret, "succeed").await;
        for kind in order.map(|place| KINDS[place]) {
            let event = world.stripe.events(kind).pop().unwrap();
            assert_eq!(world.stripe.delivers(&event).await, 200, "{kind}");
        }
        subscribed_once(&world, &ada).await;
        world.stripe.holds_events(false).await;
        subscribed_once(&world, &ada).await;
    }
}

#[tokio::test]
async fn an_event_that_is_a_day_late_lands_all_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.stripe.checks_out(&secret, "succeed").await;
    world.advance("24h").await;
    assert_eq!(
        ada.covered_until().await,
        "",
        "nobody is served before the payment is known"
    );
    world.stripe.holds_events(false).await;
    subscribed_once(&world, &ada).await;
}

/// The payer's browser is faster than our own answer: Stripe has made the session, its answer is still on the way to us, and
/// the payment arrives. Nothing is recorded yet, neither the session nor the customer.
#[tokio::test]
async fn the_webhook_may_be_faster_than_stripes_answer_to_us() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/checkout/sessions");
    let checkout = ada.starts_checkout_on(&machine, "monthly");
    let payment = async {
        machine.network.reached().await;
        let secret = world.stripe.sessions(&ada).await[0]["client_secret"]
            .as_str()
            .unwrap()
            .to_owned();
        world.stripe.pays(&secret).await;
        subscribed_once(&world, &ada).await;
        machine.network.lets_go();
    };
    let (answer, ()) = tokio::join!(checkout, payment);
    assert_eq!(
        answer.unwrap(),
        r#"409 {"error":"the account already has a subscription"}"#
    );
    subscribed_once(&world, &ada).await;
}

/// The same event on several machines at once: one does the work, the others are told to come back, and it lands once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_delivered_many_times_at_once_lands_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let paid = world.stripe.event("invoice.paid");
    let machines = [world.machine().await, world.machine().await];
    let deliveries = (0..12).map(|n| machines[n % 2].call(world.stripe.signed_event(&paid)));
    let statuses: Vec<_> = join_all(deliveries)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status)
        .collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 409)),
        "{statuses:?}"
    );
    assert_eq!(ada.ledger().await.len(), 1);
}

/// While one machine is at an event, another is told to come back: were it told 200, Stripe would never deliver again what the first one may yet
/// die of. Done, it is 200.
#[tokio::test]
async fn an_event_that_is_being_handled_is_not_acknowledged_by_another() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let paid = world.stripe.event("invoice.paid");
    let (at_it, other) = (world.machine().await, world.machine().await);
    at_it.network.holds("GET /v1/invoices");
    let (first, second) = tokio::join!(at_it.call(world.stripe.signed_event(&paid)), async {
        at_it.network.reached().await;
        let second = other.call(world.stripe.signed_event(&paid)).await.unwrap();
        at_it.network.lets_go();
        second
    });
    assert_eq!(second, r#"409 {"error":"this event is being handled"}"#);
    assert_eq!(second.header("retry-after"), "5");
    assert_eq!(first.unwrap(), r#"200 {"received":true}"#);
    let third = other.call(world.stripe.signed_event(&paid)).await.unwrap();
    assert_eq!(third, r#"200 {"received":true}"#);
    assert_eq!(ada.ledger().await.len(), 1);
}

/// All events of a checkout at once, on several machines: they contend for one account, and all of them land.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_events_at_once_all_land() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let machines = [world.machine().await, world.machine().await];
    let kinds = [
        "checkout.session.completed",
        "customer.subscription.created",
        "invoice.paid",
    ];
    let deliveries = kinds.iter().enumerate().map(|(n, kind)| {
        let event = world.stripe.events(kind).pop().unwrap();
        machines[n % 2].call(world.stripe.signed_event(&event))
    });
    for answer in join_all(deliveries).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    subscribed_once(&world, &ada).await;
}

/// An old `customer.subscription.updated` arrives after the subscription was cancelled: what is stored is what Stripe says now.
#[tokio::test]
async fn an_older_event_does_not_bring_back_an_older_state() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription_id(&ada).await;
    let path = format!("/v1/subscriptions/{subscription}");
    world.stripe.holds_events(true).await;
    world
        .stripe
        .operator("POST", &path, "cancel_at_period_end=true")
        .await;
    let updated = world.stripe.event("customer.subscription.updated");
    world.stripe.operator("DELETE", &path, "").await;
    let deleted = world.stripe.event("customer.subscription.deleted");
    assert_eq!(world.stripe.delivers(&deleted).await, 200);
    assert_eq!(world.stripe.delivers(&updated).await, 200);
    assert!(ada.billing().await.body["subscription"].is_null());
}

#[tokio::test]
async fn a_scheduled_cancellation_is_shown() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription_id(&ada).await;
    let path = format!("/v1/subscriptions/{subscription}");
    world
        .stripe
        .operator("POST", &path, "cancel_at_period_end=true")
        .await;
    world.stripe.stand_in().settle().await;
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        true
    );
}

/// A declined card leaves the session open: the payer tries again with another one.
#[tokio::test]
async fn a_declined_payment_leaves_the_session_payable() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    for payment in ["decline", "requires_action"] {
        world.stripe.checks_out(&secret, payment).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(ada.covered_until().await, "", "{payment}");
        assert_eq!(
            ada.starts_checkout("monthly").await.client_secret(),
            secret,
            "{payment}"
        );
    }
    world.stripe.pays(&secret).await;
    subscribed_once(&world, &ada).await;
}

/// Stripe is down when the event arrives: the webhook says so, the event stays visible as failed, and Stripe's next delivery, on
/// its own schedule, heals it.
#[tokio::test]
async fn an_event_that_failed_stays_visible_and_lands_with_the_next_delivery() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    world.stripe.pays(&secret).await;
    let paid = world.stripe.event("invoice.paid");
    let receipt = world.receipt(&paid).await;
    assert_eq!(receipt.status, billing_store::ReceiptStatus::Failed);
    assert_eq!((receipt.attempts, receipt.kind.as_str()), (1, "invoice.paid"));
    assert!(receipt.last_error.unwrap().contains("500"));
    assert_eq!(ada.covered_until().await, "");
    world.stripe.recovers().await;
    world.advance("2h").await;
    subscribed_once(&world, &ada).await;
    assert_eq!(
        world.receipt(&paid).await.status,
        billing_store::ReceiptStatus::Done
    );
}

/// Events of the other mode, of unknown types, of connected accounts and of customers that are not ours are acknowledged.
#[tokio::test]
async fn what_is_not_ours_is_acknowledged_and_left_alone() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let somebody = world
        .stripe
        .operator("POST", "/v1/customers", "name=Somebody%20else")
        .await;
    let event = |kind: &str, livemode: bool, account: serde_json::Value, object: &str| {
        let object = serde_json::json!({ "id": object, "customer": somebody["id"] });
        let event = serde_json::json!({
            "id": format!("evt_{}", kind.replace('.', "")), "type": kind, "livemode": livemode, "account": account,
            "data": { "object": object },
        });
        event.to_string()
    };
    for payload in [
        event("invoice.paid", true, serde_json::Value::Null, "in_1"),
        event("a.type.of.tomorrow", false, serde_json::Value::Null, "x_1"),
        event("invoice.paid", false, "acct_1".into(), "in_1"),
        event("invoice.paid", false, serde_json::Value::Null, "in_erased"),
        event(
            "customer.subscription.updated",
            false,
            serde_json::Value::Null,
            "sub_erased",
        ),
        event(
            "checkout.session.expired",
            false,
            serde_json::Value::Null,
            "cs_test_erased",
        ),
    ] {
        let secret = &world.stack().directory.webhook_secret;
        let signature = billing_stripe::webhook::sign(payload.as_bytes(), secret, world.now());
        let answer = world.posts_event(&payload, &signature).await;
        assert_eq!(answer, r#"200 {"received":true}"#, "{payload}");
    }
}

/// An event of the other mode is nothing to us, also where our own mode has what it names.
#[tokio::test]
async fn an_event_of_the_other_mode_lands_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let paid = world.stripe.latest_invoice().await["id"].clone();
    for (livemode, covered) in [(true, ""), (false, "2026-05-01T00:00:00Z")] {
        let payload = serde_json::json!({
            "id": format!("evt_{livemode}"), "type": "invoice.paid", "livemode": livemode, "data": { "object": { "id": paid } },
        });
        let payload = payload.to_string();
        let signing = &world.stack().directory.webhook_secret;
        let signature = billing_stripe::webhook::sign(payload.as_bytes(), signing, world.now());
        let answer = world.posts_event(&payload, &signature).await;
        assert_eq!(answer, r#"200 {"received":true}"#, "{payload}");
        assert_eq!(ada.covered_until().await, covered, "{payload}");
    }
}

/// There and back: a cancellation is scheduled and taken back. The handler of the first event has read it as scheduled when the
/// second event, which finds nothing to change yet, is done. What the first one has read must not be written after that.
#[tokio::test]
async fn an_event_that_finds_nothing_to_change_still_overtakes_older_facts() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription_id(&ada).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let cancels = async |word: &str| {
        let form = format!("cancel_at_period_end={word}");
        world.stripe.operator("POST", &path, &form).await;
        world.stripe.event("customer.subscription.updated")
    };
    world.stripe.holds_events(true).await;
    let scheduled = cancels("true").await;
    let machine = world.machine().await;
    machine.network.holds("GET /v1/subscriptions/");
    let first = machine.call(world.stripe.signed_event(&scheduled));
    let second = async {
        machine.network.reached().await;
        let taken_back = cancels("false").await;
        assert_eq!(world.stripe.delivers(&taken_back).await, 200);
        machine.network.lets_go();
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.unwrap().status, 200);
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        false
    );
}

/// A bank debit: the session completes at once, the money comes three days later, or does not. Until then nobody is served, and
/// nobody buys again.
#[tokio::test]
async fn a_delayed_payment_covers_when_it_arrives() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (later, covered_until) in [("succeed", "2026-05-01T00:00:00Z"), ("decline", "")] {
        let ada = world.account(1).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out_by_bank(&secret, later).await;
        let subscribed = r#"409 {"error":"the account already has a subscription"}"#;
        assert_eq!(ada.covered_until().await, "", "{later}: not yet");
        assert_eq!(ada.starts_checkout("monthly").await, subscribed, "{later}");
        world.advance("3d").await;
        assert_eq!(ada.covered_until().await, covered_until, "{later}");
        // Declined, it is past due: Stripe tries again.
        assert_eq!(ada.starts_checkout("monthly").await, subscribed, "{later}");
    }
}

/// A secret is rotated: for a while both are active, then the old one is off.
#[tokio::test]
async fn events_signed_with_either_secret_are_taken_while_one_is_rotated() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.subscriber(1, "monthly").await;
    let paid = world.stripe.event("invoice.paid");
    let old = world.stack().directory.webhook_secret.clone();
    for (secrets, status) in [
        (format!("whsec_new, {old}"), 200),
        (format!("{old},whsec_new,"), 200),
        ("whsec_new".to_owned(), 400),
    ] {
        let machine = world
            .machine_told(&[("STRIPE_WEBHOOK_SECRETS", secrets.as_str())])
            .await;
        let answer = machine.call(world.stripe.signed_event(&paid)).await.unwrap();
        assert_eq!(answer.status, status, "{secrets}");
    }
}

/// Where real money moves, Stripe keeps everything: an object that it does not know is our fault, and the work is not done. Neither for
/// somebody unknown nor for an organisation's customer.
#[tokio::test]
async fn a_live_event_about_nothing_fails_and_stays_visible() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    acme.sells(&acme.order("starter")).await;
    let bakery = world.stripe.all_customers().await.remove(0);
    let machine = world
        .machine_told(&[("BILLING_MODE", "live"), ("STRIPE_SECRET_KEY", "sk_live_x")])
        .await;
    for (event, customer) in [
        ("evt_live", &serde_json::Value::Null),
        ("evt_plan", &bakery["id"]),
    ] {
        // The stand-in has test keys only: the answer is Stripe's own.
        machine.network.tells(
            "GET /v1/invoices/",
            404,
            r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"invoice","message":"No such invoice"}}"#,
        );
        let payload = serde_json::json!({
            "id": event, "type": "invoice.paid", "livemode": true,
            "data": { "object": { "id": "in_unknown", "customer": customer } },
        })
        .to_string();
        let secret = &world.stack().directory.webhook_secret;
        let signature = billing_stripe::webhook::sign(payload.as_bytes(), secret, world.now());
        let request = http::Request::post("/stripe/webhook")
            .header("stripe-signature", signature)
            .body(bytes::Bytes::from(payload))
            .unwrap();
        let answer = machine.call(request).await.unwrap();
        assert_eq!(answer.status, 502, "{event}: {answer}");
        assert_eq!(
            world.receipt(event).await.status,
            billing_store::ReceiptStatus::Failed,
            "{event}"
        );
    }
}

/// An operator has an organisation's customer name a card on a page of Stripe's, on which nothing is sold: it has no total, and is nothing
/// to us.
#[tokio::test]
async fn a_page_on_which_a_plans_customer_names_a_card_is_nothing_to_us() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    acme.sells(&acme.order("starter")).await;
    let bakery = world.stripe.all_customers().await.remove(0);
    let machine = world.machine().await;
    machine.network.tells(
        "GET /v1/checkout/sessions/",
        200,
        r#"{"id":"cs_test_setup","object":"checkout.session","mode":"setup","status":"complete","url":null,"amount_total":null,
            "subscription":null,"metadata":{}}"#,
    );
    let event = serde_json::json!({
        "id": "evt_setup", "type": "checkout.session.completed", "livemode": false,
        "data": { "object": { "id": "cs_test_setup", "customer": bakery["id"] } },
    });
    let secret = &world.stack().directory.webhook_secret;
    let payload = event.to_string();
    let signature = billing_stripe::webhook::sign(payload.as_bytes(), secret, world.now());
    let request = http::Request::post("/stripe/webhook")
        .header("stripe-signature", signature)
        .body(bytes::Bytes::from(payload))
        .unwrap();
    let answer = machine.call(request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(
        world.receipt("evt_setup").await.status,
        billing_store::ReceiptStatus::Done
    );
}
