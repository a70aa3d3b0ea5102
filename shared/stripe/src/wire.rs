//! Members that Stripe spells in more than one way, and the way they become ours.

use billing_core::Timestamp;
use billing_core::money::Currency;
use billing_core::period::Period;
use billing_core::subscription::Collection;
use serde::{Deserialize, Deserializer};

use crate::error::StripeError;

/// A reference: the id, or the object when it was expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference(pub(crate) String);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Id(String),
            Object { id: String },
        }
        Either::deserialize(deserializer).map(|either| match either {
            Either::Id(id) | Either::Object { id } => Self(id),
        })
    }
}

/// What was made, by its id.
#[derive(Deserialize)]
pub(crate) struct Created {
    pub(crate) id: String,
}

/// An id of Stripe's as ours.
pub(crate) fn id<T: std::str::FromStr>(text: &str, of: &str) -> Result<T, StripeError> {
    text.parse().map_err(|_| StripeError::Unexpected {
        reason: format!("{of} has the id {text:?}"),
    })
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// Unix seconds as an instant.
pub(crate) fn at(seconds: i64, of: &str) -> Result<Timestamp, StripeError> {
    Timestamp::from_second(seconds).map_err(|_| StripeError::Unexpected {
        reason: format!("{of} is at {seconds} s"),
    })
}

/// The period that an item of a subscription is in.
pub(crate) fn period(start: i64, end: i64) -> Result<Period, StripeError> {
    Ok(Period {
        start: at(start, "the start of a subscription's period")?,
        end: at(end, "the end of a subscription's period")?,
    })
}

/// A currency code as ours.
pub(crate) fn currency(code: &str, of: &str) -> Result<Currency, StripeError> {
    code.parse().map_err(|_| StripeError::Unexpected {
        reason: format!("{of} is in {code:?}"),
    })
}

/// How the invoices of a subscription are paid, which is charged to a method unless something else is said.
pub(crate) fn collection(is_paused: bool, method: Option<&str>) -> Collection {
    match (is_paused, method) {
        (true, _) => Collection::Paused,
        (false, Some("send_invoice")) => Collection::Sent,
        (false, _) => Collection::Charged,
    }
}
