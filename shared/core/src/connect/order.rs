//! What a client is sold, as it was asked for: checked for its form, not yet for whether it can be had.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::asked::IN_FLIGHT;
use crate::contact::Country;
use crate::id::{AgentId, ClientId, CouponId, ProductId};

/// How old a start may be that counts as now.
const NOW_AT_MOST: SignedDuration = SignedDuration::from_mins(5);
/// How far ahead of ours the clock may be by which somebody means now.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(30);
/// How far ahead a start may lie. Stripe names no limit; beyond this a date is a mistake (milliseconds, mostly).
const AHEAD_AT_MOST: SignedDuration = SignedDuration::from_hours(24 * 366 * 5);

/// What usage is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Minutes of talk, counted in seconds.
    Minutes,
    /// Interactions.
    Interactions,
    /// Conversations.
    Conversations,
}

/// Everything that a sale comes down to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who is to pay.
    pub client: ClientId,
    /// What for, each once.
    pub agents: Vec<AgentId>,
    /// What is bought.
    pub product: ProductId,
    /// What usage is counted in.
    pub metric: Metric,
    /// What is taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<CouponId>,
    /// How it is taxed; without an answer it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// From when on, as it was asked for.
    pub start: Timestamp,
}

/// Whether Stripe works out taxes, and where the client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// Whether it does.
    pub enabled: bool,
    /// Where the client is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Where in that country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<PostalCode>,
}

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

/// Whether Stripe can still be asked for a start that it was to be asked for before, and that nothing is known to have come of. One that is over it
/// takes all the same, and has the subscription begin, and be billed from, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeliness {
    /// It is ahead, or counts as now.
    InTime,
    /// It is over. A machine that asked for it in time may be waiting for Stripe's answer.
    Awaited,
    /// It is over, and no machine asks for it any more: what Stripe has is what has come of it.
    Over,
}

/// What is wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A start that is over.
    #[error("must not be more than 5 minutes in the past")]
    Past,
    /// A start that nobody means.
    #[error("must not be more than 5 years ahead")]
    FarAhead,
    /// Not a country's code.
    #[error("must be a country code of two letters (ISO 3166-1 alpha-2)")]
    Country,
    /// Not a postal code.
    #[error("must be 1 to 20 characters")]
    PostalCode,
    /// Not a metric.
    #[error("must be \"minutes\", \"interactions\" or \"conversations\"")]
    Metric,
}

impl Metric {
    /// The metric of that name.
    pub fn parse(word: &str) -> Result<Self, Fault> {
        match word {
            "minutes" => Ok(Self::Minutes),
            "interactions" => Ok(Self::Interactions),
            "conversations" => Ok(Self::Conversations),
            _ => Err(Fault::Metric),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Minutes => "minutes",
            Self::Interactions => "interactions",
            Self::Conversations => "conversations",
        })
    }
}

/// A country by its code in capitals, which is how the contract has it.
pub fn country(code: &str) -> Result<Country, Fault> {
    let country: Country = code.parse().map_err(|_| Fault::Country)?;
    if country.as_str() == code {
        Ok(country)
    } else {
        Err(Fault::Country)
    }
}

/// A start in unix seconds, whether it can be had or not. One beyond all time is the first or the last moment that there is: [`start`] says what is
/// wrong with it.
#[must_use]
pub fn start_at(seconds: i64) -> Timestamp {
    let beyond = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(seconds).unwrap_or(beyond)
}

/// Whether a start can be had at `now`.
pub fn start(start: Timestamp, now: Timestamp) -> Result<(), Fault> {
    let ahead = start.duration_since(now);
    if ahead < -NOW_AT_MOST {
        Err(Fault::Past)
    } else if ahead > AHEAD_AT_MOST {
        Err(Fault::FarAhead)
    } else {
        Ok(())
    }
}

/// Whether Stripe can still be asked for this start at `now`.
#[must_use]
pub(super) fn timeliness(start: Timestamp, now: Timestamp) -> Timeliness {
    let age = now.duration_since(start);
    if age <= NOW_AT_MOST {
        Timeliness::InTime
    } else if age <= NOW_AT_MOST + IN_FLIGHT {
        Timeliness::Awaited
    } else {
        Timeliness::Over
    }
}

/// Whether a start is meant as now at the moment that it is asked for: no older than what counts as now, and no further ahead than clocks differ.
pub(super) fn means_now(start: Timestamp, asked_at: Timestamp) -> bool {
    let ahead = start.duration_since(asked_at);
    (-NOW_AT_MOST..=CLOCKS_DIFFER).contains(&ahead)
}

/// Whether what began then began as it is asked to at `now`: at once, by this request the first time, or by Stripe's clock a moment before or
/// after.
pub(super) fn began_as_asked(began: Timestamp, asked: Timestamp, now: Timestamp) -> bool {
    means_now(asked, now)
        && began.duration_since(asked) >= -CLOCKS_DIFFER
        && began.duration_since(now) <= CLOCKS_DIFFER
}

impl Tax {
    /// The same, its postal code in the country that is known of the client, where it names none.
    #[must_use]
    pub fn placed(self, known: Option<&Country>) -> Self {
        let country = match (&self.country, &self.postal_code) {
            (None, Some(_)) => known.cloned(),
            _ => self.country.clone(),
        };
        Self { country, ..self }
    }

