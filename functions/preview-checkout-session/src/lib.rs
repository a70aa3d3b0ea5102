//! `POST /checkouts/preview`: what a checkout session would come to.
//!
//! Stores nothing at all, here or at Stripe: the same body at `create-checkout-session` makes a session of it.

use billing_core::access::Scope;
use billing_core::sale::Estimates;
use billing_edge::{Call, Function, Problem, Reply};
use serde::Serialize;

/// This Lambda.
pub const FUNCTION: Function = Function::new("preview-checkout-session", |call| Box::pin(preview(call)));

#[derive(Serialize)]
struct Answer {
    estimates: Estimates,
}

async fn preview(call: &Call<'_>) -> Result<Reply, Problem> {
    let caller = call.authenticate_organisation().await?;
    let caller = caller.with(Scope::BillingRead)?;
    let wish = call.read_wish()?;
    let facts = call.new_wish_facts(caller.organisation(), &wish).await?;
    let session = call.new_session(&wish, &facts)?;
    Ok(Reply::ok(&Answer {
        estimates: session.offer.estimates,
    }))
}
