//! What becomes of a catalog in the tables and at Stripe: applied, changed, applied again, by two at once, by one who dies.

use std::sync::Arc;

use billing_core::catalog::Plan;
use billing_core::id::{OrganisationId, PlanId};
use clap::Parser;
use local_stack::dynamodb::Embedded;
use local_stack::tables;
use local_stack::template::Template;
use serde_json::{Value, json};
use stripe_stand_in::{Clock, Fault as StripeFault, FaultKind, StandIn};
use tokio::net::TcpListener;

use super::*;
use crate::command::CommandLine;
use crate::connection;

async fn store_at(url: &str) -> Store {
    let line = CommandLine::parse_from(["billing-admin", "--endpoint-url", url, "account", "show", "x"]);
    connection::open(&line.place, billing_edge::transport())
        .await
        .unwrap()
}

/// Tables and a Stripe of their own.
struct Shop {
    store: Store,
    stripe: Stripe,
    stand_in: StandIn,
}

impl Shop {
    async fn open() -> Self {
        let database = Embedded::empty(Arc::new(now)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", port.local_addr().unwrap());
        tokio::spawn(database.serve(port, std::future::pending()));
        tables::create_missing(&url, &Template::project().unwrap().tables)
            .await
            .unwrap();
        let stand_in = StandIn::new(stripe_stand_in::Config::new(Clock::frozen(now())));
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stripe_url = format!("http://{}", port.local_addr().unwrap());
        let served = stand_in.clone();
        tokio::spawn(async move { served.serve(port).await });
        Self {
            store: store_at(&url).await,
            stripe: connection::stripe(&stripe_url, "sk_test_local", billing_edge::transport()),
            stand_in,
        }
    }

    async fn apply(&self, file: &CatalogFile) -> Result<Vec<String>, String> {
        let (done, applied) = self.tries(file).await;
        applied.map(|()| done)
    }

    /// What is told to be changed, also where the rest fails, and why that is.
    async fn tries(&self, file: &CatalogFile) -> (Vec<String>, Result<(), String>) {
        let mut done = Difference::default();
        let applied = apply(&self.store, &self.stripe, file, now(), &mut done).await;
        (told(&done), applied.map_err(|failure| failure.to_string()))
    }

    async fn differs(&self, file: &CatalogFile) -> Vec<String> {
        told(&difference(&self.store, file).await.unwrap())
    }

    async fn plan(&self, file: &CatalogFile, name: &str) -> (Plan, u64) {
        let plan = file.plans.iter().find(|plan| plan.name == name).unwrap();
        self.stored(&file.organisation, &plan.it.id).await
    }

    async fn stored(&self, organisation: &OrganisationId, id: &PlanId) -> (Plan, u64) {
        let stored = self.store.plan(organisation, id).await.unwrap().unwrap();
        (stored.plan, stored.edition)
    }

    fn at_stripe(&self, path: &str) -> Vec<Value> {
        let (status, answer) = self.stand_in.call("GET", path, &json!({ "limit": 100 }), None);
        assert_eq!(status, 200, "{answer}");
        answer["data"].as_array().unwrap().clone()
    }

    /// The lookup keys of all prices, the newest first.
    fn keys(&self) -> Vec<String> {
        let prices = self.at_stripe("/v1/prices");
        prices
            .iter()
            .map(|price| price["lookup_key"].as_str().unwrap().to_owned())
            .collect()
    }

    fn writes(&self) -> usize {
        let requests = self.stand_in.requests();
        requests.iter().filter(|request| request.method == "POST").count()
    }
}

fn told(difference: &Difference) -> Vec<String> {
    difference.report().text.lines().map(str::to_owned).collect()
}

const NOTHING: [&str; 1] = ["nothing to change"];

#[tokio::test]
async fn what_is_applied_is_there_and_applying_it_again_writes_nothing() {
    let shop = Shop::open().await;
    let file = example();
    let differs = shop.differs(&file).await;
    assert_eq!(
        differs[..10],
        [
            "+ organisation demo",
            "+ business entity headquarters",
            "+ business entity auckland",
            "+ customer bakery",
            "+ customer brewery",
            "+ plan starter",
            "    gets product \"Starter seat\" at price version 1",
            "    gets product \"Call archive\" at price version 1",
            "+ plan team",
            "    gets product \"Team seat\" at price version 1",
        ]
    );
    // Asking what differs changes nothing.
    assert_eq!(shop.differs(&file).await, differs);
    assert_eq!(shop.apply(&file).await.unwrap(), differs);
    assert_eq!(shop.differs(&file).await, NOTHING);
    let (starter, edition) = shop.plan(&file, "starter").await;
    let writes = shop.writes();
    assert_eq!(shop.apply(&file).await.unwrap(), NOTHING);
    assert_eq!(shop.plan(&file, "starter").await, (starter, edition));
    assert_eq!((edition, shop.writes()), (1, writes));

    let (organisation, bakery) = (&file.organisation, &file.customers[0].it);
    assert_eq!(
        shop.store.buyer(organisation, &bakery.id).await.unwrap().as_ref(),
        Some(bakery)
    );
    let auckland = &file.business_entities[1].it;
    let stored = shop
        .store
        .business_entity(organisation, &auckland.id)
        .await
        .unwrap();
    assert_eq!(stored.as_ref(), Some(auckland));
    let organisation = shop.store.organisation(organisation).await.unwrap().unwrap();
    assert_eq!(organisation.name.unwrap().as_str(), "Ada's Telephones");
}

/// Nine products, of which five are priced as Stripe can express it.
#[tokio::test]
async fn stripe_has_every_product_and_the_prices_that_it_can_express() {
    let shop = Shop::open().await;
    let file = example();
    shop.apply(&file).await.unwrap();
    assert_eq!(shop.at_stripe("/v1/products").len(), 9);
    let prices = shop.at_stripe("/v1/prices");
    assert_eq!(prices.len(), 6);
    for plan in &file.plans {
        let (plan, _) = shop.plan(&file, &plan.name).await;
        for product in &plan.products {
            let of_product = |price: &&Value| price["product"] == product.id.as_str();
            let price = prices.iter().find(of_product);
            assert_eq!(
                product.price.stripe_price.as_ref().map(|price| json!(price)),
                price.map(|price| price["id"].clone())
            );
            assert_eq!(
                product.stripe_product.as_ref().unwrap().as_str(),
                product.id.as_str()
            );
            if let Some(price) = price {
                assert_eq!(price["lookup_key"], format!("demo:{}:v1", product.id));
            }
        }
    }
    let (team, _) = shop.plan(&file, "team").await;
    let storage = prices
        .iter()
        .find(|price| price["product"] == team.products[1].id.as_str())
        .unwrap();
    assert_eq!(
        storage["transform_quantity"],
        json!({ "divide_by": 100, "round": "up" })
    );
}

#[tokio::test]
async fn another_amount_is_another_version_and_the_earlier_one_stays() {
    let shop = Shop::open().await;
    let (ten, twelve) = (
        small_file(TEN_DOLLARS),
        small_file(r#"pricing = { pricing_type = "per_unit", unit_amount = 1200 }"#),
    );
    shop.apply(&ten).await.unwrap();
    let (sold, _) = shop.plan(&ten, "basic").await;
    assert_eq!(
        shop.apply(&twelve).await.unwrap(),
        ["~ plan basic", "    product \"Seat\": price version 1 → 2"]
    );
    let (offered, edition) = shop.plan(&ten, "basic").await;
    let (old, new) = (&sold.products[0], &offered.products[0]);
    assert_eq!((new.price.version, edition), (2, 2));
    assert_ne!(old.price.stripe_price, new.price.stripe_price);
    let product = &old.id;
    assert_eq!(
        shop.keys(),
        [format!("acme:{product}:v2"), format!("acme:{product}:v1")]
    );
    assert!(
        shop.at_stripe("/v1/prices")
            .iter()
            .all(|price| price["active"] == true)
    );
    for (version, price) in [(1, &old.price), (2, &new.price)] {
        let stored = shop
            .store
            .price(&ten.organisation, product, version)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.price, *price);
    }
    // Ten dollars once more is a third version: what was sold at the first is not moved.
    shop.apply(&ten).await.unwrap();
    assert_eq!(shop.plan(&ten, "basic").await.0.products[0].price.version, 3);
    // The same amounts in another currency are other prices.
    let euros = CatalogFile::read(&small("", TEN_DOLLARS).replace("usd", "eur")).unwrap();
    assert_eq!(
        shop.apply(&euros).await.unwrap(),
        [
            "~ plan basic",
            "    currency: usd → eur",
            "    product \"Seat\": price version 3 → 4"
        ]
    );
}

#[tokio::test]
async fn what_is_no_price_changes_without_a_new_version() {
    let shop = Shop::open().await;
    shop.apply(&small_file(TEN_DOLLARS)).await.unwrap();
    let renamed = small_file(&format!("required = true\nmin = 1\nmax = 9\n{TEN_DOLLARS}"));
    let mut renamed = renamed;
    renamed.plans[0].it.products[0].name = "Desk".to_owned();
    renamed.plans[0].it.name = "Basics".to_owned();
    assert_eq!(
        shop.apply(&renamed).await.unwrap(),
        [
            "~ plan basic",
            "    name: Basic → Basics",
            "    product \"Seat\": name → \"Desk\", required → true, quantity 1 of 0 to any → 1 of 1 to 9",
        ]
    );
    assert_eq!(shop.at_stripe("/v1/products")[0]["name"], "Desk");
    assert_eq!(shop.keys().len(), 1);
}

#[tokio::test]
async fn a_plan_that_the_file_does_not_have_is_withdrawn_until_it_has_it_again() {
    let shop = Shop::open().await;
    let file = small_file(TEN_DOLLARS);
    shop.apply(&file).await.unwrap();
    let empty = CatalogFile {
        plans: Vec::new(),
        ..file.clone()
    };
    let id = &file.plans[0].it.id;
    let withdrawn = [
        format!("- plan \"Basic\" ({id})"),
        "    is no longer offered; its contracts go on".to_owned(),
    ];
    assert_eq!(shop.differs(&empty).await, withdrawn);
    assert_eq!(shop.apply(&empty).await.unwrap(), withdrawn);
    assert_eq!(shop.apply(&empty).await.unwrap(), NOTHING);
    assert!(shop.plan(&file, "basic").await.0.withdrawn);
    assert_eq!(
        shop.apply(&file).await.unwrap(),
        ["~ plan basic", "    is offered again"]
    );
    let (plan, _) = shop.plan(&file, "basic").await;
    assert_eq!((plan.withdrawn, plan.products[0].price.version), (false, 1));
}

/// A product that comes back goes on counting: its first version may still be somebody's.
#[tokio::test]
async fn versions_go_on_where_a_product_left_off() {
    let shop = Shop::open().await;
    shop.apply(&pair(500)).await.unwrap();
    assert_eq!(
        shop.apply(&small_file(TEN_DOLLARS)).await.unwrap(),
        ["~ plan basic", "    loses product \"Other\""]
    );
    assert_eq!(
        shop.apply(&pair(600)).await.unwrap(),
        ["~ plan basic", "    gets product \"Other\" at price version 2"]
    );
}

#[tokio::test]
async fn a_stripe_that_has_lost_the_catalog_gets_it_again() {
    let shop = Shop::open().await;
    let file = small_file(TEN_DOLLARS);
    shop.apply(&file).await.unwrap();
    shop.stand_in.reset();
    assert_eq!(
        shop.apply(&file).await.unwrap(),
        ["~ plan basic", "    is made anew at Stripe"]
    );
    let (plan, _) = shop.plan(&file, "basic").await;
    let price = &shop.at_stripe("/v1/prices")[0];
    assert_eq!(json!(plan.products[0].price.stripe_price), price["id"]);
    let stored = shop
        .store
        .price(&file.organisation, &plan.products[0].id, 1)
        .await
        .unwrap();
    assert_eq!(stored.unwrap().price, plan.products[0].price);
    assert_eq!(shop.apply(&file).await.unwrap(), NOTHING);
}

/// What an operator archives or renames by hand is sold again as the file says, as often as that happens in a day: Stripe answers an earlier
/// attempt's key as it did then.
#[tokio::test]
async fn what_was_archived_or_renamed_by_hand_is_sold_again_each_time() {
    let shop = Shop::open().await;
    let file = small_file(TEN_DOLLARS);
    shop.apply(&file).await.unwrap();
    for time in 1..=3 {
        for (what, by_hand, told) in [
            (
                "/v1/prices",
                json!({ "active": false }),
                "    price version 1 of product \"Seat\" was archived at Stripe, and is sold again",
            ),
            (
                "/v1/products",
                json!({ "active": false }),
                "    product \"Seat\" was archived at Stripe, and is sold again",
            ),
            (
                "/v1/products",
                json!({ "name": "Another" }),
                "    product \"Seat\" was renamed at Stripe, and has its name again",
            ),
        ] {
            let id = shop.at_stripe(what)[0]["id"].clone();
            let path = format!("{what}/{}", id.as_str().unwrap());
            let (status, answer) = shop.stand_in.call("POST", &path, &by_hand, None);
            assert_eq!(status, 200, "{answer}");
            assert_eq!(shop.apply(&file).await.unwrap(), ["~ plan basic", told]);
            assert_eq!(shop.apply(&file).await.unwrap(), NOTHING);
            let now = &shop.at_stripe(what)[0];
            let name = now.get("name").unwrap_or(&json!("Seat")).clone();
            assert_eq!(
                (&now["active"], &name),
                (&json!(true), &json!("Seat")),
                "{what} {by_hand}, for the {time}. time"
            );
        }
    }
}

/// Whichever call to Stripe fails or loses its answer, the next attempt does the rest, and nothing is there twice.
#[tokio::test]
async fn an_apply_that_dies_half_way_is_finished_by_the_next() {
    let mut died = 0;
    for kind in [
        FaultKind::Status {
            status: 400,
            code: None,
        },
        FaultKind::DropAfter,
    ] {
        for call in 1.. {
            let shop = Shop::open().await;
            let file = pair(500);
            shop.stand_in.add_fault(StripeFault {
                method: Some("POST".to_owned()),
                nth: call,
                times: 8,
                ..StripeFault::new(kind.clone())
            });
            let first = shop.apply(&file).await;
            shop.stand_in.clear_faults();
            shop.apply(&file).await.unwrap();
            assert_eq!(shop.apply(&file).await.unwrap(), NOTHING);
            assert_eq!(shop.at_stripe("/v1/products").len(), 2);
            assert_eq!(shop.at_stripe("/v1/prices").len(), 2);
            if first.is_ok() {
                break;
            }
            died += 1;
        }
    }
    // Two products and two prices, each call failing in two ways.
    assert_eq!(died, 8);
}

/// What was changed before is told: it is on sale.
#[tokio::test]
async fn an_apply_that_fails_half_way_tells_what_it_has_changed() {
    let shop = Shop::open().await;
    shop.apply(&example()).await.unwrap();
    let dearer = EXAMPLE
        .replacen("unit_amount = 1000 }", "unit_amount = 1100 }", 1)
        .replacen("unit_amount = 15000 }", "unit_amount = 16000 }", 1);
    let dearer = CatalogFile::read(&dearer).unwrap();
    let wanted = shop.differs(&dearer).await;
    assert_eq!(wanted.len(), 4, "{wanted:?}");
    shop.stand_in.add_fault(StripeFault {
        method: Some("POST".to_owned()),
        path: Some("/v1/prices".to_owned()),
        nth: 2,
        times: 9,
        ..StripeFault::new(FaultKind::DropAfter)
    });
    let (done, applied) = shop.tries(&dearer).await;
    assert_eq!(done, wanted[..2]);
    assert!(applied.is_err());
    shop.stand_in.clear_faults();
    assert_eq!(shop.apply(&dearer).await.unwrap(), wanted[2..]);
}

/// The organisation is of the file like the rest of it.
#[tokio::test]
async fn an_organisation_is_told_made_and_called_as_the_file_says() {
    let shop = Shop::open().await;
    let named = |name: &str| {
        CatalogFile::read(&format!("[organisation]\nid = \"acme\"\nname = \"{name}\"\n")).unwrap()
    };
    let name = async || {
        let organisation = shop.store.organisation(&named("N").organisation).await.unwrap();
        organisation.map(|organisation| organisation.name.unwrap().as_str().to_owned())
    };
    let made = ["+ organisation acme"];
    assert_eq!(shop.differs(&named("N")).await, made);
    assert_eq!(name().await, None, "asking changes nothing");
    assert_eq!(shop.apply(&named("N")).await.unwrap(), made);
    let renamed = ["~ organisation acme", "    name: N → Other"];
    assert_eq!(shop.differs(&named("Other")).await, renamed);
    assert_eq!(shop.apply(&named("Other")).await.unwrap(), renamed);
    assert_eq!(name().await.as_deref(), Some("Other"));
    assert_eq!(shop.apply(&named("Other")).await.unwrap(), NOTHING);
}

/// A version was made at Stripe and never stored, and then the file changed its mind: that lookup key is left to it.
#[tokio::test]
async fn a_price_that_nobody_stored_is_passed_over() {
    let shop = Shop::open().await;
    let file = small_file(TEN_DOLLARS);
    let product = &file.plans[0].it.products[0];
    let other = serde_json::from_str(r#"{"pricing_type": "per_unit", "unit_amount": 999}"#).unwrap();
    let version = billing_stripe::PriceVersion {
        organisation: &file.organisation,
        product: &product.id,
        version: 1,
        currency: file.plans[0].it.currency,
        cadence: file.plans[0].it.cadence,
        pricing: &other,
    };
    let sold = shop
        .stripe
        .ensure_product(&file.organisation, &product.id, "Seat", 1)
        .await
        .unwrap();
    let native = billing_stripe::native(&other).unwrap();
    shop.stripe
        .create_price(&version, &native, &sold.id)
        .await
        .unwrap()
        .unwrap();
    shop.apply(&file).await.unwrap();
    let (plan, _) = shop.plan(&file, "basic").await;
    assert_eq!(plan.products[0].price.version, 2);
    assert_eq!(
        shop.keys(),
        [
            format!("acme:{}:v2", product.id),
            format!("acme:{}:v1", product.id)
        ]
    );
}

/// Two administrators at once, of one mind and of two: what is stored is what one of them wanted, whole, and every price that a plan
/// names is at Stripe.
#[tokio::test]
async fn two_applies_at_once_end_as_one_of_them_wanted() {
    let shop = Shop::open().await;
    let file = example();
    let (one, other) = tokio::join!(shop.apply(&file), shop.apply(&file));
    one.unwrap();
    other.unwrap();
    assert_eq!(shop.at_stripe("/v1/prices").len(), 6);
    assert_eq!(shop.differs(&file).await, NOTHING);

    let (ten, twelve) = (
        small_file(TEN_DOLLARS),
        small_file(r#"pricing = { pricing_type = "per_unit", unit_amount = 1200 }"#),
    );
    let (one, other) = tokio::join!(shop.apply(&ten), shop.apply(&twelve));
    one.unwrap();
    other.unwrap();
    let (plan, edition) = shop.plan(&ten, "basic").await;
    assert_eq!(edition, 2);
    let product = &plan.products[0];
    let price = shop.at_stripe("/v1/prices");
    let price = price
        .iter()
        .find(|price| json!(product.price.stripe_price) == price["id"])
        .unwrap();
    let amount = product.price.pricing.unit_amount().unwrap();
    assert_eq!(price["unit_amount_decimal"], amount.to_string());
    assert_eq!(
        price["lookup_key"],
        format!("acme:{}:v{}", product.id, product.price.version)
    );
}

#[tokio::test]
async fn an_address_is_one_customers() {
    let shop = Shop::open().await;
    let mut file = example();
    shop.apply(&file).await.unwrap();
    let bakery = file.customers[0].it.clone();
    let mut other = file.customers[1].clone();
    other.it.email = bakery.email.clone();
    file.customers = vec![other];
    let refused = shop.apply(&file).await.unwrap_err();
    assert_eq!(
        refused,
        format!(
            "customer brewery: its e-mail address is customer {}'s already",
            bakery.id
        )
    );
    // Another address frees the first one.
    file = example();
    file.customers[0].it.email = Some("new@bakery.example".parse().unwrap());
    assert_eq!(
        shop.apply(&file).await.unwrap(),
        ["~ customer bakery", "    e-mail address"]
    );
    file.customers[1].it.email = bakery.email.clone();
    shop.apply(&file).await.unwrap();
}

/// The brewery gets the address that the bakery gives up, the two change theirs, and one is handed round among three: whoever comes first in the
/// file.
#[tokio::test]
async fn addresses_move_between_customers() {
    let shop = Shop::open().await;
    let mut file = example();
    let mut third = file.customers[0].clone();
    third.name = "butchery".to_owned();
    third.it.id = "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e".parse().unwrap();
    third.it.email = Some("third@example.com".parse().unwrap());
    file.customers.push(third);
    shop.apply(&file).await.unwrap();
    let addresses = ["bob@bakery.example", "kiwi@brewery.example", "third@example.com"];
    for order in [
        [Some(1), None, Some(2)],
        [Some(2), Some(1), Some(0)],
        [Some(1), Some(0), Some(2)],
        [Some(2), Some(1), Some(0)],
        [Some(0), Some(2), Some(1)],
    ] {
        for (customer, address) in file.customers.iter_mut().zip(order) {
            customer.it.email = address.map(|at: usize| addresses[at].parse().unwrap());
        }
        let differs = shop.differs(&file).await;
        assert_eq!(shop.apply(&file).await.unwrap(), differs, "{order:?}");
        assert_eq!(shop.differs(&file).await, NOTHING, "{order:?}");
        for customer in &file.customers {
            let Some(email) = &customer.it.email else { continue };
            let hash = billing_edge::key::hash(email.as_str());
            let owner = shop
                .store
                .buyer_of_email(&file.organisation, &hash)
                .await
                .unwrap();
            assert_eq!(owner.as_ref(), Some(&customer.it.id), "{order:?}");
        }
    }
}
