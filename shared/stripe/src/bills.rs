//! Bills of a subscription, as an answer shows them: the latest, expanded in it, and those that are listed.
//!
//! Not here: what a bill grants when it is paid, which is read whole ([`crate::invoices`]).

use billing_core::Timestamp;
use billing_core::arrears::{Occasion, TimeBill};
use billing_core::contract::Bill;
use billing_core::id::SubscriptionId;
use billing_core::quote::Charge;
use billing_core::subscription::LatestInvoice;
use serde::Deserialize;
use stripe_billing::invoice::ListInvoice;
use stripe_client_core::StripeRequest;
use stripe_types::RangeQueryTs;

use crate::client::Stripe;
use crate::error::StripeError;
use crate::invoices::Line;
use crate::pages::{Listed, Page};
use crate::wire::{at, currency, id};

/// An invoice, with the first of its lines.
#[derive(Deserialize)]
pub(crate) struct WireInvoice {
    pub(crate) id: String,
    status: Option<String>,
    amount_due: i64,
    total: i64,
    currency: String,
    created: i64,
    hosted_invoice_url: Option<String>,
    status_transitions: Option<WireTransitions>,
    billing_reason: Option<String>,
    #[serde(flatten)]
    settled: Settled,
    #[serde(default)]
    lines: Page<Line>,
}

/// What an invoice was settled with.
#[derive(Deserialize)]
pub(crate) struct Settled {
    #[serde(default)]
    pub(crate) amount_paid: i64,
    #[serde(default)]
    starting_balance: i64,
    #[serde(default)]
    ending_balance: Option<i64>,
    #[serde(default)]
    pre_payment_credit_notes_amount: i64,
}

/// When an invoice came into its states.
#[derive(Deserialize)]
pub(crate) struct WireTransitions {
    paid_at: Option<i64>,
    #[serde(default)]
    marked_uncollectible_at: Option<i64>,
}

impl WireTransitions {
    /// Whether somebody has given the invoice up, whatever has become of it since.
    pub(crate) fn tell_giving_up(&self) -> bool {
        self.marked_uncollectible_at.is_some()
    }
}

impl Settled {
    /// What was paid for the invoice itself: payments, and as much of the customer's balance as it used up; without what was owed before, which
    /// is paid with it.
    pub(crate) fn amount(&self) -> i64 {
        self.net().max(0)
    }

    /// The same; below zero where it put something on the balance.
    fn net(&self) -> i64 {
        self.amount_paid.saturating_add(self.balance_used())
    }

    /// What it took of the customer's balance: credit that was there, or a debt that it has left there.
    pub(crate) fn of_balance(&self) -> i64 {
        self.balance_used().max(0)
    }

    /// What the customer owed of before, and was paid with it.
    pub(crate) fn debt(&self) -> i64 {
        self.balance_used().min(0).saturating_neg()
    }

    /// By how much the customer's balance rose, which is negative where the customer has credit, and positive where it owes something. Below zero
    /// where a debt of before was paid with it.
    fn balance_used(&self) -> i64 {
        let after = self.ending_balance.unwrap_or(self.starting_balance);
        after.saturating_sub(self.starting_balance)
    }

    /// Whether something was taken off it by credit notes before it was paid.
    pub(crate) fn is_forgiven(&self) -> bool {
        self.pre_payment_credit_notes_amount > 0
    }
}

impl Listed for WireInvoice {
    fn id(&self) -> &str {
        &self.id
    }
}

impl WireInvoice {
    fn charge(&self) -> Result<Charge, StripeError> {
        Ok(Charge {
            amount_due: self.amount_due,
            total: self.total,
            currency: currency(&self.currency, "an invoice")?,
        })
    }

    fn is_paid(&self) -> bool {
        self.status.as_deref() == Some("paid")
    }

