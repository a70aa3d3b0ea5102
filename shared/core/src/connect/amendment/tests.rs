//! What a change comes to on what there is, and what it would lose.

use std::collections::BTreeMap;

use super::super::contract::{Line, Sold};
use super::super::offer::{Cadence, Price, Usage};
use super::*;
use crate::period::Period;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

const MONTH: i64 = 30 * 86_400;

fn every(interval: &str) -> Cadence {
    Cadence {
        interval: interval.into(),
        count: 1,
    }
}

fn line(number: u8, usage: Usage) -> Line {
    Line {
        item: Some(format!("si_{number}").parse().unwrap()),
        price: Price {
            id: format!("price_{number}").parse().unwrap(),
            product: "prod_1".parse().unwrap(),
            currency: "usd".parse().unwrap(),
            cadence: every("month"),
            usage,
            unit_amount: Some(1000),
            unit_decimal: None,
            tiers: vec![],
            by_volume: false,
            divide_by: None,
        },
        quantity: Some(1),
        name: None,
        metadata: BTreeMap::new(),
    }
}

fn metered() -> Line {
    line(2, Usage::Metered(Some("mtr_1".parse().unwrap())))
}

/// A month that has begun, by itself.
fn running() -> Contract {
    Contract {
        schedule: None,
        subscription: Some("sub_1".parse().unwrap()),
        status: "active".into(),
        customer: "cus_1".parse().unwrap(),
        email: None,
        period: Some(Period {
            start: at(0),
            end: at(MONTH),
        }),
        start: Some(at(0)),
        created: at(0),
        ends: false,
        ends_on_date: false,
        ends_at: None,
        canceled_at: None,
        ended_at: None,
        taxed: false,
        flexible: true,
        held_back: false,
        coupon: None,
        lines: vec![line(1, Usage::Licensed)],
        has_more_phases: false,
        outlasts_period: false,
        phase_says_tax: false,
        tax_varies: false,
        has_other_terms: false,
        metadata: BTreeMap::new(),
        sold: Sold {
            client: "0123456789abcdef01234567".parse().unwrap(),
            number: 1,
        },
    }
}

/// The same, which its schedule owns.
fn owned() -> Contract {
    Contract {
        schedule: Some("sub_sched_1".parse().unwrap()),
        ..running()
    }
}

/// The same before it begins.
fn waiting() -> Contract {
    Contract {
        subscription: None,
        status: "not_started".into(),
        ..owned()
    }
}

fn other(interval: &str) -> Difference {
    Difference {
        terms: Some(Terms {
            product: "prod_2".parse().unwrap(),
            name: "Other".into(),
            flat: "price_9".parse().unwrap(),
            metered: None,
            cadence: every(interval),
            currency: None,
        }),
        ..Difference::default()
    }
}

fn ends(ends: bool) -> Difference {
    Difference {
        ends: Some(ends),
        ..Difference::default()
    }
}

fn starts(second: i64) -> Difference {
    Difference {
        start: Some(at(second)),
        ..Difference::default()
    }
}

fn taxed() -> Difference {
    Difference {
        tax: Some(Tax {
            enabled: true,
            country: None,
            postal_code: None,
        }),
        ..Difference::default()
    }
}

fn asked(second: i64, difference: Difference) -> Amendment {
    Amendment {
        number: 1,
        difference,
        asked_at: at(second),
        moved: None,
    }
}

/// Its first invoice is not paid. What is so already may be told.
#[test]
fn what_is_incomplete_is_not_changed() {
    let incomplete = Contract {
        status: "incomplete".into(),
        ..running()
    };
    for difference in [ends(true), other("month"), taxed()] {
        assert_eq!(difference.from(&incomplete, at(1)), Err(Refusal::Incomplete));
    }
    assert_eq!(ends(false).from(&incomplete, at(1)), Ok(Difference::default()));
}

