//! A sale: an offer, and asking Stripe for what it comes to, once.
//!
//! # How it works
//! An `Offer` is what a wish comes to at an instant: the products with their prices, what the first or next invoice would be, and when
//! it takes effect. It is priced again when it is confirmed, from the same facts, and must come out the same.
//!
//! Before Stripe is asked, the offer is written into the contract as a `Sale`, under a number of its session's that only grows.
//! Session and number make Stripe's idempotency keys, so whoever works on a sale, once or ten times, on one machine or many,
//! charges once. Nobody waits for anybody: whoever finds an unfinished sale finishes it.
//!
//! # If it fails half-way
//! * Written, Stripe not asked: the next confirmation asks; after the session's time, nobody does.
//! * Stripe asked, answer lost: the next confirmation asks again under the same key, and the webhook reads what became of it.
//! * Refused by Stripe: the sale is forgotten, and the session is open again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::asked::{self, IN_FLIGHT};
use crate::calendar::{Anchor, OutOfTime, Zone, whole_second};
use crate::catalog::Plan;
use crate::estimate::{self, Direction, Estimate, NoEstimate, Standing};
use crate::id::{CheckoutId, InvoiceId, OfferedId, PaymentMethodId, PriceId, ProductId, SessionId};
use crate::invalid::Invalid;
use crate::money::{Currency, UNCHARGEABLE};
use crate::offer::{Chosen, Configuration, Override};
use crate::period::Period;
use crate::pricing::Unpriceable;
use crate::session::{Kind, LONGEST, When};

/// The two invoices of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimates {
    /// What confirming it charges.
    pub current_invoice: Estimate,
    /// The one after; none when the contract ends before it.
    pub next_invoice: Option<Estimate>,
}

/// When a sale takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A contract begins.
    Begin,
    /// A contract changes at once, and what that costs is charged at once.
    AtOnce,
    /// A contract changes when its period ends, and nothing is charged before.
    AtPeriodEnd,
}

/// What a wish comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// When it takes effect.
    pub way: Way,
    /// The instant that time is charged and credited from; of a new contract, its start.
    pub at: Timestamp,
    /// When what is bought begins.
    pub effective_at: Timestamp,
    /// When the contract ends; none for one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// What an amended contract stood at when the offer was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Standing>,
    /// What the contract stands at once it took effect.
    pub after: Standing,
    /// What it costs.
    pub estimates: Estimates,
}

/// Why a wish comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoOffer {
    /// Members of the request that do not fit the plan or the contract.
    Invalid(Invalid),
    /// It cannot be priced.
    NoEstimate(NoEstimate),
    /// The contract allows no such change.
    CutShort(CutShort),
}

/// A change that begins a period which the contract's end cuts short. Stripe begins it when it is asked and bills it from then on: no quote could
/// tell that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contract ends on {0}, which would cut short the period that the change begins")]
pub struct CutShort(pub Timestamp);

impl From<Invalid> for NoOffer {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<NoEstimate> for NoOffer {
    fn from(why: NoEstimate) -> Self {
        match why {
            NoEstimate::TooLarge(_)
            | NoEstimate::Unpriceable {
                why: Unpriceable::TooLarge(_),
                ..
            } => Self::field("product_overrides", UNCHARGEABLE),
            why => Self::NoEstimate(why),
        }
    }
}

impl From<OutOfTime> for NoOffer {
    fn from(why: OutOfTime) -> Self {
        Self::NoEstimate(why.into())
    }
}

impl NoOffer {
    fn field(name: &str, fault: &str) -> Self {
        let mut invalid = Invalid::default();
        invalid.field(name, fault);
        Self::Invalid(invalid)
    }
}

/// What a new contract is priced on.
#[derive(Debug)]
pub struct NewContract<'a> {
    /// The plan, as it is offered now.
    pub plan: &'a Plan,
    /// The choices made.
    pub overrides: &'a [Override],
    /// The business entity's.
    pub zone: &'a Zone,
    /// When it begins.
    pub start: When,
    /// When it ends, if ever.
    pub end: Option<When>,
    /// When it is asked for.
    pub now: Timestamp,
}

/// When a contract ends, if ever, that begins then. Everything that is wrong with that.
pub fn end(end: Option<When>, zone: &Zone, at: Timestamp) -> Result<Option<Timestamp>, Invalid> {
    let mut invalid = Invalid::default();
    match end.map(|end| end.instant(zone)).transpose() {
        Ok(Some(end)) if end <= at => invalid.field("end_date", "must be after start_date"),
        Ok(end) => return Ok(end),
        Err(beyond) => invalid.field("end_date", beyond.to_string()),
    }
    Err(invalid)
}

