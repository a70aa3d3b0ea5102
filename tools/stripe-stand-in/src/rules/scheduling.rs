//! Schedules by the clock: a subscription begun, led from phase to phase, and let go or ended.
//!
//! # How it works
//! A schedule has one next step (the start of its first phase, or the end of the one under way), and an entry in the agenda for it.
//! At a phase's start the subscription is given the phase's terms: at the end of a period before the renewal, so that the renewal
//! bills them; within a period by the same update that a request would make, with the phase's prorations.
//!
//! # If it fails half-way
//! An entry is a reminder: [`catch_up`] looks at what is due, and does nothing when a rewritten schedule has nothing to do yet.

use jiff::Timestamp;

use super::lifecycle::{self, FirstPeriod, NewSubscription};
use super::{Moment, calendar, invoicing, pending_updates, phase_terms, subscription_updates};
use crate::id::{CustomerId, ScheduleId, SubscriptionId};
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{
    CancellationReason, CollectionMethod, Due, EndBehavior, Grant, Phase, PhaseAnchor, PhaseProrations,
    ScheduleStatus, SubscriptionStatus,
};

/// Puts the next step into the agenda.
pub(crate) fn await_next_step(at: &mut Moment<'_>, id: &ScheduleId) {
    if let Some(next) = at.world.schedules[id].next_step() {
        at.world.remind(next, Due::ScheduleStep(id.clone()));
    }
}

/// Takes every step that is due, and waits for the next.
pub(crate) fn catch_up(at: &mut Moment<'_>, id: &ScheduleId) {
    while at.world.schedules[id]
        .next_step()
        .is_some_and(|next| next <= at.now)
    {
        let object = Object::Schedule(id.clone());
        let before = at.picture(&object);
        let schedule = &at.world.schedules[id];
        match schedule.current {
            None => start(at, id),
            Some(current) if current + 1 < schedule.phases.len() => {
                drop_pending_update(at, id);
                at.world.schedules[id].current = Some(current + 1);
                enter_at_period_end(at, id);
            }
            Some(_) => {
                finish(at, id);
                continue;
            }
        }
        set_end(at, id);
        at.emit_updated("subscription_schedule.updated", &object, &before);
    }
    await_next_step(at, id);
}

/// Another phase begins: what waits to be paid is not made any more, whatever the phase changes. Source: Stripe's page on pending updates.
fn drop_pending_update(at: &mut Moment<'_>, id: &ScheduleId) {
    if let Some(subscription) = at.world.schedules[id].subscription.clone() {
        pending_updates::drop_present(at, &subscription);
    }
}

/// When its subscription ends is the schedule's to say: with its last phase, once that is under way, or not at all.
fn set_end(at: &mut Moment<'_>, id: &ScheduleId) {
    let schedule = &at.world.schedules[id];
    let (Some(phase), Some(subscription)) = (schedule.current_phase(), schedule.subscription.clone()) else {
        return;
    };
    let is_last = schedule
        .current
        .is_some_and(|current| current + 1 == schedule.phases.len());
    let end = (is_last && schedule.end_behavior == EndBehavior::Cancel).then_some(phase.end);
    let row = &mut at.world.subscriptions[&subscription];
    if !row.has_ended() {
        row.cancel_at = end;
        row.cancel_at_period_end = false;
        lifecycle::cut_short(row);
        lifecycle::await_period_end(at, &subscription);
    }
}

/// The subscription's period is over: the phase that begins now comes before the renewal.
pub(crate) fn before_renewal(at: &mut Moment<'_>, subscription: &SubscriptionId) {
    if let Some(schedule) = at.world.subscriptions[subscription].schedule.clone() {
        catch_up(at, &schedule);
    }
}

/// The schedule drives a subscription from now on.
pub(crate) fn take_over(at: &mut Moment<'_>, id: &ScheduleId, subscription: &SubscriptionId) {
    let object = Object::Subscription(subscription.clone());
    let before = at.picture(&object);
    at.world.schedules[id].subscription = Some(subscription.clone());
    at.world.subscriptions[subscription].schedule = Some(id.clone());
    at.emit_updated("customer.subscription.updated", &object, &before);
}

