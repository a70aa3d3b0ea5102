//! Payment methods, payment intents and charges.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata};
use crate::id::{ChargeId, CustomerId, InvoiceId, PaymentIntentId, PaymentMethodId};

/// A card or a bank account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PaymentMethod {
    pub(crate) id: PaymentMethodId,
    pub(crate) created: Timestamp,
    pub(crate) customer: Option<CustomerId>,
    /// Whether it was taken from its customer: it pays for nothing any more, and is nobody's again.
    #[serde(default)]
    pub(crate) detached: bool,
    pub(crate) kind: MethodKind,
    /// What happens when it is charged.
    pub(crate) payer: Payer,
    pub(crate) metadata: Metadata,
}

row!(PaymentMethod, PaymentMethodId, "payment_method");

/// What a payment method looks like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum MethodKind {
    Card {
        brand: String,
        last4: String,
    },
    /// A bank debit, whose outcome is known only days later.
    BankDebit {
        last4: String,
    },
}

/// How whoever stands behind a payment method behaves when it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payer {
    Pays,
    Declines(Decline),
    /// Wants the customer to authenticate, every time.
    RequiresAction,
}

/// Why a bank refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Decline {
    Generic,
    InsufficientFunds,
    ExpiredCard,
    AuthenticationRequired,
}

impl Decline {
    /// Stripe's error code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Generic | Self::InsufficientFunds => "card_declined",
            Self::ExpiredCard => "expired_card",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    pub(crate) fn decline_code(self) -> &'static str {
        match self {
            Self::Generic => "generic_decline",
            Self::InsufficientFunds => "insufficient_funds",
            Self::ExpiredCard => "expired_card",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Generic => "Your card was declined.",
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::ExpiredCard => "Your card has expired.",
            Self::AuthenticationRequired => {
                "Your card was declined. This transaction requires authentication."
            }
        }
    }
}

/// One payment, however many tries it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: PaymentIntentId,
    pub(crate) created: Timestamp,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) invoice: Option<InvoiceId>,
    pub(crate) status: PaymentIntentStatus,
    pub(crate) payment_method: Option<PaymentMethodId>,
    pub(crate) latest_charge: Option<ChargeId>,
    pub(crate) last_decline: Option<Decline>,
    pub(crate) client_secret: String,
    pub(crate) canceled_at: Option<Timestamp>,
    pub(crate) description: Option<String>,
}

row!(PaymentIntent, PaymentIntentId, "payment_intent");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PaymentIntentStatus {
    RequiresPaymentMethod,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

/// One try to take money.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) id: ChargeId,
    pub(crate) created: Timestamp,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) payment_intent: PaymentIntentId,
    pub(crate) payment_method: PaymentMethodId,
    pub(crate) status: ChargeStatus,
    pub(crate) decline: Option<Decline>,
    pub(crate) amount_refunded: i64,
    pub(crate) description: Option<String>,
}

row!(Charge, ChargeId, "charge");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChargeStatus {
    Succeeded,
    Pending,
    Failed,
}
