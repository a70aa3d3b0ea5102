//! A customer asks to be forgotten: what is personal goes, what the books need stays, and nothing that is under way is lost over it.

use billing_admin::Failure;
use billing_admin::accounts::{self, Wanted};
use billing_admin::erasure::Obstacle;
use billing_core::access::Holder;
use billing_core::id::AccountId;
use billing_tests::{Account, Moment, World, at_every_step, path_of};

const NOW: &str = "2026-04-01T00:00:00Z";

/// Subscribed, paid, and ended by an operator at once.
async fn was_a_customer(world: &World) -> Account<'_> {
    let ada = world.account(2).await;
    world
        .administrator()
        .await
        .readdresses(&ada, "ada@ada.example")
        .await
        .unwrap();
    ada.subscribes("monthly").await;
    ends_at_once(world, &ada).await;
    ada
}

async fn ends_at_once(world: &World, ada: &Account<'_>) {
    let subscription = world.stripe.subscription(ada).await;
    let path = path_of(&subscription);
    operator(world, "DELETE", &path).await;
}

/// What an operator does at Stripe, and its events.
async fn operator(world: &World, method: &str, path: &str) {
    world.stripe.operator(method, path, "").await;
    world.stripe.stand_in().settle().await;
}

/// Why it is not erased.
async fn obstacle(world: &World, ada: &Account<'_>) -> Obstacle {
    let before = ada.stored().await;
    let told = world.administrator().await.erases(ada).await.unwrap_err();
    let Failure::NotErased { obstacle, .. } = told else {
        panic!("{told}")
    };
    assert_eq!(ada.stored().await, before, "nothing was changed");
    assert_eq!(ada.billing().await.status, 200, "its key opens as before");
    obstacle
}

/// Nothing personal is left, and nobody gets in.
async fn is_forgotten(world: &World, ada: &Account<'_>) {
    let stored = ada.stored().await;
    assert!(stored.profile.erased_at.is_some());
    assert_eq!((&stored.profile.name, &stored.profile.email), (&None, &None));
    assert_eq!(stored.numbers, []);
    let holder = Holder::Account(ada.id.parse().unwrap());
    let keys = world.stack().app.store().api_keys(&holder).await.unwrap();
    assert!(keys.len() > 1, "one of them is for support");
    for key in keys {
        assert!(key.revoked_at.is_some() && key.impersonator.is_none(), "{key:?}");
    }
    assert_eq!(ada.billing().await.status, 401);
    assert_eq!(ada.starts_checkout("monthly").await.status, 401);
}

#[tokio::test]
async fn an_account_is_erased_but_for_the_books() {
    let world = World::at(NOW).await;
    let ada = was_a_customer(&world).await;
    let before = ada.stored().await;
    let erased = world.administrator().await.erases(&ada).await.unwrap();
    is_forgotten(&world, &ada).await;
    assert_eq!(
        erased.customer, before.profile.customer,
        "who is redacted at Stripe"
    );
    let after = ada.stored().await;
    assert_eq!(after.ledger, before.ledger);
    assert_eq!(after.subscription, before.subscription);
    assert_eq!(after.profile.customer, before.profile.customer);

    // For good: nothing is added to it, and the id is not another's.
    let administrator = world.administrator().await;
    let told = administrator
        .readdresses(&ada, "ada@ada.example")
        .await
        .unwrap_err();
    assert!(matches!(told, Failure::Erased(_)), "{told}");
    let store = world.stack().app.store();
    let id: AccountId = ada.id.parse().unwrap();
    let number = "+15551230009".parse().unwrap();
    let told = accounts::add_number(store, &id, number, world.now()).await;
    assert!(matches!(told, Err(Failure::Erased(_))), "{told:?}");
    let anew = Wanted {
        id: id.clone(),
        name: None,
        email: None,
        customer: None,
        numbers: Vec::new(),
    };
    let told = accounts::create(store, anew, world.now()).await.unwrap_err();
    assert!(matches!(told, Failure::AccountExists(_)), "{told}");
    let again = administrator.erases(&ada).await.unwrap();
    assert_eq!(again.account, after, "the first time stays");
}

