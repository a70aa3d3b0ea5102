//! A change of a subscription's interval: what stands in its way, and what becomes of it.
//!
//! # How it works
//! Before Stripe is asked, the change is written into the account's profile, under a number that only grows. Stripe's idempotency
//! key is made of the account and that number, so two machines that want the same at the same time ask for one change. The
//! record stays until the change took effect or came to nothing, because it alone remembers what a payment that is still
//! open has to do later: take back a scheduled cancellation.
//!
//! # If it fails half-way
//! * Written, Stripe not asked: nothing happened. Who asks for the same within a minute ([`IN_FLIGHT`](crate::asked::IN_FLIGHT)) asks Stripe under the same number;
//!   later it is forgotten, and a new number is taken.
//! * Stripe asked, answer lost: Stripe is re-read before anything else, and `fate` says what the record means now.
//! * Took effect, not recorded: the webhook, or the next call, reads it at Stripe and does what is left.
//!
//! Not here: amounts, which Stripe computes; asking Stripe; storing anything.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::Owner;
use crate::arrears::{Occasion, TimeBill};
use crate::asked::is_in_flight;
use crate::id::{AccountId, InvoiceId, ItemId, PriceId, PromotionCodeId, SubscriptionId};
use crate::payer::MethodKind;
use crate::period::Period;
use crate::plan::Interval;
use crate::promotion::Word;
use crate::quote::Charge;
use crate::subscription::{Collection, ScheduledEnd, Standing, Status};

/// For how long Stripe keeps a change that waits for its payment, with room: it drops it after 23 hours.
const PAYABLE: SignedDuration = SignedDuration::from_hours(24);

/// A change of the interval as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The interval to move to.
    pub interval: Interval,
    /// The promotion code that goes with it.
    pub code: Option<Word>,
    /// The instant that time is credited and charged from; the moment of the change by default.
    pub proration_date: Option<Timestamp>,
}

/// What a change is planned on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The number that it gets.
    pub number: u64,
    /// The subscription, as Stripe has it.
    pub standing: &'a Standing,
    /// Its one item.
    pub item: &'a ItemId,
    /// The price of the interval to move to.
    pub price: &'a PriceId,
    /// What the code means, found at Stripe.
    pub promotion_code: Option<PromotionCodeId>,
}

/// A change that was, or is about to be, asked of Stripe: everything that its request says, so that it can be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose it is.
    pub account: AccountId,
    /// Counts the account's changes; the latest is the one that holds.
    pub number: u64,
    /// The subscription that is changed.
    pub subscription: SubscriptionId,
    /// Its one item.
    pub item: ItemId,
    /// The interval that it moves to.
    pub interval: Interval,
    /// The Stripe price that it moves to.
    pub price: PriceId,
    /// Units, as many as before.
    pub quantity: u64,
    /// The word of the promotion code that was wished for. The change itself may use the code up, so that a wish is recognised by
    /// its word and not by what the word means later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Word>,
    /// The code that replaces the subscription's discounts; without one they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_code: Option<PromotionCodeId>,
    /// The instant that time is credited and charged from, which the wish named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proration_date: Option<Timestamp>,
    /// The same where it named none: the moment at which the change was written down, in the period that was read then. The next may begin meanwhile, and
    /// nobody has paid for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Whether a scheduled cancellation is to be taken back once it took effect. A cancellation that is scheduled after the
    /// change was last asked for is not.
    #[serde(default)]
    pub clears_cancellation: bool,
    /// The date by which that cancellation was scheduled, where it was by one: an end on another date is an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation_date: Option<Timestamp>,
    /// The quote that its invoice is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Charge>,
    /// When it was written down.
    pub asked_at: Timestamp,
    /// The invoice whose payment it waits for, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<InvoiceId>,
    /// When somebody last set about taking the cancellation back. Whoever cancels meanwhile has to wait for that to be done: of the
    /// two writes at Stripe the later one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finishing_at: Option<Timestamp>,
}

