//! `GET /v1/public/stripe/connect/accounts/{accountId}/subscriptions/{subscriptionId}`: one subscription, with what it costs and
//! what was used of it.
//!
//! Writes nothing. Usage is Stripe's meter's, and what it comes to is Stripe's preview's: the engine that bills.

use billing_core::SignedDuration;
use billing_core::access::Scope;
use billing_core::connect::contract::{Contract, Stage};
use billing_core::connect::offer::{Metered, Price, Usage};
use billing_core::connect::order::Metric;
use billing_core::connect::sale::{ReadSale, Sale};
use billing_core::decimal::UnitAmount;
use billing_core::id::ConnectedAccountId;
use billing_core::money::{Currency, round_half_away};
use billing_core::period::Period;
use billing_edge::connect::{ConnectAnswer, Fields, refused};
use billing_edge::{Call, Function, Problem, Reply};
use serde::Serialize;

/// This Lambda.
pub const FUNCTION: Function = Function::new("get-connect-subscription", |call| Box::pin(get(call)));

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(flatten)]
    subscription: ConnectAnswer,
    pricing: Pricing,
    total_price: i64,
    total_usage: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pricing {
    /// Of one unit of the flat price, as a decimal of minor units: an agency may have it at a fraction, or by tiers.
    amount: String,
    billing_cycle: String,
    currency: Option<Currency>,
    pricing_model: &'static str,
    metrics: Metric,
    /// How much is included; null without a metered price.
    usage_limit: Option<u64>,
    /// What one more costs, in minor units; null without a metered price.
    overage: Option<String>,
}

/// What was used of the period under way, and what that comes to.
#[derive(Default)]
struct Used {
    units: u64,
    charge: i64,
}

async fn get(call: &Call<'_>) -> Result<Reply, Problem> {
    let (caller, account) = call.authenticate_agency().await?;
    caller.with(Scope::BillingRead)?;
    let account = account?;
    let named = call.named_subscription()?;
    let ReadSale { sale, contract } = call.sale_of(&account, &named).await?;
    let metered = metered(call, &account, &contract).await?;
    let used = match &metered {
        Some(metered) => used(call, &account, &contract, metered).await?,
        None => Used::default(),
    };
    let flat = contract.flat().map(|line| &line.price);
    let in_advance = flat.map(|price| price.of(contract.flat_quantity()));
    let in_advance = round_half_away(in_advance.unwrap_or_default().scaled(), UnitAmount::ONE)
        .map_err(|_| Problem::bad_gateway("a price is beyond counting"))?;
    Ok(Reply::ok(&Answer {
        subscription: ConnectAnswer::of(&sale, &contract),
        pricing: pricing(&sale, &contract, metered.as_ref()),
        total_price: in_advance.saturating_add(used.charge),
        total_usage: used.units,
    }))
}

fn pricing(sale: &Sale, contract: &Contract, metered: Option<&Metered>) -> Pricing {
    let flat = contract.flat().map(|line| &line.price);
    let amount = flat.map(Price::of_one).unwrap_or_default();
    let cycle = flat.map_or(&sale.terms.cadence, |price| &price.cadence);
    Pricing {
        amount: amount.to_string(),
        billing_cycle: match cycle.count {
            1 => cycle.interval.clone(),
            count => format!("{count} {}s", cycle.interval),
        },
        currency: flat.map(|price| price.currency),
        pricing_model: if metered.is_some() {
            "flat_with_overage"
        } else {
            "flat"
        },
        metrics: sale.order.metric,
        usage_limit: metered.map(Metered::allowance),
        overage: metered.map(Metered::overage),
    }
}

/// The metered price, with what its meter's events are called.
async fn metered(
    call: &Call<'_>,
    account: &ConnectedAccountId,
    contract: &Contract,
) -> Result<Option<Metered>, Problem> {
    let Some(price) = contract.metered().map(|line| &line.price) else {
        return Ok(None);
    };
    let Usage::Metered(Some(meter)) = &price.usage else {
        return Ok(None);
    };
    let event_name = call.stripe_of(account).await?.meter_event_name(meter).await;
    Ok(Some(Metered {
        price: price.clone(),
        meter: meter.clone(),
        event_name: event_name.map_err(|error| refused(error, &Fields::NONE))?,
    }))
}

/// Nothing is used of what has not begun. What is over has its last invoice: only its usage is told.
async fn used(
    call: &Call<'_>,
    account: &ConnectedAccountId,
    contract: &Contract,
    metered: &Metered,
) -> Result<Used, Problem> {
    let (Some(subscription), Some(period)) = (&contract.subscription, contract.period) else {
        return Ok(Used::default());
    };
    let stripe = call.stripe_of(account).await?;
    // What was counted in this very second counts.
    let until = call.now.saturating_add(SignedDuration::from_secs(1));
    let until = until.unwrap_or(period.end);
    // The period of what is over is told as it would have been.
    let ended_at = contract.ended_at.unwrap_or(until);
    let so_far = Period {
        end: period.end.min(until).min(ended_at),
        ..period
    };
    let units = stripe.usage(&metered.meter, &contract.customer, so_far);
    let charge = async {
        match contract.stage() {
            Stage::Over => Ok(0),
            _ => stripe.usage_charge(subscription, contract).await,
        }
    };
    let (units, charge) = tokio::try_join!(units, charge).map_err(|error| refused(error, &Fields::NONE))?;
    Ok(Used {
        units: metered.used(units),
        charge,
    })
}
