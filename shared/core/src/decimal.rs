//! Exact decimal numbers: quantities, amounts for one unit, percentages.
//!
//! # How it works
//! A number is an `i128` of its last decimal place, and the number of places is part of its type: two kinds of number cannot be
//! mixed up, and nothing is ever rounded by reading, writing or storing it. A whole number is written as an integer and a
//! fraction as a decimal string (`5`, `"0.25"`); both are read. A floating-point number is refused: it has lost what was meant.

use std::fmt;
use std::num::NonZeroU64;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The most digits before the point.
const MOST_WHOLE_DIGITS: usize = 15;

/// A number with up to `PLACES` decimals.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const PLACES: u32>(i128);

/// How many of something: whole for what is counted, up to six decimals for what is metered.
pub type Quantity = Decimal<6>;

/// What one unit costs, in minor units with up to twelve decimals. Source: Stripe's `unit_amount_decimal`.
pub type UnitAmount = Decimal<12>;

/// A text or number that is no such decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADecimal {
    /// Something else than digits and a point.
    #[error("not a decimal number")]
    Malformed,
    /// More decimals than are kept.
    #[error("more than {places} decimals")]
    TooFine {
        /// How many are.
        places: u32,
    },
    /// More digits before the point than are kept.
    #[error("more than 15 digits")]
    TooLarge,
}

impl<const PLACES: u32> Decimal<PLACES> {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// One whole, in units of the last place.
    pub const ONE: i128 = 10_i128.pow(PLACES);

    /// A number without decimals.
    #[must_use]
    pub fn whole(number: i64) -> Self {
        // 19 digits and 12 places are within the 38 of an `i128`.
        Self(i128::from(number) * Self::ONE)
    }

    /// The number in units of its last place.
    #[must_use]
    pub fn scaled(self) -> i128 {
        self.0
    }

    /// The whole number that it is, if it is one.
    #[must_use]
    pub fn as_whole(self) -> Option<i64> {
        (self.0 % Self::ONE == 0)
            .then(|| i64::try_from(self.0 / Self::ONE).ok())
            .flatten()
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// What is left when something is taken away; nothing when that is more.
    #[must_use]
    pub fn less(self, taken: Self) -> Self {
        // Both have at most 19 + 12 digits: their difference cannot overflow.
        Self((self.0 - taken.0).max(0))
    }

    /// So many times as much; the most there is when it is beyond counting.
    #[must_use]
    pub fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(factor)))
    }

    /// Both together; the most there is when they are beyond counting.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// One of so many equal parts, to the last place, a half away from zero.
    #[must_use]
    pub fn share(self, of: NonZeroU64) -> Self {
        let parts = i128::from(of.get());
        let (quotient, rest) = (self.0 / parts, self.0 % parts);
        let up = rest.unsigned_abs() >= parts.unsigned_abs().div_ceil(2);
        Self(quotient + if up { rest.signum() } else { 0 })
    }

    /// How many packages of a size hold it, rounded up. The size is above zero.
    #[must_use]
    pub fn packages_of(self, size: Self) -> i128 {
        let (packages, rest) = (self.0.div_euclid(size.0), self.0.rem_euclid(size.0));
        packages + i128::from(rest > 0)
    }
}

impl<const PLACES: u32> std::str::FromStr for Decimal<PLACES> {
    type Err = NotADecimal;
    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = match digits.split_once('.') {
            Some((_, "")) => return Err(NotADecimal::Malformed),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
            return Err(NotADecimal::Malformed);
        }
        if whole.trim_start_matches('0').len() > MOST_WHOLE_DIGITS {
            return Err(NotADecimal::TooLarge);
        }
        let decimals = decimals.trim_end_matches('0');
        let missing = u32::try_from(decimals.len())
            .ok()
            .and_then(|given| PLACES.checked_sub(given))
            .ok_or(NotADecimal::TooFine { places: PLACES })?;
        let number = |part: &str| match part {
            "" => Ok(0),
            digits => digits.parse::<i128>().map_err(|_| NotADecimal::Malformed),
        };
        let magnitude = number(whole)? * Self::ONE + number(decimals)? * 10_i128.pow(missing);
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl<const PLACES: u32> fmt::Display for Decimal<PLACES> {
    /// The shortest text that means it: `5`, `0.25`, `-3.5`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let one = Self::ONE.unsigned_abs();
        let (whole, rest) = (magnitude / one, magnitude % one);
        if rest == 0 {
            return write!(out, "{sign}{whole}");
        }
        let places = usize::try_from(PLACES).unwrap_or_default();
        let decimals = format!("{rest:0>places$}");
        write!(out, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl<const PLACES: u32> fmt::Debug for Decimal<PLACES> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_whole() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de, const PLACES: u32> Deserialize<'de> for Decimal<PLACES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads integers and decimal strings.
struct Reader<const PLACES: u32>;

impl<const PLACES: u32> Visitor<'_> for Reader<PLACES> {
    type Value = Decimal<PLACES>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "a whole number, or a string with at most {PLACES} decimals (\"0.5\")"
        )
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        // As many digits as a text may have, so that what is written can be read.
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map_err(|fault| match fault {
            NotADecimal::Malformed => E::invalid_value(Unexpected::Str(text), &self),
            fault => E::custom(fault),
        })
    }
}

