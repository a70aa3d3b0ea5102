//! Arrears: whether anybody has paid for the period that a subscription is in.
//!
//! What is changed at once gives back the time that is left, and Stripe gives back what was billed for it, whether it was paid or not: it
//! assumes that every bill is paid in the end ("Prorations and unpaid invoices"). The status does not tell: while a renewal is a draft, and
//! when an operator has given one up or made it void, Stripe calls the subscription active. Such a credit would buy time that nobody has
//! paid for, so nothing is changed before the period is paid.
//!
//! # How it works
//! A bill of the period is one that was made since it began. The one that began it is the first, a renewal, or that of a change that began a
//! period of its own; it has to be paid, and so has that of the latest change of each item within the period. A change that came to nothing
//! leaves a bill behind that is void, and has billed nothing of what there is. The latest bill is read with the subscription and nearly always
//! tells.
//!
//! A bill that was paid and whose money all went back since counts as if it had never been paid, as it does for coverage. Stripe would give
//! back what was billed by it a second time: also that of a change which a later one has built on, since what the later one charged was paid
//! with what it gave back of the earlier. The ledger knows which those are. Of what went back in part, a change may give back what is left.
//!
//! Not here: what is billed by hand, which is no time of a subscription's.

use jiff::{SignedDuration, Timestamp};

use crate::id::{BilledPriceId, InvoiceId, LineId};
use crate::period::Period;
use crate::reversal::Reversal;

/// By how much a bill may be older than the period that it began: Stripe's seconds are not all of one clock.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// What a bill was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A period began: the first, or another.
    Period,
    /// The subscription was changed.
    Change,
    /// Something else.
    Other,
}

/// A bill, as far as it tells what time was paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeBill {
    /// The invoice.
    pub invoice: InvoiceId,
    /// What it was made for.
    pub occasion: Occasion,
    /// When it was made.
    pub created_at: Timestamp,
    /// What was paid for it, in minor units of its currency: payments and balance, without what was owed before; below zero where it put
    /// something on the balance.
    pub settled: i64,
    /// Whether it costs something that nobody has paid: it is a draft, open, given up, void, or was forgiven.
    pub is_owed: bool,
    /// What it charges.
    pub charges: Vec<TimeCharge>,
    /// What it gives back.
    pub credits: Vec<TimeCredit>,
}

/// A line that gives time back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeCredit {
    /// The lines that had charged it; none where Stripe does not name them.
    pub of: Vec<LineId>,
    /// Until when the time was.
    pub ends_at: Timestamp,
    /// How much it gives back, in minor units.
    pub minor: i64,
}

/// A line that charges time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeCharge {
    /// The line.
    pub line: LineId,
    /// The price.
    pub price: BilledPriceId,
    /// How many.
    pub quantity: u64,
    /// The time.
    pub period: Period,
}

/// What a subscription is billed for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed<'a> {
    /// The period that it is in.
    pub period: Period,
    /// Price and quantity of each of its items.
    pub items: Vec<(&'a BilledPriceId, u64)>,
    /// The invoices whose money all went back.
    pub given_back: Vec<&'a InvoiceId>,
    /// Those of whose money a part went back, with how much, in minor units.
    pub given_back_in_part: Vec<(&'a InvoiceId, i64)>,
}

/// What the latest bill tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The period is paid, or costs nothing.
    Paid,
    /// It is not.
    Owed,
    /// The latest bill did not begin the period: those before it have to be read.
    Unclear,
}

impl TimeBill {
    /// Whether it gives back what an earlier bill charged, as far as Stripe tells.
    fn may_give_back(&self, earlier: &TimeBill) -> bool {
        let is_of = |credit: &TimeCredit| {
            let mut charged = earlier.charges.iter();
            credit.of.is_empty() || charged.any(|charge| credit.of.contains(&charge.line))
        };
        self.credits.iter().any(is_of)
    }
}

impl<'a> Billed<'a> {
    /// The same, after what was given back.
    #[must_use]
    pub fn after(self, reversals: &'a [Reversal]) -> Self {
        let (full, other): (Vec<_>, Vec<_>) = reversals.iter().partition(|reversal| reversal.is_full());
        let other = other.into_iter().filter(|reversal| reversal.back() > 0);
        Self {
            given_back: full.into_iter().map(|reversal| &reversal.invoice).collect(),
            given_back_in_part: other
                .map(|reversal| (&reversal.invoice, reversal.back()))
                .collect(),
            ..self
        }
    }

