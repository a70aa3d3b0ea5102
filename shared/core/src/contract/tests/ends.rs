//! The end of a contract: where Stripe has another one, or has lost it.

use super::*;

const JUNE: &str = "2026-06-15T00:00:00Z";

/// The contract of April, to end on 15 June, whose subscription had that end, or none, when it was last read.
fn ending(known: Option<&str>) -> Contract {
    let active = active();
    Contract {
        ends_at: Some(at(JUNE)),
        billing: active.billing.clone().map(|billing| Billing {
            cancel_at: known.map(at),
            ..billing
        }),
        ..active
    }
}

/// What Stripe has of it now: with that end, or with none.
fn billed(end: Option<&str>) -> Read {
    let mut read = read(BillingStatus::Active, &SOLD, APRIL);
    read.billing.cancel_at = end.map(at);
    read
}

fn led(mut read: Read) -> Read {
    read.billing.schedule = "sub_sched_1".parse().ok();
    read
}

fn canceled(mut read: Read) -> Read {
    read.billing.status = BillingStatus::Canceled;
    read
}

fn of_another(contract: Contract) -> Contract {
    let billing = contract.billing.clone().map(|billing| Billing {
        subscription: "sub_2".parse().unwrap(),
        ..billing
    });
    Contract { billing, ..contract }
}

fn scheduled(contract: Contract) -> Contract {
    let scheduled = Scheduled {
        checkout: month(None).checkout,
        after: contract.standing.clone(),
        order: contract.order.clone(),
        effective_at: at(MAY.0),
    };
    Contract {
        scheduled: Some(scheduled),
        ..contract
    }
}

/// Where Stripe never had it, or a schedule that led the contract took it along.
#[test]
fn an_end_is_lost_with_the_schedule_that_said_it() {
    let end = Some(at(JUNE));
    let before = "2026-06-14T23:59:59Z";
    let pending = Contract {
        status: Status::Pending,
        ..ending(None)
    };
    for (contract, read, now, lost) in [
        (ending(None), billed(None), before, end),
        (ending(None), billed(None), JUNE, None),
        (pending, billed(None), before, None),
        (active(), billed(None), before, None),
        (ending(None), led(billed(None)), before, None),
        (ending(None), canceled(billed(None)), before, None),
        (ending(None), billed(Some(MAY.1)), before, None),
        // An operator took it away.
        (ending(Some(JUNE)), billed(None), before, None),
        (scheduled(ending(Some(JUNE))), billed(None), before, end),
        (of_another(ending(None)), billed(None), before, None),
    ] {
        assert_eq!(
            contract.lost_end(&read, at(now)),
            lost,
            "{contract:?} {read:?} {now}"
        );
    }
}

/// What Stripe says is the contract's end. That it says none tells that there is none where it said one before, or has gone on after it.
#[test]
fn an_end_is_what_stripe_says_while_no_schedule_leads() {
    let may = "2026-05-20T00:00:00Z";
    let (before, after) = ("2026-06-14T23:59:59Z", "2026-06-15T00:00:01Z");
    for (contract, read, now, ends_at) in [
        (ending(Some(JUNE)), billed(Some(may)), APRIL.0, Some(may)),
        (active(), billed(Some(may)), APRIL.0, Some(may)),
        (ending(Some(JUNE)), billed(None), APRIL.0, None),
        (ending(None), billed(None), before, Some(JUNE)),
        (ending(None), billed(None), JUNE, None),
        (ending(None), billed(None), after, None),
        (of_another(ending(Some(JUNE))), billed(None), APRIL.0, Some(JUNE)),
        (ending(Some(JUNE)), led(billed(None)), APRIL.0, Some(JUNE)),
        (ending(Some(JUNE)), canceled(billed(None)), APRIL.0, Some(JUNE)),
    ] {
        let landed = land_at(&contract, read.clone(), now);
        assert_eq!(landed.ends_at, ends_at.map(at), "{contract:?} {read:?} {now}");
    }
}

/// By a clock that is a second behind, the contract has not ended yet, and May was billed: all of it.
#[test]
fn a_period_that_begins_with_the_end_is_billed_whole() {
    let contract = Contract {
        ends_at: Some(at(MAY.0)),
        ..active()
    };
    let may = read(BillingStatus::Active, &SOLD, MAY);
    let landed = land_at(&contract, may, "2026-04-30T23:59:59Z");
    assert_eq!(landed.standing.ends_at, None);
    assert_eq!(landed.standing.billed, contract.standing.billed);
}

/// Of an operator's, whose event is still to come. A schedule says the end itself.
#[test]
fn stripe_has_another_end_of_a_contract_than_is_known() {
    for (contract, read, has_another) in [
        (ending(None), billed(Some(JUNE)), false),
        (ending(None), billed(Some("2026-06-15T00:00:00.5Z")), false),
        (ending(None), billed(Some(MAY.1)), true),
        (ending(None), billed(None), true),
        (active(), billed(Some(JUNE)), true),
        (active(), billed(None), false),
        (ending(None), led(billed(None)), false),
    ] {
        assert_eq!(contract.has_another_end(&read), has_another, "{read:?}");
    }
}

/// A change at once is priced on the period alone; one at its end says the contract's end as well.
#[test]
fn an_offer_is_of_the_period_that_it_was_priced_on() {
    let active = active();
    let less = plan(2, "P1M", json!("start"), 100);
    let at_end = amended(&active.standing, Some(&less), &[], "2026-04-16T00:00:00Z").unwrap();
    let more = plan(2, "P1M", json!("start"), 2000);
    let at_once = amended(&active.standing, Some(&more), &[], "2026-04-16T00:00:00Z").unwrap();
    let renewed = land_at(&active, read(BillingStatus::Active, &SOLD, MAY), MAY.0);
    let ending = Contract {
        ends_at: Some(at(JUNE)),
        ..active.clone()
    };
    for (contract, offer, has_moved) in [
        (&active, &at_once, false),
        (&active, &at_end, false),
        (&renewed, &at_once, true),
        (&renewed, &at_end, true),
        (&ending, &at_once, false),
        (&ending, &at_end, true),
        (&renewed, &month(None).offer, false),
    ] {
        assert_eq!(contract.has_moved_since(offer), has_moved, "{offer:?}");
    }
}
