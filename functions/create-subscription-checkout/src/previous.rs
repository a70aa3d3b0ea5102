//! What stands in the way of a new session, and how it is cleared.
//!
//! An earlier session of the account is asked about, or made unpayable, at Stripe: what we have stored of it may be out of date.

use billing_core::account::Account;
use billing_core::checkout::Refusal;
use billing_core::id::{SessionId, SubscriptionId};
use billing_edge::{Call, Problem};
use billing_stripe::{CheckoutSession, SessionStatus, StripeError};

/// An earlier session, as Stripe has it.
pub(crate) enum Previous {
    /// There is none, or it can never be paid.
    Gone,
    /// It can still be paid.
    Open,
    /// It was paid, and became this subscription.
    Complete(Option<SubscriptionId>),
}

impl Previous {
    /// Refuses unless the session is over, and what it became is over too. An account that paid and whose webhook is still on
    /// its way must not pay again.
    pub(crate) fn must_be_over(&self, account: &Account) -> Result<(), Refusal> {
        let stored = account.subscription.as_ref().map(|subscription| &subscription.id);
        match self {
            Self::Gone => Ok(()),
            // What it became has landed here; as we got this far, it is not live any more.
            Self::Complete(Some(became)) if stored == Some(became) => Ok(()),
            Self::Complete(_) | Self::Open => Err(Refusal::Completed),
        }
    }
}

/// What became of a session.
pub(crate) async fn look(call: &Call<'_>, session: &SessionId) -> Result<Previous, Problem> {
    judge(call.stripe().await?.checkout_session(session).await)
}

/// Makes a session unpayable, unless it was paid.
pub(crate) async fn close(call: &Call<'_>, session: &SessionId) -> Result<Previous, Problem> {
    match judge(call.stripe().await?.expire_checkout_session(session).await)? {
        Previous::Open => Err(Problem::bad_gateway("a session stays open after it was expired")),
        previous => Ok(previous),
    }
}

fn judge(answer: Result<CheckoutSession, StripeError>) -> Result<Previous, Problem> {
    match answer {
        Ok(session) => Ok(match session.status {
            SessionStatus::Open => Previous::Open,
            SessionStatus::Complete => Previous::Complete(session.subscription),
            SessionStatus::Expired => Previous::Gone,
        }),
        // Somebody erased Stripe's test data: what is not there cannot be paid.
        Err(StripeError::Refused(refusal)) if refusal.is_missing("session") => Ok(Previous::Gone),
        Err(error) => Err(error.into()),
    }
}
