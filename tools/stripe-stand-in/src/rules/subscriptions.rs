//! Subscriptions as the API offers them: read and cancelled.
//!
//! How one is created or updated is in files of their own; how it renews and ends in [`super::lifecycle`].

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, lifecycle, named};
use crate::id::Id;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{CancellationReason, CollectionMethod, Subscription, SubscriptionStatus};

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
    let collection = params.choice("collection_method", &CollectionMethod::WORDS)?;
    let test_clock = params.text("test_clock")?;
    params.unsupported(&["automatic_tax"])?;
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
            let own_clock = world.customers[&subscription.customer].test_clock.as_ref();
            // Without a clock and a customer, those of no clock.
            let by_clock = match &test_clock {
                Some(id) => own_clock.is_some_and(|own| own.as_str() == id),
                None => customer.is_some() || own_clock.is_none(),
            };
            in_status
                && by_clock
                && collection.is_none_or(|method| subscription.collection_method == method)
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

pub(crate) fn read_cancellation_details(
    subscription: &mut Subscription,
    params: &Params<'_>,
) -> Result<(), Refusal> {
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

/// Ends a subscription at once; with `prorate` its unused time is credited, with `invoice_now` what was used and what waits is billed.
pub(crate) fn cancel(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut subscription = named(&at.world.subscriptions, id, "id")?.clone();
    let id = subscription.id.clone();
    read_cancellation_details(&mut subscription, params)?;
    let prorate = params.boolean("prorate")?.unwrap_or(false);
    let invoice_now = params.boolean("invoice_now")?.unwrap_or(false);
    params.finish()?;
    if subscription.has_ended() {
        return Err(Refusal::not_found("subscription", id.as_str(), "id"));
    }
    at.world.subscriptions[&id] = subscription;
    lifecycle::end(at, &id, CancellationReason::Requested);
    if prorate {
        lifecycle::credit_rest(at, &id);
    }
    if invoice_now {
        lifecycle::bill_last(at, &id, prorate);
    }
    Ok(at.picture(&Object::Subscription(id)))
}
