//! A session that is sold anew while Stripe's news of what it was sold by before come late, and more than once: the sale that is under way
//! goes on, and charges once.

use billing_core::SignedDuration;
use billing_core::contract::Contract;
use billing_tests::{Organisation, World, path_of};
use serde_json::{Value, json};

const NOW: &str = "2026-04-16T00:00:00Z";

fn card(name: &str) -> Value {
    json!({ "payment_method_id": name })
}

fn visa() -> Value {
    card("pm_card_visa")
}

/// Half of April of the team plan, 56.00. No news come from Stripe unless somebody delivers them.
async fn offered(world: &World) -> (Organisation<'_>, String) {
    let acme = world.organisation("acme").await;
    world.stripe.holds_events(true).await;
    let id = acme.session(&acme.order("team")).await;
    (acme, id)
}

/// A card whose owner has to confirm begins a subscription whose bill waits, and a card that is declined takes its place: that
/// subscription is ended, and the session open again.
async fn is_given_up(acme: &Organisation<'_>, id: &str) {
    let pending = acme.confirms(id, &card("pm_card_authenticationRequired")).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    let declined = acme.confirms(id, &card("pm_card_chargeDeclined")).await;
    assert_eq!(declined.status, 402, "{declined}");
    assert_eq!(acme.reads(id).await.body["checkout_status"], "open");
}

/// Sold once for that, and covered; one subscription is live, and nothing rang.
async fn sold_once(world: &World, acme: &Organisation<'_>, id: &str, context: &str) {
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [5600], "{context}");
    let mut live = world.stripe.all_subscriptions().await;
    live.retain(|subscription| subscription["status"] == "active");
    assert_eq!(live.len(), 1, "{context}");
    let contract = acme.sold(id, context).await.contract.id;
    assert_eq!(
        acme.covered_until(contract.as_str()).await,
        "2026-05-01T00:00:00Z",
        "{context}"
    );
    let again = acme.confirms(id, &visa()).await;
    assert_eq!(again.body["checkout_status"], "contract_created", "{context}");
    assert_eq!(world.stripe.charges().await, [5600], "{context}");
}

/// Sells to a card; before the answer is here, these events are delivered.
async fn sells_while(world: &World, acme: &Organisation<'_>, id: &str, told: &[String]) {
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions");
    let visa = visa();
    let (answer, ()) = tokio::join!(acme.confirms_on(&machine, id, &visa), async {
        machine.network.reached().await;
        for event in told {
            assert_eq!(world.stripe.delivers(event).await, 200, "{event}");
        }
        machine.network.lets_go();
    });
    let answer = answer.unwrap();
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
}

/// Sells to a card, and the answer is lost; two minutes later these events are delivered.
async fn sells_without_answer(world: &World, acme: &Organisation<'_>, id: &str, told: &[String]) {
    world
        .stripe
        .applies_without_answering("POST", "/v1/subscriptions")
        .await;
    assert_eq!(acme.confirms(id, &visa()).await.status, 503);
    world.stripe.recovers().await;
    world.advance("2m").await;
    for event in told {
        assert_eq!(world.stripe.delivers(event).await, 200, "{event}");
    }
    assert_eq!(acme.reads(id).await.body["checkout_status"], "pending");
    let answer = acme.confirms(id, &visa()).await;
    assert_eq!(answer.body["checkout_status"], "contract_created", "{answer}");
}

/// The session is sold anew, and meanwhile whatever was begun before is told of: before Stripe's answer, or once that was lost. It is sold once.
async fn is_sold_once(world: &World, acme: &Organisation<'_>, id: &str, is_lost: bool) {
    let begun = world.stripe.events("customer.subscription.created");
    assert!(!begun.is_empty());
    if is_lost {
        sells_without_answer(world, acme, id, &begun).await;
    } else {
        sells_while(world, acme, id, &begun).await;
    }
    sold_once(world, acme, id, &format!("lost: {is_lost}")).await;
}

/// What was given up is told of twice, before the session is sold anew and meanwhile.
#[tokio::test]
async fn news_of_an_earlier_subscription_that_come_twice_do_not_undo_the_sale_under_way() {
    for is_lost in [false, true] {
        let world = World::at(NOW).await;
        let (acme, id) = offered(&world).await;
        is_given_up(&acme, &id).await;
        let ended = world.stripe.event("customer.subscription.deleted");
        assert_eq!(world.stripe.delivers(&ended).await, 200);
        is_sold_once(&world, &acme, &id, is_lost).await;
    }
}

/// Two subscriptions were given up, and both are told of twice.
#[tokio::test]
async fn news_of_two_earlier_subscriptions_do_not_undo_the_sale_under_way() {
    for is_lost in [false, true] {
        let world = World::at(NOW).await;
        let (acme, id) = offered(&world).await;
        is_given_up(&acme, &id).await;
        is_given_up(&acme, &id).await;
        let ended = world.stripe.events("customer.subscription.deleted");
        assert_eq!(ended.len(), 2);
        for event in &ended {
            assert_eq!(world.stripe.delivers(event).await, 200);
        }
        is_sold_once(&world, &acme, &id, is_lost).await;
    }
}

/// The contract that recorded it is gone, as a build before this one had it: the subscription is recorded all the same, and is no sale's
/// that comes after.
#[tokio::test]
async fn a_subscription_that_was_recorded_is_no_later_sales() {
    for is_lost in [false, true] {
        let world = World::at(NOW).await;
        let (acme, id) = offered(&world).await;
        is_given_up(&acme, &id).await;
        let contract = acme.stored(&id).await.contract.to_string();
        let kept = acme.contract(&contract).await.contract;
        let old = Contract {
            created_at: kept.created_at - SignedDuration::from_hours(48),
            ..kept.clone()
        };
        let store = world.stack().app.store();
        store.release_sale(None, &old, &old).await.unwrap();
        assert_eq!(acme.contract_if_any(&contract).await, None);
        is_sold_once(&world, &acme, &id, is_lost).await;
    }
}

/// Nobody has heard of a subscription that waits for its payer, and an operator ends it.
#[tokio::test]
async fn a_subscription_that_nobody_heard_of_is_no_later_sales() {
    for is_lost in [false, true] {
        let world = World::at(NOW).await;
        let (acme, id) = offered(&world).await;
        let begins = "/v1/subscriptions";
        world.stripe.applies_without_answering("POST", begins).await;
        let unheard = acme.confirms(&id, &Value::Null).await;
        assert_eq!(unheard.status, 503, "{unheard}");
        world.stripe.recovers().await;
        let begun = world.stripe.all_subscriptions().await.remove(0);
        world.stripe.operator("DELETE", &path_of(&begun), "").await;
        world.advance("2m").await;
        let declined = acme.confirms(&id, &card("pm_card_chargeDeclined")).await;
        assert_eq!(declined.status, 402, "{declined}");
        is_sold_once(&world, &acme, &id, is_lost).await;
    }
}
