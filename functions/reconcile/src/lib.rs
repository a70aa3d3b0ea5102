//! `reconcile`: events that never arrived are found in Stripe's own list, and those that failed are tried again. Run by a schedule.
//!
//! # How it works
//! The list is read on from where the last run left it ([`billing_core::reconcile`]), and what is not known as done goes into the
//! same inbox as what the webhook is told of. A webhook endpoint that was down for a day heals without anybody noticing.
//!
//! # If it fails half-way
//! The cursor says how far it came, and the next run goes on from there. It is written only for events that are done, or marked
//! as failed and so not forgotten. Two runs at once do each event once.

/// Reading the list.
mod walk;
/// Trying again what failed.
mod again;

use std::time::Duration;

use billing_edge::{Call, Function, Problem, Reply};
use serde::Serialize;

/// What one event may take: with less time left, none is begun.
const ENOUGH: Duration = Duration::from_secs(5);

/// This Lambda.
pub const FUNCTION: Function = Function::on_event("reconcile", |call| Box::pin(reconcile(call)));

/// What a run did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    /// Events of Stripe's list that were looked at.
    pub(crate) looked_at: u64,
    /// Those that had not been done, and are now.
    pub(crate) healed: u64,
    /// Those that failed.
    pub(crate) failed: u64,
    /// Whether the list was read to its end.
    pub(crate) complete: bool,
}

async fn reconcile(call: &Call<'_>) -> Result<Reply, Problem> {
    let mut tally = Tally::default();
    walk::walk(call, &mut tally).await?;
    again::again(call, &mut tally).await?;
    call.count("HealedEvents", tally.healed);
    Ok(Reply::ok(&tally))
}
