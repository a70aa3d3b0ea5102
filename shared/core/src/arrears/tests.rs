//! Bills of a period, paid and not, given back and built on.

use super::*;
use crate::money::Money;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn may() -> Period {
    Period {
        start: at("2026-05-01T00:00:00Z"),
        end: at("2026-06-01T00:00:00Z"),
    }
}

fn price(name: &str) -> BilledPriceId {
    name.parse().unwrap()
}

fn bill(occasion: Occasion, created: &str, is_owed: bool, charges: &[(&str, u64, Period)]) -> TimeBill {
    TimeBill {
        invoice: "in_1".parse().unwrap(),
        occasion,
        created_at: at(created),
        settled: if is_owed { 0 } else { 3000 },
        is_owed,
        charges: charges
            .iter()
            .map(|(name, quantity, period)| TimeCharge {
                line: format!("il_{quantity}").parse().unwrap(),
                price: price(name),
                quantity: *quantity,
                period: *period,
            })
            .collect(),
        credits: vec![],
    }
}

/// May's renewal of three.
fn renewal(is_owed: bool) -> TimeBill {
    bill(
        Occasion::Period,
        "2026-05-01T00:00:02Z",
        is_owed,
        &[("price_m", 3, may())],
    )
}

/// What is left of May, for so many.
fn more(quantity: u64, is_owed: bool) -> TimeBill {
    let left = Period {
        start: at("2026-05-11T00:00:00Z"),
        ..may()
    };
    bill(
        Occasion::Change,
        "2026-05-11T00:00:00Z",
        is_owed,
        &[("price_m", quantity, left)],
    )
}

