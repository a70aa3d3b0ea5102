//! `POST /checkouts/preview`: what a checkout session would come to.
//!
//! Stores nothing at all, here or at Stripe: the same body at `create-checkout-session` makes a session of it.

use billing_core::access::Scope;
use billing_core::id::OrganisationId;
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
    let beside = async |organisation: &OrganisationId| estimates(call, organisation).await;
    let (caller, ahead) = call.authenticate_organisation_beside(beside).await?;
    let caller = caller.with(Scope::BillingRead)?;
    let estimates = match ahead {
        Some(estimates) => estimates?,
        None => estimates(call, caller.organisation()).await?,
    };
    Ok(Reply::ok(&Answer { estimates }))
}

async fn estimates(call: &Call<'_>, organisation: &OrganisationId) -> Result<Estimates, Problem> {
    let wish = call.read_wish()?;
    let facts = call.new_wish_facts(organisation, &wish).await?;
    Ok(call.new_session(&wish, &facts)?.offer.estimates)
}
