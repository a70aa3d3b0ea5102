//! Stripe's events that failed: listing them, looking at one, having them delivered once more.
//!
//! A replay asks Stripe for the event and posts it, signed, to the webhook's own address: the deployed function does the work, with
//! its own configuration and permissions, and a laptop needs no more than what an operator of Stripe has anyway.

use std::time::Duration;

use billing_core::id::{ConnectedAccountId, EventId};
use billing_store::{EventKey, Failure as FailedEvent, Receipt, Store, StoreError};
use billing_stripe::{StripeConfig, StripeError, Transport, webhook};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::Failure;
use crate::command::{ReplayPlace, Told};

/// How long one event may take, Stripe and the webhook together.
const PATIENCE: Duration = Duration::from_secs(40);

/// What became of an event that was delivered once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Which event.
    pub event: EventId,
    /// What the webhook answered: 200 when the work is done.
    pub status: u16,
    /// Its words.
    pub told: String,
}

impl Replayed {
    /// Whether the work is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.status == 200
    }

    /// Whether the webhook did not take the signature: the only reason for which it refuses an event that we made or Stripe told.
    #[must_use]
    pub fn is_signed_in_vain(&self) -> bool {
        self.status == 400
    }
}

/// Every event that failed and was not done since, the one that failed first in front.
pub async fn list(store: &Store) -> Result<Vec<FailedEvent>, Failure> {
    Ok(store.failures().await?)
}

/// What is known of an event, failed or not.
pub async fn show(
    store: &Store,
    event: &EventId,
    connected_account: Option<&ConnectedAccountId>,
) -> Result<Receipt, Failure> {
    let key = EventKey {
        connected_account: connected_account.cloned(),
        event: event.clone(),
    };
    let receipt = store.receipt(&key).await?;
    receipt.ok_or_else(|| Failure::NoEvent(event.clone()))
}

/// Has an event that is done be done again with its next delivery. One that is not done needs no such thing.
pub async fn reopen(store: &Store, event: &EventKey) -> Result<(), Failure> {
    match store.reopen_event(event).await {
        Err(StoreError::Conflict) => Ok(()),
        other => Ok(other?),
    }
}

/// Delivers an event once more, signed at `now`.
pub async fn replay(place: &ReplayPlace, key: &EventKey, now: Timestamp) -> Result<Replayed, Failure> {
    let transport = billing_edge::transport();
    #[expect(clippy::disallowed_methods, reason = "an administrator waits in real time")]
    let until = Instant::now() + PATIENCE;
    let stripe = StripeConfig::new(transport.clone(), &place.stripe_url);
    let stripe = stripe.session(place.stripe_key.expose(), until, 0);
    let event = &key.event;
    let told = match &key.connected_account {
        None => stripe.event(event).await,
        Some(account) => stripe.connected(account).event(event).await,
    };
    let payload = match told {
        Ok(payload) => payload.to_string(),
        Err(StripeError::Refused(refusal)) if refusal.status == 404 => {
            return Err(Failure::NotAtStripe(event.clone()));
        }
        Err(error) => return Err(Failure::Stripe(error)),
    };
    deliver(transport, place, event, payload, now, until).await
}

/// Has the webhook look at an object, as if an event had told of it at `now`. The event is of our own making, always the same for an object,
/// so that telling of it again finishes what failed; it says nothing but the id.
pub async fn tell(
    store: &Store,
    place: &ReplayPlace,
    object: &Told,
    now: Timestamp,
) -> Result<Replayed, Failure> {
    let (id, kind) = match object {
        Told::Subscription(id) => (id.as_str(), "customer.subscription.updated"),
        Told::Invoice(id) => (id.as_str(), "invoice.paid"),
    };
    let event = format!("evt_told_{id}");
    let event: EventId = event.parse().map_err(|_| Failure::NotAnId(event))?;
    let key = EventKey {
        connected_account: None,
        event,
    };
    reopen(store, &key).await?;
    let livemode = !place.stripe_key.expose().contains("_test_");
    let payload = json!({ "id": key.event, "object": "event", "type": kind, "livemode": livemode, "data": { "object": { "id": id } } });
    #[expect(clippy::disallowed_methods, reason = "an administrator waits in real time")]
    let until = Instant::now() + PATIENCE;
    let transport = billing_edge::transport();
    deliver(transport, place, &key.event, payload.to_string(), now, until).await
}

/// Posts an event, signed at `now`.
async fn deliver(
    transport: Transport,
    place: &ReplayPlace,
    event: &EventId,
    payload: String,
    now: Timestamp,
    until: Instant,
) -> Result<Replayed, Failure> {
    // Several secrets are active while one is rotated; any of them will do.
    let secret = place
        .webhook_secrets
        .expose()
        .split(',')
        .next()
        .unwrap_or_default();
    let signature = webhook::sign(payload.as_bytes(), secret.trim(), now);
    let posted = post(transport, place, payload, &signature);
    let (status, told) = tokio::time::timeout_at(until, posted)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        .map_err(Failure::Webhook)?;
    Ok(Replayed {
        event: event.clone(),
        status,
        told,
    })
}

async fn post(
    transport: Transport,
    place: &ReplayPlace,
    payload: String,
    signature: &str,
) -> Result<(u16, String), String> {
    let request = Request::post(&place.webhook_url)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature)
        .body(Full::new(Bytes::from(payload)))
        .map_err(|error| error.to_string())?;
    let answer = transport
        .request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
