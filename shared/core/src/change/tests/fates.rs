//! What has become of a change.

use super::*;
use crate::asked::IN_FLIGHT;
use jiff::SignedDuration;

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
    let date = at("2026-05-01T00:00:00Z");
    let on_date = Standing {
        end: Some(ScheduledEnd::OnDate(date)),
        ..annual.clone()
    };
    let by_date = || Change {
        cancellation_date: Some(date),
        ..waiting()
    };
    let keeps = Change {
        clears_cancellation: false,
        ..waiting()
    };
    // Taken back, in favour of an end that an operator has set, if any.
    let goes_on = |end| {
        let mut waits = pending();
        waits.subscription.cancel_at_period_end = false;
        Standing { end, ..waits }
    };
    let (goes_on, goes_on_until) = (
        goes_on(None),
        goes_on(Some(ScheduledEnd::OnDate(at("2027-08-01T00:00:00Z")))),
    );
    let led = Standing {
        scheduled: true,
        ..annual.clone()
    };
    let cases = [
        (change(), &monthly, now(), Fate::Open),
        (change(), &monthly, later, Fate::Over),
        (change(), &pending(), now(), Fate::Waits("in_2".parse().unwrap())),
        (waiting(), &pending(), later, Fate::Open),
        (change(), &goes_on, now(), Fate::Waits("in_2".parse().unwrap())),
        (waiting(), &goes_on, later, Fate::Resumed),
        (waiting(), &goes_on_until, later, Fate::Resumed),
        (keeps.clone(), &goes_on, later, Fate::Open),
        (waiting(), &monthly, now(), Fate::Over),
        (change(), &annual, now(), Fate::TookEffect),
        (waiting(), &annual, later, Fate::TookEffect),
        (waiting(), &resumed, later, Fate::Over),
        // Cancelled by its date before the change, and an end that an operator has set.
        (by_date(), &on_date, later, Fate::TookEffect),
        (waiting(), &on_date, later, Fate::Over),
        (keeps, &annual, later, Fate::Over),
        (waiting(), &over, later, Fate::Over),
        // Ended a moment after it was asked, or after it took effect: nothing is taken back any more.
        (change(), &over, now(), Fate::Over),
        (waiting(), &over_annual, later, Fate::Over),
        // Given to a schedule, which alone says when it ends.
        (waiting(), &led, later, Fate::Over),
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
    let due = |minor: i64| {
        let mut annual = standing(Interval::Annual);
        annual.latest_invoice.as_mut().unwrap().charge.amount_due = minor;
        annual
    };
    assert!(!quoted(26_800).differs_from_quote(&due(0)), "on account by now");
    assert!(quoted(26_800).differs_from_quote(&due(26_801)));
    assert!(
        !quoted(27_300).differs_from_quote(&standing(Interval::Monthly)),
        "another invoice"
    );
    let mut second = annual;
    second.subscription.id = "sub_2".parse().unwrap();
    assert!(
        !quoted(27_300).differs_from_quote(&second),
        "another subscription"
    );
    // In a trial that goes on, the latest invoice is an earlier one where nothing is billed.
    let mut trial = standing(Interval::Annual);
    trial.subscription.status = Status::Trialing;
    assert!(!quoted(0).differs_from_quote(&trial));
    assert!(quoted(27_300).differs_from_quote(&trial));
    assert!(quoted(0).differs_from_quote(&standing(Interval::Annual)));
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
