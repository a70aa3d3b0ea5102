//! The secrets, and what they open: Stripe's account, its prices, its webhook endpoint.

use std::time::Duration;

use billing_core::access::Mode;
use billing_core::id::PriceId;
use billing_core::plan::Interval;
use billing_edge::{App, EVENT_TYPES, Secret};
use billing_stripe::{PriceState, Stripe, StripeError, WebhookEndpoint, api_version};

use super::{Finding, Patient};

const KEY: &str = "stripe key";
const SIGNING: &str = "webhook secret";
const PRICES: &str = "prices";
const ENDPOINT: &str = "webhook endpoint";
/// For each call.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn examine(app: &App, patient: &Patient<'_>) -> Vec<Finding> {
    let (mut findings, key) = tokio::join!(signing_secrets(app), app.stripe_key());
    let key = match key {
        Ok(key) if app.is_of_other_mode(&key) => {
            let words = format!(
                "is of the other mode than BILLING_MODE {}: every request that needs Stripe is answered 500",
                app.config.mode
            );
            findings.push(Finding::wrong(KEY, words));
            return findings;
        }
        Ok(key) => key,
        Err(error) => {
            findings.push(Finding::wrong(KEY, format!("cannot be read: {error}")));
            return findings;
        }
    };
    let stripe = || app.stripe(&key, PATIENCE);
    let (monthly, annual) = (stripe(), stripe());
    let (monthly, annual, endpoints) = tokio::join!(
        monthly.inspect_price(&app.config.prices.monthly),
        annual.inspect_price(&app.config.prices.annual),
        endpoints_of(stripe()),
    );
    if let Err(StripeError::Refused(refusal)) = &monthly
        && refusal.status == 401
    {
        let words =
            "is refused by Stripe: it was rolled or deleted; every request that needs Stripe is answered 502";
        findings.push(Finding::wrong(KEY, words));
        return findings;
    }
    findings.push(Finding::well(KEY, "Stripe takes it"));
    findings.extend(prices(app, &monthly, &annual));
    findings.extend(endpoint(patient.webhook_url, endpoints));
    findings
}

async fn signing_secrets(app: &App) -> Vec<Finding> {
    let finding = match app.webhook_secrets().await {
        Ok(Some(secrets)) => judge_signing(&secrets),
        Ok(None) => Finding::unknown(
            SIGNING,
            "neither STRIPE_WEBHOOK_SECRETS_ARN nor STRIPE_WEBHOOK_SECRETS is told: take the webhook function's environment",
        ),
        Err(error) => Finding::wrong(SIGNING, format!("cannot be read: {error}")),
    };
    vec![finding]
}

fn judge_signing(secrets: &Secret) -> Finding {
    let secrets: Vec<_> = secrets.expose().split(',').map(str::trim).collect();
    match secrets.len() {
        _ if !secrets.iter().all(|secret| secret.starts_with("whsec_")) => Finding::wrong(
            SIGNING,
            "is no signing secret (whsec_…): every event of Stripe is answered 400, and nobody is served",
        ),
        1 => Finding::well(SIGNING, "there is one"),
        count => Finding::well(
            SIGNING,
            format!(
                "there are {count}: one for each endpoint, or a rotation to finish when the old one is off"
            ),
        ),
    }
}

fn prices(
    app: &App,
    monthly: &Result<PriceState, StripeError>,
    annual: &Result<PriceState, StripeError>,
) -> Vec<Finding> {
    let sold = &app.config.prices;
    let mut findings = Vec::new();
    for (interval, id, price) in [
        (Interval::Monthly, &sold.monthly, monthly),
        (Interval::Annual, &sold.annual, annual),
    ] {
        findings.extend(
            price_faults(interval, id, price, app.config.mode).map(|words| Finding::wrong(PRICES, words)),
        );
    }
    if let (Ok(monthly), Ok(annual)) = (monthly, annual)
        && monthly.currency != annual.currency
    {
        let words = format!(
            "the monthly price is in {} and the annual one in {}: no change between them can be quoted",
            monthly.currency, annual.currency
        );
        findings.push(Finding::wrong(PRICES, words));
    }
    if findings.is_empty() {
        findings.push(Finding::well(
            PRICES,
            format!("{} and {} are for sale", sold.monthly, sold.annual),
        ));
    }
    findings
}

