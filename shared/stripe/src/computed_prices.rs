//! Prices that are made of an amount: for what Stripe cannot express itself.
//!
//! A step, a percentage, a matrix, a commitment is worked out here and reaches Stripe as one of a price of that amount. The price
//! belongs to the line of one sale; nobody else buys at it.

use billing_core::id::PriceId;
use billing_core::offer::Configuration;
use billing_core::sale::{OrderLine, Sale};
use stripe_client_core::StripeRequest;

use crate::catalog::recurring;
use crate::client::Stripe;
use crate::contracts::key;
use crate::error::StripeError;
use crate::wire::{Created, id};

impl Stripe {
    /// Makes the price of one line of a sale. The key is the line's: repeating answers the same price.
    pub async fn price_of_line(
        &self,
        sale: &Sale,
        line: &OrderLine,
        sold: &Configuration,
    ) -> Result<PriceId, StripeError> {
        let request = recurring(sold.currency, sold.cadence)
            .product(line.stripe_product.as_str())
            .unit_amount(line.amount);
        let key = format!("{}/price/{}", key(sale), line.product);
        let made: Created = self.post(request.build(), &key).await?;
        id(&made.id, "a price")
    }
}
