//! The list of events of a connected account.

use billing_core::id::EventId;
use serde_json::{Value, json};

use super::Connected;
use crate::error::StripeError;
use crate::events::{EventPage, EventWindow, page};

impl Connected {
    /// A page of the account's events in a window. Stripe lists them for thirty days.
    pub async fn events(&self, window: &EventWindow<'_>) -> Result<EventPage, StripeError> {
        page(&self.stripe, window, |event| self.complete(event)).await
    }

    /// An event of the account as Stripe would deliver it.
    pub async fn event(&self, event: &EventId) -> Result<Value, StripeError> {
        let event = self.stripe.event(event).await?;
        Ok(self.complete(event))
    }

    /// What is delivered names its account; what the account itself is told need not.
    fn complete(&self, mut event: Value) -> Value {
        if event.is_object() {
            event["account"] = json!(self.account.as_str());
        }
        event
    }
}
