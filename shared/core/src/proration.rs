//! The share of a period that lies after an instant, to the second, and what it costs.
//!
//! # How it works
//! Each line is rounded on its own toward negative infinity: a charge of 4.5 is 4, a credit of 2.5 is −3. Totals are sums of what
//! was rounded. A credit is never more than what was billed for that time, so rounding gives nothing away twice. Stripe's engine
//! does the same, and a quote of ours must be its charge.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::money::round_down;
use crate::period::Period;

/// Seconds of a day that is not told by a calendar.
const DAY_SECS: i64 = 86_400;

/// How much of a period is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    left_secs: i64,
    whole_secs: i64,
}

/// An instant outside the period that is to be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is outside of the period from {} to {}", .0.start, .0.end)]
pub struct OutsidePeriod(pub Period);

/// What was billed for a period of a product, and what it was a share of: what a later credit may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// The price of the full period, in minor units.
    pub full: i64,
    /// What was billed, in minor units: all of it, or a share.
    pub billed: i64,
}

/// The days of a share, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Days from the change to the period's end; one that has begun counts.
    pub days_remaining: i64,
    /// Days of the period.
    pub days_total: i64,
}

impl Share {
    /// From `from`, to the second, to the end of a period. Both of the period's ends belong to it.
    pub fn of(period: Period, from: Timestamp) -> Result<Self, OutsidePeriod> {
        Self::between(period, from, period.end)
    }

    /// From `from` to `until`, to the second, of a period. Both of the period's ends belong to it.
    pub fn between(period: Period, from: Timestamp, until: Timestamp) -> Result<Self, OutsidePeriod> {
        let (start, end) = (period.start.as_second(), period.end.as_second());
        let (from, until) = (from.as_second(), until.as_second());
        if start == end || !(start..=until).contains(&from) || until > end {
            return Err(OutsidePeriod(period));
        }
        Ok(Self {
            left_secs: until - from,
            whole_secs: end - start,
        })
    }

