//! Products, prices and the older plans that strict clients still want in a subscription's items.

use serde_json::{Value, json};

use super::{maybe_id, seconds, word};
use crate::id::Id;
use crate::state::{
    Interval, Price, PriceAmounts, Product, Recurrence, RoundTo, Tier, TiersMode, UnitAmount, UsageType,
};

pub(crate) fn product(product: &Product) -> Value {
    json!({
        "id": product.id.as_str(),
        "object": "product",
        "active": product.active,
        "created": seconds(product.created),
        "default_price": maybe_id(product.default_price.as_ref()),
        "description": product.description,
        "images": product.images,
        "livemode": false,
        "marketing_features": [],
        "metadata": product.metadata,
        "name": product.name,
        "package_dimensions": null,
        "shippable": product.shippable,
        "statement_descriptor": product.statement_descriptor,
        "tax_code": product.tax_code,
        "type": "service",
        "unit_label": product.unit_label,
        "updated": seconds(product.updated),
        "url": product.url,
    })
}

pub(crate) fn price(price: &Price) -> Value {
    let (unit_amount, unit_amount_decimal) = unit_amounts(price);
    json!({
        "id": price.id.as_str(),
        "object": "price",
        "active": price.active,
        "billing_scheme": billing_scheme(price),
        "created": seconds(price.created),
        "currency": price.currency.as_str(),
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": price.lookup_key,
        "metadata": price.metadata,
        "nickname": price.nickname,
        "product": price.product.as_str(),
        "recurring": price.recurring.as_ref().map(recurring),
        "tax_behavior": price.tax_behavior,
        "tiers_mode": tiers_mode(price),
        "transform_quantity": transform_quantity(price),
        "type": if price.recurring.is_some() { "recurring" } else { "one_time" },
        "unit_amount": unit_amount,
        "unit_amount_decimal": unit_amount_decimal,
    })
}

fn recurring(recurrence: &Recurrence) -> Value {
    json!({
        "interval": word(&Interval::WORDS, recurrence.interval),
        "interval_count": recurrence.interval_count,
        "meter": recurrence.meter,
        "trial_period_days": null,
        "usage_type": word(&UsageType::WORDS, recurrence.usage_type),
    })
}

/// A recurring price in the shape that plans had. None for a price that is paid once.
pub(super) fn plan(price: &Price) -> Option<Value> {
    let recurrence = price.recurring.as_ref()?;
    let (amount, amount_decimal) = unit_amounts(price);
    Some(json!({
        "id": price.id.as_str(),
        "object": "plan",
        "active": price.active,
        "amount": amount,
        "amount_decimal": amount_decimal,
        "billing_scheme": billing_scheme(price),
        "created": seconds(price.created),
        "currency": price.currency.as_str(),
        "interval": word(&Interval::WORDS, recurrence.interval),
        "interval_count": recurrence.interval_count,
        "livemode": false,
        "metadata": price.metadata,
        "meter": recurrence.meter,
        "nickname": price.nickname,
        "product": price.product.as_str(),
        "tiers_mode": tiers_mode(price),
        "transform_usage": transform_quantity(price),
        "trial_period_days": null,
        "usage_type": word(&UsageType::WORDS, recurrence.usage_type),
    }))
}

/// The tiers of a tiered price: left out of it unless asked for.
pub(super) fn tiers(price: &Price) -> Option<Value> {
    match &price.amounts {
        PriceAmounts::PerUnit(_) => None,
        PriceAmounts::Tiered { tiers, .. } => Some(Value::Array(tiers.iter().map(tier).collect())),
    }
}

fn tier(tier: &Tier) -> Value {
    json!({
        "flat_amount": tier.flat.and_then(UnitAmount::minor),
        "flat_amount_decimal": tier.flat.map(String::from),
        "unit_amount": tier.unit.and_then(UnitAmount::minor),
        "unit_amount_decimal": tier.unit.map(String::from),
        "up_to": tier.up_to,
    })
}

fn unit_amounts(price: &Price) -> (Option<i64>, Option<String>) {
    match &price.amounts {
        PriceAmounts::PerUnit(unit) => (unit.minor(), Some(unit.to_string())),
        PriceAmounts::Tiered { .. } => (None, None),
    }
}

fn billing_scheme(price: &Price) -> &'static str {
    match price.amounts {
        PriceAmounts::PerUnit(_) => "per_unit",
        PriceAmounts::Tiered { .. } => "tiered",
    }
}

fn tiers_mode(price: &Price) -> Option<&'static str> {
    match price.amounts {
        PriceAmounts::PerUnit(_) => None,
        PriceAmounts::Tiered { mode, .. } => Some(word(&TiersMode::WORDS, mode)),
    }
}

fn transform_quantity(price: &Price) -> Option<Value> {
    let transform = price.transform_quantity?;
    Some(json!({ "divide_by": transform.divide_by, "round": word(&RoundTo::WORDS, transform.round) }))
}
