//! What holds for all plans, quantities and instants.

use proptest::prelude::*;

use super::*;

fn instants() -> impl Strategy<Value = Timestamp> {
    (1_700_000_000_i64..2_000_000_000).prop_map(|second| Timestamp::from_second(second).unwrap())
}

/// A month's contract of two products, one of them priced to a fraction of a minor unit.
fn configurations() -> impl Strategy<Value = Configuration> {
    (0_i64..500_000, 0_i64..50, 0_u32..100_000, 0_i64..50).prop_map(|(unit, quantity, fine, fine_quantity)| {
        plan(
            "usd",
            "P1M",
            "start".into(),
            serde_json::json!([
                { "name": "Seat", "quantity": quantity, "pricing": { "pricing_type": "per_unit", "unit_amount": unit } },
                { "name": "Call", "quantity": fine_quantity.max(1),
                  "pricing": { "pricing_type": "per_unit", "unit_amount": format!("{}.{:03}", fine / 1000, fine % 1000) } },
            ]),
        )
    })
}

proptest! {
    /// What a change charges, its undo gives back to the unit; what it gave back is charged again less a rounded fraction.
    /// Where nothing is rounded, the two net to zero.
    #[test]
    fn a_change_and_its_undo_come_to_nothing_but_rounded_fractions(
        (before, after) in (configurations(), configurations()),
        start in instants(),
        permille in 0_i64..1000,
    ) {
        let standing = first_invoice(&before, &Zone::UTC, start).unwrap().standing;
        let length = standing.period.end.as_second() - standing.period.start.as_second();
        let at = standing.period.start + jiff::SignedDuration::from_secs(length * permille / 1000);
        let there = change(&standing, &after, at).unwrap();
        let back = change(&there.standing, &before, at).unwrap();
        // What has come to cost nothing begins a period when it costs something again.
        prop_assume!(back.standing.period == standing.period);
        let net = there.estimate.total + back.estimate.total;
        let credits = there.estimate.lines.iter().filter(|line| line.amount < 0).count();
        prop_assert!(net <= 0 && net >= -i64::try_from(credits).unwrap(), "nets to {}", net);
        let exact = there.estimate.lines.iter().filter(|line| line.amount < 0).all(|line| {
            let billed = standing.billed(&line.product_id).unwrap().charged;
            (i128::from(billed.full) * i128::from(standing.period.end.as_second() - at.as_second())) % i128::from(length) == 0
        });
        if exact {
            prop_assert_eq!(net, 0);
        }
    }

    /// However often a contract changes within a period, no credit is above what was billed for that product, and never does
    /// the customer get back more than was charged.
    #[test]
    fn nothing_is_given_back_twice(
        configurations in prop::collection::vec(configurations(), 2..6),
        start in instants(),
        mut permilles in prop::collection::vec(0_i64..1000, 5),
    ) {
        permilles.sort_unstable();
        let first = first_invoice(&configurations[0], &Zone::UTC, start).unwrap();
        let mut charged: i64 = first.estimate.total;
        let mut standing = first.standing;
        let length = standing.period.end.as_second() - standing.period.start.as_second();
        for (after, permille) in configurations[1..].iter().zip(permilles) {
            let at = standing.period.start + jiff::SignedDuration::from_secs(length * permille / 1000);
            let changed = change(&standing, after, at).unwrap();
            for line in changed.estimate.lines.iter().filter(|line| line.amount < 0) {
                let billed = standing.billed(&line.product_id).unwrap().charged.billed;
                prop_assert!(-line.amount <= billed);
            }
            let sum: i64 = changed.estimate.lines.iter().map(|line| line.amount).sum();
            prop_assert_eq!(changed.estimate.total, sum);
            prop_assert_eq!(changed.estimate.subtotal - changed.estimate.discount, changed.estimate.total);
            charged += sum;
            prop_assert!(charged >= 0);
            standing = changed.standing;
        }
    }

    /// A first period in two halves, an anchor between them, costs what the whole does, less at most a unit a line.
    #[test]
    fn a_cut_period_loses_at_most_a_unit_a_line(
        configuration in configurations(),
        day in 1_u8..=28,
        start in instants(),
    ) {
        let anchored = Configuration { anchor: crate::calendar::AnchorRule::DayOfMonth(day.try_into().unwrap()), ..configuration };
        let first = first_invoice(&anchored, &Zone::UTC, start).unwrap();
        let whole = full_price(&anchored).unwrap();
        let period = first.standing.period;
        let share = Share::of(Period { start: period.start, end: period.end }, start).unwrap();
        prop_assert!(first.estimate.total <= whole);
        let lines = i64::try_from(first.estimate.lines.len()).unwrap();
        let exact = share.part(whole);
        prop_assert!((exact - lines..=exact).contains(&first.estimate.total));
        prop_assert_eq!(first.estimate.period_end, period.end);
    }

    /// More costs no less.
    #[test]
    fn an_estimate_is_monotone_in_the_quantity(
        configuration in configurations(),
        (less, more) in (0_i64..100, 0_i64..100),
        start in instants(),
    ) {
        let of = |quantity| {
            let chosen = with_quantity(&configuration, SEATS, quantity);
            first_invoice(&chosen, &Zone::UTC, start).unwrap().estimate.total
        };
        prop_assert!(of(less.min(more)) <= of(less.max(more)));
    }
}
