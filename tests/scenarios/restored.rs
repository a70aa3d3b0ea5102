//! An account that was restored from a backup: its counters are back where they were, and Stripe keeps for a day what it told under the keys
//! that they name. What is told so is not taken for what is.

use billing_admin::accounts::{self, Wanted};
use billing_stripe::{SyntheticEvent, webhook};
use billing_tests::{Account, Answer, Backup, Machine, World, at_every_death, at_every_step, id_of, path_of};

use crate::replays::sold_elsewhere;

const NOW: &str = "2026-04-01T00:00:00Z";

/// How an operator puts a backup back.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// As the guide says.
    Guided,
    /// As it was: the guide was not read.
    Bare,
}

const WAYS: [Way; 2] = [Way::Guided, Way::Bare];

async fn restores(world: &World, backup: &Backup, way: Way) {
    match way {
        Way::Guided => world.restores(backup).await,
        Way::Bare => world.restores_bare(backup).await,
    }
}

/// The webhook is told of an object, as `events tell` does.
async fn tells(world: &World, object: &str) {
    let event = object.parse::<SyntheticEvent>().unwrap().body(false).to_string();
    let secret = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(event.as_bytes(), secret, world.now());
    assert_eq!(
        world.posts_event(&event, &signature).await.status,
        200,
        "{object}"
    );
}

/// It subscribes, and an operator ends that at once. Answers the subscription.
async fn subscribes_and_ends(world: &World, ada: &Account<'_>) -> String {
    ada.subscribes("monthly").await;
    let subscription = world.stripe.subscription(ada).await;
    world.stripe.operator("DELETE", &path_of(&subscription), "").await;
    world.stripe.stand_in().settle().await;
    id_of(&subscription).to_owned()
}

/// It starts a checkout, whose session can be paid, and is.
async fn can_buy(world: &World, ada: &Account<'_>, context: &str) {
    let secret = ada.starts_checkout("monthly").await.client_secret();
    let (session, _) = secret.split_once("_secret_").unwrap();
    let payable = world.stripe.payable_sessions(ada).await;
    assert!(
        payable.iter().any(|payable| id_of(payable) == session),
        "{context}: {payable:?}"
    );
    world.stripe.pays(&secret).await;
    assert_eq!(
        world.stripe.subscription(ada).await["status"],
        "active",
        "{context}"
    );
    assert_eq!(
        ada.stored().await.live_subscription().unwrap().quantity,
        1,
        "{context}"
    );
}

/// What was bought since, and ended, was paid by a session of the number that comes next, which Stripe still tells as open.
#[tokio::test]
async fn an_account_that_bought_since_the_backup_can_buy_again() {
    for way in WAYS {
        let world = World::at(NOW).await;
        let ada = world.account(1).await;
        let backup = world.backs_up(&ada).await;
        let ended = subscribes_and_ends(&world, &ada).await;
        restores(&world, &backup, way).await;
        tells(&world, &ended).await;
        can_buy(&world, &ada, &format!("{way:?}")).await;
    }
}

/// Whichever of two is told last is what is stored, and says nothing of the other.
#[tokio::test]
async fn an_account_that_bought_twice_since_the_backup_can_buy_again() {
    for way in WAYS {
        for newest_first in [true, false] {
            let world = World::at(NOW).await;
            let ada = world.account(1).await;
            let backup = world.backs_up(&ada).await;
            let mut ended = vec![subscribes_and_ends(&world, &ada).await];
            ended.push(subscribes_and_ends(&world, &ada).await);
            restores(&world, &backup, way).await;
            if newest_first {
                ended.reverse();
            }
            for subscription in &ended {
                tells(&world, subscription).await;
            }
            can_buy(&world, &ada, &format!("{way:?}, newest first: {newest_first}")).await;
        }
    }
}

/// Bought twice since the backup, both of which ended; told of those, by their place.
async fn bought_twice<'w>(world: &'w World, way: Way, told: &[usize]) -> Account<'w> {
    let ada = world.account(1).await;
    let backup = world.backs_up(&ada).await;
    let mut ended = vec![subscribes_and_ends(world, &ada).await];
    ended.push(subscribes_and_ends(world, &ada).await);
    restores(world, &backup, way).await;
    for place in told {
        tells(world, &ended[*place]).await;
    }
    ada
}

