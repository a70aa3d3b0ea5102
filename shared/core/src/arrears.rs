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
//! A change that began the period gave back what was left of the period before, and was paid in part with that: what went back of the bills before
//! counts as well, back to the first period that was begun by a renewal and not by a change. Those bills are read only where something went back
//! of a bill that was not made since the period began.
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
pub struct BilledPeriod<'a> {
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
    /// The latest bill did not begin the period, or was paid with what may have gone back: those before it have to be read.
    Unclear,
}

impl TimeBill {
    /// Whether it gives back what an earlier bill charged, as far as Stripe tells.
    fn may_give_back(&self, earlier: &TimeBill) -> bool {
        let mut credits = self.credits.iter();
        credits.any(|credit| earlier.charges.iter().any(|charge| credit.may_be_of(charge)))
    }
}

impl TimeCredit {
    /// Whether it gives back what that charged; where Stripe names no line, the time tells.
    fn may_be_of(&self, charge: &TimeCharge) -> bool {
        let Period { start, end } = charge.period;
        let is_of_that_time = start < self.ends_at && self.ends_at <= end;
        self.of.contains(&charge.line) || (self.of.is_empty() && is_of_that_time)
    }
}

/// What a change that began a period took along of one before.
struct Along {
    /// When that would have ended.
    ended_at: Timestamp,
    /// How much, in minor units.
    minor: i64,
}

/// What is left of what was paid for a period.
struct Remainder {
    /// How much, in minor units; below zero where more went back than was paid.
    minor: i64,
    /// Whether it is less than was paid.
    is_less: bool,
}

