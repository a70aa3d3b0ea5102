//! An account as it is stored: one collection of a profile, phone numbers, a subscription, a ledger and its reversals.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::contact::{Contact, Email, Name};
use crate::coverage::{self, Coverage, Entry};
use crate::id::{AccountId, CustomerId, InvoiceId, NumberId, SessionId};
use crate::reversal::{self, Reversal};
use crate::subscription::Subscription;

/// Who the account is, and where it stands with Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The account's own id.
    pub id: AccountId,
    /// A name for people; Stripe's customer gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Where Stripe sends receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// When an administrator last changed one of the two. Whoever read the account before may be asking Stripe for its customer
    /// with what was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_changed_at: Option<Timestamp>,
    /// When what is personal of the account was erased. It is over then: nothing is sold to it, and nobody has a key to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Counts the writes to the account's customer, checkouts, subscription and ledger. A write that decides names the version
    /// that it read, so of two that decided on the same facts one has to look again. Phone numbers do not count: a checkout
    /// is for those that were there when it was asked for.
    pub version: u64,
    /// The account's one customer at Stripe, once its creation is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// When Stripe was first asked to create that customer, the latest after those that were lost: from then on it may exist
    /// without our knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_asked_at: Option<Timestamp>,
    /// How many customers the account had before and lost, because an operator deleted them at Stripe. It names the next
    /// one's creation (idempotency key).
    #[serde(default)]
    pub lost_customers: u64,
    /// How many checkouts were ever reserved. The number of the latest names its session at Stripe (idempotency key), so
    /// it only ever grows.
    #[serde(default)]
    pub checkouts: u64,
    /// Until when the checkouts that were reserved count against the account's pace ([`crate::checkout::pace`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkouts_paced_until: Option<Timestamp>,
    /// The latest session that could be paid and whose end no event has told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_session: Option<SessionId>,
    /// How many changes of the subscription were ever asked of Stripe. The number of the latest names its request
    /// (idempotency key), so it only ever grows.
    #[serde(default)]
    pub changes: u64,
    /// The latest change, until it took effect or came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

impl Profile {
    /// That of an account which is created now, and of which nothing else is known.
    #[must_use]
    pub fn new(id: AccountId, now: Timestamp) -> Self {
        Self {
            id,
            name: None,
            email: None,
            contact_changed_at: None,
            erased_at: None,
            created_at: now,
            version: 0,
            customer: None,
            customer_asked_at: None,
            lost_customers: 0,
            checkouts: 0,
            checkouts_paced_until: None,
            open_session: None,
            changes: 0,
            change: None,
        }
    }

    /// How it is called and reached.
    #[must_use]
    pub fn contact(&self) -> Contact {
        Contact {
            name: self.name.clone(),
            email: self.email.clone(),
        }
    }
}

/// A telephone number in E.164: `+` and 7 to 15 digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// A text that is no telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number in international form (+15551230001)")]
pub struct NotAPhoneNumber;

impl PhoneNumber {
    /// With its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id under which an account keeps it: its digits, so that no account has it twice.
    pub fn id(&self) -> Result<NumberId, NotAPhoneNumber> {
        self.0[1..].parse().map_err(|_| NotAPhoneNumber)
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotAPhoneNumber;
    fn try_from(text: String) -> Result<Self, NotAPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(NotAPhoneNumber)?;
        let good = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if good {
            Ok(Self(text))
        } else {
            Err(NotAPhoneNumber)
        }
    }
}

impl std::str::FromStr for PhoneNumber {
    type Err = NotAPhoneNumber;
    fn from_str(text: &str) -> Result<Self, NotAPhoneNumber> {
        text.to_owned().try_into()
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

/// A phone number of an account: the unit that is billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The number's own id.
    pub id: NumberId,
    /// As dialled.
    pub number: PhoneNumber,
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
    /// What was given back of that.
    pub reversals: Vec<Reversal>,
}

impl Account {
    /// Its subscription, unless that is over.
    #[must_use]
    pub fn live_subscription(&self) -> Option<&Subscription> {
        self.subscription.as_ref().filter(|stored| stored.is_live())
    }

