//! Several things happen at once: requests, events and what is done at Stripe, each on a machine of its own, whose calls take turns.

use billing_tests::{Answer, Death, Machine, Turns, World};
use bytes::Bytes;
use futures_util::future::{LocalBoxFuture, join_all};
use http::Request;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::asking::{Asked, death, has_failed};
use super::history::SHORT;

/// How many things happen at once at most.
const MOST_AT_ONCE: usize = 3;
/// How many calls a turn has at most.
const MOST_CALLS: usize = 7;
/// How many turns there are, over and over.
const MOST_TURNS: usize = 9;

/// Things of some kind that happen at once, each perhaps on a machine that dies over it; and whose turns they take.
#[derive(Debug, Clone)]
pub(super) struct Crossing<T> {
    /// What happens just before.
    pub(super) before: Option<T>,
    pub(super) things: Vec<(T, Option<Death>)>,
    /// Whether the machines have admitted whoever asks before.
    is_known: bool,
    turns: Vec<(usize, usize)>,
}

/// Some of these things, crossed in any way, often after something that they can be done to.
pub(super) fn crossing<T: std::fmt::Debug + Clone + 'static>(
    before: impl Strategy<Value = T> + 'static,
    thing: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Crossing<T>> {
    let before = prop_oneof![1 => Just(None), 2 => before.prop_map(Some)];
    let dies = prop_oneof![4 => Just(None), 1 => death(SHORT)];
    let things = vec((thing, dies), 2..=MOST_AT_ONCE);
    let turns = vec((0..MOST_AT_ONCE, 1..=MOST_CALLS), 1..=MOST_TURNS);
    (before, things, any::<bool>(), turns)
        .prop_map(|(before, things, is_known, turns)| Crossing {
            before,
            things,
            is_known,
            turns,
        })
        .boxed()
}

/// What it is for whoever does it.
pub(super) enum Act<'a> {
    Asks(Box<Request<Bytes>>),
    /// An event is heard: one of the latest.
    Hears(usize),
    Reconciles,
    /// Something is done past us, in one go.
    Does(LocalBoxFuture<'a, ()>),
    /// There is nothing to do it to.
    Nothing,
}

impl<'a> Act<'a> {
    pub(super) fn asks(request: Request<Bytes>) -> Self {
        Self::Asks(Box::new(request))
    }

    pub(super) fn does(deed: impl Future<Output = ()> + 'a) -> Self {
        Self::Does(Box::pin(deed))
    }
}

impl<T> Crossing<T> {
    /// Has it all happen, and tells what came of each.
    pub(super) async fn happens(&self, world: &World, acts: Vec<Act<'_>>) -> Vec<Asked> {
        let known = self.turns.iter().filter(|(whose, _)| *whose < acts.len());
        let turns = Turns::new(&known.copied().collect::<Vec<_>>());
        let deaths = self.things.iter().map(|(_, dies)| *dies);
        let all = acts.into_iter().zip(deaths).enumerate();
        let all = all.map(|(place, (act, dies))| {
            let turns = turns.clone();
            async move {
                let machine = world.machine().await;
                if let Act::Asks(request) = &act
                    && self.is_known
                {
                    admits(&machine, request).await;
                }
                machine.network.takes_turns(&turns, place);
                if let Some(death) = dies {
                    let before = machine.network.steps().len();
                    machine.network.stops(death.moment, before + death.step);
                }
                let asked = tokio::select! {
                    asked = act.happens(world, &machine, &turns, place) => asked,
                    () = machine.network.reached() => Asked::NOTHING,
                };
                turns.leaves(place);
                machine.dies();
                asked
            }
        });
        let all = join_all(all).await;
        world.stripe.stand_in().settle().await;
        all
    }
}

/// Has a machine admit whoever asks, and do nothing: from then on it reads what such a request begins with beside the key.
async fn admits(machine: &Machine, request: &Request<Bytes>) {
    let mut refused = request.clone();
    let too_long = "x".repeat(256).parse().unwrap();
    refused.headers_mut().insert("idempotency-key", too_long);
    let answer = machine.call(refused).await.unwrap();
    assert!(answer.status == 400, "it was to be refused: {answer}");
}

impl Act<'_> {
    async fn happens(self, world: &World, machine: &Machine, turns: &Turns, place: usize) -> Asked {
        let request = match self {
            Self::Asks(request) => *request,
            Self::Hears(which) => {
                let _turn = turns.wait(place).await;
                let events = world.stripe.stand_in().events();
                match events.iter().rev().nth(which) {
                    Some(event) => world.stripe.signed_event(event["id"].as_str().unwrap()),
                    None => return Asked::NOTHING,
                }
            }
            Self::Reconciles => {
                // While others write it may fail as a whole; the next run is the retry.
                drop(machine.hands("reconcile", &json!({})).await);
                return Asked::NOTHING;
            }
            Self::Does(deed) => {
                let _turn = turns.wait(place).await;
                deed.await;
                return Asked::NOTHING;
            }
            Self::Nothing => return Asked::NOTHING,
        };
        let what = format!("{} {}", request.method(), request.uri());
        let answer = machine.call(request).await;
        let fault = answer
            .as_ref()
            .filter(|answer: &&Answer| answer.status >= 500 && answer.status != 503 && !has_failed(world))
            .map(|answer| format!("{what} was answered {answer} beside others"));
        Asked { answer, fault }
    }
}
