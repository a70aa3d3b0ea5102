//! What holds for all prices, quantities and instants.
//!
//! The engine is asked through the API, as anyone would; the sums are worked out here a second time, in exact fractions.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::conformance::{Judge, Requests};
use crate::{Clock, Config, StandIn};

/// 1 November 2026, midnight, and the length of that month.
const START: i64 = 1_793_491_200;
const MONTH: i64 = 30 * 86_400;

struct World {
    stripe: StandIn,
    customer: String,
    /// Kept to the end, when it speaks.
    _judge: Judge,
}

impl World {
    fn new() -> Self {
        let clock = Clock::frozen(instant(START));
        let judge = Judge::new(Requests::All);
        let stripe = StandIn::new(Config {
            witness: Some(judge.witness()),
            ..Config::new(clock)
        });
        let mut world = Self {
            stripe,
            _judge: judge,
            customer: String::new(),
        };
        world.customer = world.made("/v1/customers", json!({ "email": "ada@example.com" }));
        world.stripe.set_card(&world.customer, "pm_card_visa").unwrap();
        world
    }

    fn post(&self, path: &str, params: &Value) -> Value {
        let (status, body) = self.stripe.call("POST", path, params, None);
        assert_eq!(status, 200, "{path}: {body:#}");
        body
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.stripe.call("GET", path, &json!({}), None);
        assert_eq!(status, 200, "{path}: {body:#}");
        body
    }

    fn made(&self, path: &str, params: Value) -> String {
        self.post(path, &params)["id"].as_str().unwrap().to_owned()
    }

    fn price(&self, unit_amount: i64, interval: &str) -> String {
        let product = self.made("/v1/products", json!({ "name": "Number" }));
        let recurring = json!({ "interval": interval });
        self.made(
            "/v1/prices",
            json!({ "product": product, "currency": "usd", "unit_amount": unit_amount, "recurring": recurring }),
        )
    }

    fn subscribe(&self, price: &str, quantity: i64) -> Value {
        let items = json!([{ "price": price, "quantity": quantity }]);
        self.post(
            "/v1/subscriptions",
            &json!({ "customer": self.customer, "items": items, "billing_mode": { "type": "classic" } }),
        )
    }

    /// Lets time pass within the first month, in which nothing falls due.
    fn pass(&self, seconds: i64) {
        self.stripe.clock().move_forward_to(instant(START + seconds));
    }

    /// Bills the change at once; answers the lines' amounts.
    fn change(&self, subscription: &Value, item: Value) -> Vec<i64> {
        let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
        let params = json!({ "items": [item], "proration_behavior": "always_invoice" });
        let before = self.get(&path)["latest_invoice"].clone();
        let changed = self.post(&path, &params);
        if changed["latest_invoice"] == before {
            return Vec::new();
        }
        let invoice = changed["latest_invoice"].as_str().unwrap();
        amounts(&self.get(&format!("/v1/invoices/{invoice}")))
    }

    fn preview(&self, subscription: &Value, item: Value) -> Vec<i64> {
        let details = json!({ "items": [item], "proration_behavior": "always_invoice" });
        let params = json!({ "subscription": subscription["id"], "subscription_details": details });
        amounts(&self.post("/v1/invoices/create_preview", &params))
    }
}

fn instant(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .collect()
}

fn item_of(subscription: &Value) -> Value {
    subscription["items"]["data"][0]["id"].clone()
}

/// The share of an amount that is left after `passed` seconds, rounded down.
fn share(amount: i64, passed: i64) -> i64 {
    let exact = i128::from(amount) * i128::from(MONTH - passed);
    i64::try_from(exact.div_euclid(i128::from(MONTH))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_preview_is_the_bill_and_the_bill_is_the_sum_worked_out(
        (old, new) in (1..200_000_i64, 1..200_000_i64),
        (before, after) in (1..50_i64, 1..50_i64),
        passed in 0..MONTH,
        yearly: bool,
    ) {
        let world = World::new();
        let subscription = world.subscribe(&world.price(old, "month"), before);
        let price = world.price(new, if yearly { "year" } else { "month" });
        world.pass(passed);
        let item = json!({ "id": item_of(&subscription), "price": price, "quantity": after });
        let preview = world.preview(&subscription, item.clone());
        let billed = world.change(&subscription, item);
        prop_assert_eq!(&preview, &billed);
        let charge = if yearly { new * after } else { share(new * after, passed) };
        prop_assert_eq!(billed, vec![share(-old * before, passed), charge]);
    }

    /// Undone at the same second, the second change credits what the first one charged, to the cent; and what the first one
    /// credited is charged again, less the fraction of a cent that is rounded away once in each direction.
    #[test]
    fn a_change_and_its_undo_come_to_nothing_but_a_rounded_fraction(
        (old, new) in (1..200_000_i64, 1..200_000_i64),
        (before, after) in (1..50_i64, 1..50_i64),
        passed in 0..MONTH,
    ) {
        let world = World::new();
        let (first, second) = (world.price(old, "month"), world.price(new, "month"));
        let subscription = world.subscribe(&first, before);
        world.pass(passed);
        let id = item_of(&subscription);
        let there = world.change(&subscription, json!({ "id": id, "price": second, "quantity": after }));
        let back = world.change(&subscription, json!({ "id": id, "price": first, "quantity": before }));
        prop_assert_eq!(there[1] + back[0], 0);
        let whole = (old * before * (MONTH - passed)) % MONTH == 0;
        prop_assert_eq!(there[0] + back[1], if whole { 0 } else { -1 });
    }

    /// However often the quantity changes within a month, no credit is above what was billed for that time, and all lines
    /// together are what each stretch of time costs, less at most a cent a line.
    #[test]
    fn many_changes_cost_what_each_stretch_of_time_costs(
        unit in 1..200_000_i64,
        steps in proptest::collection::vec((1..MONTH / 6, 1..50_i64), 1..5),
    ) {
        let world = World::new();
        let subscription = world.subscribe(&world.price(unit, "month"), 7);
        let (mut passed, mut quantity, mut billed, mut lines) = (0, 7, 7 * unit, 0);
        let mut exact = i128::from(7 * unit) * i128::from(MONTH);
        let mut last_charge = 7 * unit;
        for (pause, next) in steps {
            passed += pause;
            world.pass(passed);
            let id = item_of(&subscription);
            let amounts = world.change(&subscription, json!({ "id": id, "quantity": next }));
            if quantity == next {
                prop_assert!(amounts.is_empty());
                continue;
            }
            prop_assert!(-amounts[0] <= last_charge);
            exact += i128::from(unit * (next - quantity)) * i128::from(MONTH - passed);
            (quantity, last_charge) = (next, amounts[1]);
            billed += amounts.iter().sum::<i64>();
            lines += 2;
        }
        let off = exact - i128::from(billed) * i128::from(MONTH);
        prop_assert!(off >= 0 && off <= i128::from(lines) * i128::from(MONTH), "{off}");
    }
}
