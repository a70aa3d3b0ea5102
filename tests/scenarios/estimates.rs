//! An estimate is the bill: what core works out for a contract is what Stripe previews, and then what it invoices.
//!
//! Random plans of everything that Stripe can express itself, begun, changed and renewed at random instants, in core and in a stand-in
//! that knows nothing of core. The cases are the same in every run; a failure is shrunk to the smallest case that still fails.

use billing_core::Timestamp;
use billing_core::calendar::{AnchorRule, Cadence, Zone};
use billing_core::decimal::{Quantity, UnitAmount};
use billing_core::estimate::{self, Estimate, Priced, Standing};
use billing_core::offer::{Chosen, Configuration};
use billing_core::pricing::{Model, Tier};
use billing_stripe::{Native, native};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use stripe_stand_in::{Clock, StandIn};
use tokio::runtime::{Builder, Runtime};

/// How many contracts are followed.
const CASES: u32 = 2000;

/// 2024 to 2032, so that there are leap days.
const SECONDS: std::ops::Range<i64> = 1_704_067_200..1_956_528_000;

/// A contract: what it begins as, and what happens to it.
#[derive(Debug, Clone)]
struct Case {
    currency: &'static str,
    start: i64,
    zone: &'static str,
    /// The day of the month that periods are counted from; none for the start's own.
    anchor: Option<u8>,
    /// After how many seconds it ends; none for one that goes on.
    lasts: Option<i64>,
    plan: Plan,
    events: Vec<Event>,
}

#[derive(Debug, Clone)]
struct Plan {
    cadence: Cadence,
    products: Vec<Product>,
}

#[derive(Debug, Clone)]
struct Product {
    pricing: Pricing,
    quantity: i64,
}

#[derive(Debug, Clone)]
struct Pricing {
    model: Model,
    free_units: i64,
}

#[derive(Debug, Clone)]
enum Event {
    /// After this much of what is left of the period, in thousandths, a product has another quantity, or is dropped.
    Quantity {
        permille: i64,
        product: usize,
        quantity: Option<i64>,
    },
    /// After this much of what is left, the contract is of another plan.
    Plan { permille: i64, plan: Plan },
    /// The period ends, and another begins.
    Renewal,
}

fn unit_amounts() -> impl Strategy<Value = UnitAmount> {
    prop_oneof![
        (0_i64..50_000).prop_map(UnitAmount::whole),
        (0_i64..100, 0_i64..1000).prop_map(|(whole, part)| format!("{whole}.{part:03}").parse().unwrap()),
    ]
}

/// Tiers of which one part at most is a fraction: Stripe rounds each on its own, and of two it does not express the price.
fn tiers() -> impl Strategy<Value = Vec<Tier>> {
    let whole = || (0_i64..50_000).prop_map(UnitAmount::whole);
    let tier = (1_i64..30, whole(), prop::option::of(whole()));
    (prop::collection::vec(tier, 1..5), 0_usize..10, unit_amounts()).prop_map(|(drawn, fine, fraction)| {
        let last = drawn.len() - 1;
        let mut bound = 0;
        let tiers = drawn.into_iter().enumerate();
        tiers
            .map(|(at, (width, unit_amount, flat_amount))| {
                bound += width;
                Tier {
                    up_to: (at != last).then(|| Quantity::whole(bound)),
                    unit_amount: if fine == 2 * at { fraction } else { unit_amount },
                    flat_amount: flat_amount.map(|flat| if fine == 2 * at + 1 { fraction } else { flat }),
                }
            })
            .collect()
    })
}

fn pricings() -> impl Strategy<Value = Pricing> {
    let free = prop_oneof![3 => Just(0_i64), 1 => 1_i64..20];
    prop_oneof![
        unit_amounts().prop_map(|unit_amount| (Model::FlatFee { unit_amount }, 0)),
        (unit_amounts(), free.clone()).prop_map(|(unit_amount, free)| (Model::PerUnit { unit_amount }, free)),
        (tiers(), free).prop_map(|(tiers, free)| (Model::Tiered { tiers }, free)),
        tiers().prop_map(|tiers| (Model::Volume { tiers }, 0)),
        (1_i64..20, unit_amounts()).prop_map(|(size, unit_amount)| {
            let package_size = Quantity::whole(size);
            (
                Model::Package {
                    package_size,
                    unit_amount,
                },
                0,
            )
        }),
    ]
    .prop_map(|(model, free_units)| Pricing { model, free_units })
}

