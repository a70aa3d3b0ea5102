//! Subscriptions: begun, renewed, ended, and following the fate of their invoices.
//!
//! # How it works
//! A subscription has items, each with a period; the periods are counted from one anchor. At the end of a period the items move
//! on and an invoice is drafted; what becomes of the invoice decides the status. What a change does is in [`super::changes`].
//!
//! # If it fails half-way
//! Nothing awaits and every step leaves a consistent world; an agenda entry for a period that is over already does nothing.

use jiff::Timestamp;

use super::billing::{self, Draft};
use super::{Moment, calendar, invoicing, pending, pending_updates, redemption, scheduling};
use crate::id::{CustomerId, DiscountId, InvoiceId, PaymentMethodId, PriceId, SubscriptionId};
use crate::render::Object;
use crate::state::{
    AutomaticTax, BillingMode, BillingModeKind, BillingReason, CancellationReason, CollectionMethod,
    Currency, Due, Interval, Invoice, InvoiceStatus, Metadata, MissingPaymentMethod, Price, Recurrence,
    Subscription, SubscriptionItem, SubscriptionStatus, World,
};

/// A subscription to be begun.
pub(crate) struct NewSubscription {
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) items: Vec<(PriceId, Option<u64>)>,
    pub(crate) billing_mode: BillingModeKind,
    /// Another first period than a whole one from now on.
    pub(crate) first_period: Option<FirstPeriod>,
    pub(crate) collection_method: CollectionMethod,
    pub(crate) days_until_due: Option<u32>,
    pub(crate) trial_end: Option<Timestamp>,
    pub(crate) automatic_tax: AutomaticTax,
    /// They take effect with the subscription.
    pub(crate) discounts: Vec<DiscountId>,
    pub(crate) default_payment_method: Option<PaymentMethodId>,
    pub(crate) saves_payment_method: bool,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

/// A first period that begins earlier, or that an anchor cuts short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstPeriod {
    pub(crate) start: Timestamp,
    /// Where it ends, and from where later periods are counted.
    pub(crate) anchor: Timestamp,
}

