//! Hand-computed amounts of every pricing type, and what holds for all of them.

use proptest::prelude::*;

use super::*;
use crate::money::{TooLarge, round_half_away};

fn pricing(json: &str) -> Pricing {
    serde_json::from_str(json).unwrap_or_else(|fault| panic!("{json}: {fault}"))
}

fn no_dimensions() -> Dimensions {
    Dimensions::new()
}

/// What quantities cost, list and net alike.
fn costs(json: &str, expected: &[(&str, i64)]) {
    for (quantity, net) in expected {
        let amount = pricing(json).amount(quantity.parse().unwrap(), &no_dimensions(), 0);
        assert_eq!(amount.unwrap().net, *net, "{quantity} of {json}");
    }
}

#[test]
fn a_flat_fee_is_the_same_whatever_the_quantity() {
    costs(
        r#"{"pricing_type": "flat_fee", "unit_amount": 4900}"#,
        &[("0", 4900), ("1", 4900), ("1000000", 4900)],
    );
    costs(
        r#"{"pricing_type": "flat_fee", "unit_amount": "0.5"}"#,
        &[("1", 1)],
    );
}

/// 0.5 × 3 = 1.5 is 2; 0.4 is 0; 2.5 hours of 10.00 are 25.00; a third decimal of an hour is 0.01.
#[test]
fn per_unit_is_the_quantity_times_the_amount() {
    costs(
        r#"{"pricing_type": "per_unit", "unit_amount": 1000}"#,
        &[("0", 0), ("3", 3000), ("2.5", 2500), ("0.001", 1), ("0.0004", 0)],
    );
    costs(
        r#"{"pricing_type": "per_unit", "unit_amount": "0.5"}"#,
        &[("1", 1), ("3", 2), ("4", 2)],
    );
    costs(
        r#"{"pricing_type": "per_unit", "unit_amount": "0.4"}"#,
        &[("1", 0), ("2", 1)],
    );
}

/// 5 at 7.00, 5 at 6.00 with 3.00 for entering, the rest at 5.00.
const TIERS: &str = r#"[
    {"up_to": 5, "unit_amount": 700},
    {"up_to": 10, "unit_amount": 600, "flat_amount": 300},
    {"up_to": null, "unit_amount": 500}
]"#;

/// 7 are 5 × 7.00 + 2 × 6.00 + 3.00 = 50.00; 12 are 35.00 + 30.00 + 3.00 + 10.00 = 78.00.
#[test]
fn graduated_tiers_price_each_unit_in_its_own() {
    let json = format!(r#"{{"pricing_type": "tiered", "tiers": {TIERS}}}"#);
    costs(
        &json,
        &[
            ("0", 0),
            ("4", 2800),
            ("5", 3500),
            ("5.5", 4100),
            ("6", 4400),
            ("7", 5000),
            ("10", 6800),
            ("12", 7800),
        ],
    );
}

/// 6 are 6 × 6.00 + 3.00 = 39.00, which is less than 5 × 7.00 + 6.00; the eleventh makes all of them 5.00.
#[test]
fn volume_tiers_price_all_units_in_one() {
    let json = format!(r#"{{"pricing_type": "volume", "tiers": {TIERS}}}"#);
    costs(
        &json,
        &[
            ("0", 0),
            ("5", 3500),
            ("5.000001", 3300),
            ("6", 3900),
            ("10", 6300),
            ("11", 5500),
        ],
    );
}

/// The first tier is always entered, so its flat amount is due without a single unit.
#[test]
fn the_first_tiers_flat_amount_is_due_at_nothing() {
    for kind in ["tiered", "volume"] {
        let json = format!(
            r#"{{"pricing_type": "{kind}", "tiers": [{{"up_to": 1, "unit_amount": 10, "flat_amount": 100}},
                {{"unit_amount": 20, "flat_amount": 1000}}]}}"#
        );
        let (two, three) = if kind == "tiered" {
            (1130, 1150)
        } else {
            (1040, 1060)
        };
        costs(&json, &[("0", 100), ("1", 110), ("2", two), ("3", three)]);
    }
}

#[test]
fn a_step_is_one_amount_for_a_band() {
    costs(
        r#"{"pricing_type": "step", "tiers": [
            {"up_to": 10, "flat_amount": 1000}, {"up_to": 50, "flat_amount": 4000}, {"flat_amount": 9900}]}"#,
        &[
            ("0", 1000),
            ("10", 1000),
            ("10.5", 4000),
            ("11", 4000),
            ("50", 4000),
            ("51", 9900),
        ],
    );
}

