//! What organisations sell: business entities, customers, plans, products and their prices.
//!
//! A plan is what is offered; [`crate::offer`] is what somebody takes of it. A price never changes: a product gets a new version of
//! it, and contracts keep the version that they were sold at. [`crate::plan`] is something else: the one price for each interval
//! of the account's own subscription.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::{AnchorRule, Cadence, Zone};
use crate::contact::{Email, Name};
use crate::decimal::Quantity;
use crate::estimate;
use crate::id::{BusinessEntityId, BuyerId, CustomerId, OfferedId, PlanId, PriceId, ProductId};
use crate::money::{Currency, Money};
use crate::offer::Configuration;
use crate::pricing::{Dimensions, Model, Pricing};

/// The most products of a plan. Source: Stripe's limit of items on a subscription.
const MOST_PRODUCTS: usize = 20;

/// The part of an organisation that sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusinessEntity {
    /// Its id.
    pub id: BusinessEntityId,
    /// For people.
    pub name: Name,
    /// Decides which day it is.
    pub time_zone: Zone,
}

/// A customer of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// Its id: the `customer_id` of the API.
    pub id: BuyerId,
    /// Whom it buys from.
    pub business_entity: BusinessEntityId,
    /// For people and for Stripe.
    pub name: Name,
    /// For Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Its customer at Stripe, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// When Stripe was first asked for that customer: it may exist from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_asked_at: Option<Timestamp>,
    /// How many customers it lost there: Stripe failed for good to make them. Names the next one's creation.
    #[serde(default)]
    pub lost_customers: u64,
}

/// One version of a product's price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Counted from 1, for each product on its own.
    pub version: u32,
    /// How it is priced.
    pub pricing: Pricing,
    /// Stripe's price of the same amounts, where Stripe can express it; otherwise what it costs reaches Stripe as an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_price: Option<PriceId>,
}

/// A product of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its id: the `product_id` of the API.
    pub id: OfferedId,
    /// For people, on invoices.
    pub name: String,
    /// Whether it belongs to the plan without a choice. One that does not can be dropped.
    pub required: bool,
    /// How many there are unless somebody says otherwise. An optional product with none is left out until somebody wants it.
    pub default_quantity: Quantity,
    /// The fewest.
    pub min: Quantity,
    /// The most; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Quantity>,
    /// What a unit is, for a matrix price.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The price at present.
    pub price: Price,
    /// Stripe's product of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_product: Option<ProductId>,
}

/// A plan, as it is offered at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id: the `plan_id` of the API.
    pub id: PlanId,
    /// For people.
    pub name: String,
    /// What all its amounts are in.
    pub currency: Currency,
    /// How often it is billed.
    pub cadence: Cadence,
    /// From when on periods are counted.
    #[serde(default)]
    pub anchor: AnchorRule,
    /// What it consists of.
    pub products: Vec<Product>,
    /// Whether it is offered to nobody. Its contracts go on; a new one cannot begin, and none can change to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// Something wrong with a plan. Members of a product are told by its position: `products[0].max`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {fault}")]
pub struct PlanFault {
    /// Which member.
    pub member: String,
    /// What is wrong with it.
    pub fault: String,
}

impl Plan {
    /// Everything that is wrong with it; pricings are right by their type.
    #[must_use]
    pub fn faults(&self) -> Vec<PlanFault> {
        let mut faults = Vec::new();
        let mut add = |member: String, fault: &str| {
            faults.push(PlanFault {
                member,
                fault: fault.to_owned(),
            });
        };
        if !is_named(&self.name) {
            add("name".to_owned(), NOT_A_NAME);
        }
        if matches!(self.anchor, AnchorRule::DayOfYear { .. }) && self.cadence != Cadence::P1Y {
            add(
                "anchor".to_owned(),
                "a day of the year is for a plan that is billed by the year",
            );
        }
        if !self.anchor.is_in_every_period() {
            add(
                "anchor".to_owned(),
                "must be a day that every period has: 1 to 28 of a month, any but 29 February of a year",
            );
        }
        if self.products.is_empty() || self.products.len() > MOST_PRODUCTS {
            add("products".to_owned(), "must be 1 to 20");
        }
        for (at, product) in self.products.iter().enumerate() {
            if self.products[..at].iter().any(|other| other.id == product.id) {
                add(format!("products[{at}].id"), "is given twice");
            }
            for (member, fault) in product.faults() {
                add(format!("products[{at}].{member}"), fault);
            }
        }
        faults
    }

    /// What of it Stripe would not charge.
    #[must_use]
    pub fn uncharged(&self) -> Vec<PlanFault> {
        let mut faults = Vec::new();
        let mut add = |member: &str, fault: String| {
            faults.push(PlanFault {
                member: member.to_owned(),
                fault,
            });
        };
        if self.currency.granule() > 1 {
            add("currency", NOT_SOLD_IN.to_owned());
        }
        if self.comes_to_too_little() {
            let least = Money {
                minor: self.currency.least_charged(),
                currency: self.currency,
            };
            add(
                "products",
                format!(
                    "come to less than can be charged at once with their default quantities: the least is {least}"
                ),
            );
        }
        faults
    }

    /// Whether a full period of what is sold unless somebody says otherwise costs something, and less than Stripe charges at once. One that
    /// cannot be priced has another fault.
    fn comes_to_too_little(&self) -> bool {
        let configuration = Configuration::of(self);
        let amounts = estimate::full_amounts(&configuration).unwrap_or_default();
        let total: i128 = amounts.iter().map(|(_, amount)| i128::from(*amount)).sum();
        total > 0 && total < i128::from(self.currency.least_charged())
    }

    /// The product of an id.
    #[must_use]
    pub fn product(&self, id: &OfferedId) -> Option<&Product> {
        self.products.iter().find(|product| product.id == *id)
    }
}

/// The longest name of a plan or product. Source: what Stripe shows on an invoice line.
const LONGEST_NAME: usize = 250;
/// A share of a period may be any amount of minor units, and a quote is what is charged.
const NOT_SOLD_IN: &str = "is a currency of which Stripe charges round amounts only: what a share of a period would be charged at cannot be told";
const NOT_A_NAME: &str = "must be 1 to 250 characters";

fn is_named(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

impl Product {
    fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if !is_named(&self.name) {
            faults.push(("name", NOT_A_NAME));
        }
        if self.min.is_negative() {
            faults.push(("min", "must be 0 or more"));
        }
        if self
            .max
            .is_some_and(|max| max < self.min || max <= Quantity::ZERO)
        {
            faults.push(("max", "must not be below the minimum, and more than 0"));
        }
        let left_out = !self.required && self.default_quantity == Quantity::ZERO;
        if !left_out && !self.allows(self.default_quantity) {
            faults.push(("default_quantity", "must lie between min and max"));
        }
        if let Model::Matrix { values, .. } = self.price.pricing.model()
            && !values.iter().any(|cell| cell.matches == self.dimensions)
        {
            faults.push(("dimensions", "must be those of one of the price's values"));
        }
        faults
    }

    /// Whether there may be so many.
    #[must_use]
    pub fn allows(&self, quantity: Quantity) -> bool {
        self.min <= quantity && self.max.is_none_or(|max| quantity <= max)
    }
}
