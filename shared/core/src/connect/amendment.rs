//! Changing what was sold, before it begins and while it runs.
//!
//! # How it works
//! What is wanted is compared with what there is; only the difference is asked of Stripe, so that asking twice is as good as once.
//! The difference is written down under a number before Stripe is asked, and what has to be asked next follows from how far the
//! sale is ([`Amendment::next`](crate::connect::amendment::Amendment::next)): a schedule that waits is rewritten; a running subscription is changed, after its schedule has let go of it.
//!
//! # If it fails half-way
//! Whoever finds an amendment that is not done does the rest of it: the next call, or the event of the step that was taken.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::contract::{Contract, Stage};
use super::order::{self, Tax, Timeliness};
use super::place::Moved;
use super::sale::{Sale, Terms};
use crate::access::Owner;
use crate::asked::{is_in_flight, is_key_kept};
use crate::id::{AgencyId, BilledPriceId, ScheduleId, SubscriptionId};

/// How long before its start a sale may be begun by Stripe before Stripe is asked for what was decided: longer than any call takes, and clocks differ.
/// A schedule that has begun Stripe rewrites like one that has not.
const ABOUT_TO_START: SignedDuration = SignedDuration::from_mins(5);

/// What is to be different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// How it is taxed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// Whether it ends with its period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<bool>,
    /// Whether the phase of the schedule that waited had to be written anew for it: once that is done the phase does not tell any more, and
    /// Stripe takes under one key what it took before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes_phase: bool,
    /// What there is of that, where Stripe may have something else by the time that it is asked.
    #[serde(default, skip_serializing_if = "Before::is_nothing")]
    pub before: Before,
}

/// What a difference is to take the place of. What the agency has made of it at Stripe since is newer than what was asked for, and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The flat price, where it is to be another. Builds before this one wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<BilledPriceId>,
    /// The start, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
}

impl Before {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A difference that Stripe was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// Which of the sale's amendments it is, from 1.
    pub number: u64,
    /// What is to be different.
    pub difference: Difference,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Where the client was, from before Stripe is told that it is elsewhere for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// What is to be asked of Stripe next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The schedule's terms, start, tax and end are written anew.
    Rewrite(ScheduleId),
    /// The schedule ends the subscription with its phase, or lets it go on.
    EndWithSchedule(ScheduleId, bool),
    /// The schedule lets go of the subscription.
    Release(ScheduleId),
    /// The subscription is put into the flexible billing mode, so that what was used is billed when its price is taken away.
    Migrate(SubscriptionId),
    /// The subscription is changed.
    Change(SubscriptionId),
}

