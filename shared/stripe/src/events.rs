//! Stripe's own list of events, for those that were never delivered here.

use billing_core::Timestamp;
use billing_core::id::EventId;
use serde::Serialize;
use serde_json::Value;
use stripe_client_core::{RequestBuilder, StripeMethod};

use crate::client::Stripe;
use crate::error::StripeError;
use crate::pages::Page;
use crate::webhook::Event;
use crate::wire::id;

/// How many events Stripe tells at once.
const PAGE: u8 = 100;

/// How many types may be asked for at once. Source: Stripe's API reference, *List all events*, `types`.
pub const MOST_EVENT_TYPES: usize = 20;

/// A part of the list, newest first.
#[derive(Debug, Clone, Copy)]
pub struct EventWindow<'a> {
    /// From when on.
    pub from: Timestamp,
    /// Until when, that second included.
    pub until: Timestamp,
    /// Only those that stand after this one, which are older.
    pub after: Option<&'a EventId>,
    /// Only those of these types, [`MOST_EVENT_TYPES`] at most; of any, when there are none.
    pub types: &'a [&'a str],
}

/// One page of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events, newest first; none in the place of one that cannot be read.
    pub events: Vec<(EventId, Option<Event>)>,
    /// Whether there are older ones in the window.
    pub has_more: bool,
}

#[derive(Serialize)]
struct Query<'a> {
    limit: u8,
    created: Range,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    types: &'a [&'a str],
}

#[derive(Serialize)]
struct Range {
    gte: i64,
    lte: i64,
}

impl Stripe {
    /// A page of the events in a window. Stripe lists them for thirty days.
    pub async fn events(&self, window: &EventWindow<'_>) -> Result<EventPage, StripeError> {
        page(self, window, |event| event).await
    }

    /// An event as Stripe would deliver it, for an operator who has it delivered once more.
    pub async fn event(&self, event: &EventId) -> Result<Value, StripeError> {
        self.get(RequestBuilder::new(StripeMethod::Get, format!("/events/{event}")))
            .await
    }
}

/// A page of the list of whichever account `stripe` speaks for; `complete` adds to an event what the list leaves out.
pub(crate) async fn page(
    stripe: &Stripe,
    window: &EventWindow<'_>,
    complete: impl Fn(Value) -> Value,
) -> Result<EventPage, StripeError> {
    let query = Query {
        limit: PAGE,
        created: Range {
            gte: window.from.as_second(),
            lte: window.until.as_second(),
        },
        starting_after: window.after.map(EventId::as_str),
        types: window.types,
    };
    let request = RequestBuilder::new(StripeMethod::Get, "/events").query(&query);
    let page: Page<Value> = stripe.get(request).await?;
    let mut events = Vec::new();
    for event in page.data {
        let named = id(event["id"].as_str().unwrap_or_default(), "an event")?;
        events.push((named, Event::of(&complete(event))));
    }
    Ok(EventPage {
        events,
        has_more: page.has_more,
    })
}