/// Why a subscription cannot be changed as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unchangeable {
    /// There is none, or it is over.
    #[error("the account has no subscription")]
    NoSubscription,
    /// Its first invoice is open.
    #[error("the subscription is incomplete: its first invoice is not paid")]
    Incomplete,
    /// An invoice is overdue and being retried.
    #[error("the subscription is past_due: its latest invoice has to be paid first")]
    PastDue,
    /// Overdue, and no longer retried.
    #[error("the subscription is unpaid: its latest invoice has to be paid first")]
    Unpaid,
    /// A trial ended without a payment method.
    #[error("the subscription is paused")]
    Paused,
    /// A state that Stripe has added since.
    #[error("the subscription is in a state that does not allow changes")]
    Unknown,
    /// A schedule decides what becomes of it.
    #[error("the subscription is owned by a schedule, which alone can change it")]
    Scheduled,
    /// An operator has it end on a date. Stripe would bill the new period up to there, and the rest when somebody takes the date away: no quote
    /// could tell that.
    #[error("the subscription ends on {0}, as an operator has set: only an operator can change it")]
    EndsOn(Timestamp),
    /// What it costs cannot be charged.
    #[error("the subscription's invoices are sent instead of charged: only an operator can change it")]
    Sent,
    /// What it costs would not be collected.
    #[error("the subscription's payment collection is paused: only an operator can change it")]
    CollectionPaused,
    /// Stripe makes no change that waits for such a payment method, whatever it comes to. None where it is not known.
    #[error(
        "the subscription is paid by {}, with which it cannot be changed: it takes a card, or another payment method that pays at once",
        named(.0.as_ref())
    )]
    PaidBy(Option<MethodKind>),
    /// The time that a change gives back was not paid for ([`crate::arrears`]).
    #[error("the subscription's current period is not paid: its invoice has to be paid first")]
    Owed,
    /// A part of what was paid for it went back, and a change would give back more than is left ([`crate::arrears`]).
    #[error(
        "the subscription's current period was paid back in part: a change would give back more than is left of it"
    )]
    GivenBack,
    /// There is nothing to charge what it costs to.
    #[error("the subscription has no payment method: it takes one first")]
    NothingPays,
    /// None or several.
    #[error("the subscription has {0} items instead of exactly one recurring item")]
    Items(usize),
}

/// Why a change is not made, although the subscription allows one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The subscription does not allow any.
    #[error(transparent)]
    Unchangeable(#[from] Unchangeable),
    /// Another wish was asked for a moment ago, and what becomes of it is not known yet.
    #[error("another change of the subscription is being made")]
    Busy,
    /// Another wish waits for its payment.
    #[error("an earlier change of the subscription is waiting for its payment")]
    AwaitingPayment,
}

/// Why a proration date is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDate {
    /// Before or after what is being billed.
    #[error("must lie in the current period")]
    OutsidePeriod,
    /// Later than now.
    #[error("must not be in the future")]
    Future,
    /// So long ago that a period which began then is over, or is before the change can be paid, and the subscription is to end with its period.
    #[error("must not be so long ago that the new period would be over")]
    LongAgo,
}

/// What to do about a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the subscription is billed at that interval.
    AlreadyThere,
    /// The change that was wished for took effect; what is left of it is done.
    Finish(Change),
    /// Another change took effect, or one came to nothing; what is left of it comes first.
    Settle(Change),
    /// The change that was wished for waits for its payment.
    Await(Change),
    /// It was written down a moment ago: ask Stripe under its number, for what it says.
    Join(Change),
    /// Write it down under the next number, and ask Stripe.
    Begin,
}

/// What has become of a change that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing to tell yet.
    Open,
    /// It waits for the payment of this invoice, which was not known so far.
    Waits(InvoiceId),
    /// It waits, and the cancellation that it was to take back is taken back already.
    Resumed,
    /// It took effect, and the cancellation that it was to take back is still scheduled.
    TookEffect,
    /// It took effect and nothing is left to do, or it came to nothing.
    Over,
}

