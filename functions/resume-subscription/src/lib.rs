//! `POST /api/v1/billing/subscription/resume`: takes back that the subscription ends with its current
//! period.
//!
//! # How it works
//! The subscription is re-read at Stripe; one that does not end is answered as it is. Otherwise the write is
//! counted in the profile, whose version makes Stripe's idempotency key, so that cancelling, resuming and cancelling again are
//! three writes however late their events are.
//!
//! # If it fails half-way
//! Asking again finds out at Stripe what took effect.

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::ending::{Unendable, endable};
use billing_core::landing::Landing;
use billing_core::subscription::Standing;
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::unless_conflict;
use billing_stripe::{EndOfSubscription, StripeError};
use serde::Serialize;

const NAME: &str = "resume-subscription";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(resume(call)));

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    cancel_at_period_end: bool,
    period_end: Timestamp,
}

async fn resume(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate().await?.owner()?;
    call.once(owner.account(), NAME, resumption(call, &owner)).await
}

async fn resumption(call: &Call<'_>, owner: &Owner) -> Result<Reply, Problem> {
    let mut rounds = call.rounds();
    loop {
        if let Some(standing) = attempt(call, owner).await? {
            return Ok(Reply::ok(&Answer {
                cancel_at_period_end: standing.subscription.cancel_at_period_end,
                period_end: standing.subscription.period.end,
            }));
        }
        rounds.lost().await?;
    }
}

/// One attempt on fresh facts; none when somebody else wrote first.
async fn attempt(call: &Call<'_>, owner: &Owner) -> Result<Option<Standing>, Problem> {
    let account = call.store.account(owner.account()).await?;
    let account = account.ok_or_else(|| Problem::unauthorised("the key's account does not exist"))?;
    let stored = account.subscription.as_ref().filter(|stored| stored.is_live());
    let stored = stored.ok_or_else(|| refuse(Unendable::NoSubscription))?;
    let (standing, _) = call.reread(&stored.id, None).await?;
    endable(&standing).map_err(refuse)?;
    // An end on another date than the period's is an operator's doing.
    let scheduled = standing
        .end
        .filter(|_| standing.subscription.cancel_at_period_end);
    let Some(scheduled) = scheduled else {
        return Ok(Some(standing));
    };
    let Some(profile) = unless_conflict(call.store.begin_end(&account.profile).await)? else {
        return Ok(None);
    };
    let end = EndOfSubscription {
        owner,
        subscription: &stored.id,
        version: profile.version,
    };
    let standing = match call.stripe().await?.take_end_back(&end, scheduled).await {
        Ok(standing) => standing,
        // Stripe keeps a failure under this version; the next attempt has another.
        Err(StripeError::Spent { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let landing = Landing {
        subscription: Some(standing.subscription.clone()),
        ..Landing::default()
    };
    // Whoever wrote in between has read Stripe since.
    unless_conflict(call.store.land(&profile, &landing).await)?;
    Ok(Some(standing))
}

fn refuse(unendable: Unendable) -> Problem {
    match unendable {
        Unendable::NoSubscription | Unendable::Incomplete => Problem::bad_request(unendable.to_string()),
        Unendable::Scheduled => Problem::conflict(unendable.to_string()),
    }
}