/// What a contract with the given terms costs.
pub fn begin(new: &NewContract<'_>) -> Result<Offer, NoOffer> {
    let mut invalid = Invalid::default();
    let at = new.start.instant(new.zone);
    let configuration = invalid.gather(Configuration::of(new.plan).with(new.overrides));
    let ends_at = invalid.gather(at.map_or(Ok(None), |at| end(new.end, new.zone, at)));
    let (Some(configuration), Some(ends_at)) = (configuration, ends_at) else {
        return Err(invalid.into());
    };
    let at = at?;
    let first = estimate::first_invoice(&configuration, new.zone, at)?.until(ends_at);
    let next = next_before(&begun(&first.standing, at, new.now)?, &configuration, ends_at)?;
    chargeable(Offer {
        way: Way::Begin,
        at,
        effective_at: at,
        ends_at,
        before: None,
        after: first.standing,
        estimates: Estimates {
            current_invoice: first.estimate,
            next_invoice: next,
        },
    })
}

/// What a contract that is sold now will stand at. A first period that is whole begins when it is paid: of a contract that ends, that is
/// what is left for the last one. What goes on is told from its start.
fn begun(first: &Standing, at: Timestamp, now: Timestamp) -> Result<Standing, OutOfTime> {
    let is_short = at < first.anchor.at;
    if is_short || first.ends_at.is_none() || now <= at {
        return Ok(first.clone());
    }
    let anchor = Anchor::of(now);
    Ok(Standing {
        anchor,
        period: anchor.period_at(first.configuration.cadence, now)?,
        ..first.clone()
    })
}

/// What a contract is amended on.
#[derive(Debug)]
pub struct Amended<'a> {
    /// What it stands at.
    pub standing: &'a Standing,
    /// When it ends, if ever.
    pub ends_at: Option<Timestamp>,
    /// The plan to change to, as it is offered now; none to stay with the one that was sold.
    pub plan: Option<&'a Plan>,
    /// The choices made.
    pub overrides: &'a [Override],
    /// The instant that it is priced at.
    pub at: Timestamp,
}

/// What becomes of a contract's configuration by another plan, as it is offered now, or by other choices alone. Everything that is wrong with
/// them.
pub fn becomes(
    before: &Configuration,
    plan: Option<&Plan>,
    overrides: &[Override],
) -> Result<Configuration, Invalid> {
    let mut invalid = Invalid::default();
    let after = match plan {
        Some(plan) => {
            if plan.id == before.plan {
                invalid.field("plan_id", "is the plan that the contract has");
            } else if plan.currency != before.currency {
                invalid.field("plan_id", "is in another currency than the contract");
            }
            Configuration::of(plan).with(overrides)
        }
        None => before.with(overrides),
    };
    let after = invalid.gather(after);
    if plan.is_none() && after.as_ref() == Some(before) {
        invalid.field(
            "product_overrides",
            "change nothing: the contract has these quantities",
        );
    }
    after.filter(|_| invalid.is_empty()).ok_or(invalid)
}

/// What amending a contract costs.
pub fn amend(amended: &Amended<'_>) -> Result<Offer, NoOffer> {
    let standing = &Standing {
        ends_at: amended.ends_at,
        ..amended.standing.clone()
    };
    let before = &standing.configuration;
    let after = becomes(before, amended.plan, amended.overrides)?;
    let way = match amended.plan {
        // What is dropped is credited, so that a quantity has nothing to wait for.
        None => Way::AtOnce,
        Some(_) => match estimate::direction(before, &after)? {
            Direction::Upgrade => Way::AtOnce,
            Direction::Downgrade => Way::AtPeriodEnd,
        },
    };
    if way == Way::AtPeriodEnd && amended.ends_at.is_some_and(|end| end <= standing.period.end) {
        return Err(NoOffer::field(
            "plan_id",
            "would take effect when the contract has ended",
        ));
    }
    // Of clocks that differ, one may not have come to the period yet.
    let at = whole_second(amended.at).max(standing.period.start);
    let (effective_at, current, after_standing) = match way {
        Way::AtPeriodEnd => {
            let later = estimate::next_invoice(standing, &after)?;
            (standing.period.end, nothing(standing, at), later.standing)
        }
        Way::Begin | Way::AtOnce => {
            let priced = estimate::change(standing, &after, at)?;
            if let Some(end) = amended.ends_at
                && may_be_cut(&priced.standing, end)
                && estimate::begins_period(before, &after)?
            {
                return Err(NoOffer::CutShort(CutShort(end)));
            }
            (at, priced.estimate, priced.standing)
        }
    };
    let next = match way {
        Way::AtPeriodEnd => next_before(standing, &after, amended.ends_at)?,
        Way::Begin | Way::AtOnce => next_before(&after_standing, &after, amended.ends_at)?,
    };
    chargeable(Offer {
        way,
        at,
        effective_at,
        ends_at: amended.ends_at,
        before: Some(standing.clone()),
        after: after_standing,
        estimates: Estimates {
            current_invoice: current,
            next_invoice: next,
        },
    })
}

