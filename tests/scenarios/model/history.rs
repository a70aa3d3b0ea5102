//! The steps of a history, and living through it.

use billing_tests::{Death, Machine, World, path_of};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use stripe_stand_in::{Fault, FaultKind, Settings};

use super::asking::{On, ask, death, on};
use super::calling::{CODES, Callers};
use super::contracting;
use super::crossing::{Act, Crossing, crossing};
use super::operating::{Deed, deed};
use super::selling::{self, Sellers};
use super::shop::Shop;

/// How many accounts there are.
const ACCOUNTS: usize = 3;
/// In seconds.
const A_WEEK: i64 = 7 * 24 * 60 * 60;
/// What is waited for in a request.
const A_MOMENT: &str = "4s";
/// How long before something ends or begins it is near, in seconds.
const NEAR: i64 = 2;
/// Test cards: good, declined when charged, to be authenticated.
pub(super) const CARDS: [&str; 3] = [
    "pm_card_visa",
    "pm_card_chargeCustomerFail",
    "pm_card_authenticationRequired",
];
/// How many events count as the latest.
const LATEST: usize = 6;
/// How many steps most calls take.
pub(super) const SHORT: usize = 13;
/// Places at Stripe that fail.
const PLACES: [(&str, &str); 17] = [
    ("POST", "/v1/customers"),
    ("POST", "/v1/checkout/sessions"),
    ("GET", "/v1/checkout/sessions/*"),
    ("GET", "/v1/subscriptions/*"),
    ("POST", "/v1/subscriptions/*"),
    ("GET", "/v1/invoices/*"),
    ("POST", "/v1/subscription_schedules"),
    ("GET", "/v1/subscription_schedules/*"),
    ("POST", "/v1/subscription_schedules/*"),
    ("POST", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions"),
    ("DELETE", "/v1/subscriptions/*"),
    ("POST", "/v1/payment_methods/*/attach"),
    ("POST", "/v1/invoices/create_preview"),
    ("POST", "/v1/prices"),
    ("POST", "/v1/checkout/sessions/*/expire"),
    ("POST", "/v1/refunds"),
];

/// One step of a history.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Starts {
        who: usize,
        annual: bool,
        on: Among,
    },
    Pays {
        who: usize,
        how: usize,
    },
    Changes {
        who: usize,
        wish: Wish,
        on: Among,
    },
    Cancels {
        who: usize,
        on: Among,
    },
    Resumes {
        who: usize,
        on: Among,
    },
    AddsNumber {
        who: usize,
    },
    GivesCard {
        who: usize,
        card: usize,
    },
    PaysInvoice {
        who: usize,
    },
    /// Somebody does something at Stripe.
    Operates {
        who: usize,
        deed: Deed,
    },
    /// Events wait, or no longer.
    Holds(bool),
    /// Events are dropped, or no longer.
    Drops(bool),
    /// An event of any age is delivered, perhaps once more, perhaps to a machine that dies.
    Delivers {
        which: usize,
        dies: Option<Death>,
    },
    DeliversOddly {
        how: usize,
    },
    Fails {
        place: usize,
        how: usize,
        times: u32,
    },
    Advances {
        minutes: u32,
    },
    Reconciles {
        dies: Option<Death>,
    },
    /// Of an agency.
    Sells((usize, selling::Step)),
    /// Of an organisation that sells plans.
    Contracts(contracting::Step),
    /// Several things at once.
    Crosses(Crossing<Other>),
    /// Until a moment before something ends or begins.
    Nears,
    /// A moment passes.
    Passes,
    /// Stripe lets no change with a discount wait for its payment.
    IsStrict,
}

/// What a subscription is to be changed to.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) annual: bool,
    /// Which promotion code is named.
    pub(super) code: Option<usize>,
    /// Whether what it costs is asked before, and held to.
    pub(super) is_quoted: bool,
}

/// On any kind of machine, where any other step may happen meanwhile.
pub(super) type Among = On<Other>;

/// What else happens.
pub(super) type Other = Box<Step>;

