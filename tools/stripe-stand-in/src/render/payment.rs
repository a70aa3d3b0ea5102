//! Payment methods, payment intents and charges as Stripe answers them.

use serde_json::{Value, json};

use super::{maybe_id, maybe_seconds, seconds};
use crate::id::Id;
use crate::state::{
    Charge, ChargeStatus, Decline, DisputeStatus, MethodKind, PaymentIntent, PaymentIntentStatus,
    PaymentMethod, World,
};

/// Test cards never expire while this stand-in is in use.
const EXPIRY: (u8, u16) = (12, 2099);

pub(crate) fn payment_method(method: &PaymentMethod) -> Value {
    let mut answer = json!({
        "id": method.id.as_str(),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "created": seconds(method.created),
        "customer": maybe_id(method.customer.as_ref()),
        "customer_account": null,
        "livemode": false,
        "metadata": method.metadata,
    });
    let (kind, details) = match &method.kind {
        MethodKind::Card { brand, last4 } => ("card", card(brand, last4)),
        MethodKind::BankDebit { last4 } => ("us_bank_account", bank_account(last4)),
    };
    answer["type"] = json!(kind);
    answer[kind] = details;
    answer
}

fn card(brand: &str, last4: &str) -> Value {
    json!({
        "brand": brand,
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": "US",
        "display_brand": brand,
        "exp_month": EXPIRY.0,
        "exp_year": EXPIRY.1,
        "fingerprint": format!("standin{brand}{last4}"),
        "funding": "credit",
        "generated_from": null,
        "last4": last4,
        "networks": { "available": [brand], "preferred": null },
        "regulated_status": "unregulated",
        "three_d_secure_usage": { "supported": true },
        "wallet": null,
    })
}

fn bank_account(last4: &str) -> Value {
    json!({
        "account_holder_type": "company",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": null,
        "fingerprint": format!("standinbank{last4}"),
        "last4": last4,
        "networks": { "preferred": "ach", "supported": ["ach"] },
        "routing_number": "110000000",
        "status_details": null,
    })
}

fn billing_details() -> Value {
    json!({
        "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
        "email": null,
        "name": null,
        "phone": null,
        "tax_id": null,
    })
}

