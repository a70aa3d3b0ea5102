//! What was given back of an invoice: by refunds, by credit notes, by disputes that are lost.
//!
//! The events tell of charges, payments, disputes and credit notes; each leads to its invoices, and of each the whole sum is read anew. An
//! older event finds the same sum as a newer one.
//!
//! # How it works
//! A payment pays one invoice, unless an operator has attached it to several. What went back of such a payment belongs to the invoice whose
//! credit note says so, or that it is marked with ([`crate::returns`]); of the rest each invoice has its share, which is all of it only when the
//! charge went back in full. So what went back for one invoice withdraws no other, and people see it at each.

use std::collections::{BTreeSet, HashMap};

use billing_core::id::{ChargeId, CreditNoteId, DisputeId, InvoiceId, PaymentIntentId, SubscriptionId};
use billing_core::money::Money;
use billing_core::reversal::Reversal;
use serde::Deserialize;
use stripe_billing::invoice::RetrieveInvoice;
use stripe_billing::invoice_payment::{
    ListInvoicePayment, ListInvoicePaymentPayment, ListInvoicePaymentPaymentType,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::refund::ListRefund;

use crate::bills::{Settled, WireTransitions};
use crate::client::Stripe;
use crate::disputes::Disputed;
use crate::error::StripeError;
use crate::pages::{Listed, Page};
use crate::wire::{Reference, currency, id};

/// Which metadata of a refund of ours that gives back a part of a payment names the invoice. People's own refunds have no such name.
pub(crate) const GIVEN_BACK_OF: &str = "given_back_of";

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
}

/// An invoice, with what was given back of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversedInvoice {
    /// The subscription that it bills; none for an invoice of something else.
    pub subscription: Option<SubscriptionId>,
    /// Whether somebody had given it up as uncollectible before it was paid.
    pub was_given_up: bool,
    /// What was given back.
    pub reversal: Reversal,
    /// What is left of its payment.
    pub left: Left,
}

/// What is left of an invoice's payment, where it should go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing: it is not paid, or all of it went back.
    Nothing,
    /// Its payer's bank has not decided yet who has it. Stripe gives nothing back of it before that.
    Undecided,
    /// Something of which the payer's bank has taken a part. Stripe gives nothing back of that payment.
    BesideLost,
    /// Something that can go back.
    Something,
}

impl Left {
    fn of(is_paid: bool, reversal: &Reversal, payments: &[Paid]) -> Self {
        if !is_paid || reversal.is_full() || reversal.paid.minor <= 0 {
            Self::Nothing
        } else if payments.iter().any(|paid| paid.disputed.is_undecided) {
            Self::Undecided
        } else if reversal.lost > 0 {
            Self::BesideLost
        } else {
            Self::Something
        }
    }
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
    status: Option<String>,
    currency: String,
    #[serde(flatten)]
    settled: Settled,
    status_transitions: Option<WireTransitions>,
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
    /// How much of it paid the invoice; none before it is paid.
    amount_paid: Option<i64>,
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
    amount: i64,
    amount_refunded: i64,
    disputed: bool,
}

/// A charge that paid an invoice, or a part of it, and what went back of the charge.
struct Paid {
    charge: Charge,
    /// How much of the charge paid the invoice; none for all of it.
    amount: Option<i64>,
    /// The refunds of the charge that stand.
    refunds: Vec<Refund>,
    disputed: Disputed,
}

/// What went back of what a charge paid of an invoice.
struct Back {
    refunded: i64,
    lost: i64,
}

