//! What an offer is held to: the end of its contract, what can be charged, and what it is compared with later.

use super::*;

fn monthly() -> Plan {
    plan(1, "P1M", json!("start"), 1000)
}

/// From the first of April.
fn april() -> Offer {
    begun(&monthly(), "2026-04-01", None).unwrap()
}

fn begun_at(plan: &Plan, end: Option<&str>, now: &str) -> Offer {
    begin(&NewContract {
        plan,
        overrides: &[],
        zone: &Zone::UTC,
        start: "2026-03-01".parse().unwrap(),
        end: end.map(|end| end.parse().unwrap()),
        now: at(now),
    })
    .unwrap()
}

/// The next bill: from when on, and what it comes to.
fn next_bill(offer: &Offer) -> (String, i64) {
    let next = offer.estimates.next_invoice.as_ref().unwrap();
    (next.period_start.to_string(), next.total)
}

/// From the first of March to the first of May, and paid on 16 March: April's 16th to the end are 15 days of 30, of 15.00. What goes on, what an anchor
/// cuts short, and what is still to begin, is counted from its start.
#[test]
fn a_whole_first_period_of_what_ends_is_counted_from_its_payment() {
    let end = Some("2026-05-01");
    let told = |start: &str, total| (format!("2026-{start}T00:00:00Z"), total);
    let paid = "2026-03-16T00:00:00Z";
    assert_eq!(next_bill(&begun_at(&monthly(), end, paid)), told("04-16", 750));
    assert_eq!(next_bill(&begun_at(&monthly(), None, paid)), told("04-01", 1500));
    let early = "2026-02-20T00:00:00Z";
    assert_eq!(next_bill(&begun_at(&monthly(), end, early)), told("04-01", 1500));
    let anchored = plan(1, "P1M", json!({ "day_of_month": 11 }), 1000);
    assert_eq!(next_bill(&begun_at(&anchored, end, paid)), told("03-11", 1500));
}

/// To end on the 22nd, six of April's 30 days after the 16th: two seats more are 6 × 20.00 / 30 = 4.00.
#[test]
fn an_amendment_is_charged_up_to_the_end() {
    let standing = april().after;
    let ending = |end: &str, plan: Option<&Plan>, overrides: &[Override]| {
        amend(&Amended {
            standing: &standing,
            ends_at: Some(at(end)),
            plan,
            overrides,
            at: at("2026-04-16T00:00:00Z"),
        })
    };
    let more = ending("2026-04-22T00:00:00Z", None, &seats(3)).unwrap();
    assert_eq!((total(&more), more.estimates.next_invoice.clone()), (400, None));
    assert_eq!(more.after.ends_at, Some(at("2026-04-22T00:00:00Z")));
    let less = plan(2, "P1M", json!("start"), 100);
    for (end, refused) in [
        ("2026-04-22T00:00:00Z", true),
        ("2026-05-01T00:00:00Z", true),
        ("2026-05-01T00:00:01Z", false),
    ] {
        let offer = ending(end, Some(&less), &[]);
        assert_eq!(matches!(offer, Err(NoOffer::Invalid(_))), refused, "{end}");
        assert!(
            refused || offer.is_ok_and(|offer| offer.way == Way::AtPeriodEnd),
            "{end}"
        );
    }
}

/// Twelve digits, with the 5.00 of the archive; 4294967295 seats.
#[test]
fn the_most_that_can_be_charged_is_offered_and_no_more() {
    let seat = |unit_amount| begun(&plan(1, "P1M", json!("start"), unit_amount), "2026-04-01", None);
    assert_eq!(
        seat(999_999_999_499).map(|offer| total(&offer)),
        Ok(999_999_999_999)
    );
    assert!(seat(999_999_999_500).is_err());
    // Half of that now, and all of it next.
    let anchored = plan(1, "P1M", json!({ "day_of_month": 1 }), 1_000_000_000_000);
    assert!(begun(&anchored, "2026-04-16", None).is_err());
    let many = |quantity| {
        begin(&NewContract {
            plan: &plan(1, "P1M", json!("start"), 1),
            overrides: &seats(quantity),
            zone: &Zone::UTC,
            start: "2026-04-01".parse().unwrap(),
            end: None,
            now: at(APRIL.0),
        })
    };
    assert_eq!(many(4_294_967_295).map(|offer| total(&offer)), Ok(4_294_967_795));
    assert!(many(4_294_967_296).is_err());
}

/// A seat of 9 billion is given back: little is left to pay, of a seat that costs all that can be charged, and of one that costs 15 billion.
#[test]
fn a_line_that_is_beyond_charging_is_not_offered_whatever_is_given_back() {
    let of = |id, unit_amount| plan(id, "P1M", json!("start"), unit_amount);
    let standing = begun(&of(1, 900_000_000_000), "2026-04-01", None).unwrap().after;
    let upgrade = |unit_amount| {
        amend(&Amended {
            standing: &standing,
            ends_at: Some(at(MAY.0)),
            plan: Some(&of(2, unit_amount)),
            overrides: &[],
            at: at(APRIL.0),
        })
        .map(|offer| total(&offer))
    };
    assert_eq!(upgrade(999_999_999_999), Ok(99_999_999_999));
    assert!(matches!(upgrade(1_500_000_000_000), Err(NoOffer::Invalid(_))));
}

