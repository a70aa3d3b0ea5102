//! Several checkouts of one account: the same intent, other intents, many at once, one after another.

use std::collections::BTreeSet;

use billing_admin::accounts::Wanted;
use billing_tests::World;
use futures_util::future::join_all;
use serde_json::json;

#[tokio::test]
async fn the_same_intent_is_answered_with_the_same_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let first = ada.starts_checkout("monthly").await.client_secret();
    world.advance("23h").await;
    assert_eq!(ada.starts_checkout("monthly").await.client_secret(), first);
    assert_eq!(world.stripe.sessions(&ada).await.len(), 1);
}

#[tokio::test]
async fn another_intent_makes_the_first_session_unpayable() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let monthly = ada.starts_checkout("monthly").await.client_secret();
    let annual = ada.starts_checkout("annual").await.client_secret();
    assert_ne!(monthly, annual);
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!(payable.len(), 1);
    assert_eq!(payable[0]["client_secret"], annual);
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
}

/// Price, quantity and return URL are parts of the intent as well.
#[tokio::test]
async fn a_number_added_or_another_return_url_is_another_intent() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let one = ada.starts_checkout("monthly").await.client_secret();
    ada.adds_number("+15559990000").await;
    let two = ada.starts_checkout("monthly").await.client_secret();
    let body = json!({ "interval": "monthly", "returnUrl": "https://app.example.com/" });
    let three = ada.starts_checkout_with(&body).await.client_secret();
    assert_eq!(BTreeSet::from([one, two, three.clone()]).len(), 3);
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!((payable.len(), &payable[0]["client_secret"]), (1, &json!(three)));
}

/// Back and forth: an earlier intent does not get its dead session back.
/// The deployment sells at another price from now on: who asks again is sold at that, and the page with the old one can no longer be paid.
#[tokio::test]
async fn another_price_is_another_intent() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(3).await;
    let cheap = ada.starts_checkout("monthly").await.client_secret();
    let dearer = "product_data[name]=Number&currency=usd&unit_amount=1200&recurring[interval]=month";
    let dearer = world.stripe.operator("POST", "/v1/prices", dearer).await;
    let machine = world
        .machine_told(&[("PRICE_MONTHLY", dearer["id"].as_str().unwrap())])
        .await;
    let dear = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
    assert_ne!(dear.client_secret(), cheap);
    let payable = world.stripe.payable_sessions(&ada).await;
    let amounts: Vec<_> = payable.iter().map(|session| &session["amount_total"]).collect();
    assert_eq!(amounts, [3600]);
}

#[tokio::test]
async fn an_intent_that_was_replaced_and_returns_gets_a_new_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let first = ada.starts_checkout("monthly").await.client_secret();
    ada.starts_checkout("annual").await.client_secret();
    let third = ada.starts_checkout("monthly").await.client_secret();
    assert_ne!(first, third);
    world.stripe.pays(&third).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}

/// Stripe's session lives 24 hours, and so does the reservation: to the second.
#[tokio::test]
async fn a_session_that_expired_is_replaced() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let first = ada.starts_checkout("monthly").await.client_secret();
    world.advance("86399s").await;
    assert_eq!(ada.starts_checkout("monthly").await.client_secret(), first);
    world.advance("1s").await;
    assert_ne!(ada.starts_checkout("monthly").await.client_secret(), first);
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
}

/// An operator expires the session in Stripe's dashboard and its event is lost: the next call asks Stripe and makes another.
#[tokio::test]
async fn a_session_that_was_expired_at_stripe_is_replaced() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let first = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    let session = first.split_once("_secret_").unwrap().0;
    world
        .stripe
        .operator("POST", &format!("/v1/checkout/sessions/{session}/expire"), "")
        .await;
    let second = ada.starts_checkout("monthly").await.client_secret();
    assert_ne!(first, second);
    // The end of the first arrives at last, and does not release the second.
    world.stripe.holds_events(false).await;
    assert_eq!(ada.starts_checkout("monthly").await.client_secret(), second);
}