/// BilledPeriod for so many in May.
fn judged<T>(quantity: u64, judge: impl FnOnce(&BilledPeriod<'_>) -> T) -> T {
    judge(&BilledPeriod {
        period: may(),
        items: vec![(&price("price_m"), quantity)],
        given_back: vec![],
        given_back_in_part: vec![],
    })
}

#[test]
fn the_bill_that_began_the_period_tells() {
    for (latest, verdict) in [
        (None, Verdict::Paid),
        (Some(renewal(false)), Verdict::Paid),
        (Some(renewal(true)), Verdict::Owed),
        // April's, which somebody has given up: May began without a bill.
        (
            Some(bill(Occasion::Period, "2026-04-01T00:00:00Z", true, &[])),
            Verdict::Paid,
        ),
        (
            Some(bill(Occasion::Other, "2026-05-02T00:00:00Z", true, &[])),
            Verdict::Unclear,
        ),
        (Some(more(3, false)), Verdict::Unclear),
        // Six instead of three at once, which came to nothing.
        (
            Some(bill(
                Occasion::Change,
                "2026-05-01T00:00:02Z",
                true,
                &[("price_m", 6, may())],
            )),
            Verdict::Unclear,
        ),
        // A change of the interval began a period of its own.
        (
            Some(bill(
                Occasion::Change,
                "2026-05-01T00:00:00Z",
                true,
                &[("price_m", 3, may())],
            )),
            Verdict::Owed,
        ),
    ] {
        assert_eq!(
            judged(3, |billed| billed.by_latest(latest.as_ref())),
            verdict,
            "{latest:?}"
        );
    }
}

/// A month that was paid and given back whole is credited no more; in part, it is.
#[test]
fn what_was_given_back_whole_was_never_paid() {
    let reversal = |given_back| Reversal {
        invoice: "in_1".parse().unwrap(),
        paid: Money {
            minor: 3000,
            currency: "usd".parse().unwrap(),
        },
        forgiven: 0,
        given_back,
        lost: 0,
        disputed: false,
    };
    let price = price("price_m");
    for (given_back, verdict) in [(3000, Verdict::Owed), (2999, Verdict::Paid)] {
        let reversals = [reversal(given_back)];
        let billed = BilledPeriod {
            period: may(),
            items: vec![(&price, 3)],
            given_back: vec![],
            given_back_in_part: vec![],
        };
        let billed = billed.after(&reversals);
        assert_eq!(billed.by_latest(Some(&renewal(false))), verdict);
        assert_eq!(billed.is_owed(&[renewal(false)]), verdict == Verdict::Owed);
    }
}

/// Of 3000: a part, all, and nothing, as of a dispute that is not lost.
#[test]
fn what_went_back_is_told_by_how_much_it_was() {
    let reversals =
        [("in_part", 1000), ("in_whole", 3000), ("in_disputed", 0)].map(|(invoice, lost)| Reversal {
            invoice: invoice.parse().unwrap(),
            paid: Money {
                minor: 3000,
                currency: "usd".parse().unwrap(),
            },
            forgiven: 0,
            given_back: 0,
            lost,
            disputed: true,
        });
    judged(3, |billed| {
        let after = billed.clone().after(&reversals);
        assert_eq!(after.given_back, [&reversals[1].invoice]);
        assert_eq!(after.given_back_in_part, [(&reversals[0].invoice, 1000)]);
    });
}

/// By the line that Stripe names; where it names none, by the time that is given back, which ends within what was charged.
#[test]
fn a_credit_is_of_the_charge_that_it_names_or_of_its_time() {
    let charge = &renewal(false).charges[0];
    for (of, ends_at, is_of) in [
        (Some("il_3"), "2027-01-01T00:00:00Z", true),
        (Some("il_4"), "2026-05-16T00:00:00Z", false),
        (None, "2026-05-01T00:00:00Z", false),
        (None, "2026-05-01T00:00:01Z", true),
        (None, "2026-06-01T00:00:00Z", true),
        (None, "2026-06-01T00:00:01Z", false),
    ] {
        let credit = TimeCredit {
            of: of.into_iter().map(|line| line.parse().unwrap()).collect(),
            ends_at: at(ends_at),
            minor: 1500,
        };
        assert_eq!(credit.may_be_of(charge), is_of, "{of:?} {ends_at}");
    }
}

/// 3000 were paid for May, of which 1000 went back; or for April.
#[test]
fn of_what_went_back_in_part_the_rest_is_credited() {
    for (invoice, credit, overdrawn) in [
        ("in_1", 2000, false),
        ("in_1", 2001, true),
        ("in_1", -500, false),
        ("in_april", 2900, false),
    ] {
        let invoice: InvoiceId = invoice.parse().unwrap();
        let overdrawn_by = judged(3, |billed| {
            let given_back_in_part = vec![(&invoice, 1000)];
            let billed = BilledPeriod {
                given_back_in_part,
                ..billed.clone()
            };
            billed.is_overdrawn_by(credit, &[renewal(false)])
        });
        assert_eq!(overdrawn_by, overdrawn, "{invoice} {credit}");
    }
    assert!(!judged(3, |billed| billed.is_overdrawn_by(3001, &[renewal(false)])));
}

/// 1000 of May's 3000 went back, and all of what more cost, which an operator took away again; or 500 of the bill that began the period, of whose
/// 3500 what was left of April paid 500.
#[test]
fn what_is_left_is_what_was_paid_for_the_period_and_has_not_gone_back() {
    let more = TimeBill {
        invoice: "in_more".parse().unwrap(),
        ..more(5, false)
    };
    let begins = TimeBill {
        occasion: Occasion::Change,
        credits: vec![TimeCredit {
            of: vec![],
            ends_at: at("2026-05-05T00:00:00Z"),
            minor: 500,
        }],
        ..renewal(false)
    };
    let (partly, wholly) = ("in_1".parse().unwrap(), "in_more".parse().unwrap());
    for (bills, back, left) in [
        (vec![more, renewal(false)], 1000, 2000),
        (vec![begins], 500, 3000),
    ] {
        for (credit, overdrawn) in [(left, false), (left + 1, true)] {
            let overdrawn_by = judged(3, |billed| {
                let billed = BilledPeriod {
                    given_back: vec![&wholly],
                    given_back_in_part: vec![(&partly, back)],
                    ..billed.clone()
                };
                billed.is_overdrawn_by(credit, &bills)
            });
            assert_eq!(overdrawn_by, overdrawn, "{credit} {bills:?}");
        }
    }
}

/// Two changes within May, of which the later gave back what the earlier charged; and a change that began a period of its own.
#[test]
fn what_was_given_back_whole_is_not_credited_through_a_later_change() {
    let named = |bill: TimeBill, invoice: &str| TimeBill {
        invoice: invoice.parse().unwrap(),
        ..bill
    };
    let begins = |is_owed| {
        let bill = bill(
            Occasion::Change,
            "2026-05-01T00:00:00Z",
            is_owed,
            &[("price_m", 3, may())],
        );
        named(bill, "in_begins")
    };
    let instead_of = |bill: TimeBill, of: &[&str]| TimeBill {
        credits: vec![TimeCredit {
            of: of.iter().map(|line| line.parse().unwrap()).collect(),
            ends_at: may().end,
            minor: 100,
        }],
        ..bill
    };
    let four = instead_of(named(more(4, false), "in_four"), &["il_3"]);
    let five = instead_of(named(more(5, false), "in_five"), &["il_4"]);
    let (three, given_up) = (begins(false), named(begins(true), "in_given_up"));
    for (quantity, bills, given_back, owed) in [
        (5, vec![five.clone(), four.clone(), renewal(false)], None, false),
        (
            5,
            vec![five.clone(), four.clone(), renewal(false)],
            Some("in_four"),
            true,
        ),
        (
            5,
            vec![five.clone(), four.clone(), renewal(false)],
            Some("in_five"),
            true,
        ),
        // An operator took back what he gave back: three it is, as the renewal charged.
        (3, vec![four.clone(), renewal(false)], Some("in_four"), false),
        // And then four again, which gives back what the renewal charged; or Stripe does not say what.
        (
            4,
            vec![four.clone(), five.clone(), renewal(false)],
            Some("in_five"),
            false,
        ),
        (
            4,
            vec![instead_of(four.clone(), &[]), five.clone(), renewal(false)],
            Some("in_five"),
            true,
        ),
        (4, vec![four.clone(), three.clone()], Some("in_begins"), true),
        (4, vec![four.clone(), three.clone()], None, false),
        (4, vec![four.clone(), given_up.clone()], None, true),
        // It was tried in vain before.
        (
            4,
            vec![four.clone(), three.clone(), given_up.clone()],
            None,
            false,
        ),
    ] {
        let given_back: Option<InvoiceId> = given_back.map(|invoice| invoice.parse().unwrap());
        let judged = judged(quantity, |billed| {
            let given_back = given_back.iter().collect();
            BilledPeriod {
                given_back,
                ..billed.clone()
            }
            .is_owed(&bills)
        });
        assert_eq!(judged, owed, "{quantity} {bills:?} {given_back:?}");
    }
}

/// Each of two items was changed; the bill of the earlier change was given up.
#[test]
fn each_items_latest_change_has_to_be_paid() {
    let left = Period {
        start: at("2026-05-11T00:00:00Z"),
        ..may()
    };
    let change = |name, is_owed| {
        bill(
            Occasion::Change,
            "2026-05-11T00:00:00Z",
            is_owed,
            &[(name, 2, left)],
        )
    };
    for is_owed in [false, true] {
        let bills = [
            change("price_b", false),
            change("price_a", is_owed),
            renewal(false),
        ];
        let (a, b) = (price("price_a"), price("price_b"));
        let billed = BilledPeriod {
            period: may(),
            items: vec![(&a, 2), (&b, 2)],
            given_back: vec![],
            given_back_in_part: vec![],
        };
        assert_eq!(billed.is_owed(&bills), is_owed);
    }
}

/// Newest first.
#[test]
fn of_all_bills_the_one_of_the_period_and_the_latest_change_count() {
    let six_at_once = bill(
        Occasion::Change,
        "2026-05-01T00:00:02Z",
        true,
        &[("price_m", 6, may())],
    );
    for (quantity, bills, owed) in [
        (3, vec![], false),
        (4, vec![more(4, false), renewal(false)], false),
        (4, vec![more(4, false), renewal(true)], true),
        (4, vec![more(4, true), renewal(false)], true),
        // Six were wanted and not paid: three it is.
        (3, vec![more(6, true), renewal(false)], false),
        (3, vec![more(6, true), renewal(true)], true),
        // In the second in which May began.
        (3, vec![six_at_once, renewal(false)], false),
        // And were paid later.
        (6, vec![more(6, false), more(6, true), renewal(false)], false),
    ] {
        assert_eq!(
            judged(quantity, |billed| billed.is_owed(&bills)),
            owed,
            "{quantity} {bills:?}"
        );
    }
}

/// A year, a month instead of it on the second day, and a year again on the third, each bill of its change: newest first. The month gave back more
/// than it charged, and the second year was paid with that.
fn back_and_forth() -> Vec<TimeBill> {
    let begun = |start: &str, end: &str| Period {
        start: at(start),
        end: at(end),
    };
    let year = begun("2026-05-01T00:00:00Z", "2027-05-01T00:00:00Z");
    let month = begun("2026-05-02T00:00:00Z", "2026-06-02T00:00:00Z");
    let again = begun("2026-05-03T00:00:00Z", "2027-05-03T00:00:00Z");
    let one = |invoice: &str, settled, period: Period, of: Option<(&str, Period, i64)>| TimeBill {
        invoice: format!("in_{invoice}").parse().unwrap(),
        occasion: if of.is_some() {
            Occasion::Change
        } else {
            Occasion::Period
        },
        created_at: period.start,
        settled,
        is_owed: false,
        charges: vec![TimeCharge {
            line: format!("il_{invoice}").parse().unwrap(),
            price: price("price_m"),
            quantity: 3,
            period,
        }],
        credits: of
            .into_iter()
            .map(|(line, credited, minor)| TimeCredit {
                of: vec![line.parse().unwrap()],
                ends_at: credited.end,
                minor,
            })
            .collect(),
    };
    vec![
        one("again", 25_800, again, Some(("il_month", month, 3000))),
        one("month", -25_800, month, Some(("il_year", year, 28_800))),
        one("year", 28_800, year, None),
    ]
}

/// In the second year of these.
fn judged_again<T>(judge: impl FnOnce(&BilledPeriod<'_>) -> T) -> T {
    let period = back_and_forth()[0].charges[0].period;
    judged(3, |billed| {
        judge(&BilledPeriod {
            period,
            ..billed.clone()
        })
    })
}

#[test]
fn what_was_given_back_whole_is_not_credited_through_a_change_that_began_the_period() {
    for (given_back, verdict, owed) in [
        (None, Verdict::Paid, false),
        (Some("in_again"), Verdict::Owed, true),
        (Some("in_month"), Verdict::Unclear, true),
        (Some("in_year"), Verdict::Unclear, true),
        // Nothing gives that back.
        (Some("in_march"), Verdict::Unclear, false),
    ] {
        let given_back: Option<InvoiceId> = given_back.map(|invoice| invoice.parse().unwrap());
        let judged = |bills: &[TimeBill]| {
            judged_again(|billed| {
                let given_back = given_back.iter().collect();
                let billed = BilledPeriod {
                    given_back,
                    ..billed.clone()
                };
                (billed.by_latest(bills.first()), billed.is_owed(bills))
            })
        };
        let mut bills = back_and_forth();
        assert_eq!(judged(&bills), (verdict, owed), "{given_back:?}");
        // Stripe names no line: the time tells.
        for bill in &mut bills {
            bill.credits.iter_mut().for_each(|credit| credit.of.clear());
        }
        assert_eq!(
            judged(&bills),
            (verdict, owed),
            "{given_back:?}, which no line names"
        );
    }
    // A renewal began the period: what went back of the one before is not credited by it.
    let mut bills = back_and_forth();
    bills[0].credits.clear();
    bills[0].occasion = Occasion::Period;
    let year: InvoiceId = "in_year".parse().unwrap();
    let judged = judged_again(|billed| {
        let billed = BilledPeriod {
            given_back: vec![&year],
            ..billed.clone()
        };
        (billed.by_latest(bills.first()), billed.is_owed(&bills))
    });
    assert_eq!(judged, (Verdict::Paid, false));
}

/// 28800 were paid, of which the month took 3000 and the second year the rest. Where less is left of it than the month gave back, so much less is left
/// of the month, and so of the year.
#[test]
fn what_a_change_took_along_is_no_more_than_is_left_of_it() {
    for (back, left) in [
        (vec![("in_again", 800)], Some(28_000)),
        (vec![("in_year", 1000)], Some(27_800)),
        (vec![("in_year", 1000), ("in_again", 800)], Some(27_000)),
        (vec![("in_year", 28_799)], Some(1)),
        (vec![("in_march", 2000)], None),
        (vec![], None),
    ] {
        let back: Vec<(InvoiceId, i64)> = back
            .into_iter()
            .map(|(invoice, back)| (invoice.parse().unwrap(), back))
            .collect();
        let is_overdrawn_by = |credit| {
            judged_again(|billed| {
                let billed = BilledPeriod {
                    given_back_in_part: back.iter().map(|(invoice, back)| (invoice, *back)).collect(),
                    ..billed.clone()
                };
                billed.is_overdrawn_by(credit, &back_and_forth())
            })
        };
        match left {
            Some(left) => assert_eq!(
                (is_overdrawn_by(left), is_overdrawn_by(left + 1)),
                (false, true),
                "{back:?}"
            ),
            None => assert!(!is_overdrawn_by(100_000), "{back:?}"),
        }
    }
}

/// The second year's own bill is the only one since it began.
#[test]
fn earlier_bills_are_read_where_one_of_them_went_back_and_was_taken_along() {
    let bills = back_and_forth();
    let own = &bills[..1];
    let renewed = [TimeBill {
        credits: vec![],
        ..bills[0].clone()
    }];
    for (invoice, bills, stands) in [
        ("in_year", own, true),
        ("in_again", own, false),
        ("in_year", &bills[..], false),
        ("in_year", &renewed[..], false),
    ] {
        let invoice: InvoiceId = invoice.parse().unwrap();
        for in_part in [false, true] {
            let told = judged_again(|billed| {
                let billed = if in_part {
                    BilledPeriod {
                        given_back_in_part: vec![(&invoice, 1)],
                        ..billed.clone()
                    }
                } else {
                    BilledPeriod {
                        given_back: vec![&invoice],
                        ..billed.clone()
                    }
                };
                billed.stands_on_earlier(bills)
            });
            assert_eq!(told, stands, "{invoice} {in_part}");
        }
    }
}

/// A month instead of the last of a year, which ends on the same day.
#[test]
fn a_month_that_ends_with_the_year_took_along_what_was_left_of_the_year() {
    let mut bills = back_and_forth();
    let year = Period {
        start: at("2025-06-02T00:00:00Z"),
        end: at("2026-06-02T00:00:00Z"),
    };
    bills[2].charges[0].period = year;
    bills[2].created_at = year.start;
    bills[1].credits[0].ends_at = year.end;
    let month = bills[1].charges[0].period;
    let invoice: InvoiceId = "in_year".parse().unwrap();
    let all = bills[1].credits[0].minor;
    // Less was taken along than is left: what went back was not of that.
    for (along, credit, overdrawn) in [(all, 2000, false), (all, 2001, true), (1500, 2001, false)] {
        bills[1].credits[0].minor = along;
        let told = judged(3, |billed| {
            let billed = BilledPeriod {
                period: month,
                given_back_in_part: vec![(&invoice, 1000)],
                ..billed.clone()
            };
            billed.is_overdrawn_by(credit, &bills[1..])
        });
        assert_eq!(told, overdrawn, "{credit}");
    }
}
