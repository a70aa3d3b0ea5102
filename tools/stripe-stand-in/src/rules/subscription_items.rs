//! Subscription items as the API offers them: each operation is an update of the subscription that has it.

use serde_json::{Value, json};

use super::changes::{ProrationBehavior, Wish};
use super::item_changes::ItemChange;
use super::listing::Paging;
use super::subscription_updates::{self, PaymentBehavior, Update};
use super::{Moment, referred};
use crate::id::{Id, SubscriptionId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render;

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let id = params.required_text("subscription")?;
    Paging::read(params)?;
    params.finish()?;
    let subscription = referred(&at.world.subscriptions, &id, "subscription")?;
    Ok(render::subscription_items(at.world, subscription))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    render::subscription_item(at.world, id).ok_or_else(|| Refusal::not_found("subscription_item", id, "item"))
}

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let subscription = params.required_text("subscription")?;
    let update = read(params, None)?;
    params.finish()?;
    let subscription = referred(&at.world.subscriptions, &subscription, "subscription")?
        .id
        .clone();
    subscription_updates::run(at, &subscription, update)?;
    let items = &at.world.subscriptions[&subscription].items;
    let newest = items.last().map(|item| item.id.as_str().to_owned());
    newest
        .and_then(|id| render::subscription_item(at.world, &id))
        .ok_or_else(|| Refusal::missing("price"))
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let update = read(params, Some(id))?;
    params.finish()?;
    let subscription = owner(at, id)?;
    subscription_updates::run(at, &subscription, update)?;
    render::subscription_item(at.world, id).ok_or_else(|| Refusal::not_found("subscription_item", id, "item"))
}

pub(crate) fn delete(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut update = read(params, Some(id))?;
    params.inert(&["clear_usage"]);
    params.finish()?;
    update.wish.items.iter_mut().for_each(|item| item.deleted = true);
    let subscription = owner(at, id)?;
    subscription_updates::run(at, &subscription, update)?;
    Ok(json!({ "id": id, "object": "subscription_item", "deleted": true }))
}

fn owner(at: &Moment<'_>, id: &str) -> Result<SubscriptionId, Refusal> {
    at.world
        .subscriptions
        .iter()
        .find(|row| row.items.iter().any(|item| item.id.as_str() == id))
        .map(|row| row.id.clone())
        .ok_or_else(|| Refusal::not_found("subscription_item", id, "item"))
}

/// The parameters of these operations, as those of an update with one item.
fn read(params: &Params<'_>, id: Option<&str>) -> Result<Update, Refusal> {
    params.unsupported(&["billing_thresholds", "discounts", "price_data", "tax_rates"])?;
    params.inert(&["off_session"]);
    let item = ItemChange {
        param: "price".to_owned(),
        id: id.map(str::to_owned),
        price: params.text("price")?,
        quantity: params.count("quantity", 0)?,
        deleted: false,
        metadata: params.metadata()?,
    };
    let wish = Wish {
        items: vec![item],
        proration_behavior: params
            .choice("proration_behavior", &ProrationBehavior::WORDS)?
            .unwrap_or(ProrationBehavior::CreateProrations),
        proration_date: params.timestamp("proration_date")?,
        ..Wish::none()
    };
    Ok(Update {
        wish,
        payment_behavior: params
            .choice("payment_behavior", &PaymentBehavior::WORDS)?
            .unwrap_or(PaymentBehavior::LandAnyway),
        ..Update::nothing()
    })
}
