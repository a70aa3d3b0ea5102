//! The arithmetic of one product.

use super::{Band, Dimensions, Discount, Model, PercentBase, Pricing, Tier};
use crate::decimal::{Percentage, Quantity, UnitAmount};
use crate::money::{TooLarge, round_half_away};

/// What a product costs for a full period, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Before the discount; never below [`Self::net`].
    pub list: i64,
    /// What is charged.
    pub net: i64,
}

/// Why a quantity has no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpriceable {
    /// More than can be counted.
    #[error("{0}")]
    TooLarge(#[from] TooLarge),
    /// A matrix has no value for what is asked.
    #[error("has no price for {}", told(.0))]
    NoValue(Dimensions),
    /// A quantity below zero.
    #[error("the quantity must be 0 or more")]
    Negative,
}

fn told(dimensions: &Dimensions) -> String {
    if dimensions.is_empty() {
        return "no dimensions".to_owned();
    }
    let pairs: Vec<String> = dimensions
        .iter()
        .map(|(name, value)| format!("{name} {value:?}"))
        .collect();
    pairs.join(", ")
}

/// One minor unit: quantities have six decimals and unit amounts twelve, so their product has eighteen.
const UNIT: i128 = Quantity::ONE * UnitAmount::ONE;

impl Pricing {
    /// What a quantity costs for a full period. `plan` is what the rest of the plan costs, for a percentage of it.
    pub fn amount(
        &self,
        quantity: Quantity,
        dimensions: &Dimensions,
        plan: i64,
    ) -> Result<Amount, Unpriceable> {
        if quantity.is_negative() {
            return Err(Unpriceable::Negative);
        }
        let features = self.features();
        let priced = self
            .model()
            .exact(quantity.less(features.free_units), dimensions, plan)?;
        let (parts, whole) = match features.discount {
            None => (priced, UNIT),
            Some(Discount::Amount(amount)) => (priced - scaled(i128::from(amount))?, UNIT),
            Some(Discount::Percent(share)) => (
                times(priced, Percentage::WHOLE - share.ten_thousandths())?,
                UNIT * Percentage::WHOLE,
            ),
        };
        // Never below nothing, whatever the discount is.
        let committed = features.minimum_commitment.unwrap_or(0);
        // Rounding keeps order, and a commitment is whole: lifting before or after rounding is the same.
        let net = round_half_away(parts, whole)?.max(committed);
        let list = round_half_away(priced, UNIT)?.max(net);
        Ok(Amount { list, net })
    }
}

impl Model {
    /// In units of [`UNIT`].
    fn exact(&self, quantity: Quantity, dimensions: &Dimensions, plan: i64) -> Result<i128, Unpriceable> {
        let exact = match self {
            Self::FlatFee { unit_amount } => flat(*unit_amount),
            Self::PerUnit { unit_amount } => times(unit_amount.scaled(), quantity.scaled())?,
            Self::Tiered { tiers } => graduated(tiers, quantity)?,
            Self::Volume { tiers } => volume(tiers, quantity)?,
            Self::Step { tiers } => step(tiers, quantity),
            Self::Package {
                package_size,
                unit_amount,
            } => times(flat(*unit_amount), quantity.packages_of(*package_size))?,
            Self::Percent {
                percentage,
                base,
                minimum,
                maximum,
            } => {
                // A quantity is an amount with six decimals.
                let base = match base {
                    PercentBase::Quantity => quantity.scaled(),
                    PercentBase::Plan => times(i128::from(plan), Quantity::ONE)?,
                };
                // Six decimals of the quantity and six of the percentage: six more make a unit.
                let share = times(times(base, percentage.ten_thousandths())?, SHARE_TO_UNIT)?;
                let least = scaled(i128::from(minimum.unwrap_or(0)))?;
                let most = maximum.map(|most| scaled(i128::from(most))).transpose()?;
                share.max(least).min(most.unwrap_or(i128::MAX))
            }
            Self::Matrix { values, .. } => {
                let cell = values
                    .iter()
                    .find(|cell| cell.matches == *dimensions)
                    .ok_or_else(|| Unpriceable::NoValue(dimensions.clone()))?;
                times(cell.unit_amount.scaled(), quantity.scaled())?
            }
        };
        Ok(exact)
    }
}

/// From a quantity times a percentage to [`UNIT`].
const SHARE_TO_UNIT: i128 = UNIT / (Quantity::ONE * Percentage::WHOLE);

/// All units at the price of the tier that the quantity falls in.
fn volume(tiers: &[Tier], quantity: Quantity) -> Result<i128, TooLarge> {
    let tier = tiers.iter().find(|tier| is_within(tier.up_to, quantity));
    tier.map_or(Ok(0), |tier| of_tier(tier, quantity))
}

/// Each unit at the price of its own tier. A tier's flat amount is due as soon as the tier is entered; the first always is.
fn graduated(tiers: &[Tier], quantity: Quantity) -> Result<i128, TooLarge> {
    let mut total: i128 = 0;
    let mut before = Quantity::ZERO;
    for tier in tiers {
        let end = tier.up_to.map_or(quantity, |up_to| up_to.min(quantity));
        total = total
            .checked_add(of_tier(tier, end.less(before))?)
            .ok_or(TooLarge)?;
        if end == quantity {
            break;
        }
        before = end;
    }
    Ok(total)
}

fn of_tier(tier: &Tier, units: Quantity) -> Result<i128, TooLarge> {
    let flat_amount = tier.flat_amount.map_or(0, flat);
    times(tier.unit_amount.scaled(), units.scaled())?
        .checked_add(flat_amount)
        .ok_or(TooLarge)
}

/// The flat amount of the band.
fn step(bands: &[Band], quantity: Quantity) -> i128 {
    let band = bands.iter().find(|band| is_within(band.up_to, quantity));
    band.map_or(0, |band| flat(band.flat_amount))
}

/// Bounds are inclusive.
fn is_within(up_to: Option<Quantity>, quantity: Quantity) -> bool {
    up_to.is_none_or(|up_to| quantity <= up_to)
}

/// An amount that is due once.
fn flat(amount: UnitAmount) -> i128 {
    // At most 15 digits and 12 + 6 places: within the 38 digits of an `i128`.
    amount.scaled() * Quantity::ONE
}

/// Whole minor units in [`UNIT`]s.
fn scaled(minor: i128) -> Result<i128, TooLarge> {
    times(minor, UNIT)
}

fn times(a: i128, b: i128) -> Result<i128, TooLarge> {
    a.checked_mul(b).ok_or(TooLarge)
}
