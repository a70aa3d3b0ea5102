//! Invoices, their lines and payments as Stripe answers them.

use serde_json::{Value, json};

use super::{inner_beginning, inner_list, maybe_id, maybe_seconds, seconds, word};
use crate::id::{DiscountId, Id};
use crate::state::{
    BillingReason, CollectionMethod, Invoice, InvoiceLine, InvoicePayment, InvoicePaymentStatus,
    InvoiceStatus, Line, World,
};

pub(crate) fn invoice(world: &World, invoice: &Invoice) -> Value {
    let customer = &world.customers[&invoice.customer];
    let subtotal = invoice.subtotal();
    let finalized = invoice.finalized_at.is_some();
    let page = format!("{}/invoice/{}", world.base_url, invoice.id);
    json!({
        "id": invoice.id.as_str(),
        "object": "invoice",
        "account_country": "US",
        "account_name": null,
        "account_tax_ids": null,
        "amount_due": invoice.amount_due(),
        "amount_overpaid": 0,
        "amount_paid": invoice.amount_paid,
        "amount_paid_off_stripe": 0,
        "amount_remaining": invoice.amount_remaining(),
        "amount_shipping": 0,
        "application": null,
        "attempt_count": invoice.attempt_count,
        "attempted": invoice.attempted,
        "auto_advance": invoice.auto_advance && matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Open),
        "automatic_tax": {
            "disabled_reason": null,
            "enabled": invoice.automatic_tax,
            "liability": invoice.automatic_tax.then(|| json!({ "type": "self" })),
            "provider": invoice.automatic_tax.then_some("stripe"),
            "status": invoice.automatic_tax.then_some("complete"),
        },
        "automatically_finalizes_at": maybe_seconds(invoice.automatically_finalizes_at),
        "billing_reason": billing_reason(invoice.billing_reason),
        "collection_method": word(&CollectionMethod::WORDS, invoice.collection_method),
        "created": seconds(invoice.created),
        "currency": invoice.currency.as_str(),
        "custom_fields": null,
        "customer": invoice.customer.as_str(),
        "customer_account": null,
        "customer_address": customer.address.as_ref().map(super::customer::address),
        "customer_email": customer.email,
        "customer_name": customer.name,
        "customer_phone": customer.phone,
        "customer_shipping": null,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": maybe_id(invoice.default_payment_method.as_ref()),
        "default_source": null,
        "default_tax_rates": [],
        "description": invoice.description,
        "discounts": invoice.discounts,
        "due_date": maybe_seconds(invoice.due_date),
        "effective_at": maybe_seconds(invoice.finalized_at),
        "ending_balance": finalized.then(|| invoice.ending_balance()),
        "footer": null,
        "from_invoice": null,
        "hosted_invoice_url": finalized.then_some(&page),
        "invoice_pdf": finalized.then(|| format!("{page}/pdf")),
        "issuer": { "type": "self" },
        "last_finalization_error": null,
        "latest_revision": null,
        "lines": invoice_lines(invoice),
        "livemode": false,
        "metadata": invoice.metadata,
        "next_payment_attempt": maybe_seconds(invoice.next_payment_attempt),
        "number": invoice.number,
        "on_behalf_of": null,
        "parent": parent(world, invoice),
        "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "period_end": seconds(invoice.period_end),
        "period_start": seconds(invoice.period_start),
        "post_payment_credit_notes_amount": invoice.credited_after_payment,
        "pre_payment_credit_notes_amount": invoice.credited_before_payment,
        "receipt_number": null,
        "rendering": null,
        "shipping_cost": null,
        "shipping_details": null,
        "starting_balance": invoice.starting_balance,
        "statement_descriptor": null,
        "status": word(&InvoiceStatus::WORDS, invoice.status),
        "status_transitions": {
            "finalized_at": maybe_seconds(invoice.finalized_at),
            "marked_uncollectible_at": maybe_seconds(invoice.marked_uncollectible_at),
            "paid_at": maybe_seconds(invoice.paid_at),
            "voided_at": maybe_seconds(invoice.voided_at),
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "test_clock": maybe_id(world.customers[&invoice.customer].test_clock.as_ref()),
        "total": invoice.total(),
        "total_discount_amounts": total_discounts(invoice),
        "total_excluding_tax": invoice.total_excluding_tax(),
        "total_pretax_credit_amounts": [],
        "total_taxes": taxes(invoice.tax(), invoice.total_excluding_tax()),
        "webhooks_delivered_at": seconds(invoice.created),
    })
}

fn billing_reason(reason: BillingReason) -> &'static str {
    match reason {
        BillingReason::SubscriptionCreate => "subscription_create",
        BillingReason::SubscriptionCycle => "subscription_cycle",
        BillingReason::SubscriptionUpdate => "subscription_update",
        BillingReason::Manual => "manual",
    }
}

fn parent(world: &World, invoice: &Invoice) -> Option<Value> {
    let subscription = invoice.subscription.as_ref()?;
    Some(json!({
        "quote_details": null,
        "subscription_details": {
            "metadata": world.subscriptions[subscription].metadata,
            "subscription": subscription.as_str(),
        },
        "type": "subscription_details",
    }))
}

