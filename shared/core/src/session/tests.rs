//! Kinds, faults, and the life of a session to the second.

use super::*;
use crate::catalog::Plan;
use crate::id::{PlanId, ProductId};
use crate::offer::Override;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn uuid<T: std::str::FromStr>() -> Option<T> {
    "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e".parse().ok()
}

fn some_override() -> Vec<Override> {
    vec![Override {
        product_id: uuid().unwrap(),
        quantity: None,
        is_enabled: Some(true),
        dimensions: None,
    }]
}

fn faults(asked: WishMembers) -> Vec<(String, String)> {
    let invalid = asked.wish().unwrap_err();
    let fields = invalid.fields.into_iter();
    fields
        .flat_map(|(name, faults)| faults.into_iter().map(move |fault| (name.clone(), fault)))
        .collect()
}

/// Half past midnight in Berlin, and still the first of April in UTC.
#[test]
fn a_contract_begins_today_where_it_is_sold_and_not_later_than_now() {
    let zone: Zone = "Europe/Berlin".parse().unwrap();
    let now = at("2026-04-01T22:30:00Z");
    let blamed = |start: Option<&str>, end: Option<&str>| {
        let members = WishMembers {
            plan: uuid(),
            buyer: uuid(),
            start: start.map(|start| start.parse().unwrap()),
            end: end.map(|end| end.parse().unwrap()),
            ..WishMembers::default()
        };
        let (start, invalid) = members.wish().unwrap().start(&zone, now);
        (start.to_string(), invalid.fields.into_keys().collect::<Vec<_>>())
    };
    let (wrong_start, wrong_end) = (vec!["start_date".to_owned()], vec!["end_date".to_owned()]);
    for (start, end, told) in [
        (None, None, vec![]),
        (Some("2026-04-02"), None, vec![]),
        (Some("2026-04-01"), None, wrong_start.clone()),
        (Some("2026-04-03"), None, wrong_start.clone()),
        (Some("2026-04-01T22:30:00Z"), None, vec![]),
        (Some("2026-04-01T22:30:01Z"), None, wrong_start),
        (None, Some("2026-04-01T22:30:00Z"), wrong_end),
        (None, Some("2026-04-01T22:30:01Z"), vec![]),
        // Not after the start, which is told elsewhere.
        (None, Some("2026-04-01"), vec![]),
    ] {
        assert_eq!(blamed(start, end).1, told, "{start:?} {end:?}");
    }
    assert_eq!(blamed(None, None).0, "2026-04-02");
}

#[test]
fn the_kind_is_told_by_what_is_there() {
    let new = WishMembers {
        plan: uuid(),
        buyer: uuid(),
        ..WishMembers::default()
    };
    assert_eq!(new.wish().unwrap().kind, Kind::PlanBased);
    let change = WishMembers {
        plan: uuid(),
        contract: uuid(),
        ..WishMembers::default()
    };
    assert_eq!(change.wish().unwrap().kind, Kind::PlanChange);
    let update = WishMembers {
        contract: uuid(),
        overrides: some_override(),
        ..WishMembers::default()
    };
    assert_eq!(update.wish().unwrap().kind, Kind::QuantityUpdate);
}

#[test]
fn what_is_missing_is_told_by_name() {
    let told = faults(WishMembers::default());
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["contract_id", "plan_id"]);
    let told = faults(WishMembers {
        contract: uuid(),
        ..WishMembers::default()
    });
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["plan_id", "product_overrides"]);
    let told = faults(WishMembers {
        plan: uuid(),
        guest_checkout: true,
        buyer: uuid(),
        ..WishMembers::default()
    });
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["business_entity_id", "customer_data", "customer_id"]);
}

#[test]
fn an_amendment_takes_nothing_of_a_new_contract() {
    let told = faults(WishMembers {
        plan: uuid(),
        contract: uuid(),
        guest_checkout: true,
        start: "2026-04-01".parse().ok(),
        end: "2027-04-01".parse().ok(),
        ..WishMembers::default()
    });
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["end_date", "guest_checkout", "start_date"]);
}

#[test]
fn a_day_is_a_date_and_an_instant_has_an_offset() {
    assert_eq!("2026-04-01".parse::<When>().unwrap().to_string(), "2026-04-01");
    assert_eq!(
        "2026-04-01T12:00:00+12:00".parse::<When>().unwrap().to_string(),
        "2026-04-01T00:00:00Z"
    );
    for bad in [
        "",
        "2026-4-1",
        "2026-13-01",
        "2026-04-01T00:00:00",
        "tomorrow",
        "20260401",
    ] {
        assert!(bad.parse::<When>().is_err(), "{bad}");
    }
}

