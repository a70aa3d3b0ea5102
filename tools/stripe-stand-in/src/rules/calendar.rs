//! When a billing period ends: counted from the anchor, not from the last period, so that the 31st comes back.
//!
//! UTC only, as at Stripe.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use crate::state::{Interval, Recurrence};

/// The first instant after `start` that lies a whole number of recurrences from the anchor. A month that is too short for the
/// anchor's day gives its last day: 31 Jan → 28 Feb → 31 Mar.
pub(crate) fn next_period_end(anchor: Timestamp, recurrence: &Recurrence, start: Timestamp) -> Timestamp {
    let count = i64::from(recurrence.interval_count);
    match recurrence.interval {
        Interval::Day => after_days(anchor, count, start),
        Interval::Week => after_days(anchor, 7 * count, start),
        Interval::Month => after_months(anchor, count, start),
        Interval::Year => after_months(anchor, 12 * count, start),
    }
}

/// The period that holds an instant begins here: the latest that lies a whole number of recurrences from the anchor.
pub(crate) fn period_start(anchor: Timestamp, recurrence: &Recurrence, within: Timestamp) -> Timestamp {
    let count = i64::from(recurrence.interval_count);
    let by_days = |days: i64| {
        let step = days * 86_400;
        let passed = within.as_second() - anchor.as_second();
        let whole = SignedDuration::from_secs(passed.div_euclid(step) * step);
        anchor.saturating_add(whole).unwrap_or(Timestamp::MIN)
    };
    match recurrence.interval {
        Interval::Day => by_days(count),
        Interval::Week => by_days(7 * count),
        Interval::Month => month_start(anchor, count, within),
        Interval::Year => month_start(anchor, 12 * count, within),
    }
}

fn month_start(anchor: Timestamp, months: i64, within: Timestamp) -> Timestamp {
    let periods = months_between(anchor, within).div_euclid(months);
    let last = plus_months(anchor, periods * months);
    if last <= within {
        last
    } else {
        plus_months(anchor, (periods - 1) * months)
    }
}

/// By the names of the months alone.
fn months_between(one: Timestamp, other: Timestamp) -> i64 {
    let (one, other) = (one.to_zoned(TimeZone::UTC), other.to_zoned(TimeZone::UTC));
    let years = i64::from(other.year()) - i64::from(one.year());
    12 * years + i64::from(other.month()) - i64::from(one.month())
}

fn after_days(anchor: Timestamp, days: i64, start: Timestamp) -> Timestamp {
    let step = days * 86_400;
    let passed = start.as_second() - anchor.as_second();
    let periods = passed.div_euclid(step) + 1;
    anchor
        .saturating_add(SignedDuration::from_secs(periods * step))
        .unwrap_or(Timestamp::MAX)
}

fn after_months(anchor: Timestamp, months: i64, start: Timestamp) -> Timestamp {
    let passed = months_between(anchor, start);
    // The month of `start` itself may hold the answer, when the anchor's day comes later in it.
    (passed.div_euclid(months)..)
        .map(|periods| plus_months(anchor, periods * months))
        .find(|end| *end > start)
        .unwrap_or(Timestamp::MAX)
}

fn plus_months(anchor: Timestamp, months: i64) -> Timestamp {
    let zoned = anchor.to_zoned(TimeZone::UTC);
    let moved = Span::new()
        .try_months(months)
        .and_then(|span| zoned.checked_add(span));
    moved.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::UsageType;

    fn every(interval_count: u32, interval: Interval) -> Recurrence {
        Recurrence {
            interval,
            interval_count,
            usage_type: UsageType::Licensed,
            meter: None,
        }
    }

    /// The ends of the first `count` periods, as dates.
    fn ends(anchor: &str, recurrence: &Recurrence, count: usize) -> Vec<String> {
        let anchor: Timestamp = anchor.parse().unwrap();
        let mut start = anchor;
        let mut ends = Vec::new();
        for _ in 0..count {
            start = next_period_end(anchor, recurrence, start);
            ends.push(start.to_string()[..10].to_owned());
        }
        ends
    }

    #[test]
    fn the_thirty_first_comes_back_after_a_short_month() {
        assert_eq!(
            ends("2026-01-31T10:00:00Z", &every(1, Interval::Month), 4),
            ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]
        );
        assert_eq!(
            ends("2028-01-31T10:00:00Z", &every(1, Interval::Month), 1),
            ["2028-02-29"]
        );
    }

    #[test]
    fn a_year_from_a_leap_day_ends_on_the_twenty_eighth() {
        assert_eq!(
            ends("2024-02-29T00:00:00Z", &every(1, Interval::Year), 4),
            ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]
        );
    }

    #[test]
    fn several_intervals_are_one_period() {
        assert_eq!(
            ends("2026-11-30T00:00:00Z", &every(3, Interval::Month), 2),
            ["2027-02-28", "2027-05-30"]
        );
        assert_eq!(
            ends("2026-12-25T00:00:00Z", &every(2, Interval::Week), 2),
            ["2027-01-08", "2027-01-22"]
        );
        assert_eq!(
            ends("2026-12-30T00:00:00Z", &every(1, Interval::Day), 3),
            ["2026-12-31", "2027-01-01", "2027-01-02"]
        );
    }

    #[test]
    fn a_start_between_two_ends_gives_the_next_one() {
        let (anchor, start) = (
            "2026-01-31T10:00:00Z".parse().unwrap(),
            "2026-02-10T00:00:00Z".parse().unwrap(),
        );
        let end = next_period_end(anchor, &every(1, Interval::Month), start);
        assert_eq!(end.to_string(), "2026-02-28T10:00:00Z");
    }
}
