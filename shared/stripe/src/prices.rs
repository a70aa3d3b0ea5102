//! Prices, for showing.

use billing_core::id::PriceId;
use billing_core::money::Money;
use serde::Deserialize;
use serde::de::IgnoredAny;
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
    /// Units are counted by the dozen, say, before they are priced.
    transform_quantity: Option<IgnoredAny>,
}

impl Wire {
    fn unit(&self) -> Option<Money> {
        let minor = self.unit_amount.filter(|_| self.transform_quantity.is_none())?;
        let currency = self.currency.parse().ok()?;
        Some(Money { minor, currency })
    }
}

impl Stripe {
    /// A price as it is now. One without a whole unit amount (tiers, fractions of a cent, units that are counted by the dozen) cannot be
    /// shown as one number and is unexpected here.
    pub async fn price(&self, id: &PriceId) -> Result<Price, StripeError> {
        let wire: Wire = self.get(RetrievePrice::new(id.as_str()).build()).await?;
        match wire.unit() {
            Some(unit) => Ok(Price { unit }),
            None => Err(StripeError::Unexpected {
                reason: format!("price {id} has no whole unit amount"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// 10.00 a unit; 10.00 for each twelve; fractions, tiers.
    #[test]
    fn a_price_is_shown_where_one_unit_costs_one_amount() {
        let unit = |amount: Value, by: Value| {
            let wire = json!({ "unit_amount": amount, "currency": "usd", "transform_quantity": by });
            let wire: Wire = serde_json::from_value(wire).unwrap();
            wire.unit().map(|unit| unit.minor)
        };
        let dozen = json!({ "divide_by": 12, "round": "up" });
        assert_eq!(unit(json!(1000), Value::Null), Some(1000));
        assert_eq!(unit(json!(1000), dozen), None);
        assert_eq!(unit(Value::Null, Value::Null), None);
    }
}
