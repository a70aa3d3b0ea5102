//! Prices: per unit or tiered, once or recurring, found by lookup keys.

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, limits, named, products, referred};
use crate::id::{Id, ProductId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{
    Interval, Price, PriceAmounts, Product, Recurrence, RoundTo, Tier, TiersMode, TransformQuantity,
    UnitAmount, UsageType,
};

const TAX_BEHAVIORS: [(&str, &str); 3] = [
    ("exclusive", "exclusive"),
    ("inclusive", "inclusive"),
    ("unspecified", "unspecified"),
];

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let currency = params
        .parsed("currency", "currency")?
        .ok_or_else(|| Refusal::missing("currency"))?;
    let amounts = read_amounts(params)?;
    let recurring = params
        .child("recurring")?
        .map(|recurring| read_recurrence(&recurring))
        .transpose()?;
    let transform_quantity = params
        .child("transform_quantity")?
        .map(|child| read_transform(&child))
        .transpose()?;
    let active = params.boolean("active")?.unwrap_or(true);
    let nickname = params.text("nickname")?;
    let lookup_key = params.text("lookup_key")?;
    let transfer = params.boolean("transfer_lookup_key")?.unwrap_or(false);
    let tax_behavior = params
        .choice("tax_behavior", &TAX_BEHAVIORS)?
        .unwrap_or("unspecified")
        .to_owned();
    let metadata = params.metadata()?;
    let new_product = params
        .child("product_data")?
        .map(|data| read_product(at, &data))
        .transpose()?;
    let known_product = params.text("product")?;
    params.unsupported(&["currency_options", "custom_unit_amount"])?;
    params.finish()?;

    limits::check_price(at.world.settings, &amounts, &currency)?;
    check_lookup_key(at, lookup_key.as_deref(), transfer)?;
    let product = match (new_product, known_product) {
        (Some(_), Some(_)) => {
            return Err(Refusal::invalid(
                "product_data",
                "You may only specify one of these parameters: product, product_data.",
            ));
        }
        (None, None) => return Err(Refusal::missing("product")),
        (None, Some(id)) => referred(&at.world.products, &id, "product")?.id.clone(),
        (Some(product), None) => add_product(at, product),
    };
    take_lookup_key(at, lookup_key.as_deref());
    let price = Price {
        id: at.world.ids.make(),
        created: at.now,
        active,
        currency,
        product,
        amounts,
        transform_quantity,
        recurring,
        nickname,
        lookup_key,
        tax_behavior,
        metadata,
    };
    let object = Object::Price(at.world.prices.insert(price));
    at.emit("price.created", &object);
    Ok(at.picture(&object))
}

fn read_amounts(params: &Params<'_>) -> Result<PriceAmounts, Refusal> {
    let scheme = params
        .choice("billing_scheme", &[("per_unit", false), ("tiered", true)])?
        .unwrap_or(false);
    let unit = read_unit_amount(params, "unit_amount")?;
    let mode = params.choice("tiers_mode", &TiersMode::WORDS)?;
    let tiers = params
        .children("tiers")?
        .iter()
        .map(read_tier)
        .collect::<Result<Vec<Tier>, Refusal>>()?;
    if !scheme {
        if !tiers.is_empty() || mode.is_some() {
            return Err(Refusal::invalid(
                "tiers",
                "You may only specify `tiers` when `billing_scheme` is `tiered`.",
            ));
        }
        let unit = unit.ok_or_else(|| Refusal::missing("unit_amount"))?;
        if unit < UnitAmount::whole(0) {
            return Err(Refusal::invalid_code(
                "parameter_invalid_integer",
                "unit_amount",
                "This value must be greater than or equal to 0.",
            ));
        }
        return Ok(PriceAmounts::PerUnit(unit));
    }
    let mode = mode.ok_or_else(|| Refusal::missing("tiers_mode"))?;
    if tiers.is_empty() {
        return Err(Refusal::missing("tiers"));
    }
    let rising = tiers.windows(2).all(|pair| match (pair[0].up_to, pair[1].up_to) {
        (Some(lower), Some(upper)) => lower < upper,
        (Some(_), None) => true,
        (None, _) => false,
    });
    let open_ended = tiers.last().is_some_and(|tier| tier.up_to.is_none());
    if !rising || !open_ended {
        return Err(Refusal::invalid(
            "tiers",
            "Tiers must rise, and the last one must be up to `inf`.",
        ));
    }
    Ok(PriceAmounts::Tiered { mode, tiers })
}

