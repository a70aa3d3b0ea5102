//! Subscriptions as the API offers them: read, changed where nothing is billed, cancelled.
//!
//! How one begins, renews and ends is in [`super::lifecycle`]. Prices and quantities cannot be changed as yet.

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, customers, lifecycle, named, referred};
use crate::id::Id;
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{CancellationReason, Subscription, SubscriptionStatus};

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::subscription(
        at.world,
        named(&at.world.subscriptions, id, "id")?,
    ))
}

/// Without a status Stripe lists all but the canceled ones.
pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.text("customer")?;
    let price = params.text("price")?;
    let wanted = match params.text("status")?.as_deref() {
        None | Some("all" | "ended") => None,
        Some(_) => params.choice("status", &SubscriptionStatus::WORDS)?,
    };
    let word = params.text("status")?;
    let created = Range::read(params, "created")?;
    let period_start = Range::read(params, "current_period_start")?;
    let period_end = Range::read(params, "current_period_end")?;
    params.inert(&["collection_method"]);
    params.unsupported(&["test_clock", "automatic_tax"])?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let world = &at.world;
    let render = |subscription: &Subscription| render::subscription(world, subscription);
    listing::page(
        &world.subscriptions,
        &paging,
        "/v1/subscriptions",
        render,
        |subscription| {
            let in_status = match (word.as_deref(), wanted) {
                (_, Some(status)) => subscription.status == status,
                (Some("ended"), None) => subscription.has_ended(),
                (Some(_), None) => true,
                (None, None) => subscription.status != SubscriptionStatus::Canceled,
            };
            in_status
                && customer
                    .as_ref()
                    .is_none_or(|id| subscription.customer.as_str() == id)
                && price
                    .as_ref()
                    .is_none_or(|id| subscription.items.iter().any(|item| item.price.as_str() == id))
                && created.contains(subscription.created)
                && subscription
                    .items
                    .iter()
                    .all(|item| period_start.contains(item.current_period_start))
                && subscription
                    .items
                    .iter()
                    .all(|item| period_end.contains(item.current_period_end))
        },
    )
}

pub(crate) fn list_items(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let id = params.required_text("subscription")?;
    Paging::read(params)?;
    params.finish()?;
    let subscription = referred(&at.world.subscriptions, &id, "subscription")?;
    Ok(render::subscription_items(at.world, subscription))
}

/// What can be changed without billing: metadata, description, payment method, the scheduled end.
pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut subscription = named(&at.world.subscriptions, id, "id")?.clone();
    let id = subscription.id.clone();
    params.metadata_into(&mut subscription.metadata)?;
    params.change("description")?.apply(&mut subscription.description);
    let cancel_at_period_end = params.boolean("cancel_at_period_end")?;
    let default_payment_method = params.change("default_payment_method")?;
    read_cancellation_details(&mut subscription, params)?;
    params.inert(&["off_session", "payment_settings"]);
    params.unsupported(&[
        "items",
        "billing_cycle_anchor",
        "cancel_at",
        "discounts",
        "payment_behavior",
        "proration_behavior",
        "proration_date",
        "trial_end",
        "trial_from_plan",
        "add_invoice_items",
        "pause_collection",
        "automatic_tax",
        "collection_method",
        "days_until_due",
    ])?;
    params.finish()?;
    if subscription.has_ended() {
        return Err(Refusal::no_such("subscription", id.as_str(), "id"));
    }
    match default_payment_method {
        Change::Keep => {}
        Change::Clear => subscription.default_payment_method = None,
        Change::Set(method) => {
            let method =
                customers::own_method(at, &subscription.customer, &method, "default_payment_method")?;
            subscription.default_payment_method = Some(method);
        }
    }
    match cancel_at_period_end {
        Some(true) if !subscription.cancel_at_period_end => {
            subscription.cancel_at_period_end = true;
            subscription.cancel_at = subscription.period_end();
            subscription.canceled_at = Some(at.now);
            subscription.cancellation_reason = Some(CancellationReason::Requested);
        }
        Some(false) => {
            subscription.cancel_at_period_end = false;
            subscription.cancel_at = None;
            subscription.canceled_at = None;
            subscription.cancellation_reason = None;
        }
        _ => {}
    }
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    at.world.subscriptions[&id] = subscription;
    at.emit_updated("customer.subscription.updated", &object, &before);
    Ok(at.picture(&object))
}

fn read_cancellation_details(subscription: &mut Subscription, params: &Params<'_>) -> Result<(), Refusal> {
    let Some(details) = params.child("cancellation_details")? else {
        return Ok(());
    };
    details
        .change("comment")?
        .apply(&mut subscription.cancellation_comment);
    details
        .change("feedback")?
        .apply(&mut subscription.cancellation_feedback);
    Ok(())
}

pub(crate) fn cancel(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut subscription = named(&at.world.subscriptions, id, "id")?.clone();
    let id = subscription.id.clone();
    read_cancellation_details(&mut subscription, params)?;
    if params.boolean("prorate")? == Some(true) || params.boolean("invoice_now")? == Some(true) {
        return Err(Refusal::unsupported("prorate"));
    }
    params.finish()?;
    if subscription.has_ended() {
        return Err(Refusal::not_found("subscription", id.as_str(), "id"));
    }
    at.world.subscriptions[&id] = subscription;
    lifecycle::end(at, &id, CancellationReason::Requested);
    Ok(at.picture(&Object::Subscription(id)))
}
