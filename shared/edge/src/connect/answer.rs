//! What is told of a subscription. The mixed casing is the contract's: Stripe's words beside ours.

use billing_core::Timestamp;
use billing_core::connect::contract::{Contract, Line};
use billing_core::connect::sale::Sale;
use serde::Serialize;

/// A subscription on a connected account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectAnswer {
    id: String,
    r#type: &'static str,
    status: String,
    customer: Customer,
    current_period_start: Option<i64>,
    current_period_end: Option<i64>,
    #[serde(rename = "startDate")]
    start_date: Option<i64>,
    created: i64,
    collection_method: &'static str,
    cancel_at_period_end: bool,
    canceled_at: Option<i64>,
    product: Product,
    automatic_tax: bool,
    coupon: String,
    #[serde(rename = "priceIds")]
    price_ids: Vec<String>,
    agents: String,
    #[serde(rename = "cancelAtPeriodEndDisplay")]
    cancel_at_period_end_display: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Customer {
    id: String,
    email: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Product {
    id: String,
    name: String,
}

impl ConnectAnswer {
    /// A sale, by what Stripe has of it.
    #[must_use]
    pub fn of(sale: &Sale, contract: &Contract) -> Self {
        let second = |at: Timestamp| at.as_second();
        let flat = contract.flat();
        let product = flat.map_or(&sale.terms.product, |line| &line.price.product);
        // A list does not say what a product is called; what it was called when it was sold will do.
        let name = flat.and_then(|line| line.name.clone());
        let name = name.unwrap_or_else(|| sale.terms.name.clone());
        let priced = [flat, contract.metered()];
        let price = |line: &Line| line.price.id.to_string();
        Self {
            id: contract.id().to_owned(),
            r#type: if contract.subscription.is_some() {
                "subscription"
            } else {
                "schedule"
            },
            status: contract.status.clone(),
            customer: Customer {
                id: contract.customer.to_string(),
                email: contract.email.clone(),
            },
            current_period_start: contract.period.map(|period| second(period.start)),
            current_period_end: contract.period.map(|period| second(period.end)),
            start_date: contract.start.map(second),
            created: second(contract.created),
            collection_method: "charge_automatically",
            cancel_at_period_end: contract.ends,
            canceled_at: contract.canceled_at.map(second),
            product: Product {
                id: product.to_string(),
                name,
            },
            automatic_tax: contract.taxed,
            coupon: contract
                .coupon
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            price_ids: priced.into_iter().flatten().map(price).collect(),
            agents: sale.agents_shown(),
            cancel_at_period_end_display: contract.end_shown(),
        }
    }
}
