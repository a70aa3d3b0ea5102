//! `create_preview`: the update, the creation or the renewal itself, run on a copy of the world, and the invoice it drafts.
//!
//! # How it works
//! Nothing is worked out here: [`super::subscription_updates::draft`], [`super::lifecycle::begin`] and
//! [`super::lifecycle::period_ended`] do in the copy what they would do in the world, so that a preview cannot differ from the
//! bill. The copy is thrown away, and the events in it with it; only the invoice is kept for a while, as its lines are listed
//! page by page.

use std::collections::BTreeSet;

use serde_json::Value;

use super::changes::{Anchor, Wish};
use super::lifecycle::NewSubscription;
use super::subscription_creation::AskedFirstPeriod;
use super::subscription_updates::{self, Update};
use super::{Moment, billing_modes, customers, lifecycle, redemption, referred, subscription_creation};
use crate::id::{CustomerId, Id, InvoiceId, InvoiceItemId, InvoiceLineId, SubscriptionId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render;
use crate::state::{BillingModeKind, CancellationReason, Invoice, InvoiceStatus};

/// How many previews are kept for those who list their lines.
const MOST_PREVIEWS: usize = 20;

/// What the preview is of.
struct Asked {
    customer: Option<String>,
    subscription: Option<String>,
    /// None when only the next invoice is asked for.
    change: Option<Update>,
    /// For a subscription that there is not yet.
    first_period: AskedFirstPeriod,
    billing_mode: BillingModeKind,
    cancel_now: bool,
}

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let asked = read(params)?;
    let known: BTreeSet<InvoiceItemId> = at.world.invoice_items.iter().map(|row| row.id.clone()).collect();
    let mut copy = at.world.copy_without_history();
    let mut there = Moment {
        world: &mut copy,
        now: at.now,
        told_at: at.told_at,
        cause: None,
    };
    let invoice = run(&mut there, asked)?;
    let preview = named_as_preview(&there, &invoice, &known);
    let answer = render::invoice(there.world, &preview);
    keep(at, preview);
    Ok(answer)
}

/// Keeps a preview for a while, for those who list its lines.
fn keep(at: &mut Moment<'_>, preview: Invoice) {
    if at.world.previews.iter().len() == MOST_PREVIEWS {
        let oldest = at.world.previews.iter().next().map(|row| row.id.clone());
        oldest.and_then(|oldest| at.world.previews.remove(&oldest));
    }
    at.world.previews.insert(preview);
}

fn read(params: &Params<'_>) -> Result<Asked, Refusal> {
    let customer = params.text("customer")?;
    let subscription = params.text("subscription")?;
    let discounts = redemption::read(params, "discounts")?;
    let mut cancel_now = false;
    let mut first_period = AskedFirstPeriod::default();
    let mut billing_mode = BillingModeKind::Flexible;
    let mut change = match params.child("subscription_details")? {
        None => None,
        Some(details) => {
            details.unsupported(&["billing_schedules", "default_tax_rates", "resume_at"])?;
            details.inert(&["metadata"]);
            if subscription.is_some() {
                // Unconfirmed: Stripe's text says that a preview goes by the subscription's mode, and not what becomes of another.
                billing_modes::check_absent(&details, "subscription")?;
            }
            billing_mode = billing_modes::read(&details)?;
            cancel_now = details.boolean("cancel_now")?.unwrap_or(false);
            first_period.start = details.timestamp("start_date")?;
            let wish = if subscription.is_none() {
                let anchor = Anchor::read_for_new(&details)?;
                if let Some(Anchor::At(instant)) = anchor {
                    first_period.anchor = Some(instant);
                }
                Wish::read_with(&details, anchor)?
            } else {
                Wish::read(&details)?
            };
            if first_period.start.is_some() && first_period.anchor.is_none() {
                return Err(Refusal::unsupported(&details.name_of("start_date")));
            }
            Some(Update {
                wish,
                cancel_at_period_end: details.boolean("cancel_at_period_end")?,
                cancel_at: details.timestamp_change("cancel_at")?,
                ..Update::nothing()
            })
        }
    };
    if discounts.is_some() {
        change.get_or_insert_with(Update::nothing).wish.discounts = discounts;
    }
    params.inert(&["automatic_tax", "issuer", "preview_mode", "currency"]);
    params.unsupported(&[
        "customer_details",
        "invoice_items",
        "schedule",
        "schedule_details",
    ])?;
    params.finish()?;
    if customer.is_none() && subscription.is_none() {
        let message = "You must specify one of these parameters: customer, schedule, subscription.";
        return Err(Refusal::invalid_code("parameter_missing", "customer", message));
    }
    Ok(Asked {
        customer,
        subscription,
        change,
        first_period,
        billing_mode,
        cancel_now,
    })
}

