//! What lands, fact by fact.

use super::*;
use crate::account::Profile;
use crate::change::Change;
use crate::checkout::{Intent, OpenSession};
use crate::money::Money;
use crate::period::Period;
use crate::plan::Interval;
use crate::return_url::{Policy, ReturnUrl};
use crate::subscription::Status;
use jiff::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn subscription(id: &str, status: &str) -> Subscription {
    Subscription {
        id: id.parse().unwrap(),
        status: Status::parse(status),
        price: "price_m".parse().unwrap(),
        interval: Some(Interval::Monthly),
        quantity: 3,
        period: Period {
            start: at("2026-04-01T00:00:00Z"),
            end: at("2026-05-01T00:00:00Z"),
        },
        cancel_at_period_end: false,
    }
}

fn account(subscription: Option<Subscription>) -> Account {
    Account {
        profile: Profile {
            customer: Some("cus_1".parse().unwrap()),
            checkouts: 1,
            open_session: Some("cs_1".parse().unwrap()),
            ..Profile::new("ada".parse().unwrap(), at("2026-04-01T00:00:00Z"))
        },
        subscription,
        numbers: vec![],
        ledger: vec![],
        reversals: vec![],
    }
}

fn facts(subscription: Option<Subscription>) -> Facts {
    Facts {
        customer: "cus_1".parse().unwrap(),
        subscription,
        paid: vec![],
        reversal: None,
        ended: None,
        change: None,
    }
}

fn change() -> Change {
    Change {
        account: "ada".parse().unwrap(),
        number: 1,
        subscription: "sub_1".parse().unwrap(),
        item: "si_1".parse().unwrap(),
        interval: Interval::Annual,
        price: "price_y".parse().unwrap(),
        quantity: 3,
        code: None,
        promotion_code: None,
        proration_date: None,
        from: None,
        clears_cancellation: false,
        cancellation_date: None,
        quoted: None,
        asked_at: at("2026-04-11T00:00:00Z"),
        invoice: Some("in_1".parse().unwrap()),
        finishing_at: None,
    }
}

fn entry(line: &str) -> Entry {
    Entry {
        invoice: "in_1".parse().unwrap(),
        line: line.parse().unwrap(),
        period: Period {
            start: at("2026-04-01T00:00:00Z"),
            end: at("2026-05-01T00:00:00Z"),
        },
        quantity: 3,
        amount: Money {
            minor: 3000,
            currency: "usd".parse().unwrap(),
        },
        gives_back: vec![],
    }
}

fn reservation(session: Option<&str>) -> Reservation {
    let policy = Policy {
        hosts: vec![],
        loopback_http: false,
    };
    Reservation {
        account: "ada".parse().unwrap(),
        number: 2,
        intent: Intent {
            interval: Interval::Monthly,
            price: "price_m".parse().unwrap(),
            quantity: 3,
            return_url: ReturnUrl::parse("https://app.example.com/", &policy).unwrap(),
        },
        session: session.map(|id| OpenSession {
            id: id.parse().unwrap(),
            client_secret: format!("{id}_secret_x"),
        }),
        expires_at: at("2026-04-02T00:00:00Z"),
    }
}

#[test]
fn a_line_lands_once() {
    let mut account = account(None);
    account.ledger.push(entry("il_1"));
    let facts = Facts {
        paid: vec![entry("il_1"), entry("il_2")],
        ..facts(None)
    };
    assert_eq!(
        land(&account, None, facts, Evidence::Record).unwrap().entries,
        vec![entry("il_2")]
    );
}

/// The key is both: a line of the same id on another invoice is another line.
#[test]
fn a_line_of_another_invoice_is_another_line() {
    let mut account = account(None);
    account.ledger.push(entry("il_1"));
    let other = Entry {
        invoice: "in_2".parse().unwrap(),
        ..entry("il_1")
    };
    let facts = Facts {
        paid: vec![other.clone()],
        ..facts(None)
    };
    assert_eq!(
        land(&account, None, facts, Evidence::Record).unwrap().entries,
        vec![other]
    );
}

/// Of 3000, 1000 and then all are given back; what is known is not written again, and an invoice of which nothing was given
/// back has no reversal.
#[test]
fn a_reversal_is_stored_when_it_says_something_new() {
    let back = |given_back| Reversal {
        invoice: "in_1".parse().unwrap(),
        paid: entry("il_1").amount,
        forgiven: 0,
        given_back,
        lost: 0,
        disputed: false,
    };
    let mut account = account(None);
    let landed = |account: &Account, given_back| {
        let facts = Facts {
            reversal: Some(back(given_back)),
            ..facts(None)
        };
        land(account, None, facts, Evidence::Record).unwrap().reversal
    };
    assert_eq!(landed(&account, 0), None);
    assert_eq!(landed(&account, 1000), Some(back(1000)));
    account.reversals.push(back(1000));
    assert_eq!(landed(&account, 1000), None);
    assert_eq!(landed(&account, 3000), Some(back(3000)));
    assert_eq!(landed(&account, 0), Some(back(0)), "a refund that failed");
}

