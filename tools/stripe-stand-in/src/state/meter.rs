//! Meters, and what was used.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Metadata;
use super::table::row;
use crate::id::MeterId;

/// How usage of one kind is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Meter {
    pub(crate) id: MeterId,
    pub(crate) created: Timestamp,
    pub(crate) display_name: String,
    pub(crate) event_name: String,
    pub(crate) aggregation: Aggregation,
    /// The member of an event's payload that names the customer.
    pub(crate) customer_key: String,
    /// The member that says how much was used.
    pub(crate) value_key: String,
    pub(crate) event_time_window: Option<String>,
}

row!(Meter, MeterId, "meter");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Aggregation {
    Count,
    Last,
    Sum,
}

impl Aggregation {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("count", Self::Count), ("last", Self::Last), ("sum", Self::Sum)];
}

/// Something was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MeterEvent {
    pub(crate) created: Timestamp,
    pub(crate) timestamp: Timestamp,
    pub(crate) identifier: String,
    pub(crate) event_name: String,
    pub(crate) payload: Metadata,
}
