//! Invoices, re-read: whether they are paid, for which periods of service, and what an open one waits for.

use billing_core::arrears::{TimeCharge, TimeCredit};
use billing_core::coverage::{Entry, GivenBack};
use billing_core::id::{CustomerId, InvoiceId, PaymentMethodId, SubscriptionId};
use billing_core::money::Money;
use billing_core::period::Period;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_billing::invoice_payment::ListInvoicePayment;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_shared::InvoiceStatus;

use crate::bills::{Settled, WireTransitions};
use crate::client::Stripe;
use crate::error::{StripeError, unless_missing};
use crate::pages::{Listed, Page};
use crate::wire::{Reference, at, id};

/// An invoice, as far as it grants service or takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Stripe's id.
    pub id: InvoiceId,
    /// Whether it is paid.
    pub paid: bool,
    /// Whether something was taken off it by credit notes before it was paid: perhaps all.
    pub is_forgiven: bool,
    /// Whether somebody has given it up as uncollectible. It may have been paid since, or can be, unless it was made void.
    pub was_given_up: bool,
    /// The subscription that it bills; none for an invoice of something else.
    pub subscription: Option<SubscriptionId>,
    /// The lines that grant service: the subscription's. Its credits are told by the first of them.
    pub service: Vec<Entry>,
}

/// What the payment of an open invoice waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenPayment {
    /// The payer has to confirm it (3-D Secure).
    RequiresAction,
    /// Its bank: a debit takes days, and nobody can call it back.
    UnderWay,
    /// Another means of payment, or another attempt.
    RequiresPaymentMethod,
}

/// An invoice that can be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayableInvoice {
    /// Stripe's id.
    pub id: InvoiceId,
    /// Whether it is the first of its subscription.
    pub is_first: bool,
    /// Whether somebody has given it up: it is uncollectible, and can be paid all the same.
    pub is_given_up: bool,
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    status: Option<String>,
    #[serde(flatten)]
    settled: Settled,
    status_transitions: Option<WireTransitions>,
    parent: Option<Parent>,
    lines: Page<Line>,
}

/// An invoice in a list.
#[derive(Deserialize)]
struct Row {
    id: String,
    status: Option<String>,
    billing_reason: Option<String>,
}

#[derive(Deserialize)]
struct Parent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    subscription: Option<Reference>,
    #[serde(default)]
    proration: bool,
    proration_details: Option<ProrationDetails>,
}

/// Which lines a credit gives back.
#[derive(Deserialize)]
struct ProrationDetails {
    credited_items: Option<CreditedItems>,
}

#[derive(Deserialize)]
struct CreditedItems {
    #[serde(default)]
    invoice_line_items: Vec<Reference>,
}

#[derive(Deserialize)]
pub(crate) struct Line {
    id: String,
    amount: i64,
    currency: String,
    quantity: Option<u64>,
    period: Span,
    #[serde(default)]
    pricing: Option<Pricing>,
    parent: Option<LineParent>,
}

#[derive(Deserialize)]
struct Pricing {
    price_details: Option<PriceDetails>,
}

#[derive(Deserialize)]
struct PriceDetails {
    price: Reference,
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

/// A payment of an invoice, or a try.
#[derive(Deserialize)]
pub(crate) struct InvoicePayment {
    #[serde(default)]
    pub(crate) status: String,
    /// How much of it paid the invoice; none before it is paid.
    pub(crate) amount_paid: Option<i64>,
    pub(crate) payment: Paying,
}

#[derive(Deserialize)]
pub(crate) struct Paying {
    pub(crate) payment_intent: Option<Intent>,
}

#[derive(Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) status: String,
    /// What was charged by it, for whatever it paid.
    #[serde(default)]
    pub(crate) amount_received: i64,
    payment_method: Option<Reference>,
}

impl Listed for Line {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Line {
    /// What makes it a line of a subscription. An item that an operator adds to a bill by hand, a fee or a favour, may name the
    /// subscription and a period: it is no service, and gives none back.
    fn details(&self) -> impl Iterator<Item = &SubscriptionDetails> {
        let parents = self.parent.iter();
        parents
            .flat_map(|parent| {
                let item = parent.invoice_item_details.as_ref();
                let proration = item.filter(|details| details.proration);
                [parent.subscription_item_details.as_ref(), proration]
            })
            .flatten()
    }

    /// The lines that a credit gives back, as far as Stripe names them.
    fn credited(&self) -> impl Iterator<Item = &Reference> {
        self.details()
            .filter_map(|details| details.proration_details.as_ref()?.credited_items.as_ref())
            .flat_map(|credited| &credited.invoice_line_items)
    }

