//! Whether a contract can be amended as it is stored, and as its subscription stands at Stripe.

use jiff::Timestamp;

use super::{Contract, Read, Status};
use crate::change::{self, Unchangeable};
use crate::sale::{Sale, Way};
use crate::subscription::Status as BillingStatus;

/// Why a contract cannot be amended as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It is over.
    #[error("the contract has ended")]
    Ended,
    /// An invoice is overdue.
    #[error("the contract's latest invoice has to be paid first")]
    Unpaid,
    /// It becomes something else when its period ends.
    #[error("a change of the contract is scheduled for the end of its period")]
    Scheduled,
    /// A schedule leads it that no change of it has made: an operator's.
    #[error("{}", Unchangeable::Scheduled)]
    ForeignSchedule,
    /// An operator has given it a trial, until then.
    #[error("{}", Unchangeable::OnTrial(*.0))]
    OnTrial(Timestamp),
}

impl Contract {
    /// Why it cannot be amended as it is stored, if it cannot.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        if self.status != Status::Active {
            return Some(Obstacle::Ended);
        }
        let billing = self.billing.as_ref()?;
        match billing.status {
            BillingStatus::Active | BillingStatus::Trialing if self.scheduled.is_some() => {
                Some(Obstacle::Scheduled)
            }
            BillingStatus::Trialing => Some(Obstacle::OnTrial(billing.period.end)),
            BillingStatus::Active => {
                // The schedule of a downgrade that is under way is that sale's, which has to be finished or given up first.
                let sale = self.sale.as_ref();
                let under_way = sale.is_some_and(|sale| sale.offer.way == Way::AtPeriodEnd);
                let has_foreign_schedule = billing.schedule.is_some() && !under_way;
                has_foreign_schedule.then_some(Obstacle::ForeignSchedule)
            }
            BillingStatus::Canceled | BillingStatus::IncompleteExpired => Some(Obstacle::Ended),
            _ => Some(Obstacle::Unpaid),
        }
    }

    /// Whether what an amendment costs would be charged, and be paid at once, and no schedule of an operator's would undo it. What a guest has
    /// bought is charged to nothing but what its subscription has of its own.
    pub fn amendable(&self, amendment: &Sale, read: &Read) -> Result<(), Unchangeable> {
        if read.billing.status == BillingStatus::Trialing {
            return Err(Unchangeable::OnTrial(read.billing.period.end));
        }
        change::charged(read.collection)?;
        // A schedule that bears a sale's name is a downgrade's: of another, that was made since this one was priced.
        let is_of_another = read.scheduled.as_ref().is_some_and(|of| *of != amendment.name());
        if read.has_foreign_schedule() || is_of_another {
            return Err(Unchangeable::Scheduled);
        }
        let offer = &amendment.offer;
        // The schedule that a downgrade writes would take it away.
        if offer.way == Way::AtPeriodEnd && read.terms.says_more {
            return Err(Unchangeable::Furnished);
        }
        // One that is named is looked at when it has been given; a change at the end of the period leaves it alone.
        let is_named = offer.way == Way::AtOnce && amendment.payment_method.is_some();
        let asks_for_one = match offer.way {
            Way::Begin | Way::AtOnce => offer.costs_something(),
            // Less is billed than without it.
            Way::AtPeriodEnd => offer.begins_to_cost(),
        };
        let has_none = read.payment_method.is_none() && !is_named;
        if self.is_guests && has_none && asks_for_one {
            return Err(Unchangeable::NothingPays);
        }
        let is_paid_by_it = offer.way == Way::AtOnce && !is_named;
        change::payable(read.payer.as_ref().filter(|_| is_paid_by_it))
    }

    /// Whether Stripe has another end of it: an operator has set, moved or taken it away, and its event is still to come. A schedule that was
    /// written now would say the old one.
    #[must_use]
    pub fn has_another_end(&self, read: &Read) -> bool {
        let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        read.billing.schedule.is_none() && second(read.billing.cancel_at) != second(self.ends_at)
    }
}
