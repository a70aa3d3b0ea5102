//! A thousand subscriptions renewed by one step of the clock: their invoices drafted, finalised, paid, and every event of it recorded.
//!
//! `cargo bench -p stripe-stand-in`. It should stay below a second, so that a test may let a year pass over a crowd. Deliveries are
//! not part of it: they take as long as their listener does.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use divan::{Bencher, counter::ItemsCount};
use jiff::Timestamp;
use serde_json::{Value, json};
use stripe_stand_in::{Clock, Config, Payment, StandIn};
use tokio::runtime::{Builder, Runtime};

const SUBSCRIPTIONS: usize = 1000;

fn main() {
    divan::main();
}

/// From the crowd's first day until all have paid for their second month.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn a_thousand_renewals(bencher: Bencher<'_, '_>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let crowd = crowd(&runtime);
    let before = || {
        let stripe = stand_in();
        stripe.restore(crowd.clone()).unwrap();
        stripe
    };
    let renew = |stripe: StandIn| {
        runtime.block_on(stripe.advance_to("2027-01-01T01:00:00Z".parse().unwrap()));
        stripe
    };
    let renewed = renew(before())
        .events()
        .iter()
        .filter(|event| is_renewal(event))
        .count();
    assert_eq!(renewed, SUBSCRIPTIONS, "what is measured is what is meant");
    bencher
        .counter(ItemsCount::new(SUBSCRIPTIONS))
        .with_inputs(before)
        .bench_values(renew);
}

fn is_renewal(event: &Value) -> bool {
    event["type"] == "invoice.paid" && event["data"]["object"]["billing_reason"] == "subscription_cycle"
}

fn stand_in() -> StandIn {
    let start: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    StandIn::new(Config::new(Clock::frozen(start)))
}

/// A stand-in with a thousand subscribers, written down.
fn crowd(runtime: &Runtime) -> Value {
    let stripe = stand_in();
    let post = |path: &str, params: Value| {
        let (status, answer) = stripe.call("POST", path, &params, None);
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let price = post(
        "/v1/prices",
        json!({
            "currency": "usd", "unit_amount": 1000, "recurring": { "interval": "month" }, "product_data": { "name": "Number" },
        }),
    );
    for _ in 0..SUBSCRIPTIONS {
        let session = post(
            "/v1/checkout/sessions",
            json!({
                "mode": "subscription", "ui_mode": "embedded_page", "return_url": "https://app.example.com",
                "customer": post("/v1/customers", json!({}))["id"],
                "line_items": [{ "price": price["id"], "quantity": 3 }],
            }),
        );
        let paid = stripe.pay_session(session["id"].as_str().unwrap(), Payment::Succeed);
        runtime.block_on(paid).unwrap();
    }
    stripe.snapshot().unwrap()
}
