//! Meters, their events, and how much of a metered price was used in a period.
//!
//! Events count at once, where Stripe takes some minutes. Values are whole numbers; those with decimals are refused.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::listing::{self, Paging};
use super::{Moment, customers, named};
use crate::id::{CustomerId, Id};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render;
use crate::state::{Aggregation, Metadata, Meter, MeterEvent, Price, World};

/// How long an identifier is remembered, at least.
const IDENTIFIER_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// How old an event may be.
const OLDEST: SignedDuration = SignedDuration::from_hours(35 * 24);
/// How far into the future it may lie, clocks being what they are.
const NEWEST: SignedDuration = SignedDuration::from_mins(5);

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let display_name = params.required_text("display_name")?;
    let event_name = params.required_text("event_name")?;
    let aggregation = params
        .child("default_aggregation")?
        .ok_or_else(|| Refusal::missing("default_aggregation"))?;
    let formula = aggregation.choice("formula", &Aggregation::WORDS)?;
    let formula = formula.ok_or_else(|| Refusal::missing("default_aggregation[formula]"))?;
    let customer_key = match params.child("customer_mapping")? {
        None => None,
        Some(mapping) => {
            mapping.choice("type", &[("by_id", ())])?;
            Some(mapping.required_text("event_payload_key")?)
        }
    };
    let value_key = match params.child("value_settings")? {
        None => None,
        Some(settings) => Some(settings.required_text("event_payload_key")?),
    };
    let window = params.choice("event_time_window", &[("day", "day"), ("hour", "hour")])?;
    params.finish()?;
    if at.world.meters.iter().any(|meter| meter.event_name == event_name) {
        let message = format!("A meter with the event name {event_name} already exists.");
        return Err(Refusal::invalid("event_name", message));
    }
    let meter = Meter {
        id: at.world.ids.make(),
        created: at.now,
        display_name,
        event_name,
        aggregation: formula,
        customer_key: customer_key.unwrap_or_else(|| "stripe_customer_id".to_owned()),
        value_key: value_key.unwrap_or_else(|| "value".to_owned()),
        event_time_window: window.map(str::to_owned),
    };
    let id = at.world.meters.insert(meter);
    Ok(render::meter(&at.world.meters[&id]))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::meter(named(&at.world.meters, id, "id")?))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let active = params.choice("status", &[("active", true), ("inactive", false)])?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let keep = |_: &Meter| active.unwrap_or(true);
    listing::page(
        &at.world.meters,
        &paging,
        "/v1/billing/meters",
        render::meter,
        keep,
    )
}

/// What was used of a meter by a customer, summed up: in one, as the whole time is asked for.
pub(crate) fn summaries(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.required_text("customer")?;
    let start = params
        .timestamp("start_time")?
        .ok_or_else(|| Refusal::missing("start_time"))?;
    let end = params
        .timestamp("end_time")?
        .ok_or_else(|| Refusal::missing("end_time"))?;
    params.inert(&["limit"]);
    params.unsupported(&["value_grouping_window", "starting_after", "ending_before"])?;
    params.finish()?;
    let meter = named(&at.world.meters, id, "id")?;
    for (member, time) in [("start_time", start), ("end_time", end)] {
        if time.as_second() % 60 != 0 {
            let message = format!("{member} must be aligned with minute boundaries.");
            return Err(Refusal::invalid(member, message));
        }
    }
    if end <= start {
        return Err(Refusal::invalid("end_time", "end_time must be after start_time."));
    }
    let customer = customers::live(at, &customer, "customer")?.id.clone();
    let used = counted(at.world, meter, &customer, (start, end));
    let summary = render::meter_summary(meter, used, (start, end));
    Ok(render::inner_list(
        &format!("/v1/billing/meters/{id}/event_summaries"),
        vec![summary],
    ))
}

