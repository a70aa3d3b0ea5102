//! Machines that take turns: each of their steps waits until it is its machine's turn, so that what several do at once happens in an order that is known.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

/// For how long nobody may take a step before the next has its turn: whoever has it may be waiting for something else than an answer.
const IDLE: Duration = Duration::from_millis(50);

/// Whose turn it is, and for how many steps. Cloning it gives another handle of the same ones.
#[derive(Clone)]
pub struct Turns(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Told at every change.
    moved: watch::Sender<()>,
}

struct State {
    /// The turns that are left: whose, and how many steps. Afterwards nobody waits any more.
    left: VecDeque<(usize, usize)>,
    /// How many steps are being taken.
    under_way: usize,
}

impl Turns {
    /// These, one after the other: whose, and for how many steps.
    #[must_use]
    pub fn new(turns: &[(usize, usize)]) -> Self {
        let state = State {
            left: turns.iter().copied().collect(),
            under_way: 0,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            moved: watch::channel(()).0,
        }))
    }

    /// Waits until it is the turn of `whose`; what it answers is the step, for as long as that is being taken.
    pub async fn wait(&self, whose: usize) -> Step {
        let mut moved = self.0.moved.subscribe();
        loop {
            moved.mark_unchanged();
            if let Some(step) = self.begin(whose) {
                return step;
            }
            let is_idle = tokio::time::timeout(IDLE, moved.changed()).await.is_err();
            if is_idle {
                self.passes();
            }
        }
    }

    /// Someone takes no more steps.
    pub fn leaves(&self, whose: usize) {
        self.change(|state| state.left.retain(|(who, _)| *who != whose));
    }

    fn begin(&self, whose: usize) -> Option<Step> {
        let mut begins = false;
        self.change(|state| {
            while state.left.front() == Some(&(whose, 0)) {
                state.left.pop_front();
            }
            begins = match state.left.front_mut() {
                None => true,
                Some((who, steps)) if *who == whose => {
                    *steps -= 1;
                    true
                }
                Some(_) => false,
            };
            state.under_way += usize::from(begins);
        });
        begins.then(|| Step(self.clone()))
    }

    /// Nobody took a step for a while.
    fn passes(&self) {
        self.change(|state| {
            if state.under_way == 0 {
                state.left.pop_front();
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock().unwrap();
        let before = (state.left.len(), state.under_way);
        change(&mut state);
        let after = (state.left.len(), state.under_way);
        drop(state);
        if before != after {
            self.0.moved.send_replace(());
        }
    }
}

impl Debug for Turns {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_list()
            .entries(&self.0.state.lock().unwrap().left)
            .finish()
    }
}

/// A step that is being taken.
#[derive(Debug)]
pub struct Step(Turns);

impl Drop for Step {
    fn drop(&mut self) {
        self.0.change(|state| state.under_way -= 1);
    }
}
