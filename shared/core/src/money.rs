//! Money: whole minor units of a currency that knows its exponent.
//!
//! Amounts are `i64`. What is computed of them is exact (`i128`) and becomes an amount by one of two named roundings:
//! `round_half_away` for what something costs, `round_down` for a share of it. No floats, ever.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 code in Stripe's spelling: three lower-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// What is wrong with as many as come to more than Stripe charges at once.
pub const UNCHARGEABLE: &str = "comes to more than can be charged at once";

/// What is wrong with as few as come to less than Stripe charges at once.
pub const TOO_LITTLE: &str = "comes to less than can be charged at once";

/// A text that is no currency code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a currency code")]
pub struct NotACurrency;

impl Currency {
    /// The code in lower case, as Stripe writes it.
    #[must_use]
    pub fn code(&self) -> &str {
        // Only ASCII letters get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimal places a minor unit stands behind: 0 for JPY, 2 for USD, 3 for KWD.
    ///
    /// Source: Stripe's lists of zero-decimal and three-decimal currencies, which differ from ISO 4217 (ISK and UGX are
    /// charged in two decimals there).
    #[must_use]
    pub fn exponent(&self) -> u32 {
        match &self.0 {
            b"bif" | b"clp" | b"djf" | b"gnf" | b"jpy" | b"kmf" | b"krw" | b"mga" | b"pyg" | b"rwf"
            | b"vnd" | b"vuv" | b"xaf" | b"xof" | b"xpf" => 0,
            b"bhd" | b"jod" | b"kwd" | b"omr" | b"tnd" => 3,
            _ => 2,
        }
    }

    /// The most that Stripe charges at once, in minor units, whatever the currency. A payment method's own limit may be lower, which Stripe alone
    /// knows.
    ///
    /// Source: Stripe's page on currencies: twelve digits for most cards; of other payment methods twelve in IDR, ten in COP, nine in INR, and eight in
    /// every other.
    pub(crate) const MOST_CHARGED: i64 = 999_999_999_999;

    /// The least that Stripe charges at once, in minor units. It is held to where the money is settled, in another currency perhaps: there,
    /// and of a currency that Stripe lists no least of, what it is depends on the day.
    ///
    /// Source: Stripe's page on currencies.
    #[must_use]
    pub fn least_charged(&self) -> i64 {
        match &self.0 {
            b"usd" | b"ars" | b"aud" | b"brl" | b"cad" | b"chf" | b"cop" | b"eur" | b"idr" | b"ils"
            | b"inr" | b"jpy" | b"krw" | b"nzd" | b"php" | b"rub" | b"sgd" | b"zar" => 50,
            b"gbp" => 30,
            b"aed" | b"myr" | b"pln" | b"ron" => 200,
            b"dkk" => 250,
            b"nok" | b"sek" => 300,
            b"hkd" => 400,
            b"mxn" | b"thb" => 1_000,
            b"czk" => 1_500,
            b"huf" => 17_500,
            _ => 1,
        }
    }

    /// Of what an amount has to be a multiple to be charged, in minor units: tenths of a krona cannot be, nor single thousandths of a
    /// dinar. What Stripe makes of a bill that is no such multiple, it says of one currency only.
    ///
    /// Source: Stripe's page on currencies, three-decimal currencies and special cases. HUF and TWD are whole in payouts alone.
    #[must_use]
    pub fn granule(&self) -> i64 {
        match &self.0 {
            b"isk" | b"ugx" => 100,
            b"bhd" | b"jod" | b"kwd" | b"omr" | b"tnd" => 10,
            _ => 1,
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = NotACurrency;
    fn try_from(text: String) -> Result<Self, NotACurrency> {
        text.parse()
    }
}

impl std::str::FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| NotACurrency)?;
        if code.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(code.map(|letter| letter.to_ascii_lowercase())))
        } else {
            Err(NotACurrency)
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

/// An amount of money; negative for a credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Whole minor units (cents of a dollar, yen, thousandths of a dinar).
    pub minor: i64,
    /// What the minor units are of.
    pub currency: Currency,
}

impl fmt::Display for Money {
    /// For people: `30.00 USD`, `3000 JPY`, `3.000 KWD`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(self.currency.exponent());
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        let code = self.currency.code().to_ascii_uppercase();
        match usize::try_from(self.currency.exponent()) {
            Ok(0) | Err(_) => write!(out, "{sign}{minor} {code}"),
            Ok(places) => write!(out, "{sign}{}.{:0places$} {code}", minor / unit, minor % unit),
        }
    }
}