impl<'a> BilledPeriod<'a> {
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
            Some(bill) if !self.is_begun_by(bill) => Verdict::Unclear,
            Some(bill) if self.is_owed_by(bill) => Verdict::Owed,
            // It may have been paid with what it gave back of a bill whose money all went back.
            Some(bill) if self.takes_along(bill) && !self.given_back.is_empty() => Verdict::Unclear,
            Some(_) => Verdict::Paid,
        }
    }

    /// Whether the bills before those of the period tell something, too: a change that began it took along what was left of a period before, and
    /// something went back of a bill that is not of the period.
    #[must_use]
    pub fn stands_on_earlier(&self, bills: &[TimeBill]) -> bool {
        let is_here = |invoice: &InvoiceId| bills.iter().any(|bill| bill.invoice == *invoice);
        let in_part = self.given_back_in_part.iter().map(|(invoice, _)| *invoice);
        let mut back = self.given_back.iter().copied().chain(in_part);
        bills.iter().any(|bill| self.takes_along(bill)) && back.any(|invoice| !is_here(invoice))
    }

    /// Whether the period is not paid, by all bills that were made since it began, newest first, and those before where it stands on them.
    #[must_use]
    pub fn is_owed(&self, bills: &[TimeBill]) -> bool {
        let (own, _) = self.own(bills);
        let changes = || own.iter().filter(|bill| bill.occasion == Occasion::Change);
        let mut began = own
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
        has_begun_unpaid
            || latest.into_iter().any(|bill| self.is_owed_by(bill))
            || self.is_built_on_what_went_back(bills)
    }

    /// Whether a bill was given back whole that a later one gave back: what the later one charged was paid in part with that. So was what one
    /// charged that gave back the later one, and so on, up to those of the period.
    fn is_built_on_what_went_back(&self, bills: &[TimeBill]) -> bool {
        let (own, _) = self.own(bills);
        let mut counted: Vec<&TimeBill> = Vec::new();
        for (at, bill) in bills.iter().enumerate() {
            let is_built_on = counted.iter().any(|newer| newer.may_give_back(bill));
            if is_built_on && self.given_back.contains(&&bill.invoice) {
                return true;
            }
            if !bill.is_owed && (is_built_on || at < own.len()) {
                counted.push(bill);
            }
        }
        false
    }

    /// Whether this credit, in minor units, is more than is left of what was paid for the period, by all bills that were made since it began,
    /// newest first, and those before where it stands on them: something went back already.
    #[must_use]
    pub fn is_overdrawn_by(&self, credit: i64, bills: &[TimeBill]) -> bool {
        let left = self.left(bills);
        left.is_less && credit > left.minor.max(0)
    }

    /// What is left of what was paid for the period: by its own bills, and by what the change that began it took along of one before, of which
    /// there may be less by now.
    fn left(&self, bills: &[TimeBill]) -> Remainder {
        let begun = bills.iter().enumerate().find_map(|(at, bill)| {
            let (own, earlier) = bills.split_at(at.saturating_add(1));
            let along = self.brought_along(bill, earlier)?;
            Some((own, earlier, along))
        });
        let Some((own, earlier, along)) = begun else {
            let (own, _) = self.own(bills);
            return self.left_of(own);
        };
        let here = self.left_of(own);
        let before = self.before(&along, earlier).map(|before| before.left(earlier));
        let (brought, is_less) = match before {
            Some(before) if before.is_less && before.minor < along.minor => (before.minor, true),
            _ => (along.minor, here.is_less),
        };
        Remainder {
            minor: here.minor.saturating_add(brought),
            is_less,
        }
    }

    /// What is left of what these bills were paid with.
    fn left_of(&self, bills: &[TimeBill]) -> Remainder {
        let back = self.given_back_in_part.iter().filter_map(|(invoice, back)| {
            let is_of_these = bills.iter().any(|bill| bill.invoice == **invoice);
            is_of_these.then_some(*back)
        });
        let back: i64 = back.fold(0, i64::saturating_add);
        let counted = bills
            .iter()
            .filter(|bill| !self.given_back.contains(&&bill.invoice));
        let paid = counted.map(|bill| bill.settled).fold(0, i64::saturating_add);
        Remainder {
            minor: paid.saturating_sub(back),
            is_less: back > 0,
        }
    }

    /// Those that were made since the period began, and those before; newest first.
    fn own<'b>(&self, bills: &'b [TimeBill]) -> (&'b [TimeBill], &'b [TimeBill]) {
        let earlier = bills.iter().position(|bill| bill.created_at < self.since());
        bills.split_at(earlier.unwrap_or(bills.len()))
    }

    /// The same for the period that was taken along, as far as its bills are known.
    fn before(&self, along: &Along, earlier: &[TimeBill]) -> Option<Self> {
        let charges = earlier.iter().flat_map(|bill| &bill.charges);
        let of_it = charges.filter(|charge| charge.period.end == along.ended_at);
        let start = of_it.map(|charge| charge.period.start).min()?;
        let end = along.ended_at;
        Some(Self {
            period: Period { start, end },
            ..self.clone()
        })
    }

    /// What a change that began the period took along of the period before, which had been paid for; none where this bill took nothing along.
    fn brought_along(&self, bill: &TimeBill, earlier: &[TimeBill]) -> Option<Along> {
        let charged = |credit: &TimeCredit| {
            let charges = earlier.iter().flat_map(|bill| &bill.charges);
            let mut of_it = charges.filter(|charge| credit.of.contains(&charge.line));
            of_it.any(|charge| charge.period.start < self.period.start)
        };
        let of_before = |credit: &&TimeCredit| credit.ends_at != self.period.end || charged(credit);
        let mut credits = bill.credits.iter().filter(of_before).peekable();
        let first = credits.peek().filter(|_| self.takes_along(bill))?;
        Some(Along {
            ended_at: first.ends_at,
            minor: credits.fold(0, |sum: i64, credit| sum.saturating_add(credit.minor)),
        })
    }

    /// Whether it is of a change that began the period and gave something back.
    fn takes_along(&self, bill: &TimeBill) -> bool {
        let is_change = bill.occasion == Occasion::Change && !bill.is_owed;
        is_change && self.is_of_whole_period(bill) && !bill.credits.is_empty()
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
