//! Holding a change to its quote: a fresh preview at the instant that was quoted, right before the change is written down.

use billing_core::change::Change;
use billing_core::quote::{self, Asked, Charge};
use billing_core::subscription::Standing;
use billing_edge::{Call, Problem};
use billing_stripe::PreviewedChange;

/// The amount that a change was quoted at, if it was. 409 with the fresh amount when that is not what it would be charged at
/// now; nothing has changed then.
pub(crate) async fn hold(
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
    let fresh = fresh
        .map_err(|error| Problem::refused(error, planned.code.as_ref()))?
        .charge;
    let asked = Asked {
        price: planned.price.clone(),
        quantity: None,
        promotion_code: planned.promotion_code.clone(),
    };
    match quote::hold(&quotes, &asked, &fresh, planned.quantity) {
        Ok(()) => Ok(Some(fresh)),
        Err(stale) => Err(Problem::conflict(stale.to_string())
            .with("amountDueCents", fresh.amount_due)
            .with("currency", fresh.currency)),
    }
}
