//! The store's conditions, each against the race that it closes. Run them against Amazon's DynamoDB Local too (`docs/testing.md`).
//! Here: reserving, recording, landing.

/// Accounts, their customers and their keys.
mod accounts;
/// Catalogs.
mod catalog;
/// Claims on events and on idempotency keys.
mod claims;

use billing_core::Timestamp;
use billing_core::account::{Account as Stored, Profile};
use billing_core::checkout::{Intent, OpenSession, Reservation};
use billing_core::coverage::Entry;
use billing_core::landing::Landing;
use billing_core::money::Money;
use billing_core::period::Period;
use billing_core::plan::Interval;
use billing_core::return_url::{Policy, ReturnUrl};
use billing_core::subscription::{Status, Subscription};
use billing_store::{CustomerOf, NewReservation, Store, StoreError};
use billing_tests::{Account, World};
use futures_util::future::join_all;

/// Far ahead: a DynamoDB outside deletes by its own clock what has expired, in the middle of a test if it likes.
const NOW: &str = "2046-04-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn store(world: &World) -> &Store {
    world.stack().app.store()
}

fn reservation(profile: &Profile) -> Reservation {
    let policy = Policy {
        hosts: vec![],
        loopback_http: false,
    };
    Reservation {
        account: profile.id.clone(),
        number: profile.checkouts + 1,
        intent: Intent {
            interval: Interval::Monthly,
            price: "price_m".parse().unwrap(),
            quantity: 1,
            return_url: ReturnUrl::parse("https://app.example.com/{CHECKOUT_SESSION_ID}", &policy).unwrap(),
        },
        session: None,
        expires_at: at("2046-04-02T00:00:00Z"),
    }
}

fn session(id: &str) -> OpenSession {
    OpenSession {
        id: id.parse().unwrap(),
        client_secret: format!("{id}_secret_x"),
    }
}

fn entry(line: &str) -> Entry {
    Entry {
        invoice: "in_1".parse().unwrap(),
        line: line.parse().unwrap(),
        period: Period {
            start: at(NOW),
            end: at("2046-05-01T00:00:00Z"),
        },
        quantity: 1,
        amount: Money {
            minor: 1000,
            currency: "usd".parse().unwrap(),
        },
        gives_back: vec![],
    }
}

fn subscription(status: Status) -> Subscription {
    Subscription {
        id: "sub_1".parse().unwrap(),
        status,
        price: "price_m".parse().unwrap(),
        interval: Some(Interval::Monthly),
        quantity: 1,
        period: Period {
            start: at(NOW),
            end: at("2046-05-01T00:00:00Z"),
        },
        cancel_at_period_end: false,
    }
}

/// Customers are found across accounts, so each test's are its own.
fn customer(account: &Account<'_>) -> billing_core::id::CustomerId {
    format!("cus_{}", account.id).parse().unwrap()
}

/// Something that no other test has, also not in a DynamoDB that all of them share.
fn unique() -> String {
    let bytes: [u8; 8] = billing_edge::key::random().unwrap();
    bytes.map(|byte| format!("{byte:02x}")).concat()
}

/// Reserves on what is stored now.
async fn reserved(world: &World, account: &Account<'_>) -> Reservation {
    let read = account.stored().await;
    let seen = store(world).reservation(&read.profile.id).await.unwrap();
    let reservation = reservation(&read.profile);
    store(world)
        .reserve(&read, seen.as_ref(), &new(&reservation, at(NOW)))
        .await
        .unwrap();
    reservation
}

/// A reservation to be made then.
fn new(reservation: &Reservation, now: Timestamp) -> NewReservation<'_> {
    NewReservation {
        reservation,
        paced_until: now,
        let_go: &[],
        now,
    }
}

#[tokio::test]
async fn of_two_that_decided_on_the_same_facts_one_reserves() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let read = ada.stored().await;
    let reservation = reservation(&read.profile);
    let store = store(&world);
    let new = new(&reservation, at(NOW));
    let outcomes = join_all((0..8).map(|_| store.reserve(&read, None, &new))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .into_iter()
            .all(|outcome| matches!(outcome, Ok(()) | Err(StoreError::Conflict)))
    );
    assert_eq!(
        store.reservation(&read.profile.id).await.unwrap(),
        Some(reservation)
    );
    let profile = ada.stored().await.profile;
    assert_eq!(
        (profile.checkouts, profile.version),
        (1, read.profile.version + 1)
    );
    assert_eq!(profile.customer_asked_at, Some(at(NOW)));
}