pub(crate) fn payment_intent(world: &World, intent: &PaymentIntent) -> Value {
    let succeeded = intent.status == PaymentIntentStatus::Succeeded;
    let needs_action = intent.status == PaymentIntentStatus::RequiresAction;
    json!({
        "id": intent.id.as_str(),
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": if succeeded { intent.amount } else { 0 },
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": maybe_seconds(intent.canceled_at),
        "cancellation_reason": intent.canceled_at.map(|_| "void_invoice"),
        "capture_method": "automatic",
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": seconds(intent.created),
        "currency": intent.currency.as_str(),
        "customer": maybe_id(intent.customer.as_ref()),
        "customer_account": null,
        "description": intent.description,
        "excluded_payment_method_types": null,
        "last_payment_error": intent.last_decline.map(|decline| payment_error(intent, decline)),
        "latest_charge": maybe_id(intent.latest_charge.as_ref()),
        "livemode": false,
        "metadata": {},
        "next_action": needs_action.then(|| next_action(world, intent)),
        "on_behalf_of": null,
        "payment_method": maybe_id(intent.payment_method.as_ref()),
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "payment_method_types": [payment_method_type(world, intent)],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": "off_session",
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": intent_status(intent.status),
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn payment_method_type(world: &World, intent: &PaymentIntent) -> &'static str {
    match intent
        .payment_method
        .as_ref()
        .map(|method| &world.payment_methods[method].kind)
    {
        Some(MethodKind::BankDebit { .. }) => "us_bank_account",
        Some(MethodKind::Card { .. }) | None => "card",
    }
}

fn payment_error(intent: &PaymentIntent, decline: Decline) -> Value {
    let mut error = json!({
        "code": decline.code(),
        "decline_code": decline.decline_code(),
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", decline.code().replace('_', "-")),
        "message": decline.message(),
        "type": "card_error",
    });
    if let Some(charge) = &intent.latest_charge {
        error["charge"] = json!(charge.as_str());
    }
    error
}

fn next_action(world: &World, intent: &PaymentIntent) -> Value {
    let url = format!("{}/authenticate/{}", world.base_url, intent.id);
    json!({ "type": "redirect_to_url", "redirect_to_url": { "return_url": null, "url": url } })
}

fn intent_status(status: PaymentIntentStatus) -> &'static str {
    match status {
        PaymentIntentStatus::RequiresPaymentMethod => "requires_payment_method",
        PaymentIntentStatus::RequiresAction => "requires_action",
        PaymentIntentStatus::Processing => "processing",
        PaymentIntentStatus::Succeeded => "succeeded",
        PaymentIntentStatus::Canceled => "canceled",
    }
}

pub(crate) fn charge(world: &World, charge: &Charge) -> Value {
    let succeeded = charge.status == ChargeStatus::Succeeded;
    json!({
        "id": charge.id.as_str(),
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": if succeeded { charge.amount } else { 0 },
        "amount_refunded": charge.amount_refunded,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": billing_details(),
        "calculated_statement_descriptor": "STAND-IN",
        "captured": succeeded,
        "created": seconds(charge.created),
        "currency": charge.currency.as_str(),
        "customer": maybe_id(charge.customer.as_ref()),
        "description": charge.description,
        "disputed": is_disputed(world, charge),
        "failure_balance_transaction": null,
        "failure_code": charge.decline.map(Decline::code),
        "failure_message": charge.decline.map(Decline::message),
        "fraud_details": {},
        "livemode": false,
        "metadata": {},
        "on_behalf_of": null,
        "outcome": outcome(charge),
        "paid": charge.status != ChargeStatus::Failed,
        "payment_intent": charge.payment_intent.as_str(),
        "payment_method": charge.payment_method.as_str(),
        "payment_method_details": method_details(&world.payment_methods[&charge.payment_method]),
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": charge.amount_refunded == charge.amount && charge.amount > 0,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": charge_status(charge.status),
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// Whether its payer's bank objects to it. Where that was prevented, no word of Stripe's says that it was.
fn is_disputed(world: &World, charge: &Charge) -> bool {
    let mut disputes = world
        .disputes
        .iter()
        .filter(|dispute| dispute.charge == charge.id);
    disputes.any(|dispute| dispute.status != DisputeStatus::Prevented)
}

fn outcome(charge: &Charge) -> Value {
    let (status, reason, kind, message) = match charge.decline {
        None => ("approved_by_network", None, "authorized", "Payment complete."),
        Some(decline) => (
            "declined_by_network",
            Some(decline.decline_code()),
            "issuer_declined",
            "The bank did not return any further details with this decline.",
        ),
    };
    json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": null,
        "network_status": status,
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 1,
        "seller_message": message,
        "type": kind,
    })
}

fn method_details(method: &PaymentMethod) -> Value {
    match &method.kind {
        MethodKind::Card { brand, last4 } => json!({
            "type": "card",
            "card": {
                "amount_authorized": null,
                "authorization_code": null,
                "brand": brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US",
                "exp_month": EXPIRY.0,
                "exp_year": EXPIRY.1,
                "fingerprint": format!("standin{brand}{last4}"),
                "funding": "credit",
                "installments": null,
                "last4": last4,
                "mandate": null,
                "network": brand,
                "network_token": { "used": false },
                "network_transaction_id": null,
                "regulated_status": "unregulated",
                "three_d_secure": null,
                "wallet": null,
            },
        }),
        MethodKind::BankDebit { last4 } => json!({
            "type": "us_bank_account",
            "us_bank_account": {
                "account_holder_type": "company",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "fingerprint": format!("standinbank{last4}"),
                "last4": last4,
                "payment_reference": null,
                "routing_number": "110000000",
            },
        }),
    }
}

fn charge_status(status: ChargeStatus) -> &'static str {
    match status {
        ChargeStatus::Succeeded => "succeeded",
        ChargeStatus::Pending => "pending",
        ChargeStatus::Failed => "failed",
    }
}
