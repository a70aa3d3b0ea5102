//! Ending a subscription with its period, and taking that back.

use jiff::Timestamp;

use crate::change::Change;
use crate::subscription::{Cancellation, ScheduledEnd, Standing, Status};

/// What is to become of the end of a subscription, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The subscription is to end with its current period.
    Cancel,
    /// It is to go on.
    Resume,
}

/// Why the end of a subscription can neither be scheduled nor taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unendable {
    /// There is none, or it is over.
    #[error("the account has no subscription")]
    NoSubscription,
    /// Its first invoice is open: it has not begun, and ends by itself when that is not paid.
    #[error("the subscription is incomplete: its first invoice is not paid")]
    Incomplete,
    /// A schedule decides when it ends.
    #[error("the subscription is owned by a schedule, which alone can change it")]
    Scheduled,
}

/// What to do about a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is as was wished for.
    Done,
    /// It is as was wished for, and no change that is under way may undo that: count the wish.
    Keep,
    /// Count the wish, and have Stripe end the subscription with its period, in place of the later end that an operator has set.
    Schedule(Option<Timestamp>),
    /// Count the wish, and have Stripe take back an end that was scheduled in this way, in favour of what an operator had set.
    TakeBack(Cancellation),
    /// A change is taking an older cancellation back at this moment: look again.
    Wait,
}

