//! Checkout sessions over plans and contracts: an offer that stands for a while, and what has become of it.
//!
//! # How it works
//! A session is made of a `Wish`, whose kind is told by what it names (`wish`), and of the `Offer` that the wish came to at that
//! moment. It lives until `open_until`, to the second, by the clock and not by what the database has deleted. Confirming it
//! prices the wish again: an offer that is not the same any more is not charged.
//!
//! Every write counts the session's `version` up, and a confirmation claims the version before Stripe is asked for anything, so
//! of two confirmations one charges. A caller who names a version agrees to its offer, which stands from the version that it was written
//! in until it is made anew: a confirmation that came to nothing can be repeated as it was. What is asked of Stripe is written down as a [`crate::sale::Sale`] of the contract.
//!
//! Not here: what an offer comes to ([`crate::offer`] and [`crate::estimate`]), asking Stripe, storing anything.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{OutOfTime, Zone};
use crate::contact::{Address, Email, Name};
use crate::contract::SessionUpdate;
use crate::id::{BusinessEntityId, BuyerId, CheckoutId, ContractId, OrganisationId};
use crate::sale::Offer;

/// What a request for a session has to say, and which kind of session that makes it.
pub mod wish;

pub use wish::{Kind, Wish, WishMembers};

/// The shortest life of a session. Source: Stripe's for the payment page.
pub const SHORTEST: SignedDuration = SignedDuration::from_mins(30);
/// The longest, and what a session gets that asks for none.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// For how long after its life a session can still be read, so that a confirmation is answered the same and an expired one reads as
/// such.
pub const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What has become of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can be confirmed.
    Open,
    /// It was confirmed, and its payment is under way or its page is open.
    Pending,
    /// It is paid, and the contract is about to be written.
    PaymentSucceeded,
    /// Done: the contract is made, or amended.
    ContractCreated,
    /// Its time ran out before it was paid.
    Expired,
    /// What it was to amend is over.
    Cancelled,
}

/// Who buys without being a customer yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// For people and for Stripe.
    pub name: Name,
    /// By which a guest is recognised: the same address is one customer.
    pub email: Email,
    /// For Stripe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// A day, or an instant to the second, as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum When {
    /// From its first instant in the business entity's time zone.
    Day(Date),
    /// Exactly then.
    Instant(Timestamp),
}

/// A text that is neither a date nor a date-time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a date (2026-04-01) or a date-time with an offset (2026-04-01T00:00:00Z)")]
pub struct NotATime;

impl When {
    /// The instant that it means there.
    pub fn instant(self, zone: &Zone) -> Result<Timestamp, OutOfTime> {
        match self {
            Self::Day(date) => zone.start_of(date),
            Self::Instant(at) => Ok(crate::calendar::whole_second(at)),
        }
    }

    /// The day that it falls on there.
    #[must_use]
    pub fn day(self, zone: &Zone) -> Date {
        match self {
            Self::Day(date) => date,
            Self::Instant(at) => zone.date(at),
        }
    }
}

impl std::str::FromStr for When {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        // jiff would take a date out of a date-time without an offset.
        let is_date = text.len() == "2026-04-01".len();
        match (is_date, text.parse::<Date>()) {
            (true, Ok(date)) => Ok(Self::Day(date)),
            (true, Err(_)) => Err(NotATime),
            (false, _) => text.parse().map(Self::Instant).map_err(|_| NotATime),
        }
    }
}

impl TryFrom<String> for When {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Day(date) => write!(out, "{date}"),
            Self::Instant(at) => write!(out, "{at}"),
        }
    }
}

impl From<When> for String {
    fn from(when: When) -> Self {
        when.to_string()
    }
}

/// A session, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: CheckoutId,
    /// Whose it is.
    pub organisation: OrganisationId,
    /// Counts the writes; a confirmation may name the one that it read, and so agrees to the offer of that one.
    pub version: u64,
    /// What has become of it, but for its time running out: [`Session::status_at`].
    pub status: Status,
    /// What was asked for.
    pub wish: Wish,
    /// The customer that it is for; none for a guest until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<BuyerId>,
    /// Who sells: its time zone says which day it is.
    pub business_entity: BusinessEntityId,
    /// When the contract begins, frozen when the session was made.
    pub start: When,
    /// What it comes to.
    pub offer: Offer,
    /// Whether the offer was made anew because an earlier one had moved: then a confirmation has to name the version that it agrees
    /// to.
    #[serde(default)]
    pub is_requoted: bool,
    /// The version that the offer was last written in: whoever names that one, or any since, agrees to the same offer. None in what a build
    /// before this one has written, where the latest version alone is known to be of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_version: Option<u64>,
    /// The contract that it makes or amends. That of a new contract is told once it is made.
    pub contract: ContractId,
    /// How many sales were ever asked of Stripe for it. The number of the latest names Stripe's requests, so it only ever grows.
    #[serde(default)]
    pub sales: u64,
    /// Where it can be paid, while it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether a payment was begun in time whose outcome is not known yet: a bank debit takes days.
    #[serde(default)]
    pub is_paying: bool,
    /// What became of a payment that came too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_payment: Option<LatePayment>,
    /// Until when it can be confirmed.
    pub open_until: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// From when on the database may delete it.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

