//! A second live subscription of one account, which an operator made at Stripe.

use billing_tests::{Account, Moment, World, at_every_death, log};
use serde_json::Value;

/// An operator makes another subscription like an account's.
async fn another(world: &World, own: &Value) -> Value {
    let customer = own["customer"].as_str().unwrap();
    let card = world
        .stripe
        .operator(
            "POST",
            "/v1/payment_methods/pm_card_visa/attach",
            &format!("customer={customer}"),
        )
        .await;
    let form = format!(
        "customer={customer}&items[0][price]={}&default_payment_method={}",
        own["items"]["data"][0]["price"]["id"].as_str().unwrap(),
        card["id"].as_str().unwrap()
    );
    world.stripe.operator("POST", "/v1/subscriptions", &form).await
}

/// An account with one number and a subscription, for which an operator has made another. Answers both.
async fn with_two(world: &World) -> (Account<'_>, String, String) {
    let ada = world.subscriber(1, "monthly").await;
    let own = world.stripe.subscription(&ada).await;
    let other = another(world, &own).await;
    world.stripe.stand_in().settle().await;
    let id = |subscription: &Value| subscription["id"].as_str().unwrap().to_owned();
    (ada, id(&own), id(&other))
}

async fn stored(ada: &Account<'_>) -> String {
    ada.stored().await.subscription.unwrap().id.to_string()
}

/// The account's own is the first; what is paid for the second covers all the same, and when it ends the first stays.
#[tokio::test]
async fn the_second_is_not_the_accounts_while_the_first_lives() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    log::keeps();
    let (ada, own, other) = with_two(&world).await;
    let log = log::kept();
    let named = format!("\"subscription\":\"{other}\",\"own\":\"{own}\"");
    assert!(log.contains(&named), "{log}");
    assert_eq!(stored(&ada).await, own);
    assert_eq!(ada.ledger().await.len(), 2);
    let path = format!("/v1/subscriptions/{other}");
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(stored(&ada).await, own);
    assert_eq!(ada.cancels().await.status, 200);
}

/// The operator ends the first. The second goes on billing: the account sees it, cannot buy a third, and can end it.
#[tokio::test]
async fn when_the_first_ends_the_second_takes_its_place() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, own, other) = with_two(&world).await;
    let path = format!("/v1/subscriptions/{own}");
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
    assert_eq!(stored(&ada).await, other);
    assert_eq!(ada.billing().await.body["subscription"]["quantity"], 1);
    let refused = ada.starts_checkout("monthly").await;
    assert_eq!(
        refused,
        r#"409 {"error":"the account already has a subscription"}"#
    );
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    world.advance("31d").await;
    assert_eq!(ada.billing().await.body["subscription"], serde_json::Value::Null);
    assert_eq!(ada.starts_checkout("monthly").await.status, 200);
}

/// The event of the first one's end is handled by a machine that dies at each of its steps, and is delivered again.
#[tokio::test]
async fn the_second_takes_its_place_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let (ada, own, other) = with_two(&world).await;
        world.stripe.holds_events(true).await;
        let path = format!("/v1/subscriptions/{own}");
        world.stripe.operator("DELETE", &path, "").await;
        let ended = world.stripe.event("customer.subscription.deleted");
        let is_through = world.dies_over_event(death, &ended).await;
        assert_eq!(stored(&ada).await, other, "{death}");
        world.stripe.holds_events(false).await;
        is_through
    })
    .await;
}

/// The webhook has written that the first is over, and Stripe fails when it looks for another: until the event is taken again, a checkout looks
/// for itself.
#[tokio::test]
async fn no_third_is_sold_while_the_event_of_the_first_ones_end_waits() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, own, other) = with_two(&world).await;
    world.stripe.holds_events(true).await;
    let path = format!("/v1/subscriptions/{own}");
    world.stripe.operator("DELETE", &path, "").await;
    let ended = world.stripe.events("customer.subscription.deleted").remove(0);
    world.stripe.fails("GET", "/v1/subscriptions", 500).await;
    assert_eq!(world.stripe.delivers(&ended).await, 503);
    assert_eq!(stored(&ada).await, own);
    world.stripe.recovers().await;
    for interval in ["monthly", "annual"] {
        assert_eq!(
            ada.starts_checkout(interval).await,
            r#"409 {"error":"the account already has a subscription"}"#
        );
    }
    assert_eq!(world.stripe.sessions(&ada).await.len(), 1);
    world.advance("5m").await;
    assert_eq!(world.stripe.delivers(&ended).await, 200);
    assert_eq!(stored(&ada).await, other);
}

/// An operator makes one beside an open page, which is paid: the page's is the second. He ends his own, and nobody has heard of that yet.
#[tokio::test]
async fn no_third_is_sold_beside_the_one_that_a_page_became() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    let customer = world.stripe.customers(&ada).await.remove(0);
    let form = format!(
        "customer={}&items[0][price]={}&payment_behavior=default_incomplete",
        customer["id"].as_str().unwrap(),
        world.stack().variables["PRICE_MONTHLY"]
    );
    let made = world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    let made = made["id"].as_str().unwrap();
    world.stripe.stand_in().settle().await;
    assert_eq!(stored(&ada).await, made);
    world.stripe.pays(&secret).await;
    assert_eq!(stored(&ada).await, made);
    world.stripe.holds_events(true).await;
    let path = format!("/v1/subscriptions/{made}");
    world.stripe.operator("DELETE", &path, "").await;
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"409 {"error":"the account already has a subscription"}"#
    );
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 0);
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(
        stored(&ada).await,
        world.stripe.subscription(&ada).await["id"].as_str().unwrap()
    );
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
}

/// The account's subscription is over, and the machine of its next checkout died before Stripe was asked for the page. Meanwhile an operator has sold it
/// another, of which nobody has heard: whoever takes the checkout up, for the same interval or not, does not sell a third.
#[tokio::test]
async fn no_checkout_that_is_taken_up_sells_beside_what_an_operator_sold_since() {
    for interval in ["monthly", "annual"] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        let own = world.stripe.subscription(&ada).await;
        let path = format!("/v1/subscriptions/{}", own["id"].as_str().unwrap());
        world.stripe.operator("DELETE", &path, "").await;
        world.stripe.stand_in().settle().await;
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::Before, "POST /v1/checkout/sessions");
        machine
            .dies_over(ada.starts_checkout_on(&machine, "monthly"))
            .await;
        world.stripe.holds_events(true).await;
        another(&world, &own).await;
        assert_eq!(
            ada.starts_checkout(interval).await,
            r#"409 {"error":"the account already has a subscription"}"#,
            "{interval}"
        );
        assert!(world.stripe.payable_sessions(&ada).await.is_empty(), "{interval}");
    }
}
