//! Usage of a period that is told while the invoice for it is a draft: it is billed with the rest.
//!
//! Stripe reads the meters once more when a renewal's invoice becomes final. Source: its page on the grace period of usage-based billing. The invoice
//! of a subscription's end is final at once.

use super::{Moment, discounts, lifecycle, meters, pricing, taxes, wording};
use crate::id::{CustomerId, InvoiceId, InvoiceLineId};
use crate::render::Object;
use crate::state::{BillingReason, Line, UsageType, World};

/// Brings a renewal's metered lines up to what has been told by now, with their discounts and tax.
pub(crate) fn take_in(at: &mut Moment<'_>, id: &InvoiceId) {
    let invoice = &at.world.invoices[id];
    if invoice.billing_reason != BillingReason::SubscriptionCycle {
        return;
    }
    let mut lines: Vec<Line> = invoice.lines.iter().map(|row| row.line.clone()).collect();
    let mut is_late = false;
    for line in &mut lines {
        is_late |= read_again(at.world, &invoice.customer, line);
    }
    if !is_late {
        return;
    }
    discounts::apply_again(at.world, invoice, &mut lines);
    let object = Object::Invoice(id.clone());
    let before = at.picture(&object);
    let settings = at.world.settings;
    let invoice = &mut at.world.invoices[id];
    let is_taxed = invoice.automatic_tax;
    for (row, line) in invoice.lines.iter_mut().zip(lines) {
        row.tax = if is_taxed {
            taxes::on(line.net(), &settings)
        } else {
            0
        };
        row.line = line;
    }
    discounts::spend(at, id);
    follow(at, id);
    at.emit_updated("invoice.updated", &object, &before);
}

/// Whether more or less was used than the line says, which then says so. A line that waited for this invoice is of another time, and final.
fn read_again(world: &World, customer: &CustomerId, line: &mut Line) -> bool {
    let of_item = line.subscription_item.is_some() && line.invoice_item.is_none() && !line.proration;
    let Some(price) = line
        .price
        .as_ref()
        .filter(|_| of_item)
        .map(|id| &world.prices[id])
    else {
        return false;
    };
    if lifecycle::recurrence(price).usage_type != UsageType::Metered {
        return false;
    }
    let quantity = meters::used(world, price, customer, (line.period_start, line.period_end));
    if line.quantity == Some(quantity) {
        return false;
    }
    let amount = pricing::amount(price, quantity);
    line.description = wording::line(&world.products[&price.product].name, price, Some(quantity));
    line.quantity = Some(quantity);
    (line.list_amount, line.amount) = (amount, amount);
    true
}

/// What of this invoice pays an item's time may be another share of an amount off now, and so is what can be credited of it.
fn follow(at: &mut Moment<'_>, id: &InvoiceId) {
    let invoice = &at.world.invoices[id];
    let Some(subscription) = invoice.subscription.clone() else {
        return;
    };
    let nets: Vec<(InvoiceLineId, i64)> = invoice
        .lines
        .iter()
        .map(|row| (row.id.clone(), row.line.net()))
        .collect();
    for item in &mut at.world.subscriptions[&subscription].items {
        let Some(charged) = &mut item.charged else {
            continue;
        };
        let own = charged.line.as_ref().filter(|(invoice, _)| invoice == id);
        if let Some((_, net)) = own.and_then(|(_, line)| nets.iter().find(|(row, _)| row == line)) {
            charged.net = *net;
        }
    }
}
