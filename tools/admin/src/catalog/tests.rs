//! What a file may say; what becomes of it in the tables and at Stripe is in [`applied`].

use super::*;

mod applied;

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
    // What the API takes an order by: the ids of products too, of which an estimate tells those alone that are taken.
    let told = checked(&file).json;
    let server = &file.plans[3].it.products[2];
    assert_eq!(
        told["products"]["business"][2],
        json!({ "id": server.id, "name": "Server" })
    );
    assert_eq!(told["plans"]["business"], json!(file.plans[3].it.id));
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
            "line 20: plans.basic.products.seat.default_quantity: must lie between min and max",
            "line 22: plans.basic.products.seat.required: must be true or false",
            "line 24: plans.basic.products.seat.max: must not be below the minimum, and more than 0",
            "line 25: plans.basic.products.seat.colour: is no member of the catalog",
            "line 31: plans.basic.products.seat.pricing.tiers[1].flat_amount: not a decimal number",
            "line 31: plans.basic.products.seat.pricing.tiers[1].unit_amount: must be 0 or more",
            "line 31: plans.basic.products.seat.pricing.tiers[1].up_to: must be more than in the tier before, and more than 0",
            "line 32: plans.basic.products.seat.pricing.tiers[2].unit_amount: not a decimal number",
            "line 35: plans.basic.products.two words: a name is 1 to 100 letters, digits, dashes and underscores",
        ]
    );
}

/// What can be read is held to the rules, whatever stands beside it; and what cannot be read has one fault, and gives no other member one.
#[test]
fn what_can_be_read_is_judged_beside_what_cannot() {
    let cadence = small("anchor = { day_of_month = 31 }", TEN_DOLLARS).replace("P1M", "P2M");
    let anchor = "must be a day that every period has: 1 to 28 of a month, any but 29 February of a year";
    assert_eq!(
        faults(&cadence),
        [
            "line 8: plans.basic.cadence: must be P1M, P3M or P1Y".to_owned(),
            format!("line 9: plans.basic.anchor: {anchor}"),
        ]
    );
    // By the year, which the cadence may have been meant to be, it is right.
    let cadence = small("anchor = { month = 2, day = 1 }", TEN_DOLLARS).replace("P1M", "P2M");
    assert_eq!(
        faults(&cadence),
        ["line 8: plans.basic.cadence: must be P1M, P3M or P1Y"]
    );
    let judged = |pricing: &str, expected: &[&str]| {
        let found = faults(&small("", &format!("pricing = {pricing}")));
        assert_eq!(found, expected, "{pricing}");
    };
    judged(
        "{ pricing_type = \"tiered\", tiers = [{ up_to = 5, unit_amount = 100 }, { up_to = 4, unit_amount = -1 }, { up_to = 9 }] }",
        &[
            "line 13: plans.basic.products.seat.pricing.tiers[1].unit_amount: must be 0 or more",
            "line 13: plans.basic.products.seat.pricing.tiers[1].up_to: must be more than in the tier before, and more than 0",
            "line 13: plans.basic.products.seat.pricing.tiers[2]: unit_amount is missing",
            "line 13: plans.basic.products.seat.pricing.tiers[2].up_to: must be absent in the last tier",
        ],
    );
    // Nobody knows what was to stand where the other tiers' bounds lie.
    judged(
        "{ pricing_type = \"step\", tiers = [{ up_to = 5, flat_amount = 1 }, { up_to = \"x\", flat_amount = 1 }, 7, { flat_amount = 1 }] }",
        &[
            "line 13: plans.basic.products.seat.pricing.tiers[1].up_to: not a decimal number",
            "line 13: plans.basic.products.seat.pricing.tiers[2]: must be a table",
        ],
    );
    judged(
        "{ pricing_type = \"volume\", free_units = -1 }",
        &[
            "line 13: plans.basic.products.seat.pricing: tiers is missing",
            "line 13: plans.basic.products.seat.pricing.free_units: must be 0 or more",
        ],
    );
    judged(
        "{ pricing_type = \"guess\", unit_amount = 5, free_units = 3, minimum_commitment = -1 }",
        &[
            "line 13: plans.basic.products.seat.pricing.minimum_commitment: must be 0 or more",
            "line 13: plans.basic.products.seat.pricing.pricing_type: must be flat_fee, per_unit, tiered, volume, step, package, percent or matrix",
        ],
    );
    judged(
        "{ pricing_type = \"percent\", percentage = \"x\", minimum = 5, maximum = 4 }",
        &[
            "line 13: plans.basic.products.seat.pricing.maximum: must not be below the minimum",
            "line 13: plans.basic.products.seat.pricing.percentage: not a decimal number",
        ],
    );
    judged(
        "{ pricing_type = \"matrix\", dimensions = [7], values = [{ match = { a = \"1\" }, unit_amount = 1 }, { match = { a = 2 }, unit_amount = -1 }, { match = { b = \"1\" }, unit_amount = 1 }] }",
        &[
            "line 13: plans.basic.products.seat.pricing.dimensions[0]: must be a text in quotes",
            "line 13: plans.basic.products.seat.pricing.values[1].match.a: must be a text in quotes",
            "line 13: plans.basic.products.seat.pricing.values[1].unit_amount: must be 0 or more",
            "line 13: plans.basic.products.seat.pricing.values[2].match: must name every dimension and nothing else",
        ],
    );
    judged(
        "{ pricing_type = \"flat_fee\", unit_amount = \"x\" }\nmin = 3\nmax = 2\ndefault_quantity = \"x\"",
        &[
            "line 13: plans.basic.products.seat.pricing.unit_amount: not a decimal number",
            "line 15: plans.basic.products.seat.max: must not be below the minimum, and more than 0",
            "line 16: plans.basic.products.seat.default_quantity: not a decimal number",
        ],
    );
}

