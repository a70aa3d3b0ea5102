//! What is written down of a change.

use super::*;
use crate::arrears::TimeCharge;

/// Three of `si_1` at the annual price, for `sub_1`: whatever of it has moved, it is another change.
#[test]
fn a_change_fits_what_it_was_written_down_for() {
    let annual: PriceId = "price_annual".parse().unwrap();
    let monthly = standing(Interval::Monthly);
    assert!(change().still_fits(&monthly, &annual, now()));
    assert!(!change().still_fits(&monthly, &"price_dearer".parse().unwrap(), now()));
    let moved = |move_it: fn(&mut Standing)| {
        let mut standing = monthly.clone();
        move_it(&mut standing);
        change().still_fits(&standing, &annual, now())
    };
    assert!(!moved(
        |standing| standing.subscription.id = "sub_2".parse().unwrap()
    ));
    assert!(!moved(|standing| standing.subscription.quantity = 4));
    assert!(!moved(|standing| standing.items = vec!["si_2".parse().unwrap()]));
    assert!(!moved(|standing| standing.items.push("si_2".parse().unwrap())));
}

/// Its date lies in the period of which time is credited, to the second; and not so long ago that the month which it begins is over before a
/// cancellation can be taken back.
#[test]
fn a_change_fits_the_period_that_its_date_lies_in() {
    let dated = |at: Timestamp, interval| Change {
        proration_date: Some(at),
        interval,
        ..change()
    };
    let price = change().price;
    let monthly = standing(Interval::Monthly);
    let period = monthly.subscription.period;
    let before = period.start - SignedDuration::from_secs(1);
    for (at, fits) in [(period.start, true), (before, false), (period.end, false)] {
        let named = dated(at, Interval::Annual);
        assert_eq!(named.still_fits(&monthly, &price, now()), fits, "{at}");
        let unnamed = Change {
            proration_date: None,
            from: Some(at),
            ..named
        };
        assert_eq!(unnamed.still_fits(&monthly, &price, now()), fits, "{at}");
    }
    let mut annual = standing(Interval::Annual);
    annual.subscription.period = Period {
        start: at("2026-01-01T00:00:00Z"),
        end: at("2027-01-01T00:00:00Z"),
    };
    let long_ago = dated(at("2026-03-01T00:00:00Z"), Interval::Monthly);
    assert!(annual.end.is_some() && !long_ago.still_fits(&annual, &price, now()));
    annual.end = None;
    assert!(long_ago.still_fits(&annual, &price, now()));
}

/// The bill of a change charges its price; a renewal at that price, and a change to another, are not its own.
#[test]
fn the_bill_of_a_change_is_found_among_those_made_since() {
    let bill = |name: &str, occasion, price: &str| TimeBill {
        invoice: name.parse().unwrap(),
        occasion,
        created_at: now(),
        settled: 0,
        is_owed: true,
        charges: vec![TimeCharge {
            line: "il_1".parse().unwrap(),
            price: price.parse().unwrap(),
            quantity: 3,
            period: standing(Interval::Annual).subscription.period,
        }],
        credits: vec![],
    };
    let mut bills = vec![
        bill("in_renewal", Occasion::Period, "price_annual"),
        bill("in_other", Occasion::Change, "price_monthly"),
    ];
    assert_eq!(change().bill_among(&bills), None);
    bills.push(bill("in_own", Occasion::Change, "price_annual"));
    assert_eq!(change().bill_among(&bills), "in_own".parse().ok());
}

/// What is planned says everything that its request says, and takes back only what was cancelled before.
#[test]
fn a_plan_is_the_wish_as_the_subscription_stands() {
    let planned = |cancelled: bool, proration_date| {
        let mut standing = standing(Interval::Monthly);
        standing.subscription.cancel_at_period_end = cancelled;
        let wish = Wish {
            interval: Interval::Annual,
            code: Some("LAUNCH20".parse().unwrap()),
            proration_date,
        };
        let facts = Facts {
            number: 7,
            standing: &standing,
            item: &standing.items[0],
            price: &"price_annual".parse().unwrap(),
            promotion_code: Some("promo_1".parse().unwrap()),
        };
        Change::plan(&owner(), &wish, facts, now())
    };
    let change = planned(true, Some(now()));
    assert_eq!(
        (
            change.number,
            change.quantity,
            change.proration_date,
            change.asked_at
        ),
        (7, 3, Some(now()), now())
    );
    assert_eq!(change.code.as_ref().map(Word::as_str), Some("LAUNCH20"));
    assert!(change.promotion_code.is_some() && change.clears_cancellation);
    assert!(!planned(false, None).clears_cancellation);
    let date = now() - SignedDuration::from_secs(9);
    for (named, from) in [(Some(date), date), (None, now())] {
        let change = planned(false, named);
        assert_eq!(
            (change.proration_date, change.prorated_from()),
            (named, Some(from))
        );
    }
}

/// What is asked for once more takes back what was cancelled since it was asked for first, and knows the date of that, where it is by one. An end on
/// another date is an operator's.
#[test]
fn a_change_that_is_asked_for_again_takes_a_newer_cancellation_back() {
    let date = at("2026-05-01T00:00:00Z");
    let cancelled = |by_period, end| {
        let mut standing = standing(Interval::Monthly);
        standing.subscription.cancel_at_period_end = by_period;
        standing.end = end;
        standing
    };
    let (none, with_period, on_date) = (
        cancelled(false, None),
        cancelled(true, Some(ScheduledEnd::WithPeriod)),
        cancelled(true, Some(ScheduledEnd::OnDate(date))),
    );
    let operators = cancelled(false, Some(ScheduledEnd::OnDate(date)));
    let planned = |standing: &Standing| {
        let facts = Facts {
            number: 1,
            standing,
            item: &standing.items[0],
            price: &"price_annual".parse().unwrap(),
            promotion_code: None,
        };
        Change::plan(&owner(), &wish(Interval::Annual), facts, now())
    };
    let known = |change: &Change| (change.clears_cancellation, change.cancellation_date);
    for (standing, expected) in [
        (&none, (false, None)),
        (&with_period, (true, None)),
        (&on_date, (true, Some(date))),
        (&operators, (false, None)),
    ] {
        assert_eq!(known(&planned(standing)), expected, "{standing:?}");
        let again = planned(&none).asked_again(standing);
        let newer = expected.0.then_some(expected);
        assert_eq!(again.as_ref().map(known), newer, "{standing:?}");
        assert_eq!(planned(&with_period).asked_again(standing), None);
        assert_eq!(standing.ends_by_date(), expected.1.is_some(), "{standing:?}");
    }
}
