//! What must be true of an organisation's contracts: at every moment, and once everything has come to rest.

use billing_core::SignedDuration;
use billing_core::contract::{Contract, Status};
use billing_core::sale::{Sale, Way};
use billing_core::session;
use billing_store::StoredContract;
use billing_tests::World;
use serde_json::{Value, json};

use super::invariants::{charges, expected, reversal_fault};
use super::shop::{Session, Shop};

/// Everything that is wrong by now; once everything has come to rest, also what is missing.
pub(super) async fn faults(world: &World, shop: &Shop<'_>, is_at_rest: bool) -> Vec<String> {
    let mut faults = Vec::new();
    customers_are_one(world, &mut faults);
    let mut contracts: Vec<&str> = Vec::new();
    for session in &shop.sessions {
        let contract = session.contract.as_str();
        let (found, stored) = as_one(world, shop, session).await;
        // Thirty days after its time nobody can read it any more.
        if let Some(found) = found {
            told(world, &found, stored.as_ref(), is_at_rest, &mut faults);
        }
        if contracts.contains(&contract) {
            continue;
        }
        contracts.push(contract);
        let mut own = Faults(contract, &mut faults);
        let billed = Billed::of(world, &format!("{}/{contract}", shop.acme.id));
        billed.is_one(is_at_rest, &mut own);
        if let Some(stored) = &stored {
            billed.is_what_was_told(stored, &shop.sessions, is_at_rest, &mut own);
        }
        if is_at_rest {
            billed.is_known(stored.as_ref(), &mut own);
            if let Some(stored) = &stored {
                billed.is_covered(world, stored, &mut own).await;
            }
        }
    }
    if is_at_rest && !pages(world).is_empty() {
        faults.push(format!("pages that can still be paid: {:?}", pages(world)));
    }
    faults
}

/// What is wrong with one contract.
struct Faults<'a>(&'a str, &'a mut Vec<String>);

impl Faults<'_> {
    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.1.push(format!("contract {}: {}", self.0, what()));
        }
    }
}

/// No customer of an organisation's is made twice, nor one with the same address.
fn customers_are_one(world: &World, faults: &mut Vec<String>) {
    let mut seen = Vec::new();
    for customer in customers(world) {
        let email = customer["email"].as_str().unwrap_or_default().to_lowercase();
        if seen.contains(&email) {
            faults.push(format!("{email} is two customers"));
        }
        seen.push(email);
    }
}

/// A session and its contract, as they are at one moment: an event may be landing while they are read.
async fn as_one(
    world: &World,
    shop: &Shop<'_>,
    session: &Session,
) -> (Option<session::Session>, Option<StoredContract>) {
    let checkout = session.id.parse().unwrap();
    let store = world.stack().app.store();
    let mut found = store.checkout_session(&checkout).await.unwrap();
    loop {
        let stored = shop.acme.contract_if_any(&session.contract).await;
        let now = store.checkout_session(&checkout).await.unwrap();
        if now == found {
            return (found, stored);
        }
        found = now;
    }
}

/// A session says that it is sold exactly when its contract says so.
fn told(
    world: &World,
    found: &session::Session,
    stored: Option<&StoredContract>,
    is_at_rest: bool,
    faults: &mut Vec<String>,
) {
    let told = found.status_at(world.now());
    let sold = stored
        .and_then(|stored| stored.history.iter().find(|entry| entry.checkout == found.id))
        .is_some();
    let fits = match told {
        session::Status::ContractCreated => sold,
        session::Status::Expired | session::Status::Cancelled => !sold,
        session::Status::Open | session::Status::Pending | session::Status::PaymentSucceeded => {
            !sold && !is_at_rest
        }
    };
    if !fits {
        faults.push(format!(
            "session {} is told as {told:?}, and sold: {sold}",
            found.id
        ));
    }
}

/// What Stripe has of one contract.
struct Billed {
    subscriptions: Vec<Value>,
    /// Oldest first.
    invoices: Vec<Value>,
}

impl Billed {
    fn of(world: &World, contract: &str) -> Self {
        let subscriptions: Vec<Value> = subscriptions(world)
            .into_iter()
            .filter(|subscription| subscription["metadata"]["contract"] == contract)
            .collect();
        let own = |invoice: &Value| {
            let of = subscription_of(invoice);
            subscriptions.iter().any(|subscription| subscription["id"] == *of)
        };
        let invoices = all_invoices(world).into_iter().filter(own).collect();
        Self {
            subscriptions,
            invoices,
        }
    }

    fn live(&self) -> Vec<&Value> {
        let over = |status: &Value| status == "canceled" || status == "incomplete_expired";
        self.subscriptions
            .iter()
            .filter(|it| !over(&it["status"]))
            .collect()
    }

    fn paid(&self, reason: &str) -> Vec<&Value> {
        let paid = self.invoices.iter().filter(|invoice| invoice["status"] == "paid");
        paid.filter(|invoice| invoice["billing_reason"] == reason)
            .collect()
    }

