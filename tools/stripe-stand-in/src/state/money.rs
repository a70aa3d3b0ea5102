//! Currencies and unit amounts. Whole minor units are `i64`; a unit amount may have twelve decimals more.
//!
//! What a quantity costs is worked out in [`crate::rules::pricing`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A three-letter currency code in lower case, as Stripe writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Currency(String);

impl Currency {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Currency {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let valid = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        valid.then(|| Self(text.to_ascii_lowercase())).ok_or(())
    }
}

/// An amount for one unit, in minor units with up to twelve decimals (`unit_amount_decimal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct UnitAmount {
    /// In units of 10⁻¹² of the minor unit.
    scaled: i128,
}

impl UnitAmount {
    /// One minor unit, scaled.
    pub(crate) const SCALE: i128 = 1_000_000_000_000;
    const DECIMALS: usize = 12;

    pub(crate) fn whole(minor: i64) -> Self {
        Self {
            scaled: i128::from(minor) * Self::SCALE,
        }
    }

    pub(crate) fn scaled(self) -> i128 {
        self.scaled
    }

    /// The amount as whole minor units, if it is whole: `unit_amount` is null otherwise.
    pub(crate) fn minor(self) -> Option<i64> {
        let whole = self.scaled % Self::SCALE == 0;
        whole
            .then(|| i64::try_from(self.scaled / Self::SCALE).ok())
            .flatten()
    }
}

impl fmt::Display for UnitAmount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.scaled < 0 { "-" } else { "" };
        let (whole, rest) = (self.scaled.abs() / Self::SCALE, self.scaled.abs() % Self::SCALE);
        if rest == 0 {
            return write!(formatter, "{sign}{whole}");
        }
        let decimals = format!("{rest:012}");
        write!(formatter, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for UnitAmount {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 || decimals.len() > Self::DECIMALS {
            return Err(());
        }
        if !all_digits(whole) || !all_digits(decimals) {
            return Err(());
        }
        let magnitude: i128 = format!("{whole}{decimals:0<width$}", width = Self::DECIMALS)
            .parse()
            .map_err(|_| ())?;
        Ok(Self {
            scaled: if negative { -magnitude } else { magnitude },
        })
    }
}

impl From<UnitAmount> for String {
    fn from(amount: UnitAmount) -> Self {
        amount.to_string()
    }
}

impl TryFrom<String> for UnitAmount {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|()| format!("not a decimal amount: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_amount_is_read_and_written_exactly() {
        for text in ["0", "1000", "0.5", "12.345", "-3.25", "0.000000000001"] {
            assert_eq!(text.parse::<UnitAmount>().unwrap().to_string(), text);
        }
        assert_eq!("10.50".parse::<UnitAmount>().unwrap().to_string(), "10.5");
        for text in ["", ".5", "1e3", "1.0000000000001", "--1", "+1", "1,5"] {
            assert!(text.parse::<UnitAmount>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fraction_of_a_minor_unit_has_no_whole_amount() {
        assert_eq!(UnitAmount::whole(1000).minor(), Some(1000));
        assert_eq!("0.5".parse::<UnitAmount>().unwrap().minor(), None);
    }
}