/// Histories of accounts, of agencies, of both, and of an organisation; or of one kind alone. The shares are what they cost: one of an
/// organisation takes four times as long as one of accounts.
pub(super) fn history(most_steps: usize, of: Option<&str>) -> BoxedStrategy<Vec<Step>> {
    let history = |step: BoxedStrategy<Step>| vec(step, 1..=most_steps).boxed();
    let sells = || on_any_machine(sells);
    let bought = vec![
        Step::Starts {
            who: 0,
            annual: false,
            on: On::One,
        },
        Step::Pays { who: 0, how: 0 },
    ];
    let sold = selling::sale().prop_map(|sale| sale.into_iter().map(Step::Sells).collect());
    let agreed = contracting::sale().prop_map(|sale| sale.into_iter().map(Step::Contracts).collect());
    let contracts = contracting::step().prop_map(Step::Contracts);
    let accounts = history(
        prop_oneof![6 => on_any_machine(buys), 4 => around(), 1 => crosses(buys_before(), buys_at_once())]
            .boxed(),
    );
    let sold_at_once = || selling::at_once().prop_map(Step::Sells).boxed();
    let nears = || Just(Step::Nears).boxed();
    let agencies =
        history(prop_oneof![6 => sells(), 4 => around(), 1 => crosses(nears(), sold_at_once())].boxed());
    let both = history(prop_oneof![2 => on_any_machine(buys), 2 => sells(), 2 => around()].boxed());
    let opens = contracting::opens().prop_map(Step::Contracts).boxed();
    let opens = prop_oneof![3 => opens, 1 => nears()].boxed();
    let agreed_at_once = contracting::at_once().prop_map(Step::Contracts).boxed();
    let plans =
        history(prop_oneof![6 => contracts, 4 => around(), 1 => crosses(opens, agreed_at_once)].boxed());
    let strict = vec![Step::IsStrict].into_iter().chain(bought.clone()).collect();
    let accounts = begun(
        prop_oneof![2 => Just(bought), 1 => Just(strict)].boxed(),
        accounts,
    );
    let agencies = begun(sold.boxed(), agencies);
    let plans = begun(agreed.boxed(), plans);
    match of {
        Some("accounts") => accounts,
        Some("agencies") => agencies,
        Some("plans") => plans,
        _ => prop_oneof![5 => accounts, 2 => agencies, 1 => both, 2 => plans].boxed(),
    }
}

/// Half of the histories begin with a sale: what comes after one is rare otherwise.
fn begun(sale: BoxedStrategy<Vec<Step>>, rest: BoxedStrategy<Vec<Step>>) -> BoxedStrategy<Vec<Step>> {
    let begun = (sale, rest.clone()).prop_map(|(sale, rest)| sale.into_iter().chain(rest).collect());
    prop_oneof![begun, rest].boxed()
}

/// Steps on any machine, while others do something too.
fn on_any_machine(steps: fn(BoxedStrategy<Among>) -> BoxedStrategy<Step>) -> BoxedStrategy<Step> {
    let meanwhile = prop_oneof![3 => steps(Just(On::One).boxed()), 1 => meanwhile()];
    steps(on(SHORT, meanwhile.prop_map(Box::new)))
}

fn sells(on: BoxedStrategy<Among>) -> BoxedStrategy<Step> {
    selling::step(on).prop_map(Step::Sells).boxed()
}

/// What accounts, their payers and their operators do.
fn buys(on: BoxedStrategy<Among>) -> BoxedStrategy<Step> {
    let who = prop_oneof![2 => Just(0), 3 => 0..ACCOUNTS].boxed();
    prop_oneof![15 => asks(who.clone(), on), 27 => around_accounts(who)].boxed()
}

/// What one of them does at once.
fn buys_at_once() -> BoxedStrategy<Step> {
    let who = Just(0).boxed();
    prop_oneof![3 => asks(who.clone(), Just(On::One).boxed()), 1 => around_accounts(who)].boxed()
}

