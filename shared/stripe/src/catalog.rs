//! The catalog at Stripe: a product for each product of a plan, a price for each version of its price.
//!
//! # How it works
//! A product has the id that the plan gives it, and a price has a lookup key of its organisation, product and version: both are
//! found again by what they are, whoever made them. What a price costs never changes at Stripe, so another amount is another
//! version under another key, and no key is ever moved. A price carries a fingerprint of what it was made of: one that was
//! found is only used for the same.
//!
//! # If it fails half-way
//! What was made is found by the next attempt. Two that make the same at once meet at Stripe: an id or a lookup key is given
//! once.
//!
//! Pricing that Stripe cannot express has no price there (`native` says which): what it costs is billed as an amount.

use std::collections::HashMap;

use billing_core::calendar::Cadence;
use billing_core::decimal::{Quantity, UnitAmount};
use billing_core::id::{OfferedId, OrganisationId, PriceId, ProductId};
use billing_core::money::Currency;
use billing_core::pricing::{Model, Pricing, Tier};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use stripe_client_core::StripeRequest;
use stripe_product::price::{
    CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, CreatePriceTiers, CreatePriceTiersUpTo,
    CreatePriceTransformQuantity, CreatePriceTransformQuantityRound, ListPrice, RetrievePrice, UpdatePrice,
};
use stripe_product::product::{CreateProduct, RetrieveProduct, UpdateProduct};
use stripe_shared::{PriceBillingScheme, PriceTiersMode};

use crate::client::{Stripe, numbered};
use crate::error::{StripeError, unless_missing};
use crate::pages::Page;
use crate::wire::{Created, id};

/// The metadata members of what the catalog makes.
const ORGANISATION: &str = "organisation";
const FINGERPRINT: &str = "fingerprint";

/// How often something that is undone by hand is done again in a day, before somebody is told.
const MOST_TIMES: u32 = 20;

/// How many lookup keys one request may name.
const MOST_KEYS: usize = 10;

/// A pricing as Stripe expresses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Native {
    /// So much for each unit; a flat fee is one unit.
    PerUnit(UnitAmount),
    /// Each unit in its own tier.
    Graduated(Vec<Tier>),
    /// All units in one tier.
    Volume(Vec<Tier>),
    /// By the package, rounded up.
    Package {
        /// Units in a package.
        size: i64,
        /// For a package.
        unit_amount: UnitAmount,
    },
}

/// What had to be done about something that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Nothing.
    Nothing,
    /// It was given its name.
    Renamed,
    /// Somebody had archived it; it is sold again.
    SoldAgain,
}

/// A product at Stripe that is as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredProduct {
    /// Stripe's id.
    pub id: ProductId,
    /// What had to be done, where it was there.
    pub upkeep: Upkeep,
}

/// A version of a product's price, to be found or made.
#[derive(Debug, Clone)]
pub struct PriceVersion<'a> {
    /// Who sells it.
    pub organisation: &'a OrganisationId,
    /// What it is a price of.
    pub product: &'a OfferedId,
    /// Which version.
    pub version: u32,
    /// What its amounts are in.
    pub currency: Currency,
    /// How often it is billed.
    pub cadence: Cadence,
    /// What it costs.
    pub pricing: &'a Pricing,
}

/// A price that was found by its lookup key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPrice {
    /// Stripe's id.
    pub id: PriceId,
    /// Whether it can be sold.
    pub is_active: bool,
    fingerprint: Option<String>,
}

impl FoundPrice {
    /// Whether it was made of the same.
    #[must_use]
    pub fn is_of(&self, version: &PriceVersion<'_>) -> bool {
        self.fingerprint.as_deref() == Some(&version.fingerprint())
    }
}

impl PriceVersion<'_> {
    /// The lookup key of the version: `<organisation>:<product>:v<version>`.
    #[must_use]
    pub fn lookup_key(&self) -> String {
        format!("{}:{}:v{}", self.organisation, self.product, self.version)
    }

    /// A hash of everything that Stripe's price is made of.
    fn fingerprint(&self) -> String {
        let pricing = serde_json::to_string(self.pricing).unwrap_or_default();
        let made_of = format!("{} {} {pricing}", self.currency, self.cadence);
        hex::encode(Sha256::digest(made_of))
    }
}

