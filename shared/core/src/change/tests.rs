//! What is decided about a change, as tables.

use super::*;
use crate::access::{Caller, Holder, Key, Mode, Scope};
use crate::money::Currency;
use crate::subscription::{LatestInvoice, ScheduledEnd, Subscription};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-04-11T00:00:00Z")
}

fn usd() -> Currency {
    "usd".parse().unwrap()
}

fn charge(minor: i64) -> Charge {
    Charge {
        amount_due: minor,
        total: minor,
        currency: usd(),
    }
}

fn standing(interval: Interval) -> Standing {
    Standing {
        subscription: Subscription {
            id: "sub_1".parse().unwrap(),
            status: Status::Active,
            price: format!("price_{interval}").parse().unwrap(),
            interval: Some(interval),
            quantity: 3,
            period: Period {
                start: at("2026-04-01T00:00:00Z"),
                end: at("2026-05-01T00:00:00Z"),
            },
            cancel_at_period_end: true,
        },
        customer: "cus_1".parse().unwrap(),
        currency: usd(),
        items: vec!["si_1".parse().unwrap()],
        codes: vec![],
        scheduled: false,
        pending: false,
        end: Some(ScheduledEnd::WithPeriod),
        latest_invoice: Some(LatestInvoice {
            id: "in_2".parse().unwrap(),
            charge: charge(26_800),
            page: None,
        }),
    }
}

fn wish(interval: Interval) -> Wish {
    Wish {
        interval,
        code: None,
        proration_date: None,
    }
}

fn owner() -> Owner {
    let key = Key {
        id: "key_1".parse().unwrap(),
        holder: Holder::Account("ada".parse().unwrap()),
        mode: Mode::Test,
        scopes: Scope::ALL.to_vec(),
        impersonator: None,
        created_at: now(),
        expires_at: None,
        revoked_at: None,
    };
    let caller: Caller = key.admit(Mode::Test, now()).unwrap();
    caller.owner().unwrap()
}

/// To annual, a moment ago.
fn change() -> Change {
    let standing = standing(Interval::Monthly);
    let facts = Facts {
        number: 1,
        standing: &standing,
        item: &standing.items[0],
        price: &"price_annual".parse().unwrap(),
        promotion_code: None,
    };
    Change::plan(&owner(), &wish(Interval::Annual), facts, now())
}

fn pending() -> Standing {
    Standing {
        pending: true,
        ..standing(Interval::Monthly)
    }
}

fn waiting() -> Change {
    Change {
        invoice: Some("in_2".parse().unwrap()),
        ..change()
    }
}

#[test]
fn a_wish_meets_what_is_there() {
    let (monthly, annual) = (standing(Interval::Monthly), standing(Interval::Annual));
    let later = now() + IN_FLIGHT;
    let to = |interval| wish(interval);
    let with_code = Wish {
        code: Some("LAUNCH20".parse().unwrap()),
        ..wish(Interval::Annual)
    };
    let cases = [
        (None, &monthly, to(Interval::Annual), now(), Ok(Next::Begin)),
        (None, &annual, to(Interval::Annual), now(), Ok(Next::AlreadyThere)),
        (
            Some(change()),
            &monthly,
            to(Interval::Monthly),
            now(),
            Ok(Next::AlreadyThere),
        ),
        // A moment ago: it may be on its way.
        (
            Some(change()),
            &monthly,
            to(Interval::Annual),
            now(),
            Ok(Next::Join(change())),
        ),
        (
            Some(change()),
            &monthly,
            with_code.clone(),
            now(),
            Err(Refusal::Busy),
        ),
        (
            Some(change()),
            &monthly,
            with_code.clone(),
            later,
            Ok(Next::Begin),
        ),
        (
            Some(change()),
            &monthly,
            to(Interval::Annual),
            later,
            Ok(Next::Begin),
        ),
        // Stripe has it, and waits.
        (
            Some(change()),
            &pending(),
            to(Interval::Annual),
            later,
            Ok(Next::Await(change())),
        ),
        (
            Some(waiting()),
            &pending(),
            to(Interval::Annual),
            later,
            Ok(Next::Await(waiting())),
        ),
        (
            Some(waiting()),
            &pending(),
            with_code.clone(),
            later,
            Err(Refusal::AwaitingPayment),
        ),
        (
            None,
            &pending(),
            to(Interval::Annual),
            later,
            Err(Refusal::AwaitingPayment),
        ),
        // Stripe dropped it.
        (
            Some(waiting()),
            &monthly,
            to(Interval::Annual),
            now(),
            Ok(Next::Begin),
        ),
        // It took effect.
        (
            Some(waiting()),
            &annual,
            to(Interval::Annual),
            later,
            Ok(Next::Finish(waiting())),
        ),
        (Some(waiting()), &annual, with_code, later, Ok(Next::AlreadyThere)),
        (
            Some(waiting()),
            &annual,
            to(Interval::Monthly),
            later,
            Ok(Next::Settle(waiting())),
        ),
    ];
    for (known, standing, wish, now, expected) in cases {
        assert_eq!(
            next(known.as_ref(), standing, &wish, now),
            expected,
            "{known:?} {wish:?}"
        );
    }
}

