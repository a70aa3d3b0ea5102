//! The hosted page of a sale: where a payer without a payment method pays it.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::contract::ContractKey;
use billing_core::id::{SessionId, SubscriptionId};
use billing_core::return_url::ReturnUrl;
use serde::Deserialize;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    RetrieveCheckoutSession,
};
use stripe_client_core::StripeRequest;
use stripe_shared::{CheckoutSessionMode, CheckoutSessionUiMode};

use crate::billing_mode::BillingMode;
use crate::checkout::{SessionStatus, as_quoted};
use crate::client::Stripe;
use crate::contracts::{AskedSale, key, metadata, named, priced};
use crate::error::StripeError;
use crate::wire::{Reference, id};

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
    pub of: Option<ContractKey>,
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
            of: wire.metadata.as_ref().and_then(named),
            url: wire.url,
        })
    }
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
                metadata: Some(metadata(&asked.contract())),
                ..CreateCheckoutSessionSubscriptionData::new()
            })
            .metadata(metadata(&asked.contract()));
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
}