/// The one item of a subscription that allows changes.
pub fn changeable(standing: &Standing) -> Result<&ItemId, Unchangeable> {
    match standing.subscription.status {
        Status::Active | Status::Trialing => {}
        Status::Canceled | Status::IncompleteExpired => return Err(Unchangeable::NoSubscription),
        Status::Incomplete => return Err(Unchangeable::Incomplete),
        Status::PastDue => return Err(Unchangeable::PastDue),
        Status::Unpaid => return Err(Unchangeable::Unpaid),
        Status::Paused => return Err(Unchangeable::Paused),
        Status::Unknown => return Err(Unchangeable::Unknown),
    }
    if standing.scheduled {
        return Err(Unchangeable::Scheduled);
    }
    charged(standing.collection)?;
    match standing.items.as_slice() {
        [item] => Ok(item),
        items => Err(Unchangeable::Items(items.len())),
    }
}

/// Whether what a change costs would be charged.
pub fn charged(collection: Collection) -> Result<(), Unchangeable> {
    match collection {
        Collection::Charged => Ok(()),
        Collection::Sent => Err(Unchangeable::Sent),
        Collection::Paused => Err(Unchangeable::CollectionPaused),
    }
}

/// Whether what pays a subscription lets a change wait for its payment, as far as is known before Stripe is asked.
pub fn payable(payer: Option<&MethodKind>) -> Result<(), Unchangeable> {
    match payer.filter(|kind| kind.pays_later()) {
        None => Ok(()),
        Some(kind) => Err(Unchangeable::PaidBy(Some(kind.clone()))),
    }
}

/// Whether a subscription can be billed at an interval as a quote tells: not where an operator has it end in the period that it is in, or in
/// the one that would begin.
pub fn goes_on(standing: &Standing, interval: Interval, now: Timestamp) -> Result<(), Unchangeable> {
    let Some(end) = standing.operators_end(now) else {
        return Ok(());
    };
    let period = standing.subscription.period;
    // In a trial the interval may begin with its end.
    let begins = standing.trial_end().unwrap_or(now).max(now);
    let is_other = standing.subscription.interval != Some(interval);
    let next = interval.period_end(begins, begins).filter(|_| is_other);
    if next.map_or(period.end, |next| next.max(period.end)) < end {
        Ok(())
    } else {
        Err(Unchangeable::EndsOn(end))
    }
}

/// The date by which a cancellation is scheduled, where it is by one.
fn cancellation_date(standing: &Standing) -> Option<Timestamp> {
    match standing.end {
        Some(ScheduledEnd::OnDate(date)) if standing.subscription.cancel_at_period_end => Some(date),
        _ => None,
    }
}

fn named(kind: Option<&MethodKind>) -> String {
    kind.map_or_else(|| "a payment method".to_owned(), ToString::to_string)
}

/// How far ahead of a machine's clock another's may be, or Stripe's. A date that another's preview has named a moment ago is waited for: nothing is charged from a
/// moment that is still to come.
pub const CLOCK_LEAD: SignedDuration = SignedDuration::from_secs(2);

/// Whether time can be credited and charged from that instant on.
pub fn check_date(at: Timestamp, period: Period, now: Timestamp) -> Result<(), BadDate> {
    if at < period.start || at >= period.end {
        Err(BadDate::OutsidePeriod)
    } else if at > proration_date_in(period, now) {
        // The first second of a period is what a preview names by a clock to which the period is still to begin.
        Err(BadDate::Future)
    } else {
        Ok(())
    }
}

/// Whether the period that a change begins is not over yet, where the subscription is to end with its period. Whether Stripe has it begin at the
/// date or at the call is not known: one that is over would end the subscription at once, before that can be taken back.
pub fn check_new_period(
    at: Timestamp,
    standing: &Standing,
    interval: Interval,
    now: Timestamp,
) -> Result<(), BadDate> {
    if standing.end.is_none() {
        return Ok(());
    }
    // In a trial the interval may begin with its end.
    let begins = standing.trial_end().unwrap_or(at).max(at);
    let paid_by = now.saturating_add(PAYABLE).unwrap_or(Timestamp::MAX);
    match interval.period_end(begins, begins) {
        Some(end) if end <= paid_by => Err(BadDate::LongAgo),
        _ => Ok(()),
    }
}

