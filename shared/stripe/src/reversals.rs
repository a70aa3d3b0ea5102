//! What was given back of an invoice: by refunds, by credit notes, by disputes that are lost.
//!
//! The events tell of charges, payments, disputes and credit notes; each leads to its invoice, and of that the whole sum is read anew. An
//! older event finds the same sum as a newer one.

use billing_core::id::{ChargeId, CreditNoteId, DisputeId, InvoiceId, PaymentIntentId, SubscriptionId};
use billing_core::money::Money;
use billing_core::reversal::Reversal;
use serde::{Deserialize, Serialize};
use stripe_billing::invoice::RetrieveInvoice;
use stripe_billing::invoice_payment::{
    ListInvoicePayment, ListInvoicePaymentPayment, ListInvoicePaymentPaymentType,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::refund::ListRefund;

use crate::bills::Settled;
use crate::client::Stripe;
use crate::disputes::Disputed;
use crate::error::StripeError;
use crate::wire::{Page, Reference, currency, id};

/// What an event about money that went back names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reversed {
    /// A charge that was refunded, in part or in full, or one of whose refunds failed.
    Charge(ChargeId),
    /// A payment of which a refund tells, and not of a charge.
    Payment(PaymentIntentId),
    /// A charge that its payer disputes.
    Dispute(DisputeId),
    /// A credit note on an invoice.
    CreditNote(CreditNoteId),
    /// An invoice itself, of which something was forgiven.
    Invoice(InvoiceId),
}

/// An invoice, with what was given back of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversedInvoice {
    /// The subscription that it bills; none for an invoice of something else.
    pub subscription: Option<SubscriptionId>,
    /// What was given back.
    pub reversal: Reversal,
}

/// A charge, or a dispute of one.
#[derive(Deserialize)]
struct OfPayment {
    payment_intent: Option<Reference>,
}

#[derive(Deserialize)]
struct OfInvoice {
    invoice: Reference,
}

#[derive(Deserialize)]
struct Wire {
    currency: String,
    #[serde(flatten)]
    settled: Settled,
    parent: Option<Parent>,
}

#[derive(Deserialize)]
struct Parent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    subscription: Option<Reference>,
}

#[derive(Deserialize)]
struct Payment {
    payment: Paying,
}

#[derive(Deserialize)]
struct Paying {
    payment_intent: Option<Intent>,
}

#[derive(Deserialize)]
struct Intent {
    latest_charge: Option<Charge>,
}

#[derive(Deserialize)]
struct Charge {
    id: String,
    amount_refunded: i64,
    disputed: bool,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    amount: i64,
    status: Option<String>,
}

impl Refund {
    /// Whether the money is on its way, or there: a bank may send it back, and an operator may stop it.
    fn stands(&self) -> bool {
        !matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}

#[derive(Deserialize)]
struct CreditNote {
    id: String,
    status: String,
    pre_payment_amount: i64,
    post_payment_amount: i64,
    #[serde(default)]
    refunds: Vec<NoteRefund>,
}

#[derive(Deserialize)]
struct NoteRefund {
    amount_refunded: i64,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl NoteRefund {
    /// Whether the charges tell it too: what was paid outside of Stripe is given back outside as well.
    fn is_told_twice(&self) -> bool {
        self.kind.as_deref() != Some("payment_record_refund")
    }
}

#[derive(Serialize)]
struct Notes<'a> {
    invoice: &'a str,
    limit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

impl Wire {
    /// What the invoice was settled with.
    fn settled(&self) -> Result<Money, StripeError> {
        Ok(Money {
            minor: self.settled.amount(),
            currency: currency(&self.currency, "an invoice")?,
        })
    }

