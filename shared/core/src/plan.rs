//! What is for sale to an account: one recurring price per interval, billed per phone number.
//!
//! Amounts are not here: Stripe's prices carry them, and the engine that bills is the one that is asked.

use std::fmt;

use serde::{Deserialize, Serialize};

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

impl Interval {
    /// The word of the API: `monthly` or `annual`, nothing else.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "monthly" => Some(Self::Monthly),
            "annual" => Some(Self::Annual),
            _ => None,
        }
    }

    /// The interval behind Stripe's `recurring.interval` and `recurring.interval_count`; none for one that is not sold here.
    #[must_use]
    pub fn from_recurring(unit: &str, count: u64) -> Option<Self> {
        match (unit, count) {
            ("month", 1) => Some(Self::Monthly),
            ("year", 1) | ("month", 12) => Some(Self::Annual),
            _ => None,
        }
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
}