/// Begins a subscription now, as `incomplete`, and drafts its first invoice. The caller emits the events and collects.
pub(crate) fn begin(at: &mut Moment<'_>, new: NewSubscription) -> (SubscriptionId, InvoiceId) {
    let items = new
        .items
        .into_iter()
        .map(|(price, quantity)| item(at, price, quantity, new.first_period))
        .collect();
    let mut subscription = Subscription {
        id: at.world.ids.make(),
        created: at.now,
        start_date: new.first_period.map_or(at.now, |first| first.start),
        billing_cycle_anchor: new.first_period.map_or(at.now, |first| first.anchor),
        billing_mode: BillingMode::given(new.billing_mode, at.now),
        status: SubscriptionStatus::Incomplete,
        customer: new.customer,
        currency: new.currency,
        items,
        collection_method: new.collection_method,
        days_until_due: new.days_until_due,
        trial_start: None,
        trial_end: None,
        paused_collection: None,
        missing_payment_method: MissingPaymentMethod::default(),
        pending_update: None,
        discounts: new.discounts,
        automatic_tax: new.automatic_tax,
        schedule: None,
        default_payment_method: new.default_payment_method,
        saves_payment_method: new.saves_payment_method,
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
    if let Some(end) = new.trial_end {
        put_on_trial(&mut subscription, at.now, end);
    }
    let id = at.world.subscriptions.insert(subscription);
    redemption::take_effect(at, &id);
    await_period_end(at, &id);
    let invoice = draft(at, &id, BillingReason::SubscriptionCreate, (at.now, at.now));
    (id, invoice)
}

fn item(
    at: &mut Moment<'_>,
    price: PriceId,
    quantity: Option<u64>,
    first: Option<FirstPeriod>,
) -> SubscriptionItem {
    let recurrence = recurrence(&at.world.prices[&price]);
    let (start, end) = match first {
        Some(first) => (first.start, first.anchor),
        None => (at.now, calendar::next_period_end(at.now, recurrence, at.now)),
    };
    // A share of an imagined period from the start on: the anchor counts as the end of one that is as long.
    let whole_period_start = first.map(|first| {
        let imagined_end = calendar::next_period_end(first.start, recurrence, first.start);
        let length = imagined_end.as_second() - first.start.as_second();
        Timestamp::from_second(first.anchor.as_second() - length).unwrap_or(first.start)
    });
    SubscriptionItem {
        id: at.world.ids.make(),
        created: at.now,
        current_period_start: start,
        current_period_end: end,
        whole_period_start,
        whole_period_end: None,
        metered_since: None,
        price,
        quantity,
        charged: None,
        metadata: Metadata::new(),
    }
}

/// Nothing is charged until the trial's end, and periods are counted from there.
pub(crate) fn put_on_trial(subscription: &mut Subscription, now: Timestamp, end: Timestamp) {
    subscription.status = SubscriptionStatus::Trialing;
    subscription.trial_start.get_or_insert(now);
    subscription.trial_end = Some(end);
    subscription.billing_cycle_anchor = end;
    for item in &mut subscription.items {
        item.current_period_start = now;
        item.current_period_end = end;
        item.whole_period_start = None;
        item.whole_period_end = None;
        item.charged = None;
    }
}

/// How often a subscription is billed: its items are alike in this.
pub(crate) fn cycle(world: &World, subscription: &Subscription) -> Option<(Interval, u32)> {
    let first = recurrence(&world.prices[&subscription.items.first()?.price]);
    Some((first.interval, first.interval_count))
}

pub(crate) fn recurrence(price: &Price) -> &Recurrence {
    price
        .recurring
        .as_ref()
        .expect("a price is held to be recurring before it gets into a subscription")
}

/// Puts the next end into the agenda: of the period, or of the subscription within it.
pub(crate) fn await_period_end(at: &mut Moment<'_>, id: &SubscriptionId) {
    if let Some(end) = next_end(&at.world.subscriptions[id]) {
        at.world.remind(end, Due::PeriodEnd(id.clone()));
    }
}

fn next_end(subscription: &Subscription) -> Option<Timestamp> {
    subscription
        .period_end()
        .into_iter()
        .chain(subscription.cancel_at)
        .min()
}

/// Bills the items' current periods.
fn draft(
    at: &mut Moment<'_>,
    id: &SubscriptionId,
    billing_reason: BillingReason,
    (period_start, period_end): (Timestamp, Timestamp),
) -> InvoiceId {
    let subscription = at.world.subscriptions[id].clone();
    let mut billed = subscription.clone();
    if subscription.billing_mode.is_flexible() && billing_reason == BillingReason::SubscriptionCreate {
        // Nothing was used yet, and a flexible one does not say so.
        billed.items.retain(|item| item.quantity.is_some());
    }
    let lines = billing::period_lines(at.world, &billed, (period_start, period_end));
    let draft = Draft {
        period_start,
        period_end,
        ..Draft::of(&subscription, billing_reason, lines)
    };
    let invoice = invoicing::draft(at, draft);
    remember_charges(at, id, &invoice);
    invoice
}

/// Notes at each item what this invoice bills for its time: the most that can be credited for it.
pub(crate) fn remember_charges(at: &mut Moment<'_>, id: &SubscriptionId, invoice: &InvoiceId) {
    let Moment { world, .. } = at;
    for row in &world.invoices[invoice].lines {
        let charged = billing::charged(&row.line, Some((invoice.clone(), row.id.clone())));
        let of_line = |item: &&mut SubscriptionItem| row.line.subscription_item.as_ref() == Some(&item.id);
        if let (Some(charged), Some(item)) = (charged, world.subscriptions[id].items.iter_mut().find(of_line))
        {
            item.charged = Some(charged);
        }
    }
}

/// The end of a period: the scheduled end, or the next period and its invoice.
pub(crate) fn period_ended(at: &mut Moment<'_>, id: &SubscriptionId) {
    let subscription = &at.world.subscriptions[id];
    let is_due = next_end(subscription).is_some_and(|end| end <= at.now);
    if !is_due {
        return;
    }
    scheduling::before_renewal(at, id);
    pending_updates::expire_if_due(at, id);
    let subscription = &at.world.subscriptions[id];
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Trialing => {}
        _ => return,
    }
    if subscription.cancel_at.is_some_and(|end| end <= at.now) {
        return end_at_last(at, id);
    }
    if subscription.status == SubscriptionStatus::Trialing && !can_pay(at, id) {
        match subscription.missing_payment_method {
            MissingPaymentMethod::CreateInvoice => {}
            MissingPaymentMethod::Cancel => return end(at, id, CancellationReason::PaymentFailed),
            MissingPaymentMethod::Pause => return pause(at, id),
        }
    }
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    let previous = move_on(at, id);
    let subscription = &mut at.world.subscriptions[id];
    if subscription.status == SubscriptionStatus::Trialing {
        subscription.status = SubscriptionStatus::Active;
    }
    let invoice = draft(at, id, BillingReason::SubscriptionCycle, previous);
    invoicing::finalize_later(at, &invoice);
    await_period_end(at, id);
    at.emit("invoice.created", &Object::Invoice(invoice));
    at.emit_updated("customer.subscription.updated", &object, &before);
}