    fn subscription(&self) -> Result<Option<SubscriptionId>, StripeError> {
        let details = self
            .parent
            .as_ref()
            .and_then(|parent| parent.subscription_details.as_ref());
        details
            .and_then(|details| details.subscription.as_ref())
            .map(|reference| id(&reference.0, "a subscription"))
            .transpose()
    }
}

/// The sum over an invoice's charges, their disputes, and its credit notes. A refund that a credit note made stands in both, and counts once.
fn sum(
    invoice: &InvoiceId,
    paid: Money,
    charges: &[Charge],
    disputed: &[Disputed],
    notes: &[CreditNote],
) -> Reversal {
    let issued = || notes.iter().filter(|note| note.status == "issued");
    let refunded: i64 = charges.iter().map(|charge| charge.amount_refunded).sum();
    let otherwise: i64 = issued()
        .map(|note| {
            let twice = note.refunds.iter().filter(|refund| refund.is_told_twice());
            let refunded: i64 = twice.map(|refund| refund.amount_refunded).sum();
            note.post_payment_amount.saturating_sub(refunded).max(0)
        })
        .sum();
    Reversal {
        invoice: invoice.clone(),
        paid,
        forgiven: issued().map(|note| note.pre_payment_amount).sum(),
        given_back: refunded.saturating_add(otherwise),
        lost: disputed.iter().map(|disputed| disputed.lost).sum(),
        disputed: charges.iter().any(|charge| charge.disputed) || disputed.iter().any(|it| it.any),
    }
}

impl Stripe {
    /// The invoice that money went back of, with the whole sum; none when it is no invoice's money.
    pub async fn reversed(&self, reversed: &Reversed) -> Result<Option<ReversedInvoice>, StripeError> {
        let invoice = match reversed {
            Reversed::Charge(charge) => {
                let charge: OfPayment = self.read(&format!("/charges/{charge}")).await?;
                self.paid_by(charge.payment_intent).await?
            }
            Reversed::Payment(intent) => self.paid_by(Some(Reference(intent.to_string()))).await?,
            Reversed::Dispute(dispute) => {
                let dispute: OfPayment = self.read(&format!("/disputes/{dispute}")).await?;
                self.paid_by(dispute.payment_intent).await?
            }
            Reversed::CreditNote(note) => {
                let note: OfInvoice = self.read(&format!("/credit_notes/{note}")).await?;
                Some(id(&note.invoice.0, "an invoice")?)
            }
            Reversed::Invoice(invoice) => Some(invoice.clone()),
        };
        let Some(invoice) = invoice else { return Ok(None) };
        let (wire, mut charges, notes) = tokio::try_join!(
            self.get::<Wire>(RetrieveInvoice::new(invoice.as_str()).build()),
            self.charges(&invoice),
            self.credit_notes(&invoice),
        )?;
        let mut disputed = Vec::new();
        for charge in &mut charges {
            let (refunded, of_charge) =
                tokio::try_join!(self.standing_refunds(charge), self.disputed(&charge.id))?;
            charge.amount_refunded = refunded;
            disputed.push(of_charge);
        }
        Ok(Some(ReversedInvoice {
            subscription: wire.subscription()?,
            reversal: sum(&invoice, wire.settled()?, &charges, &disputed, &notes),
        }))
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, StripeError> {
        self.get(RequestBuilder::new(StripeMethod::Get, path)).await
    }

    /// The invoice that a payment is of. A charge without a payment intent is older than invoices have been paid by them.
    async fn paid_by(&self, intent: Option<Reference>) -> Result<Option<InvoiceId>, StripeError> {
        let Some(intent) = intent else { return Ok(None) };
        let intent: PaymentIntentId = id(&intent.0, "a payment intent")?;
        let request = ListInvoicePayment::new().payment(ListInvoicePaymentPayment {
            payment_intent: Some(intent.to_string()),
            ..ListInvoicePaymentPayment::new(ListInvoicePaymentPaymentType::PaymentIntent)
        });
        let payments: Page<OfInvoice> = self.get(request.build()).await?;
        let first = payments.data.into_iter().next();
        first
            .map(|payment| id(&payment.invoice.0, "an invoice"))
            .transpose()
    }

    async fn charges(&self, invoice: &InvoiceId) -> Result<Vec<Charge>, StripeError> {
        let request = ListInvoicePayment::new()
            .invoice(invoice.as_str())
            .limit(100)
            .expand(vec!["data.payment.payment_intent.latest_charge".to_owned()]);
        let payments: Page<Payment> = self.get(request.build()).await?;
        let charges = payments
            .data
            .into_iter()
            .filter_map(|payment| payment.payment.payment_intent?.latest_charge);
        Ok(charges.collect())
    }

    /// What was refunded of a charge and has not come back. What the charge itself tells after a refund failed is not known, so
    /// the refunds are asked one by one.
    async fn standing_refunds(&self, charge: &Charge) -> Result<i64, StripeError> {
        if charge.amount_refunded == 0 {
            return Ok(0);
        }
        let mut standing = 0_i64;
        let mut after: Option<String> = None;
        loop {
            let mut request = ListRefund::new().charge(charge.id.as_str()).limit(100);
            if let Some(after) = &after {
                request = request.starting_after(after.as_str());
            }
            let page: Page<Refund> = self.get(request.build()).await?;
            let amounts = page.data.iter().filter(|refund| refund.stands());
            standing = standing.saturating_add(amounts.map(|refund| refund.amount).sum());
            after = page.data.last().map(|refund| refund.id.clone());
            if !page.has_more || after.is_none() {
                return Ok(standing.min(charge.amount_refunded));
            }
        }
    }

    async fn credit_notes(&self, invoice: &InvoiceId) -> Result<Vec<CreditNote>, StripeError> {
        let mut notes: Vec<CreditNote> = Vec::new();
        loop {
            let query = Notes {
                invoice: invoice.as_str(),
                limit: 100,
                starting_after: notes.last().map(|note| note.id.as_str()),
            };
            let request = RequestBuilder::new(StripeMethod::Get, "/credit_notes").query(&query);
            let page: Page<CreditNote> = self.get(request).await?;
            let more = page.has_more && !page.data.is_empty();
            notes.extend(page.data);
            if !more {
                return Ok(notes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(status: &str, pre: i64, post: i64, refunded: &[i64]) -> CreditNote {
        CreditNote {
            id: "cn_1".to_owned(),
            status: status.to_owned(),
            pre_payment_amount: pre,
            post_payment_amount: post,
            refunds: refunded
                .iter()
                .map(|&amount_refunded| NoteRefund {
                    amount_refunded,
                    kind: Some("refund".to_owned()),
                })
                .collect(),
        }
    }

    /// 1000 refunded at the charge; 500 by a credit note, 200 of them by a refund that the charge tells too; a void note is none.
    #[test]
    fn a_refund_of_a_credit_note_counts_once() {
        let charges = [Charge {
            id: "ch_1".to_owned(),
            amount_refunded: 1200,
            disputed: false,
        }];
        let notes = [note("issued", 0, 500, &[200]), note("void", 0, 900, &[])];
        let paid = Money {
            minor: 3000,
            currency: "usd".parse().unwrap(),
        };
        let reversal = sum(&"in_1".parse().unwrap(), paid, &charges, &[], &notes);
        assert_eq!((reversal.given_back, reversal.forgiven), (1500, 0));
    }

    /// The charge says so, or one of its disputes does.
    #[test]
    fn an_invoice_is_disputed_by_the_word_of_either() {
        let paid = Money {
            minor: 3000,
            currency: "usd".parse().unwrap(),
        };
        for (of_charge, of_dispute) in [(true, false), (false, true), (false, false)] {
            let charges = [Charge {
                id: "ch_1".to_owned(),
                amount_refunded: 0,
                disputed: of_charge,
            }];
            let disputed = [Disputed {
                lost: 0,
                any: of_dispute,
            }];
            let reversal = sum(&"in_1".parse().unwrap(), paid, &charges, &disputed, &[]);
            assert_eq!(reversal.disputed, of_charge || of_dispute);
        }
    }

    /// 3000 that were paid outside of Stripe, and given back outside: no charge tells of it.
    #[test]
    fn what_is_given_back_outside_of_stripe_counts_too() {
        let mut outside = note("issued", 0, 3000, &[3000]);
        outside.refunds[0].kind = Some("payment_record_refund".to_owned());
        let paid = Money {
            minor: 3000,
            currency: "usd".parse().unwrap(),
        };
        let reversal = sum(&"in_1".parse().unwrap(), paid, &[], &[], &[outside]);
        assert!(reversal.is_full());
    }
}
