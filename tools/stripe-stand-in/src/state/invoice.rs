//! Invoices, their lines, what waits for the next one, and the payments made on them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{CollectionMethod, Currency, Metadata, UnitAmount};
use crate::id::{
    CustomerId, DiscountId, InvoiceId, InvoiceItemId, InvoiceLineId, InvoicePaymentId, PaymentIntentId,
    PaymentMethodId, PriceId, ProductId, SubscriptionId, SubscriptionItemId,
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
    /// The discounts that were looked at for it; what each took off is told by the lines.
    pub(crate) discounts: Vec<DiscountId>,
    /// Whether tax was worked out; what it comes to is told by the lines.
    pub(crate) automatic_tax: bool,
    /// The customer's balance that goes into it: credit is negative. Settled when the invoice is finalised.
    pub(crate) starting_balance: i64,
    /// Less is due than is charged: it goes to the customer's balance, and is due with the next invoice.
    pub(crate) too_small: bool,
    /// What credit notes took off before it was paid, and gave back afterwards.
    pub(crate) credited_before_payment: i64,
    pub(crate) credited_after_payment: i64,
    pub(crate) collection_method: CollectionMethod,
    pub(crate) due_date: Option<Timestamp>,
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
    /// The sum of the lines before the discounts that are told apart from them.
    pub(crate) fn subtotal(&self) -> i64 {
        self.lines.iter().map(|row| row.line.amount).sum()
    }

    /// The sum of the lines after discounts, before tax. Negative when credits outweigh charges.
    pub(crate) fn total_excluding_tax(&self) -> i64 {
        self.lines.iter().map(|row| row.line.net()).sum()
    }

    /// The tax of all lines: of credits, what is given back.
    pub(crate) fn tax(&self) -> i64 {
        self.lines.iter().map(|row| row.tax).sum()
    }

    /// The sum of the lines after discounts, with tax. Negative when credits outweigh charges.
    pub(crate) fn total(&self) -> i64 {
        self.total_excluding_tax() + self.tax()
    }

    /// What was asked of the customer: never less than nothing, and nothing where it is not worth a charge.
    pub(crate) fn amount_due(&self) -> i64 {
        if self.too_small {
            return 0;
        }
        (self.total() + self.starting_balance).max(0) - self.credited_before_payment
    }

    /// The customer's balance after it: what the invoice owes the customer, what the customer owes because it was not worth a charge,
    /// or nothing.
    pub(crate) fn ending_balance(&self) -> i64 {
        let total = self.total() + self.starting_balance;
        if self.too_small { total } else { total.min(0) }
    }

    pub(crate) fn amount_remaining(&self) -> i64 {
        self.amount_due() - self.amount_paid
    }
}

/// A line of an invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvoiceLine {
    pub(crate) id: InvoiceLineId,
    pub(crate) line: Line,
    /// On top of what the line adds; of a credit, below zero.
    #[serde(default)]
    pub(crate) tax: i64,
}

row!(InvoiceLine, InvoiceLineId, "invoice line item");

/// What a line says, be it on an invoice, in a draft, or waiting for the next invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) description: String,
    /// None for a one-off amount.
    pub(crate) price: Option<PriceId>,
    pub(crate) product: Option<ProductId>,
    /// None when the price is tiered.
    pub(crate) unit_amount: Option<UnitAmount>,
    pub(crate) quantity: Option<u64>,
    pub(crate) subscription_item: Option<SubscriptionItemId>,
    /// The invoice item it was before it got onto an invoice.
    pub(crate) invoice_item: Option<InvoiceItemId>,
    pub(crate) period_start: Timestamp,
    pub(crate) period_end: Timestamp,
    /// A share of a period, credited or charged.
    pub(crate) proration: bool,
    /// Whether a discount may be told apart on it.
    pub(crate) discountable: bool,
    /// At list price, before any discount.
    pub(crate) list_amount: i64,
    /// What the line says: the list amount, less the discount that a proration includes.
    pub(crate) amount: i64,
    /// What discounts take off `amount`, each told apart.
    pub(crate) discounts: Vec<DiscountAmount>,
    /// What a whole period costs at list price, for a line that pays a subscription item's time. None for credits.
    pub(crate) full: Option<i64>,
    /// The line whose time a credit gives back.
    pub(crate) credits: Option<(InvoiceId, InvoiceLineId)>,
    pub(crate) metadata: Metadata,
}

impl Line {
    /// What the line adds to the total, before tax.
    pub(crate) fn net(&self) -> i64 {
        let off: i64 = self.discounts.iter().map(|discount| discount.amount).sum();
        self.amount - off
    }
}

/// How much a discount takes off a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiscountAmount {
    pub(crate) discount: DiscountId,
    pub(crate) amount: i64,
}

/// A line that waits for the customer's next invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvoiceItem {
    pub(crate) id: InvoiceItemId,
    pub(crate) date: Timestamp,
    pub(crate) customer: CustomerId,
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) currency: Currency,
    pub(crate) line: Line,
    /// Set when an invoice took it up.
    pub(crate) invoice: Option<InvoiceId>,
}

row!(InvoiceItem, InvoiceItemId, "invoiceitem");

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
    SubscriptionUpdate,
    Manual,
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
