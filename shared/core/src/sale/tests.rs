//! Offers and what becomes of them, each sum worked out by hand.

use serde_json::{Value, json};

use super::*;
use crate::arrears::{Occasion, TimeBill};
use crate::contract::{
    self, Bill, BilledItem, Billing, Contract, Facts, Fate, Lateness, Ledger, OperatorTerms, Read,
    SessionUpdate,
};
use crate::quote::Charge;
use crate::subscription::{Collection, Status as BillingStatus};

/// What an offer is held to.
mod offers;
/// The period that a contract is in.
mod periods;

const SEATS: &str = "00000000-0000-4000-8000-000000000001";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A plan of seats at that amount, and an optional archive at 5.00.
pub(crate) fn plan(id: u8, cadence: &str, anchor: Value, unit_amount: i64) -> Plan {
    let product = |number: u8, required: bool, pricing: Value| {
        json!({
            "id": format!("00000000-0000-4000-8000-00000000000{number}"), "name": "Seat", "required": required,
            "default_quantity": 1, "min": 0, "stripe_product": format!("prod_{number}"),
            "price": { "version": 1, "pricing": pricing, "stripe_price": format!("price_{number}_{unit_amount}") },
        })
    };
    serde_json::from_value(json!({
        "id": format!("00000000-0000-4000-8000-0000000000f{id}"), "name": "Team", "currency": "usd", "cadence": cadence,
        "anchor": anchor,
        "products": [
            product(1, true, json!({ "pricing_type": "per_unit", "unit_amount": unit_amount })),
            product(2, false, json!({ "pricing_type": "flat_fee", "unit_amount": 500 })),
        ],
    }))
    .unwrap()
}

fn seats(quantity: i64) -> Vec<Override> {
    vec![serde_json::from_value(json!({ "product_id": SEATS, "quantity": quantity })).unwrap()]
}

pub(crate) fn begun(plan: &Plan, start: &str, end: Option<&str>) -> Result<Offer, NoOffer> {
    begin(&NewContract {
        plan,
        overrides: &[],
        zone: &Zone::UTC,
        start: start.parse().unwrap(),
        end: end.map(|end| end.parse().unwrap()),
        now: start.parse::<When>().unwrap().instant(&Zone::UTC).unwrap(),
    })
}

pub(crate) fn amended(
    standing: &Standing,
    plan: Option<&Plan>,
    overrides: &[Override],
    now: &str,
) -> Result<Offer, NoOffer> {
    amend(&Amended {
        standing,
        ends_at: None,
        plan,
        overrides,
        at: at(now),
    })
}

fn total(offer: &Offer) -> i64 {
    offer.estimates.current_invoice.total
}

#[test]
fn a_contract_begins_with_a_whole_period_or_with_a_share_of_one() {
    let whole = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-16", None).unwrap();
    assert_eq!((total(&whole), whole.short_first_period()), (1500, None));
    // 15 of April's 30 days.
    let short = begun(
        &plan(1, "P1M", json!({ "day_of_month": 1 }), 1000),
        "2026-04-16",
        None,
    )
    .unwrap();
    let first = Period {
        start: at("2026-04-16T00:00:00Z"),
        end: at("2026-05-01T00:00:00Z"),
    };
    assert_eq!((total(&short), short.short_first_period()), (750, Some(first)));
    assert!(!short.is_past(at("2026-04-30T23:59:59Z")));
    assert!(short.is_past(at("2026-05-01T00:00:00Z")));
    assert!(!whole.is_past(at("2026-07-01T00:00:00Z")));
}

/// From 30 January to the 28th of February is as long as a month from then: all of 10.00, and from the 28th on later periods are counted.
#[test]
fn a_first_period_that_is_as_good_as_whole_is_anchored_all_the_same() {
    let plan = plan(1, "P1M", json!({ "day_of_month": 28 }), 1000);
    let first = begun(&plan, "2026-01-30", None).unwrap();
    let period = Period {
        start: at("2026-01-30T00:00:00Z"),
        end: at("2026-02-28T00:00:00Z"),
    };
    assert_eq!((total(&first), first.short_first_period()), (1500, Some(period)));
}