/// Why a sale cannot be changed as it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is canceled.
    #[error("the subscription is canceled")]
    Over,
    /// It runs.
    #[error("the subscription has started: its start cannot be changed")]
    Started,
    /// It waits for another start, and the one that it was to be given is over.
    #[error("the start that was asked for is over")]
    StartOver,
    /// Its first payment is missing.
    #[error("the subscription is incomplete: its first invoice is not paid")]
    Incomplete,
    /// Its schedule has phases that we did not write, and would not write again.
    #[error("the schedule was given more phases at Stripe: it can only be changed there")]
    Rearranged,
    /// The phase of its schedule says what we did not write, and would not write again.
    #[error("the schedule was given terms at Stripe that would be lost: it can only be changed there")]
    Furnished,
    /// It ends after its period, by a term that we did not set, and would not set again.
    #[error(
        "the subscription was given a later end at Stripe that would be lost: it can only be changed there"
    )]
    EndsLater,
    /// What was to be different is neither what it was nor what it was to be.
    #[error("the subscription was changed at Stripe meanwhile")]
    ChangedSince,
    /// It runs, by another interval.
    #[error("the subscription has started: its interval cannot be changed")]
    OtherInterval,
    /// It may run by the time that Stripe is asked for another interval.
    #[error("the subscription is about to start: its interval cannot be changed")]
    AboutToStart,
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What is left at `now` of what is wanted once what there is already is taken away. What tells where the client is always counts:
    /// it goes to its customer.
    pub fn from(self, contract: &Contract, now: Timestamp) -> Result<Self, Refusal> {
        let begun = match contract.stage() {
            Stage::Over => return Err(Refusal::Over),
            Stage::Waiting(_) => false,
            Stage::Owned(..) | Stage::Free(_) => true,
        };
        let same_product = |terms: &Terms| {
            contract
                .flat()
                .is_some_and(|line| line.price.product == terms.product)
        };
        let has_start = |asked: Timestamp| {
            let began = contract.start.filter(|_| begun);
            contract.start == Some(asked)
                || began.is_some_and(|began| order::began_as_asked(began, asked, now))
        };
        let left = Self {
            terms: self.terms.filter(|terms| !same_product(terms)),
            start: self.start.filter(|asked| !has_start(*asked)),
            tax: self.tax.filter(|tax| tax.is_news_to(contract)),
            ends: self.ends.filter(|ends| *ends != contract.ends),
            ..Self::default()
        };
        let writes_phase = !begun && left.is_of_the_phase(contract);
        match (contract.status.as_str(), left.dropping(contract)) {
            _ if begun && left.start.is_some() => Err(Refusal::Started),
            ("incomplete", _) if !left.is_nothing() => Err(Refusal::Incomplete),
            (_, Some(refusal)) => Err(refusal),
            (_, None) => Ok(Self {
                writes_phase,
                before: left.replacing(contract),
                ..left.carrying(contract)
            }),
        }
    }

    /// What it takes the place of.
    fn replacing(&self, contract: &Contract) -> Before {
        let flat = contract.flat().filter(|_| self.terms.is_some());
        Before {
            flat: flat.map(|line| line.price.id.clone()),
            start: contract.start.filter(|_| self.start.is_some()),
        }
    }

    /// Whether somebody else has made something of what it was to take the place of.
    fn is_outdated(&self, contract: &Contract) -> bool {
        let flat = contract.flat().map(|line| &line.price.id);
        let other_flat = match (&self.before.flat, &self.terms, flat) {
            (Some(before), Some(terms), Some(now)) => now != before && *now != terms.flat,
            _ => false,
        };
        // What has begun has begun when it did.
        let waits = matches!(contract.stage(), Stage::Waiting(_));
        let other_start = match (self.before.start, self.start, contract.start) {
            (Some(before), Some(asked), Some(now)) if waits => now != before && now != asked,
            _ => false,
        };
        other_flat || other_start
    }

    /// A schedule that lets go of its subscription leaves it the date of its end; an end with the period is told once more, in the way
    /// that an end is told of what runs by itself. A later date is left as it is.
    fn carrying(self, contract: &Contract) -> Self {
        let released = matches!(contract.stage(), Stage::Owned(..)) && self.needs_release(contract);
        let with_period = contract.ends && contract.ends_at == contract.period.map(|period| period.end);
        match self.ends {
            None if released && with_period => Self {
                ends: Some(true),
                ..self
            },
            _ => self,
        }
    }

    /// What Stripe would be asked for takes away what is not ours: phases, or what the phase says.
    fn dropping(&self, contract: &Contract) -> Option<Refusal> {
        let rewrites = match contract.stage() {
            Stage::Waiting(_) => self.is_of_the_phase(contract) || self.cuts_short(contract),
            Stage::Owned(..) | Stage::Free(_) | Stage::Over => false,
        };
        let drops = match contract.stage() {
            Stage::Owned(..) => self.needs_release(contract),
            Stage::Waiting(_) | Stage::Free(_) | Stage::Over => rewrites,
        };
        if drops && contract.has_more_phases {
            Some(Refusal::Rearranged)
        } else if rewrites && (contract.has_other_terms || self.terms.is_some() && contract.has_other_items())
        {
            Some(Refusal::Furnished)
        } else if self.ends_before_its_term(contract) {
            Some(Refusal::EndsLater)
        } else {
            None
        }
    }

    /// Whether it would have what runs go on by another interval. Its terms may have been chosen while it had not begun.
    fn changes_interval(&self, contract: &Contract) -> bool {
        match (&self.terms, contract.flat()) {
            (Some(terms), Some(flat)) => terms.cadence != flat.price.cadence,
            _ => false,
        }
    }

    /// Whether the phase of a schedule has to be written anew for it: also for another tax, where a phase says its own.
    #[must_use]
    pub fn is_of_the_phase(&self, contract: &Contract) -> bool {
        let tax = self.tax.as_ref().filter(|_| contract.phase_says_tax);
        let other_tax = tax.is_some_and(|tax| is_other_tax(tax, contract));
        self.writes_phase || self.terms.is_some() || self.start.is_some() || other_tax
    }

    /// Whether it is to end with a period that its schedule reaches beyond: an end of the schedule's would come too late.
    fn cuts_short(&self, contract: &Contract) -> bool {
        self.ends == Some(true) && contract.outlasts_period
    }

    /// Whether it is to end with a period although it ends later by itself: nothing would bring that end back, were this one taken back.
    fn ends_before_its_term(&self, contract: &Contract) -> bool {
        let term = contract.ends_at.zip(contract.period);
        let ends_later = term.is_some_and(|(end, period)| end > period.end);
        self.ends == Some(true) && !contract.ends && ends_later
    }

    /// Whether it is more than the schedule of a running subscription can see to.
    fn needs_release(&self, contract: &Contract) -> bool {
        self.terms.is_some() || self.tax.is_some() || self.cuts_short(contract)
    }
}

