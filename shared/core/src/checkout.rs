//! One payable checkout per account.
//!
//! # How it works
//! Before Stripe is asked for a session, the intent is *reserved*: a record with a number that only grows. Stripe's idempotency
//! key is made of the account and that number, so whoever works on a reservation, once or ten times, on one machine or many,
//! gets the same session. Nobody waits for anybody: a caller that finds an unfinished reservation finishes it.
//!
//! # If it fails half-way
//! * Reserved, Stripe not asked: the next caller with the same intent asks.
//! * Stripe asked, answer lost: the next caller asks again with the same key and gets the same session.
//! * Session made, not recorded: likewise. Its client secret has reached nobody, so it cannot be paid meanwhile.
//! * Paid, and the event lost: the profile remembers the session as open, and Stripe is asked what became of it before another
//!   is made.
//!
//! Not here: calling Stripe, storing anything.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::id::{AccountId, PriceId, SessionId};
use crate::plan::Interval;
use crate::return_url::ReturnUrl;
use crate::subscription::Status;

/// How long Stripe keeps a session open when it is not told otherwise; a reservation lasts as long until Stripe has answered.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// What somebody wants to buy: two calls with the same intent are one purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// How often it is billed.
    pub interval: Interval,
    /// The Stripe price of that interval.
    pub price: PriceId,
    /// Phone numbers of the account, counted by us.
    pub quantity: u64,
    /// Where the payer returns to.
    pub return_url: ReturnUrl,
}

/// A session that the payer can be shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Stripe's id.
    pub id: SessionId,
    /// What opens the embedded page. Whoever has it can pay.
    pub client_secret: String,
}

impl fmt::Debug for OpenSession {
    /// Without the client secret, which must not reach a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OpenSession")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The account's one reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Whose it is.
    pub account: AccountId,
    /// Counts the account's reservations; the latest is the one that holds.
    pub number: u64,
    /// What is being bought.
    pub intent: Intent,
    /// Stripe's session, once recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<OpenSession>,
    /// Stripe's own `expires_at`; until Stripe has answered, [`SESSION_LIFETIME`] from the reservation.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

/// Why no checkout is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing to bill for.
    #[error("the account has no phone numbers to subscribe")]
    NoPhoneNumbers,
    /// A subscription that can still bill.
    #[error("the account already has a subscription")]
    AlreadySubscribed,
    /// A subscription of the customer's that can still bill, sold by another program and not told of here.
    #[error("the account's customer has a subscription at Stripe that is not taken over yet")]
    NotTakenOver,
    /// The last checkout went through; the webhook is about to say so.
    #[error("a checkout was just completed; the subscription is being set up")]
    Completed,
    /// The first bill of a subscription that was ended: what is left of it could be paid beside what is bought now.
    #[error("the first bill of the subscription that ended is paid in part: only an operator can settle it")]
    PaidInPart,
}

/// What stands between a call and a session of its intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: reserve.
    Reserve,
    /// The same intent is reserved: its session is the answer.
    Resume(Reservation),
    /// Another intent is reserved: its session must be made unpayable first.
    Replace(Reservation),
    /// No reservation, but a session whose end nobody told: Stripe must be asked first.
    Settle(SessionId),
}

/// How long a reserved checkout counts.
const PACE: SignedDuration = SignedDuration::from_mins(1);
/// How many may count at once: more than anybody makes by hand, and far fewer than a loop that ran away.
const BURST: i32 = 60;

/// Another checkout would be one too many for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many checkouts were started for this account")]
pub struct TooMany {
    /// When the next may be reserved.
    pub until: Timestamp,
}

/// Whether an account may reserve one more checkout: sixty at once, and then one a minute. Answers until when they count then.
///
/// One instant says it all: each reservation moves it a minute on, from now at the least, and it may be an hour ahead at most.
/// It is written with the reservation, under the same condition, so two at once count as two.
pub fn pace(account: &Account, now: Timestamp) -> Result<Timestamp, TooMany> {
    let counted = account.profile.checkouts_paced_until.unwrap_or(now).max(now);
    let next = counted.saturating_add(PACE).unwrap_or(Timestamp::MAX);
    let until = next.saturating_sub(PACE * BURST).unwrap_or(now);
    if until > now {
        Err(TooMany { until })
    } else {
        Ok(next)
    }
}

/// How many units a checkout of this account is for. An incomplete subscription may be what a try in vain has begun on the page of a session
/// that is open still: whether it is in the way is for Stripe to say, once that session is out of it.
pub fn quantity(account: &Account) -> Result<u64, Refusal> {
    let live = account.live_subscription();
    if live.is_some_and(|subscription| subscription.status != Status::Incomplete) {
        return Err(Refusal::AlreadySubscribed);
    }
    match account.quantity() {
        0 => Err(Refusal::NoPhoneNumbers),
        quantity => Ok(quantity),
    }
}

