//! `POST /stripe/webhook`: Stripe's signed events. The only place where coverage begins.
//!
//! # How it works
//! An event says *that* something happened; *what* is re-read from Stripe. The event is claimed, the account found, and then in
//! rounds: read the account, read Stripe, decide ([`billing_core::landing`]), write under the version that was read first. A
//! round that somebody else overtook starts over, so nothing older ever overwrites something newer. A change of the interval that
//! waited for its payment is finished here once it took effect.
//!
//! # If it fails half-way
//! The claim's lease runs out, or is given back with the reason; Stripe delivers again, and the work is done once: the ledger's
//! keys are invoice lines. A 2xx is sent for work that is done, and for nothing else.

/// Which object an event sends us to.
mod errand;
/// What Stripe says of that object now.
mod facts;

use std::time::Duration;

use billing_core::access::Mode;
use billing_core::account::Account;
use billing_core::id::AccountId;
use billing_core::landing::{self, Facts};
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::{Claim, EventKey, unless_conflict};
use billing_stripe::webhook::Event;
use serde::Serialize;

use crate::errand::Errand;
use crate::facts::Found;

/// Stripe's largest events are far larger than what a caller may send: an invoice carries its lines.
const BODY_LIMIT: usize = 6 * 1024 * 1024;
/// When Stripe is asked to come back to an event that somebody is at.
const BUSY: Duration = Duration::from_secs(5);

/// This Lambda.
pub const FUNCTION: Function = Function {
    body_limit: BODY_LIMIT,
    needs_webhook_secrets: true,
    ..Function::new("stripe-webhook", |call| Box::pin(receive(call)))
};

#[derive(Serialize)]
struct Answer {
    received: bool,
}

async fn receive(call: &Call<'_>) -> Result<Reply, Problem> {
    call.verify_signature().await?;
    let event = Event::read(call.bytes()).ok_or_else(|| Problem::bad_request("invalid payload"))?;
    if let Some(created) = event.created {
        let lag = call.now.duration_since(created).as_millis();
        call.count("WebhookLag", u64::try_from(lag).unwrap_or_default());
    }
    let errand = match Errand::of(&event) {
        // Test events of a shared endpoint, types that mean nothing here, other people's worlds.
        _ if event.livemode != (call.app.config.mode == Mode::Live) => {
            return Ok(received());
        }
        _ if event.connected_account.is_some() => {
            call.count("UnknownConnectedAccounts", 1);
            return Ok(received());
        }
        None => return Ok(received()),
        Some(errand) => errand,
    };
    let key = EventKey {
        connected_account: event.connected_account.clone(),
        event: event.id.clone(),
    };
    let holder = call.claim_token()?;
    match call
        .store
        .claim_event(&key, &event.kind, &holder, call.now, call.lease()?)
        .await?
    {
        Claim::Mine => {}
        Claim::Done => return Ok(received()),
        Claim::Busy => {
            return Err(Problem::conflict("this event is being handled").after(BUSY));
        }
    }
    let outcome = match errand {
        Ok(errand) => run(call, &event, &errand).await,
        Err(unreadable) => Err(Problem::internal(unreadable.to_string())),
    };
    match outcome {
        Ok(()) => {
            call.store.finish_event(&key, call.now).await?;
            Ok(received())
        }
        Err(problem) => {
            // Without this mark the lease has to run out; the problem is told either way.
            if let Err(error) = call.store.fail_event(&key, &holder, &problem.logged).await {
                tracing::warn!(event = %key.event, %error, "a failed event could not be marked");
            }
            Err(problem)
        }
    }
}

fn received() -> Reply {
    Reply::ok(&Answer { received: true })
}

async fn run(call: &Call<'_>, event: &Event, errand: &Errand) -> Result<(), Problem> {
    let Some(account) = find_account(call, event, errand).await? else {
        return Ok(());
    };
    let mut rounds = call.rounds();
    while land(call, errand, &account).await?.is_none() {
        rounds.lost().await?;
    }
    Ok(())
}

/// The account an event is about: by its customer's pointer; before that is written, by what our objects say of themselves. None
/// when there is nothing to do for anybody, or for nobody we know.
async fn find_account(call: &Call<'_>, event: &Event, errand: &Errand) -> Result<Option<AccountId>, Problem> {
    if let Some(customer) = &event.customer
        && let Some(account) = call.store.account_of_customer(customer).await?
    {
        return Ok(Some(account));
    }
    let Some(Found { facts, account, .. }) = facts::find(call, errand).await? else {
        return Ok(None);
    };
    let account = call.store.account_of_customer(&facts.customer).await?.or(account);
    if account.is_none() {
        // Somebody else's customer on the same Stripe account.
        call.count("UnknownCustomers", 1);
    }
    Ok(account)
}

/// One round; none when somebody else wrote first.
async fn land(call: &Call<'_>, errand: &Errand, id: &AccountId) -> Result<Option<()>, Problem> {
    // First what we have, then what Stripe has: see `billing_core::landing`.
    let (account, reservation) = tokio::try_join!(call.store.account(id), call.store.reservation(id))?;
    let Some(mut account) = account else {
        call.count("UnknownCustomers", 1);
        return Ok(Some(()));
    };
    let Some(found) = facts::find(call, errand).await? else {
        return Ok(Some(()));
    };
    let Some(facts) = with_change(call, &mut account, found).await? else {
        return Ok(None);
    };
    let landing = match landing::land(&account, reservation.as_ref(), facts) {
        Ok(landing) => landing,
        Err(foreign) => {
            tracing::warn!(account = %id, customer = %foreign.0, "an event of a customer that the account no longer has");
            call.count("ForeignCustomers", 1);
            return Ok(Some(()));
        }
    };
    if let Some(second) = &landing.second {
        tracing::error!(account = %id, subscription = %second, "a second live subscription: cancel one at Stripe");
        call.count("SecondSubscriptions", 1);
    }
    // Also when there is nothing to change: whoever read Stripe earlier and writes later has to look again.
    let landed = unless_conflict(call.store.land(&account.profile, &landing).await)?;
    // An invoice of more lines than one transaction takes needs another round.
    Ok(landed.filter(|()| !landing.more))
}

/// The facts, with what became of the change that the profile remembers, after what was left of it is done. None when somebody else
/// wrote first.
async fn with_change(call: &Call<'_>, account: &mut Account, found: Found) -> Result<Option<Facts>, Problem> {
    let Found { facts, standing, .. } = found;
    // Somebody else's customer is for the landing to refuse.
    let own = account.profile.customer.as_ref() == Some(&facts.customer);
    let (Some(change), Some(standing), true) = (&account.profile.change, standing, own) else {
        return Ok(Some(facts));
    };
    let finished = call.finish_change(&account.profile, change, standing).await?;
    Ok(finished.map(|finished| {
        account.profile = finished.profile;
        Facts {
            subscription: Some(finished.standing.subscription),
            change: finished.step,
            ..facts
        }
    }))
}