/// How Stripe expresses a pricing; none when it cannot, and what it costs is billed as an amount.
#[must_use]
pub fn native(pricing: &Pricing) -> Option<Native> {
    let features = pricing.features();
    // Stripe rounds a coupon on its own, and has no commitments.
    if features.discount.is_some() || features.minimum_commitment.is_some_and(|least| least > 0) {
        return None;
    }
    let free_units = features.free_units;
    let has_free_units = free_units != Quantity::ZERO;
    match pricing.model() {
        Model::FlatFee { unit_amount } => Some(Native::PerUnit(*unit_amount)),
        Model::PerUnit { unit_amount } if has_free_units => {
            let paid = Tier {
                up_to: None,
                unit_amount: *unit_amount,
                flat_amount: None,
            };
            graduated(&[paid], free_units)
        }
        Model::PerUnit { unit_amount } => Some(Native::PerUnit(*unit_amount)),
        Model::Tiered { tiers } => graduated(tiers, free_units),
        Model::Volume { tiers } if !has_free_units => {
            let is_rounded_once = tiers.iter().all(|tier| fractions(tier) <= 1);
            (is_rounded_once && has_whole_bounds(tiers)).then(|| Native::Volume(tiers.clone()))
        }
        Model::Package {
            package_size,
            unit_amount,
        } if !has_free_units => Some(Native::Package {
            size: package_size.as_whole()?,
            unit_amount: *unit_amount,
        }),
        _ => None,
    }
}

/// Free units are a first tier that costs nothing, and all other tiers come so much later. What is due for entering the first
/// paid tier is due without a unit, so it moves into the free one.
fn graduated(tiers: &[Tier], free_units: Quantity) -> Option<Native> {
    if tiers.iter().map(fractions).sum::<usize>() > 1 {
        return None;
    }
    if free_units == Quantity::ZERO {
        return has_whole_bounds(tiers).then(|| Native::Graduated(tiers.to_vec()));
    }
    let free = free_units.as_whole()?;
    let mut shifted = vec![Tier {
        up_to: Some(free_units),
        unit_amount: UnitAmount::ZERO,
        flat_amount: tiers.first()?.flat_amount,
    }];
    for (at, tier) in tiers.iter().enumerate() {
        let up_to = match tier.up_to {
            None => None,
            Some(up_to) => Some(Quantity::whole(up_to.as_whole()?.checked_add(free)?)),
        };
        shifted.push(Tier {
            up_to,
            flat_amount: tier.flat_amount.filter(|_| at > 0),
            ..*tier
        });
    }
    Some(Native::Graduated(shifted))
}

/// How many parts of a tier may come to a fraction of a minor unit: what a unit costs, and what is due for entering it. Stripe bills each of
/// these of each tier as a line of its own and rounds it, where the price of a product is rounded once: with one such part it is the same.
fn fractions(tier: &Tier) -> usize {
    let amounts = std::iter::once(tier.unit_amount).chain(tier.flat_amount);
    amounts.filter(|amount| amount.as_whole().is_none()).count()
}

/// Stripe counts in whole units.
fn has_whole_bounds(tiers: &[Tier]) -> bool {
    tiers
        .iter()
        .all(|tier| tier.up_to.is_none_or(|up_to| up_to.as_whole().is_some()))
}

