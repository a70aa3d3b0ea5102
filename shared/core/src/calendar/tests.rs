//! Every month length, leap days, clocks that spring, both sides of Greenwich.

use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(number: u8) -> Day {
    number.try_into().unwrap()
}

/// The starts of the first periods from an instant on, without the zero minutes and seconds.
fn starts(anchor: Anchor, cadence: Cadence, from: &str, count: usize) -> Vec<String> {
    let mut instant = at(from);
    (0..count)
        .map(|_| {
            let period = anchor.period_at(cadence, instant).unwrap();
            instant = period.end;
            period.start.to_string().replace(":00:00Z", "h")
        })
        .collect()
}

#[test]
fn the_thirty_first_comes_back_after_a_short_month() {
    let anchor = Anchor::of(at("2026-01-31T10:00:00Z"));
    assert_eq!(
        starts(anchor, Cadence::P1M, "2026-01-31T10:00:00Z", 6),
        [
            "2026-01-31T10h",
            "2026-02-28T10h",
            "2026-03-31T10h",
            "2026-04-30T10h",
            "2026-05-31T10h",
            "2026-06-30T10h"
        ]
    );
    assert_eq!(
        starts(anchor, Cadence::P1M, "2028-02-10T00:00:00Z", 3),
        ["2028-01-31T10h", "2028-02-29T10h", "2028-03-31T10h"]
    );
    assert_eq!(
        starts(anchor, Cadence::P3M, "2026-01-31T10:00:00Z", 4),
        [
            "2026-01-31T10h",
            "2026-04-30T10h",
            "2026-07-31T10h",
            "2026-10-31T10h"
        ]
    );
}

#[test]
fn a_year_from_a_leap_day_ends_on_the_twenty_eighth_and_comes_back() {
    let anchor = Anchor::of(at("2024-02-29T00:00:00Z"));
    assert_eq!(
        starts(anchor, Cadence::P1Y, "2024-02-29T00:00:00Z", 5),
        [
            "2024-02-29T00h",
            "2025-02-28T00h",
            "2026-02-28T00h",
            "2027-02-28T00h",
            "2028-02-29T00h"
        ]
    );
}

#[test]
fn a_period_is_found_before_the_anchor_as_well() {
    let anchor = Anchor::of(at("2026-03-31T00:00:00Z"));
    let period = anchor
        .period_at(Cadence::P1M, at("2026-02-28T00:00:00Z"))
        .unwrap();
    assert_eq!(
        (period.start, period.end),
        (at("2026-02-28T00:00:00Z"), at("2026-03-31T00:00:00Z"))
    );
    let period = anchor
        .period_at(Cadence::P1M, at("2026-02-27T23:59:59Z"))
        .unwrap();
    assert_eq!(
        (period.start, period.end),
        (at("2026-01-31T00:00:00Z"), at("2026-02-28T00:00:00Z"))
    );
}

/// "On the first" is the first there and in UTC: in London and Auckland from midnight UTC on, in New York from the later of its two
/// midnights on, which is the same day in winter and in summer.
#[test]
fn an_anchor_rule_means_the_business_entitys_days() {
    for (number, name, start, anchored, next) in [
        // The day itself is a whole period.
        (
            1,
            "UTC",
            "2026-04-01T00:00:00Z",
            "2026-04-01T00h",
            "2026-05-01T00h",
        ),
        (
            1,
            "UTC",
            "2026-04-01T09:00:00Z",
            "2026-04-01T09h",
            "2026-05-01T09h",
        ),
        (
            1,
            "UTC",
            "2026-04-02T00:00:00Z",
            "2026-05-01T00h",
            "2026-06-01T00h",
        ),
        (
            15,
            "UTC",
            "2026-12-20T00:00:00Z",
            "2027-01-15T00h",
            "2027-02-15T00h",
        ),
        (
            28,
            "UTC",
            "2026-02-10T00:00:00Z",
            "2026-02-28T00h",
            "2026-03-28T00h",
        ),
        (
            1,
            "Europe/London",
            "2026-04-10T00:00:00Z",
            "2026-05-01T00h",
            "2026-06-01T00h",
        ),
        (
            1,
            "Pacific/Auckland",
            "2026-04-10T00:00:00Z",
            "2026-05-01T00h",
            "2026-06-01T00h",
        ),
        (
            15,
            "Pacific/Auckland",
            "2026-01-20T00:00:00Z",
            "2026-02-15T00h",
            "2026-03-15T00h",
        ),
        // Still the 30th of April in Auckland, and already the first.
        (
            1,
            "Pacific/Auckland",
            "2026-04-30T11:00:00Z",
            "2026-05-01T00h",
            "2026-06-01T00h",
        ),
        (
            1,
            "Pacific/Auckland",
            "2026-04-30T12:00:00Z",
            "2026-04-30T12h",
            "2026-05-30T12h",
        ),
        (
            1,
            "America/New_York",
            "2026-01-20T00:00:00Z",
            "2026-02-01T05h",
            "2026-03-01T05h",
        ),
        (
            1,
            "America/New_York",
            "2026-05-20T00:00:00Z",
            "2026-06-01T05h",
            "2026-07-01T05h",
        ),
        (
            28,
            "America/New_York",
            "2026-02-02T00:00:00Z",
            "2026-02-28T05h",
            "2026-03-28T05h",
        ),
        (
            1,
            "America/Santiago",
            "2026-05-20T00:00:00Z",
            "2026-06-01T04h",
            "2026-07-01T04h",
        ),
    ] {
        let rule = AnchorRule::DayOfMonth(day(number));
        let anchor = Anchor::of_contract(rule, Cadence::P1M, &zone(name), at(start)).unwrap();
        let told = starts(anchor, Cadence::P1M, &anchor.at.to_string(), 2);
        assert_eq!(told, [anchored, next], "{rule:?} in {name} from {start}");
    }
}