impl Paid {
    /// What went back of it, for an invoice with these credit notes.
    fn back(&self, invoice: &InvoiceId, notes: &[&CreditNote]) -> Back {
        let refunded = self.refunded(|_| true);
        let lost = self.disputed.lost;
        let whole = self.charge.amount;
        let Some(amount) = self.amount.filter(|amount| *amount < whole) else {
            return Back { refunded, lost };
        };
        let told = notes.iter().flat_map(|note| &note.refunds);
        let told: Vec<&str> = told
            .filter_map(|refund| Some(refund.refund.as_ref()?.0.as_str()))
            .collect();
        let is_own = |refund: &Refund| told.contains(&refund.id.as_str()) || refund.is_marked_with(invoice);
        let own = self.refunded(is_own).min(amount);
        let others = self.refunded(|refund| !is_own(refund) && !refund.is_unmarked());
        let others = others.min(whole - amount);
        let (whole, refunded) = (whole - others, refunded - others);
        // Of what is not the invoice's by a credit note: rounded down, so that it is all of it only when the whole charge went back.
        let share = |back: i64| {
            let (of_invoice, of_charge) = (i128::from(amount - own), i128::from(whole - own));
            let share = i128::from(back.min(whole) - own) * of_invoice / of_charge.max(1);
            own.saturating_add(i64::try_from(share).unwrap_or(i64::MAX))
        };
        let refunded_share = share(refunded);
        Back {
            refunded: refunded_share,
            lost: share(refunded.saturating_add(lost)) - refunded_share,
        }
    }

    /// What the charge itself tells after a refund failed is not known; it never tells less than what stands.
    fn refunded(&self, which: impl Fn(&Refund) -> bool) -> i64 {
        let standing = self.refunds.iter().filter(|refund| which(refund));
        let standing = standing.fold(0_i64, |sum, refund| sum.saturating_add(refund.amount));
        standing.min(self.charge.amount_refunded)
    }
}

#[derive(Deserialize)]
pub(crate) struct Refund {
    id: String,
    pub(crate) amount: i64,
    status: Option<String>,
    metadata: Option<HashMap<String, String>>,
}

impl Refund {
    fn is_marked_with(&self, invoice: &InvoiceId) -> bool {
        self.mark() == Some(invoice.as_str())
    }

    /// Whether it may be of this invoice: it is not marked as another's.
    pub(crate) fn may_be_of(&self, invoice: &InvoiceId) -> bool {
        self.is_unmarked() || self.is_marked_with(invoice)
    }

    /// Whether it does not say which invoice it is of.
    pub(crate) fn is_unmarked(&self) -> bool {
        self.mark().is_none()
    }

    fn mark(&self) -> Option<&str> {
        self.metadata.as_ref()?.get(GIVEN_BACK_OF).map(String::as_str)
    }

    /// Whether the money is neither on its way nor there: a bank may send it back, and an operator may stop it.
    pub(crate) fn has_come_back(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }
}