    /// Whether it is all of the period.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.left_secs == self.whole_secs
    }

    /// The share of an amount, rounded toward negative infinity.
    #[must_use]
    pub fn part(&self, full: i64) -> i64 {
        let parts = i128::from(full) * i128::from(self.left_secs);
        // No share is more than the whole, so it fits where the whole did.
        round_down(parts, i128::from(self.whole_secs)).unwrap_or(full)
    }

    /// The share of what a full period cost, as a negative amount; but no more than was billed.
    #[must_use]
    pub fn credit(&self, charged: Charged) -> i64 {
        self.part(-charged.full).max(-charged.billed)
    }

    /// The same in days.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        let days = |secs: i64| secs.div_euclid(DAY_SECS) + i64::from(secs.rem_euclid(DAY_SECS) > 0);
        Explanation {
            days_remaining: days(self.left_secs),
            days_total: days(self.whole_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(start: &str, end: &str) -> Period {
        Period {
            start: format!("{start}T00:00:00Z").parse().unwrap(),
            end: format!("{end}T00:00:00Z").parse().unwrap(),
        }
    }

    fn share(from: &str) -> Share {
        Share::of(period("2026-11-01", "2026-12-01"), from.parse().unwrap()).unwrap()
    }

    fn whole(amount: i64) -> Charged {
        Charged {
            full: amount,
            billed: amount,
        }
    }

    /// 30 days, of which 20 are left: two thirds of 10.00 are 6.66, given back 6.67; half of 9 is 4, of 5 given back 3.
    #[test]
    fn a_charge_is_rounded_down_and_a_credit_up() {
        let two_thirds = share("2026-11-11T00:00:00Z");
        assert_eq!(two_thirds.part(1000), 666);
        assert_eq!(two_thirds.credit(whole(1000)), -667);
        let half = share("2026-11-16T00:00:00Z");
        assert_eq!((half.part(9), half.credit(whole(5))), (4, -3));
    }

    /// Two thirds of 50.00 were billed as 33.33; the same two thirds given back would be 33.34.
    #[test]
    fn a_credit_is_never_more_than_what_was_billed() {
        let two_thirds = share("2026-11-11T00:00:00Z");
        let billed = Charged {
            full: 5000,
            billed: 3333,
        };
        assert_eq!(two_thirds.credit(billed), -3333);
    }

    /// A second before the end, a month of 25920.00 leaves one cent: 2592000 seconds.
    #[test]
    fn a_second_counts_and_a_fraction_of_one_does_not() {
        assert_eq!(share("2026-11-30T23:59:59Z").part(2_592_000), 1);
        assert_eq!(share("2026-11-30T23:59:59.999Z").part(2_592_000), 1);
        assert_eq!(share("2026-12-01T00:00:00Z").part(2_592_000), 0);
        assert!(share("2026-11-01T00:00:00Z").is_whole());
    }

    #[test]
    fn an_instant_outside_of_the_period_has_no_share() {
        let november = period("2026-11-01", "2026-12-01");
        for outside in ["2026-10-31T23:59:59Z", "2026-12-01T00:00:01Z"] {
            assert!(
                Share::of(november, outside.parse().unwrap()).is_err(),
                "{outside}"
            );
        }
        let empty = period("2026-11-01", "2026-11-01");
        assert!(Share::of(empty, empty.start).is_err());
    }

    #[test]
    fn a_day_that_has_begun_is_explained_as_a_day() {
        for (from, days_remaining) in [
            ("2026-11-01T00:00:00Z", 30),
            ("2026-11-11T00:00:00Z", 20),
            ("2026-11-11T00:00:01Z", 20),
            ("2026-11-30T23:59:59Z", 1),
            ("2026-12-01T00:00:00Z", 0),
        ] {
            let explained = share(from).explanation();
            let days_total = 30;
            assert_eq!(
                explained,
                Explanation {
                    days_remaining,
                    days_total
                },
                "{from}"
            );
        }
    }

    proptest! {
        /// Split into several shares, a period comes to what it was, less at most one minor unit for each of them.
        #[test]
        fn splitting_a_period_loses_at_most_a_unit_a_line(
            full in 0_i64..=i64::MAX,
            length in 1_i64..40_000_000,
            mut cuts in prop::collection::vec(0_i64..1000, 0..6),
        ) {
            cuts.sort_unstable();
            let start = Timestamp::from_second(1_793_491_200).unwrap();
            let at = |secs: i64| start + jiff::SignedDuration::from_secs(secs);
            let all = Period { start, end: at(length) };
            let mut bounds: Vec<i64> = cuts.iter().map(|cut| cut * length / 1000).collect();
            bounds.insert(0, 0);
            bounds.push(length);
            let parts: Vec<i64> = bounds
                .windows(2)
                .map(|pair| Share { left_secs: pair[1] - pair[0], whole_secs: length }.part(full))
                .collect();
            prop_assert_eq!(Share::of(all, start).unwrap().part(full), full);
            let lost = i128::from(full) - parts.iter().copied().map(i128::from).sum::<i128>();
            prop_assert!((0..=i128::try_from(parts.len()).unwrap()).contains(&lost), "{} lost", lost);
        }

        /// Undone at the same instant, what was charged is given back, and what was given back is charged again, less the
        /// fraction of a minor unit that is rounded down once in each direction.
        #[test]
        fn a_change_and_its_undo_come_to_nothing_but_a_rounded_fraction(
            (old, new) in (0_i64..=i64::MAX, 0_i64..=i64::MAX),
            length in 1_i64..40_000_000,
            left in 0_i64..40_000_000,
        ) {
            let share = Share { left_secs: left.min(length), whole_secs: length };
            let charge = share.part(new);
            let billed = Charged { full: new, billed: charge };
            prop_assert_eq!(charge + share.credit(billed), 0);
            let credit = share.credit(whole(old));
            let again = share.part(old);
            let is_whole = i128::from(old) * i128::from(share.left_secs) % i128::from(length) == 0;
            prop_assert_eq!(credit + again, if is_whole { 0 } else { -1 });
        }

        #[test]
        fn a_credit_is_between_nothing_and_what_was_billed(
            full in 0_i64..=i64::MAX,
            billed in 0_i64..=i64::MAX,
            length in 1_i64..40_000_000,
            left in 0_i64..40_000_000,
        ) {
            let share = Share { left_secs: left.min(length), whole_secs: length };
            let credit = share.credit(Charged { full, billed });
            prop_assert!(credit <= 0 && credit >= -billed && credit >= -full);
        }
    }
}
