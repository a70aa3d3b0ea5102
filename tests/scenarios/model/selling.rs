//! Histories on connected accounts: agencies sell, change and cancel; and what must be true of it in the end.

use std::collections::BTreeSet;
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
/// What the showcase's product costs a month, in cents.
const A_MONTH: i64 = 2999;

/// One step of an agency's.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Sells {
        start: usize,
        on: Among,
    },
    /// Ends something with its period, or no longer.
    Changes {
        which: usize,
        ends: bool,
        on: Among,
    },
    Cancels {
        which: usize,
        on: Among,
    },
    GivesCard {
        card: usize,
    },
    /// Somebody does something at Stripe.
    Operates {
        deed: Deed,
    },
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
    prop_oneof![
        5 => (0..STARTS.len(), on.clone()).prop_map(|(start, on)| Step::Sells { start, on }),
        3 => (which, any::<bool>(), on.clone()).prop_map(|(which, ends, on)| Step::Changes { which, ends, on }),
        1 => (which, on).prop_map(|(which, on)| Step::Cancels { which, on }),
        2 => (0..CARDS.len()).prop_map(|card| Step::GivesCard { card }),
        7 => deed_to_what_is_sold().prop_map(|deed| Step::Operates { deed }),
    ]
}

/// What half of the histories begin with: something is sold to a client who has a card.
pub(super) fn sale() -> impl Strategy<Value = Vec<(usize, Step)>> {
    (0..STARTS.len()).prop_map(|start| {
        let sells = Step::Sells { start, on: On::One };
        vec![(0, sells), (0, Step::GivesCard { card: 0 })]
    })
}

/// What an agency ordered.
#[derive(Debug, Clone, Copy)]
struct Order {
    start: Timestamp,
    at: Timestamp,
    /// How often something was ended before: what is over is sold anew, however soon.
    ended: usize,
}

/// The agencies, and what they did.
#[derive(Default)]
pub(super) struct Sellers<'w> {
    agencies: Vec<Rc<Agency<'w>>>,
    orders: [Vec<Order>; AGENCIES],
    ended: [usize; AGENCIES],
    /// Whether something may end while something else is ordered.
    may_end: bool,
    /// What was wrong on the way.
    faults: Vec<String>,
}

impl<'w> Sellers<'w> {
    pub(super) async fn new(world: &'w World) -> Self {
        let mut sellers = Self::default();
        for _ in 0..AGENCIES {
            sellers.agencies.push(Rc::new(world.agency().await));
        }
        sellers
    }

    pub(super) async fn take(&mut self, world: &'w World, sold @ (_, step): &(usize, Step)) {
        match (step, self.act(world, sold)) {
            (
                Step::Sells { on, .. } | Step::Changes { on, .. } | Step::Cancels { on, .. },
                Act::Asks(request),
            ) => self.ask(world, on, *request).await,
            (_, Act::Does(deed)) => deed.await,
            _ => {}
        }
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
            Step::Sells { start, .. } => {
                self.ended[*who] += usize::from(self.may_end);
                let start = world.now() + SignedDuration::from_mins(STARTS[*start]);
                self.orders[*who].push(Order {
                    start,
                    at: world.now(),
                    ended: self.ended[*who],
                });
                Act::asks(agency.request("POST", "", &agency.order(&start.to_string())))
            }
            Step::Changes { which, ends, .. } => {
                let ends = json!({ "cancelAtPeriodEnd": ends });
                schedule(*which).map_or(Act::Nothing, |id| Act::asks(agency.update_request(&id, &ends)))
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

    async fn ask(&mut self, world: &'w World, on: &Among, request: http::Request<bytes::Bytes>) {
        let meanwhile = async |other: &Other| match &**other {
            history::Step::Sells(step) => Box::pin(self.take(world, step)).await,
            other => happens(world, other).await,
        };
        let asked = ask(world, on, request, meanwhile).await;
        self.faults.extend(asked.fault);
    }

    /// Everything that does not add up.
    pub(super) async fn faults(&self, world: &World) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (agency, orders) in self.agencies.iter().zip(&self.orders) {
            of_agency(world, agency, orders, &mut faults).await;
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

    // Each month is charged once, and at its price.
    let mut charged = BTreeSet::new();
    let invoices = all(world, agency, "invoices");
    for invoice in invoices.iter().filter(|invoice| invoice["status"] == "paid") {
        let (total, id) = (&invoice["total"], &invoice["id"]);
        must(*total == A_MONTH, format!("{id} is of {total}"));
        let subscription = &invoice["parent"]["subscription_details"]["subscription"];
        let period = &invoice["lines"]["data"][0]["period"]["start"];
        must(
            charged.insert((subscription.to_string(), period.to_string())),
            format!("{subscription} paid twice for the month from {period}"),
        );
    }
}

/// How many different orders there are at most: the same within ten minutes is a repetition.
fn distinct(orders: &[Order]) -> usize {
    let mut counted: Vec<Order> = Vec::new();
    for order in orders {
        let repeats = |first: &Order| {
            (first.start, first.ended) == (order.start, order.ended)
                && order.at.duration_since(first.at) <= SAME
        };
        if !counted.iter().any(repeats) {
            counted.push(*order);
        }
    }
    counted.len()
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
