//! The share of a period that lies after an instant, to the second, and what it costs.
//!
//! # How it works
//! Each line is rounded on its own toward negative infinity: a charge of 4.5 is 4, a credit of 2.5 is −3. The total is the sum
//! of what was rounded. A credit is never more than what was billed for that time, so rounding gives nothing away twice.

use jiff::Timestamp;

use crate::state::{Charged, SubscriptionItem};

/// How much of an item's period is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    left_secs: i64,
    whole_secs: i64,
}

impl Share {
    /// From `from` to the end of the item's current period.
    pub(crate) fn of(item: &SubscriptionItem, from: Timestamp) -> Self {
        Self {
            left_secs: item.current_period_end.as_second() - from.as_second(),
            whole_secs: whole_end(item).as_second() - whole_start(item).as_second(),
        }
    }

    /// All of the item's current period, which may itself be a share of a whole one.
    pub(crate) fn of_period(item: &SubscriptionItem) -> Self {
        Self::of(item, item.current_period_start)
    }
}

/// A first period that an anchor cuts short is a share of an imagined one that begins with it; so is what is changed within it, of which Stripe's
/// page on backdating does not speak.
fn whole_start(item: &SubscriptionItem) -> Timestamp {
    item.whole_period_start.unwrap_or(item.current_period_start)
}

/// A last period that the subscription's end cuts short is a share of the period that would have gone on.
fn whole_end(item: &SubscriptionItem) -> Timestamp {
    item.whole_period_end.unwrap_or(item.current_period_end)
}

/// The share of a period's full price, rounded down.
pub(crate) fn charge(full: i64, share: &Share) -> i64 {
    let exact = i128::from(full) * i128::from(share.left_secs);
    narrow(exact.div_euclid(whole(share)))
}

/// The share of what a period's full price was after discounts, as a negative amount rounded down; but no more than was billed.
pub(crate) fn credit(charged: &Charged, share: &Share) -> i64 {
    let billed = i128::from(charged.net);
    if charged.list_amount == 0 {
        return narrow(-billed);
    }
    // Discounts took the same part off the share that was billed as they would have off the whole period.
    let exact = (-i128::from(charged.full))
        .checked_mul(i128::from(share.left_secs))
        .and_then(|part| part.checked_mul(billed));
    let rounded = exact.map(|exact| exact.div_euclid(whole(share) * i128::from(charged.list_amount)));
    narrow(rounded.unwrap_or(-billed).max(-billed))
}

/// The same in the flexible mode: the share of a debit for the time up to `end` that lies between two instants, whatever the item costs by now. Stripe's
/// text does not say how it is rounded; here as every line is.
pub(crate) fn credit_of_debit(
    charged: &Charged,
    end: Timestamp,
    (from, until): (Timestamp, Timestamp),
) -> i64 {
    let debited = i128::from(charged.net);
    let left = i128::from(until.as_second() - from.as_second());
    let whole = i128::from((end.as_second() - charged.from.as_second()).max(1));
    narrow((-debited * left).div_euclid(whole).max(-debited))
}

/// No period is empty.
fn whole(share: &Share) -> i128 {
    i128::from(share.whole_secs.max(1))
}

fn narrow(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}