    /// Whether it gives money back. What was free is given back for nothing.
    fn is_credit(&self) -> bool {
        self.amount < 0 || self.credited().next().is_some()
    }

    /// What a credit gives back: a line each, or whatever began before where Stripe names none.
    fn gives_back(&self) -> Result<Vec<GivenBack>, StripeError> {
        let from = at(self.period.start, "the start of a credit's period")?;
        let mut given_back = Vec::new();
        for line in self.credited() {
            given_back.push(GivenBack {
                from,
                line: Some(id(&line.0, "a credited line")?),
            });
        }
        if given_back.is_empty() {
            given_back.push(GivenBack { from, line: None });
        }
        Ok(given_back)
    }

    fn bills(&self, subscription: &SubscriptionId) -> bool {
        self.details()
            .filter_map(|details| details.subscription.as_ref())
            .any(|reference| reference.0 == subscription.as_str())
    }

    fn period(&self) -> Result<Period, StripeError> {
        Ok(Period {
            start: at(self.period.start, "the start of a line's period")?,
            end: at(self.period.end, "the end of a line's period")?,
        })
    }

    /// What time it charges; none for what gives money back, or has no price.
    pub(crate) fn time_charge(&self) -> Option<Result<TimeCharge, StripeError>> {
        let details = self.pricing.as_ref()?.price_details.as_ref()?;
        if self.is_credit() || self.details().next().is_none() {
            return None;
        }
        let charge = || {
            Ok(TimeCharge {
                line: id(&self.id, "an invoice line")?,
                price: id(&details.price.0, "a price")?,
                quantity: self.quantity.unwrap_or(1),
                period: self.period()?,
            })
        };
        Some(charge())
    }

    /// What time it gives back; none for what charges.
    pub(crate) fn time_credit(&self) -> Option<Result<TimeCredit, StripeError>> {
        if !self.is_credit() || self.details().next().is_none() {
            return None;
        }
        let credit = || {
            let of = self.credited().map(|line| id(&line.0, "a credited line"));
            Ok(TimeCredit {
                of: of.collect::<Result<_, _>>()?,
                ends_at: at(self.period.end, "the end of a line's period")?,
                minor: self.amount.saturating_neg(),
            })
        };
        Some(credit())
    }

    fn entry(self, invoice: &InvoiceId) -> Result<Entry, StripeError> {
        let currency = self.currency.parse().map_err(|_| StripeError::Unexpected {
            reason: format!("a line of {invoice} is in {:?}", self.currency),
        })?;
        Ok(Entry {
            invoice: invoice.clone(),
            line: id(&self.id, "an invoice line")?,
            period: self.period()?,
            quantity: self.quantity.unwrap_or(1),
            amount: Money {
                minor: self.amount,
                currency,
            },
            gives_back: Vec::new(),
        })
    }
}

/// The entries of an invoice's lines, with its credits told by the first. An invoice of nothing but credits has one entry, which
/// grants nothing.
fn service(invoice: &InvoiceId, lines: Vec<Line>) -> Result<Vec<Entry>, StripeError> {
    let (credits, charges): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(Line::is_credit);
    let mut entries = charges
        .into_iter()
        .map(|line| line.entry(invoice))
        .collect::<Result<Vec<_>, _>>()?;
    let mut gives_back = Vec::new();
    for credit in &credits {
        gives_back.extend(credit.gives_back()?);
    }
    match (entries.first_mut(), credits.into_iter().next()) {
        (Some(first), _) => first.gives_back = gives_back,
        (None, Some(credit)) => {
            let entry = credit.entry(invoice)?;
            let period = Period {
                end: entry.period.start,
                ..entry.period
            };
            entries.push(Entry {
                period,
                gives_back,
                ..entry
            });
        }
        (None, None) => {}
    }
    Ok(entries)
}

impl Stripe {
    /// An invoice as it is now, with all its lines.
    pub async fn invoice(&self, invoice: &InvoiceId) -> Result<Invoice, StripeError> {
        let wire: Wire = self.get(RetrieveInvoice::new(invoice.as_str()).build()).await?;
        let was_given_up = wire
            .status_transitions
            .is_some_and(|transitions| transitions.tell_giving_up());
        let subscription: Option<SubscriptionId> = wire
            .parent
            .and_then(|parent| parent.subscription_details?.subscription)
            .map(|reference| id(&reference.0, "a subscription"))
            .transpose()?;
        let lines = self.all_lines(invoice.as_str(), wire.lines).await?.into_iter();
        let billed = lines.filter(|line| {
            let of = subscription.as_ref();
            of.is_some_and(|subscription| line.bills(subscription))
        });
        let billed = billed.collect();
        Ok(Invoice {
            id: id(&wire.id, "an invoice")?,
            paid: wire.status.as_deref() == Some("paid"),
            is_forgiven: wire.settled.is_forgiven(),
            was_given_up: was_given_up && wire.status.as_deref() != Some("void"),
            subscription,
            service: service(invoice, billed)?,
        })
    }