/// Whether a contract's end may cut a period short that begins when it is asked for, for as long as a session lives.
fn may_be_cut(standing: &Standing, end: Timestamp) -> bool {
    end < standing
        .period
        .end
        .saturating_add(LONGEST)
        .unwrap_or(Timestamp::MAX)
}

/// How many of a price are sold at once: more than anybody counts, and fewer than Stripe might not. As for accounts.
const MOST_UNITS: u64 = 4_294_967_295;

/// The offer, unless Stripe would refuse to charge it, now or when it renews: for what it comes to, or, of a price that is next to nothing, for
/// how many they are.
fn chargeable(offer: Offer) -> Result<Offer, NoOffer> {
    let Estimates {
        current_invoice,
        next_invoice,
    } = &offer.estimates;
    let exceeds = |estimate: &Estimate| {
        let most = Currency::MOST_CHARGED;
        estimate.subtotal > most || estimate.lines.iter().any(|line| line.amount > most)
    };
    if exceeds(current_invoice) || next_invoice.as_ref().is_some_and(exceeds) {
        return Err(NoOffer::field("product_overrides", UNCHARGEABLE));
    }
    let is_too_many = |chosen: &&Chosen| chosen.native().is_some_and(|(_, units)| units > MOST_UNITS);
    if let Some(chosen) = offer.after.configuration.taken().find(is_too_many) {
        let product = &chosen.product.id;
        let fault = format!("product {product} must have a quantity of at most {MOST_UNITS}");
        return Err(NoOffer::field("product_overrides", &fault));
    }
    Ok(offer)
}

/// The invoice of the next period, or of the share of it that the contract's end leaves, unless it ends before that.
fn next_before(
    standing: &Standing,
    then: &Configuration,
    ends_at: Option<Timestamp>,
) -> Result<Option<Estimate>, NoOffer> {
    if ends_at.is_some_and(|end| end <= standing.period.end) {
        return Ok(None);
    }
    Ok(Some(estimate::next_invoice(standing, then)?.estimate))
}

/// An invoice of nothing, for what is left of a period.
fn nothing(standing: &Standing, at: Timestamp) -> Estimate {
    Estimate {
        currency: standing.configuration.currency,
        subtotal: 0,
        discount: 0,
        total: 0,
        amount_due: 0,
        period_start: at,
        period_end: standing.period.end,
        lines: Vec::new(),
    }
}

impl Offer {
    /// Whether the offer is the same that was made: what is sold, at which prices and quantities, from when on, and what it costs. What a
    /// contract that begins is billed next follows from that, and from the moment that it was asked at.
    #[must_use]
    pub fn is_as(&self, made: &Self) -> bool {
        if self.way != Way::Begin {
            return self == made;
        }
        let mut same_moment = self.clone();
        same_moment
            .estimates
            .next_invoice
            .clone_from(&made.estimates.next_invoice);
        same_moment == *made
    }

    /// Whether there is anything to pay for it, now or with the next bill.
    #[must_use]
    pub fn costs_something(&self) -> bool {
        let Estimates {
            current_invoice,
            next_invoice,
        } = &self.estimates;
        current_invoice.total > 0 || next_invoice.as_ref().is_some_and(|next| next.total > 0)
    }

    /// Whether what was free is to cost something.
    #[must_use]
    pub fn begins_to_cost(&self) -> bool {
        let before = self.before.as_ref();
        let was_free = before.is_none_or(|before| estimate::full_price(&before.configuration) == Ok(0));
        was_free && self.costs_something()
    }

    /// Whether a plan is offered as it was when this was: what it consists of, and what that costs.
    #[must_use]
    pub fn still_holds(&self, plan: &Plan) -> bool {
        let sold = &self.after.configuration;
        (sold.currency, sold.cadence, sold.anchor) == (plan.currency, plan.cadence, plan.anchor)
            && sold.products.len() == plan.products.len()
            && sold
                .products
                .iter()
                .all(|chosen| plan.product(&chosen.product.id) == Some(&chosen.product))
    }

