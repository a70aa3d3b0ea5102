//! Updates of a subscription: what is asked for, what it costs, and what becomes of it when the payment does not go through.
//!
//! # How it works
//! [`draft`] makes the change and, when it is to be billed at once, the draft of its invoice; nothing is paid yet, and a preview
//! ends here. [`settle`] finalises that invoice and collects it. Which of the two comes first for the subscription is the
//! `payment_behavior`'s to say: with `pending_if_incomplete` the new terms wait for the payment ([`super::pending_updates`]).
//!
//! # If it fails half-way
//! All parameters are read and the change is planned before anything is written. `error_if_incomplete` works on the world and
//! puts it back as it was when the payment fails.

use jiff::Timestamp;
use serde_json::Value;

use super::billing::{self, Draft};
use super::changes::{self, Plan, ProrationBehavior, Wish};
use super::payments::Outcome;
use super::{
    Moment, customers, discounts, invoices, invoicing, lifecycle, limits, named, pending, pending_updates,
    redemption, subscription_creation, subscriptions, taxes,
};
use crate::id::{InvoiceId, InvoiceItemId, SubscriptionId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{
    BillingReason, CancellationReason, CollectionMethod, Line, Metadata, MissingPaymentMethod,
    PausedCollection, Settings, Subscription, SubscriptionStatus, World,
};

/// What happens when the invoice of a change is not paid at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaymentBehavior {
    /// The change lands, and the subscription is past due.
    LandAnyway,
    /// The change lands; the payment is left to the caller to confirm.
    LeaveOpen,
    /// Nothing happens, and the answer is 402.
    Refuse,
    /// The change waits for the payment.
    Wait,
}

impl PaymentBehavior {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("allow_incomplete", Self::LandAnyway),
        ("default_incomplete", Self::LeaveOpen),
        ("error_if_incomplete", Self::Refuse),
        ("pending_if_incomplete", Self::Wait),
    ];
}

/// An update that is read, and held to what can be said without looking.
pub(crate) struct Update {
    pub(crate) wish: Wish,
    pub(crate) payment_behavior: PaymentBehavior,
    pub(crate) cancel_at_period_end: Option<bool>,
    pub(crate) cancel_at: Change<Timestamp>,
    pub(crate) automatic_tax: Option<bool>,
    pub(crate) notes: Option<Notes>,
    pub(crate) description: Change<String>,
    pub(crate) default_payment_method: Change<String>,
    pub(crate) collection_method: Option<CollectionMethod>,
    pub(crate) days_until_due: Option<u32>,
    pub(crate) paused_collection: Change<PausedCollection>,
    pub(crate) missing_payment_method: Option<MissingPaymentMethod>,
}

/// What is noted of a subscription, as it is to be.
pub(crate) struct Notes {
    metadata: Metadata,
    cancellation_comment: Option<String>,
    cancellation_feedback: Option<String>,
}

