//! Products.

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, named, referred};
use crate::id::{Id, PriceId, ProductId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Metadata, Product};

const INERT: [&str; 2] = ["package_dimensions", "marketing_features"];

/// What a product is at the least.
pub(crate) fn blank(at: &Moment<'_>, id: ProductId, name: String) -> Product {
    Product {
        id,
        created: at.now,
        updated: at.now,
        active: true,
        name,
        description: None,
        default_price: None,
        images: Vec::new(),
        shippable: None,
        statement_descriptor: None,
        tax_code: None,
        unit_label: None,
        url: None,
        metadata: Metadata::new(),
    }
}

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let name = params.required_text("name")?;
    let own_id = params.text("id")?;
    check_new_id(at, own_id.as_deref(), "id")?;
    let id = own_id.map_or_else(|| at.world.ids.make(), ProductId::from_text);
    let mut product = blank(at, id, name);
    read_common(&mut product, params)?;
    params.unsupported(&["default_price_data"])?;
    params.finish()?;
    let object = Object::Product(at.world.products.insert(product));
    at.emit("product.created", &object);
    Ok(at.picture(&object))
}

/// An id of the caller's choice must not be another product's.
pub(crate) fn check_new_id(at: &Moment<'_>, id: Option<&str>, param: &str) -> Result<(), Refusal> {
    match id.and_then(|id| at.world.products.find(id)) {
        None => Ok(()),
        Some(_) => Err(Refusal::invalid_code(
            "resource_already_exists",
            param,
            "Product already exists.",
        )),
    }
}

fn read_common(product: &mut Product, params: &Params<'_>) -> Result<(), Refusal> {
    if let Some(active) = params.boolean("active")? {
        product.active = active;
    }
    if let Some(shippable) = params.boolean("shippable")? {
        product.shippable = Some(shippable);
    }
    params.change("description")?.apply(&mut product.description);
    params
        .change("statement_descriptor")?
        .apply(&mut product.statement_descriptor);
    params.change("tax_code")?.apply(&mut product.tax_code);
    params.change("unit_label")?.apply(&mut product.unit_label);
    params.change("url")?.apply(&mut product.url);
    if params.has("images") {
        product.images = params.texts("images")?;
    }
    params.metadata_into(&mut product.metadata)?;
    params.inert(&INERT);
    Ok(())
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::product(named(&at.world.products, id, "id")?))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let active = params.boolean("active")?;
    let shippable = params.boolean("shippable")?;
    let ids = params.texts("ids")?;
    let url = params.text("url")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    listing::page(
        &at.world.products,
        &paging,
        "/v1/products",
        render::product,
        |product| {
            active.is_none_or(|active| product.active == active)
                && shippable.is_none_or(|shippable| product.shippable == Some(shippable))
                && (ids.is_empty() || ids.iter().any(|id| id == product.id.as_str()))
                && url.as_ref().is_none_or(|url| product.url.as_ref() == Some(url))
                && created.contains(product.created)
        },
    )
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut product = named(&at.world.products, id, "id")?.clone();
    let id = product.id.clone();
    if let Some(name) = params.text("name")? {
        product.name = name;
    }
    read_common(&mut product, params)?;
    match params.change("default_price")? {
        Change::Keep => {}
        Change::Clear => product.default_price = None,
        Change::Set(price) => product.default_price = Some(own_price(at, &id, &price)?),
    }
    params.finish()?;
    product.updated = at.now;
    let object = Object::Product(id.clone());
    let before = at.picture(&object);
    at.world.products[&id] = product;
    at.emit_updated("product.updated", &object, &before);
    Ok(at.picture(&object))
}

fn own_price(at: &Moment<'_>, product: &ProductId, price: &str) -> Result<PriceId, Refusal> {
    let price = referred(&at.world.prices, price, "default_price")?;
    if price.product != *product {
        return Err(Refusal::invalid(
            "default_price",
            "The price does not belong to this product.",
        ));
    }
    Ok(price.id.clone())
}
