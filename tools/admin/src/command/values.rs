//! Values as they are typed on the command line.

use billing_core::access::{Mode, Scope};
use billing_core::account::{NotAPhoneNumber, PhoneNumber};
use billing_core::contact::{Name, Unusable};
use billing_core::id::NumberId;
use billing_edge::Secret;
use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;

/// A phone number as it is typed: `+15551230001=front-desk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNumber {
    /// As dialled.
    pub number: PhoneNumber,
    /// What its owner calls it.
    pub nickname: Option<String>,
}

/// What of a number and its nickname cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    /// The number itself.
    #[error(transparent)]
    Number(#[from] NotAPhoneNumber),
    /// What follows `=`.
    #[error("the nickname is {0}")]
    Nickname(Unusable),
}

impl std::str::FromStr for NewNumber {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let (number, nickname) = match text.split_once('=') {
            Some((number, nickname)) => (number, Some(nickname)),
            None => (text, None),
        };
        Ok(Self {
            number: number.parse::<PhoneNumber>()?,
            nickname: nickname.map(name).transpose().map_err(NotANumber::Nickname)?,
        })
    }
}

/// A number's id is its digits.
pub(super) fn number(text: &str) -> Result<NumberId, &'static str> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "neither a telephone number (+15551230001) nor a number's id")
}

pub(super) fn mode(word: &str) -> Result<Mode, &'static str> {
    Mode::parse(word).ok_or("a mode is live or test")
}

pub(super) fn scope(name: &str) -> Result<Scope, &'static str> {
    Scope::parse(name).ok_or("a scope is billing:read or billing:write")
}

fn name(text: &str) -> Result<String, Unusable> {
    text.parse().map(|name: Name| name.as_str().to_owned())
}

/// Whoever impersonates is named in the log, which holds no e-mail addresses.
pub(super) fn impersonator(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("a name, not an address: it is logged".to_owned());
    }
    name(text).map_err(|wrong| wrong.to_string())
}

/// Nothing else is judged here: what is refused is printed.
pub(super) fn secret(text: &str) -> Result<Secret, &'static str> {
    match text.trim() {
        "" => Err("a secret is not empty"),
        text => Ok(Secret::new(text)),
    }
}

pub(super) fn address(text: &str) -> Result<String, &'static str> {
    let address = text.parse::<http::Uri>().ok();
    let is_whole = |address: &http::Uri| {
        let host = address.host().is_some_and(|host| !host.is_empty());
        host && matches!(address.scheme_str(), Some("http" | "https"))
    };
    match address.filter(is_whole) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must be an absolute URL, such as https://example.com or http://127.0.0.1:8000"),
    }
}

pub(super) fn instant(text: &str) -> Result<Timestamp, &'static str> {
    const FORM: &str = "a date is written 2027-01-31 or 2027-01-31T12:00:00Z";
    let pieces = Pieces::parse(text).map_err(|_| FORM)?;
    let instant = match (pieces.time(), pieces.offset(), pieces.time_zone_annotation()) {
        (Some(_), Some(_), _) => text.parse(),
        (None, None, None) => pieces
            .date()
            .to_zoned(TimeZone::UTC)
            .map(|midnight| midnight.timestamp()),
        // By which clock?
        _ => return Err(FORM),
    };
    instant.map_err(|_| "beyond what can be kept, which ends with 9999-12-30")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_carry_a_nickname() {
        let number = |text: &str| text.parse::<NewNumber>().ok();
        let plain = NewNumber {
            number: "+15551230001".parse().unwrap(),
            nickname: None,
        };
        assert_eq!(number("+15551230001"), Some(plain.clone()));
        let named = NewNumber {
            nickname: Some("front desk".into()),
            ..plain
        };
        assert_eq!(number("+15551230001=front desk"), Some(named));
        let refused = |text: &str| text.parse::<NewNumber>().unwrap_err().to_string();
        for bad in ["", "15551230001", "=front-desk", "+1555="] {
            assert!(refused(bad).starts_with("not a telephone number"), "{bad}");
        }
        for bad in ["+15551230001=", &format!("+15551230001={}", "x".repeat(300))] {
            assert!(
                refused(bad).starts_with("the nickname is not a name: 1 to 256 characters"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_date_means_its_first_instant_in_utc() {
        assert_eq!(instant("2027-01-31").unwrap().to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(
            instant("2027-01-31T12:00:00+01:00").unwrap().to_string(),
            "2027-01-31T11:00:00Z"
        );
        for bad in [
            "soon",
            "2027-02-30",
            "2027-01-31T12:00:00",
            "2027-01-31T25:00:00Z",
        ] {
            assert!(
                instant(bad).unwrap_err().starts_with("a date is written"),
                "{bad}"
            );
        }
        for beyond in ["9999-12-31", "9999-12-31T00:00:00Z"] {
            assert!(instant(beyond).unwrap_err().starts_with("beyond"), "{beyond}");
        }
    }
}