    /// One contract is one live subscription, and its beginning is charged once.
    fn is_one(&self, is_at_rest: bool, faults: &mut Faults<'_>) {
        let live = self.live();
        faults.unless(live.len() <= 1, || format!("{} live subscriptions", live.len()));
        let begun = self.paid("subscription_create").len();
        faults.unless(begun <= 1, || format!("its beginning was charged {begun} times"));
        let waits = |status: &str| {
            live.iter()
                .any(|it| it["status"] == status || !it["pending_update"].is_null())
        };
        faults.unless(!is_at_rest || !waits("incomplete"), || {
            "something can still be paid that nobody waits for".to_owned()
        });
    }

    /// Each sale that took effect was quoted, and is paid; what was quoted is what its invoice comes to, or more than what had to be
    /// paid of it; and nothing else was charged but periods that began.
    fn is_what_was_told(
        &self,
        stored: &StoredContract,
        sessions: &[Session],
        is_at_rest: bool,
        faults: &mut Faults<'_>,
    ) {
        let mut begun = self.paid("subscription_create");
        let mut changed = self.paid("subscription_update");
        for (at, entry) in stored.history.iter().enumerate() {
            let again = stored.history[..at]
                .iter()
                .any(|earlier| earlier.checkout == entry.checkout);
            faults.unless(!again, || format!("session {} was sold twice", entry.checkout));
            let session = sessions
                .iter()
                .find(|session| session.id == entry.checkout.as_str());
            let quotes = session.map_or(&[][..], |session| &session.quotes);
            let charge = (entry.charge.total, entry.charge.amount_due);
            faults.unless(quotes.contains(&charge), || {
                format!("{charge:?} was sold, and of {quotes:?} quoted")
            });
            let invoices = match entry.way {
                Way::Begin => &mut begun,
                Way::AtOnce => &mut changed,
                Way::AtPeriodEnd => continue,
            };
            let fits = |invoice: &&Value| {
                let amount = |member: &str| invoice[member].as_i64().unwrap();
                amount("total") == charge.0 && amount("amount_paid") <= charge.1
            };
            let paid = invoices.iter().position(fits).map(|at| invoices.remove(at));
            // Where Stripe bills the same as before there is nothing to invoice.
            faults.unless(
                paid.is_some() || entry.way == Way::AtOnce && charge.0 == 0,
                || format!("{charge:?} was sold, and no such invoice is paid"),
            );
        }
        let is_refunded =
            |invoice: &Value| stored.contract.status == Status::Refunded && invoice["total"] != 0;
        let left = begun
            .iter()
            .chain(&changed)
            .filter(|invoice| !is_refunded(invoice));
        if is_at_rest {
            let left: Vec<_> = left.map(|invoice| (&invoice["id"], &invoice["total"])).collect();
            faults.unless(left.is_empty(), || {
                format!("{left:?} were charged, and nothing was sold")
            });
        }
        for entry in &stored.ledger.entries {
            let is_paid = self
                .invoices
                .iter()
                .any(|invoice| invoice["id"] == entry.invoice.as_str() && invoice["status"] == "paid");
            faults.unless(is_paid, || {
                format!("{} is in the ledger, and not paid", entry.invoice)
            });
        }
    }

    /// What is stored is what Stripe has.
    fn is_known(&self, stored: Option<&StoredContract>, faults: &mut Faults<'_>) {
        let live = self.live();
        let Some(StoredContract { contract, .. }) = stored else {
            faults.unless(live.is_empty(), || {
                "a live subscription of no contract".to_owned()
            });
            let paid = self
                .invoices
                .iter()
                .filter(|invoice| invoice["status"] == "paid")
                .count();
            faults.unless(paid == 0, || format!("{paid} paid invoices of no contract"));
            return;
        };
        faults.unless(contract.sale.is_none(), || {
            format!("sale {:?} is under way", contract.sale.as_ref().map(Sale::name))
        });
        let known = contract.billing.as_ref().map(|known| known.subscription.as_str());
        let subscription = self.subscriptions.iter().find(|it| it["id"].as_str() == known);
        let Some(subscription) = subscription else {
            faults.unless(false, || format!("{known:?} is not at Stripe"));
            return;
        };
        for other in live.iter().filter(|other| other["id"] != subscription["id"]) {
            faults.unless(false, || {
                format!("{} is live, and {known:?} is stored", other["id"])
            });
        }
        let is_live = live.iter().any(|live| live["id"] == subscription["id"]);
        faults.unless(is_live == (contract.status == Status::Active), || {
            format!(
                "it is {:?}, and its subscription {}",
                contract.status, subscription["status"]
            )
        });
        if is_live {
            let (stored, there) = (as_stored(contract), as_billed(subscription));
            faults.unless(stored == there, || {
                format!("{there} at Stripe, and stored: {stored}")
            });
            let items = there["items"].as_array().unwrap();
            let ordered = contract
                .order
                .iter()
                .map(|line| json!([line.price, line.quantity]));
            let ordered: Vec<Value> = ordered.collect();
            let same = items.len() == ordered.len() && ordered.iter().all(|line| items.contains(line));
            faults.unless(same || contract.scheduled.is_some(), || {
                format!("{items:?} are billed, and ordered: {ordered:?}")
            });
        }
    }