/// By the dozen at 12.00: 13 are two dozens.
#[test]
fn a_package_that_is_begun_is_paid_for() {
    costs(
        r#"{"pricing_type": "package", "package_size": 12, "unit_amount": 1200}"#,
        &[("0", 0), ("1", 1200), ("12", 1200), ("13", 2400), ("36", 3600)],
    );
    costs(
        r#"{"pricing_type": "package", "package_size": "0.5", "unit_amount": 7}"#,
        &[("0.5", 7), ("0.6", 14), ("2", 28)],
    );
}

/// 2.5 % of 1000.00 are 25.00, of 0.10 (10 minor units) a quarter of a minor unit, lifted to 5.00; at most 100.00.
#[test]
fn a_percentage_is_of_the_quantity_within_its_limits() {
    costs(
        r#"{"pricing_type": "percent", "percentage": "2.5", "minimum": 500, "maximum": 10000}"#,
        &[
            ("0", 500),
            ("10", 500),
            ("100000", 2500),
            ("400000", 10000),
            ("1000000", 10000),
        ],
    );
    costs(
        r#"{"pricing_type": "percent", "percentage": "2.5"}"#,
        &[("19", 0), ("20", 1), ("59", 1), ("60", 2)],
    );
}

/// 10 % of what the rest of the plan costs, whatever the quantity.
#[test]
fn a_percentage_may_be_of_the_rest_of_the_plan() {
    let support =
        pricing(r#"{"pricing_type": "percent", "percentage": "10", "base": "plan", "minimum": 500}"#);
    assert!(support.is_of_plan());
    for (plan, net) in [(0, 500), (4999, 500), (5005, 501), (100_000, 10_000)] {
        let amount = support
            .amount(Quantity::whole(7), &no_dimensions(), plan)
            .unwrap();
        assert_eq!(amount, Amount { list: net, net }, "of {plan}");
    }
}

fn matrix() -> Pricing {
    pricing(
        r#"{"pricing_type": "matrix", "dimensions": ["region", "size"], "values": [
            {"match": {"region": "eu", "size": "s"}, "unit_amount": 1000},
            {"match": {"region": "eu", "size": "l"}, "unit_amount": "2000.5"},
            {"match": {"region": "us", "size": "s"}, "unit_amount": 900}]}"#,
    )
}

