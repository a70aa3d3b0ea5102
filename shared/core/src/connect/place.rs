//! Where clients are: what Stripe has of that, what it is told, and what is taken back when that comes to nothing.
//!
//! # How it works
//! Stripe works out taxes by the address of its customer, of which a client has one: what is told for one sale holds for all. So a place is told once
//! for each order and each amendment that names it, with the rest of the address that is there; what has been told since stays, however late the rest
//! of that order is done.
//!
//! # If it fails half-way
//! Where a client was is written down before Stripe is told that it is elsewhere ([`Moved`](crate::connect::place::Moved)); where it is said to be is
//! recorded of the client ([`Buyer`](crate::connect::buyer::Buyer)) when something has come of that. What comes to nothing is taken back unless it is
//! recorded by then: for something else the client is there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::order::{self, Fault};
use crate::contact::Country;

/// A postal code of any country: 1 to 20 printable characters. It does not print: where people live does not belong into logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PostalCode(String);

/// Where a customer is, as Stripe has it. It does not print: where people live does not belong into logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line1: Option<String>,
    /// Floor, suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// City, town, village.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State, county, province.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// Where a client is, as far as an order tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In which country.
    pub country: Country,
    /// Where there, if that is told.
    pub postal_code: Option<PostalCode>,
}

/// A client that is told to be elsewhere than it is, written down before that: when what it is told for comes to nothing, it is where it was, for
/// what runs is taxed there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where it was.
    pub from: Address,
    /// In which country it is told to be.
    pub to: Country,
    /// Where there, if that is told. Builds before this one wrote none, and nothing of who stays in a country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<PostalCode>,
}

/// What there is to tell Stripe of where a client is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// What Stripe is told; none where it knows, or nothing is said of it.
    pub address: Option<Address>,
    /// Where the client was before, if that was elsewhere: written down before Stripe is told.
    pub moved: Option<Moved>,
    /// Where it is once something has come of what it is told for; none where nothing is said of it, or it has been told since to be elsewhere.
    pub place: Option<Place>,
}

impl Address {
    /// Whether it is in that country.
    #[must_use]
    pub fn is_in(&self, country: &Country) -> bool {
        self.country.as_deref() == Some(country.as_str())
    }

    /// The same, where an empty member says nothing.
    #[must_use]
    pub fn of_what_is_said(self) -> Self {
        let said = |member: Option<String>| member.filter(|text| !text.is_empty());
        Self {
            line1: said(self.line1),
            line2: said(self.line2),
            city: said(self.city),
            state: said(self.state),
            postal_code: said(self.postal_code),
            country: said(self.country),
        }
    }

    /// Where that is; none where the country is not told by its code.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let country = order::country(self.country.as_deref()?).ok()?;
        let code = self.postal_code.as_ref();
        Some(Place {
            country,
            postal_code: code.and_then(|code| code.parse().ok()),
        })
    }

    /// This address, of somebody who is told to be at that place. In the same country it stays but for the postal code, where one is told; with
    /// another than there was, if any, it is in no state that is known, as Stripe works out taxes by the state before the code. In another country nothing of it holds.
    #[must_use]
    pub fn told(&self, place: &Place) -> Self {
        let told = place.postal_code.as_ref().map(|code| code.as_str().to_owned());
        let country = Some(place.country.as_str().to_owned());
        if self.country.is_some() && self.country != country {
            return Self {
                country,
                postal_code: told,
                ..Self::default()
            };
        }
        let is_elsewhere = told.is_some() && told != self.postal_code;
        Self {
            country,
            state: self.state.clone().filter(|_| !is_elsewhere),
            postal_code: told.or_else(|| self.postal_code.clone()),
            ..self.clone()
        }
    }
}

impl Place {
    /// Where somebody is who was known to be here and is told to be at another place: another country alone says nothing of where there.
    #[must_use]
    pub fn told(self, place: &Self) -> Self {
        let known = self.postal_code.filter(|_| self.country == place.country);
        Self {
            country: place.country.clone(),
            postal_code: place.postal_code.clone().or(known),
        }
    }
}