/// Whether there is anything to charge.
fn can_pay(at: &Moment<'_>, id: &SubscriptionId) -> bool {
    let subscription = &at.world.subscriptions[id];
    let customer = &at.world.customers[&subscription.customer];
    subscription.default_payment_method.is_some() || customer.default_payment_method.is_some()
}

/// The trial is over and nothing can be charged: nothing is billed until somebody resumes it.
fn pause(at: &mut Moment<'_>, id: &SubscriptionId) {
    set_status(at, id, SubscriptionStatus::Paused);
    at.emit("customer.subscription.paused", &Object::Subscription(id.clone()));
}

/// The scheduled end: what was used until now is still billed.
pub(crate) fn end_at_last(at: &mut Moment<'_>, id: &SubscriptionId) {
    end(at, id, CancellationReason::Requested);
    if charge_usage(at, id) {
        bill_rest(at, id);
    }
}

/// Puts what was used in the current period by for the customer's next invoice; false when nothing was.
pub(crate) fn charge_usage(at: &mut Moment<'_>, id: &SubscriptionId) -> bool {
    let subscription = at.world.subscriptions[id].clone();
    let start = subscription.items.first().map(|item| item.current_period_start);
    let used = billing::usage_lines(at.world, &subscription, (start.unwrap_or(at.now), at.now));
    let any = !used.is_empty();
    for line in used {
        let item = pending::put_by(at, &subscription, line);
        at.emit("invoiceitem.created", &Object::InvoiceItem(item));
    }
    any
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
        // A share of one, where another interval begins at an anchor that stays.
        let whole = calendar::period_start(subscription.billing_cycle_anchor, recurrence, start);
        item.whole_period_start = (whole != start).then_some(whole);
        item.current_period_end =
            calendar::next_period_end(subscription.billing_cycle_anchor, recurrence, start);
        item.whole_period_end = None;
    }
    let row = &mut at.world.subscriptions[id];
    row.items = items;
    cut_short(row);
    previous
}

/// Has the current periods end where the subscription does, if that lies within them, and where they would without it otherwise. A trial
/// is left alone.
pub(crate) fn cut_short(subscription: &mut Subscription) {
    if subscription.status == SubscriptionStatus::Trialing {
        return;
    }
    for item in &mut subscription.items {
        let start = item.current_period_start;
        let whole = item.whole_period_end.take().unwrap_or(item.current_period_end);
        let cut = subscription.cancel_at.filter(|end| start < *end && *end < whole);
        item.current_period_end = cut.unwrap_or(whole);
        item.whole_period_end = cut.map(|_| whole);
    }
}

/// Ends a subscription at once. Its invoices are no longer pursued, and what waited for one is dropped.
pub(crate) fn end(at: &mut Moment<'_>, id: &SubscriptionId, reason: CancellationReason) {
    let now = at.now;
    pending_updates::drop_present(at, id);
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
    scheduling::follow_end(at, id, reason);
}

/// Puts the credit for the time that an ended subscription did not use by for the customer's next invoice.
pub(crate) fn credit_rest(at: &mut Moment<'_>, id: &SubscriptionId) {
    let subscription = at.world.subscriptions[id].clone();
    for line in billing::credits(at.world, &subscription, at.now) {
        let item = pending::put_by(at, &subscription, line);
        at.emit("invoiceitem.created", &Object::InvoiceItem(item));
    }
}

/// The last invoice of a subscription that was ended by call, with or without giving back its rest: what was used and what waits, at once.
pub(crate) fn bill_last(at: &mut Moment<'_>, id: &SubscriptionId, prorate: bool) {
    if prorate || !at.world.settings.usage_needs_prorate {
        charge_usage(at, id);
    }
    bill_rest(at, id);
}