/// A phase of the agency's own, terms that we do not write, and an item beside what was sold, are lost with what holds them; an end that comes later,
/// with one that comes earlier.
#[test]
fn what_would_be_lost_is_refused() {
    let two_items = |contract: Contract| Contract {
        lines: vec![line(1, Usage::Licensed), line(3, Usage::Licensed)],
        ..contract
    };
    let rearranged = |contract: Contract| Contract {
        has_more_phases: true,
        ..contract
    };
    let furnished = Contract {
        has_other_terms: true,
        ..waiting()
    };
    let long = Contract {
        outlasts_period: true,
        has_other_terms: true,
        ..waiting()
    };
    let later = Contract {
        ends_at: Some(at(2 * MONTH)),
        ..running()
    };
    let with_period = Contract {
        ends_at: Some(at(MONTH)),
        ..running()
    };
    for (difference, contract, refusal) in [
        (other("month"), two_items(waiting()), Some(Refusal::Furnished)),
        (starts(MONTH), two_items(waiting()), None),
        (other("month"), two_items(running()), None),
        (other("month"), rearranged(waiting()), Some(Refusal::Rearranged)),
        (other("month"), rearranged(owned()), Some(Refusal::Rearranged)),
        (taxed(), rearranged(owned()), Some(Refusal::Rearranged)),
        (ends(true), rearranged(owned()), None),
        (starts(MONTH), furnished.clone(), Some(Refusal::Furnished)),
        (ends(true), furnished.clone(), None),
        (taxed(), furnished, None),
        (ends(true), long, Some(Refusal::Furnished)),
        (ends(true), later.clone(), Some(Refusal::EndsLater)),
        (ends(false), later, None),
        (ends(true), with_period, None),
    ] {
        assert_eq!(difference.dropping(&contract), refusal, "{difference:?}");
    }
}

/// What runs is not begun anew, nor at another interval. What was to begin now may have begun meanwhile.
#[test]
fn a_change_that_the_start_has_overtaken_is_refused() {
    for (amendment, contract, now, refusal) in [
        (asked(-60, starts(-10)), running(), 1, Some(Refusal::Started)),
        (asked(-60, starts(0)), running(), 1, None),
        (asked(-60, starts(-60)), running(), 1, None),
        (
            asked(0, other("year")),
            running(),
            1,
            Some(Refusal::OtherInterval),
        ),
        (asked(0, other("month")), running(), 1, None),
        (asked(-600, other("year")), waiting(), -300, None),
        (
            asked(-600, other("year")),
            waiting(),
            -299,
            Some(Refusal::AboutToStart),
        ),
        (asked(-600, other("month")), waiting(), -299, None),
        (
            asked(
                -600,
                Difference {
                    start: Some(at(MONTH)),
                    ..other("year")
                },
            ),
            waiting(),
            -299,
            None,
        ),
    ] {
        let told = amendment.overtaken(&contract, at(now));
        assert_eq!(told, refusal, "{amendment:?} at {now}");
    }
}

/// By the agency, at Stripe: another price than there was and than was asked for, another start. What was asked for before is not done to that.
#[test]
fn what_was_made_otherwise_since_stays() {
    let at_price = |number, contract| Contract {
        lines: vec![line(number, Usage::Licensed)],
        ..contract
    };
    let moved = || Contract {
        start: Some(at(3 * MONTH)),
        ..waiting()
    };
    let begun = || Contract {
        start: Some(at(MONTH)),
        ..running()
    };
    for (wanted, before, now, refusal) in [
        (other("month"), running(), running(), None),
        (other("month"), running(), at_price(9, running()), None),
        (
            other("month"),
            running(),
            at_price(3, running()),
            Some(Refusal::ChangedSince),
        ),
        (
            other("month"),
            waiting(),
            at_price(3, waiting()),
            Some(Refusal::ChangedSince),
        ),
        // It has begun, at another start than either.
        (starts(2 * MONTH), waiting(), begun(), Some(Refusal::Started)),
        (other("month"), waiting(), moved(), None),
        (starts(2 * MONTH), waiting(), waiting(), None),
        (starts(2 * MONTH), waiting(), moved(), Some(Refusal::ChangedSince)),
        (starts(3 * MONTH), waiting(), moved(), None),
        (starts(2 * MONTH), waiting(), at_price(3, waiting()), None),
        (ends(true), running(), at_price(3, running()), None),
    ] {
        let amendment = asked(1, wanted.from(&before, at(1)).unwrap());
        assert_eq!(
            amendment.overtaken(&now, at(2)),
            refusal,
            "{amendment:?} of {now:?}"
        );
    }
}

