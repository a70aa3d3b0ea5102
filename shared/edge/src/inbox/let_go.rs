//! Bills that were let go: what is paid for them goes back.
//!
//! Somebody gave such a bill up and ended its subscription, or Stripe dropped the change that it was for, and Stripe does not make it void: it
//! can be paid for as long as its page is shown, by a bank debit that takes days too. Something else may have been sold in its place.
//!
//! # If it fails half-way
//! The event is not done, and is taken again; each payment goes back under its own key.

use billing_core::coverage::Entry;
use billing_core::reversal::Reversal;
use billing_stripe::Returned;

use crate::call::Call;
use crate::problem::Problem;

/// A bill, by what an event told of it.
pub(super) struct Bill<'a> {
    /// Whether its subscription can still bill.
    pub(super) is_live: bool,
    /// Whether somebody had given it up.
    pub(super) was_given_up: bool,
    /// Its lines, when it is paid.
    pub(super) paid: &'a [Entry],
    /// What was given back of it.
    pub(super) reversal: Option<&'a Reversal>,
}

/// Gives back what was paid for a bill that was let go, and answers whether it was: then there is nothing to land. To be asked after what it might
/// be landed in was read: a bill is let go in the same write as the sale that it was of.
pub(super) async fn give_back(call: &Call<'_>, bill: &Bill<'_>) -> Result<bool, Problem> {
    let paid = bill.paid.first().map(|entry| &entry.invoice);
    let invoice = paid.or(bill.reversal.map(|reversal| &reversal.invoice));
    // No other is let go, of a subscription that goes on.
    let Some(invoice) = invoice.filter(|_| !bill.is_live || bill.was_given_up) else {
        return Ok(false);
    };
    if !call.store.is_let_go(invoice).await? {
        return Ok(false);
    }
    if bill.reversal.is_some_and(|reversal| reversal.disputed) {
        tracing::warn!(%invoice, "a bill that was let go is disputed");
        call.count("Disputes", 1);
    }
    if paid.is_some() {
        match call.stripe().await?.refund_bill(invoice).await? {
            Returned::Whole => {
                tracing::warn!(%invoice, "a bill that had been given up was paid after it was let go: the money was given back");
                call.count("LatePaymentsRefunded", 1);
            }
            Returned::InPart => {
                tracing::error!(%invoice, "a bill that had been given up was paid after it was let go, and not by what could be given back");
                call.count("LatePaymentsKept", 1);
            }
        }
    }
    Ok(true)
}
