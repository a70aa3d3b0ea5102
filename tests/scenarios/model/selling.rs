//! Histories on connected accounts: agencies sell, change and cancel; and what must be true of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use billing_core::{SignedDuration, Timestamp};
use billing_tests::{Agency, World};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::asking::{On, ask};
use super::crossing::{Act, Crossing};
use super::history::{self, Among, CARDS, Other, happens};
use super::invariants::stripe;
use super::operating::{Deed, Operator, deed_to_what_is_sold};

/// How many agencies there are, each with a connected account and a client.
const AGENCIES: usize = 2;
/// In how many minutes what is sold begins.
const STARTS: [i64; 3] = [0, 24 * 60, 40 * 24 * 60];
/// For how long the same order again is the same sale.
const SAME: SignedDuration = SignedDuration::from_mins(10);
/// What its products cost a month, in cents: the showcase's, and another.
const MONTHS: [i64; 2] = [2999, 5999];
/// For how many seconds a client's agents talk.
const TALKS: [u64; 3] = [30, 5000, 9000];

/// One step of an agency's.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Sells {
        start: usize,
        product: usize,
        on: Among,
    },
    /// What was sold is to be another.
    Amends {
        which: usize,
        wish: Wish,
        on: Among,
    },
    Cancels {
        which: usize,
        on: Among,
    },
    GivesCard {
        card: usize,
    },
    /// The client's agents talk.
    Talks {
        how: usize,
    },
    /// Somebody does something at Stripe.
    Operates {
        deed: Deed,
    },
}

/// What is to become of what was sold.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    ends: Option<bool>,
    product: Option<usize>,
    start: Option<usize>,
    taxed: Option<bool>,
}

fn wish() -> impl Strategy<Value = Wish> {
    let ends = prop_oneof![2 => any::<bool>().prop_map(Some), 1 => Just(None)];
    let product = prop_oneof![1 => (0..MONTHS.len()).prop_map(Some), 2 => Just(None)];
    let start = prop_oneof![1 => (0..STARTS.len()).prop_map(Some), 4 => Just(None)];
    let taxed = prop_oneof![1 => any::<bool>().prop_map(Some), 4 => Just(None)];
    (ends, product, start, taxed).prop_map(|(ends, product, start, taxed)| Wish {
        ends,
        product,
        start,
        taxed,
    })
}

/// A step, and which agency's.
pub(super) fn step(on: BoxedStrategy<Among>) -> impl Strategy<Value = (usize, Step)> {
    (prop_oneof![2 => Just(0), 3 => 0..AGENCIES], deed(on))
}

/// What one of them does at once.
pub(super) fn at_once() -> impl Strategy<Value = (usize, Step)> {
    (Just(0), deed(Just(On::One).boxed()))
}

fn deed(on: BoxedStrategy<Among>) -> impl Strategy<Value = Step> {
    let which = any::<usize>();
    let product = prop_oneof![3 => Just(0), 1 => Just(1)];
    prop_oneof![
        5 => (0..STARTS.len(), product, on.clone()).prop_map(|(start, product, on)| Step::Sells { start, product, on }),
        4 => (which, wish(), on.clone()).prop_map(|(which, wish, on)| Step::Amends { which, wish, on }),
        1 => (0..TALKS.len()).prop_map(|how| Step::Talks { how }),
        1 => (which, on).prop_map(|(which, on)| Step::Cancels { which, on }),
        2 => (0..CARDS.len()).prop_map(|card| Step::GivesCard { card }),
        7 => deed_to_what_is_sold().prop_map(|deed| Step::Operates { deed }),
    ]
}

/// What half of the histories begin with: something is sold to a client who has a card.
pub(super) fn sale() -> impl Strategy<Value = Vec<(usize, Step)>> {
    (0..STARTS.len()).prop_map(|start| {
        let sells = Step::Sells {
            start,
            product: 0,
            on: On::One,
        };
        vec![(0, sells), (0, Step::GivesCard { card: 0 })]
    })
}