/// A schedule is rewritten before it begins, told to end what it owns, and lets go of it for anything else. What was used of a classic subscription's
/// price would be lost with the price.
#[test]
fn each_step_follows_from_what_there_is() {
    let schedule = || "sub_sched_1".parse().unwrap();
    let subscription = || "sub_1".parse().unwrap();
    let used = |flexible| Contract {
        flexible,
        lines: vec![line(1, Usage::Licensed), metered()],
        ..running()
    };
    let classic = Contract {
        flexible: false,
        ..running()
    };
    for (difference, contract, step) in [
        (ends(true), waiting(), Some(Step::Rewrite(schedule()))),
        (ends(true), owned(), Some(Step::EndWithSchedule(schedule(), true))),
        (other("month"), owned(), Some(Step::Release(schedule()))),
        (taxed(), owned(), Some(Step::Release(schedule()))),
        (Difference::default(), owned(), None),
        (other("month"), used(false), Some(Step::Migrate(subscription()))),
        (other("month"), used(true), Some(Step::Change(subscription()))),
        (other("month"), classic, Some(Step::Change(subscription()))),
        (taxed(), used(false), Some(Step::Change(subscription()))),
    ] {
        assert_eq!(asked(0, difference).next(&contract), step);
    }
}

/// The schedule brings the end, and is let go of: the subscription gets it, unless it is taken back.
#[test]
fn an_end_with_the_period_outlasts_the_schedule_that_brought_it() {
    let ending = Contract {
        ends: true,
        ends_at: Some(at(MONTH)),
        ..owned()
    };
    let told = |difference: Difference, contract: &Contract| difference.from(contract, at(1)).unwrap().ends;
    assert_eq!(told(other("month"), &ending), Some(true));
    assert_eq!(told(taxed(), &ending), Some(true));
    assert_eq!(
        told(
            Difference {
                ends: Some(false),
                ..other("month")
            },
            &ending
        ),
        Some(false)
    );
    assert_eq!(told(other("month"), &owned()), None);
    // By itself; by a date of the agency's; and of what is left to the schedule.
    let free = Contract {
        schedule: None,
        ..ending.clone()
    };
    let later = Contract {
        ends_at: Some(at(2 * MONTH)),
        ..ending.clone()
    };
    let by_date = Contract {
        ends: false,
        ..ending.clone()
    };
    for contract in [free, later, by_date] {
        assert_eq!(told(other("month"), &contract), None, "{contract:?}");
    }
    assert_eq!(told(Difference::default(), &ending), None);
}

