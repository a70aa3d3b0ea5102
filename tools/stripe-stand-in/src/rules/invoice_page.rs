//! What a person does with an invoice by hand: pays on its page, is declined, authenticates a payment that waits for it; or, as
//! the account's owner, writes it off.

use serde::{Deserialize, Serialize};

use super::completion::Payment;
use super::{Moment, invoicing, named, payment_methods, pending_updates};
use crate::id::{InvoiceId, PaymentMethodId};
use crate::refusal::Refusal;
use crate::state::{Decline, InvoiceStatus, Payer, PaymentIntentStatus};

/// A person's act on the page of an invoice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InvoiceAct {
    /// How the payment ends.
    pub payment: Payment,
    /// One of Stripe's test payment methods. Left out, it is the one that waits to be authenticated, or else `pm_card_visa`.
    pub payment_method: Option<String>,
    /// How much of what is left is paid, by a payment of its own that succeeds; all of it by the invoice's own payment when left out.
    pub amount: Option<i64>,
}

/// Acts on an invoice. The outcome is in the invoice afterwards, not in the answer.
pub(crate) fn act(at: &mut Moment<'_>, id: &str, act: &InvoiceAct) -> Result<(), Refusal> {
    let invoice = named(&at.world.invoices, id, "invoice")?;
    let (id, status) = (invoice.id.clone(), invoice.status);
    match status {
        InvoiceStatus::Draft | InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
        InvoiceStatus::Paid | InvoiceStatus::Void => {
            return Err(Refusal::state(format!("The invoice {id} can no longer be paid.")));
        }
    }
    let method = method(at, &id, act)?;
    if status == InvoiceStatus::Draft {
        invoicing::finalize(at, &id);
    }
    let payer = match act.payment {
        Payment::Succeed | Payment::Delayed => Payer::Pays,
        Payment::Decline => Payer::Declines(Decline::Generic),
        Payment::RequiresAction => Payer::RequiresAction,
    };
    match act.amount {
        None => {
            invoicing::collect_with(at, &id, Some(&method), Some(payer));
        }
        Some(amount) if amount > 0 && amount < at.world.invoices[&id].amount_remaining() => {
            invoicing::collect_part(at, &id, &method, amount);
        }
        Some(_) => {
            let message = "A part is more than nothing, and less than what is left.";
            return Err(Refusal::invalid("amount", message));
        }
    }
    Ok(())
}

/// The account's owner gives an open invoice up.
pub(crate) fn write_off(at: &mut Moment<'_>, id: &str) -> Result<(), Refusal> {
    let invoice = named(&at.world.invoices, id, "invoice")?;
    let (id, status) = (invoice.id.clone(), invoice.status);
    if status != InvoiceStatus::Open {
        return Err(Refusal::state(format!("The invoice {id} is not open.")));
    }
    invoicing::mark_uncollectible(at, &id);
    Ok(())
}

fn method(at: &mut Moment<'_>, id: &InvoiceId, act: &InvoiceAct) -> Result<PaymentMethodId, Refusal> {
    let invoice = &at.world.invoices[id];
    let customer = invoice.customer.clone();
    let waiting = invoice
        .payment_intent
        .as_ref()
        .map(|intent| &at.world.payment_intents[intent])
        .filter(|intent| intent.status == PaymentIntentStatus::RequiresAction)
        .and_then(|intent| intent.payment_method.clone());
    match (&act.payment_method, waiting) {
        (None, Some(waiting)) => Ok(waiting),
        (token, _) => {
            let usual = match act.payment {
                Payment::Delayed => "pm_usBankAccount",
                Payment::Succeed | Payment::Decline | Payment::RequiresAction => "pm_card_visa",
            };
            let token = token.as_deref().unwrap_or(usual);
            let card = payment_methods::attachable(at, token, "paymentMethod")?;
            pending_updates::check_method(at, id, card.is_bank_debit(), "paymentMethod")?;
            Ok(payment_methods::attach_to(at, card, &customer))
        }
    }
}