/// After a subscription has ended there is room for another; the account stays the same customer.
#[tokio::test]
async fn an_account_subscribes_again_after_its_subscription_ended() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription_id(&ada).await;
    world
        .stripe
        .operator("DELETE", &format!("/v1/subscriptions/{subscription}"), "")
        .await;
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.billing().await.body["subscription"], json!(null));
    assert_eq!(
        ada.covered_until().await,
        "2026-05-01T00:00:00Z",
        "what is paid for stays covered"
    );
    world.advance("40d").await;
    ada.subscribes("annual").await;
    assert_eq!(ada.covered_until().await, "2027-05-11T00:00:00Z");
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
}

/// An operator deleted the customer at Stripe: the account gets another one instead of an error for ever.
#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_is_replaced() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    let first = world.stripe.customer_id(&ada).await;
    world
        .stripe
        .operator("DELETE", &format!("/v1/customers/{first}"), "")
        .await;
    world.advance("25h").await;
    ada.subscribes("monthly").await;
    let customers = world.stripe.customers(&ada).await;
    assert_eq!(customers.len(), 1);
    assert_ne!(customers[0]["id"], first);
    assert_ne!(ada.covered_until().await, "");
}

/// So it does while the deleted one's page is open, and that page is made unpayable.
#[tokio::test]
async fn the_page_of_a_customer_that_was_deleted_at_stripe_is_replaced() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let orphaned = ada.starts_checkout("monthly").await.client_secret();
    let first = world.stripe.customer_id(&ada).await;
    let path = format!("/v1/customers/{first}");
    world.stripe.operator("DELETE", &path, "").await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    assert_ne!(secret, orphaned);
    assert_eq!(ada.starts_checkout("monthly").await.client_secret(), secret);
    let customers = world.stripe.customers(&ada).await;
    assert_eq!(customers.len(), 1);
    assert_ne!(customers[0]["id"], first);
    let sessions = world.stripe.sessions(&ada).await;
    let open = sessions.iter().filter(|session| session["status"] == "open");
    assert_eq!(open.count(), 1, "{sessions:?}");
    world.stripe.pays(&secret).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}

/// Nor is the page closed for one that may not be made. It counts as two: Stripe refuses the first for the customer, and keeps that under its key.
#[tokio::test]
async fn the_page_of_a_customer_that_was_deleted_is_not_replaced_too_often() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for interval in ["annual", "monthly"].iter().cycle().take(60) {
        ada.starts_checkout(interval).await.client_secret();
    }
    let path = format!("/v1/customers/{}", world.stripe.customer_id(&ada).await);
    world.stripe.operator("DELETE", &path, "").await;
    assert_eq!(ada.starts_checkout("monthly").await.status, 429);
    let sessions = world.stripe.sessions(&ada).await;
    let open = sessions.iter().filter(|session| session["status"] == "open");
    assert_eq!(open.count(), 1, "{sessions:?}");
    world.advance("2m").await;
    ada.starts_checkout("monthly").await.client_secret();
}

/// A double click by 24 hands: everybody is shown the one session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_four_concurrent_calls_leave_one_payable_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let answers = join_all((0..24).map(|_| ada.starts_checkout("monthly"))).await;
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!(payable.len(), 1);
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
    for answer in answers {
        assert_eq!(answer.client_secret(), payable[0]["client_secret"]);
    }
}

/// Two intents fight over 24 calls on several machines: whoever is answered last holds the one session that can be paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_of_two_intents_leave_one_payable_session() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machines = [world.machine().await, world.machine().await];
    let calls = (0..24).map(|n| {
        let interval = if n % 2 == 0 { "monthly" } else { "annual" };
        ada.starts_checkout_on(&machines[n / 2 % 2], interval)
    });
    let answers: Vec<_> = join_all(calls).await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 24);
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 503), "{answer}");
    }
    assert!(world.stripe.payable_sessions(&ada).await.len() <= 1);
    let last = ada.starts_checkout("annual").await.client_secret();
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!((payable.len(), &payable[0]["client_secret"]), (1, &json!(last)));
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
}

