//! Trying again what failed: Stripe gives up after three days, this does not for as long as Stripe tells the event.

use billing_core::reconcile::is_rested;
use billing_edge::{Call, Problem, Taken};
use billing_store::Failure;
use billing_stripe::StripeError;
use billing_stripe::webhook::Event;

use crate::{ENOUGH, Tally};

/// Takes every event once more that failed long enough ago.
pub(crate) async fn again(call: &Call<'_>, tally: &mut Tally) -> Result<(), Problem> {
    let failures = call.store.failures().await?;
    let rested = failures
        .into_iter()
        .filter(|failure| is_rested(failure.attempts, failure.failed_at, call.now));
    for failure in rested {
        if !call.has(ENOUGH) {
            break;
        }
        let Some(event) = event(call, &failure).await? else {
            continue;
        };
        match call.piece().await?.take_event(&event).await {
            Ok(taken) => tally.healed += u64::from(taken == Taken::Done),
            Err(problem) => {
                tracing::error!(event = %failure.event, logged = problem.logged, "an event failed again");
                tally.failed += 1;
            }
        }
    }
    Ok(())
}

/// The event as Stripe tells it; none when it is too old for that, or its account gives us no access: then it stays where an
/// operator sees it.
async fn event(call: &Call<'_>, failure: &Failure) -> Result<Option<Event>, Problem> {
    let told = match &failure.connected_account {
        None => call.stripe().await?.event(&failure.event).await,
        Some(account) => call.stripe_of(account).await?.event(&failure.event).await,
    };
    match told {
        Ok(event) => Ok(Event::of(&event)),
        Err(StripeError::Refused(refusal)) if refusal.status == 404 || refusal.is_of_access() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
