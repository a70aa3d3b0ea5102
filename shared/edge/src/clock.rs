//! The time, and nothing but the time.

use std::fmt;
use std::sync::Arc;

use billing_core::Timestamp;

/// Where a request's `now` comes from: the system, or whatever the local stack and the tests say.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the clock"
        )]
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that somebody else moves.
    #[must_use]
    pub fn from_fn(now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self(now)
    }

    /// The present, by this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Clock").field(&self.now()).finish()
    }
}