/// What is wrong with the choices, with the end and with the plan is told at once.
#[test]
fn all_that_is_wrong_with_a_wish_is_told_at_once() {
    let monthly = plan(1, "P1M", json!("start"), 1000);
    let strange: Override = serde_json::from_value(
        json!({ "product_id": "00000000-0000-4000-8000-000000000009", "quantity": 1 }),
    )
    .unwrap();
    let blamed = |offer: Result<Offer, NoOffer>| match offer {
        Err(NoOffer::Invalid(invalid)) => invalid.fields.into_keys().collect::<Vec<String>>(),
        other => panic!("{other:?}"),
    };
    let start: When = "2026-04-01".parse().unwrap();
    for end in ["2026-03-31", "2026-04-01", "9999-12-31"] {
        let begun = begin(&NewContract {
            plan: &monthly,
            overrides: std::slice::from_ref(&strange),
            zone: &Zone::UTC,
            start,
            end: Some(end.parse().unwrap()),
            now: start.instant(&Zone::UTC).unwrap(),
        });
        assert_eq!(blamed(begun), ["end_date", "product_overrides"], "{end}");
    }
    let standing = begun(&monthly, "2026-04-01", None).unwrap().after;
    let euros = Plan {
        currency: "eur".parse().unwrap(),
        ..plan(2, "P1M", json!("start"), 1000)
    };
    for plan in [&monthly, &euros] {
        let amended = amended(
            &standing,
            Some(plan),
            std::slice::from_ref(&strange),
            "2026-04-16T00:00:00Z",
        );
        assert_eq!(blamed(amended), ["plan_id", "product_overrides"]);
    }
    let nothing = amended(&standing, None, &seats(1), "2026-04-16T00:00:00Z");
    assert_eq!(blamed(nothing), ["product_overrides"]);
}

/// A year from 16 April on, or a month: what ends within it, or within the day that a session lives, is not begun.
#[test]
fn a_change_that_begins_a_period_is_not_cut_short_by_the_end() {
    let standing = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None)
        .unwrap()
        .after;
    let free = begun(&plan(1, "P1M", json!("start"), 0), "2026-04-01", None);
    let mut free = free.unwrap().after;
    for chosen in &mut free.configuration.products {
        chosen.is_enabled = chosen.product.id.as_str() == SEATS;
    }
    let (year, same) = (
        plan(2, "P1Y", json!("start"), 1000),
        plan(2, "P1M", json!("start"), 2000),
    );
    let ending = |standing: &Standing, plan: &Plan, end: &str| {
        amend(&Amended {
            standing,
            ends_at: Some(at(end)),
            plan: Some(plan),
            overrides: &[],
            at: at("2026-04-16T00:00:00Z"),
        })
        .map(|_| ())
    };
    let cut = |end: &str| Err(NoOffer::CutShort(CutShort(at(end))));
    for end in [
        "2026-05-01T00:00:00Z",
        "2027-04-16T00:00:00Z",
        "2027-04-16T23:59:59Z",
    ] {
        assert_eq!(ending(&standing, &year, end), cut(end));
    }
    assert_eq!(ending(&standing, &year, "2027-04-17T00:00:00Z"), Ok(()));
    assert_eq!(
        ending(&free, &same, "2026-05-10T00:00:00Z"),
        cut("2026-05-10T00:00:00Z")
    );
    assert_eq!(ending(&free, &same, "2026-05-17T00:00:00Z"), Ok(()));
    assert_eq!(ending(&standing, &same, "2026-04-20T00:00:00Z"), Ok(()));
}