/// 2 × 1000 = 2000 go back after the account was erased, whose event comes later still.
#[tokio::test]
async fn what_is_refunded_late_is_taken_down_all_the_same() {
    let world = World::at(NOW).await;
    let ada = was_a_customer(&world).await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.holds_events(true).await;
    world.stripe.refunds(&charge, 1000).await;
    world.administrator().await.erases(&ada).await.unwrap();
    world.stripe.refunds(&charge, 1000).await;
    world.stripe.holds_events(false).await;
    let stored = ada.stored().await;
    assert_eq!(stored.reversals[0].given_back, 2000);
    is_forgotten(&world, &ada).await;
}

#[tokio::test]
async fn an_account_is_not_erased_while_it_can_be_billed() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(1, "monthly").await;
    assert!(matches!(obstacle(&world, &ada).await, Obstacle::Subscribed(_)));
    // Its end is scheduled: until then it is paid for.
    ada.cancels().await;
    world.stripe.stand_in().settle().await;
    assert!(matches!(obstacle(&world, &ada).await, Obstacle::Subscribed(_)));
    ends_at_once(&world, &ada).await;
    world.administrator().await.erases(&ada).await.unwrap();
    is_forgotten(&world, &ada).await;
}

/// Nothing has told of the payment here: Stripe is asked.
#[tokio::test]
async fn an_account_is_not_erased_while_a_payment_has_not_landed() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    assert!(matches!(obstacle(&world, &ada).await, Obstacle::Payable(_)));
    world.stripe.checks_out(&secret, "succeed").await;
    assert!(matches!(obstacle(&world, &ada).await, Obstacle::JustPaid(_)));
    world.stripe.holds_events(false).await;
    assert!(matches!(obstacle(&world, &ada).await, Obstacle::Subscribed(_)));
}

/// A session that an operator expires at Stripe can be paid by nobody.
#[tokio::test]
async fn an_account_is_erased_once_its_checkout_is_over() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await;
    let Obstacle::Payable(session) = obstacle(&world, &ada).await else {
        panic!("it can be paid")
    };
    let path = format!("/v1/checkout/sessions/{session}/expire");
    operator(&world, "POST", &path).await;
    world.administrator().await.erases(&ada).await.unwrap();
    is_forgotten(&world, &ada).await;
}

/// A renewal failed, and the subscription was ended over it: what is owed is collected, made void or given up first.
#[tokio::test]
async fn an_account_is_not_erased_while_it_owes() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("31d").await;
    ends_at_once(&world, &ada).await;
    // Stripe leaves a bill open whose subscription is ended.
    let Obstacle::Owes(bill) = obstacle(&world, &ada).await else {
        panic!("it owes a month")
    };
    operator(&world, "POST", &format!("/v1/invoices/{bill}/void")).await;
    world.administrator().await.erases(&ada).await.unwrap();
    is_forgotten(&world, &ada).await;
}

/// What it owes is of a subscription before the last one, which was paid and ended.
#[tokio::test]
async fn an_account_is_not_erased_while_it_owes_for_an_earlier_subscription() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("31d").await;
    ends_at_once(&world, &ada).await;
    let owed = world.stripe.latest_invoice().await;
    assert_eq!(owed["status"], "open");
    ada.subscribes("monthly").await;
    ends_at_once(&world, &ada).await;
    let Obstacle::Owes(bill) = obstacle(&world, &ada).await else {
        panic!("it owes a month")
    };
    assert_eq!(owed["id"], bill.as_str());
    operator(&world, "POST", &format!("/v1/invoices/{bill}/void")).await;
    world.administrator().await.erases(&ada).await.unwrap();
    is_forgotten(&world, &ada).await;
}

