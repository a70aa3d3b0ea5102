//! What is done about a wish.

use super::*;
use crate::asked::IN_FLIGHT;

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
        // Whoever wrote it down died, and Stripe may have dropped it by now.
        (
            Some(change()),
            &monthly,
            with_code.clone(),
            later,
            Ok(Next::Settle(change())),
        ),
        (
            Some(change()),
            &monthly,
            to(Interval::Annual),
            later,
            Ok(Next::Settle(change())),
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
            Ok(Next::Settle(waiting())),
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
