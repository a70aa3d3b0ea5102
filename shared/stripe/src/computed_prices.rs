//! Prices that are made of an amount: for what Stripe cannot express itself.
//!
//! A step, a percentage, a matrix, a commitment is worked out here and reaches Stripe as one of a price of that amount. The price
//! belongs to the line of one sale; nobody else buys at it.

use billing_core::calendar::Cadence;
use billing_core::id::PriceId;
use billing_core::money::Currency;
use billing_core::sale::{OrderLine, Sale};
use serde::Deserialize;
use stripe_client_core::StripeRequest;
use stripe_product::price::{CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval};

use crate::client::Stripe;
use crate::contracts::key;
use crate::error::StripeError;
use crate::wire::id;

impl Stripe {
    /// Makes the price of one line of a sale. The key is the line's: repeating answers the same price.
    pub async fn price_of_line(
        &self,
        sale: &Sale,
        line: &OrderLine,
        (currency, cadence): (Currency, Cadence),
    ) -> Result<PriceId, StripeError> {
        #[derive(Deserialize)]
        struct Made {
            id: String,
        }
        let (interval, count) = match cadence {
            Cadence::P1M => (CreatePriceRecurringInterval::Month, 1),
            Cadence::P3M => (CreatePriceRecurringInterval::Month, 3),
            Cadence::P1Y => (CreatePriceRecurringInterval::Year, 1),
        };
        let currency: stripe_types::Currency =
            currency.code().parse().map_err(|_| StripeError::Unexpected {
                reason: format!("Stripe has no currency {currency}"),
            })?;
        let request = CreatePrice::new(currency)
            .product(line.stripe_product.as_str())
            .unit_amount(line.amount)
            .recurring(CreatePriceRecurring {
                interval_count: Some(count),
                ..CreatePriceRecurring::new(interval)
            });
        let key = format!("{}/price/{}", key(sale), line.product);
        let made: Made = self.post(request.build(), &key).await?;
        id(&made.id, "a price")
    }
}