#[test]
fn a_quoted_date_is_part_of_the_wish_and_no_date_is_any() {
    let dated = Change {
        proration_date: Some(now()),
        ..change()
    };
    let monthly = standing(Interval::Monthly);
    let asked = |proration_date| {
        let wish = Wish {
            proration_date,
            ..wish(Interval::Annual)
        };
        next(Some(&dated), &monthly, &wish, now())
    };
    assert_eq!(asked(None), Ok(Next::Join(dated.clone())));
    assert_eq!(asked(Some(now())), Ok(Next::Join(dated.clone())));
    assert_eq!(asked(Some(at("2026-04-10T00:00:00Z"))), Err(Refusal::Busy));
}

#[test]
fn a_change_comes_to_an_end_once() {
    let (monthly, annual) = (standing(Interval::Monthly), standing(Interval::Annual));
    let later = now() + IN_FLIGHT;
    let resumed = Standing {
        end: None,
        ..annual.clone()
    };
    let over = Standing {
        subscription: Subscription {
            status: Status::Canceled,
            ..monthly.subscription.clone()
        },
        ..monthly.clone()
    };
    let over_annual = Standing {
        subscription: Subscription {
            status: Status::Canceled,
            ..annual.subscription.clone()
        },
        ..annual.clone()
    };
    let another = Standing {
        subscription: Subscription {
            id: "sub_2".parse().unwrap(),
            ..annual.subscription.clone()
        },
        ..annual.clone()
    };
    let keeps = Change {
        clears_cancellation: false,
        ..waiting()
    };
    let cases = [
        (change(), &monthly, now(), Fate::Open),
        (change(), &monthly, later, Fate::Over),
        (change(), &pending(), now(), Fate::Waits("in_2".parse().unwrap())),
        (waiting(), &pending(), later, Fate::Open),
        (waiting(), &monthly, now(), Fate::Over),
        (change(), &annual, now(), Fate::TookEffect),
        (waiting(), &annual, later, Fate::TookEffect),
        (waiting(), &resumed, later, Fate::Over),
        (keeps, &annual, later, Fate::Over),
        (waiting(), &over, later, Fate::Over),
        // Ended a moment after it was asked, or after it took effect: nothing is taken back any more.
        (change(), &over, now(), Fate::Over),
        (waiting(), &over_annual, later, Fate::Over),
        (waiting(), &another, later, Fate::Open),
    ];
    for (change, standing, now, expected) in cases {
        assert_eq!(fate(&change, standing, now), expected, "{change:?}");
    }
}

