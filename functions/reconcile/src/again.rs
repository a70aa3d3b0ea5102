//! Trying again what failed: Stripe gives up after three days, this does not for as long as Stripe tells the event.
//!
//! One that cannot be read keeps no other waiting: what Stripe does not tell any more rests for longer each time, and an account whose
//! events cannot be read is asked once in a run.

use std::collections::HashSet;

use billing_core::access::Mode;
use billing_core::id::ConnectedAccountId;
use billing_core::reconcile::is_rested;
use billing_edge::{Call, Problem, Taken};
use billing_store::{Failure, unless_conflict};
use billing_stripe::webhook::Event;
use billing_stripe::{StripeError, Told};

use crate::{ENOUGH, Tally};

/// What Stripe has of an event that failed.
enum Found {
    Event(Event),
    /// Nothing, any more: an operator sees it.
    Gone,
    /// Its account gives us no access.
    NoAccess,
}

/// Takes every event once more that failed long enough ago.
pub(crate) async fn again(call: &Call<'_>, tally: &mut Tally) -> Result<(), Problem> {
    let failures = call.store.failures().await?;
    let rested = failures
        .into_iter()
        .filter(|failure| is_rested(failure.attempts, failure.failed_at, call.now));
    let mut unread: HashSet<Option<ConnectedAccountId>> = HashSet::new();
    for failure in rested {
        if !call.has(ENOUGH) {
            break;
        }
        if unread.contains(&failure.connected_account) {
            continue;
        }
        match find(call, &failure).await {
            Ok(Found::Event(event)) => take(call, &failure, &event, tally).await?,
            Ok(Found::Gone) => rest(call, &failure).await?,
            Ok(Found::NoAccess) => {
                unread.insert(failure.connected_account);
            }
            Err(problem) => {
                tracing::error!(event = %failure.event, logged = problem.logged, "an event that failed could not be read");
                tally.failed += 1;
                unread.insert(failure.connected_account);
            }
        }
    }
    Ok(())
}

async fn take(call: &Call<'_>, failure: &Failure, event: &Event, tally: &mut Tally) -> Result<(), Problem> {
    match call.piece().await?.take_event(event).await {
        Ok(Taken::Done) => tally.healed += 1,
        Ok(Taken::DoneBefore) => {
            unless_conflict(call.store.forget_failure(failure).await)?;
        }
        Ok(Taken::NotOurs) => rest(call, failure).await?,
        Ok(Taken::OfNobody | Taken::Left) => {}
        Err(problem) => {
            tracing::error!(event = %failure.event, logged = problem.logged, "an event failed again");
            tally.failed += 1;
        }
    }
    Ok(())
}

async fn rest(call: &Call<'_>, failure: &Failure) -> Result<(), Problem> {
    unless_conflict(call.store.rest_failure(failure, call.now).await)?;
    Ok(())
}

/// The event as Stripe tells it, or as the operator told it who made it.
async fn find(call: &Call<'_>, failure: &Failure) -> Result<Found, Problem> {
    if let Some(told) = Told::by(&failure.event) {
        let event = Event::of(&told.event(call.app.config.mode == Mode::Live));
        return Ok(event.map_or(Found::Gone, Found::Event));
    }
    let event = match &failure.connected_account {
        None => call.stripe().await?.event(&failure.event).await,
        Some(account) => call.stripe_of(account).await?.event(&failure.event).await,
    };
    match event {
        Ok(event) => Ok(Event::of(&event).map_or(Found::Gone, Found::Event)),
        Err(StripeError::Refused(refusal)) if refusal.is_of_access() => Ok(Found::NoAccess),
        Err(StripeError::Refused(refusal)) if refusal.is_not_found() => Ok(Found::Gone),
        Err(error) => Err(error.into()),
    }
}
