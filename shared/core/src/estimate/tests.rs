//! Contracts begun, renewed and changed; each sum worked out by hand.

use super::*;
use crate::catalog::Plan;
use crate::offer::Override;

mod properties;

const SEATS: &str = "00000000-0000-4000-8000-000000000001";
const SUPPORT: &str = "00000000-0000-4000-8000-000000000002";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A plan of these products, each an id and a pricing; the ids are numbered when there is one product name after another.
fn plan(
    currency: &str,
    cadence: &str,
    anchor: serde_json::Value,
    products: serde_json::Value,
) -> Configuration {
    let products: Vec<serde_json::Value> = products
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, product)| {
            serde_json::json!({
                "id": format!("00000000-0000-4000-8000-{:012}", at + 1),
                "name": product["name"],
                "required": at == 0,
                "default_quantity": product["quantity"],
                "min": 0,
                "dimensions": product.get("dimensions").cloned().unwrap_or_else(|| serde_json::json!({})),
                "price": { "version": product.get("version").cloned().unwrap_or_else(|| 1.into()), "pricing": product["pricing"] },
            })
        })
        .collect();
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "id": "00000000-0000-4000-8000-00000000000f",
        "name": "Team",
        "currency": currency,
        "cadence": cadence,
        "anchor": anchor,
        "products": products,
    }))
    .unwrap();
    assert_eq!(plan.faults(), []);
    Configuration::of(&plan)
}

/// Seats at an amount, so many of them.
fn seats(cadence: &str, unit_amount: i64, quantity: i64) -> Configuration {
    let pricing = serde_json::json!({ "pricing_type": "per_unit", "unit_amount": unit_amount });
    plan(
        "usd",
        cadence,
        "start".into(),
        serde_json::json!([{ "name": "Seat", "quantity": quantity, "pricing": pricing }]),
    )
}

fn with_quantity(configuration: &Configuration, product: &str, quantity: i64) -> Configuration {
    let choice: Override =
        serde_json::from_value(serde_json::json!({ "product_id": product, "quantity": quantity })).unwrap();
    configuration.with(&[choice]).unwrap()
}

fn begun(configuration: &Configuration, start: &str) -> Priced {
    first_invoice(configuration, &Zone::UTC, at(start)).unwrap()
}

fn amounts_of(priced: &Priced) -> Vec<i64> {
    priced.estimate.lines.iter().map(|line| line.amount).collect()
}

fn descriptions(priced: &Priced) -> Vec<&str> {
    let lines = &priced.estimate.lines;
    lines.iter().map(|line| line.description.as_str()).collect()
}

/// 3 × 10.00 for a month from today.
#[test]
fn a_contract_begins_with_a_whole_period() {
    let first = begun(&seats("P1M", 1000, 3), "2026-11-01T00:00:00Z");
    let estimate = &first.estimate;
    assert_eq!(
        serde_json::to_value(estimate).unwrap(),
        serde_json::json!({
            "currency": "usd", "subtotal": 3000, "discount": 0, "total": 3000, "amount_due": 3000,
            "period_start": "2026-11-01T00:00:00Z", "period_end": "2026-12-01T00:00:00Z",
            "lines": [{
                "product_id": SEATS, "description": "3 × Seat", "quantity": 3, "unit_amount": 1000, "amount": 3000,
                "proration": false, "period_start": "2026-11-01T00:00:00Z", "period_end": "2026-12-01T00:00:00Z",
            }],
        })
    );
    let next = next_invoice(&first.standing, &first.standing.configuration).unwrap();
    assert_eq!(
        (next.estimate.total, next.estimate.period_end),
        (3000, at("2027-01-01T00:00:00Z"))
    );
}

