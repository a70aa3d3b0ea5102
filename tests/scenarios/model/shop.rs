//! Living through histories of plans: what an organisation does, what it was told, and that it can go on in the end.

use billing_core::SignedDuration;
use billing_core::contract::Status;
use billing_core::id::CheckoutId;
use billing_core::reversal::Reversal;
use billing_tests::{Answer, Organisation, World};
use serde_json::{Value, json};
use stripe_stand_in::{InvoiceAct, Payment};

use super::asking::{Asked, On, ask, has_failed};
use super::contracting::{
    BUYERS, Buyer, ENDS, LIVES, METHODS, Meanwhile, PAYERS, PAYMENTS, PLANS, PRICES, SEATS, Step, Wish,
};
use super::contracts;
use super::crossing::Act;
use super::history::CARDS;
use super::operating::{Deed, Operator};

/// Which of the buyers must be served in the end: a customer, and a guest.
const SERVED: [usize; 2] = [0, 2];

/// A session, and what was told of it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    /// The contract that it makes or amends.
    pub(super) contract: String,
    /// What it was said to charge, in the order in which that was told: total, and amount due.
    pub(super) quotes: Vec<(i64, i64)>,
}

/// The organisation, and what is remembered of it for the end.
pub(super) struct Shop<'w> {
    world: &'w World,
    pub(super) acme: Organisation<'w>,
    pub(super) sessions: Vec<Session>,
    /// What was wrong on the way.
    pub(super) faults: Vec<String>,
}