#[derive(Deserialize)]
pub(crate) struct CreditNote {
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
    #[serde(default)]
    refund: Option<Reference>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl NoteRefund {
    /// Whether the charges tell it too: what was paid outside of Stripe is given back outside as well.
    fn is_told_twice(&self) -> bool {
        self.kind.as_deref() != Some("payment_record_refund")
    }
}

impl Listed for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for CreditNote {
    fn id(&self) -> &str {
        &self.id
    }
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

fn issued(notes: &[CreditNote]) -> impl Iterator<Item = &CreditNote> {
    notes.iter().filter(|note| note.status == "issued")
}

/// What credit notes have given back of an invoice otherwise than by refunds of its charges: to the balance, or outside of Stripe.
pub(crate) fn otherwise(notes: &[CreditNote]) -> i64 {
    issued(notes)
        .map(|note| {
            let twice = note.refunds.iter().filter(|refund| refund.is_told_twice());
            let refunded: i64 = twice.map(|refund| refund.amount_refunded).sum();
            note.post_payment_amount.saturating_sub(refunded).max(0)
        })
        .sum()
}

/// The sum over an invoice's charges, their disputes, and its credit notes. A refund that a credit note made stands in both, and counts once.
fn sum(invoice: &InvoiceId, paid: Money, payments: &[Paid], notes: &[CreditNote]) -> Reversal {
    let of_invoice: Vec<&CreditNote> = issued(notes).collect();
    let back: Vec<Back> = payments
        .iter()
        .map(|paid| paid.back(invoice, &of_invoice))
        .collect();
    let refunded: i64 = back.iter().map(|back| back.refunded).sum();
    Reversal {
        invoice: invoice.clone(),
        paid,
        forgiven: issued(notes).map(|note| note.pre_payment_amount).sum(),
        given_back: refunded.saturating_add(otherwise(notes)),
        lost: back.iter().map(|back| back.lost).sum(),
        disputed: payments
            .iter()
            .any(|paid| paid.charge.disputed || paid.disputed.any),
    }
}

impl Stripe {
    /// The invoices that money may have gone back of: one, several where one payment paid them, none when it is no invoice's money.
    pub async fn reversed(&self, reversed: &Reversed) -> Result<Vec<InvoiceId>, StripeError> {
        match reversed {
            Reversed::Charge(charge) => {
                let charge: OfPayment = self.read(&format!("/charges/{charge}")).await?;
                self.paid_by(charge.payment_intent).await
            }
            Reversed::Payment(intent) => self.paid_by(Some(Reference(intent.to_string()))).await,
            Reversed::Dispute(dispute) => {
                let dispute: OfPayment = self.read(&format!("/disputes/{dispute}")).await?;
                self.paid_by(dispute.payment_intent).await
            }
            Reversed::CreditNote(note) => {
                let note: OfInvoice = self.read(&format!("/credit_notes/{note}")).await?;
                Ok(vec![id(&note.invoice.0, "an invoice")?])
            }
        }
    }

    /// What went back of an invoice: the whole sum.
    pub async fn reversal(&self, invoice: &InvoiceId) -> Result<ReversedInvoice, StripeError> {
        let (wire, payments, notes) = tokio::try_join!(
            self.get::<Wire>(RetrieveInvoice::new(invoice.as_str()).build()),
            self.charges(invoice),
            self.credit_notes(invoice),
        )?;
        let mut paid = Vec::new();
        for (charge, amount) in payments {
            let (refunds, disputed) =
                tokio::try_join!(self.standing_refunds(&charge), self.disputed(&charge.id))?;
            paid.push(Paid {
                charge,
                amount,
                refunds,
                disputed,
            });
        }
        let reversal = sum(invoice, wire.settled()?, &paid, &notes);
        let is_paid = wire.status.as_deref() == Some("paid");
        Ok(ReversedInvoice {
            left: Left::of(is_paid, &reversal, &paid),
            subscription: wire.subscription()?,
            was_given_up: wire
                .status_transitions
                .as_ref()
                .is_some_and(WireTransitions::tell_giving_up),
            reversal,
        })
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, StripeError> {
        self.get(RequestBuilder::new(StripeMethod::Get, path)).await
    }

    /// The invoices that a payment is of. A charge without a payment intent is older than invoices have been paid by them.
    async fn paid_by(&self, intent: Option<Reference>) -> Result<Vec<InvoiceId>, StripeError> {
        let Some(intent) = intent else {
            return Ok(Vec::new());
        };
        let intent: PaymentIntentId = id(&intent.0, "a payment intent")?;
        let request = ListInvoicePayment::new()
            .limit(100)
            .payment(ListInvoicePaymentPayment {
                payment_intent: Some(intent.to_string()),
                ..ListInvoicePaymentPayment::new(ListInvoicePaymentPaymentType::PaymentIntent)
            });
        let payments: Page<OfInvoice> = self.get(request.build()).await?;
        let invoices: Result<BTreeSet<_>, _> = payments
            .data
            .iter()
            .map(|payment| id(&payment.invoice.0, "an invoice"))
            .collect();
        Ok(invoices?.into_iter().collect())
    }

    /// The charges that paid an invoice, with how much of each did.
    async fn charges(&self, invoice: &InvoiceId) -> Result<Vec<(Charge, Option<i64>)>, StripeError> {
        let request = ListInvoicePayment::new()
            .invoice(invoice.as_str())
            .limit(100)
            .expand(vec!["data.payment.payment_intent.latest_charge".to_owned()]);
        let payments: Page<Payment> = self.get(request.build()).await?;
        let charges = payments.data.into_iter().filter_map(|payment| {
            Some((
                payment.payment.payment_intent?.latest_charge?,
                payment.amount_paid,
            ))
        });
        Ok(charges.collect())
    }

    /// The refunds of a charge that have not come back. What the charge itself tells after a refund failed is not known, so the refunds are
    /// asked one by one.
    async fn standing_refunds(&self, charge: &Charge) -> Result<Vec<Refund>, StripeError> {
        match charge.amount_refunded {
            0 => Ok(Vec::new()),
            _ => {
                let list = ListRefund::new().charge(charge.id.as_str());
                let mut refunds = self.pages::<Refund>(list.build()).all().await?;
                refunds.retain(|refund| !refund.has_come_back());
                Ok(refunds)
            }
        }
    }

    pub(crate) async fn credit_notes(&self, invoice: &InvoiceId) -> Result<Vec<CreditNote>, StripeError> {
        let list = RequestBuilder::new(StripeMethod::Get, "/credit_notes");
        self.pages(list.query(&HashMap::from([("invoice", invoice.as_str())])))
            .all()
            .await
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
                    refund: Some(Reference(format!("re_{amount_refunded}"))),
                    kind: Some("refund".to_owned()),
                })
                .collect(),
        }
    }

