//! Whether a contract can be amended as it is stored, and as its subscription stands at Stripe.

use jiff::Timestamp;

use super::{Contract, Read, Status};
use crate::change::{self, Unchangeable};
use crate::sale::{Offer, Sale, Way};
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
    #[error("{}", Unamendable::OnTrial(*.0))]
    OnTrial(Timestamp),
}

/// Why a contract cannot be amended as its subscription stands at Stripe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unamendable {
    /// Nor could any other subscription be changed that stands so.
    #[error(transparent)]
    Unchangeable(#[from] Unchangeable),
    /// An operator has given it a trial, until then: nothing that is left of a period can be credited or charged meanwhile.
    #[error(
        "the contract is on trial at the payment provider until {0}: it can be changed then, or once an operator has ended the trial"
    )]
    OnTrial(Timestamp),
    /// It has terms that the schedule of a change at the end of its period would not say again, so that Stripe would drop them.
    #[error(
        "the subscription was given terms at Stripe that a change at the end of its period would take away: only an operator can change it"
    )]
    Furnished,
}

impl Obstacle {
    /// Whether it was a trial that is over at `now`.
    fn is_over(self, now: Timestamp) -> bool {
        matches!(self, Self::OnTrial(until) if until <= now)
    }
}

impl Contract {
    /// Why it cannot be amended as it is stored, if it cannot. A trial that is over at `now` is no reason: it [is lapsed](Self::is_lapsed).
    #[must_use]
    pub fn obstacle(&self, now: Timestamp) -> Option<Obstacle> {
        self.obstacle_then().filter(|obstacle| !obstacle.is_over(now))
    }

    /// Whether its period or its trial is over at `now`, and the news of what came after has not arrived: what it stands at is not known here.
    #[must_use]
    pub fn is_lapsed(&self, now: Timestamp) -> bool {
        let was_on_trial = self.obstacle_then().is_some_and(|obstacle| obstacle.is_over(now));
        self.standing.over_at() <= now || was_on_trial
    }

    /// Why it could not be amended when it was stored.
    fn obstacle_then(&self) -> Option<Obstacle> {
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
    pub fn amendable(&self, amendment: &Sale, read: &Read) -> Result<(), Unamendable> {
        if read.billing.status == BillingStatus::Trialing {
            return Err(Unamendable::OnTrial(read.billing.period.end));
        }
        change::charged(read.collection)?;
        // A schedule that bears a sale's name is a downgrade's: of another, that was made since this one was priced.
        let is_of_another = read.scheduled.as_ref().is_some_and(|of| *of != amendment.name());
        if read.has_foreign_schedule() || is_of_another {
            return Err(Unchangeable::Scheduled.into());
        }
        let offer = &amendment.offer;
        // The schedule that a downgrade writes would take it away.
        if offer.way == Way::AtPeriodEnd && read.terms.says_more {
            return Err(Unamendable::Furnished);
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
            return Err(Unchangeable::NothingPays.into());
        }
        let is_paid_by_it = offer.way == Way::AtOnce && !is_named;
        Ok(change::payable(read.payer.as_ref().filter(|_| is_paid_by_it))?)
    }

    /// Whether an offer to amend it was priced on another period than it stands in, or, when the period ends, on another end: an operator has moved
    /// that, and the news has landed since.
    #[must_use]
    pub fn has_moved_since(&self, offer: &Offer) -> bool {
        offer.before.as_ref().is_some_and(|before| {
            let is_of_another_end = offer.way == Way::AtPeriodEnd && offer.ends_at != self.ends_at;
            before.period != self.standing.period || is_of_another_end
        })
    }

    /// Whether Stripe has another end of it: an operator has set, moved or taken it away, and its event is still to come. A schedule that was
    /// written now would say the old one.
    #[must_use]
    pub fn has_another_end(&self, read: &Read) -> bool {
        let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        read.billing.schedule.is_none() && second(read.billing.cancel_at) != second(self.ends_at)
    }
}
