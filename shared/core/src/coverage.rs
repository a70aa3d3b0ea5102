//! Coverage: the periods an account has paid for.
//!
//! The ledger holds one entry for each paid invoice line that grants service; only a landing fact ([`crate::landing`]) adds
//! one. Everything else (until when, how many numbers) is derived here when it is asked for.
//!
//! Credits are not entries: they are told by the entries of the invoice that gives the money back. What money was given back
//! for is covered no longer: a year that is changed to months after a quarter has covered a quarter. Nothing that was written
//! is written again; the earlier entry stays as it was paid for, and is ended by the later one. Invoices that were refunded are
//! [`crate::reversal`]'s.
//!
//! # If it fails half-way
//! The key of an entry is the invoice line, so landing an invoice again adds nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::{InvoiceId, LineId};
use crate::money::Money;
use crate::period::Period;

/// One paid line of one invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The invoice that was paid.
    pub invoice: InvoiceId,
    /// Its line.
    pub line: LineId,
    /// The period that the line bills for.
    pub period: Period,
    /// Units covered.
    pub quantity: u64,
    /// What the line came to, before discounts and tax.
    pub amount: Money,
    /// What the invoice gives money back for; told by the first of its entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gives_back: Vec<GivenBack>,
}

/// How many ledger entries one transaction adds at most: DynamoDB takes 100 items, and the others need room.
const MOST_ENTRIES: usize = 90;

/// Of lines that were paid, those that a ledger does not have yet, as many as one transaction takes; and whether there are more.
pub(crate) fn new_entries(ledger: &[Entry], paid: Vec<Entry>) -> (Vec<Entry>, bool) {
    let is_known = |entry: &Entry| {
        ledger
            .iter()
            .any(|known| known.invoice == entry.invoice && known.line == entry.line)
    };
    let mut entries: Vec<Entry> = paid.into_iter().filter(|entry| !is_known(entry)).collect();
    let more = entries.len() > MOST_ENTRIES;
    entries.truncate(MOST_ENTRIES);
    (entries, more)
}

/// Time that was paid for before, and that an invoice credits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    /// From when on it is not covered any more.
    pub from: Timestamp,
    /// The line that had charged it; where Stripe does not name it, whatever began before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
}

/// What is covered at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The end of the unbroken run of paid periods.
    pub until: Timestamp,
    /// How many units are covered now.
    pub quantity: u64,
}

impl Entry {
    /// The period that is left of an entry, after what later invoices gave money back for; where nothing is, it ends before it begins.
    fn left(&self, ledger: &[Self]) -> Period {
        let ends = ledger.iter().flat_map(|by| {
            by.gives_back
                .iter()
                .filter(|credit| credit.is_for(self))
                .map(|credit| credit.from)
        });
        let end = ends.fold(self.period.end, Timestamp::min);
        Period { end, ..self.period }
    }
}

impl GivenBack {
    /// Whether money is given back for an entry. It may be one of the same invoice: Stripe names the line of no charge that still waits
    /// for its bill, and bills it and its credit together. What an invoice charges in a credit's place begins with the credit.
    fn is_for(&self, entry: &Entry) -> bool {
        match &self.line {
            Some(line) => entry.line == *line,
            None => entry.period.start < self.from,
        }
    }
}

