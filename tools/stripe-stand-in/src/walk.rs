//! Walks through what falls due, one by one, in the order of time and over all worlds.
//!
//! Deliveries are not walked here: they need somebody to answer them ([`crate::StandIn::advance_to`]).

use jiff::Timestamp;

use crate::deliveries;
use crate::rules::{Moment, due};
use crate::state::State;

/// When the next thing falls due in any world.
pub(crate) fn next_due(state: &State) -> Option<Timestamp> {
    state.worlds().filter_map(|world| world.agenda.next()).min()
}

/// Lets everything happen that is due until `until`, each thing at its own instant.
pub(crate) fn happen_until(state: &mut State, until: Timestamp) {
    while let Some(next) = next_due(state).filter(|next| *next <= until) {
        for world in state.worlds_mut() {
            while let Some((at, due)) = world.agenda.take_due(next) {
                due::happen(
                    &mut Moment {
                        world,
                        now: at,
                        told_at: at,
                        cause: None,
                    },
                    due,
                );
            }
        }
        deliveries::dispatch(state);
    }
}
