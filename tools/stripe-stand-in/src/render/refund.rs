//! Refunds, credit notes and disputes as Stripe answers them.

use serde_json::{Value, json};

use super::{inner_list, maybe_id, seconds, word};
use crate::id::Id;
use crate::state::{CreditNote, CreditNoteLine, Dispute, DisputeStatus, Refund, World};

pub(crate) fn refund(refund: &Refund) -> Value {
    let mut told = json!({
        "id": refund.id.as_str(),
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge.as_str(),
        "created": seconds(refund.created),
        "currency": refund.currency.as_str(),
        "destination_details": { "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" }, "type": "card" },
        "metadata": refund.metadata,
        "payment_intent": refund.payment_intent.as_str(),
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": if refund.failure.is_some() { "failed" } else { "succeeded" },
        "transfer_reversal": null,
    });
    if let Some(reason) = &refund.failure {
        told["failure_reason"] = json!(reason);
    }
    told
}

pub(crate) fn credit_note(world: &World, note: &CreditNote) -> Value {
    let amount = note.amount();
    let refunds = note.refund.as_ref().map(|refund| {
        json!({
            "amount_refunded": note.refund_amount,
            "payment_record_refund": null,
            "refund": refund.as_str(),
            "type": "refund",
        })
    });
    let kind = match (note.before_payment, note.after_payment()) {
        (_, 0) => "pre_payment",
        (0, _) => "post_payment",
        _ => "mixed",
    };
    json!({
        "id": note.id.as_str(),
        "object": "credit_note",
        "amount": amount,
        "amount_shipping": 0,
        "created": seconds(note.created),
        "currency": note.currency.as_str(),
        "customer": note.customer.as_str(),
        "customer_account": null,
        "customer_balance_transaction": null,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": seconds(note.created),
        "invoice": note.invoice.as_str(),
        "lines": inner_list(
            &format!("/v1/credit_notes/{}/lines", note.id),
            note.lines.iter().map(credit_note_line).collect(),
        ),
        "livemode": false,
        "memo": note.memo,
        "metadata": note.metadata,
        "number": note.number,
        "out_of_band_amount": note.out_of_band_amount,
        "pdf": format!("{}/credit_notes/{}/pdf", world.base_url, note.id),
        "post_payment_amount": note.after_payment(),
        "pre_payment_amount": note.before_payment,
        "pretax_credit_amounts": [],
        "reason": note.reason,
        "refunds": refunds.into_iter().collect::<Vec<_>>(),
        "shipping_cost": null,
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": kind,
        "voided_at": null,
    })
}

fn credit_note_line(line: &CreditNoteLine) -> Value {
    let mut answer = json!({
        "id": line.id.as_str(),
        "object": "credit_note_line_item",
        "amount": line.amount,
        "description": line.description,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": false,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": line.quantity,
        "tax_rates": [],
        "taxes": [],
        "type": "custom_line_item",
        "unit_amount": null,
        "unit_amount_decimal": null,
    });
    if let Some(id) = maybe_id(line.invoice_line.as_ref()) {
        answer["type"] = json!("invoice_line_item");
        answer["invoice_line_item"] = json!(id);
    }
    answer
}

pub(crate) fn dispute(world: &World, dispute: &Dispute) -> Value {
    let charge = &world.charges[&dispute.charge];
    json!({
        "id": dispute.id.as_str(),
        "object": "dispute",
        "amount": charge.amount,
        "balance_transactions": [],
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
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "payment_intent": charge.payment_intent.as_str(),
        "reason": dispute.reason,
        "status": word(&DisputeStatus::WORDS, dispute.status),
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
