//! The store's conditions, each against the race that it closes. Run them against Amazon's DynamoDB Local too (`docs/testing.md`).

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
use billing_store::{Claim, EventKey, FoundReply, ReplyClaim, ReplyKey, Store, StoreError};
use billing_tests::{Account, World};
use futures_util::future::join_all;

const NOW: &str = "2026-04-01T00:00:00Z";

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
        expires_at: at("2026-04-02T00:00:00Z"),
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
            end: at("2026-05-01T00:00:00Z"),
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
            end: at("2026-05-01T00:00:00Z"),
        },
        cancel_at_period_end: false,
    }
}

/// Customers are found across accounts, so each test's are its own.
fn customer(account: &Account<'_>) -> billing_core::id::CustomerId {
    format!("cus_{}", account.id).parse().unwrap()
}

/// Reserves on what is stored now.
async fn reserved(world: &World, account: &Account<'_>) -> Reservation {
    let profile = account.stored().await.profile;
    let seen = store(world).reservation(&profile.id).await.unwrap();
    let reservation = reservation(&profile);
    store(world)
        .reserve(&profile, seen.as_ref(), &reservation, at(NOW))
        .await
        .unwrap();
    reservation
}

#[tokio::test]
async fn of_two_that_decided_on_the_same_facts_one_reserves() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let read = ada.stored().await.profile;
    let reservation = reservation(&read);
    let store = store(&world);
    let outcomes = join_all((0..8).map(|_| store.reserve(&read, None, &reservation, at(NOW)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(
        outcomes
            .into_iter()
            .all(|outcome| matches!(outcome, Ok(()) | Err(StoreError::Conflict)))
    );
    assert_eq!(store.reservation(&read.id).await.unwrap(), Some(reservation));
    let profile = ada.stored().await.profile;
    assert_eq!((profile.checkouts, profile.version), (1, read.version + 1));
    assert_eq!(profile.customer_asked_at, Some(at(NOW)));
}

/// The profile was read after somebody reserved, the reservation before: the version alone would let this pass.
#[tokio::test]
async fn nobody_reserves_over_a_reservation_that_was_not_seen() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let unseen = reserved(&world, &ada).await;
    let read = ada.stored().await.profile;
    let outcome = store(&world)
        .reserve(&read, None, &reservation(&read), at(NOW))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
    let earlier = Reservation {
        number: 0,
        ..unseen.clone()
    };
    let outcome = store(&world)
        .reserve(&read, Some(&earlier), &reservation(&read), at(NOW))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
    assert_eq!(store(&world).reservation(&read.id).await.unwrap(), Some(unseen));
}

#[tokio::test]
async fn nobody_reserves_past_a_subscription_that_landed_meanwhile() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let read = ada.stored().await.profile;
    let landing = Landing {
        subscription: Some(subscription(Status::Active)),
        ..Landing::default()
    };
    store(&world).land(&read, &landing).await.unwrap();
    let outcome = store(&world)
        .reserve(&read, None, &reservation(&read), at(NOW))
        .await;
    assert_eq!(outcome, Err(StoreError::Conflict));
}

#[tokio::test]
async fn a_session_is_recorded_for_the_reservation_that_holds() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let first = reserved(&world, &ada).await;
    let second = reserved(&world, &ada).await;
    let (store, customer, expires_at) = (store(&world), customer(&ada), at("2026-04-02T00:00:07Z"));
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
        store.account_of_customer(&customer).await.unwrap(),
        Some(profile.id)
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
        store.account_of_customer(&other).await.unwrap(),
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

#[tokio::test]
async fn a_deleted_customer_is_forgotten_once() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let held = reserved(&world, &ada).await;
    store(&world)
        .record_session(&held, &customer(&ada), &session("cs_1"), held.expires_at)
        .await
        .unwrap();
    let read = ada.stored().await.profile;
    store(&world).forget_customer(&read).await.unwrap();
    assert_eq!(
        store(&world).forget_customer(&read).await,
        Err(StoreError::Conflict)
    );
    let profile = ada.stored().await.profile;
    assert_eq!(
        (profile.customer, profile.lost_customers, profile.open_session),
        (None, 1, None)
    );
}