#[test]
fn what_ends_before_the_next_period_has_no_next_invoice() {
    let plan = plan(1, "P1M", json!("start"), 1000);
    let ends =
        |end| begun(&plan, "2026-04-01", Some(end)).map(|offer| offer.estimates.next_invoice.is_some());
    assert_eq!(ends("2026-05-01"), Ok(false));
    assert_eq!(ends("2026-05-02"), Ok(true));
    assert!(ends("2026-04-01").is_err());
}

#[test]
fn a_longer_cadence_or_as_much_is_an_upgrade_and_less_waits() {
    let standing = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None)
        .unwrap()
        .after;
    let now = "2026-04-16T00:00:00Z";
    for (to, way, effective_at) in [
        (plan(2, "P1Y", json!("start"), 100), Way::AtOnce, now),
        (plan(2, "P1M", json!("start"), 1000), Way::AtOnce, now),
        (
            plan(2, "P1M", json!("start"), 999),
            Way::AtPeriodEnd,
            "2026-05-01T00:00:00Z",
        ),
    ] {
        let offer = amended(&standing, Some(&to), &[], now).unwrap();
        assert_eq!((offer.way, offer.effective_at), (way, at(effective_at)));
        assert!(offer.way == Way::AtOnce || total(&offer) == 0);
    }
    assert!(amended(&standing, Some(&plan(1, "P1M", json!("start"), 2000)), &[], now).is_err());
    assert!(amended(&standing, None, &seats(1), now).is_err());
    // Half of 10.00 back, half of 30.00 to pay.
    assert_eq!(total(&amended(&standing, None, &seats(3), now).unwrap()), 1000);
}

pub(crate) fn read(status: BillingStatus, items: &[(&str, u64)], period: (&str, &str)) -> Read {
    Read {
        billing: Billing {
            subscription: "sub_1".parse().unwrap(),
            status,
            items: items
                .iter()
                .enumerate()
                .map(|(number, (price, quantity))| BilledItem {
                    id: format!("si_{number}").parse().unwrap(),
                    price: price.parse().unwrap(),
                    quantity: *quantity,
                })
                .collect(),
            period: Period {
                start: at(period.0),
                end: at(period.1),
            },
            cancel_at: None,
            schedule: None,
            latest_bill: "in_1".parse().ok(),
        },
        customer: "cus_1".parse().unwrap(),
        created: at(period.0),
        is_pending: false,
        is_debited: false,
        is_flexible: false,
        collection: Collection::Charged,
        payer: None,
        payment_method: None,
        is_answer: false,
        scheduled: None,
        plain_schedule: None,
        terms: OperatorTerms::default(),
        latest_invoice: Some(Bill {
            id: "in_1".parse().unwrap(),
            charge: Charge {
                amount_due: 1500,
                total: 1500,
                currency: "usd".parse().unwrap(),
            },
            time: TimeBill {
                invoice: "in_1".parse().unwrap(),
                occasion: Occasion::Period,
                created_at: at(period.0),
                settled: 1500,
                is_owed: false,
                charges: vec![],
                credits: vec![],
            },
            is_paid: true,
            paid_at: None,
            is_open: false,
            is_payable: false,
            was_given_up: false,
            is_paid_in_part: false,
            is_first: true,
            page: None,
        }),
        earlier_invoices: Vec::new(),
    }
}

pub(crate) const APRIL: (&str, &str) = ("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z");
pub(crate) const MAY: (&str, &str) = ("2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z");

pub(crate) fn sale(offer: Offer) -> Sale {
    Sale {
        checkout: "00000000-0000-4000-8000-0000000000c1".parse().unwrap(),
        number: 1,
        kind: Kind::PlanBased,
        order: order(&offer.after.configuration).unwrap().unwrap(),
        offer,
        payment_method: None,
        replaced: None,
        asked_at: at(APRIL.0),
        joined_at: None,
        known_bill: None,
        open_until: at(MAY.0),
        page: None,
        invoice: None,
        is_to_be_refunded: false,
    }
}

