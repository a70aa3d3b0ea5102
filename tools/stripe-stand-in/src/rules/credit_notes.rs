//! Credit notes: what is taken back of an invoice that is final.
//!
//! # How it works
//! Of an open invoice a credit note takes off what is still to be paid; of a paid one it gives back: by a refund, to the
//! customer's balance, or by ways that Stripe does not see. Which of these is the caller's to say, and must add up.
//!
//! # If it fails half-way
//! Everything is checked before anything is written.

use serde_json::Value;

use super::listing::{self, Paging, Range};
use super::{Moment, invoicing, named, referred, refunds};
use crate::id::{ChargeId, InvoiceId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{ChargeStatus, CreditNote, CreditNoteLine, InvoiceStatus};

const REASONS: [(&str, &str); 4] = [
    ("duplicate", "duplicate"),
    ("fraudulent", "fraudulent"),
    ("order_change", "order_change"),
    ("product_unsatisfactory", "product_unsatisfactory"),
];

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let invoice = params.required_text("invoice")?;
    let amount = read_amount(params, "amount")?;
    let lines = params
        .children("lines")?
        .iter()
        .map(read_line)
        .collect::<Result<Vec<_>, Refusal>>()?;
    let back = [
        read_amount(params, "refund_amount")?,
        read_amount(params, "credit_amount")?,
        read_amount(params, "out_of_band_amount")?,
    ];
    let reason = params.choice("reason", &REASONS)?;
    let memo = params.text("memo")?;
    let metadata = params.metadata()?;
    params.inert(&["email_type", "effective_at"]);
    params.unsupported(&["refunds", "shipping_cost"])?;
    params.finish()?;
    let invoice = referred(&at.world.invoices, &invoice, "invoice")?.id.clone();
    let lines = match (amount, lines.is_empty()) {
        (Some(_), false) => {
            let message = "You may only specify one of these parameters: amount, lines.";
            return Err(Refusal::invalid("amount", message));
        }
        (None, true) => return Err(Refusal::missing("amount")),
        (Some(amount), true) => vec![WantedLine {
            amount,
            description: None,
            invoice_line: None,
        }],
        (None, false) => lines,
    };
    let lines = look_up(at, &invoice, lines)?;
    let total = lines.iter().map(|line| line.amount).sum();
    let before_payment = check_total(at, &invoice, total)?;
    let [refund_amount, credit_amount, out_of_band_amount] = back.map(Option::unwrap_or_default);
    if refund_amount + credit_amount + out_of_band_amount != total - before_payment {
        let message = format!(
            "The sum of credit amount, refund amount and out of band amount must equal the post payment amount of \
             the credit note ({}).",
            total - before_payment
        );
        return Err(Refusal::invalid("amount", message));
    }
    let charge = (refund_amount > 0)
        .then(|| {
            let charge = paid_by(at, &invoice)
                .ok_or_else(|| Refusal::state("This invoice has no charge that could be refunded."))?;
            refunds::check(at, &charge, Some(refund_amount)).map(|_| charge)
        })
        .transpose()?;
    let row = &at.world.invoices[&invoice];
    let earlier = at
        .world
        .credit_notes
        .iter()
        .filter(|note| note.invoice == invoice)
        .count();
    let note = CreditNote {
        id: at.world.ids.make(),
        created: at.now,
        number: format!("{}-CN-{:02}", row.number.clone().unwrap_or_default(), earlier + 1),
        customer: row.customer.clone(),
        currency: row.currency.clone(),
        invoice: invoice.clone(),
        lines,
        before_payment,
        refund: charge.map(|charge| refunds::refund(at, &charge, refund_amount, None, metadata.clone())),
        refund_amount,
        credit_amount,
        out_of_band_amount,
        reason: reason.map(str::to_owned),
        memo,
        metadata,
    };
    let customer = note.customer.clone();
    let id = at.world.credit_notes.insert(note);
    if credit_amount > 0 {
        let balance = at.world.customers[&customer].balance - credit_amount;
        invoicing::set_balance(at, &customer, balance);
    }
    at.emit("credit_note.created", &Object::CreditNote(id.clone()));
    invoicing::follow_credit_note(at, &invoice, before_payment, total - before_payment);
    Ok(at.picture(&Object::CreditNote(id)))
}

