//! Changes of a subscription: what a request wants changed, and what comes of it.
//!
//! # How it works
//! [`Wish::read`] reads the parameters that updates and previews share. [`plan`] works out the subscription's new terms and the
//! lines that the change costs, and writes nothing. A change of the billing interval, a trial that is ended or an anchor that
//! is set to now begin a new period at once and are billed at once; any other change costs shares of the period it is in. In the flexible
//! billing mode the anchor stays when the interval changes: that, too, costs shares, up to where the anchor falls next.

use jiff::Timestamp;

use super::{Moment, billing, calendar, item_changes, lifecycle, redemption};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{Line, NewPeriodStart, PriceAmounts, Subscription, SubscriptionStatus, Terms, UnitAmount};
use item_changes::ItemChange;

/// What becomes of the lines that a change costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProrationBehavior {
    /// They wait for the next invoice.
    CreateProrations,
    /// They are billed at once.
    AlwaysInvoice,
    /// There are none.
    Nothing,
}

impl ProrationBehavior {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("always_invoice", Self::AlwaysInvoice),
        ("create_prorations", Self::CreateProrations),
        ("none", Self::Nothing),
    ];
}

/// What a request wants changed in the terms of a subscription.
pub(crate) struct Wish {
    pub(crate) items: Vec<ItemChange>,
    pub(crate) proration_behavior: ProrationBehavior,
    pub(crate) proration_date: Option<Timestamp>,
    pub(crate) anchor_now: bool,
    pub(crate) trial_end: Option<TrialEnd>,
    /// None leaves those that there are.
    pub(crate) discounts: Option<Vec<redemption::Asked>>,
}

/// When a trial ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrialEnd {
    Now,
    At(Timestamp),
}

/// What becomes of the anchor of the billing cycle: an object since 2026-09-30, a word or an instant before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Now,
    Unchanged,
    At(Timestamp),
}

impl Anchor {
    const MEMBER: &'static str = "billing_cycle_anchor";

    /// Of a subscription that there is.
    fn read(params: &Params<'_>) -> Result<Option<Self>, Refusal> {
        let Some(anchor) = params.child(Self::MEMBER)? else {
            return Ok(None);
        };
        let words = [("now", Self::Now), ("unchanged", Self::Unchanged)];
        let kind = anchor.choice("type", &words)?;
        kind.ok_or_else(|| Refusal::missing(&anchor.name_of("type")))
            .map(Some)
    }

    /// Of a subscription to come, in a preview; that can have an instant of its own.
    pub(crate) fn read_for_new(params: &Params<'_>) -> Result<Option<Self>, Refusal> {
        match params.child(Self::MEMBER)? {
            Some(anchor) if anchor.text("type")?.as_deref() == Some("timestamp") => {
                let at = anchor.timestamp("timestamp")?;
                at.ok_or_else(|| Refusal::missing(&anchor.name_of("timestamp")))
                    .map(|at| Some(Self::At(at)))
            }
            Some(_) | None => Self::read(params),
        }
    }
}

impl Wish {
    /// Reads all but the discounts, which a preview has elsewhere.
    pub(crate) fn read(params: &Params<'_>) -> Result<Self, Refusal> {
        let anchor = Anchor::read(params)?;
        Self::read_with(params, anchor)
    }

    /// The same, where the anchor has been read.
    pub(crate) fn read_with(params: &Params<'_>, anchor: Option<Anchor>) -> Result<Self, Refusal> {
        let wish = Self {
            items: item_changes::read(params)?,
            proration_behavior: params
                .choice("proration_behavior", &ProrationBehavior::WORDS)?
                .unwrap_or(ProrationBehavior::CreateProrations),
            proration_date: params.timestamp("proration_date")?,
            anchor_now: anchor == Some(Anchor::Now),
            trial_end: match params.text("trial_end")?.as_deref() {
                Some("now") => Some(TrialEnd::Now),
                _ => params.timestamp("trial_end")?.map(TrialEnd::At),
            },
            discounts: None,
        };
        if wish.anchor_now && wish.proration_date.is_some() {
            let message = "You cannot specify `proration_date` when `billing_cycle_anchor` is `now`.";
            return Err(Refusal::invalid(&params.name_of("proration_date"), message));
        }
        Ok(wish)
    }