pub(crate) fn contract(sale: Sale) -> Contract {
    Contract {
        organisation: "acme".parse().unwrap(),
        id: "00000000-0000-4000-8000-0000000000c2".parse().unwrap(),
        version: 1,
        status: contract::Status::Pending,
        buyer: "00000000-0000-4000-8000-0000000000c3".parse().unwrap(),
        is_guests: false,
        business_entity: "00000000-0000-4000-8000-0000000000c4".parse().unwrap(),
        standing: sale.offer.after.clone(),
        order: sale.order.clone(),
        started_at: at(APRIL.0),
        ends_at: None,
        billing: None,
        amendments: 0,
        sale: Some(sale),
        scheduled: None,
        created_at: at(APRIL.0),
        updated_at: at(APRIL.0),
    }
}

pub(crate) fn land(contract: &Contract, read: Read, lateness: Lateness) -> contract::Landing {
    let facts = Facts {
        read,
        paid: vec![],
        given_up: None,
        reversal: None,
        lateness,
    };
    contract::land(contract, &Ledger::default(), facts, at(APRIL.0)).unwrap()
}

pub(crate) const SOLD: [(&str, u64); 2] = [("price_1_1000", 1), ("price_2_1000", 1)];

#[test]
fn a_sale_is_done_when_stripe_bills_it_and_not_before() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let selling = contract(sale(offer));
    let landed = |status| land(&selling, read(status, &SOLD, APRIL), Lateness::InTime);
    let done = landed(BillingStatus::Active);
    assert_eq!(done.contract.status, contract::Status::Active);
    assert_eq!((done.contract.sale, done.contract.amendments), (None, 1));
    assert_eq!(done.amendment.unwrap().charge.total, 1500);
    let waits = landed(BillingStatus::Incomplete);
    assert!(matches!(
        waits.told,
        Some((_, SessionUpdate::Waits { is_paying: false, .. }))
    ));
    assert_eq!(waits.contract.status, contract::Status::Pending);
    let over = landed(BillingStatus::IncompleteExpired);
    assert_eq!(
        (over.told.unwrap().1, over.contract.sale),
        (SessionUpdate::Over, None)
    );
}

/// A contract for a seat at 10.00 and the archive, in April.
pub(crate) fn active() -> Contract {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let selling = contract(sale(offer));
    land(
        &selling,
        read(BillingStatus::Active, &SOLD, APRIL),
        Lateness::InTime,
    )
    .contract
}

/// Written down at midnight, and open until the first of May. Who joins it is at it for a minute more, whenever that is.
#[test]
fn a_sale_that_is_taken_up_again_is_in_flight_again() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let asked = sale(offer);
    assert!(asked.is_in_flight(at("2026-04-01T00:00:59Z")));
    let late = asked.joined(at("2026-04-01T00:00:58Z"));
    assert!(late.is_in_flight(at("2026-04-01T00:01:57Z")));
    let later = asked.joined(at("2026-04-01T00:10:00Z"));
    assert!(!asked.is_in_flight(at("2026-04-01T00:10:30Z")));
    assert!(later.is_in_flight(at("2026-04-01T00:10:59Z")));
    assert!(!later.is_in_flight(at("2026-04-01T00:11:00Z")));
    assert!(!asked.ends_soon(at("2026-04-30T23:59:00Z")));
    assert!(asked.ends_soon(at("2026-04-30T23:59:01Z")));
}

/// An operator ended it at Stripe before its payment was landed: it was sold, and is over; the money is not for nothing.
#[test]
fn a_contract_that_was_ended_right_after_its_payment_was_sold() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let ended = read(BillingStatus::Canceled, &SOLD, APRIL);
    let landed = land(&contract(sale(offer)), ended, Lateness::InTime);
    assert_eq!(landed.contract.status, contract::Status::Ended);
    assert!(matches!(landed.told, Some((_, SessionUpdate::Done(None)))));
    assert_eq!(landed.contract.sale, None);
}

