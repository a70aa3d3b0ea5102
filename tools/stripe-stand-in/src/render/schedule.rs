//! Subscription schedules as Stripe answers them.

use serde_json::{Value, json};

use super::{catalog, maybe_id, maybe_seconds, seconds, subscription, word};
use crate::id::Id;
use crate::state::{
    EndBehavior, Grant, Phase, PhaseAnchor, PhaseItem, PhaseProrations, Schedule, ScheduleStatus, World,
};

pub(crate) fn schedule(world: &World, schedule: &Schedule) -> Value {
    let current = schedule.current_phase().filter(|_| schedule.is_live());
    json!({
        "id": schedule.id.as_str(),
        "object": "subscription_schedule",
        "application": null,
        "billing_mode": subscription::billing_mode(schedule.billing_mode),
        "canceled_at": maybe_seconds(schedule.canceled_at),
        "completed_at": maybe_seconds(schedule.completed_at),
        "created": seconds(schedule.created),
        "current_phase": current.map(|phase| json!({
            "end_date": seconds(phase.end),
            "start_date": seconds(phase.start),
        })),
        "customer": schedule.customer.as_str(),
        "customer_account": null,
        "default_settings": {
            "application_fee_percent": null,
            "automatic_tax": automatic_tax(schedule.defaults.automatic_tax.unwrap_or(false)),
            "billing_cycle_anchor": word(
                &PhaseAnchor::WORDS,
                schedule.defaults.anchor.unwrap_or(PhaseAnchor::Automatic),
            ),
            "billing_thresholds": null,
            "collection_method": "charge_automatically",
            "default_payment_method": maybe_id(schedule.defaults.default_payment_method.as_ref()),
            "default_source": null,
            "description": schedule.defaults.description,
            "invoice_settings": {
                "account_tax_ids": null,
                "custom_fields": null,
                "days_until_due": null,
                "description": null,
                "footer": null,
                "issuer": { "type": "self" },
            },
            "on_behalf_of": null,
            "transfer_data": null,
        },
        "end_behavior": word(&EndBehavior::WORDS, schedule.end_behavior),
        "livemode": false,
        "metadata": schedule.metadata,
        "phases": schedule.phases.iter().map(|row| phase(world, row)).collect::<Vec<_>>(),
        "released_at": maybe_seconds(schedule.released_at),
        "released_subscription": maybe_id(schedule.released_subscription.as_ref()),
        "renewal_interval": null,
        "status": schedule_status(schedule.status),
        "subscription": maybe_id(schedule.subscription.as_ref()),
        "test_clock": maybe_id(world.customers[&schedule.customer].test_clock.as_ref()),
    })
}

/// Stripe's word for a status.
pub(crate) fn schedule_status(status: ScheduleStatus) -> &'static str {
    word(&ScheduleStatus::WORDS, status)
}

fn automatic_tax(enabled: bool) -> Value {
    let liability = enabled.then(|| json!({ "type": "self" }));
    json!({ "disabled_reason": null, "enabled": enabled, "liability": liability })
}

fn phase(world: &World, phase: &Phase) -> Value {
    let mut answer = json!({
        "add_invoice_items": [],
        "application_fee_percent": null,
        "billing_cycle_anchor": phase.settings.anchor.map(|anchor| word(&PhaseAnchor::WORDS, anchor)),
        "billing_thresholds": null,
        "collection_method": null,
        "currency": phase.currency.as_str(),
        "default_payment_method": maybe_id(phase.settings.default_payment_method.as_ref()),
        "default_tax_rates": [],
        "description": phase.settings.description,
        "discounts": phase.discounts.iter().map(grant).collect::<Vec<_>>(),
        "end_date": seconds(phase.end),
        "invoice_settings": null,
        "items": phase.items.iter().map(|row| item(world, row)).collect::<Vec<_>>(),
        "metadata": phase.metadata,
        "on_behalf_of": null,
        "proration_behavior": word(&PhaseProrations::WORDS, phase.prorations),
        "start_date": seconds(phase.start),
        "transfer_data": null,
        "trial_end": null,
    });
    // Left out, not null, when the phase does not say.
    if let Some(enabled) = phase.settings.automatic_tax {
        answer["automatic_tax"] = automatic_tax(enabled);
    }
    answer
}

fn grant(grant: &Grant) -> Value {
    let (coupon, promotion_code, discount) = match grant {
        Grant::Coupon(id) => (Some(id.as_str()), None, None),
        Grant::PromotionCode(id) => (None, Some(id.as_str()), None),
        Grant::Kept(id) => (None, None, Some(id.as_str())),
    };
    json!({ "coupon": coupon, "discount": discount, "promotion_code": promotion_code })
}

fn item(world: &World, item: &PhaseItem) -> Value {
    let price = &world.prices[&item.price];
    let mut answer = json!({
        "billing_thresholds": null,
        "discounts": [],
        "metadata": item.metadata,
        "plan": catalog::plan(price),
        "price": item.price.as_str(),
        "tax_rates": [],
    });
    // A metered item has no quantity at all.
    if let Some(quantity) = item.quantity {
        answer["quantity"] = json!(quantity);
    }
    answer
}
