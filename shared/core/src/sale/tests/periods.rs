//! The period that a contract is in, as Stripe bills it.

use super::*;

/// The contract of a seat at 10.00 and the archive that was sold in April, as Stripe bills it in that period by now.
fn landed_in(contract: &Contract, period: (&str, &str)) -> Contract {
    land(
        contract,
        read(BillingStatus::Active, &SOLD, period),
        Lateness::InTime,
    )
    .contract
}

/// What was billed for the seat and for the archive.
fn billed(contract: &Contract) -> Vec<i64> {
    let billed = contract.standing.billed.iter();
    billed.map(|billed| billed.charged.billed).collect()
}

fn told(contract: &Contract) -> (String, String, u8) {
    let standing = &contract.standing;
    (
        standing.period.start.to_string(),
        standing.period.end.to_string(),
        standing.anchor.day.into(),
    )
}

fn is_in(contract: &Contract, (start, end): (&str, &str), day: u8) {
    assert_eq!(told(contract), (start.to_owned(), end.to_owned(), day));
}

/// A month that an operator begins in the midst of April is counted from there, and was billed whole; a renewal keeps its day.
#[test]
fn a_period_that_begins_within_the_one_before_is_followed() {
    let april = active();
    let begun = landed_in(&april, ("2026-04-13T10:00:00Z", "2026-05-13T10:00:00Z"));
    is_in(&begun, ("2026-04-13T10:00:00Z", "2026-05-13T10:00:00Z"), 13);
    assert_eq!(begun.standing.billed, april.standing.billed);
    let renewed = landed_in(&begun, ("2026-05-13T10:00:00Z", "2026-06-13T10:00:00Z"));
    is_in(&renewed, ("2026-05-13T10:00:00Z", "2026-06-13T10:00:00Z"), 13);
}

/// On the 31st: the day comes back in the months that have it.
#[test]
fn the_day_of_a_period_that_an_operator_begins_comes_back() {
    let (april, june) = (
        ("2026-05-31T00:00:00Z", "2026-06-30T00:00:00Z"),
        ("2026-06-30T00:00:00Z", "2026-07-31T00:00:00Z"),
    );
    let begun = landed_in(&landed_in(&active(), MAY), april);
    is_in(&begun, april, 31);
    is_in(&landed_in(&begun, june), june, 31);
}

/// From the 30th at ten to the 31st at nine: the month that is begun later ends an hour earlier, since February has neither day.
#[test]
fn a_period_that_begins_later_and_ends_earlier_is_followed() {
    let offer = begun(
        &plan(1, "P1M", json!("start"), 1000),
        "2026-01-30T10:00:00Z",
        None,
    );
    let selling = contract(sale(offer.unwrap()));
    let sold = landed_in(&selling, ("2026-01-30T10:00:00Z", "2026-02-28T10:00:00Z"));
    is_in(&sold, ("2026-01-30T10:00:00Z", "2026-02-28T10:00:00Z"), 30);
    let moved = ("2026-01-31T09:00:00Z", "2026-02-28T09:00:00Z");
    is_in(&landed_in(&sold, moved), moved, 31);
}

/// What was read before what is stored: a period that begins earlier is none.
#[test]
fn a_period_is_never_moved_back() {
    let begun = landed_in(&active(), ("2026-04-13T00:00:00Z", "2026-05-13T00:00:00Z"));
    let old = landed_in(&begun, APRIL);
    assert_eq!(old.standing, begun.standing);
    let year = ("2026-04-01T00:00:00Z", "2027-04-01T00:00:00Z");
    assert_eq!(landed_in(&begun, year).standing, begun.standing);
    let later = landed_in(&active(), MAY);
    assert_eq!(landed_in(&later, APRIL).standing, later.standing);
}

/// Nothing is billed in a trial: the contract stays what it stood at, and a month begins at its end.
#[test]
fn a_trial_is_no_period_of_a_contracts() {
    let april = active();
    for trial in [
        ("2026-04-06T00:00:00Z", "2026-04-09T00:00:00Z"),
        ("2026-04-06T00:00:00Z", "2026-06-09T00:00:00Z"),
        ("2026-05-06T00:00:00Z", "2026-06-09T00:00:00Z"),
    ] {
        let free = read(BillingStatus::Trialing, &SOLD, trial);
        let on_trial = land(&april, free, Lateness::InTime).contract;
        assert_eq!(on_trial.standing, april.standing, "{trial:?}");
        assert_eq!(on_trial.clone().in_billed_period(), Ok(on_trial.clone()));
        let month = match trial.1 {
            "2026-04-09T00:00:00Z" => (trial.1, "2026-05-09T00:00:00Z"),
            end => (end, "2026-07-09T00:00:00Z"),
        };
        is_in(&landed_in(&on_trial, month), month, 9);
    }
}

