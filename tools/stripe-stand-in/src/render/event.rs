//! Events and webhook endpoints as Stripe answers them.

use serde_json::{Value, json};

use super::{API_VERSION, seconds};
use crate::id::Id;
use crate::state::{Event, WebhookEndpoint, World};

pub(crate) fn event(world: &World, event: &Event) -> Value {
    let mut data = json!({ "object": event.object });
    if let Some(previous) = &event.previous_attributes {
        data["previous_attributes"] = previous.clone();
    }
    let mut answer = json!({
        "id": event.id.as_str(),
        "object": "event",
        "api_version": API_VERSION,
        "created": seconds(event.created),
        "data": data,
        "livemode": false,
        "pending_webhooks": event.pending_webhooks,
        "request": { "id": event.request_id, "idempotency_key": event.idempotency_key },
        "type": event.kind,
    });
    if let Some(account) = &world.account {
        answer["account"] = json!(account.as_str());
    }
    answer
}

pub(crate) fn webhook_endpoint(endpoint: &WebhookEndpoint) -> Value {
    json!({
        "id": endpoint.id.as_str(),
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        // For events of connected accounts it is the application that they are connected to.
        "application": endpoint.connect.then_some("ca_stand_in"),
        "created": seconds(endpoint.created),
        "description": endpoint.description,
        "enabled_events": endpoint.enabled_events,
        "livemode": false,
        "metadata": endpoint.metadata,
        "status": if endpoint.disabled { "disabled" } else { "enabled" },
        "url": endpoint.url,
    })
}