impl Update {
    /// Changes nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            wish: Wish::none(),
            payment_behavior: PaymentBehavior::LandAnyway,
            automatic_tax: None,
            notes: None,
            description: Change::Keep,
            default_payment_method: Change::Keep,
            cancel_at_period_end: None,
            cancel_at: Change::Keep,
            collection_method: None,
            days_until_due: None,
            paused_collection: Change::Keep,
            missing_payment_method: None,
        }
    }

    fn read(subscription: &Subscription, params: &Params<'_>, settings: Settings) -> Result<Self, Refusal> {
        let mut copy = subscription.clone();
        params.metadata_into(&mut copy.metadata)?;
        subscriptions::read_cancellation_details(&mut copy, params)?;
        let discounts = redemption::read(params, "discounts")?;
        let update = Self {
            wish: Wish {
                discounts,
                ..Wish::read(params)?
            },
            payment_behavior: params
                .choice("payment_behavior", &PaymentBehavior::WORDS)?
                .unwrap_or(PaymentBehavior::LandAnyway),
            automatic_tax: taxes::read(params)?,
            notes: Some(Notes {
                metadata: copy.metadata,
                cancellation_comment: copy.cancellation_comment,
                cancellation_feedback: copy.cancellation_feedback,
            }),
            description: params.change("description")?,
            default_payment_method: params.change("default_payment_method")?,
            cancel_at_period_end: params.boolean("cancel_at_period_end")?,
            cancel_at: params.timestamp_change("cancel_at")?,
            collection_method: params.choice("collection_method", &CollectionMethod::WORDS)?,
            days_until_due: read_days(params)?,
            paused_collection: read_pause(params)?,
            missing_payment_method: read_trial_settings(params)?,
        };
        params.inert(&["off_session", "invoice_settings"]);
        params.unsupported(&["trial_from_plan", "add_invoice_items"])?;
        params.finish()?;
        update.check(params, settings)?;
        Ok(update)
    }

    /// Whether it changes nothing but what is noted. Source: Stripe's reference, of the status `incomplete`, and its refusal of an ended one.
    fn is_of_metadata_alone(&self) -> bool {
        !self.wish.is_of_terms()
            && self.wish.discounts.is_none()
            && self.automatic_tax.is_none()
            && matches!(self.description, Change::Keep)
            && matches!(self.default_payment_method, Change::Keep)
            && self.cancel_at_period_end.is_none()
            && matches!(self.cancel_at, Change::Keep)
            && self.collection_method.is_none()
            && self.days_until_due.is_none()
            && matches!(self.paused_collection, Change::Keep)
            && self.missing_payment_method.is_none()
    }

    fn check(&self, params: &Params<'_>, settings: Settings) -> Result<(), Refusal> {
        if self.payment_behavior == PaymentBehavior::Wait {
            pending_updates::check_params(params, settings)?;
        }
        if self.cancel_at_period_end == Some(true) && matches!(self.cancel_at, Change::Set(_)) {
            let message = "You may only specify one of these parameters: cancel_at, cancel_at_period_end.";
            return Err(Refusal::invalid("cancel_at", message));
        }
        Ok(())
    }
}

pub(crate) fn read_days(params: &Params<'_>) -> Result<Option<u32>, Refusal> {
    let days = params.count("days_until_due", 0)?;
    let too_many = || Refusal::invalid("days_until_due", "Invalid days_until_due");
    days.map(|days| u32::try_from(days).map_err(|_| too_many()))
        .transpose()
}

/// An empty string has it collected again.
fn read_pause(params: &Params<'_>) -> Result<Change<PausedCollection>, Refusal> {
    if !params.is_object("pause_collection") {
        return match params.change("pause_collection")? {
            Change::Keep => Ok(Change::Keep),
            Change::Clear => Ok(Change::Clear),
            Change::Set(_) => Err(Refusal::invalid("pause_collection", "Invalid object")),
        };
    }
    let Some(pause) = params.child("pause_collection")? else {
        return Ok(Change::Keep);
    };
    pause.unsupported(&["resumes_at"])?;
    let behavior = pause.choice("behavior", &PausedCollection::WORDS)?;
    behavior
        .map(Change::Set)
        .ok_or_else(|| Refusal::missing("pause_collection[behavior]"))
}

pub(crate) fn read_trial_settings(params: &Params<'_>) -> Result<Option<MissingPaymentMethod>, Refusal> {
    match params.child("trial_settings")? {
        None => Ok(None),
        Some(settings) => match settings.child("end_behavior")? {
            None => Err(Refusal::missing("trial_settings[end_behavior]")),
            Some(end) => end.choice("missing_payment_method", &MissingPaymentMethod::WORDS),
        },
    }
}

/// Whether what pays an invoice becomes the subscription's payment method, where that is said. The rest changes nothing here.
pub(crate) fn read_payment_settings(params: &Params<'_>) -> Result<Option<bool>, Refusal> {
    const WORDS: [(&str, bool); 2] = [("off", false), ("on_subscription", true)];
    let Some(settings) = params.child("payment_settings")? else {
        return Ok(None);
    };
    settings.inert(&["payment_method_options", "payment_method_types"]);
    settings.choice("save_default_payment_method", &WORDS)
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let subscription = named(&at.world.subscriptions, id, "id")?;
    let id = subscription.id.clone();
    let saves_payment_method = read_payment_settings(params)?;
    let update = Update::read(subscription, params, at.world.settings)?;
    if saves_payment_method.is_some() && subscription.status == SubscriptionStatus::Incomplete {
        return Err(incomplete());
    }
    if saves_payment_method.is_some() && subscription.has_ended() {
        return Err(ended());
    }
    if let Some(saves) = saves_payment_method {
        at.world.subscriptions[&id].saves_payment_method = saves;
    }
    run(at, &id, update)?;
    Ok(at.picture(&Object::Subscription(id)))
}

