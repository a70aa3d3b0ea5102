//! What must be true of an account once everything has come to rest.

use std::time::Duration;

use billing_core::SignedDuration;
use billing_core::coverage::Entry;
use billing_core::reversal::Reversal;
use billing_stripe::{Stripe, StripeConfig};
use billing_tests::{Account, World};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::calling::{Memory, customers, invoices};

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
        let reversal = stored
            .reversals
            .iter()
            .find(|it| it.invoice.as_str() == invoice["id"]);
        let wrong = reversal_fault(world, invoice, &charged, reversal).await;
        must(wrong.is_none(), wrong.clone().unwrap_or_default());
        withdrawn |= reversal.is_some_and(Reversal::is_full);
        if invoice["billing_reason"] == "subscription_update" {
            // What somebody has taken off the bill since was quoted as well.
            let due = ["amount_due", "pre_payment_credit_notes_amount"]
                .iter()
                .map(|amount| invoice[amount].as_i64().unwrap())
                .sum();
            let is_free = memory.counted.contains(&who) || memory.unquoted.contains(&who);
            let quoted = is_free || memory.quotes.contains(&(who, due));
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
    let unpaid = ["open", "draft", "uncollectible", "void"]
        .iter()
        .any(|status| !invoices(world, account, status).is_empty());
    if let ([live], false, false) = (&live[..], unpaid, withdrawn)
        && live["status"] == "active"
    {
        let end = live["items"]["data"][0]["current_period_end"].as_i64().unwrap();
        let end = billing_core::Timestamp::from_second(end).unwrap();
        // An end that an operator sets within a period, or at once, cuts it short, and takes nothing of what was paid for.
        let is_cut = live["cancel_at"] == end.as_second() || all.len() > 1;
        let is_paid_beyond = is_cut && covered.is_some_and(|covered| covered.until > end);
        must(
            told == end.to_string() || is_paid_beyond,
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

/// What is known of what went back of a paid invoice is what Stripe says of it, read anew; and where nothing was credited, what its charges say.
pub(super) async fn reversal_fault(
    world: &World,
    invoice: &Value,
    charged: &[Value],
    known: Option<&Reversal>,
) -> Option<String> {
    let id = invoice["id"].as_str().unwrap().parse().unwrap();
    let there = stripe(world).reversal(&id).await.unwrap().reversal;
    if billing_core::reversal::news(known.map_or(&[], std::slice::from_ref), there.clone()).is_some() {
        return Some(format!("of {id} {there:?} went back, and {known:?} is known"));
    }
    let list = |kind: &str, of: Value| {
        let path = format!("/v1/{kind}");
        let (_, mut list) = world.stripe.stand_in().call("GET", &path, &of, None);
        list["data"].take().as_array().cloned().unwrap_or_default()
    };
    let amount = |of: &Value, member: &str| of[member].as_i64().unwrap_or_default();
    let is_credited = !list("credit_notes", json!({ "invoice": id })).is_empty();
    let (mut refunded, mut lost) = (0, 0);
    for charge in charged.iter().filter(|charge| charge["id"].is_string()) {
        refunded += amount(charge, "amount_refunded");
        let disputes = list("disputes", json!({ "charge": charge["id"] }));
        let of_lost = disputes.iter().filter(|dispute| dispute["status"] == "lost");
        lost += of_lost.map(|dispute| amount(dispute, "amount")).sum::<i64>();
    }
    let fits = there.lost == lost && (is_credited || there.given_back == refunded);
    (!fits).then(|| format!("{refunded} of {id} was refunded and {lost} lost, and {there:?} is told"))
}

/// Stripe as the bundle uses it.
pub(super) fn stripe(world: &World) -> Stripe {
    let directory = &world.stack().directory;
    #[expect(clippy::disallowed_methods, reason = "a test that takes longer has failed")]
    let until = Instant::now() + Duration::from_secs(60);
    let stripe = StripeConfig::new(billing_edge::transport(), &directory.stripe);
    stripe.session(&directory.stripe_key, until, 0)
}

/// What the ledger has to hold, read anew from Stripe.
pub(super) async fn expected(world: &World, paid: &[Value]) -> Vec<Entry> {
    let stripe = stripe(world);
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