/// The first period of what begins with this phase, earlier than now.
pub(crate) fn first_period(at: &Moment<'_>, phase: &Phase) -> Option<FirstPeriod> {
    let start = phase.start;
    let item = phase.items.first().filter(|_| start < at.now)?;
    let recurrence = lifecycle::recurrence(&at.world.prices[&item.price]);
    Some(FirstPeriod {
        start,
        anchor: calendar::next_period_end(start, recurrence, start),
    })
}

/// Begins the subscription. As at Stripe it is active at once, and its first invoice a draft for an hour.
fn start(at: &mut Moment<'_>, id: &ScheduleId) {
    let schedule = at.world.schedules[id].clone();
    let Some(phase) = schedule.phases.first().cloned() else {
        return;
    };
    let discounts = phase_terms::granted(at, &phase.discounts, &schedule.customer);
    let taxed = phase_terms::taxed(at, id, &phase);
    let first_period = first_period(at, &phase);
    let settings = phase.settings;
    let new = NewSubscription {
        customer: schedule.customer,
        currency: phase.currency,
        items: phase
            .items
            .into_iter()
            .map(|item| (item.price, item.quantity))
            .collect(),
        billing_mode: schedule.billing_mode.kind,
        first_period,
        collection_method: CollectionMethod::ChargeAutomatically,
        days_until_due: None,
        trial_end: None,
        discounts,
        automatic_tax: taxed,
        default_payment_method: settings
            .default_payment_method
            .or(schedule.defaults.default_payment_method),
        saves_payment_method: false,
        description: settings.description.or(schedule.defaults.description),
        metadata: phase.metadata,
    };
    let (subscription, invoice) = lifecycle::begin(at, new);
    let row = &mut at.world.subscriptions[&subscription];
    row.status = SubscriptionStatus::Active;
    // Its first period is a whole one, also in the past.
    row.billing_cycle_anchor = phase.start;
    row.schedule = Some(id.clone());
    let row = &mut at.world.schedules[id];
    row.status = ScheduleStatus::Active;
    row.current = Some(0);
    row.subscription = Some(subscription.clone());
    invoicing::finalize_later(at, &invoice);
    at.emit(
        "customer.subscription.created",
        &Object::Subscription(subscription),
    );
    at.emit("invoice.created", &Object::Invoice(invoice));
}

/// Gives the subscription the terms of the phase that has just become the current one.
fn enter_at_period_end(at: &mut Moment<'_>, id: &ScheduleId) {
    let schedule = &at.world.schedules[id];
    let (Some(phase), Some(subscription)) =
        (schedule.current_phase().cloned(), schedule.subscription.clone())
    else {
        return;
    };
    let row = &at.world.subscriptions[&subscription];
    if row.has_ended() {
        return;
    }
    let anew = phase.settings.anchor == Some(PhaseAnchor::PhaseStart);
    let at_period_end = row.period_end().is_some_and(|end| end <= at.now);
    if at_period_end {
        let object = Object::Subscription(subscription.clone());
        let before = at.picture(&object);
        phase_terms::replace_items(at, &subscription, &phase, anew);
        phase_terms::give_members(at, id, &subscription, &phase);
        at.emit_updated("customer.subscription.updated", &object, &before);
    } else {
        // A refusal would be for what was checked when the phase was written.
        let _checked = phase_terms::enter_within_period(at, id, &phase, phase.prorations);
    }
}

/// The schedule has been rewritten: what is due now happens, and a current phase that is not the same any more is entered anew.
pub(crate) fn rewritten(
    at: &mut Moment<'_>,
    id: &ScheduleId,
    previous: Option<&Phase>,
    prorations: PhaseProrations,
) -> Result<(), Refusal> {
    let current = at.world.schedules[id].current_phase().cloned();
    let same_terms = |one: &Phase, other: &Phase| {
        Phase {
            start: other.start,
            end: other.end,
            ..one.clone()
        } == *other
    };
    if let (Some(previous), Some(current)) = (previous, &current)
        && !same_terms(previous, current)
    {
        if previous.start != current.start {
            drop_pending_update(at, id);
        }
        let grants: Vec<Grant> = phase_terms::kept(at, id, previous, current);
        let phase = Phase {
            discounts: grants,
            ..current.clone()
        };
        phase_terms::enter_within_period(at, id, &phase, prorations)?;
    }
    set_end(at, id);
    catch_up(at, id);
    Ok(())
}

