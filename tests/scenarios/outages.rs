//! Everything that is done, while DynamoDB and Stripe fail at each single step, in every way: refused, mute, torn, reset, late, drop by drop,
//! throttling, contending, failing, hanging, stalled, trickling; once, or from then on. Always a documented answer, nothing half-visible,
//! and whoever asks again converges.

/// Of an account.
mod accounts;
/// Of an agency.
mod agencies;
/// Of an organisation.
mod organisations;
/// Events that nobody asked for: of Stripe, of streams, of schedules.
mod events;

use std::time::Duration;

use billing_tests::{Account, Answer, Limit, Machine, Outage, Reach, World, project};
use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use serde_json::Value;

const NOW: &str = "2026-04-01T00:00:00Z";
/// How many are under way at the same time: they wait more than they work.
const AT_ONCE: usize = 8;
/// The time of an invocation that cannot end: what the function needs to write down what happened is 0.7 s of it. It is ended later
/// than it is told, for many are under way on a busy machine; and earlier than a call to DynamoDB would be given up by itself.
const SHORT: Limit = Limit {
    told: Duration::from_millis(1300),
    ends: Duration::from_millis(3500),
};

/// Something that is done.
trait Deed<'w>: Sized {
    /// What it is done to, once.
    type To;
    /// The function that does it.
    const FUNCTION: &'static str;
    /// How many at once; one, where they would be in each other's way.
    const AT_ONCE: usize = AT_ONCE;
    /// Which share of the kinds is tried at a step, in turns: a half, a third. For what costs much and has many steps.
    const ONE_IN: usize = 1;
    /// How long what was left behind by a failure keeps others out.
    const LEASE: Option<&'static str> = None;

    /// What has to be there for all of them.
    async fn sets_up(world: &'w World) -> Self;

    /// What has to be there for one of them; `at` counts those that are done at the same time.
    async fn prepares(&mut self, at: usize) -> Self::To;

    /// What is asked for.
    fn ask(&self, to: &Self::To) -> Ask;

    /// That nothing is half-visible when it failed.
    async fn is_whole(&self, _to: &Self::To, _context: &str) {}

    /// That it is done, once, however often it was asked for.
    async fn is_done(&self, to: &Self::To, told: &Value, context: &str);
}

/// What is asked of a function.
enum Ask {
    /// By a caller.
    Request(Box<Request<Bytes>>),
    /// By an event source, which hears of a failure in the answer's list of failures, or as one.
    Event(Value),
}

impl Ask {
    fn request(request: Request<Bytes>) -> Self {
        Self::Request(Box::new(request))
    }
}

/// What it came to: what was told, or nothing, because it failed as it is documented.
type Told = Option<Value>;

/// A success or a 503, which is in the contract and says when to come back: API Gateway says neither that nor the request's id when the
/// function was ended over it.
fn judged(function: &str, answer: &Answer, context: &str) -> Told {
    assert!(
        project::statuses(function).contains(&answer.status),
        "{context}: {answer}"
    );
    if matches!(answer.status, 200..=299) {
        return Some(answer.body.clone());
    }
    assert_eq!(answer.status, 503, "{context}: {answer}");
    for header in ["x-request-id", "retry-after"] {
        assert!(!answer.header(header).is_empty(), "{context}: {answer}");
    }
    None
}

/// An event is done unless its source is told otherwise.
fn taken(told: Result<Value, String>, context: &str) -> Told {
    match told {
        Ok(told) => {
            let failures = told["batchItemFailures"].as_array();
            let failed = failures.is_some_and(|failures| !failures.is_empty());
            let failed = failed || told["complete"] == false || told["failed"].as_u64() > Some(0);
            (!failed).then_some(told)
        }
        Err(why) => {
            assert!(
                !why.contains("crashed") && !why.contains("too long"),
                "{context}: {why}"
            );
            None
        }
    }
}

async fn on(
    machine: &Machine,
    function: &'static str,
    ask: Ask,
    limit: Option<Limit>,
    context: &str,
) -> Told {
    match (ask, limit) {
        (Ask::Request(request), None) => judged(function, &machine.call(*request).await?, context),
        (Ask::Request(request), Some(limit)) => {
            judged(function, &machine.call_within(*request, limit).await?, context)
        }
        (Ask::Event(event), None) => taken(machine.hands(function, &event).await?, context),
        (Ask::Event(event), Some(limit)) => {
            taken(machine.hands_within(function, &event, limit).await?, context)
        }
    }
}

