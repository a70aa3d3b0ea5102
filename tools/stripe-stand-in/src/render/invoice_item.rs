//! Invoice items as Stripe answers them: lines that wait for an invoice, or were on one.

use serde_json::{Value, json};

use super::invoice::pricing;
use super::{maybe_id, seconds};
use crate::id::Id;
use crate::state::{InvoiceItem, Line, World};

pub(crate) fn invoice_item(world: &World, item: &InvoiceItem) -> Value {
    let line = &item.line;
    json!({
        "id": item.id.as_str(),
        "object": "invoiceitem",
        "amount": line.amount,
        "currency": item.currency.as_str(),
        "customer": item.customer.as_str(),
        "customer_account": null,
        "date": seconds(item.date),
        "description": line.description,
        "discountable": line.discountable,
        "discounts": [],
        "invoice": maybe_id(item.invoice.as_ref()),
        "livemode": false,
        "metadata": line.metadata,
        "net_amount": line.net(),
        "parent": parent(item, line),
        "period": { "end": seconds(line.period_end), "start": seconds(line.period_start) },
        "pricing": pricing(line),
        "proration": line.proration,
        "proration_details": { "discount_amounts": [] },
        "quantity": line.quantity.unwrap_or(1),
        "quantity_decimal": line.quantity.unwrap_or(1).to_string(),
        "tax_rates": [],
        "test_clock": maybe_id(world.customers[&item.customer].test_clock.as_ref()),
    })
}

fn parent(item: &InvoiceItem, line: &Line) -> Option<Value> {
    let subscription = item.subscription.as_ref()?;
    let mut details = json!({ "subscription": subscription.as_str() });
    // Left out, not null, for an item of the subscription as a whole.
    if let Some(item) = &line.subscription_item {
        details["subscription_item"] = json!(item.as_str());
    }
    Some(json!({ "subscription_details": details, "type": "subscription_details" }))
}