/// The instant that a preview, or a change without one, credits and charges from: now, to the second, within the current period. Clocks differ, so that a
/// period may seem not to have begun, or to be over.
#[must_use]
pub fn proration_date_in(period: Period, now: Timestamp) -> Timestamp {
    let last = Timestamp::from_second(period.end.as_second().saturating_sub(1)).unwrap_or(period.start);
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    now.min(last).max(period.start)
}

/// What to do about a wish, given what is written down and what Stripe has just said.
pub fn next(
    known: Option<&Change>,
    standing: &Standing,
    wish: &Wish,
    now: Timestamp,
) -> Result<Next, Refusal> {
    changeable(standing)?;
    let known = known.filter(|change| change.subscription == standing.subscription.id);
    let there = standing.subscription.interval == Some(wish.interval);
    match known {
        Some(change) if change.took_effect(standing) => {
            return Ok(match there {
                true if change.answers(wish) => Next::Finish(change.clone()),
                true => Next::AlreadyThere,
                false => Next::Settle(change.clone()),
            });
        }
        _ if there => return Ok(Next::AlreadyThere),
        Some(change) if standing.pending => {
            return if change.answers(wish) {
                Ok(Next::Await(change.clone()))
            } else {
                Err(Refusal::AwaitingPayment)
            };
        }
        None if standing.pending => return Err(Refusal::AwaitingPayment),
        Some(change) if change.is_in_flight(now) => {
            return if change.answers(wish) {
                Ok(Next::Join(change.clone()))
            } else {
                Err(Refusal::Busy)
            };
        }
        // It waited for its payment and came to nothing; or whoever wrote it down died, and what came of it is to be found out.
        Some(change) => return Ok(Next::Settle(change.clone())),
        None => {}
    }
    Ok(Next::Begin)
}

/// What has become of a change, by what Stripe has just said.
#[must_use]
pub fn fate(change: &Change, standing: &Standing, now: Timestamp) -> Fate {
    let subscription = &standing.subscription;
    // What another subscription of the account's does says nothing about it.
    if subscription.id != change.subscription {
        return Fate::Open;
    }
    if !subscription.is_live() {
        return Fate::Over;
    }
    if change.took_effect(standing) {
        // What a schedule leads ends as that says.
        return if change.clears_cancellation && change.knows_end(standing) && !standing.scheduled {
            Fate::TookEffect
        } else {
            Fate::Over
        };
    }
    match (&change.invoice, &standing.latest_invoice) {
        (None, Some(invoice)) if standing.pending => Fate::Waits(invoice.id.clone()),
        // What is cancelled from now on is newer than the change.
        _ if standing.pending && change.clears_cancellation && !subscription.cancel_at_period_end => {
            Fate::Resumed
        }
        _ if standing.pending => Fate::Open,
        _ if change.is_in_flight(now) => Fate::Open,
        // Nothing waits and nothing changed: the payment failed for good, or Stripe was never asked.
        _ => Fate::Over,
    }
}

impl Change {
    /// The change that a wish comes to, as the subscription stands. Only the owner can ask for one.
    #[must_use]
    pub fn plan(owner: &Owner, wish: &Wish, facts: Facts<'_>, now: Timestamp) -> Self {
        let Facts {
            number,
            standing,
            item,
            price,
            promotion_code,
        } = facts;
        Self {
            account: owner.account().clone(),
            number,
            subscription: standing.subscription.id.clone(),
            item: item.clone(),
            interval: wish.interval,
            price: price.clone(),
            quantity: standing.subscription.quantity,
            code: wish.code.clone(),
            promotion_code,
            proration_date: wish.proration_date,
            from: match wish.proration_date {
                Some(_) => None,
                None => Some(proration_date_in(standing.subscription.period, now)),
            },
            clears_cancellation: standing.subscription.cancel_at_period_end,
            cancellation_date: cancellation_date(standing),
            quoted: None,
            asked_at: now,
            invoice: None,
            finishing_at: None,
        }
    }

    /// The instant that time is credited and charged from. None is known of a change that the build before wrote down.
    #[must_use]
    pub fn prorated_from(&self) -> Option<Timestamp> {
        self.proration_date.or(self.from)
    }

