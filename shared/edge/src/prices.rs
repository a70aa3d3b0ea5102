//! Prices as they are shown, cached.
//!
//! For showing only: what is charged, Stripe computes from its own prices.

use std::sync::Mutex;

use billing_core::money::Money;
use billing_core::{SignedDuration, Timestamp};

use crate::call::Call;
use crate::problem::Problem;

/// How long prices are shown before they are read again.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What one unit costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownPrices {
    /// Per number and month.
    pub monthly: Money,
    /// Per number and year.
    pub annual: Money,
}

/// The last prices that were read.
#[derive(Debug, Default)]
pub(crate) struct PriceCache(Mutex<Option<(Timestamp, ShownPrices)>>);

impl Call<'_> {
    /// The prices, at most a few minutes old; older ones only while Stripe is down.
    pub async fn shown_prices(&self) -> Result<ShownPrices, Problem> {
        let cache = &self.app.prices.0;
        let known = cache.lock().ok().and_then(|known| *known);
        match known {
            Some((at, prices)) if self.now.duration_since(at).abs() < FRESH => return Ok(prices),
            _ => {}
        }
        match self.read_prices().await {
            Ok(prices) => {
                if let Ok(mut known) = cache.lock() {
                    *known = Some((self.now, prices));
                }
                Ok(prices)
            }
            Err(problem) => known.map(|(_, prices)| prices).ok_or(problem),
        }
    }

    async fn read_prices(&self) -> Result<ShownPrices, Problem> {
        let stripe = self.stripe().await?;
        let sold = &self.app.config.prices;
        let (monthly, annual) = tokio::try_join!(stripe.price(&sold.monthly), stripe.price(&sold.annual))?;
        let prices = ShownPrices {
            monthly: monthly.unit,
            annual: annual.unit,
        };
        if prices.monthly.currency != prices.annual.currency {
            return Err(Problem::bad_gateway(
                "the monthly and the annual price are in different currencies",
            ));
        }
        Ok(prices)
    }
}
