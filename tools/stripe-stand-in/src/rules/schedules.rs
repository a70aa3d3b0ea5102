//! Subscription schedules as the API offers them: made, read, rewritten, let go, cancelled.
//!
//! What happens when their time comes is in [`super::scheduling`]; how phases are read, in [`super::phases`].

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::phases::{self, AskedPhase, AskedSettings, PhaseEdge};
use super::{Moment, billing_modes, customers, named, referred, scheduling};
use crate::id::{CustomerId, Id, ScheduleId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{
    AutomaticTax, BillingMode, EndBehavior, Grant, Metadata, Phase, PhaseItem, PhaseProrations,
    PhaseSettings, Schedule, ScheduleStatus, Subscription, SubscriptionStatus,
};

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut schedule = match params.text("from_subscription")? {
        Some(subscription) => read_from_subscription(at, &subscription, params)?,
        None => read_new(at, params)?,
    };
    schedule.id = at.world.ids.make();
    let id = at.world.schedules.insert(schedule);
    let object = Object::Schedule(id.clone());
    if let Some(subscription) = at.world.schedules[&id].subscription.clone() {
        scheduling::take_over(at, &id, &subscription);
        at.emit("subscription_schedule.created", &object);
        scheduling::await_next_step(at, &id);
    } else {
        at.emit("subscription_schedule.created", &object);
        scheduling::catch_up(at, &id);
    }
    Ok(at.picture(&object))
}

fn read_new(at: &Moment<'_>, params: &Params<'_>) -> Result<Schedule, Refusal> {
    let customer = params.required_text("customer")?;
    let start = PhaseEdge::read(params, "start_date")?.unwrap_or(PhaseEdge::Now);
    let end_behavior = read_end_behavior(params)?.unwrap_or(EndBehavior::Release);
    let defaults = params
        .child("default_settings")?
        .map(|settings| AskedSettings::read(&settings))
        .transpose()?;
    let asked = phases::read(params)?;
    let metadata = params.metadata()?;
    let billing_mode = billing_modes::read(params)?;
    params.unsupported(&["customer_account"])?;
    params.finish()?;
    if asked.is_empty() {
        return Err(Refusal::missing("phases"));
    }
    let customer = customers::live(at, &customer, "customer")?.id.clone();
    let start = start.instant(at.now);
    let settings = settings_of(at, &customer, defaults, PhaseSettings::default())?;
    let phases = phases::laid(at, (&customer, &[]), asked, start)?;
    let billing_mode = BillingMode::given(billing_mode, at.now);
    check_backdated(at, (billing_mode, &phases), "start_date")?;
    Ok(Schedule {
        customer,
        billing_mode,
        end_behavior,
        defaults: settings,
        phases,
        metadata,
        ..blank(at)
    })
}

/// Whether what begins in the past can be begun here. Stripe has the subscription begin then, its periods counted from there, and bills a flexible one
/// for each period that has begun since: here that is one. Source: Stripe's reference of `start_date`, and its page on backdating.
fn check_backdated(
    at: &Moment<'_>,
    (billing_mode, phases): (BillingMode, &[Phase]),
    param: &str,
) -> Result<(), Refusal> {
    let backdated = phases.first().filter(|phase| phase.start < at.now);
    match backdated.and_then(|phase| scheduling::first_period(at, phase)) {
        Some(first) if first.anchor <= at.now || !billing_mode.is_flexible() => {
            Err(Refusal::unsupported(param))
        }
        _ => Ok(()),
    }
}

/// A schedule that goes on as the subscription is, until the end of its period.
fn read_from_subscription(at: &Moment<'_>, id: &str, params: &Params<'_>) -> Result<Schedule, Refusal> {
    billing_modes::check_absent(params, "from_subscription")?;
    for member in [
        "customer",
        "start_date",
        "end_behavior",
        "phases",
        "default_settings",
        "metadata",
    ] {
        if params.has(member) {
            let message = format!("You cannot set `{member}` if `from_subscription` is set.");
            return Err(Refusal::invalid(member, message));
        }
    }
    params.finish()?;
    let subscription = referred(&at.world.subscriptions, id, "from_subscription")?;
    if let Some(schedule) = &subscription.schedule {
        let message =
            format!("You cannot migrate a subscription that is already attached to a schedule: {schedule}");
        return Err(Refusal::invalid("from_subscription", message));
    }
    if subscription.has_ended() {
        let message = "You cannot migrate a subscription that is canceled.";
        return Err(Refusal::invalid("from_subscription", message));
    }
    if subscription.status == SubscriptionStatus::Trialing {
        // Its phase would say when the trial ends.
        return Err(Refusal::unsupported("from_subscription"));
    }
    Ok(Schedule {
        status: ScheduleStatus::Active,
        customer: subscription.customer.clone(),
        billing_mode: subscription.billing_mode,
        phases: vec![phase_of(at, subscription)],
        current: Some(0),
        subscription: Some(subscription.id.clone()),
        ..blank(at)
    })
}