impl Moved {
    /// What tells a client who is there to be at that place; none where that changes nothing, or no country of the client's was known.
    #[must_use]
    pub fn between(from: &Address, place: &Place) -> Option<Self> {
        let moves = from.country.is_some() && from.told(place) != *from;
        moves.then(|| Self {
            from: from.clone(),
            to: place.country.clone(),
            postal_code: place.postal_code.clone(),
        })
    }

    /// Where it is told to be.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            country: self.to.clone(),
            postal_code: self.postal_code.clone(),
        }
    }

    /// Whether a client of which that is recorded, if anything, is known to be where this tells it to be.
    #[must_use]
    pub fn is_known(&self, known: Option<&Place>) -> bool {
        known.is_some_and(|known| {
            known.country == self.to
                && (!self.is_within_its_country() || self.is_at(known.postal_code.as_ref()))
        })
    }

    /// Whether a client whose address that is, is where this tells it to be.
    #[must_use]
    pub fn is_done(&self, address: &Address) -> bool {
        let code = address.postal_code.as_deref();
        address.is_in(&self.to)
            && (!self.is_within_its_country() || code == self.postal_code.as_ref().map(PostalCode::as_str))
    }

    fn is_within_its_country(&self) -> bool {
        self.from.is_in(&self.to)
    }

    fn is_at(&self, code: Option<&PostalCode>) -> bool {
        self.postal_code.as_ref() == code
    }
}

impl Whereabouts {
    /// Where the client is known to be, without being told.
    #[must_use]
    pub fn known(&self) -> Option<&Place> {
        self.place.as_ref().filter(|_| self.address.is_none())
    }

    /// What there is to tell for something that names a place, by the address that there is.
    #[must_use]
    pub fn of(there: &Address, place: &Place) -> Self {
        let told = there.told(place);
        Self {
            moved: Moved::between(there, place),
            address: (told != *there).then_some(told),
            place: Some(place.clone()),
        }
    }

    /// The same of what had the client be elsewhere already, or was about to: who has been told since to be elsewhere still stays there.
    #[must_use]
    pub fn again(there: &Address, moved: Moved) -> Self {
        let place = moved.place();
        let is_to_move = moved.from == *there;
        Self {
            address: is_to_move.then(|| there.told(&place)),
            place: (is_to_move || moved.is_done(there)).then_some(place),
            moved: Some(moved),
        }
    }

    /// The same of what had nobody be elsewhere: who was nowhere is told where it is, or was about to be.
    #[must_use]
    pub fn at_last(there: &Address, place: &Place) -> Self {
        let told = there.told(place);
        let is_there = told == *there;
        let is_to_tell = there.country.is_none();
        Self {
            moved: None,
            place: (is_there || is_to_tell).then(|| place.clone()),
            address: (is_to_tell && !is_there).then_some(told),
        }
    }
}

impl PostalCode {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PostalCode {
    type Error = Fault;
    fn try_from(text: String) -> Result<Self, Fault> {
        let length = text.chars().count();
        let good = (1..=20).contains(&length) && !text.chars().any(char::is_control);
        if good && !text.trim().is_empty() {
            Ok(Self(text))
        } else {
            Err(Fault::PostalCode)
        }
    }
}

impl std::str::FromStr for PostalCode {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        text.to_owned().try_into()
    }
}

impl From<PostalCode> for String {
    fn from(code: PostalCode) -> Self {
        code.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Address")
    }
}

