//! Test clocks as the API offers them: made, read, advanced.
//!
//! # How it works
//! Customers attached to a clock live by it: what falls due for them is in its agenda, and requests about them happen at its
//! time ([`time_of_request`]). Advancing takes the entries one by one, each at its own instant. Events are told of by the stack's
//! clock, whatever the time is that they happened at.
//!
//! Stripe advances in the background; here it is done with the call, which answers `advancing` as Stripe does.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Moment, due, named};
use crate::form::Node;
use crate::id::TestClockId;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Agenda, TestClock, World};

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let frozen_time = params
        .timestamp("frozen_time")?
        .ok_or_else(|| Refusal::missing("frozen_time"))?;
    let name = params.text("name")?;
    params.unsupported(&["customer"])?;
    params.finish()?;
    let id = at.world.ids.make();
    let clock = TestClock {
        id,
        created: at.told_at,
        name,
        frozen_time,
        agenda: Agenda::default(),
    };
    let object = Object::TestClock(at.world.test_clocks.insert(clock));
    at.emit("test_helpers.test_clock.created", &object);
    Ok(at.picture(&object))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::test_clock(named(
        &at.world.test_clocks,
        id,
        "test_clock",
    )?))
}

pub(crate) fn advance(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let to = params
        .timestamp("frozen_time")?
        .ok_or_else(|| Refusal::missing("frozen_time"))?;
    params.finish()?;
    let clock = named(&at.world.test_clocks, id, "test_clock")?;
    let id = clock.id.clone();
    if to <= clock.frozen_time {
        let message = "The `frozen_time` to advance to must be after the test clock's current frozen time.";
        return Err(Refusal::invalid("frozen_time", message));
    }
    let object = Object::TestClock(id.clone());
    let mut under_way = at.picture(&object);
    under_way["status"] = json!("advancing");
    under_way["status_details"] = json!({ "advancing": { "target_frozen_time": to.as_second() } });
    at.emit("test_helpers.test_clock.advancing", &object);
    walk(at, &id, to);
    at.emit("test_helpers.test_clock.ready", &object);
    Ok(under_way)
}

/// Lets everything happen that is due by this clock until `to`, each thing at its own instant.
fn walk(at: &mut Moment<'_>, id: &TestClockId, to: Timestamp) {
    while let Some((instant, entry)) = at.world.test_clocks[id].agenda.take_due(to) {
        let mut then = Moment {
            world: &mut *at.world,
            now: instant,
            told_at: at.told_at,
            cause: None,
        };
        due::happen(&mut then, entry);
    }
    at.world.test_clocks[id].frozen_time = to;
}

/// When a request happens that concerns a customer of a test clock: by the objects that its path and its parameters name. None
/// when it happens by the stack's clock.
pub(crate) fn time_of_request(world: &World, path: &[&str], params: &Node) -> Option<Timestamp> {
    const NAMING: [&str; 8] = [
        "test_clock",
        "customer",
        "subscription",
        "from_subscription",
        "schedule",
        "invoice",
        "payment_intent",
        "charge",
    ];
    if world.test_clocks.iter().len() == 0 {
        return None;
    }
    let top = params.members().iter();
    // The customer of a meter event is in its payload, under a name that the meter says.
    let payload = top.clone().filter(|(name, _)| name == "payload");
    let payload = payload.flat_map(|(_, node)| node.members());
    let naming = top.filter(|(name, _)| NAMING.contains(&name.as_str()));
    let named = naming.chain(payload).filter_map(|(_, node)| match node {
        Node::Text(id) => Some(id.as_str()),
        Node::Members(_) => None,
    });
    let mut ids = path.iter().copied().chain(named);
    ids.find_map(|id| world.time_of(id))
}