/// What an agency ordered.
#[derive(Debug, Clone, Copy)]
struct Order {
    start: Timestamp,
    product: usize,
    at: Timestamp,
    /// How often something was ended before: what is over is sold anew, however soon.
    ended: usize,
}

/// The agencies, and what they did.
#[derive(Default)]
pub(super) struct Sellers<'w> {
    agencies: Vec<Rc<Agency<'w>>>,
    /// What each of them sells.
    products: Vec<[String; MONTHS.len()]>,
    orders: [Vec<Order>; AGENCIES],
    ended: [usize; AGENCIES],
    /// For how many seconds its client's agents talked.
    talked: [u64; AGENCIES],
    /// Who asked for something to become another.
    amended: [bool; AGENCIES],
    /// What was told last of what was sold, by its schedule: which product, and whether tax is worked out.
    told: BTreeMap<String, [Value; 2]>,
    /// Whether something may end while something else is ordered.
    may_end: bool,
    /// What was wrong on the way.
    faults: Vec<String>,
}

impl<'w> Sellers<'w> {
    pub(super) async fn new(world: &'w World) -> Self {
        let mut sellers = Self::default();
        for _ in 0..AGENCIES {
            let agency = world.agency().await;
            let other = agency.offers_minutes("Pro", 5999, "0.5").await;
            sellers.products.push([agency.product.clone(), other]);
            sellers.agencies.push(Rc::new(agency));
        }
        sellers
    }

    pub(super) async fn take(&mut self, world: &'w World, sold @ (_, step): &(usize, Step)) {
        self.may_end = false;
        match (step, self.act(world, sold)) {
            (
                Step::Sells { on, .. } | Step::Amends { on, .. } | Step::Cancels { on, .. },
                Act::Asks(request),
            ) => self.ask(world, on, *request).await,
            (_, Act::Does(deed)) => deed.await,
            _ => {}
        }
    }

    /// The connected accounts.
    pub(super) fn accounts(&self) -> Vec<String> {
        self.agencies
            .iter()
            .map(|agency| agency.account.clone())
            .collect()
    }

    /// Several things are to happen at once. Where something ends meanwhile, each order may be another sale.
    pub(super) fn meet(&mut self, crossing: &Crossing<Other>) {
        self.may_end = crossing.things.iter().any(|(thing, _)| {
            let history::Step::Sells((_, step)) = &**thing else {
                return false;
            };
            matches!(
                step,
                Step::Cancels { .. } | Step::Operates { deed: Deed::EndsNow }
            )
        });
    }

