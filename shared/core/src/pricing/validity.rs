//! When a pricing can price.
//!
//! Every fault names the member that it is about, by its path, so that whoever reads a file can say where it is.

use std::fmt;

use super::{Cell, Discount, Features, Model, PercentBase};
use crate::decimal::{Percentage, Quantity, UnitAmount};

/// Something wrong with a pricing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The member, such as `tiers[1].up_to`.
    pub member: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.member, self.fault)
    }
}

const NEGATIVE: &str = "must be 0 or more";

/// Everything that is wrong.
pub(super) fn faults(model: &Model, features: &Features) -> Vec<Fault> {
    let mut faults = Faults::default();
    match model {
        Model::FlatFee { unit_amount } | Model::PerUnit { unit_amount } => {
            faults.amount("unit_amount", *unit_amount);
        }
        Model::Tiered { tiers } | Model::Volume { tiers } => {
            faults.bounds(tiers.iter().map(|tier| tier.up_to));
            for (at, tier) in tiers.iter().enumerate() {
                faults.amount(&format!("tiers[{at}].unit_amount"), tier.unit_amount);
                faults.amount(
                    &format!("tiers[{at}].flat_amount"),
                    tier.flat_amount.unwrap_or_default(),
                );
            }
        }
        Model::Step { tiers } => {
            faults.bounds(tiers.iter().map(|band| band.up_to));
            for (at, band) in tiers.iter().enumerate() {
                faults.amount(&format!("tiers[{at}].flat_amount"), band.flat_amount);
            }
        }
        Model::Package {
            package_size,
            unit_amount,
        } => {
            if *package_size <= Quantity::ZERO {
                faults.add("package_size", "must be more than 0");
            }
            faults.amount("unit_amount", *unit_amount);
        }
        Model::Percent { minimum, maximum, .. } => {
            faults.minor("minimum", *minimum);
            faults.minor("maximum", *maximum);
            if let (Some(minimum), Some(maximum)) = (minimum, maximum)
                && minimum > maximum
            {
                faults.add("maximum", "must not be below the minimum");
            }
        }
        Model::Matrix { dimensions, values } => faults.matrix(dimensions, values),
    }
    faults.features(model, features);
    faults.0
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, member: &str, fault: &'static str) {
        self.0.push(Fault {
            member: member.to_owned(),
            fault,
        });
    }

    fn amount(&mut self, member: &str, amount: UnitAmount) {
        if amount.is_negative() {
            self.add(member, NEGATIVE);
        }
    }

    fn minor(&mut self, member: &str, amount: Option<i64>) {
        if amount.is_some_and(|amount| amount < 0) {
            self.add(member, NEGATIVE);
        }
    }

    /// Strictly increasing, and only the last one open.
    fn bounds(&mut self, bounds: impl ExactSizeIterator<Item = Option<Quantity>>) {
        let last = bounds.len().checked_sub(1);
        if last.is_none() {
            self.add("tiers", "must not be empty");
        }
        let mut before = Quantity::ZERO;
        for (at, bound) in bounds.enumerate() {
            let member = format!("tiers[{at}].up_to");
            match bound {
                Some(_) if Some(at) == last => self.add(&member, "must be absent in the last tier"),
                Some(up_to) if up_to <= before => {
                    self.add(&member, "must be more than in the tier before, and more than 0");
                }
                Some(up_to) => before = up_to,
                None if Some(at) != last => self.add(&member, "must be given in all tiers but the last"),
                None => {}
            }
        }
    }

    fn matrix(&mut self, dimensions: &[String], values: &[Cell]) {
        if dimensions.is_empty() {
            self.add("dimensions", "must not be empty");
        }
        for (at, name) in dimensions.iter().enumerate() {
            if name.is_empty() || dimensions[..at].contains(name) {
                self.add(&format!("dimensions[{at}]"), "must be a name that is given once");
            }
        }
        if values.is_empty() {
            self.add("values", "must not be empty");
        }
        for (at, value) in values.iter().enumerate() {
            let member = format!("values[{at}].match");
            let names_all = value.matches.len() == dimensions.len()
                && dimensions.iter().all(|name| value.matches.contains_key(name));
            if !names_all {
                self.add(&member, "must name every dimension and nothing else");
            }
            if values[..at].iter().any(|other| other.matches == value.matches) {
                self.add(&member, "is given twice");
            }
            self.amount(&format!("values[{at}].unit_amount"), value.unit_amount);
        }
    }

    /// A feature that could not change anything is a mistake of whoever wrote it.
    fn features(&mut self, model: &Model, features: &Features) {
        let counts = match model {
            Model::FlatFee { .. } => false,
            Model::Percent { base, .. } => *base == PercentBase::Quantity,
            _ => true,
        };
        if features.free_units.is_negative() {
            self.add("free_units", NEGATIVE);
        } else if features.free_units != Quantity::ZERO && !counts {
            self.add("free_units", "means nothing where the quantity is not priced");
        }
        match features.discount {
            Some(Discount::Percent(share)) if share.ten_thousandths() > Percentage::WHOLE => {
                self.add("discount.percent", "must be 100 or less");
            }
            Some(Discount::Amount(amount)) if amount < 0 => self.add("discount.amount", NEGATIVE),
            _ => {}
        }
        self.minor("minimum_commitment", features.minimum_commitment);
    }
}
