//! `DELETE /v1/public/stripe/connect/accounts/{accountId}/subscriptions/{subscriptionId}`: cancels what was sold, at once.
//!
//! Nothing is given back; what was used until now is billed. To end it with its period, `PUT` `cancelAtPeriodEnd`.
//!
//! # How it works
//! What Stripe has is looked at; what is over is answered as canceled. Otherwise a renewal that is still a draft is collected, or nothing is done
//! where Stripe leaves it one; a schedule that waits or still owns its subscription is canceled, or the subscription itself, and what Stripe has
//! then is written down.
//!
//! # If it fails half-way
//! Canceled is canceled: asking again finds out at Stripe, and so does the event.

use billing_core::access::Owner;
use billing_core::connect::contract::{Contract, Stage};
use billing_core::connect::sale::{ReadSale, Sale};
use billing_core::id::{AgencyId, ConnectedAccountId};
use billing_edge::connect::{Fields, Named, refused};
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::{FoundSale, Listener, Unfinished, unless_conflict};
use billing_stripe::{Renewal, StripeError};
use serde::Serialize;

const NAME: &str = "cancel-connect-subscription";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(cancel(call)));

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    canceled: bool,
}

async fn cancel(call: &Call<'_>) -> Result<Reply, Problem> {
    let (caller, account) = call.authenticate_agency().await?;
    let (owner, account) = (caller.owner()?, account?);
    let named = call.named_subscription()?;
    call.once(owner.agency(), NAME, cancellation(call, &owner, &account, &named))
        .await
}

async fn cancellation(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    account: &ConnectedAccountId,
    named: &Named,
) -> Result<Reply, Problem> {
    let ReadSale {
        mut sale,
        mut contract,
    } = call.sale_of(account, named).await?;
    let mut rounds = call.rounds();
    let mut refusal: Option<(Contract, Problem)> = None;
    loop {
        if contract.stage() == Stage::Over {
            write_down(call, &sale, &contract).await?;
            return Ok(Reply::ok(&Answer {
                id: named.as_str(),
                canceled: true,
            }));
        }
        match refusal.take() {
            // Nothing has moved: it is what it was, and is refused again.
            Some((before, problem)) if before.stage() == contract.stage() => return Err(problem),
            _ => {}
        }
        let problem = ask(call, owner, account, &contract).await?;
        // A schedule that let go of its subscription meanwhile is not the one to cancel; another look finds out.
        rounds.lost().await?;
        sale = call.sale_anew(&sale).await?;
        let now = call.contract_there(&sale, named).await?;
        let before = std::mem::replace(&mut contract, now);
        refusal = problem.map(|problem| (before, problem));
    }
}

/// Asks Stripe; answers what Stripe refuses, for it may be over, or another one to cancel.
async fn ask(
    call: &Call<'_>,
    owner: &Owner<AgencyId>,
    account: &ConnectedAccountId,
    contract: &Contract,
) -> Result<Option<Problem>, Problem> {
    let stripe = call.stripe_of(account).await?;
    let told = |error| refused(error, &Fields::NONE);
    if let Stage::Owned(_, subscription) | Stage::Free(subscription) = contract.stage()
        && !contract.held_back
    {
        let renewal = stripe.collect_renewal(owner, subscription).await.map_err(told)?;
        if let Some(why) = unbilled(renewal) {
            return Err(Problem::conflict(why));
        }
    }
    let asked = match contract.stage() {
        Stage::Waiting(schedule) | Stage::Owned(schedule, _) => stripe.cancel_schedule(owner, schedule).await,
        Stage::Free(subscription) => stripe.cancel_running(owner, subscription).await,
        Stage::Over => Ok(()),
    };
    match asked {
        Ok(()) => Ok(None),
        Err(error @ StripeError::Refused(_)) => Ok(Some(told(error))),
        Err(error) => Err(told(error)),
    }
}

/// Why a renewal that Stripe leaves a draft keeps its subscription from being canceled: Stripe would give it up with that.
fn unbilled(renewal: Renewal) -> Option<&'static str> {
    match renewal {
        Renewal::Billed => None,
        Renewal::Unlocated => Some(
            "the renewal cannot be billed, as Stripe does not know where to tax the client: name its country and postal code in taxSettings, correct its address at Stripe, or \
             cancel it when Stripe has billed the renewal without tax, an hour after it was drafted",
        ),
        Renewal::Drafted => Some(
            "the renewal cannot be billed now: see to its draft at Stripe, or cancel it when it is billed",
        ),
    }
}

/// What is over stays over: whoever writes it down last writes the same.
async fn write_down(call: &Call<'_>, sale: &Sale, contract: &Contract) -> Result<(), Problem> {
    if !sale.knows(contract) {
        let found = FoundSale {
            schedule: contract.schedule.as_ref(),
            contract,
            amendment: Unfinished::Stays,
            listener: Listener::Other,
        };
        unless_conflict(call.store.land_sale(sale, &found).await)?;
    }
    Ok(())
}
