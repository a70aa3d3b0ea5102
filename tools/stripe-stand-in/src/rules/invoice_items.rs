//! Invoice items as the API offers them: amounts put by for a customer's next invoice.

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, customers, named, pricing, referred};
use crate::id::Id;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Currency, InvoiceItem, Line, PriceAmounts};

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.required_text("customer")?;
    let subscription = params.text("subscription")?;
    let amount = params.integer("amount")?;
    let currency: Option<Currency> = params.parsed("currency", "currency")?;
    let price = match params.child("pricing")? {
        None => None,
        Some(pricing) => pricing.text("price")?,
    };
    let quantity = params.count("quantity", 0)?;
    let description = params.text("description")?;
    let discountable = params.boolean("discountable")?;
    let metadata = params.metadata()?;
    let period = match params.child("period")? {
        None => None,
        Some(period) => period.timestamp("start")?.zip(period.timestamp("end")?),
    };
    params.unsupported(&[
        "discounts",
        "invoice",
        "price_data",
        "quantity_decimal",
        "tax_behavior",
        "tax_code",
        "tax_rates",
        "unit_amount_decimal",
    ])?;
    params.finish()?;
    let customer = customers::live(at, &customer, "customer")?.id.clone();
    let subscription = subscription
        .map(|id| Ok(referred(&at.world.subscriptions, &id, "subscription")?.id.clone()))
        .transpose()?;
    let price = price
        .map(|id| referred(&at.world.prices, &id, "pricing[price]"))
        .transpose()?;
    let (amount, currency) = match (amount, price) {
        (Some(amount), None) => (amount, currency.ok_or_else(|| Refusal::missing("currency"))?),
        (None, Some(price)) => (
            pricing::amount(price, quantity.unwrap_or(1)),
            price.currency.clone(),
        ),
        (None, None) => return Err(Refusal::missing("amount")),
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: amount, pricing.";
            return Err(Refusal::invalid("amount", message));
        }
    };
    let product = price.map(|price| &at.world.products[&price.product]);
    let (period_start, period_end) = period.unwrap_or((at.now, at.now));
    let line = Line {
        description: description
            .or_else(|| product.map(|product| product.name.clone()))
            .unwrap_or_default(),
        price: price.map(|price| price.id.clone()),
        product: product.map(|product| product.id.clone()),
        unit_amount: price.and_then(|price| match price.amounts {
            PriceAmounts::PerUnit(unit) => Some(unit),
            PriceAmounts::Tiered { .. } => None,
        }),
        quantity: Some(quantity.unwrap_or(1)),
        subscription_item: None,
        invoice_item: None,
        period_start,
        period_end,
        proration: false,
        // Stripe's default: charges can be discounted, credits cannot.
        discountable: discountable.unwrap_or(amount >= 0),
        list_amount: amount,
        amount,
        discounts: Vec::new(),
        full: None,
        credits: None,
        metadata,
    };
    let item = InvoiceItem {
        id: at.world.ids.make(),
        date: at.now,
        customer,
        subscription,
        currency,
        line,
        invoice: None,
    };
    let object = Object::InvoiceItem(at.world.invoice_items.insert(item));
    at.emit("invoiceitem.created", &object);
    Ok(at.picture(&object))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::invoice_item(
        at.world,
        named(&at.world.invoice_items, id, "invoiceitem")?,
    ))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.text("customer")?;
    let invoice = params.text("invoice")?;
    let pending = params.boolean("pending")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    listing::page(
        &at.world.invoice_items,
        &paging,
        "/v1/invoiceitems",
        |row| render::invoice_item(at.world, row),
        |item| {
            customer.as_ref().is_none_or(|id| item.customer.as_str() == id)
                && invoice
                    .as_ref()
                    .is_none_or(|id| item.invoice.as_ref().is_some_and(|own| own.as_str() == id))
                && pending.is_none_or(|pending| pending == item.invoice.is_none())
                && created.contains(item.date)
        },
    )
}
