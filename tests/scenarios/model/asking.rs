//! Something is asked on a machine of some kind: one that dies, whose network loses an answer, or that is held while something else happens.

use billing_tests::{Answer, Death, Machine, Moment, World};
use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use stripe_stand_in::FaultKind;

/// On which kind of machine something is asked; what happens meanwhile is an `M`.
#[derive(Debug, Clone)]
pub(super) enum On<M> {
    One,
    /// Which dies.
    Mortal(Death),
    /// Whose network loses the answer of a step.
    Losing(usize),
    /// Which is held at a step while something else happens.
    Held(usize, M),
}

impl<M> From<Option<Death>> for On<M> {
    fn from(dies: Option<Death>) -> Self {
        dies.map_or(Self::One, Self::Mortal)
    }
}

/// Any kind of machine, where that may happen meanwhile, and nothing takes more steps than `most`.
pub(super) fn on<M: std::fmt::Debug + Clone + 'static>(
    most: usize,
    meanwhile: impl Strategy<Value = M> + 'static,
) -> BoxedStrategy<On<M>> {
    prop_oneof![
        4 => Just(On::One),
        3 => dying(most).prop_map(On::Mortal),
        1 => (1..=most).prop_map(On::Losing),
        2 => (1..=most, meanwhile).prop_map(|(step, meanwhile)| On::Held(step, meanwhile)),
    ]
    .boxed()
}

/// Mostly nobody dies, and no later than at step `most`.
pub(super) fn death(most: usize) -> impl Strategy<Value = Option<Death>> {
    prop_oneof![3 => Just(None), 2 => dying(most).prop_map(Some)]
}

fn dying(most: usize) -> impl Strategy<Value = Death> {
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    (moment, 1..=most).prop_map(|(moment, step)| Death { moment, step })
}

/// What came of asking.
pub(super) struct Asked {
    /// None where the machine died over it.
    pub(super) answer: Option<Answer>,
    /// That it was answered with a 5xx though there was no outage.
    pub(super) fault: Option<String>,
}

impl Asked {
    /// Nobody was answered.
    pub(super) const NOTHING: Self = Self {
        answer: None,
        fault: None,
    };
}

/// Asks for something on a machine of that kind.
pub(super) async fn ask<M>(
    world: &World,
    on: &On<M>,
    request: Request<Bytes>,
    meanwhile: impl AsyncFnOnce(&M),
) -> Asked {
    let what = format!("{} {}", request.method(), request.uri());
    let call = async |machine: &Machine| machine.call(request.clone()).await;
    let answer = match on {
        On::One => Some(world.sends(request.clone()).await),
        On::Mortal(death) => world.dies_over(*death, call).await,
        On::Losing(step) => Some(world.loses_over(*step, call).await.0),
        On::Held(step, other) => Some(world.held_over(*step, call, meanwhile(other)).await.answer),
    };
    // A plan is not priced between the end of a period and the news of the next, which may be held back.
    let waits_for_news = request.uri() == "/checkouts" || request.uri() == "/checkouts/preview";
    let is_outage = |answer: &Answer| {
        let has_its_own = waits_for_news || !matches!(on, On::One | On::Mortal(_));
        has_its_own && answer.status == 503 || has_failed(world)
    };
    let failed = answer
        .as_ref()
        .filter(|answer| answer.status >= 500 && !is_outage(answer));
    let fault = failed.map(|answer| format!("{what} was answered {answer}"));
    Asked { answer, fault }
}

/// Whether Stripe was told to fail at some call: what it answered under a key then, it answers again.
pub(super) fn has_failed(world: &World) -> bool {
    let faults = world.stripe.stand_in().faults();
    let fails = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::Status { .. } | FaultKind::DropBefore | FaultKind::DropAfter
        )
    };
    faults.iter().any(|fault| fails(&fault.kind))
}
