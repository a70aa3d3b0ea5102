//! Invoices, re-read: whether they are paid, and for which periods of service.

use billing_core::coverage::Entry;
use billing_core::id::{CustomerId, InvoiceId, SubscriptionId};
use billing_core::money::Money;
use billing_core::period::Period;
use serde::{Deserialize, Serialize};
use stripe_billing::invoice::RetrieveInvoice;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::client::Stripe;
use crate::error::StripeError;
use crate::wire::{Page, Reference, at, id};

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Stripe's id.
    pub id: InvoiceId,
    /// Whether it is paid.
    pub paid: bool,
    /// Who pays.
    pub customer: CustomerId,
    /// The subscription that it bills; none for an invoice of something else.
    pub subscription: Option<SubscriptionId>,
    /// The lines that grant service: the subscription's, credits left out.
    pub service: Vec<Entry>,
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    status: Option<String>,
    customer: Reference,
    parent: Option<Parent>,
    lines: Page<Line>,
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
struct Line {
    id: String,
    amount: i64,
    currency: String,
    quantity: Option<u64>,
    period: Span,
    parent: Option<LineParent>,
}

#[derive(Deserialize)]
struct Span {
    start: i64,
    end: i64,
}

/// Stripe tells a subscription's line in either way, depending on whether it began as an invoice item (a proration) or not.
#[derive(Deserialize)]
struct LineParent {
    subscription_item_details: Option<SubscriptionDetails>,
    invoice_item_details: Option<SubscriptionDetails>,
}

impl Line {
    fn bills(&self, subscription: &SubscriptionId) -> bool {
        self.parent
            .iter()
            .flat_map(|parent| [&parent.subscription_item_details, &parent.invoice_item_details])
            .flatten()
            .filter_map(|details| details.subscription.as_ref())
            .any(|reference| reference.0 == subscription.as_str())
    }

    fn entry(self, invoice: &InvoiceId) -> Result<Entry, StripeError> {
        let currency = self.currency.parse().map_err(|_| StripeError::Unexpected {
            reason: format!("a line of {invoice} is in {:?}", self.currency),
        })?;
        Ok(Entry {
            invoice: invoice.clone(),
            line: id(&self.id, "an invoice line")?,
            period: Period {
                start: at(self.period.start, "the start of a line's period")?,
                end: at(self.period.end, "the end of a line's period")?,
            },
            quantity: self.quantity.unwrap_or(1),
            amount: Money {
                minor: self.amount,
                currency,
            },
        })
    }
}

impl Stripe {
    /// An invoice as it is now, with all its lines.
    pub async fn invoice(&self, invoice: &InvoiceId) -> Result<Invoice, StripeError> {
        let wire: Wire = self.get(RetrieveInvoice::new(invoice.as_str()).build()).await?;
        let subscription: Option<SubscriptionId> = wire
            .parent
            .and_then(|parent| parent.subscription_details?.subscription)
            .map(|reference| id(&reference.0, "a subscription"))
            .transpose()?;
        let mut lines = wire.lines;
        let mut service = Vec::new();
        loop {
            let last = lines.data.last().map(|line| line.id.clone());
            for line in lines.data {
                // A credit gives money back, not service.
                if line.amount >= 0
                    && subscription
                        .as_ref()
                        .is_some_and(|subscription| line.bills(subscription))
                {
                    service.push(line.entry(invoice)?);
                }
            }
            match last {
                Some(last) if lines.has_more => lines = self.lines_after(invoice, &last).await?,
                _ => break,
            }
        }
        Ok(Invoice {
            id: id(&wire.id, "an invoice")?,
            paid: wire.status.as_deref() == Some("paid"),
            customer: id(&wire.customer.0, "a customer")?,
            subscription,
            service,
        })
    }

    async fn lines_after(&self, invoice: &InvoiceId, line: &str) -> Result<Page<Line>, StripeError> {
        #[derive(Serialize)]
        struct After<'a> {
            limit: u8,
            starting_after: &'a str,
        }
        let after = After {
            limit: 100,
            starting_after: line,
        };
        let path = format!("/invoices/{invoice}/lines");
        self.get(RequestBuilder::new(StripeMethod::Get, path).query(&after))
            .await
    }
}
