//! Refunds.
//!
//! A refund is made at once, and fails when a test says so. What it means for an invoice is for whoever hears of it: Stripe, too,
//! leaves the invoice `paid`.

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, named, referred};
use crate::id::{ChargeId, RefundId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{ChargeStatus, Metadata, Refund};

const REASONS: [(&str, &str); 3] = [
    ("duplicate", "duplicate"),
    ("fraudulent", "fraudulent"),
    ("requested_by_customer", "requested_by_customer"),
];

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let charge = params.text("charge")?;
    let intent = params.text("payment_intent")?;
    let amount = params.count("amount", 1)?;
    let reason = params.choice("reason", &REASONS)?;
    let metadata = params.metadata()?;
    params.inert(&["instructions_email"]);
    params.unsupported(&[
        "currency",
        "customer",
        "origin",
        "refund_application_fee",
        "reverse_transfer",
    ])?;
    params.finish()?;
    let charge = match (charge, intent) {
        (Some(charge), None) => referred(&at.world.charges, &charge, "charge")?.id.clone(),
        (None, Some(intent)) => {
            let intent = referred(&at.world.payment_intents, &intent, "payment_intent")?;
            intent.latest_charge.clone().ok_or_else(|| {
                Refusal::state("This PaymentIntent does not have a successful charge to refund.")
            })?
        }
        (None, None) => {
            let message =
                "One of the following params should be provided for this request: payment_intent or charge.";
            return Err(Refusal::invalid("charge", message));
        }
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: charge, payment_intent.";
            return Err(Refusal::invalid("payment_intent", message));
        }
    };
    let amount = amount
        .map(|amount| i64::try_from(amount).map_err(|_| Refusal::invalid("amount", "Invalid integer")))
        .transpose()?;
    let amount = check(at, &charge, amount)?;
    let id = refund(at, &charge, amount, reason, metadata);
    Ok(at.picture(&Object::Refund(id)))
}

/// How much is refunded: all that is left, if nothing is said.
pub(crate) fn check(at: &Moment<'_>, charge: &ChargeId, amount: Option<i64>) -> Result<i64, Refusal> {
    let row = &at.world.charges[charge];
    if row.status != ChargeStatus::Succeeded {
        return Err(Refusal::state(format!(
            "Charge {charge} has not succeeded and cannot be refunded."
        )));
    }
    // The money is its payer's already, or will be when nobody objects.
    if super::disputes::is_charged_back(at.world, charge) {
        return Err(Refusal::state_code(
            "charge_disputed",
            format!("Charge {charge} has been charged back; cannot issue a refund."),
        ));
    }
    let left = row.amount - row.amount_refunded;
    if left == 0 {
        return Err(Refusal::state_code(
            "charge_already_refunded",
            format!("Charge {charge} has already been refunded."),
        ));
    }
    match amount {
        Some(amount) if amount > left => {
            let message =
                format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).");
            Err(Refusal::invalid("amount", message))
        }
        amount => Ok(amount.unwrap_or(left)),
    }
}

pub(crate) fn refund(
    at: &mut Moment<'_>,
    charge: &ChargeId,
    amount: i64,
    reason: Option<&str>,
    metadata: Metadata,
) -> RefundId {
    let row = &mut at.world.charges[charge];
    row.amount_refunded += amount;
    let refund = Refund {
        id: at.world.ids.make(),
        created: at.now,
        amount,
        currency: row.currency.clone(),
        charge: charge.clone(),
        payment_intent: row.payment_intent.clone(),
        reason: reason.map(str::to_owned),
        metadata,
        failure: None,
    };
    let id = at.world.refunds.insert(refund);
    at.emit("refund.created", &Object::Refund(id.clone()));
    at.emit("charge.refunded", &Object::Charge(charge.clone()));
    id
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let charge = params.text("charge")?;
    let intent = params.text("payment_intent")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let is = |own: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == own);
    listing::page(&at.world.refunds, &paging, "/v1/refunds", render::refund, |row| {
        is(&row.charge.to_string(), &charge)
            && is(&row.payment_intent.to_string(), &intent)
            && created.contains(row.created)
    })
}

/// The bank sends a refund back: the money is the merchant's again.
pub(crate) fn fail(at: &mut Moment<'_>, id: &str, reason: &str) -> Result<RefundId, Refusal> {
    let refund = named(&at.world.refunds, id, "refund")?;
    if refund.failure.is_some() {
        return Err(Refusal::state(format!("The refund {id} has failed already.")));
    }
    let (id, charge, amount) = (refund.id.clone(), refund.charge.clone(), refund.amount);
    at.world.refunds[&id].failure = Some(reason.to_owned());
    if !at.world.settings.failed_refunds_stay_on_charges {
        at.world.charges[&charge].amount_refunded -= amount;
    }
    at.emit("refund.failed", &Object::Refund(id.clone()));
    at.emit("charge.refund.updated", &Object::Refund(id.clone()));
    Ok(id)
}
