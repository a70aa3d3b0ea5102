//! Promotion codes: all that Stripe has of one word.

use std::collections::HashMap;

use billing_core::id::{CustomerId, PriceId, ProductId, PromotionCodeId};
use billing_core::money::{Currency, Money};
use billing_core::promotion::{PromotionCode, Word};
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_client_core::StripeRequest;
use stripe_product::price::RetrievePrice;
use stripe_product::promotion_code::ListPromotionCode;

use crate::client::Stripe;
use crate::error::StripeError;
use crate::wire::{Page, Reference, at, currency, id};

/// How many codes of one word are looked at: one for each customer who has their own, and those that were turned off.
const MOST_CODES: i64 = 100;

/// What a price sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// The product.
    pub product: ProductId,
    /// The amount of one unit; none where it is not one amount.
    pub unit: Option<Money>,
}

#[derive(Deserialize)]
struct Code {
    id: String,
    code: String,
    active: bool,
    expires_at: Option<i64>,
    max_redemptions: Option<u64>,
    #[serde(default)]
    times_redeemed: u64,
    customer: Option<Reference>,
    restrictions: Restrictions,
    promotion: Promotion,
}

#[derive(Deserialize)]
struct Restrictions {
    first_time_transaction: bool,
    minimum_amount: Option<i64>,
    minimum_amount_currency: Option<String>,
}

#[derive(Deserialize)]
struct Promotion {
    coupon: Option<Coupon>,
}

#[derive(Deserialize)]
struct Coupon {
    valid: bool,
    currency: Option<String>,
    currency_options: Option<HashMap<String, IgnoredAny>>,
    applies_to: Option<AppliesTo>,
}

#[derive(Deserialize)]
struct AppliesTo {
    products: Vec<String>,
}

#[derive(Deserialize)]
struct Price {
    product: Reference,
    unit_amount: Option<i64>,
    currency: String,
}

/// The currencies in which a coupon takes an amount off: its own, and those of its options, which it tells when it is asked.
pub(crate) fn currencies(
    own: Option<&str>,
    options: Option<&HashMap<String, IgnoredAny>>,
) -> Result<Vec<Currency>, StripeError> {
    let others = options.into_iter().flat_map(HashMap::keys).map(String::as_str);
    own.into_iter()
        .chain(others)
        .map(|code| currency(code, "a coupon"))
        .collect()
}

impl TryFrom<Code> for PromotionCode {
    type Error = StripeError;

    fn try_from(wire: Code) -> Result<Self, StripeError> {
        let promotion_code: PromotionCodeId = id(&wire.id, "a promotion code")?;
        let customer: Option<CustomerId> = wire
            .customer
            .map(|customer| id(&customer.0, "a customer"))
            .transpose()?;
        let minimum = match (
            wire.restrictions.minimum_amount,
            wire.restrictions.minimum_amount_currency,
        ) {
            (Some(minor), Some(code)) => Some(Money {
                minor,
                currency: currency(&code, "the minimum amount of a promotion code")?,
            }),
            _ => None,
        };
        let coupon = wire.promotion.coupon;
        let products = coupon.as_ref().and_then(|coupon| coupon.applies_to.as_ref());
        let products = products.map(|scope| {
            let each = scope.products.iter();
            each.map(|product| id(product, "a product")).collect()
        });
        let currencies = coupon
            .as_ref()
            .map(|coupon| currencies(coupon.currency.as_deref(), coupon.currency_options.as_ref()));
        Ok(Self {
            id: promotion_code,
            word: wire.code,
            active: wire.active,
            expires_at: wire
                .expires_at
                .map(|seconds| at(seconds, "the expiry of a promotion code"))
                .transpose()?,
            used_up: wire
                .max_redemptions
                .is_some_and(|most| wire.times_redeemed >= most),
            customer,
            first_time: wire.restrictions.first_time_transaction,
            minimum,
            coupon_valid: coupon.as_ref().is_some_and(|coupon| coupon.valid),
            products: products.transpose()?,
            currencies: currencies.transpose()?.unwrap_or_default(),
        })
    }
}

impl Stripe {
    /// All promotion codes of this word, newest first, in whatever state. Stripe compares without regard to case.
    pub async fn promotion_codes(&self, word: &Word) -> Result<Vec<PromotionCode>, StripeError> {
        let request = ListPromotionCode::new()
            .code(word.as_str())
            .limit(MOST_CODES)
            .expand(
                ["applies_to", "currency_options"]
                    .map(|member| format!("data.promotion.coupon.{member}"))
                    .to_vec(),
            );
        let page: Page<Code> = self.get(request.build()).await?;
        page.data.into_iter().map(TryInto::try_into).collect()
    }

    /// What a price sells.
    pub async fn sold(&self, price: &PriceId) -> Result<Sold, StripeError> {
        let wire: Price = self.get(RetrievePrice::new(price.as_str()).build()).await?;
        let currency = currency(&wire.currency, "a price")?;
        Ok(Sold {
            product: id(&wire.product.0, "a product")?,
            unit: wire.unit_amount.map(|minor| Money { minor, currency }),
        })
    }
}