    /// A charge of 6000 that paid so much of the invoice, with these refunds and so much lost to disputes.
    fn charged(amount: Option<i64>, refunds: &[i64], lost: i64) -> Paid {
        Paid {
            charge: Charge {
                id: "ch_1".to_owned(),
                amount: 6000,
                amount_refunded: refunds.iter().sum(),
                disputed: false,
            },
            amount,
            refunds: refunds
                .iter()
                .map(|&amount| Refund {
                    id: format!("re_{amount}"),
                    amount,
                    status: Some("succeeded".to_owned()),
                    metadata: None,
                })
                .collect(),
            disputed: Disputed {
                lost,
                any: lost > 0,
                is_undecided: false,
            },
        }
    }

    fn usd(minor: i64) -> Money {
        Money {
            minor,
            currency: "usd".parse().unwrap(),
        }
    }

    /// 6000 paid two invoices, of 2000 and 4000. What goes back of it is this one's, the first's, by its own credit note, by its share, or not at all.
    #[test]
    fn what_goes_back_of_a_payment_of_two_invoices_withdraws_the_one_that_it_is_of() {
        for (refunds, lost, notes, back, is_full) in [
            (&[4000_i64][..], 0_i64, &[][..], 1333, false),
            (&[2000], 0, &[2000_i64][..], 2000, true),
            (&[4000, 2000], 0, &[2000], 2000, true),
            // The other's by its own note, which this one does not know.
            (&[4000, 1000], 0, &[1000], 1800, false),
            (&[6000], 0, &[], 2000, true),
            (&[3000], 3000, &[], 1000, true),
            (&[1], 5999, &[], 0, true),
            (&[], 6000, &[], 0, true),
            (&[], 5999, &[], 0, false),
        ] {
            let notes = notes.iter().map(|&refund| note("issued", 0, refund, &[refund]));
            let notes: Vec<_> = notes.collect();
            let paid = [charged(Some(2000), refunds, lost)];
            let reversal = sum(&"in_1".parse().unwrap(), usd(2000), &paid, &notes);
            assert_eq!(reversal.given_back, back, "{refunds:?} {lost}");
            assert_eq!(reversal.is_full(), is_full, "{refunds:?} {lost}");
            assert!(!reversal.is_nothing(), "{refunds:?} {lost}");
        }
    }

