//! Choices held to what was offered.

use super::*;

const SEATS: &str = "00000000-0000-4000-8000-000000000001";
const ADD_ON: &str = "00000000-0000-4000-8000-000000000002";
const LATER: &str = "00000000-0000-4000-8000-000000000003";
const SERVER: &str = "00000000-0000-4000-8000-000000000004";

/// Required seats from 1 to 10, an add-on that is taken unless dropped, one that is not taken unless wanted, and a server.
fn plan() -> Plan {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "id": "00000000-0000-4000-8000-00000000000f",
        "name": "Team",
        "currency": "usd",
        "cadence": "P1M",
        "products": [
            { "id": SEATS, "name": "Seat", "required": true, "default_quantity": 3, "min": 1, "max": 10,
              "price": { "version": 1, "pricing": { "pricing_type": "per_unit", "unit_amount": 1000 } } },
            { "id": ADD_ON, "name": "Archive", "required": false, "default_quantity": 1, "min": 0,
              "price": { "version": 1, "pricing": { "pricing_type": "flat_fee", "unit_amount": 500 } } },
            { "id": LATER, "name": "Audit log", "required": false, "default_quantity": 0, "min": 2,
              "price": { "version": 1, "pricing": { "pricing_type": "per_unit", "unit_amount": 500 } } },
            { "id": SERVER, "name": "Server", "required": false, "default_quantity": 0, "min": 0, "dimensions": { "region": "eu" },
              "price": { "version": 1, "pricing": { "pricing_type": "matrix", "dimensions": ["region"], "values": [
                  { "match": { "region": "eu" }, "unit_amount": 300 }, { "match": { "region": "us" }, "unit_amount": 200 }] } } },
        ],
    }))
    .unwrap();
    assert_eq!(plan.faults(), []);
    plan
}

fn overrides(json: serde_json::Value) -> Vec<Override> {
    serde_json::from_value(json).unwrap()
}

/// What is taken, as `quantity name`.
fn taken(configuration: &Configuration) -> Vec<String> {
    configuration
        .taken()
        .map(|chosen| format!("{} {}", chosen.quantity, chosen.product.name))
        .collect()
}

#[test]
fn a_plan_is_taken_as_it_is_offered() {
    assert_eq!(taken(&Configuration::of(&plan())), ["3 Seat", "1 Archive"]);
}

/// One of a flat fee, whatever the quantity; as many of a price by the unit; and none of what has no price of its own at Stripe.
#[test]
fn stripe_bills_as_many_of_a_price_as_are_taken_and_one_of_a_flat_fee() {
    let mut made = plan();
    for product in &mut made.products {
        product.price.stripe_price = "price_1".parse().ok();
    }
    let three = overrides(
        serde_json::json!([{ "product_id": SEATS, "quantity": 3 }, { "product_id": ADD_ON, "quantity": 3 }]),
    );
    let configuration = Configuration::of(&made).with(&three).unwrap();
    let units = |configuration: &Configuration| -> Vec<Option<u64>> {
        let taken = configuration.taken();
        taken
            .map(|chosen| chosen.native().map(|(_, units)| units))
            .collect()
    };
    assert_eq!(units(&configuration), [Some(3), Some(1)]);
    let unmade = Configuration::of(&plan()).with(&three).unwrap();
    assert_eq!(units(&unmade), [None, None]);
}

