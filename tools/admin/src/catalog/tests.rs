//! What a file may say, and what becomes of it in the tables and at Stripe.

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

/// The example that the documentation shows and the demo world sells.
const EXAMPLE: &str = include_str!("../../../../docs/catalog.example.toml");

fn now() -> Timestamp {
    "2026-04-01T00:00:00Z".parse().unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let faults = CatalogFile::read(text).expect_err("a file with faults");
    faults.iter().map(ToString::to_string).collect()
}

fn example() -> CatalogFile {
    CatalogFile::read(EXAMPLE).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// A file with one plan of one product.
fn small(plan: &str, product: &str) -> String {
    format!(
        "[organisation]\nid = \"acme\"\nname = \"Acme\"\n\n[plans.basic]\nname = \"Basic\"\ncurrency = \"usd\"\n\
         cadence = \"P1M\"\n{plan}\n\n[plans.basic.products.seat]\nname = \"Seat\"\n{product}\n"
    )
}

const TEN_DOLLARS: &str = r#"pricing = { pricing_type = "per_unit", unit_amount = 1000 }"#;

fn small_file(product: &str) -> CatalogFile {
    CatalogFile::read(&small("", product)).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The same with another product, for a flat fee.
fn pair(amount: u32) -> CatalogFile {
    let other = "[plans.basic.products.other]\nname = \"Other\"";
    let pricing = format!("pricing = {{ pricing_type = \"flat_fee\", unit_amount = {amount} }}");
    CatalogFile::read(&format!("{}{other}\n{pricing}\n", small("", TEN_DOLLARS))).unwrap()
}

#[test]
fn the_example_has_every_pricing_type() {
    let file = example();
    let mut types: Vec<String> = file
        .plans
        .iter()
        .flat_map(|plan| &plan.it.products)
        .map(|product| {
            let pricing = serde_json::to_value(&product.price.pricing).unwrap();
            pricing["pricing_type"].as_str().unwrap().to_owned()
        })
        .collect();
    types.sort();
    types.dedup();
    assert_eq!(
        types,
        [
            "flat_fee", "matrix", "package", "per_unit", "percent", "step", "tiered", "volume"
        ]
    );
    let names: Vec<_> = file.plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names, ["starter", "team", "team-annual", "business"]);
    let products: Vec<_> = file.plans[3]
        .it
        .products
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(products, ["Business seats", "Minutes", "Server", "Support"]);
    assert_eq!(
        checked(&file).text,
        "the catalog of demo is right: 4 plans with 9 products, 2 business entities, 2 customers\n"
    );
}

/// Everything is told at once, in the order of the lines.
#[test]
fn every_fault_is_told_with_its_line() {
    let text = r#"[organisation]
id = "acme corp"
nam = "Acme"

[business_entities.main]
name = "Acme Inc."
time_zone = "Mars/Olympus"

[customers.bob]
name = "Bob"
email = "bob"
business_entity = "other"

[plans.basic]
name = "Basic"
currency = "dollars"
cadence = "P2M"
anchor = { day_of_month = 32 }

[plans.basic.products.seat]
name = "Seat"
required = "yes"
min = 5
max = 2
colour = "red"

[plans.basic.products.seat.pricing]
pricing_type = "tiered"
tiers = [
    { up_to = 10, unit_amount = 5 },
    { up_to = 10, unit_amount = -4, flat_amount = 1e3 },
    { unit_amount = "x" },
]

[plans.basic.products."two words"]
name = "Other"
pricing = { pricing_type = "guess" }
"#;
    assert_eq!(
        faults(text),
        [
            "line 1: organisation: name is missing",
            "line 2: organisation.id: not an organisation id",
            "line 3: organisation.nam: is no member of the catalog",
            "line 7: business_entities.main.time_zone: not an IANA time zone (Europe/Berlin)",
            "line 11: customers.bob.email: not an e-mail address (somebody@example.com)",
            "line 12: customers.bob.business_entity: must be the name of one of the business_entities",
            "line 16: plans.basic.currency: not a currency code",
            "line 17: plans.basic.cadence: must be P1M, P3M or P1Y",
            "line 18: plans.basic.anchor.day_of_month: must be a day from 1 to 31",
            "line 22: plans.basic.products.seat.required: must be true or false",
            "line 25: plans.basic.products.seat.colour: is no member of the catalog",
            "line 31: plans.basic.products.seat.pricing.tiers[1].flat_amount: not a decimal number",
            "line 32: plans.basic.products.seat.pricing.tiers[2].unit_amount: not a decimal number",
            "line 35: plans.basic.products.two words: a name is 1 to 100 letters, digits, dashes and underscores",
        ]
    );
}

/// What members say together is looked at once each of them can be read.
#[test]
fn faults_of_members_together_have_lines_too() {
    let bounds = small(
        "anchor = { month = 2, day = 29 }",
        "default_quantity = 9\nmin = 5\nmax = 2\npricing = { pricing_type = \"volume\", tiers = [{ up_to = 3, unit_amount = 1 }] }",
    );
    assert_eq!(
        faults(&bounds),
        ["line 16: plans.basic.products.seat.pricing.tiers[0].up_to: must be absent in the last tier"]
    );
    let bounds = small(
        "anchor = { month = 2, day = 29 }",
        &format!("default_quantity = 9\nmin = 5\nmax = 2\n{TEN_DOLLARS}"),
    );
    assert_eq!(
        faults(&bounds),
        [
            "line 9: plans.basic.anchor: a day of the year is for a plan that is billed by the year",
            "line 9: plans.basic.anchor: must be a day that every period has: 1 to 28 of a month, any but 29 February of a year",
            "line 13: plans.basic.products.seat.default_quantity: must lie between min and max",
            "line 15: plans.basic.products.seat.max: must not be below the minimum, and more than 0",
        ]
    );
    let none = "[organisation]\nid = \"acme\"\nname = \"Acme\"\n[plans.x]\nname = \"X\"\ncurrency = \"usd\"\ncadence = \"P1M\"\nproducts = {}\n";
    assert_eq!(faults(none), ["line 8: plans.x.products: must be 1 to 20"]);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let told =
        faults("[organisation]\nid = \"acme\"\nname = Acme\n\n[plans.basic]\nname = \"a\"\nname = \"b\"\n");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("line 3: "), "{told:?}");
    assert!(told[1].starts_with("line 7: "), "{told:?}");
    assert_eq!(faults(""), ["line 1: organisation is missing"]);
}

