//! Giving back what an invoice was settled with: payments by refunds, and what it took of the customer's balance by a credit note.
//!
//! What a payment paid besides stays paid: a debt of before that Stripe added to the invoice, and another invoice to which an operator has
//! attached it.
//!
//! What somebody has given back of it before, in whatever form, is not given back again.
//!
//! A refund that its payer's bank has sent back, or that somebody has stopped, is not made again: somebody has to find another way.
//!
//! Not here: what was given back already, by whomever ([`crate::reversals`]).
//!
//! # If it fails half-way
//! Giving back what is given back already changes nothing, under whatever key: Stripe refuses a second refund of a whole payment; refunds of a
//! part, and credit notes, are read before there is another.

use billing_core::id::{InvoiceId, PaymentIntentId, SubscriptionId};
use billing_core::sale::Sale;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::refund::{CreateRefund, ListRefund};

use crate::bills::Settled;
use crate::client::{KEYS, Stripe, numbered};
use crate::contracts::key;
use crate::error::StripeError;
use crate::pages::Listed;
use crate::reversals::{GIVEN_BACK_OF, Refund, otherwise};
use crate::wire::id;

/// What became of what an invoice was settled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// All of it went back, or had gone already.
    Whole,
    /// Something did not: it was paid outside of Stripe, Stripe takes no credit note for it, or its payer's bank has sent a refund back. Somebody has to
    /// give it back.
    InPart,
}

impl Returned {
    fn and(self, other: Self) -> Self {
        if self == Self::Whole { other } else { self }
    }
}

#[derive(Deserialize)]
struct SettledInvoice {
    id: String,
    #[serde(flatten)]
    settled: Settled,
    amount_paid_off_stripe: Option<i64>,
}

impl Listed for SettledInvoice {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What of a payment paid an invoice, where it paid something else too.
struct Part<'a> {
    intent: PaymentIntentId,
    /// In minor units.
    own: i64,
    invoice: &'a InvoiceId,
    /// Whether it paid another invoice.
    is_shared: bool,
}

/// A credit note over what an invoice took of the customer's balance, which gives it back there.
#[derive(Serialize)]
struct Credit<'a> {
    invoice: &'a str,
    amount: i64,
    credit_amount: i64,
}

impl Stripe {
    /// Gives back all that a contract's subscription was paid with: it may have been renewed before anybody heard that it was paid too
    /// late. Repeating it changes nothing: what is given back already is answered as it is.
    pub async fn refund_contract(
        &self,
        subscription: &SubscriptionId,
        sale: &Sale,
    ) -> Result<Returned, StripeError> {
        let list = ListInvoice::new()
            .subscription(subscription.as_str())
            .status(stripe_shared::InvoiceStatus::Paid);
        let mut pages = self.pages::<SettledInvoice>(list.build());
        let mut returned = Returned::Whole;
        while let Some(page) = pages.next().await? {
            for billed in &page {
                returned = returned.and(self.give_back(billed, &key(sale)).await?);
            }
        }
        Ok(returned)
    }

    /// Gives back what a bill was paid with that was let go. Repeating it changes nothing.
    pub async fn refund_bill(&self, bill: &InvoiceId) -> Result<Returned, StripeError> {
        let billed: SettledInvoice = self.get(RetrieveInvoice::new(bill.as_str()).build()).await?;
        self.give_back(&billed, &format!("let-go/{bill}")).await
    }

    async fn give_back(&self, billed: &SettledInvoice, key: &str) -> Result<Returned, StripeError> {
        let invoice: InvoiceId = id(&billed.id, "an invoice")?;
        let payments = self.payments(&invoice).await?;
        let mut seen = 0_i64;
        let mut returned = Returned::Whole;
        let mut debt = billed.settled.debt();
        // What somebody has given back otherwise, beyond what it took of the balance, is of its payments.
        let notes = otherwise(&self.credit_notes(&invoice).await?);
        let mut noted = notes.saturating_sub(billed.settled.of_balance()).max(0);
        for payment in payments.iter().filter(|payment| payment.status == "paid") {
            // An invoice that somebody has marked as paid may have tried one in vain before.
            let intent = payment.payment.payment_intent.as_ref();
            if let Some(intent) = intent.filter(|intent| intent.status == "succeeded") {
                let paid = payment.amount_paid.unwrap_or_default();
                seen = seen.saturating_add(paid);
                let of_debt = debt.min(paid);
                debt -= of_debt;
                let received = intent.amount_received;
                let intent: PaymentIntentId = id(&intent.id, "a payment intent")?;
                let mut own = paid - of_debt;
                // Of a payment that was refunded besides, no more is taken than what is left of it.
                if noted > 0 {
                    let left = left_of(own, &self.refunds_of(&intent).await?, &invoice);
                    let of_notes = noted.min(left.max(0));
                    noted -= of_notes;
                    own -= of_notes;
                }
                if own >= received {
                    returned = returned.and(self.refund_payment(&intent, key).await?);
                } else {
                    let part = Part {
                        invoice: &invoice,
                        intent,
                        own,
                        is_shared: paid < received,
                    };
                    returned = returned.and(self.refund_part(part, key).await?);
                }
            }
        }
        let credited = self
            .give_credit_back(&invoice, billed.settled.of_balance(), key)
            .await?;
        let off_stripe = billed.amount_paid_off_stripe.unwrap_or_default();
        let is_whole = off_stripe <= noted && billed.settled.amount_paid <= seen;
        Ok(returned.and(credited).and(if is_whole {
            Returned::Whole
        } else {
            Returned::InPart
        }))
    }

