//! The steps of a history, and living through it.

use billing_tests::{Account, Death, Machine, Moment, World, path_of};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use stripe_stand_in::{Fault, FaultKind, Payment};

use super::contracting;
use super::invariants;
use super::selling::{self, Sellers};
use super::shop::Shop;

/// How many accounts there are.
const ACCOUNTS: usize = 3;
/// In minutes.
const A_WEEK: u32 = 7 * 24 * 60;
/// Test cards: good, declined when charged, to be authenticated.
pub(super) const CARDS: [&str; 3] = [
    "pm_card_visa",
    "pm_card_chargeCustomerFail",
    "pm_card_authenticationRequired",
];
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
        dies: Option<Death>,
    },
    Pays {
        who: usize,
        how: usize,
    },
    Changes {
        who: usize,
        annual: bool,
        dies: Option<Death>,
    },
    Cancels {
        who: usize,
        dies: Option<Death>,
    },
    Resumes {
        who: usize,
        dies: Option<Death>,
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
    IsRefunded {
        who: usize,
        all: bool,
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
}

/// Mostly nobody dies, and no later than at step `most`.
pub(super) fn death(most: usize) -> impl Strategy<Value = Option<Death>> {
    prop_oneof![3 => Just(None), 2 => dying(most).prop_map(Some)]
}

pub(super) fn dying(most: usize) -> impl Strategy<Value = Death> {
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    (moment, 1..=most).prop_map(|(moment, step)| Death { moment, step })
}

/// Histories of accounts, of agencies, of both, and of an organisation; or of one kind alone. The shares are what they cost: one of an
/// organisation takes four times as long as one of accounts.
pub(super) fn history(most_steps: usize, of: Option<&str>) -> BoxedStrategy<Vec<Step>> {
    let history = |step: BoxedStrategy<Step>| vec(step, 1..=most_steps);
    let sells = || selling::step().prop_map(Step::Sells);
    let contracts = contracting::step().prop_map(Step::Contracts);
    let accounts = history(prop_oneof![3 => of_account(), 2 => around()].boxed());
    let agencies = history(prop_oneof![3 => sells(), 2 => around()].boxed());
    let both = history(prop_oneof![2 => of_account(), 2 => sells(), 2 => around()].boxed());
    let plans = history(prop_oneof![3 => contracts, 2 => around()].boxed());
    match of {
        Some("accounts") => accounts.boxed(),
        Some("agencies") => agencies.boxed(),
        Some("plans") => plans.boxed(),
        _ => prop_oneof![5 => accounts, 2 => agencies, 1 => both, 2 => plans].boxed(),
    }
}

/// What accounts and their payers do.
fn of_account() -> impl Strategy<Value = Step> {
    let who = 0..ACCOUNTS;
    prop_oneof![
        6 => (who.clone(), any::<bool>(), death(SHORT)).prop_map(|(who, annual, dies)| Step::Starts { who, annual, dies }),
        8 => (who.clone(), prop_oneof![5 => Just(0), 3 => 1..4_usize]).prop_map(|(who, how)| Step::Pays { who, how }),
        5 => (who.clone(), any::<bool>(), death(SHORT)).prop_map(|(who, annual, dies)| Step::Changes { who, annual, dies }),
        2 => (who.clone(), death(SHORT)).prop_map(|(who, dies)| Step::Cancels { who, dies }),
        2 => (who.clone(), death(SHORT)).prop_map(|(who, dies)| Step::Resumes { who, dies }),
        1 => who.clone().prop_map(|who| Step::AddsNumber { who }),
        2 => (who.clone(), 0..CARDS.len()).prop_map(|(who, card)| Step::GivesCard { who, card }),
        2 => who.clone().prop_map(|who| Step::PaysInvoice { who }),
        1 => (who, any::<bool>()).prop_map(|(who, all)| Step::IsRefunded { who, all }),
    ]
}

/// What happens around them.
fn around() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Holds),
        1 => any::<bool>().prop_map(Step::Drops),
        4 => (any::<usize>(), death(SHORT)).prop_map(|(which, dies)| Step::Delivers { which, dies }),
        3 => (0..4_usize).prop_map(|how| Step::DeliversOddly { how }),
        3 => (0..PLACES.len(), 0..4_usize, 1..6_u32).prop_map(|(place, how, times)| Step::Fails { place, how, times }),
        4 => prop_oneof![1..120_u32, 600..3000_u32, Just(45_000)].prop_map(|minutes| Step::Advances { minutes }),
        1 => death(SHORT).prop_map(|dies| Step::Reconciles { dies }),
    ]
}

