//! What somebody takes of a plan: which of its products, and how many of each.
//!
//! A configuration holds the products as they were offered, with their prices and bounds. Kept in a contract, it is what the
//! contract was sold at, whatever becomes of the plan.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::calendar::{AnchorRule, Cadence};
use crate::catalog::{Plan, Product};
use crate::decimal::Quantity;
use crate::id::{OfferedId, PlanId, PriceId};
use crate::invalid::Invalid;
use crate::money::Currency;
use crate::pricing::{Dimensions, Model};

/// The member of the request that changes come in.
const OVERRIDES: &str = "product_overrides";

/// A plan with choices made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The plan that it is of.
    pub plan: PlanId,
    /// What all amounts are in.
    pub currency: Currency,
    /// How often it is billed.
    pub cadence: Cadence,
    /// From when on the periods of a new contract are counted.
    #[serde(default)]
    pub anchor: AnchorRule,
    /// All products of the plan, also those that are left out: so that they can be taken later, at the price of today.
    pub products: Vec<Chosen>,
}

/// A product with choices made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// As it was offered.
    pub product: Product,
    /// Whether it is taken.
    pub is_enabled: bool,
    /// How many.
    pub quantity: Quantity,
    /// What a unit is, for a matrix price.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
}

/// A choice: one of `product_overrides`, read and not yet held to the plan. What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Of which product.
    pub product_id: OfferedId,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Whether it is taken. A quantity alone takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// What a unit is, for a matrix price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
}

impl Configuration {
    /// A plan as it is offered, with no choice made.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            plan: plan.id.clone(),
            currency: plan.currency,
            cadence: plan.cadence,
            anchor: plan.anchor,
            products: plan.products.iter().map(Chosen::of).collect(),
        }
    }

    /// The same with choices made. Answers everything that is wrong with them, under `product_overrides`.
    pub fn with(&self, overrides: &[Override]) -> Result<Self, Invalid> {
        let mut changed = self.clone();
        let mut invalid = Invalid::default();
        let mut named = BTreeSet::new();
        for change in overrides {
            let id = &change.product_id;
            if !named.insert(id) {
                invalid.field(OVERRIDES, format!("product {id} is given twice"));
                continue;
            }
            let Some(chosen) = changed
                .products
                .iter_mut()
                .find(|chosen| chosen.product.id == *id)
            else {
                invalid.field(OVERRIDES, format!("product {id} is not part of the plan"));
                continue;
            };
            if let Err(fault) = chosen.change(change) {
                invalid.field(OVERRIDES, format!("product {id} {fault}"));
            }
        }
        if changed.taken().next().is_none() {
            invalid.field(OVERRIDES, "at least one product must be taken");
        }
        if invalid.is_empty() {
            Ok(changed)
        } else {
            Err(invalid)
        }
    }

    /// The products that are taken, in the plan's order.
    pub fn taken(&self) -> impl Iterator<Item = &Chosen> {
        self.products.iter().filter(|chosen| chosen.is_enabled)
    }
}

impl Chosen {
    /// Which price of the catalog it is billed by at Stripe, and as how many: whole ones, or one of a flat fee. None for what Stripe
    /// cannot express, which is billed as one of a price that is made of its amount.
    #[must_use]
    pub fn native(&self) -> Option<(&PriceId, u64)> {
        let quantity = match self.product.price.pricing.model() {
            Model::FlatFee { .. } => Some(1),
            _ => self
                .quantity
                .as_whole()
                .and_then(|quantity| quantity.try_into().ok()),
        };
        self.product.price.stripe_price.as_ref().zip(quantity)
    }

    fn of(product: &Product) -> Self {
        Self {
            is_enabled: product.required || product.default_quantity != Quantity::ZERO,
            quantity: product.default_quantity,
            dimensions: product.dimensions.clone(),
            product: product.clone(),
        }
    }

    fn change(&mut self, change: &Override) -> Result<(), String> {
        if self.product.required && change.is_enabled == Some(false) {
            return Err("is required and cannot be dropped".to_owned());
        }
        if change.is_enabled == Some(false) && change.quantity.is_some() {
            return Err("is dropped, so it can have no quantity".to_owned());
        }
        self.is_enabled = change
            .is_enabled
            .unwrap_or(self.is_enabled || change.quantity.is_some());
        if let Some(quantity) = change.quantity {
            self.quantity = quantity;
        } else if self.is_enabled && self.quantity == Quantity::ZERO && !self.product.required {
            // Wanted without saying how many: as few as there may be, but one.
            self.quantity = self.product.min.max(Quantity::whole(1));
        }
        if self.is_enabled && !self.product.allows(self.quantity) {
            let min = self.product.min;
            return Err(match self.product.max {
                Some(max) => format!("must have a quantity from {min} to {max}"),
                None => format!("must have a quantity of at least {min}"),
            });
        }
        if let Some(dimensions) = &change.dimensions {
            match self.product.price.pricing.model() {
                Model::Matrix { values, .. } if values.iter().any(|cell| cell.matches == *dimensions) => {
                    self.dimensions.clone_from(dimensions);
                }
                Model::Matrix { .. } => return Err("has no price for these dimensions".to_owned()),
                _ => return Err("has no dimensions".to_owned()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