fn plans() -> impl Strategy<Value = Plan> {
    let cadence = prop_oneof![Just(Cadence::P1M), Just(Cadence::P3M), Just(Cadence::P1Y)];
    let product = (pricings(), 0_i64..60).prop_map(|(pricing, quantity)| Product { pricing, quantity });
    (cadence, prop::collection::vec(product, 1..4)).prop_map(|(cadence, products)| Plan { cadence, products })
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0_i64..=1000, 0_usize..3, prop::option::weighted(0.8, 0_i64..60))
            .prop_map(|(permille, product, quantity)| Event::Quantity { permille, product, quantity }),
        2 => (0_i64..=1000, plans()).prop_map(|(permille, plan)| Event::Plan { permille, plan }),
        1 => Just(Event::Renewal),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    (
        prop_oneof![Just("usd"), Just("jpy"), Just("kwd")],
        SECONDS,
        prop_oneof![
            Just("UTC"),
            Just("Pacific/Auckland"),
            Just("Europe/Berlin"),
            Just("America/New_York")
        ],
        prop::option::weighted(0.4, 1_u8..=28),
        prop::option::weighted(0.4, 86_400_i64..=500 * 86_400),
        plans(),
        prop::collection::vec(events(), 0..4),
    )
        .prop_map(|(currency, start, zone, anchor, lasts, plan, events)| Case {
            currency,
            start,
            zone,
            anchor,
            lasts,
            plan,
            events,
        })
}