pub(crate) fn record(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let event_name = params.required_text("event_name")?;
    let payload = params
        .child("payload")?
        .ok_or_else(|| Refusal::missing("payload"))?;
    let mut values = Metadata::new();
    for name in payload.names() {
        values.insert(name.to_owned(), payload.required_text(name)?);
    }
    let identifier = params.text("identifier")?;
    let timestamp = params.timestamp("timestamp")?.unwrap_or(at.now);
    params.finish()?;
    let meter = at
        .world
        .meters
        .iter()
        .find(|meter| meter.event_name == event_name);
    let meter = meter.ok_or_else(|| {
        let message = format!("No active meter found for event name {event_name}.");
        Refusal::invalid_code("no_meter", "event_name", message)
    })?;
    // Counting needs no value.
    let value_key = Some(&meter.value_key).filter(|_| meter.aggregation != Aggregation::Count);
    let mut needed = value_key.into_iter().chain([&meter.customer_key]);
    if let Some(key) = needed.find(|key| !values.contains_key(*key)) {
        return Err(Refusal::missing(&format!("payload[{key}]")));
    }
    if let Some(value) = values
        .get(&meter.value_key)
        .filter(|value| value.parse::<i64>().is_err())
    {
        let message = format!("Invalid value: {value} is not a whole number.");
        return Err(Refusal::invalid(
            &format!("payload[{}]", meter.value_key),
            message,
        ));
    }
    let age = at.now.duration_since(timestamp);
    if age > OLDEST || -age > NEWEST {
        let message = "The timestamp must be within the past 35 days or up to 5 minutes in the future.";
        return Err(Refusal::invalid("timestamp", message));
    }
    let identifier = identifier.unwrap_or_else(|| at.world.ids.text("", 32));
    let known = at.world.meter_events.iter().rev();
    let mut recent = known.filter(|event| at.now.duration_since(event.created) < IDENTIFIER_LIFETIME);
    if recent.any(|event| event.identifier == identifier) {
        let message = format!("An event already exists with identifier {identifier}.");
        return Err(Refusal::invalid("identifier", message));
    }
    let event = MeterEvent {
        created: at.now,
        timestamp,
        identifier,
        event_name,
        payload: values,
    };
    let answer = render::meter_event(&event);
    at.world.meter_events.push(event);
    Ok(answer)
}

/// How much of a metered price a customer used from `start` to `end`. Never less than nothing.
pub(crate) fn used(
    world: &World,
    price: &Price,
    customer: &CustomerId,
    (start, end): (Timestamp, Timestamp),
) -> u64 {
    let meter = price
        .recurring
        .as_ref()
        .and_then(|recurrence| recurrence.meter.as_ref())
        .and_then(|id| world.meters.find(id));
    let counted = meter.map_or(0, |meter| counted(world, meter, customer, (start, end)));
    u64::try_from(counted).unwrap_or_default()
}

/// What the events come to, also below zero.
fn counted(world: &World, meter: &Meter, customer: &CustomerId, (start, end): (Timestamp, Timestamp)) -> i64 {
    let values = world
        .meter_events
        .iter()
        .filter(|event| {
            event.event_name == meter.event_name
                && event.payload.get(&meter.customer_key).map(String::as_str) == Some(customer.as_str())
                && start <= event.timestamp
                && event.timestamp < end
        })
        .map(|event| {
            let value = event
                .payload
                .get(&meter.value_key)
                .and_then(|value| value.parse::<i64>().ok());
            (event.timestamp, i128::from(value.unwrap_or_default()))
        });
    let used: i128 = match meter.aggregation {
        Aggregation::Sum => values.map(|(_, value)| value).sum(),
        Aggregation::Last => values.max_by_key(|(at, _)| *at).map_or(0, |(_, value)| value),
        Aggregation::Count => values.map(|_| 1).sum(),
    };
    i64::try_from(used).unwrap_or(if used < 0 { i64::MIN } else { i64::MAX })
}