/// Everything that is wrong with a price.
fn price_faults(
    interval: Interval,
    id: &PriceId,
    price: &Result<PriceState, StripeError>,
    mode: Mode,
) -> impl Iterator<Item = String> {
    let (variable, unit) = match interval {
        Interval::Monthly => ("PRICE_MONTHLY", "month"),
        Interval::Annual => ("PRICE_ANNUAL", "year"),
    };
    let name = format!("{variable} {id}");
    let mut faults = Vec::new();
    match price {
        Ok(price) => {
            if !price.active {
                faults.push(format!("{name} is archived: checkouts for it are answered 502"));
            }
            let recurring = price.recurring.as_ref();
            if recurring.is_none_or(|it| it.interval != unit || it.interval_count != 1) {
                let charged = recurring.map_or_else(
                    || "once".to_owned(),
                    |it| format!("every {} {}", it.interval_count, it.interval),
                );
                faults.push(format!("{name} is charged {charged}, not every {unit}"));
            }
            if price.livemode != (mode == Mode::Live) {
                faults.push(format!("{name} is of the other mode than BILLING_MODE {mode}"));
            }
            if price.unit_amount.is_none() {
                faults.push(format!(
                    "{name} has no whole unit amount: it cannot be shown or quoted"
                ));
            }
        }
        Err(StripeError::Refused(refusal)) if refusal.code.as_deref() == Some("resource_missing") => {
            faults.push(format!(
                "{name} does not exist at this Stripe account: checkouts for it are answered 502"
            ));
        }
        Err(error) => faults.push(format!("{name} cannot be read: {error}")),
    }
    faults.into_iter()
}

async fn endpoints_of(stripe: Stripe) -> Result<Vec<WebhookEndpoint>, StripeError> {
    let mut endpoints = stripe.webhook_endpoints().await?;
    // The one of connected accounts has the same address, other events and a secret of its own.
    endpoints.retain(|endpoint| endpoint.application.is_none());
    Ok(endpoints)
}

fn endpoint(url: Option<&str>, endpoints: Result<Vec<WebhookEndpoint>, StripeError>) -> Vec<Finding> {
    let Some(url) = url else {
        let words = "its address was not told: pass --webhook-url (stack output WebhookUrl)";
        return vec![Finding::unknown(ENDPOINT, words)];
    };
    let endpoints = match endpoints {
        Ok(endpoints) => endpoints,
        Err(StripeError::Refused(refusal)) if refusal.status == 403 => {
            let words =
                "the key may not read webhook endpoints: allow it that, or look in Stripe's dashboard";
            return vec![Finding::unknown(ENDPOINT, words)];
        }
        Err(error) => return vec![Finding::wrong(ENDPOINT, format!("cannot be read: {error}"))],
    };
    let ours: Vec<_> = endpoints.iter().filter(|it| it.url == url).collect();
    let [endpoint] = ours[..] else {
        let words = match ours.len() {
            0 => format!("Stripe has none for {url}: no event arrives, and nobody is served for paying"),
            count => format!(
                "Stripe has {count} for {url}: every event arrives {count} times, signed differently; keep one"
            ),
        };
        return vec![Finding::wrong(ENDPOINT, words)];
    };
    let id = &endpoint.id;
    let mut findings = Vec::new();
    if endpoint.status != "enabled" {
        findings.push(format!(
            "{id} is disabled: no event arrives, and nobody is served for paying"
        ));
    }
    match endpoint.api_version.as_deref() {
        Some(version) if version == api_version() => {}
        version => findings.push(format!(
            "{id} is of API version {}, and this build of {}: make a new endpoint of that version, then delete it",
            version.unwrap_or("(the account's own)"),
            api_version()
        )),
    }
    let sent = &endpoint.enabled_events;
    let is_sent = |kind: &&&str| sent.iter().any(|sent| sent == "*" || sent == **kind);
    let missing: Vec<_> = EVENT_TYPES
        .iter()
        .filter(|kind| !is_sent(kind))
        .copied()
        .collect();
    if !missing.is_empty() {
        findings.push(format!(
            "{id} is not sent {}: what they tell goes unnoticed",
            missing.join(", ")
        ));
    }
    if findings.is_empty() {
        return vec![Finding::well(
            ENDPOINT,
            format!("{id} takes what is handled, version {}", api_version()),
        )];
    }
    findings
        .into_iter()
        .map(|words| Finding::wrong(ENDPOINT, words))
        .collect()
}
