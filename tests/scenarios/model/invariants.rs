//! What must be true of an account once everything has come to rest.

use std::time::Duration;

use billing_core::SignedDuration;
use billing_core::coverage::Entry;
use billing_stripe::StripeConfig;
use billing_tests::{Account, World};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::history::{Memory, customers, invoices};

/// Everything that does not add up.
pub(super) async fn faults(world: &World, account: &Account<'_>, who: usize, memory: &Memory) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    let stand_in = world.stripe.stand_in();
    let stored = account.stored().await;

    let customers = customers(world, account);
    must(customers.len() <= 1, format!("{} customers", customers.len()));
    let all: Vec<Value> = customers
        .iter()
        .flat_map(|customer| stand_in.subscriptions_of(customer))
        .collect();
    let live: Vec<&Value> = all
        .iter()
        .filter(|it| it["status"] != "canceled" && it["status"] != "incomplete_expired")
        .collect();
    must(live.len() <= 1, format!("{} live subscriptions", live.len()));
    if let [live] = live[..] {
        let known = stored.subscription.as_ref();
        must(
            known.is_some_and(|known| known.id.as_str() == live["id"]),
            format!("{} is live, and {known:?} is stored", live["id"]),
        );
        must(
            known.is_some_and(|known| known.cancel_at_period_end == (live["cancel_at_period_end"] == true)),
            format!(
                "cancel_at_period_end is {}, and not stored so",
                live["cancel_at_period_end"]
            ),
        );
    }

    // The ledger is what Stripe says is paid, line by line.
    let paid = invoices(world, account, "paid");
    let mut expected = expected(world, &paid).await;
    let mut ledger = stored.ledger.clone();
    for entries in [&mut expected, &mut ledger] {
        entries.sort_by(|a, b| (&a.invoice, &a.line).cmp(&(&b.invoice, &b.line)));
    }
    must(
        ledger == expected,
        format!("the ledger is {ledger:#?} and not {expected:#?}"),
    );

    let mut withdrawn = false;
    for invoice in &paid {
        let charged = charges(world, invoice);
        must(
            charged.len() <= 1,
            format!("{} was charged {} times", invoice["id"], charged.len()),
        );
        let back: i64 = charged
            .iter()
            .map(|charge| charge["amount_refunded"].as_i64().unwrap())
            .sum();
        let reversal = stored
            .reversals
            .iter()
            .find(|it| it.invoice.as_str() == invoice["id"]);
        let told = reversal.map_or(0, |it| it.given_back);
        must(
            told == back,
            format!("of {} {back} went back, and {told} are known", invoice["id"]),
        );
        withdrawn |= reversal.is_some_and(billing_core::reversal::Reversal::is_full);
        if invoice["billing_reason"] == "subscription_update" {
            let due = invoice["amount_due"].as_i64().unwrap();
            let quoted = memory.quotes.contains(&(who, due));
            must(quoted, format!("{due} was charged, and never quoted"));
        }
    }

    // Coverage is what the ledger says, and where nothing is open, what was paid for last.
    let covered = stored.covered(world.now(), SignedDuration::ZERO);
    let told = account.covered_until().await;
    let until = covered.map(|it| it.until.to_string()).unwrap_or_default();
    must(
        told == until,
        format!("covered until {told:?} is told, the ledger says {until:?}"),
    );
    let unpaid = ["open", "draft", "uncollectible"]
        .iter()
        .any(|status| !invoices(world, account, status).is_empty());
    if let ([live], false, false) = (&live[..], unpaid, withdrawn)
        && live["status"] == "active"
    {
        let end = live["items"]["data"][0]["current_period_end"].as_i64().unwrap();
        let end = billing_core::Timestamp::from_second(end).unwrap().to_string();
        must(
            told == end,
            format!("everything is paid until {end}, and {told:?} is covered"),
        );
    }

    // Nothing bars the account, and nothing can be paid that it does not know.
    let open: Vec<String> = customers
        .iter()
        .flat_map(|customer| stand_in.sessions_of(customer))
        .filter(|session| session["status"] == "open")
        .map(|session| session["id"].as_str().unwrap().to_owned())
        .collect();
    must(open.len() <= 1, format!("{} sessions can be paid", open.len()));
    if let Some(session) = &stored.profile.open_session {
        must(
            open.iter().any(|open| open == session.as_str()),
            format!("{session} is remembered as open"),
        );
    }
    let id = account.id.parse().unwrap();
    let reservation = world.stack().app.store().reservation(&id).await.unwrap();
    if let Some(held) = reservation.filter(|held| held.expires_at > world.now()) {
        let session = held.session.map(|session| session.id.to_string());
        must(
            session.as_ref().is_some_and(|session| open.contains(session)),
            format!("a reservation is open without a live session: {session:?}"),
        );
    }
    if stored.profile.change.is_some() && live.is_empty() {
        faults.push("a change is remembered of a subscription that is over".to_owned());
    }
    faults
}

/// What the ledger has to hold, read anew from Stripe.
pub(super) async fn expected(world: &World, paid: &[Value]) -> Vec<Entry> {
    let directory = &world.stack().directory;
    #[expect(clippy::disallowed_methods, reason = "a test that takes longer has failed")]
    let until = Instant::now() + Duration::from_secs(60);
    let stripe = StripeConfig::new(billing_edge::transport(), &directory.stripe);
    let stripe = stripe.session(&directory.stripe_key, until, 0);
    let mut entries = Vec::new();
    for invoice in paid {
        let id = invoice["id"].as_str().unwrap().parse().unwrap();
        entries.extend(stripe.invoice(&id).await.unwrap().service);
    }
    entries
}

/// The charges that paid an invoice.
pub(super) fn charges(world: &World, invoice: &Value) -> Vec<Value> {
    let wanted = json!({ "invoice": invoice["id"], "status": "paid", "expand": ["data.payment.payment_intent.latest_charge"] });
    let (_, payments) = world
        .stripe
        .stand_in()
        .call("GET", "/v1/invoice_payments", &wanted, None);
    let payments = payments["data"].as_array().unwrap().iter();
    payments
        .map(|payment| payment["payment"]["payment_intent"]["latest_charge"].clone())
        .collect()
}