/// `unit_amount` in whole minor units or `unit_amount_decimal` with decimals, not both.
fn read_unit_amount(params: &Params<'_>, member: &str) -> Result<Option<UnitAmount>, Refusal> {
    let decimal_member = format!("{member}_decimal");
    let whole = params.integer(member)?.map(UnitAmount::whole);
    let decimal = params.parsed(&decimal_member, "decimal")?;
    if whole.is_some() && decimal.is_some() {
        let message = format!("You may only specify one of these parameters: {member}, {decimal_member}.");
        return Err(Refusal::invalid(&params.name_of(member), message));
    }
    Ok(whole.or(decimal))
}

fn read_tier(params: &Params<'_>) -> Result<Tier, Refusal> {
    let up_to = params.required_text("up_to")?;
    let up_to = match up_to.as_str() {
        "inf" => None,
        _ => params.count("up_to", 1)?,
    };
    let unit = read_unit_amount(params, "unit_amount")?;
    let flat = read_unit_amount(params, "flat_amount")?;
    if unit.is_none() && flat.is_none() {
        return Err(Refusal::missing(&params.name_of("unit_amount")));
    }
    Ok(Tier { up_to, unit, flat })
}

fn read_recurrence(params: &Params<'_>) -> Result<Recurrence, Refusal> {
    let interval = params.choice("interval", &Interval::WORDS)?;
    let interval = interval.ok_or_else(|| Refusal::missing(&params.name_of("interval")))?;
    let count = params.count("interval_count", 1)?.unwrap_or(1);
    // Stripe's longest period is three years.
    let longest = match interval {
        Interval::Day => 3 * 365,
        Interval::Week => 156,
        Interval::Month => 36,
        Interval::Year => 3,
    };
    let interval_count = u32::try_from(count)
        .ok()
        .filter(|count| *count <= longest)
        .ok_or_else(|| {
            Refusal::invalid(
                &params.name_of("interval_count"),
                "Invalid interval_count: the longest period is three years.",
            )
        })?;
    let usage_type = params
        .choice("usage_type", &UsageType::WORDS)?
        .unwrap_or(UsageType::Licensed);
    let meter = params.text("meter")?;
    Ok(Recurrence {
        interval,
        interval_count,
        usage_type,
        meter,
    })
}

fn read_transform(params: &Params<'_>) -> Result<TransformQuantity, Refusal> {
    let divide_by = params
        .count("divide_by", 1)?
        .ok_or_else(|| Refusal::missing(&params.name_of("divide_by")))?;
    let round = params
        .choice("round", &RoundTo::WORDS)?
        .ok_or_else(|| Refusal::missing(&params.name_of("round")))?;
    Ok(TransformQuantity { divide_by, round })
}

/// A product described within the price. Its id is only made when the price is.
struct NewProduct {
    product: Product,
    own_id: Option<String>,
}

fn read_product(at: &Moment<'_>, params: &Params<'_>) -> Result<NewProduct, Refusal> {
    let name = params.required_text("name")?;
    let mut product = products::blank(at, ProductId::from_text(String::new()), name);
    product.active = params.boolean("active")?.unwrap_or(true);
    product.statement_descriptor = params.text("statement_descriptor")?;
    product.tax_code = params.text("tax_code")?;
    product.unit_label = params.text("unit_label")?;
    product.metadata = params.metadata()?;
    let own_id = params.text("id")?;
    products::check_new_id(at, own_id.as_deref(), &params.name_of("id"))?;
    Ok(NewProduct { product, own_id })
}