impl fmt::Debug for PostalCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PostalCode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(country: &str, code: &str) -> Address {
        let said = |text: &str| Some(text.to_owned());
        Address {
            line1: said("1 Yonge St"),
            line2: None,
            city: said("Toronto"),
            state: said("ON"),
            postal_code: said(code),
            country: said(country),
        }
    }

    fn place(country: &str, code: &str) -> Place {
        Place {
            country: country.parse().unwrap(),
            postal_code: code.parse().ok(),
        }
    }

    #[test]
    fn what_is_told_of_a_place_leaves_the_rest_of_an_address() {
        let there = address("CA", "M5E 1E5");
        for same in ["", "M5E 1E5"] {
            assert!(there.told(&place("CA", same)) == there, "{same}");
        }
        let elsewhere = Address {
            state: None,
            ..address("CA", "V1X 1X1")
        };
        assert!(there.told(&place("CA", "V1X 1X1")) == elsewhere);
        let uncoded = Address {
            postal_code: None,
            ..there.clone()
        };
        assert!(uncoded.told(&place("CA", "V1X 1X1")) == elsewhere, "of any state");
        let nowhere = Address {
            country: None,
            ..there.clone()
        };
        assert!(
            nowhere.told(&place("CA", "M5E 1E5")) == there,
            "what is missing is added"
        );
        let abroad = Address {
            country: Some("FR".to_owned()),
            postal_code: Some("75001".to_owned()),
            ..Address::default()
        };
        assert!(there.told(&place("FR", "75001")) == abroad);
    }

    #[test]
    fn another_country_alone_says_nothing_of_where_there() {
        for (told, known) in [
            (place("CA", ""), place("CA", "M5E 1E5")),
            (place("CA", "V1X 1X1"), place("CA", "V1X 1X1")),
            (place("FR", ""), place("FR", "")),
            (place("FR", "75001"), place("FR", "75001")),
        ] {
            assert!(place("CA", "M5E 1E5").told(&told) == known, "{told:?}");
        }
    }

    #[test]
    fn a_client_has_moved_where_its_address_becomes_another() {
        let there = address("CA", "M5E 1E5");
        let moved = |from: &Address, country: &str, code: &str| Moved::between(from, &place(country, code));
        for (country, code) in [("CA", ""), ("CA", "M5E 1E5")] {
            assert_eq!(moved(&there, country, code), None, "{code}");
        }
        assert_eq!(moved(&Address::default(), "CA", ""), None, "it was nowhere");
        // Known to be elsewhere still, where it was, and where it is told to be.
        for (country, code, known) in [
            (
                "CA",
                "V1X 1X1",
                [("CA", "M4B 1B3"), ("CA", "M5E 1E5"), ("CA", "V1X 1X1")],
            ),
            ("FR", "75001", [("DE", ""), ("CA", ""), ("FR", "")]),
        ] {
            let moved = moved(&there, country, code).unwrap();
            let told = known.map(|(country, code)| moved.is_known(Some(&place(country, code))));
            assert_eq!(told, [false, false, true], "{country}");
            assert!(!moved.is_known(None));
            assert!(moved.is_done(&there.told(&moved.place())) && !moved.is_done(&there));
        }
    }

    /// For the first time, by whoever does the rest of it, and where nobody had to move.
    #[test]
    fn what_is_told_once_is_not_told_over_what_was_told_since() {
        let (there, place) = (address("CA", "M5E 1E5"), place("CA", "V1X 1X1"));
        let moved_on = address("CA", "M4B 1B3");
        let first = Whereabouts::of(&there, &place);
        assert!(first.address.as_ref() == Some(&there.told(&place)));
        assert_eq!((first.place.as_ref(), first.known()), (Some(&place), None));
        let moved = first.moved.clone().unwrap();
        assert!(Whereabouts::again(&there, moved.clone()) == first);
        let done = Whereabouts::again(&there.told(&place), moved.clone());
        assert!(done.address.is_none() && done.known() == Some(&place));
        let overtaken = Whereabouts::again(&moved_on, moved.clone());
        assert!(overtaken.address.is_none() && overtaken.place.is_none());
        assert_eq!(overtaken.moved, Some(moved));

        let known = Whereabouts::at_last(&there.told(&place), &place);
        assert!(known.address.is_none() && known.known() == Some(&place));
        let overtaken = Whereabouts::at_last(&moved_on, &place);
        assert!(overtaken == Whereabouts::default());
        let nowhere = Whereabouts::at_last(&Address::default(), &place);
        assert!(nowhere == Whereabouts::of(&Address::default(), &place));
        assert!(nowhere.address.is_some() && nowhere.place == Some(place) && nowhere.moved.is_none());
    }

    /// The record of a build before this one: only the country was told.
    #[test]
    fn a_move_without_a_postal_code_is_read() {
        let moved = r#"{"from":{"country":"DE","postal_code":"10115"},"to":"FR"}"#;
        let moved: Moved = serde_json::from_str(moved).unwrap();
        assert!(moved.is_done(&address("FR", "75001")));
        assert!(moved.is_known(Some(&place("FR", "75001"))));
    }
}
