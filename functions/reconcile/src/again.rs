//! Trying again what failed: Stripe gives up after three days, this does not for as long as Stripe tells the event.
//!
//! One that cannot be read keeps no other waiting: what Stripe does not tell any more rests for longer each time, and an account whose
//! events cannot be read is asked once in a run.

use std::collections::HashSet;

use billing_core::access::Mode;
use billing_core::id::ConnectedAccountId;
use billing_core::reconcile::is_rested;
use billing_edge::{Call, EventOutcome, Problem};
use billing_store::{Failure, unless_conflict};
use billing_stripe::webhook::Event;
use billing_stripe::{StripeError, SyntheticEvent};

use crate::{ENOUGH, Tally};

/// What Stripe has of an event that failed.
enum FetchedEvent {
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
            Ok(FetchedEvent::Event(event)) => take(call, &failure, &event, tally).await?,
            Ok(FetchedEvent::Gone) => rest(call, &failure).await?,
            Ok(FetchedEvent::NoAccess) => {
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
        Ok(EventOutcome::Done) => tally.healed += 1,
        Ok(EventOutcome::DoneBefore) => {
            unless_conflict(call.store.forget_failure(failure).await)?;
        }
        Ok(EventOutcome::NotOurs) => rest(call, failure).await?,
        Ok(EventOutcome::OfNobody | EventOutcome::Disconnected) => {}
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
async fn find(call: &Call<'_>, failure: &Failure) -> Result<FetchedEvent, Problem> {
    if let Some(synthetic) = SyntheticEvent::from_id(&failure.event) {
        let event = Event::of(&synthetic.body(call.app.config.mode == Mode::Live));
        return Ok(event.map_or(FetchedEvent::Gone, FetchedEvent::Event));
    }
    let event = match &failure.connected_account {
        None => call.stripe().await?.event(&failure.event).await,
        Some(account) => call.stripe_of(account).await?.event(&failure.event).await,
    };
    match event {
        Ok(event) => Ok(Event::of(&event).map_or(FetchedEvent::Gone, FetchedEvent::Event)),
        Err(StripeError::Refused(refusal)) if refusal.is_of_access() => Ok(FetchedEvent::NoAccess),
        Err(StripeError::Refused(refusal)) if refusal.is_not_found() => Ok(FetchedEvent::Gone),
        Err(error) => Err(error.into()),
    }
}
