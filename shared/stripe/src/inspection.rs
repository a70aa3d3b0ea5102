//! What an administrator's checks ask Stripe: prices as they are sold, endpoints as they are registered. No request path comes here.

use billing_core::id::PriceId;
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_product::price::RetrievePrice;

use crate::client::Stripe;
use crate::error::StripeError;
use crate::pages::Page;

/// The version of Stripe's API that this build speaks, and that its webhook endpoint is to be registered with.
#[must_use]
pub fn api_version() -> &'static str {
    stripe_client_core::VERSION.as_str()
}

/// A price as it is sold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PriceState {
    /// Whether it can be bought.
    pub active: bool,
    /// Whether it is of live mode.
    pub livemode: bool,
    /// In lower case: `usd`.
    pub currency: String,
    /// How often it is charged; none for a price that is paid once.
    pub recurring: Option<Recurring>,
    /// Of one unit, in the currency's minor unit; none for tiers and fractions.
    pub unit_amount: Option<i64>,
}

/// How often a price is charged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recurring {
    /// `day`, `week`, `month` or `year`.
    pub interval: String,
    /// How many of them.
    pub interval_count: u64,
}

/// A webhook endpoint that is registered at Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WebhookEndpoint {
    /// `we_…`.
    pub id: String,
    /// Where events go.
    pub url: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// By which events are rendered; none for the account's own version.
    pub api_version: Option<String>,
    /// What connected accounts are connected to; none for an endpoint of the account's own events.
    #[serde(default)]
    pub application: Option<String>,
    /// The types that are sent, or `*`.
    pub enabled_events: Vec<String>,
}

/// Whether Stripe Tax can work out a tax.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaxSettings {
    /// `active`, or `pending` while something is missing.
    pub status: String,
}

#[derive(Serialize)]
struct Most {
    limit: u8,
}

impl Stripe {
    /// A price with everything that its being sold depends on.
    pub async fn inspect_price(&self, id: &PriceId) -> Result<PriceState, StripeError> {
        self.get(RetrievePrice::new(id.as_str()).build()).await
    }

    /// What the account has set up for Stripe Tax.
    pub async fn tax_settings(&self) -> Result<TaxSettings, StripeError> {
        self.get(RequestBuilder::new(StripeMethod::Get, "/tax/settings"))
            .await
    }

    /// Every webhook endpoint of the account. Stripe allows 16.
    pub async fn webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, StripeError> {
        let request =
            RequestBuilder::new(StripeMethod::Get, "/webhook_endpoints").query(&Most { limit: 100 });
        let page: Page<WebhookEndpoint> = self.get(request).await?;
        Ok(page.data)
    }
}