#[derive(Deserialize)]
struct Product {
    id: String,
    name: String,
    active: bool,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Price {
    id: String,
    active: bool,
    lookup_key: Option<String>,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

impl Stripe {
    /// Stripe's product for a product of a plan: made if it is not there, renamed if it has another name. `edition` tells apart
    /// renamings to a name that it had before. Repeating changes nothing.
    pub async fn ensure_product(
        &self,
        organisation: &OrganisationId,
        product: &OfferedId,
        name: &str,
        edition: u64,
    ) -> Result<EnsuredProduct, StripeError> {
        let found = match self.product(product).await? {
            Some(found) => found,
            None => match self.create_product(organisation, product, name).await {
                Ok(made) => {
                    return Ok(EnsuredProduct {
                        id: id(&made.id, "a product")?,
                        upkeep: Upkeep::Nothing,
                    });
                }
                // Somebody else made it meanwhile.
                Err(StripeError::Refused(refusal))
                    if refusal.code.as_deref() == Some("resource_already_exists") =>
                {
                    self.product(product)
                        .await?
                        .ok_or_else(|| unexpected(format!("product {product} exists and is not there")))?
                }
                Err(error) => return Err(error),
            },
        };
        if found.metadata.get(ORGANISATION).map(String::as_str) != Some(organisation.as_str()) {
            return Err(unexpected(format!(
                "product {product} is not organisation {organisation}'s"
            )));
        }
        let upkeep = match (found.active, found.name == name) {
            (true, true) => Upkeep::Nothing,
            (true, false) => Upkeep::Renamed,
            (false, _) => Upkeep::SoldAgain,
        };
        if upkeep != Upkeep::Nothing {
            let renamed = hex::encode(Sha256::digest(name));
            let key = format!("catalog:{product}:{edition}:{renamed}");
            self.rename(product, name, &key).await?;
        }
        Ok(EnsuredProduct {
            id: id(&found.id, "a product")?,
            upkeep,
        })
    }

    /// Has a product sold by this name. Somebody may archive or rename it again within the day that Stripe keeps a key, and the key's answer
    /// says nothing of that: what it came to is read, and where it is not so, the next key is taken.
    async fn rename(&self, product: &OfferedId, name: &str, key: &str) -> Result<(), StripeError> {
        for time in 1..=MOST_TIMES {
            let key = numbered(key, time);
            let request = UpdateProduct::new(product.as_str()).name(name).active(true);
            let _: Created = self.post(request.build(), &key).await?;
            let now = self.product(product).await?;
            if now.is_some_and(|now| now.active && now.name == name) {
                return Ok(());
            }
        }
        Err(unexpected(format!(
            "product {product} does not stay as it is made"
        )))
    }

    async fn product(&self, product: &OfferedId) -> Result<Option<Product>, StripeError> {
        unless_missing(
            self.get(RetrieveProduct::new(product.as_str()).build()).await,
            "id",
        )
    }

    async fn create_product(
        &self,
        organisation: &OrganisationId,
        product: &OfferedId,
        name: &str,
    ) -> Result<Created, StripeError> {
        let request = CreateProduct::new(name)
            .id(product.as_str())
            .metadata(HashMap::from([(
                ORGANISATION.to_owned(),
                organisation.to_string(),
            )]));
        let named = hex::encode(Sha256::digest(name));
        self.post(request.build(), &format!("catalog:{product}:new:{named}"))
            .await
    }

    /// The prices that there are of these lookup keys, by their key, those that are not sold any more among them.
    pub async fn prices_of(
        &self,
        lookup_keys: &[String],
    ) -> Result<HashMap<String, FoundPrice>, StripeError> {
        let mut found = HashMap::new();
        for keys in lookup_keys.chunks(MOST_KEYS) {
            let request = ListPrice::new().lookup_keys(keys.to_vec()).limit(100);
            let page: Page<Price> = self.get(request.build()).await?;
            for price in page.data {
                let Some(key) = price.lookup_key else { continue };
                let price = FoundPrice {
                    id: id(&price.id, "a price")?,
                    is_active: price.active,
                    fingerprint: price.metadata.get(FINGERPRINT).cloned(),
                };
                found.insert(key, price);
            }
        }
        Ok(found)
    }

    /// Makes a version of a price, under its lookup key. None when the key is given already: somebody else was faster, and
    /// whoever asked has to look again.
    pub async fn create_price(
        &self,
        version: &PriceVersion<'_>,
        native: &Native,
        product: &ProductId,
    ) -> Result<Option<PriceId>, StripeError> {
        let lookup_key = version.lookup_key();
        let fingerprint = version.fingerprint();
        // Stripe's keys are at most 255 long, whatever an organisation is called.
        let key = format!(
            "catalog:{}",
            hex::encode(Sha256::digest(format!("{lookup_key} {fingerprint}")))
        );
        let request = request(version, native)
            .product(product.as_str())
            .lookup_key(lookup_key)
            .metadata(HashMap::from([
                (ORGANISATION.to_owned(), version.organisation.to_string()),
                (FINGERPRINT.to_owned(), fingerprint),
            ]));
        match self.post::<Created>(request.build(), &key).await {
            Ok(made) => id(&made.id, "a price").map(Some),
            Err(StripeError::Refused(refusal)) if refusal.param.as_deref() == Some("lookup_key") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has a price sold again that was archived by hand. `edition` tells this time apart from earlier ones; of several times in an edition,
    /// and in the day that Stripe keeps a key, what the price is then does.
    pub async fn activate_price(&self, price: &PriceId, edition: u64) -> Result<(), StripeError> {
        let key = format!("catalog:{price}:{edition}:active");
        for time in 1..=MOST_TIMES {
            let key = numbered(&key, time);
            let request = UpdatePrice::new(price.as_str()).active(true);
            let _: Created = self.post(request.build(), &key).await?;
            let now: Price = self.get(RetrievePrice::new(price.as_str()).build()).await?;
            if now.active {
                return Ok(());
            }
        }
        Err(unexpected(format!("price {price} does not stay active")))
    }
}

/// A price that is charged once a period.
pub(crate) fn recurring(currency: Currency, cadence: Cadence) -> CreatePrice {
    let (interval, count) = match cadence {
        Cadence::P1M => (CreatePriceRecurringInterval::Month, 1),
        Cadence::P3M => (CreatePriceRecurringInterval::Month, 3),
        Cadence::P1Y => (CreatePriceRecurringInterval::Year, 1),
    };
    // Every code becomes one: those that the client does not know are sent as they are.
    let currency = match currency.code().parse::<stripe_types::Currency>() {
        Ok(currency) => currency,
        Err(never) => match never {},
    };
    CreatePrice::new(currency).recurring(CreatePriceRecurring {
        interval_count: Some(count),
        ..CreatePriceRecurring::new(interval)
    })
}

fn request(version: &PriceVersion<'_>, native: &Native) -> CreatePrice {
    let request = recurring(version.currency, version.cadence);
    match native {
        Native::PerUnit(unit_amount) => request.unit_amount_decimal(unit_amount.to_string()),
        Native::Package { size, unit_amount } => request
            .unit_amount_decimal(unit_amount.to_string())
            .transform_quantity(CreatePriceTransformQuantity::new(
                *size,
                CreatePriceTransformQuantityRound::Up,
            )),
        Native::Graduated(tiers) => tiered(request, PriceTiersMode::Graduated, tiers),
        Native::Volume(tiers) => tiered(request, PriceTiersMode::Volume, tiers),
    }
}

fn tiered(request: CreatePrice, mode: PriceTiersMode, tiers: &[Tier]) -> CreatePrice {
    let tiers: Vec<CreatePriceTiers> = tiers
        .iter()
        .map(|tier| {
            let up_to = tier.up_to.and_then(Quantity::as_whole);
            let mut wire =
                CreatePriceTiers::new(up_to.map_or(CreatePriceTiersUpTo::Inf, CreatePriceTiersUpTo::I64));
            wire.unit_amount_decimal = Some(tier.unit_amount.to_string());
            wire.flat_amount_decimal = tier.flat_amount.map(|amount| amount.to_string());
            wire
        })
        .collect();
    request
        .billing_scheme(PriceBillingScheme::Tiered)
        .tiers_mode(mode)
        .tiers(tiers)
}

fn unexpected(reason: String) -> StripeError {
    StripeError::Unexpected { reason }
}

#[cfg(test)]
mod tests;
