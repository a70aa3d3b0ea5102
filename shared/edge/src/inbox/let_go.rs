//! Bills that were let go, and those of contracts that were paid too late: what is paid for them goes back.
//!
//! Somebody gave such a bill up and ended its subscription, or Stripe dropped the change that it was for, and Stripe does not make it void: it
//! can be paid for as long as its page is shown, by a bank debit that takes days too. Something else may have been sold in its place.
//!
//! What a payer's bank has by a dispute, Stripe does not give back. Where the bank decides otherwise, the money is here again, and goes back then. A
//! refund that a bank has sent back is not made again: there is no way back to that payer, and somebody has to find another.
//!
//! # If it fails half-way
//! The event is not done, and is taken again; each payment goes back under its own key.

use billing_core::coverage::Entry;
use billing_core::id::InvoiceId;
use billing_core::reversal::Reversal;
use billing_stripe::{Left, Returned};

use crate::call::Call;
use crate::problem::Problem;

/// A bill, by what an event told of it.
pub(super) struct Bill<'a> {
    /// Whether its subscription can still bill.
    pub(super) is_live: bool,
    /// Whether somebody had given it up.
    pub(super) was_given_up: bool,
    /// Whether it is of a contract whose money went back.
    pub(super) is_refunded: bool,
    /// Its lines, when it is paid.
    pub(super) paid: &'a [Entry],
    /// What was given back of it.
    pub(super) reversal: Option<&'a Reversal>,
    /// What is left of its payment, where that was looked at.
    pub(super) left: Option<Left>,
}

/// Gives back what was paid for a bill that was let go, or that is of a contract whose money went back. Answers whether it was let go: then there is
/// nothing to land. To be asked after what it might be landed in was read: a bill is let go in the same write as the sale that it was of.
pub(super) async fn give_back(call: &Call<'_>, bill: &Bill<'_>) -> Result<bool, Problem> {
    let paid = bill.paid.first().map(|entry| &entry.invoice);
    let invoice = paid.or(bill.reversal.map(|reversal| &reversal.invoice));
    // No other is let go, of a subscription that goes on.
    let Some(invoice) = invoice.filter(|_| !bill.is_live || bill.was_given_up) else {
        return Ok(false);
    };
    let is_let_go = call.store.is_let_go(invoice).await?;
    if !is_let_go && !bill.is_refunded {
        return Ok(false);
    }
    // Of a contract the landing tells it.
    if is_let_go && bill.reversal.is_some_and(|reversal| reversal.disputed) {
        tracing::warn!(%invoice, "a bill that was let go is disputed");
        call.count("Disputes", 1);
    }
    // Of what is paid and not looked at, Stripe gives back what there is. Of a contract the landing has.
    let is_left = paid.filter(|_| is_let_go).map(|_| Left::Something);
    match bill.left.or(is_left) {
        None | Some(Left::Nothing | Left::Undecided) => {}
        Some(Left::BesideLost) => keeps(call, invoice),
        Some(Left::Something) => match call.stripe().await?.refund_bill(invoice).await? {
            Returned::Whole => {
                tracing::warn!(%invoice, "a bill was paid that buys nothing: the money was given back");
                call.count("LatePaymentsRefunded", 1);
            }
            Returned::InPart => keeps(call, invoice),
        },
    }
    Ok(is_let_go)
}

fn keeps(call: &Call<'_>, invoice: &InvoiceId) {
    tracing::error!(%invoice, "a bill was paid that buys nothing, and not all of it could be given back");
    call.count("LatePaymentsKept", 1);
}
