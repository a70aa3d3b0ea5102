//! When a contract is billed: cadence, anchor, and the periods that follow from them.
//!
//! # How it works
//! Dates are the business entity's: a date begins at midnight in its zone, and an anchor rule ("on the first") means its days. From
//! the anchor on, periods are counted in UTC and from the anchor's own day, because Stripe, which bills them, counts so; a quote is
//! only the charge when both count alike. A month that is too short for the anchor's day ends on its last day, and the day comes
//! back: the day is stored, never read off the last period. So 31 January is followed by 28 February and 31 March.
//!
//! An anchor of a rule is at the first instant that is on its day both there and in UTC, whatever the season: midnight there west of
//! Greenwich, midnight UTC east of it. So the day is the same for everybody, and stays so.
//!
//! Zones are looked up in the IANA database that is compiled in: no file, no network, nothing at init.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::period::Period;

/// How often a plan is billed, as an ISO 8601 duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cadence {
    /// Every month.
    P1M,
    /// Every three months.
    P3M,
    /// Every year.
    P1Y,
}

impl Cadence {
    /// How many months a period has.
    #[must_use]
    pub fn months(self) -> i64 {
        match self {
            Self::P1M => 1,
            Self::P3M => 3,
            Self::P1Y => 12,
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::P1M => "P1M",
            Self::P3M => "P3M",
            Self::P1Y => "P1Y",
        })
    }
}

impl std::str::FromStr for Cadence {
    type Err = NotACadence;
    fn from_str(text: &str) -> Result<Self, NotACadence> {
        match text {
            "P1M" => Ok(Self::P1M),
            "P3M" => Ok(Self::P3M),
            "P1Y" => Ok(Self::P1Y),
            _ => Err(NotACadence),
        }
    }
}

/// A text that is no cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be P1M, P3M or P1Y")]
pub struct NotACadence;

/// A time zone by its IANA name: `Pacific/Auckland`, `UTC`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// A text that names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IANA time zone (Europe/Berlin)")]
pub struct NotAZone;

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The name in the IANA database.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date that it is there at an instant.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.0.clone()).date()
    }

    /// The first instant of a date there. Where clocks spring over midnight, that is later than 00:00.
    pub fn start_of(&self, date: Date) -> Result<Timestamp, OutOfTime> {
        let zoned = date.to_zoned(self.0.clone()).map_err(|_| OutOfTime)?;
        Ok(zoned.timestamp())
    }

    /// The first instant that is on a date both there and in UTC, at a time of day in UTC that is so in every season.
    fn shared_start_of(&self, date: Date) -> Result<Timestamp, OutOfTime> {
        let mut shared = Time::midnight();
        // Clocks change between January and July, in either half of the world.
        for day in [
            date,
            Date::constant(date.year(), 1, 1),
            Date::constant(date.year(), 7, 1),
        ] {
            let midnight = utc(self.start_of(day)?);
            if midnight.date() == day {
                shared = shared.max(midnight.time());
            }
        }
        instant(date, shared)
    }
}

impl TryFrom<String> for Zone {
    type Error = NotAZone;
    fn try_from(text: String) -> Result<Self, NotAZone> {
        text.parse()
    }
}

impl std::str::FromStr for Zone {
    type Err = NotAZone;
    fn from_str(text: &str) -> Result<Self, NotAZone> {
        let zone = jiff::tz::TimeZoneDatabase::bundled()
            .get(text)
            .map_err(|_| NotAZone)?;
        // What cannot be told by a name could not be stored.
        match zone.iana_name() {
            Some(_) => Ok(Self(zone)),
            None => Err(NotAZone),
        }
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A date or period beyond the calendar (the year 9999).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is beyond the calendar")]
pub struct OutOfTime;

/// A day of a month. The 29th, 30th and 31st are the last day of a month that has no such day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Day(i8);

/// A number that is no day of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a day from 1 to 31")]
pub struct NotADay;

impl Day {
    /// The number of the day, from 1 to 31.
    #[must_use]
    pub fn get(self) -> i8 {
        self.0
    }

    /// The date of that day in a month, or the month's last.
    fn within(self, year: i16, month: i8) -> Result<Date, OutOfTime> {
        let first = Date::new(year, month, 1).map_err(|_| OutOfTime)?;
        Date::new(year, month, self.0.min(first.days_in_month())).map_err(|_| OutOfTime)
    }
}

impl TryFrom<u8> for Day {
    type Error = NotADay;
    fn try_from(day: u8) -> Result<Self, NotADay> {
        i8::try_from(day)
            .ok()
            .filter(|day| (1..=31).contains(day))
            .map(Self)
            .ok_or(NotADay)
    }
}

impl From<Day> for u8 {
    fn from(day: Day) -> Self {
        day.0.unsigned_abs()
    }
}

/// From when on the periods of a new contract are counted.
///
/// Stored and told as `"start"`, `{"day_of_month": 1}` or `{"day_of_year": {"month": 1, "day": 1}}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorRule {
    /// From the contract's start: the first period is a whole one.
    #[default]
    Start,
    /// From the next such day of a month; the first period ends there, and is short unless the contract begins on that day. Plans
    /// have the days that every month has: Stripe could not be told that the 28th of February stands for the 31st.
    DayOfMonth(Day),
    /// From the next such day of a year. For yearly plans.
    DayOfYear {
        /// January is 1.
        month: Month,
        /// The day of that month.
        day: Day,
    },
}

impl AnchorRule {
    /// Whether every period that it can begin has its day.
    #[must_use]
    pub fn is_in_every_period(self) -> bool {
        match self {
            Self::Start => true,
            Self::DayOfMonth(day) => day.0 <= 28,
            // 2027 is a common year.
            Self::DayOfYear { month, day } => Date::new(2027, month.0, day.0).is_ok(),
        }
    }
}

/// A month of the year; January is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Month(i8);

/// A number that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a month from 1 to 12")]
pub struct NotAMonth;

impl TryFrom<u8> for Month {
    type Error = NotAMonth;
    fn try_from(month: u8) -> Result<Self, NotAMonth> {
        i8::try_from(month)
            .ok()
            .filter(|month| (1..=12).contains(month))
            .map(Self)
            .ok_or(NotAMonth)
    }
}

impl From<Month> for u8 {
    fn from(month: Month) -> Self {
        month.0.unsigned_abs()
    }
}

/// The instant that a contract's periods are counted from, with the day of the month that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// An end of a period, to the second.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
    /// The day of the month in UTC on which periods end, in months that have it.
    pub day: Day,
}