/// Quoted at 26800; billed the same, or 27300.
#[test]
fn an_invoice_is_compared_with_its_quote_once_stripe_took_the_change() {
    let quoted = |minor| Change {
        quoted: Some(charge(minor)),
        ..change()
    };
    let annual = standing(Interval::Annual);
    assert!(!change().differs_from_quote(&annual), "nothing was quoted");
    assert!(!quoted(26_800).differs_from_quote(&annual));
    assert!(quoted(27_300).differs_from_quote(&annual));
    assert!(quoted(27_300).differs_from_quote(&pending()));
    assert!(
        !quoted(27_300).differs_from_quote(&standing(Interval::Monthly)),
        "another invoice"
    );
}

#[test]
fn every_state_that_bars_a_change_is_named() {
    for (word, told) in [
        ("incomplete", "incomplete"),
        ("past_due", "past_due"),
        ("unpaid", "unpaid"),
        ("paused", "paused"),
        ("a word of tomorrow", "a state that does not allow changes"),
        ("canceled", "no subscription"),
        ("incomplete_expired", "no subscription"),
    ] {
        let mut standing = standing(Interval::Monthly);
        standing.subscription.status = Status::parse(word);
        let refused = changeable(&standing).unwrap_err().to_string();
        assert!(refused.contains(told), "{word}: {refused}");
    }
    for word in ["active", "trialing"] {
        let mut standing = standing(Interval::Monthly);
        standing.subscription.status = Status::parse(word);
        assert!(changeable(&standing).is_ok(), "{word}");
    }
}

#[test]
fn a_date_is_in_the_period_and_not_ahead() {
    let period = standing(Interval::Monthly).subscription.period;
    for (date, expected) in [
        ("2026-03-31T23:59:59Z", Err(BadDate::OutsidePeriod)),
        ("2026-04-01T00:00:00Z", Ok(())),
        ("2026-04-11T00:00:00Z", Ok(())),
        ("2026-04-11T00:00:01Z", Err(BadDate::Future)),
        ("2026-05-01T00:00:00Z", Err(BadDate::OutsidePeriod)),
    ] {
        assert_eq!(check_date(at(date), period, now()), expected, "{date}");
    }
    assert_eq!(preview_date(period, at("2026-04-11T00:00:00.9Z")), now());
    // Ours is behind: the period has not begun by it, and its first second is what a preview names.
    let behind = at("2026-03-31T23:59:55Z");
    assert_eq!(check_date(period.start, period, behind), Ok(()));
    assert_eq!(
        check_date(at("2026-04-01T00:00:01Z"), period, behind),
        Err(BadDate::Future)
    );
    assert_eq!(preview_date(period, at("2026-03-31T23:59:59Z")), period.start);
    assert_eq!(
        preview_date(period, at("2026-05-01T00:00:02Z")),
        at("2026-04-30T23:59:59Z")
    );
}

/// Three of `si_1` at the annual price, for `sub_1`: whatever of it has moved, it is another change.
#[test]
fn a_change_fits_what_it_was_written_down_for() {
    let annual: PriceId = "price_annual".parse().unwrap();
    let monthly = standing(Interval::Monthly);
    assert!(change().still_fits(&monthly, &annual));
    assert!(!change().still_fits(&monthly, &"price_dearer".parse().unwrap()));
    let moved = |move_it: fn(&mut Standing)| {
        let mut standing = monthly.clone();
        move_it(&mut standing);
        change().still_fits(&standing, &annual)
    };
    assert!(!moved(
        |standing| standing.subscription.id = "sub_2".parse().unwrap()
    ));
    assert!(!moved(|standing| standing.subscription.quantity = 4));
    assert!(!moved(|standing| standing.items = vec!["si_2".parse().unwrap()]));
    assert!(!moved(|standing| standing.items.push("si_2".parse().unwrap())));
}

