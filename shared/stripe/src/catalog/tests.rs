//! What Stripe expresses of a pricing, and by what a price is found.

use super::*;

fn native_of(json: &str) -> Option<Native> {
    native(&serde_json::from_str(json).unwrap())
}

fn tier(up_to: Option<i64>, unit: i64, flat: Option<i64>) -> Tier {
    Tier {
        up_to: up_to.map(Quantity::whole),
        unit_amount: UnitAmount::whole(unit),
        flat_amount: flat.map(UnitAmount::whole),
    }
}

#[test]
fn stripe_expresses_five_of_eight() {
    let two_tiers = r#""tiers": [{"up_to": 5, "unit_amount": 7, "flat_amount": 1}, {"unit_amount": 6}]"#;
    let tiers = vec![tier(Some(5), 7, Some(1)), tier(None, 6, None)];
    for (json, expected) in [
        (
            r#"{"pricing_type": "flat_fee", "unit_amount": 500}"#.to_owned(),
            Some(Native::PerUnit(UnitAmount::whole(500))),
        ),
        (
            r#"{"pricing_type": "per_unit", "unit_amount": "0.5"}"#.to_owned(),
            Some(Native::PerUnit("0.5".parse().unwrap())),
        ),
        (
            format!(r#"{{"pricing_type": "tiered", {two_tiers}}}"#),
            Some(Native::Graduated(tiers.clone())),
        ),
        (
            format!(r#"{{"pricing_type": "volume", {two_tiers}}}"#),
            Some(Native::Volume(tiers)),
        ),
        (
            r#"{"pricing_type": "package", "package_size": 12, "unit_amount": 100}"#.to_owned(),
            Some(Native::Package {
                size: 12,
                unit_amount: UnitAmount::whole(100),
            }),
        ),
        (
            r#"{"pricing_type": "step", "tiers": [{"flat_amount": 1}]}"#.to_owned(),
            None,
        ),
        (
            r#"{"pricing_type": "percent", "percentage": "5"}"#.to_owned(),
            None,
        ),
        (
            r#"{"pricing_type": "matrix", "dimensions": ["a"], "values": [{"match": {"a": "1"}, "unit_amount": 1}]}"#
                .to_owned(),
            None,
        ),
    ] {
        assert_eq!(native_of(&json), expected, "{json}");
    }
}

#[test]
fn what_stripe_would_round_or_count_otherwise_is_billed_as_an_amount() {
    for json in [
        r#"{"pricing_type": "per_unit", "unit_amount": 1, "discount": {"percent": "5"}}"#,
        r#"{"pricing_type": "per_unit", "unit_amount": 1, "minimum_commitment": 5}"#,
        r#"{"pricing_type": "per_unit", "unit_amount": 1, "free_units": "2.5"}"#,
        r#"{"pricing_type": "tiered", "tiers": [{"up_to": "2.5", "unit_amount": 1}, {"unit_amount": 2}]}"#,
        r#"{"pricing_type": "volume", "tiers": [{"unit_amount": 2}], "free_units": 2}"#,
        r#"{"pricing_type": "package", "package_size": "0.5", "unit_amount": 1}"#,
        r#"{"pricing_type": "package", "package_size": 5, "unit_amount": 1, "free_units": 2}"#,
    ] {
        assert_eq!(native_of(json), None, "{json}");
    }
}

/// 5 at 99.5 and one at 49.5 are 547 in one, and 498 and 50 line by line. What is a fraction in one line at most is the same in both.
#[test]
fn tiers_that_stripe_would_round_one_by_one_are_billed_as_an_amount() {
    let tier = |unit: &str, flat: &str| format!(r#"{{"unit_amount": {unit}, "flat_amount": {flat}}}"#);
    let bounded = |unit: &str, flat: &str| tier(unit, flat).replace('{', r#"{"up_to": 5, "#);
    let (half, more) = (r#""99.5""#, r#""49.5""#);
    for (kind, first, last, is_native) in [
        ("tiered", bounded(half, "0"), tier(more, "0"), false),
        ("tiered", bounded(half, half), tier("10", "0"), false),
        ("tiered", bounded(half, "1"), tier("10", half), false),
        ("tiered", bounded(half, "1"), tier("10", "1"), true),
        ("tiered", bounded("10", "1"), tier("10", half), true),
        ("volume", bounded(half, half), tier("10", "0"), false),
        ("volume", bounded("10", "0"), tier(half, half), false),
        ("volume", bounded(half, "1"), tier("10", half), true),
    ] {
        let json = format!(r#"{{"pricing_type": "{kind}", "tiers": [{first}, {last}]}}"#);
        assert_eq!(native_of(&json).is_some(), is_native, "{json}");
    }
}

#[test]
fn free_units_are_a_first_tier_that_costs_nothing() {
    assert_eq!(
        native_of(r#"{"pricing_type": "per_unit", "unit_amount": 10, "free_units": 3}"#),
        Some(Native::Graduated(vec![
            tier(Some(3), 0, None),
            tier(None, 10, None)
        ]))
    );
    assert_eq!(
        native_of(
            r#"{"pricing_type": "tiered", "free_units": 3, "tiers": [
                {"up_to": 5, "unit_amount": 7, "flat_amount": 1}, {"unit_amount": 6, "flat_amount": 2}]}"#
        ),
        Some(Native::Graduated(vec![
            tier(Some(3), 0, Some(1)),
            tier(Some(8), 7, None),
            tier(None, 6, Some(2)),
        ]))
    );
}

#[test]
fn a_price_is_only_found_for_what_it_was_made_of() {
    let (organisation, product) = (
        "acme".parse().unwrap(),
        "00000000-0000-4000-8000-000000000001".parse().unwrap(),
    );
    let pricing: Pricing =
        serde_json::from_str(r#"{"pricing_type": "per_unit", "unit_amount": 10}"#).unwrap();
    let other: Pricing = serde_json::from_str(r#"{"pricing_type": "per_unit", "unit_amount": 11}"#).unwrap();
    let version = PriceVersion {
        organisation: &organisation,
        product: &product,
        version: 2,
        currency: "usd".parse().unwrap(),
        cadence: Cadence::P1M,
        pricing: &pricing,
    };
    assert_eq!(
        version.lookup_key(),
        "acme:00000000-0000-4000-8000-000000000001:v2"
    );
    let found = FoundPrice {
        id: "price_1".parse().unwrap(),
        is_active: true,
        fingerprint: Some(version.fingerprint()),
    };
    assert!(found.is_of(&version));
    for other in [
        PriceVersion {
            pricing: &other,
            ..version.clone()
        },
        PriceVersion {
            cadence: Cadence::P1Y,
            ..version.clone()
        },
        PriceVersion {
            currency: "eur".parse().unwrap(),
            ..version.clone()
        },
    ] {
        assert!(!found.is_of(&other));
    }
}