/// Bills what waits for an ended subscription at once.
fn bill_rest(at: &mut Moment<'_>, id: &SubscriptionId) {
    if let Some(invoice) = draft_rest(at, id) {
        at.emit("invoice.created", &Object::Invoice(invoice.clone()));
        invoicing::finalize(at, &invoice);
        invoicing::collect(at, &invoice);
    }
}

/// The invoice of what waits. Nothing waits, no invoice.
pub(crate) fn draft_rest(at: &mut Moment<'_>, id: &SubscriptionId) -> Option<InvoiceId> {
    let subscription = at.world.subscriptions[id].clone();
    if !pending::any(at.world, id) {
        return None;
    }
    let draft = Draft {
        period_start: at.now,
        period_end: at.now,
        ..Draft::of(&subscription, BillingReason::SubscriptionUpdate, Vec::new())
    };
    Some(invoicing::draft(at, draft))
}

/// Nobody paid the first invoice in time: it is void, and the subscription never was.
pub(crate) fn expire_unpaid(at: &mut Moment<'_>, id: &SubscriptionId) {
    let subscription = &at.world.subscriptions[id];
    if subscription.status != SubscriptionStatus::Incomplete {
        return;
    }
    let invoice = subscription.latest_invoice.clone();
    at.world.subscriptions[id].ended_at = Some(at.now);
    set_status(at, id, SubscriptionStatus::IncompleteExpired);
    if let Some(invoice) = invoice.filter(|invoice| at.world.invoices[invoice].status == InvoiceStatus::Open)
    {
        invoicing::void_open(at, &invoice);
    }
}

/// An invoice was paid: what waited for it lands, or becomes active.
pub(crate) fn follow_payment(at: &mut Moment<'_>, invoice: &InvoiceId) {
    let Some(id) = at.world.invoices[invoice].subscription.clone() else {
        return;
    };
    if pending_updates::land(at, &id, invoice) {
        return;
    }
    let is_latest = latest_bill(at, &id).as_ref() == Some(invoice);
    match at.world.subscriptions[&id].status {
        SubscriptionStatus::Incomplete => set_status(at, &id, SubscriptionStatus::Active),
        SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid if is_latest => {
            set_status(at, &id, SubscriptionStatus::Active);
        }
        _ => {}
    }
}

/// An invoice was given up: that of an overdue subscription's is no longer waited for.
pub(crate) fn follow_giving_up(at: &mut Moment<'_>, invoice: &InvoiceId) {
    let Some(id) = at.world.invoices[invoice].subscription.clone() else {
        return;
    };
    let is_overdue = at.world.subscriptions[&id].status == SubscriptionStatus::PastDue;
    if is_overdue && latest_bill(at, &id).as_ref() == Some(invoice) {
        set_status(at, &id, SubscriptionStatus::Active);
    }
}

/// An invoice was made void: the one before it says where an overdue subscription stands.
pub(crate) fn follow_void(at: &mut Moment<'_>, id: &SubscriptionId) {
    if at.world.subscriptions[id].status != SubscriptionStatus::PastDue {
        return;
    }
    let latest = latest_bill(at, id).map(|invoice| at.world.invoices[&invoice].status);
    if matches!(latest, Some(InvoiceStatus::Paid | InvoiceStatus::Uncollectible)) {
        set_status(at, id, SubscriptionStatus::Active);
    }
}

/// The invoice that says where a subscription stands: its latest that is not void, and that no change waits for.
fn latest_bill(at: &Moment<'_>, id: &SubscriptionId) -> Option<InvoiceId> {
    let mut own =
        at.world.invoices.iter().rev().filter(|invoice| {
            invoice.subscription.as_ref() == Some(id) && invoice.status != InvoiceStatus::Void
        });
    let counts = |invoice: &&Invoice| !pending_updates::is_of(at, id, &invoice.id);
    own.find(counts).map(|invoice| invoice.id.clone())
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
    if pending_updates::is_of(at, &id, invoice) {
        return;
    }
    let pursued = at.world.invoices[invoice].auto_advance;
    let last = at.world.settings.after_last_retry.status();
    match (at.world.subscriptions[&id].status, last) {
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

pub(crate) fn set_status(at: &mut Moment<'_>, id: &SubscriptionId, status: SubscriptionStatus) {
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    at.world.subscriptions[id].status = status;
    at.emit_updated("customer.subscription.updated", &object, &before);
}