/// What is remembered of a history for the end.
#[derive(Default)]
pub(super) struct Memory {
    /// What each account was quoted for changes: amounts due.
    pub(super) quotes: Vec<(usize, i64)>,
}

/// Lives through a history in a world of its own, and tells what does not add up.
pub(super) async fn live_through(history: &[Step]) -> Result<(), String> {
    let world = World::unjudged_at("2026-04-01T00:00:00Z").await;
    let mut accounts = Vec::new();
    for numbers in 1..=ACCOUNTS {
        accounts.push(world.account(u32::try_from(numbers).unwrap()).await);
    }
    let mut sellers = if history.iter().any(|step| matches!(step, Step::Sells(_))) {
        Sellers::new(&world).await
    } else {
        Sellers::default()
    };
    let mut shop = if history.iter().any(|step| matches!(step, Step::Contracts(_))) {
        Some(Shop::new(&world).await)
    } else {
        None
    };
    let mut memory = Memory::default();
    for step in history {
        match (step, &mut shop) {
            (Step::Sells(step), _) => sellers.take(&world, step).await,
            (Step::Contracts(step), Some(shop)) => shop.take(&world, step).await,
            (step, _) => take(&world, &accounts, step, &mut memory).await,
        }
    }
    come_to_rest(&world).await;
    if shop.is_some() {
        // A bank debit takes three days.
        rests(&world, "80h").await;
    }
    let mut faults = sellers.faults(&world).await;
    if let Some(shop) = &mut shop {
        faults.extend(shop.faults(&world).await);
    }
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    for (who, account) in accounts.iter().enumerate() {
        let faults = invariants::faults(&world, account, who, &memory).await;
        if !faults.is_empty() {
            return Err(format!("account {who}: {}", faults.join("; ")));
        }
    }
    Ok(())
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

async fn take(world: &World, accounts: &[Account<'_>], step: &Step, memory: &mut Memory) {
    let stand_in = world.stripe.stand_in();
    match step {
        Step::Starts { who, annual, dies } => {
            let body = json!({ "interval": interval(*annual) });
            call(world, *dies, accounts[*who].checkout_request(&body)).await;
        }
        Step::Pays { who, how } => {
            let payment = [
                Payment::Succeed,
                Payment::Decline,
                Payment::RequiresAction,
                Payment::Delayed,
            ][*how];
            for customer in customers(world, &accounts[*who]) {
                let sessions = stand_in.sessions_of(&customer);
                if let Some(open) = sessions.iter().find(|session| session["status"] == "open") {
                    // Paid, declined, or expired a moment ago: Stripe tells the payer.
                    drop(stand_in.pay_session(open["id"].as_str().unwrap(), payment).await);
                }
            }
        }
        Step::Changes { who, annual, dies } => {
            let account = &accounts[*who];
            let mut body = json!({ "interval": interval(*annual) });
            let preview = account.previews(&body).await;
            if preview.status == 200 {
                body["prorationDate"] = preview.body["prorationDate"].clone();
                memory
                    .quotes
                    .push((*who, preview.body["amountDueCents"].as_i64().unwrap()));
                call(world, *dies, account.change_request(&body)).await;
            }
        }
        Step::Cancels { who, dies } => ends(world, &accounts[*who], "cancel", *dies).await,
        Step::Resumes { who, dies } => ends(world, &accounts[*who], "resume", *dies).await,
        Step::AddsNumber { who } => accounts[*who].adds_number(&format!("+1555000{who}999")).await,
        Step::GivesCard { who, card } => {
            for customer in customers(world, &accounts[*who]) {
                drop(stand_in.set_card(&customer, CARDS[*card]));
            }
        }
        Step::PaysInvoice { who } => {
            for invoice in invoices(world, &accounts[*who], "open") {
                drop(stand_in.pay_invoice(invoice["id"].as_str().unwrap()).await);
            }
        }
        Step::IsRefunded { who, all } => {
            if let Some(invoice) = invoices(world, &accounts[*who], "paid").first() {
                refunds(world, invoice, *all).await;
            }
        }
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
        Step::Advances { minutes } => {
            // Stripe forgets events after thirty days; nobody leaves the function that looks for them off for so long.
            let mut left = *minutes;
            while left > A_WEEK {
                world.advance(&format!("{A_WEEK}m")).await;
                drop(world.tries("reconcile", &json!({})).await);
                left -= A_WEEK;
            }
            world.advance(&format!("{left}m")).await;
        }
        Step::Sells(_) | Step::Contracts(_) => {}
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
    }
}

fn interval(annual: bool) -> &'static str {
    if annual { "annual" } else { "monthly" }
}

/// A request to the stack, or to a machine that dies over it. Whatever is answered: what counts is how it ends.
pub(super) async fn call(world: &World, dies: Option<Death>, request: http::Request<bytes::Bytes>) {
    match dies {
        Some(death) => {
            let call = async |machine: &Machine| machine.call(request).await;
            world.dies_over(death, call).await;
        }
        None => drop(world.stack().gateway.call(request).await),
    }
}

/// An operator gives an invoice back, or a dollar of it.
pub(super) async fn refunds(world: &World, invoice: &Value, all: bool) {
    let stand_in = world.stripe.stand_in();
    let of = json!({ "invoice": invoice["id"] });
    let (_, payments) = stand_in.call("GET", "/v1/invoice_payments", &of, None);
    let intent = &payments["data"][0]["payment"]["payment_intent"];
    let mut refund = json!({ "payment_intent": intent });
    if !all {
        refund["amount"] = json!(100);
    }
    stand_in.call("POST", "/v1/refunds", &refund, None);
    stand_in.settle().await;
}

async fn ends(world: &World, account: &Account<'_>, path: &str, dies: Option<Death>) {
    let path = format!("/api/v1/billing/subscription/{path}");
    call(world, dies, account.request("POST", &path, &Value::Null)).await;
}

async fn drops(world: &World, drop: bool) {
    let stand_in = world.stripe.stand_in();
    let (_, endpoints) = stand_in.call("GET", "/v1/webhook_endpoints", &json!({}), None);
    for endpoint in endpoints["data"].as_array().unwrap() {
        let path = path_of(endpoint);
        stand_in.call("POST", &path, &json!({ "disabled": drop }), None);
    }
}

pub(super) fn customers(world: &World, account: &Account<'_>) -> Vec<String> {
    let customers = world.stripe.stand_in().customers_with("account", &account.id);
    let ids = customers.iter().map(|it| it["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// The account's invoices of that status, newest first.
pub(super) fn invoices(world: &World, account: &Account<'_>, status: &str) -> Vec<Value> {
    let customers = customers(world, account);
    let all = customers
        .iter()
        .flat_map(|customer| world.stripe.stand_in().invoices_of(customer));
    let mut found: Vec<_> = all.filter(|invoice| invoice["status"] == status).collect();
    found.sort_by_key(|invoice| std::cmp::Reverse(invoice["created"].as_i64()));
    found
}
