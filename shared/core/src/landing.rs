//! What a fact from Stripe changes about an account.
//!
//! A fact is an object re-read from Stripe after an event named it, never the event's own payload. The decision compares it
//! with what is stored; the store then writes the difference in one transaction that names the profile version read *before*
//! Stripe was asked. If anybody wrote in between, everything is read again, Stripe included: so what is written is never older
//! than what it overwrites, whatever the order of events. A fact that changes nothing is written too, as the profile's next
//! version: what it found may be newer than what somebody else is about to write.
//!
//! Coverage is granted here and nowhere else.

use jiff::Timestamp;

use crate::account::Account;
use crate::checkout::Reservation;
use crate::coverage::{Entry, new_entries};
use crate::id::{CustomerId, InvoiceId, SessionId, SubscriptionId};
use crate::reversal::{self, Reversal};
use crate::subscription::Subscription;

/// What was read at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The customer that all of it belongs to.
    pub customer: CustomerId,
    /// The subscription that was touched.
    pub subscription: Option<Subscription>,
    /// The lines of an invoice that is paid.
    pub paid: Vec<Entry>,
    /// What was given back of an invoice.
    pub reversal: Option<Reversal>,
    /// A checkout session that can no longer be paid.
    pub ended: Option<EndedSession>,
    /// What became of the change that the profile remembers.
    pub change: Option<ChangeStep>,
}

/// What is written down about a change of the interval ([`crate::change`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeStep {
    /// It waits for the payment of this invoice.
    Waits(InvoiceId),
    /// It waits, and has no cancellation to take back any more.
    Resumed,
    /// It took effect or came to nothing, and is forgotten.
    Over,
    /// It came to nothing and is forgotten, and its bill can be paid all the same, since somebody has given it up: the bill is let go.
    Dropped {
        /// The bill.
        bill: InvoiceId,
        /// When it is let go.
        at: Timestamp,
    },
}

/// A checkout session that is complete or expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSession {
    /// Stripe's id.
    pub id: SessionId,
    /// The number of the reservation that it was made for.
    pub number: Option<u64>,
}

/// The difference to write, all at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landing {
    /// The customer to link; it was unknown until now.
    pub customer: Option<CustomerId>,
    /// The subscription to store.
    pub subscription: Option<Subscription>,
    /// Ledger entries to add.
    pub entries: Vec<Entry>,
    /// What was given back of an invoice, to be stored in place of what is.
    pub reversal: Option<Reversal>,
    /// Whether there is more to do than fits, so that the facts must be landed once more.
    pub more: bool,
    /// The profile's open session is over.
    pub close_session: bool,
    /// The reservation with this number is over.
    pub release: Option<u64>,
    /// What became of the change that the profile remembers.
    pub change: Option<ChangeStep>,
    /// A second subscription that can bill beside the stored one: not stored, and somebody must be told.
    pub second: Option<SubscriptionId>,
}

/// The facts are about a customer that is not this account's, or was and has nothing to tell of that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("customer {0} is not the account's")]
pub struct Foreign(pub CustomerId);

/// What says that a customer is the account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Our own record of the customer: it is, or was until it was deleted at Stripe and another took its place.
    Record,
    /// What the object at Stripe says of itself, or the session that is ours.
    Object,
}

/// What the facts change.
pub fn land(
    account: &Account,
    reservation: Option<&Reservation>,
    facts: Facts,
    evidence: Evidence,
) -> Result<Landing, Foreign> {
    let reversal = facts
        .reversal
        .and_then(|fetched| reversal::news(&account.reversals, fetched));
    let customer = match &account.profile.customer {
        Some(known) if *known == facts.customer => None,
        // A customer that was deleted and replaced: what it paid covers, and may be given back, whenever that is heard of. Nothing else of it
        // counts any more.
        Some(_) => {
            let is_recorded = evidence == Evidence::Record;
            let paid = if is_recorded { facts.paid } else { Vec::new() };
            let (entries, more) = new_entries(&account.ledger, paid);
            let reversal = reversal.filter(|it| is_recorded || account.has_landed(&it.invoice));
            if entries.is_empty() && reversal.is_none() {
                return Err(Foreign(facts.customer));
            }
            return Ok(Landing {
                entries,
                reversal,
                more,
                ..Landing::default()
            });
        }
        // What is over may be the last that is heard of a customer that was deleted at Stripe and forgotten here; whoever has a
        // live subscription was not.
        None => {
            let live = facts.subscription.as_ref().is_some_and(Subscription::is_live);
            live.then_some(facts.customer)
        }
    };
    let change = facts.change.filter(|_| account.profile.change.is_some());
    // What was paid for a bill that is let go just now goes back in the next round.
    let is_let_go =
        |entry: &Entry| matches!(&change, Some(ChangeStep::Dropped { bill, .. }) if entry.invoice == *bill);
    let (let_go, paid): (Vec<Entry>, Vec<Entry>) = facts.paid.into_iter().partition(is_let_go);
    let (entries, more) = new_entries(&account.ledger, paid);
    let ended = facts.ended.as_ref();
    let close_session = ended.is_some_and(|ended| account.profile.open_session.as_ref() == Some(&ended.id));
    let release = reservation
        .filter(|reservation| ended.is_some_and(|ended| ended.is_of(reservation)))
        .map(|reservation| reservation.number);
    let is_latest = close_session || release.is_some();
    let (subscription, second) = match facts.subscription {
        Some(fetched) => refresh(account.subscription.as_ref(), fetched, is_latest),
        None => (None, None),
    };
    Ok(Landing {
        customer,
        subscription,
        entries,
        reversal,
        more: more || !let_go.is_empty(),
        close_session,
        release,
        change,
        second,
    })
}

impl EndedSession {
    /// By the recorded id; by the number where the session was paid before its id could be recorded.
    fn is_of(&self, reservation: &Reservation) -> bool {
        match &reservation.session {
            Some(session) => session.id == self.id,
            None => self.number == Some(reservation.number),
        }
    }
}

/// Which subscription to store, and which one should not exist. The latest is what the account's last checkout became.
fn refresh(
    stored: Option<&Subscription>,
    fetched: Subscription,
    is_latest: bool,
) -> (Option<Subscription>, Option<SubscriptionId>) {
    match stored {
        Some(stored) if *stored == fetched => (None, None),
        Some(stored) if stored.id != fetched.id && stored.is_live() => {
            (None, fetched.is_live().then_some(fetched.id))
        }
        // The end of an earlier subscription says nothing about a later one.
        Some(stored) if stored.id != fetched.id && !fetched.is_live() && !is_latest => (None, None),
        _ => (Some(fetched), None),
    }
}

#[cfg(test)]
mod tests;
