//! How an account is called and reached: what Stripe's customer gets of it.
//!
//! Checked when an administrator enters it, so that no checkout ever fails on a name or an address that Stripe would refuse.
//! None of it prints: what belongs to people does not belong into logs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name that Stripe takes, in characters.
const LONGEST_NAME: usize = 256;
/// The longest e-mail address there is, in characters. Source: RFC 5321, 4.5.3.1.3, less the angle brackets.
const LONGEST_EMAIL: usize = 254;

/// The countries that there are. Source: ISO 3166-1, and XK, by which Stripe and everybody else call Kosovo.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK \
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM \
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF \
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK";

/// A name for people.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// An e-mail address in ASCII, as Stripe takes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// Both, as far as they are known, or are to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// The name.
    pub name: Option<Name>,
    /// The e-mail address.
    pub email: Option<Email>,
}

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

/// A country by its two letters, read in either case and kept in upper case. Source: ISO 3166-1 alpha-2.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country(String);

impl TryFrom<String> for Country {
    type Error = Unusable;
    fn try_from(text: String) -> Result<Self, Unusable> {
        let code = text.to_ascii_uppercase();
        if COUNTRIES.split(' ').any(|known| known == code) {
            Ok(Self(code))
        } else {
            Err(Unusable::Country)
        }
    }
}

/// A text that cannot be what it was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Empty, too long, or with control characters.
    #[error("not a name: 1 to 256 characters, none of them a line break or another control character")]
    Name,
    /// Not `somebody@example.com`.
    #[error("not an e-mail address (somebody@example.com)")]
    Email,
    /// Not the two letters of a country.
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
    fn a_country_is_one_that_there_is() {
        assert_eq!(COUNTRIES.split(' ').count(), 250);
        assert_eq!("de".parse::<Country>().unwrap().as_str(), "DE");
        for bad in ["", " ", "D", "XX", "ZZ", "UK", "DEU", "D E", "ÄÖ", "D1"] {
            assert_eq!(bad.parse::<Country>(), Err(Unusable::Country), "{bad}");
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
