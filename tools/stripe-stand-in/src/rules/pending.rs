//! Lines that wait for the customer's next invoice: prorations that are not billed at once.

use super::Moment;
use super::billing::Draft;
use crate::id::{InvoiceId, InvoiceItemId, SubscriptionId};
use crate::state::{InvoiceItem, Line, Subscription, World};

/// Puts a line by for the subscription's next invoice.
pub(crate) fn put_by(at: &mut Moment<'_>, subscription: &Subscription, line: Line) -> InvoiceItemId {
    let item = InvoiceItem {
        id: at.world.ids.make(),
        date: at.now,
        customer: subscription.customer.clone(),
        subscription: Some(subscription.id.clone()),
        currency: subscription.currency.clone(),
        line,
        invoice: None,
    };
    at.world.invoice_items.insert(item)
}

/// Whether anything waits for this subscription's next invoice.
pub(crate) fn any(world: &World, subscription: &SubscriptionId) -> bool {
    let waits =
        |item: &InvoiceItem| item.invoice.is_none() && item.subscription.as_ref() == Some(subscription);
    world.invoice_items.iter().any(waits)
}

/// Moves what waits for such an invoice onto it, before its own lines.
pub(crate) fn take_up(at: &mut Moment<'_>, draft: &mut Draft, invoice: &InvoiceId) {
    let mut waiting = Vec::new();
    for item in at.world.invoice_items.iter_mut() {
        let of_subscription = item.subscription.is_none() || item.subscription == draft.subscription;
        if item.invoice.is_none()
            && item.customer == draft.customer
            && item.currency == draft.currency
            && of_subscription
        {
            item.invoice = Some(invoice.clone());
            waiting.push(Line {
                invoice_item: Some(item.id.clone()),
                ..item.line.clone()
            });
        }
    }
    waiting.append(&mut draft.lines);
    draft.lines = waiting;
}
