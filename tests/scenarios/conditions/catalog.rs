//! The catalog: plans and the versions of their prices, customers and their addresses.

use billing_core::catalog::{Buyer, Plan};
use billing_core::id::OrganisationId;
use billing_core::organisation::Organisation;
use billing_store::{BuyerWrite, StoreError, StoredPlan, StoredPrice};
use billing_tests::World;
use futures_util::future::join_all;
use serde_json::json;

use super::{NOW, at, store, unique};

const SEAT: &str = "00000000-0000-4000-8000-000000000001";

fn organisation(name: &str) -> OrganisationId {
    // A DynamoDB outside remembers earlier runs.
    format!("{name}-{}", unique()).parse().unwrap()
}

/// A plan of one product at this amount, in a version.
fn plan(version: u32, unit_amount: i64) -> Plan {
    serde_json::from_value(json!({
        "id": "00000000-0000-4000-8000-00000000000f",
        "name": "Basic",
        "currency": "usd",
        "cadence": "P1M",
        "products": [{
            "id": SEAT, "name": "Seat", "required": true, "default_quantity": "1.5", "min": 0,
            "price": { "version": version, "stripe_price": format!("price_{version}"),
                       "pricing": { "pricing_type": "per_unit", "unit_amount": unit_amount, "free_units": "0.5" } },
        }],
    }))
    .unwrap()
}

fn edition(edition: u64, plan: Plan) -> (StoredPlan, Vec<StoredPrice>) {
    let price = StoredPrice {
        product: SEAT.parse().unwrap(),
        plan: plan.id.clone(),
        currency: plan.currency,
        cadence: plan.cadence,
        price: plan.products[0].price.clone(),
        created_at: at(NOW),
    };
    (StoredPlan { plan, edition }, vec![price])
}

#[tokio::test]
async fn of_many_that_write_the_same_edition_one_does() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    for number in 1..=2_u32 {
        let writes = (0..8).map(|_| {
            let (of, world) = (&of, &world);
            async move {
                let (plan, prices) = edition(number.into(), plan(number, 1000 + i64::from(number)));
                store(world).put_plan(of, &plan, &prices).await
            }
        });
        let done = join_all(writes).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
        assert!(
            done.iter()
                .all(|done| matches!(done, Ok(()) | Err(StoreError::Conflict)))
        );
    }
    let (stored, _) = edition(2, plan(2, 1002));
    assert_eq!(
        store(&world).plan(&of, &stored.plan.id).await,
        Ok(Some(stored.clone()))
    );
    assert_eq!(store(&world).plans(&of).await, Ok(vec![stored]));
    assert_eq!(store(&world).plans(&organisation("other")).await, Ok(vec![]));
}

/// Of many that give an organisation another name one does, and nobody is made by being named.
#[tokio::test]
async fn an_organisation_is_renamed_from_the_name_that_was_read() {
    let world = World::at(NOW).await;
    let id = organisation("shop");
    let mut read = Organisation {
        id: id.clone(),
        name: None,
        created_at: at(NOW),
    };
    let renamed = async |read: &Organisation| {
        let names = (0..8).map(|number| {
            let world = &world;
            async move {
                let name = format!("Shop {number} {}", unique()).parse().unwrap();
                store(world).rename_organisation(read, &name).await
            }
        });
        let done = join_all(names).await;
        assert!(
            done.iter()
                .all(|done| matches!(done, Ok(()) | Err(StoreError::Conflict)))
        );
        done.iter().filter(|done| done.is_ok()).count()
    };
    assert_eq!(renamed(&read).await, 0);
    assert_eq!(store(&world).organisation(&id).await, Ok(None));
    store(&world).create_organisation(&read).await.unwrap();
    for _ in 0..2 {
        assert_eq!(renamed(&read).await, 1);
        assert_eq!(renamed(&read).await, 0, "it has another name by now");
        read = store(&world).organisation(&id).await.unwrap().unwrap();
        assert_eq!((&read.id, read.created_at), (&id, at(NOW)));
    }
}

/// A version that exists costs what it costs, and a plan that says otherwise is not written either.
#[tokio::test]
async fn a_version_never_becomes_another_price() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    let (first, prices) = edition(1, plan(1, 1000));
    store(&world).put_plan(&of, &first, &prices).await.unwrap();
    let (second, other) = edition(2, plan(1, 2000));
    assert_eq!(
        store(&world).put_plan(&of, &second, &other).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(
        store(&world).plan(&of, &first.plan.id).await,
        Ok(Some(first.clone()))
    );
    // Made anew at Stripe, it is still the same price.
    let (second, mut anew) = edition(2, first.plan);
    anew[0].price.stripe_price = Some("price_anew".parse().unwrap());
    store(&world).put_plan(&of, &second, &anew).await.unwrap();
    let product = SEAT.parse().unwrap();
    assert_eq!(
        store(&world).price(&of, &product, 1).await,
        Ok(Some(anew.remove(0)))
    );
}

#[tokio::test]
async fn the_latest_version_is_the_highest() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    let product = SEAT.parse().unwrap();
    assert_eq!(store(&world).latest_price(&of, &product).await, Ok(None));
    for version in 1..=11 {
        let (plan, prices) = edition(version.into(), plan(version, 1000));
        store(&world).put_plan(&of, &plan, &prices).await.unwrap();
    }
    let latest = store(&world).latest_price(&of, &product).await.unwrap().unwrap();
    assert_eq!(latest.price.version, 11);
}