/// Whatever step it dies over, repeating it goes on; and nobody is half forgotten who could still buy.
#[tokio::test]
async fn an_erasure_that_died_half_way_is_repeated() {
    let world = World::at(NOW).await;
    for moment in [Moment::Before, Moment::After] {
        at_every_step(async |step| {
            let ada = was_a_customer(&world).await;
            let dying = world.administrator().await;
            dying.network.stops(moment, step);
            let was_through = tokio::select! {
                erased = dying.erases(&ada) => erased.is_ok(),
                () = dying.network.reached() => false,
            };
            let profile = ada.stored().await.profile;
            let told = ada.starts_checkout("monthly").await;
            match profile.erased_at {
                Some(_) => assert_eq!(told.status, 401, "{told}"),
                None => {
                    assert_eq!(told.status, 200, "{told}");
                    let Obstacle::Payable(session) = obstacle(&world, &ada).await else {
                        panic!("it can be paid")
                    };
                    let path = format!("/v1/checkout/sessions/{session}/expire");
                    operator(&world, "POST", &path).await;
                }
            }
            world.administrator().await.erases(&ada).await.unwrap();
            is_forgotten(&world, &ada).await;
            was_through
        })
        .await;
    }
}

/// Two machines at once: a checkout at each step of the erasure. One of the two is refused: there is never a session that can be paid for an
/// account that was erased, nor one that is half erased.
#[tokio::test]
async fn a_checkout_during_an_erasure_is_sold_or_refused_and_never_lost() {
    let world = World::at(NOW).await;
    let (mut sold, mut erased) = (0, 0);
    at_every_step(async |step| {
        let ada = was_a_customer(&world).await;
        let administrator = world.administrator().await;
        administrator.network.holds_step(step);
        let mut erases = Box::pin(administrator.erases(&ada));
        let early = tokio::select! {
            told = &mut erases => Some(told.is_ok()),
            () = administrator.network.reached() => None,
        };
        let session = ada.starts_checkout("monthly").await;
        administrator.network.lets_go();
        let is_erased = match early {
            Some(told) => told,
            None => erases.await.is_ok(),
        };
        either(&world, &ada, is_erased, session.status == 200).await;
        sold += usize::from(!is_erased);
        erased += usize::from(is_erased);
        early.is_some()
    })
    .await;
    assert!(sold > 0 && erased > 0, "{sold} {erased}");
}

/// The same the other way round: an erasure at each step of the checkout.
#[tokio::test]
async fn an_erasure_during_a_checkout_is_done_or_refused_and_never_lost() {
    let world = World::at(NOW).await;
    let (mut sold, mut erased) = (0, 0);
    at_every_step(async |step| {
        let ada = was_a_customer(&world).await;
        let held = world
            .held_over(
                step,
                async |machine| ada.starts_checkout_on(machine, "monthly").await,
                async { world.administrator().await.erases(&ada).await.is_ok() },
            )
            .await;
        either(&world, &ada, held.other, held.answer.status == 200).await;
        sold += usize::from(!held.other);
        erased += usize::from(held.other);
        !held.was_held
    })
    .await;
    assert!(sold > 0 && erased > 0, "{sold} {erased}");
}

/// One of the two was done, and whole.
async fn either(world: &World, ada: &Account<'_>, is_erased: bool, is_sold: bool) {
    let payable = world.stripe.payable_sessions(ada).await;
    assert_ne!(is_erased, is_sold, "one of the two");
    assert_eq!(payable.len(), usize::from(is_sold), "{payable:?}");
    if is_erased {
        is_forgotten(world, ada).await;
    }
}

/// The Stripe key is of another account, which knows nothing of the customer: that nothing is under way there says nothing.
#[tokio::test]
async fn an_account_is_not_erased_by_a_stripe_that_does_not_know_it() {
    let world = World::at(NOW).await;
    let administrator = world.administrator().await;
    let store = world.stack().app.store();
    let brought_along = Wanted {
        id: "acme".parse().unwrap(),
        name: None,
        email: None,
        customer: Some("cus_elsewhere".parse().unwrap()),
        numbers: Vec::new(),
    };
    accounts::create(store, brought_along, world.now()).await.unwrap();
    let acme = world.admits("acme").await;
    for told in [
        administrator.erases(&acme).await.map(drop),
        administrator
            .readdresses(&acme, "ada@acme.example")
            .await
            .map(drop),
    ] {
        let told = told.unwrap_err().to_string();
        assert!(told.starts_with("stripe has no customer cus_elsewhere"), "{told}");
    }
    assert_eq!(acme.stored().await.profile.erased_at, None);
}