/// From the 11th to the first are 20 of November's 30 days: two thirds of 30.00 and of 5.00, the latter rounded down.
#[test]
fn a_first_period_that_the_anchor_cuts_short_is_charged_in_part() {
    let configuration = plan(
        "usd",
        "P1M",
        serde_json::json!({ "day_of_month": 1 }),
        serde_json::json!([
            { "name": "Seat", "quantity": 3, "pricing": { "pricing_type": "per_unit", "unit_amount": 1000 } },
            { "name": "Archive", "quantity": 1, "pricing": { "pricing_type": "flat_fee", "unit_amount": 500 } },
        ]),
    );
    let first = begun(&configuration, "2026-11-11T00:00:00Z");
    assert_eq!(amounts_of(&first), [2000, 333]);
    assert_eq!(
        descriptions(&first),
        [
            "Remaining time on 3 × Seat after 11 Nov 2026",
            "Remaining time on Archive after 11 Nov 2026"
        ]
    );
    let line = &first.estimate.lines[0];
    assert!(line.proration);
    assert_eq!(
        line.explanation,
        Some(Explanation {
            days_remaining: 20,
            days_total: 30
        })
    );
    assert_eq!(
        (line.period_start, line.period_end),
        (at("2026-11-11T00:00:00Z"), at("2026-12-01T00:00:00Z"))
    );
    let next = next_invoice(&first.standing, &configuration).unwrap();
    assert_eq!(amounts_of(&next), [3000, 500]);
    assert_eq!(
        (next.estimate.period_start, next.estimate.period_end),
        (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
    );
}

/// 3 × 10.00 → 5 × 10.00 when two thirds of the month are left: −20.00 + 33.33.
#[test]
fn a_quantity_update_credits_the_old_and_charges_the_new() {
    let before = seats("P1M", 1000, 3);
    let standing = begun(&before, "2026-11-01T00:00:00Z").standing;
    let after = with_quantity(&before, SEATS, 5);
    let changed = change(&standing, &after, at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-2000, 3333]);
    assert_eq!(
        descriptions(&changed),
        [
            "Unused time on 3 × Seat after 11 Nov 2026",
            "Remaining time on 5 × Seat after 11 Nov 2026"
        ]
    );
    assert_eq!(
        (changed.estimate.total, changed.estimate.amount_due),
        (1333, 1333)
    );
    assert_eq!(
        (changed.estimate.period_start, changed.estimate.period_end),
        (at("2026-11-11T00:00:00Z"), at("2026-12-01T00:00:00Z"))
    );
    // Undone at the same second: no more is given back than was billed.
    let undone = change(&changed.standing, &before, at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&undone), [-3333, 2000]);
    // Halved on the 21st: a third of 50.00 is 16.666…, given back as 16.67.
    let later = change(
        &changed.standing,
        &with_quantity(&before, SEATS, 1),
        at("2026-11-21T00:00:00Z"),
    )
    .unwrap();
    assert_eq!(amounts_of(&later), [-1667, 333]);
    assert_eq!((later.estimate.total, later.estimate.amount_due), (-1334, 0));
}