    /// The first period of a new contract, where its anchor makes that a short one.
    #[must_use]
    pub fn short_first_period(&self) -> Option<Period> {
        // Even where its share is all of a whole one, as from 30 January to 28 February, later periods are counted from the anchor.
        let anchor = self.after.anchor.at;
        (self.way == Way::Begin && self.at < anchor).then_some(Period {
            start: self.at,
            end: anchor,
        })
    }

    /// Whether the instant that it was priced at is too late to be charged at `now`: the period that it charges a share of is
    /// over.
    #[must_use]
    pub fn is_past(&self, now: Timestamp) -> bool {
        match self.way {
            Way::Begin => {
                self.short_first_period().is_some_and(|first| first.end <= now)
                    || self.ends_at.is_some_and(|end| end <= now)
            }
            Way::AtOnce | Way::AtPeriodEnd => {
                self.before.as_ref().is_some_and(|before| before.over_at() <= now)
            }
        }
    }
}

/// A sale that was, or is about to be, asked of Stripe: everything that its requests say, so that they can be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// The session that is confirmed.
    pub checkout: CheckoutId,
    /// Counts the session's sales; session and number name Stripe's requests.
    pub number: u64,
    /// Which kind of session it is.
    pub kind: Kind,
    /// What is sold.
    pub offer: Offer,
    /// What Stripe is asked to bill.
    pub order: Vec<OrderLine>,
    /// What is to be charged; none for the customer's own, or for a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<PaymentMethodId>,
    /// What it has made its subscription's payment method, in place of which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
    /// When it was written down.
    pub asked_at: Timestamp,
    /// When a machine that did not write it down was last about to ask Stripe for it; none while none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<Timestamp>,
    /// The latest bill of its contract's subscription that was known when it was written down, which is none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_bill: Option<InvoiceId>,
    /// Until when the session could be confirmed: a payment after that is late.
    pub open_until: Timestamp,
    /// The page that it can be paid on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<SessionId>,
    /// The invoice whose payment it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<InvoiceId>,
    /// Whether it was paid too late for an offer that had moved, and the money is to be given back.
    #[serde(default)]
    pub is_to_be_refunded: bool,
}

/// A payment method that an amendment has made its subscription's, and that stays only if it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// What was named, as Stripe knows it.
    pub by: PaymentMethodId,
    /// What paid before; none where that was the customer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<PaymentMethodId>,
}

/// A product as Stripe is asked to bill it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which product.
    pub product: OfferedId,
    /// Stripe's product.
    pub stripe_product: ProductId,
    /// Stripe's price: the catalog's, or one that was made of the amount of this line; none until that is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceId>,
    /// How many of the price.
    pub quantity: u64,
    /// What a full period comes to, in minor units.
    pub amount: i64,
}

/// A product that the catalog has not made at Stripe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("product {0} is not at Stripe yet: apply the catalog")]
pub struct NotAtStripe(pub OfferedId);

/// What Stripe is asked to bill for a configuration. What Stripe can express is so many of the catalog's price; everything else
/// (steps, percentages, a matrix, commitments, fractions of a unit) is one of a price that is made of the amount.
pub fn order(configuration: &Configuration) -> Result<Result<Vec<OrderLine>, NotAtStripe>, NoEstimate> {
    let amounts = estimate::full_amounts(configuration)?;
    Ok(amounts
        .into_iter()
        .map(|(chosen, amount)| {
            let product = &chosen.product;
            let stripe_product = product.stripe_product.clone();
            let native = chosen.native();
            Ok(OrderLine {
                product: product.id.clone(),
                stripe_product: stripe_product.ok_or_else(|| NotAtStripe(product.id.clone()))?,
                quantity: native.map_or(1, |(_, quantity)| quantity),
                price: native.map(|(price, _)| price.clone()),
                amount,
            })
        })
        .collect())
}

impl Sale {
    /// `<checkout>/<number>`: what its requests at Stripe are called by.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.checkout, self.number)
    }

    /// Whether it may be on its way to Stripe from another machine: from the one that wrote it down, or from one that has joined it.
    #[must_use]
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        let since = self.joined_at.unwrap_or(self.asked_at).max(self.asked_at);
        asked::is_in_flight(since, now)
    }

    /// The same, joined at `now`.
    #[must_use]
    pub fn joined(&self, now: Timestamp) -> Self {
        Self {
            joined_at: Some(now),
            ..self.clone()
        }
    }

    /// Whether its session ends before a machine that joins it at `now` is done. Then the sale is settled by whoever comes by, who has to know
    /// of everybody that is at it.
    #[must_use]
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        self.open_until.duration_since(now) < IN_FLIGHT
    }
}

#[cfg(test)]
pub(crate) mod tests;
