//! Promotion codes: all that Stripe has of one word.

use std::collections::BTreeMap;

use billing_core::id::{BilledProductId, CustomerId, PriceId, PromotionCodeId};
use billing_core::money::Currency;
use billing_core::promotion::{PromotionCode, Word};
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_client_core::StripeRequest;
use stripe_product::price::RetrievePrice;
use stripe_product::promotion_code::ListPromotionCode;

use crate::client::Stripe;
use crate::error::StripeError;
use crate::pages::Listed;
use crate::wire::{Reference, at, currency, id};

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

impl Listed for Code {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct Restrictions {
    first_time_transaction: bool,
    /// In the first of the currencies that it has one in.
    minimum_amount: Option<i64>,
}

#[derive(Deserialize)]
struct Promotion {
    coupon: Option<Coupon>,
}

#[derive(Deserialize)]
struct Coupon {
    valid: bool,
    currency: Option<String>,
    /// By currency, the first one's among them or not.
    #[serde(default)]
    currency_options: BTreeMap<String, IgnoredAny>,
    applies_to: Option<AppliesTo>,
}

impl Coupon {
    /// The currencies that it takes an amount off in; none for a share.
    fn currencies(&self) -> Result<Option<Vec<Currency>>, StripeError> {
        let Some(own) = &self.currency else {
            return Ok(None);
        };
        [own]
            .into_iter()
            .chain(self.currency_options.keys())
            .map(|code| currency(code, "a coupon"))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

#[derive(Deserialize)]
struct AppliesTo {
    products: Vec<String>,
}

#[derive(Deserialize)]
struct Price {
    product: Reference,
}

impl TryFrom<Code> for PromotionCode {
    type Error = StripeError;

    fn try_from(wire: Code) -> Result<Self, StripeError> {
        let promotion_code: PromotionCodeId = id(&wire.id, "a promotion code")?;
        let customer: Option<CustomerId> = wire
            .customer
            .map(|customer| id(&customer.0, "a customer"))
            .transpose()?;
        let coupon = wire.promotion.coupon;
        let products = coupon.as_ref().and_then(|coupon| coupon.applies_to.as_ref());
        let products = products.map(|scope| {
            let each = scope.products.iter();
            each.map(|product| id(product, "a product")).collect()
        });
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
            has_minimum: wire.restrictions.minimum_amount.is_some(),
            coupon_valid: coupon.as_ref().is_some_and(|coupon| coupon.valid),
            products: products.transpose()?,
            currencies: coupon.as_ref().map_or(Ok(None), Coupon::currencies)?,
        })
    }
}

impl Stripe {
    /// All promotion codes of this word, newest first, in whatever state: one for each customer who has their own, and those that were
    /// turned off. Stripe compares without regard to case.
    pub async fn promotion_codes(&self, word: &Word) -> Result<Vec<PromotionCode>, StripeError> {
        let list = ListPromotionCode::new().code(word.as_str()).expand(vec![
            "data.promotion.coupon.applies_to".to_owned(),
            "data.promotion.coupon.currency_options".to_owned(),
        ]);
        let codes = self.pages::<Code>(list.build()).all().await?;
        codes.into_iter().map(TryInto::try_into).collect()
    }

    /// The product that a price sells.
    pub async fn product_of(&self, price: &PriceId) -> Result<BilledProductId, StripeError> {
        let wire: Price = self.get(RetrievePrice::new(price.as_str()).build()).await?;
        id(&wire.product.0, "a product")
    }
}
