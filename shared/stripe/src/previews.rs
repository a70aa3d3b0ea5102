//! Invoice previews: what a change would be billed at, by the engine that bills it.
//!
//! Writes nothing at Stripe. An amount that is missing is an error, never nothing due.

use billing_core::Timestamp;
use billing_core::id::{ItemId, PreviewId, PriceId, PromotionCodeId, SubscriptionId};
use billing_core::money::Currency;
use billing_core::period::Period;
use billing_core::quote::Charge;
use serde::Deserialize;
use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceDiscounts, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsItems, CreatePreviewInvoiceSubscriptionDetailsProrationBehavior,
};
use stripe_client_core::StripeRequest;

use crate::client::Stripe;
use crate::error::StripeError;
use crate::pages::{Listed, Page};
use crate::wire::{at, currency, id};

/// A change to be previewed.
#[derive(Debug, Clone)]
pub struct PreviewedChange<'a> {
    /// The subscription.
    pub subscription: &'a SubscriptionId,
    /// Its one item.
    pub item: &'a ItemId,
    /// The price to move to.
    pub price: &'a PriceId,
    /// The quantity to move to.
    pub quantity: u64,
    /// The code that replaces the subscription's discounts; without one they stay.
    pub promotion_code: Option<&'a PromotionCodeId>,
    /// The instant that time is credited and charged from.
    pub proration_date: Timestamp,
    /// When the trial that it is in ends, if it is in one.
    pub trial_end: Option<Timestamp>,
    /// Whether it ends with its period by the date of that, which it does no more when it is changed.
    pub ends_by_date: bool,
    /// What it is billed in.
    pub currency: Currency,
}

/// What would be invoiced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What it comes to.
    pub charge: Charge,
    /// What the customer owes from before, in minor units; below zero what it has on account. Source: Stripe, `invoice.starting_balance`.
    pub owed: i64,
    /// What discounts take off, in minor units.
    pub discount: i64,
    /// The tax within its total, in minor units; none where none is worked out.
    pub tax: Option<i64>,
    /// Its lines, credits below zero.
    pub lines: Vec<PreviewLine>,
}

/// A line of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewLine {
    /// For people, in Stripe's words.
    pub description: Option<String>,
    /// Before discounts.
    pub amount: i64,
    /// Units; none for usage that is not counted yet.
    pub quantity: Option<u64>,
    /// Whether it is a share of a period.
    pub proration: bool,
    /// What it bills for.
    pub period: Period,
}

#[derive(Deserialize)]
pub(crate) struct Wire {
    id: String,
    amount_due: i64,
    total: i64,
    starting_balance: i64,
    currency: String,
    total_discount_amounts: Option<Vec<Part>>,
    total_taxes: Option<Vec<Part>>,
    lines: Page<Line>,
}

#[derive(Deserialize)]
struct Part {
    amount: i64,
}

/// The sum of parts of a total.
fn sum(parts: &[Part]) -> Result<i64, StripeError> {
    let sum = parts
        .iter()
        .try_fold(0_i64, |sum, part| sum.checked_add(part.amount));
    sum.ok_or_else(|| StripeError::Unexpected {
        reason: "the parts of a preview are beyond counting".to_owned(),
    })
}

#[derive(Deserialize)]
struct Line {
    id: String,
    description: Option<String>,
    amount: i64,
    quantity: Option<u64>,
    period: Span,
    parent: Option<Parent>,
}

#[derive(Deserialize)]
struct Span {
    start: i64,
    end: i64,
}

#[derive(Deserialize)]
struct Parent {
    subscription_item_details: Option<Details>,
    invoice_item_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    proration: bool,
}

impl TryFrom<Line> for PreviewLine {
    type Error = StripeError;

    fn try_from(wire: Line) -> Result<Self, StripeError> {
        let proration = wire.parent.iter().any(|parent| {
            let mut details = parent
                .subscription_item_details
                .iter()
                .chain(&parent.invoice_item_details);
            details.any(|details| details.proration)
        });
        Ok(Self {
            description: wire.description,
            amount: wire.amount,
            quantity: wire.quantity,
            proration,
            period: Period {
                start: at(wire.period.start, "the start of a line's period")?,
                end: at(wire.period.end, "the end of a line's period")?,
            },
        })
    }
}

impl Listed for Line {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Preview {
    /// The preview of a change that there is nothing to invoice for.
    #[must_use]
    pub fn nothing(currency: Currency) -> Self {
        Self {
            charge: Charge::nothing(currency),
            owed: 0,
            discount: 0,
            tax: None,
            lines: Vec::new(),
        }
    }

    fn of(wire: Wire, lines: Vec<Line>) -> Result<Self, StripeError> {
        let taxes = wire.total_taxes.filter(|taxes| !taxes.is_empty());
        Ok(Self {
            charge: Charge {
                amount_due: wire.amount_due,
                total: wire.total,
                currency: currency(&wire.currency, "a preview")?,
            },
            owed: wire.starting_balance,
            discount: sum(&wire.total_discount_amounts.unwrap_or_default())?,
            tax: taxes.as_deref().map(sum).transpose()?,
            lines: lines
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Stripe {
    /// What a change would be invoiced at, were it made at its proration date. The parameters are those of
    /// [`Stripe::change_subscription`]: where that leaves the discounts alone, this inherits them.
    pub async fn preview_change(&self, change: &PreviewedChange<'_>) -> Result<Preview, StripeError> {
        let mut request = CreatePreviewInvoice::new()
            .subscription(change.subscription.as_str())
            .subscription_details(CreatePreviewInvoiceSubscriptionDetails {
                items: Some(vec![CreatePreviewInvoiceSubscriptionDetailsItems {
                    id: Some(change.item.to_string()),
                    price: Some(change.price.to_string()),
                    quantity: Some(change.quantity),
                    ..CreatePreviewInvoiceSubscriptionDetailsItems::new()
                }]),
                proration_behavior: Some(
                    CreatePreviewInvoiceSubscriptionDetailsProrationBehavior::AlwaysInvoice,
                ),
                proration_date: Some(change.proration_date.as_second()),
                cancel_at_period_end: change.ends_by_date.then_some(true),
                ..CreatePreviewInvoiceSubscriptionDetails::new()
            });
        if let Some(code) = change.promotion_code {
            request = request.discounts(vec![CreatePreviewInvoiceDiscounts {
                promotion_code: Some(code.to_string()),
                ..CreatePreviewInvoiceDiscounts::new()
            }]);
        }
        // A POST that only reads: it takes no idempotency key, and repeating it is safe.
        let preview = match self.get(request.build()).await {
            Ok(wire) => self.whole_preview(wire).await?,
            // In a trial that goes on a change bills nothing, and Stripe previews the invoice of the trial's end, if there will be one.
            Err(StripeError::Refused(refusal))
                if change.trial_end.is_some() && refusal.is_about_no_invoice() =>
            {
                return Ok(Preview::nothing(change.currency));
            }
            Err(error) => return Err(error),
        };
        let is_later = |line: &PreviewLine| Some(line.period.start) == change.trial_end;
        Ok(if preview.lines.iter().any(is_later) {
            Preview::nothing(change.currency)
        } else {
            preview
        })
    }

    /// A preview with all of its lines, of which Stripe shows but the first.
    pub(crate) async fn whole_preview(&self, mut wire: Wire) -> Result<Preview, StripeError> {
        let shown = std::mem::take(&mut wire.lines);
        let preview: PreviewId = id(&wire.id, "a preview")?;
        let lines = self.all_lines(preview.as_str(), shown).await?;
        Preview::of(wire, lines)
    }
}
