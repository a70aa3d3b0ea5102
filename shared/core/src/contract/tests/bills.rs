//! What can still be paid of a sale, and what it is let go of with.

use super::*;
use crate::contract::Landing;
use crate::coverage::Entry;
use crate::money::Money;
use crate::sale::Replaced;

/// The first bill of April, which nobody has paid, and can.
fn unpaid(status: BillingStatus) -> Read {
    let mut read = read(status, &SOLD, APRIL);
    let bill = read.latest_invoice.as_mut().unwrap();
    (bill.is_paid, bill.is_open, bill.is_payable) = (false, true, true);
    read
}

fn with(mut read: Read, change: impl FnOnce(&mut Bill)) -> Read {
    change(read.latest_invoice.as_mut().unwrap());
    read
}

/// A line of that bill that is paid.
fn paid_for(invoice: &str) -> Entry {
    Entry {
        invoice: invoice.parse().unwrap(),
        line: "il_1".parse().unwrap(),
        period: Period {
            start: at(APRIL.0),
            end: at(APRIL.1),
        },
        quantity: 1,
        amount: Money {
            minor: 1500,
            currency: "usd".parse().unwrap(),
        },
        gives_back: vec![],
    }
}

/// What lands of a sale, with what is paid and what somebody had given up.
fn landing(sale: Sale, read: Read, paid: Option<&str>, given_up: Option<&str>) -> Landing {
    let facts = Facts {
        read,
        paid: paid.map(paid_for).into_iter().collect(),
        given_up: given_up.map(|bill| bill.parse().unwrap()),
        reversal: None,
        lateness: Lateness::InTime,
    };
    super::super::land(&contract(sale), &Ledger::default(), facts, at(APRIL.0)).unwrap()
}

fn let_go(landing: &Landing) -> Vec<&str> {
    landing.let_go.iter().map(|bill| bill.as_str()).collect()
}

/// Nobody has paid what an operator ended: it has not begun.
#[test]
fn what_ended_unpaid_comes_to_nothing() {
    let begins = month(None);
    for status in [BillingStatus::Canceled, BillingStatus::IncompleteExpired] {
        assert_eq!(fate(&begins, &unpaid(status), Lateness::InTime), Fate::Over);
    }
}

/// It waits though Stripe bills as many already: the change is not made before it is paid.
#[test]
fn an_amendment_waits_for_its_payment() {
    let mut amendment = month(None);
    amendment.offer.way = Way::AtOnce;
    let pending = Read {
        is_pending: true,
        ..unpaid(BillingStatus::Active)
    };
    let told = fate(&amendment, &pending, Lateness::InTime);
    assert!(matches!(told, Fate::Waits(bill) if bill.id.as_str() == "in_1"));
}

/// What is paid for it just now waits for the next round, in which it goes back; what is paid for another bill is landed.
#[test]
fn a_sale_that_comes_to_nothing_lets_go_of_what_can_be_paid() {
    let over = || unpaid(BillingStatus::IncompleteExpired);
    let nothing = landing(
        month(None),
        with(over(), |bill| bill.is_payable = false),
        None,
        None,
    );
    assert!(let_go(&nothing).is_empty());
    for (paid, entries) in [(None, 0), (Some("in_1"), 0), (Some("in_2"), 1)] {
        let landed = landing(month(None), over(), paid, None);
        assert_eq!(let_go(&landed), ["in_1"]);
        let is_left = paid == Some("in_1");
        assert_eq!(
            (landed.entries.len(), landed.more),
            (entries, is_left),
            "{paid:?}"
        );
    }
}

/// Its own alone, whether it can be paid, or was, though somebody had given it up. Not where it was in effect when the subscription ended.
#[test]
fn an_amendment_that_comes_to_nothing_lets_go_of_its_own_bill() {
    let mut amendment = month(None);
    amendment.offer.way = Way::AtOnce;
    let waited = Sale {
        invoice: "in_2".parse().ok(),
        ..amendment.clone()
    };
    let over = |items: &[(&str, u64)]| {
        let mut over = read(BillingStatus::Canceled, items, APRIL);
        let first = unpaid(BillingStatus::Canceled).latest_invoice.unwrap();
        over.latest_invoice = Some(Bill {
            id: "in_2".parse().unwrap(),
            is_first: false,
            ..first.clone()
        });
        over.earlier_invoices = vec![first];
        over
    };
    let before = over(&SOLD[..1]);
    assert_eq!(
        let_go(&landing(waited.clone(), before.clone(), None, None)),
        ["in_2"]
    );
    assert!(let_go(&landing(waited.clone(), over(&SOLD), None, None)).is_empty());
    let nobodys = landing(amendment, before.clone(), None, None);
    assert!(let_go(&nobodys).is_empty() && nobodys.contract.sale.is_none());
    let paid = with(before, |bill| (bill.is_paid, bill.is_payable) = (true, false));
    assert_eq!(
        let_go(&landing(waited.clone(), paid.clone(), None, Some("in_2"))),
        ["in_2"]
    );
    assert!(let_go(&landing(waited, paid, None, None)).is_empty());
}

