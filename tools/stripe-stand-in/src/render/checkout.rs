//! Checkout sessions as Stripe answers them.

use serde_json::{Value, json};

use super::{inner_list, maybe_id, price, seconds, word};
use crate::id::Id;
use crate::state::{CheckoutSession, Grant, PaymentStatus, SessionItem, SessionStatus, UiMode, World};

pub(crate) fn checkout_session(world: &World, session: &CheckoutSession) -> Value {
    let open = session.status == SessionStatus::Open;
    let mut answer = json!({
        "id": session.id.as_str(),
        "object": "checkout.session",
        "adaptive_pricing": { "enabled": false },
        "after_expiration": null,
        "allow_promotion_codes": session.allow_promotion_codes,
        "amount_subtotal": session.subtotal(),
        "amount_total": session.amount_total(),
        "automatic_tax": automatic_tax(world, session),
        "billing_address_collection": null,
        "cancel_url": session.cancel_url,
        "client_reference_id": session.client_reference_id,
        // A session that is over no longer has a secret or an address.
        "client_secret": session.client_secret.as_ref().filter(|_| open),
        "collected_information": null,
        "consent": null,
        "consent_collection": null,
        "created": seconds(session.created),
        "currency": session.currency.as_str(),
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null,
            "shipping_address": null,
            "submit": null,
            "terms_of_service_acceptance": null,
        },
        "customer": maybe_id(session.customer.as_ref()),
        "customer_account": null,
        "customer_creation": if session.customer.is_some() { None } else { Some("always") },
        "customer_details": customer_details(world, session),
        "customer_email": session.customer_email,
        "discounts": session.discounts.iter().map(grant).collect::<Vec<_>>(),
        "expires_at": seconds(session.expires_at),
        "invoice": maybe_id(session.invoice.as_ref()),
        "invoice_creation": null,
        "livemode": false,
        "locale": session.locale,
        "metadata": session.metadata,
        "mode": "subscription",
        "origin_context": null,
        "payment_intent": null,
        "payment_link": null,
        "payment_method_collection": "always",
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "payment_method_types": session.payment_method_types,
        "payment_status": payment_status(session.payment_status),
        "permissions": null,
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "saved_payment_method_options": {
            "allow_redisplay_filters": ["always"],
            "payment_method_remove": "disabled",
            "payment_method_save": null,
        },
        "setup_intent": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "status": word(&SessionStatus::WORDS, session.status),
        "submit_type": null,
        "subscription": maybe_id(session.subscription.as_ref()),
        "success_url": session.success_url,
        "total_details": { "amount_discount": session.amount_discount(), "amount_shipping": 0, "amount_tax": session.amount_tax() },
        "ui_mode": word(&UiMode::WORDS, session.ui_mode),
        "url": session.url.as_ref().filter(|_| open),
        "wallet_options": null,
    });
    // These two are left out, not null, when they do not apply.
    if let Some(return_url) = &session.return_url {
        answer["return_url"] = json!(return_url);
    }
    if let Some(redirect) = &session.redirect_on_completion {
        answer["redirect_on_completion"] = json!(redirect);
    }
    answer
}

fn automatic_tax(world: &World, session: &CheckoutSession) -> Value {
    if !session.automatic_tax {
        return json!({ "enabled": false, "liability": null, "provider": null, "status": null });
    }
    let is_located = session
        .customer
        .as_ref()
        .is_some_and(|id| world.customers[id].is_located());
    let status = if is_located {
        "complete"
    } else {
        "requires_location_inputs"
    };
    json!({ "enabled": true, "liability": { "type": "self" }, "provider": "stripe", "status": status })
}

fn customer_details(world: &World, session: &CheckoutSession) -> Option<Value> {
    let customer = session.customer.as_ref().map(|id| &world.customers[id]);
    let email = customer
        .and_then(|customer| customer.email.as_ref())
        .or(session.customer_email.as_ref());
    if customer.is_none() && email.is_none() {
        return None;
    }
    Some(json!({
        "address": customer.and_then(|customer| customer.address.as_ref()).map(super::customer::address),
        "business_name": null,
        "email": email,
        "individual_name": null,
        "name": customer.and_then(|customer| customer.name.as_ref()),
        "phone": customer.and_then(|customer| customer.phone.as_ref()),
        "tax_exempt": "none",
        "tax_ids": [],
    }))
}

/// A code is told as the code, not as its coupon.
fn grant(grant: &Grant) -> Value {
    let (coupon, promotion_code) = match grant {
        Grant::Coupon(id) => (Some(id.as_str()), None),
        Grant::PromotionCode(id) => (None, Some(id.as_str())),
        Grant::Kept(_) => (None, None),
    };
    json!({ "coupon": coupon, "promotion_code": promotion_code })
}

fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Paid => "paid",
        PaymentStatus::Unpaid => "unpaid",
        PaymentStatus::NotRequired => "no_payment_required",
    }
}

/// The lines of a session, as a list of their own.
pub(crate) fn session_items(world: &World, session: &CheckoutSession) -> Value {
    let url = format!("/v1/checkout/sessions/{}/line_items", session.id);
    inner_list(
        &url,
        session
            .items
            .iter()
            .map(|item| session_item(world, session, item))
            .collect(),
    )
}

fn session_item(world: &World, session: &CheckoutSession, item: &SessionItem) -> Value {
    let of = &world.prices[&item.price];
    json!({
        "id": item.id.as_str(),
        "object": "item",
        "adjustable_quantity": null,
        "amount_discount": item.amount_discount,
        "amount_subtotal": item.amount,
        "amount_tax": item.amount_tax,
        "amount_total": item.amount - item.amount_discount + item.amount_tax,
        "currency": session.currency.as_str(),
        "description": world.products[&of.product].name,
        "metadata": {},
        "price": price(of),
        "quantity": item.quantity,
    })
}