#[test]
fn a_day_of_the_year_is_the_next_such_day() {
    let month = |number: u8| Month::try_from(number).unwrap();
    for (month, number, name, start, anchored) in [
        (month(1), 1, "UTC", "2026-04-10T00:00:00Z", "2027-01-01T00:00:00Z"),
        (month(1), 1, "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        (
            month(1),
            1,
            "Pacific/Auckland",
            "2026-04-10T00:00:00Z",
            "2027-01-01T00:00:00Z",
        ),
        (
            month(12),
            31,
            "America/New_York",
            "2026-04-10T00:00:00Z",
            "2026-12-31T05:00:00Z",
        ),
    ] {
        let day = day(number);
        let rule = AnchorRule::DayOfYear { month, day };
        let anchor = Anchor::of_contract(rule, Cadence::P1Y, &zone(name), at(start)).unwrap();
        assert_eq!(anchor.at, at(anchored), "{rule:?} in {name} from {start}");
    }
}

/// In Chile a day begins at three in summer and at four in winter. The 28th of February at four would be an hour later than a month from the 29th,
/// 30th or 31st of January at three, or a year from a leap day: Stripe takes no such anchor. A quarter ends later than that.
#[test]
fn an_anchor_is_no_later_than_a_whole_period() {
    let monthly = AnchorRule::DayOfMonth(day(28));
    let yearly = AnchorRule::DayOfYear {
        month: 2.try_into().unwrap(),
        day: day(28),
    };
    for (rule, cadence, name, start, anchored) in [
        (
            monthly,
            Cadence::P1M,
            "America/Santiago",
            "2027-01-28T03:00:00Z",
            "2027-01-28T03:00:00Z",
        ),
        (
            monthly,
            Cadence::P1M,
            "America/Santiago",
            "2027-01-29T03:00:00Z",
            "2027-02-28T03:00:00Z",
        ),
        (
            monthly,
            Cadence::P1M,
            "America/Santiago",
            "2027-01-30T03:00:00Z",
            "2027-02-28T03:00:00Z",
        ),
        (
            monthly,
            Cadence::P1M,
            "America/Santiago",
            "2027-01-31T03:00:00Z",
            "2027-02-28T03:00:00Z",
        ),
        (
            monthly,
            Cadence::P1M,
            "Pacific/Easter",
            "2027-01-31T05:00:00Z",
            "2027-02-28T05:00:00Z",
        ),
        (
            monthly,
            Cadence::P1M,
            "America/Santiago",
            "2027-01-31T15:00:00Z",
            "2027-02-28T04:00:00Z",
        ),
        // A leap year's February has a 29th, and a natural end on it.
        (
            monthly,
            Cadence::P1M,
            "America/Santiago",
            "2028-01-31T03:00:00Z",
            "2028-02-28T04:00:00Z",
        ),
        (
            monthly,
            Cadence::P3M,
            "America/Santiago",
            "2027-01-31T03:00:00Z",
            "2027-02-28T04:00:00Z",
        ),
        (
            yearly,
            Cadence::P1Y,
            "America/Santiago",
            "2028-02-29T03:00:00Z",
            "2029-02-28T03:00:00Z",
        ),
    ] {
        let (start, zone) = (at(start), zone(name));
        let anchor = Anchor::of_contract(rule, cadence, &zone, start).unwrap();
        assert_eq!(
            anchor,
            Anchor::of(at(anchored)),
            "{cadence} in {name} from {start}"
        );
        assert_eq!(anchor.day, day(28));
        let first = anchor.first_period(cadence, start).unwrap();
        assert!(first.start <= start && start < first.end, "{start}");
    }
}