/// An operator ended it at Stripe while a bank debit is paying for it: the sale waits for that, knows its subscription by then, and is
/// done when the debit has paid.
#[test]
fn a_contract_that_was_ended_during_its_debit_waits_for_the_debit() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let mut debited = read(BillingStatus::Canceled, &SOLD, APRIL);
    debited.is_debited = true;
    let bill = debited.latest_invoice.as_mut().unwrap();
    (bill.is_paid, bill.is_open, bill.is_payable) = (false, true, true);
    let waiting = land(&contract(sale(offer)), debited, Lateness::InTime);
    assert!(matches!(
        waiting.told,
        Some((_, SessionUpdate::Waits { is_paying: true, .. }))
    ));
    let waiting = waiting.contract;
    assert!(waiting.sale.is_some());
    assert_eq!(waiting.left_behind(), None);
    let paid = read(BillingStatus::Canceled, &SOLD, APRIL);
    let landed = land(&waiting, paid, Lateness::InTime);
    assert!(matches!(landed.told, Some((_, SessionUpdate::Done(None)))));
    assert_eq!(landed.contract.status, contract::Status::Ended);
}

/// The first that is heard of it is that it was paid too late, and has ended since: it is this sale's all the same, whose money goes back in the next
/// round.
#[test]
fn a_contract_that_had_ended_when_its_late_payment_was_heard_of_is_given_back() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let ended = read(BillingStatus::Canceled, &SOLD, APRIL);
    let decided = land(&contract(sale(offer)), ended.clone(), Lateness::Moved).contract;
    assert!(decided.sale.as_ref().is_some_and(|sale| sale.is_to_be_refunded));
    assert_eq!(decided.left_behind(), None);
    let landed = land(&decided, ended, Lateness::Moved);
    assert!(matches!(landed.told, Some((_, SessionUpdate::Refunded))));
    assert_eq!(
        (landed.contract.status, landed.contract.sale),
        (contract::Status::Refunded, None)
    );
}

/// An operator made the first bill void, and Stripe calls the subscription active: nobody has paid, and nobody is served.
#[test]
fn a_contract_whose_first_bill_was_made_void_has_not_begun() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let mut void = read(BillingStatus::Active, &SOLD, APRIL);
    void.latest_invoice.as_mut().unwrap().is_paid = false;
    let landed = land(&contract(sale(offer)), void, Lateness::InTime);
    assert_eq!(landed.contract.status, contract::Status::Pending);
    assert!(matches!(
        landed.told,
        Some((_, SessionUpdate::Waits { is_paying: false, .. }))
    ));
}

#[test]
fn what_is_paid_too_late_for_an_offer_that_moved_is_given_back_first_and_then_told() {
    let offer = begun(&plan(1, "P1M", json!("start"), 1000), "2026-04-01", None).unwrap();
    let selling = contract(sale(offer));
    let late = land(
        &selling,
        read(BillingStatus::Active, &SOLD, APRIL),
        Lateness::Moved,
    );
    assert_eq!(
        (late.told, late.contract.status),
        (None, contract::Status::Pending)
    );
    assert!(late.contract.sale.as_ref().unwrap().is_to_be_refunded);
    let back = land(
        &late.contract,
        read(BillingStatus::Canceled, &SOLD, APRIL),
        Lateness::Moved,
    );
    assert_eq!(back.told.unwrap().1, SessionUpdate::Refunded);
    assert_eq!(back.contract.status, contract::Status::Refunded);
}