/// From 16 April to an anchor on 1 May, which is told as a share of a month, and a contract that ends within a month: the same period.
#[test]
fn a_period_that_is_cut_short_is_the_same() {
    let anchored = plan(1, "P1M", json!({ "day_of_month": 1 }), 1000);
    let first = ("2026-04-16T00:00:00Z", "2026-05-01T00:00:00Z");
    let selling = contract(sale(begun(&anchored, "2026-04-16", None).unwrap()));
    let sold = landed_in(&selling, first);
    assert_eq!(sold.standing.period.start, at("2026-04-01T00:00:00Z"));
    assert_eq!(landed_in(&sold, first).standing, sold.standing);
    let ends = |end| {
        let mut cut = read(BillingStatus::Active, &SOLD, (first.0, end));
        cut.billing.cancel_at = Some(at(end));
        land(&sold, cut, Lateness::InTime).contract
    };
    let ending = ends("2026-04-25T00:00:00Z");
    assert_eq!(ending.ends_at, Some(at("2026-04-25T00:00:00Z")));
    assert_eq!(ending.standing.period, sold.standing.period);
    // Begun anew on the 20th, up to an end that lies beyond the anchor.
    let mut cut = read(
        BillingStatus::Active,
        &SOLD,
        ("2026-04-20T00:00:00Z", "2026-05-05T00:00:00Z"),
    );
    cut.billing.cancel_at = Some(at("2026-05-05T00:00:00Z"));
    let moved = land(&sold, cut, Lateness::InTime).contract;
    is_in(&moved, ("2026-04-20T00:00:00Z", "2026-05-20T00:00:00Z"), 20);
    // 15 of 30 days of 10.00 and 5.00.
    assert_eq!(billed(&moved), [500, 250]);
}

/// A year that an operator has it billed by, and that the contract's end cuts short, is no share of a month: it is followed once.
#[test]
fn a_longer_period_of_an_operators_is_followed_as_it_is() {
    let mut year = read(
        BillingStatus::Active,
        &SOLD,
        ("2026-04-13T00:00:00Z", "2026-09-01T00:00:00Z"),
    );
    year.billing.cancel_at = Some(at("2026-09-01T00:00:00Z"));
    let moved = land(&active(), year.clone(), Lateness::InTime).contract;
    assert_eq!(moved.standing.period, year.billing.period);
    assert!(!moved.is_in_another_period(&year.billing));
    // Its end taken away, it goes on.
    let whole = ("2026-04-13T00:00:00Z", "2027-04-13T00:00:00Z");
    is_in(&landed_in(&moved, whole), whole, 13);
}

/// April to its 25th, as an operator has it end: what was billed is all of it. Begun anew on the 13th it is 12 days of 30.
#[test]
fn a_period_that_the_end_cuts_short_is_another_where_it_begins_later() {
    let april = active();
    let cut = |start: &str| {
        let end = "2026-04-25T00:00:00Z";
        let mut cut = read(BillingStatus::Active, &SOLD, (start, end));
        cut.billing.cancel_at = Some(at(end));
        land(&april, cut, Lateness::InTime).contract
    };
    let ending = cut(APRIL.0);
    assert_eq!(ending.standing.billed, april.standing.billed);
    is_in(&ending, APRIL, 1);
    let begun = cut("2026-04-13T00:00:00Z");
    is_in(&begun, ("2026-04-13T00:00:00Z", "2026-05-13T00:00:00Z"), 13);
    assert_eq!(billed(&begun), [400, 200]);
}

