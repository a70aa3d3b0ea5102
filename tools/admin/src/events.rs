//! Stripe's events that failed: listing them, looking at one, having them delivered once more.
//!
//! A replay asks Stripe for the event and posts it, signed, to the webhook's own address: the deployed function does the work, with
//! its own configuration and permissions, and a laptop needs no more than what an operator of Stripe has anyway.

use std::time::Duration;

use billing_core::access::Mode;
use billing_core::id::{ConnectedAccountId, EventId};
use billing_edge::is_of_other_mode;
use billing_store::{EventKey, Failure as FailedEvent, Receipt, Store, StoreError};
use billing_stripe::{Stripe, StripeConfig, StripeError, SyntheticEvent, Transport, webhook};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::Failure;
use crate::command::ReplayPlace;

/// How long one event may take, Stripe and the webhook together.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the webhook answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// 200 when the work is done.
    pub status: u16,
    /// Its words.
    pub told: String,
}

/// What became of an event that was delivered once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Which event.
    pub event: String,
    /// What the webhook answered; none when it did not come to that.
    pub status: Option<u16>,
    /// Its words, or what went wrong before.
    pub told: String,
}

impl Replayed {
    /// What is to be told of an event. What Stripe or the webhook did not do concerns this one, and keeps no other from being delivered.
    pub fn of(event: String, done: Result<Answered, Failure>) -> Result<Self, Failure> {
        let (status, told) = match done {
            Ok(Answered { status, told }) => (Some(status), told),
            Err(
                failure @ (Failure::NotAtStripe(_)
                | Failure::NothingToTell(_)
                | Failure::Stripe(_)
                | Failure::Webhook(_)),
            ) => (None, failure.to_string()),
            Err(failure) => return Err(failure),
        };
        Ok(Self { event, status, told })
    }

    /// Whether the work is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.status == Some(200)
    }

    /// Whether the webhook did not take the signature: the only reason for which it refuses an event that we made or Stripe told.
    #[must_use]
    pub fn is_signed_in_vain(&self) -> bool {
        self.status == Some(400)
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

/// What becomes of an event that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDone {
    /// Nothing: its delivery is acknowledged.
    Leave,
    /// It is done again.
    DoAgain,
}

/// Has an event that is done be done again with its next delivery. One that is not done needs no such thing.
async fn reopen(store: &Store, event: &EventKey, now: Timestamp) -> Result<(), Failure> {
    match store.reopen_event(event, now).await {
        Err(StoreError::Conflict) => Ok(()),
        other => Ok(other?),
    }
}

/// Delivers an event once more, signed at `now`: as Stripe tells it, or as an operator did. What Stripe does not tell stays as it is.
pub async fn replay(
    store: &Store,
    place: &ReplayPlace,
    key: &EventKey,
    when_done: WhenDone,
    now: Timestamp,
) -> Result<Answered, Failure> {
    let way = Way::to(place);
    let payload = way.payload(key).await?;
    if when_done == WhenDone::DoAgain {
        reopen(store, key, now).await?;
    }
    way.deliver(payload, now).await
}

/// Has the webhook look at an object, as if an event had told of it at `now`. Doing so again finishes what failed.
pub async fn tell(
    store: &Store,
    place: &ReplayPlace,
    event: &SyntheticEvent,
    now: Timestamp,
) -> Result<Answered, Failure> {
    let id = event.id();
    let key = EventKey {
        connected_account: None,
        event: id.parse().map_err(|_| Failure::NotAnId(id))?,
    };
    replay(store, place, &key, WhenDone::DoAgain, now).await
}

/// The way of one event, from Stripe to the webhook.
struct Way<'a> {
    place: &'a ReplayPlace,
    transport: Transport,
    stripe: Stripe,
    until: Instant,
}

impl<'a> Way<'a> {
    fn to(place: &'a ReplayPlace) -> Self {
        let transport = billing_edge::transport();
        #[expect(clippy::disallowed_methods, reason = "an administrator waits in real time")]
        let until = Instant::now() + PATIENCE;
        let stripe = StripeConfig::new(transport.clone(), &place.stripe.at.stripe_url);
        Self {
            place,
            stripe: stripe.session(place.stripe.stripe_key.expose(), until, 0),
            transport,
            until,
        }
    }

    /// What is delivered of an event: as Stripe tells it, or as an operator did.
    async fn payload(&self, key: &EventKey) -> Result<String, Failure> {
        if let Some(synthetic) = SyntheticEvent::from_id(&key.event) {
            return self.synthetic_payload(&synthetic).await;
        }
        let event = &key.event;
        let told = match &key.connected_account {
            None => self.stripe.event(event).await,
            Some(account) => self.stripe.connected(account).event(event).await,
        };
        match told {
            Ok(payload) => Ok(payload.to_string()),
            Err(StripeError::Refused(refusal)) if refusal.is_not_found() => {
                Err(Failure::NotAtStripe(event.clone()))
            }
            Err(error) => Err(Failure::Stripe(error)),
        }
    }

    /// What Stripe does not have for this key, the webhook might not find either, or take for somebody else's: it would say that it is done.
    async fn synthetic_payload(&self, event: &SyntheticEvent) -> Result<String, Failure> {
        if !self.stripe.knows(event).await? {
            return Err(Failure::NothingToTell(event.to_string()));
        }
        let livemode = !is_of_other_mode(&self.place.stripe.stripe_key, Mode::Live);
        Ok(event.body(livemode).to_string())
    }

    /// Posts an event, signed at `now`.
    async fn deliver(self, payload: String, now: Timestamp) -> Result<Answered, Failure> {
        // Several secrets are active while one is rotated; any of them will do.
        let secrets = self.place.webhook_secrets.listed();
        let secret = secrets.first().copied().unwrap_or_default();
        let signature = webhook::sign(payload.as_bytes(), secret, now);
        let posted = post(self.transport, self.place, payload, &signature);
        let (status, told) = tokio::time::timeout_at(self.until, posted)
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
            .map_err(Failure::Webhook)?;
        Ok(Answered { status, told })
    }
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