fn event() -> EventKey {
    EventKey {
        connected_account: None,
        event: format!("evt_{}", unique()).parse().unwrap(),
    }
}

/// Something that no other test has, also not in a DynamoDB that all of them share.
fn unique() -> String {
    let bytes: [u8; 8] = billing_edge::key::random().unwrap();
    bytes.map(|byte| format!("{byte:02x}")).concat()
}

#[tokio::test]
async fn of_many_that_claim_an_event_one_gets_it() {
    let world = World::at(NOW).await;
    let (store, event, lease) = (store(&world), event(), at("2026-04-01T00:00:30Z"));
    let holders = ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];
    let claims = holders.map(|holder| store.claim_event(&event, "invoice.paid", holder, at(NOW), lease));
    let claims = join_all(claims).await;
    let mine = claims.iter().filter(|claim| **claim == Ok(Claim::Mine)).count();
    let busy = claims.iter().filter(|claim| **claim == Ok(Claim::Busy)).count();
    assert_eq!((mine, busy), (1, 7));
}

#[tokio::test]
async fn a_claim_ends_with_its_lease_with_failure_or_with_the_work() {
    let world = World::at(NOW).await;
    let (store, event) = (store(&world), event());
    let claim = async |holder: &str, now: &str, lease: &str| {
        store
            .claim_event(&event, "invoice.paid", holder, at(now), at(lease))
            .await
            .unwrap()
    };
    let (first, second) = ("2026-04-01T00:00:30Z", "2026-04-01T00:01:00Z");
    assert_eq!(claim("h1", "2026-04-01T00:00:00Z", first).await, Claim::Mine);
    assert_eq!(
        claim("h1", "2026-04-01T00:00:01Z", first).await,
        Claim::Mine,
        "its answer was lost"
    );
    assert_eq!(claim("h2", "2026-04-01T00:00:29Z", second).await, Claim::Busy);
    assert_eq!(
        claim("h2", "2026-04-01T00:00:30Z", second).await,
        Claim::Mine,
        "its holder died"
    );
    let outlived = store.fail_event(&event, "h1", "too late").await;
    assert_eq!(outlived, Err(StoreError::Conflict), "somebody else is at it");
    store.fail_event(&event, "h2", "stripe is down").await.unwrap();
    let receipt = store.receipt(&event).await.unwrap().unwrap();
    assert_eq!(receipt.last_error.as_deref(), Some("stripe is down"));
    assert_eq!(
        claim("h3", "2026-04-01T00:00:31Z", second).await,
        Claim::Mine,
        "failed: try again"
    );
    store
        .finish_event(&event, at("2026-04-01T00:00:32Z"))
        .await
        .unwrap();
    assert_eq!(
        claim("h4", "2026-04-03T00:00:00Z", "2026-04-03T00:01:00Z").await,
        Claim::Done
    );
    let late = store.fail_event(&event, "h3", "too late").await;
    assert_eq!(late, Err(StoreError::Conflict), "done stays done");
    assert_eq!(store.receipt(&event).await.unwrap().unwrap().attempts, 3);
}

#[tokio::test]
async fn an_event_of_a_connected_account_is_another_event() {
    let world = World::at(NOW).await;
    let ours = event();
    let theirs = EventKey {
        connected_account: Some("acct_1".parse().unwrap()),
        ..ours.clone()
    };
    for key in [&ours, &theirs] {
        let claim = store(&world)
            .claim_event(key, "invoice.paid", "h", at(NOW), at("2026-04-01T00:00:30Z"))
            .await;
        assert_eq!(claim, Ok(Claim::Mine));
    }
}