/// What to do about a wish, given the change that is written down and what Stripe has just said. One that is overdue can be ended,
/// too.
pub fn next(
    wish: Wish,
    change: Option<&Change>,
    standing: &Standing,
    now: Timestamp,
) -> Result<Next, Unendable> {
    match standing.subscription.status {
        Status::Canceled | Status::IncompleteExpired => return Err(Unendable::NoSubscription),
        Status::Incomplete => return Err(Unendable::Incomplete),
        _ if standing.scheduled => return Err(Unendable::Scheduled),
        _ => {}
    }
    let scheduled = standing.subscription.cancel_at_period_end;
    let operators = match standing.end {
        Some(ScheduledEnd::OnDate(end)) if !scheduled => Some(end),
        _ => None,
    };
    Ok(match wish {
        Wish::Cancel if change.is_some_and(|change| change.is_being_finished(now)) => Next::Wait,
        // It ends sooner than with its period: that is for an operator to put off.
        Wish::Cancel if operators.is_some_and(|end| end <= standing.subscription.period.end) => Next::Done,
        Wish::Cancel if !scheduled => Next::Schedule(operators),
        Wish::Cancel if change.is_some_and(|change| change.clears_cancellation) => Next::Keep,
        Wish::Cancel => Next::Done,
        // An end on another date than the period's is an operator's doing.
        Wish::Resume => match standing.cancellation(now) {
            Some(cancellation) if scheduled => Next::TakeBack(cancellation),
            _ => Next::Done,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Period;
    use crate::plan::Interval;
    use crate::subscription::{Collection, Subscription};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-04-11T00:00:00Z")
    }

    fn taken_back(end: ScheduledEnd, back_to: Option<Timestamp>) -> Next {
        Next::TakeBack(Cancellation { end, back_to })
    }

    /// Ends with its period in the way that is said, if at all.
    fn standing(status: &str, cancelled: bool, end: Option<ScheduledEnd>) -> Standing {
        Standing {
            subscription: Subscription {
                id: "sub_1".parse().unwrap(),
                status: Status::parse(status),
                price: "price_m".parse().unwrap(),
                interval: Some(Interval::Monthly),
                quantity: 1,
                period: Period {
                    start: at("2026-04-01T00:00:00Z"),
                    end: at("2026-05-01T00:00:00Z"),
                },
                cancel_at_period_end: cancelled,
            },
            customer: "cus_1".parse().unwrap(),
            currency: "usd".parse().unwrap(),
            items: vec!["si_1".parse().unwrap()],
            codes: vec![],
            scheduled: false,
            pending: false,
            end,
            set_aside: None,
            collection: Collection::Charged,
            payer: None,
            latest_invoice: None,
        }
    }

    fn change(clears_cancellation: bool, finishing_at: Option<Timestamp>) -> Change {
        Change {
            account: "ada".parse().unwrap(),
            number: 1,
            subscription: "sub_1".parse().unwrap(),
            item: "si_1".parse().unwrap(),
            interval: Interval::Annual,
            price: "price_a".parse().unwrap(),
            quantity: 1,
            code: None,
            promotion_code: None,
            proration_date: None,
            from: None,
            clears_cancellation,
            cancellation_date: None,
            quoted: None,
            asked_at: now(),
            invoice: None,
            finishing_at,
        }
    }

    #[test]
    fn a_wish_meets_what_is_there() {
        let running = standing("active", false, None);
        let ending = standing("active", true, Some(ScheduledEnd::WithPeriod));
        let on = |date: &str| Some(ScheduledEnd::OnDate(at(date)));
        let by_date = standing("active", true, on("2026-05-01T00:00:00Z"));
        let (sooner, later) = ("2026-04-20T00:00:00Z", "2026-07-15T00:00:00Z");
        let ends_sooner = standing("active", false, on(sooner));
        // As Stripe has it: the period ends there, too.
        let mut cut_short = ends_sooner.clone();
        cut_short.subscription.period.end = at(sooner);
        let ends_later = standing("active", false, on(later));
        let set_aside = Standing {
            set_aside: Some(at(later)),
            ..ending.clone()
        };
        let long_over = Standing {
            set_aside: Some(at("2026-04-10T00:00:00Z")),
            ..ending.clone()
        };
        let (clears, keeps) = (change(true, None), change(false, None));
        let finishing = change(true, Some(now()));
        let long_ago = change(true, Some(at("2026-04-10T00:00:00Z")));
        use Wish::{Cancel, Resume};
        for (wish, change, standing, expected) in [
            (Cancel, None, &running, Next::Schedule(None)),
            (Cancel, None, &ends_sooner, Next::Done),
            (Cancel, None, &cut_short, Next::Done),
            (Resume, None, &cut_short, Next::Done),
            (Cancel, None, &ends_later, Next::Schedule(Some(at(later)))),
            (Cancel, None, &ending, Next::Done),
            (Cancel, Some(&keeps), &ending, Next::Done),
            (Cancel, Some(&clears), &ending, Next::Keep),
            (Cancel, Some(&clears), &by_date, Next::Keep),
            (Cancel, Some(&clears), &running, Next::Schedule(None)),
            (Cancel, Some(&finishing), &ending, Next::Wait),
            (Cancel, Some(&finishing), &running, Next::Wait),
            (Cancel, Some(&long_ago), &ending, Next::Keep),
            (Resume, None, &running, Next::Done),
            (Resume, None, &ends_sooner, Next::Done),
            (Resume, None, &ends_later, Next::Done),
            (Resume, None, &ending, taken_back(ScheduledEnd::WithPeriod, None)),
            (
                Resume,
                None,
                &set_aside,
                taken_back(ScheduledEnd::WithPeriod, Some(at(later))),
            ),
            (
                Resume,
                None,
                &long_over,
                taken_back(ScheduledEnd::WithPeriod, None),
            ),
            (
                Resume,
                Some(&finishing),
                &by_date,
                taken_back(ScheduledEnd::OnDate(at("2026-05-01T00:00:00Z")), None),
            ),
        ] {
            assert_eq!(
                next(wish, change, standing, now()),
                Ok(expected),
                "{wish:?} {change:?} {standing:?}"
            );
        }
    }

    #[test]
    fn what_has_not_begun_what_is_over_and_what_a_schedule_owns_is_not_ended() {
        for wish in [Wish::Cancel, Wish::Resume] {
            let on = |status: &str| next(wish, None, &standing(status, false, None), now());
            assert_eq!(on("canceled"), Err(Unendable::NoSubscription));
            assert_eq!(on("incomplete_expired"), Err(Unendable::NoSubscription));
            assert_eq!(on("incomplete"), Err(Unendable::Incomplete));
            for status in [
                "active",
                "trialing",
                "past_due",
                "unpaid",
                "paused",
                "a word of tomorrow",
            ] {
                assert!(on(status).is_ok(), "{status}");
            }
            let scheduled = Standing {
                scheduled: true,
                ..standing("active", true, Some(ScheduledEnd::WithPeriod))
            };
            assert_eq!(next(wish, None, &scheduled, now()), Err(Unendable::Scheduled));
        }
    }
}
