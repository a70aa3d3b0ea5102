//! Events: emitted by the other rules, and read back by their operations.
//!
//! Who is told of them is decided by [`crate::deliveries`], after the operation is done.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::listing::{self, Paging, Range};
use super::{Moment, named};
use crate::faults::event_matches;
use crate::id::EventId;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Event, Row};

/// How long Stripe answers for an event. The stand-in itself forgets none: its test routes show them all.
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Stripe's limit on `types`.
const MOST_TYPES: usize = 20;

fn is_kept(event: &Event, now: Timestamp) -> bool {
    now.duration_since(event.created) <= LIFETIME
}

impl Moment<'_> {
    /// Something happened to an object: the event keeps it as it is now.
    pub(crate) fn emit(&mut self, kind: &str, object: &Object) {
        let picture = self.picture(object);
        self.record(kind, picture, None);
    }

    /// An object changed: the event tells what the changed members were before. Nothing changed, no event.
    pub(crate) fn emit_updated(&mut self, kind: &str, object: &Object, before: &Value) {
        let picture = self.picture(object);
        let previous = changed_members(before, &picture);
        if !previous.is_empty() {
            self.record(kind, picture, Some(Value::Object(previous)));
        }
    }

    fn record(&mut self, kind: &str, object: Value, previous_attributes: Option<Value>) {
        let id: EventId = self.world.ids.make();
        self.world.events.insert(Event {
            id: id.clone(),
            created: self.told_at,
            kind: kind.to_owned(),
            object,
            previous_attributes,
            request_id: self.cause.map(|cause| cause.request_id.clone()),
            idempotency_key: self.cause.and_then(|cause| cause.idempotency_key.clone()),
            pending_webhooks: 0,
        });
        self.world.outbox.push(id);
    }
}

/// The members of `before` that are not the same in `after`, as they were.
fn changed_members(before: &Value, after: &Value) -> Map<String, Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return Map::new();
    };
    let mut previous = Map::new();
    for (name, value) in after {
        let was = before.get(name).unwrap_or(&Value::Null);
        if was != value {
            previous.insert(name.clone(), was.clone());
        }
    }
    previous
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let kind = params.text("type")?;
    let kinds = params.texts("types")?;
    let delivered = params.boolean("delivery_success")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    if kind.is_some() && !kinds.is_empty() {
        let message = "You may only specify one of these parameters: type, types.";
        return Err(Refusal::invalid("types", message));
    }
    if kinds.len() > MOST_TYPES {
        let message = format!("You can filter by up to {MOST_TYPES} types.");
        return Err(Refusal::invalid("types", message));
    }
    listing::page(
        &at.world.events,
        &paging,
        "/v1/events",
        |event| render::event(at.world, event),
        |event| {
            is_kept(event, at.now)
                && created.contains(event.created)
                && kind
                    .as_deref()
                    .is_none_or(|pattern| event_matches(pattern, &event.kind))
                && (kinds.is_empty() || kinds.iter().any(|pattern| event_matches(pattern, &event.kind)))
                && delivered.is_none_or(|delivered| delivered == (event.pending_webhooks == 0))
        },
    )
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let event = named(&at.world.events, id, "id")?;
    if !is_kept(event, at.now) {
        return Err(Refusal::not_found(Event::OBJECT, id, "id"));
    }
    Ok(render::event(at.world, event))
}
