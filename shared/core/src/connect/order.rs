//! What a client is sold, as it was asked for: checked for its form, not yet for whether it can be had.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::place::{Place, PostalCode};
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

    /// A postal code is one of the country that is named with it, or else of the one that is known.
    #[test]
    fn a_place_is_told_by_a_country_or_by_a_code_of_the_one_that_is_known() {
        let tax = |country: Option<&str>, code: Option<&str>| Tax {
            enabled: true,
            country: country.map(|country| country.parse().unwrap()),
            postal_code: code.map(|code| code.parse().unwrap()),
        };
        let canada: Country = "CA".parse().unwrap();
        for (told, country, tells) in [
            (tax(None, None), None, false),
            (tax(None, Some("M5E 1E5")), Some("CA"), true),
            (tax(Some("FR"), None), Some("FR"), true),
            (tax(Some("FR"), Some("75001")), Some("FR"), true),
        ] {
            assert_eq!(told.tells_place(), tells, "{told:?}");
            let code = told.postal_code.clone();
            let placed = told.clone().placed(Some(&canada));
            let place = placed.place();
            assert_eq!(
                place.as_ref().map(|place| place.country.as_str()),
                country,
                "{told:?}"
            );
            assert!(place.is_none_or(|place| place.postal_code == code));
            assert_eq!(told.clone().placed(None), told);
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
}
