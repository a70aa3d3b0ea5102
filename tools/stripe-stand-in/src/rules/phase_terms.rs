//! What a phase makes of its subscription: items, discounts, tax and the rest.
//!
//! When a phase begins is in [`super::scheduling`].

use super::changes::{ProrationBehavior, Wish};
use super::item_changes::ItemChange;
use super::subscription_updates::{self, Update};
use super::{Moment, discounts, lifecycle, redemption};
use crate::id::{CustomerId, DiscountId, Id, ScheduleId, SubscriptionId};
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{AutomaticTax, Grant, Metadata, Phase, PhaseAnchor, PhaseProrations, SubscriptionItem};

/// The period is over, so nothing is left of it to prorate: the items change places, and the renewal that follows bills them.
pub(crate) fn replace_items(at: &mut Moment<'_>, subscription: &SubscriptionId, phase: &Phase, anew: bool) {
    let mut known = at.world.subscriptions[subscription].items.clone();
    let mut items = Vec::new();
    for wanted in &phase.items {
        // The item that has the price already, or else one that gets another.
        let position = known.iter().position(|item| item.price == wanted.price).or({
            let spare = |item: &SubscriptionItem| !phase.items.iter().any(|other| other.price == item.price);
            known.iter().position(spare)
        });
        let item = match position {
            Some(position) => known.remove(position),
            None => SubscriptionItem {
                id: at.world.ids.make(),
                created: at.now,
                price: wanted.price.clone(),
                quantity: wanted.quantity,
                current_period_start: at.now,
                current_period_end: at.now,
                whole_period_start: None,
                whole_period_end: None,
                metered_since: None,
                charged: None,
                metadata: Metadata::new(),
            },
        };
        items.push(SubscriptionItem {
            price: wanted.price.clone(),
            quantity: wanted.quantity,
            metadata: wanted.metadata.clone(),
            ..item
        });
    }
    let cycle = lifecycle::cycle(at.world, &at.world.subscriptions[subscription]);
    at.world.subscriptions[subscription].items = items;
    let row = &at.world.subscriptions[subscription];
    let resets = lifecycle::cycle(at.world, row) != cycle && !row.billing_mode.is_flexible();
    if anew || resets {
        at.world.subscriptions[subscription].billing_cycle_anchor = at.now;
    }
}

/// Within a period a phase is entered by the update that a request would make.
pub(crate) fn enter_within_period(
    at: &mut Moment<'_>,
    id: &ScheduleId,
    phase: &Phase,
    prorations: PhaseProrations,
) -> Result<(), Refusal> {
    let Some(subscription) = at.world.schedules[id].subscription.clone() else {
        return Ok(());
    };
    let object = Object::Subscription(subscription.clone());
    let before = at.picture(&object);
    give_members(at, id, &subscription, phase);
    at.emit_updated("customer.subscription.updated", &object, &before);
    let wish = Wish {
        items: item_changes(at, &subscription, phase),
        proration_behavior: match prorations {
            PhaseProrations::AlwaysInvoice => ProrationBehavior::AlwaysInvoice,
            PhaseProrations::Create => ProrationBehavior::CreateProrations,
            PhaseProrations::Nothing => ProrationBehavior::Nothing,
        },
        anchor_now: phase.settings.anchor == Some(PhaseAnchor::PhaseStart) && phase.start == at.now,
        ..Wish::none()
    };
    subscription_updates::run(
        at,
        &subscription,
        Update {
            wish,
            ..Update::nothing()
        },
    )
}