/// The profile was read after somebody reserved, the reservation before: the version alone would let this pass.
#[tokio::test]
async fn nobody_reserves_over_a_reservation_that_was_not_seen() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let unseen = reserved(&world, &ada).await;
    let read = ada.stored().await;
    let outcome = store(&world)
        .reserve(&read, None, &new(&reservation(&read.profile), at(NOW)))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
    let earlier = Reservation {
        number: 0,
        ..unseen.clone()
    };
    let outcome = store(&world)
        .reserve(&read, Some(&earlier), &new(&reservation(&read.profile), at(NOW)))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
    assert_eq!(
        store(&world).reservation(&read.profile.id).await.unwrap(),
        Some(unseen)
    );
}

#[tokio::test]
async fn nobody_reserves_past_a_subscription_that_landed_meanwhile() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let read = ada.stored().await;
    let landing = Landing {
        subscription: Some(subscription(Status::Active)),
        ..Landing::default()
    };
    store(&world).land(&read.profile, &landing).await.unwrap();
    let outcome = store(&world)
        .reserve(&read, None, &new(&reservation(&read.profile), at(NOW)))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
}

/// A query is no transaction: the profile was read after a subscription landed, the subscription before. The version alone would
/// let this pass.
#[tokio::test]
async fn nobody_reserves_past_a_subscription_that_was_not_seen() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let landing = |subscription| Landing {
        subscription: Some(subscription),
        ..Landing::default()
    };
    let reserves_on = async |seen: Option<Subscription>| {
        let read = Stored {
            subscription: seen,
            ..ada.stored().await
        };
        store(&world)
            .reserve(&read, None, &new(&reservation(&read.profile), at(NOW)))
            .await
    };
    let (first, second) = (
        subscription(Status::Canceled),
        Subscription {
            id: "sub_2".parse().unwrap(),
            ..subscription(Status::Active)
        },
    );
    let profile = ada.stored().await.profile;
    store(&world)
        .land(&profile, &landing(first.clone()))
        .await
        .unwrap();
    assert_eq!(reserves_on(None).await, Err(StoreError::Conflict));
    let profile = ada.stored().await.profile;
    store(&world).land(&profile, &landing(second)).await.unwrap();
    assert_eq!(reserves_on(Some(first.clone())).await, Err(StoreError::Conflict));
    let profile = ada.stored().await.profile;
    store(&world)
        .land(&profile, &landing(first.clone()))
        .await
        .unwrap();
    assert_eq!(reserves_on(Some(first)).await, Ok(()));
}

/// The session's client secret is about to be handed out when the other call, which saw the reservation without a session, gets to
/// write: it must look again, and find a session to close.
#[tokio::test]
async fn nobody_reserves_past_a_session_that_was_recorded_meanwhile() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let held = reserved(&world, &ada).await;
    let read = ada.stored().await;
    store(&world)
        .record_session(&held, &customer(&ada), &session("cs_1"), held.expires_at)
        .await
        .unwrap();
    let outcome = store(&world)
        .reserve(&read, Some(&held), &new(&reservation(&read.profile), at(NOW)))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
}

/// DynamoDB deletes what has expired between the read and the write: nobody is in the way then.
#[tokio::test]
async fn a_reservation_that_is_gone_since_it_was_seen_is_in_nobodys_way() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let seen = reserved(&world, &ada).await;
    let release = Landing {
        release: Some(seen.number),
        ..Landing::default()
    };
    for _ in 0..2 {
        let landed = store(&world).land(&ada.stored().await.profile, &release).await;
        assert_eq!(landed, Ok(()), "what is gone can be released once more");
    }
    let read = ada.stored().await;
    let outcome = store(&world)
        .reserve(&read, Some(&seen), &new(&reservation(&read.profile), at(NOW)))
        .await;
    assert_eq!(outcome, Ok(()));
}

/// The first asking for a customer counts, and the latest session.
#[tokio::test]
async fn reserving_again_keeps_when_a_customer_was_first_asked_for() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let held = reserved(&world, &ada).await;
    store(&world)
        .record_session(&held, &customer(&ada), &session("cs_1"), held.expires_at)
        .await
        .unwrap();
    let read = ada.stored().await;
    let later = at("2046-04-01T12:00:00Z");
    store(&world)
        .reserve(&read, Some(&held), &new(&reservation(&read.profile), later))
        .await
        .unwrap();
    let profile = ada.stored().await.profile;
    assert_eq!(
        (profile.customer_asked_at, profile.open_session),
        (Some(at(NOW)), None)
    );
}

