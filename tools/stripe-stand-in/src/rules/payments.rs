//! Payment intents and charges: one try after another to take the money.
//!
//! # How it works
//! An intent is opened for an amount and attempted with a payment method. What happens is a property of the method's owner
//! ([`Payer`]) and never chance. # If it fails half-way: an attempt is one step of one request; a declined one leaves a failed
//! charge and an intent that can be attempted again. What it means for an invoice is [`super::invoices`]' business.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Moment, named, payment_methods};
use crate::id::{CustomerId, InvoiceId, PaymentIntentId, PaymentMethodId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Charge, ChargeStatus, Currency, Decline, Due, Payer, PaymentIntent, PaymentIntentStatus};

/// How long it takes until the outcome of a bank debit is known.
const BANK_DEBIT_TAKES: SignedDuration = SignedDuration::from_hours(3 * 24);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Paid,
    Declined(Decline),
    /// The customer must authenticate first.
    RequiresAction,
    /// A bank debit: known in some days.
    Processing,
}

/// A payment to be made.
pub(crate) struct NewIntent {
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) invoice: Option<InvoiceId>,
    pub(crate) description: &'static str,
}

pub(crate) fn open(at: &mut Moment<'_>, new: NewIntent) -> PaymentIntentId {
    let id: PaymentIntentId = at.world.ids.make();
    let client_secret = at.world.ids.text(&format!("{id}_secret_"), 25);
    at.world.payment_intents.insert(PaymentIntent {
        id: id.clone(),
        created: at.now,
        amount: new.amount,
        currency: new.currency,
        customer: new.customer,
        invoice: new.invoice,
        status: PaymentIntentStatus::RequiresPaymentMethod,
        payment_method: None,
        latest_charge: None,
        last_decline: None,
        client_secret,
        canceled_at: None,
        description: Some(new.description.to_owned()),
    });
    at.emit("payment_intent.created", &Object::PaymentIntent(id.clone()));
    id
}

/// Tries to take the money. `payer` may differ from what the method says, when a test wants so.
pub(crate) fn attempt(
    at: &mut Moment<'_>,
    intent: &PaymentIntentId,
    method: &PaymentMethodId,
    payer: Payer,
) -> Outcome {
    let object = Object::PaymentIntent(intent.clone());
    at.world.payment_intents[intent].payment_method = Some(method.clone());
    let bank_debit = payment_methods::is_bank_debit(at, method);
    match payer {
        Payer::RequiresAction => {
            at.world.payment_intents[intent].status = PaymentIntentStatus::RequiresAction;
            at.emit("payment_intent.requires_action", &object);
            Outcome::RequiresAction
        }
        Payer::Pays | Payer::Declines(_) if bank_debit => {
            charge(at, intent, method, ChargeStatus::Pending, None);
            at.world.payment_intents[intent].status = PaymentIntentStatus::Processing;
            let known_at = at.now.saturating_add(BANK_DEBIT_TAKES).unwrap_or(Timestamp::MAX);
            at.world.remind(known_at, Due::BankDebit(intent.clone()));
            at.emit("payment_intent.processing", &object);
            Outcome::Processing
        }
        Payer::Pays => {
            charge(at, intent, method, ChargeStatus::Succeeded, None);
            succeed(at, intent);
            Outcome::Paid
        }
        Payer::Declines(decline) => {
            charge(at, intent, method, ChargeStatus::Failed, Some(decline));
            fail(at, intent, decline);
            Outcome::Declined(decline)
        }
    }
}

/// The end of a bank debit: paid or declined, as its owner behaves. None when nothing is being processed.
pub(crate) fn settle(at: &mut Moment<'_>, intent: &PaymentIntentId) -> Option<Outcome> {
    let row = &at.world.payment_intents[intent];
    if row.status != PaymentIntentStatus::Processing {
        return None;
    }
    let (charge, method) = (row.latest_charge.clone()?, row.payment_method.clone()?);
    let decline = match at.world.payment_methods[&method].payer {
        Payer::Pays => None,
        Payer::Declines(decline) => Some(decline),
        Payer::RequiresAction => Some(Decline::AuthenticationRequired),
    };
    let row = &mut at.world.charges[&charge];
    row.decline = decline;
    row.status = if decline.is_some() {
        ChargeStatus::Failed
    } else {
        ChargeStatus::Succeeded
    };
    let kind = if decline.is_some() {
        "charge.failed"
    } else {
        "charge.succeeded"
    };
    at.emit(kind, &Object::Charge(charge));
    match decline {
        None => succeed(at, intent),
        Some(decline) => fail(at, intent, decline),
    }
    Some(decline.map_or(Outcome::Paid, Outcome::Declined))
}

fn succeed(at: &mut Moment<'_>, intent: &PaymentIntentId) {
    let row = &mut at.world.payment_intents[intent];
    row.status = PaymentIntentStatus::Succeeded;
    row.last_decline = None;
    at.emit("payment_intent.succeeded", &Object::PaymentIntent(intent.clone()));
}

fn fail(at: &mut Moment<'_>, intent: &PaymentIntentId, decline: Decline) {
    let row = &mut at.world.payment_intents[intent];
    row.status = PaymentIntentStatus::RequiresPaymentMethod;
    row.last_decline = Some(decline);
    row.payment_method = None;
    at.emit(
        "payment_intent.payment_failed",
        &Object::PaymentIntent(intent.clone()),
    );
}

fn charge(
    at: &mut Moment<'_>,
    intent: &PaymentIntentId,
    method: &PaymentMethodId,
    status: ChargeStatus,
    decline: Option<Decline>,
) {
    let of = &at.world.payment_intents[intent];
    let charge = Charge {
        id: at.world.ids.make(),
        created: at.now,
        amount: of.amount,
        currency: of.currency.clone(),
        customer: of.customer.clone(),
        payment_intent: intent.clone(),
        payment_method: method.clone(),
        status,
        decline,
        amount_refunded: 0,
        description: of.description.clone(),
    };
    let kind = match status {
        ChargeStatus::Succeeded => "charge.succeeded",
        ChargeStatus::Pending => "charge.pending",
        ChargeStatus::Failed => "charge.failed",
    };
    let id = at.world.charges.insert(charge);
    at.world.payment_intents[intent].latest_charge = Some(id.clone());
    at.emit(kind, &Object::Charge(id));
}

/// Gives up an intent that was never paid.
pub(crate) fn cancel(at: &mut Moment<'_>, intent: &PaymentIntentId) {
    let row = &mut at.world.payment_intents[intent];
    if matches!(
        row.status,
        PaymentIntentStatus::Succeeded | PaymentIntentStatus::Canceled
    ) {
        return;
    }
    row.status = PaymentIntentStatus::Canceled;
    row.canceled_at = Some(at.now);
    at.emit("payment_intent.canceled", &Object::PaymentIntent(intent.clone()));
}

pub(crate) fn get_intent(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.inert(&["client_secret"]);
    params.finish()?;
    Ok(render::payment_intent(
        at.world,
        named(&at.world.payment_intents, id, "intent")?,
    ))
}

pub(crate) fn get_charge(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::charge(at.world, named(&at.world.charges, id, "charge")?))
}