/// At 23:59 in Auckland it is still noon of the same day in UTC, and a minute later another day there.
#[test]
fn today_is_the_day_of_the_business_entity() {
    let zone: Zone = "Pacific/Auckland".parse().unwrap();
    let late = When::Instant(at("2026-06-14T11:59:00Z"));
    assert_eq!(late.day(&zone).to_string(), "2026-06-14");
    let later = When::Instant(at("2026-06-14T12:00:00Z"));
    assert_eq!(later.day(&zone).to_string(), "2026-06-15");
    let day = When::Day("2026-06-14".parse().unwrap());
    assert_eq!(day.instant(&zone).unwrap(), at("2026-06-13T12:00:00Z"));
}

#[test]
fn a_session_lives_from_thirty_minutes_to_a_day() {
    let now = at("2026-04-01T00:00:00Z");
    for (asked, good) in [
        ("2026-04-01T00:29:59Z", false),
        ("2026-04-01T00:30:00Z", true),
        ("2026-04-02T00:00:00Z", true),
        ("2026-04-02T00:00:01Z", false),
    ] {
        assert_eq!(open_until(Some(at(asked)), now).is_ok(), good, "{asked}");
    }
    assert_eq!(open_until(None, now), Ok(at("2026-04-02T00:00:00Z")));
}

/// A session for a plan of 5.00 a month, open until the second of April.
fn session() -> Session {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "id": uuid::<PlanId>(), "name": "Team", "currency": "usd", "cadence": "P1M", "anchor": "start",
        "products": [{
            "id": uuid::<ProductId>(), "name": "Seat", "required": true, "default_quantity": 1, "min": 0, "stripe_product": "prod_1",
            "price": { "version": 1, "pricing": { "pricing_type": "flat_fee", "unit_amount": 500 }, "stripe_price": "price_1" },
        }],
    }))
    .unwrap();
    let (now, start) = (at("2026-04-01T00:00:00Z"), "2026-04-01".parse().unwrap());
    let offer = crate::sale::begin(&crate::sale::NewContract {
        plan: &plan,
        overrides: &[],
        zone: &Zone::UTC,
        start,
        end: None,
        now,
    });
    let asked = WishMembers {
        plan: uuid(),
        buyer: uuid(),
        ..WishMembers::default()
    };
    Session {
        id: uuid().unwrap(),
        organisation: "acme".parse().unwrap(),
        version: 1,
        status: Status::Open,
        wish: asked.wish().unwrap(),
        buyer: uuid(),
        business_entity: uuid().unwrap(),
        start,
        offer: offer.unwrap(),
        is_requoted: false,
        offer_version: Some(1),
        contract: uuid().unwrap(),
        sales: 0,
        url: None,
        is_paying: false,
        late_payment: None,
        open_until: at("2026-04-02T00:00:00Z"),
        created_at: now,
        updated_at: now,
        expires_at: at("2026-05-01T00:00:00Z"),
    }
}

/// What is over stays over; what was paid, or asked of Stripe, is finished, whatever the time; what is only open is sold while it is.
#[test]
fn a_confirmation_goes_by_the_status_and_the_time() {
    let (early, late) = (at("2026-04-01T23:59:59Z"), at("2026-04-02T00:00:00Z"));
    for (status, in_time, too_late) in [
        (Status::Open, Ok(Next::Sell), Err(Refusal::Expired)),
        (Status::Pending, Ok(Next::Finish), Ok(Next::Settle)),
        (Status::PaymentSucceeded, Ok(Next::Finish), Ok(Next::Finish)),
        (Status::ContractCreated, Ok(Next::Done), Ok(Next::Done)),
        (Status::Expired, Err(Refusal::Expired), Err(Refusal::Expired)),
        (
            Status::Cancelled,
            Err(Refusal::Cancelled),
            Err(Refusal::Cancelled),
        ),
    ] {
        let session = Session { status, ..session() };
        for (now, told) in [(early, in_time), (late, too_late)] {
            let next = next(&session, &Confirmation::default(), now);
            assert_eq!(next, told, "{status:?} {now}");
        }
    }
}