/// A downgrade: in the contract as scheduled, and what it stands at once Stripe bills it in the next period.
#[test]
fn a_downgrade_is_scheduled_and_begins_with_its_period() {
    let active = active();
    let less = plan(2, "P1M", json!("start"), 100);
    let offer = amended(&active.standing, Some(&less), &[], "2026-04-16T00:00:00Z").unwrap();
    let downgrade = sale(offer);
    let mut asked = Contract {
        sale: Some(downgrade.clone()),
        ..active
    };
    let mut half = read(BillingStatus::Active, &SOLD, APRIL);
    half.billing.schedule = "sub_sched_1".parse().ok();
    assert_eq!(contract::fate(&downgrade, &half, Lateness::InTime), Fate::Open);
    half.scheduled = Some(downgrade.name());
    let scheduled = land(&asked, half, Lateness::InTime);
    assert_eq!(scheduled.contract.standing, asked.standing);
    asked = scheduled.contract;
    let next = [("price_1_100", 1), ("price_2_100", 1)];
    let begun = land(&asked, read(BillingStatus::Active, &next, MAY), Lateness::InTime).contract;
    assert_eq!(begun.scheduled, None);
    assert_eq!(begun.standing.configuration.plan, less.id);
    assert_eq!(begun.standing.period.start, at(MAY.0));
}

/// The day of a downgrade has come, and Stripe bills what it billed before: the contract is what is billed, and the downgrade is still to come.
#[test]
fn a_downgrade_that_stripe_does_not_bill_has_not_begun() {
    let active = active();
    let less = plan(2, "P1M", json!("start"), 100);
    let downgrade = sale(amended(&active.standing, Some(&less), &[], "2026-04-16T00:00:00Z").unwrap());
    let mut written = read(BillingStatus::Active, &SOLD, APRIL);
    written.billing.schedule = "sub_sched_1".parse().ok();
    written.scheduled = Some(downgrade.name());
    let asked = Contract {
        sale: Some(downgrade),
        ..active.clone()
    };
    let scheduled = land(&asked, written, Lateness::InTime).contract;
    let mut renewed = read(BillingStatus::Active, &SOLD, MAY);
    renewed.billing.schedule = "sub_sched_1".parse().ok();
    let landed = land(&scheduled, renewed, Lateness::InTime).contract;
    assert!(landed.scheduled.is_some());
    assert_eq!(landed.order, active.order);
    assert_eq!(landed.standing.configuration, active.standing.configuration);
    assert_eq!(landed.standing.period.start, at(MAY.0));
    // It does in the midst of May, or of June.
    let june = ("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z");
    let next = [("price_1_100", 1), ("price_2_100", 1)];
    for period in [MAY, june] {
        let mut later = read(BillingStatus::Active, &SOLD, period);
        later.billing.schedule = "sub_sched_1".parse().ok();
        let waiting = land(&landed, later, Lateness::InTime).contract;
        assert!(waiting.scheduled.is_some());
        let billed = read(BillingStatus::Active, &next, period);
        let begun = land(&waiting, billed, Lateness::InTime).contract;
        assert_eq!(
            (begun.scheduled, begun.standing.configuration.plan),
            (None, less.id.clone())
        );
    }
}

/// Each of two lines could be charged, and both together could not.
#[test]
fn a_sum_that_is_beyond_charging_is_not_offered() {
    let per_seat = plan(1, "P1M", json!("start"), 600_000_000_000);
    let two = begin(&NewContract {
        plan: &per_seat,
        overrides: &seats(1),
        zone: &Zone::UTC,
        start: "2026-04-01".parse().unwrap(),
        end: None,
        now: at("2026-04-01T00:00:00Z"),
    });
    assert!(two.is_ok());
    let mut both = per_seat;
    both.products[1].price = both.products[0].price.clone();
    assert!(begun(&both, "2026-04-01", None).is_err());
}

#[test]
fn a_renewal_moves_the_period_and_keeps_the_prices() {
    let active = active();
    let renewed = land(&active, read(BillingStatus::Active, &SOLD, MAY), Lateness::InTime).contract;
    assert_eq!(renewed.standing.period.start, at(MAY.0));
    assert_eq!(renewed.standing.configuration, active.standing.configuration);
    assert_eq!(renewed.standing.billed, active.standing.billed);
    let ended = land(
        &renewed,
        read(BillingStatus::Canceled, &SOLD, MAY),
        Lateness::InTime,
    )
    .contract;
    assert_eq!(ended.status, contract::Status::Ended);
}
