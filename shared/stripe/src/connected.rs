//! Stripe on a connected account: what an agency sells there, to whom, and what became of it.
//!
//! Everything here is a method of [`Connected`], which names its account in every call: a call that forgets it cannot be written.

/// Products, prices, coupons and meters.
mod offers;
/// The customer of a client.
mod buyers;
/// Schedules: made, rewritten, let go, canceled.
mod schedules;
/// What a phase of a schedule says.
mod phases;
/// What a schedule says of the subscription that it owns.
mod owning;
/// Subscriptions that have begun: changed, canceled, their usage.
mod running;
/// A sale as it is now.
mod contracts;
/// Which sale an object is of.
mod seen;
/// What happened there.
mod events;

use billing_core::id::ConnectedAccountId;
use serde::de::IgnoredAny;
use stripe_client_core::RequestBuilder;

use crate::client::Stripe;
use crate::error::StripeError;

pub use buyers::BuyerThere;
pub use contracts::{Listed, Shown};
pub use offers::{Coupon, Product};
pub use running::Renewal;
pub use schedules::NewSchedule;
pub use seen::ConnectedObject;

/// Stripe, speaking for one connected account.
#[derive(Debug, Clone)]
pub struct Connected {
    stripe: Stripe,
    account: ConnectedAccountId,
}

impl Stripe {
    /// Stripe, speaking for this connected account.
    #[must_use]
    pub fn connected(&self, account: &ConnectedAccountId) -> Connected {
        Connected {
            stripe: self.speaking_for(account),
            account: account.clone(),
        }
    }
}

impl Connected {
    /// The account that is spoken for.
    #[must_use]
    pub fn account(&self) -> &ConnectedAccountId {
        &self.account
    }

    /// Cancels a subscription or a schedule. What fails under every key may be over already: what it is now it tells.
    async fn cancel_at_last(
        &self,
        request: impl Fn() -> RequestBuilder,
        id: &str,
    ) -> Result<(), StripeError> {
        match self
            .stripe
            .post_at_last::<IgnoredAny>(request, &format!("connect-cancel/{id}"))
            .await
        {
            Ok(_) | Err(StripeError::Spent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What is there; none when Stripe does not have it on this account.
pub(crate) fn found<T>(answer: Result<T, StripeError>) -> Result<Option<T>, StripeError> {
    match answer {
        Err(StripeError::Refused(refusal)) if refusal.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}