    /// Gives back what is left of a payment: what is given back already is not given back again, under whatever key. Where its payer's bank
    /// has taken it, or is about to, there is nothing to give.
    async fn refund_payment(&self, intent: &PaymentIntentId, key: &str) -> Result<Returned, StripeError> {
        if self.refunds_of(intent).await?.iter().any(Refund::has_come_back) {
            return Ok(Returned::InPart);
        }
        let request = || CreateRefund::new().payment_intent(intent.as_str()).build();
        // A failure is kept for a day, and may be over: the money had not arrived here yet, or was gone already.
        let key = format!("{key}/refund/{intent}");
        match self.post_at_last::<IgnoredAny>(request, &key).await {
            Err(StripeError::Refused(refusal)) if refusal.is_about_money_that_is_gone() => {
                Ok(Returned::Whole)
            }
            answer => answer.map(|_| Returned::Whole),
        }
    }

    async fn refunds_of(&self, intent: &PaymentIntentId) -> Result<Vec<Refund>, StripeError> {
        let list = ListRefund::new().payment_intent(intent.as_str());
        self.pages(list.build()).all().await
    }

    /// Gives back what of a payment paid an invoice, less what was given back of it already. Where it paid another one too, a refund of
    /// somebody else's may be of either: it is taken for this one's, so that nothing goes back twice, and somebody has to look.
    async fn refund_part(&self, part: Part<'_>, key: &str) -> Result<Returned, StripeError> {
        let Part {
            intent,
            own,
            invoice,
            is_shared,
        } = part;
        let mut spent = None;
        for attempt in 1..=KEYS {
            // Also after a failure that Stripe keeps: the refund may have been made all the same.
            let mut refunds = self.refunds_of(&intent).await?;
            let has_come_back = |refund: &Refund| refund.has_come_back() && refund.may_be_of(invoice);
            if refunds.iter().any(has_come_back) {
                return Ok(Returned::InPart);
            }
            refunds.retain(|refund| !refund.has_come_back());
            let left = left_of(own, &refunds, invoice);
            let returned = match is_shared && refunds.iter().any(Refund::is_unmarked) {
                true => Returned::InPart,
                false => Returned::Whole,
            };
            if left <= 0 {
                return Ok(returned);
            }
            let request = CreateRefund::new()
                .payment_intent(intent.as_str())
                .amount(left)
                .metadata([(GIVEN_BACK_OF.to_owned(), invoice.to_string())]);
            let key = numbered(&format!("{key}/part/{intent}"), attempt);
            match self.post::<IgnoredAny>(request.build(), &key).await {
                Err(StripeError::Refused(refusal)) if refusal.is_about_money_that_is_gone() => {
                    return Ok(returned);
                }
                Err(error @ StripeError::Spent { .. }) => spent = Some(error),
                answer => return answer.map(|_| returned),
            }
        }
        spent.map_or(Ok(Returned::Whole), Err)
    }

    /// Gives back what an invoice took of its customer's balance, less what credit notes have given back of it already.
    async fn give_credit_back(
        &self,
        invoice: &InvoiceId,
        taken: i64,
        key: &str,
    ) -> Result<Returned, StripeError> {
        let mut spent = None;
        for attempt in 1..=KEYS {
            // Also after a failure that Stripe keeps: the note may have been made all the same.
            let left = match taken {
                ..=0 => 0,
                taken => taken.saturating_sub(otherwise(&self.credit_notes(invoice).await?)),
            };
            if left <= 0 {
                return Ok(Returned::Whole);
            }
            let request = RequestBuilder::new(StripeMethod::Post, "/credit_notes").form(&Credit {
                invoice: invoice.as_str(),
                amount: left,
                credit_amount: left,
            });
            let key = numbered(&format!("{key}/credit/{invoice}"), attempt);
            match self.post::<IgnoredAny>(request, &key).await {
                Ok(_) => return Ok(Returned::Whole),
                // What a restricted key lacks can be given to it, and the event comes again.
                Err(StripeError::Refused(refusal))
                    if !refusal.is_unauthorised() && !refusal.is_forbidden() =>
                {
                    // An operator has taken the invoice back in another way.
                    return Ok(Returned::InPart);
                }
                Err(error @ StripeError::Spent { .. }) => spent = Some(error),
                Err(error) => return Err(error),
            }
        }
        spent.map_or(Ok(Returned::Whole), Err)
    }
}

/// What is left of what a payment paid of an invoice, less the refunds that stand and may be of it. Below zero where more went back.
fn left_of(own: i64, refunds: &[Refund], invoice: &InvoiceId) -> i64 {
    let of_invoice = refunds
        .iter()
        .filter(|refund| !refund.has_come_back() && refund.may_be_of(invoice));
    of_invoice.fold(own, |left, refund| left.saturating_sub(refund.amount))
}
