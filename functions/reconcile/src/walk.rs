//! Reading a list of events of Stripe's from its cursor on.

use std::time::Duration;

use billing_core::connect::ConnectedAccount;
use billing_core::id::{ConnectedAccountId, EventId};
use billing_core::reconcile::{Begun, Cursor};
use billing_edge::{CONNECTED_EVENT_TYPES, Call, EVENT_TYPES, EventOutcome, Problem};
use billing_store::{EventKey, ReceiptStatus, unless_conflict};
use billing_stripe::webhook::Event;
use billing_stripe::{EventPage, EventWindow, MOST_EVENT_TYPES, StripeError};

use crate::Tally;

/// What became of one event of the list.
enum Dealt {
    /// It is done, marked as failed, or nothing to us.
    Settled,
    /// Somebody else is at it.
    Busy,
}

/// A list of events, and how much of a run its turn may take.
pub(crate) struct Turn<'a> {
    /// The connected account whose list it is; none for our own.
    pub(crate) account: Option<&'a ConnectedAccount>,
    /// With less time left, no event is begun.
    pub(crate) enough: Duration,
    /// How many pages are read at most.
    pub(crate) pages: usize,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At the end of the list.
    Complete,
    /// Before: the next turn goes on from there.
    Left,
    /// Stripe gives us no access to the account.
    NoAccess,
}

/// Reads on until the list or the turn is at its end.
pub(crate) async fn walk(call: &Call<'_>, turn: &Turn<'_>, tally: &mut Tally) -> Result<End, Problem> {
    let mut stored = call.store.cursor(turn.account_id()).await?;
    let cursor = match (&stored, turn.account) {
        (Some(stored), _) => stored.cursor.clone(),
        (None, None) => Cursor::first(call.now),
        (None, Some(account)) => Cursor::of_linked(account.created_at, call.now),
    };
    let mut window = cursor.window(call.now);
    for page_number in 1.. {
        let Some(page) = page(call, turn, &cursor, &mut window).await? else {
            return Ok(End::NoAccess);
        };
        let (read, in_time) = deal_with(call, turn, &page, window, tally).await?;
        window = read;
        let part_is_read = in_time && !page.has_more;
        if part_is_read && turn.types(window.part + 1).is_some() {
            // Written down with the first page of the next part: until then, this one would be read again.
            window = window.next_part();
            continue;
        }
        let complete = part_is_read;
        let next = if complete {
            cursor.finished(&window)
        } else {
            cursor.left(window.clone())
        };
        let saved = call.store.put_cursor(turn.account_id(), stored.as_ref(), next);
        let Some(saved) = unless_conflict(saved.await)? else {
            // Another run is at it, and is further.
            break;
        };
        if turn.account.is_none() {
            tally.settled_until = Some(saved.cursor.settled_until);
        }
        stored = Some(saved);
        if complete {
            return Ok(End::Complete);
        }
        if !in_time || page_number == turn.pages {
            break;
        }
    }
    Ok(End::Left)
}

impl Turn<'_> {
    fn account_id(&self) -> Option<&ConnectedAccountId> {
        self.account.map(|account| &account.id)
    }

    /// A part of the types that mean something there; none after the last.
    fn types(&self, part: usize) -> Option<&'static [&'static str]> {
        let all = match self.account {
            Some(_) => CONNECTED_EVENT_TYPES,
            None => EVENT_TYPES,
        };
        all.chunks(MOST_EVENT_TYPES).nth(part)
    }

    async fn events(
        &self,
        call: &Call<'_>,
        window: &EventWindow<'_>,
    ) -> Result<Result<EventPage, StripeError>, Problem> {
        Ok(match self.account_id() {
            None => call.stripe().await?.events(window).await,
            Some(account) => call.stripe_of(account).await?.events(window).await,
        })
    }
}

/// The next page; none when Stripe gives us no access to the account.
async fn page(
    call: &Call<'_>,
    turn: &Turn<'_>,
    cursor: &Cursor,
    window: &mut Begun,
) -> Result<Option<EventPage>, Problem> {
    // A window that a build with more types has left: there is no such part any more, and so nothing of it.
    let Some(types) = turn.types(window.part) else {
        return Ok(Some(EventPage::default()));
    };
    let wanted = |after| EventWindow {
        from: cursor.from(call.now),
        until: window.until,
        after,
        types,
    };
    match turn.events(call, &wanted(window.after.as_ref())).await? {
        // The event that the last run came to is no longer listed: what stood after it is older still, unless the list was cut.
        Err(StripeError::Refused(refusal)) if refusal.is_missing("starting_after") => {
            let page = turn.events(call, &wanted(None)).await??;
            window.after = None;
            Ok(Some(page))
        }
        Err(StripeError::Refused(refusal)) if turn.account.is_some() && refusal.is_of_access() => Ok(None),
        page => Ok(Some(page?)),
    }
}

/// Deals with the events of a page in their order; answers how far it came, and whether it came to the end of the page in time.
async fn deal_with(
    call: &Call<'_>,
    turn: &Turn<'_>,
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
        if !call.has(turn.enough) {
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
    let problem = match call.piece().await?.take_event(event).await {
        Ok(taken) => {
            // What is about nobody whom we know, such as the customers of another program on the same Stripe account, nobody missed.
            tally.healed += u64::from(taken == EventOutcome::Done);
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

fn key(event: &Event) -> EventKey {
    EventKey {
        connected_account: event.connected_account.clone(),
        event: EventId::clone(&event.id),
    }
}
