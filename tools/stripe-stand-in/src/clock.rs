//! The one clock of the stand-in and of whoever shares it.
//!
//! A clock either runs (system time plus an offset) or stands still until it is told. It makes nothing happen: what falls
//! due is walked through by [`StandIn::advance_to`](crate::StandIn::advance_to), which moves the clock on its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that several parts of a test or of a local stack share. Cloning it gives another handle of the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Hands>>);

#[derive(Debug)]
enum Hands {
    Running { ahead: SignedDuration },
    Frozen { at: Timestamp },
}

impl Clock {
    /// A clock that runs with the system's, until it is set; from then on it runs ahead of (or behind) it.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Mutex::new(Hands::Running {
            ahead: SignedDuration::ZERO,
        })))
    }

    /// A clock that shows `at` until it is set.
    #[must_use]
    pub fn frozen(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands::Frozen { at })))
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match *self.hands() {
            Hands::Running { ahead } => system_now().saturating_add(ahead).unwrap_or(Timestamp::MAX),
            Hands::Frozen { at } => at,
        }
    }

    /// Sets the clock. A running clock goes on running from there.
    pub fn set(&self, to: Timestamp) {
        match &mut *self.hands() {
            Hands::Running { ahead } => *ahead = to.duration_since(system_now()),
            Hands::Frozen { at } => *at = to,
        }
    }

    /// Sets the clock unless it already shows a later instant: two walkers cannot turn it back under each other.
    pub fn move_forward_to(&self, to: Timestamp) {
        if self.now() < to {
            self.set(to);
        }
    }

    /// Whether time passes on this clock without anybody setting it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(*self.hands(), Hands::Running { .. })
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        // A clock is valid after every single write, so a panic elsewhere cannot have left it half set.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is a developer tool with a clock of its own"
)]
fn system_now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_frozen_clock_shows_what_it_was_told() {
        let clock = Clock::frozen(at("2026-04-01T00:00:00Z"));
        let other = clock.clone();
        other.set(at("2026-05-01T00:00:00Z"));
        assert_eq!(clock.now(), at("2026-05-01T00:00:00Z"));
        clock.move_forward_to(at("2026-04-15T00:00:00Z"));
        assert_eq!(
            clock.now(),
            at("2026-05-01T00:00:00Z"),
            "an earlier instant does not turn it back"
        );
    }

    #[test]
    fn a_running_clock_goes_on_from_where_it_was_set() {
        let clock = Clock::system();
        clock.set(at("2030-01-01T00:00:00Z"));
        assert!(clock.is_running());
        let shown = clock.now();
        assert!(shown >= at("2030-01-01T00:00:00Z") && shown < at("2030-01-01T00:10:00Z"));
    }
}