/// What it was told, if anything, is the one session that it can pay.
async fn is_payable(world: &World, ada: &Account<'_>, told: &Answer, context: &str) {
    assert_eq!(told.status, 200, "{context}: {told}");
    let payable = world.stripe.payable_sessions(ada).await;
    let secrets: Vec<_> = payable.iter().map(|session| &session["client_secret"]).collect();
    assert_eq!(secrets, [&told.body["clientSecret"]], "{context}");
}

/// It pays what it is told the next time, and has that one subscription, and no more that it could pay.
async fn buys_one(world: &World, ada: &Account<'_>, context: &str) {
    let told = ada.starts_checkout("monthly").await;
    is_payable(world, ada, &told, context).await;
    can_buy(world, ada, context).await;
    assert_eq!(
        ada.starts_checkout("annual").await,
        r#"409 {"error":"the account already has a subscription"}"#,
        "{context}"
    );
    assert!(world.stripe.payable_sessions(ada).await.is_empty(), "{context}");
    let all = world.stripe.subscriptions(ada).await;
    let live = all.iter().filter(|it| it["status"] != "canceled").count();
    assert_eq!((all.len(), live), (3, 1), "{context}");
    assert_eq!(world.stripe.customers(ada).await.len(), 1, "{context}");
}

/// Whatever it was told of by then, and in whichever order.
#[tokio::test]
async fn an_account_that_bought_twice_since_the_backup_buys_once_more() {
    let world = World::at(NOW).await;
    for way in WAYS {
        for told in [&[][..], &[0], &[1], &[0, 1], &[1, 0]] {
            let ada = bought_twice(&world, way, told).await;
            buys_one(&world, &ada, &format!("{way:?}, told of {told:?}")).await;
        }
    }
}

/// The guide was not read, and the machine dies at any step of its first checkout, over the sessions of before or after them.
#[tokio::test]
async fn an_account_that_bought_twice_since_the_backup_buys_once_more_whatever_dies() {
    let world = World::at(NOW).await;
    at_every_death(async |death| {
        let ada = bought_twice(&world, Way::Bare, &[1, 0]).await;
        let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let told = world.dies_over(death, starts).await;
        let context = death.to_string();
        if let Some(told) = &told {
            is_payable(&world, &ada, told, &context).await;
        }
        buys_one(&world, &ada, &context).await;
        told.is_some()
    })
    .await;
}

/// Any answer of that checkout is lost.
#[tokio::test]
async fn an_account_that_bought_twice_since_the_backup_buys_once_more_whatever_answer_is_lost() {
    let world = World::at(NOW).await;
    at_every_step(async |step| {
        let ada = bought_twice(&world, Way::Bare, &[1, 0]).await;
        let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let (told, was_lost) = world.loses_over(step, starts).await;
        let context = format!("lost step {step}");
        is_payable(&world, &ada, &told, &context).await;
        buys_one(&world, &ada, &context).await;
        !was_lost
    })
    .await;
}

/// Another machine starts it, too, while an answer is on its way to the first.
#[tokio::test]
async fn an_account_that_bought_twice_since_the_backup_buys_once_more_on_two_machines() {
    let world = World::at(NOW).await;
    at_every_step(async |step| {
        let ada = bought_twice(&world, Way::Bare, &[1, 0]).await;
        let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let held = world
            .held_over(step, starts, ada.starts_checkout("monthly"))
            .await;
        let context = format!("held step {step}");
        for told in [&held.other, &held.answer] {
            is_payable(&world, &ada, told, &context).await;
        }
        buys_one(&world, &ada, &context).await;
        !held.was_held
    })
    .await;
}

/// Nobody has told of what was bought since: it is not bought a second time.
#[tokio::test]
async fn an_account_whose_subscription_is_not_told_yet_buys_no_second_one() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let backup = world.backs_up(&ada).await;
    ada.subscribes("monthly").await;
    world.restores_bare(&backup).await;
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"409 {"error":"a checkout was just completed; the subscription is being set up"}"#
    );
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 0);
    tells(&world, &world.stripe.subscription_id(&ada).await).await;
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"409 {"error":"the account already has a subscription"}"#
    );
}

