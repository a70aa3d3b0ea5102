//! `GET /api/v1/billing`: what the account has, until when it is covered, and what a number costs.
//!
//! Reads only; also while impersonating. Coverage is derived from the ledger at this moment, not stored.

use billing_core::Timestamp;
use billing_core::access::Scope;
use billing_core::account::{Account, Number};
use billing_core::coverage::Coverage;
use billing_core::money::Currency;
use billing_core::plan::Interval;
use billing_core::subscription::Subscription;
use billing_edge::{Call, Function, Problem, Reply, ShownPrices};
use serde::Serialize;

/// This Lambda.
pub const FUNCTION: Function = Function::new("get-billing", |call| Box::pin(get_billing(call)));

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    subscription: Option<ShownSubscription>,
    covered_until: Option<Timestamp>,
    numbers: Vec<ShownNumber<'a>>,
    pricing: Pricing,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSubscription {
    period_start: Timestamp,
    period_end: Timestamp,
    quantity: u64,
    interval: Option<Interval>,
    cancel_at_period_end: bool,
}

#[derive(Serialize)]
struct ShownNumber<'a> {
    id: &'a str,
    number: &'a str,
    nickname: Option<&'a str>,
    mode: Mode,
}

/// How a number is billed: as it is used, or by a period that is paid for.
#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    Payg,
    Fixed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pricing {
    monthly_cents: i64,
    annual_cents: i64,
    currency: Currency,
}

async fn get_billing(call: &Call<'_>) -> Result<Reply, Problem> {
    let caller = call.authenticate().await?.with(Scope::BillingRead)?;
    let (account, prices) = tokio::try_join!(call.account(caller.account()), call.shown_prices())?;
    let covered = account.covered(call.now, call.app.config.grace);
    Ok(Reply::ok(&answer(&account, covered, prices)))
}

fn answer(account: &Account, covered: Option<Coverage>, prices: ShownPrices) -> Answer<'_> {
    let covered_numbers = covered.map_or(0, |coverage| coverage.quantity);
    Answer {
        subscription: account
            .subscription
            .as_ref()
            .filter(|subscription| subscription.is_running())
            .map(show),
        covered_until: covered.map(|coverage| coverage.until),
        // What is paid for covers the numbers that were there first: one that was added since is not paid for yet.
        numbers: (0..)
            .zip(&account.numbers)
            .map(|(place, number)| show_number(number, place < covered_numbers))
            .collect(),
        pricing: Pricing {
            monthly_cents: prices.monthly.minor,
            annual_cents: prices.annual.minor,
            currency: prices.monthly.currency,
        },
    }
}

fn show(subscription: &Subscription) -> ShownSubscription {
    ShownSubscription {
        period_start: subscription.period.start,
        period_end: subscription.period.end,
        quantity: subscription.quantity,
        interval: subscription.interval,
        cancel_at_period_end: subscription.cancel_at_period_end,
    }
}

fn show_number(number: &Number, covered: bool) -> ShownNumber<'_> {
    ShownNumber {
        id: number.id.as_str(),
        number: number.number.as_str(),
        nickname: number.nickname.as_deref(),
        mode: if covered { Mode::Fixed } else { Mode::Payg },
    }
}
