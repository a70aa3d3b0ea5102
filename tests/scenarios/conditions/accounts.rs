//! Accounts, their customers and their keys.

use billing_core::access::Holder;
use billing_core::account::{Account as Stored, Number};
use billing_core::landing::Landing;
use billing_store::{CustomerOf, NewAccount, StoreError};
use billing_tests::World;

use super::{NOW, at, customer, reserved, session, store, unique};

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
    store(&world)
        .forget_customer(&read, at("2046-04-03T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!(
        store(&world)
            .forget_customer(&read, at("2046-04-03T00:00:00Z"))
            .await,
        Err(StoreError::Conflict)
    );
    let profile = ada.stored().await.profile;
    assert_eq!(
        (profile.customer, profile.lost_customers, profile.open_session),
        (None, 1, None)
    );
    assert_eq!(
        profile.customer_asked_at,
        Some(at("2046-04-03T00:00:00Z")),
        "the next one may exist from then on"
    );
}

/// The payer was faster than the recording, and the webhook links the customer.
#[tokio::test]
async fn a_customer_that_a_landing_links_is_found() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let customer = customer(&ada);
    let landing = Landing {
        customer: Some(customer.clone()),
        ..Landing::default()
    };
    let Stored { profile, .. } = ada.stored().await;
    store(&world).land(&profile, &landing).await.unwrap();
    assert_eq!(ada.stored().await.profile.customer, Some(customer.clone()));
    assert_eq!(
        store(&world).owner_of_customer(&customer).await,
        Ok(Some(CustomerOf::Account(profile.id)))
    );
}

/// A customer belongs to one account for ever, whatever a second one claims.
#[tokio::test]
async fn a_customer_is_not_claimed_by_a_second_account() {
    let world = World::at(NOW).await;
    let (ada, bob) = (world.account(1).await, world.account(1).await);
    let (store, customer) = (store(&world), customer(&ada));
    for (account, outcome) in [(&ada, Ok(())), (&bob, Err(StoreError::Conflict))] {
        let held = reserved(&world, account).await;
        let recorded = store
            .record_session(&held, &customer, &session("cs_1"), held.expires_at)
            .await;
        assert_eq!(recorded, outcome);
    }
    assert_eq!(bob.stored().await.profile.customer, None);
    assert_eq!(
        store.owner_of_customer(&customer).await,
        Ok(Some(CustomerOf::Account(ada.id.parse().unwrap())))
    );
}

fn holder(account: &str) -> Holder {
    Holder::Account(account.parse().unwrap())
}

#[tokio::test]
async fn a_key_belongs_to_an_account_that_exists_and_is_made_once() {
    let world = World::at(NOW).await;
    let ada = world.account(0).await;
    let keys = store(&world).api_keys(&holder(&ada.id)).await.unwrap();
    let key = keys[0].clone();
    assert_eq!(
        store(&world).put_api_key(&unique(), &key).await,
        Err(StoreError::Conflict),
        "its id is taken"
    );
    let hash = unique();
    let another = || billing_core::access::Key {
        id: format!("key_{}", unique()).parse().unwrap(),
        ..key.clone()
    };
    assert_eq!(store(&world).put_api_key(&hash, &another()).await, Ok(()));
    assert_eq!(
        store(&world).put_api_key(&hash, &another()).await,
        Err(StoreError::Conflict),
        "its secret is taken"
    );
    let nobody = billing_core::access::Key {
        id: format!("key_{}", unique()).parse().unwrap(),
        holder: holder(&format!("nobody-{}", unique())),
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
    let (store, id) = (store(&world), holder(&ada.id));
    let key = store.api_keys(&id).await.unwrap().remove(0);
    for now in ["2046-04-01T00:00:00Z", "2046-04-02T00:00:00Z"] {
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
    let again = NewAccount {
        profile: stored.profile,
        numbers: vec![],
    };
    assert_eq!(
        store(&world).create_account(&again).await,
        Err(StoreError::Conflict)
    );
}

/// 300 numbers of 4 KB each: DynamoDB answers 1 MB at a time. The oldest come first, whatever their keys.
#[tokio::test]
async fn an_account_of_several_pages_is_read_to_its_end() {
    let world = World::at(NOW).await;
    let Stored { profile, numbers, .. } = world.account(1).await.stored().await;
    let id: billing_core::id::AccountId = format!("large-{}", unique()).parse().unwrap();
    let number = |n: i64| Number {
        id: format!("n{n}").parse().unwrap(),
        nickname: Some("x".repeat(4000)),
        created_at: at(NOW) - billing_core::SignedDuration::from_secs(n),
        ..numbers[0].clone()
    };
    let profile = billing_core::account::Profile {
        id: id.clone(),
        ..profile
    };
    let new = NewAccount {
        profile,
        numbers: (1..=300).map(number).collect(),
    };
    store(&world).create_account(&new).await.unwrap();
    let read = store(&world).account(&id).await.unwrap().unwrap();
    let ids: Vec<_> = read.numbers.iter().map(|number| number.id.to_string()).collect();
    let oldest_first: Vec<_> = (1..=300).rev().map(|n| format!("n{n}")).collect();
    assert_eq!(ids, oldest_first);
}