/// The changes that make a subscription's items those of a phase.
fn item_changes(at: &Moment<'_>, subscription: &SubscriptionId, phase: &Phase) -> Vec<ItemChange> {
    let change = |id: Option<String>| ItemChange {
        param: "phases[items][price]".to_owned(),
        id,
        price: None,
        quantity: None,
        deleted: false,
        metadata: Metadata::new(),
    };
    let mut known: Vec<&SubscriptionItem> = at.world.subscriptions[subscription].items.iter().collect();
    let mut changes = Vec::new();
    for wanted in &phase.items {
        let same = known.iter().position(|item| item.price == wanted.price);
        let spare = |item: &&SubscriptionItem| !phase.items.iter().any(|other| other.price == item.price);
        let position = same.or_else(|| known.iter().position(spare));
        let id = position.map(|position| known.remove(position).id.as_str().to_owned());
        changes.push(ItemChange {
            // What stays is not asked for again: its price may have been archived since.
            price: same.is_none().then(|| wanted.price.as_str().to_owned()),
            quantity: wanted.quantity,
            metadata: wanted.metadata.clone(),
            ..change(id)
        });
    }
    changes.extend(known.into_iter().map(|item| ItemChange {
        deleted: true,
        ..change(Some(item.id.as_str().to_owned()))
    }));
    changes
}

/// What a phase says besides items.
pub(crate) fn give_members(
    at: &mut Moment<'_>,
    id: &ScheduleId,
    subscription: &SubscriptionId,
    phase: &Phase,
) {
    let customer = at.world.subscriptions[subscription].customer.clone();
    let present = at.world.subscriptions[subscription].discounts.clone();
    let wanted = granted(at, &phase.discounts, &customer);
    let taxed = taxed(at, id, phase);
    let defaults = at.world.schedules[id].defaults.clone();
    let row = &mut at.world.subscriptions[subscription];
    row.discounts = wanted;
    row.automatic_tax = taxed;
    for (key, value) in &phase.metadata {
        row.metadata.insert(key.clone(), value.clone());
    }
    // What neither the phase nor the schedule says is unset: then the customer's own pays.
    row.default_payment_method = phase
        .settings
        .default_payment_method
        .clone()
        .or(defaults.default_payment_method);
    if let Some(description) = phase.settings.description.clone().or(defaults.description) {
        row.description = Some(description);
    }
    discounts::replaced(at, subscription, &present);
}

/// Discounts of what is granted and can still be redeemed. What has expired since the schedule was written is left out: Stripe
/// does not say what it does, and a start must not fail for it.
pub(crate) fn granted(at: &mut Moment<'_>, grants: &[Grant], customer: &CustomerId) -> Vec<DiscountId> {
    let valid: Vec<Grant> = grants
        .iter()
        .filter(|grant| redemption::is_redeemable(at, grant))
        .cloned()
        .collect();
    redemption::make(at, &valid, customer)
}

/// The discounts of a phase that is rewritten: what it had already goes on and is not redeemed once more.
pub(crate) fn kept(at: &Moment<'_>, id: &ScheduleId, previous: &Phase, current: &Phase) -> Vec<Grant> {
    let subscription = at.world.schedules[id].subscription.as_ref();
    let present: Vec<DiscountId> =
        subscription.map_or_else(Vec::new, |id| at.world.subscriptions[id].discounts.clone());
    let mut grants = Vec::new();
    for grant in &current.discounts {
        if !previous.discounts.contains(grant) {
            grants.push(grant.clone());
            continue;
        }
        let running = present.iter().find(|id| redemption::came_of(at, id, grant));
        // One that was there and is over is not given again.
        grants.extend(running.cloned().map(Grant::Kept));
    }
    grants
}

/// Whether tax is to be worked out: it takes to know where the customer is.
pub(crate) fn taxed(at: &Moment<'_>, id: &ScheduleId, phase: &Phase) -> AutomaticTax {
    let schedule = &at.world.schedules[id];
    let wanted = phase.settings.automatic_tax.or(schedule.defaults.automatic_tax);
    match wanted {
        Some(true) if at.world.customers[&schedule.customer].is_located() => AutomaticTax::On,
        Some(true) => AutomaticTax::LacksLocation,
        Some(false) | None => AutomaticTax::Off,
    }
}