/// April was paid and refunded in full: nothing is covered, whatever landed first; the entry stays as it was.
#[test]
fn what_was_refunded_in_full_covers_nothing() {
    let mut account = account(None);
    let covered = |account: &Account| {
        account
            .covered(at("2026-04-10T00:00:00Z"), jiff::SignedDuration::ZERO)
            .is_some()
    };
    account.ledger.push(entry("il_1"));
    assert!(covered(&account));
    let mut reversal = Reversal {
        invoice: "in_1".parse().unwrap(),
        paid: entry("il_1").amount,
        forgiven: 0,
        given_back: 2999,
        lost: 0,
        disputed: true,
    };
    account.reversals.push(reversal.clone());
    assert!(covered(&account), "kept, and flagged");
    reversal.given_back = 3000;
    account.reversals[0] = reversal;
    assert!(!covered(&account));
    let other = Entry {
        invoice: "in_2".parse().unwrap(),
        ..entry("il_1")
    };
    account.ledger.push(other);
    assert!(covered(&account), "another invoice is another matter");
}

/// The reservation is number 2; its session, once recorded, is `cs_1`, as is the profile's open one.
#[test]
fn only_the_end_of_its_own_session_releases_a_reservation() {
    let landed = |recorded: bool, id: &str, number| {
        let reservation = reservation(recorded.then_some("cs_1"));
        let id = id.parse().unwrap();
        let facts = Facts {
            ended: Some(EndedSession { id, number }),
            ..facts(None)
        };
        let landing = land(&account(None), Some(&reservation), facts, Evidence::Record).unwrap();
        (landing.close_session, landing.release)
    };
    assert_eq!(landed(true, "cs_1", None), (true, Some(2)));
    assert_eq!(landed(true, "cs_0", Some(2)), (false, None));
    assert_eq!(
        landed(false, "cs_0", Some(2)),
        (false, Some(2)),
        "not recorded yet"
    );
    assert_eq!(landed(false, "cs_0", Some(1)), (false, None));
    assert_eq!(landed(false, "cs_0", None), (false, None));
}

#[test]
fn an_invoice_of_many_lines_lands_in_several_goes() {
    let mut account = account(None);
    let facts = Facts {
        paid: (0..200).map(|n| entry(&format!("il_{n}"))).collect(),
        ..facts(None)
    };
    for expected in [(90, true), (90, true), (20, false)] {
        let landing = land(&account, None, facts.clone(), Evidence::Record).unwrap();
        assert_eq!((landing.entries.len(), landing.more), expected);
        account.ledger.extend(landing.entries);
    }
    assert_eq!(
        land(&account, None, facts, Evidence::Record).unwrap(),
        Landing::default()
    );
}

#[test]
fn nothing_new_changes_nothing() {
    let stored = subscription("sub_1", "active");
    let landing = land(
        &account(Some(stored.clone())),
        None,
        facts(Some(stored)),
        Evidence::Record,
    )
    .unwrap();
    assert_eq!(landing, Landing::default());
}

#[test]
fn a_second_live_subscription_is_reported_and_not_stored() {
    let landing = land(
        &account(Some(subscription("sub_1", "active"))),
        None,
        facts(Some(subscription("sub_2", "active"))),
        Evidence::Record,
    )
    .unwrap();
    assert_eq!(landing.second, Some("sub_2".parse().unwrap()));
    assert_eq!(landing.subscription, None);
}

#[test]
fn the_end_of_an_old_subscription_leaves_the_new_one() {
    let stored = account(Some(subscription("sub_2", "active")));
    let landing = land(
        &stored,
        None,
        facts(Some(subscription("sub_1", "canceled"))),
        Evidence::Record,
    )
    .unwrap();
    assert_eq!(landing, Landing::default());
}

/// Its own end is stored; the end of an older one is not, also when nothing is left.
#[test]
fn the_end_of_a_subscription_is_its_own() {
    let stored = account(Some(subscription("sub_2", "active")));
    let ended = subscription("sub_2", "canceled");
    let landing = land(&stored, None, facts(Some(ended.clone())), Evidence::Record).unwrap();
    assert_eq!(
        (landing.subscription, landing.second),
        (Some(ended.clone()), None)
    );
    let landing = land(
        &account(Some(ended)),
        None,
        facts(Some(subscription("sub_1", "canceled"))),
        Evidence::Record,
    );
    assert_eq!(landing, Ok(Landing::default()));
}

/// A debit is paying for it, perhaps: it is not to be forgotten for the one before it.
#[test]
fn what_the_last_checkout_became_takes_the_place_of_an_earlier_one_though_it_is_over() {
    let stored = account(Some(subscription("sub_1", "canceled")));
    let ended = subscription("sub_2", "canceled");
    let told = |session: &str| Facts {
        ended: Some(EndedSession {
            id: session.parse().unwrap(),
            number: None,
        }),
        ..facts(Some(ended.clone()))
    };
    let landing = land(&stored, None, told("cs_1"), Evidence::Record).unwrap();
    assert_eq!(
        (landing.subscription, landing.second),
        (Some(ended.clone()), None)
    );
    assert_eq!(
        land(&stored, None, told("cs_0"), Evidence::Record),
        Ok(Landing::default())
    );
}