/// Begun when it was sold to, and until then; an amendment changes neither.
#[test]
fn a_contract_begins_and_ends_when_it_was_sold_to() {
    let end = Some(at("2026-06-15T00:00:00Z"));
    let mut begins = month(Some("2026-06-15"));
    begins.offer.at = at("2026-03-31T12:00:00Z");
    let april = read(BillingStatus::Active, &SOLD, APRIL);
    let landed = landing(begins.clone(), april.clone(), None, None).contract;
    assert_eq!((landed.started_at, landed.ends_at), (begins.offer.at, end));
    begins.offer.way = Way::AtOnce;
    let landed = landing(begins, april, None, None).contract;
    assert_eq!((landed.started_at, landed.ends_at), (at(APRIL.0), None));
}

/// A downgrade is taken back with its schedule, which led nowhere. One that begins ends when the contract does by then.
#[test]
fn a_downgrade_is_what_its_schedule_led_to() {
    let active = active();
    let less = plan(2, "P1M", json!("start"), 100);
    let downgrade = sale(amended(&active.standing, Some(&less), &[], "2026-04-16T00:00:00Z").unwrap());
    let scheduled = Contract {
        scheduled: Some(Scheduled {
            checkout: downgrade.checkout.clone(),
            after: downgrade.offer.after.clone(),
            order: downgrade.order.clone(),
            effective_at: at(MAY.0),
        }),
        ..active
    };
    let mut april = read(BillingStatus::Active, &SOLD, APRIL);
    assert_eq!(land_at(&scheduled, april.clone(), APRIL.0).scheduled, None);
    april.billing.schedule = "sub_sched_1".parse().ok();
    assert!(land_at(&scheduled, april.clone(), APRIL.0).scheduled.is_some());
    assert!(scheduled.completed_schedule(&april).is_none());

    let end = "2026-05-16T12:00:00Z";
    let next = [("price_1_100", 1), ("price_2_100", 1)];
    let mut may = read(BillingStatus::Active, &next, (MAY.0, end));
    may.billing.cancel_at = Some(at(end));
    let begun = land_at(&scheduled, may.clone(), MAY.0);
    assert_eq!((begun.scheduled, begun.standing.ends_at), (None, Some(at(end))));
    // Half of 1.00 and of 5.00.
    let billed: Vec<i64> = begun
        .standing
        .billed
        .iter()
        .map(|billed| billed.charged.billed)
        .collect();
    assert_eq!(billed, [50, 250]);
    may.billing.schedule = "sub_sched_1".parse().ok();
    assert!(scheduled.completed_schedule(&may).is_some());
}

/// The first: Stripe calls a subscription active whose debit is under way. Of one that is open, the status tells whether somebody is about to pay it.
#[test]
fn a_first_bill_tells_who_is_about_to_pay_it() {
    use BillingStatus::{Active, Canceled, Incomplete, PastDue, Trialing};
    let given_up = |status| with(unpaid(status), |bill| bill.is_open = false);
    for (read, is_paying, is_doubtful) in [
        (unpaid(Active), true, false),
        (unpaid(Trialing), false, false),
        (unpaid(Incomplete), false, false),
        (unpaid(PastDue), false, true),
        (unpaid(Canceled), false, true),
        (given_up(Active), false, true),
        (given_up(Incomplete), false, false),
        (with(unpaid(Active), |bill| bill.is_first = false), false, false),
        (with(unpaid(PastDue), |bill| bill.is_first = false), false, false),
        (
            with(unpaid(PastDue), |bill| bill.is_payable = false),
            false,
            false,
        ),
        (
            Read {
                is_debited: true,
                ..unpaid(PastDue)
            },
            true,
            true,
        ),
    ] {
        assert_eq!(read.is_paying(), is_paying, "{read:?}");
        assert_eq!(read.doubtful_bill().is_some(), is_doubtful, "{read:?}");
    }
}

#[test]
fn a_first_bill_is_hidden_by_a_later_one() {
    let first = unpaid(BillingStatus::Active);
    assert!(!first.hides_first_bill());
    let mut later = with(first.clone(), |bill| bill.is_first = false);
    assert!(later.hides_first_bill());
    later.earlier_invoices.extend(first.latest_invoice);
    assert!(!later.hides_first_bill());
    later.earlier_invoices.clear();
    later.latest_invoice = None;
    assert!(!later.hides_first_bill(), "there is none");
}

/// While it lives, and pays by what the sale has named.
#[test]
fn a_payment_method_is_put_back_where_it_is_the_sales_still() {
    let named = Sale {
        replaced: Some(Replaced {
            by: "pm_1".parse().unwrap(),
            earlier: None,
        }),
        ..month(None)
    };
    let paid_by = |status, method: Option<&str>| Read {
        payment_method: method.map(|method| method.parse().unwrap()),
        ..read(status, &SOLD, APRIL)
    };
    let (active, ended) = (BillingStatus::Active, BillingStatus::Canceled);
    for (read, is_replaced) in [
        (paid_by(active, Some("pm_1")), true),
        (paid_by(active, Some("pm_2")), false),
        (paid_by(active, None), false),
        (paid_by(ended, Some("pm_1")), false),
        (paid_by(ended, Some("pm_2")), false),
    ] {
        assert_eq!(read.replaced(&named).is_some(), is_replaced, "{read:?}");
        assert_eq!(read.replaced(&month(None)), None);
    }
}
