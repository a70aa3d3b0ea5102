//! Discounts at work: on the drafts of invoices, and on the subscription they belong to until they end.
//!
//! # How it works
//! A draft is looked at when its lines are complete ([`apply`]), and again if usage is told late ([`apply_again`]): each of its discounts, in their order, takes its share off
//! the lines that are `discountable`. A proration is not, but includes the discount in its amount ([`include`]). When the
//! invoice is made, a discount that is good for one invoice has been used up by it ([`spend`]), if it took anything off.
//!
//! # If it fails half-way
//! [`apply`] and [`include`] write nothing but the draft. Which discounts a subscription gets is [`super::redemption`]'s business.

use jiff::Timestamp;

use super::billing::Draft;
use super::discounting::{self, Base};
use super::{Moment, pricing};
use crate::id::{DiscountId, InvoiceId, SubscriptionId};
use crate::render::Object;
use crate::state::{CouponDuration, Currency, Discount, DiscountAmount, Invoice, Line, Subscription, World};

/// Asked once for every invoice, when its lines are complete and before it is written: fills `line.discounts` of the lines
/// that are `discountable`, and leaves out of `draft.discounts` what has ended.
pub(crate) fn apply(world: &World, draft: &mut Draft, now: Timestamp) {
    draft.discounts.retain(|id| world.discounts[id].is_running(now));
    take_off(world, &mut draft.lines, (&draft.discounts, &draft.currency));
}

/// The usage on a draft has changed: what its discounts take off is worked out anew. One that another invoice has used up since takes
/// nothing off.
pub(crate) fn apply_again(world: &World, invoice: &Invoice, lines: &mut [Line]) {
    let stands = |id: &&DiscountId| {
        let used_on = &world.discounts[*id].used_on;
        used_on.as_ref().is_none_or(|used_on| *used_on == invoice.id)
    };
    let discounts: Vec<DiscountId> = invoice.discounts.iter().filter(stands).cloned().collect();
    lines.iter_mut().for_each(|line| line.discounts.clear());
    take_off(world, lines, (&discounts, &invoice.currency));
}

fn take_off(world: &World, lines: &mut [Line], (discounts, currency): (&[DiscountId], &Currency)) {
    let products: Vec<_> = lines.iter().map(|line| line.product.clone()).collect();
    let mut bases: Vec<Base<'_>> = lines
        .iter()
        .zip(&products)
        .map(|(line, product)| Base {
            product: product.as_ref(),
            left: if line.discountable { line.amount.max(0) } else { 0 },
        })
        .collect();
    for id in discounts {
        let taken = discounting::take_off(&mut bases, &world.discounts[id].terms, currency);
        for (line, amount) in lines.iter_mut().zip(taken).filter(|(_, taken)| *taken > 0) {
            let discount = id.clone();
            line.discounts.push(DiscountAmount { discount, amount });
        }
    }
}

/// Asked for every charge that pays a share of a period. Stripe does not tell a discount apart on such a line but includes it
/// in `line.amount`; `line.list_amount` stays. What is good for one invoice waits for one on which it can be told apart. A credit
/// needs no asking: it gives back a share of what was billed.
pub(crate) fn include(world: &World, subscription: &Subscription, line: &mut Line) {
    let items = &subscription.items;
    let of_line = |item: &&crate::state::SubscriptionItem| line.subscription_item.as_ref() == Some(&item.id);
    let Some(position) = items.iter().position(|item| of_line(&item)) else {
        return;
    };
    let mut bases: Vec<Base<'_>> = items
        .iter()
        .map(|item| {
            let price = &world.prices[&item.price];
            Base {
                product: Some(&price.product),
                left: item
                    .quantity
                    .map_or(0, |quantity| pricing::amount(price, quantity)),
            }
        })
        .collect();
    let full = i128::from(bases[position].left);
    let lasting = |discount: &&Discount| {
        discount.is_running(line.period_start) && discount.terms.duration != CouponDuration::Once
    };
    let own = subscription.discounts.iter().map(|id| &world.discounts[id]);
    for discount in own.filter(lasting) {
        discounting::take_off(&mut bases, &discount.terms, &subscription.currency);
    }
    if full > 0 {
        // Floored toward −∞, as every proration is.
        let share = (i128::from(line.list_amount) * i128::from(bases[position].left)).div_euclid(full);
        line.amount = i64::try_from(share).unwrap_or(line.amount);
    }
}

/// The invoice is made: a discount that is good for one invoice, and took something off this one, leaves its subscription.
pub(crate) fn spend(at: &mut Moment<'_>, invoice: &InvoiceId) {
    let row = &at.world.invoices[invoice];
    let took_off = |id: &DiscountId| {
        let mut all = row.lines.iter().flat_map(|row| &row.line.discounts);
        all.any(|off| off.discount == *id)
    };
    let is_once = |id: &&DiscountId| at.world.discounts[*id].terms.duration == CouponDuration::Once;
    let spent: Vec<DiscountId> = row
        .discounts
        .iter()
        .filter(is_once)
        .filter(|id| took_off(id))
        .cloned()
        .collect();
    for id in spent {
        at.world.discounts[&id].used_on = Some(invoice.clone());
        take_away(at, &id);
    }
}

/// The invoice of a change that was dropped has used up nothing.
pub(crate) fn give_back(at: &mut Moment<'_>, invoice: &InvoiceId) {
    let mut taken: Vec<(DiscountId, Option<SubscriptionId>)> = Vec::new();
    for discount in at.world.discounts.iter_mut() {
        if discount.used_on.as_ref() == Some(invoice) {
            discount.used_on = None;
            taken.push((discount.id.clone(), discount.subscription.clone()));
        }
    }
    for (id, subscription) in taken {
        // One that was to come with the change was never on the subscription.
        if let Some(subscription) = subscription {
            at.world.subscriptions[&subscription].discounts.push(id);
        }
    }
}

/// The last month of a repeating discount is over.
pub(crate) fn end(at: &mut Moment<'_>, id: &DiscountId) {
    let Some(subscription) = at.world.discounts[id].subscription.clone() else {
        return;
    };
    let object = Object::Subscription(subscription);
    let before = at.picture(&object);
    take_away(at, id);
    at.emit_updated("customer.subscription.updated", &object, &before);
}

/// Takes a discount from its subscription, if it is still there. The caller tells of the subscription.
fn take_away(at: &mut Moment<'_>, id: &DiscountId) {
    let Some(subscription) = at.world.discounts[id].subscription.clone() else {
        return;
    };
    let present = &mut at.world.subscriptions[&subscription].discounts;
    if present.contains(id) {
        present.retain(|own| own != id);
        at.emit("customer.discount.deleted", &Object::Discount(id.clone()));
    }
}

/// A subscription's list of discounts has been replaced: those that are gone have ended, those that are new take effect.
pub(crate) fn replaced(at: &mut Moment<'_>, id: &SubscriptionId, before: &[DiscountId]) {
    super::redemption::take_effect(at, id);
    let present = at.world.subscriptions[id].discounts.clone();
    for gone in before.iter().filter(|gone| !present.contains(gone)) {
        at.emit("customer.discount.deleted", &Object::Discount(gone.clone()));
    }
    // One that was used up by the very invoice that it was waiting for has no business on the subscription any more.
    let spent = |id: &&DiscountId| at.world.discounts[*id].used_on.is_some();
    let spent: Vec<DiscountId> = present.iter().filter(spent).cloned().collect();
    for id in spent {
        take_away(at, &id);
    }
}