/// Does it while things go wrong at each of its steps in turn, in every way, and then once more.
async fn survives<'w, D: Deed<'w>>(world: &'w World) {
    let mut deed = D::sets_up(world).await;
    let to = deed.prepares(0).await;
    let machine = world.machine().await;
    let told = on(&machine, D::FUNCTION, deed.ask(&to), None, "nothing goes wrong").await;
    deed.is_done(&to, &told.unwrap(), "nothing goes wrong").await;
    let steps = machine.network.steps();
    let tried: Vec<_> = steps
        .iter()
        .enumerate()
        .flat_map(|(before, description)| {
            let faults = faults(before, description, D::ONE_IN).into_iter();
            faults.map(move |(outage, reach)| (before + 1, description, outage, reach))
        })
        .collect();
    // The endless ones by themselves: they wait, where the others work.
    let (endless, others): (Vec<_>, Vec<_>) = tried
        .into_iter()
        .partition(|(_, _, outage, _)| outage.is_endless());
    for some in others.chunks(D::AT_ONCE).chain(endless.chunks(D::AT_ONCE)) {
        let mut attempts = Vec::new();
        for (at, (step, description, outage, reach)) in some.iter().enumerate() {
            let context = format!("{outage:?} at step {step} ({description}), reaching {reach:?}");
            attempts.push(Attempt {
                to: deed.prepares(at).await,
                step: *step,
                outage: *outage,
                reach: *reach,
                context,
            });
        }
        survives_these(world, &deed, &attempts).await;
    }
}

/// What goes wrong at a step of that description: something of each kind. How far it reaches, and those of a kind that are much alike,
/// take turns from step to step; with `OUTAGES=all` there is all of it at every step.
fn faults(before: usize, description: &str, one_in: usize) -> Vec<(Outage, Reach)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how much is tried is for the one who runs the tests to say"
    )]
    let all = std::env::var("OUTAGES").is_ok_and(|wanted| wanted == "all");
    let mut faults = Vec::new();
    for (nth, alike) in Outage::ALIKE.iter().enumerate() {
        let alike = alike.iter().filter(|outage| outage.is_of_its_own(description));
        let alike: Vec<_> = alike.copied().collect();
        let each = alike
            .iter()
            .flat_map(|outage| Reach::ALL.map(|reach| (*outage, reach)));
        if all {
            faults.extend(each);
        } else if !alike.is_empty() && (nth + before).is_multiple_of(one_in) {
            faults.push((
                alike[before / one_in % alike.len()],
                Reach::ALL[(nth + before / one_in) % Reach::ALL.len()],
            ));
        }
    }
    faults
}

/// One that things go wrong for.
struct Attempt<To> {
    to: To,
    step: usize,
    outage: Outage,
    reach: Reach,
    context: String,
}

async fn survives_these<'w, D: Deed<'w>>(world: &'w World, deed: &D, attempts: &[Attempt<D::To>]) {
    let told = join_all(attempts.iter().map(async |attempt| {
        let machine = world.machine().await;
        let Attempt {
            to,
            step,
            outage,
            reach,
            context,
        } = attempt;
        machine.network.goes_down(*step, *outage, *reach);
        let limit = outage.is_endless().then_some(SHORT);
        on(&machine, D::FUNCTION, deed.ask(to), limit, context).await
    }));
    for (attempt, told) in attempts.iter().zip(told.await) {
        if told.is_none() {
            deed.is_whole(&attempt.to, &attempt.context).await;
        }
    }
    if let Some(lease) = D::LEASE {
        world.advance(lease).await;
    }
    let machine = world.machine().await;
    for Attempt { to, context, .. } in attempts {
        let context = format!("asked again after: {context}");
        let told = on(&machine, D::FUNCTION, deed.ask(to), None, &context).await;
        let Some(told) = told else {
            panic!("{context}: it does not converge");
        };
        deed.is_done(to, &told, &context).await;
    }
}

/// An account with a subscription.
async fn subscriber(world: &World) -> Account<'_> {
    world.subscriber(1, "monthly").await
}