/// The end of the old customer's session is told while the new customer is being made: the account does not go back to the old
/// one, and does not end up with a third.
#[tokio::test]
async fn a_late_event_of_a_deleted_customer_does_not_bring_it_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    world.stripe.loses_its_customer(&ada).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/customers");
    let checkout = ada.starts_checkout_on(&machine, "annual");
    let event = async {
        machine.network.reached().await;
        let expired = world.stripe.event("checkout.session.expired");
        assert_eq!(world.stripe.delivers(&expired).await, 200);
        machine.network.lets_go();
    };
    let (answer, ()) = tokio::join!(checkout, event);
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!(
        (payable.len(), &payable[0]["client_secret"]),
        (1, &json!(answer.unwrap().client_secret()))
    );
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
}

/// Stripe failed under the key by which the first session was to be expired, and keeps the failure for a day. The session is
/// still open, so it is expired under another key.
#[tokio::test]
async fn a_session_is_made_unpayable_although_its_key_is_spent() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let monthly = ada.starts_checkout("monthly").await.client_secret();
    let session = monthly.split_once("_secret_").unwrap().0;
    world
        .stripe
        .spends_idempotency_key(&format!("expire/{session}"))
        .await;
    let annual = ada.starts_checkout("annual").await.client_secret();
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!((payable.len(), &payable[0]["client_secret"]), (1, &json!(annual)));
}

/// Stripe failed while it made the customer, or while it made the session, and keeps the failure under its key for a day. The
/// caller does not notice: the next key is taken.
#[tokio::test]
async fn a_key_that_is_spent_is_passed_over_within_the_call() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for key in ["customer/ACCOUNT/0", "checkout/ACCOUNT/1"] {
        let ada = world.account(1).await;
        world
            .stripe
            .spends_idempotency_key(&key.replace("ACCOUNT", &ada.id))
            .await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        let payable = world.stripe.payable_sessions(&ada).await;
        assert_eq!((payable.len(), &payable[0]["client_secret"]), (1, &json!(secret)));
        assert_eq!(world.stripe.customers(&ada).await.len(), 1);
    }
}

/// The end of a paid session is never told, the end of what it became is: there is room for another subscription.
#[tokio::test]
async fn a_subscription_that_ended_is_in_nobodys_way_although_its_sessions_end_was_lost() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let subscription = world.stripe.subscription_id(&ada).await;
    let path = format!("/v1/subscriptions/{subscription}");
    world.stripe.operator("DELETE", &path, "").await;
    let deleted = world.stripe.event("customer.subscription.deleted");
    assert_eq!(world.stripe.delivers(&deleted).await, 200);
    assert_ne!(ada.starts_checkout("monthly").await.client_secret(), secret);
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
}

/// Sixty other intents at once, each a session at Stripe; the sixty-first has to wait a minute. The earlier session stays as it is, the same
/// intent is answered all the same, other accounts are not affected, and an `Idempotency-Key` is not used up by having to wait.
#[tokio::test]
async fn an_account_starts_sixty_checkouts_at_once_and_then_one_a_minute() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, bob) = (world.account(1).await, world.account(1).await);
    let intervals = ["monthly", "annual"];
    let mut secret = String::new();
    for n in 0..60 {
        secret = ada.starts_checkout(intervals[n % 2]).await.client_secret();
    }
    let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
    request
        .headers_mut()
        .insert("idempotency-key", http::HeaderValue::from_static("order-61"));
    let refused = ada.sends(request.clone()).await;
    assert_eq!(
        refused,
        r#"429 {"error":"too many checkouts were started for this account"}"#
    );
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(ada.starts_checkout("annual").await.client_secret(), secret);
    assert_eq!(bob.starts_checkout("annual").await.status, 200);
    world.advance("1m").await;
    assert_ne!(ada.sends(request).await.client_secret(), secret);
    assert_eq!(ada.starts_checkout("annual").await.status, 429);
}