/// Makes the change and collects what it costs.
pub(crate) fn run(at: &mut Moment<'_>, id: &SubscriptionId, update: Update) -> Result<(), Refusal> {
    let behavior = update.payment_behavior;
    let nothing_pays = behavior != PaymentBehavior::LeaveOpen && nothing_pays(at, id, &update);
    let saved =
        (nothing_pays || behavior == PaymentBehavior::Refuse).then(|| at.world.copy_without_replies());
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    let invoice = draft(at, id, update)?;
    let is_due = |invoice: &InvoiceId| {
        let invoice = &at.world.invoices[invoice];
        invoice.amount_due() > 0 && !limits::is_too_small(invoice.amount_due(), &invoice.currency)
    };
    if nothing_pays && invoice.as_ref().is_some_and(is_due) {
        saved.into_iter().for_each(|saved| undo(at, saved));
        return Err(subscription_creation::no_payment_method());
    }
    // An update beside one that waits already is in effect.
    let pending = at.world.subscriptions[id].pending_update.as_ref();
    let waits = pending.is_some_and(|pending| Some(&pending.invoice) == invoice.as_ref());
    if !waits {
        at.emit_updated("customer.subscription.updated", &object, &before);
    }
    let Some(invoice) = invoice else {
        return Ok(());
    };
    let outcome = settle(at, &invoice, behavior);
    if waits {
        pending_updates::announce(at, id, &before);
    }
    match (saved, outcome) {
        (Some(saved), Some(Outcome::Declined(_) | Outcome::RequiresAction)) => {
            let refusal = invoices::refusal(at, &invoice, outcome);
            undo(at, saved);
            refusal.map_or(Ok(()), Err)
        }
        _ => Ok(()),
    }
}

/// Lets a change never have been. Ids are not made twice, not even those of what never was.
pub(super) fn undo(at: &mut Moment<'_>, saved: World) {
    let ids = at.world.ids.clone();
    at.world.go_back_to(saved);
    at.world.ids = ids;
}

/// Whether a subscription is to be charged, and there is nothing to charge.
fn nothing_pays(at: &Moment<'_>, id: &SubscriptionId, update: &Update) -> bool {
    let subscription = &at.world.subscriptions[id];
    let own = match &update.default_payment_method {
        Change::Keep => subscription.default_payment_method.is_some(),
        Change::Clear => false,
        Change::Set(_) => true,
    };
    let customer = &at.world.customers[&subscription.customer];
    subscription.collection_method == CollectionMethod::ChargeAutomatically
        && subscription.paused_collection.is_none()
        && !own
        && customer.default_payment_method.is_none()
}

/// Makes the change and the draft of its invoice, if it is billed at once. This is what a preview shows.
pub(crate) fn draft(
    at: &mut Moment<'_>,
    id: &SubscriptionId,
    update: Update,
) -> Result<Option<InvoiceId>, Refusal> {
    let before = at.world.subscriptions[id].clone();
    if before.has_ended() && !update.is_of_metadata_alone() {
        return Err(ended());
    }
    check_schedule(&before, &update)?;
    check_state(at, &before, &update)?;
    let (mut changed, behavior) = with_members(at, &before, &update)?;
    let mut end_moved = apply_end(at, &mut changed, &update);
    let mut plan = changes::plan(at, &changed, &update.wish)?;
    if !end_moved.is_empty() {
        plan.bills_now |= update.wish.proration_behavior == ProrationBehavior::AlwaysInvoice;
        end_moved.append(&mut plan.prorations);
        plan.prorations = end_moved;
    }
    limits::check_lines(
        at.world.settings,
        plan.prorations.iter().chain(&plan.new_period),
        &before.currency,
    )?;
    let ends = update.cancel_at_period_end;
    let is_contradicted = pending_updates::is_contradicted(at.world.settings, &before, ends);
    if plan.bills_now || !plan.prorations.is_empty() || is_contradicted {
        pending_updates::drop_present(at, id);
    }
    let waits = behavior == PaymentBehavior::Wait && plan.bills_now;
    let terms = plan.after.terms();
    if !waits {
        let pending_update = at.world.subscriptions[id].pending_update.clone();
        at.world.subscriptions[id] = Subscription {
            pending_update,
            latest_invoice: at.world.subscriptions[id].latest_invoice.clone(),
            ..plan.after.clone()
        };
        discounts::replaced(at, id, &before.discounts);
        if (before.period_end(), before.cancel_at) != (plan.after.period_end(), plan.after.cancel_at) {
            lifecycle::await_period_end(at, id);
        }
    }
    let prorations = put_by(at, &mut plan, !waits);
    if !plan.bills_now {
        return Ok(None);
    }
    let draft = Draft {
        period_start: at.now,
        period_end: at.now,
        ..Draft::of(&plan.after, BillingReason::SubscriptionUpdate, plan.new_period)
    };
    let invoice = invoicing::draft(at, draft);
    if waits {
        let metadata = (plan.after.metadata != before.metadata).then_some(plan.after.metadata);
        pending_updates::put(at, id, &invoice, prorations, terms, (metadata, ends));
    } else {
        lifecycle::remember_charges(at, id, &invoice);
    }
    at.emit("invoice.created", &Object::Invoice(invoice.clone()));
    Ok(Some(invoice))
}

