//! Subscriptions and their items.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{BillingMode, Currency, Metadata};
use crate::id::{
    CustomerId, DiscountId, InvoiceId, InvoiceItemId, InvoiceLineId, PaymentMethodId, PriceId, ScheduleId,
    SubscriptionId, SubscriptionItemId,
};

/// A customer's standing order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    pub(crate) created: Timestamp,
    pub(crate) start_date: Timestamp,
    /// The instant whose day of month, and time of day, every later period keeps to.
    pub(crate) billing_cycle_anchor: Timestamp,
    #[serde(default)]
    pub(crate) billing_mode: BillingMode,
    pub(crate) status: SubscriptionStatus,
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<SubscriptionItem>,
    pub(crate) discounts: Vec<DiscountId>,
    pub(crate) collection_method: CollectionMethod,
    /// For invoices that are sent.
    pub(crate) days_until_due: Option<u32>,
    pub(crate) trial_start: Option<Timestamp>,
    pub(crate) trial_end: Option<Timestamp>,
    /// What becomes of its invoices while nothing is collected; none while they are.
    #[serde(default)]
    pub(crate) paused_collection: Option<PausedCollection>,
    /// What a trial's end comes to when there is nothing to pay with.
    #[serde(default)]
    pub(crate) missing_payment_method: MissingPaymentMethod,
    /// A change that waits for its invoice to be paid.
    pub(crate) pending_update: Option<PendingUpdate>,
    pub(crate) automatic_tax: AutomaticTax,
    /// The schedule that drives it.
    pub(crate) schedule: Option<ScheduleId>,
    pub(crate) default_payment_method: Option<PaymentMethodId>,
    /// Whether what pays an invoice becomes its payment method.
    #[serde(default)]
    pub(crate) saves_payment_method: bool,
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
    /// What it is for, apart from how it is paid and when it ends.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            items: self.items.clone(),
            billing_cycle_anchor: self.billing_cycle_anchor,
            trial_start: self.trial_start,
            trial_end: self.trial_end,
            discounts: self.discounts.clone(),
        }
    }

    /// The same subscription on other terms. An end at the period's end moves with the period.
    pub(crate) fn on_terms(mut self, terms: Terms) -> Self {
        self.items = terms.items;
        self.billing_cycle_anchor = terms.billing_cycle_anchor;
        self.trial_start = terms.trial_start;
        self.trial_end = terms.trial_end;
        self.discounts = terms.discounts;
        if self.cancel_at_period_end {
            self.cancel_at = self.period_end();
        }
        self
    }

    /// When the next period begins: the earliest end among the items.
    pub(crate) fn period_end(&self) -> Option<Timestamp> {
        self.items.iter().map(|item| item.current_period_end).min()
    }

    /// The same, were no period cut short by the subscription's own end.
    pub(crate) fn whole_period_end(&self) -> Option<Timestamp> {
        let whole = |item: &SubscriptionItem| item.whole_period_end.unwrap_or(item.current_period_end);
        self.items.iter().map(whole).min()
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
    /// Where the current period would have begun, were it not cut short by an anchor within it.
    #[serde(default)]
    pub(crate) whole_period_start: Option<Timestamp>,
    /// Where it would end, were it not cut short by the subscription's own end.
    #[serde(default)]
    pub(crate) whole_period_end: Option<Timestamp>,
    /// Since when usage is counted for its price, where that is later than its period began.
    #[serde(default)]
    pub(crate) metered_since: Option<Timestamp>,
    /// What its time was last billed at. None in a trial, and for metered prices.
    pub(crate) charged: Option<Charged>,
    pub(crate) metadata: Metadata,
}

/// A change that lands when its invoice is paid, and is dropped when it is not in time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingUpdate {
    pub(crate) expires_at: Timestamp,
    pub(crate) invoice: InvoiceId,
    /// The lines that were made for it, which are dropped with it.
    pub(crate) prorations: Vec<InvoiceItemId>,
    /// The subscription as it would be.
    pub(crate) terms: Terms,
    /// What is to be changed besides; None is left as it is.
    pub(crate) metadata: Option<Metadata>,
    /// Likewise, whether it ends with its period.
    #[serde(default)]
    pub(crate) cancel_at_period_end: Option<bool>,
    /// Whether anybody has been told that it waits.
    pub(crate) announced: bool,
}

/// What a subscription is for, when and at what price.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) items: Vec<SubscriptionItem>,
    pub(crate) billing_cycle_anchor: Timestamp,
    pub(crate) trial_start: Option<Timestamp>,
    pub(crate) trial_end: Option<Timestamp>,
    pub(crate) discounts: Vec<DiscountId>,
}

/// How invoices are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CollectionMethod {
    ChargeAutomatically,
    /// The customer is sent the invoice and pays by its page.
    SendInvoice,
}

impl CollectionMethod {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [
        ("charge_automatically", Self::ChargeAutomatically),
        ("send_invoice", Self::SendInvoice),
    ];
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
    /// The end of that period, from which a change in the flexible mode may lead away.
    #[serde(default)]
    pub(crate) until: Option<Timestamp>,
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

/// What becomes of a subscription whose trial ends without a payment method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MissingPaymentMethod {
    /// It is billed all the same.
    #[default]
    CreateInvoice,
    /// It ends.
    Cancel,
    /// It stands still, unbilled.
    Pause,
}

impl MissingPaymentMethod {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("cancel", Self::Cancel),
        ("create_invoice", Self::CreateInvoice),
        ("pause", Self::Pause),
    ];
}

/// What becomes of an invoice that is made while collection is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PausedCollection {
    /// It stays a draft.
    KeepAsDraft,
    /// It is given up, and can still be paid.
    MarkUncollectible,
    /// It is void.
    Void,
}

impl PausedCollection {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("keep_as_draft", Self::KeepAsDraft),
        ("mark_uncollectible", Self::MarkUncollectible),
        ("void", Self::Void),
    ];
}

/// Whether tax is worked out. There are no registrations, so it always comes to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AutomaticTax {
    #[default]
    Off,
    On,
    /// It was to be, and nobody knows where the customer is.
    LacksLocation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CancellationReason {
    Requested,
    PaymentFailed,
}