/// Sold for April, or for its second half, and heard of after that: whole periods, of which nothing was sold.
#[test]
fn what_is_landed_in_a_later_period_was_billed_for_that() {
    let anchored = plan(1, "P1M", json!({ "day_of_month": 1 }), 1000);
    let half = begun(&anchored, "2026-04-16", None).unwrap();
    let june = ("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
    for period in [MAY, june] {
        let landed = landed_in(&contract(sale(half.clone())), period);
        is_in(&landed, period, 1);
        assert_eq!(billed(&landed), [1000, 500]);
    }
}

/// Cut short by an operator before anybody had heard of it: April, which was billed whole.
#[test]
fn what_is_cut_short_before_it_is_landed_stays_whole() {
    let end = "2026-04-25T00:00:00Z";
    let mut cut = read(BillingStatus::Active, &SOLD, (APRIL.0, end));
    cut.billing.cancel_at = Some(at(end));
    let april = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let landed = land(&contract(sale(april)), cut, Lateness::InTime).contract;
    is_in(&landed, APRIL, 1);
    assert_eq!(billed(&landed), [1000, 500]);
}

/// Sold from the first and paid on the third: the period is counted from there, also where it ends on the 25th, by the sale or by an operator. One that an
/// anchor cuts short is counted from the anchor, whatever cuts it shorter.
#[test]
fn what_is_paid_later_is_counted_from_its_payment_or_from_the_anchor() {
    let end = "2026-04-25T00:00:00Z";
    let (monthly, anchored) = (
        plan(1, "P1M", json!("start"), 1000),
        plan(1, "P1M", json!({ "day_of_month": 1 }), 1000),
    );
    let paid_in = |offer: &Offer, (start, until): (&str, &str)| {
        let mut paid = read(BillingStatus::Active, &SOLD, (start, until));
        paid.billing.cancel_at = (until == end).then(|| at(end));
        land(&contract(sale(offer.clone())), paid, Lateness::InTime).contract
    };
    let month = ("2026-04-03T00:00:00Z", "2026-05-03T00:00:00Z");
    let whole = begun(&monthly, "2026-04-01", None).unwrap();
    is_in(&paid_in(&whole, month), month, 3);
    is_in(&paid_in(&whole, (month.0, end)), month, 3);
    let ending = begun(&monthly, "2026-04-01", Some("2026-04-25")).unwrap();
    let cut = paid_in(&ending, (month.0, end));
    is_in(&cut, month, 3);
    assert_eq!(billed(&cut), [1000, 500], "the first is billed whole");
    let half = begun(&anchored, "2026-04-16", None).unwrap();
    let landed = paid_in(&half, ("2026-04-16T00:00:00Z", end));
    is_in(&landed, APRIL, 1);
    assert_eq!(landed.standing.anchor, half.after.anchor);
}

/// Two seats more on 10 April, and a period that an operator began three days later, before that was landed: three seats of 10.00, whole.
#[test]
fn an_amendment_that_is_landed_in_another_period_was_billed_for_that() {
    let april = active();
    let amendment = sale(amended(&april.standing, None, &seats(3), "2026-04-10T00:00:00Z").unwrap());
    let asked = Contract {
        sale: Some(amendment),
        ..april
    };
    let month = ("2026-04-13T00:00:00Z", "2026-05-13T00:00:00Z");
    let three = [("price_1_1000", 3), ("price_2_1000", 1)];
    let landed = land(
        &asked,
        read(BillingStatus::Active, &three, month),
        Lateness::InTime,
    )
    .contract;
    assert_eq!(landed.sale, None);
    is_in(&landed, month, 13);
    assert_eq!(billed(&landed), [3000, 500]);
}

/// A downgrade that begins earlier than it was told, since the period did.
#[test]
fn a_downgrade_begins_with_the_period_that_it_is_billed_in() {
    let active = active();
    let less = plan(2, "P1M", json!("start"), 100);
    let offer = amended(&active.standing, Some(&less), &[], "2026-04-16T00:00:00Z").unwrap();
    let downgrade = sale(offer);
    let mut written = read(BillingStatus::Active, &SOLD, APRIL);
    written.billing.schedule = "sub_sched_1".parse().ok();
    written.scheduled = Some(downgrade.name());
    let asked = Contract {
        sale: Some(downgrade),
        ..active
    };
    let scheduled = land(&asked, written, Lateness::InTime).contract;
    let next = [("price_1_100", 1), ("price_2_100", 1)];
    let early = ("2026-04-20T00:00:00Z", "2026-05-20T00:00:00Z");
    let begun = land(
        &scheduled,
        read(BillingStatus::Active, &next, early),
        Lateness::InTime,
    );
    assert_eq!(begun.contract.scheduled, None);
    assert_eq!(begun.contract.standing.configuration.plan, less.id);
    is_in(&begun.contract, early, 20);
}

/// The build before this one knew what Stripe bills, and did not follow it. What it has written down is in that period when it is read.
#[test]
fn what_is_stored_is_read_in_the_period_that_stripe_bills() {
    let active = active();
    let month = ("2026-04-13T00:00:00Z", "2026-05-13T00:00:00Z");
    let followed = landed_in(&active, month);
    let stale = Contract {
        standing: active.standing.clone(),
        ..followed.clone()
    };
    assert_eq!(
        stale.clone().in_billed_period().unwrap().standing,
        followed.standing
    );
    assert_eq!(followed.clone().in_billed_period(), Ok(followed.clone()));
    // What Stripe has gone on after its end is left to whoever lands it.
    for end in ["2026-04-10T00:00:00Z", month.0] {
        let ended = Contract {
            ends_at: Some(at(end)),
            ..stale.clone()
        };
        assert_eq!(ended.clone().in_billed_period(), Ok(ended), "{end}");
    }
    // To end on the 28th: 15 of 30 days.
    let end = "2026-04-28T00:00:00Z";
    let mut ending = Contract {
        ends_at: Some(at(end)),
        ..stale
    };
    let billing = ending.billing.as_mut().unwrap();
    billing.period.end = at(end);
    billing.cancel_at = Some(at(end));
    assert_eq!(billed(&ending.in_billed_period().unwrap()), [500, 250]);
}

/// An offer of a clock that is behind is from the period's first second on.
#[test]
fn an_offer_is_never_from_before_its_period() {
    let early = amended(&active().standing, None, &seats(2), "2026-03-31T23:59:57Z").unwrap();
    assert_eq!((early.at, total(&early)), (at(APRIL.0), 1000));
}
