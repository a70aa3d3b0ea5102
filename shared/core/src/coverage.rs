//! Coverage: the periods an account has paid for.
//!
//! The ledger holds one entry for each paid invoice line that grants service; only a landing fact ([`crate::landing`]) adds
//! one. Everything else (until when, how many numbers) is derived here when it is asked for. Credits are not entries: money
//! given back is Stripe's balance, not a period of service.
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
}

/// What is covered at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The end of the unbroken run of paid periods.
    pub until: Timestamp,
    /// How many units are covered now.
    pub quantity: u64,
}

/// What the ledger covers at `now`; none when nothing is. A period that ended less than `grace` ago still counts, so that
/// service does not blink while a renewal's payment is under way; `until` stays the end that was paid for.
#[must_use]
pub fn covered(ledger: &[Entry], now: Timestamp, grace: SignedDuration) -> Option<Coverage> {
    let served_until = |entry: &Entry| entry.period.end.saturating_add(grace).unwrap_or(Timestamp::MAX);
    let current = || {
        ledger
            .iter()
            .filter(|entry| entry.period.start <= now && now < served_until(entry))
    };
    let quantity = current().map(|entry| entry.quantity).max()?;
    let mut until = current().map(|entry| entry.period.end).max()?;
    // Each round extends the run over one more period that touches it; a ledger is a few dozen entries.
    while let Some(later) = ledger
        .iter()
        .filter(|entry| entry.period.start <= until && entry.period.end > until)
        .map(|entry| entry.period.end)
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

    #[test]
    fn the_largest_quantity_paid_for_now_counts() {
        let (april, may) = (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"));
        let ledger = [entry(april, may, 3), entry(at("2026-04-11T00:00:00Z"), may, 4)];
        let quantity = |now| covered(&ledger, at(now), NO_GRACE).unwrap().quantity;
        assert_eq!(quantity("2026-04-10T00:00:00Z"), 3);
        assert_eq!(quantity("2026-04-11T00:00:00Z"), 4);
    }

    proptest! {
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
