//! Holding a change to its quote: a fresh preview at the instant that was quoted, right before the change is written down.

use billing_core::Timestamp;
use billing_core::account::Account;
use billing_core::change::{Change, Unchangeable};
use billing_core::quote::{self, Charge, QuoteRequest};
use billing_core::subscription::Standing;
use billing_edge::{Call, Problem};
use billing_stripe::PreviewedChange;

/// The amount that a change was quoted at, if it was. 409 with the fresh amount when that is not what it would be charged at
/// now; nothing has changed then.
pub(crate) async fn check(
    call: &Call<'_>,
    planned: &Change,
    standing: &Standing,
) -> Result<Option<Charge>, Problem> {
    let Some(proration_date) = planned.proration_date else {
        return Ok(None);
    };
    let quotes = call
        .store
        .quotes(&planned.account, proration_date, call.now)
        .await?;
    if quotes.is_empty() {
        return Ok(None);
    }
    let fresh = charged_at(call, planned, standing, proration_date).await?;
    let asked = QuoteRequest {
        price: planned.price.clone(),
        quantity: None,
        promotion_code: planned.promotion_code.clone(),
    };
    match quote::check(&quotes, &asked, &fresh, planned.quantity) {
        Ok(()) => Ok(Some(fresh)),
        Err(stale) => Err(Problem::conflict(stale.to_string())
            .with("amountDueCents", fresh.amount_due)
            .with("currency", fresh.currency)),
    }
}

/// Refuses a change that would give back more than is left of what was paid for the period: a part of it went back since.
pub(crate) async fn refuse_overdrawn(
    call: &Call<'_>,
    account: &Account,
    planned: &Change,
    standing: &Standing,
) -> Result<(), Problem> {
    let billed = standing.billed().after(&account.reversals);
    if billed.given_back_in_part.is_empty() {
        return Ok(());
    }
    let at = planned.prorated_from().unwrap_or(call.now);
    let total = charged_at(call, planned, standing, at).await?.total;
    let credit = total.saturating_neg();
    match call.is_overdrawn(&planned.subscription, &billed, credit).await? {
        true => Err(Problem::conflict(Unchangeable::GivenBack.to_string())),
        false => Ok(()),
    }
}

/// What it would charge at that instant.
async fn charged_at(
    call: &Call<'_>,
    planned: &Change,
    standing: &Standing,
    proration_date: Timestamp,
) -> Result<Charge, Problem> {
    let previewed = PreviewedChange {
        subscription: &planned.subscription,
        item: &planned.item,
        price: &planned.price,
        quantity: planned.quantity,
        promotion_code: planned.promotion_code.as_ref(),
        proration_date,
        trial_end: standing.trial_end(),
        ends_by_date: standing.ends_by_date(),
        currency: standing.currency,
    };
    let fresh = call.stripe().await?.preview_change(&previewed).await;
    let fresh = fresh.map_err(|error| Problem::refused(error, planned.code.as_ref()))?;
    Ok(fresh.charge)
}