fn incomplete() -> Refusal {
    Refusal::state("An incomplete subscription can only have its `metadata` and `default_source` updated.")
}

/// Stripe's words, which come without a code.
fn ended() -> Refusal {
    Refusal::state("A canceled subscription can only update its cancellation_details and metadata.")
}

/// What cannot be done to a subscription as it is now.
fn check_state(at: &Moment<'_>, subscription: &Subscription, update: &Update) -> Result<(), Refusal> {
    if subscription.status == SubscriptionStatus::Incomplete && !update.is_of_metadata_alone() {
        return Err(incomplete());
    }
    match update.cancel_at {
        Change::Set(end) if end <= at.now => {
            let message = "Invalid timestamp: `cancel_at` must be in the future.";
            Err(Refusal::invalid("cancel_at", message))
        }
        _ => Ok(()),
    }
}

/// Puts the shares by for the next invoice, which may be the one that is made at once.
fn put_by(at: &mut Moment<'_>, plan: &mut Plan, lands: bool) -> Vec<InvoiceItemId> {
    let mut made = Vec::new();
    for line in std::mem::take(&mut plan.prorations) {
        let charged = billing::charged(&line, None).filter(|_| lands);
        let item = line.subscription_item.clone();
        let id = pending::put_by(at, &plan.after, line);
        let items = &mut at.world.subscriptions[&plan.after.id].items;
        let of_line = items.iter_mut().find(|row| Some(&row.id) == item.as_ref());
        if let (Some(charged), Some(row)) = (charged, of_line) {
            row.charged = Some(charged);
        }
        at.emit("invoiceitem.created", &Object::InvoiceItem(id.clone()));
        made.push(id);
    }
    made
}

/// When a subscription ends is its schedule's to say, if it has one.
fn check_schedule(subscription: &Subscription, update: &Update) -> Result<(), Refusal> {
    match &subscription.schedule {
        Some(schedule) if update.cancel_at_period_end.is_some() || update.cancel_at != Change::Keep => {
            Err(Refusal::state(format!(
                "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation \
                 behavior directly is not allowed. Please update the schedule instead."
            )))
        }
        _ => Ok(()),
    }
}

/// The subscription with the members that cost nothing changed.
fn with_members(
    at: &Moment<'_>,
    before: &Subscription,
    update: &Update,
) -> Result<(Subscription, PaymentBehavior), Refusal> {
    let mut subscription = before.clone();
    if let Some(notes) = &update.notes {
        subscription.metadata.clone_from(&notes.metadata);
        subscription
            .cancellation_comment
            .clone_from(&notes.cancellation_comment);
        subscription
            .cancellation_feedback
            .clone_from(&notes.cancellation_feedback);
    }
    if let Some(on) = update.automatic_tax {
        subscription.automatic_tax = taxes::switch(at, &before.customer, on)?;
    }
    update.description.clone().apply(&mut subscription.description);
    match &update.default_payment_method {
        Change::Keep => {}
        Change::Clear => subscription.default_payment_method = None,
        Change::Set(method) => {
            let method = customers::own_method(at, &before.customer, method, "default_payment_method")?;
            subscription.default_payment_method = Some(method);
        }
    }
    if let Some(method) = update.collection_method {
        subscription.collection_method = method;
    }
    if update.days_until_due.is_some() {
        subscription.days_until_due = update.days_until_due;
    }
    update
        .paused_collection
        .clone()
        .apply(&mut subscription.paused_collection);
    if let Some(wanted) = update.missing_payment_method {
        subscription.missing_payment_method = wanted;
    }
    if subscription.paused_collection.is_some() && update.payment_behavior == PaymentBehavior::Wait {
        // What Stripe makes of a change that waits for a payment that is not collected is not documented.
        return Err(Refusal::unsupported("payment_behavior"));
    }
    let sent = subscription.collection_method == CollectionMethod::SendInvoice;
    if sent && subscription.days_until_due.is_none() {
        let message = "You must provide `days_until_due` when `collection_method` is `send_invoice`.";
        return Err(Refusal::invalid("days_until_due", message));
    }
    if sent && update.payment_behavior == PaymentBehavior::Wait {
        let message =
            "`payment_behavior` can only be `pending_if_incomplete` when invoices are charged automatically.";
        return Err(Refusal::invalid("payment_behavior", message));
    }
    if update.payment_behavior == PaymentBehavior::Wait {
        pending_updates::check_payer(at, &subscription)?;
    }
    Ok((subscription, update.payment_behavior))
}