#[test]
fn a_new_subscription_takes_the_place_of_one_that_is_over() {
    let stored = account(Some(subscription("sub_1", "canceled")));
    let landing = land(
        &stored,
        None,
        facts(Some(subscription("sub_2", "active"))),
        Evidence::Record,
    )
    .unwrap();
    assert_eq!(landing.subscription, Some(subscription("sub_2", "active")));
}

#[test]
fn a_customer_is_linked_by_a_live_subscription_only() {
    let mut account = account(None);
    account.profile.customer = None;
    let linked = |subscription| {
        land(&account, None, facts(subscription), Evidence::Record)
            .unwrap()
            .customer
    };
    let live = Some(subscription("sub_1", "incomplete"));
    assert_eq!(linked(live), Some("cus_1".parse().unwrap()));
    assert_eq!(linked(Some(subscription("sub_1", "canceled"))), None);
    assert_eq!(linked(None), None);
}

/// Of a customer that was replaced, what it paid and what went back of that; of somebody else's, nothing.
#[test]
fn only_the_money_of_another_customer_counts_and_only_of_one_that_was_the_accounts() {
    let other: CustomerId = "cus_2".parse().unwrap();
    let facts = |paid, subscription| Facts {
        customer: other.clone(),
        paid,
        subscription,
        ended: Some(EndedSession {
            id: "cs_1".parse().unwrap(),
            number: Some(1),
        }),
        ..facts(None)
    };
    let live = Some(subscription("sub_2", "active"));
    let mut account = account(None);
    let landed = land(
        &account,
        None,
        facts(vec![entry("il_1")], live.clone()),
        Evidence::Record,
    );
    let expected = Landing {
        entries: vec![entry("il_1")],
        ..Landing::default()
    };
    assert_eq!(landed, Ok(expected));
    let paid = || vec![entry("il_1")];
    let foreign = Err(Foreign(other.clone()));
    assert_eq!(
        land(&account, None, facts(paid(), live.clone()), Evidence::Object),
        foreign
    );
    assert_eq!(
        land(&account, None, facts(vec![], live.clone()), Evidence::Record),
        foreign
    );
    account.ledger = paid();
    assert_eq!(
        land(&account, None, facts(paid(), live), Evidence::Record),
        foreign
    );
}

/// By what Stripe's record says of it; otherwise of what has landed here.
#[test]
fn what_went_back_to_a_replaced_customer_is_told_where_it_had_paid() {
    let back = |invoice: InvoiceId| Facts {
        customer: "cus_2".parse().unwrap(),
        reversal: Some(Reversal {
            invoice,
            paid: entry("il_1").amount,
            forgiven: 0,
            given_back: entry("il_1").amount.minor,
            lost: 0,
            disputed: false,
        }),
        ..facts(None)
    };
    let mut account = account(None);
    account.ledger = vec![entry("il_1")];
    let other = || "in_other".parse::<InvoiceId>().unwrap();
    for (invoice, evidence, is_told) in [
        (entry("il_1").invoice, Evidence::Record, true),
        (entry("il_1").invoice, Evidence::Object, true),
        (other(), Evidence::Record, true),
        (other(), Evidence::Object, false),
    ] {
        let facts = back(invoice.clone());
        let told = facts.reversal.clone().filter(|_| is_told);
        let landed = land(&account, None, facts, evidence);
        assert_eq!(
            landed.ok().and_then(|landing| landing.reversal),
            told,
            "{invoice}"
        );
    }
    let lines = (0..91).map(|line| entry(&format!("il_other_{line}")));
    let many = Facts {
        paid: lines.collect(),
        ..back(other())
    };
    let landed = land(&account, None, many, Evidence::Record).unwrap();
    assert_eq!((landed.entries.len(), landed.more), (90, true));
}

/// The change came to nothing, and its bill is let go: what was paid for it is no entry, and the facts are landed once more.
#[test]
fn what_was_paid_for_a_bill_that_is_let_go_is_no_entry() {
    let bill = entry("il_1").invoice;
    let dropped = |bill: &InvoiceId| ChangeStep::Dropped {
        bill: bill.clone(),
        at: at("2026-04-12T00:00:00Z"),
    };
    let mut account = account(None);
    account.profile.change = Some(change());
    for (bill, entries, more) in [(bill, 0, true), ("in_other".parse().unwrap(), 1, false)] {
        let facts = Facts {
            paid: vec![entry("il_1")],
            change: Some(dropped(&bill)),
            ..facts(None)
        };
        let landing = land(&account, None, facts, Evidence::Record).unwrap();
        assert_eq!((landing.entries.len(), landing.more), (entries, more), "{bill}");
        assert_eq!(landing.change, Some(dropped(&bill)));
    }
}

#[test]
fn somebody_elses_customer_changes_nothing() {
    let facts = Facts {
        customer: "cus_2".parse().unwrap(),
        ..facts(None)
    };
    assert_eq!(
        land(&account(None), None, facts, Evidence::Record),
        Err(Foreign("cus_2".parse().unwrap()))
    );
}
