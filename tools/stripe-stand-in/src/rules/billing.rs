//! What a subscription's time costs: the lines of a period, and of a change within one.
//!
//! # How it works
//! Functions of a world that is only read. A [`Draft`] has its lines, [`discounts`] look at it once, and
//! [`super::invoicing::draft`] makes an invoice of it. A change credits the whole old configuration and charges the whole new
//! one, never the difference; how a share is rounded is in [`super::proration`].
//!
//! It decides neither when an invoice is made nor how it is paid.

use jiff::Timestamp;

use super::{discounts, meters, pricing, proration, wording};
use crate::id::{CustomerId, DiscountId, InvoiceId, InvoiceLineId, SubscriptionId};
use crate::state::{
    BillingReason, Charged, Currency, InvoiceStatus, Line, Price, PriceAmounts, Subscription,
    SubscriptionItem, SubscriptionStatus, World,
};

/// An invoice that has no id yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) customer: CustomerId,
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) currency: Currency,
    pub(crate) billing_reason: BillingReason,
    pub(crate) period_start: Timestamp,
    pub(crate) period_end: Timestamp,
    /// What [`discounts::apply`] looks at.
    pub(crate) discounts: Vec<DiscountId>,
    pub(crate) lines: Vec<Line>,
}

impl Draft {
    /// A bill for a subscription, with the discounts that it has.
    pub(crate) fn of(subscription: &Subscription, billing_reason: BillingReason, lines: Vec<Line>) -> Self {
        let period = subscription.items.first();
        Self {
            customer: subscription.customer.clone(),
            subscription: Some(subscription.id.clone()),
            currency: subscription.currency.clone(),
            billing_reason,
            period_start: period.map_or(subscription.created, |item| item.current_period_start),
            period_end: period.map_or(subscription.created, |item| item.current_period_end),
            discounts: subscription.discounts.clone(),
            lines,
        }
    }
}

/// The items' current periods, each charged whole and in advance; what is metered is charged for the period that is over.
pub(crate) fn period_lines(
    world: &World,
    subscription: &Subscription,
    over: (Timestamp, Timestamp),
) -> Vec<Line> {
    subscription
        .items
        .iter()
        .map(|item| match item.quantity {
            Some(_) => period_line(world, subscription, item),
            None => usage_line(world, subscription, item, over),
        })
        .collect()
}

/// What was used of the metered items from one instant to another. Nothing used, no line.
pub(crate) fn usage_lines(
    world: &World,
    subscription: &Subscription,
    over: (Timestamp, Timestamp),
) -> Vec<Line> {
    let metered = subscription.items.iter().filter(|item| item.quantity.is_none());
    metered
        .map(|item| usage_line(world, subscription, item, over))
        .filter(|line| line.quantity != Some(0))
        .collect()
}

fn usage_line(
    world: &World,
    subscription: &Subscription,
    item: &SubscriptionItem,
    over: (Timestamp, Timestamp),
) -> Line {
    let price = &world.prices[&item.price];
    // What was used before it was this item's price is no business of it.
    let over = (
        item.metered_since
            .map_or(over.0, |since| since.clamp(over.0, over.1)),
        over.1,
    );
    let quantity = meters::used(world, price, &subscription.customer, over);
    Line {
        description: wording::line(&world.products[&price.product].name, price, Some(quantity)),
        quantity: Some(quantity),
        discountable: true,
        period_start: over.0,
        period_end: over.1,
        ..blank(subscription, item, price, pricing::amount(price, quantity))
    }
}

fn period_line(world: &World, subscription: &Subscription, item: &SubscriptionItem) -> Line {
    let price = &world.prices[&item.price];
    let product = &world.products[&price.product].name;
    if subscription.status == SubscriptionStatus::Trialing {
        return Line {
            description: wording::trial(product, item.quantity, subscription.billing_mode.is_flexible()),
            ..blank(subscription, item, price, 0)
        };
    }
    let full = full_amount(price, item);
    let amount = proration::charge(full, &proration::Share::of_period(item));
    Line {
        description: wording::line(product, price, item.quantity),
        discountable: true,
        full: Some(full),
        ..blank(subscription, item, price, amount)
    }
}

/// What a change costs from `from` on: credits for the items of `before` that are not the same in `after`, then charges for
/// those of `after`. Both have the same period. In the flexible mode also what was used until then of a price that is taken away; in the
/// classic one nobody is ever billed for that.
pub(crate) fn change_lines(
    world: &World,
    before: &Subscription,
    after: &Subscription,
    from: Timestamp,
) -> Vec<Line> {
    let unchanged = |item: &SubscriptionItem, others: &[SubscriptionItem]| {
        others
            .iter()
            .any(|other| (&other.id, &other.price, other.quantity) == (&item.id, &item.price, item.quantity))
    };
    let old = before.items.iter().filter(|item| !unchanged(item, &after.items));
    let new = after.items.iter().filter(|item| !unchanged(item, &before.items));
    let gone = Subscription {
        items: old.clone().cloned().collect(),
        ..before.clone()
    };
    let used = if before.billing_mode.is_flexible() {
        let start = gone.items.first().map_or(from, |item| item.current_period_start);
        usage_lines(world, &gone, (start, from))
    } else {
        Vec::new()
    };
    old.filter_map(|item| credit(world, before, item, from))
        .chain(used)
        .chain(
            new.filter(|item| item.quantity.is_some())
                .map(|item| remaining(world, after, item, from)),
        )
        .collect()
}