/// One thing that is wrong keeps nothing else of its kind from being looked at, and nobody is blamed for naming it.
#[test]
fn what_is_wrong_hides_none_of_its_neighbours() {
    let text = r#"[organisation]
id = "acme"
name = "Acme"

[business_entities.main]
name = "Main"
time_zone = "Mars/Olympus"

[customers.a]
name = "A"
email = "ada@example.com"
business_entity = "main"

[customers.b]
name = "B"
email = "ada@example.com"
business_entity = 7

[plans.a]
name = "A"
currency = "isk"
cadence = "P1M"
products = { seat = 5, "two words" = {} }

[plans.b]
currency = "usd"
cadence = "P1M"
products = 5
"#;
    assert_eq!(
        faults(text),
        [
            "line 7: business_entities.main.time_zone: not an IANA time zone (Europe/Berlin)",
            "line 16: customers.b.email: is another customer's already",
            "line 17: customers.b.business_entity: must be a text in quotes",
            "line 21: plans.a.currency: is a currency of which Stripe charges round amounts only: what a share of a period would be charged at cannot be told",
            "line 23: plans.a.products.seat: must be a table",
            "line 23: plans.a.products.two words: a name is 1 to 100 letters, digits, dashes and underscores",
            "line 25: plans.b: name is missing",
            "line 28: plans.b.products: must be a table",
        ]
    );
}

