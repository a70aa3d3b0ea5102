//! What is written down of a change.

use super::*;

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