/// What there is already, a start that counts as now by either clock included, is asked of nobody. Only what waits has a phase to write.
#[test]
fn what_is_so_already_is_no_difference() {
    let untaxed = |country: Option<&str>| Difference {
        tax: Some(Tax {
            enabled: false,
            country: country.map(|country| country.parse().unwrap()),
            postal_code: None,
        }),
        ..Difference::default()
    };
    let nothing = Ok(Difference::default());
    for (wanted, contract) in [
        (starts(0), waiting()),
        (starts(0), running()),
        (starts(1), running()),
        (ends(false), owned()),
        (untaxed(None), running()),
        (untaxed(None), waiting()),
    ] {
        assert_eq!(wanted.from(&contract, at(1)), nothing, "{contract:?}");
    }
    for (wanted, contract, writes_phase) in [
        (other("month"), waiting(), true),
        (starts(MONTH), waiting(), true),
        (ends(true), waiting(), false),
        (other("month"), running(), false),
        (other("month"), owned(), false),
        (untaxed(Some("FR")), running(), false),
    ] {
        let left = wanted.clone().from(&contract, at(1)).unwrap();
        assert!(!left.is_nothing(), "{wanted:?}");
        assert_eq!(left.writes_phase, writes_phase, "{wanted:?} {contract:?}");
    }
    let varies = Contract {
        tax_varies: true,
        ..running()
    };
    assert!(untaxed(None).from(&varies, at(1)).unwrap().tax.is_some());
    assert_eq!(starts(MONTH).from(&running(), at(1)), Err(Refusal::Started));
}

/// Another start than the one that is waited for, for five minutes and a minute after that. What is over is changed no more.
#[test]
fn a_start_that_was_asked_for_is_over_in_time() {
    for (wanted, now, timeliness, refusal) in [
        (starts(10), 310, Timeliness::InTime, None),
        (starts(10), 311, Timeliness::Awaited, None),
        (starts(10), 371, Timeliness::Over, Some(Refusal::StartOver)),
        (starts(0), 371, Timeliness::InTime, None),
        (ends(true), 371, Timeliness::InTime, None),
    ] {
        let amendment = asked(0, wanted);
        assert_eq!(
            amendment.timeliness(&waiting(), at(now)),
            timeliness,
            "{amendment:?}"
        );
        assert_eq!(amendment.overtaken(&waiting(), at(now)), refusal, "{amendment:?}");
        assert_eq!(amendment.timeliness(&running(), at(now)), Timeliness::InTime);
    }
    let canceled = Contract {
        status: "canceled".into(),
        ..running()
    };
    let amendment = asked(0, ends(true));
    assert_eq!(amendment.overtaken(&canceled, at(1)), Some(Refusal::Over));
    assert_eq!(amendment.next(&canceled), None);
    let told =
        [59, 60, 71_999, 72_000].map(|now| (amendment.is_in_flight(at(now)), amendment.is_fresh(at(now))));
    assert_eq!(told, [(true, true), (false, true), (false, true), (false, false)]);
}

/// One by the unit, or as many as the agency has made of it. Of tiers it is one.
#[test]
fn so_many_are_charged_of_a_flat_price() {
    let of = |quantity| Contract {
        lines: vec![Line {
            quantity,
            ..line(1, Usage::Licensed)
        }],
        ..running()
    };
    for (contract, quantity) in [
        (of(Some(3)), 3),
        (of(None), 1),
        (
            Contract {
                lines: vec![],
                ..running()
            },
            1,
        ),
    ] {
        assert_eq!(contract.flat_quantity(), quantity);
    }
    for (lines, has_other) in [
        (vec![], false),
        (vec![line(1, Usage::Licensed)], false),
        (vec![line(1, Usage::Licensed), metered()], false),
        (vec![line(1, Usage::Licensed), line(3, Usage::Licensed)], true),
        (vec![line(1, Usage::Licensed), metered(), metered()], true),
    ] {
        let contract = Contract { lines, ..running() };
        assert_eq!(contract.has_other_items(), has_other, "{contract:?}");
    }
}

#[test]
fn what_is_over_is_told_by_its_word() {
    for (status, is_over) in [
        ("active", false),
        ("past_due", false),
        ("not_started", false),
        ("canceled", true),
        ("completed", true),
        ("incomplete_expired", true),
        ("released", true),
    ] {
        let contract = Contract {
            status: status.into(),
            ..owned()
        };
        assert_eq!(contract.stage() == Stage::Over, is_over, "{status}");
        assert_eq!(contract.state().is_over(), is_over, "{status}");
    }
}
