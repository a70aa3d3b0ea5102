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
mod tests {
    use super::*;
    use crate::money::Money;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn may() -> Period {
        Period {
            start: at("2026-05-01T00:00:00Z"),
            end: at("2026-06-01T00:00:00Z"),
        }
    }

    fn price(name: &str) -> BilledPriceId {
        name.parse().unwrap()
    }

    fn bill(occasion: Occasion, created: &str, is_owed: bool, charges: &[(&str, u64, Period)]) -> TimeBill {
        TimeBill {
            invoice: "in_1".parse().unwrap(),
            occasion,
            created_at: at(created),
            settled: if is_owed { 0 } else { 3000 },
            is_owed,
            charges: charges
                .iter()
                .map(|(name, quantity, period)| TimeCharge {
                    line: format!("il_{quantity}").parse().unwrap(),
                    price: price(name),
                    quantity: *quantity,
                    period: *period,
                })
                .collect(),
            credits: vec![],
        }
    }

    /// May's renewal of three.
    fn renewal(is_owed: bool) -> TimeBill {
        bill(
            Occasion::Period,
            "2026-05-01T00:00:02Z",
            is_owed,
            &[("price_m", 3, may())],
        )
    }

    /// What is left of May, for so many.
    fn more(quantity: u64, is_owed: bool) -> TimeBill {
        let left = Period {
            start: at("2026-05-11T00:00:00Z"),
            ..may()
        };
        bill(
            Occasion::Change,
            "2026-05-11T00:00:00Z",
            is_owed,
            &[("price_m", quantity, left)],
        )
    }

