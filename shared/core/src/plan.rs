//! What is for sale to an account: one recurring price per interval, billed per phone number.
//!
//! Amounts are not here: Stripe's prices carry them, and the engine that bills is the one that is asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use crate::calendar::{Anchor, Cadence};
use crate::id::PriceId;

/// How often a subscription is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Every calendar month.
    Monthly,
    /// Every calendar year.
    Annual,
}

/// A word for no interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be \"monthly\" or \"annual\"")]
pub struct NotAnInterval;

/// By the word of the API.
impl std::str::FromStr for Interval {
    type Err = NotAnInterval;
    fn from_str(word: &str) -> Result<Self, NotAnInterval> {
        match word {
            "monthly" => Ok(Self::Monthly),
            "annual" => Ok(Self::Annual),
            _ => Err(NotAnInterval),
        }
    }
}

impl Interval {
    /// The interval behind Stripe's `recurring.interval` and `recurring.interval_count`; none for one that is not sold here.
    #[must_use]
    pub fn from_recurring(unit: &str, count: u64) -> Option<Self> {
        match (unit, count) {
            ("month", 1) => Some(Self::Monthly),
            ("year", 1) | ("month", 12) => Some(Self::Annual),
            _ => None,
        }
    }

    /// Where the period ends that holds an instant, of those that are counted from an anchor. None beyond the calendar.
    #[must_use]
    pub fn period_end(self, anchor: Timestamp, instant: Timestamp) -> Option<Timestamp> {
        let cadence = match self {
            Self::Monthly => Cadence::P1M,
            Self::Annual => Cadence::P1Y,
        };
        let period = Anchor::of(anchor).period_at(cadence, instant).ok()?;
        Some(period.end)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Monthly => "monthly",
            Self::Annual => "annual",
        })
    }
}

/// The prices that are sold at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// Per number and month.
    pub monthly: PriceId,
    /// Per number and year.
    pub annual: PriceId,
}

impl Prices {
    /// The price of an interval.
    #[must_use]
    pub fn of(&self, interval: Interval) -> &PriceId {
        match interval {
            Interval::Monthly => &self.monthly,
            Interval::Annual => &self.annual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_a_year_or_twelve_months() {
        for (unit, count, interval) in [
            ("month", 1, Some(Interval::Monthly)),
            ("year", 1, Some(Interval::Annual)),
            ("month", 12, Some(Interval::Annual)),
            ("month", 3, None),
            ("year", 2, None),
            ("week", 1, None),
        ] {
            assert_eq!(Interval::from_recurring(unit, count), interval, "{count} {unit}");
        }
    }

    #[test]
    fn a_period_ends_where_its_anchor_says() {
        use Interval::{Annual, Monthly};
        for (interval, anchor, instant, end) in [
            (
                Monthly,
                "2026-04-01T00:00:00Z",
                "2026-04-01T00:00:00Z",
                "2026-05-01T00:00:00Z",
            ),
            (
                Monthly,
                "2026-01-31T10:00:00Z",
                "2026-02-28T10:00:00Z",
                "2026-03-31T10:00:00Z",
            ),
            (
                Monthly,
                "2026-02-28T10:00:00Z",
                "2026-02-28T10:00:00Z",
                "2026-03-28T10:00:00Z",
            ),
            (
                Annual,
                "2024-02-29T00:00:00Z",
                "2024-02-29T00:00:00Z",
                "2025-02-28T00:00:00Z",
            ),
            (
                Annual,
                "2026-04-01T00:00:00Z",
                "2026-04-11T00:00:00Z",
                "2027-04-01T00:00:00Z",
            ),
        ] {
            let at = |text: &str| text.parse::<Timestamp>().unwrap();
            assert_eq!(
                interval.period_end(at(anchor), at(instant)),
                Some(at(end)),
                "{anchor} {instant}"
            );
        }
    }
}