    /// Where the client is; none where no country is named.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let country = self.country.clone()?;
        Some(Place {
            country,
            postal_code: self.postal_code.clone(),
        })
    }

    /// Whether it tells where the client is.
    #[must_use]
    pub(crate) fn tells_place(&self) -> bool {
        self.country.is_some() || self.postal_code.is_some()
    }
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
        let country = country(self.country.as_deref()?).ok()?;
        let code = self.postal_code.as_ref();
        Some(Place {
            country,
            postal_code: code.and_then(|code| code.parse().ok()),
        })
    }

    /// This address, of somebody who is told to be at that place. In the same country it stays but for the postal code, where one is told; under
    /// another code it is in no state that is known, as Stripe works out taxes by the state before the code. In another country nothing of it holds.
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
        let is_elsewhere = told.is_some() && self.postal_code.is_some() && told != self.postal_code;
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

    /// Whether a client that was last told to be there, if anywhere, was where it was before this, or is where this tells it to be: it has not been
    /// told to be elsewhere still.
    #[must_use]
    pub fn is_latest(&self, known: Option<&Place>) -> bool {
        let Some(known) = known else {
            return true;
        };
        let is_former = |code: &PostalCode| self.from.postal_code.as_deref() == Some(code.as_str());
        let code = known.postal_code.as_ref();
        if self.is_within_its_country() {
            known.country == self.to && code.is_none_or(|code| self.is_at(Some(code)) || is_former(code))
        } else {
            known.country == self.to || self.from.is_in(&known.country)
        }
    }

    /// Whether a client that was last told to be there, if anywhere, is known to be where this tells it to be.
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

    #[test]
    fn a_start_is_now_for_five_minutes_and_then_over() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, told) in [
            (1_000_000 - 300, None),
            (1_000_000 - 301, Some(Fault::Past)),
            (1_000_000 + 86_400 * 366 * 5, None),
            (1_000_000 + 86_400 * 366 * 5 + 1, Some(Fault::FarAhead)),
            (i64::MAX, Some(Fault::FarAhead)),
            (i64::MIN, Some(Fault::Past)),
        ] {
            assert_eq!(start(start_at(seconds), now).err(), told, "{seconds}");
        }
    }

    /// Whoever asked for it in time is answered, or dead, a minute after it is over.
    #[test]
    fn a_start_is_asked_for_while_it_counts_as_now() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        for (now, told) in [
            (-86_400, Timeliness::InTime),
            (300, Timeliness::InTime),
            (301, Timeliness::Awaited),
            (360, Timeliness::Awaited),
            (361, Timeliness::Over),
        ] {
            assert_eq!(timeliness(at(0), at(now)), told, "{now}");
            let can_be_had = start(at(0), at(now)).is_ok();
            assert_eq!(can_be_had, told == Timeliness::InTime, "{now}");
        }
    }

    /// Asked for four seconds ago, and told again up to five minutes later.
    #[test]
    fn what_began_when_it_was_to_begin_now_has_that_start() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        for (began, now, as_asked) in [
            (4, 4, true),
            (-30, 4, true),
            (-31, 4, false),
            (34, 4, true),
            (35, 4, false),
            (4, 300, true),
            (4, 301, false),
        ] {
            assert_eq!(
                began_as_asked(at(began), at(0), at(now)),
                as_asked,
                "{began} {now}"
            );
        }
    }

    #[test]
    fn a_country_is_one_that_there_is_in_capitals() {
        assert!(country("DE").is_ok());
        for bad in ["", "D", "de", "DEU", "ÄÖ", "D1", "XX", "UK"] {
            assert!(country(bad).is_err(), "{bad}");
        }
    }

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
        for partly in [
            Address {
                postal_code: None,
                ..there.clone()
            },
            Address {
                country: None,
                ..there.clone()
            },
        ] {
            assert!(
                partly.told(&place("CA", "M5E 1E5")) == there,
                "what is missing is added"
            );
        }
        let abroad = Address {
            country: Some("FR".to_owned()),
            postal_code: Some("75001".to_owned()),
            ..Address::default()
        };
        assert!(there.told(&place("FR", "75001")) == abroad);
    }

    #[test]
    fn a_client_has_moved_where_its_address_becomes_another() {
        let there = address("CA", "M5E 1E5");
        let moved = |from: &Address, country: &str, code: &str| Moved::between(from, &place(country, code));
        for (country, code) in [("CA", ""), ("CA", "M5E 1E5")] {
            assert_eq!(moved(&there, country, code), None, "{code}");
        }
        assert_eq!(moved(&Address::default(), "CA", ""), None, "it was nowhere");
        // Told to be elsewhere, known where it was, in another country, and known where it is told to be.
        for (country, code, known) in [
            (
                "CA",
                "V1X 1X1",
                [
                    ("CA", "M4B 1B3"),
                    ("CA", "M5E 1E5"),
                    ("FR", "V1X 1X1"),
                    ("CA", "V1X 1X1"),
                ],
            ),
            (
                "FR",
                "75001",
                [("AT", "75001"), ("CA", ""), ("DE", ""), ("FR", "")],
            ),
        ] {
            let moved = moved(&there, country, code).unwrap();
            let told = known.map(|(country, code)| {
                let known = Some(place(country, code));
                (moved.is_latest(known.as_ref()), moved.is_known(known.as_ref()))
            });
            let expected = [(false, false), (true, false), (false, false), (true, true)];
            assert_eq!(told, expected, "{country}");
            assert!(moved.is_latest(None) && !moved.is_known(None));
            assert!(moved.is_done(&there.told(&place(country, code))) && !moved.is_done(&there));
        }
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