#[test]
fn two_customers_have_two_addresses_and_two_plans_two_ids() {
    let text = "[organisation]\nid = \"acme\"\nname = \"Acme\"\n[business_entities.main]\nname = \"Main\"\n\
                [customers.a]\nname = \"A\"\nemail = \"Ada@example.com\"\nbusiness_entity = \"main\"\n\
                [customers.b]\nname = \"B\"\nemail = \"ada@example.com\"\nbusiness_entity = \"main\"\n";
    assert_eq!(
        faults(text),
        ["line 12: customers.b.email: is another customer's already"]
    );
    let plan = |name: &str| {
        format!(
            "[plans.{name}]\nid = \"00000000-0000-4000-8000-000000000001\"\nname = \"P\"\ncurrency = \"usd\"\ncadence = \"P1M\"\n\
             [plans.{name}.products.seat]\nid = \"00000000-0000-4000-8000-000000000002\"\nname = \"S\"\n{TEN_DOLLARS}\n"
        )
    };
    let text = format!(
        "[organisation]\nid = \"acme\"\nname = \"Acme\"\n{}{}",
        plan("a"),
        plan("b")
    );
    assert_eq!(
        faults(&text),
        [
            "line 14: plans.b.id: is another plan's already",
            "line 18: plans.b.products: product 00000000-0000-4000-8000-000000000002 is another plan's already",
        ]
    );
}

#[test]
fn an_id_is_given_or_made_of_the_names() {
    let (one, again) = (example(), example());
    assert_eq!(one, again);
    let other = CatalogFile::read(&EXAMPLE.replace("id = \"demo\"", "id = \"other\"")).unwrap();
    assert_ne!(one.plans[0].it.id, other.plans[0].it.id);
    let id = one.plans[0].it.id.as_str();
    assert_eq!((&id[14..15], &id[19..20]), ("8", "8"), "{id}");
    let given = "id = \"0B5F1C9E-3A57-4E38-9C3F-6D1A2B3C4D5E\"";
    let file = CatalogFile::read(&small(given, TEN_DOLLARS)).unwrap();
    assert_eq!(
        file.plans[0].it.id.as_str(),
        "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e"
    );
}

/// Numbers are taken as they are written.
#[test]
fn an_amount_may_be_finer_than_a_minor_unit() {
    for amount in ["0.015", "\"0.015\""] {
        let file = small_file(&format!(
            "pricing = {{ pricing_type = \"per_unit\", unit_amount = {amount} }}"
        ));
        let pricing = &file.plans[0].it.products[0].price.pricing;
        assert_eq!(pricing.unit_amount().unwrap().to_string(), "0.015");
    }
}

async fn store_at(url: &str) -> Store {
    let line = CommandLine::parse_from(["billing-admin", "--endpoint-url", url, "account", "show", "x"]);
    connection::open(&line.place, billing_edge::connector())
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
            stripe: connection::stripe(&stripe_url, "sk_test_local", billing_edge::connector()),
            stand_in,
        }
    }

    async fn apply(&self, file: &CatalogFile) -> Result<Vec<String>, String> {
        let done = apply(&self.store, &self.stripe, file, now()).await;
        done.map(|done| told(&done))
            .map_err(|failure| failure.to_string())
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
        differs[..9],
        [
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
    // What was archived by hand is sold again.
    let path = format!("/v1/prices/{}", price["id"].as_str().unwrap());
    shop.stand_in
        .call("POST", &path, &json!({ "active": false }), None);
    shop.apply(&file).await.unwrap();
    assert_eq!(shop.at_stripe("/v1/prices")[0]["active"], true);
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
        .create_price(&version, &native, &sold)
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