/// What comes before that.
fn buys_before() -> BoxedStrategy<Step> {
    let starts = any::<bool>().prop_map(|annual| Step::Starts {
        who: 0,
        annual,
        on: On::One,
    });
    prop_oneof![Just(Step::Nears), starts].boxed()
}

/// What accounts ask for.
fn asks(who: BoxedStrategy<usize>, on: BoxedStrategy<Among>) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (who.clone(), any::<bool>(), on.clone()).prop_map(|(who, annual, on)| Step::Starts { who, annual, on }),
        5 => (who.clone(), wish(), on.clone()).prop_map(|(who, wish, on)| Step::Changes { who, wish, on }),
        2 => (who.clone(), on.clone()).prop_map(|(who, on)| Step::Cancels { who, on }),
        2 => (who, on).prop_map(|(who, on)| Step::Resumes { who, on }),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let code = prop_oneof![3 => Just(None), 2 => (0..CODES.len()).prop_map(Some)];
    let is_quoted = prop_oneof![4 => Just(true), 1 => Just(false)];
    (any::<bool>(), code, is_quoted).prop_map(|(annual, code, is_quoted)| Wish {
        annual,
        code,
        is_quoted,
    })
}

/// What they, their payers and operators do besides.
fn around_accounts(who: BoxedStrategy<usize>) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (who.clone(), prop_oneof![5 => Just(0), 3 => 1..4_usize]).prop_map(|(who, how)| Step::Pays { who, how }),
        1 => who.clone().prop_map(|who| Step::AddsNumber { who }),
        2 => (who.clone(), 0..CARDS.len()).prop_map(|(who, card)| Step::GivesCard { who, card }),
        2 => who.clone().prop_map(|who| Step::PaysInvoice { who }),
        12 => (who, deed()).prop_map(|(who, deed)| Step::Operates { who, deed }),
    ]
}

/// Several such things at once, and events heard and looked for.
fn crosses(before: BoxedStrategy<Step>, things: BoxedStrategy<Step>) -> BoxedStrategy<Step> {
    let dies = None;
    let heard = (0..LATEST).prop_map(move |which| Step::Delivers { which, dies });
    let others = prop_oneof![3 => heard, 1 => Just(Step::Reconciles { dies }), 2 => Just(Step::Passes)];
    let thing = prop_oneof![2 => things, 1 => others];
    crossing(before.prop_map(Box::new), thing.prop_map(Box::new))
        .prop_map(Step::Crosses)
        .boxed()
}

/// What happens around them.
fn around() -> impl Strategy<Value = Step> {
    prop_oneof![
        14 => meanwhile(),
        4 => prop_oneof![1..120_u32, 600..3000_u32, Just(45_000)].prop_map(|minutes| Step::Advances { minutes }),
        1 => Just(Step::Nears),
    ]
}

/// What can happen within a request: the clock stands still.
fn meanwhile() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Holds),
        1 => any::<bool>().prop_map(Step::Drops),
        4 => (any::<usize>(), death(SHORT)).prop_map(|(which, dies)| Step::Delivers { which, dies }),
        3 => (0..4_usize).prop_map(|how| Step::DeliversOddly { how }),
        3 => (0..PLACES.len(), 0..4_usize, 1..6_u32).prop_map(|(place, how, times)| Step::Fails { place, how, times }),
        1 => death(SHORT).prop_map(|dies| Step::Reconciles { dies }),
    ]
}

/// Lives through a history in a world of its own, and tells what does not add up.
pub(super) async fn live_through(history: &[Step]) -> Result<(), String> {
    let world = World::unjudged_at("2026-04-01T00:00:00Z").await;
    let mut everybody = Everybody::of(&world, history).await;
    for step in history {
        everybody.take(step).await;
    }
    come_to_rest(&world).await;
    if everybody.shop.is_some() {
        // A bank debit takes three days.
        rests(&world, "80h").await;
    }
    let faults = everybody.faults().await;
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("; ")),
    }
}

/// Whether there is such a step in a history.
fn has(history: &[Step], is_such: impl Fn(&Step) -> bool) -> bool {
    history.iter().any(|step| match step {
        Step::Crosses(Crossing { before, things, .. }) => {
            let things = things.iter().map(|(thing, _)| thing);
            things.chain(before).any(|thing| is_such(thing))
        }
        step => is_such(step),
    })
}

