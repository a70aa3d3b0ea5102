//! Which object an event sends us to.

use billing_core::id::{InvoiceId, NotAnId, ScheduleId, SessionId, SubscriptionId};
use billing_stripe::webhook::Event;
use billing_stripe::{Reversed, SyntheticEvent};

/// Every type of event that means something here: what the webhook endpoint at Stripe has to be registered with.
pub const EVENT_TYPES: &[&str] = &[
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "subscription_schedule.updated",
    "subscription_schedule.released",
    "subscription_schedule.canceled",
    "subscription_schedule.aborted",
    "charge.refunded",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "credit_note.created",
    "credit_note.voided",
];

/// An object at Stripe that has to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    /// A checkout session that is over, or whose payment is.
    Session(SessionId),
    /// An invoice that was paid, or whose payment failed.
    Invoice {
        /// Which one.
        id: InvoiceId,
        /// Whether an operator tells of it: what went back of it since, no event may ever tell.
        is_told: bool,
    },
    /// A subscription that changed.
    Subscription(SubscriptionId),
    /// A schedule that leads a contract's subscription.
    Schedule(ScheduleId),
    /// Money that went back, of some invoices.
    Reversal(Reversed),
    /// An invoice that money may have gone back of.
    Reversed(InvoiceId),
}

impl Errand {
    /// The errand of an event; none for a type that means nothing here. An event that should name an object and does not is
    /// an error: it must be seen, not passed over.
    pub(super) fn of(event: &Event) -> Option<Result<Self, NotAnId>> {
        if !EVENT_TYPES.contains(&event.kind.as_str()) {
            return None;
        }
        let object = event.object.as_deref().unwrap_or_default();
        match event.kind.as_str() {
            "checkout.session.completed"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.async_payment_failed"
            | "checkout.session.expired" => Some(object.parse().map(Self::Session)),
            "invoice.paid" | "invoice.payment_failed" | "invoice.payment_action_required" => {
                let is_told = SyntheticEvent::from_id(&event.id).is_some();
                Some(object.parse().map(|id| Self::Invoice { id, is_told }))
            }
            kind if kind.starts_with("customer.subscription.") => {
                Some(object.parse().map(Self::Subscription))
            }
            kind if kind.starts_with("subscription_schedule.") => Some(object.parse().map(Self::Schedule)),
            // Refunds are told by their charge, or their payment, of which the whole is read. One of neither gives a customer's cash
            // balance back, which is no invoice's money.
            "refund.updated" | "refund.failed" => {
                let reversed = match (&event.charge, &event.payment) {
                    (Some(charge), _) => charge.parse().map(Reversed::Charge),
                    (None, Some(payment)) => payment.parse().map(Reversed::Payment),
                    (None, None) => return None,
                };
                Some(reversed.map(Self::Reversal))
            }
            "charge.refunded" => Some(object.parse().map(Reversed::Charge).map(Self::Reversal)),
            kind if kind.starts_with("charge.dispute.") => {
                Some(object.parse().map(Reversed::Dispute).map(Self::Reversal))
            }
            kind if kind.starts_with("credit_note.") => {
                Some(object.parse().map(Reversed::CreditNote).map(Self::Reversal))
            }
            _ => None,
        }
    }
}
