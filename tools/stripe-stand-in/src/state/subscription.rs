//! Subscriptions and their items.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata};
use crate::id::{
    CustomerId, DiscountId, InvoiceId, InvoiceLineId, PaymentMethodId, PriceId, SubscriptionId,
    SubscriptionItemId,
};

/// A customer's standing order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    pub(crate) created: Timestamp,
    pub(crate) start_date: Timestamp,
    /// The instant whose day of month, and time of day, every later period keeps to.
    pub(crate) billing_cycle_anchor: Timestamp,
    pub(crate) status: SubscriptionStatus,
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<SubscriptionItem>,
    pub(crate) discounts: Vec<DiscountId>,
    pub(crate) default_payment_method: Option<PaymentMethodId>,
    pub(crate) latest_invoice: Option<InvoiceId>,
    pub(crate) cancel_at: Option<Timestamp>,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) canceled_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) cancellation_reason: Option<CancellationReason>,
    pub(crate) cancellation_comment: Option<String>,
    pub(crate) cancellation_feedback: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

row!(Subscription, SubscriptionId, "subscription");

impl Subscription {
    /// When the next period begins: the earliest end among the items.
    pub(crate) fn period_end(&self) -> Option<Timestamp> {
        self.items.iter().map(|item| item.current_period_end).min()
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(
            self.status,
            SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired
        )
    }
}

/// One price of a subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SubscriptionItem {
    pub(crate) id: SubscriptionItemId,
    pub(crate) created: Timestamp,
    pub(crate) price: PriceId,
    /// None for a metered price.
    pub(crate) quantity: Option<u64>,
    pub(crate) current_period_start: Timestamp,
    pub(crate) current_period_end: Timestamp,
    /// What its time was last billed at. None in a trial, and for metered prices.
    pub(crate) charged: Option<Charged>,
    pub(crate) metadata: Metadata,
}

/// What was billed for the time of an item from `from` to the end of its period: the most that can be credited for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charged {
    /// What a whole period costs at list price.
    pub(crate) full: i64,
    /// What `from` to the end cost at list price.
    pub(crate) list_amount: i64,
    /// The same after discounts.
    pub(crate) net: i64,
    pub(crate) from: Timestamp,
    /// Where it is billed. None while it waits for the next invoice.
    pub(crate) line: Option<(InvoiceId, InvoiceLineId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SubscriptionStatus {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Canceled,
    Unpaid,
    Paused,
}

impl SubscriptionStatus {
    pub(crate) const WORDS: [(&'static str, Self); 8] = [
        ("active", Self::Active),
        ("canceled", Self::Canceled),
        ("incomplete", Self::Incomplete),
        ("incomplete_expired", Self::IncompleteExpired),
        ("past_due", Self::PastDue),
        ("paused", Self::Paused),
        ("trialing", Self::Trialing),
        ("unpaid", Self::Unpaid),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CancellationReason {
    Requested,
    PaymentFailed,
}
