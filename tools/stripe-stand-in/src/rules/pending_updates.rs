//! Changes that wait for their invoice to be paid (`payment_behavior=pending_if_incomplete`).
//!
//! # How it works
//! The invoice is made and attempted with the subscription unchanged. Paid, now or later, it lands the new terms; not paid in
//! time, it is voided, unless it can no longer be, and the change dropped. A pending update's invoice says nothing about the subscription's own status.
//!
//! # If it fails half-way
//! What waits is one member of the subscription: it is there with its invoice, or neither is.

use std::cmp;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Moment, discounts, invoicing, lifecycle, payment_methods, subscription_updates};
use crate::id::{InvoiceId, InvoiceItemId, SubscriptionId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{
    Due, InvoiceStatus, Metadata, PendingUpdate, Settings, Subscription, SubscriptionStatus, Terms,
};

/// How long a pending update waits, unless the period ends first.
const LIFETIME: SignedDuration = SignedDuration::from_hours(23);

/// Refuses what cannot wait.
pub(crate) fn check_params(params: &Params<'_>, settings: Settings) -> Result<(), Refusal> {
    // An end with the period since 2026-09-30: so Stripe's change log.
    const ALLOWED: [&str; 11] = [
        "items",
        "cancel_at_period_end",
        "payment_behavior",
        "proration_behavior",
        "proration_date",
        "billing_cycle_anchor",
        "trial_end",
        "trial_from_plan",
        "add_invoice_items",
        "off_session",
        "expand",
    ];
    let mut allowed = ALLOWED.to_vec();
    if settings.pending_updates_take_discounts {
        allowed.extend(["discounts", "metadata"]);
    }
    match params.besides(&allowed) {
        None => Ok(()),
        Some(param) => {
            let message = format!(
                "You cannot set `{param}` when `payment_behavior` is `pending_if_incomplete`: it is not supported by \
                 pending updates."
            );
            Err(Refusal::invalid(&param, message))
        }
    }
}

/// Refuses a change that may wait where its subscription is paid by a method that is not on Stripe's list: a bank debit. The list is
/// Stripe's, "Pending updates"; whatever the change comes to. What Stripe answers is not documented: the parameter is a guess, and the
/// words are ours.
pub(crate) fn check_payer(at: &Moment<'_>, subscription: &Subscription) -> Result<(), Refusal> {
    let payer = invoicing::payer_of(at, subscription);
    match payer.filter(|method| payment_methods::is_bank_debit(at, method)) {
        None => Ok(()),
        Some(_) => Err(Refusal::invalid_in_course(
            "payment_behavior",
            "Pending updates are not supported for subscriptions that are paid by `us_bank_account` (words of the \
             stand-in's: Stripe's are not known).",
        )),
    }
}

/// Refuses a payment method that is not on that list for the invoice of a change that waits. Again the words are ours.
pub(crate) fn check_method(
    at: &Moment<'_>,
    invoice: &InvoiceId,
    is_bank_debit: bool,
    param: &str,
) -> Result<(), Refusal> {
    let subscription = at.world.invoices[invoice].subscription.as_ref();
    if is_bank_debit && subscription.is_some_and(|id| is_of(at, id, invoice)) {
        return Err(Refusal::invalid_in_course(
            param,
            "The invoice of a pending update cannot be paid by `us_bank_account` (words of the stand-in's: Stripe's \
             are not known).",
        ));
    }
    Ok(())
}

/// Puts a change by until its invoice is paid. Nobody is told yet: it may be paid at once.
pub(crate) fn put(
    at: &mut Moment<'_>,
    id: &SubscriptionId,
    invoice: &InvoiceId,
    prorations: Vec<InvoiceItemId>,
    terms: Terms,
    (metadata, cancel_at_period_end): (Option<Metadata>, Option<bool>),
) {
    at.world.invoices[invoice].auto_advance = false;
    let latest = at.now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
    let period_end = at.world.subscriptions[id].period_end();
    at.world.subscriptions[id].pending_update = Some(PendingUpdate {
        expires_at: period_end.map_or(latest, |end| cmp::min(end, latest)),
        invoice: invoice.clone(),
        prorations,
        terms,
        metadata,
        cancel_at_period_end,
        announced: false,
    });
}

/// Whether an update says otherwise of an end with the period than what waits: then that is dropped. Source: Stripe's change log, 2026-09-30.
pub(crate) fn is_contradicted(settings: Settings, subscription: &Subscription, ends: Option<bool>) -> bool {
    let Some((pending, ends)) = subscription.pending_update.as_ref().zip(ends) else {
        return false;
    };
    match pending.cancel_at_period_end {
        Some(waiting) => ends != waiting,
        None => settings.ends_expire_pending_updates && ends != subscription.cancel_at_period_end,
    }
}

/// Tells what came of a change: it landed, or it waits.
pub(crate) fn announce(at: &mut Moment<'_>, id: &SubscriptionId, before: &Value) {
    if let Some(pending) = &mut at.world.subscriptions[id].pending_update {
        pending.announced = true;
        let due = pending.expires_at;
        at.world.remind(due, Due::PendingUpdateExpiry(id.clone()));
    }
    at.emit_updated(
        "customer.subscription.updated",
        &Object::Subscription(id.clone()),
        before,
    );
}

/// Lands the change that this invoice pays. False when it pays none.
pub(crate) fn land(at: &mut Moment<'_>, id: &SubscriptionId, invoice: &InvoiceId) -> bool {
    let subscription = &at.world.subscriptions[id];
    let Some(pending) = subscription
        .pending_update
        .clone()
        .filter(|pending| pending.invoice == *invoice)
    else {
        return false;
    };
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    let mut landed = subscription.clone().on_terms(pending.terms);
    landed.pending_update = None;
    if let Some(metadata) = pending.metadata {
        landed.metadata = metadata;
    }
    subscription_updates::end_with_period(at.now, &mut landed, pending.cancel_at_period_end);
    let trial_is_over = landed.trial_end.is_none_or(|end| end <= at.now);
    if landed.status == SubscriptionStatus::Trialing && trial_is_over {
        landed.status = SubscriptionStatus::Active;
    }
    let discounts = std::mem::replace(&mut at.world.subscriptions[id], landed).discounts;
    discounts::replaced(at, id, &discounts);
    lifecycle::remember_charges(at, id, invoice);
    lifecycle::await_period_end(at, id);
    if pending.announced {
        at.emit("customer.subscription.pending_update_applied", &object);
        at.emit_updated("customer.subscription.updated", &object, &before);
    }
    true
}

/// Whether this invoice pays a change that waits.
pub(crate) fn is_of(at: &Moment<'_>, id: &SubscriptionId, invoice: &InvoiceId) -> bool {
    let pending = at.world.subscriptions[id].pending_update.as_ref();
    pending.is_some_and(|pending| pending.invoice == *invoice)
}

/// Drops what waits when its time is over.
pub(crate) fn expire_if_due(at: &mut Moment<'_>, id: &SubscriptionId) {
    let pending = at.world.subscriptions[id].pending_update.as_ref();
    if pending.is_some_and(|pending| pending.expires_at <= at.now) {
        drop_present(at, id);
    }
}

/// Drops what waits, if anything does, and voids its invoice. One that was given up may be beyond that: it stays, and whoever pays it pays for
/// nothing. Stripe's text says only that the invoice is voided and the update discarded.
pub(crate) fn drop_present(at: &mut Moment<'_>, id: &SubscriptionId) {
    let Some(invoice) = at.world.subscriptions[id]
        .pending_update
        .as_ref()
        .map(|pending| pending.invoice.clone())
    else {
        return;
    };
    let can_be_voided = match at.world.invoices[&invoice].status {
        InvoiceStatus::Open => true,
        InvoiceStatus::Uncollectible => at.world.settings.given_up_bills_can_be_voided,
        InvoiceStatus::Draft | InvoiceStatus::Paid | InvoiceStatus::Void => false,
    };
    if can_be_voided {
        invoicing::void_open(at, &invoice);
    } else {
        discard(at, id, |_, _| {});
    }
}

/// The invoice of a pending update is void: the change is dropped, and what only waited for that invoice waits for the next.
pub(crate) fn follow_void(at: &mut Moment<'_>, id: &SubscriptionId, invoice: &InvoiceId) {
    if !is_of(at, id, invoice) {
        return;
    }
    discard(at, id, |at, pending| {
        for item in at.world.invoice_items.iter_mut() {
            if item.invoice.as_ref() == Some(invoice) && !pending.prorations.contains(&item.id) {
                item.invoice = None;
            }
        }
        discounts::give_back(at, invoice);
    });
}

/// Takes what waits from its subscription, with whatever else becomes of it, and tells of that.
fn discard(at: &mut Moment<'_>, id: &SubscriptionId, and: impl FnOnce(&mut Moment<'_>, &PendingUpdate)) {
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    let Some(pending) = at.world.subscriptions[id].pending_update.take() else {
        return;
    };
    and(at, &pending);
    at.emit("customer.subscription.pending_update_expired", &object);
    at.emit_updated("customer.subscription.updated", &object, &before);
}