/// What the ledger covers at `now`; none when nothing is. A period that ended less than `grace` ago still counts, so that
/// service does not blink while a renewal's payment is under way; `until` stays the end that was paid for. A period that was
/// given back ends without grace.
#[must_use]
pub(crate) fn covered(ledger: &[Entry], now: Timestamp, grace: SignedDuration) -> Option<Coverage> {
    // Nothing to cover: the entry only says what was given back.
    let entries: Vec<(&Entry, Period)> = ledger
        .iter()
        .map(|entry| (entry, entry.left(ledger)))
        .filter(|(_, left)| left.start < left.end)
        .collect();
    let served_until = |entry: &Entry, left: &Period| {
        if left.end < entry.period.end {
            left.end
        } else {
            left.end.saturating_add(grace).unwrap_or(Timestamp::MAX)
        }
    };
    let current = || {
        entries
            .iter()
            .filter(|(entry, left)| left.start <= now && now < served_until(entry, left))
    };
    let quantity = current().map(|(entry, _)| entry.quantity).max()?;
    let mut until = current().map(|(_, left)| left.end).max()?;
    // Each round extends the run over one more period that touches it; a ledger is a few dozen entries.
    while let Some(later) = entries
        .iter()
        .filter(|(_, left)| left.start <= until && left.end > until)
        .map(|(_, left)| left.end)
        .max()
    {
        until = later;
    }
    Some(Coverage { until, quantity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(start: Timestamp, end: Timestamp, quantity: u64) -> Entry {
        Entry {
            invoice: "in_1".parse().unwrap(),
            line: "il_1".parse().unwrap(),
            period: Period { start, end },
            quantity,
            amount: Money {
                minor: 1000,
                currency: "usd".parse().unwrap(),
            },
            gives_back: vec![],
        }
    }

    /// The same, of another invoice, which gives money back from its start on.
    fn instead(entry: Entry, line: &str, credited: Option<&str>) -> Entry {
        Entry {
            invoice: format!("in_of_{line}").parse().unwrap(),
            line: line.parse().unwrap(),
            gives_back: vec![GivenBack {
                from: entry.period.start,
                line: credited.map(|line| line.parse().unwrap()),
            }],
            ..entry
        }
    }

    const NO_GRACE: SignedDuration = SignedDuration::ZERO;

    #[test]
    fn coverage_begins_with_the_period_and_ends_with_it_to_the_second() {
        let ledger = [entry(at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"), 3)];
        let until = |now| covered(&ledger, at(now), NO_GRACE).map(|coverage| coverage.until);
        assert_eq!(until("2026-03-31T23:59:59Z"), None);
        assert_eq!(until("2026-04-01T00:00:00Z"), Some(at("2026-05-01T00:00:00Z")));
        assert_eq!(until("2026-04-30T23:59:59Z"), Some(at("2026-05-01T00:00:00Z")));
        assert_eq!(until("2026-05-01T00:00:00Z"), None);
    }

    /// April and May touch, July does not: in April one is covered until June, in July until August.
    #[test]
    fn periods_that_touch_are_one_run_and_a_gap_ends_it() {
        let months = [
            "2026-04-01",
            "2026-05-01",
            "2026-06-01",
            "2026-07-01",
            "2026-08-01",
        ]
        .map(|day| at(&format!("{day}T00:00:00Z")));
        let ledger = [
            entry(months[3], months[4], 1),
            entry(months[1], months[2], 1),
            entry(months[0], months[1], 1),
        ];
        let until = |now| covered(&ledger, now, NO_GRACE).map(|coverage| coverage.until);
        assert_eq!(until(months[0]), Some(months[2]));
        assert_eq!(until(months[2]), None);
        assert_eq!(until(months[3]), Some(months[4]));
    }

    /// Two hours of grace: at 01:00 still served, paid until midnight all the same; at 02:00 no longer.
    #[test]
    fn grace_serves_a_little_longer_and_promises_nothing() {
        let ledger = [entry(at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"), 3)];
        let grace = SignedDuration::from_hours(2);
        assert_eq!(
            covered(&ledger, at("2026-05-01T01:00:00Z"), grace),
            Some(Coverage {
                until: at("2026-05-01T00:00:00Z"),
                quantity: 3
            })
        );
        assert_eq!(covered(&ledger, at("2026-05-01T02:00:00Z"), grace), None);
    }

    /// Five numbers of which three are given back on 11 April, with two hours of grace: two are covered from that second on. And a year that
    /// is given back in June by a bill that charges nothing: it has no grace, nor has what the bill says by itself.
    #[test]
    fn what_was_given_back_has_no_grace() {
        let (april, may) = (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
        let (change, june) = (at("2026-04-11T00:00:00Z"), at("2026-06-01T00:00:00Z"));
        let grace = SignedDuration::from_hours(2);
        let ledger = [
            entry(april, may, 5),
            instead(entry(change, may, 2), "il_2", Some("il_1")),
        ];
        assert_eq!(covered(&ledger, change, grace).unwrap().quantity, 2);
        let ledger = [
            entry(april, at("2027-04-01T00:00:00Z"), 3),
            instead(entry(june, june, 3), "il_2", Some("il_1")),
        ];
        assert_eq!(covered(&ledger, june, grace), None);
    }

    #[test]
    fn the_largest_quantity_paid_for_now_counts() {
        let (april, may) = (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
        let ledger = [entry(april, may, 3), entry(at("2026-04-11T00:00:00Z"), may, 4)];
        let quantity = |now| covered(&ledger, at(now), NO_GRACE).unwrap().quantity;
        assert_eq!(quantity("2026-04-10T00:00:00Z"), 3);
        assert_eq!(quantity("2026-04-11T00:00:00Z"), 4);
    }

    /// A year from April, changed to months on 1 June: April and May of the year, then June.
    #[test]
    fn a_year_that_was_given_back_covers_no_longer() {
        let (april, june, july) = (
            at("2026-04-01T00:00:00Z"),
            at("2026-06-01T00:00:00Z"),
            at("2026-07-01T00:00:00Z"),
        );
        let year = entry(april, at("2027-04-01T00:00:00Z"), 3);
        for credited in [Some("il_1"), None] {
            let ledger = [year.clone(), instead(entry(june, july, 3), "il_2", credited)];
            let until =
                |now| covered(&ledger, at(now), SignedDuration::from_hours(2)).map(|coverage| coverage.until);
            assert_eq!(until("2026-05-31T23:59:59Z"), Some(july));
            assert_eq!(until("2026-06-30T23:59:59Z"), Some(july));
            assert_eq!(until("2026-07-01T03:00:00Z"), None);
        }
    }

    /// A year of three from April, raised to five on 1 May by a share that waits for its bill, changed to months of five on 1 June. That
    /// bill credits the three, charges five, credits the five, whose line it does not name, and charges June: June is what is left.
    #[test]
    fn a_share_that_is_credited_by_the_bill_that_charges_it_ends_with_its_credit() {
        let [april, may, june, july] = ["2026-04-01", "2026-05-01", "2026-06-01", "2026-07-01"]
            .map(|day| at(&format!("{day}T00:00:00Z")));
        let year = at("2027-04-01T00:00:00Z");
        let mut share = instead(entry(may, year, 5), "il_2", Some("il_1"));
        share.gives_back.push(GivenBack {
            from: june,
            line: None,
        });
        let month = Entry {
            invoice: share.invoice.clone(),
            line: "il_3".parse().unwrap(),
            ..entry(june, july, 5)
        };
        let ledger = [entry(april, year, 3), share, month];
        let then = |now| covered(&ledger, now, NO_GRACE).map(|coverage| (coverage.until, coverage.quantity));
        assert_eq!(then(april), Some((july, 3)));
        assert_eq!(then(may), Some((july, 5)));
        assert_eq!(then(june), Some((july, 5)));
        assert_eq!(then(july), None);
    }

    /// Bought and changed within one second, and back again: the last one counts.
    #[test]
    fn what_is_given_back_at_once_never_covered_anything() {
        let (april, may) = (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
        let year = at("2027-04-01T00:00:00Z");
        let mut ledger = vec![
            entry(april, year, 3),
            instead(entry(april, may, 3), "il_2", Some("il_1")),
        ];
        assert_eq!(covered(&ledger, april, NO_GRACE).unwrap().until, may);
        ledger.push(instead(entry(april, year, 3), "il_3", Some("il_2")));
        assert_eq!(covered(&ledger, april, NO_GRACE).unwrap().until, year);
    }

    /// Three numbers, one of them given back on 11 April: two are covered from then on.
    #[test]
    fn fewer_numbers_are_covered_once_the_larger_quantity_was_given_back() {
        let (april, may) = (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
        let change = at("2026-04-11T00:00:00Z");
        let ledger = [
            entry(april, may, 3),
            instead(entry(change, may, 2), "il_2", Some("il_1")),
        ];
        let quantity = |now| covered(&ledger, at(now), NO_GRACE).unwrap().quantity;
        assert_eq!(quantity("2026-04-10T23:59:59Z"), 3);
        assert_eq!(quantity("2026-04-11T00:00:00Z"), 2);
    }

    proptest! {
        /// Whatever the order in which invoices land, and however often time was given back: nothing is covered beyond the last
        /// change's own period, and the last change's period is covered from its start to its end.
        #[test]
        fn the_last_change_is_what_is_covered(
            steps in proptest::collection::vec((0_i64..50, 1_i64..100), 1..8), named in proptest::bool::ANY, order in 0_usize..8
        ) {
            let second = |n| Timestamp::from_second(n).unwrap();
            let mut ledger: Vec<Entry> = Vec::new();
            let mut start = 0;
            for (n, (gap, length)) in steps.into_iter().enumerate() {
                // Stripe names no line only for very old invoices; then the second of the change has to tell.
                start += if named { gap } else { gap.max(1) };
                let end = ledger.last().map_or(start + length, |last| last.period.end.as_second().max(start) + length);
                let fresh = entry(second(start), second(end), 1);
                let credited = format!("il_of_{}", n.wrapping_sub(1));
                ledger.push(instead(fresh, &format!("il_of_{n}"), named.then_some(credited.as_str())));
            }
            let last = ledger.last().unwrap().period;
            let length = ledger.len();
            ledger.rotate_left(order % length);
            let until = |now| covered(&ledger, now, NO_GRACE).map(|coverage| coverage.until);
            prop_assert_eq!(until(last.start), Some(last.end));
            prop_assert_eq!(until(last.end), None);
        }

        /// Giving back covers nothing that was not covered before.
        #[test]
        fn giving_back_never_adds_coverage(
            spans in proptest::collection::vec((0_i64..100, 1_i64..50), 1..8), from in 0_i64..150, now in 0_i64..150
        ) {
            let second = |n| Timestamp::from_second(n).unwrap();
            let mut ledger: Vec<_> =
                spans.iter().map(|(start, length)| entry(second(*start), second(start + length), 1)).collect();
            let before = covered(&ledger, second(now), NO_GRACE);
            ledger.push(instead(entry(second(from), second(from), 0), "il_2", None));
            let after = covered(&ledger, second(now), NO_GRACE);
            prop_assert!(after.map(|coverage| coverage.until) <= before.map(|coverage| coverage.until));
            prop_assert!(after.is_none() || now < from || spans.iter().any(|(start, _)| *start >= from));
        }

        /// What is covered at `now` is covered at every instant from `now` until its end.
        #[test]
        fn a_promise_of_coverage_holds_until_its_end(
            spans in proptest::collection::vec((0_i64..100, 1_i64..50), 1..8), now in 0_i64..150, later in 0_i64..150
        ) {
            let second = |n| Timestamp::from_second(n).unwrap();
            let ledger: Vec<_> =
                spans.iter().map(|(start, length)| entry(second(*start), second(start + length), 1)).collect();
            if let Some(coverage) = covered(&ledger, second(now), NO_GRACE)
                && now <= later && second(later) < coverage.until
            {
                prop_assert_eq!(covered(&ledger, second(later), NO_GRACE).map(|then| then.until), Some(coverage.until));
            }
        }
    }
}
