//! An account gets another e-mail address: before its customer is made at Stripe, after that, and in the middle of it.
//!
//! The request that makes the customer carries name and address under one idempotency key, and Stripe refuses the key with others.
//! However it comes, the account can check out, and has one customer, who is reached where the account is.

use billing_admin::accounts::AtStripe;
use billing_tests::{Account, Machine, Moment, World, at_every_step};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEW: &str = "new@ada.example";
const MAKES_CUSTOMER: &str = "POST /v1/customers";

/// A checkout whose machine dies over making the customer, which Stripe hears of or not.
async fn dies_over_its_customer(world: &World, ada: &Account<'_>, moment: Moment) {
    let machine = world.machine().await;
    machine.network.stops_named(moment, MAKES_CUSTOMER);
    machine
        .dies_over(ada.starts_checkout_on(&machine, "monthly"))
        .await;
}

/// Stripe has one customer, with the new address, and it can pay.
async fn buys_as_one_customer(world: &World, ada: &Account<'_>) {
    ada.subscribes("monthly").await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    is_reached_anew(world, ada).await;
}

async fn is_reached_anew(world: &World, ada: &Account<'_>) {
    let customers = world.stripe.customers(ada).await;
    assert_eq!(customers.len(), 1, "{customers:?}");
    assert_eq!(customers[0]["email"], NEW);
}

#[tokio::test]
async fn an_address_that_is_changed_before_the_first_checkout_is_the_customers() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let told = world.administrator().await.readdresses(&ada, NEW).await.unwrap();
    assert_eq!(told, AtStripe::NoCustomer);
    buys_as_one_customer(&world, &ada).await;
}

/// The answer was lost, and the repetition is in other words: what Stripe made is found, and told.
#[tokio::test]
async fn an_address_that_is_changed_after_a_lost_answer_is_told_to_the_one_customer() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    dies_over_its_customer(&world, &ada, Moment::After).await;
    let told = world.administrator().await.readdresses(&ada, NEW).await.unwrap();
    assert_eq!(told, AtStripe::AskedFor);
    buys_as_one_customer(&world, &ada).await;
}

/// The same a day later, when Stripe may have forgotten the key.
#[tokio::test]
async fn an_address_that_is_changed_long_after_a_lost_answer_is_told_as_well() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    dies_over_its_customer(&world, &ada, Moment::After).await;
    world.administrator().await.readdresses(&ada, NEW).await.unwrap();
    world.advance("25h").await;
    ada.subscribes("monthly").await;
    is_reached_anew(&world, &ada).await;
}

#[tokio::test]
async fn an_address_that_is_changed_before_stripe_heard_is_the_customers() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    dies_over_its_customer(&world, &ada, Moment::Before).await;
    world.administrator().await.readdresses(&ada, NEW).await.unwrap();
    buys_as_one_customer(&world, &ada).await;
}

/// Stripe has the request with the earlier address and has made nothing of it that is to be found: it may do so at any moment, and a
/// second customer must not be made beside it. A minute later nobody can be waiting for that answer any more.
#[tokio::test]
async fn a_customer_that_is_being_made_with_the_earlier_address_is_waited_for() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    dies_over_its_customer(&world, &ada, Moment::Before).await;
    world.administrator().await.readdresses(&ada, NEW).await.unwrap();
    world
        .stripe
        .spends_idempotency_key(&format!("customer/{}/0", ada.id))
        .await;
    let waits = ada.starts_checkout("monthly").await;
    assert_eq!(waits.status, 503, "{waits}");
    assert!(waits.headers.contains_key("retry-after"));
    assert_eq!(ada.stored().await.profile.lost_customers, 0);
    world.advance("61s").await;
    ada.subscribes("monthly").await;
    is_reached_anew(&world, &ada).await;
}

/// Two machines at once: the customer is made with the address that was there, and the command says that it may be.
#[tokio::test]
async fn an_address_that_is_changed_during_a_checkout_is_told_when_it_is_changed_again() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let administrator = world.administrator().await;
    let machine: Machine = world.machine().await;
    machine.network.holds(MAKES_CUSTOMER);
    let (session, told) = tokio::join!(ada.starts_checkout_on(&machine, "monthly"), async {
        machine.network.reached().await;
        let told = administrator.readdresses(&ada, NEW).await.unwrap();
        machine.network.lets_go();
        told
    });
    assert_eq!(told, AtStripe::AskedFor);
    let told = administrator.readdresses(&ada, NEW).await.unwrap();
    let customer = ada.stored().await.profile.customer.unwrap();
    assert_eq!(told, AtStripe::Told(customer));
    world.stripe.pays(&session.unwrap().client_secret()).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    is_reached_anew(&world, &ada).await;
}

/// Whatever step the administrator's machine dies over, the command is repeated, and both sides have it.
#[tokio::test]
async fn a_change_of_address_that_died_half_way_is_repeated() {
    let world = World::at(NOW).await;
    for moment in [Moment::Before, Moment::After] {
        at_every_step(async |step| {
            let ada = world.account(1).await;
            ada.starts_checkout("monthly").await;
            let dying = world.administrator().await;
            dying.network.stops(moment, step);
            let was_through = tokio::select! {
                told = dying.readdresses(&ada, NEW) => matches!(told.unwrap(), AtStripe::Told(_)),
                () = dying.network.reached() => false,
            };
            let told = world.administrator().await.readdresses(&ada, NEW).await;
            assert!(matches!(told.unwrap(), AtStripe::Told(_)));
            is_reached_anew(&world, &ada).await;
            was_through
        })
        .await;
    }
}

/// An operator deleted the customer at Stripe: there is nobody to tell, and the next checkout makes another.
#[tokio::test]
async fn an_address_is_changed_although_the_customer_was_deleted() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await;
    let customer = ada.stored().await.profile.customer.unwrap();
    world.stripe.loses_its_customer(&ada).await;
    let told = world.administrator().await.readdresses(&ada, NEW).await.unwrap();
    assert_eq!(told, AtStripe::Deleted(customer));
    world.advance("25h").await;
    ada.subscribes("monthly").await;
    is_reached_anew(&world, &ada).await;
}