impl Tax {
    /// Whether there is something to be done for it: it is not what there is, or tells where the client is, which goes to its customer.
    #[must_use]
    pub fn is_news_to(&self, contract: &Contract) -> bool {
        is_other_tax(self, contract) || self.tells_place()
    }
}

/// Whether it is not what there is of taxes, now or in a phase to come.
fn is_other_tax(tax: &Tax, contract: &Contract) -> bool {
    tax.enabled != contract.taxed || contract.tax_varies
}

impl Amendment {
    /// Whether it is worth finishing: after that Stripe may have forgotten the key.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        is_key_kept(self.asked_at, now)
    }

    /// Whether the machine that wrote it down may be waiting for Stripe's answer.
    #[must_use]
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        is_in_flight(self.asked_at, now)
    }

    /// Whether Stripe can still be asked for the start that this gives what waits for another one; so it can where it gives none.
    #[must_use]
    pub fn timeliness(&self, contract: &Contract, now: Timestamp) -> Timeliness {
        let other = self
            .difference
            .start
            .filter(|start| contract.start != Some(*start));
        match (contract.stage(), other) {
            // One that counted as now is as old as the amendment.
            (Stage::Waiting(_), Some(start)) => order::timeliness(start.max(self.asked_at), now),
            _ => Timeliness::InTime,
        }
    }

    /// Why it comes to nothing by now: what it was asked of has moved on since, and Stripe was not reached before.
    #[must_use]
    pub fn overtaken(&self, contract: &Contract, now: Timestamp) -> Option<Refusal> {
        // What was to begin at once has begun, by itself or by this.
        let later = self.difference.start.filter(|start| *start > self.asked_at);
        match contract.stage() {
            Stage::Over => Some(Refusal::Over),
            _ if self.difference.is_outdated(contract) => Some(Refusal::ChangedSince),
            Stage::Owned(..) | Stage::Free(_) if later.is_some_and(|start| contract.start != Some(start)) => {
                Some(Refusal::Started)
            }
            Stage::Owned(..) | Stage::Free(_) if self.difference.changes_interval(contract) => {
                Some(Refusal::OtherInterval)
            }
            Stage::Waiting(_) if self.timeliness(contract, now) == Timeliness::Over => {
                Some(Refusal::StartOver)
            }
            // One that is given another start Stripe refuses once it has begun.
            Stage::Waiting(_)
                if self.difference.start.is_none()
                    && self.difference.changes_interval(contract)
                    && contract
                        .start
                        .is_some_and(|start| start.duration_since(now) < ABOUT_TO_START) =>
            {
                Some(Refusal::AboutToStart)
            }
            _ => self.difference.dropping(contract),
        }
    }

    /// What is to be asked of Stripe next; none when there is nothing left that could be.
    #[must_use]
    pub fn next(&self, contract: &Contract) -> Option<Step> {
        match contract.stage() {
            Stage::Over => None,
            Stage::Waiting(schedule) => Some(Step::Rewrite(schedule.clone())),
            Stage::Owned(schedule, _) if self.difference.needs_release(contract) => {
                Some(Step::Release(schedule.clone()))
            }
            Stage::Owned(schedule, _) => {
                let ends = self.difference.ends?;
                Some(Step::EndWithSchedule(schedule.clone(), ends))
            }
            // Since decision 0017 whatever is sold is flexible; builds before it sold otherwise.
            Stage::Free(subscription)
                if self.difference.terms.is_some() && contract.metered().is_some() && !contract.flexible =>
            {
                Some(Step::Migrate(subscription.clone()))
            }
            Stage::Free(subscription) => Some(Step::Change(subscription.clone())),
        }
    }
}

impl Sale {
    /// The next amendment of this sale. `_owner` witnesses that nobody is being impersonated: it may cost money.
    #[must_use]
    pub fn amend(&self, _owner: &Owner<AgencyId>, difference: Difference, now: Timestamp) -> Amendment {
        Amendment {
            number: self.amendments + 1,
            difference,
            asked_at: now,
            moved: None,
        }
    }
}

#[cfg(test)]
mod tests;