/// A checkout that Stripe refuses was asked of Stripe all the same: it counts, and the sixty-first is not asked.
#[tokio::test]
async fn a_checkout_that_stripe_refuses_counts_as_started() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let price = format!("/v1/prices/{}", world.stack().variables["PRICE_MONTHLY"]);
    world.stripe.operator("POST", &price, "active=false").await;
    for _ in 0..60 {
        assert_eq!(ada.starts_checkout("monthly").await.status, 502);
    }
    let refused = ada.starts_checkout("monthly").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
    world.stripe.operator("POST", &price, "active=true").await;
    world.advance("1m").await;
    ada.starts_checkout("monthly").await.client_secret();
}

/// An id of 200 characters is told to Stripe in a session's reference and in every idempotency key: all that an account does goes through.
#[tokio::test]
async fn an_account_of_the_longest_id_buys_changes_and_cancels() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let id = "a".repeat(200);
    let wanted = Wanted {
        id: id.parse().unwrap(),
        name: None,
        email: None,
        customer: None,
        numbers: vec!["+15551230001".parse().unwrap()],
    };
    billing_admin::accounts::create(world.stack().app.store(), wanted, world.now())
        .await
        .unwrap();
    let ada = world.admits(&id).await;
    ada.subscribes("monthly").await;
    assert_eq!(ada.cancels().await.status, 200);
    let changed = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(changed.status, 200, "{changed}");
    assert_eq!(ada.resumes().await.status, 200);
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
}

/// Where real money moves, Stripe keeps everything: a customer or a page that it does not know is another Stripe account's, and our key looks in
/// the wrong one. Nothing is forgotten, and nothing sold there.
#[tokio::test]
async fn a_key_that_looks_in_the_wrong_account_sells_nothing_there() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    let before = ada.stored().await.profile;
    ada.uses_a_live_key().await;
    let live = async || {
        world
            .machine_told(&[("BILLING_MODE", "live"), ("STRIPE_SECRET_KEY", "sk_live_x")])
            .await
    };
    let machine = live().await;
    let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"session","message":"No such session"}}"#;
    machine.network.tells("GET /v1/checkout/sessions/", 404, missing);
    let answer = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
    assert_eq!(answer.status, 502, "{answer}");
    let machine = live().await;
    machine.network.tells("/expire", 404, missing);
    machine.network.tells("GET /v1/checkout/sessions/", 404, missing);
    let answer = ada.starts_checkout_on(&machine, "annual").await.unwrap();
    assert_eq!(answer.status, 502, "{answer}");
    assert_eq!(ada.stored().await.profile, before, "nothing was reserved");

    let machine = live().await;
    let expired = json!({ "id": before.open_session, "object": "checkout.session", "status": "expired", "client_secret": null,
                          "expires_at": 0, "customer": before.customer, "subscription": null });
    machine.network.tells("/expire", 200, expired.to_string().leak());
    let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer","message":"No such customer"}}"#;
    machine
        .network
        .tells_at("POST /v1/checkout/sessions", 2, 400, missing);
    machine.network.tells("GET /v1/customers/", 404, missing);
    let answer = ada.starts_checkout_on(&machine, "annual").await.unwrap();
    assert_eq!(answer.status, 502, "{answer}");
    let after = ada.stored().await.profile;
    assert_eq!((after.customer, after.lost_customers), (before.customer, 0));
    assert_eq!(
        world.stripe.payable_sessions(&ada).await[0]["client_secret"],
        secret
    );
}

/// Stripe refuses the account's first page: the customer that was made for it is known, and is not looked for among all others a day later.
#[tokio::test]
async fn the_customer_of_a_checkout_that_was_refused_is_known() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    let refusal = r#"{"error":{"type":"invalid_request_error","message":"The price specified is inactive"}}"#;
    machine.network.tells("POST /v1/checkout/sessions", 400, refusal);
    let refused = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
    assert_eq!(refused.status, 502, "{refused}");
    let made = world.stripe.customers(&ada).await.remove(0);
    assert_eq!(json!(ada.stored().await.profile.customer), made["id"]);
    world.advance("21h").await;
    let machine = world.machine().await;
    let sold = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
    sold.client_secret();
    let steps = machine.network.steps();
    assert!(
        !steps.iter().any(|step| step.contains("GET /v1/customers")),
        "{steps:?}"
    );
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
}
