//! What bars an amendment as its subscription stands at Stripe, and which bill is its own.

use super::*;
use crate::arrears::{Occasion, TimeCharge};
use crate::change::Unchangeable;
use crate::contract::{PlainSchedule, Unamendable};
use crate::payer::MethodKind;
use crate::subscription::Collection;

const ASKED: &str = "2026-04-16T00:00:00Z";

/// Two seats more, half way through April: half of 20.00.
fn more() -> Sale {
    let three = serde_json::from_value(
        json!({ "product_id": "00000000-0000-4000-8000-000000000001", "quantity": 3 }),
    );
    Sale {
        asked_at: at(ASKED),
        ..sale(amended(&active().standing, None, &[three.unwrap()], ASKED).unwrap())
    }
}

/// A seat for 1.00 instead, when April is over.
fn less() -> Sale {
    let less = plan(2, "P1M", json!("start"), 100);
    sale(amended(&active().standing, Some(&less), &[], ASKED).unwrap())
}

fn named(sale: Sale) -> Sale {
    Sale {
        payment_method: "pm_1".parse().ok(),
        ..sale
    }
}

fn april() -> Read {
    read(BillingStatus::Active, &SOLD, APRIL)
}

#[test]
fn what_would_undo_an_amendment_bars_it() {
    let led = |scheduled: Option<String>, is_plain: bool| {
        let schedule: crate::id::ScheduleId = "sub_sched_1".parse().unwrap();
        let mut read = april();
        read.billing.schedule = Some(schedule.clone());
        read.scheduled = scheduled;
        read.plain_schedule = is_plain.then(|| PlainSchedule {
            id: schedule,
            start: at(APRIL.0),
        });
        read
    };
    let mut furnished = april();
    furnished.terms.says_more = true;
    let sent = Read {
        collection: Collection::Sent,
        ..april()
    };
    let trial = read(BillingStatus::Trialing, &SOLD, APRIL);
    let foreign = || Err(Unchangeable::Scheduled.into());
    for (amendment, read, expected) in [
        (more(), april(), Ok(())),
        (less(), april(), Ok(())),
        (more(), trial, Err(Unamendable::OnTrial(at(MAY.0)))),
        (more(), sent, Err(Unchangeable::Sent.into())),
        (more(), led(None, false), foreign()),
        (more(), led(None, true), Ok(())),
        (less(), led(Some(less().name()), false), Ok(())),
        (less(), led(Some("another/1".to_owned()), false), foreign()),
        (more(), furnished.clone(), Ok(())),
        (less(), furnished, Err(Unamendable::Furnished)),
    ] {
        assert_eq!(active().amendable(&amendment, &read), expected, "{read:?}");
    }
}

/// Whoever typed a guest's address is charged by what is named, or by what the subscription has of its own; nothing is asked for less, or for what
/// costs nothing.
#[test]
fn what_a_guest_has_bought_is_amended_with_what_pays_it() {
    let guests = Contract {
        is_guests: true,
        ..active()
    };
    let paid = Read {
        payment_method: "pm_1".parse().ok(),
        ..april()
    };
    let mut free = more();
    free.offer.estimates.current_invoice.total = 0;
    free.offer.estimates.next_invoice = None;
    // What was free, and is to cost 6.00 from May on.
    let mut begins_to_cost = named(less());
    let before = begins_to_cost.offer.before.as_mut().unwrap();
    for chosen in &mut before.configuration.products {
        chosen.is_enabled = false;
    }
    let barred = || Err(Unchangeable::NothingPays.into());
    for (contract, amendment, read, expected) in [
        (&guests, more(), april(), barred()),
        (&guests, named(more()), april(), Ok(())),
        (&guests, more(), paid.clone(), Ok(())),
        (&guests, free, april(), Ok(())),
        (&guests, less(), april(), Ok(())),
        (&guests, begins_to_cost.clone(), april(), barred()),
        (&guests, begins_to_cost.clone(), paid, Ok(())),
        (&active(), more(), april(), Ok(())),
        (&active(), begins_to_cost, april(), Ok(())),
    ] {
        assert_eq!(contract.amendable(&amendment, &read), expected, "{amendment:?}");
    }
}

#[test]
fn what_pays_days_later_bars_what_is_charged_to_it_at_once() {
    let kind = MethodKind::of("sepa_debit");
    let debited = Read {
        payer: Some(kind.clone()),
        ..april()
    };
    let barred = Err(Unchangeable::PaidBy(Some(kind)).into());
    for (amendment, expected) in [(more(), barred), (named(more()), Ok(())), (less(), Ok(()))] {
        assert_eq!(
            active().amendable(&amendment, &debited),
            expected,
            "{amendment:?}"
        );
    }
}

