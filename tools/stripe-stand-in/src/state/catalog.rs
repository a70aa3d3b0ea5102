//! Products and prices.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata, UnitAmount};
use crate::id::{PriceId, ProductId};

/// What is sold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) active: bool,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) default_price: Option<PriceId>,
    pub(crate) images: Vec<String>,
    pub(crate) shippable: Option<bool>,
    pub(crate) statement_descriptor: Option<String>,
    pub(crate) tax_code: Option<String>,
    pub(crate) unit_label: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) metadata: Metadata,
}

row!(Product, ProductId, "product");

/// What it costs, and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) id: PriceId,
    pub(crate) created: Timestamp,
    pub(crate) active: bool,
    pub(crate) currency: Currency,
    pub(crate) product: ProductId,
    pub(crate) amounts: PriceAmounts,
    pub(crate) transform_quantity: Option<TransformQuantity>,
    /// None for a price that is paid once.
    pub(crate) recurring: Option<Recurrence>,
    pub(crate) nickname: Option<String>,
    pub(crate) lookup_key: Option<String>,
    pub(crate) tax_behavior: String,
    pub(crate) metadata: Metadata,
}

row!(Price, PriceId, "price");

/// How the amount follows from the quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum PriceAmounts {
    PerUnit(UnitAmount),
    Tiered { mode: TiersMode, tiers: Vec<Tier> },
}

/// One step of a tiered price: up to and including `up_to` units.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tier {
    /// None in the last tier, which has no end.
    pub(crate) up_to: Option<u64>,
    pub(crate) unit: Option<UnitAmount>,
    pub(crate) flat: Option<UnitAmount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TiersMode {
    /// Each unit at the price of the tier it falls in.
    Graduated,
    /// All units at the price of the tier that the whole quantity falls in.
    Volume,
}

/// Divides the quantity before it is priced: sold by the dozen.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct TransformQuantity {
    pub(crate) divide_by: u64,
    pub(crate) round: RoundTo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RoundTo {
    Down,
    Up,
}

/// How often a recurring price is charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recurrence {
    pub(crate) interval: Interval,
    pub(crate) interval_count: u32,
    pub(crate) usage_type: UsageType,
    pub(crate) meter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Interval {
    Day,
    Week,
    Month,
    Year,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UsageType {
    /// Paid for the quantity that was set.
    Licensed,
    /// Paid for what was used.
    Metered,
}

impl Interval {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("year", Self::Year),
    ];
}

impl UsageType {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("licensed", Self::Licensed), ("metered", Self::Metered)];
}

impl TiersMode {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("graduated", Self::Graduated), ("volume", Self::Volume)];
}

impl RoundTo {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("down", Self::Down), ("up", Self::Up)];
}
