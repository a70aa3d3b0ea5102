//! The stand-in as it was: written down, put back, started over.
//!
//! Where it writes is the caller's business. Neither the clock nor what was asked for the log is part of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stand_in::{StandIn, StandInError};
use crate::state::{ReplyState, State};

/// What [`StandIn::snapshot`] writes.
#[derive(Serialize, Deserialize)]
struct Snapshot<'a> {
    state: Cow<'a, State>,
    baseline: Cow<'a, State>,
}

impl StandIn {
    /// The whole state and the baseline as JSON, for [`Self::restore`]. The log of requests is not part of it.
    ///
    /// # Errors
    /// When the state cannot be written as JSON, which would be a defect.
    pub fn snapshot(&self) -> Result<Value, StandInError> {
        self.with_state(|_, _| ());
        let core = self.core();
        let written = serde_json::to_value(Snapshot {
            state: Cow::Borrowed(&core.state),
            baseline: Cow::Borrowed(&core.baseline),
        });
        written.map_err(|error| StandInError(error.to_string()))
    }

    /// Puts a snapshot in place of the state. The address at which the stand-in is reached stays.
    ///
    /// # Errors
    /// When it is not a snapshot of this version.
    pub fn restore(&self, snapshot: Value) -> Result<(), StandInError> {
        let snapshot: Snapshot<'_> = serde_json::from_value(snapshot)
            .map_err(|error| StandInError(format!("not a snapshot: {error}")))?;
        let mut restored = snapshot.state.into_owned();
        restored.deliveries.resume();
        // Nobody is working on anything after a restart.
        restored.worlds_mut().for_each(|world| {
            world
                .replies
                .retain(|_, reply| matches!(reply.state, ReplyState::Answered { .. }))
        });
        let mut core = self.core();
        let base_url = core.state.platform.base_url.clone();
        restored
            .worlds_mut()
            .for_each(|world| world.base_url.clone_from(&base_url));
        core.state = restored;
        core.baseline = snapshot.baseline.into_owned();
        Ok(())
    }

    /// Says that a reset goes back to how everything is now, instead of to nothing.
    pub fn set_baseline(&self) {
        let mut core = self.core();
        core.baseline = core.state.clone();
    }

    /// Goes back to the baseline. Neither the clock nor the making of ids goes back: whoever is outside may remember those that
    /// are gone, and would take an event under an old id for one that it has handled.
    pub fn reset(&self) {
        let mut guard = self.core();
        let core = &mut *guard;
        core.state.go_back_to(&core.baseline);
        core.requests.clear();
    }

    /// Makes other ids from here on than a stand-in without this salt, on connected accounts too. For whoever keeps its ids longer
    /// than it does: a database outside would otherwise take the events of the next one, or those of one that was restored to an
    /// earlier state, for those that it has handled.
    pub fn salt_ids(&self, salt: &str) {
        self.core().state.salt_ids(salt);
    }
}