/// A dropped product is given back, one that stays is not touched, and its own credit is still there later.
#[test]
fn what_stays_as_it_is_is_left_alone() {
    let configuration = plan(
        "usd",
        "P1M",
        "start".into(),
        serde_json::json!([
            { "name": "Seat", "quantity": 3, "pricing": { "pricing_type": "per_unit", "unit_amount": 1000 } },
            { "name": "Support", "quantity": 1, "pricing": { "pricing_type": "flat_fee", "unit_amount": 900 } },
        ]),
    );
    let standing = begun(&configuration, "2026-11-01T00:00:00Z").standing;
    let choice: Override =
        serde_json::from_value(serde_json::json!({ "product_id": SUPPORT, "is_enabled": false })).unwrap();
    let dropped = change(
        &standing,
        &configuration.with(&[choice]).unwrap(),
        at("2026-11-11T00:00:00Z"),
    )
    .unwrap();
    assert_eq!(
        descriptions(&dropped),
        ["Unused time on Support after 11 Nov 2026"]
    );
    assert_eq!(amounts_of(&dropped), [-600]);
    // Half a month later the seats are given back as they were billed: half of 30.00.
    let more = with_quantity(&dropped.standing.configuration, SEATS, 4);
    let changed = change(&dropped.standing, &more, at("2026-11-16T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-1500, 2000]);
    // Nothing changes: nothing is billed.
    let same = change(&standing, &configuration, at("2026-11-16T00:00:00Z")).unwrap();
    assert_eq!((same.estimate.lines.len(), same.estimate.total), (0, 0));
    assert_eq!(same.standing, standing);
}

/// Another plan of the same cadence: everything old is given back, everything new charged. 20 days of 30: −20.00 + 40.00.
#[test]
fn a_plan_change_replaces_the_whole_configuration() {
    let (basic, pro) = (seats("P1M", 1000, 3), seats("P1M", 2000, 3));
    let standing = begun(&basic, "2026-11-01T00:00:00Z").standing;
    let changed = change(&standing, &pro, at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-2000, 4000]);
    assert_eq!(changed.standing.period, standing.period);
}

/// Monthly to annual after a third of the month: −20.00 + 288.00, and the year begins at the change.
#[test]
fn a_change_of_the_cadence_begins_a_full_period_at_once() {
    let (monthly, annual) = (seats("P1M", 1000, 3), seats("P1Y", 9600, 3));
    let standing = begun(&monthly, "2026-11-01T00:00:00Z").standing;
    let changed = change(&standing, &annual, at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-2000, 28_800]);
    let proration: Vec<bool> = changed.estimate.lines.iter().map(|line| line.proration).collect();
    assert_eq!(proration, [true, false]);
    assert_eq!(
        (changed.estimate.period_start, changed.estimate.period_end),
        (at("2026-11-11T00:00:00Z"), at("2027-11-11T00:00:00Z"))
    );
    assert_eq!(changed.estimate.lines[0].period_end, at("2026-12-01T00:00:00Z"));
    // At the period's end instead: a full year from there.
    let next = next_invoice(&standing, &annual).unwrap();
    assert_eq!(amounts_of(&next), [28_800]);
    assert_eq!(next.standing.period.end, at("2027-12-01T00:00:00Z"));
}

