//! Ending a subscription with its period, and taking that back.

use jiff::Timestamp;

use crate::change::Change;
use crate::subscription::{ScheduledEnd, Standing, Status};

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The subscription is to end with its current period.
    Cancel,
    /// It is to go on.
    Resume,
}

/// Why the end of a subscription can neither be scheduled nor taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unendable {
    /// There is none, or it is over.
    #[error("the account has no subscription")]
    NoSubscription,
    /// Its first invoice is open: it has not begun, and ends by itself when that is not paid.
    #[error("the subscription is incomplete: its first invoice is not paid")]
    Incomplete,
    /// A schedule decides when it ends.
    #[error("the subscription is owned by a schedule, which alone can change it")]
    Scheduled,
}

/// What to do about a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is as was wished for.
    Done,
    /// It is as was wished for, and no change that is under way may undo that: count the wish.
    Keep,
    /// Count the wish, and have Stripe end the subscription with its period.
    Schedule,
    /// Count the wish, and have Stripe take back an end that was scheduled in this way.
    TakeBack(ScheduledEnd),
    /// A change is taking an older cancellation back at this moment: look again.
    Wait,
}

/// What to do about a wish, given the change that is written down and what Stripe has just said. One that is overdue can be ended,
/// too.
pub fn next(
    wish: Wish,
    change: Option<&Change>,
    standing: &Standing,
    now: Timestamp,
) -> Result<Next, Unendable> {
    match standing.subscription.status {
        Status::Canceled | Status::IncompleteExpired => return Err(Unendable::NoSubscription),
        Status::Incomplete => return Err(Unendable::Incomplete),
        _ if standing.scheduled => return Err(Unendable::Scheduled),
        _ => {}
    }
    let scheduled = standing.subscription.cancel_at_period_end;
    Ok(match wish {
        Wish::Cancel if change.is_some_and(|change| change.is_being_finished(now)) => Next::Wait,
        Wish::Cancel if !scheduled => Next::Schedule,
        Wish::Cancel if change.is_some_and(|change| change.clears_cancellation) => Next::Keep,
        Wish::Cancel => Next::Done,
        // An end on another date than the period's is an operator's doing.
        Wish::Resume => match standing.end {
            Some(end) if scheduled => Next::TakeBack(end),
            _ => Next::Done,
        },
    })
}
