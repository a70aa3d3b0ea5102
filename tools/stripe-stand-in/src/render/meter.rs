//! Meters and their events as Stripe answers them.

use jiff::Timestamp;
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

/// Stripe tells the sum with a point; one without is the same number.
pub(crate) fn meter_summary(meter: &Meter, used: i64, (start, end): (Timestamp, Timestamp)) -> Value {
    json!({
        "id": format!("mtrsum_{}_{}", meter.id.as_str().trim_start_matches("mtr_"), seconds(start)),
        "object": "billing.meter_event_summary",
        "aggregated_value": used,
        "end_time": seconds(end),
        "livemode": false,
        "meter": meter.id.as_str(),
        "start_time": seconds(start),
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
