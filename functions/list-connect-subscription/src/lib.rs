//! `GET /v1/public/stripe/connect/accounts/{accountId}/subscriptions`: a page of what was sold on a connected account, as Stripe has
//! it now, newest first.
//!
//! Writes nothing. Shows what was sold here; subscriptions that the agency made in Stripe's own dashboard are its own business.

use billing_core::access::Scope;
use billing_core::connect::contract::Contract;
use billing_core::connect::sale::{Sale, SaleKey};
use billing_core::id::ConnectedAccountId;
use billing_core::invalid::Invalid;
use billing_edge::connect::{ConnectAnswer, Fields, Named, refused};
use billing_edge::{Call, Function, Problem, Reply};
use billing_stripe::{Shown, StripeError};
use serde::Serialize;

/// How many are shown at most, and unless asked otherwise.
const LIMIT: i64 = 100;
/// Stripe's words for how a subscription stands, as far as they can be asked for.
const STATUSES: [&str; 8] = [
    "active",
    "trialing",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "canceled",
    "unpaid",
    "paused",
];

/// What is wrong with a cursor.
const NO_CURSOR: &str = "must be the next_cursor of a page of the same status";

/// This Lambda.
pub const FUNCTION: Function = Function::new("list-connect-subscription", |call| Box::pin(list(call)));

#[derive(Serialize)]
struct Answer {
    subscriptions: Vec<ConnectAnswer>,
    has_more: bool,
    next_cursor: Option<String>,
}

/// What is asked for.
struct Page {
    shown: Shown,
    limit: i64,
    after: Option<Named>,
}

async fn list(call: &Call<'_>) -> Result<Reply, Problem> {
    let (caller, account) = call.authenticate_agency().await?;
    caller.with(Scope::BillingRead)?;
    let account = account?;
    let page = read_page(call)?;
    let stripe = call.stripe_of(&account).await?;
    let after = page.after.as_ref().map(Named::as_str);
    let listed = stripe.page(&page.shown, page.limit, after).await;
    let listed = listed.map_err(not_listed)?;
    let contracts = call.sold_here(&account, listed.seen).await?;
    let keys = contracts.iter().map(|contract| key(&account, contract));
    let mut keys: Vec<SaleKey> = keys.collect();
    keys.sort();
    keys.dedup();
    let sales = call.store.sales(&keys).await?;
    let answer = |contract: &Contract| -> Option<ConnectAnswer> {
        let key = key(&account, contract);
        let sale: &Sale = sales.iter().find(|sale| sale.key() == key)?;
        Some(ConnectAnswer::of(sale, contract))
    };
    Ok(Reply::ok(&Answer {
        subscriptions: contracts.iter().filter_map(answer).collect(),
        has_more: listed.next.is_some(),
        next_cursor: listed.next,
    }))
}

fn read_page(call: &Call<'_>) -> Result<Page, Problem> {
    let mut query = call.query();
    let shown = query.optional("status", |word| match word {
        "scheduled" => Ok(Shown::Scheduled),
        word if STATUSES.contains(&word) => Ok(Shown::InStatus(word.to_owned())),
        _ => Err(format!("must be scheduled, {}", STATUSES.join(", "))),
    });
    let limit = query.optional("limit", |text| match text.parse::<i64>() {
        Ok(limit) if (1..=LIMIT).contains(&limit) => Ok(limit),
        _ => Err("must be 1 to 100"),
    });
    let shown = shown.unwrap_or_else(|| Shown::InStatus("active".to_owned()));
    let after = query.optional("starting_after", |text| match (Named::parse(text), &shown) {
        (Some(named @ Named::Schedule(_)), Shown::Scheduled)
        | (Some(named @ Named::Subscription(_)), Shown::InStatus(_)) => Ok(named),
        _ => Err(NO_CURSOR),
    });
    query.finish()?;
    Ok(Page {
        shown,
        limit: limit.unwrap_or(LIMIT),
        after,
    })
}

/// A cursor is a page's last id, which the account has whatever has become of it: another one is the caller's fault.
fn not_listed(error: StripeError) -> Problem {
    match &error {
        StripeError::Refused(refusal) if refusal.is_missing("starting_after") => {
            let mut invalid = Invalid::default();
            invalid.field("starting_after", NO_CURSOR);
            Problem::invalid(invalid)
        }
        _ => refused(error, &Fields::NONE),
    }
}

fn key(account: &ConnectedAccountId, contract: &Contract) -> SaleKey {
    SaleKey {
        account: account.clone(),
        client: contract.sold.client.clone(),
        number: contract.sold.number,
    }
}
