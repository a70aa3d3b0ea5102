//! Events of an operator's making: an object that the webhook is to look at, as if Stripe had just told of it.
//!
//! Such an event is always the same for an object, so that telling of it again finishes what failed, and its id is all that it takes to
//! make it again. It says nothing but which object: what that is, is re-read from Stripe as ever.

use std::fmt;
use std::str::FromStr;

use billing_core::id::{EventId, InvoiceId, SubscriptionId};
use serde::Deserialize;
use serde_json::{Value, json};
use stripe_billing::invoice::RetrieveInvoice;
use stripe_billing::subscription::RetrieveSubscription;
use stripe_client_core::StripeRequest;

use crate::client::Stripe;
use crate::error::{StripeError, known};

/// What the ids of such events begin with.
const PREFIX: &str = "evt_told_";

/// An event of an operator's making, by the object that it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyntheticEvent {
    /// A subscription that changed.
    Subscription(SubscriptionId),
    /// An invoice that was paid.
    Invoice(InvoiceId),
}

impl SyntheticEvent {
    /// The event of this id; none when it is Stripe's own.
    #[must_use]
    pub fn from_id(event: &EventId) -> Option<Self> {
        event.as_str().strip_prefix(PREFIX)?.parse().ok()
    }

    /// Its id, as a text: none of ours is longer than an id may be.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{PREFIX}{}", self.object().0)
    }

    /// Its body, as Stripe would word it.
    #[must_use]
    pub fn body(&self, livemode: bool) -> Value {
        let (object, kind) = self.object();
        json!({
            "id": self.id(),
            "object": "event",
            "type": kind,
            "livemode": livemode,
            "data": { "object": { "id": object } },
        })
    }

    fn object(&self) -> (&str, &'static str) {
        match self {
            Self::Subscription(id) => (id.as_str(), "customer.subscription.updated"),
            Self::Invoice(id) => (id.as_str(), "invoice.paid"),
        }
    }
}

impl fmt::Display for SyntheticEvent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, _) = self.object();
        out.write_str(id)
    }
}

/// Any object.
#[derive(Deserialize)]
struct Object {}

impl Stripe {
    /// Whether Stripe has what is to be told of. Another Stripe account has it not, nor has the other mode.
    pub async fn knows(&self, event: &SyntheticEvent) -> Result<bool, StripeError> {
        let found: Result<Object, _> = match event {
            SyntheticEvent::Subscription(id) => {
                self.get(RetrieveSubscription::new(id.as_str()).build()).await
            }
            SyntheticEvent::Invoice(id) => self.get(RetrieveInvoice::new(id.as_str()).build()).await,
        };
        known(found)
    }
}

impl FromStr for SyntheticEvent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let subscription = text.parse().map(Self::Subscription);
        subscription
            .or_else(|_| text.parse().map(Self::Invoice))
            .map_err(|_| "must be a subscription (sub_…) or an invoice (in_…)")
    }
}
