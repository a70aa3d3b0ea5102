//! What a quantity costs: the eight pricing types, and what may come before and after them.
//!
//! # How it works
//! Free units are taken off the quantity, the rest is priced, a discount is taken off the price, and a minimum commitment lifts
//! what is left. All of that is exact: a fraction of `i128`s, never a float. It is rounded once, at the end, half away from
//! zero, to whole minor units.
//!
//! What belongs to several products (a percentage of a plan) is for [`crate::estimate`], and shares of a period for
//! [`crate::proration`]. How a pricing is told to Stripe is for the crate that talks to Stripe.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal::{Percentage, Quantity, UnitAmount};

mod amount;
mod validity;

pub use amount::{Amount, Unpriceable};
pub use validity::Fault;

/// How a product is priced, in the minor units of its plan's currency.
///
/// Told and stored as one object: the members of the pricing type beside `pricing_type`, and the features that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Pricing {
    model: Model,
    features: Features,
}

/// What may come before and after a pricing type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// So many units cost nothing: what is priced is the rest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub free_units: Quantity,
    /// Taken off the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
    /// What a full period costs at least, after the discount, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_commitment: Option<i64>,
}

/// Something taken off a price, told as `{"percent": "12.5"}` or `{"amount": 500}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discount {
    /// A share of the price, at most all of it.
    Percent(Percentage),
    /// So many minor units, at most the price.
    Amount(i64),
}

/// The eight pricing types. Source: chapter "Pricing" of the contract, `docs/api.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "pricing_type", rename_all = "snake_case")]
pub enum Model {
    /// The same, whatever the quantity.
    FlatFee {
        /// For a period.
        unit_amount: UnitAmount,
    },
    /// So much for each unit.
    PerUnit {
        /// For a unit.
        unit_amount: UnitAmount,
    },
    /// Graduated: each unit at the price of the tier that it falls in.
    Tiered {
        /// From the first unit to the last; the last tier has no end.
        tiers: Vec<Tier>,
    },
    /// All units at the price of the one tier that the quantity falls in.
    Volume {
        /// As for graduated tiers.
        tiers: Vec<Tier>,
    },
    /// One amount for a band of quantities.
    Step {
        /// From the lowest to the highest; the last has no end.
        tiers: Vec<Band>,
    },
    /// By the package, and a package that is begun is paid for.
    Package {
        /// Units in a package.
        package_size: Quantity,
        /// For a package.
        unit_amount: UnitAmount,
    },
    /// A percentage of an amount.
    Percent {
        /// The share.
        percentage: Percentage,
        /// What it is a share of.
        #[serde(default, skip_serializing_if = "PercentBase::is_default")]
        base: PercentBase,
        /// At least that, in minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<i64>,
        /// At most that, in minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<i64>,
    },
    /// So much for each unit, by what it is.
    Matrix {
        /// The names of what the price depends on.
        dimensions: Vec<String>,
        /// A price for each combination that is sold.
        values: Vec<Cell>,
    },
}

/// One tier of a graduated or volume price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The last quantity that is in it; none in the last tier.
    #[serde(default)]
    pub up_to: Option<Quantity>,
    /// For each unit.
    pub unit_amount: UnitAmount,
    /// For having entered the tier. The first tier is always entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat_amount: Option<UnitAmount>,
}

/// One band of a step price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// The last quantity that is in it; none in the last band.
    #[serde(default)]
    pub up_to: Option<Quantity>,
    /// For any quantity in it.
    pub flat_amount: UnitAmount,
}

/// What a percentage is taken of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PercentBase {
    /// The quantity: it is itself an amount of minor units, such as a turnover.
    #[default]
    Quantity,
    /// What the plan's other products cost for a full period, percentages of the plan left out.
    Plan,
}

impl PercentBase {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One value of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// What each dimension has to be.
    #[serde(rename = "match")]
    pub matches: Dimensions,
    /// For a unit.
    pub unit_amount: UnitAmount,
}

/// What a unit is, by the names of a matrix' dimensions.
pub type Dimensions = BTreeMap<String, String>;

/// A pricing as it is written, before it is held to the rules.
#[derive(Serialize, Deserialize)]
struct Unchecked {
    #[serde(flatten)]
    model: Model,
    #[serde(flatten)]
    features: Features,
}

impl Pricing {
    /// A pricing that can price: tiers that rise and end open, amounts that are not negative, features that mean something.
    /// Answers everything that is wrong.
    pub fn new(model: Model, features: Features) -> Result<Self, Vec<Fault>> {
        let faults = validity::faults(&model, &features);
        if faults.is_empty() {
            Ok(Self { model, features })
        } else {
            Err(faults)
        }
    }

    /// A pricing type with nothing before or after it.
    pub fn plain(model: Model) -> Result<Self, Vec<Fault>> {
        Self::new(model, Features::default())
    }

    /// The pricing type.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What comes before and after it.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Whether it is a share of what the rest of its plan costs.
    #[must_use]
    pub fn is_of_plan(&self) -> bool {
        matches!(
            self.model,
            Model::Percent {
                base: PercentBase::Plan,
                ..
            }
        )
    }

    /// What one unit costs, where that is one amount whatever the quantity.
    #[must_use]
    pub fn unit_amount(&self) -> Option<UnitAmount> {
        match self.model {
            Model::FlatFee { unit_amount }
            | Model::PerUnit { unit_amount }
            | Model::Package { unit_amount, .. } => Some(unit_amount),
            _ => None,
        }
    }
}

impl TryFrom<Unchecked> for Pricing {
    type Error = String;
    fn try_from(unchecked: Unchecked) -> Result<Self, String> {
        Self::new(unchecked.model, unchecked.features).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            told.join("; ")
        })
    }
}

impl From<Pricing> for Unchecked {
    fn from(pricing: Pricing) -> Self {
        Self {
            model: pricing.model,
            features: pricing.features,
        }
    }
}

fn is_zero(quantity: &Quantity) -> bool {
    *quantity == Quantity::ZERO
}

#[cfg(test)]
mod tests;