fn buyer(number: u32, email: Option<&str>) -> Buyer {
    Buyer {
        id: format!("00000000-0000-4000-8000-{number:012}").parse().unwrap(),
        business_entity: "00000000-0000-4000-8000-00000000000e".parse().unwrap(),
        name: "Bob".parse().unwrap(),
        email: email.map(|email| email.parse().unwrap()),
        customer: None,
        customer_asked_at: None,
        lost_customers: 0,
    }
}

#[tokio::test]
async fn of_many_customers_with_one_address_one_gets_it() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    let writes = (1..=8).map(|number| {
        let (of, world) = (&of, &world);
        async move {
            let new = buyer(number, Some("bob@example.com"));
            let write = BuyerWrite {
                new: &new,
                email_hash: Some("h1"),
                read: None,
                read_email_hash: None,
            };
            store(world).put_buyer(of, write).await.map(|()| new.id)
        }
    });
    let done = join_all(writes).await;
    let owners: Vec<_> = done.iter().filter_map(|done| done.as_ref().ok()).collect();
    assert_eq!(owners.len(), 1, "{done:?}");
    assert_eq!(
        store(&world).buyer_of_email(&of, "h1").await,
        Ok(Some(owners[0].clone()))
    );
}

#[tokio::test]
async fn a_new_address_frees_the_old_one_once() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    let (old, new) = (
        buyer(1, Some("old@example.com")),
        buyer(1, Some("new@example.com")),
    );
    let first = BuyerWrite {
        new: &old,
        email_hash: Some("old"),
        read: None,
        read_email_hash: None,
    };
    store(&world).put_buyer(&of, first).await.unwrap();
    let second = BuyerWrite {
        new: &new,
        email_hash: Some("new"),
        read: Some(&old),
        read_email_hash: Some("old"),
    };
    store(&world).put_buyer(&of, second).await.unwrap();
    assert_eq!(store(&world).buyer_of_email(&of, "old").await, Ok(None));
    assert_eq!(store(&world).buyer(&of, &new.id).await, Ok(Some(new.clone())));
    // Decided on what is not so any more.
    assert_eq!(
        store(&world).put_buyer(&of, second).await,
        Err(StoreError::Conflict)
    );
    // Without an address it is nobody's.
    let none = buyer(1, None);
    let third = BuyerWrite {
        new: &none,
        email_hash: None,
        read: Some(&new),
        read_email_hash: Some("new"),
    };
    store(&world).put_buyer(&of, third).await.unwrap();
    assert_eq!(store(&world).buyer_of_email(&of, "new").await, Ok(None));
    assert_eq!(store(&world).buyer(&of, &none.id).await, Ok(Some(none.clone())));
}

/// A customer that the catalog made, as it is stored.
async fn stored_buyer(world: &World, of: &OrganisationId) -> Buyer {
    let new = buyer(1, None);
    let write = BuyerWrite {
        new: &new,
        email_hash: None,
        read: None,
        read_email_hash: None,
    };
    store(world).put_buyer(of, write).await.unwrap();
    store(world).buyer(of, &new.id).await.unwrap().unwrap()
}

/// Of many that could not make the customer under its key, one counts it as lost; who is a step behind gives up nothing.
#[tokio::test]
async fn a_customer_that_cannot_be_made_is_lost_once() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    let mut read = stored_buyer(&world, &of).await;
    for lost in 1..=2 {
        let forgets = (0..8).map(|_| store(&world).forget_buyer(&of, &read, at(NOW)));
        let done = join_all(forgets).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
        assert!(
            done.iter()
                .all(|done| matches!(done, Ok(()) | Err(StoreError::Conflict)))
        );
        read = store(&world).buyer(&of, &read.id).await.unwrap().unwrap();
        assert_eq!(
            (read.lost_customers, read.customer_asked_at),
            (lost, Some(at(NOW)))
        );
    }
    let nobody = buyer(2, None);
    assert_eq!(
        store(&world).forget_buyer(&of, &nobody, at(NOW)).await,
        Err(StoreError::Conflict),
        "nobody is made by losing a customer"
    );
    assert_eq!(store(&world).buyer(&of, &nobody.id).await, Ok(None));
}

/// A customer that was made under a key that somebody has given up meanwhile is not recorded, and one that is recorded is not lost.
#[tokio::test]
async fn a_customer_is_recorded_or_lost_and_never_both() {
    let world = World::at(NOW).await;
    let of = organisation("shop");
    let first = stored_buyer(&world, &of).await;
    let customer = |name: &str| format!("cus_{name}_{}", unique()).parse().unwrap();
    store(&world).forget_buyer(&of, &first, at(NOW)).await.unwrap();
    assert_eq!(
        store(&world).record_buyer(&of, &first, &customer("late")).await,
        Err(StoreError::Conflict)
    );
    let second = store(&world).buyer(&of, &first.id).await.unwrap().unwrap();
    let made = customer("made");
    for _ in 0..2 {
        assert_eq!(store(&world).record_buyer(&of, &second, &made).await, Ok(()));
    }
    assert_eq!(
        store(&world).record_buyer(&of, &second, &customer("other")).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(
        store(&world).forget_buyer(&of, &second, at(NOW)).await,
        Err(StoreError::Conflict)
    );
    let stored = store(&world).buyer(&of, &first.id).await.unwrap().unwrap();
    assert_eq!((stored.customer, stored.lost_customers), (Some(made), 1));
}