#[tokio::test]
async fn a_reply_is_claimed_when_absent_or_expired_or_past_its_lease() {
    let world = World::at(NOW).await;
    let ada = world.account(0).await;
    let caller = ada.id.parse().unwrap();
    let key = ReplyKey {
        caller: &caller,
        operation: "op",
        key_hash: "hash",
    };
    let claim = |request, token| ReplyClaim {
        key: key.clone(),
        request,
        token,
    };
    let store = store(&world);
    let claims = async |request: &'static str, token: &'static str, now: &str, lease: &str| {
        store
            .claim_reply(&claim(request, token), at(now), at(lease))
            .await
            .unwrap()
    };
    let lease = "2026-04-01T00:00:30Z";
    for lost in ["2026-04-01T00:00:00Z", "2026-04-01T00:00:01Z"] {
        assert_eq!(
            claims("a", "t1", lost, lease).await,
            FoundReply::Mine,
            "also when its answer was lost"
        );
    }
    assert_eq!(
        claims("a", "t2", "2026-04-01T00:00:29Z", lease).await,
        FoundReply::InProgress
    );
    assert_eq!(
        claims("b", "t2", "2026-04-01T00:00:29Z", lease).await,
        FoundReply::Mismatch
    );
    let lease = "2026-04-01T00:01:00Z";
    assert_eq!(
        claims("b", "t2", "2026-04-01T00:00:30Z", lease).await,
        FoundReply::Mismatch,
        "also past its lease"
    );
    assert_eq!(
        claims("a", "t2", "2026-04-01T00:00:30Z", lease).await,
        FoundReply::Mine
    );
    let outlived = store.finish_reply(&claim("a", "t1"), 200, "{}").await;
    assert_eq!(outlived, Err(StoreError::Conflict), "somebody took over");
    assert_eq!(
        store.release_reply(&claim("a", "t1")).await,
        Err(StoreError::Conflict)
    );
    store
        .finish_reply(&claim("a", "t2"), 200, r#"{"x":1}"#)
        .await
        .unwrap();
    let done = FoundReply::Done {
        status: 200,
        body: r#"{"x":1}"#.to_owned(),
    };
    assert_eq!(
        claims("a", "t3", "2026-04-01T12:00:00Z", "2026-04-01T12:00:30Z").await,
        done
    );
    let next_day = ("2026-04-02T00:00:30Z", "2026-04-02T00:01:00Z");
    assert_eq!(
        claims("b", "t4", next_day.0, next_day.1).await,
        FoundReply::Mine,
        "expired, whether deleted or not"
    );
    store.release_reply(&claim("b", "t4")).await.unwrap();
    assert_eq!(
        claims("c", "t5", next_day.0, next_day.1).await,
        FoundReply::Mine,
        "given back"
    );
}

#[tokio::test]
async fn a_key_belongs_to_an_account_that_exists_and_is_made_once() {
    let world = World::at(NOW).await;
    let ada = world.account(0).await;
    let keys = store(&world).api_keys(&ada.id.parse().unwrap()).await.unwrap();
    let key = keys[0].clone();
    assert_eq!(
        store(&world).put_api_key(&unique(), &key).await,
        Err(StoreError::Conflict),
        "its id is taken"
    );
    let nobody = billing_core::access::Key {
        id: format!("key_{}", unique()).parse().unwrap(),
        account: format!("nobody-{}", unique()).parse().unwrap(),
        ..key
    };
    assert_eq!(
        store(&world).put_api_key(&unique(), &nobody).await,
        Err(StoreError::Conflict)
    );
}

#[tokio::test]
async fn the_first_revocation_counts() {
    let world = World::at(NOW).await;
    let ada = world.account(0).await;
    let (store, id) = (store(&world), ada.id.parse().unwrap());
    let key = store.api_keys(&id).await.unwrap().remove(0);
    for now in ["2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"] {
        assert_eq!(store.revoke_api_key(&id, &key.id, at(now)).await, Ok(true));
    }
    let revoked = store
        .api_keys(&id)
        .await
        .unwrap()
        .into_iter()
        .find(|other| other.id == key.id)
        .unwrap();
    assert_eq!(revoked.revoked_at, Some(at(NOW)));
    assert_eq!(
        store
            .revoke_api_key(&id, &"key_nobody".parse().unwrap(), at(NOW))
            .await,
        Ok(false)
    );
}

#[tokio::test]
async fn an_account_is_created_once_whatever_its_size() {
    let world = World::at(NOW).await;
    let ada = world.account(250).await;
    let stored = ada.stored().await;
    assert_eq!(stored.numbers.len(), 250);
    let again = billing_store::NewAccount {
        profile: stored.profile,
        numbers: vec![],
    };
    assert_eq!(
        store(&world).create_account(&again).await,
        Err(StoreError::Conflict)
    );
}
