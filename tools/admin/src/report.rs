//! What `billing-admin` prints: for people in aligned lines, for programs as JSON in the API's camelCase.
//!
//! Secrets are printed in one place only, when a key is issued.

use billing_core::access::Key;
use billing_core::account::Account;
use billing_core::agency::Agency;
use billing_core::contact::{Email, Name};
use billing_core::coverage::Coverage;
use billing_core::id::EventId;
use billing_core::reversal::Reversal;
use billing_store::{AgencyCollection, Failure as FailedEvent, Receipt, ReceiptStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::accounts::AtStripe;
use crate::erasure::Erased;
use crate::events::Replayed;

/// Something to print.
#[derive(Debug)]
pub(crate) struct Report {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
}

/// An account with everything that it has, as it stands at `now`. Grace is a deployment's setting and not counted.
#[must_use]
pub(crate) fn account(account: &Account, now: Timestamp) -> Report {
    let covered = account.covered(now, SignedDuration::ZERO);
    Report {
        text: account_text(account, covered),
        json: account_json(account, covered),
    }
}

/// The same after its name or address was changed, with what Stripe has of that.
#[must_use]
pub(crate) fn updated(changed: &Account, at_stripe: &AtStripe, now: Timestamp) -> Report {
    let mut report = account(changed, now);
    let (word, told) = match at_stripe {
        AtStripe::NoCustomer => (
            "none",
            "Stripe has no customer of it yet; its first checkout makes one with this.".to_owned(),
        ),
        AtStripe::AskedFor => (
            "askedFor",
            "A checkout has asked Stripe for its customer, perhaps with what was there before: repeat this when `account show` has a customer."
                .to_owned(),
        ),
        AtStripe::Told(customer) => (
            "told",
            format!("Stripe's customer {customer} has it too: it is on the next invoices, and they go there."),
        ),
        AtStripe::Untold(customer) => (
            "untold",
            format!(
                "Stripe's customer {customer} keeps the name and address that it has, and invoices go there: repeat this with \
                 STRIPE_SECRET_KEY in the environment, or change them in Stripe's dashboard."
            ),
        ),
        AtStripe::Deleted(customer) => (
            "deleted",
            format!("Stripe's customer {customer} was deleted there; the next checkout makes another with this."),
        ),
    };
    report.text.push_str(&format!("\n{told}\n"));
    report.json["atStripe"] = word.into();
    report
}

/// What is left of an account that was erased, and what is left to do.
#[must_use]
pub(crate) fn erased(erased: &Erased, now: Timestamp) -> Report {
    let mut report = account(&erased.account, now);
    let told = match &erased.customer {
        Some(customer) => format!("Stripe knows {customer} still: ask for its redaction there."),
        None => "Stripe has no customer of it.".to_owned(),
    };
    report.text.push_str(&format!("\n{told}\n"));
    report.json["redactAtStripe"] = json!(erased.customer);
    report
}

fn account_text(account: &Account, covered: Option<Coverage>) -> String {
    let Account {
        profile,
        subscription,
        numbers,
        ledger,
        reversals,
    } = account;
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let mut lines = Lines::default();
    lines.add("account", profile.id.as_str());
    lines.add("name", &or_none(profile.name.as_ref().map(Name::as_str)));
    lines.add("e-mail", &or_none(profile.email.as_ref().map(Email::as_str)));
    lines.add("created", &profile.created_at.to_string());
    if let Some(erased_at) = profile.erased_at {
        lines.add("erased", &erased_at.to_string());
    }
    lines.add(
        "customer",
        &or_none(profile.customer.as_ref().map(|id| id.as_str())),
    );
    match subscription {
        None => lines.add("subscription", "none"),
        Some(it) => {
            let interval = it
                .interval
                .map_or_else(|| "other interval".to_owned(), |it| it.to_string());
            lines.add("subscription", &format!("{}, {}", it.id, it.status));
            lines.add("", &format!("{interval} × {}, price {}", it.quantity, it.price));
            lines.add("", &format!("{} to {}", it.period.start, it.period.end));
            if it.cancel_at_period_end {
                lines.add("", "ends with this period");
            }
        }
    }
    lines.add(
        "covered",
        &covered.map_or_else(
            || "no".to_owned(),
            |coverage| format!("{} numbers until {}", coverage.quantity, coverage.until),
        ),
    );
    lines.list("numbers", numbers, |it| {
        format!(
            "{}  {}  {}",
            it.number.as_str(),
            it.id,
            it.nickname.as_deref().unwrap_or_default()
        )
    });
    lines.list("ledger", ledger, |it| {
        format!(
            "{} to {}  × {}  {}  {} {}",
            it.period.start, it.period.end, it.quantity, it.amount, it.invoice, it.line
        )
    });
    if !reversals.is_empty() {
        lines.list("given back", reversals, reversal);
    }
    lines.0
}

/// `in_1  1000 of 3000 usd, disputed`.
fn reversal(it: &Reversal) -> String {
    let Reversal {
        invoice,
        paid,
        forgiven,
        given_back,
        lost,
        disputed,
    } = it;
    let back = given_back.saturating_add(*lost);
    let mut line = format!("{invoice}  {back} of {} {}", paid.minor, paid.currency.code());
    if *forgiven > 0 {
        line.push_str(&format!(", {forgiven} forgiven"));
    }
    if *lost > 0 {
        line.push_str(", a dispute was lost");
    } else if *disputed {
        line.push_str(", disputed");
    }
    if it.is_full() {
        line.push_str("; covers nothing");
    }
    line
}

fn account_json(account: &Account, covered: Option<Coverage>) -> Value {
    let Account {
        profile,
        subscription,
        numbers,
        ledger,
        reversals,
    } = account;
    let subscription = subscription.as_ref().map(|it| {
        json!({
            "id": it.id,
            "status": it.status,
            "interval": it.interval,
            "quantity": it.quantity,
            "price": it.price,
            "periodStart": it.period.start,
            "periodEnd": it.period.end,
            "cancelAtPeriodEnd": it.cancel_at_period_end,
        })
    });
    let numbers: Vec<_> = numbers
        .iter()
        .map(|it| json!({ "id": it.id, "number": it.number, "nickname": it.nickname, "createdAt": it.created_at }))
        .collect();
    let ledger: Vec<_> = ledger
        .iter()
        .map(|it| {
            json!({
                "invoice": it.invoice,
                "line": it.line,
                "periodStart": it.period.start,
                "periodEnd": it.period.end,
                "quantity": it.quantity,
                "amountCents": it.amount.minor,
                "currency": it.amount.currency,
            })
        })
        .collect();
    json!({
        "id": profile.id,
        "name": profile.name,
        "email": profile.email,
        "createdAt": profile.created_at,
        "erasedAt": profile.erased_at,
        "customer": profile.customer,
        "subscription": subscription,
        "coveredUntil": covered.map(|coverage| coverage.until),
        "coveredQuantity": covered.map_or(0, |coverage| coverage.quantity),
        "numbers": numbers,
        "ledger": ledger,
        "reversals": reversals.iter().map(reversal_json).collect::<Vec<_>>(),
    })
}

fn reversal_json(it: &Reversal) -> Value {
    json!({
        "invoice": it.invoice,
        "paidCents": it.paid.minor,
        "forgivenCents": it.forgiven,
        "givenBackCents": it.given_back,
        "lostCents": it.lost,
        "currency": it.paid.currency,
        "disputed": it.disputed,
        "withdrawn": it.is_full(),
    })
}

/// An agency with everything that it has.
#[must_use]
pub(crate) fn agency(agency: &Agency, collection: &AgencyCollection) -> Report {
    let name = |name: Option<&Name>| name.map_or("none", Name::as_str).to_owned();
    let mut lines = Lines::default();
    lines.add("agency", agency.id.as_str());
    lines.add("name", &name(agency.name.as_ref()));
    lines.add("created", &agency.created_at.to_string());
    lines.list("connected", &collection.accounts, ToString::to_string);
    lines.list("clients", &collection.clients, |client| {
        let admin = client.admin_email.as_ref().map_or("no admin", Email::as_str);
        format!("{}  {}  {admin}", client.id, name(client.name.as_ref()))
    });
    lines.list("agents", &collection.agents, |agent| {
        let client = agent.client.as_ref().map_or("", |client| client.as_str());
        format!("{}  {}  {client}", agent.id, agent.name.as_str())
    });
    let clients = collection.clients.iter().map(|client| {
        json!({ "id": client.id, "name": client.name, "adminEmail": client.admin_email, "createdAt": client.created_at })
    });
    let agents = collection.agents.iter().map(|agent| {
        json!({ "id": agent.id, "name": agent.name, "clientId": agent.client, "createdAt": agent.created_at })
    });
    Report {
        text: lines.0,
        json: json!({
            "id": agency.id,
            "name": agency.name,
            "createdAt": agency.created_at,
            "connectedAccounts": collection.accounts,
            "clients": clients.collect::<Vec<_>>(),
            "agents": agents.collect::<Vec<_>>(),
        }),
    }
}

/// An agency after a client or an agent of that id was added.
#[must_use]
pub(crate) fn added(mut agency: Report, id: &str) -> Report {
    agency.text.push_str(&format!("\n{id} was added.\n"));
    agency.json["added"] = id.into();
    agency
}

/// An account's keys, without their secrets, as they stand at `now`.
#[must_use]
pub(crate) fn keys(keys: &[Key], now: Timestamp) -> Report {
    let mut text = String::new();
    for key in keys {
        let scopes: Vec<_> = key.scopes.iter().map(ToString::to_string).collect();
        let acting = key
            .impersonator
            .as_ref()
            .map_or_else(String::new, |name| format!("  for {name}"));
        text.push_str(&format!(
            "{}  {}  {}  issued {}  {}{acting}\n",
            key.id,
            key.mode,
            scopes.join(","),
            key.created_at,
            standing(key, now),
        ));
    }
    if keys.is_empty() {
        text.push_str("no keys\n");
    }
    let json = keys
        .iter()
        .map(|key| {
            json!({
                "id": key.id,
                "mode": key.mode,
                "scopes": key.scopes,
                "impersonator": key.impersonator,
                "createdAt": key.created_at,
                "expiresAt": key.expires_at,
                "revokedAt": key.revoked_at,
            })
        })
        .collect();
    Report {
        text,
        json: Value::Array(json),
    }
}

/// Events that failed.
#[must_use]
pub(crate) fn failed_events(failed: &[FailedEvent]) -> Report {
    let mut text = String::new();
    for it in failed {
        let world = it
            .connected_account
            .as_ref()
            .map_or_else(String::new, |account| format!("  {account}"));
        text.push_str(&format!(
            "{}  {}{world}  {} attempts  failed {}  {}\n",
            it.event, it.kind, it.attempts, it.failed_at, it.error
        ));
    }
    if failed.is_empty() {
        text.push_str("no failed events\n");
    }
    let json = failed.iter().map(|it| {
        json!({
            "event": it.event,
            "connectedAccount": it.connected_account,
            "type": it.kind,
            "attempts": it.attempts,
            "failedAt": it.failed_at,
            "error": it.error,
        })
    });
    Report {
        json: json.collect(),
        text,
    }
}

/// What is known of one event.
#[must_use]
pub(crate) fn event(id: &EventId, receipt: &Receipt) -> Report {
    let status = match receipt.status {
        ReceiptStatus::Processing => "processing",
        ReceiptStatus::Done => "done",
        ReceiptStatus::Failed => "failed",
    };
    let mut lines = Lines::default();
    lines.add("event", id.as_str());
    lines.add("type", &receipt.kind);
    lines.add("status", status);
    lines.add("attempts", &receipt.attempts.to_string());
    if receipt.status == ReceiptStatus::Processing {
        lines.add("until", &receipt.lease_until.to_string());
    }
    if let Some(error) = &receipt.last_error {
        lines.add("last error", error);
    }
    Report {
        text: lines.0,
        json: json!({
            "event": id,
            "type": receipt.kind,
            "status": status,
            "attempts": receipt.attempts,
            "leaseUntil": receipt.lease_until,
            "lastError": receipt.last_error,
        }),
    }
}

/// What became of events that were delivered once more.
#[must_use]
pub(crate) fn replayed(replayed: &[Replayed]) -> Report {
    let mut text = String::new();
    for it in replayed {
        let word = if it.is_done() { "done" } else { "not done" };
        let status = it.status.map(|status| format!("{status} ")).unwrap_or_default();
        text.push_str(&format!("{}  {word}  {status}{}\n", it.event, it.told));
    }
    // All are signed alike, so one hint is for all.
    if replayed.iter().any(Replayed::is_signed_in_vain) {
        text.push_str(
            "The webhook did not take the signature: the first of STRIPE_WEBHOOK_SECRETS is not one that it has (a new one takes five \
             minutes), or this machine's clock is more than five minutes off its own (--signed-at tells the time there)\n",
        );
    }
    if replayed.is_empty() {
        text.push_str("no failed events\n");
    }
    let json = replayed
        .iter()
        .map(|it| json!({ "event": it.event, "done": it.is_done(), "status": it.status, "told": it.told }));
    Report {
        json: json.collect(),
        text,
    }
}

fn standing(key: &Key, now: Timestamp) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) if at <= now => format!("expired {at}"),
        (None, Some(at)) => format!("good until {at}"),
        (None, None) => "good".to_owned(),
    }
}

/// Labelled lines.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, label: &str, text: &str) {
        let line = format!("{label:<14}{text}");
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    fn list<T>(&mut self, label: &str, items: &[T], line: impl Fn(&T) -> String) {
        if items.is_empty() {
            self.add(label, "none");
        }
        for (index, item) in items.iter().enumerate() {
            self.add(if index == 0 { label } else { "" }, &line(item));
        }
    }
}