    /// Whether it changes what is billed.
    pub(crate) fn is_of_terms(&self) -> bool {
        !self.items.is_empty() || self.anchor_now || self.trial_end.is_some()
    }

    /// The end of the trial that a new subscription is to have.
    pub(crate) fn trial_end_at(&self) -> Option<Timestamp> {
        match self.trial_end {
            Some(TrialEnd::At(end)) => Some(end),
            Some(TrialEnd::Now) | None => None,
        }
    }

    /// Nothing is to be changed.
    pub(crate) fn none() -> Self {
        Self {
            items: Vec::new(),
            proration_behavior: ProrationBehavior::CreateProrations,
            proration_date: None,
            anchor_now: false,
            trial_end: None,
            discounts: None,
        }
    }
}

/// What comes of a change.
pub(crate) struct Plan {
    pub(crate) after: Subscription,
    /// Shares of the period that is under way: credits, then charges.
    pub(crate) prorations: Vec<Line>,
    /// The whole of a new period. Empty when none begins.
    pub(crate) new_period: Vec<Line>,
    /// Whether there is an invoice at once.
    pub(crate) bills_now: bool,
}

/// Works out what a change makes of a subscription. `before` may differ from what is stored in members that are not terms.
pub(crate) fn plan(at: &mut Moment<'_>, before: &Subscription, wish: &Wish) -> Result<Plan, Refusal> {
    check_proration_date(before, wish)?;
    let from = wish.proration_date.unwrap_or(at.now);
    let mut after = before.clone();
    after.items = item_changes::apply(at, before, &wish.items)?;
    if let Some(asked) = &wish.discounts {
        after.discounts = redemption::for_subscription(at, asked, &after)?;
    }
    let in_trial = before.status == SubscriptionStatus::Trialing;
    if let Some(TrialEnd::At(end)) = wish.trial_end {
        return Ok(plan_trial(at, before, after, wish, end));
    }
    let ends_trial = in_trial && wish.trial_end == Some(TrialEnd::Now);
    let trial_goes_on = in_trial && at.world.settings.trial_outlasts_interval;
    let other_interval = lifecycle::cycle(at.world, before) != lifecycle::cycle(at.world, &after);
    let is_flexible = before.billing_mode.is_flexible();
    let no_longer_free = is_free(at, before) && !is_free(at, &after) && !in_trial;
    let resets_anchor = (other_interval && !trial_goes_on) || no_longer_free;
    let begins_period = wish.anchor_now || ends_trial || (resets_anchor && !is_flexible);
    if is_flexible && wish.anchor_now && wish.proration_behavior != ProrationBehavior::AlwaysInvoice {
        // What then waits for which invoice is not done here.
        return Err(Refusal::unsupported("billing_cycle_anchor"));
    }
    let start = match at.world.settings.new_period_starts_at {
        NewPeriodStart::Call => at.now,
        NewPeriodStart::ProrationDate => from,
    };
    let credits = wish.proration_behavior != ProrationBehavior::Nothing;
    if !begins_period {
        if other_interval && !in_trial {
            keep_anchor(at, &mut after, start);
        }
        let prorations = if credits && !in_trial {
            billing::change_lines(at.world, before, &after, from)
        } else {
            Vec::new()
        };
        let bills_now = wish.proration_behavior == ProrationBehavior::AlwaysInvoice && !prorations.is_empty();
        return Ok(Plan {
            after,
            prorations,
            new_period: Vec::new(),
            bills_now,
        });
    }
    begin_period(at, &mut after, start);
    if in_trial {
        after.status = SubscriptionStatus::Active;
        after.trial_end = Some(start);
    }
    let over = before
        .items
        .first()
        .map_or(start, |item| item.current_period_start);
    let mut new_period = billing::period_lines(at.world, &after, (over, start));
    if at.world.settings.new_period_is_proration {
        for line in &mut new_period {
            line.proration = true;
            line.discountable = false;
        }
    }
    Ok(Plan {
        prorations: if credits {
            billing::credits(at.world, before, from)
        } else {
            Vec::new()
        },
        after,
        new_period,
        bills_now: true,
    })
}

