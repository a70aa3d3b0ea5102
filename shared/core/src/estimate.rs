//! Estimates: what a contract's next invoice comes to, line by line.
//!
//! # How it works
//! Three questions, and one answer. `first_invoice`: a contract begins. `next_invoice`: a full period follows. `change`: the
//! configuration becomes another one at an instant. Each answers the estimate and what the contract stands at once that
//! invoice is paid, which is what the next question is asked of.
//!
//! A change credits the whole old configuration and charges the whole new one, never the difference; products that stay as they
//! are, price and quantity, are left alone. A change of the cadence credits what is left, and begins a full period at once.
//! The last period of a contract that ends is billed up to its end, as a share; the first period is not, as Stripe learns of the end later.
//! Credits come before charges. Everything else about a share is in [`crate::proration`], about an amount in [`crate::pricing`].
//!
//! Nothing is charged here, and nothing known of the payer: balances and taxes are Stripe's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::{Anchor, OutOfTime, Zone, whole_second};
use crate::decimal::{Quantity, UnitAmount};
use crate::id::OfferedId;
use crate::money::{Currency, TooLarge};
use crate::offer::{Chosen, Configuration};
use crate::period::Period;
use crate::pricing::{Amount, Unpriceable};
use crate::proration::{Charged, Explanation, OutsidePeriod, Share};

/// What an invoice comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// What all amounts are in.
    pub currency: Currency,
    /// The sum of the lines before discounts, in minor units.
    pub subtotal: i64,
    /// What discounts take off it, in minor units.
    pub discount: i64,
    /// The sum of the lines, in minor units. Below zero when more is given back than charged.
    pub total: i64,
    /// What is to be paid, in minor units: the total, and nothing when it is below zero.
    pub amount_due: i64,
    /// From when on it is for.
    pub period_start: Timestamp,
    /// Until when.
    pub period_end: Timestamp,
    /// Credits, then charges, each in the plan's order.
    pub lines: Vec<Line>,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product that it is for.
    pub product_id: OfferedId,
    /// For people.
    pub description: String,
    /// How many.
    pub quantity: Quantity,
    /// What one costs, where that is one amount whatever the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_amount: Option<UnitAmount>,
    /// After discounts, in minor units; negative for a credit.
    pub amount: i64,
    /// Whether it is for a share of a period.
    pub proration: bool,
    /// From when on it is for.
    pub period_start: Timestamp,
    /// Until when.
    pub period_end: Timestamp,
    /// The share in days, for a line that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// What a contract stands at: what it has, for which period, and what was billed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What it has.
    pub configuration: Configuration,
    /// What its periods are counted from.
    pub anchor: Anchor,
    /// The period that is under way. A first one that an anchor cuts short is what it is a share of ([`Anchor::first_period`]).
    pub period: Period,
    /// What was billed for it, for each product that is taken.
    pub billed: Vec<ProductCharge>,
    /// When the contract ends, if ever: the period that holds that is billed up to there, and stays a share of a whole one. The first is billed
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

/// What was billed for a product's period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductCharge {
    /// The product.
    pub product_id: OfferedId,
    /// What for, and how much.
    #[serde(flatten)]
    pub charged: Charged,
}

/// An estimate, and what the contract stands at once it is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// What it comes to.
    pub estimate: Estimate,
    /// What is bought by it.
    pub standing: Standing,
}