/// The next bill of a contract that begins follows from the moment that it is asked at. Everything else is what was offered, or it is another offer.
#[test]
fn an_offer_to_begin_is_the_same_at_another_moment_and_an_amendment_is_not() {
    let end = Some("2026-05-01");
    let made = begun_at(&monthly(), end, "2026-03-16T00:00:00Z");
    let later = begun_at(&monthly(), end, "2026-03-21T00:00:00Z");
    assert!(later != made && later.is_as(&made));
    assert!(!begun_at(&monthly(), None, "2026-03-16T00:00:00Z").is_as(&made));
    let dearer = plan(1, "P1M", json!("start"), 1001);
    assert!(!begun_at(&dearer, end, "2026-03-16T00:00:00Z").is_as(&made));
    let amendment = amended(&made.after, None, &seats(2), "2026-03-16T00:00:00Z").unwrap();
    assert!(amendment.is_as(&amendment));
    let mut other = amendment.clone();
    other.estimates.next_invoice = None;
    assert!(!other.is_as(&amendment));
}

#[test]
fn an_offer_costs_something_now_or_with_the_next_bill() {
    let costing = |current: i64, next: Option<i64>| {
        let mut offer = april();
        offer.estimates.current_invoice.total = current;
        let bill = offer.estimates.next_invoice.take();
        offer.estimates.next_invoice = next.and_then(|total| bill.map(|bill| Estimate { total, ..bill }));
        offer
    };
    for (current, next, costs) in [
        (2, None, true),
        (0, Some(2), true),
        (-2, Some(2), true),
        (2, Some(0), true),
        (0, Some(0), false),
        (0, None, false),
        (-2, None, false),
    ] {
        let offer = costing(current, next);
        assert_eq!(offer.costs_something(), costs, "{current} {next:?}");
        assert_eq!(offer.begins_to_cost(), costs, "nothing was before");
    }
    let paid = april().after;
    let mut free = paid.clone();
    for chosen in &mut free.configuration.products {
        chosen.is_enabled = false;
    }
    for (before, costs, begins) in [(&paid, 2, false), (&free, 2, true), (&free, 0, false)] {
        let offer = Offer {
            before: Some(before.clone()),
            ..costing(costs, None)
        };
        assert_eq!(offer.begins_to_cost(), begins);
    }
}

/// Dearer, with one product less, or in another currency, cadence or anchor, it is another plan.
#[test]
fn an_offer_holds_while_its_plan_is_as_it_was() {
    let offer = april();
    assert!(offer.still_holds(&monthly()));
    let mut fewer = monthly();
    fewer.products.pop();
    let mut more = monthly();
    more.products.push(more.products[0].clone());
    let euros = Plan {
        currency: "eur".parse().unwrap(),
        ..monthly()
    };
    for (other, what) in [
        (plan(1, "P1M", json!("start"), 1001), "dearer"),
        (plan(1, "P1Y", json!("start"), 1000), "a year"),
        (plan(1, "P1M", json!({ "day_of_month": 1 }), 1000), "anchored"),
        (fewer, "fewer"),
        (more, "more"),
        (euros, "euros"),
    ] {
        assert!(!offer.still_holds(&other), "{what}");
    }
}

/// What begins: with its short first period, or with the contract. What is amended: with the period, or with the contract.
#[test]
fn an_offer_is_past_with_the_period_that_it_charges_a_share_of() {
    let short = begun(
        &plan(1, "P1M", json!({ "day_of_month": 1 }), 1000),
        "2026-04-16",
        None,
    )
    .unwrap();
    let until = |end: &str| begun(&monthly(), "2026-04-01", Some(end)).unwrap();
    let amendment = |ends_at: Option<&str>| {
        amend(&Amended {
            standing: &april().after,
            ends_at: ends_at.map(at),
            plan: None,
            overrides: &seats(3),
            at: at("2026-04-16T00:00:00Z"),
        })
        .unwrap()
    };
    for (offer, end) in [
        (short, "2026-05-01T00:00:00Z"),
        (until("2026-06-15"), "2026-06-15T00:00:00Z"),
        (amendment(None), "2026-05-01T00:00:00Z"),
        (amendment(Some("2026-04-22T00:00:00Z")), "2026-04-22T00:00:00Z"),
    ] {
        let second = jiff::SignedDuration::from_secs(1);
        let past = [at(end) - second, at(end), at(end) + second].map(|now| offer.is_past(now));
        assert_eq!(past, [false, true, true], "{end}");
    }
}

/// Stripe charges 0.50 at once, or nothing.
#[test]
fn a_plan_that_comes_to_too_little_is_told() {
    let seat = |unit_amount| {
        let mut seats = plan(1, "P1M", json!("start"), unit_amount);
        seats.products.pop();
        seats
    };
    for (unit_amount, is_told) in [(0, false), (1, true), (49, true), (50, false), (51, false)] {
        let faults = seat(unit_amount).uncharged();
        let told: Vec<&str> = faults.iter().map(|fault| fault.member.as_str()).collect();
        let expected: &[&str] = if is_told { &["products"] } else { &[] };
        assert_eq!(told, expected, "{unit_amount}");
    }
}
