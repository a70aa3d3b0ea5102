//! Disputes as Stripe answers them.

use serde_json::{Value, json};

use super::{seconds, word};
use crate::id::Id;
use crate::rules::disputes;
use crate::state::{CaseType, Charge, Dispute, DisputeStatus, World};

pub(crate) fn dispute(world: &World, dispute: &Dispute) -> Value {
    let charge = &world.charges[&dispute.charge];
    let amount = dispute.amount.unwrap_or(charge.amount);
    let withdrawn = dispute.case_type.takes_money().then_some(-amount);
    let reinstated = withdrawn
        .filter(|_| dispute.status == DisputeStatus::Won)
        .map(|_| amount);
    let moved = withdrawn.into_iter().chain(reinstated);
    json!({
        "id": dispute.id.as_str(),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": moved.map(|amount| transaction(charge, dispute, amount)).collect::<Vec<_>>(),
        "charge": dispute.charge.as_str(),
        "created": seconds(dispute.created),
        "currency": charge.currency.as_str(),
        "enhanced_eligibility_types": [],
        "evidence": evidence(),
        "evidence_details": {
            "due_by": null,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": !disputes::is_charged_back(world, &charge.id),
        "livemode": false,
        "metadata": {},
        "payment_intent": charge.payment_intent.as_str(),
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": word(&CaseType::WORDS, dispute.case_type),
                "network": "visa",
                "network_reason_code": null,
            },
            "type": "card",
        },
        "reason": dispute.reason,
        "status": word(&DisputeStatus::WORDS, dispute.status),
    })
}

/// Money that leaves the merchant's balance, or comes back.
fn transaction(charge: &Charge, dispute: &Dispute, amount: i64) -> Value {
    let way = if amount < 0 { "withdrawn" } else { "reinstated" };
    json!({
        "id": format!("txn_{}_{way}", dispute.id),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": seconds(dispute.created),
        "balance_type": "payments",
        "created": seconds(dispute.created),
        "currency": charge.currency.as_str(),
        "description": null,
        "exchange_rate": null,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": "dispute",
        "source": null,
        "status": "available",
        "type": "adjustment",
    })
}

/// None has been given.
fn evidence() -> Value {
    const MEMBERS: [&str; 26] = [
        "access_activity_log",
        "billing_address",
        "cancellation_policy",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
        "customer_communication",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "customer_signature",
        "duplicate_charge_documentation",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "receipt",
        "refund_policy",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "service_documentation",
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_text",
    ];
    let mut evidence = json!({ "enhanced_evidence": {}, "uncategorized_file": null });
    for member in MEMBERS {
        evidence[member] = Value::Null;
    }
    evidence
}