/// Its own, of 10.00 for three seats, which an operator has made five since: of tiers, a line each.
fn billed() -> Read {
    let mut read = read(
        BillingStatus::Active,
        &[("price_1_1000", 5), ("price_2_1000", 1)],
        APRIL,
    );
    let line = |quantity| TimeCharge {
        line: "il_1".parse().unwrap(),
        price: "price_1_1000".parse().unwrap(),
        quantity,
        period: Period {
            start: at(ASKED),
            end: at(APRIL.1),
        },
    };
    let bill = read.latest_invoice.as_mut().unwrap();
    bill.id = "in_2".parse().unwrap();
    bill.charge = charge(&more().offer);
    bill.is_first = false;
    bill.time.occasion = Occasion::Change;
    bill.time.created_at = at(ASKED);
    bill.time.charges = vec![line(1), line(2)];
    read
}

fn with(change: impl FnOnce(&mut Bill)) -> Read {
    let mut read = billed();
    change(read.latest_invoice.as_mut().unwrap());
    read
}

/// Made since it was asked for, by Stripe's clock, of as much, for as many as were sold, and paid as a bill of its own. Any other pays for no amendment.
#[test]
fn an_amendment_is_sold_by_its_own_bill_whatever_was_made_of_it_since() {
    let known = Sale {
        known_bill: "in_2".parse().ok(),
        ..more()
    };
    let second = jiff::SignedDuration::from_secs(1);
    for (amendment, read, expected) in [
        (more(), billed(), Fate::TookEffect),
        (
            more(),
            with(|bill| bill.time.created_at -= second * 5),
            Fate::TookEffect,
        ),
        (
            more(),
            with(|bill| bill.time.created_at += second * 5),
            Fate::TookEffect,
        ),
        (
            more(),
            with(|bill| bill.time.created_at -= second * 6),
            Fate::Open,
        ),
        (
            more(),
            with(|bill| bill.time.occasion = Occasion::Period),
            Fate::Open,
        ),
        (more(), with(|bill| bill.charge.total += 1), Fate::Open),
        (more(), with(|bill| bill.time.charges[1].quantity = 3), Fate::Open),
        (
            more(),
            with(|bill| bill.time.charges[1].price = "price_3".parse().unwrap()),
            Fate::Open,
        ),
        (more(), with(|bill| bill.is_paid = false), Fate::Open),
        // Given up and paid all the same: its change may have been dropped by then.
        (more(), with(|bill| bill.was_given_up = true), Fate::Open),
        (
            more(),
            with(|bill| (bill.is_paid, bill.was_given_up) = (false, true)),
            Fate::Over,
        ),
        (known, billed(), Fate::Open),
    ] {
        let mut ended = read.clone();
        ended.billing.status = BillingStatus::Canceled;
        let told = fate(&amendment, &read, Lateness::InTime);
        assert_eq!(told, expected, "{read:?}");
        let at_last = if expected == Fate::TookEffect {
            expected
        } else {
            Fate::Over
        };
        assert_eq!(fate(&amendment, &ended, Lateness::InTime), at_last, "{ended:?}");
    }
}

/// A bill that an operator had made later hides it; unless it waits, is in effect, is paid, or was looked for behind the latest.
#[test]
fn a_later_bill_may_hide_that_of_an_amendment() {
    let second = jiff::SignedDuration::from_secs(1);
    let later = |read: Read| {
        let mut read = read;
        let bill = read.latest_invoice.as_mut().unwrap();
        bill.time.created_at = at(ASKED) + second;
        bill.charge.total += 1;
        read
    };
    let hidden = later(billed());
    assert!(hidden.may_hide_bill_of(&more()));
    let mut of_the_second = hidden.clone();
    of_the_second.latest_invoice.as_mut().unwrap().time.created_at = at(ASKED);
    let mut in_effect = hidden.clone();
    in_effect.billing.items[0].quantity = 3;
    let pending = Read {
        is_pending: true,
        ..hidden.clone()
    };
    let looked_for = Read {
        earlier_invoices: billed().latest_invoice.into_iter().collect(),
        ..hidden.clone()
    };
    let paid = with(|bill| bill.time.created_at += second);
    let none = Read {
        latest_invoice: None,
        ..hidden.clone()
    };
    for read in [of_the_second, in_effect, pending, looked_for, paid, none] {
        assert!(!read.may_hide_bill_of(&more()), "{read:?}");
    }
    assert!(!hidden.may_hide_bill_of(&less()), "it has none");
}