/// A plan as core has it, all of its products optional. `number` tells its products from those of other plans.
fn configuration(case: &Case, plan: &Plan, number: usize) -> Configuration {
    let products: Vec<Value> = plan
        .products
        .iter()
        .enumerate()
        .map(|(at, product)| {
            let mut pricing = json!(product.pricing.model);
            pricing["free_units"] = json!(product.pricing.free_units);
            json!({
                "id": format!("00000000-0000-4000-8000-{:012}", 100 * number + at),
                "name": format!("Product {number}.{at}"),
                "required": false,
                "default_quantity": product.quantity,
                "min": 0,
                // Stripe can express them all, and bills by its own price.
                "price": { "version": 1, "pricing": pricing, "stripe_price": format!("price_{number}x{at}") },
            })
        })
        .collect();
    let plan: billing_core::catalog::Plan = serde_json::from_value(json!({
        "id": format!("00000000-0000-4000-8000-{number:012}"),
        "name": "Plan",
        "currency": case.currency,
        "cadence": plan.cadence,
        "products": products,
    }))
    .unwrap();
    let mut configuration = Configuration::of(&plan);
    configuration.anchor = match case.anchor {
        Some(day) => AnchorRule::DayOfMonth(day.try_into().unwrap()),
        None => AnchorRule::Start,
    };
    for chosen in &mut configuration.products {
        chosen.is_enabled = true;
    }
    configuration
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A line of an invoice: what it comes to, and for which time.
type Line = (i64, i64, i64);

/// The lines of an estimate, in an order that does not matter.
fn of_estimate(estimate: &Estimate) -> Vec<Line> {
    let lines = estimate.lines.iter();
    let mut lines: Vec<Line> = lines
        .map(|line| {
            (
                line.amount,
                line.period_start.as_second(),
                line.period_end.as_second(),
            )
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// The lines of one of Stripe's invoices.
fn of_invoice(invoice: &Value) -> Vec<Line> {
    let number = |value: &Value| value.as_i64().unwrap();
    let lines = invoice["lines"]["data"].as_array().unwrap().iter();
    let mut lines: Vec<Line> = lines
        .map(|line| {
            (
                number(&line["amount"]),
                number(&line["period"]["start"]),
                number(&line["period"]["end"]),
            )
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// A contract's subscription at a stand-in of its own.
struct Subscription {
    stripe: StandIn,
    runtime: Runtime,
    customer: String,
    id: String,
    /// The items, by the product that each is for.
    items: Vec<(String, String)>,
    /// The prices, by their products.
    prices: Vec<(String, String)>,
}

impl Subscription {
    /// A customer who has a card, and no subscription yet.
    fn none_yet(start: i64) -> Self {
        let stripe = StandIn::new(stripe_stand_in::Config::new(Clock::frozen(instant(start))));
        let mut contract = Self {
            stripe,
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            customer: String::new(),
            id: String::new(),
            items: Vec::new(),
            prices: Vec::new(),
        };
        let customer = contract.post("/v1/customers", &json!({ "email": "ada@example.com" }));
        contract.customer = text(&customer["id"]);
        contract
            .stripe
            .set_card(&contract.customer, "pm_card_visa")
            .unwrap();
        contract
    }

    fn post(&self, path: &str, params: &Value) -> Value {
        let (status, body) = self.stripe.call("POST", path, params, None);
        assert_eq!(status, 200, "{path} {params}: {body:#}");
        body
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.stripe.call("GET", path, &json!({}), None);
        assert_eq!(status, 200, "{path}: {body:#}");
        body
    }

    /// Stripe's price of a product, made when it is first needed.
    fn price(&mut self, configuration: &Configuration, chosen: &Chosen) -> String {
        let product = chosen.product.id.to_string();
        if let Some((_, price)) = self.prices.iter().find(|(of, _)| *of == product) {
            return price.clone();
        }
        let expressed = native(&chosen.product.price.pricing).expect("what Stripe can express");
        let mut params = price_params(&expressed);
        let interval = match configuration.cadence {
            Cadence::P1M => json!({ "interval": "month" }),
            Cadence::P3M => json!({ "interval": "month", "interval_count": 3 }),
            Cadence::P1Y => json!({ "interval": "year" }),
        };
        params["recurring"] = interval;
        params["currency"] = json!(configuration.currency);
        params["product_data"] = json!({ "name": chosen.product.name });
        let price = text(&self.post("/v1/prices", &params)["id"]);
        self.prices.push((product, price.clone()));
        price
    }

    fn new_items(&mut self, configuration: &Configuration) -> Vec<Value> {
        let taken: Vec<Chosen> = configuration.taken().cloned().collect();
        taken
            .iter()
            .map(|chosen| json!({ "price": self.price(configuration, chosen), "quantity": billed(chosen) }))
            .collect()
    }

    /// Begins, and answers the preview and the first invoice.
    fn begin(&mut self, first: &Priced) -> [Value; 2] {
        let configuration = &first.standing.configuration;
        let items = self.new_items(configuration);
        let mode = json!({ "type": "classic" });
        let mut details = json!({ "items": items, "billing_mode": mode });
        let mut params = json!({ "customer": self.customer, "items": items, "billing_mode": mode });
        if configuration.anchor != AnchorRule::Start && first.estimate.period_start < first.standing.anchor.at
        {
            let anchor = json!(first.standing.anchor.at.as_second());
            details["billing_cycle_anchor"] = json!({ "type": "timestamp", "timestamp": anchor });
            params["billing_cycle_anchor"] = anchor;
        }
        let preview = json!({ "customer": self.customer, "subscription_details": details });
        let preview = self.post("/v1/invoices/create_preview", &preview);
        let begun = self.post("/v1/subscriptions", &params);
        self.id = text(&begun["id"]);
        self.remember(configuration, &begun);
        [preview, self.latest(&begun)]
    }

    /// Changes, and answers the preview and the invoice of it.
    fn change(&mut self, after: &Configuration) -> [Value; 2] {
        let mut items: Vec<Value> = Vec::new();
        let mut left = self.items.clone();
        let taken: Vec<Chosen> = after.taken().cloned().collect();
        for chosen in &taken {
            let price = self.price(after, chosen);
            let mut item = json!({ "price": price, "quantity": billed(chosen) });
            let same = left
                .iter()
                .position(|(product, _)| *product == chosen.product.id.to_string());
            if let Some(same) = same {
                item["id"] = json!(left.remove(same).1);
            }
            items.push(item);
        }
        items.extend(left.iter().map(|(_, id)| json!({ "id": id, "deleted": true })));
        // At Stripe a subscription never has items of two intervals: those that go make room for those that come.
        items.sort_by_key(|item| item["deleted"].is_null());
        let changes = json!({ "items": items, "proration_behavior": "always_invoice" });
        let preview = json!({ "subscription": self.id, "subscription_details": changes });
        let preview = self.post("/v1/invoices/create_preview", &preview);
        let path = format!("/v1/subscriptions/{}", self.id);
        let changed = self.post(&path, &changes);
        self.remember(after, &changed);
        [preview, self.latest(&changed)]
    }

    /// Has it end then, as contracts are: once it has begun, and without giving back what is left of the first period.
    fn ends(&self, end: Timestamp) {
        let ends = json!({ "cancel_at": end.as_second(), "proration_behavior": "none" });
        self.post(&format!("/v1/subscriptions/{}", self.id), &ends);
    }

    /// Lets the period end, and answers the preview and the invoice of the next one.
    fn renew(&mut self, end: Timestamp) -> [Value; 2] {
        let preview = self.post("/v1/invoices/create_preview", &json!({ "subscription": self.id }));
        self.runtime.block_on(self.stripe.advance_to(end));
        let renewed = self.get(&format!("/v1/subscriptions/{}", self.id));
        [preview, self.latest(&renewed)]
    }

    fn remember(&mut self, configuration: &Configuration, subscription: &Value) {
        let items = subscription["items"]["data"].as_array().unwrap();
        self.items = items
            .iter()
            .map(|item| {
                let price = text(&item["price"]["id"]);
                let of = self.prices.iter().find(|(_, of)| *of == price);
                (of.unwrap().0.clone(), text(&item["id"]))
            })
            .collect();
        assert_eq!(self.items.len(), configuration.taken().count());
    }

    fn latest(&self, subscription: &Value) -> Value {
        self.get(&format!(
            "/v1/invoices/{}",
            subscription["latest_invoice"].as_str().unwrap()
        ))
    }

    fn pass(&self, to: Timestamp) {
        self.stripe.clock().move_forward_to(to);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A flat fee is one of its price, whatever the quantity.
fn billed(chosen: &Chosen) -> i64 {
    match chosen.product.price.pricing.model() {
        Model::FlatFee { .. } => 1,
        _ => chosen.quantity.as_whole().unwrap(),
    }
}

fn price_params(native: &Native) -> Value {
    let tiered = |mode: &str, tiers: &[Tier]| {
        let tiers: Vec<Value> = tiers
            .iter()
            .map(|tier| {
                let up_to = tier
                    .up_to
                    .map_or_else(|| "inf".to_owned(), |up_to| up_to.to_string());
                let mut wire = json!({ "up_to": up_to, "unit_amount_decimal": tier.unit_amount.to_string() });
                if let Some(flat_amount) = tier.flat_amount {
                    wire["flat_amount_decimal"] = json!(flat_amount.to_string());
                }
                wire
            })
            .collect();
        json!({ "billing_scheme": "tiered", "tiers_mode": mode, "tiers": tiers })
    };
    match native {
        Native::PerUnit(unit_amount) => json!({ "unit_amount_decimal": unit_amount.to_string() }),
        Native::Graduated(tiers) => tiered("graduated", tiers),
        Native::Volume(tiers) => tiered("volume", tiers),
        Native::Package { size, unit_amount } => json!({
            "unit_amount_decimal": unit_amount.to_string(),
            "transform_quantity": { "divide_by": size, "round": "up" },
        }),
    }
}

/// That both of Stripe's invoices are the estimate.
fn agrees(estimate: &Estimate, [preview, invoice]: &[Value; 2], what: &str) -> Result<(), TestCaseError> {
    for (of, bill) in [("preview", preview), ("invoice", invoice)] {
        prop_assert_eq!(of_estimate(estimate), of_invoice(bill), "{} of {}", of, what);
        prop_assert_eq!(json!(estimate.total), bill["total"].clone(), "{} of {}", of, what);
        prop_assert_eq!(json!(estimate.currency), bill["currency"].clone());
    }
    Ok(())
}

/// Follows a contract through everything that happens to it.
fn follow(case: &Case) -> Result<(), TestCaseError> {
    let start = instant(case.start);
    let mut at_stripe = Subscription::none_yet(case.start);
    let zone: Zone = case.zone.parse().unwrap();
    let first = estimate::first_invoice(&configuration(case, &case.plan, 1), &zone, start).unwrap();
    agrees(&first.estimate, &at_stripe.begin(&first), "the beginning")?;
    let mut standing = first.standing;
    standing.ends_at = case.lasts.map(|lasts| instant(case.start + lasts));
    if let Some(end) = standing.ends_at {
        at_stripe.ends(end);
    }
    let mut now = start;
    for (at, event) in case.events.iter().enumerate() {
        let (priced, bills) = match event {
            Event::Renewal if standing.ends_at.is_some_and(|end| end <= standing.period.end) => break,
            Event::Renewal => {
                now = standing.period.end;
                let next = estimate::next_invoice(&standing, &standing.configuration).unwrap();
                (next, at_stripe.renew(now))
            }
            Event::Quantity {
                permille,
                product,
                quantity,
            } => {
                let Some(after) = with_quantity(&standing, *product, *quantity) else {
                    continue;
                };
                now = later(&standing, now, *permille);
                at_stripe.pass(now);
                (
                    estimate::change(&standing, &after, now).unwrap(),
                    at_stripe.change(&after),
                )
            }
            Event::Plan { permille, plan } => {
                let after = configuration(case, plan, at + 2);
                now = later(&standing, now, *permille);
                at_stripe.pass(now);
                (
                    estimate::change(&standing, &after, now).unwrap(),
                    at_stripe.change(&after),
                )
            }
        };
        agrees(&priced.estimate, &bills, &format!("event {at}"))?;
        standing = priced.standing;
    }
    Ok(())
}

/// The same with another quantity of a product, or without it; none when that is nothing new.
fn with_quantity(standing: &Standing, product: usize, quantity: Option<i64>) -> Option<Configuration> {
    let mut after = standing.configuration.clone();
    let count = after.products.len();
    let chosen = &mut after.products[product % count];
    match quantity {
        Some(quantity) => {
            chosen.is_enabled = true;
            chosen.quantity = Quantity::whole(quantity);
        }
        None => chosen.is_enabled = false,
    }
    let is_flat = matches!(chosen.product.price.pricing.model(), Model::FlatFee { .. });
    let was = &standing.configuration.products[product % count];
    // Stripe bills one flat fee, however many there are here.
    let is_news = was.is_enabled != chosen.is_enabled || (!is_flat && was.quantity != chosen.quantity);
    (is_news && after.taken().next().is_some()).then_some(after)
}

/// An instant in what is left of the period, before its end, and the contract's.
fn later(standing: &Standing, now: Timestamp, permille: i64) -> Timestamp {
    let end = standing
        .ends_at
        .unwrap_or(Timestamp::MAX)
        .min(standing.period.end);
    let left = end.as_second() - now.as_second() - 1;
    instant(now.as_second() + left.max(0) * permille / 1000)
}

#[test]
fn an_estimate_is_what_stripe_previews_and_then_invoices() {
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        },
        // The same cases in every run.
        TestRunner::deterministic().rng().clone(),
    );
    if let Err(failure) = runner.run(&cases(), |case| follow(&case)) {
        panic!("{failure}");
    }
}
