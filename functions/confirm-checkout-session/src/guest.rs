//! What a guest does not use up: whatever the customer has at Stripe whose address was typed.
//!
//! A guest's subscription is the customer's, and Stripe bills it as any other: less what is on account, what is too little to be charged with
//! whatever is billed next, and to the customer's default where the subscription has nothing of its own to pay it by.
//!
//! # If it fails half-way
//! Nothing is written. The sale is forgotten before the refusal is told.

use billing_core::id::{CustomerId, PaymentMethodId};
use billing_core::sale::Sale;
use billing_edge::{Call, Problem};

use crate::method::unnamable;

/// What a contract that begins would be charged to.
pub(crate) struct Payer<'a> {
    /// The customer that has the address.
    pub(crate) customer: &'a CustomerId,
    /// The payment method that was named.
    pub(crate) method: Option<&'a PaymentMethodId>,
    /// What the customer owes from before, in minor units; below zero what it has on account.
    pub(crate) owed: i64,
}

/// Why a contract is not begun for a guest, if it is not. 409 where it would be paid by what the customer has on account, or left to another
/// bill of the customer's; 400 where nothing is paid now, and no payment method was named for what is to be paid later.
pub(crate) async fn refusal(
    call: &Call<'_>,
    sale: &Sale,
    payer: &Payer<'_>,
) -> Result<Option<Problem>, Problem> {
    let invoice = &sale.offer.estimates.current_invoice;
    let is_billed = invoice.total > 0;
    if is_billed && payer.owed < 0 {
        return Ok(Some(Problem::conflict(
            "the customer who has the guest's address has something on account, which would be used up; nothing was charged",
        )));
    }
    let due = invoice.total.saturating_add(payer.owed);
    if due >= invoice.currency.least_charged().max(1) || !sale.offer.costs_something() {
        return Ok(None);
    }
    if payer.method.is_none() {
        return Ok(Some(unnamable(
            "is needed: nothing is paid now, and what is billed later has to be paid by a guest's own payment method",
        )));
    }
    if !is_billed {
        return Ok(None);
    }
    let stripe = call.stripe().await?;
    let other = stripe.live_subscription(payer.customer).await?;
    Ok(other.map(|_| {
        Problem::conflict(
            "the first bill is too small to be charged, and would be charged with another bill of the customer who has the guest's address; nothing was charged",
        )
    }))
}