/// What members say together is looked at where each of them can be read.
#[test]
fn faults_of_members_together_have_lines_too() {
    let bounds = small(
        "anchor = { month = 2, day = 29 }",
        "default_quantity = 9\nmin = 5\nmax = 2\npricing = { pricing_type = \"volume\", tiers = [{ up_to = 3, unit_amount = 1 }] }",
    );
    assert_eq!(
        faults(&bounds),
        [
            "line 9: plans.basic.anchor: a day of the year is for a plan that is billed by the year",
            "line 9: plans.basic.anchor: must be a day that every period has: 1 to 28 of a month, any but 29 February of a year",
            "line 13: plans.basic.products.seat.default_quantity: must lie between min and max",
            "line 15: plans.basic.products.seat.max: must not be below the minimum, and more than 0",
            "line 16: plans.basic.products.seat.pricing.tiers[0].up_to: must be absent in the last tier",
        ]
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

/// A share of a period would be charged at an amount that cannot be told, and a default order could not be paid on Stripe's page. What
/// costs nothing can be sold.
#[test]
fn a_plan_that_stripe_would_not_charge_is_refused() {
    let in_currency = |code: &str| small("", TEN_DOLLARS).replace("\"usd\"", &format!("\"{code}\""));
    for code in ["bhd", "jod", "kwd", "omr", "tnd", "isk", "ugx"] {
        assert_eq!(
            faults(&in_currency(code)),
            [
                "line 7: plans.basic.currency: is a currency of which Stripe charges round amounts only: what a share of a period would be charged at cannot be told"
            ],
            "{code}"
        );
    }
    for code in ["eur", "jpy", "twd"] {
        assert!(CatalogFile::read(&in_currency(code)).is_ok(), "{code}");
    }
    let costing = |amount: u32, quantity: u32| {
        small(
            "",
            &format!(
                "default_quantity = {quantity}\npricing = {{ pricing_type = \"per_unit\", unit_amount = {amount} }}"
            ),
        )
    };
    assert_eq!(
        faults(&costing(7, 7)),
        [
            "line 11: plans.basic.products: come to less than can be charged at once with their default quantities: the least is 0.50 USD"
        ]
    );
    for (amount, quantity) in [(0, 1), (7, 8), (50, 1)] {
        assert!(
            CatalogFile::read(&costing(amount, quantity)).is_ok(),
            "{amount} {quantity}"
        );
    }
}

/// What a contract could not hold is no plan: it would be sold until the first amendment that does not fit into an item.
#[test]
fn a_plan_that_no_contract_could_hold_is_refused() {
    let tiers = |count: u32| {
        let bounded =
            (1..count).map(|bound| format!("{{ up_to = {bound}, unit_amount = \"1.{bound:09}\" }}"));
        let all: Vec<String> = bounded.chain(["{ unit_amount = 1 }".to_owned()]).collect();
        let tiers = all.join(", ");
        small(
            "",
            &format!("default_quantity = 100\npricing = {{ pricing_type = \"tiered\", tiers = [{tiers}] }}"),
        )
    };
    assert!(CatalogFile::read(&tiers(1000)).is_ok());
    assert_eq!(
        faults(&tiers(3000)),
        ["line 11: plans.basic.products: must have fewer tiers and values: a plan may have 80,000 bytes"]
    );
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
fn what_is_two_has_two_addresses_and_two_ids() {
    let text = "[organisation]\nid = \"acme\"\nname = \"Acme\"\n[business_entities.main]\nname = \"Main\"\n\
                [customers.a]\nname = \"A\"\nemail = \"Ada@example.com\"\nbusiness_entity = \"main\"\n\
                [customers.b]\nname = \"B\"\nemail = \"ada@example.com\"\nbusiness_entity = \"main\"\n";
    assert_eq!(
        faults(text),
        ["line 12: customers.b.email: is another customer's already"]
    );
    let id = "id = \"00000000-0000-4000-8000-000000000001\"";
    let entity = |name: &str| format!("[business_entities.{name}]\n{id}\nname = \"E\"\n");
    let customer = |name: &str| format!("[customers.{name}]\n{id}\nname = \"C\"\nbusiness_entity = \"a\"\n");
    let text = format!(
        "[organisation]\nid = \"acme\"\nname = \"Acme\"\n{}{}{}{}",
        entity("a"),
        entity("b"),
        customer("a"),
        customer("b")
    );
    assert_eq!(
        faults(&text),
        [
            "line 8: business_entities.b.id: is another business entity's already",
            "line 15: customers.b.id: is another customer's already",
        ]
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