/// After the last phase.
fn finish(at: &mut Moment<'_>, id: &ScheduleId) {
    match at.world.schedules[id].end_behavior {
        EndBehavior::Release => let_go(at, id, None),
        EndBehavior::Cancel => {
            let schedule = &mut at.world.schedules[id];
            schedule.status = ScheduleStatus::Completed;
            schedule.completed_at = Some(at.now);
            schedule.current = None;
            let subscription = schedule.subscription.clone();
            if let Some(subscription) = subscription
                && !at.world.subscriptions[&subscription].has_ended()
            {
                // At the end of a period, what was used of it is billed.
                lifecycle::end_at_last(at, &subscription);
            }
            at.emit("subscription_schedule.completed", &Object::Schedule(id.clone()));
        }
    }
}

/// The subscription goes on by itself, until an end that is kept; one that the schedule has set and that is not kept goes with it.
pub(crate) fn let_go(at: &mut Moment<'_>, id: &ScheduleId, end: Option<Timestamp>) {
    let sets_end = at.world.schedules[id].end().is_some();
    let schedule = &mut at.world.schedules[id];
    schedule.status = ScheduleStatus::Released;
    schedule.released_at = Some(at.now);
    schedule.current = None;
    schedule.released_subscription = schedule.subscription.take();
    let subscription = schedule.released_subscription.clone();
    if let Some(subscription) = subscription {
        let object = Object::Subscription(subscription.clone());
        let before = at.picture(&object);
        let now = at.now;
        let row = &mut at.world.subscriptions[&subscription];
        row.schedule = None;
        match end {
            Some(end) => subscription_updates::end_on(now, row, end),
            None if sets_end => row.cancel_at = None,
            None => {}
        }
        if end.is_some() || sets_end {
            lifecycle::cut_short(row);
            lifecycle::await_period_end(at, &subscription);
        }
        at.emit_updated("customer.subscription.updated", &object, &before);
    }
    at.emit("subscription_schedule.released", &Object::Schedule(id.clone()));
}

/// Cancels the schedule and its subscription, now.
pub(crate) fn cancel(at: &mut Moment<'_>, id: &ScheduleId, prorate: bool, invoice_now: bool) {
    let subscription = at.world.schedules[id].subscription.clone();
    mark_canceled(at, id);
    if let Some(subscription) = subscription
        && !at.world.subscriptions[&subscription].has_ended()
    {
        lifecycle::end(at, &subscription, CancellationReason::Requested);
        if prorate {
            lifecycle::credit_rest(at, &subscription);
        }
        if invoice_now {
            lifecycle::bill_last(at, &subscription, prorate);
        }
    }
    at.emit("subscription_schedule.canceled", &Object::Schedule(id.clone()));
}

/// A subscription has ended by itself, and its schedule with it.
pub(crate) fn follow_end(at: &mut Moment<'_>, subscription: &SubscriptionId, reason: CancellationReason) {
    let Some(id) = at.world.subscriptions[subscription].schedule.clone() else {
        return;
    };
    if !at.world.schedules[&id].is_live() {
        return;
    }
    mark_canceled(at, &id);
    let kind = match reason {
        CancellationReason::Requested => "subscription_schedule.canceled",
        CancellationReason::PaymentFailed => "subscription_schedule.aborted",
    };
    at.emit(kind, &Object::Schedule(id));
}

/// A customer is deleted: what has not begun never will.
pub(crate) fn follow_deletion(at: &mut Moment<'_>, customer: &CustomerId) {
    let own = at.world.schedules.iter();
    let waiting: Vec<ScheduleId> = own
        .filter(|row| row.customer == *customer && row.status == ScheduleStatus::NotStarted)
        .map(|row| row.id.clone())
        .collect();
    for id in waiting {
        cancel(at, &id, false, false);
    }
}

fn mark_canceled(at: &mut Moment<'_>, id: &ScheduleId) {
    let schedule = &mut at.world.schedules[id];
    schedule.status = ScheduleStatus::Canceled;
    schedule.canceled_at = Some(at.now);
    schedule.current = None;
}
