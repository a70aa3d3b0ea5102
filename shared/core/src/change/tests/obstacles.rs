//! What stands in the way of a change.

use super::*;

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
        ("2026-05-01T00:00:01Z", Err(BadDate::OutsidePeriod)),
    ] {
        assert_eq!(check_date(at(date), period, now()), expected, "{date}");
    }
    assert_eq!(proration_date_in(period, at("2026-04-11T00:00:00.9Z")), now());
    // Ours is behind: the period has not begun by it, and its first second is what a preview names.
    let behind = at("2026-03-31T23:59:55Z");
    assert_eq!(check_date(period.start, period, behind), Ok(()));
    assert_eq!(
        check_date(at("2026-04-01T00:00:01Z"), period, behind),
        Err(BadDate::Future)
    );
    assert_eq!(
        proration_date_in(period, at("2026-03-31T23:59:59Z")),
        period.start
    );
    assert_eq!(
        proration_date_in(period, at("2026-05-01T00:00:02Z")),
        at("2026-04-30T23:59:59Z")
    );
}

/// A year since 1 April that is to end with its period. What began a month ago, or will have before a change can be paid, is too long ago for months; never for a year.
#[test]
fn a_new_period_is_not_over_when_it_is_paid() {
    let standing = standing(Interval::Annual);
    for (now, interval, expected) in [
        ("2026-04-29T23:59:59Z", Interval::Monthly, Ok(())),
        ("2026-04-30T00:00:00Z", Interval::Monthly, Err(BadDate::LongAgo)),
        ("2026-07-01T00:00:00Z", Interval::Monthly, Err(BadDate::LongAgo)),
        ("2026-07-01T00:00:00Z", Interval::Annual, Ok(())),
    ] {
        let date = at("2026-04-01T00:00:00Z");
        let told = check_new_period(date, &standing, interval, at(now));
        assert_eq!(told, expected, "{now} {interval}");
    }
    let goes_on = Standing {
        end: None,
        ..standing.clone()
    };
    let (date, now) = (at("2026-04-01T00:00:00Z"), at("2026-07-01T00:00:00Z"));
    assert_eq!(check_new_period(date, &goes_on, Interval::Monthly, now), Ok(()));
    // Its trial goes on to July: the months begin with its end.
    let mut trial = standing;
    trial.subscription.status = Status::Trialing;
    trial.subscription.period.end = at("2026-07-01T00:00:00Z");
    let date = at("2026-04-01T00:00:00Z");
    let told = check_new_period(date, &trial, Interval::Monthly, at("2026-06-30T00:00:00Z"));
    assert_eq!(told, Ok(()));
}

#[test]
fn a_schedule_another_way_of_paying_and_other_than_one_item_bar_a_change() {
    let scheduled = Standing {
        scheduled: true,
        ..standing(Interval::Monthly)
    };
    assert_eq!(changeable(&scheduled), Err(Unchangeable::Scheduled));
    for (collection, why) in [
        (Collection::Sent, Unchangeable::Sent),
        (Collection::Paused, Unchangeable::CollectionPaused),
    ] {
        let otherwise_paid = Standing {
            collection,
            ..standing(Interval::Monthly)
        };
        assert_eq!(changeable(&otherwise_paid), Err(why));
    }
    for count in [0, 2, 3] {
        let items = Standing {
            items: (0..count).map(|n| format!("si_{n}").parse().unwrap()).collect(),
            ..standing(Interval::Monthly)
        };
        assert_eq!(changeable(&items), Err(Unchangeable::Items(count)));
    }
}

/// It is named, and what to do. What is not known is left to Stripe.
#[test]
fn what_pays_days_later_bars_a_change() {
    let kind = MethodKind::of("sepa_debit");
    let told = payable(Some(&kind)).unwrap_err().to_string();
    assert_eq!(
        told,
        "the subscription is paid by sepa_debit, with which it cannot be changed: it takes a card, or another payment method that pays at \
         once"
    );
    for kind in [None, Some(MethodKind::of("card"))] {
        assert_eq!(payable(kind.as_ref()), Ok(()));
    }
}

/// Asked for on 11 April. An end that an operator has set is after the period, and after the one that another interval would begin, to the second;
/// also where a cancellation has set it aside. In a trial until June, the year may begin with its end.
#[test]
fn a_change_is_of_what_goes_on_beyond_its_period() {
    let ending = |end: &str| {
        let mut standing = standing(Interval::Monthly);
        standing.subscription.cancel_at_period_end = false;
        standing.end = Some(ScheduledEnd::OnDate(at(end)));
        standing
    };
    let set_aside = |end: &str| Standing {
        set_aside: Some(at(end)),
        ..standing(Interval::Monthly)
    };
    let on_trial = |end: &str| {
        let mut standing = ending(end);
        standing.subscription.status = Status::Trialing;
        standing.subscription.period.end = at("2026-06-01T00:00:00Z");
        standing
    };
    let mut by_date = standing(Interval::Monthly);
    by_date.end = Some(ScheduledEnd::OnDate(at("2026-05-01T00:00:00Z")));
    let (may, year) = ("2026-05-05T00:00:00Z", "2027-04-11T00:00:01Z");
    for (standing, interval, end) in [
        (standing(Interval::Monthly), Interval::Annual, None),
        (
            ending("2026-05-01T00:00:00Z"),
            Interval::Monthly,
            Some("2026-05-01T00:00:00Z"),
        ),
        (ending("2026-05-01T00:00:01Z"), Interval::Monthly, None),
        (ending(may), Interval::Monthly, None),
        (ending(may), Interval::Annual, Some(may)),
        (
            ending("2027-04-11T00:00:00Z"),
            Interval::Annual,
            Some("2027-04-11T00:00:00Z"),
        ),
        (ending(year), Interval::Annual, None),
        (set_aside(may), Interval::Monthly, None),
        (set_aside(may), Interval::Annual, Some(may)),
        // It is over, and what ends with its period ends so, told by a date or not.
        (set_aside("2026-04-11T00:00:00Z"), Interval::Monthly, None),
        (by_date, Interval::Monthly, None),
        (on_trial(year), Interval::Annual, Some(year)),
        (on_trial("2027-06-01T00:00:01Z"), Interval::Annual, None),
    ] {
        let expected = end.map_or(Ok(()), |end| Err(Unchangeable::EndsOn(at(end))));
        assert_eq!(
            goes_on(&standing, interval, now()),
            expected,
            "{interval} {standing:?}"
        );
    }
}
