//! Looking through Stripe's list of events for those that never arrived, and trying again what failed.
//!
//! # How it works
//! The list is read in windows of time, newest first, as Stripe tells it, and by the types that mean something here: as many of
//! them at once as Stripe takes in one request, one part after the other. A cursor says until when everything is settled, and
//! how far a window was read that the last run had no time to finish. Order does not matter: events are errands.
//!
//! # If it fails half-way
//! The cursor stays where it was written last, and what was taken meanwhile is known as done. Two runs at once take the same
//! events, each of which is done once.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::EventId;

/// For how long Stripe lists an event.
const LISTED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Younger events are left to Stripe's own delivery.
const SETTLES: SignedDuration = SignedDuration::from_mins(5);
/// How much of the last window is looked at again: a list may tell an event a little late.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// How far the clock of whoever linked a connected account may be ahead.
const LINKED_EARLIER: SignedDuration = SignedDuration::from_hours(24);
/// How long a failed event rests after its first attempt; twice as long after each further one.
const FIRST_REST: SignedDuration = SignedDuration::from_mins(10);
/// How long it rests at most.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(24);

/// How far the list was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Whatever happened before is settled.
    pub settled_until: Timestamp,
    /// The window that was begun and not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

/// A window that was read in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its end.
    pub until: Timestamp,
    /// Which part of the types is read now, from 0. Those before it were read to the window's beginning.
    #[serde(default, skip_serializing_if = "is_first")]
    pub part: usize,
    /// The last event of the part that was dealt with; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EventId>,
    /// When the oldest event happened that somebody else was at: if he dies, it has to be found again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<Timestamp>,
}

impl Cursor {
    /// Where to begin when nothing was ever read: with the oldest event that Stripe tells.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self {
            settled_until: before(now, LISTED),
            begun: None,
        }
    }

    /// Where to begin on a connected account: nothing that happened before it was linked is about what was sold there.
    #[must_use]
    pub fn of_linked(linked_at: Timestamp, now: Timestamp) -> Self {
        let listed = Self::first(now);
        Self {
            settled_until: listed.settled_until.max(before(linked_at, LINKED_EARLIER)),
            ..listed
        }
    }

    /// The window to read now: the one that was begun, or the next.
    #[must_use]
    pub fn window(&self, now: Timestamp) -> Begun {
        self.begun.clone().unwrap_or_else(|| Begun {
            until: before(now, SETTLES),
            part: 0,
            after: None,
            unsettled: None,
        })
    }

    /// From when on the window is read.
    #[must_use]
    pub fn from(&self, now: Timestamp) -> Timestamp {
        self.settled_until.max(before(now, LISTED))
    }

    /// The cursor once a window was read to its end.
    #[must_use]
    pub fn finished(&self, window: &Begun) -> Self {
        let read = before(window.until, OVERLAP);
        let settled = window.unsettled.map_or(read, |unsettled| unsettled.min(read));
        Self {
            settled_until: settled.max(self.settled_until),
            begun: None,
        }
    }

    /// The cursor when a window is left half-way.
    #[must_use]
    pub fn left(&self, window: Begun) -> Self {
        Self {
            begun: Some(window),
            ..self.clone()
        }
    }
}

impl Begun {
    /// The same, once an event was dealt with, that happened at `created`, and is `settled` or somebody else's for now.
    #[must_use]
    pub fn past(self, event: EventId, created: Option<Timestamp>, settled: bool) -> Self {
        let unsettled = match (settled, created) {
            (false, Some(created)) => Some(self.unsettled.map_or(created, |oldest| oldest.min(created))),
            _ => self.unsettled,
        };
        Self {
            after: Some(event),
            unsettled,
            ..self
        }
    }