    /// Since when the bills of the period were made.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.period.start.saturating_sub(SLACK).unwrap_or(Timestamp::MIN)
    }

    /// What the latest bill tells.
    #[must_use]
    pub fn by_latest(&self, latest: Option<&TimeBill>) -> Verdict {
        match latest {
            // The period began without a bill.
            None => Verdict::Paid,
            Some(bill) if bill.created_at < self.since() => Verdict::Paid,
            Some(bill) if self.is_begun_by(bill) => match self.is_owed_by(bill) {
                true => Verdict::Owed,
                false => Verdict::Paid,
            },
            Some(_) => Verdict::Unclear,
        }
    }

    /// Whether the period is not paid, by all bills that were made since it began, newest first.
    #[must_use]
    pub fn is_owed(&self, bills: &[TimeBill]) -> bool {
        let changes = || bills.iter().filter(|bill| bill.occasion == Occasion::Change);
        let mut began = bills
            .iter()
            .filter(|bill| bill.occasion == Occasion::Period)
            .peekable();
        let has_begun_unpaid = if began.peek().is_some() {
            began.any(|bill| self.is_owed_by(bill))
        } else {
            // A change began it. One that came to nothing may have wanted the same period.
            let mut changes = changes().filter(|bill| self.is_of_whole_period(bill)).peekable();
            changes.peek().is_some() && changes.all(|bill| self.is_owed_by(bill))
        };
        let latest = self.items.iter().filter_map(|item| {
            let mut changes = changes();
            changes.find(|bill| bill.charges.iter().any(|charge| self.charges(charge, *item)))
        });
        // What a later one charges was paid in part by what it gave back of an earlier one.
        let mut built_on = bills.iter().enumerate().filter(|(newer, bill)| {
            let mut newer = bills.iter().take(*newer).filter(|newer| !newer.is_owed);
            bill.occasion == Occasion::Change && newer.any(|newer| newer.may_give_back(bill))
        });
        has_begun_unpaid
            || latest.into_iter().any(|bill| self.is_owed_by(bill))
            || built_on.any(|(_, bill)| self.given_back.contains(&&bill.invoice))
    }

    /// Whether this credit, in minor units, is more than is left of what was paid for the period, by all bills that were made since it began:
    /// something went back already.
    #[must_use]
    pub fn is_overdrawn_by(&self, credit: i64, bills: &[TimeBill]) -> bool {
        let back = self.given_back_in_part.iter().filter_map(|(invoice, back)| {
            let is_of_period = bills.iter().any(|bill| bill.invoice == **invoice);
            is_of_period.then_some(*back)
        });
        let back: i64 = back.fold(0, i64::saturating_add);
        let bills = bills
            .iter()
            .filter(|bill| !self.given_back.contains(&&bill.invoice));
        let paid = bills.map(|bill| bill.settled.saturating_add(self.brought_along(bill)));
        let paid = paid.fold(0, i64::saturating_add);
        back > 0 && credit > paid.saturating_sub(back).max(0)
    }

    /// What a change that began the period took along of the period before, which had been paid for.
    fn brought_along(&self, bill: &TimeBill) -> i64 {
        let of_before = |credit: &&TimeCredit| {
            bill.occasion == Occasion::Change
                && self.is_of_whole_period(bill)
                && credit.ends_at != self.period.end
        };
        let credits = bill.credits.iter().filter(of_before);
        credits.fold(0, |sum: i64, credit| sum.saturating_add(credit.minor))
    }

    fn is_owed_by(&self, bill: &TimeBill) -> bool {
        bill.is_owed || self.given_back.contains(&&bill.invoice)
    }

    fn is_begun_by(&self, bill: &TimeBill) -> bool {
        match bill.occasion {
            Occasion::Period => true,
            Occasion::Change => self.is_charged_by(bill) && self.is_of_whole_period(bill),
            Occasion::Other => false,
        }
    }

    fn is_of_whole_period(&self, bill: &TimeBill) -> bool {
        bill.charges.iter().any(|charge| charge.period == self.period)
    }

    /// Whether a change that is in effect made this bill. What a change that came to nothing would have charged is not what there is.
    fn is_charged_by(&self, bill: &TimeBill) -> bool {
        let mut charges = bill.charges.iter();
        charges.any(|charge| self.items.iter().any(|item| self.charges(charge, *item)))
    }

    fn charges(&self, charge: &TimeCharge, (price, quantity): (&BilledPriceId, u64)) -> bool {
        charge.period.end == self.period.end && charge.price == *price && charge.quantity == quantity
    }
}

#[cfg(test)]
mod tests;
