//! Webhook endpoints: where events are delivered to.

use serde_json::{Value, json};

use super::listing::{self, Paging};
use super::{Moment, named};
use crate::id::{Id, WebhookEndpointId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render;
use crate::state::{Metadata, WebhookEndpoint};

/// The types of events that an endpoint can ask for, one a line, with `*` for all. They are those of the published description, which a test holds
/// them to.
const EVENT_TYPES: &str = include_str!("../../openapi/event-types.txt");

/// An endpoint to be, however it was asked for.
pub(crate) struct NewEndpoint {
    pub(crate) url: String,
    pub(crate) enabled_events: Vec<String>,
    pub(crate) connect: bool,
    pub(crate) api_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

/// Puts an endpoint up, with a signing secret of its own.
pub(crate) fn open(at: &mut Moment<'_>, new: NewEndpoint) -> WebhookEndpointId {
    let endpoint = WebhookEndpoint {
        id: at.world.endpoint_ids.make(),
        created: at.now,
        url: new.url,
        secret: at.world.endpoint_ids.text("whsec_", 32),
        enabled_events: new.enabled_events,
        disabled: false,
        connect: new.connect,
        api_version: new.api_version,
        description: new.description,
        metadata: new.metadata,
    };
    at.world.webhook_endpoints.insert(endpoint)
}

/// The secret is told here and never again.
pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let url = params.required_text("url")?;
    let enabled_events = read_events(params)?;
    let connect = params.boolean("connect")?.unwrap_or(false);
    let api_version = params.text("api_version")?;
    let description = params.change("description")?.value();
    let metadata = params.metadata()?;
    params.finish()?;
    if enabled_events.is_empty() {
        return Err(Refusal::missing("enabled_events"));
    }
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(Refusal::invalid_code(
            "url_invalid",
            "url",
            "Invalid URL: An explicit scheme (such as https) must be provided.",
        ));
    }
    let new = NewEndpoint {
        url,
        enabled_events,
        connect,
        api_version,
        description,
        metadata,
    };
    let id = open(at, new);
    let endpoint = &at.world.webhook_endpoints[&id];
    let mut answer = render::webhook_endpoint(endpoint);
    answer["secret"] = json!(endpoint.secret);
    Ok(answer)
}

fn read_events(params: &Params<'_>) -> Result<Vec<String>, Refusal> {
    let kinds = params.texts("enabled_events")?;
    let is_type = |kind: &str| EVENT_TYPES.lines().any(|known| known == kind);
    match kinds.iter().position(|kind| !is_type(kind)) {
        None => Ok(kinds),
        Some(at) => {
            let param = format!("enabled_events[{at}]");
            let message = format!("Invalid {param}: must be one of Stripe's types of events, or *");
            Err(Refusal::invalid(&param, message))
        }
    }
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::webhook_endpoint(named(
        &at.world.webhook_endpoints,
        id,
        "webhook_endpoint",
    )?))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let paging = Paging::read(params)?;
    params.finish()?;
    let table = &at.world.webhook_endpoints;
    listing::page(
        table,
        &paging,
        "/v1/webhook_endpoints",
        render::webhook_endpoint,
        |_| true,
    )
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut endpoint = named(&at.world.webhook_endpoints, id, "webhook_endpoint")?.clone();
    if let Some(url) = params.text("url")? {
        endpoint.url = url;
    }
    let enabled_events = read_events(params)?;
    if !enabled_events.is_empty() {
        endpoint.enabled_events = enabled_events;
    }
    match params.change("description")? {
        Change::Keep => {}
        change => change.apply(&mut endpoint.description),
    }
    if let Some(disabled) = params.boolean("disabled")? {
        endpoint.disabled = disabled;
    }
    params.metadata_into(&mut endpoint.metadata)?;
    params.finish()?;
    let id = endpoint.id.clone();
    at.world.webhook_endpoints[&id] = endpoint;
    Ok(render::webhook_endpoint(&at.world.webhook_endpoints[&id]))
}

pub(crate) fn delete(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let id = named(&at.world.webhook_endpoints, id, "webhook_endpoint")?
        .id
        .clone();
    at.world.webhook_endpoints.remove(&id);
    Ok(json!({ "id": id.as_str(), "object": "webhook_endpoint", "deleted": true }))
}
