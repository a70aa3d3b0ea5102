//! `GET /checkouts/{checkoutId}`: a checkout session, as it is now.
//!
//! A session whose time has run out reads as expired from that second on, whatever the database has deleted. Another organisation's
//! session is not there.

use billing_core::access::Scope;
use billing_core::id::OrganisationId;
use billing_edge::{Call, Function, Problem, Reply, ToldSession};

/// This Lambda.
pub const FUNCTION: Function = Function::new("get-checkout-session", |call| Box::pin(get(call)));

async fn get(call: &Call<'_>) -> Result<Reply, Problem> {
    let beside = async |organisation: &OrganisationId| call.named_session(organisation).await;
    let (caller, ahead) = call.authenticate_organisation_beside(beside).await?;
    let caller = caller.with(Scope::BillingRead)?;
    let session = match ahead {
        Some(session) => session?,
        None => call.named_session(caller.organisation()).await?,
    };
    Ok(Reply::ok(&ToldSession::of(&session, call.now)))
}