    /// The same, from the top, for the next part of the types.
    #[must_use]
    pub fn next_part(self) -> Self {
        Self {
            part: self.part + 1,
            after: None,
            ..self
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_first(part: &usize) -> bool {
    *part == 0
}

/// For how long nothing has been certain to be settled, in milliseconds. A quarter of an hour when all is well.
#[must_use]
pub fn lag(settled_until: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(settled_until).as_millis()).unwrap_or_default()
}

/// Whether an event that failed is to be tried again: after ten minutes, twenty, and so on, at least once a day.
#[must_use]
pub fn is_rested(attempts: u64, failed_at: Timestamp, now: Timestamp) -> bool {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(16);
    let rest = FIRST_REST
        .checked_mul(1 << doublings)
        .map_or(LONGEST_REST, |rest| rest.min(LONGEST_REST));
    now.duration_since(failed_at) >= rest
}

fn before(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_sub(span).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn id(n: u32) -> EventId {
        format!("evt_{n}").parse().unwrap()
    }

    #[test]
    fn the_first_window_is_all_that_stripe_tells() {
        let now = at("2026-05-01T00:00:00Z");
        let cursor = Cursor::first(now);
        assert_eq!(cursor.from(now), at("2026-04-01T00:00:00Z"));
        assert_eq!(cursor.window(now).until, at("2026-04-30T23:55:00Z"));
    }

    #[test]
    fn a_connected_account_is_read_from_when_it_was_linked() {
        let now = at("2026-05-01T00:00:00Z");
        let from = |linked| Cursor::of_linked(at(linked), now).from(now);
        assert_eq!(from("2026-04-20T00:00:00Z"), at("2026-04-19T00:00:00Z"));
        assert_eq!(from("2025-04-20T00:00:00Z"), at("2026-04-01T00:00:00Z"));
    }

    /// Read until 23:55, looked at again from 23:45 on.
    #[test]
    fn windows_overlap_and_never_go_back() {
        let now = at("2026-05-01T00:00:00Z");
        let cursor = Cursor::first(now);
        let next = cursor.finished(&cursor.window(now));
        assert_eq!(next.settled_until, at("2026-04-30T23:45:00Z"));
        let same = next.finished(&next.window(at("2026-04-30T23:50:00Z")));
        assert_eq!(same, next);
    }

    #[test]
    fn a_window_that_was_left_is_gone_on_with() {
        let now = at("2026-05-01T00:00:00Z");
        let cursor = Cursor::first(now);
        let left = cursor.left(cursor.window(now).past(id(7), Some(now), true));
        let later = at("2026-05-01T01:00:00Z");
        assert_eq!(left.window(later).after, Some(id(7)));
        assert_eq!(left.window(later).until, at("2026-04-30T23:55:00Z"));
    }

    /// What somebody else is at stays found through the parts that follow.
    #[test]
    fn each_part_is_read_from_the_top_of_the_same_window() {
        let now = at("2026-05-01T00:00:00Z");
        let busy = at("2026-04-20T00:00:00Z");
        let cursor = Cursor::first(now);
        let first = cursor.window(now).past(id(7), Some(busy), false);
        let second = first.clone().next_part();
        assert_eq!(
            (second.part, &second.after, second.until),
            (1, &None, first.until)
        );
        assert_eq!(cursor.finished(&second).settled_until, busy);
    }

    /// What the build before this one wrote down was of all types.
    #[test]
    fn a_window_without_a_part_is_in_its_first() {
        let begun: Begun =
            serde_json::from_str(r#"{"until":"2026-05-01T00:00:00Z","after":"evt_7"}"#).unwrap();
        assert_eq!((begun.part, &begun.after), (0, &Some(id(7))));
        assert!(!serde_json::to_string(&begun).unwrap().contains("part"));
    }

    #[test]
    fn the_lag_is_a_quarter_of_an_hour_when_all_is_read() {
        let now = at("2026-05-01T00:00:00Z");
        let cursor = Cursor::first(now);
        assert_eq!(lag(cursor.settled_until, now), 30 * 24 * 3_600_000);
        let read = cursor.finished(&cursor.window(now));
        assert_eq!(lag(read.settled_until, now), 15 * 60_000);
        assert_eq!(lag(now, at("2026-04-30T00:00:00Z")), 0, "a clock that went back");
    }

    #[test]
    fn what_somebody_else_is_at_is_found_again() {
        let now = at("2026-05-01T00:00:00Z");
        let cursor = Cursor::first(now);
        let busy = at("2026-04-20T00:00:00Z");
        let window = cursor
            .window(now)
            .past(id(3), Some(now), true)
            .past(id(2), Some(busy), false)
            .past(id(1), Some(at("2026-04-21T00:00:00Z")), false);
        assert_eq!(cursor.finished(&window).settled_until, busy);
    }

    #[test]
    fn a_failed_event_rests_twice_as_long_each_time_and_a_day_at_most() {
        let failed = at("2026-05-01T00:00:00Z");
        for (attempts, minutes) in [
            (0, 10),
            (1, 10),
            (2, 20),
            (3, 40),
            (7, 640),
            (8, 1280),
            (9, 1440),
            (u64::MAX, 1440),
        ] {
            let rested = |minutes| is_rested(attempts, failed, failed + SignedDuration::from_mins(minutes));
            assert!(rested(minutes) && !rested(minutes - 1), "{attempts}");
        }
    }
}