    /// What a step of theirs is.
    pub(super) fn act(&mut self, world: &'w World, (who, step): &(usize, Step)) -> Act<'w> {
        let agency = Rc::clone(&self.agencies[*who]);
        let schedule = |which| some(world, &agency, "subscription_schedules", which);
        match step {
            Step::Sells { start, product, .. } => {
                self.ended[*who] += usize::from(self.may_end);
                let start = world.now() + SignedDuration::from_mins(STARTS[*start]);
                self.orders[*who].push(Order {
                    start,
                    product: *product,
                    at: world.now(),
                    ended: self.ended[*who],
                });
                let mut order = agency.order(&start.to_string());
                order["data"]["selectedProduct"]["productId"] = json!(self.products[*who][*product]);
                Act::asks(agency.request("POST", "", &order))
            }
            Step::Amends { which, wish, .. } => {
                self.amended[*who] = true;
                let Some(id) = schedule(*which) else {
                    return Act::Nothing;
                };
                // Until it is told what came of it, anything may.
                self.told.remove(&id);
                Act::asks(agency.update_request(&id, &self.becomes(world, *who, wish)))
            }
            Step::Talks { how } => {
                let seconds = TALKS[*how];
                self.talked[*who] += seconds;
                Act::does(async move {
                    if !customers(world, &agency).is_empty() {
                        agency.client_talks(seconds).await;
                    }
                })
            }
            Step::Cancels { which, .. } => {
                self.ended[*who] += 1;
                let request = |id| agency.request("DELETE", &format!("/{id}"), &Value::Null);
                schedule(*which).map_or(Act::Nothing, |id| Act::asks(request(id)))
            }
            Step::GivesCard { card } => {
                let card = CARDS[*card];
                Act::does(async move {
                    for customer in customers(world, &agency) {
                        drop(world.stripe.stand_in().set_card(&customer, card));
                    }
                })
            }
            Step::Operates { deed } => {
                self.ended[*who] += usize::from(matches!(deed, Deed::EndsNow));
                let deed = deed.clone();
                Act::does(async move {
                    let customers = customers(world, &agency);
                    let operator = Operator::of(world, Some(&agency.account), customers);
                    operator.does(&deed).await;
                })
            }
        }
    }

    fn becomes(&self, world: &World, who: usize, wish: &Wish) -> Value {
        let mut data = json!({});
        if let Some(ends) = wish.ends {
            data["cancelAtPeriodEnd"] = json!(ends);
        }
        if let Some(product) = wish.product {
            data["productId"] = json!(self.products[who][product]);
        }
        if let Some(start) = wish.start {
            let start = world.now() + SignedDuration::from_mins(STARTS[start]);
            data["startDate"] = json!(start.as_second());
        }
        if let Some(taxed) = wish.taxed {
            data["taxSettings"] = json!({ "enabled": taxed, "country": "US", "postalCode": "10001" });
        }
        data
    }

    async fn ask(&mut self, world: &'w World, on: &Among, request: http::Request<bytes::Bytes>) {
        let meanwhile = async |other: &Other| match &**other {
            history::Step::Sells(step) => Box::pin(self.take(world, step)).await,
            other => happens(world, other).await,
        };
        let (is_update, path) = (
            request.method() == http::Method::PUT,
            request.uri().path().to_owned(),
        );
        let asked = ask(world, on, request, meanwhile).await;
        self.faults.extend(asked.fault);
        let answer = asked.answer.filter(|answer| is_update && answer.status == 200);
        let is_alone = !matches!(on, On::Held(..));
        if let Some(told) = answer.filter(|_| is_alone) {
            let id = path.rsplit('/').next().unwrap().to_owned();
            self.told.insert(id, product_and_tax(&told.body));
        }
    }

    /// Everything that does not add up.
    pub(super) async fn faults(&self, world: &World) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (who, agency) in self.agencies.iter().enumerate() {
            of_agency(world, agency, &self.orders[who], &mut faults).await;
            let bills = all(world, agency, "invoices");
            faults.extend(self.what_is_charged_twice(who, &bills));
            for (id, said) in &self.told {
                let there = agency.gets(id).await;
                let (is, said) = (product_and_tax(&there.body), said);
                if there.status == 200 && is != *said {
                    faults.push(format!("{id} was told to be {said:?}, and is {is:?}"));
                }
            }
        }
        faults
    }

    /// Each month is charged once, and at its price; and no more of what was used than was used.
    fn what_is_charged_twice(&self, who: usize, bills: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        let (mut months, mut used) = (BTreeSet::new(), 0);
        for bill in bills.iter().filter(|bill| bill["status"] == "paid") {
            let id = &bill["id"];
            let is_plain = self.talked[who] == 0 && !self.amended[who];
            if is_plain && !MONTHS.iter().any(|month| bill["total"] == *month) {
                faults.push(format!("{id} is of {}", bill["total"]));
            }
            let subscription = &bill["parent"]["subscription_details"]["subscription"];
            for line in bill["lines"]["data"].as_array().unwrap() {
                let is_share = line["parent"]["subscription_item_details"]["proration"] == true;
                let amount = line["amount"].as_i64().unwrap();
                if is_share {
                    continue;
                }
                if MONTHS.contains(&amount) {
                    let month = (subscription.to_string(), line["period"]["start"].to_string());
                    if !months.insert(month.clone()) {
                        faults.push(format!("{id} is one more for {month:?}"));
                    }
                } else {
                    used += line["quantity"].as_u64().unwrap_or_default();
                }
            }
        }
        // Sales that run beside each other are billed what the meter counts of the client, each.
        if self.orders[who].len() == 1 && used > self.talked[who] {
            faults.push(format!("{used} seconds are billed, of {}", self.talked[who]));
        }
        faults
    }
}