/// Sessions that were opened since and left: an operator has made them unpayable.
#[tokio::test]
async fn an_account_that_left_its_checkouts_since_the_backup_can_buy() {
    for way in WAYS {
        let world = World::at(NOW).await;
        let ada = world.account(1).await;
        let backup = world.backs_up(&ada).await;
        for _ in 0..2 {
            ada.starts_checkout("monthly").await.client_secret();
            for session in world.stripe.payable_sessions(&ada).await {
                let path = format!("{}/expire", path_of(&session));
                world.stripe.operator("POST", &path, "").await;
            }
            world.stripe.stand_in().settle().await;
        }
        restores(&world, &backup, way).await;
        can_buy(&world, &ada, &format!("{way:?}")).await;
    }
}

/// The session that was opened since can be paid still, and the reservation knows it: it is what is answered, or it is made unpayable.
#[tokio::test]
async fn a_session_that_can_be_paid_still_is_not_joined_by_another() {
    for way in WAYS {
        for interval in ["monthly", "annual"] {
            let world = World::at(NOW).await;
            let ada = world.account(1).await;
            let backup = world.backs_up(&ada).await;
            // More than one call would pass over, one after the other.
            for _ in 0..8 {
                ada.starts_checkout("annual").await.client_secret();
                ada.starts_checkout("monthly").await.client_secret();
            }
            restores(&world, &backup, way).await;
            ada.starts_checkout(interval).await.client_secret();
            let payable = world.stripe.payable_sessions(&ada).await;
            assert_eq!(payable.len(), 1, "{way:?} {interval}");
        }
    }
}

/// A machine died over a checkout since, and has left a reservation that the account knows nothing of.
#[tokio::test]
async fn a_reservation_that_the_account_does_not_count_is_passed_over() {
    let world = World::at(NOW).await;
    for way in WAYS {
        at_every_death(async |death| {
            let ada = world.account(1).await;
            let backup = world.backs_up(&ada).await;
            let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
            let told = world.dies_over(death, starts).await;
            restores(&world, &backup, way).await;
            can_buy(&world, &ada, &format!("{way:?}, {death}")).await;
            told.is_some()
        })
        .await;
    }
}

/// It cancelled since, and took that back. The guide moves the counters on, so its next cancellation is one at Stripe.
#[tokio::test]
async fn what_was_cancelled_since_is_not_the_answer_to_a_cancellation() {
    let world = World::at(NOW).await;
    let ada = world.subscriber(1, "monthly").await;
    let backup = world.backs_up(&ada).await;
    assert_eq!(ada.cancels().await.status, 200);
    assert_eq!(ada.resumes().await.status, 200);
    world.stripe.stand_in().settle().await;
    world.restores(&backup).await;
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    let subscription = world.stripe.subscription(&ada).await;
    assert_eq!(subscription["cancel_at_period_end"], true);
}

/// Another program has sold to its customer, and nobody has told of that here yet: nothing is sold beside it, restored or not.
#[tokio::test]
async fn an_account_that_was_brought_along_buys_nothing_beside_what_it_has() {
    const NOT_TAKEN_OVER: &str =
        r#"409 {"error":"the account's customer has a subscription at Stripe that is not taken over yet"}"#;
    for way in WAYS {
        let world = World::at(NOW).await;
        let (customer, _) = sold_elsewhere(&world).await;
        let wanted = Wanted {
            id: "acme".parse().unwrap(),
            name: None,
            email: None,
            customer: Some(customer.parse().unwrap()),
            numbers: vec!["+15551230001".parse().unwrap()],
        };
        let store = world.stack().app.store();
        accounts::create(store, wanted, world.now()).await.unwrap();
        let acme = world.admits("acme").await;
        let backup = world.backs_up(&acme).await;
        restores(&world, &backup, way).await;
        assert_eq!(acme.starts_checkout("monthly").await, NOT_TAKEN_OVER, "{way:?}");
    }
}