/// Why there is no estimate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEstimate {
    /// A product has no price.
    #[error("product {product} {why}")]
    Unpriceable {
        /// Which.
        product: OfferedId,
        /// Why.
        why: Unpriceable,
    },
    /// The sum is beyond what can be counted.
    #[error("{0}")]
    TooLarge(#[from] TooLarge),
    /// A change outside of the period that is under way.
    #[error("the change {0}")]
    OutsidePeriod(#[from] OutsidePeriod),
    /// A period beyond the calendar.
    #[error("the period {0}")]
    OutOfTime(#[from] OutOfTime),
    /// Amounts of two currencies cannot be on one invoice.
    #[error("a contract cannot change its currency")]
    OtherCurrency,
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More is bought, or the same: it takes effect at once.
    Upgrade,
    /// Less is bought: it takes effect when what was paid for is used up.
    Downgrade,
}

/// Where a change goes. A longer cadence is an upgrade and a shorter one a downgrade, whatever they cost: what was paid in advance
/// is used up first. Of the same cadence, the higher price for a full period is the upgrade.
pub fn direction(before: &Configuration, after: &Configuration) -> Result<Direction, NoEstimate> {
    let up = match after.cadence.months().cmp(&before.cadence.months()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => full_price(after)? >= full_price(before)?,
    };
    Ok(if up {
        Direction::Upgrade
    } else {
        Direction::Downgrade
    })
}

/// What a full period costs, in minor units.
pub fn full_price(configuration: &Configuration) -> Result<i64, NoEstimate> {
    let mut total: i64 = 0;
    for (_, amount) in amounts(configuration)? {
        total = total.checked_add(amount.net).ok_or(TooLarge)?;
    }
    Ok(total)
}

/// What each product that is taken costs for a full period, in the plan's order, in minor units.
pub fn full_amounts(configuration: &Configuration) -> Result<Vec<(&Chosen, i64)>, NoEstimate> {
    let amounts = amounts(configuration)?.into_iter();
    Ok(amounts.map(|(chosen, amount)| (chosen, amount.net)).collect())
}

/// The first invoice of a contract that begins at `start`: the period that its anchor puts it in, or what is left of it.
pub fn first_invoice(
    configuration: &Configuration,
    zone: &Zone,
    start: Timestamp,
) -> Result<Priced, NoEstimate> {
    let start = whole_second(start);
    let cadence = configuration.cadence;
    let anchor = Anchor::of_contract(configuration.anchor, cadence, zone, start)?;
    let period = anchor.first_period(cadence, start)?;
    let share = Share::of(period, start)?;
    let mut invoice = Invoice::of(configuration, Period { start, ..period });
    for (chosen, amount) in amounts(configuration)? {
        invoice.charge(chosen, amount, share)?;
    }
    invoice.finish(anchor, period)
}

/// The invoice of the period after the one under way, for what the contract has then.
pub fn next_invoice(standing: &Standing, then: &Configuration) -> Result<Priced, NoEstimate> {
    let start = standing.period.end;
    let anchor = if then.cadence == standing.configuration.cadence {
        standing.anchor
    } else {
        Anchor::of(start)
    };
    full_period(Vec::new(), then, anchor, (start, standing.ends_at))
}

/// What a contract stands at in a period that begins then and was billed by Stripe: a whole one, or the share of it that the contract's end
/// leaves. It is counted from the anchor, where one of its periods begins then, and from its own beginning otherwise.
pub fn billed_from(standing: &Standing, start: Timestamp) -> Result<Standing, NoEstimate> {
    let configuration = &standing.configuration;
    let counted = standing.anchor.period_at(configuration.cadence, start)?;
    let anchor = if counted.start == start {
        standing.anchor
    } else {
        Anchor::of(start)
    };
    Ok(full_period(Vec::new(), configuration, anchor, (start, standing.ends_at))?.standing)
}

/// The invoice of a change of the configuration at an instant of the period under way.
pub fn change(standing: &Standing, after: &Configuration, at: Timestamp) -> Result<Priced, NoEstimate> {
    let before = &standing.configuration;
    if before.currency != after.currency {
        return Err(NoEstimate::OtherCurrency);
    }
    let at = whole_second(at);
    let (share, left) = rest(standing.period, at, standing.ends_at)?;
    let (old, new) = (amounts(before)?, amounts(after)?);
    if begins_anew(before, &old, after, &new) {
        let credits = credits(standing, &old, share, left, |_| true);
        return full_period(credits, after, Anchor::of(at), (at, standing.ends_at));
    }
    let stays = |entry: &(&Chosen, Amount), others: &[(&Chosen, Amount)]| {
        others.iter().any(|other| is_billed_the_same(entry, other))
    };
    let mut invoice = Invoice::of(after, left);
    invoice.lines = credits(standing, &old, share, left, |entry| !stays(entry, &new));
    for entry in &new {
        if stays(entry, &old) {
            invoice.keep(standing, entry.0);
        } else {
            invoice.charge(entry.0, entry.1, share)?;
        }
    }
    let ends_at = standing.ends_at;
    Ok(invoice.finish(standing.anchor, standing.period)?.until(ends_at))
}

/// Whether a change begins a new period, whose end Stripe counts from the moment that it is asked.
pub fn begins_period(before: &Configuration, after: &Configuration) -> Result<bool, NoEstimate> {
    Ok(begins_anew(before, &amounts(before)?, after, &amounts(after)?))
}

fn begins_anew(
    before: &Configuration,
    old: &[(&Chosen, Amount)],
    after: &Configuration,
    new: &[(&Chosen, Amount)],
) -> bool {
    before.cadence != after.cadence || is_free(old) && !is_free(new)
}

/// What is left of a period from an instant on, of a contract that may end within it.
fn rest(
    period: Period,
    from: Timestamp,
    ends_at: Option<Timestamp>,
) -> Result<(Share, Period), OutsidePeriod> {
    let end = ends_at.map_or(period.end, |end| whole_second(end).min(period.end));
    Ok((Share::between(period, from, end)?, Period { start: from, end }))
}

/// A whole period, or the share of it that a contract's end leaves, after what is given back.
fn full_period(
    credits: Vec<Line>,
    configuration: &Configuration,
    anchor: Anchor,
    (start, ends_at): (Timestamp, Option<Timestamp>),
) -> Result<Priced, NoEstimate> {
    let period = anchor.period_at(configuration.cadence, start)?;
    let (share, covers) = rest(period, period.start, ends_at)?;
    let mut invoice = Invoice::of(configuration, covers);
    invoice.lines = credits;
    for (chosen, amount) in amounts(configuration)? {
        invoice.charge(chosen, amount, share)?;
    }
    Ok(invoice.finish(anchor, period)?.until(ends_at))
}

/// Whether everything is of a price that is nothing at Stripe, which begins a period when that is no longer so. A price of tiers is not, nor
/// is a quantity of none.
fn is_free(taken: &[(&Chosen, Amount)]) -> bool {
    taken.iter().all(|(chosen, amount)| match chosen.native() {
        Some(_) => {
            let pricing = &chosen.product.price.pricing;
            pricing.unit_amount() == Some(UnitAmount::ZERO) && pricing.features().free_units == Quantity::ZERO
        }
        None => amount.net == 0,
    })
}

/// Whether Stripe has nothing to change: it bills as many of one price for both (one of a flat fee, whatever the quantity), or knows
/// both by their amounts alone (two quantities of one band).
fn is_billed_the_same(one: &(&Chosen, Amount), other: &(&Chosen, Amount)) -> bool {
    one.0.product.id == other.0.product.id && one.1.net == other.1.net && one.0.native() == other.0.native()
}

/// What each product that is taken costs for a full period, in the plan's order.
fn amounts(configuration: &Configuration) -> Result<Vec<(&Chosen, Amount)>, NoEstimate> {
    // A percentage of the plan is one of the others, which therefore come first.
    let of_plan = |chosen: &Chosen| chosen.product.price.pricing.is_of_plan();
    let mut rest: i64 = 0;
    for chosen in configuration.taken().filter(|chosen| !of_plan(chosen)) {
        rest = rest.checked_add(amount(chosen, 0)?.net).ok_or(TooLarge)?;
    }
    configuration
        .taken()
        .map(|chosen| Ok((chosen, amount(chosen, rest)?)))
        .collect()
}

fn amount(chosen: &Chosen, plan: i64) -> Result<Amount, NoEstimate> {
    let pricing = &chosen.product.price.pricing;
    pricing
        .amount(chosen.quantity, &chosen.dimensions, plan)
        .map_err(|why| NoEstimate::Unpriceable {
            product: chosen.product.id.clone(),
            why,
        })
}

/// The shares of what was billed for products that are left, given back. Where nothing was billed, nothing is.
fn credits(
    standing: &Standing,
    old: &[(&Chosen, Amount)],
    share: Share,
    left: Period,
    ends: impl Fn(&(&Chosen, Amount)) -> bool,
) -> Vec<Line> {
    let day = date(left.start);
    let ending = old.iter().filter(|entry| ends(entry));
    ending
        .filter_map(|(chosen, _)| {
            let billed = standing.billed(&chosen.product.id)?;
            Some(Line {
                description: format!("Unused time on {} after {day}", Counted(chosen)),
                amount: share.credit(billed.charged),
                proration: true,
                explanation: Some(share.explanation()),
                ..blank(chosen, left)
            })
        })
        .collect()
}

/// An invoice in the making.
struct Invoice<'a> {
    configuration: &'a Configuration,
    covers: Period,
    /// The day that it covers from.
    day: String,
    lines: Vec<Line>,
    discount: i64,
    billed: Vec<ProductCharge>,
}

impl<'a> Invoice<'a> {
    fn of(configuration: &'a Configuration, covers: Period) -> Self {
        Self {
            configuration,
            covers,
            day: date(covers.start),
            lines: Vec::new(),
            discount: 0,
            billed: Vec::new(),
        }
    }

    /// The share of what a product costs.
    fn charge(&mut self, chosen: &Chosen, amount: Amount, share: Share) -> Result<(), TooLarge> {
        let net = share.part(amount.net);
        let discount = share.part(amount.list) - net;
        self.discount = self.discount.checked_add(discount).ok_or(TooLarge)?;
        let description = if share.is_whole() {
            Counted(chosen).to_string()
        } else {
            format!("Remaining time on {} after {}", Counted(chosen), self.day)
        };
        self.lines.push(Line {
            description,
            amount: net,
            proration: !share.is_whole(),
            explanation: (!share.is_whole()).then(|| share.explanation()),
            ..blank(chosen, self.covers)
        });
        self.billed.push(ProductCharge {
            product_id: chosen.product.id.clone(),
            charged: Charged {
                full: amount.net,
                billed: net,
            },
        });
        Ok(())
    }

    /// A product that stays as it is, and stays paid for.
    fn keep(&mut self, standing: &Standing, chosen: &Chosen) {
        self.billed.extend(standing.billed(&chosen.product.id).cloned());
    }

    fn finish(self, anchor: Anchor, period: Period) -> Result<Priced, NoEstimate> {
        let mut total: i64 = 0;
        for line in &self.lines {
            total = total.checked_add(line.amount).ok_or(TooLarge)?;
        }
        Ok(Priced {
            estimate: Estimate {
                currency: self.configuration.currency,
                subtotal: total.checked_add(self.discount).ok_or(TooLarge)?,
                discount: self.discount,
                total,
                amount_due: total.max(0),
                period_start: self.covers.start,
                period_end: self.covers.end,
                lines: self.lines,
            },
            standing: Standing {
                configuration: self.configuration.clone(),
                anchor,
                period,
                billed: self.billed,
                ends_at: None,
            },
        })
    }
}

impl Priced {
    /// The same for a contract that ends, if ever.
    #[must_use]
    pub fn until(mut self, ends_at: Option<Timestamp>) -> Self {
        self.standing.ends_at = ends_at;
        self
    }
}

impl Standing {
    /// When it is over: with its period, or with the contract before that.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.ends_at.unwrap_or(Timestamp::MAX).min(self.period.end)
    }

    fn billed(&self, product: &OfferedId) -> Option<&ProductCharge> {
        self.billed.iter().find(|billed| billed.product_id == *product)
    }
}

fn blank(chosen: &Chosen, covers: Period) -> Line {
    Line {
        product_id: chosen.product.id.clone(),
        description: String::new(),
        quantity: chosen.quantity,
        unit_amount: chosen.product.price.pricing.unit_amount(),
        amount: 0,
        proration: false,
        period_start: covers.start,
        period_end: covers.end,
        explanation: None,
    }
}

/// `3 × Seat`, or `Seat` when there is one.
struct Counted<'a>(&'a Chosen);

impl std::fmt::Display for Counted<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Chosen {
            product, quantity, ..
        } = self.0;
        if *quantity != Quantity::whole(1) {
            write!(out, "{quantity} × ")?;
        }
        out.write_str(&product.name)
    }
}

/// `02 Dec 2026`, in UTC, as Stripe writes it on its lines.
fn date(at: Timestamp) -> String {
    at.strftime("%d %b %Y").to_string()
}

#[cfg(test)]
mod tests;