/// What became of a payment that arrived after its session's time had run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePayment {
    /// The offer still held, and the contract was made.
    Honoured,
    /// The offer had moved, and the money was given back.
    Refunded,
}

impl Session {
    /// What has become of it at `now`. Nothing expires because it was deleted: DynamoDB deletes late.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Open | Status::Pending if self.is_over(now) => Status::Expired,
            status => status,
        }
    }

    /// The session after it was told what became of its sale.
    #[must_use]
    pub fn after(&self, update: &SessionUpdate, now: Timestamp) -> Self {
        let written = Self {
            version: self.version + 1,
            updated_at: now,
            ..self.clone()
        };
        match update {
            SessionUpdate::Waits { page, is_paying } => Self {
                status: Status::Pending,
                // Where a payment is under way, there is nothing to be paid for now.
                url: page.clone().or_else(|| self.url.clone()).filter(|_| !is_paying),
                is_paying: *is_paying,
                ..written
            },
            SessionUpdate::Done(late_payment) => Self {
                status: Status::ContractCreated,
                url: None,
                is_paying: false,
                late_payment: *late_payment,
                ..written
            },
            SessionUpdate::Refunded => Self {
                status: Status::Expired,
                url: None,
                is_paying: false,
                late_payment: Some(LatePayment::Refunded),
                ..written
            },
            SessionUpdate::Over => Self {
                status: Status::Open,
                url: None,
                is_paying: false,
                ..written
            },
        }
    }

    /// The session once it is paid, while the contract is not written yet.
    #[must_use]
    pub fn paid(&self, now: Timestamp) -> Self {
        Self {
            version: self.version + 1,
            status: Status::PaymentSucceeded,
            updated_at: now,
            ..self.clone()
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.open_until <= now && !self.is_paying
    }

    /// The contract, once there is one to tell of.
    #[must_use]
    pub fn told_contract(&self) -> Option<&ContractId> {
        match (self.wish.kind, self.status) {
            (Kind::PlanBased, Status::ContractCreated) => Some(&self.contract),
            (Kind::PlanBased, _) => None,
            _ => Some(&self.contract),
        }
    }

    /// Whether the offer of that version is the one that stands. What was claimed, declined or left behind since has not touched it.
    fn is_of_the_offer(&self, version: u64) -> bool {
        (self.offer_version.unwrap_or(self.version)..=self.version).contains(&version)
    }

    /// Where it can be paid, while it can.
    #[must_use]
    pub fn url_at(&self, now: Timestamp) -> Option<&str> {
        self.url
            .as_deref()
            .filter(|_| self.status_at(now) == Status::Pending)
    }
}

/// The moment at which a session's time runs out. DynamoDB deletes it then, or days later, and whoever follows its deletions sees to
/// what the session left at Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Whose session.
    pub organisation: OrganisationId,
    /// Which.
    pub checkout: CheckoutId,
    /// When.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

/// Which session a wish was last made into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The session.
    pub checkout: CheckoutId,
    /// When its time runs out.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

/// Until when a session lives that is made now.
pub fn open_until(asked: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, BadExpiry> {
    let after = |lifetime| now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
    match asked {
        None => Ok(crate::calendar::whole_second(after(LONGEST))),
        Some(at) if at < after(SHORTEST) || at > after(LONGEST) => Err(BadExpiry),
        Some(at) => Ok(crate::calendar::whole_second(at)),
    }
}

/// A life that is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 30 minutes to 24 hours from now")]
pub struct BadExpiry;

/// What a confirmation agrees to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// A version of the session, whose offer is agreed to; none agrees to whichever there is, unless it was made anew.
    pub version: Option<u64>,
}

/// What a session's state and a confirmation come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is done, and answered as it was.
    Done,
    /// Something is asked of Stripe under its number: finish that.
    Finish,
    /// Its time has run out, and something was asked of Stripe before: it may be paid all the same.
    Settle,
    /// Price the wish again; the same offer is sold.
    Sell,
}

/// Why a session is not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its time has run out.
    #[error("the checkout session has expired")]
    Expired,
    /// What it was to amend is over.
    #[error("the checkout session is cancelled: its contract has ended")]
    Cancelled,
    /// A version with another offer is agreed to, or one that there is not, or none although the offer has moved.
    #[error("the checkout session is at version {0}: read it again, and confirm that version")]
    OtherVersion(u64),
}

/// What to do about a confirmation.
pub fn next(session: &Session, confirmation: &Confirmation, now: Timestamp) -> Result<Next, Refusal> {
    match session.status {
        Status::ContractCreated => return Ok(Next::Done),
        Status::Cancelled => return Err(Refusal::Cancelled),
        Status::Expired => return Err(Refusal::Expired),
        // Paid is paid, whatever the time.
        Status::PaymentSucceeded => return Ok(Next::Finish),
        Status::Pending if session.is_over(now) => return Ok(Next::Settle),
        Status::Pending => return Ok(Next::Finish),
        Status::Open if session.is_over(now) => return Err(Refusal::Expired),
        Status::Open => {}
    }
    match confirmation.version {
        Some(version) if !session.is_of_the_offer(version) => Err(Refusal::OtherVersion(session.version)),
        None if session.is_requoted => Err(Refusal::OtherVersion(session.version)),
        _ => Ok(Next::Sell),
    }
}

#[cfg(test)]
mod tests;