/// Whether all prices are nothing. A price of tiers is not, nor is a quantity of none.
fn is_free(at: &Moment<'_>, subscription: &Subscription) -> bool {
    subscription.items.iter().all(|item| {
        let amounts = &at.world.prices[&item.price].amounts;
        matches!(amounts, PriceAmounts::PerUnit(unit) if *unit == UnitAmount::whole(0))
    })
}

/// A trial that is begun or moved: what was paid is credited, and nothing is charged until it ends.
fn plan_trial(
    at: &Moment<'_>,
    before: &Subscription,
    mut after: Subscription,
    wish: &Wish,
    end: Timestamp,
) -> Plan {
    let from = wish.proration_date.unwrap_or(at.now);
    lifecycle::put_on_trial(&mut after, at.now, end);
    let credits = wish.proration_behavior != ProrationBehavior::Nothing;
    let prorations = if credits {
        billing::credits(at.world, before, from)
    } else {
        Vec::new()
    };
    Plan {
        after,
        bills_now: wish.proration_behavior == ProrationBehavior::AlwaysInvoice && !prorations.is_empty(),
        prorations,
        new_period: Vec::new(),
    }
}

fn check_proration_date(subscription: &Subscription, wish: &Wish) -> Result<(), Refusal> {
    let Some(date) = wish.proration_date else {
        return Ok(());
    };
    let within = subscription
        .items
        .iter()
        .all(|item| item.current_period_start <= date && date <= item.current_period_end);
    if within {
        return Ok(());
    }
    let message = format!(
        "Cannot specify proration date outside of current subscription period: {}",
        date.as_second()
    );
    Err(Refusal::invalid("proration_date", message))
}

/// The periods that the anchor gives items of another interval: they end where it falls next. Where Stripe says that such a period begins is
/// unconfirmed: here at the change, as a first period that an anchor cuts short begins with its subscription.
fn keep_anchor(at: &Moment<'_>, subscription: &mut Subscription, start: Timestamp) {
    let anchor = subscription.billing_cycle_anchor;
    for item in &mut subscription.items {
        let recurrence = lifecycle::recurrence(&at.world.prices[&item.price]);
        item.current_period_start = start;
        item.whole_period_start = Some(calendar::period_start(anchor, recurrence, start));
        item.current_period_end = calendar::next_period_end(anchor, recurrence, start);
        item.whole_period_end = None;
    }
    end_within(subscription);
    let terms: Terms = subscription.terms();
    *subscription = subscription.clone().on_terms(terms);
}

/// A new period for all items, from which later ones are counted.
fn begin_period(at: &Moment<'_>, subscription: &mut Subscription, start: Timestamp) {
    subscription.billing_cycle_anchor = start;
    for item in &mut subscription.items {
        let recurrence = lifecycle::recurrence(&at.world.prices[&item.price]);
        item.current_period_start = start;
        item.whole_period_start = None;
        item.current_period_end = calendar::next_period_end(start, recurrence, start);
        item.whole_period_end = None;
    }
    end_within(subscription);
    let terms: Terms = subscription.terms();
    *subscription = subscription.clone().on_terms(terms);
}

/// New periods end with the subscription at the latest; an end with the period moves with it.
fn end_within(subscription: &mut Subscription) {
    if !subscription.cancel_at_period_end {
        lifecycle::cut_short(subscription);
    }
}