/// Credits the unused time of all items.
pub(crate) fn credits(world: &World, subscription: &Subscription, from: Timestamp) -> Vec<Line> {
    subscription
        .items
        .iter()
        .filter_map(|item| credit(world, subscription, item, from))
        .collect()
}

/// The share of what was billed for an item that lies after `from`, given back. None when nothing was billed.
fn credit(
    world: &World,
    subscription: &Subscription,
    item: &SubscriptionItem,
    from: Timestamp,
) -> Option<Line> {
    let charged = item.charged.as_ref().filter(|charged| stands(world, charged))?;
    let price = &world.prices[&item.price];
    let debited = charged.until.unwrap_or(item.current_period_end);
    let until = debited.min(item.current_period_end);
    let amount = if subscription.billing_mode.is_flexible() {
        // What was debited for time that is over is used up. Of an item's time there is one debit here: every change credits the one before.
        (from < until).then(|| proration::credit_of_debit(charged, debited, (from, until)))?
    } else {
        proration::credit(charged, &proration::Share::of(item, from))
    };
    let what = wording::counted(&world.products[&price.product].name, item.quantity);
    Some(Line {
        description: format!("Unused time on {what} after {}", wording::date(from)),
        period_start: from,
        period_end: if subscription.billing_mode.is_flexible() {
            until
        } else {
            item.current_period_end
        },
        proration: true,
        credits: charged.line.clone(),
        ..blank(subscription, item, price, amount)
    })
}

/// Stripe credits what was billed, whether it was paid or not. What it makes of a bill that nobody will pay any more is not known.
fn stands(world: &World, charged: &Charged) -> bool {
    charged.line.as_ref().is_none_or(|(invoice, _)| {
        world.settings.given_up_time_is_credited
            || !matches!(
                world.invoices[invoice].status,
                InvoiceStatus::Void | InvoiceStatus::Uncollectible
            )
    })
}

/// What it costs that the items' periods end elsewhere: the time that is taken off them, given back, or that is added, charged.
pub(crate) fn moved_end(world: &World, before: &Subscription, after: &Subscription) -> Vec<Line> {
    let pairs = before.items.iter().zip(&after.items);
    let moved =
        pairs.filter(|(old, new)| old.quantity.is_some() && old.current_period_end != new.current_period_end);
    moved
        .filter_map(|(old, new)| {
            if new.current_period_end < old.current_period_end {
                return credit(world, before, old, new.current_period_end);
            }
            // What was billed for the period before stays what a credit is a share of.
            Some(Line {
                full: None,
                ..remaining(world, after, new, old.current_period_end)
            })
        })
        .collect()
}

/// The share of a period's price that lies after `from`.
fn remaining(world: &World, subscription: &Subscription, item: &SubscriptionItem, from: Timestamp) -> Line {
    let price = &world.prices[&item.price];
    let full = full_amount(price, item);
    let amount = proration::charge(full, &proration::Share::of(item, from));
    let what = wording::counted(&world.products[&price.product].name, item.quantity);
    let mut line = Line {
        description: format!("Remaining time on {what} after {}", wording::date(from)),
        period_start: from,
        proration: true,
        full: Some(full),
        ..blank(subscription, item, price, amount)
    };
    discounts::include(world, subscription, &mut line);
    line
}

/// What a line that pays an item's time leaves to be credited. None for any other line.
pub(crate) fn charged(line: &Line, at: Option<(InvoiceId, InvoiceLineId)>) -> Option<Charged> {
    Some(Charged {
        full: line.full?,
        list_amount: line.list_amount,
        net: line.net(),
        from: line.period_start,
        until: Some(line.period_end),
        line: at,
    })
}

/// A metered item has no quantity, and nothing to pay in advance.
fn full_amount(price: &Price, item: &SubscriptionItem) -> i64 {
    item.quantity
        .map_or(0, |quantity| pricing::amount(price, quantity))
}

fn blank(subscription: &Subscription, item: &SubscriptionItem, price: &Price, amount: i64) -> Line {
    Line {
        description: String::new(),
        price: Some(item.price.clone()),
        product: Some(price.product.clone()),
        unit_amount: match price.amounts {
            PriceAmounts::PerUnit(unit) => Some(unit),
            PriceAmounts::Tiered { .. } => None,
        },
        quantity: item.quantity,
        subscription_item: Some(item.id.clone()),
        invoice_item: None,
        period_start: item.current_period_start,
        period_end: item.current_period_end,
        proration: false,
        discountable: false,
        list_amount: amount,
        amount,
        discounts: Vec::new(),
        full: None,
        credits: None,
        metadata: subscription.metadata.clone(),
    }
}