/// Does it in the copy; answers the invoice that comes of it.
fn run(at: &mut Moment<'_>, asked: Asked) -> Result<InvoiceId, Refusal> {
    let customer = asked
        .customer
        .map(|id| Ok(customers::live(at, &id, "customer")?.id.clone()))
        .transpose()?;
    let subscription = match (&asked.subscription, &customer) {
        (Some(id), _) => Some(referred(&at.world.subscriptions, id, "subscription")?.id.clone()),
        (None, Some(customer)) => next_of(at, customer).filter(|_| asked.change.is_none()),
        (None, None) => None,
    };
    match (subscription, asked.change, customer) {
        (Some(id), _, Some(customer)) if at.world.subscriptions[&id].customer != customer => {
            Err(Refusal::no_such("subscription", id.as_str(), "subscription"))
        }
        (Some(id), _, _) if asked.cancel_now => cancelled(at, &id),
        (Some(id), Some(change), _) => match subscription_updates::draft(at, &id, change)? {
            Some(invoice) => Ok(invoice),
            None => upcoming(at, &id),
        },
        (Some(id), None, _) => upcoming(at, &id),
        (None, Some(change), Some(customer)) => {
            begun(at, customer, &change, (asked.first_period, asked.billing_mode))
        }
        (None, _, _) => Err(Refusal::none_upcoming()),
    }
}

/// The subscription of a customer that is billed next.
fn next_of(at: &Moment<'_>, customer: &CustomerId) -> Option<SubscriptionId> {
    let own = at
        .world
        .subscriptions
        .iter()
        .filter(|row| row.customer == *customer && !row.has_ended());
    own.min_by_key(|row| row.period_end()).map(|row| row.id.clone())
}

/// The next renewal.
fn upcoming(at: &mut Moment<'_>, id: &SubscriptionId) -> Result<InvoiceId, Refusal> {
    let subscription = &at.world.subscriptions[id];
    let end = subscription
        .period_end()
        .filter(|_| !subscription.has_ended())
        .ok_or_else(Refusal::none_upcoming)?;
    let latest = subscription.latest_invoice.clone();
    at.now = end;
    lifecycle::period_ended(at, id);
    match at.world.subscriptions[id].latest_invoice.clone() {
        Some(invoice) if Some(&invoice) != latest.as_ref() => Ok(invoice),
        _ => Err(Refusal::none_upcoming()),
    }
}

fn cancelled(at: &mut Moment<'_>, id: &SubscriptionId) -> Result<InvoiceId, Refusal> {
    let latest = at.world.subscriptions[id].latest_invoice.clone();
    lifecycle::end(at, id, CancellationReason::Requested);
    lifecycle::credit_rest(at, id);
    lifecycle::charge_usage(at, id);
    lifecycle::draft_rest(at, id)
        .filter(|invoice| Some(invoice) != latest.as_ref())
        .ok_or_else(Refusal::none_upcoming)
}

/// A subscription that there is not yet.
fn begun(
    at: &mut Moment<'_>,
    customer: CustomerId,
    change: &Update,
    (first_period, billing_mode): (AskedFirstPeriod, BillingModeKind),
) -> Result<InvoiceId, Refusal> {
    let new = NewSubscription {
        billing_mode,
        ..subscription_creation::new(at, &customer, &change.wish, first_period)?
    };
    Ok(lifecycle::begin(at, new).1)
}

/// The invoice as Stripe shows one that there will never be under this id.
fn named_as_preview(at: &Moment<'_>, id: &InvoiceId, known: &BTreeSet<InvoiceItemId>) -> Invoice {
    let mut invoice = at.world.invoices[id].clone();
    let name = |id: &str| {
        id.split_once('_')
            .map_or(String::new(), |(_, rest)| rest.to_owned())
    };
    invoice.id = InvoiceId::from_text(format!("upcoming_in_{}", name(id.as_str())));
    for row in &mut invoice.lines {
        row.id = InvoiceLineId::from_text(format!("il_tmp_{}", name(row.id.as_str())));
        // What is put by in the copy is put by nowhere else.
        row.line.invoice_item = row.line.invoice_item.take().filter(|item| known.contains(item));
    }
    invoice.status = InvoiceStatus::Draft;
    invoice
}
