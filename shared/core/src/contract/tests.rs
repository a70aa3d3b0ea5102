//! What is decided about a sale of a contract, and what bars its amendment.

use serde_json::json;

use super::*;
use crate::quote::Charge;
use crate::sale::tests::{APRIL, MAY, SOLD, active, amended, at, begun, contract, land, plan, read, sale};

/// Its end.
mod ends;
/// What can be paid of a sale.
mod bills;
/// What bars an amendment, and its bill.
mod amendments;

/// A month of a seat at 10.00 and the archive at 5.00, from the first of April, sold until the first of May.
fn month(end: Option<&str>) -> Sale {
    sale(begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", end).unwrap())
}

/// Its first bill, paid at that time.
fn paid(at_time: &str) -> Read {
    let mut read = read(BillingStatus::Active, &SOLD, APRIL);
    if let Some(bill) = &mut read.latest_invoice {
        bill.paid_at = Some(at(at_time));
    }
    read
}

/// The contract as it is once that is landed at `now`.
fn land_at(contract: &Contract, read: Read, now: &str) -> Contract {
    let facts = Facts {
        read,
        paid: vec![],
        given_up: None,
        reversal: None,
        lateness: Lateness::InTime,
    };
    let landing = super::land(contract, &Ledger::default(), facts, at(now));
    landing.unwrap().contract
}

#[test]
fn a_contract_is_amended_while_it_is_paid_and_nothing_else_is_to_change_it() {
    let active = active();
    let billed = |status, schedule: Option<&str>| Contract {
        billing: active.billing.clone().map(|billing| Billing {
            status,
            schedule: schedule.map(|id| id.parse().unwrap()),
            ..billing
        }),
        ..active.clone()
    };
    let stored = |status| Contract {
        status,
        ..active.clone()
    };
    let less = plan(2, "P1M", json!("start"), 100);
    let downgrade = sale(amended(&active.standing, Some(&less), &[], "2026-04-16T00:00:00Z").unwrap());
    let scheduled = Scheduled {
        checkout: downgrade.checkout.clone(),
        after: downgrade.offer.after.clone(),
        order: downgrade.order.clone(),
        effective_at: at(MAY.0),
    };
    let led = billed(BillingStatus::Active, Some("sub_sched_1"));
    for (contract, obstacle) in [
        (active.clone(), None),
        (
            billed(BillingStatus::Trialing, None),
            Some(Obstacle::OnTrial(at(MAY.0))),
        ),
        (billed(BillingStatus::PastDue, None), Some(Obstacle::Unpaid)),
        (billed(BillingStatus::Paused, None), Some(Obstacle::Unpaid)),
        (billed(BillingStatus::Canceled, None), Some(Obstacle::Ended)),
        (stored(Status::Pending), Some(Obstacle::Ended)),
        (stored(Status::Ended), Some(Obstacle::Ended)),
        (stored(Status::Refunded), Some(Obstacle::Ended)),
        (led.clone(), Some(Obstacle::ForeignSchedule)),
        (
            Contract {
                scheduled: Some(scheduled),
                ..led.clone()
            },
            Some(Obstacle::Scheduled),
        ),
        // That schedule is its own.
        (
            Contract {
                sale: Some(downgrade),
                ..led
            },
            None,
        ),
    ] {
        assert_eq!(contract.obstacle(at(APRIL.0)), obstacle, "{contract:?}");
    }
}

/// What became of it tells Stripe: another trial, a period, or nothing yet.
#[test]
fn a_contract_whose_trial_is_over_waits_for_what_stripe_tells() {
    let active = active();
    let (before, then) = (at("2026-04-30T23:59:59Z"), at(MAY.0));
    let trial = Contract {
        billing: active.billing.clone().map(|billing| Billing {
            status: BillingStatus::Trialing,
            ..billing
        }),
        // It was in another period before.
        standing: Standing {
            period: Period {
                end: at("2026-06-01T00:00:00Z"),
                ..active.standing.period
            },
            ..active.standing.clone()
        },
        ..active.clone()
    };
    assert_eq!(trial.obstacle(before), Some(Obstacle::OnTrial(then)));
    assert!(!trial.is_lapsed(before));
    assert_eq!(trial.obstacle(then), None);
    assert!(trial.is_lapsed(then) && !active.is_lapsed(before) && active.is_lapsed(then));
    assert!(active.is_lapsed(at(MAY.1)));

    let told = |status, period| read(status, &SOLD, period);
    let longer = (APRIL.0, "2026-05-15T00:00:00Z");
    for (contract, read, has_gone_on) in [
        (&trial, told(BillingStatus::Trialing, APRIL), false),
        (&trial, told(BillingStatus::Trialing, longer), true),
        (&trial, told(BillingStatus::Active, APRIL), true),
        (&trial, told(BillingStatus::Canceled, APRIL), true),
        (&active, told(BillingStatus::Active, APRIL), false),
        (&active, told(BillingStatus::Active, MAY), true),
        (&active, told(BillingStatus::PastDue, APRIL), false),
        (&active, told(BillingStatus::Trialing, longer), true),
        (&active, told(BillingStatus::Canceled, APRIL), true),
    ] {
        let told = contract.has_gone_on(&read, then);
        assert_eq!(told, has_gone_on, "{:?}", read.billing);
    }
}

/// Open until the first of May.
#[test]
fn what_is_paid_after_its_session_is_late() {
    let sale = month(None);
    let now = at("2026-05-02T00:00:00Z");
    let in_time = Some(Lateness::InTime);
    assert_eq!(lateness(&sale, &paid("2026-04-30T23:59:59Z"), now), in_time);
    assert_eq!(lateness(&sale, &paid(MAY.0), now), None, "its plan tells");
    let waits = read(BillingStatus::Incomplete, &SOLD, APRIL);
    assert_eq!(lateness(&sale, &waits, now), in_time, "nothing is paid");
    let refunded = Sale {
        is_to_be_refunded: true,
        ..sale
    };
    let moved = Some(Lateness::Moved);
    assert_eq!(lateness(&refunded, &paid(APRIL.0), now), moved, "as was decided");
}

/// What it replaced is not there to go back to.
#[test]
fn an_amendment_that_is_paid_late_is_honoured() {
    let mut amendment = month(None);
    amendment.offer.way = Way::AtOnce;
    amendment.invoice = "in_1".parse().ok();
    let now = at("2026-05-02T00:00:00Z");
    assert_eq!(lateness(&amendment, &paid(MAY.0), now), Some(Lateness::Holds));
    let in_time = Some(Lateness::InTime);
    assert_eq!(lateness(&amendment, &paid(APRIL.0), now), in_time);
}

/// To end on the 20th. Where Stripe has no end, it bills on until somebody learns of the payment.
#[test]
fn a_contract_that_is_over_when_its_payment_is_heard_of_has_moved() {
    let sale = month(Some("2026-04-20"));
    let end = at("2026-04-20T00:00:00Z");
    let mut paid_in_time = paid("2026-04-10T00:00:00Z");
    let heard_at = |read: &Read, now: &str| lateness(&sale, read, at(now));
    let (before, then) = ("2026-04-19T23:59:59Z", "2026-04-20T00:00:00Z");
    assert_eq!(heard_at(&paid_in_time, before), Some(Lateness::InTime));
    assert_eq!(heard_at(&paid_in_time, then), Some(Lateness::Moved));
    assert_eq!(heard_at(&paid_in_time, MAY.0), Some(Lateness::Moved));
    assert_eq!(heard_at(&paid(then), then), Some(Lateness::Moved));
    paid_in_time.billing.cancel_at = Some(end);
    assert_eq!(heard_at(&paid_in_time, then), Some(Lateness::InTime));
}

#[test]
fn an_end_is_missing_until_stripe_has_it() {
    let sale = month(Some("2026-06-15"));
    let end = at("2026-06-15T00:00:00Z");
    let paid = paid(APRIL.0);
    let missing = |sale: &Sale, read: &Read, fate: &Fate| missing_end(sale, read, fate, at(APRIL.0));
    assert_eq!(missing(&sale, &paid, &Fate::TookEffect), Some(end));
    let bill = Box::new(paid.latest_invoice.clone().unwrap());
    assert_eq!(
        missing(&sale, &paid, &Fate::Waits(bill)),
        Some(end),
        "a debit pays"
    );
    assert_eq!(missing(&sale, &paid, &Fate::Over), None);
    assert_eq!(missing(&month(None), &paid, &Fate::TookEffect), None);
    let incomplete = read(BillingStatus::Incomplete, &SOLD, APRIL);
    assert_eq!(missing(&sale, &incomplete, &Fate::TookEffect), None);
    let mut set = paid.clone();
    set.billing.cancel_at = Some(end);
    assert_eq!(missing(&sale, &set, &Fate::TookEffect), None);
    assert_eq!(
        missing_end(&sale, &paid, &Fate::TookEffect, end),
        None,
        "it is over"
    );
    let mut amendment = sale;
    amendment.offer.way = Way::AtOnce;
    assert_eq!(missing(&amendment, &paid, &Fate::TookEffect), None);
}

/// Quoted at 15.00.
#[test]
fn a_bill_of_another_amount_is_told_of_where_the_sale_has_one() {
    let billed = |selling: &Contract, status, total: i64| {
        let mut read = read(status, &SOLD, APRIL);
        if let Some(bill) = &mut read.latest_invoice {
            bill.charge = Charge {
                amount_due: total,
                total,
                ..bill.charge
            };
        }
        land(selling, read, Lateness::InTime).differs_from_quote(selling)
    };
    let begins = contract(month(None));
    assert!(!billed(&begins, BillingStatus::Active, 1500));
    assert!(billed(&begins, BillingStatus::Active, 1501));
    assert!(
        !billed(&begins, BillingStatus::Incomplete, 1501),
        "nothing is sold yet"
    );
    let mut amended = begins;
    amended.sale.as_mut().unwrap().offer.way = Way::AtOnce;
    assert!(
        !billed(&amended, BillingStatus::Active, 1501),
        "nothing is billed for it"
    );
    amended.order.clear();
    assert!(billed(&amended, BillingStatus::Active, 1501));
    assert!(!billed(&active(), BillingStatus::Active, 1501), "nothing is sold");
}

#[test]
fn a_sale_is_closed_while_nobody_is_paying_it() {
    let begins = month(None);
    let incomplete = read(BillingStatus::Incomplete, &SOLD, APRIL);
    assert!(is_awaited(&begins, &incomplete));
    assert!(!is_awaited(&begins, &paid(APRIL.0)));
    let debited = Read {
        is_debited: true,
        ..incomplete.clone()
    };
    assert!(!is_awaited(&begins, &debited));
    let mut in_part = incomplete.clone();
    if let Some(bill) = &mut in_part.latest_invoice {
        (bill.is_paid, bill.is_paid_in_part) = (false, true);
    }
    assert!(!is_awaited(&begins, &in_part));
    in_part.billing.status = BillingStatus::Canceled;
    assert!(matches!(
        fate(&begins, &in_part, Lateness::InTime),
        Fate::Waits(_)
    ));
    let mut amendment = begins;
    let pending = Read {
        is_pending: true,
        ..paid(APRIL.0)
    };
    for (way, waits) in [(Way::AtOnce, true), (Way::AtPeriodEnd, false)] {
        amendment.offer.way = way;
        assert_eq!(is_awaited(&amendment, &pending), waits, "{way:?}");
        assert!(!is_awaited(&amendment, &incomplete), "{way:?}");
    }
}

/// What was sold before under its session, and came to nothing: Stripe ended it. An amendment has no such thing.
#[test]
fn the_subscription_of_an_earlier_sale_is_left_behind() {
    let over = |sale: Sale, status| Contract {
        billing: Some(read(status, &SOLD, APRIL).billing),
        ..contract(sale)
    };
    let earlier = "sub_1".parse().ok();
    let begins = || month(None);
    let mut amendment = begins();
    amendment.offer.way = Way::AtOnce;
    let of_its_own = Sale {
        invoice: "in_1".parse().ok(),
        ..begins()
    };
    let refunded = Sale {
        is_to_be_refunded: true,
        ..begins()
    };
    let over_it = BillingStatus::IncompleteExpired;
    for (contract, left_behind) in [
        (over(begins(), over_it), earlier.as_ref()),
        (over(begins(), BillingStatus::Incomplete), None),
        (over(amendment, over_it), None),
        (over(of_its_own, over_it), None),
        (over(refunded, over_it), None),
        (contract(begins()), None),
    ] {
        assert_eq!(contract.left_behind(), left_behind, "{contract:?}");
    }
}
