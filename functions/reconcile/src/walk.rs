//! Reading Stripe's list of events from the cursor on.

use billing_core::id::EventId;
use billing_core::reconcile::{Begun, Cursor};
use billing_edge::{Call, Problem, Taken};
use billing_store::{EventKey, ReceiptStatus, StoredCursor, unless_conflict};
use billing_stripe::webhook::Event;
use billing_stripe::{EventPage, EventWindow, StripeError};

use crate::{ENOUGH, Tally};

/// What became of one event of the list.
enum Dealt {
    /// It is done, marked as failed, or nothing to us.
    Settled,
    /// Somebody else is at it.
    Busy,
}

/// Reads on until the list or the time is at its end.
pub(crate) async fn walk(call: &Call<'_>, tally: &mut Tally) -> Result<(), Problem> {
    let mut stored = call.store.cursor(None).await?;
    let cursor = stored
        .as_ref()
        .map_or_else(|| Cursor::first(call.now), |stored| stored.cursor.clone());
    let mut window = cursor.window(call.now);
    loop {
        let page = page(call, &cursor, &mut window).await?;
        let (read, in_time) = deal_with(call, &page, window, tally).await?;
        window = read;
        let complete = in_time && !page.has_more;
        let next = if complete {
            cursor.finished(&window)
        } else {
            cursor.left(window.clone())
        };
        stored = match save(call, stored, next).await? {
            Some(stored) => Some(stored),
            // Another run is at it, and is further.
            None => return Ok(()),
        };
        if complete || !in_time {
            tally.complete = complete;
            return Ok(());
        }
    }
}

async fn page(call: &Call<'_>, cursor: &Cursor, window: &mut Begun) -> Result<EventPage, Problem> {
    let stripe = call.stripe().await?;
    let wanted = |after| EventWindow {
        from: cursor.from(call.now),
        until: window.until,
        after,
    };
    match stripe.events(&wanted(window.after.as_ref())).await {
        // The event that the last run came to is no longer listed: what stood after it is older still, unless the list was cut.
        Err(StripeError::Refused(refusal)) if refusal.is_missing("starting_after") => {
            let page = stripe.events(&wanted(None)).await?;
            window.after = None;
            Ok(page)
        }
        page => Ok(page?),
    }
}

/// Deals with the events of a page in their order; answers how far it came, and whether it came to the end of the page in time.
async fn deal_with(
    call: &Call<'_>,
    page: &EventPage,
    mut window: Begun,
    tally: &mut Tally,
) -> Result<(Begun, bool), Problem> {
    let ours: Vec<EventKey> = page
        .events
        .iter()
        .filter_map(|(_, event)| event.as_ref())
        .filter(|event| call.is_ours(event))
        .map(key)
        .collect();
    let done = call.store.done_events(&ours).await?;
    for (id, event) in &page.events {
        if !call.has(ENOUGH) {
            return Ok((window, false));
        }
        tally.looked_at += 1;
        let dealt = match event {
            Some(event) if !done.contains(id) => take(call, event, tally).await?,
            Some(_) => Dealt::Settled,
            None => {
                tracing::error!(event = %id, "an event of Stripe's list cannot be read");
                Dealt::Settled
            }
        };
        let created = event.as_ref().and_then(|event| event.created);
        window = window.past(id.clone(), created, matches!(dealt, Dealt::Settled));
    }
    Ok((window, true))
}

async fn take(call: &Call<'_>, event: &Event, tally: &mut Tally) -> Result<Dealt, Problem> {
    let problem = match call.take_event(event).await {
        Ok(taken) => {
            tally.healed += u64::from(taken == Taken::Done);
            return Ok(Dealt::Settled);
        }
        Err(problem) => problem,
    };
    match call
        .store
        .receipt(&key(event))
        .await?
        .map(|receipt| receipt.status)
    {
        // Marked: it is tried again, and an operator sees it.
        Some(ReceiptStatus::Failed) => {
            tracing::error!(event = %event.id, logged = problem.logged, "an event failed");
            tally.failed += 1;
            Ok(Dealt::Settled)
        }
        Some(ReceiptStatus::Done) => Ok(Dealt::Settled),
        Some(ReceiptStatus::Processing) => Ok(Dealt::Busy),
        // Not even claimed: passing it over would lose it.
        None => Err(problem),
    }
}

async fn save(
    call: &Call<'_>,
    read: Option<StoredCursor>,
    next: Cursor,
) -> Result<Option<StoredCursor>, Problem> {
    let saved = call.store.put_cursor(None, read.as_ref(), next).await;
    Ok(unless_conflict(saved)?)
}

fn key(event: &Event) -> EventKey {
    EventKey {
        connected_account: event.connected_account.clone(),
        event: EventId::clone(&event.id),
    }
}