    /// Its subscription, when that is over and nothing has told that its last period was paid: the bill may still be, by a bank debit
    /// that is under way, or on its page.
    #[must_use]
    pub fn ended_unpaid(&self) -> Option<&Subscription> {
        let ended = self.subscription.as_ref().filter(|stored| !stored.is_live());
        ended.filter(|ended| {
            let mut paid = self.ledger.iter();
            !paid.any(|entry| entry.period.start == ended.period.start)
        })
    }

    /// The customer that the account was made with, as long as nothing has been sold to it or told of it here: what another program sold to it
    /// before may bill still, and nobody here knows.
    #[must_use]
    pub fn untold_customer(&self) -> Option<&CustomerId> {
        // The first checkout asks for a customer. Its number tells less: who restores an account from a backup moves that on.
        let is_untold = self.subscription.is_none() && self.profile.customer_asked_at.is_none();
        self.profile.customer.as_ref().filter(|_| is_untold)
    }

    /// How many units a subscription of this account is billed for.
    #[must_use]
    pub fn quantity(&self) -> u64 {
        u64::try_from(self.numbers.len()).unwrap_or(u64::MAX)
    }

    /// Whether an invoice stands in the ledger.
    #[must_use]
    pub(crate) fn has_landed(&self, invoice: &InvoiceId) -> bool {
        self.ledger.iter().any(|entry| entry.invoice == *invoice)
    }

    /// What is covered at `now`; see `coverage::covered`. Invoices whose money was all given back do not count.
    #[must_use]
    pub fn covered(&self, now: Timestamp, grace: SignedDuration) -> Option<Coverage> {
        let standing = reversal::standing(&self.ledger, &self.reversals);
        coverage::covered(&standing, now, grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Money;
    use crate::period::Period;
    use crate::plan::Interval;
    use crate::subscription::Status;

    fn month(number: i8) -> Period {
        let first = |month: i8| format!("2026-{month:02}-01T00:00:00Z").parse().unwrap();
        Period {
            start: first(number),
            end: first(number + 1),
        }
    }

    fn paid(period: Period) -> Entry {
        Entry {
            invoice: "in_1".parse().unwrap(),
            line: "il_1".parse().unwrap(),
            period,
            quantity: 3,
            amount: Money {
                minor: 3000,
                currency: "usd".parse().unwrap(),
            },
            gives_back: vec![],
        }
    }

    /// In April, of which nothing is paid.
    fn account(status: Option<Status>) -> Account {
        let subscription = status.map(|status| Subscription {
            id: "sub_1".parse().unwrap(),
            status,
            price: "price_m".parse().unwrap(),
            interval: Some(Interval::Monthly),
            quantity: 3,
            period: month(4),
            cancel_at_period_end: false,
        });
        Account {
            profile: Profile {
                customer: "cus_1".parse().ok(),
                ..Profile::new("ada".parse().unwrap(), month(4).start)
            },
            subscription,
            numbers: vec![],
            ledger: vec![paid(month(3))],
            reversals: vec![],
        }
    }

    #[test]
    fn the_last_bill_of_what_is_over_may_still_be_paid_until_it_is() {
        for (status, is_unpaid) in [
            (Some(Status::Canceled), true),
            (Some(Status::IncompleteExpired), true),
            (Some(Status::Active), false),
            (None, false),
        ] {
            let mut account = account(status);
            assert_eq!(account.ended_unpaid().is_some(), is_unpaid, "{status:?}");
            account.ledger.push(paid(month(4)));
            assert_eq!(account.ended_unpaid(), None, "{status:?}");
        }
    }

    #[test]
    fn a_customer_that_was_brought_along_is_untold_until_something_is_sold_to_it() {
        let mut brought = account(None);
        assert_eq!(brought.untold_customer().map(CustomerId::as_str), Some("cus_1"));
        brought.profile.customer_asked_at = Some(month(4).start);
        assert_eq!(brought.untold_customer(), None);
        brought.profile.customer_asked_at = None;
        brought.subscription = account(Some(Status::Canceled)).subscription;
        assert_eq!(brought.untold_customer(), None);
    }
}