async fn of_agency(world: &World, agency: &Agency<'_>, orders: &[Order], faults: &mut Vec<String>) {
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(format!("{}: {what}", agency.account));
        }
    };
    let customers = all(world, agency, "customers").len();
    must(customers <= 1, format!("{customers} customers"));

    // One sale for each order, one schedule for each sale.
    let sales = agency.sales().await;
    let most = distinct(orders);
    must(
        sales.len() <= most,
        format!("{} sales of {most} orders", sales.len()),
    );
    let stripe = stripe(world);
    let stripe = stripe.connected(&agency.account.parse().unwrap());
    let mut numbers = BTreeSet::new();
    for schedule in all(world, agency, "subscription_schedules") {
        let id = schedule["id"].as_str().unwrap().parse().unwrap();
        let seen = stripe.schedule(&id).await.unwrap().unwrap();
        let contract = seen.contract(seen.sold().unwrap().clone()).unwrap();
        let number = contract.sold.number;
        must(
            numbers.insert(number),
            format!("{number} was sold by two schedules"),
        );
        let sale = sales.iter().find(|sale| sale.number == number);
        must(
            sale.is_some_and(|sale| sale.schedule.as_ref() == Some(&id)),
            format!("{id} of sale {number} is not known: {sale:?}"),
        );
        let terms = sale.map(|sale| &sale.terms);
        must(
            terms.is_some_and(|terms| *terms == terms.as_they_are(&contract)),
            format!("{id} charges {:?}, and {terms:?} is stored", contract.lines),
        );
        let (known, there) = (sale.and_then(|sale| sale.state.clone()), contract.state());
        must(
            known.as_ref() == Some(&there),
            format!("{id} is {there:?}, and {known:?} is stored"),
        );
    }
    for sale in sales.iter().filter(|sale| sale.schedule.is_some()) {
        let is_there = numbers.contains(&sale.number);
        must(is_there, format!("{:?} is not at Stripe", sale.schedule));
    }
}

/// How many different orders there are at most: the same within ten minutes is a repetition.
fn distinct(orders: &[Order]) -> usize {
    let mut counted: Vec<Order> = Vec::new();
    for order in orders {
        let repeats = |first: &Order| {
            (first.start, first.product, first.ended) == (order.start, order.product, order.ended)
                && order.at.duration_since(first.at) <= SAME
        };
        if !counted.iter().any(repeats) {
            counted.push(*order);
        }
    }
    counted.len()
}

/// What is told of what was sold.
fn product_and_tax(told: &Value) -> [Value; 2] {
    [told["product"]["id"].clone(), told["automatic_tax"].clone()]
}

/// All of some kind on an agency's account.
fn all(world: &World, agency: &Agency<'_>, kind: &str) -> Vec<Value> {
    let mut wanted = json!({ "limit": 100 });
    if kind == "subscriptions" {
        wanted["status"] = json!("all");
    }
    let stand_in = world.stripe.stand_in();
    let (_, list) = stand_in.call("GET", &format!("/v1/{kind}"), &wanted, Some(&agency.account));
    list["data"].as_array().unwrap().clone()
}

/// The ids of its clients' customers.
fn customers(world: &World, agency: &Agency<'_>) -> Vec<String> {
    let customers = all(world, agency, "customers").into_iter();
    customers
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The id of one of them.
fn some(world: &World, agency: &Agency<'_>, kind: &str, which: usize) -> Option<String> {
    let all = all(world, agency, kind);
    let one = all.get(which % all.len().max(1))?;
    one["id"].as_str().map(str::to_owned)
}
