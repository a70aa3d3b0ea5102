//! What a sale would be billed at, by the engine that bills it, before it is asked for.
//!
//! Writes nothing at Stripe. The parameters are those of the sale itself, so that what is held against a quote is what is charged.

use billing_core::Timestamp;
use billing_core::contract::Billing;
use billing_core::sale::Sale;
use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsBillingCycleAnchor as Anchor,
    CreatePreviewInvoiceSubscriptionDetailsBillingCycleAnchorType as AnchorType,
    CreatePreviewInvoiceSubscriptionDetailsItems, CreatePreviewInvoiceSubscriptionDetailsProrationBehavior,
};
use stripe_client_core::StripeRequest;

use crate::billing_mode::BillingMode;
use crate::client::Stripe;
use crate::contracts::{AskedSale, item_changes, priced};
use crate::error::StripeError;
use crate::previews::{Preview, Wire};

impl Stripe {
    /// What the first invoice of a contract would be.
    pub async fn preview_contract(&self, asked: &AskedSale<'_>) -> Result<Preview, StripeError> {
        let sale = asked.sale;
        let items = priced(&sale.order)?.into_iter().map(|(price, quantity)| {
            CreatePreviewInvoiceSubscriptionDetailsItems {
                price: Some(price),
                quantity: Some(quantity),
                ..CreatePreviewInvoiceSubscriptionDetailsItems::new()
            }
        });
        let first = sale.offer.short_first_period();
        let request = CreatePreviewInvoice::new()
            .customer(asked.customer.as_str())
            .subscription_details(CreatePreviewInvoiceSubscriptionDetails {
                billing_mode: Some(BillingMode::Classic.into()),
                items: Some(items.collect()),
                start_date: first.map(|first| first.start.as_second()),
                billing_cycle_anchor: first.map(|first| anchored_at(first.end)),
                ..CreatePreviewInvoiceSubscriptionDetails::new()
            })
            .build();
        // A POST that only reads: it takes no idempotency key, and repeating it is safe.
        let wire: Wire = self.get(request).await?;
        self.whole_preview(wire).await
    }

    /// What a change at once would be invoiced at, from the instant that was quoted.
    pub async fn preview_amendment(&self, sale: &Sale, billing: &Billing) -> Result<Preview, StripeError> {
        let items = item_changes(&billing.items, &priced(&sale.order)?)
            .into_iter()
            .map(|change| CreatePreviewInvoiceSubscriptionDetailsItems {
                id: change.id,
                price: change.price,
                quantity: change.quantity,
                deleted: change.deleted,
                ..CreatePreviewInvoiceSubscriptionDetailsItems::new()
            });
        let request = CreatePreviewInvoice::new()
            .subscription(billing.subscription.as_str())
            .subscription_details(CreatePreviewInvoiceSubscriptionDetails {
                items: Some(items.collect()),
                proration_behavior: Some(
                    CreatePreviewInvoiceSubscriptionDetailsProrationBehavior::AlwaysInvoice,
                ),
                proration_date: Some(sale.offer.at.as_second()),
                ..CreatePreviewInvoiceSubscriptionDetails::new()
            });
        let wire: Wire = self.get(request.build()).await?;
        self.whole_preview(wire).await
    }
}

/// A preview takes the anchor of a subscription to come as an object, since 2026-09-30; its creation takes the instant itself.
fn anchored_at(at: Timestamp) -> Anchor {
    Anchor {
        timestamp: Some(at.as_second()),
        ..Anchor::new(AnchorType::Timestamp)
    }
}