    /// What the payment of an open invoice waits for. One that was never tried counts as one that needs a means of payment: the
    /// invoice's page tells the payer the rest.
    pub async fn open_payment(&self, invoice: &InvoiceId) -> Result<OpenPayment, StripeError> {
        let payments = self.payments(invoice).await?;
        let is = |status: &str| {
            let mut intents = payments
                .iter()
                .filter_map(|it| it.payment.payment_intent.as_ref());
            intents.any(|intent| intent.status == status)
        };
        Ok(if is("processing") {
            OpenPayment::UnderWay
        } else if is("requires_action") {
            OpenPayment::RequiresAction
        } else {
            OpenPayment::RequiresPaymentMethod
        })
    }

    /// What an invoice was paid by; nothing where there was nothing to pay.
    pub async fn payers(&self, invoice: &InvoiceId) -> Result<Vec<PaymentMethodId>, StripeError> {
        let payments = self.payments(invoice).await?.into_iter();
        payments
            .filter(|payment| payment.status == "paid")
            .filter_map(|payment| payment.payment.payment_intent?.payment_method)
            .map(|method| id(&method.0, "a payment method"))
            .collect()
    }

    /// What an invoice was paid by, and what was tried.
    pub(crate) async fn payments(&self, invoice: &InvoiceId) -> Result<Vec<InvoicePayment>, StripeError> {
        let request = ListInvoicePayment::new()
            .invoice(invoice.as_str())
            .limit(100)
            .expand(vec!["data.payment.payment_intent".to_owned()]);
        let page: Page<InvoicePayment> = self.get(request.build()).await?;
        Ok(page.data)
    }

    /// The latest invoices of a subscription, as far as they can be paid: they are open, or somebody has given them up.
    pub async fn payable_invoices(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<Vec<PayableInvoice>, StripeError> {
        let request = ListInvoice::new().subscription(subscription.as_str()).limit(100);
        // Somebody may have erased Stripe's test data.
        let found = unless_missing(self.get(request.build()).await, "subscription")?;
        let page: Page<Row> = found.unwrap_or_default();
        let payable = |row: &&Row| matches!(row.status.as_deref(), Some("open" | "uncollectible"));
        let payable = page.data.iter().filter(payable).map(|row| {
            Ok(PayableInvoice {
                id: id(&row.id, "an invoice")?,
                is_first: row.billing_reason.as_deref() == Some("subscription_create"),
                is_given_up: row.status.as_deref() == Some("uncollectible"),
            })
        });
        payable.collect()
    }

    /// A bill of a customer's that is open, whatever it is of; none when there is none, or no such customer any more.
    pub async fn open_invoice(&self, customer: &CustomerId) -> Result<Option<InvoiceId>, StripeError> {
        let request = ListInvoice::new()
            .customer(customer.as_str())
            .status(InvoiceStatus::Open)
            .limit(1);
        let found = unless_missing(self.get(request.build()).await, "customer")?;
        let page: Page<Row> = found.unwrap_or_default();
        page.data.first().map(|row| id(&row.id, "an invoice")).transpose()
    }

    /// Makes an invoice void, so that nobody can pay it, and answers whether it did. One that is paid, void or being paid already stays as it
    /// is; so may one that somebody has given up.
    pub async fn void_invoice(&self, invoice: &InvoiceId) -> Result<bool, StripeError> {
        let path = format!("/invoices/{invoice}/void");
        let request = || RequestBuilder::new(StripeMethod::Post, path.clone());
        // Stripe keeps for a day what it refused because a debit was paying, and that may have failed by now.
        match self
            .post_at_last::<IgnoredAny>(request, &format!("void/{invoice}"))
            .await
        {
            Ok(_) => Ok(true),
            Err(StripeError::Refused(_) | StripeError::Spent { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The lines of an invoice, or of a preview, of which an answer shows the first few.
    pub(crate) async fn all_lines<T: Listed>(
        &self,
        invoice: &str,
        shown: Page<T>,
    ) -> Result<Vec<T>, StripeError> {
        let path = format!("/invoices/{invoice}/lines");
        let pages = self.pages_after(&shown, RequestBuilder::new(StripeMethod::Get, path));
        let mut lines = shown.data;
        lines.extend(pages.all().await?);
        Ok(lines)
    }
}
