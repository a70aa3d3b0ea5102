//! Checkout sessions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{BillingModeKind, Currency, Grant, Metadata};
use crate::id::{
    CheckoutSessionId, CustomerId, InvoiceId, PaymentIntentId, PriceId, SessionItemId, SubscriptionId,
};

/// A page on which a customer subscribes, until it is completed or expires.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckoutSession {
    pub(crate) id: CheckoutSessionId,
    pub(crate) created: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) status: SessionStatus,
    pub(crate) payment_status: PaymentStatus,
    pub(crate) ui_mode: UiMode,
    #[serde(default)]
    pub(crate) adaptive_pricing: bool,
    pub(crate) client_secret: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) success_url: Option<String>,
    pub(crate) cancel_url: Option<String>,
    pub(crate) redirect_on_completion: Option<String>,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) customer_email: Option<String>,
    pub(crate) client_reference_id: Option<String>,
    pub(crate) metadata: Metadata,
    /// What the subscription that comes of it is given.
    #[serde(default)]
    pub(crate) subscription_billing_mode: BillingModeKind,
    pub(crate) subscription_metadata: Metadata,
    pub(crate) subscription_description: Option<String>,
    pub(crate) items: Vec<SessionItem>,
    pub(crate) currency: Currency,
    /// What takes effect when it is completed.
    pub(crate) discounts: Vec<Grant>,
    /// Whether tax is worked out, here and in the subscription that comes of it.
    #[serde(default)]
    pub(crate) automatic_tax: bool,
    pub(crate) allow_promotion_codes: Option<bool>,
    pub(crate) payment_method_types: Vec<String>,
    pub(crate) locale: Option<String>,
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) invoice: Option<InvoiceId>,
    /// The intent of an attempt that was declined or awaits the customer's authentication.
    pub(crate) attempt: Option<PaymentIntentId>,
    /// What a try in vain has begun, where it does: nothing tells of it before the session is complete.
    #[serde(default)]
    pub(crate) begun: Option<(SubscriptionId, InvoiceId)>,
}

row!(CheckoutSession, CheckoutSessionId, "checkout.session");

impl CheckoutSession {
    pub(crate) fn subtotal(&self) -> i64 {
        self.items.iter().map(|item| item.amount).sum()
    }

    pub(crate) fn amount_discount(&self) -> i64 {
        self.items.iter().map(|item| item.amount_discount).sum()
    }

    pub(crate) fn amount_tax(&self) -> i64 {
        self.items.iter().map(|item| item.amount_tax).sum()
    }

    /// What the customer is asked to pay now.
    pub(crate) fn amount_total(&self) -> i64 {
        self.subtotal() - self.amount_discount() + self.amount_tax()
    }
}

/// One line of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionItem {
    pub(crate) id: SessionItemId,
    pub(crate) price: PriceId,
    /// None for a metered price.
    pub(crate) quantity: Option<u64>,
    /// Before discounts.
    pub(crate) amount: i64,
    pub(crate) amount_discount: i64,
    /// Nothing until it is known where the customer is.
    #[serde(default)]
    pub(crate) amount_tax: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SessionStatus {
    Open,
    Complete,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PaymentStatus {
    Paid,
    Unpaid,
    NotRequired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UiMode {
    Embedded,
    Hosted,
}

impl SessionStatus {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("complete", Self::Complete),
        ("expired", Self::Expired),
        ("open", Self::Open),
    ];
}

impl UiMode {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("embedded_page", Self::Embedded), ("hosted_page", Self::Hosted)];
}