fn phase_of(at: &Moment<'_>, subscription: &Subscription) -> Phase {
    let first = subscription.items.first();
    let start = if at.world.settings.phases_begin_with_subscriptions {
        subscription.start_date
    } else {
        first.map_or(at.now, |item| item.current_period_start)
    };
    Phase {
        start,
        end: subscription.period_end().unwrap_or(at.now),
        currency: subscription.currency.clone(),
        items: subscription
            .items
            .iter()
            .map(|item| PhaseItem {
                price: item.price.clone(),
                quantity: item.quantity,
                metadata: item.metadata.clone(),
            })
            .collect(),
        discounts: subscription.discounts.iter().cloned().map(Grant::Kept).collect(),
        prorations: PhaseProrations::Create,
        settings: PhaseSettings {
            automatic_tax: Some(subscription.automatic_tax == AutomaticTax::On),
            anchor: None,
            default_payment_method: subscription.default_payment_method.clone(),
            description: subscription.description.clone(),
        },
        metadata: subscription.metadata.clone(),
    }
}

fn blank(at: &Moment<'_>) -> Schedule {
    Schedule {
        // Given when it is inserted: what is refused uses up no id.
        id: ScheduleId::from_text(String::new()),
        created: at.now,
        status: ScheduleStatus::NotStarted,
        customer: CustomerId::from_text(String::new()),
        billing_mode: BillingMode::default(),
        end_behavior: EndBehavior::Release,
        defaults: PhaseSettings::default(),
        phases: Vec::new(),
        current: None,
        subscription: None,
        released_subscription: None,
        canceled_at: None,
        completed_at: None,
        released_at: None,
        metadata: Metadata::new(),
    }
}

fn read_end_behavior(params: &Params<'_>) -> Result<Option<EndBehavior>, Refusal> {
    match params.text("end_behavior")?.as_deref() {
        Some("none" | "renew") => Err(Refusal::unsupported("end_behavior")),
        _ => params.choice("end_behavior", &EndBehavior::WORDS),
    }
}

fn settings_of(
    at: &Moment<'_>,
    customer: &CustomerId,
    asked: Option<AskedSettings>,
    mut settings: PhaseSettings,
) -> Result<PhaseSettings, Refusal> {
    if let Some(asked) = asked {
        asked.apply(at, customer, &mut settings)?;
    }
    Ok(settings)
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::schedule(
        at.world,
        named(&at.world.schedules, id, "schedule")?,
    ))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.text("customer")?;
    let scheduled = params.boolean("scheduled")?.unwrap_or(false);
    let created = Range::read(params, "created")?;
    let ends = [
        ("canceled_at", Range::read(params, "canceled_at")?),
        ("completed_at", Range::read(params, "completed_at")?),
        ("released_at", Range::read(params, "released_at")?),
    ];
    let given: Vec<bool> = ends.iter().map(|(member, _)| params.has(member)).collect();
    let paging = Paging::read(params)?;
    params.unsupported(&["customer_account"])?;
    params.finish()?;
    let world = &at.world;
    listing::page(
        &world.schedules,
        &paging,
        "/v1/subscription_schedules",
        |row| render::schedule(world, row),
        |row| {
            let ended = [row.canceled_at, row.completed_at, row.released_at];
            let within = ended
                .iter()
                .zip(&ends)
                .zip(&given)
                .all(|((end, (_, range)), given)| !given || end.is_some_and(|end| range.contains(end)));
            within
                && customer.as_ref().is_none_or(|id| row.customer.as_str() == id)
                && (!scheduled || row.status == ScheduleStatus::NotStarted)
                && created.contains(row.created)
        },
    )
}

