//! Subscription schedules: phases that a subscription goes through by the clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{BillingMode, Currency, Grant, Metadata};
use crate::id::{CustomerId, PaymentMethodId, PriceId, ScheduleId, SubscriptionId};

/// A plan for a subscription that may not have begun yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) id: ScheduleId,
    pub(crate) created: Timestamp,
    pub(crate) status: ScheduleStatus,
    pub(crate) customer: CustomerId,
    /// What its subscription has, or will have.
    #[serde(default)]
    pub(crate) billing_mode: BillingMode,
    pub(crate) end_behavior: EndBehavior,
    pub(crate) defaults: PhaseSettings,
    /// One after another without gaps.
    pub(crate) phases: Vec<Phase>,
    /// Which phase is under way. None before the first and after the last.
    pub(crate) current: Option<usize>,
    /// The subscription that it drives. None before it begins and after it is let go.
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) released_subscription: Option<SubscriptionId>,
    pub(crate) canceled_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) released_at: Option<Timestamp>,
    pub(crate) metadata: Metadata,
}

row!(Schedule, ScheduleId, "subscription schedule");

impl Schedule {
    pub(crate) fn current_phase(&self) -> Option<&Phase> {
        self.phases.get(self.current?)
    }

    /// Whether it is still to do something.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.status, ScheduleStatus::NotStarted | ScheduleStatus::Active)
    }

    /// When something is next to happen: the start of the first phase, then the end of each.
    pub(crate) fn next_step(&self) -> Option<Timestamp> {
        match self.status {
            ScheduleStatus::NotStarted => self.phases.first().map(|phase| phase.start),
            ScheduleStatus::Active => self.current_phase().map(|phase| phase.end),
            ScheduleStatus::Completed | ScheduleStatus::Released | ScheduleStatus::Canceled => None,
        }
    }

    /// When it ends its subscription, if it does.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let last = self
            .phases
            .last()
            .filter(|_| self.end_behavior == EndBehavior::Cancel);
        last.map(|phase| phase.end)
    }
}

/// A stretch of time on the same terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<PhaseItem>,
    /// What takes effect when the phase begins.
    pub(crate) discounts: Vec<Grant>,
    pub(crate) prorations: PhaseProrations,
    pub(crate) settings: PhaseSettings,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PhaseItem {
    pub(crate) price: PriceId,
    /// None for a metered price.
    pub(crate) quantity: Option<u64>,
    pub(crate) metadata: Metadata,
}

/// What a phase says, or leaves to the schedule's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PhaseSettings {
    pub(crate) automatic_tax: Option<bool>,
    pub(crate) anchor: Option<PhaseAnchor>,
    pub(crate) default_payment_method: Option<PaymentMethodId>,
    pub(crate) description: Option<String>,
}

/// From when the periods of a phase are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PhaseAnchor {
    /// As before, unless the interval changes.
    Automatic,
    PhaseStart,
}

/// What becomes of the shares of a period when a phase begins within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PhaseProrations {
    AlwaysInvoice,
    Create,
    Nothing,
}

/// What becomes of the subscription after the last phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EndBehavior {
    /// It goes on by itself.
    Release,
    /// It ends.
    Cancel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ScheduleStatus {
    NotStarted,
    Active,
    Completed,
    Released,
    Canceled,
}

impl PhaseAnchor {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("automatic", Self::Automatic), ("phase_start", Self::PhaseStart)];
}

impl PhaseProrations {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("always_invoice", Self::AlwaysInvoice),
        ("create_prorations", Self::Create),
        ("none", Self::Nothing),
    ];
}

impl EndBehavior {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("cancel", Self::Cancel), ("release", Self::Release)];
}

impl ScheduleStatus {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("active", Self::Active),
        ("canceled", Self::Canceled),
        ("completed", Self::Completed),
        ("not_started", Self::NotStarted),
        ("released", Self::Released),
    ];
}
