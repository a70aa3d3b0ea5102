//! `POST /api/v1/billing/subscription/cancel`: ends the subscription with its current period.
//!
//! # How it works
//! What it shares with its opposite, which is all but the wish, is [`Call::set_end`]; what is decided, [`billing_core::ending`].
//!
//! # If it fails half-way
//! Asking again finds out at Stripe what took effect.

use billing_core::ending::Wish;
use billing_edge::{Call, Function, Problem, Reply};

const NAME: &str = "cancel-subscription";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(cancel(call)));

async fn cancel(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate().await?.owner()?;
    call.once(owner.account(), NAME, call.set_end(&owner, Wish::Cancel))
        .await
}
