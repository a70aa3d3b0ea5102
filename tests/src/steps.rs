//! Something that goes wrong at each step of a deed in turn.
//!
//! ```ignore
//! at_every_step(async |step| {
//!     let id = acme.session(&order).await;
//!     let told = world.dies_over(moment, step, async |machine| acme.confirms_on(machine, &id, &visa).await).await;
//!     // What was left behind: the next confirmation finishes it.
//!     told.is_some()
//! })
//! .await;
//! ```

use std::future::Future;

use crate::answer::Answer;
use crate::machine::Machine;
use crate::network::Moment;
use crate::world::World;

/// More steps than anything takes: a test that never comes to an end must fail all the same.
const MOST_STEPS: usize = 60;

/// Tries something once for each of its steps, which it is told from 1 on, until it answers that it was through before it came to that
/// step. Answers how many steps there are.
///
/// # Panics
/// When there is no end of them.
pub async fn at_every_step(mut attempt: impl AsyncFnMut(usize) -> bool) -> usize {
    for step in 1..MOST_STEPS {
        if attempt(step).await {
            return step - 1;
        }
    }
    panic!("there are more than {MOST_STEPS} steps");
}

/// The same for a machine that dies before the first step, and for one that dies after each took effect, which is told as `died After step 3` in
/// `context`. Before any other step there is what there is after the one before it: what the machine alone knew died with it.
pub async fn at_every_death(mut attempt: impl AsyncFnMut(Death) -> bool) {
    let (moment, step) = (Moment::Before, 1);
    attempt(Death { moment, step }).await;
    let moment = Moment::After;
    at_every_step(async |step| attempt(Death { moment, step }).await).await;
}

/// When a machine dies.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    /// Before that step, or after it took effect.
    pub moment: Moment,
    /// Counted from 1.
    pub step: usize,
}

impl std::fmt::Display for Death {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "died {:?} step {}", self.moment, self.step)
    }
}

/// What came of a machine that was held while something else happened.
#[derive(Debug)]
pub struct Held<T> {
    /// What the machine answered in the end.
    pub answer: Answer,
    /// What came of the other.
    pub other: T,
    /// Whether it was held at all; if not, the other came after it.
    pub was_held: bool,
}

impl World {
    /// Does something on a machine of its own that dies then. None when it died over it.
    pub async fn dies_over<T>(
        &self,
        death: Death,
        deed: impl AsyncFnOnce(&Machine) -> Option<T>,
    ) -> Option<T> {
        self.wreck(death, deed).await.0
    }

    /// The same, with the steps that the machine took.
    pub async fn wreck<T>(
        &self,
        Death { moment, step }: Death,
        deed: impl AsyncFnOnce(&Machine) -> Option<T>,
    ) -> (Option<T>, Vec<String>) {
        let machine = self.machine().await;
        machine.network.stops(moment, step);
        let told = tokio::select! {
            told = deed(&machine) => Some(told.unwrap()),
            () = machine.network.reached() => None,
        };
        let steps = machine.network.steps();
        machine.dies();
        (told, steps)
    }

    /// Delivers an event to a machine of its own that dies over it then, and five minutes later once more. Answers whether the machine was through before.
    ///
    /// # Panics
    /// When it is not taken the second time.
    pub async fn dies_over_event(&self, death: Death, event: &str) -> bool {
        let hears = async |machine: &Machine| machine.call(self.stripe.signed_event(event)).await;
        let told = self.dies_over(death, hears).await;
        self.advance("5m").await;
        assert_eq!(self.stripe.delivers(event).await, 200, "{event}, {death}");
        told.is_some()
    }

    /// Does something on a machine whose answer of that step is kept back while something else happens; after it, where it does not come
    /// to that step.
    pub async fn held_over<T>(
        &self,
        step: usize,
        deed: impl AsyncFnOnce(&Machine) -> Option<Answer>,
        other: impl Future<Output = T>,
    ) -> Held<T> {
        self.machine().await.held_over(step, deed, other).await
    }

    /// Does something on a machine that loses the answer of that step, which took effect. Answers also whether it came to that.
    pub async fn loses_over(
        &self,
        step: usize,
        deed: impl AsyncFnOnce(&Machine) -> Option<Answer>,
    ) -> (Answer, bool) {
        let machine = self.machine().await;
        machine.network.loses_answer(step);
        let answer = deed(&machine).await.unwrap();
        (answer, machine.network.steps().len() >= step)
    }
}

impl Machine {
    /// The same on this machine.
    ///
    /// # Panics
    /// When it dies over it.
    pub async fn held_over<T>(
        &self,
        step: usize,
        deed: impl AsyncFnOnce(&Self) -> Option<Answer>,
        other: impl Future<Output = T>,
    ) -> Held<T> {
        self.network.holds_step(step);
        let mut asked = Box::pin(deed(self));
        let early = tokio::select! {
            answer = &mut asked => Some(answer),
            () = self.network.reached() => None,
        };
        let was_held = early.is_none();
        let other = other.await;
        self.network.lets_go();
        let answer = match early {
            Some(answer) => answer,
            None => asked.await,
        };
        Held {
            answer: answer.unwrap(),
            other,
            was_held,
        }
    }
}
