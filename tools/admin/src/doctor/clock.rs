//! The clock of this machine against those of AWS and Stripe, as their answers' `Date` headers tell.
//!
//! Lambda's clocks are AWS's business; this one signs the administrator's requests, and shows when an address answers that is no
//! Stripe or DynamoDB at all.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Finding, Patient};

const SUBJECT: &str = "clock";
const PATIENCE: Duration = Duration::from_secs(5);
/// AWS refuses signatures that are five minutes off, and so do we with Stripe's; half a minute is enough to be told of.
const TOLERATED: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let told = |name: &str| patient.told.get(name).filter(|url| !url.is_empty()).cloned();
    let region = told("AWS_REGION").unwrap_or_default();
    let dynamodb = told("AWS_ENDPOINT_URL_DYNAMODB")
        .unwrap_or_else(|| format!("https://dynamodb.{region}.amazonaws.com"));
    let stripe = told("STRIPE_API_BASE").unwrap_or_else(|| "https://api.stripe.com".to_owned());
    let (dynamodb, stripe) = tokio::join!(
        against("DynamoDB", &dynamodb, patient.now),
        against("Stripe", &stripe, patient.now)
    );
    vec![dynamodb, stripe]
}

async fn against(whose: &str, url: &str, now: Timestamp) -> Finding {
    let Some(theirs) = date_of(url).await else {
        return Finding::unknown(SUBJECT, format!("{whose} at {url} told no time"));
    };
    let ahead = now.duration_since(theirs);
    let seconds = ahead.abs().as_secs();
    if ahead.abs() <= TOLERATED {
        return Finding::well(SUBJECT, format!("within {} s of {whose}'s", seconds.max(1)));
    }
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    Finding::wrong(
        SUBJECT,
        format!(
            "this machine is {seconds} s {side} {whose}: signatures are refused when it is five minutes off; have it follow NTP"
        ),
    )
}

/// The `Date` of an answer, whatever its status.
async fn date_of(url: &str) -> Option<Timestamp> {
    let answer = tokio::time::timeout(PATIENCE, billing_edge::transport().get(url.parse().ok()?))
        .await
        .ok()?
        .ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
}
