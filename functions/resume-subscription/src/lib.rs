//! `POST /api/v1/billing/subscription/resume`: takes back that the subscription ends with its current period.
//!
//! # How it works
//! What it shares with its opposite, which is all but the wish, is [`Call::set_end`]; what is decided, [`billing_core::ending`].
//!
//! # If it fails half-way
//! Asking again finds out at Stripe what took effect.

use billing_core::ending::Wish;
use billing_edge::{Call, Function, Problem, Reply};

const NAME: &str = "resume-subscription";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(resume(call)));

async fn resume(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate().await?.owner()?;
    call.once(owner.account(), NAME, call.set_end(&owner, Wish::Resume))
        .await
}
