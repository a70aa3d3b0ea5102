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

#[derive(Clone, PartialEq)]
struct State {
    /// The turns: whose, and how many steps. The first is under way, and comes last when it is over.
    turns: VecDeque<(usize, usize)>,
    /// How many steps of the first were taken.
    taken: usize,
    /// How many steps are being taken.
    under_way: usize,
}

impl State {
    fn passes(&mut self) {
        self.taken = 0;
        let turns = self.turns.len();
        self.turns.rotate_left(1.min(turns));
    }
}

impl Turns {
    /// These, one after the other and over again: whose, and for how many steps. Whoever has none waits for nobody.
    #[must_use]
    pub fn new(turns: &[(usize, usize)]) -> Self {
        let state = State {
            turns: turns.iter().copied().collect(),
            taken: 0,
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
                self.change(|state| {
                    if state.under_way == 0 {
                        state.passes();
                    }
                });
            }
        }
    }

    /// Someone takes no more steps.
    pub fn leaves(&self, whose: usize) {
        self.change(|state| {
            if state.turns.front().is_some_and(|(who, _)| *who == whose) {
                state.taken = 0;
            }
            state.turns.retain(|(who, _)| *who != whose);
        });
    }

    fn begin(&self, whose: usize) -> Option<Step> {
        let mut begins = false;
        self.change(|state| {
            if state.turns.front() == Some(&(whose, state.taken)) {
                state.passes();
            }
            let is_in = state.turns.iter().any(|(who, _)| *who == whose);
            let is_next = state.turns.front().is_some_and(|(who, _)| *who == whose);
            begins = is_next || !is_in;
            state.taken += usize::from(is_next);
            state.under_way += usize::from(begins);
        });
        begins.then(|| Step(self.clone()))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock().unwrap();
        let before = state.clone();
        change(&mut state);
        if *state != before {
            self.0.moved.send_replace(());
        }
    }
}

impl Debug for Turns {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_list()
            .entries(&self.0.state.lock().unwrap().turns)
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