/// A share of a hundred, with up to four decimals, never below zero. Written as a decimal string: `"12.5"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Decimal<4>")]
pub struct Percentage(Decimal<4>);

/// A number that is no percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 0 or more")]
pub struct Negative;

impl Percentage {
    /// A hundred percent, in the units of [`Self::ten_thousandths`].
    pub const WHOLE: i128 = 1_000_000;

    /// The percentage in units of its last place.
    #[must_use]
    pub fn ten_thousandths(self) -> i128 {
        self.0.scaled()
    }
}

impl TryFrom<Decimal<4>> for Percentage {
    type Error = Negative;
    fn try_from(number: Decimal<4>) -> Result<Self, Negative> {
        if number.is_negative() {
            Err(Negative)
        } else {
            Ok(Self(number))
        }
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Debug for Percentage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}%", self.0)
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_is_read_and_written_exactly() {
        for text in [
            "0",
            "1000",
            "0.5",
            "12.345",
            "-3.25",
            "0.000000000001",
            "999999999999999",
        ] {
            assert_eq!(text.parse::<UnitAmount>().unwrap().to_string(), text);
        }
        assert_eq!("010.50".parse::<Quantity>().unwrap().to_string(), "10.5");
        for text in [
            "", ".5", "5.", "1e3", "--1", "+1", "1,5", " 1", "-", "-.1", "½", "1.2.3", "1.+5", "1.-5",
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(NotADecimal::Malformed), "{text:?}");
        }
        assert_eq!(
            "0.0000001".parse::<Quantity>(),
            Err(NotADecimal::TooFine { places: 6 })
        );
        assert_eq!("1000000000000000".parse::<Quantity>(), Err(NotADecimal::TooLarge));
    }

    #[test]
    fn what_is_taken_away_leaves_nothing_below_zero() {
        let of = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(of("5").less(of("2.5")), of("2.5"));
        assert_eq!(of("2").less(of("5")), Quantity::ZERO);
    }

    /// The last place is a millionth.
    #[test]
    fn a_share_is_rounded_to_the_last_place_a_half_away_from_zero() {
        for (whole, parts, share) in [
            ("1", 3, "0.333333"),
            ("2", 3, "0.666667"),
            ("-2", 3, "-0.666667"),
            ("0.000001", 2, "0.000001"),
            ("6", 3, "2"),
        ] {
            let shared = whole.parse::<Quantity>().unwrap();
            let shared = shared.share(NonZeroU64::new(parts).unwrap());
            assert_eq!(shared.to_string(), share, "{whole}/{parts}");
        }
    }

    #[test]
    fn a_package_that_is_begun_counts() {
        let of = |text: &str| text.parse::<Quantity>().unwrap();
        let ten = of("10");
        for (quantity, packages) in [("0", 0), ("1", 1), ("10", 1), ("10.000001", 2), ("25", 3)] {
            assert_eq!(of(quantity).packages_of(ten), packages, "{quantity}");
        }
    }

    #[test]
    fn a_percentage_is_not_negative() {
        assert_eq!(
            Percentage::try_from("-0.1".parse::<Decimal<4>>().unwrap()),
            Err(Negative)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(scaled in -1_000_000_000_000_000_i128..1_000_000_000_000_000) {
            let number: Quantity = Decimal(scaled);
            prop_assert_eq!(number.to_string().parse::<Quantity>(), Ok(number));
        }
    }
}
