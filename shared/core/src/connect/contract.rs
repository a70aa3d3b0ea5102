//! A sale as Stripe has it: a schedule that waits, a subscription that the schedule still owns, a subscription by itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::offer::{Price, Usage};
use crate::id::{ClientId, CouponId, CustomerId, ItemId, ScheduleId, SubscriptionId};
use crate::period::Period;

/// Everything that is told of a sale, read at Stripe in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The schedule: the one that waits, or the one that still owns the subscription.
    pub schedule: Option<ScheduleId>,
    /// The subscription, once it has begun.
    pub subscription: Option<SubscriptionId>,
    /// Stripe's word for how it stands: the subscription's, else the schedule's.
    pub status: String,
    /// Who pays.
    pub customer: CustomerId,
    /// Where the customer gets its invoices.
    pub email: Option<String>,
    /// The period under way, or the first one to come.
    pub period: Option<Period>,
    /// From when on.
    pub start: Option<Timestamp>,
    /// When Stripe made it.
    pub created: Timestamp,
    /// Whether it ends with its period. A later end is told by `ends_at` alone.
    pub ends: bool,
    /// Whether its end is a date that was set, and no mark that it ends with its period: each is taken back in its own way.
    pub ends_on_date: bool,
    /// When it ends, as things stand.
    pub ends_at: Option<Timestamp>,
    /// When it was canceled, or its end scheduled.
    pub canceled_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether taxes are worked out.
    pub taxed: bool,
    /// Whether it is in Stripe's flexible billing mode: only then is anybody billed for what was used of a price that is taken away.
    pub flexible: bool,
    /// Whether an operator has paused that its bills are collected.
    pub held_back: bool,
    /// What is taken off.
    pub coupon: Option<CouponId>,
    /// What is charged.
    pub lines: Vec<Line>,
    /// Whether its schedule leads it on to other terms. We write one phase, so somebody gave it more at Stripe.
    pub has_more_phases: bool,
    /// Whether its schedule reaches beyond the period, by a phase that lasts longer or by another one: ending what was sold with the schedule
    /// would not end it with the period. Somebody wrote it so at Stripe.
    pub outlasts_period: bool,
    /// Whether a phase that it waits for says by itself whether taxes are worked out, whatever its schedule says.
    pub phase_says_tax: bool,
    /// Whether a phase to come has taxes worked out where `taxed` says no, or the other way round.
    pub tax_varies: bool,
    /// Whether the phase that it waits for says more than we write into one (somebody at Stripe did), which writing it anew would lose.
    pub has_other_terms: bool,
    /// The metadata of the phase that it waits for, the agency's among it; none once it has begun.
    pub metadata: BTreeMap<String, String>,
    /// Which sale it is of.
    pub sold: Sold,
}

/// A price that is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The subscription's item; none before it has begun.
    pub item: Option<ItemId>,
    /// The price.
    pub price: Price,
    /// How many of it; none for a metered price.
    pub quantity: Option<u64>,
    /// What its product is called now.
    pub name: Option<String>,
    /// The metadata of the item of a phase that is waited for; none once it has begun.
    pub metadata: BTreeMap<String, String>,
}

/// Which sale something at Stripe says it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// Whose.
    pub client: ClientId,
    /// Which of the client's sales on the account it is, from 1.
    pub number: u64,
}

/// What is written down of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Stripe's word.
    pub status: String,
    /// The subscription, once it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// The period under way, or the first one to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// Whether it ends with its period.
    pub cancel_at_period_end: bool,
    /// When it was canceled, or its end scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<Timestamp>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    /// It has not begun.
    Waiting(&'a ScheduleId),
    /// It has begun, and its schedule has a say in it.
    Owned(&'a ScheduleId, &'a SubscriptionId),
    /// It goes on by itself.
    Free(&'a SubscriptionId),
    /// It is over.
    Over,
}

/// Whether what stands so, in Stripe's word, is over.
fn is_over(status: &str) -> bool {
    matches!(
        status,
        "canceled" | "completed" | "incomplete_expired" | "released"
    )
}

impl State {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        is_over(&self.status)
    }
}

impl Contract {
    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage<'_> {
        match (&self.schedule, &self.subscription) {
            // A schedule is `released`; when it had begun, its subscription tells how it stands.
            _ if is_over(&self.status) => Stage::Over,
            (Some(schedule), None) => Stage::Waiting(schedule),
            (Some(schedule), Some(subscription)) => Stage::Owned(schedule, subscription),
            (None, Some(subscription)) => Stage::Free(subscription),
            (None, None) => Stage::Over,
        }
    }

    /// The id that it goes by now.
    #[must_use]
    pub fn id(&self) -> &str {
        match (&self.subscription, &self.schedule) {
            (Some(id), _) => id.as_str(),
            (None, Some(id)) => id.as_str(),
            (None, None) => "",
        }
    }

    /// The price that is charged in advance.
    #[must_use]
    pub fn flat(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.price.usage == Usage::Licensed)
    }

    /// How many are charged of the price that is charged in advance. We sell one; an agency may have it otherwise. Of tiers and packages it is
    /// one, whatever they are counted in.
    #[must_use]
    pub fn flat_quantity(&self) -> u64 {
        let by_the_unit = self.flat().filter(|line| line.price.is_by_the_unit());
        by_the_unit.and_then(|line| line.quantity).unwrap_or(1)
    }

    /// The price that is charged for usage.
    #[must_use]
    pub fn metered(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.price.usage != Usage::Licensed)
    }

    /// Whether more is charged than what is sold here: one of a flat price, and usage.
    #[must_use]
    pub(crate) fn has_other_items(&self) -> bool {
        let sold = usize::from(self.flat().is_some()) + usize::from(self.metered().is_some());
        self.lines.len() > sold
    }

    /// What is written down of it.
    #[must_use]
    pub fn state(&self) -> State {
        State {
            status: self.status.clone(),
            subscription: self.subscription.clone(),
            period: self.period,
            cancel_at_period_end: self.ends,
            canceled_at: self.canceled_at,
        }
    }

    /// For people: that it is going to end, and on which day (UTC).
    #[must_use]
    pub fn end_shown(&self) -> Option<String> {
        let at = self.ends_at.filter(|_| self.stage() != Stage::Over)?;
        let day = at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y");
        Some(format!("Cancels on {day}"))
    }
}