/// What another subscription of the account is to become says nothing about this one.
#[test]
fn a_change_of_another_subscription_is_not_met() {
    let other = Change {
        subscription: "sub_0".parse().unwrap(),
        ..change()
    };
    let (monthly, wish) = (standing(Interval::Monthly), wish(Interval::Annual));
    assert_eq!(next(Some(&other), &monthly, &wish, now()), Ok(Next::Begin));
    assert_eq!(
        next(Some(&other), &pending(), &wish, now()),
        Err(Refusal::AwaitingPayment)
    );
}

#[test]
fn a_cancellation_that_is_being_taken_back_is_waited_for_a_minute() {
    let finishing = Change {
        finishing_at: Some(now()),
        ..waiting()
    };
    let last = now() + IN_FLIGHT - SignedDuration::from_secs(1);
    assert!(finishing.is_being_finished(now()) && finishing.is_being_finished(last));
    assert!(!finishing.is_being_finished(now() + IN_FLIGHT));
    assert!(!waiting().is_being_finished(now()));
    let newer_stays = Change {
        clears_cancellation: false,
        ..finishing
    };
    assert!(!newer_stays.is_being_finished(now()));
}

/// What is planned says everything that its request says, and takes back only what was cancelled before.
#[test]
fn a_plan_is_the_wish_as_the_subscription_stands() {
    let planned = |cancelled: bool| {
        let mut standing = standing(Interval::Monthly);
        standing.subscription.cancel_at_period_end = cancelled;
        let wish = Wish {
            interval: Interval::Annual,
            code: Some("LAUNCH20".parse().unwrap()),
            proration_date: Some(now()),
        };
        let facts = Facts {
            number: 7,
            standing: &standing,
            item: &standing.items[0],
            price: &"price_annual".parse().unwrap(),
            promotion_code: Some("promo_1".parse().unwrap()),
        };
        Change::plan(&owner(), &wish, facts, now())
    };
    let change = planned(true);
    assert_eq!(
        (
            change.number,
            change.quantity,
            change.proration_date,
            change.asked_at
        ),
        (7, 3, Some(now()), now())
    );
    assert_eq!(change.code.as_ref().map(Word::as_str), Some("LAUNCH20"));
    assert!(change.promotion_code.is_some() && change.clears_cancellation);
    assert!(!planned(false).clears_cancellation);
}

#[test]
fn a_schedule_and_other_than_one_item_bar_a_change() {
    let scheduled = Standing {
        scheduled: true,
        ..standing(Interval::Monthly)
    };
    assert_eq!(changeable(&scheduled), Err(Unchangeable::Scheduled));
    for count in [0, 2, 3] {
        let items = Standing {
            items: (0..count).map(|n| format!("si_{n}").parse().unwrap()).collect(),
            ..standing(Interval::Monthly)
        };
        assert_eq!(changeable(&items), Err(Unchangeable::Items(count)));
    }
}

/// An operator moved it to weeks while the change to years is on its way: a wish for months is another one.
#[test]
fn a_change_answers_no_wish_for_another_interval() {
    let mut weekly = standing(Interval::Monthly);
    weekly.subscription.interval = None;
    weekly.subscription.price = "price_week".parse().unwrap();
    let months = wish(Interval::Monthly);
    assert_eq!(next(Some(&change()), &weekly, &months, now()), Err(Refusal::Busy));
    weekly.pending = true;
    assert_eq!(
        next(Some(&waiting()), &weekly, &months, now()),
        Err(Refusal::AwaitingPayment)
    );
}

/// It took effect, and an operator's own update waits for a payment: what is left of the change does not wait for that.
#[test]
fn a_change_that_took_effect_is_finished_whatever_waits_beside_it() {
    let beside = Standing {
        pending: true,
        ..standing(Interval::Annual)
    };
    assert_eq!(fate(&waiting(), &beside, now()), Fate::TookEffect);
    assert_eq!(
        next(Some(&waiting()), &beside, &wish(Interval::Annual), now()),
        Ok(Next::Finish(waiting()))
    );
}