/// Schedules the end, or takes it back. A date within the current period moves the end of that; answers what this costs.
fn apply_end(at: &Moment<'_>, subscription: &mut Subscription, update: &Update) -> Vec<Line> {
    let before = subscription.clone();
    end_with_period(at.now, subscription, update.cancel_at_period_end);
    match update.cancel_at {
        Change::Keep => {}
        Change::Clear => {
            subscription.cancel_at_period_end = false;
            schedule_end(at.now, subscription, None);
        }
        Change::Set(end) => end_on(at.now, subscription, end),
    }
    lifecycle::cut_short(subscription);
    match update.wish.proration_behavior {
        ProrationBehavior::Nothing => Vec::new(),
        ProrationBehavior::CreateProrations | ProrationBehavior::AlwaysInvoice => {
            billing::moved_end(at.world, &before, subscription)
        }
    }
}

/// Has it end with its period, or not any more, where that is said.
pub(crate) fn end_with_period(now: Timestamp, subscription: &mut Subscription, ends: Option<bool>) {
    match ends {
        Some(true) if !subscription.cancel_at_period_end => {
            subscription.cancel_at_period_end = true;
            schedule_end(now, subscription, subscription.period_end());
        }
        // Whether it takes back an end that was set by its date Stripe does not say: here that takes the date.
        Some(false) if subscription.cancel_at_period_end => {
            subscription.cancel_at_period_end = false;
            schedule_end(now, subscription, None);
        }
        _ => {}
    }
}

/// Has it end on a date.
pub(crate) fn end_on(now: Timestamp, subscription: &mut Subscription, end: Timestamp) {
    // A flexible one ends on its date, wherever its period does.
    let is_flexible = subscription.billing_mode.is_flexible();
    subscription.cancel_at_period_end = !is_flexible && subscription.whole_period_end() == Some(end);
    schedule_end(now, subscription, Some(end));
}

fn schedule_end(now: Timestamp, subscription: &mut Subscription, end: Option<Timestamp>) {
    subscription.cancel_at = end;
    subscription.canceled_at = end.map(|_| now);
    subscription.cancellation_reason = end.map(|_| CancellationReason::Requested);
}

/// Finalises an invoice and collects it as the behaviour says. None when it is left to others to pay it.
pub(crate) fn settle(at: &mut Moment<'_>, id: &InvoiceId, behavior: PaymentBehavior) -> Option<Outcome> {
    if !invoicing::finalize_unless_paused(at, id) {
        return None;
    }
    let invoice = &at.world.invoices[id];
    let free = invoice.amount_due() == 0;
    let charged = invoice.collection_method == CollectionMethod::ChargeAutomatically;
    if charged && behavior == PaymentBehavior::LeaveOpen && !free {
        leave_open(at, id);
        return None;
    }
    invoicing::collect_or_send(at, id)
}

/// The payment is the caller's to confirm: the subscription waits for it.
fn leave_open(at: &mut Moment<'_>, id: &InvoiceId) {
    at.world.invoices[id].auto_advance = false;
    at.world.invoices[id].next_payment_attempt = None;
    if let Some(subscription) = at.world.invoices[id].subscription.clone()
        && at.world.subscriptions[&subscription].status == SubscriptionStatus::Active
    {
        lifecycle::set_status(at, &subscription, SubscriptionStatus::PastDue);
    }
}