#[tokio::test]
async fn a_session_is_recorded_for_the_reservation_that_holds() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let first = reserved(&world, &ada).await;
    let second = reserved(&world, &ada).await;
    let (store, customer, expires_at) = (store(&world), customer(&ada), at("2046-04-02T00:00:07Z"));
    let late = store
        .record_session(&first, &customer, &session("cs_1"), expires_at)
        .await;
    assert_eq!(late, Err(StoreError::Conflict), "a later reservation holds");
    for _ in 0..2 {
        store
            .record_session(&second, &customer, &session("cs_2"), expires_at)
            .await
            .unwrap();
    }
    let held = store.reservation(&second.account).await.unwrap().unwrap();
    assert_eq!(
        (held.session, held.expires_at),
        (Some(session("cs_2")), expires_at)
    );
    let Stored { profile, .. } = ada.stored().await;
    assert_eq!(
        (profile.open_session, profile.customer),
        (Some("cs_2".parse().unwrap()), Some(customer.clone()))
    );
    assert_eq!(
        store.owner_of_customer(&customer).await.unwrap(),
        Some(CustomerOf::Account(profile.id))
    );
}

#[tokio::test]
async fn a_session_of_another_customer_is_not_recorded() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let held = reserved(&world, &ada).await;
    let (store, expires_at) = (store(&world), held.expires_at);
    store
        .record_session(&held, &customer(&ada), &session("cs_1"), expires_at)
        .await
        .unwrap();
    let other = format!("cus_other_{}", ada.id).parse().unwrap();
    let outcome = store
        .record_session(&held, &other, &session("cs_2"), expires_at)
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
    assert_eq!(
        store.owner_of_customer(&other).await.unwrap(),
        None,
        "all or nothing"
    );
}

/// The payer was faster than the recording: the webhook has released the reservation.
#[tokio::test]
async fn a_session_is_not_recorded_after_its_reservation_was_released() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let held = reserved(&world, &ada).await;
    let landing = Landing {
        release: Some(held.number),
        ..Landing::default()
    };
    store(&world)
        .land(&ada.stored().await.profile, &landing)
        .await
        .unwrap();
    assert_eq!(store(&world).reservation(&held.account).await.unwrap(), None);
    let late = store(&world)
        .record_session(&held, &customer(&ada), &session("cs_1"), held.expires_at)
        .await;
    assert_eq!(late, Err(StoreError::Conflict));
}

#[tokio::test]
async fn the_end_of_an_earlier_session_does_not_release_a_later_reservation() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let first = reserved(&world, &ada).await;
    let second = reserved(&world, &ada).await;
    let landing = Landing {
        release: Some(first.number),
        ..Landing::default()
    };
    let outcome = store(&world).land(&ada.stored().await.profile, &landing).await;
    assert_eq!(outcome, Err(StoreError::Conflict));
    assert_eq!(
        store(&world).reservation(&second.account).await.unwrap(),
        Some(second)
    );
}

#[tokio::test]
async fn facts_that_were_read_before_somebody_elses_do_not_land_after_them() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let read = ada.stored().await.profile;
    let newer = Landing {
        subscription: Some(subscription(Status::Canceled)),
        ..Landing::default()
    };
    let older = Landing {
        subscription: Some(subscription(Status::Active)),
        ..Landing::default()
    };
    store(&world).land(&read, &newer).await.unwrap();
    assert_eq!(store(&world).land(&read, &older).await, Err(StoreError::Conflict));
    assert_eq!(
        ada.stored().await.subscription,
        Some(subscription(Status::Canceled))
    );
}

#[tokio::test]
async fn a_line_is_landed_once_and_with_all_that_belongs_to_it_or_not_at_all() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let landing = Landing {
        entries: vec![entry("il_1"), entry("il_2")],
        ..Landing::default()
    };
    store(&world)
        .land(&ada.stored().await.profile, &landing)
        .await
        .unwrap();
    let again = Landing {
        subscription: Some(subscription(Status::Active)),
        entries: vec![entry("il_3"), entry("il_2")],
        ..Landing::default()
    };
    assert_eq!(
        store(&world).land(&ada.stored().await.profile, &again).await,
        Err(StoreError::Conflict)
    );
    let stored = ada.stored().await;
    assert_eq!((stored.ledger.len(), stored.subscription), (2, None));
}
