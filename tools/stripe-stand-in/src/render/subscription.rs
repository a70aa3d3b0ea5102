//! Subscriptions and their items as Stripe answers them.

use serde_json::{Value, json};

use super::{catalog, inner_list, maybe_id, maybe_seconds, price, seconds, word};
use crate::id::{CustomerId, Id};
use crate::state::{
    AutomaticTax, BillingMode, BillingModeKind, CancellationReason, CollectionMethod, MissingPaymentMethod,
    PausedCollection, PendingUpdate, Subscription, SubscriptionItem, SubscriptionStatus, World,
};

pub(crate) fn subscription(world: &World, subscription: &Subscription) -> Value {
    json!({
        "id": subscription.id.as_str(),
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": automatic_tax(subscription.automatic_tax),
        "billing_cycle_anchor": seconds(subscription.billing_cycle_anchor),
        "billing_cycle_anchor_config": null,
        "billing_mode": billing_mode(subscription.billing_mode),
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": maybe_seconds(subscription.cancel_at),
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "canceled_at": maybe_seconds(subscription.canceled_at),
        "cancellation_details": {
            "comment": subscription.cancellation_comment,
            "feedback": subscription.cancellation_feedback,
            "reason": subscription.cancellation_reason.map(cancellation_reason),
        },
        "collection_method": word(&CollectionMethod::WORDS, subscription.collection_method),
        "created": seconds(subscription.created),
        "currency": subscription.currency.as_str(),
        "customer": subscription.customer.as_str(),
        "customer_account": null,
        "days_until_due": subscription.days_until_due,
        "default_payment_method": maybe_id(subscription.default_payment_method.as_ref()),
        "default_source": null,
        "default_tax_rates": [],
        "description": subscription.description,
        "discounts": subscription.discounts,
        "ended_at": maybe_seconds(subscription.ended_at),
        "invoice_settings": {
            "account_tax_ids": null,
            "custom_fields": null,
            "description": null,
            "footer": null,
            "issuer": { "type": "self" },
        },
        "items": subscription_items(world, subscription),
        "latest_invoice": maybe_id(subscription.latest_invoice.as_ref()),
        "livemode": false,
        "managed_payments": null,
        "metadata": subscription.metadata,
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": subscription.paused_collection.map(|paused| {
            json!({ "behavior": word(&PausedCollection::WORDS, paused), "resumes_at": null })
        }),
        "payment_settings": {
            "payment_method_options": null,
            "payment_method_types": null,
            "save_default_payment_method": if subscription.saves_payment_method { "on_subscription" } else { "off" },
        },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": subscription.pending_update.as_ref().map(|pending| pending_update(world, subscription, pending)),
        "schedule": maybe_id(subscription.schedule.as_ref()),
        "start_date": seconds(subscription.start_date),
        "status": word(&SubscriptionStatus::WORDS, subscription.status),
        "test_clock": maybe_id(world.customers[&subscription.customer].test_clock.as_ref()),
        "transfer_data": null,
        "trial_end": maybe_seconds(subscription.trial_end),
        "trial_settings": {
            "end_behavior": { "missing_payment_method": word(&MissingPaymentMethod::WORDS, subscription.missing_payment_method) },
        },
        "trial_start": maybe_seconds(subscription.trial_start),
    })
}

/// Of subscriptions and schedules.
pub(super) fn billing_mode(mode: BillingMode) -> Value {
    let mut answer = json!({
        "flexible": mode.is_flexible().then(|| json!({ "proration_discounts": "included" })),
        "type": word(&BillingModeKind::WORDS, mode.kind),
    });
    // Left out, not null, of one that nobody made flexible.
    if let Some(updated_at) = mode.updated_at {
        answer["updated_at"] = json!(seconds(updated_at));
    }
    answer
}

fn automatic_tax(tax: AutomaticTax) -> Value {
    let enabled = tax == AutomaticTax::On;
    json!({
        "disabled_reason": (tax == AutomaticTax::LacksLocation).then_some("requires_location_inputs"),
        "enabled": enabled,
        "liability": enabled.then(|| json!({ "type": "self" })),
    })
}

fn cancellation_reason(reason: CancellationReason) -> &'static str {
    match reason {
        CancellationReason::Requested => "cancellation_requested",
        CancellationReason::PaymentFailed => "payment_failed",
    }
}

pub(crate) fn subscription_items(world: &World, subscription: &Subscription) -> Value {
    let url = format!("/v1/subscription_items?subscription={}", subscription.id);
    inner_list(
        &url,
        subscription
            .items
            .iter()
            .map(|item| item_of(world, subscription, item))
            .collect(),
    )
}

/// The item with this id, of whichever subscription.
pub(crate) fn subscription_item(world: &World, id: &str) -> Option<Value> {
    world.subscriptions.iter().find_map(|row| {
        let item = row.items.iter().find(|item| item.id.as_str() == id)?;
        Some(item_of(world, row, item))
    })
}

/// What a change that waits would make of the subscription.
fn pending_update(world: &World, subscription: &Subscription, pending: &PendingUpdate) -> Value {
    let (now, then) = (subscription.terms(), &pending.terms);
    let items = then.items.iter().map(|item| item_of(world, subscription, item));
    let anchor = (then.billing_cycle_anchor != now.billing_cycle_anchor).then_some(then.billing_cycle_anchor);
    let trial_end = then.trial_end.filter(|_| then.trial_end != now.trial_end);
    json!({
        "billing_cycle_anchor": maybe_seconds(anchor),
        "cancel_at_period_end": pending.cancel_at_period_end,
        "discount": null,
        "discounts": (then.discounts != now.discounts).then_some(&then.discounts),
        "expires_at": seconds(pending.expires_at),
        "metadata": pending.metadata,
        "subscription_items": items.collect::<Vec<_>>(),
        "trial_end": maybe_seconds(trial_end),
        "trial_from_plan": null,
    })
}

fn item_of(world: &World, subscription: &Subscription, item: &SubscriptionItem) -> Value {
    let of = &world.prices[&item.price];
    let mut answer = json!({
        "id": item.id.as_str(),
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": seconds(item.created),
        "current_period_end": seconds(item.current_period_end),
        "current_period_start": seconds(item.current_period_start),
        "discounts": [],
        "metadata": item.metadata,
        "plan": catalog::plan(of),
        "price": price(of),
        "subscription": subscription.id.as_str(),
        "tax_rates": [],
    });
    // A metered item has no quantity at all.
    if let Some(quantity) = item.quantity {
        answer["quantity"] = json!(quantity);
    }
    answer
}

/// The subscriptions that a customer has, newest first.
pub(super) fn of_customer(world: &World, customer: &CustomerId) -> Value {
    let url = format!("/v1/customers/{customer}/subscriptions");
    let own = world
        .subscriptions
        .iter()
        .rev()
        .filter(|row| row.customer == *customer && !row.has_ended());
    inner_list(&url, own.map(|row| subscription(world, row)).collect())
}
