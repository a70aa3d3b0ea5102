//! What is decided about a change, as tables.

use super::*;
use crate::access::{Caller, Holder, Key, Mode, Scope};
use crate::money::Currency;
use crate::subscription::{Collection, LatestInvoice, ScheduledEnd, Subscription};

/// What is done about a wish.
mod wishes;
/// What has become of a change.
mod fates;
/// What stands in the way of a change.
mod obstacles;
/// What is written down of a change.
mod plans;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-04-11T00:00:00Z")
}

fn usd() -> Currency {
    "usd".parse().unwrap()
}

fn charge(minor: i64) -> Charge {
    Charge {
        amount_due: minor,
        total: minor,
        currency: usd(),
    }
}

fn standing(interval: Interval) -> Standing {
    Standing {
        subscription: Subscription {
            id: "sub_1".parse().unwrap(),
            status: Status::Active,
            price: format!("price_{interval}").parse().unwrap(),
            interval: Some(interval),
            quantity: 3,
            period: Period {
                start: at("2026-04-01T00:00:00Z"),
                end: at("2026-05-01T00:00:00Z"),
            },
            cancel_at_period_end: true,
        },
        customer: "cus_1".parse().unwrap(),
        currency: usd(),
        items: vec!["si_1".parse().unwrap()],
        codes: vec![],
        scheduled: false,
        pending: false,
        end: Some(ScheduledEnd::WithPeriod),
        set_aside: None,
        collection: Collection::Charged,
        payer: None,
        latest_invoice: Some(LatestInvoice {
            id: "in_2".parse().unwrap(),
            charge: charge(26_800),
            time: TimeBill {
                invoice: "in_2".parse().unwrap(),
                occasion: Occasion::Change,
                created_at: now(),
                settled: 26_800,
                is_owed: false,
                charges: vec![],
                credits: vec![],
            },
            page: None,
        }),
    }
}

fn wish(interval: Interval) -> Wish {
    Wish {
        interval,
        code: None,
        proration_date: None,
    }
}

fn owner() -> Owner {
    let key = Key {
        id: "key_1".parse().unwrap(),
        holder: Holder::Account("ada".parse().unwrap()),
        mode: Mode::Test,
        scopes: Scope::ALL.to_vec(),
        impersonator: None,
        created_at: now(),
        expires_at: None,
        revoked_at: None,
    };
    let caller: Caller = key.admit(Mode::Test, now()).unwrap();
    caller.owner().unwrap()
}

/// To annual, a moment ago.
fn change() -> Change {
    let standing = standing(Interval::Monthly);
    let facts = Facts {
        number: 1,
        standing: &standing,
        item: &standing.items[0],
        price: &"price_annual".parse().unwrap(),
        promotion_code: None,
    };
    Change::plan(&owner(), &wish(Interval::Annual), facts, now())
}

fn pending() -> Standing {
    Standing {
        pending: true,
        ..standing(Interval::Monthly)
    }
}

fn waiting() -> Change {
    Change {
        invoice: Some("in_2".parse().unwrap()),
        ..change()
    }
}
