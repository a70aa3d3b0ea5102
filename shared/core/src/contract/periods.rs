//! The period that a contract is in: the one that Stripe bills.
//!
//! # How it works
//! What is left of a period is credited and charged as a share of the one that Stripe bills, so the contract follows it. The next one begins with a
//! renewal. An operator begins one in the midst of another: by resetting the billing cycle, or with a trial, at whose end a period begins
//! that is counted from there. What was read at Stripe is never older than what is stored, so a period that begins before that one is none.
//!
//! Nothing is billed in a trial, which is therefore followed by nobody: what the contract stood at before it waits for the period after it.
//!
//! Not here: who is served until when. That is what was paid for ([`crate::coverage`]), whatever the period.

use jiff::Timestamp;

use super::{Billing, Contract, Read, Status};
use crate::calendar::Anchor;
use crate::estimate::{self, NoEstimate, Standing};
use crate::period::Period;
use crate::sale::Offer;
use crate::subscription::Status as BillingStatus;

impl Contract {
    /// Whether Stripe bills another period than the contract stands at. One that the contract's end cuts short is the same, and so is a first
    /// one that an anchor cuts short, which begins later than the whole one and ends where that does, or with the contract.
    #[must_use]
    pub fn is_in_another_period(&self, billing: &Billing) -> bool {
        let (known, period) = (self.standing.period, billing.period);
        if billing.status == BillingStatus::Trialing || period.start < known.start {
            return false;
        }
        let ends = [self.ends_at, billing.cancel_at];
        let is_cut = ends
            .iter()
            .flatten()
            .any(|end| end.as_second() == period.end.as_second());
        let is_first = known.end == self.standing.anchor.at;
        let is_shorter = period.end < known.end && known.start < period.start && !(is_cut && is_first);
        known.end < period.end || is_shorter
    }

    /// Whether what is read of it at `now` tells what came after the period, or the trial, that it [is lapsed](Self::is_lapsed) with.
    #[must_use]
    pub fn has_gone_on(&self, read: &Read, now: Timestamp) -> bool {
        let Billing { status, period, .. } = &read.billing;
        let was = self.billing.as_ref().map(|billing| billing.status);
        // In a trial, nothing is left of a period for as long as that lasts.
        let is_other = match status {
            BillingStatus::Trialing => now < period.end,
            status => !status.is_live() || was == Some(BillingStatus::Trialing),
        };
        let has_begun = self.standing.over_at() <= period.start;
        is_other || has_begun || self.is_in_another_period(&read.billing) || self.has_another_end(read)
    }

    /// The same in the period that its subscription was last seen in. The build before this one left it in another when an operator had begun one,
    /// and so does a sale that is forgotten right after a renewal.
    pub fn in_billed_period(self) -> Result<Self, NoEstimate> {
        let Some(billing) = self.billing.as_ref().filter(|billing| {
            // An end that Stripe has gone on after is for whoever lands it.
            let is_over = self.ends_at.is_some_and(|end| end <= billing.period.start);
            self.status == Status::Active && !is_over && self.is_in_another_period(billing)
        }) else {
            return Ok(self);
        };
        let ending = Standing {
            ends_at: self.ends_at,
            ..self.standing.clone()
        };
        let standing = billed_in(&ending, billing.period)?;
        Ok(Self { standing, ..self })
    }
}

/// A standing in a period that Stripe has billed after, or instead of, the one that it is in.
pub(super) fn billed_in(standing: &Standing, period: Period) -> Result<Standing, NoEstimate> {
    Ok(in_period(estimate::billed_from(standing, period.start)?, period))
}

/// What a sale comes to that took effect, in the period that Stripe bills, which an operator's end may have cut short since. One that began after what was
/// sold, or instead of the one that an amendment found and left as it is, is another, of which nothing was sold: it is followed like any other.
pub(super) fn sold_in(offer: &Offer, billing: &Billing) -> Standing {
    let period = billing.period;
    let sold = Standing {
        ends_at: billing.cancel_at.or(offer.after.ends_at),
        ..offer.after.clone()
    };
    let is_over = sold.period.end <= period.start;
    let is_as_found = offer
        .before
        .as_ref()
        .is_some_and(|before| before.period == sold.period);
    if is_over || is_as_found {
        sold
    } else {
        in_period(sold, period)
    }
}

/// A standing in the period that Stripe bills. A first period that an anchor cuts short ends where the standing's does, and one that the contract's
/// end cuts short ends there: they stay shares of the whole one.
fn in_period(standing: Standing, period: Period) -> Standing {
    if standing.period.end == period.end {
        return standing;
    }
    if standing.ends_at == Some(period.end) {
        let cadence = standing.configuration.cadence;
        // It begins there, or is one that the anchor cuts short as well; a first one that was paid for later is counted from then on.
        let counts = |whole: Period| whole.start == period.start || whole.end == standing.anchor.at;
        let counted = standing.anchor.first_period(cadence, period.start);
        let anchor = if counted.is_ok_and(counts) {
            standing.anchor
        } else {
            Anchor::of(period.start)
        };
        // Of a longer one that somebody else bills there it is no share.
        let whole = anchor.first_period(cadence, period.start).ok();
        let whole = whole.filter(|whole| period.end <= whole.end);
        return Standing {
            anchor,
            period: whole.unwrap_or(period),
            ..standing
        };
    }
    // One of the anchor's own would end where the standing's does.
    Standing {
        anchor: Anchor::of(period.start),
        period,
        ..standing
    }
}
