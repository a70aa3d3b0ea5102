//! A payer's try in vain on the page of a checkout. Stripe may begin the subscription with it, `incomplete`, while the session is open: the payer
//! who comes back is sold the same, or something else, once.

use billing_tests::{Account, World, at_every_death};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

const SUBSCRIBED: &str = r#"409 {"error":"the account already has a subscription"}"#;

/// In a Stripe where nothing is begun before a session is complete, and in one where a try begins it.
async fn worlds() -> [World; 2] {
    [world(false).await, world(true).await]
}

async fn world(tries_begin_subscriptions: bool) -> World {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.is(Settings {
        tries_begin_subscriptions,
        ..Settings::default()
    });
    world
}

/// The payer tries in vain; the events arrive.
async fn tries(world: &World, secret: &str, payment: &str) {
    world.stripe.checks_out(secret, payment).await;
    world.stripe.stand_in().settle().await;
}

/// One subscription is live, and was paid for once; nothing else can be paid.
async fn is_sold_once(world: &World, ada: &Account<'_>, paid: i64, context: &str) {
    let all = world.stripe.subscriptions(ada).await;
    let over = |status: &Value| status == "canceled" || status == "incomplete_expired";
    let live: Vec<_> = all.iter().filter(|row| !over(&row["status"])).collect();
    assert_eq!(live.len(), 1, "{context}: {live:?}");
    assert_eq!(
        ada.stored().await.subscription.unwrap().id.as_str(),
        live[0]["id"],
        "{context}"
    );
    assert_eq!(world.stripe.payments(ada).await, [paid], "{context}");
    assert!(world.stripe.payable_sessions(ada).await.is_empty(), "{context}");
    let invoices = world.stripe.invoices(ada).await;
    let payable = invoices.iter().filter(|bill| bill["status"] == "open");
    assert_eq!(payable.count(), 0, "{context}");
    assert_ne!(ada.covered_until().await, "", "{context}");
}

/// Declined, and wanted by the bank: the page is shown again, and pays.
#[tokio::test]
async fn a_payer_who_comes_back_is_shown_the_same_page() {
    for world in worlds().await {
        for payment in ["decline", "requires_action"] {
            let ada = world.account(1).await;
            let secret = ada.starts_checkout("monthly").await.client_secret();
            for _ in 0..2 {
                tries(&world, &secret, payment).await;
                assert_eq!(
                    ada.starts_checkout("monthly").await.client_secret(),
                    secret,
                    "{payment}"
                );
            }
            assert_eq!(ada.billing().await.body["subscription"], json!(null));
            assert_eq!(ada.covered_until().await, "");
            world.stripe.pays(&secret).await;
            is_sold_once(&world, &ada, 1000, payment).await;
            assert_eq!(ada.starts_checkout("monthly").await, SUBSCRIBED);
        }
    }
}

/// Another interval is wanted after the try: the first page is made unpayable, with what it had begun. The events of its end may be later than those
/// of what was bought.
#[tokio::test]
async fn a_payer_who_wants_something_else_is_sold_that_alone() {
    for world in worlds().await {
        for hold in [false, true] {
            let ada = world.account(1).await;
            let first = ada.starts_checkout("monthly").await.client_secret();
            tries(&world, &first, "decline").await;
            world.stripe.holds_events(hold).await;
            let second = ada.starts_checkout("annual").await.client_secret();
            assert_ne!(first, second);
            assert_eq!(ada.starts_checkout("annual").await.client_secret(), second);
            world.stripe.checks_out(&second, "succeed").await;
            for kind in ["customer.subscription.created", "invoice.paid"] {
                let event = world.stripe.events(kind).pop().unwrap();
                assert_eq!(world.stripe.delivers(&event).await, 200);
            }
            is_sold_once(&world, &ada, 9600, "its own events").await;
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
            is_sold_once(&world, &ada, 9600, "all events").await;
        }
    }
}

/// The page is paid after a try, and the event is late: nothing is sold beside it.
#[tokio::test]
async fn a_page_that_was_paid_after_a_try_bars_another() {
    for world in worlds().await {
        for (payment, after) in [("succeed", "1m"), ("delayed", "1m"), ("delayed", "73h")] {
            let ada = world.account(1).await;
            let secret = ada.starts_checkout("monthly").await.client_secret();
            tries(&world, &secret, "decline").await;
            world.stripe.holds_events(true).await;
            world.stripe.checks_out(&secret, payment).await;
            world.advance(after).await;
            for interval in ["monthly", "annual"] {
                let told = ada.starts_checkout(interval).await;
                assert_eq!(told.status, 409, "{payment} {after}: {told}");
            }
            world.stripe.holds_events(false).await;
            world.advance("73h").await;
            is_sold_once(&world, &ada, 1000, payment).await;
        }
    }
}

/// The page's time runs out, and its events are lost: the next checkout finds out.
#[tokio::test]
async fn what_a_try_has_begun_bars_nobody_once_its_page_is_gone() {
    for world in worlds().await {
        let ada = world.account(1).await;
        let first = ada.starts_checkout("monthly").await.client_secret();
        tries(&world, &first, "decline").await;
        world.stripe.holds_events(true).await;
        world.advance("25h").await;
        let second = ada.starts_checkout("monthly").await.client_secret();
        assert_ne!(first, second);
        world.stripe.checks_out(&second, "succeed").await;
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        is_sold_once(&world, &ada, 1000, "a day later").await;
    }
}

/// One that an operator has made, with no page of ours open, can be paid, and bars another.
#[tokio::test]
async fn an_incomplete_subscription_of_an_operator_bars_a_checkout() {
    let world = world(true).await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    let (session, _) = secret.split_once("_secret_").unwrap();
    let path = format!("/v1/checkout/sessions/{session}/expire");
    world.stripe.operator("POST", &path, "").await;
    let customer = world.stripe.customers(&ada).await[0]["id"].clone();
    let form = format!(
        "customer={}&items[0][price]={}&payment_behavior=default_incomplete&metadata[account]={}",
        customer.as_str().unwrap(),
        world.stack().variables["PRICE_MONTHLY"],
        ada.id
    );
    world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    world.stripe.stand_in().settle().await;
    for _ in 0..2 {
        assert_eq!(ada.starts_checkout("monthly").await, SUBSCRIBED);
    }
    assert!(world.stripe.payable_sessions(&ada).await.is_empty());
}

/// The machine that takes another page in its place dies at any of its steps.
#[tokio::test]
async fn another_page_is_opened_whatever_dies_over_it() {
    let world = world(true).await;
    at_every_death(async |death| {
        let ada = world.account(1).await;
        let first = ada.starts_checkout("monthly").await.client_secret();
        tries(&world, &first, "decline").await;
        world.stripe.holds_events(true).await;
        let starts = async |machine: &billing_tests::Machine| ada.starts_checkout_on(machine, "annual").await;
        let told = world.dies_over(death, starts).await;
        let second = ada.starts_checkout("annual").await.client_secret();
        assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1, "{death}");
        world.stripe.checks_out(&second, "succeed").await;
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        is_sold_once(&world, &ada, 9600, &death.to_string()).await;
        told.is_some()
    })
    .await;
}