#[test]
fn a_rule_names_a_day_that_every_period_has() {
    let rule = |number| AnchorRule::DayOfMonth(day(number));
    assert!(rule(28).is_in_every_period() && !rule(29).is_in_every_period());
    let yearly = |month: u8, number| AnchorRule::DayOfYear {
        month: month.try_into().unwrap(),
        day: day(number),
    };
    for (month, number, good) in [(12, 31, true), (2, 28, true), (2, 29, false), (4, 31, false)] {
        assert_eq!(
            yearly(month, number).is_in_every_period(),
            good,
            "{month}-{number}"
        );
    }
}

/// In Auckland a day is over eleven to thirteen hours before it is in UTC.
#[test]
fn the_zone_decides_which_day_it_is() {
    let auckland = zone("Pacific/Auckland");
    let today = |text: &str| auckland.date(at(text)).to_string();
    assert_eq!(today("2026-11-25T10:59:59Z"), "2026-11-25");
    assert_eq!(today("2026-11-25T11:00:00Z"), "2026-11-26");
    assert_eq!(today("2026-06-25T11:59:59Z"), "2026-06-25");
    assert_eq!(today("2026-06-25T12:00:00Z"), "2026-06-26");
}

/// Where clocks spring from midnight to one, the day begins at one. Berlin's days of 23 and 25 hours begin at midnight.
#[test]
fn a_day_begins_at_its_first_instant() {
    for (name, date, begins) in [
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z"),
        ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z"),
        ("UTC", "2026-02-28", "2026-02-28T00:00:00Z"),
    ] {
        let start = zone(name).start_of(date.parse().unwrap()).unwrap();
        assert_eq!(start, at(begins), "{date} in {name}");
    }
}

#[test]
fn a_zone_is_one_of_the_iana_database() {
    for name in [
        "UTC",
        "Europe/Berlin",
        "Pacific/Auckland",
        "America/Argentina/Buenos_Aires",
    ] {
        assert_eq!(zone(name).to_string(), name);
        assert_eq!(String::from(zone(name)), name);
    }
    for bad in [
        "",
        "Berlin",
        "Europe/Atlantis",
        "+02:00",
        "CEST",
        "../etc/passwd",
        "EST5EDT,M3.2.0,M11.1.0",
    ] {
        assert_eq!(bad.parse::<Zone>(), Err(NotAZone), "{bad}");
    }
}

#[test]
fn nothing_is_beyond_the_calendar_in_silence() {
    let last = Anchor::of(at("9999-12-30T00:00:00Z"));
    assert_eq!(
        last.period_at(Cadence::P1M, at("9999-12-30T00:00:00Z")),
        Err(OutOfTime)
    );
    let rule = AnchorRule::DayOfMonth(day(1));
    assert_eq!(
        Anchor::of_contract(rule, Cadence::P1M, &Zone::UTC, at("9999-12-30T00:00:00Z")),
        Err(OutOfTime)
    );
}

fn cadences() -> impl Strategy<Value = Cadence> {
    prop_oneof![Just(Cadence::P1M), Just(Cadence::P3M), Just(Cadence::P1Y)]
}

/// Seconds from 2000 to 2100.
const SECONDS: std::ops::Range<i64> = 946_684_800..4_102_444_800;