/// An amount beyond what an `i64` of minor units holds, on the way or at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is too large")]
pub struct TooLarge;

/// A fraction of minor units, rounded to the nearest whole one, and a half away from zero. `whole` is above zero.
pub fn round_half_away(parts: i128, whole: i128) -> Result<i64, TooLarge> {
    let (quotient, rest) = (parts / whole, parts % whole);
    let up = rest.unsigned_abs() >= whole.unsigned_abs().div_ceil(2);
    i64::try_from(quotient + if up { rest.signum() } else { 0 }).map_err(|_| TooLarge)
}

/// A fraction of minor units, rounded toward negative infinity. `whole` is above zero.
pub fn round_down(parts: i128, whole: i128) -> Result<i64, TooLarge> {
    i64::try_from(parts.div_euclid(whole)).map_err(|_| TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_rounded_away_from_zero_and_a_share_down() {
        for (parts, whole, nearest, down) in [
            (5, 2, 3, 2),
            (-5, 2, -3, -3),
            (7, 3, 2, 2),
            (-7, 3, -2, -3),
            (8, 3, 3, 2),
            (-8, 3, -3, -3),
            (6, 3, 2, 2),
            (0, 3, 0, 0),
            (1, 3, 0, 0),
            (-1, 3, 0, -1),
        ] {
            assert_eq!(round_half_away(parts, whole), Ok(nearest), "{parts}/{whole}");
            assert_eq!(round_down(parts, whole), Ok(down), "{parts}/{whole}");
        }
        assert_eq!(round_half_away(i128::MAX, 2), Err(TooLarge));
        assert_eq!(round_down(i128::MIN, 2), Err(TooLarge));
    }

    fn money(minor: i64, code: &str) -> String {
        Money {
            minor,
            currency: code.parse().unwrap(),
        }
        .to_string()
    }

    #[test]
    fn an_amount_is_told_in_its_currencys_decimals() {
        assert_eq!(money(3000, "usd"), "30.00 USD");
        assert_eq!(money(-5, "USD"), "-0.05 USD");
        assert_eq!(money(3000, "jpy"), "3000 JPY");
        assert_eq!(money(3001, "kwd"), "3.001 KWD");
        assert_eq!(money(i64::MIN, "jpy"), "-9223372036854775808 JPY");
    }

    /// Half a dollar, thirty pence, fifty yen, 175 forint; of a krona and a dinar only whole ones and hundredths.
    #[test]
    fn a_currency_knows_what_is_charged_of_it() {
        for (code, least, granule) in [
            ("usd", 50, 1),
            ("gbp", 30, 1),
            ("jpy", 50, 1),
            ("huf", 17_500, 1),
            ("twd", 1, 1),
            ("isk", 1, 100),
            ("ugx", 1, 100),
            ("kwd", 1, 10),
        ] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!(
                (currency.least_charged(), currency.granule()),
                (least, granule),
                "{code}"
            );
        }
    }

    /// As Stripe lists them: those without decimals, those with three, and the least that is charged of one.
    #[test]
    fn every_currency_of_stripes_lists_is_known() {
        let listed = |codes: &'static str| codes.split(' ').map(|code| code.parse::<Currency>().unwrap());
        for currency in listed("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf") {
            assert_eq!((currency.exponent(), currency.granule()), (0, 1), "{currency}");
        }
        for currency in listed("bhd jod kwd omr tnd") {
            assert_eq!((currency.exponent(), currency.granule()), (3, 10), "{currency}");
        }
        for (codes, least) in [
            (
                "usd ars aud brl cad chf cop eur idr ils inr jpy krw nzd php rub sgd zar",
                50,
            ),
            ("gbp", 30),
            ("aed myr pln ron", 200),
            ("dkk", 250),
            ("nok sek", 300),
            ("hkd", 400),
            ("mxn thb", 1_000),
            ("czk", 1_500),
            ("huf", 17_500),
        ] {
            for currency in listed(codes) {
                assert_eq!(currency.least_charged(), least, "{currency}");
            }
        }
    }

    #[test]
    fn a_code_is_three_letters() {
        for bad in ["", "us", "usdd", "u1d", "€€€"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}
