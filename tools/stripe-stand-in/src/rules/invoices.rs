//! Invoices as the API offers them: read, finalised, paid and voided by call.
//!
//! What these do to an invoice is in [`super::invoicing`], which the clock goes through as well.

use jiff::Timestamp;
use serde_json::Value;

use super::invoicing::{self, DRAFT_LIFETIME};
use super::listing::{self, Paging, Range};
use super::payments::Outcome;
use super::{Moment, customers, named, payment_methods, pending_updates, taxes};
use crate::id::{Id, InvoiceId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{CollectionMethod, Due, InvoiceLine, InvoicePaymentStatus, InvoiceStatus};

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::invoice(
        at.world,
        named(&at.world.invoices, id, "invoice")?,
    ))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.text("customer")?;
    let subscription = params.text("subscription")?;
    let status = params.choice("status", &InvoiceStatus::WORDS)?;
    let collection = params.choice("collection_method", &CollectionMethod::WORDS)?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let world = &at.world;
    listing::page(
        &world.invoices,
        &paging,
        "/v1/invoices",
        |invoice| render::invoice(world, invoice),
        |invoice| {
            collection.is_none_or(|method| invoice.collection_method == method)
                && customer.as_ref().is_none_or(|id| invoice.customer.as_str() == id)
                && subscription.as_ref().is_none_or(|id| {
                    invoice
                        .subscription
                        .as_ref()
                        .is_some_and(|own| own.as_str() == id)
                })
                && status.is_none_or(|status| invoice.status == status)
                && created.contains(invoice.created)
        },
    )
}

pub(crate) fn list_lines(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let paging = Paging::read(params)?;
    params.finish()?;
    let invoice = match at.world.previews.find(id) {
        Some(preview) => preview,
        None => named(&at.world.invoices, id, "invoice")?,
    };
    let rows: Vec<&InvoiceLine> = invoice.lines.iter().collect();
    listing::cut(
        &rows,
        &paging,
        &render::invoice_lines_url(invoice),
        |row| render::invoice_line(invoice, row),
        |_| true,
    )
}

pub(crate) fn list_payments(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let invoice = params.text("invoice")?;
    let status = params.choice("status", &InvoicePaymentStatus::WORDS)?;
    let intent = match params.child("payment")? {
        None => None,
        Some(payment) => {
            payment.choice("type", &[("payment_intent", ())])?;
            payment.text("payment_intent")?
        }
    };
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let table = &at.world.invoice_payments;
    listing::page(
        table,
        &paging,
        "/v1/invoice_payments",
        render::invoice_payment,
        |payment| {
            invoice.as_ref().is_none_or(|id| payment.invoice.as_str() == id)
                && intent
                    .as_ref()
                    .is_none_or(|id| payment.payment_intent.as_str() == id)
                && status.is_none_or(|status| payment.status == status)
                && created.contains(payment.created)
        },
    )
}

pub(crate) fn pay(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let method = params.text("payment_method")?;
    let out_of_band = params.boolean("paid_out_of_band")?.unwrap_or(false);
    params.inert(&["off_session"]);
    params.unsupported(&["forgive", "mandate", "source"])?;
    params.finish()?;
    let invoice = named(&at.world.invoices, id, "invoice")?;
    let customer = invoice.customer.clone();
    let status = invoice.status;
    let id = invoice.id.clone();
    match status {
        InvoiceStatus::Paid => {
            return Err(Refusal::state_code(
                "invoice_already_paid",
                "Invoice is already paid",
            ));
        }
        InvoiceStatus::Void => return Err(Refusal::state("This invoice is voided and cannot be paid.")),
        InvoiceStatus::Draft | InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
    }
    let method = method
        .map(|method| customers::own_method(at, &customer, &method, "payment_method"))
        .transpose()?;
    if !out_of_band {
        let by = method.clone().or_else(|| invoicing::method_of(at, &id));
        let is_bank_debit = by.is_some_and(|by| payment_methods::is_bank_debit(at, &by));
        pending_updates::check_method(at, &id, is_bank_debit, "payment_method")?;
    }
    if status == InvoiceStatus::Draft {
        taxes::check_final(at, &id)?;
        invoicing::finalize(at, &id);
    }
    if out_of_band {
        invoicing::mark_paid(at, &id);
        return Ok(at.picture(&Object::Invoice(id)));
    }
    let outcome = match method {
        None => invoicing::collect(at, &id),
        Some(method) => {
            let payer = at.world.payment_methods[&method].payer;
            invoicing::collect_with(at, &id, Some(&method), Some(payer))
        }
    };
    match refusal(at, &id, Some(outcome)) {
        None => Ok(at.picture(&Object::Invoice(id))),
        Some(refusal) => Err(refusal),
    }
}

/// How Stripe tells that an invoice could not be paid. None when it was, or may yet be.
pub(crate) fn refusal(at: &Moment<'_>, id: &InvoiceId, outcome: Option<Outcome>) -> Option<Refusal> {
    let intent = at.world.invoices[id].payment_intent.clone();
    let picture = intent.map(|intent| at.picture(&Object::PaymentIntent(intent)));
    match outcome {
        None | Some(Outcome::Paid | Outcome::Processing) => None,
        Some(Outcome::Declined(decline)) => Some(Refusal::declined(
            decline.code(),
            decline.decline_code(),
            decline.message(),
            picture,
        )),
        Some(Outcome::RequiresAction) => Some(Refusal::declined(
            "invoice_payment_intent_requires_action",
            "authentication_required",
            "This payment requires additional user action before it can be completed successfully.",
            picture,
        )),
    }
}

pub(crate) fn void(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let invoice = named(&at.world.invoices, id, "invoice")?;
    let id = invoice.id.clone();
    let given_up = invoice.status == InvoiceStatus::Uncollectible;
    if !(invoice.status == InvoiceStatus::Open || given_up && at.world.settings.given_up_bills_can_be_voided)
    {
        return Err(Refusal::state(
            "You can only pass in open invoices. This invoice isn't open.",
        ));
    }
    if invoicing::is_being_paid(at, &id) {
        return Err(Refusal::state(
            "This invoice has a payment that is processing. It can be voided if that payment fails.",
        ));
    }
    if at.world.invoices[&id].amount_paid > 0 {
        return Err(Refusal::state(
            "This invoice has payments that are paid. It can no longer be voided.",
        ));
    }
    invoicing::void_open(at, &id);
    Ok(at.picture(&Object::Invoice(id)))
}

pub(crate) fn finalize_now(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let auto_advance = params.boolean("auto_advance")?;
    params.finish()?;
    let invoice = named(&at.world.invoices, id, "invoice")?;
    let id = invoice.id.clone();
    if invoice.status != InvoiceStatus::Draft {
        return Err(Refusal::state_code(
            "invoice_not_editable",
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
        ));
    }
    taxes::check_final(at, &id)?;
    invoicing::finalize(at, &id);
    if let Some(auto_advance) = auto_advance {
        at.world.invoices[&id].auto_advance = auto_advance;
    }
    if at.world.invoices[&id].auto_advance {
        // Collected with the next step of the clock, as Stripe does some time after the call.
        at.world.remind(
            at.now.saturating_add(DRAFT_LIFETIME).unwrap_or(Timestamp::MAX),
            Due::PaymentRetry(id.clone()),
        );
    }
    Ok(at.picture(&Object::Invoice(id)))
}
