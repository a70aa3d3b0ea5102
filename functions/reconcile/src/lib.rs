//! `reconcile`: events that never arrived are found in Stripe's own list, and those that failed are tried again. Run by a schedule.
//!
//! # How it works
//! The list of our own Stripe account is read on from where the last run left it ([`billing_core::reconcile`]), then those of the
//! connected accounts whose turn it is. What is not known as done goes into the same inbox as what the webhook is told of. A
//! webhook endpoint that was down for a day heals without anybody noticing. Each of these, and what failed, has its share of the
//! time: none keeps the others waiting for ever, and what they leave of it is our own list's again.
//!
//! # If it fails half-way
//! Each list has a cursor that says how far it came, and the next run goes on from there. It is written only for events that are
//! done, or marked as failed and so not forgotten. Two runs at once do each event once.

/// Reading a list.
mod walk;
/// The lists of the connected accounts.
mod turns;
/// Trying again what failed.
mod again;

use std::time::Duration;

use billing_core::{Timestamp, reconcile};
use billing_edge::{Call, Function, Problem, Reply};
use serde::Serialize;

use walk::{End, Turn};

/// What one event may take: with less time left, none is begun.
const ENOUGH: Duration = Duration::from_secs(5);

/// This Lambda.
pub const FUNCTION: Function = Function::on_event("reconcile", |call| Box::pin(reconcile(call)));

/// What a run did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    /// Events of Stripe's lists, of types that mean something here, that were looked at.
    pub(crate) looked_at: u64,
    /// Those of somebody here that had not been done, and are now.
    pub(crate) healed: u64,
    /// Those that failed.
    pub(crate) failed: u64,
    /// Whether our own list was read to its end.
    pub(crate) complete: bool,
    /// Until when everything of our own list is settled; none where that was not written down.
    pub(crate) settled_until: Option<Timestamp>,
    /// Connected accounts that had their turn.
    pub(crate) accounts: u64,
    /// Those of them that give us no access any more.
    pub(crate) disconnected: u64,
    /// Those of them whose lists could not be read.
    pub(crate) unread: u64,
}

async fn reconcile(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut tally = Tally::default();
    let ran = run(call, &mut tally).await;
    call.count("HealedEvents", tally.healed);
    call.count("DisconnectedAccounts", tally.disconnected);
    call.count("UnreadAccounts", tally.unread);
    if let Some(settled_until) = tally.settled_until {
        call.count("ReconcileLag", reconcile::lag(settled_until, call.now));
    }
    ran?;
    Ok(Reply::ok(&tally))
}

async fn run(call: &Call<'_>, tally: &mut Tally) -> Result<(), Problem> {
    // Half of the time is our own list's at most; a quarter is what failed has at least.
    let time = call.left();
    let own = Turn {
        account: None,
        enough: ENOUGH.max(time / 2),
        pages: usize::MAX,
    };
    tally.complete = walk::walk(call, &own, tally).await? == End::Complete;
    turns::take(call, ENOUGH.max(time / 4), tally).await?;
    again::again(call, tally).await?;
    if !tally.complete {
        // What the others have left of the time.
        let rest = Turn {
            enough: ENOUGH,
            ..own
        };
        tally.complete = walk::walk(call, &rest, tally).await? == End::Complete;
    }
    Ok(())
}