fn read_amount(params: &Params<'_>, member: &str) -> Result<Option<i64>, Refusal> {
    let amount = params.integer(member)?;
    match amount {
        Some(amount) if amount < 0 => {
            let message = "This value must be greater than or equal to 0.";
            Err(Refusal::invalid(&params.name_of(member), message))
        }
        amount => Ok(amount),
    }
}

/// A line as asked for.
struct WantedLine {
    amount: i64,
    description: Option<String>,
    invoice_line: Option<String>,
}

fn read_line(params: &Params<'_>) -> Result<WantedLine, Refusal> {
    let custom = params.choice(
        "type",
        &[("custom_line_item", true), ("invoice_line_item", false)],
    )?;
    let custom = custom.ok_or_else(|| Refusal::missing(&params.name_of("type")))?;
    params.inert(&["metadata"]);
    params.unsupported(&["tax_amounts", "tax_rates", "unit_amount_decimal"])?;
    let quantity = params.count("quantity", 1)?;
    let amount = match (
        read_amount(params, "amount")?,
        read_amount(params, "unit_amount")?,
    ) {
        (Some(amount), None) => amount,
        (None, Some(unit)) => {
            let quantity = i64::try_from(quantity.unwrap_or(1)).unwrap_or(i64::MAX);
            unit.saturating_mul(quantity)
        }
        _ => return Err(Refusal::missing(&params.name_of("amount"))),
    };
    Ok(WantedLine {
        amount,
        description: params.text("description")?,
        invoice_line: if custom {
            None
        } else {
            Some(params.required_text("invoice_line_item")?)
        },
    })
}

fn look_up(
    at: &mut Moment<'_>,
    invoice: &InvoiceId,
    wanted: Vec<WantedLine>,
) -> Result<Vec<CreditNoteLine>, Refusal> {
    let mut lines = Vec::new();
    for line in wanted {
        let rows = &at.world.invoices[invoice].lines;
        let of = match &line.invoice_line {
            None => None,
            Some(id) => Some(
                rows.iter()
                    .find(|row| row.id.to_string() == *id)
                    .ok_or_else(|| Refusal::no_such("invoice line item", id, "lines"))?,
            ),
        };
        lines.push(CreditNoteLine {
            amount: line.amount,
            description: line
                .description
                .or_else(|| of.map(|row| row.line.description.clone())),
            quantity: of.and_then(|row| row.line.quantity),
            invoice_line: of.map(|row| row.id.clone()),
            id: at.world.ids.make(),
        });
    }
    Ok(lines)
}

/// Holds a credit note to what the invoice has left; answers how much of it is taken off what is still to be paid.
fn check_total(at: &Moment<'_>, id: &InvoiceId, total: i64) -> Result<i64, Refusal> {
    let invoice = &at.world.invoices[id];
    if !matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Paid) {
        let message = "You can only create a credit note for an invoice that is open or paid.";
        return Err(Refusal::state(message));
    }
    let credited: i64 = at
        .world
        .credit_notes
        .iter()
        .filter(|note| note.invoice == *id)
        .map(CreditNote::amount)
        .sum();
    let left = invoice.total() - credited;
    if total == 0 || total > left {
        let message = format!(
            "The credit note amount ({total}) must be greater than 0 and at most what is left ({left})."
        );
        return Err(Refusal::invalid("amount", message));
    }
    match invoice.status {
        InvoiceStatus::Open => Ok(total.min(invoice.amount_remaining())),
        _ => Ok(0),
    }
}

/// The charge that paid the invoice.
fn paid_by(at: &Moment<'_>, invoice: &InvoiceId) -> Option<ChargeId> {
    let intent = at.world.invoices[invoice].payment_intent.as_ref()?;
    let charge = at.world.payment_intents[intent].latest_charge.clone()?;
    (at.world.charges[&charge].status == ChargeStatus::Succeeded).then_some(charge)
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::credit_note(
        at.world,
        named(&at.world.credit_notes, id, "id")?,
    ))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let invoice = params.text("invoice")?;
    let customer = params.text("customer")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    let world = &at.world;
    let is = |own: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == own);
    let render = |note: &CreditNote| render::credit_note(world, note);
    listing::page(&world.credit_notes, &paging, "/v1/credit_notes", render, |note| {
        is(&note.invoice.to_string(), &invoice)
            && is(&note.customer.to_string(), &customer)
            && created.contains(note.created)
    })
}
