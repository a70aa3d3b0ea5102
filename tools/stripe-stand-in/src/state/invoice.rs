//! Invoices, their lines and the payments made on them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata, UnitAmount};
use crate::id::{
    CustomerId, InvoiceId, InvoiceLineId, InvoicePaymentId, PaymentIntentId, PaymentMethodId, PriceId,
    ProductId, SubscriptionId, SubscriptionItemId,
};

/// A bill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: InvoiceId,
    pub(crate) created: Timestamp,
    pub(crate) status: InvoiceStatus,
    pub(crate) billing_reason: BillingReason,
    pub(crate) number: Option<String>,
    pub(crate) customer: CustomerId,
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) currency: Currency,
    pub(crate) lines: Vec<InvoiceLine>,
    pub(crate) amount_paid: i64,
    pub(crate) attempt_count: u32,
    pub(crate) attempted: bool,
    pub(crate) auto_advance: bool,
    pub(crate) automatically_finalizes_at: Option<Timestamp>,
    pub(crate) next_payment_attempt: Option<Timestamp>,
    pub(crate) payment_intent: Option<PaymentIntentId>,
    pub(crate) default_payment_method: Option<PaymentMethodId>,
    pub(crate) period_start: Timestamp,
    pub(crate) period_end: Timestamp,
    pub(crate) finalized_at: Option<Timestamp>,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) voided_at: Option<Timestamp>,
    pub(crate) marked_uncollectible_at: Option<Timestamp>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

row!(Invoice, InvoiceId, "invoice");

impl Invoice {
    /// The sum of the lines; no discounts and taxes as yet.
    pub(crate) fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// What was asked of the customer: never less than nothing.
    pub(crate) fn amount_due(&self) -> i64 {
        self.total().max(0)
    }

    pub(crate) fn amount_remaining(&self) -> i64 {
        self.amount_due() - self.amount_paid
    }
}

/// One line of a bill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvoiceLine {
    pub(crate) id: InvoiceLineId,
    pub(crate) amount: i64,
    pub(crate) description: String,
    pub(crate) price: PriceId,
    pub(crate) product: ProductId,
    /// None when the price is tiered.
    pub(crate) unit_amount: Option<UnitAmount>,
    pub(crate) quantity: Option<u64>,
    pub(crate) subscription_item: Option<SubscriptionItemId>,
    pub(crate) period_start: Timestamp,
    pub(crate) period_end: Timestamp,
    pub(crate) proration: bool,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Void,
    Uncollectible,
}

impl InvoiceStatus {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("draft", Self::Draft),
        ("open", Self::Open),
        ("paid", Self::Paid),
        ("uncollectible", Self::Uncollectible),
        ("void", Self::Void),
    ];
}

/// What an invoice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BillingReason {
    SubscriptionCreate,
    SubscriptionCycle,
}

/// The link between an invoice and the intent that pays it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvoicePayment {
    pub(crate) id: InvoicePaymentId,
    pub(crate) created: Timestamp,
    pub(crate) invoice: InvoiceId,
    pub(crate) payment_intent: PaymentIntentId,
    pub(crate) currency: Currency,
    pub(crate) amount_requested: i64,
    pub(crate) amount_paid: Option<i64>,
    pub(crate) status: InvoicePaymentStatus,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) canceled_at: Option<Timestamp>,
}

row!(InvoicePayment, InvoicePaymentId, "invoice_payment");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InvoicePaymentStatus {
    Open,
    Paid,
    Canceled,
}

impl InvoicePaymentStatus {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("canceled", Self::Canceled),
        ("open", Self::Open),
        ("paid", Self::Paid),
    ];
}