/// Made anew in its third version, and written twice since: these three have the same offer.
#[test]
fn a_version_is_agreed_to_for_as_long_as_its_offer_stands() {
    let now = at("2026-04-01T00:00:00Z");
    let session = Session {
        version: 5,
        offer_version: Some(3),
        is_requoted: true,
        ..session()
    };
    let other = Err(Refusal::OtherVersion(5));
    for (version, told) in [
        (Some(2), other),
        (Some(3), Ok(Next::Sell)),
        (Some(4), Ok(Next::Sell)),
        (Some(5), Ok(Next::Sell)),
        (Some(6), other),
        (None, other),
    ] {
        assert_eq!(
            next(&session, &Confirmation { version }, now),
            told,
            "{version:?}"
        );
    }
    // Whatever becomes of a sale leaves the offer as it is.
    let over = session.after(&SessionUpdate::Over, now);
    let third = Confirmation { version: Some(3) };
    assert_eq!((over.version, next(&over, &third, now)), (6, Ok(Next::Sell)));
}

/// A build before this one has written it, and does not say since when its offer stands.
#[test]
fn of_an_old_session_the_latest_version_alone_is_agreed_to() {
    let now = at("2026-04-01T00:00:00Z");
    let written = Session {
        version: 3,
        ..session()
    };
    let mut record = serde_json::to_value(written).unwrap();
    record.as_object_mut().unwrap().remove("offer_version").unwrap();
    let read: Session = serde_json::from_value(record).unwrap();
    for (version, told) in [
        (2, Err(Refusal::OtherVersion(3))),
        (3, Ok(Next::Sell)),
        (4, Err(Refusal::OtherVersion(3))),
    ] {
        let confirmation = Confirmation {
            version: Some(version),
        };
        assert_eq!(next(&read, &confirmation, now), told, "{version}");
    }
}

/// Its time runs out to the second, but for a payment that is under way, which is waited for; and what was told stays told.
#[test]
fn a_session_expires_with_its_time_unless_somebody_is_paying() {
    let paying = |status, is_paying| Session {
        status,
        is_paying,
        url: Some("https://pay.example/1".to_owned()),
        ..session()
    };
    let times = [
        "2026-04-01T23:59:59Z",
        "2026-04-02T00:00:00Z",
        "2026-04-03T00:00:00Z",
    ]
    .map(at);
    for (session, late) in [
        (paying(Status::Open, false), Status::Expired),
        (paying(Status::Pending, false), Status::Expired),
        (paying(Status::Pending, true), Status::Pending),
        (paying(Status::PaymentSucceeded, false), Status::PaymentSucceeded),
        (paying(Status::ContractCreated, false), Status::ContractCreated),
        (paying(Status::Cancelled, false), Status::Cancelled),
    ] {
        let told = times.map(|now| session.status_at(now));
        assert_eq!(told, [session.status, late, late]);
        let can_be_paid = told.map(|status| status == Status::Pending);
        assert_eq!(times.map(|now| session.url_at(now).is_some()), can_be_paid);
    }
}

#[test]
fn a_session_is_told_what_becomes_of_its_sale() {
    let now = at("2026-04-01T12:00:00Z");
    let page = "https://pay.example/1".to_owned();
    let asked = Session {
        // Whatever it was: none of the statuses that it is told.
        status: Status::Cancelled,
        url: Some(page.clone()),
        is_paying: true,
        ..session()
    };
    let waits = |is_paying| SessionUpdate::Waits {
        page: None,
        is_paying,
    };
    let honoured = Some(LatePayment::Honoured);
    for (update, status, url, is_paying, late_payment) in [
        (waits(false), Status::Pending, Some(page), false, None),
        (waits(true), Status::Pending, None, true, None),
        (
            SessionUpdate::Done(None),
            Status::ContractCreated,
            None,
            false,
            None,
        ),
        (
            SessionUpdate::Done(honoured),
            Status::ContractCreated,
            None,
            false,
            honoured,
        ),
        (
            SessionUpdate::Refunded,
            Status::Expired,
            None,
            false,
            Some(LatePayment::Refunded),
        ),
        (SessionUpdate::Over, Status::Open, None, false, None),
    ] {
        let expected = Session {
            version: asked.version + 1,
            updated_at: now,
            status,
            url,
            is_paying,
            late_payment,
            ..asked.clone()
        };
        assert_eq!(asked.after(&update, now), expected, "{update:?}");
    }
    let paid = asked.paid(now);
    assert_eq!(
        (paid.version, paid.status),
        (asked.version + 1, Status::PaymentSucceeded)
    );
}

/// A new one once it is sold; one that is amended is there already.
#[test]
fn a_contract_is_told_once_there_is_one() {
    for (kind, status, is_told) in [
        (Kind::PlanBased, Status::PaymentSucceeded, false),
        (Kind::PlanBased, Status::ContractCreated, true),
        (Kind::PlanChange, Status::Open, true),
    ] {
        let mut session = Session { status, ..session() };
        session.wish.kind = kind;
        assert_eq!(session.told_contract().is_some(), is_told, "{kind:?} {status:?}");
    }
}