fn dimensions(pairs: &[(&str, &str)]) -> Dimensions {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_matrix_prices_by_what_a_unit_is() {
    for (region, size, net) in [("eu", "s", 3000), ("eu", "l", 6002), ("us", "s", 2700)] {
        let what = dimensions(&[("region", region), ("size", size)]);
        assert_eq!(matrix().amount(Quantity::whole(3), &what, 0).unwrap().net, net);
    }
    let unknown = dimensions(&[("region", "us"), ("size", "l")]);
    let error = matrix().amount(Quantity::whole(3), &unknown, 0).unwrap_err();
    assert_eq!(error.to_string(), r#"has no price for region "us", size "l""#);
    assert!(matrix().amount(Quantity::whole(3), &no_dimensions(), 0).is_err());
}

/// 10 − 3 free are 7 at 1.00; a tenth off is 6.30; a commitment of 6.50 lifts it. Without units, the commitment is what is due.
#[test]
fn free_units_come_before_the_price_and_discount_and_commitment_after() {
    let json = |more: &str| format!(r#"{{"pricing_type": "per_unit", "unit_amount": 100{more}}}"#);
    costs(
        &json(r#", "free_units": 3"#),
        &[("2", 0), ("3", 0), ("4", 100), ("10", 700)],
    );
    costs(&json(r#", "discount": {"percent": "10"}"#), &[("7", 630)]);
    costs(
        &json(r#", "discount": {"amount": 50}"#),
        &[("0", 0), ("1", 50), ("7", 650)],
    );
    costs(
        &json(r#", "minimum_commitment": 650"#),
        &[("0", 650), ("6", 650), ("7", 700)],
    );
    let all = r#", "free_units": 3, "discount": {"percent": "10"}, "minimum_commitment": 650"#;
    costs(&json(all), &[("0", 650), ("10", 650), ("13", 900)]);
}

/// 0.5 × 3 = 1.5 less 50 % is 0.75, which is 1: rounded on the way it would be 2, and then 1 again; 0.5 × 1 less half is 0.25.
#[test]
fn what_is_exact_is_rounded_once_at_the_end() {
    let json = r#"{"pricing_type": "per_unit", "unit_amount": "0.5", "discount": {"percent": "50"}}"#;
    costs(json, &[("1", 0), ("2", 1), ("3", 1), ("6", 2)]);
    // 1.4 less 90 % is 0.14.
    let json = r#"{"pricing_type": "per_unit", "unit_amount": "0.7", "discount": {"percent": "90"}}"#;
    costs(json, &[("2", 0), ("7", 0), ("8", 1)]);
}

#[test]
fn the_list_price_is_what_would_be_paid_without_the_discount() {
    for (more, list, net) in [
        (r#""discount": {"percent": "20"}"#, 1000, 800),
        (r#""discount": {"amount": 1500}"#, 1000, 0),
        (
            r#""discount": {"percent": "20"}, "minimum_commitment": 900"#,
            1000,
            900,
        ),
        (
            r#""discount": {"percent": "20"}, "minimum_commitment": 1200"#,
            1200,
            1200,
        ),
        (r#""minimum_commitment": 0"#, 1000, 1000),
    ] {
        let json = format!(r#"{{"pricing_type": "flat_fee", "unit_amount": 1000, {more}}}"#);
        let amount = pricing(&json).amount(Quantity::whole(1), &no_dimensions(), 0);
        assert_eq!(amount, Ok(Amount { list, net }), "{more}");
    }
}

#[test]
fn what_cannot_price_is_refused_with_every_fault() {
    for (json, faults) in [
        (
            r#"{"pricing_type": "per_unit", "unit_amount": -1, "minimum_commitment": -5}"#,
            "unit_amount: must be 0 or more; minimum_commitment: must be 0 or more",
        ),
        (
            r#"{"pricing_type": "tiered", "tiers": []}"#,
            "tiers: must not be empty",
        ),
        (
            r#"{"pricing_type": "volume", "tiers": [{"up_to": 5, "unit_amount": 1}, {"up_to": 5, "unit_amount": 1}, {"unit_amount": 1}]}"#,
            "tiers[1].up_to: must be more than in the tier before, and more than 0",
        ),
        (
            r#"{"pricing_type": "tiered", "tiers": [{"unit_amount": 1}, {"up_to": 5, "unit_amount": 1}]}"#,
            "tiers[0].up_to: must be given in all tiers but the last; tiers[1].up_to: must be absent in the last tier",
        ),
        (
            r#"{"pricing_type": "step", "tiers": [{"up_to": 0, "flat_amount": 1}, {"flat_amount": -1}]}"#,
            "tiers[0].up_to: must be more than in the tier before, and more than 0; tiers[1].flat_amount: must be 0 or more",
        ),
        (
            r#"{"pricing_type": "package", "package_size": 0, "unit_amount": 1}"#,
            "package_size: must be more than 0",
        ),
        (
            r#"{"pricing_type": "percent", "percentage": "5", "minimum": 10, "maximum": 9}"#,
            "maximum: must not be below the minimum",
        ),
        (
            r#"{"pricing_type": "matrix", "dimensions": ["a", "a"], "values": [{"match": {"b": "1"}, "unit_amount": 1}]}"#,
            "dimensions[1]: must be a name that is given once; values[0].match: must name every dimension and nothing else",
        ),
        (
            r#"{"pricing_type": "matrix", "dimensions": ["a"], "values": [{"match": {"a": "1"}, "unit_amount": 1}, {"match": {"a": "1"}, "unit_amount": 2}]}"#,
            "values[1].match: is given twice",
        ),
        (
            r#"{"pricing_type": "flat_fee", "unit_amount": 1, "free_units": 1, "discount": {"percent": "100.1"}}"#,
            "free_units: means nothing where the quantity is not priced; discount.percent: must be 100 or less",
        ),
        (
            r#"{"pricing_type": "flat_fee", "unit_amount": 1, "discount": {"amount": -1}}"#,
            "discount.amount: must be 0 or more",
        ),
    ] {
        let error = serde_json::from_str::<Pricing>(json).unwrap_err().to_string();
        assert!(error.starts_with(faults), "{json}: {error}");
    }
    for json in [
        r#"{"pricing_type": "guess", "unit_amount": 1}"#,
        r#"{"pricing_type": "per_unit", "unit_amount": 0.5}"#,
        r#"{"pricing_type": "per_unit"}"#,
    ] {
        assert!(serde_json::from_str::<Pricing>(json).is_err(), "{json}");
    }
}

#[test]
fn a_pricing_is_stored_as_it_is_told() {
    for json in [
        r#"{"pricing_type":"per_unit","unit_amount":1000}"#,
        r#"{"pricing_type":"per_unit","unit_amount":"0.25","free_units":3,"discount":{"percent":"12.5"},"minimum_commitment":500}"#,
        r#"{"pricing_type":"step","tiers":[{"up_to":"2.5","flat_amount":100},{"up_to":null,"flat_amount":200}]}"#,
        r#"{"pricing_type":"percent","percentage":"2.5","base":"plan","minimum":500}"#,
        r#"{"pricing_type":"matrix","dimensions":["a"],"values":[{"match":{"a":"1"},"unit_amount":1}],"discount":{"amount":5}}"#,
    ] {
        assert_eq!(serde_json::to_string(&pricing(json)).unwrap(), json);
    }
}

#[test]
fn no_amount_overflows_in_silence() {
    let too_large = Err(Unpriceable::TooLarge(TooLarge));
    let most = 999_999_999_999_999_i64;
    for json in [
        format!(r#"{{"pricing_type": "per_unit", "unit_amount": {most}}}"#),
        format!(r#"{{"pricing_type": "tiered", "tiers": [{{"unit_amount": {most}}}]}}"#),
        format!(r#"{{"pricing_type": "volume", "tiers": [{{"unit_amount": {most}}}]}}"#),
        format!(r#"{{"pricing_type": "package", "package_size": 1, "unit_amount": {most}}}"#),
    ] {
        let amount = pricing(&json).amount(Quantity::whole(most), &no_dimensions(), 0);
        assert_eq!(amount, too_large, "{json}");
    }
    let huge = format!(r#"{{"pricing_type": "percent", "percentage": "{most}"}}"#);
    let amount = pricing(&huge).amount(Quantity::whole(most), &no_dimensions(), 0);
    assert_eq!(amount, too_large);
    assert_eq!(
        matrix().amount("-1".parse().unwrap(), &no_dimensions(), 0),
        Err(Unpriceable::Negative)
    );
}

fn unit_amounts() -> impl Strategy<Value = UnitAmount> {
    (0_i64..2_000_000, 0_u32..4).prop_map(|(digits, places)| {
        let text = digits.to_string();
        let places = usize::try_from(places).unwrap().min(text.len() - 1);
        let (whole, decimals) = text.split_at(text.len() - places);
        let text = if decimals.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{decimals}")
        };
        text.parse().unwrap()
    })
}

/// Tiers of rising bounds; `rising` says whether unit amounts rise as well.
fn tiers(rising: bool) -> impl Strategy<Value = Vec<Tier>> {
    let tier = (1_i64..40, unit_amounts(), prop::option::of(unit_amounts()));
    prop::collection::vec(tier, 1..6).prop_map(move |drawn| {
        let last = drawn.len() - 1;
        let mut bound = 0;
        let mut units: Vec<UnitAmount> = drawn.iter().map(|(_, unit, _)| *unit).collect();
        if rising {
            units.sort();
        }
        let with_units = drawn.into_iter().zip(units).enumerate();
        with_units
            .map(|(at, ((width, _, flat_amount), unit_amount))| {
                bound += width;
                Tier {
                    up_to: (at != last).then(|| Quantity::whole(bound)),
                    unit_amount,
                    flat_amount,
                }
            })
            .collect()
    })
}

fn quantities() -> impl Strategy<Value = Quantity> {
    (0_i64..300, 0_u32..1000).prop_map(|(whole, fraction)| format!("{whole}.{fraction:03}").parse().unwrap())
}

/// Worked out a second time, unit by unit, in twelfth decimals.
fn unit_by_unit(tiers: &[Tier], quantity: i64) -> i128 {
    let of = |unit: i64| {
        tiers
            .iter()
            .position(|tier| tier.up_to.is_none_or(|up_to| Quantity::whole(unit) <= up_to))
            .unwrap()
    };
    let entered = if quantity == 0 { 0 } else { of(quantity) };
    let flat: i128 = tiers[..=entered]
        .iter()
        .map(|tier| tier.flat_amount.map_or(0, UnitAmount::scaled))
        .sum();
    flat + (1..=quantity)
        .map(|unit| tiers[of(unit)].unit_amount.scaled())
        .sum::<i128>()
}

proptest! {
    #[test]
    fn graduated_tiers_are_what_each_unit_costs(tiers in tiers(false), quantity in 0_i64..200) {
        let exact = unit_by_unit(&tiers, quantity);
        let pricing = Pricing::plain(Model::Tiered { tiers }).unwrap();
        let amount = pricing.amount(Quantity::whole(quantity), &no_dimensions(), 0).unwrap();
        prop_assert_eq!(Ok(amount.net), round_half_away(exact, UnitAmount::ONE));
    }

    /// More never costs less, where a later unit costs no less than an earlier one.
    #[test]
    fn amounts_are_monotone_in_the_quantity(
        (graduated, volume) in (tiers(false), tiers(true)),
        (one, other) in (quantities(), quantities()),
    ) {
        let flats: Vec<Tier> = {
            let mut flats: Vec<_> = volume.iter().map(|tier| tier.flat_amount).collect();
            flats.sort();
            volume.iter().zip(flats).map(|(tier, flat_amount)| Tier { flat_amount, ..*tier }).collect()
        };
        let (less, more) = (one.min(other), one.max(other));
        for model in [
            Model::Tiered { tiers: graduated },
            Model::Volume { tiers: flats },
            Model::PerUnit { unit_amount: "0.333".parse().unwrap() },
            Model::Package { package_size: Quantity::whole(7), unit_amount: UnitAmount::whole(100) },
        ] {
            let pricing = Pricing::plain(model).unwrap();
            let of = |quantity| pricing.amount(quantity, &no_dimensions(), 0).unwrap().net;
            prop_assert!(of(less) <= of(more), "{:?}", pricing);
        }
    }

    /// A discount never makes a credit, a commitment is always reached, and neither lets the net pass the list.
    #[test]
    fn features_keep_an_amount_within_its_bounds(
        unit_amount in unit_amounts(),
        quantity in quantities(),
        free_units in quantities(),
        share in 0_i64..=1_000_000,
        minimum_commitment in prop::option::of(0_i64..100_000_000),
    ) {
        let share = format!("{}.{:04}", share / 10_000, share % 10_000);
        let percent = Percentage::try_from(share.parse::<crate::decimal::Decimal<4>>().unwrap()).unwrap();
        let features = Features { free_units, discount: Some(Discount::Percent(percent)), minimum_commitment };
        let pricing = Pricing::new(Model::PerUnit { unit_amount }, features).unwrap();
        let amount = pricing.amount(quantity, &no_dimensions(), 0).unwrap();
        prop_assert!(amount.net >= minimum_commitment.unwrap_or(0));
        prop_assert!(amount.net <= amount.list);
    }

    /// Whatever is asked: an amount, or an error that says so; never a panic.
    #[test]
    fn no_input_panics(
        digits in (0_i64..=999_999_999_999_999, 0_i64..=999_999_999_999_999),
        quantity in -5_i64..=i64::MAX,
        amount in 0_i64..=i64::MAX,
        plan in 0_i64..=i64::MAX,
    ) {
        let (unit, flat) = (UnitAmount::whole(digits.0), UnitAmount::whole(digits.1));
        let tiers = vec![
            Tier { up_to: Some(Quantity::whole(5)), unit_amount: unit, flat_amount: Some(flat) },
            Tier { up_to: None, unit_amount: flat, flat_amount: Some(unit) },
        ];
        let share: Percentage = serde_json::from_value(serde_json::json!(digits.0)).unwrap();
        let base = PercentBase::Plan;
        for model in [
            Model::PerUnit { unit_amount: unit },
            Model::Tiered { tiers: tiers.clone() },
            Model::Volume { tiers },
            Model::Percent { percentage: share, base, minimum: Some(0), maximum: Some(amount) },
        ] {
            let features = Features {
                discount: Some(Discount::Amount(amount)),
                minimum_commitment: Some(amount),
                ..Features::default()
            };
            let _ = Pricing::new(model, features).unwrap().amount(Quantity::whole(quantity), &no_dimensions(), plan);
        }
    }
}
