//! Living through histories of accounts: what they ask for, and what their payers and operators do.

use std::rc::Rc;

use billing_tests::{Account, World};
use serde_json::{Value, json};

use super::asking::ask;
use super::contracting::PAYMENTS;
use super::crossing::Act;
use super::history::{Among, CARDS, Other, Step, happens};
use super::invariants;
use super::operating::{Deed, Operator};

/// Promotion codes: what they take off, how they are spelt, and how often they are good.
pub(super) const CODES: [(&str, &str, &str); 2] = [
    ("percent_off=20&duration=once", "SPRING20", ""),
    ("percent_off=10&duration=forever", "LAST10", "&max_redemptions=1"),
];

/// The accounts, and what is remembered of them for the end.
pub(super) struct Callers<'w> {
    accounts: Vec<Rc<Account<'w>>>,
    memory: Memory,
    /// What was wrong on the way.
    faults: Vec<String>,
}

/// What is remembered of a history for the end.
#[derive(Default)]
pub(super) struct Memory {
    /// What each account was quoted for changes: amounts due.
    pub(super) quotes: Vec<(usize, i64)>,
    /// Who changed without asking what it costs.
    pub(super) unquoted: Vec<usize>,
    /// Whose subscription an operator had bill something else.
    pub(super) counted: Vec<usize>,
}

impl<'w> Callers<'w> {
    /// The first has one number, the next one more.
    pub(super) async fn new(world: &'w World, count: usize) -> Self {
        let mut accounts = Vec::new();
        for numbers in 1..=count {
            let account = world.account(u32::try_from(numbers).unwrap()).await;
            accounts.push(Rc::new(account));
        }
        for (coupon, code, terms) in CODES {
            world
                .stripe
                .makes_code(coupon, &format!("code={code}{terms}"))
                .await;
        }
        Self {
            accounts,
            memory: Memory::default(),
            faults: Vec::new(),
        }
    }

    /// Takes a step.
    pub(super) async fn take(&mut self, world: &'w World, step: &Step) {
        match (step, self.act(world, step).await) {
            (
                Step::Starts { on, .. }
                | Step::Changes { on, .. }
                | Step::Cancels { on, .. }
                | Step::Resumes { on, .. },
                Act::Asks(request),
            ) => self.ask(world, on, *request).await,
            (_, Act::Does(deed)) => deed.await,
            _ => happens(world, step).await,
        }
    }

    /// What a step of theirs is.
    pub(super) async fn act(&mut self, world: &'w World, step: &Step) -> Act<'w> {
        let stand_in = world.stripe.stand_in();
        match step {
            Step::Starts { who, annual, .. } => {
                let body = json!({ "interval": interval(*annual) });
                Act::asks(self.accounts[*who].checkout_request(&body))
            }
            Step::Changes { who, wish, .. } => {
                let mut body = json!({ "interval": interval(wish.annual) });
                if let Some(code) = wish.code {
                    body["promotionCode"] = json!(CODES[code].1);
                }
                if !wish.is_quoted {
                    self.memory.unquoted.push(*who);
                    return Act::asks(self.accounts[*who].change_request(&body));
                }
                let preview = self.accounts[*who].previews(&body).await;
                if preview.status != 200 {
                    return Act::Nothing;
                }
                body["prorationDate"] = preview.body["prorationDate"].clone();
                let due = preview.body["amountDueCents"].as_i64().unwrap();
                self.memory.quotes.push((*who, due));
                Act::asks(self.accounts[*who].change_request(&body))
            }
            Step::Cancels { who, .. } => Act::asks(self.accounts[*who].end_request("cancel")),
            Step::Resumes { who, .. } => Act::asks(self.accounts[*who].end_request("resume")),
            Step::Pays { who, how } => {
                let (account, payment) = (Rc::clone(&self.accounts[*who]), PAYMENTS[*how]);
                Act::does(async move {
                    for customer in customers(world, &account) {
                        let sessions = stand_in.sessions_of(&customer);
                        if let Some(open) = sessions.iter().find(|session| session["status"] == "open") {
                            // Paid, declined, or expired a moment ago: Stripe tells the payer.
                            drop(stand_in.pay_session(open["id"].as_str().unwrap(), payment).await);
                        }
                    }
                })
            }
            Step::AddsNumber { who } => {
                let (account, number) = (Rc::clone(&self.accounts[*who]), format!("+1555000{who}999"));
                Act::does(async move { account.adds_number(&number).await })
            }
            Step::GivesCard { who, card } => {
                let (account, card) = (Rc::clone(&self.accounts[*who]), CARDS[*card]);
                Act::does(async move {
                    for customer in customers(world, &account) {
                        drop(stand_in.set_card(&customer, card));
                    }
                })
            }
            Step::PaysInvoice { who } => {
                let account = Rc::clone(&self.accounts[*who]);
                Act::does(async move {
                    for invoice in invoices(world, &account, "open") {
                        drop(stand_in.pay_invoice(invoice["id"].as_str().unwrap()).await);
                    }
                })
            }
            Step::Operates { who, deed } => {
                if matches!(deed, Deed::Counts(_)) {
                    self.memory.counted.push(*who);
                }
                let (account, deed) = (Rc::clone(&self.accounts[*who]), deed.clone());
                Act::does(async move {
                    let customers = customers(world, &account);
                    Operator::of(world, None, customers).does(&deed).await;
                })
            }
            _ => Act::Nothing,
        }
    }

    async fn ask(&mut self, world: &'w World, on: &Among, request: http::Request<bytes::Bytes>) {
        let meanwhile = async |other: &Other| Box::pin(self.take(world, other)).await;
        let asked = ask(world, on, request, meanwhile).await;
        self.faults.extend(asked.fault);
    }

    /// Everything that does not add up.
    pub(super) async fn faults(&self, world: &World) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (who, account) in self.accounts.iter().enumerate() {
            let of_account = invariants::faults(world, account, who, &self.memory).await;
            faults.extend(of_account.iter().map(|fault| format!("account {who}: {fault}")));
        }
        faults
    }
}

fn interval(annual: bool) -> &'static str {
    if annual { "annual" } else { "monthly" }
}

/// The account's customers.
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