/// What to do next, given what is stored.
#[must_use]
pub fn next(account: &Account, reservation: Option<Reservation>, intent: &Intent, now: Timestamp) -> Next {
    // What the account does not count can never be recorded: the two were read at different moments, or the account was restored from a backup.
    let can_be_finished =
        |held: &Reservation| held.session.is_some() || held.number == account.profile.checkouts;
    // DynamoDB may delete an expired item days late, so age is checked on read.
    match (
        reservation.filter(|held| now < held.expires_at && can_be_finished(held)),
        &account.profile.open_session,
    ) {
        (Some(reservation), _) if reservation.intent == *intent => Next::Resume(reservation),
        (Some(reservation), _) => Next::Replace(reservation),
        (None, Some(session)) => Next::Settle(session.clone()),
        (None, None) => Next::Reserve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Number, Profile};
    use crate::period::Period;
    use crate::return_url::Policy;
    use crate::subscription::Subscription;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn account(numbers: usize) -> Account {
        Account {
            profile: Profile {
                checkouts: 1,
                ..Profile::new("ada".parse().unwrap(), at("2026-04-01T00:00:00Z"))
            },
            subscription: None,
            numbers: (0..numbers)
                .map(|n| Number {
                    id: format!("n{n}").parse().unwrap(),
                    number: "+15551230001".parse().unwrap(),
                    nickname: None,
                    created_at: at("2026-04-01T00:00:00Z"),
                })
                .collect(),
            ledger: vec![],
            reversals: vec![],
        }
    }

    fn intent(quantity: u64) -> Intent {
        let policy = Policy {
            hosts: vec![],
            loopback_http: false,
        };
        Intent {
            interval: Interval::Monthly,
            price: "price_m".parse().unwrap(),
            quantity,
            return_url: ReturnUrl::parse("https://app.example.com/", &policy).unwrap(),
        }
    }

    fn reservation(quantity: u64) -> Reservation {
        Reservation {
            account: "ada".parse().unwrap(),
            number: 1,
            intent: intent(quantity),
            session: None,
            expires_at: at("2026-04-02T00:00:00Z"),
        }
    }

    #[test]
    fn every_status_that_can_bill_bars_a_second_subscription_and_an_incomplete_one_is_looked_at() {
        let bars = Err(Refusal::AlreadySubscribed);
        for (word, told) in [
            ("incomplete", Ok(1)),
            ("trialing", bars),
            ("active", bars),
            ("past_due", bars),
            ("unpaid", bars),
            ("paused", bars),
            ("a word of tomorrow", bars),
        ] {
            let mut account = account(1);
            account.subscription = Some(Subscription {
                id: "sub_1".parse().unwrap(),
                status: Status::parse(word),
                price: "price_m".parse().unwrap(),
                interval: Some(Interval::Monthly),
                quantity: 1,
                period: Period {
                    start: at("2026-04-01T00:00:00Z"),
                    end: at("2026-05-01T00:00:00Z"),
                },
                cancel_at_period_end: false,
            });
            assert_eq!(quantity(&account), told, "{word}");
        }
    }

    #[test]
    fn the_quantity_is_the_number_of_phone_numbers() {
        assert_eq!(quantity(&account(3)), Ok(3));
        assert_eq!(quantity(&account(0)), Err(Refusal::NoPhoneNumbers));
    }

    #[test]
    fn a_reservation_holds_until_the_second_it_expires() {
        let held = |now| next(&account(3), Some(reservation(3)), &intent(3), at(now));
        assert_eq!(held("2026-04-01T23:59:59Z"), Next::Resume(reservation(3)));
        assert_eq!(held("2026-04-02T00:00:00Z"), Next::Reserve);
    }

    /// Of an account that was restored from a backup: it counts fewer, or more, where it was restored with its counters moved on.
    #[test]
    fn a_reservation_that_the_account_does_not_count_is_not_finished() {
        let now = at("2026-04-01T12:00:00Z");
        let session = OpenSession {
            id: "cs_1".parse().unwrap(),
            client_secret: "cs_1_secret_x".into(),
        };
        for checkouts in [0, 2] {
            let mut account = account(3);
            account.profile.checkouts = checkouts;
            let next = |held| next(&account, Some(held), &intent(3), now);
            assert_eq!(next(reservation(3)), Next::Reserve, "{checkouts}");
            // What is recorded can be paid.
            let recorded = Reservation {
                session: Some(session.clone()),
                ..reservation(3)
            };
            assert_eq!(next(recorded.clone()), Next::Resume(recorded), "{checkouts}");
        }
    }

    #[test]
    fn another_intent_replaces_and_an_untold_end_is_asked_for() {
        let mut account = account(4);
        let now = at("2026-04-01T12:00:00Z");
        assert_eq!(
            next(&account, Some(reservation(3)), &intent(4), now),
            Next::Replace(reservation(3))
        );
        account.profile.open_session = Some("cs_1".parse().unwrap());
        assert_eq!(
            next(&account, None, &intent(4), now),
            Next::Settle("cs_1".parse().unwrap())
        );
    }

    #[test]
    fn a_client_secret_does_not_print() {
        let session = OpenSession {
            id: "cs_1".parse().unwrap(),
            client_secret: "cs_1_secret_x".into(),
        };
        assert!(!format!("{session:?}").contains("secret_x"));
    }

    /// Sixty at once; the sixty-first after a minute, and then one a minute; after an hour sixty again.
    #[test]
    fn checkouts_are_paced() {
        let mut account = account(1);
        let start = at("2026-04-01T00:00:00Z");
        let mut reserve = |minutes: i64| {
            let next = pace(&account, start + SignedDuration::from_mins(minutes));
            if let Ok(until) = next {
                account.profile.checkouts_paced_until = Some(until);
            }
            next.map(drop)
        };
        for _ in 0..60 {
            assert_eq!(reserve(0), Ok(()));
        }
        let refused = TooMany {
            until: at("2026-04-01T00:01:00Z"),
        };
        assert_eq!(reserve(0), Err(refused));
        assert_eq!(reserve(1), Ok(()));
        assert!(reserve(1).is_err());
        for _ in 0..60 {
            assert_eq!(reserve(61), Ok(()));
        }
        assert!(reserve(61).is_err());
    }
}
