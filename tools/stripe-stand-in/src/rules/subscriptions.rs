//! Subscriptions: begun, renewed, ended, and following the fate of their invoices.
//!
//! # How it works
//! A subscription has items, each with a period; the periods are counted from one anchor. At the end of a period the items move
//! on and an invoice is drafted; what becomes of the invoice decides the status. Prices and quantities do not change here as yet.
//!
//! # If it fails half-way
//! Nothing awaits and every step leaves a consistent world; an agenda entry for a period that is over already does nothing.

use jiff::Timestamp;
use serde_json::Value;

use super::invoices::{self, NewInvoice};
use super::listing::{self, Paging, Range};
use super::{Moment, calendar, customers, named, pricing, wording};
use crate::id::{CustomerId, Id, InvoiceId, PaymentMethodId, PriceId, SubscriptionId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{
    BillingReason, CancellationReason, Currency, Due, InvoiceLine, InvoiceStatus, Metadata, Price,
    PriceAmounts, Recurrence, Subscription, SubscriptionItem, SubscriptionStatus,
};

/// What happens to a subscription whose invoice could not be collected in all tries. Stripe lets the account choose between
/// canceling, `unpaid` and leaving it `past_due`; canceling is its default.
const AFTER_LAST_RETRY: SubscriptionStatus = SubscriptionStatus::Canceled;

/// A subscription to be begun.
pub(crate) struct NewSubscription {
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<(PriceId, Option<u64>)>,
    pub(crate) default_payment_method: Option<PaymentMethodId>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

/// Begins a subscription now, as `incomplete`, and drafts its first invoice. The caller emits the events and collects.
pub(crate) fn begin(at: &mut Moment<'_>, new: NewSubscription) -> (SubscriptionId, InvoiceId) {
    let items = new
        .items
        .into_iter()
        .map(|(price, quantity)| item(at, price, quantity))
        .collect();
    let subscription = Subscription {
        id: at.world.ids.make(),
        created: at.now,
        start_date: at.now,
        billing_cycle_anchor: at.now,
        status: SubscriptionStatus::Incomplete,
        customer: new.customer,
        currency: new.currency,
        items,
        default_payment_method: new.default_payment_method,
        latest_invoice: None,
        cancel_at: None,
        cancel_at_period_end: false,
        canceled_at: None,
        ended_at: None,
        cancellation_reason: None,
        cancellation_comment: None,
        cancellation_feedback: None,
        description: new.description,
        metadata: new.metadata,
    };
    let id = at.world.subscriptions.insert(subscription);
    await_period_end(at, &id);
    let invoice = draft(at, &id, BillingReason::SubscriptionCreate, (at.now, at.now));
    (id, invoice)
}

fn item(at: &mut Moment<'_>, price: PriceId, quantity: Option<u64>) -> SubscriptionItem {
    let recurrence = recurrence(&at.world.prices[&price]);
    SubscriptionItem {
        id: at.world.ids.make(),
        created: at.now,
        current_period_start: at.now,
        current_period_end: calendar::next_period_end(at.now, &recurrence, at.now),
        price,
        quantity,
        metadata: Metadata::new(),
    }
}

/// A price in a subscription is recurring: checked when it was put there.
fn recurrence(price: &Price) -> Recurrence {
    price.recurring.clone().unwrap_or(Recurrence {
        interval: crate::state::Interval::Month,
        interval_count: 1,
        usage_type: crate::state::UsageType::Licensed,
        meter: None,
    })
}

fn await_period_end(at: &mut Moment<'_>, id: &SubscriptionId) {
    if let Some(end) = at.world.subscriptions[id].period_end() {
        at.world.agenda.add(end, Due::PeriodEnd(id.clone()));
    }
}

/// Bills the items' current periods.
fn draft(
    at: &mut Moment<'_>,
    id: &SubscriptionId,
    billing_reason: BillingReason,
    (period_start, period_end): (Timestamp, Timestamp),
) -> InvoiceId {
    let subscription = at.world.subscriptions[id].clone();
    let lines = subscription
        .items
        .iter()
        .map(|item| line(at, &subscription, item))
        .collect();
    let customer = subscription.customer;
    invoices::draft(
        at,
        NewInvoice {
            customer,
            subscription: id.clone(),
            billing_reason,
            lines,
            period_start,
            period_end,
        },
    )
}

fn line(at: &mut Moment<'_>, subscription: &Subscription, item: &SubscriptionItem) -> InvoiceLine {
    let id = at.world.ids.make();
    let price = &at.world.prices[&item.price];
    let product = &at.world.products[&price.product];
    InvoiceLine {
        id,
        amount: item
            .quantity
            .map_or(0, |quantity| pricing::amount(price, quantity)),
        description: wording::line(&product.name, price, item.quantity),
        price: item.price.clone(),
        product: price.product.clone(),
        unit_amount: match price.amounts {
            PriceAmounts::PerUnit(unit) => Some(unit),
            PriceAmounts::Tiered { .. } => None,
        },
        quantity: item.quantity,
        subscription_item: Some(item.id.clone()),
        period_start: item.current_period_start,
        period_end: item.current_period_end,
        proration: false,
        metadata: subscription.metadata.clone(),
    }
}

/// The end of a period: the scheduled end, or the next period and its invoice.
pub(crate) fn period_ended(at: &mut Moment<'_>, id: &SubscriptionId) {
    let subscription = &at.world.subscriptions[id];
    let is_due = subscription.period_end().is_some_and(|end| end <= at.now);
    if !is_due {
        return;
    }
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Trialing => {}
        _ => return,
    }
    if subscription.cancel_at.is_some_and(|end| end <= at.now) {
        return end(at, id, CancellationReason::Requested);
    }
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    let previous = move_on(at, id);
    let invoice = draft(at, id, BillingReason::SubscriptionCycle, previous);
    invoices::finalize_later(at, &invoice);
    await_period_end(at, id);
    at.emit("invoice.created", &Object::Invoice(invoice));
    at.emit_updated("customer.subscription.updated", &object, &before);
}

/// Moves the items whose period is over into their next one; answers the period that is over.
fn move_on(at: &mut Moment<'_>, id: &SubscriptionId) -> (Timestamp, Timestamp) {
    let mut previous = (at.now, at.now);
    let subscription = at.world.subscriptions[id].clone();
    let mut items = subscription.items;
    for item in items.iter_mut().filter(|item| item.current_period_end <= at.now) {
        previous = (item.current_period_start, item.current_period_end);
        let recurrence = recurrence(&at.world.prices[&item.price]);
        let start = item.current_period_end;
        item.current_period_start = start;
        item.current_period_end =
            calendar::next_period_end(subscription.billing_cycle_anchor, &recurrence, start);
    }
    at.world.subscriptions[id].items = items;
    previous
}

/// Ends a subscription at once. Its invoices are no longer pursued.
pub(crate) fn end(at: &mut Moment<'_>, id: &SubscriptionId, reason: CancellationReason) {
    let now = at.now;
    let subscription = &mut at.world.subscriptions[id];
    subscription.status = SubscriptionStatus::Canceled;
    subscription.ended_at = Some(now);
    subscription.canceled_at.get_or_insert(now);
    subscription.cancellation_reason = Some(reason);
    let unpaid = |status| matches!(status, InvoiceStatus::Draft | InvoiceStatus::Open);
    for invoice in at.world.invoices.iter_mut() {
        if invoice.subscription.as_ref() == Some(id) && unpaid(invoice.status) {
            invoice.auto_advance = false;
            invoice.next_payment_attempt = None;
        }
    }
    at.emit("customer.subscription.deleted", &Object::Subscription(id.clone()));
}

/// An invoice was paid: what waited for it becomes active.
pub(crate) fn follow_payment(at: &mut Moment<'_>, invoice: &InvoiceId) {
    let Some(id) = at.world.invoices[invoice].subscription.clone() else {
        return;
    };
    let is_latest = at.world.subscriptions[&id].latest_invoice.as_ref() == Some(invoice);
    match at.world.subscriptions[&id].status {
        SubscriptionStatus::Incomplete => set_status(at, &id, SubscriptionStatus::Active),
        SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid if is_latest => {
            set_status(at, &id, SubscriptionStatus::Active);
        }
        _ => {}
    }
}

/// A bank debit is under way: Stripe lets the subscription begin on trust.
pub(crate) fn follow_processing(at: &mut Moment<'_>, invoice: &InvoiceId) {
    let Some(id) = at.world.invoices[invoice].subscription.clone() else {
        return;
    };
    if at.world.subscriptions[&id].status == SubscriptionStatus::Incomplete {
        set_status(at, &id, SubscriptionStatus::Active);
    }
}

/// An invoice could not be collected, this time or for good.
pub(crate) fn follow_failure(at: &mut Moment<'_>, invoice: &InvoiceId, for_good: bool) {
    let Some(id) = at.world.invoices[invoice].subscription.clone() else {
        return;
    };
    let pursued = at.world.invoices[invoice].auto_advance;
    match (at.world.subscriptions[&id].status, AFTER_LAST_RETRY) {
        (SubscriptionStatus::Active | SubscriptionStatus::PastDue, SubscriptionStatus::Canceled)
            if for_good && pursued =>
        {
            end(at, &id, CancellationReason::PaymentFailed);
        }
        (SubscriptionStatus::Active | SubscriptionStatus::PastDue, last) if for_good && pursued => {
            set_status(at, &id, last)
        }
        (SubscriptionStatus::Active, _) => set_status(at, &id, SubscriptionStatus::PastDue),
        _ => {}
    }
}

fn set_status(at: &mut Moment<'_>, id: &SubscriptionId, status: SubscriptionStatus) {
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    at.world.subscriptions[id].status = status;
    at.emit_updated("customer.subscription.updated", &object, &before);
}

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
    let subscription = super::referred(&at.world.subscriptions, &id, "subscription")?;
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
    end(at, &id, CancellationReason::Requested);
    Ok(at.picture(&Object::Subscription(id)))
}