fn invoice_lines(invoice: &Invoice) -> Value {
    let rows = invoice.lines.iter();
    inner_beginning(
        &invoice_lines_url(invoice),
        rows.map(|row| invoice_line(invoice, row)).collect(),
    )
}

/// Where all of an invoice's lines are listed.
pub(crate) fn invoice_lines_url(invoice: &Invoice) -> String {
    format!("/v1/invoices/{}/lines", invoice.id)
}

/// What each discount takes off all lines together.
fn total_discounts(invoice: &Invoice) -> Vec<Value> {
    let of = |id: &DiscountId| -> i64 {
        let all = invoice.lines.iter().flat_map(|row| &row.line.discounts);
        all.filter(|off| off.discount == *id).map(|off| off.amount).sum()
    };
    let each = invoice.discounts.iter().map(|id| discount_amount(id, of(id)));
    each.collect()
}

fn discount_amount(discount: &DiscountId, amount: i64) -> Value {
    json!({ "amount": amount, "discount": discount.as_str() })
}

pub(crate) fn invoice_line(invoice: &Invoice, row: &InvoiceLine) -> Value {
    let line = &row.line;
    json!({
        "id": row.id.as_str(),
        "object": "line_item",
        "amount": line.amount,
        "currency": invoice.currency.as_str(),
        "description": line.description,
        "discount_amounts": line.discounts.iter().map(|off| discount_amount(&off.discount, off.amount)).collect::<Vec<_>>(),
        "discountable": line.discountable,
        // These would be the line's own; the invoice's show in its `discount_amounts` only.
        "discounts": [],
        "invoice": invoice.id.as_str(),
        "livemode": false,
        "metadata": line.metadata,
        "parent": line_parent(invoice, line),
        "period": { "end": seconds(line.period_end), "start": seconds(line.period_start) },
        "pretax_credit_amounts": [],
        "pricing": pricing(line),
        "quantity": line.quantity,
        "quantity_decimal": line.quantity.map(|quantity| quantity.to_string()),
        "subscription": line.subscription_item.as_ref().and(maybe_id(invoice.subscription.as_ref())),
        "subtotal": line.amount,
        "taxes": taxes(row.tax, line.net()),
    })
}

/// The tax of an amount: of one rate, if there is any.
fn taxes(tax: i64, taxable: i64) -> Vec<Value> {
    if tax == 0 {
        return Vec::new();
    }
    vec![json!({
        "amount": tax,
        "tax_behavior": "exclusive",
        "tax_rate_details": { "tax_rate": "txr_automatic" },
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    })]
}

fn line_parent(invoice: &Invoice, line: &Line) -> Value {
    let subscription = maybe_id(invoice.subscription.as_ref());
    let credited = line
        .credits
        .as_ref()
        .map(|(invoice, line)| json!({ "invoice": invoice.as_str(), "invoice_line_items": [line.as_str()] }));
    let proration = json!({ "credited_items": credited });
    match &line.subscription_item {
        Some(item) => json!({
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": maybe_id(line.invoice_item.as_ref()),
                "proration": line.proration,
                "proration_details": proration,
                "subscription": subscription,
                "subscription_item": item.as_str(),
            },
            "type": "subscription_item_details",
        }),
        None => json!({
            "invoice_item_details": {
                "invoice_item": maybe_id(line.invoice_item.as_ref()),
                "proration": line.proration,
                "proration_details": proration,
                "subscription": subscription,
            },
            "subscription_item_details": null,
            "type": "invoice_item_details",
        }),
    }
}

pub(super) fn pricing(line: &Line) -> Option<Value> {
    let (price, product) = (line.price.as_ref()?, line.product.as_ref()?);
    Some(json!({
        "price_details": { "price": price.as_str(), "product": product.as_str() },
        "type": "price_details",
        "unit_amount_decimal": line.unit_amount.map(String::from),
    }))
}

/// The payments on an invoice: left out of it unless asked for.
pub(super) fn payments(world: &World, invoice: &Invoice) -> Value {
    let url = format!("/v1/invoice_payments?invoice={}", invoice.id);
    let own = world
        .invoice_payments
        .iter()
        .rev()
        .filter(|payment| payment.invoice == invoice.id);
    inner_list(&url, own.map(invoice_payment).collect())
}

pub(super) fn confirmation_secret(world: &World, invoice: &Invoice) -> Option<Value> {
    let intent = &world.payment_intents[invoice.payment_intent.as_ref()?];
    Some(json!({ "client_secret": intent.client_secret, "type": "payment_intent" }))
}

pub(crate) fn invoice_payment(payment: &InvoicePayment) -> Value {
    json!({
        "id": payment.id.as_str(),
        "object": "invoice_payment",
        "amount_paid": payment.amount_paid,
        "amount_requested": payment.amount_requested,
        "created": seconds(payment.created),
        "currency": payment.currency.as_str(),
        "invoice": payment.invoice.as_str(),
        "is_default": true,
        "livemode": false,
        "payment": { "payment_intent": payment.payment_intent.as_str(), "type": "payment_intent" },
        "status": word(&InvoicePaymentStatus::WORDS, payment.status),
        "status_transitions": {
            "canceled_at": maybe_seconds(payment.canceled_at),
            "paid_at": maybe_seconds(payment.paid_at),
        },
    })
}