#[test]
fn what_is_absent_stays_as_it_is() {
    let base = Configuration::of(&plan());
    for (choices, expected) in [
        (serde_json::json!([]), vec!["3 Seat", "1 Archive"]),
        (
            serde_json::json!([{ "product_id": SEATS, "quantity": 10 }]),
            vec!["10 Seat", "1 Archive"],
        ),
        (
            serde_json::json!([{ "product_id": ADD_ON, "is_enabled": false }]),
            vec!["3 Seat"],
        ),
        // As few as there may be.
        (
            serde_json::json!([{ "product_id": LATER, "is_enabled": true }]),
            vec!["3 Seat", "1 Archive", "2 Audit log"],
        ),
        (
            serde_json::json!([{ "product_id": LATER, "quantity": 4 }, { "product_id": SERVER, "is_enabled": true }]),
            vec!["3 Seat", "1 Archive", "4 Audit log", "1 Server"],
        ),
    ] {
        let chosen = base.with(&overrides(choices.clone())).unwrap();
        assert_eq!(taken(&chosen), expected, "{choices}");
    }
    // What was dropped and is taken again has the quantity that it had.
    let dropped = base
        .with(&overrides(
            serde_json::json!([{ "product_id": ADD_ON, "is_enabled": false }]),
        ))
        .unwrap();
    let again = dropped
        .with(&overrides(
            serde_json::json!([{ "product_id": ADD_ON, "is_enabled": true }]),
        ))
        .unwrap();
    assert_eq!(again, base);
}

#[test]
fn a_unit_of_another_kind_is_another_price() {
    let base = Configuration::of(&plan());
    let us = overrides(
        serde_json::json!([{ "product_id": SERVER, "quantity": 1, "dimensions": { "region": "us" } }]),
    );
    let chosen = base.with(&us).unwrap();
    assert_eq!(chosen.products[3].dimensions["region"], "us");
}

#[test]
fn every_choice_that_is_not_offered_is_told() {
    let choices = overrides(serde_json::json!([
        { "product_id": SEATS, "is_enabled": false },
        { "product_id": ADD_ON, "is_enabled": false, "quantity": 1 },
        { "product_id": LATER, "quantity": 1 },
        { "product_id": SERVER, "dimensions": { "region": "mars" } },
        { "product_id": SERVER },
        { "product_id": "00000000-0000-4000-8000-0000000000ff", "quantity": 1 },
    ]));
    let invalid = Configuration::of(&plan()).with(&choices).unwrap_err();
    assert_eq!(
        invalid.fields[OVERRIDES],
        [
            format!("product {SEATS} is required and cannot be dropped"),
            format!("product {ADD_ON} is dropped, so it can have no quantity"),
            format!("product {LATER} must have a quantity of at least 2"),
            format!("product {SERVER} has no price for these dimensions"),
            format!("product {SERVER} is given twice"),
            "product 00000000-0000-4000-8000-0000000000ff is not part of the plan".to_owned(),
        ]
    );
    for (choice, fault) in [
        (
            serde_json::json!({ "product_id": SEATS, "quantity": 11 }),
            "must have a quantity from 1 to 10",
        ),
        (
            serde_json::json!({ "product_id": SEATS, "quantity": 0 }),
            "must have a quantity from 1 to 10",
        ),
        (
            serde_json::json!({ "product_id": SEATS, "dimensions": { "region": "eu" } }),
            "has no dimensions",
        ),
    ] {
        let choices = overrides(serde_json::json!([choice]));
        let invalid = Configuration::of(&plan()).with(&choices).unwrap_err();
        assert_eq!(invalid.fields[OVERRIDES], [format!("product {SEATS} {fault}")]);
    }
}

#[test]
fn something_must_be_left() {
    let mut plan = plan();
    plan.products[0].required = false;
    let none = overrides(serde_json::json!([
        { "product_id": SEATS, "is_enabled": false }, { "product_id": ADD_ON, "is_enabled": false },
    ]));
    let invalid = Configuration::of(&plan).with(&none).unwrap_err();
    assert_eq!(invalid.fields[OVERRIDES], ["at least one product must be taken"]);
}

#[test]
fn a_configuration_is_stored_as_it_is() {
    let configuration = Configuration::of(&plan());
    let json = serde_json::to_string(&configuration).unwrap();
    assert_eq!(
        serde_json::from_str::<Configuration>(&json).unwrap(),
        configuration
    );
}