impl<'w> Shop<'w> {
    pub(super) async fn new(world: &'w World) -> Self {
        Self {
            world,
            acme: world.organisation("acme").await,
            sessions: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Takes a step; afterwards nobody may be served what is not paid.
    pub(super) async fn take(&mut self, world: &'w World, step: &Step) {
        let known = self.sessions.len();
        match (step, self.act(world, step).await) {
            (Step::Opens { dies, .. }, Act::Asks(request)) => {
                let on = On::from(*dies);
                if let Some(answer) = self.ask(world, &on, *request, None).await {
                    self.hears(world, step, &answer, known).await;
                }
            }
            (Step::Confirms { which, on, .. }, Act::Asks(request)) => {
                let which = place(*which, known);
                if let Some(answer) = self.ask(world, on, *request, which).await {
                    self.hears(world, step, &answer, known).await;
                }
            }
            (_, Act::Asks(request)) => drop(self.ask(world, &On::One, *request, None).await),
            (_, Act::Does(deed)) => deed.await,
            (Step::Reprices { how }, _) => self.reprices(*how).await,
            _ => {}
        }
        self.looks(world).await;
    }

    /// Nobody may be served what is not paid.
    pub(super) async fn looks(&mut self, world: &World) {
        self.faults.extend(contracts::faults(world, self, false).await);
    }

    /// What a step of theirs is.
    pub(super) async fn act(&mut self, world: &'w World, step: &Step) -> Act<'w> {
        let stand_in = world.stripe.stand_in();
        match step {
            Step::Opens { wish, .. } => match self.body(wish).await {
                Some(body) => Act::asks(self.acme.request("POST", "/checkouts", &body)),
                None => Act::Nothing,
            },
            Step::Previews { wish } => match self.body(wish).await {
                Some(body) => Act::asks(self.acme.request("POST", "/checkouts/preview", &body)),
                None => Act::Nothing,
            },
            Step::Confirms {
                which, by, agrees, ..
            } => {
                let Some(which) = place(*which, self.sessions.len()) else {
                    return Act::Nothing;
                };
                let version = if *agrees {
                    self.read(which).await
                } else {
                    Value::Null
                };
                let id = &self.sessions[which].id;
                Act::asks(self.acme.confirmation(id, &confirmation(*by, &version)))
            }
            Step::PaysPage { which, how } => {
                let (which, payment) = (*which, PAYMENTS[*how]);
                Act::does(async move {
                    let pages = contracts::pages(world);
                    if let Some(at) = place(which, pages.len()) {
                        // Paid, declined, or expired a moment ago: Stripe tells the payer.
                        drop(stand_in.pay_session(&pages[at], payment).await);
                    }
                })
            }
            Step::PaysBill { which, card } => {
                let which = *which;
                let act = InvoiceAct {
                    payment_method: Some(CARDS[*card].to_owned()),
                    ..InvoiceAct::default()
                };
                Act::does(async move {
                    let open = contracts::invoices(world, "open");
                    if let Some(at) = place(which, open.len()) {
                        let id = open[at]["id"].as_str().unwrap();
                        drop(stand_in.act_on_invoice(id, &act).await);
                    }
                })
            }
            Step::ClosesPage { which } => {
                let which = *which;
                Act::does(async move {
                    let pages = contracts::pages(world);
                    if let Some(at) = place(which, pages.len()) {
                        drop(stand_in.expire_session(&pages[at]).await);
                    }
                })
            }
            Step::IsPaidBy { which, by } => {
                let (which, by) = (*which, PAYERS[*by]);
                Act::does(async move {
                    if let Some(customer) = one_of(&contracts::customers(world), which) {
                        drop(stand_in.set_card(&customer, by));
                    }
                })
            }
            Step::Operates { which, deed } => {
                let (which, deed) = (*which, deed.clone());
                Act::does(async move {
                    if let Some(customer) = one_of(&contracts::customers(world), which) {
                        Operator::of(world, None, vec![customer]).does(&deed).await;
                    }
                })
            }
            Step::Reprices { .. } => Act::Nothing,
        }
    }

    /// A step was answered that was taken when so many sessions were known.
    pub(super) async fn hears(&mut self, world: &World, step: &Step, answer: &Answer, known: usize) {
        match step {
            Step::Opens { .. } if answer.status == 201 => self.remember(world, answer).await,
            Step::Confirms { which, .. } => {
                if let Some(which) = place(*which, known) {
                    self.hear(which, &answer.body);
                }
            }
            _ => {}
        }
    }

    /// Asks for something on a machine of that kind. Nothing but an outage is answered with a 5xx.
    async fn ask(
        &mut self,
        world: &World,
        on: &On<Meanwhile>,
        request: http::Request<bytes::Bytes>,
        session: Option<usize>,
    ) -> Option<Answer> {
        let meanwhile = async |other: &Meanwhile| self.meanwhile(world, other, session).await;
        let Asked { answer, fault } = ask(world, on, request, meanwhile).await;
        self.faults.extend(fault);
        answer
    }

    async fn meanwhile(&mut self, world: &World, meanwhile: &Meanwhile, session: Option<usize>) {
        match (meanwhile, session) {
            (Meanwhile::Confirms { by }, Some(which)) => {
                let version = self.read(which).await;
                let id = self.sessions[which].id.clone();
                let answer = self.acme.confirms(&id, &confirmation(*by, &version)).await;
                if answer.status >= 500 && answer.status != 503 && !has_failed(world) {
                    self.faults
                        .push(format!("of two confirmations the second was answered {answer}"));
                }
                self.hear(which, &answer.body);
            }
            (Meanwhile::Settles | Meanwhile::Confirms { .. }, _) => world.stripe.stand_in().settle().await,
            (Meanwhile::Pays, _) => {
                for page in contracts::pages(world) {
                    drop(world.stripe.stand_in().pay_session(&page, Payment::Succeed).await);
                }
            }
            (Meanwhile::Ends, _) => {
                let customers = contracts::customers(world);
                let ids = customers
                    .iter()
                    .map(|customer| customer["id"].as_str().unwrap().to_owned());
                Operator::of(world, None, ids.collect())
                    .does(&Deed::EndsNow)
                    .await;
            }
            (Meanwhile::Reprices, _) => self.reprices(1).await,
        }
    }

    /// The body of a wish; none where there is no contract to amend.
    async fn body(&self, wish: &Wish) -> Option<Value> {
        let acme = &self.acme;
        match wish {
            Wish::Begins {
                buyer,
                plan,
                seats,
                ends,
                lives,
            } => {
                let plan = PLANS[*plan];
                let mut body = match BUYERS[*buyer] {
                    Buyer::Customer(name) => json!({ "customer_id": acme.customer(name) }),
                    Buyer::Guest(email) => json!({
                        "guest_checkout": true, "business_entity_id": acme.entity("headquarters"),
                        "customer_data": { "name": "Eve", "email": email },
                    }),
                };
                body["plan_id"] = json!(acme.plan(plan));
                let in_minutes =
                    |minutes| json!((self.world.now() + SignedDuration::from_mins(minutes)).to_string());
                if let Some(lives) = lives {
                    body["expires_at"] = in_minutes(LIVES[*lives]);
                }
                if let Some(ends) = ends {
                    body["end_date"] = in_minutes(ENDS[*ends] * 24 * 60);
                }
                if let Some(seats) = seats {
                    let sold = acme.catalog.plans.iter().find(|known| known.name == plan)?;
                    let first = &sold.it.products.first()?.id;
                    body["product_overrides"] = json!([{ "product_id": first, "quantity": SEATS[*seats] }]);
                }
                Some(body)
            }
            Wish::Moves { which, plan } => {
                let (contract, _) = self.contract(*which).await?;
                Some(json!({ "contract_id": contract, "plan_id": acme.plan(PLANS[*plan]) }))
            }
            Wish::Counts { which, seats } => {
                let (contract, products) = self.contract(*which).await?;
                let choice = json!({ "product_id": products.first()?, "quantity": SEATS[*seats] });
                Some(json!({ "contract_id": contract, "product_overrides": [choice] }))
            }
            Wish::Takes { which, taken } => {
                let (contract, products) = self.contract(*which).await?;
                let choice = json!({ "product_id": products.last()?, "is_enabled": taken });
                Some(json!({ "contract_id": contract, "product_overrides": [choice] }))
            }
        }
    }

    /// The contracts that somebody was told of, each with its products.
    async fn contracts(&self) -> Vec<(String, Vec<String>)> {
        let mut told: Vec<(String, Vec<String>)> = Vec::new();
        for Session { contract, .. } in &self.sessions {
            let stored = self.acme.contract_if_any(contract).await;
            let known = stored.filter(|stored| stored.contract.status != Status::Pending);
            if let Some(stored) = known.filter(|_| !told.iter().any(|(known, _)| known == contract)) {
                let chosen = stored.contract.standing.configuration.products;
                let products = chosen.iter().map(|chosen| chosen.product.id.to_string());
                told.push((contract.clone(), products.collect()));
            }
        }
        told
    }

    async fn contract(&self, which: usize) -> Option<(String, Vec<String>)> {
        let mut told = self.contracts().await;
        let at = place(which, told.len())?;
        Some(told.swap_remove(at))
    }

    /// A session was made, or found.
    async fn remember(&mut self, world: &World, answer: &Answer) {
        let id = answer.body["id"].as_str().unwrap();
        let at = match self.sessions.iter().position(|known| known.id == id) {
            Some(at) => at,
            None => {
                let checkout: CheckoutId = id.parse().unwrap();
                let stored = world
                    .stack()
                    .app
                    .store()
                    .checkout_session(&checkout)
                    .await
                    .unwrap();
                self.sessions.push(Session {
                    id: id.to_owned(),
                    contract: stored.unwrap().contract.to_string(),
                    quotes: Vec::new(),
                });
                self.sessions.len() - 1
            }
        };
        self.hear(at, &answer.body);
    }

    /// Whoever reads a session is told its version, and what that costs.
    async fn read(&mut self, which: usize) -> Value {
        let id = self.sessions[which].id.clone();
        let read = self.acme.reads(&id).await;
        self.hear(which, &read.body);
        read.body["version"].clone()
    }

    fn hear(&mut self, which: usize, told: &Value) {
        let invoice = &told["estimates"]["current_invoice"];
        if let (Some(total), Some(due)) = (invoice["total"].as_i64(), invoice["amount_due"].as_i64()) {
            self.sessions[which].quotes.push((total, due));
        }
    }

    /// The catalog says something else; where Stripe fails, nothing has changed, or half of it, which the next time completes.
    async fn reprices(&mut self, how: usize) {
        let (from, to) = PRICES[how];
        self.acme.says_in_its_catalog(from, to);
        drop(self.acme.tries_its_catalog().await);
    }

    /// What does not add up by now.
    pub(super) async fn faults(&mut self, world: &World) -> Vec<String> {
        let mut faults = std::mem::take(&mut self.faults);
        faults.extend(contracts::faults(world, self, true).await);
        if faults.is_empty() {
            faults.extend(self.serves_everybody(world).await);
        }
        faults
    }

    /// Whatever happened, a customer and a guest can buy, and every contract that is paid for can be amended: nobody is barred, and nothing is left in the
    /// way.
    async fn serves_everybody(&mut self, world: &World) -> Vec<String> {
        let mut faults = Vec::new();
        let mut wishes = Vec::new();
        for buyer in SERVED {
            let begins = Wish::Begins {
                buyer,
                plan: 0,
                seats: Some(4),
                ends: None,
                lives: None,
            };
            wishes.push((self.body(&begins).await, true));
        }
        for (which, (contract, _)) in self.contracts().await.iter().enumerate() {
            // What was paid for it may have gone back, and is not given back again.
            let reversals = self.acme.contract(contract).await.ledger.reversals;
            if !reversals.iter().any(Reversal::is_full) {
                wishes.push((self.body(&Wish::Counts { which, seats: 1 }).await, false));
            }
        }
        for (body, must_begin) in wishes {
            let Some(body) = body else { continue };
            let opened = self.acme.opens(&body).await;
            if opened.status != 201 {
                // A contract that is over, overdue, about to change, or has these seats.
                if must_begin || opened.status >= 500 {
                    faults.push(format!("{body} cannot be opened: {opened}"));
                }
                continue;
            }
            self.remember(world, &opened).await;
            let id = opened.body["id"].as_str().unwrap();
            let agreed = confirmation(0, &opened.body["version"]);
            let confirmed = self.acme.confirms(id, &agreed).await;
            // What is on account at the address that a guest has typed is not the guest's to use up.
            let is_spared = body["guest_checkout"] == true
                && confirmed.status == 409
                && confirmed.body["error"]
                    .as_str()
                    .is_some_and(|told| told.contains("on account"));
            if is_spared {
                // It stays open, as it is to.
                self.sessions.retain(|session| session.id != id);
            } else if confirmed.body["checkout_status"] != "contract_created" {
                faults.push(format!("{body} cannot be bought: {confirmed}"));
            }
        }
        world.stripe.stand_in().settle().await;
        faults.extend(contracts::faults(world, self, true).await);
        faults
    }
}

/// A confirmation that names how to pay, and what it agrees to.
fn confirmation(by: usize, version: &Value) -> Value {
    let mut body = json!({});
    if let Some(method) = METHODS[by] {
        body["payment_method_id"] = json!(method);
    }
    if !version.is_null() {
        body["version"] = version.clone();
    }
    body
}

/// The id of one of these.
fn one_of(objects: &[Value], which: usize) -> Option<String> {
    let at = place(which, objects.len())?;
    objects[at]["id"].as_str().map(str::to_owned)
}

/// Which of so many; the last, for the largest number there is.
fn place(which: usize, count: usize) -> Option<usize> {
    match which {
        usize::MAX => count.checked_sub(1),
        which => which.checked_rem(count),
    }
}
