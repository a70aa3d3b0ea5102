//! Meters and their events as Stripe answers them.

use serde_json::{Value, json};

use super::{seconds, word};
use crate::id::Id;
use crate::state::{Aggregation, Meter, MeterEvent};

pub(crate) fn meter(meter: &Meter) -> Value {
    json!({
        "id": meter.id.as_str(),
        "object": "billing.meter",
        "created": seconds(meter.created),
        "customer_mapping": { "event_payload_key": meter.customer_key, "type": "by_id" },
        "default_aggregation": { "formula": word(&Aggregation::WORDS, meter.aggregation) },
        "display_name": meter.display_name,
        "event_name": meter.event_name,
        "event_time_window": meter.event_time_window,
        "livemode": false,
        "status": "active",
        "status_transitions": { "deactivated_at": null },
        "updated": seconds(meter.created),
        "value_settings": { "event_payload_key": meter.value_key },
    })
}

pub(crate) fn meter_event(event: &MeterEvent) -> Value {
    json!({
        "object": "billing.meter_event",
        "created": seconds(event.created),
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": false,
        "payload": event.payload,
        "timestamp": seconds(event.timestamp),
    })
}