/// Who lives through a history.
struct Everybody<'w> {
    world: &'w World,
    callers: Callers<'w>,
    sellers: Sellers<'w>,
    shop: Option<Shop<'w>>,
    /// What was wrong with what happened at once.
    faults: Vec<String>,
}

impl<'w> Everybody<'w> {
    /// Whoever a history is of.
    async fn of(world: &'w World, history: &[Step]) -> Self {
        let mut everybody = Self {
            world,
            callers: Callers::new(world, ACCOUNTS).await,
            sellers: Sellers::default(),
            shop: None,
            faults: Vec::new(),
        };
        if has(history, |step| matches!(step, Step::Sells(_))) {
            everybody.sellers = Sellers::new(world).await;
        }
        if has(history, |step| matches!(step, Step::Contracts(_))) {
            everybody.shop = Some(Shop::new(world).await);
        }
        everybody
    }

    async fn take(&mut self, step: &Step) {
        match (step, &mut self.shop) {
            (Step::Sells(step), _) => self.sellers.take(self.world, step).await,
            (Step::Contracts(step), Some(shop)) => shop.take(self.world, step).await,
            (Step::Nears, _) => nears(self.world, &self.sellers.accounts()).await,
            (Step::Crosses(crossing), _) => self.cross(crossing).await,
            (step, _) => self.callers.take(self.world, step).await,
        }
    }

    /// Has several things happen at once.
    async fn cross(&mut self, crossing: &Crossing<Other>) {
        if let Some(before) = &crossing.before {
            Box::pin(self.take(before)).await;
        }
        let mut acts = Vec::new();
        let known = self.shop.as_ref().map_or(0, |shop| shop.sessions.len());
        self.sellers.meet(crossing);
        for (thing, _) in &crossing.things {
            acts.push(match (&**thing, &mut self.shop) {
                (Step::Sells(sold), _) => self.sellers.act(self.world, sold),
                (Step::Contracts(step), Some(shop)) => shop.act(self.world, step).await,
                (Step::Delivers { which, .. }, _) => Act::Hears(*which),
                (Step::Reconciles { .. }, _) => Act::Reconciles,
                (Step::Passes, _) => Act::does(self.world.advance(A_MOMENT)),
                (step, _) => self.callers.act(self.world, step).await,
            });
        }
        let came = crossing.happens(self.world, acts).await;
        for (asked, (thing, _)) in came.into_iter().zip(&crossing.things) {
            self.faults.extend(asked.fault);
            let told = (&**thing, &mut self.shop, asked.answer);
            if let (Step::Contracts(step), Some(shop), Some(answer)) = told {
                shop.hears(self.world, step, &answer, known).await;
            }
        }
        if let Some(shop) = &mut self.shop {
            shop.looks(self.world).await;
        }
    }

    /// Everything that does not add up.
    async fn faults(&mut self) -> Vec<String> {
        let mut faults = std::mem::take(&mut self.faults);
        faults.extend(self.sellers.faults(self.world).await);
        if let Some(shop) = &mut self.shop {
            faults.extend(shop.faults(self.world).await);
        }
        faults.extend(self.callers.faults(self.world).await);
        faults
    }
}

/// Everything works again, is delivered, has expired and is reconciled.
async fn come_to_rest(world: &World) {
    world.stripe.recovers().await;
    drops(world, false).await;
    world.stripe.holds_events(false).await;
    for pause in ["26h", "1h", "25h"] {
        rests(world, pause).await;
    }
}

async fn rests(world: &World, pause: &str) {
    world.advance(pause).await;
    world.hands("reconcile", &json!({})).await;
}

