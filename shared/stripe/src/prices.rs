//! Prices, for showing.

use billing_core::id::PriceId;
use billing_core::money::Money;
use serde::Deserialize;
use stripe_client_core::StripeRequest;
use stripe_product::price::RetrievePrice;

use crate::client::Stripe;
use crate::error::StripeError;

/// What one unit costs per interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// The amount of one unit.
    pub unit: Money,
}

#[derive(Deserialize)]
struct Wire {
    unit_amount: Option<i64>,
    currency: String,
}

impl Stripe {
    /// A price as it is now. One without a whole unit amount (tiers, fractions of a cent) cannot be shown as one number and is
    /// unexpected here.
    pub async fn price(&self, id: &PriceId) -> Result<Price, StripeError> {
        let wire: Wire = self.get(RetrievePrice::new(id.as_str()).build()).await?;
        match (wire.unit_amount, wire.currency.parse()) {
            (Some(minor), Ok(currency)) => Ok(Price {
                unit: Money { minor, currency },
            }),
            _ => Err(StripeError::Unexpected {
                reason: format!("price {id} has no whole unit amount"),
            }),
        }
    }
}
