//! Billing modes: read where a subscription is made or previewed, and adopted by one that there is.
//!
//! What a mode changes is where periods and credits are worked out: [`super::changes`] and [`super::billing`].

use serde_json::Value;

use super::{Moment, named};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{BillingMode, BillingModeKind};

/// The mode that a request asks for. Flexible where it says nothing, as since Stripe's version 2025-09-30.clover; the version that a
/// request names changes nothing here.
pub(crate) fn read(params: &Params<'_>) -> Result<BillingModeKind, Refusal> {
    Ok(read_given(params)?.unwrap_or(BillingModeKind::Flexible))
}

fn read_given(params: &Params<'_>) -> Result<Option<BillingModeKind>, Refusal> {
    let Some(mode) = params.child("billing_mode")? else {
        return Ok(None);
    };
    let kind = mode
        .choice("type", &BillingModeKind::WORDS)?
        .ok_or_else(|| Refusal::missing(&mode.name_of("type")))?;
    let Some(flexible) = mode.child("flexible")? else {
        return Ok(Some(kind));
    };
    if kind == BillingModeKind::Classic {
        // The words are not Stripe's.
        let message =
            "You can only specify `billing_mode[flexible]` when `billing_mode[type]` is `flexible`.";
        return Err(Refusal::invalid(&mode.name_of("flexible"), message));
    }
    if flexible.choice("proration_discounts", &[("included", false), ("itemized", true)])? == Some(true) {
        return Err(Refusal::unsupported(&flexible.name_of("proration_discounts")));
    }
    Ok(Some(kind))
}

/// Refuses a mode beside something that has one already.
pub(crate) fn check_absent(params: &Params<'_>, beside: &str) -> Result<(), Refusal> {
    if params.has("billing_mode") {
        let param = params.name_of("billing_mode");
        let message = format!("You cannot set `{param}` if `{beside}` is set.");
        return Err(Refusal::invalid(&param, message));
    }
    Ok(())
}

/// Makes a subscription flexible, from now on. There is no way back.
pub(crate) fn migrate(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let subscription = named(&at.world.subscriptions, id, "subscription")?;
    let id = subscription.id.clone();
    let (mode, ended) = (subscription.billing_mode, subscription.has_ended());
    let wanted = read_given(params)?.ok_or_else(|| Refusal::missing("billing_mode"))?;
    params.finish()?;
    if wanted == BillingModeKind::Classic {
        let message = "Invalid billing_mode[type]: must be flexible";
        return Err(Refusal::invalid("billing_mode[type]", message));
    }
    if mode.is_flexible() || ended {
        // The words are not Stripe's.
        return Err(Refusal::state(
            "This subscription cannot be migrated to the flexible billing mode.",
        ));
    }
    let object = Object::Subscription(id.clone());
    let before = at.picture(&object);
    let mode = BillingMode::given(wanted, at.now);
    at.world.subscriptions[&id].billing_mode = mode;
    if let Some(schedule) = at.world.subscriptions[&id].schedule.clone() {
        at.world.schedules[&schedule].billing_mode = mode;
    }
    at.emit_updated("customer.subscription.updated", &object, &before);
    Ok(at.picture(&object))
}