impl Anchor {
    /// Periods are counted from that instant and its own day in UTC: as Stripe counts those of a subscription that begins then.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let at = whole_second(at);
        Self {
            at,
            day: Day(at.to_zoned(TimeZone::UTC).day()),
        }
    }

    /// The anchor of a contract that begins at `start`, in a business entity's zone: the start itself on a day of the rule, and
    /// the next such day otherwise. It is never later than a whole period from the start on would end: Stripe takes no such anchor. So a month
    /// from a midnight of summer to the 28th of February, from its 29th to 31st before, ends at the time of day that it began at.
    ///
    /// Source: Stripe's page on the billing cycle; `billing_cycle_anchor cannot be later than next natural billing date`.
    pub fn of_contract(
        rule: AnchorRule,
        cadence: Cadence,
        zone: &Zone,
        start: Timestamp,
    ) -> Result<Self, OutOfTime> {
        let start = whole_second(start);
        let local = zone.date(start);
        let (months, month, day) = match rule {
            AnchorRule::Start => return Ok(Self::of(start)),
            AnchorRule::DayOfMonth(day) => (1, local.month(), day),
            AnchorRule::DayOfYear { month, day } => (12, month.0, day),
        };
        let mut turn = Turn {
            year: local.year(),
            month,
        };
        loop {
            let date = day.within(turn.year, turn.month)?;
            if date == local {
                return Ok(Self::of(start));
            }
            if date > local {
                let natural = Self::of(start).boundary(cadence.months())?;
                return Ok(Self::of(zone.shared_start_of(date)?.min(natural)));
            }
            turn = turn.plus(months)?;
        }
    }

    /// The period, of those counted from this anchor, that an instant lies in.
    pub fn period_at(&self, cadence: Cadence, instant: Timestamp) -> Result<Period, OutOfTime> {
        let (from, to) = (utc(self.at), utc(instant));
        let passed = 12 * (i64::from(to.year()) - i64::from(from.year())) + i64::from(to.month())
            - i64::from(from.month());
        let months = cadence.months();
        let mut periods = passed.div_euclid(months);
        // The month of the instant may hold a boundary after it.
        if self.boundary(periods * months)? > instant {
            periods -= 1;
        }
        Ok(Period {
            start: self.boundary(periods * months)?,
            end: self.boundary((periods + 1) * months)?,
        })
    }

    /// The first period of a contract that begins at `start`: a whole one, or one that ends at the anchor. That one is told as what it is a
    /// share of: as long as a whole one that began at the start would be, and up to the anchor, for Stripe works its share out of an
    /// imagined period from the start on. So it may begin before the contract does; never after it.
    ///
    /// Source: Stripe's page on backdated subscriptions, of the classic billing mode.
    pub fn first_period(&self, cadence: Cadence, start: Timestamp) -> Result<Period, OutOfTime> {
        let start = whole_second(start);
        if start >= self.at {
            return self.period_at(cadence, start);
        }
        let imagined = Self::of(start).boundary(cadence.months())?;
        let whole = imagined.duration_since(start);
        Ok(Period {
            start: self.at.checked_sub(whole).map_err(|_| OutOfTime)?.min(start),
            end: self.at,
        })
    }

    /// The instant that many months from the anchor.
    fn boundary(&self, months: i64) -> Result<Timestamp, OutOfTime> {
        let from = utc(self.at);
        let turn = Turn {
            year: from.year(),
            month: from.month(),
        }
        .plus(months)?;
        instant(self.day.within(turn.year, turn.month)?, from.time())
    }
}

/// A month of a year.
#[derive(Clone, Copy)]
struct Turn {
    year: i16,
    month: i8,
}

impl Turn {
    fn plus(self, months: i64) -> Result<Self, OutOfTime> {
        let month = 12 * i64::from(self.year) + i64::from(self.month) - 1 + months;
        Ok(Self {
            year: i16::try_from(month.div_euclid(12)).map_err(|_| OutOfTime)?,
            month: i8::try_from(month.rem_euclid(12) + 1).map_err(|_| OutOfTime)?,
        })
    }
}

fn utc(at: Timestamp) -> DateTime {
    at.to_zoned(TimeZone::UTC).datetime()
}

fn instant(date: Date, time: Time) -> Result<Timestamp, OutOfTime> {
    let zoned = date
        .to_datetime(time)
        .to_zoned(TimeZone::UTC)
        .map_err(|_| OutOfTime)?;
    Ok(zoned.timestamp())
}

/// Stripe knows no fractions of a second.
#[must_use]
pub fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests;