    /// What is paid is in the ledger, line by line, and covered; what was given back is known.
    async fn is_covered(&self, world: &World, stored: &StoredContract, faults: &mut Faults<'_>) {
        let paid: Vec<Value> = self
            .invoices
            .iter()
            .filter(|it| it["status"] == "paid")
            .cloned()
            .collect();
        let mut expected = expected(world, &paid).await;
        let mut ledger = stored.ledger.entries.clone();
        for entries in [&mut expected, &mut ledger] {
            entries.sort_by(|a, b| (&a.invoice, &a.line).cmp(&(&b.invoice, &b.line)));
        }
        faults.unless(ledger == expected, || {
            format!("the ledger is {ledger:#?} and not {expected:#?}")
        });
        let mut is_withdrawn = false;
        for invoice in &paid {
            let reversal = stored
                .ledger
                .reversals
                .iter()
                .find(|it| it.invoice.as_str() == invoice["id"]);
            let wrong = reversal_fault(world, invoice, &charges(world, invoice), reversal).await;
            faults.unless(wrong.is_none(), || wrong.clone().unwrap_or_default());
            is_withdrawn |= reversal.is_some_and(billing_core::reversal::Reversal::is_full);
        }
        if stored.contract.status == Status::Refunded {
            faults.unless(
                is_withdrawn || paid.iter().all(|it| it["amount_paid"] == 0),
                || "it never began, and the money was kept".to_owned(),
            );
            return;
        }
        let unpaid = |invoice: &Value| {
            ["open", "draft", "uncollectible", "void"]
                .iter()
                .any(|status| invoice["status"] == *status)
        };
        let active = self.live().into_iter().find(|live| live["status"] == "active");
        if let (Some(live), false, false) = (active, self.invoices.iter().any(unpaid), is_withdrawn) {
            let end = live["items"]["data"][0]["current_period_end"].as_i64();
            let covered = stored.ledger.covered(world.now(), SignedDuration::ZERO);
            let until = covered.map(|covered| covered.until.as_second());
            // A first period that the contract's end cuts short is billed, and paid for, whole.
            let is_cut = live["cancel_at"].as_i64() == end && until > end;
            faults.unless(until == end || is_cut, || {
                format!("everything is paid until {end:?}, and covered until {until:?}")
            });
        }
    }
}

fn as_stored(contract: &Contract) -> Value {
    let Some(billing) = &contract.billing else {
        return Value::Null;
    };
    let items = billing
        .items
        .iter()
        .map(|item| json!([item.price, item.quantity]));
    json!({
        "status": billing.status, "cancel_at": billing.cancel_at.map(|at| at.as_second()), "schedule": billing.schedule,
        "period": [billing.period.start.as_second(), billing.period.end.as_second()],
        "standing": [contract.standing.over_at().as_second()],
        "items": items.collect::<Vec<_>>(),
    })
}

fn as_billed(subscription: &Value) -> Value {
    let items = subscription["items"]["data"].as_array().unwrap();
    let (start, end) = (&items[0]["current_period_start"], &items[0]["current_period_end"]);
    let items = items
        .iter()
        .map(|item| json!([item["price"]["id"], item["quantity"]]));
    json!({
        "status": subscription["status"], "cancel_at": subscription["cancel_at"], "schedule": subscription["schedule"],
        "period": [start, end],
        "standing": [end],
        "items": items.collect::<Vec<_>>(),
    })
}

/// The customers of organisations.
pub(super) fn customers(world: &World) -> Vec<Value> {
    let (_, list) = world
        .stripe
        .stand_in()
        .call("GET", "/v1/customers", &json!({ "limit": 100 }), None);
    let all = list["data"].as_array().unwrap().iter();
    all.filter(|customer| !customer["metadata"]["buyer"].is_null())
        .cloned()
        .collect()
}

fn of_customers(world: &World, list: impl Fn(&str) -> Vec<Value>) -> Vec<Value> {
    let customers = customers(world);
    customers
        .iter()
        .flat_map(|customer| list(customer["id"].as_str().unwrap()))
        .collect()
}

/// Their subscriptions.
pub(super) fn subscriptions(world: &World) -> Vec<Value> {
    of_customers(world, |customer| {
        world.stripe.stand_in().subscriptions_of(customer)
    })
}

fn all_invoices(world: &World) -> Vec<Value> {
    of_customers(world, |customer| world.stripe.stand_in().invoices_of(customer))
}

/// Their invoices of that status.
pub(super) fn invoices(world: &World, status: &str) -> Vec<Value> {
    all_invoices(world)
        .into_iter()
        .filter(|invoice| invoice["status"] == status)
        .collect()
}

/// Their pages that can be paid.
pub(super) fn pages(world: &World) -> Vec<String> {
    let pages = of_customers(world, |customer| world.stripe.stand_in().sessions_of(customer));
    let open = pages.iter().filter(|page| page["status"] == "open");
    open.map(|page| page["id"].as_str().unwrap().to_owned()).collect()
}

fn subscription_of(invoice: &Value) -> &Value {
    &invoice["parent"]["subscription_details"]["subscription"]
}