    /// Billed for so many in May.
    fn judged<T>(quantity: u64, judge: impl FnOnce(&Billed<'_>) -> T) -> T {
        judge(&Billed {
            period: may(),
            items: vec![(&price("price_m"), quantity)],
            given_back: vec![],
            given_back_in_part: vec![],
        })
    }

    #[test]
    fn the_bill_that_began_the_period_tells() {
        for (latest, verdict) in [
            (None, Verdict::Paid),
            (Some(renewal(false)), Verdict::Paid),
            (Some(renewal(true)), Verdict::Owed),
            // April's, which somebody has given up: May began without a bill.
            (
                Some(bill(Occasion::Period, "2026-04-01T00:00:00Z", true, &[])),
                Verdict::Paid,
            ),
            (
                Some(bill(Occasion::Other, "2026-05-02T00:00:00Z", true, &[])),
                Verdict::Unclear,
            ),
            (Some(more(3, false)), Verdict::Unclear),
            // A change of the interval began a period of its own.
            (
                Some(bill(
                    Occasion::Change,
                    "2026-05-01T00:00:00Z",
                    true,
                    &[("price_m", 3, may())],
                )),
                Verdict::Owed,
            ),
        ] {
            assert_eq!(
                judged(3, |billed| billed.by_latest(latest.as_ref())),
                verdict,
                "{latest:?}"
            );
        }
    }

    /// A month that was paid and given back whole is credited no more; in part, it is.
    #[test]
    fn what_was_given_back_whole_was_never_paid() {
        let reversal = |given_back| Reversal {
            invoice: "in_1".parse().unwrap(),
            paid: Money {
                minor: 3000,
                currency: "usd".parse().unwrap(),
            },
            forgiven: 0,
            given_back,
            lost: 0,
            disputed: false,
        };
        let price = price("price_m");
        for (given_back, verdict) in [(3000, Verdict::Owed), (2999, Verdict::Paid)] {
            let reversals = [reversal(given_back)];
            let billed = Billed {
                period: may(),
                items: vec![(&price, 3)],
                given_back: vec![],
                given_back_in_part: vec![],
            };
            let billed = billed.after(&reversals);
            assert_eq!(billed.by_latest(Some(&renewal(false))), verdict);
            assert_eq!(billed.is_owed(&[renewal(false)]), verdict == Verdict::Owed);
        }
    }

    /// 3000 were paid for May, of which 1000 went back; or for April.
    #[test]
    fn of_what_went_back_in_part_the_rest_is_credited() {
        for (invoice, credit, overdrawn) in [
            ("in_1", 2000, false),
            ("in_1", 2001, true),
            ("in_1", -500, false),
            ("in_april", 2900, false),
        ] {
            let invoice: InvoiceId = invoice.parse().unwrap();
            let overdrawn_by = judged(3, |billed| {
                let given_back_in_part = vec![(&invoice, 1000)];
                let billed = Billed {
                    given_back_in_part,
                    ..billed.clone()
                };
                billed.is_overdrawn_by(credit, &[renewal(false)])
            });
            assert_eq!(overdrawn_by, overdrawn, "{invoice} {credit}");
        }
        assert!(!judged(3, |billed| billed.is_overdrawn_by(3001, &[renewal(false)])));
    }

    /// 1000 of May's 3000 went back, and all of what more cost, which an operator took away again; or 500 of the bill that began the period, of whose
    /// 3500 what was left of April paid 500.
    #[test]
    fn what_is_left_is_what_was_paid_for_the_period_and_has_not_gone_back() {
        let more = TimeBill {
            invoice: "in_more".parse().unwrap(),
            ..more(5, false)
        };
        let begins = TimeBill {
            occasion: Occasion::Change,
            credits: vec![TimeCredit {
                of: vec![],
                ends_at: at("2026-05-05T00:00:00Z"),
                minor: 500,
            }],
            ..renewal(false)
        };
        let (partly, wholly) = ("in_1".parse().unwrap(), "in_more".parse().unwrap());
        for (bills, back, left) in [
            (vec![more, renewal(false)], 1000, 2000),
            (vec![begins], 500, 3000),
        ] {
            for (credit, overdrawn) in [(left, false), (left + 1, true)] {
                let overdrawn_by = judged(3, |billed| {
                    let billed = Billed {
                        given_back: vec![&wholly],
                        given_back_in_part: vec![(&partly, back)],
                        ..billed.clone()
                    };
                    billed.is_overdrawn_by(credit, &bills)
                });
                assert_eq!(overdrawn_by, overdrawn, "{credit} {bills:?}");
            }
        }
    }

    /// Two changes within May, of which the later gave back what the earlier charged; and a change that began a period of its own.
    #[test]
    fn what_was_given_back_whole_is_not_credited_through_a_later_change() {
        let named = |bill: TimeBill, invoice: &str| TimeBill {
            invoice: invoice.parse().unwrap(),
            ..bill
        };
        let begins = |is_owed| {
            let bill = bill(
                Occasion::Change,
                "2026-05-01T00:00:00Z",
                is_owed,
                &[("price_m", 3, may())],
            );
            named(bill, "in_begins")
        };
        let instead_of = |bill: TimeBill, of: &[&str]| TimeBill {
            credits: vec![TimeCredit {
                of: of.iter().map(|line| line.parse().unwrap()).collect(),
                ends_at: may().end,
                minor: 100,
            }],
            ..bill
        };
        let four = instead_of(named(more(4, false), "in_four"), &["il_3"]);
        let five = instead_of(named(more(5, false), "in_five"), &["il_4"]);
        let (three, given_up) = (begins(false), named(begins(true), "in_given_up"));
        for (quantity, bills, given_back, owed) in [
            (5, vec![five.clone(), four.clone(), renewal(false)], None, false),
            (
                5,
                vec![five.clone(), four.clone(), renewal(false)],
                Some("in_four"),
                true,
            ),
            (
                5,
                vec![five.clone(), four.clone(), renewal(false)],
                Some("in_five"),
                true,
            ),
            // An operator took back what he gave back: three it is, as the renewal charged.
            (3, vec![four.clone(), renewal(false)], Some("in_four"), false),
            // And then four again, which gives back what the renewal charged; or Stripe does not say what.
            (
                4,
                vec![four.clone(), five.clone(), renewal(false)],
                Some("in_five"),
                false,
            ),
            (
                4,
                vec![instead_of(four.clone(), &[]), five.clone(), renewal(false)],
                Some("in_five"),
                true,
            ),
            (4, vec![four.clone(), three.clone()], Some("in_begins"), true),
            (4, vec![four.clone(), three.clone()], None, false),
            (4, vec![four.clone(), given_up.clone()], None, true),
            // It was tried in vain before.
            (
                4,
                vec![four.clone(), three.clone(), given_up.clone()],
                None,
                false,
            ),
        ] {
            let given_back: Option<InvoiceId> = given_back.map(|invoice| invoice.parse().unwrap());
            let judged = judged(quantity, |billed| {
                let given_back = given_back.iter().collect();
                Billed {
                    given_back,
                    ..billed.clone()
                }
                .is_owed(&bills)
            });
            assert_eq!(judged, owed, "{quantity} {bills:?} {given_back:?}");
        }
    }

    /// Each of two items was changed; the bill of the earlier change was given up.
    #[test]
    fn each_items_latest_change_has_to_be_paid() {
        let left = Period {
            start: at("2026-05-11T00:00:00Z"),
            ..may()
        };
        let change = |name, is_owed| {
            bill(
                Occasion::Change,
                "2026-05-11T00:00:00Z",
                is_owed,
                &[(name, 2, left)],
            )
        };
        for is_owed in [false, true] {
            let bills = [
                change("price_b", false),
                change("price_a", is_owed),
                renewal(false),
            ];
            let (a, b) = (price("price_a"), price("price_b"));
            let billed = Billed {
                period: may(),
                items: vec![(&a, 2), (&b, 2)],
                given_back: vec![],
                given_back_in_part: vec![],
            };
            assert_eq!(billed.is_owed(&bills), is_owed);
        }
    }

    /// Newest first.
    #[test]
    fn of_all_bills_the_one_of_the_period_and_the_latest_change_count() {
        let six_at_once = bill(
            Occasion::Change,
            "2026-05-01T00:00:02Z",
            true,
            &[("price_m", 6, may())],
        );
        for (quantity, bills, owed) in [
            (3, vec![], false),
            (4, vec![more(4, false), renewal(false)], false),
            (4, vec![more(4, false), renewal(true)], true),
            (4, vec![more(4, true), renewal(false)], true),
            // Six were wanted and not paid: three it is.
            (3, vec![more(6, true), renewal(false)], false),
            (3, vec![more(6, true), renewal(true)], true),
            // In the second in which May began.
            (3, vec![six_at_once, renewal(false)], false),
            // And were paid later.
            (6, vec![more(6, false), more(6, true), renewal(false)], false),
        ] {
            assert_eq!(
                judged(quantity, |billed| billed.is_owed(&bills)),
                owed,
                "{quantity} {bills:?}"
            );
        }
    }
}