    /// The same payment, of which a part went back that is marked with an invoice: all of that one's, and none of the other's.
    #[test]
    fn what_is_marked_with_an_invoice_is_of_that_one() {
        for (marked, refunds, back, is_full) in [
            ("in_1", &[2000_i64][..], 2000, true),
            ("in_2", &[4000], 0, false),
            // And 1000 more, of which nobody says what they are for: all of it is this one's then.
            ("in_2", &[4000, 1000], 1000, false),
        ] {
            let mut paid = charged(Some(2000), refunds, 0);
            paid.refunds[0].metadata = Some(HashMap::from([(GIVEN_BACK_OF.to_owned(), marked.to_owned())]));
            let reversal = sum(&"in_1".parse().unwrap(), usd(2000), &[paid], &[]);
            assert_eq!(reversal.given_back, back, "{marked} {refunds:?}");
            assert_eq!(reversal.is_full(), is_full, "{marked} {refunds:?}");
        }
        // A mark of somebody else's is none.
        let mut paid = charged(Some(2000), &[2000], 0);
        paid.refunds[0].metadata = Some(HashMap::from([("invoice".to_owned(), "R-17".to_owned())]));
        assert!(paid.refunds[0].may_be_of(&"in_1".parse().unwrap()));
    }

    /// 1000 refunded at the charge; 500 by a credit note, 200 of them by a refund that the charge tells too; a void note is none.
    #[test]
    fn a_refund_of_a_credit_note_counts_once() {
        let charges = [charged(Some(6000), &[200, 1000], 0)];
        let notes = [note("issued", 0, 500, &[200]), note("void", 0, 900, &[])];
        let reversal = sum(&"in_1".parse().unwrap(), usd(3000), &charges, &notes);
        assert_eq!((reversal.given_back, reversal.forgiven), (1500, 0));
    }

    /// The charge says so, or one of its disputes does.
    #[test]
    fn an_invoice_is_disputed_by_the_word_of_either() {
        for (of_charge, of_dispute) in [(true, false), (false, true), (false, false)] {
            let mut paid = charged(None, &[], 0);
            paid.charge.disputed = of_charge;
            paid.disputed.any = of_dispute;
            let reversal = sum(&"in_1".parse().unwrap(), usd(3000), &[paid], &[]);
            assert_eq!(reversal.disputed, of_charge || of_dispute);
        }
    }

    /// 2000 of a payment of 6000: not paid, given back, disputed, taken in part, and there to go back.
    #[test]
    fn what_is_left_of_a_payment_can_go_back_once_its_bank_has_decided() {
        for (is_paid, refunds, lost, is_undecided, left) in [
            (false, &[][..], 0, false, Left::Nothing),
            (true, &[6000_i64], 0, false, Left::Nothing),
            (true, &[6000], 0, true, Left::Nothing),
            (true, &[], 6000, false, Left::Nothing),
            (true, &[], 0, true, Left::Undecided),
            (true, &[], 400, true, Left::Undecided),
            (true, &[], 400, false, Left::BesideLost),
            (true, &[], 0, false, Left::Something),
            (true, &[400], 0, false, Left::Something),
        ] {
            let mut paid = charged(Some(6000), refunds, lost);
            paid.disputed.is_undecided = is_undecided;
            let paid = [paid];
            let reversal = sum(&"in_1".parse().unwrap(), usd(6000), &paid, &[]);
            assert_eq!(
                Left::of(is_paid, &reversal, &paid),
                left,
                "{is_paid} {refunds:?} {lost} {is_undecided}"
            );
        }
    }

    /// 3000 that were paid outside of Stripe, and given back outside: no charge tells of it.
    #[test]
    fn what_is_given_back_outside_of_stripe_counts_too() {
        let mut outside = note("issued", 0, 3000, &[3000]);
        outside.refunds[0].kind = Some("payment_record_refund".to_owned());
        let reversal = sum(&"in_1".parse().unwrap(), usd(3000), &[], &[outside]);
        assert!(reversal.is_full());
    }
}