proptest! {
    /// The periods of an anchor leave no gap and do not overlap, and each instant is in its own.
    #[test]
    fn every_instant_is_in_one_period(anchor in SECONDS, instant in SECONDS, cadence in cadences()) {
        let anchor = Anchor::of(Timestamp::from_second(anchor).unwrap());
        let instant = Timestamp::from_second(instant).unwrap();
        let period = anchor.period_at(cadence, instant).unwrap();
        prop_assert!(period.start <= instant && instant < period.end);
        prop_assert_eq!(anchor.period_at(cadence, period.start).unwrap(), period);
        prop_assert_eq!(anchor.period_at(cadence, period.end).unwrap().start, period.end);
        let own = anchor.period_at(cadence, anchor.at).unwrap();
        prop_assert_eq!(own.start, anchor.at);
    }

    /// The anchor of a rule is the start or at most a month after it, and all periods from there on end on its day, there as in
    /// UTC; where summer time comes every year. Chile had it all year in 2015, and its midnights moved a year later. One that is as late as it may be
    /// has the time of day of its start, which may be the hour before that day in winter.
    #[test]
    fn an_anchor_is_the_next_of_its_rule(
        start in 1_577_836_800..SECONDS.end,
        number in 1_u8..=28,
        name in prop_oneof![
            Just("UTC"), Just("Pacific/Auckland"), Just("America/New_York"), Just("Asia/Kolkata"), Just("Pacific/Kiritimati"),
            Just("Pacific/Pago_Pago"), Just("Africa/Cairo"), Just("America/Santiago"), Just("Europe/Berlin"),
        ],
    ) {
        let start = Timestamp::from_second(start).unwrap();
        let rule = AnchorRule::DayOfMonth(day(number));
        let zone = zone(name);
        let anchor = Anchor::of_contract(rule, Cadence::P1M, &zone, start).unwrap();
        let number = i8::try_from(number).unwrap();
        if zone.date(start).day() == number {
            prop_assert_eq!(anchor.at, start);
        } else {
            let natural = Anchor::of(start).period_at(Cadence::P1M, start).unwrap().end;
            prop_assert!(start < anchor.at && anchor.at <= natural);
            let mut end = anchor.at;
            for _ in 0..14 {
                prop_assert_eq!(utc(end).day(), number, "{}", end);
                prop_assert!(zone.date(end).day() == number || anchor.at == natural, "{}", end);
                end = anchor.period_at(Cadence::P1M, end).unwrap().end;
            }
        }
    }
}

/// Stripe's examples: from 15 February 14 of the 28 days up to 15 March, from 15 January 17 of 31. What begins as late as a whole one before the
/// anchor, or later in the day, is a whole one.
#[test]
fn a_short_first_period_is_a_share_of_one_that_begins_with_the_contract() {
    for (cadence, start, anchor, (left, whole)) in [
        (
            Cadence::P1M,
            "2026-02-15T00:00:00Z",
            "2026-03-01T00:00:00Z",
            (14, 28),
        ),
        (
            Cadence::P1M,
            "2026-01-15T00:00:00Z",
            "2026-02-01T00:00:00Z",
            (17, 31),
        ),
        (
            Cadence::P1M,
            "2026-03-01T00:00:00Z",
            "2026-03-15T00:00:00Z",
            (14, 31),
        ),
        (
            Cadence::P1M,
            "2026-01-31T00:00:00Z",
            "2026-02-15T00:00:00Z",
            (15, 28),
        ),
        (
            Cadence::P1M,
            "2028-01-31T00:00:00Z",
            "2028-02-15T00:00:00Z",
            (15, 29),
        ),
        (
            Cadence::P1M,
            "2026-01-30T00:00:00Z",
            "2026-02-28T00:00:00Z",
            (29, 29),
        ),
        (
            Cadence::P3M,
            "2026-01-31T00:00:00Z",
            "2026-02-15T00:00:00Z",
            (15, 89),
        ),
        (
            Cadence::P1Y,
            "2027-12-01T00:00:00Z",
            "2028-03-01T00:00:00Z",
            (91, 366),
        ),
    ] {
        let (start, anchor) = (at(start), Anchor::of(at(anchor)));
        let first = anchor.first_period(cadence, start).unwrap();
        let days = |from: Timestamp| anchor.at.duration_since(from).as_hours() / 24;
        assert_eq!((days(start), days(first.start)), (left, whole), "{start}");
        assert_eq!(first.end, anchor.at);
    }
    let later = Anchor::of(at("2026-02-28T10:00:00Z"));
    let first = later
        .first_period(Cadence::P1M, at("2026-01-31T05:00:00Z"))
        .unwrap();
    assert_eq!(first.start, at("2026-01-31T05:00:00Z"));
    let whole = later
        .first_period(Cadence::P1M, at("2026-02-28T10:00:00Z"))
        .unwrap();
    assert_eq!(whole, later.period_at(Cadence::P1M, whole.start).unwrap());
}

#[test]
fn a_day_of_the_month_is_from_1_to_31() {
    for (day, is_one) in [(0, false), (1, true), (31, true), (32, false), (255, false)] {
        assert_eq!(Day::try_from(day).is_ok(), is_one, "{day}");
    }
}