    fn time(&self) -> Result<TimeBill, StripeError> {
        // Stripe calls paid what was forgiven, too.
        let is_settled = self.is_paid() && (self.settled.amount() > 0 || !self.settled.is_forgiven());
        let charges = self.lines.data.iter().filter_map(Line::time_charge);
        let credits = self.lines.data.iter().filter_map(Line::time_credit);
        Ok(TimeBill {
            invoice: id(&self.id, "an invoice")?,
            occasion: match self.billing_reason.as_deref() {
                Some("subscription_create" | "subscription_cycle" | "subscription") => Occasion::Period,
                Some("subscription_update") => Occasion::Change,
                _ => Occasion::Other,
            },
            created_at: at(self.created, "the creation of an invoice")?,
            settled: if self.is_paid() { self.settled.net() } else { 0 },
            is_owed: self.total > 0 && !is_settled,
            charges: charges.collect::<Result<_, _>>()?,
            credits: credits.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<WireInvoice> for LatestInvoice {
    type Error = StripeError;

    fn try_from(wire: WireInvoice) -> Result<Self, StripeError> {
        Ok(Self {
            id: id(&wire.id, "an invoice")?,
            charge: wire.charge()?,
            time: wire.time()?,
            page: wire.hosted_invoice_url,
        })
    }
}

impl TryFrom<WireInvoice> for Bill {
    type Error = StripeError;

    fn try_from(wire: WireInvoice) -> Result<Self, StripeError> {
        Ok(Self {
            id: id(&wire.id, "an invoice")?,
            charge: wire.charge()?,
            time: wire.time()?,
            is_paid: wire.is_paid(),
            was_given_up: wire
                .status_transitions
                .as_ref()
                .is_some_and(WireTransitions::tell_giving_up),
            paid_at: wire
                .status_transitions
                .and_then(|transitions| transitions.paid_at)
                .map(|paid| at(paid, "the payment of an invoice"))
                .transpose()?,
            is_open: wire.status.as_deref() == Some("open"),
            is_payable: matches!(wire.status.as_deref(), Some("open" | "uncollectible")),
            is_paid_in_part: wire.status.as_deref() == Some("open") && wire.settled.amount_paid > 0,
            is_first: wire.billing_reason.as_deref() == Some("subscription_create"),
            page: wire.hosted_invoice_url,
        })
    }
}

impl Stripe {
    /// The bills of a subscription that were made since, newest first, whole.
    pub async fn bills_since(
        &self,
        subscription: &SubscriptionId,
        since: Timestamp,
    ) -> Result<Vec<TimeBill>, StripeError> {
        let list = ListInvoice::new()
            .subscription(subscription.as_str())
            .created(RangeQueryTs::gte(since.as_second()));
        let mut bills = Vec::new();
        for mut wire in self.pages::<WireInvoice>(list.build()).all().await? {
            let shown = std::mem::take(&mut wire.lines);
            wire.lines.data = self.all_lines(&wire.id, shown).await?;
            bills.push(wire.time()?);
        }
        Ok(bills)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a bill of 3000 is read as.
    fn is_owed(status: &str, paid: i64, forgiven: i64, balance: (i64, Option<i64>), total: i64) -> bool {
        let wire = json!({
            "id": "in_1", "status": status, "amount_due": 3000, "total": total, "currency": "usd", "created": 1000,
            "billing_reason": "subscription_cycle", "amount_paid": paid, "starting_balance": balance.0,
            "ending_balance": balance.1, "pre_payment_credit_notes_amount": forgiven, "lines": { "data": [] },
        });
        let wire: WireInvoice = serde_json::from_value(wire).unwrap();
        wire.time().unwrap().is_owed
    }

    #[test]
    fn what_costs_something_is_owed_until_somebody_pays_it() {
        for status in ["draft", "open", "uncollectible", "void"] {
            assert!(is_owed(status, 0, 0, (0, None), 3000), "{status}");
            assert!(!is_owed(status, 0, 0, (0, None), 0), "{status}, for nothing");
        }
        assert!(!is_owed("paid", 3000, 0, (0, Some(0)), 3000));
        assert!(
            !is_owed("paid", 0, 0, (-3000, Some(0)), 3000),
            "by what was on account"
        );
        assert!(
            !is_owed("paid", 0, 0, (0, Some(30)), 30),
            "due with the next bill"
        );
        assert!(is_owed("paid", 0, 3000, (0, Some(0)), 3000), "forgiven");
        assert!(!is_owed("paid", 1000, 2000, (0, Some(0)), 3000), "in part");
        assert!(
            is_owed("paid", 500, 3000, (500, Some(0)), 3000),
            "forgiven, and what was owed before is paid"
        );
    }

    /// Paid by card, and by credit that the customer had; with a debt of before; with more than was due, of which the rest is credit; and one
    /// that is too small, and becomes a debt.
    #[test]
    fn what_an_invoice_used_of_the_balance_it_was_settled_with() {
        let settled = |paid, start, end| {
            let settled = Settled {
                amount_paid: paid,
                starting_balance: start,
                ending_balance: end,
                pre_payment_credit_notes_amount: 0,
            };
            settled.amount()
        };
        assert_eq!(settled(2000, -1000, Some(0)), 3000);
        assert_eq!(settled(2000, -1000, None), 2000);
        assert_eq!(settled(3030, 30, Some(0)), 3000);
        assert_eq!(settled(500, 500, Some(0)), 0);
        assert_eq!(settled(2000, 0, Some(-500)), 1500);
        assert_eq!(settled(0, 0, Some(-500)), 0);
        assert_eq!(settled(0, 0, Some(30)), 30);
    }
}