    /// Whether it would still be written down as it was: what it stood on has not moved, nor the period that its date lies in. What its code
    /// means is not asked again, as it may have used it up itself.
    #[must_use]
    pub fn still_fits(&self, standing: &Standing, price: &PriceId, now: Timestamp) -> bool {
        let period = standing.subscription.period;
        let date_fits = self.prorated_from().is_none_or(|at| {
            let in_period = period.start <= at && at < period.end;
            in_period && check_new_period(at, standing, self.interval, now).is_ok()
        });
        self.subscription == standing.subscription.id
            && standing.items == [self.item.clone()]
            && self.quantity == standing.subscription.quantity
            && self.price == *price
            && date_fits
    }

    /// The bill that Stripe made of it, among those made since it was asked for, of a change that did not take effect: whoever asked may have died
    /// before that was known.
    #[must_use]
    pub fn bill_among(&self, bills: &[TimeBill]) -> Option<InvoiceId> {
        let is_its = |bill: &&TimeBill| {
            let price = self.price.as_str();
            bill.occasion == Occasion::Change
                && bill.charges.iter().any(|charge| charge.price.as_str() == price)
        };
        bills.iter().find(is_its).map(|bill| bill.invoice.clone())
    }

    /// The change as it is when it is asked for once more: what was asked for last counts, so it takes back what was cancelled meanwhile. None
    /// when nothing was.
    #[must_use]
    pub fn asked_again(&self, standing: &Standing) -> Option<Self> {
        let is_newer = standing.subscription.cancel_at_period_end && !self.clears_cancellation;
        is_newer.then(|| Self {
            clears_cancellation: true,
            cancellation_date: cancellation_date(standing),
            ..self.clone()
        })
    }

    /// Whether somebody may be about to take the cancellation back at Stripe.
    #[must_use]
    pub fn is_being_finished(&self, now: Timestamp) -> bool {
        let since = self.finishing_at.filter(|_| self.clears_cancellation);
        since.is_some_and(|since| is_in_flight(since, now))
    }

    /// Whether the invoice of a change is not what was quoted. It is only asked of a subscription that was read after Stripe took
    /// the change, while its latest invoice is the change's.
    #[must_use]
    pub fn differs_from_quote(&self, standing: &Standing) -> bool {
        // What another subscription of the account's is billed says nothing about it.
        if standing.subscription.id != self.subscription {
            return false;
        }
        let billed = standing.latest_invoice.as_ref().map(|invoice| invoice.charge);
        let taken = standing.pending || self.took_effect(standing);
        // A change in a trial that goes on bills nothing, and so has no invoice.
        let unbilled =
            standing.subscription.status == Status::Trialing && self.quoted.is_some_and(Charge::is_nothing);
        let kept = match (self.quoted, billed) {
            (Some(quoted), Some(billed)) => quoted.is_kept_by(billed),
            (Some(_), None) => false,
            (None, _) => true,
        };
        taken && !unbilled && !kept
    }

    /// Whether this change is what was wished for. A wish without a proration date is content with any.
    fn answers(&self, wish: &Wish) -> bool {
        self.interval == wish.interval
            && self.code == wish.code
            && (wish.proration_date.is_none() || wish.proration_date == self.proration_date)
    }

    /// Whether the subscription is as the change wants it. Stripe applies a change when its invoice is paid, not before; what waits
    /// beside it then is somebody else's.
    #[must_use]
    pub fn took_effect(&self, standing: &Standing) -> bool {
        standing.subscription.price == self.price
    }

    /// Whether the subscription's end is that of the cancellation which is to be taken back, and not a date that an operator has set.
    fn knows_end(&self, standing: &Standing) -> bool {
        match standing.end {
            Some(ScheduledEnd::WithPeriod) => true,
            Some(ScheduledEnd::OnDate(date)) => self.cancellation_date == Some(date),
            None => false,
        }
    }

    fn is_in_flight(&self, now: Timestamp) -> bool {
        self.invoice.is_none() && is_in_flight(self.asked_at, now)
    }
}

#[cfg(test)]
mod tests;