/// Rewrites a schedule: all phases at once, from the current one on.
pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut schedule = named(&at.world.schedules, id, "schedule")?.clone();
    let id = schedule.id.clone();
    if let Some(end_behavior) = read_end_behavior(params)? {
        schedule.end_behavior = end_behavior;
    }
    let defaults = params
        .child("default_settings")?
        .map(|settings| AskedSettings::read(&settings))
        .transpose()?;
    let asked = phases::read(params)?;
    params.metadata_into(&mut schedule.metadata)?;
    let prorations = params
        .choice("proration_behavior", &PhaseProrations::WORDS)?
        .unwrap_or(PhaseProrations::Create);
    params.finish()?;
    check_live(&schedule, "update")?;
    schedule.defaults = settings_of(at, &schedule.customer, defaults, schedule.defaults)?;
    if !asked.is_empty() {
        rewrite(at, &mut schedule, asked)?;
    }
    let object = Object::Schedule(id.clone());
    let before = at.picture(&object);
    let previous = at.world.schedules[&id].current_phase().cloned();
    at.world.schedules[&id] = schedule;
    scheduling::rewritten(at, &id, previous.as_ref(), prorations)?;
    at.emit_updated("subscription_schedule.updated", &object, &before);
    Ok(at.picture(&object))
}

/// Stripe wants the first phase's `start_date`: the current phase's own, or `now` to begin another phase at once.
fn rewrite(at: &Moment<'_>, schedule: &mut Schedule, asked: Vec<AskedPhase>) -> Result<(), Refusal> {
    const FIRST_START: &str = "phases[0][start_date]";
    let edge = asked
        .first()
        .and_then(|phase| phase.start)
        .ok_or_else(|| Refusal::missing(FIRST_START))?;
    let start = edge.instant(at.now);
    let present = schedule.current_phase().map(|phase| phase.start);
    let refusal = |message: &str| Err(Refusal::invalid(FIRST_START, message));
    match present {
        Some(present) if start != present && start != at.now => {
            return refusal("You can not modify the start date of the current phase.");
        }
        _ => {}
    }
    let led = schedule
        .subscription
        .as_ref()
        .map(|id| &at.world.subscriptions[id]);
    if led.is_some_and(|led| led.status == SubscriptionStatus::Trialing) {
        // A current phase that does not say when the trial ends would end it.
        return Err(Refusal::unsupported("phases"));
    }
    let discounts = led.map_or(&[][..], |led| &led.discounts);
    let phases = phases::laid(at, (&schedule.customer, discounts), asked, start)?;
    if present.is_none() {
        check_backdated(at, (schedule.billing_mode, &phases), FIRST_START)?;
    }
    if phases.first().is_some_and(|phase| phase.end <= at.now) {
        return Err(Refusal::invalid(
            "phases[0][end_date]",
            "The end date of the current phase must be in the future.",
        ));
    }
    schedule.current = schedule.current.map(|_| 0);
    schedule.phases = phases;
    Ok(())
}

pub(crate) fn release(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let keeps_end = params.boolean("preserve_cancel_date")?.unwrap_or(false);
    params.finish()?;
    let schedule = named(&at.world.schedules, id, "schedule")?;
    check_live(schedule, "release")?;
    let id = schedule.id.clone();
    // What the schedule was to end after its last phase still ends then, and is not led there through its phases any more.
    let end = schedule.end().filter(|_| keeps_end);
    scheduling::let_go(at, &id, end);
    Ok(at.picture(&Object::Schedule(id)))
}

/// Cancels the schedule and, if it has begun, its subscription.
pub(crate) fn cancel(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let invoice_now = params.boolean("invoice_now")?.unwrap_or(true);
    let prorate = params.boolean("prorate")?.unwrap_or(true);
    params.finish()?;
    let schedule = named(&at.world.schedules, id, "schedule")?;
    check_live(schedule, "cancel")?;
    let id = schedule.id.clone();
    scheduling::cancel(at, &id, prorate, invoice_now);
    Ok(at.picture(&Object::Schedule(id)))
}

fn check_live(schedule: &Schedule, act: &str) -> Result<(), Refusal> {
    if schedule.is_live() {
        return Ok(());
    }
    let status = render::schedule_status(schedule.status);
    Err(Refusal::state(format!(
        "You cannot {act} a subscription schedule that is currently in the `{status}` status. It must have a status of \
         either not_started or active."
    )))
}
