//! Events and the endpoints that want to hear of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;
use super::table::row;
use crate::id::{EventId, WebhookEndpointId};

/// Something that happened, with the object as it was at that moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) created: Timestamp,
    pub(crate) kind: String,
    /// The rendered object, kept: an event never changes afterwards.
    pub(crate) object: Value,
    pub(crate) previous_attributes: Option<Value>,
    /// The request that caused it; none for what the clock caused.
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// How many endpoints have yet to acknowledge it.
    pub(crate) pending_webhooks: u32,
}

row!(Event, EventId, "event");

/// Where events are delivered to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WebhookEndpoint {
    pub(crate) id: WebhookEndpointId,
    pub(crate) created: Timestamp,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) enabled_events: Vec<String>,
    /// Hears of nothing, until it is enabled again.
    pub(crate) disabled: bool,
    /// Hears of the connected accounts' events instead of the own account's.
    pub(crate) connect: bool,
    pub(crate) api_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

row!(WebhookEndpoint, WebhookEndpointId, "webhook endpoint");

impl WebhookEndpoint {
    pub(crate) fn wants(&self, kind: &str) -> bool {
        let mut enabled = self.enabled_events.iter();
        !self.disabled && enabled.any(|enabled| enabled == "*" || enabled == kind)
    }
}
