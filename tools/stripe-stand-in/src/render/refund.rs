//! Refunds and credit notes as Stripe answers them.

use serde_json::{Value, json};

use super::{inner_list, maybe_id, seconds};
use crate::id::Id;
use crate::state::{CreditNote, CreditNoteLine, Refund, World};

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
