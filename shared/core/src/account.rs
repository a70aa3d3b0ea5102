//! An account as it is stored: one collection of a profile, phone numbers, a subscription and a ledger.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::coverage::Entry;
use crate::id::{AccountId, CustomerId, NumberId, SessionId};
use crate::subscription::Subscription;

/// Who the account is, and where it stands with Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The account's own id.
    pub id: AccountId,
    /// A name for people; Stripe's customer gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where Stripe sends receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Counts every write that a decision could rest on. A write that decides names the version that it read, so of two
    /// that decided on the same facts one has to look again.
    pub version: u64,
    /// The account's one customer at Stripe, once its creation is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// When Stripe was first asked to create that customer: from then on it may exist without our knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_asked_at: Option<Timestamp>,
    /// How many checkouts were ever reserved. The number of the latest names its session at Stripe (idempotency key), so
    /// it only ever grows.
    #[serde(default)]
    pub checkouts: u64,
    /// The latest session that could be paid and whose end no event has told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_session: Option<SessionId>,
}

/// A phone number: the unit that is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The number's own id.
    pub id: NumberId,
    /// As dialled, E.164 (`+15551230001`).
    pub number: String,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// When it was added; the oldest are covered first.
    pub created_at: Timestamp,
}

/// The whole collection, numbers in the order they were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who it is.
    pub profile: Profile,
    /// Its one subscription, live or the last one that was.
    pub subscription: Option<Subscription>,
    /// Its phone numbers, oldest first.
    pub numbers: Vec<Number>,
    /// What it has paid for.
    pub ledger: Vec<Entry>,
}

impl Account {
    /// How many units a subscription of this account is billed for.
    #[must_use]
    pub fn quantity(&self) -> u64 {
        u64::try_from(self.numbers.len()).unwrap_or(u64::MAX)
    }
}