fn add_product(at: &mut Moment<'_>, new: NewProduct) -> ProductId {
    let id = new
        .own_id
        .map_or_else(|| at.world.ids.make(), ProductId::from_text);
    let id = at.world.products.insert(Product { id, ..new.product });
    at.emit("product.created", &Object::Product(id.clone()));
    id
}

/// A lookup key belongs to one price at a time, unless it is to be taken over.
fn check_lookup_key(at: &Moment<'_>, key: Option<&str>, transfer: bool) -> Result<(), Refusal> {
    let Some(key) = key else {
        return Ok(());
    };
    if !transfer
        && at
            .world
            .prices
            .iter()
            .any(|price| price.lookup_key.as_deref() == Some(key))
    {
        let message = format!("A price (`{key}`) already uses that lookup key.");
        return Err(Refusal::invalid("lookup_key", message));
    }
    Ok(())
}

fn take_lookup_key(at: &mut Moment<'_>, key: Option<&str>) {
    let Some(key) = key else {
        return;
    };
    for price in at
        .world
        .prices
        .iter_mut()
        .filter(|price| price.lookup_key.as_deref() == Some(key))
    {
        price.lookup_key = None;
    }
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::price(named(&at.world.prices, id, "price")?))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let active = params.boolean("active")?;
    let product = params.text("product")?;
    let currency = params.text("currency")?;
    let lookup_keys = params.texts("lookup_keys")?;
    let recurring = params.choice("type", &[("one_time", false), ("recurring", true)])?;
    let (interval, usage_type) = match params.child("recurring")? {
        None => (None, None),
        Some(child) => (
            child.choice("interval", &Interval::WORDS)?,
            child.choice("usage_type", &UsageType::WORDS)?,
        ),
    };
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    listing::page(&at.world.prices, &paging, "/v1/prices", render::price, |price| {
        let every = price.recurring.as_ref();
        active.is_none_or(|active| price.active == active)
            && product
                .as_ref()
                .is_none_or(|product| price.product.as_str() == product)
            && currency
                .as_ref()
                .is_none_or(|currency| price.currency.as_str() == currency)
            && (lookup_keys.is_empty()
                || price
                    .lookup_key
                    .as_ref()
                    .is_some_and(|key| lookup_keys.contains(key)))
            && recurring.is_none_or(|recurring| every.is_some() == recurring)
            && interval.is_none_or(|interval| every.is_some_and(|every| every.interval == interval))
            && usage_type.is_none_or(|usage| every.is_some_and(|every| every.usage_type == usage))
            && created.contains(price.created)
    })
}

/// What a price costs cannot be changed, only what it is called and whether it is offered.
pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut price = named(&at.world.prices, id, "price")?.clone();
    let id = price.id.clone();
    if let Some(active) = params.boolean("active")? {
        price.active = active;
    }
    params.change("nickname")?.apply(&mut price.nickname);
    if let Some(tax_behavior) = params.choice("tax_behavior", &TAX_BEHAVIORS)? {
        price.tax_behavior = tax_behavior.to_owned();
    }
    let lookup_key = params.change("lookup_key")?;
    let transfer = params.boolean("transfer_lookup_key")?.unwrap_or(false);
    params.metadata_into(&mut price.metadata)?;
    params.unsupported(&["currency_options"])?;
    params.finish()?;
    if let Change::Set(key) = &lookup_key
        && price.lookup_key.as_ref() != Some(key)
    {
        check_lookup_key(at, Some(key), transfer)?;
        take_lookup_key(at, Some(key));
    }
    lookup_key.apply(&mut price.lookup_key);
    let object = Object::Price(id.clone());
    let before = at.picture(&object);
    at.world.prices[&id] = price;
    at.emit_updated("price.updated", &object, &before);
    Ok(at.picture(&object))
}
