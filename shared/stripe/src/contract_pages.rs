//! The hosted page of a sale: where a payer without a payment method pays it.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::id::{InvoiceId, PaymentIntentId, SessionId, SubscriptionId};
use billing_core::return_url::ReturnUrl;
use billing_core::sale::Sale;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::invoice::ListInvoice;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    RetrieveCheckoutSession,
};
use stripe_client_core::StripeRequest;
use stripe_core::refund::CreateRefund;
use stripe_shared::{CheckoutSessionMode, CheckoutSessionUiMode};

use crate::billing_mode::BillingMode;
use crate::checkout::{SessionStatus, as_quoted};
use crate::client::Stripe;
use crate::contracts::{AskedSale, OfContract, key, priced};
use crate::error::StripeError;
use crate::wire::{Page, Reference, id};

/// Under how many idempotency keys a payment is to be given back before somebody is told.
const REFUND_KEYS: u32 = 8;

/// The page of a sale, to be opened.
#[derive(Debug)]
pub struct NewPage<'a> {
    /// What is sold to whom.
    pub asked: &'a AskedSale<'a>,
    /// Where the payer returns to after paying.
    pub success_url: &'a ReturnUrl,
    /// Where the payer returns to without.
    pub cancel_url: Option<&'a ReturnUrl>,
    /// Until when it can be paid: 30 minutes to 24 hours from now.
    pub expires_at: Timestamp,
}

/// The page of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractPage {
    /// Stripe's id.
    pub id: SessionId,
    /// Whether it can be paid.
    pub status: SessionStatus,
    /// Where it is; none once it is over.
    pub url: Option<String>,
    /// What it comes to; none for one on which nothing is sold, by which an operator has a customer name a card.
    pub total: Option<i64>,
    /// The subscription that it became.
    pub subscription: Option<SubscriptionId>,
    /// The contract that it is for; none for a page that is not of a sale.
    pub of: Option<OfContract>,
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    status: Option<String>,
    url: Option<String>,
    amount_total: Option<i64>,
    subscription: Option<Reference>,
    #[serde(default)]
    metadata: Option<HashMap<String, String>>,
}

impl TryFrom<Wire> for ContractPage {
    type Error = StripeError;

    fn try_from(wire: Wire) -> Result<Self, StripeError> {
        Ok(Self {
            id: id(&wire.id, "a checkout session")?,
            status: SessionStatus::read(wire.status.as_deref())?,
            total: wire.amount_total,
            subscription: wire
                .subscription
                .as_ref()
                .map(|reference| id(&reference.0, "a subscription"))
                .transpose()?,
            of: wire.metadata.as_ref().and_then(OfContract::read),
            url: wire.url,
        })
    }
}

#[derive(Deserialize)]
struct Billed {
    id: String,
}

impl Stripe {
    /// Opens the page of a sale. Its subscription begins when it is paid, with a whole period.
    pub async fn open_contract_page(&self, new: &NewPage<'_>) -> Result<ContractPage, StripeError> {
        let asked = new.asked;
        let lines =
            priced(&asked.sale.order)?
                .into_iter()
                .map(|(price, quantity)| CreateCheckoutSessionLineItems {
                    price: Some(price),
                    quantity: Some(quantity),
                    ..CreateCheckoutSessionLineItems::new()
                });
        let mut request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Subscription)
            .ui_mode(CheckoutSessionUiMode::HostedPage)
            .customer(asked.customer.as_str())
            .success_url(new.success_url.as_str())
            .adaptive_pricing(as_quoted())
            .line_items(lines.collect::<Vec<_>>())
            .expires_at(new.expires_at.as_second())
            .subscription_data(CreateCheckoutSessionSubscriptionData {
                billing_mode: Some(BillingMode::Classic.into()),
                metadata: Some(asked.of().metadata()),
                ..CreateCheckoutSessionSubscriptionData::new()
            })
            .metadata(asked.of().metadata());
        if let Some(cancel_url) = new.cancel_url {
            request = request.cancel_url(cancel_url.as_str());
        }
        let wire: Wire = self
            .post(request.build(), &format!("{}/page", key(asked.sale)))
            .await?;
        wire.try_into()
    }

    /// A page as it is now.
    pub async fn contract_page(&self, page: &SessionId) -> Result<ContractPage, StripeError> {
        let wire: Wire = self
            .get(RetrieveCheckoutSession::new(page.as_str()).build())
            .await?;
        wire.try_into()
    }

    /// Gives back all that was paid for a contract's subscription: it may have been renewed before anybody heard that it was paid too
    /// late. Repeating it changes nothing: what is given back already is answered as it is.
    pub async fn refund_contract(
        &self,
        subscription: &SubscriptionId,
        sale: &Sale,
    ) -> Result<(), StripeError> {
        let mut after: Option<String> = None;
        loop {
            let mut request = ListInvoice::new()
                .subscription(subscription.as_str())
                .status(stripe_shared::InvoiceStatus::Paid)
                .limit(100);
            if let Some(after) = &after {
                request = request.starting_after(after);
            }
            let page: Page<Billed> = self.get(request.build()).await?;
            for billed in &page.data {
                self.refund_invoice(&id(&billed.id, "an invoice")?, &key(sale))
                    .await?;
            }
            after = page.data.last().map(|billed| billed.id.clone());
            if !page.has_more || after.is_none() {
                return Ok(());
            }
        }
    }

    /// Gives back what was paid for a bill that was let go. Repeating it changes nothing.
    pub async fn refund_bill(&self, bill: &InvoiceId) -> Result<(), StripeError> {
        self.refund_invoice(bill, &format!("let-go/{bill}")).await
    }

    async fn refund_invoice(&self, invoice: &InvoiceId, key: &str) -> Result<(), StripeError> {
        for intent in self.payments_of(invoice).await? {
            self.refund_payment(&intent, key).await?;
        }
        Ok(())
    }

    /// Gives back what is left of a payment: what is given back already is not given back again, under whatever key. Where its payer's bank
    /// has taken it, or is about to, there is nothing to give.
    async fn refund_payment(&self, intent: &PaymentIntentId, key: &str) -> Result<(), StripeError> {
        let first = format!("{key}/refund/{intent}");
        let mut spent = None;
        for attempt in 1..=REFUND_KEYS {
            let request = CreateRefund::new().payment_intent(intent.as_str());
            let key = match attempt {
                1 => first.clone(),
                _ => format!("{first}/{attempt}"),
            };
            match self.post::<IgnoredAny>(request.build(), &key).await {
                Ok(_) => return Ok(()),
                Err(StripeError::Refused(refusal)) if refusal.is_about_money_that_is_gone() => return Ok(()),
                // A failure is kept for a day, and may be over: the money had not arrived here yet, or was gone already.
                Err(error @ StripeError::Spent { .. }) => spent = Some(error),
                Err(error) => return Err(error),
            }
        }
        spent.map_or(Ok(()), Err)
    }

    async fn payments_of(&self, invoice: &InvoiceId) -> Result<Vec<PaymentIntentId>, StripeError> {
        #[derive(Deserialize)]
        struct Payment {
            status: String,
            payment: Paying,
        }
        #[derive(Deserialize)]
        struct Paying {
            payment_intent: Option<Reference>,
        }
        let request = stripe_billing::invoice_payment::ListInvoicePayment::new().invoice(invoice.as_str());
        let payments: Page<Payment> = self.get(request.build()).await?;
        payments
            .data
            .into_iter()
            .filter(|payment| payment.status == "paid")
            .filter_map(|payment| payment.payment.payment_intent)
            .map(|intent| id(&intent.0, "a payment intent"))
            .collect()
    }
}