/// What happens around everybody.
pub(super) async fn happens(world: &World, step: &Step) {
    let stand_in = world.stripe.stand_in();
    match step {
        Step::Holds(hold) => world.stripe.holds_events(*hold).await,
        Step::Drops(drop) => drops(world, *drop).await,
        Step::Delivers { which, dies } => {
            let events = stand_in.events();
            if let Some(event) = events.get(which % events.len().max(1)) {
                let id = event["id"].as_str().unwrap();
                call(world, *dies, world.stripe.signed_event(id)).await;
            }
        }
        Step::DeliversOddly { how } => {
            let kind = [
                FaultKind::DeliverTwice,
                FaultKind::DeliverLate { seconds: 7200 },
                FaultKind::DeliverLast,
                FaultKind::DeliverMissigned,
            ][*how]
                .clone();
            stand_in.add_fault(Fault::new(kind));
        }
        Step::Fails { place, how, times } => {
            let (method, path) = PLACES[*place];
            let status = |status| FaultKind::Status { status, code: None };
            let kind = [
                status(500),
                status(429),
                FaultKind::DropBefore,
                FaultKind::DropAfter,
            ][*how]
                .clone();
            stand_in.add_fault(Fault::new(kind).on(method, path).times(*times));
        }
        Step::Advances { minutes } => advances(world, i64::from(*minutes) * 60).await,
        Step::Passes => world.advance(A_MOMENT).await,
        Step::IsStrict => world.stripe.is(Settings {
            pending_updates_take_discounts: false,
            ..Settings::default()
        }),
        Step::Reconciles { dies } => {
            let event = json!({});
            match *dies {
                // While Stripe fails it may fail as a whole; the next run is the retry.
                None => drop(world.tries("reconcile", &event).await),
                Some(death) => {
                    let runs = async |machine: &Machine| machine.hands("reconcile", &event).await;
                    drop(world.dies_over(death, runs).await);
                }
            }
        }
        _ => {}
    }
}

/// Until a moment before a period or a page ends, or something that was sold begins, at any of these accounts of Stripe's.
async fn nears(world: &World, accounts: &[String]) {
    let now = world.now().as_second();
    let mut ends = Vec::new();
    for account in std::iter::once(None).chain(accounts.iter().map(|account| Some(account.as_str()))) {
        let list = |path: &str| {
            let (_, list) = world
                .stripe
                .stand_in()
                .call("GET", path, &json!({ "limit": 100 }), account);
            list["data"].as_array().cloned().unwrap_or_default()
        };
        let periods = list("/v1/subscriptions");
        ends.extend(
            periods
                .iter()
                .map(|it| it["items"]["data"][0]["current_period_end"].as_i64()),
        );
        let pages = list("/v1/checkout/sessions");
        ends.extend(pages.iter().map(|it| it["expires_at"].as_i64()));
        let sales = list("/v1/subscription_schedules");
        ends.extend(sales.iter().map(|it| it["phases"][0]["start_date"].as_i64()));
    }
    let ahead = ends.into_iter().flatten().filter(|end| *end > now + NEAR);
    if let Some(next) = ahead.min() {
        advances(world, next - NEAR - now).await;
    }
}

/// So many seconds pass.
async fn advances(world: &World, seconds: i64) {
    // Stripe forgets events after thirty days; nobody leaves the function that looks for them off for so long.
    let mut left = seconds;
    while left > A_WEEK {
        world.advance(&format!("{A_WEEK}s")).await;
        drop(world.tries("reconcile", &json!({})).await);
        left -= A_WEEK;
    }
    world.advance(&format!("{left}s")).await;
}

/// A request to the stack, or to a machine that dies over it. Whatever is answered: what counts is how it ends.
pub(super) async fn call(world: &World, dies: Option<Death>, request: http::Request<bytes::Bytes>) {
    let on = On::<()>::from(dies);
    ask(world, &on, request, async |()| ()).await;
}

async fn drops(world: &World, drop: bool) {
    let stand_in = world.stripe.stand_in();
    let (_, endpoints) = stand_in.call("GET", "/v1/webhook_endpoints", &json!({}), None);
    for endpoint in endpoints["data"].as_array().unwrap() {
        let path = path_of(endpoint);
        stand_in.call("POST", &path, &json!({ "disabled": drop }), None);
    }
}
