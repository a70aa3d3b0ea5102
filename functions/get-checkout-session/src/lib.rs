//! `GET /checkouts/{checkoutId}`: a checkout session, as it is now.
//!
//! A session whose time has run out reads as expired from that second on, whatever the database has deleted. Another organisation's
//! session is not there.

use billing_core::access::Scope;
use billing_core::id::CheckoutId;
use billing_edge::{Call, Function, Problem, Reply, ToldSession};

/// This Lambda.
pub const FUNCTION: Function = Function::new("get-checkout-session", |call| Box::pin(get(call)));

async fn get(call: &Call<'_>) -> Result<Reply, Problem> {
    let caller = call.authenticate_organisation().await?;
    let caller = caller.with(Scope::BillingRead)?;
    let unknown = || Problem::not_found("no such checkout session");
    let id = call
        .path("checkoutId")
        .and_then(|id| id.parse::<CheckoutId>().ok());
    let id = id.ok_or_else(unknown)?;
    let session = call.store.checkout_session(&id).await?;
    // An id is no secret: whose it is decides.
    let session = session.filter(|session| session.organisation == *caller.organisation());
    let session = session.ok_or_else(unknown)?;
    Ok(Reply::ok(&ToldSession::of(&session, call.now)))
}
