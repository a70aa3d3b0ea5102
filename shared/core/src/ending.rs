//! Ending a subscription with its period, and taking that back.

use crate::subscription::{Standing, Status};

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

/// Whether its end can be scheduled and taken back. An overdue one can be ended, too.
pub fn endable(standing: &Standing) -> Result<(), Unendable> {
    match standing.subscription.status {
        Status::Canceled | Status::IncompleteExpired => Err(Unendable::NoSubscription),
        Status::Incomplete => Err(Unendable::Incomplete),
        _ if standing.scheduled => Err(Unendable::Scheduled),
        _ => Ok(()),
    }
}