/// A seat that cost nothing costs 10.00: a period begins at once, as Stripe has it, and 3 × 10.00 are due for all of it. A quantity of none
/// of a price is not a price of nothing: 20 of 30 days of the same.
#[test]
fn what_cost_nothing_begins_a_full_period_when_it_costs_something() {
    let at_stripe = |unit_amount, quantity| {
        let mut seats = seats("P1M", unit_amount, quantity);
        seats.products[0].product.price.stripe_price = Some(format!("price_{unit_amount}").parse().unwrap());
        seats
    };
    let paid = at_stripe(1000, 3);
    let free = begun(&at_stripe(0, 3), "2026-11-01T00:00:00Z").standing;
    let changed = change(&free, &paid, at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(changed.estimate.total, 3000);
    assert_eq!(changed.standing.period.end, at("2026-12-11T00:00:00Z"));
    assert_eq!(changed.standing.anchor.at, at("2026-11-11T00:00:00Z"));
    let none = begun(&at_stripe(1000, 0), "2026-11-01T00:00:00Z").standing;
    let changed = change(&none, &paid, at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(changed.estimate.total, 2000);
    assert_eq!(changed.standing.period.end, at("2026-12-01T00:00:00Z"));
    // Likewise of an amount that a price is made of.
    let made = begun(&seats("P1M", 0, 3), "2026-11-01T00:00:00Z").standing;
    let changed = change(&made, &seats("P1M", 1000, 3), at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(changed.estimate.total, 3000);
    assert_eq!(changed.standing.period.end, at("2026-12-11T00:00:00Z"));
    let still = change(&free, &at_stripe(0, 9), at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(still.standing.period.end, at("2026-12-01T00:00:00Z"));
}

#[test]
fn a_longer_cadence_or_a_higher_price_is_an_upgrade() {
    let (small, large) = (seats("P1M", 1000, 3), seats("P1M", 2000, 3));
    let annual = seats("P1Y", 100, 1);
    for (before, after, expected) in [
        (&small, &large, Direction::Upgrade),
        (&large, &small, Direction::Downgrade),
        (&small, &small, Direction::Upgrade),
        (&small, &annual, Direction::Upgrade),
        (&annual, &large, Direction::Downgrade),
    ] {
        assert_eq!(direction(before, after), Ok(expected));
    }
}

/// A tenth of 30.00 + 5.00; with two seats less it is a tenth of 15.00, and all that changed is given back and charged.
#[test]
fn a_percentage_of_the_plan_follows_the_plan() {
    let configuration = plan(
        "usd",
        "P1M",
        "start".into(),
        serde_json::json!([
            { "name": "Seat", "quantity": 3, "pricing": { "pricing_type": "per_unit", "unit_amount": 1000 } },
            { "name": "Support", "quantity": 1, "pricing": { "pricing_type": "percent", "percentage": "10", "base": "plan" } },
            { "name": "Archive", "quantity": 1, "pricing": { "pricing_type": "flat_fee", "unit_amount": 500 } },
        ]),
    );
    let first = begun(&configuration, "2026-11-01T00:00:00Z");
    assert_eq!(amounts_of(&first), [3000, 350, 500]);
    let fewer = with_quantity(&configuration, SEATS, 1);
    let changed = change(&first.standing, &fewer, at("2026-11-16T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-1500, -175, 500, 75]);
}

/// 10 × 10.00, and a tenth of that, 5.00 at least: of the seats alone, not of itself.
#[test]
fn a_percentage_of_the_plan_is_none_of_its_own_minimum() {
    let configuration = plan(
        "usd",
        "P1M",
        "start".into(),
        serde_json::json!([
            { "name": "Seat", "quantity": 10, "pricing": { "pricing_type": "per_unit", "unit_amount": 1000 } },
            { "name": "Support", "quantity": 1, "pricing": { "pricing_type": "percent", "percentage": "10", "base": "plan", "minimum": 500 } },
        ]),
    );
    let first = begun(&configuration, "2026-11-01T00:00:00Z");
    assert_eq!(amounts_of(&first), [10_000, 1000]);
}

/// Begun on 31 January: a short February leaves the day where it was.
#[test]
fn renewals_keep_the_day_of_the_anchor() {
    let mut priced = begun(&seats("P1M", 1000, 1), "2026-01-31T00:00:00Z");
    for end in [
        "2026-03-31T00:00:00Z",
        "2026-04-30T00:00:00Z",
        "2026-05-31T00:00:00Z",
    ] {
        let standing = &priced.standing;
        priced = next_invoice(standing, &standing.configuration).unwrap();
        assert_eq!(priced.estimate.period_end, at(end));
    }
}

/// 4 × 10.00 less a quarter is 30.00; half of that is 15.00, of which 5.00 are the discount's share.
#[test]
fn a_discount_is_told_on_charges_and_is_in_credits() {
    let pricing = serde_json::json!({ "pricing_type": "per_unit", "unit_amount": 1000, "discount": { "percent": "25" } });
    let configuration = plan(
        "usd",
        "P1M",
        "start".into(),
        serde_json::json!([{ "name": "Seat", "quantity": 4, "pricing": pricing }]),
    );
    let first = begun(&configuration, "2026-11-01T00:00:00Z");
    let told = |priced: &Priced| {
        let estimate = &priced.estimate;
        (estimate.subtotal, estimate.discount, estimate.total)
    };
    assert_eq!(told(&first), (4000, 1000, 3000));
    let more = with_quantity(&configuration, SEATS, 8);
    let changed = change(&first.standing, &more, at("2026-11-16T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-1500, 3000]);
    assert_eq!(told(&changed), (2500, 1000, 1500));
}

/// ¥500 → ¥1000 with two thirds left: −334 + 666. 1.000 → 2.500 KWD: −0.667 + 1.666.
#[test]
fn currencies_of_no_and_of_three_decimals_are_rounded_in_their_own_unit() {
    for (currency, old, new, expected) in [("jpy", 500, 1000, [-334, 666]), ("kwd", 1000, 2500, [-667, 1666])]
    {
        let of = |unit_amount: i64| {
            let pricing = serde_json::json!({ "pricing_type": "flat_fee", "unit_amount": unit_amount });
            plan(
                currency,
                "P1M",
                "start".into(),
                serde_json::json!([{ "name": "Fee", "quantity": 1, "pricing": pricing }]),
            )
        };
        let standing = begun(&of(old), "2026-11-01T00:00:00Z").standing;
        let changed = change(&standing, &of(new), at("2026-11-11T00:00:00Z")).unwrap();
        assert_eq!(amounts_of(&changed), expected);
    }
}

/// One minor unit a day: what is left is the days that are left, in months of every length and in both kinds of year.
#[test]
fn every_month_is_prorated_by_its_own_length() {
    for (start, days) in [
        ("2026-01-01", 31),
        ("2026-02-01", 28),
        ("2028-02-01", 29),
        ("2026-04-01", 30),
        ("2026-01-31", 28),
        ("2028-01-31", 29),
        ("2026-03-31", 30),
    ] {
        let before = seats("P1M", 1, days);
        let standing = begun(&before, &format!("{start}T00:00:00Z")).standing;
        let ten_later = standing.period.start + jiff::SignedDuration::from_hours(240);
        let none = with_quantity(&before, SEATS, 0);
        let changed = change(&standing, &none, ten_later).unwrap();
        assert_eq!(amounts_of(&changed), [10 - days, 0], "{start}");
        let explained = changed.estimate.lines[0].explanation.unwrap();
        assert_eq!(
            (explained.days_remaining, explained.days_total),
            (days - 10, days),
            "{start}"
        );
    }
}

/// Berlin's March: from midnight on the first to midnight on the first of April is an hour less than 31 days. An amount of one
/// minor unit a second of that month is given back to the second.
#[test]
fn a_month_in_which_clocks_spring_has_the_seconds_that_it_has() {
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let midnight = |date: &str| berlin.start_of(date.parse().unwrap()).unwrap();
    let period = Period {
        start: midnight("2026-03-01"),
        end: midnight("2026-04-01"),
    };
    let seconds = period.end.as_second() - period.start.as_second();
    assert_eq!(seconds, 31 * 86_400 - 3600);
    let configuration = seats("P1M", seconds, 1);
    let standing = Standing {
        period,
        ..begun(&configuration, "2026-03-01T00:00:00Z").standing
    };
    let none = with_quantity(&configuration, SEATS, 0);
    let changed = change(&standing, &none, midnight("2026-03-30")).unwrap();
    assert_eq!(amounts_of(&changed), [-2 * 86_400, 0]);
}

/// Opened at 23:59 in Auckland, the contract is the 25th's, from midnight there on. To midnight UTC on the first, which is the first
/// there as well, it is six days and 13 hours: 157 of November's 720 hours, of 72.00.
#[test]
fn a_contract_begins_at_its_business_entitys_midnight() {
    let auckland: Zone = "Pacific/Auckland".parse().unwrap();
    let pricing = serde_json::json!({ "pricing_type": "flat_fee", "unit_amount": 7200 });
    let configuration = plan(
        "nzd",
        "P1M",
        serde_json::json!({ "day_of_month": 1 }),
        serde_json::json!([{ "name": "Fee", "quantity": 1, "pricing": pricing }]),
    );
    let today = auckland.date(at("2026-11-25T10:59:00Z"));
    assert_eq!(today.to_string(), "2026-11-25");
    let start = auckland.start_of(today).unwrap();
    let first = first_invoice(&configuration, &auckland, start).unwrap();
    assert_eq!(first.estimate.period_start, at("2026-11-24T11:00:00Z"));
    assert_eq!(first.estimate.period_end, at("2026-12-01T00:00:00Z"));
    assert_eq!(amounts_of(&first), [1570]);
}

#[test]
fn what_cannot_be_estimated_says_why() {
    let configuration = seats("P1M", 1000, 3);
    let standing = begun(&configuration, "2026-11-01T00:00:00Z").standing;
    let more = with_quantity(&configuration, SEATS, 5);
    let outside = change(&standing, &more, at("2026-12-01T00:00:01Z")).unwrap_err();
    assert_eq!(
        outside.to_string(),
        "the change is outside of the period from 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z"
    );
    let most = 999_999_999_999_999;
    let too_much = with_quantity(&seats("P1M", most, 1), SEATS, most);
    assert_eq!(
        first_invoice(&too_much, &Zone::UTC, at("2026-11-01T00:00:00Z"))
            .unwrap_err()
            .to_string(),
        format!("product {SEATS} the amount is too large")
    );
    assert!(matches!(
        first_invoice(&configuration, &Zone::UTC, at("9999-12-30T00:00:00Z")),
        Err(NoEstimate::OutOfTime(_))
    ));
    let euros = Configuration {
        currency: "eur".parse().unwrap(),
        ..more
    };
    assert_eq!(
        change(&standing, &euros, at("2026-11-11T00:00:00Z")),
        Err(NoEstimate::OtherCurrency)
    );
}

/// Nine of the largest amounts fit one by one; their sum does not.
#[test]
fn a_sum_that_is_too_large_is_an_error() {
    let most = i64::MAX;
    let pricing =
        serde_json::json!({ "pricing_type": "flat_fee", "unit_amount": 0, "minimum_commitment": most });
    let configuration = plan(
        "usd",
        "P1M",
        "start".into(),
        serde_json::json!([
            { "name": "One", "quantity": 1, "pricing": pricing.clone() },
            { "name": "Other", "quantity": 1, "pricing": pricing },
        ]),
    );
    assert_eq!(
        first_invoice(&configuration, &Zone::UTC, at("2026-11-01T00:00:00Z")),
        Err(NoEstimate::TooLarge(TooLarge))
    );
}

/// Stripe takes the whole from the contract's start on: 14 of the 31 days from 1 March to 1 April, where the 28 days before the 15th would be half. A
/// seat more on the 8th is 7 of 31 days, and given back as such.
#[test]
fn a_short_first_period_is_a_share_of_an_imagined_one_from_the_start_on() {
    let pricing = serde_json::json!({ "pricing_type": "per_unit", "unit_amount": 1000 });
    let configuration = plan(
        "usd",
        "P1M",
        serde_json::json!({ "day_of_month": 15 }),
        serde_json::json!([{ "name": "Seat", "quantity": 3, "pricing": pricing }]),
    );
    let first = begun(&configuration, "2026-03-01T00:00:00Z");
    assert_eq!(amounts_of(&first), [1354]);
    let explained = first.estimate.lines[0].explanation.unwrap();
    assert_eq!((explained.days_remaining, explained.days_total), (14, 31));
    let more = with_quantity(&configuration, SEATS, 4);
    let changed = change(&first.standing, &more, at("2026-03-08T00:00:00Z")).unwrap();
    assert_eq!(amounts_of(&changed), [-678, 903]);
    let next = next_invoice(&changed.standing, &more).unwrap();
    assert_eq!(amounts_of(&next), [4000]);
    assert_eq!(next.estimate.period_end, at("2026-04-15T00:00:00Z"));
}
