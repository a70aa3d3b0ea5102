//! Products, prices, coupons and meters, read.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use billing_core::connect::offer::{Cadence, Price, Tier, Usage};
use billing_core::decimal::UnitAmount;
use billing_core::id::{BilledProductId, CouponId, MeterId, ProductId};
use billing_core::money::Currency;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::billing_meter::RetrieveBillingMeter;
use stripe_client_core::StripeRequest;
use stripe_product::coupon::RetrieveCoupon;
use stripe_product::price::ListPrice;
use stripe_product::product::RetrieveProduct;
use stripe_shared::PriceType;

use super::{Connected, found};
use crate::error::StripeError;
use crate::pages::Page;
use crate::wire::{currency, id, segment};

/// An agency's product, as far as it is sold here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Stripe's id.
    pub id: BilledProductId,
    /// What it is called.
    pub name: String,
    /// Whether it is for sale.
    pub active: bool,
}

/// An agency's coupon, as far as it tells whether it can be redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Whether it can still be redeemed.
    pub valid: bool,
    /// The currencies that it takes an amount off in; none for one that takes off a share.
    pub currencies: Vec<Currency>,
    /// What it is for; any when there are none.
    pub products: Option<Vec<String>>,
}

impl Coupon {
    /// Whether it can be redeemed on this product in this currency.
    #[must_use]
    pub fn applies_to(&self, product: &BilledProductId, in_currency: Currency) -> bool {
        let product = |known: &Vec<String>| known.iter().any(|known| known == product.as_str());
        self.valid
            && (self.currencies.is_empty() || self.currencies.contains(&in_currency))
            && self.products.as_ref().is_none_or(product)
    }
}

#[derive(Deserialize)]
struct WireProduct {
    id: String,
    name: String,
    active: bool,
}

#[derive(Deserialize)]
struct WireCoupon {
    valid: bool,
    currency: Option<String>,
    /// By currency, the first one's among them or not.
    #[serde(default)]
    currency_options: BTreeMap<String, IgnoredAny>,
    applies_to: Option<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    products: Vec<String>,
}

#[derive(Deserialize)]
struct WireMeter {
    event_name: String,
}

/// A price, its product expanded or not.
#[derive(Deserialize)]
pub(super) struct WirePrice {
    id: String,
    product: WireProductOf,
    currency: String,
    unit_amount: Option<i64>,
    unit_amount_decimal: Option<UnitAmount>,
    recurring: Option<WireRecurring>,
    /// Null, or not there, where it has none.
    tiers: Option<Vec<WireTier>>,
    tiers_mode: Option<String>,
    transform_quantity: Option<WireTransform>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireProductOf {
    Id(String),
    Object { id: String, name: Option<String> },
}

#[derive(Deserialize)]
struct WireRecurring {
    interval: String,
    interval_count: u64,
    usage_type: String,
    meter: Option<String>,
}

#[derive(Deserialize)]
struct WireTier {
    up_to: Option<u64>,
    unit_amount_decimal: Option<UnitAmount>,
    flat_amount_decimal: Option<UnitAmount>,
}

#[derive(Deserialize)]
struct WireTransform {
    divide_by: NonZeroU64,
}

impl WirePrice {
    /// The price, and what its product is called, if that was asked for.
    pub(super) fn read(self) -> Result<(Price, Option<String>), StripeError> {
        let (product, name) = match self.product {
            WireProductOf::Id(id) => (id, None),
            WireProductOf::Object { id, name } => (id, name),
        };
        let recurring = self.recurring.ok_or_else(|| StripeError::Unexpected {
            reason: format!("price {} is paid once", self.id),
        })?;
        let usage = match recurring.usage_type.as_str() {
            "metered" => Usage::Metered(recurring.meter.map(|meter| id(&meter, "a meter")).transpose()?),
            _ => Usage::Licensed,
        };
        let price = Price {
            id: id(&self.id, "a price")?,
            product: id(&product, "a product")?,
            currency: currency(&self.currency, "a price")?,
            cadence: Cadence {
                interval: recurring.interval,
                count: recurring.interval_count,
            },
            usage,
            unit_amount: self.unit_amount,
            unit_decimal: self.unit_amount_decimal,
            tiers: self
                .tiers
                .into_iter()
                .flatten()
                .map(|tier| Tier {
                    up_to: tier.up_to,
                    unit_decimal: tier.unit_amount_decimal,
                    flat_decimal: tier.flat_amount_decimal,
                })
                .collect(),
            by_volume: self.tiers_mode.as_deref() == Some("volume"),
            divide_by: self.transform_quantity.map(|transform| transform.divide_by),
        };
        Ok((price, name))
    }
}

impl Connected {
    /// A product; none when the account has no such.
    pub async fn product(&self, product: &ProductId) -> Result<Option<Product>, StripeError> {
        let request = RetrieveProduct::new(product.as_str()).build();
        let Some(wire) = found(self.stripe.get::<WireProduct>(request).await)? else {
            return Ok(None);
        };
        Ok(Some(Product {
            id: id(&wire.id, "a product")?,
            name: wire.name,
            active: wire.active,
        }))
    }

    /// The active recurring prices of a product; none for one that the account does not have.
    pub async fn active_prices(&self, product: &ProductId) -> Result<Vec<Price>, StripeError> {
        let request = ListPrice::new()
            .product(product.as_str())
            .active(true)
            .type_(PriceType::Recurring)
            // More than a product can have and still be sold here.
            .limit(100)
            .expand(vec!["data.tiers".to_owned()]);
        let page: Page<WirePrice> = self.stripe.get(request.build()).await?;
        page.data
            .into_iter()
            .map(|wire| wire.read().map(|(price, _)| price))
            .collect()
    }

    /// A coupon; none when the account has no such.
    pub async fn coupon(&self, coupon: &CouponId) -> Result<Option<Coupon>, StripeError> {
        // async-stripe puts ids into paths as they are, and this one may be any text.
        let request = RetrieveCoupon::new(segment(coupon.as_str()))
            .expand(["applies_to", "currency_options"].map(str::to_owned).to_vec());
        let Some(wire) = found(self.stripe.get::<WireCoupon>(request.build()).await)? else {
            return Ok(None);
        };
        let currencies = wire.currency.iter().chain(wire.currency_options.keys());
        let currencies = currencies.map(|code| currency(code, "a coupon"));
        Ok(Some(Coupon {
            valid: wire.valid,
            currencies: currencies.collect::<Result<_, _>>()?,
            products: wire.applies_to.map(|scope| scope.products),
        }))
    }

    /// What the events of a meter are called.
    pub async fn meter_event_name(&self, meter: &MeterId) -> Result<String, StripeError> {
        let request = RetrieveBillingMeter::new(meter.as_str()).build();
        let wire: WireMeter = self.stripe.get(request).await?;
        Ok(wire.event_name)
    }
}
