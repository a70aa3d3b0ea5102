//! How an account is called and reached: what Stripe's customer gets of it.
//!
//! Checked when an administrator enters it, so that no checkout ever fails on a name or an address that Stripe would refuse.
//! Neither prints: what belongs to people does not belong into logs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name that Stripe takes, in characters.
const LONGEST_NAME: usize = 256;
/// The longest e-mail address there is, in characters. Source: RFC 5321, 4.5.3.1.3, less the angle brackets.
const LONGEST_EMAIL: usize = 254;

/// A name for people.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// An e-mail address in ASCII, as Stripe takes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// A postal address, as far as it is known. Its members are Stripe's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line1: Option<Name>,
    /// Floor, suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<Name>,
    /// City, town, village.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<Name>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Name>,
    /// State, county, province.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Name>,
    /// Two letters. Source: ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
}

/// A country by its two letters, in upper case.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country(String);

impl TryFrom<String> for Country {
    type Error = Unusable;
    fn try_from(text: String) -> Result<Self, Unusable> {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(Unusable::Country)
        }
    }
}

/// A text that cannot be what it was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Empty, too long, or with control characters.
    #[error("not a name: 1 to 256 characters")]
    Name,
    /// Not `somebody@example.com`.
    #[error("not an e-mail address (somebody@example.com)")]
    Email,
    /// Not two letters.
    #[error("not a country: two letters (ISO 3166-1)")]
    Country,
}

impl TryFrom<String> for Name {
    type Error = Unusable;
    fn try_from(text: String) -> Result<Self, Unusable> {
        let length = text.chars().count();
        let good = (1..=LONGEST_NAME).contains(&length) && !text.chars().any(char::is_control);
        if good && !text.trim().is_empty() {
            Ok(Self(text))
        } else {
            Err(Unusable::Name)
        }
    }
}

impl TryFrom<String> for Email {
    type Error = Unusable;
    fn try_from(text: String) -> Result<Self, Unusable> {
        let plain = text.len() <= LONGEST_EMAIL && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (local, domain) = text.split_once('@').ok_or(Unusable::Email)?;
        let labels = || domain.split('.');
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let good = plain && !local.is_empty() && labels().count() > 1 && labels().all(is_label);
        if good {
            Ok(Self(text))
        } else {
            Err(Unusable::Email)
        }
    }
}

macro_rules! texts {
    ($($name:ident, $shown:literal;)*) => {$(
        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Unusable;
            fn from_str(text: &str) -> Result<Self, Unusable> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str($shown)
            }
        }
    )*};
}

texts! {
    Name, "Name";
    Email, "Email";
    Country, "Country";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_local_part_and_a_domain() {
        for good in ["ada@example.com", "a.b+c@sub.example.co"] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "a da@example.com",
            "a@b@example.com",
            "ä@example.com",
            "ada@example..com",
            "ada@.com",
        ] {
            assert_eq!(bad.parse::<Email>(), Err(Unusable::Email), "{bad}");
        }
        assert!(
            format!("{}@example.com", "a".repeat(243))
                .parse::<Email>()
                .is_err()
        );
    }

    #[test]
    fn a_name_is_something_one_can_read() {
        assert!("Ada's Bäckerei".parse::<Name>().is_ok());
        for bad in ["", "  ", "a\nb", &"x".repeat(257)] {
            assert_eq!(bad.parse::<Name>(), Err(Unusable::Name), "{bad}");
        }
    }

    #[test]
    fn neither_prints() {
        let (name, email) = (
            "Ada".parse::<Name>().unwrap(),
            "ada@example.com".parse::<Email>().unwrap(),
        );
        assert_eq!(format!("{name:?} {email:?}"), "Name Email");
    }
}
