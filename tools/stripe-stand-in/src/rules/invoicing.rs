//! Invoices: drafted, finalised, collected, paid, voided.
//!
//! # How it works
//! A draft is made of lines ([`super::billing`]); finalising gives it a number and an intent; collecting attempts the intent and lets the
//! subscription follow ([`super::lifecycle::follow_payment`]). Retries are entries in the agenda, spaced by [`RETRY_AFTER_DAYS`].
//!
//! # If it fails half-way
//! A declined attempt leaves the invoice open; everything that may come later finds it by its status, not by memory.

use super::billing::Draft;
use super::payments::{self, NewIntent, Outcome};
use super::{Moment, discounts, late_usage, lifecycle, limits, pending, pending_updates, taxes};
use crate::id::{CustomerId, InvoiceId, PaymentMethodId};
use crate::render::Object;
use crate::state::{
    AutomaticTax, BillingReason, CollectionMethod, Decline, Due, Invoice, InvoiceLine, InvoicePayment,
    InvoicePaymentStatus, InvoiceStatus, Metadata, PausedCollection, Payer, PaymentIntentStatus,
    Subscription,
};
use jiff::{SignedDuration, Timestamp};

/// How long a renewal's invoice stays a draft, as at Stripe.
pub(crate) const DRAFT_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// Days from one failed attempt to the next; after the last, the subscription is given up.
const RETRY_AFTER_DAYS: [i64; 3] = [3, 5, 7];

/// Makes an invoice of a draft, takes up the lines that waited for it, and links it from its subscription. The caller emits
/// `invoice.created` when the rest is in place.
pub(crate) fn draft(at: &mut Moment<'_>, mut new: Draft) -> InvoiceId {
    let id: InvoiceId = at.world.ids.make();
    pending::take_up(at, &mut new, &id);
    discounts::apply(at.world, &mut new, at.now);
    let terms = terms_of(at, &new);
    let subscription = new.subscription.as_ref().map(|id| &at.world.subscriptions[id]);
    let automatic_tax = subscription.is_some_and(|row| row.automatic_tax == AutomaticTax::On);
    let settings = at.world.settings;
    let lines = new
        .lines
        .into_iter()
        .map(|line| InvoiceLine {
            id: at.world.ids.make(),
            tax: if automatic_tax {
                taxes::on(line.net(), &settings)
            } else {
                0
            },
            line,
        })
        .collect();
    let invoice = Invoice {
        id: id.clone(),
        created: at.now,
        status: InvoiceStatus::Draft,
        billing_reason: new.billing_reason,
        number: None,
        customer: new.customer.clone(),
        subscription: new.subscription.clone(),
        currency: new.currency,
        lines,
        discounts: new.discounts,
        collection_method: terms.0,
        due_date: terms.1,
        credited_before_payment: 0,
        credited_after_payment: 0,
        automatic_tax,
        starting_balance: at.world.customers[&new.customer].balance,
        too_small: false,
        amount_paid: 0,
        attempt_count: 0,
        attempted: false,
        auto_advance: true,
        automatically_finalizes_at: None,
        next_payment_attempt: None,
        payment_intent: None,
        default_payment_method: None,
        period_start: new.period_start,
        period_end: new.period_end,
        finalized_at: None,
        paid_at: None,
        voided_at: None,
        marked_uncollectible_at: None,
        description: None,
        metadata: Metadata::new(),
    };
    at.world.invoices.insert(invoice);
    discounts::spend(at, &id);
    if let Some(subscription) = new.subscription {
        at.world.subscriptions[&subscription].latest_invoice = Some(id.clone());
    }
    id
}

/// How and until when an invoice is to be paid: as its subscription says.
fn terms_of(at: &Moment<'_>, draft: &Draft) -> (CollectionMethod, Option<Timestamp>) {
    let subscription = draft.subscription.as_ref().map(|id| &at.world.subscriptions[id]);
    let Some(days) = subscription
        .filter(|row| row.collection_method == CollectionMethod::SendInvoice)
        .map(|row| row.days_until_due.unwrap_or(0))
    else {
        return (CollectionMethod::ChargeAutomatically, None);
    };
    let due = at
        .now
        .saturating_add(SignedDuration::from_hours(24 * i64::from(days)));
    (CollectionMethod::SendInvoice, due.ok())
}

/// Lets a draft become final by itself, an hour from now.
pub(crate) fn finalize_later(at: &mut Moment<'_>, id: &InvoiceId) {
    let due = at.now.saturating_add(DRAFT_LIFETIME).unwrap_or(Timestamp::MAX);
    let invoice = &mut at.world.invoices[id];
    invoice.automatically_finalizes_at = Some(due);
    invoice.next_payment_attempt = Some(due);
    at.world.remind(due, Due::Finalization(id.clone()));
}

/// Draft → open, with a number, and an intent if there is anything to pay.
pub(crate) fn finalize(at: &mut Moment<'_>, id: &InvoiceId) {
    late_usage::take_in(at, id);
    let customer_id = at.world.invoices[id].customer.clone();
    let currency = at.world.invoices[id].currency.clone();
    settle_balance(at, id, &customer_id);
    let customer = &mut at.world.customers[&customer_id];
    let number = format!(
        "{}-{:04}",
        customer.invoice_prefix, customer.next_invoice_sequence
    );
    customer.next_invoice_sequence += 1;
    customer.currency.get_or_insert(currency);
    let now = at.now;
    let invoice = &mut at.world.invoices[id];
    invoice.status = InvoiceStatus::Open;
    invoice.number = Some(number);
    invoice.finalized_at = Some(now);
    invoice.automatically_finalizes_at = None;
    if invoice.amount_due() > 0 && invoice.payment_intent.is_none() {
        let intent = NewIntent {
            amount: invoice.amount_due(),
            currency: invoice.currency.clone(),
            customer: Some(invoice.customer.clone()),
            invoice: Some(id.clone()),
            description: match invoice.billing_reason {
                BillingReason::SubscriptionCreate => "Subscription creation",
                BillingReason::SubscriptionCycle | BillingReason::SubscriptionUpdate => "Subscription update",
                BillingReason::Manual => "Invoice",
            },
        };
        let intent = payments::open(at, intent);
        at.world.invoices[id].payment_intent = Some(intent);
    }
    link_payment(at, id);
    at.emit("invoice.finalized", &Object::Invoice(id.clone()));
}

/// Finalises an invoice that is then to be collected. False where collection is paused: it stays a draft, or is void or given up.
pub(crate) fn finalize_unless_paused(at: &mut Moment<'_>, id: &InvoiceId) -> bool {
    let subscription = at.world.invoices[id].subscription.as_ref();
    let paused = subscription.and_then(|subscription| at.world.subscriptions[subscription].paused_collection);
    if paused == Some(PausedCollection::KeepAsDraft) {
        let invoice = &mut at.world.invoices[id];
        invoice.auto_advance = false;
        invoice.automatically_finalizes_at = None;
        invoice.next_payment_attempt = None;
        return false;
    }
    taxes::forgo(at, id);
    finalize(at, id);
    match paused {
        None => return true,
        Some(PausedCollection::MarkUncollectible) => mark_uncollectible(at, id),
        Some(PausedCollection::Void | PausedCollection::KeepAsDraft) => void_open(at, id),
    }
    false
}

/// Takes the customer's balance into the invoice, and what is left of both into the balance: what the invoice owes the customer, or
/// what is too little to be charged.
fn settle_balance(at: &mut Moment<'_>, id: &InvoiceId, customer: &CustomerId) {
    let invoice = &mut at.world.invoices[id];
    invoice.starting_balance = at.world.customers[customer].balance;
    invoice.too_small = limits::is_too_small(invoice.amount_due(), &invoice.currency);
    let ending = invoice.ending_balance();
    set_balance(at, customer, ending);
}

pub(crate) fn set_balance(at: &mut Moment<'_>, customer: &CustomerId, balance: i64) {
    if at.world.customers[customer].balance == balance {
        return;
    }
    let object = Object::Customer(customer.clone());
    let before = at.picture(&object);
    at.world.customers[customer].balance = balance;
    at.emit_updated("customer.updated", &object, &before);
}

/// The `invoice_payment` object between the invoice and its intent.
fn link_payment(at: &mut Moment<'_>, id: &InvoiceId) {
    let invoice = &at.world.invoices[id];
    let Some(intent) = invoice.payment_intent.clone() else {
        return;
    };
    let payment = InvoicePayment {
        id: at.world.ids.make(),
        created: at.now,
        invoice: id.clone(),
        payment_intent: intent,
        currency: invoice.currency.clone(),
        amount_requested: invoice.amount_due(),
        amount_paid: None,
        status: InvoicePaymentStatus::Open,
        paid_at: None,
        canceled_at: None,
    };
    at.world.invoice_payments.insert(payment);
}

/// Tries to collect an open invoice with the customer's payment method.
pub(crate) fn collect(at: &mut Moment<'_>, id: &InvoiceId) -> Outcome {
    let method = method_of(at, id);
    let payer = method
        .as_ref()
        .map(|method| at.world.payment_methods[method].payer);
    collect_with(at, id, method.as_ref(), payer)
}

/// Collects an invoice that is charged automatically; one that is sent waits for the customer to pay by its page.
pub(crate) fn collect_or_send(at: &mut Moment<'_>, id: &InvoiceId) -> Option<Outcome> {
    let invoice = &mut at.world.invoices[id];
    if invoice.collection_method == CollectionMethod::ChargeAutomatically || invoice.amount_due() == 0 {
        return Some(collect(at, id));
    }
    invoice.next_payment_attempt = None;
    at.emit("invoice.sent", &Object::Invoice(id.clone()));
    None
}

/// What pays an invoice: its own payment method, or else its subscription's, or else the customer's.
pub(crate) fn method_of(at: &Moment<'_>, id: &InvoiceId) -> Option<PaymentMethodId> {
    let invoice = &at.world.invoices[id];
    let own = invoice.default_payment_method.clone();
    own.or_else(|| match &invoice.subscription {
        Some(subscription) => payer_of(at, &at.world.subscriptions[subscription]),
        None => own_method_of(at, &invoice.customer),
    })
}

/// What pays a subscription: its payment method, or else the customer's.
pub(crate) fn payer_of(at: &Moment<'_>, subscription: &Subscription) -> Option<PaymentMethodId> {
    let own = subscription.default_payment_method.clone();
    own.or_else(|| own_method_of(at, &subscription.customer))
}

fn own_method_of(at: &Moment<'_>, customer: &CustomerId) -> Option<PaymentMethodId> {
    at.world.customers[customer].default_payment_method.clone()
}

/// Tries to collect an open invoice. Without a payment method the attempt fails like a declined card.
pub(crate) fn collect_with(
    at: &mut Moment<'_>,
    id: &InvoiceId,
    method: Option<&PaymentMethodId>,
    payer: Option<Payer>,
) -> Outcome {
    let invoice = &mut at.world.invoices[id];
    invoice.attempted = true;
    let Some(intent) = invoice
        .payment_intent
        .clone()
        .filter(|_| invoice.amount_remaining() > 0)
    else {
        mark_paid(at, id);
        return Outcome::Paid;
    };
    invoice.attempt_count += 1;
    let outcome = match (method, payer) {
        (Some(method), Some(payer)) => payments::attempt(at, &intent, method, payer),
        _ => Outcome::Declined(Decline::Generic),
    };
    match outcome {
        Outcome::Paid => mark_paid(at, id),
        Outcome::Declined(_) => mark_failed(at, id),
        Outcome::RequiresAction => {
            at.emit("invoice.payment_action_required", &Object::Invoice(id.clone()));
            mark_failed(at, id);
        }
        Outcome::Processing => lifecycle::follow_processing(at, id),
    }
    outcome
}

/// Takes a part of what an open invoice comes to, by a payment of its own; what is left stays to be paid by the invoice's.
pub(crate) fn collect_part(at: &mut Moment<'_>, id: &InvoiceId, method: &PaymentMethodId, amount: i64) {
    let invoice = &at.world.invoices[id];
    let (currency, customer) = (invoice.currency.clone(), invoice.customer.clone());
    let rest = invoice.payment_intent.clone();
    let part = payments::open(
        at,
        NewIntent {
            amount,
            currency: currency.clone(),
            customer: Some(customer),
            invoice: Some(id.clone()),
            description: "Payment for Invoice",
        },
    );
    payments::attempt(at, &part, method, Payer::Pays);
    for open in at
        .world
        .invoice_payments
        .iter_mut()
        .filter(|payment| payment.invoice == *id && payment.status == InvoicePaymentStatus::Open)
    {
        open.amount_requested -= amount;
    }
    if let Some(rest) = rest {
        at.world.payment_intents[&rest].amount -= amount;
    }
    let payment = InvoicePayment {
        id: at.world.ids.make(),
        created: at.now,
        invoice: id.clone(),
        payment_intent: part,
        currency,
        amount_requested: amount,
        amount_paid: Some(amount),
        status: InvoicePaymentStatus::Paid,
        paid_at: Some(at.now),
        canceled_at: None,
    };
    at.world.invoices[id].amount_paid += amount;
    let payment = at.world.invoice_payments.insert(payment);
    at.emit("invoice_payment.paid", &Object::InvoicePayment(payment));
}

/// What paid an invoice becomes its subscription's payment method, where that is wanted.
fn keep_payer(at: &mut Moment<'_>, id: &InvoiceId) {
    let invoice = &at.world.invoices[id];
    let (Some(subscription), Some(intent)) = (&invoice.subscription, &invoice.payment_intent) else {
        return;
    };
    let intent = &at.world.payment_intents[intent];
    let paid_by = intent
        .payment_method
        .clone()
        .filter(|_| intent.status == PaymentIntentStatus::Succeeded);
    let subscription = &mut at.world.subscriptions[&subscription.clone()];
    if let Some(method) = paid_by.filter(|_| subscription.saves_payment_method) {
        subscription.default_payment_method = Some(method);
    }
}

/// Open → paid, and the subscription with it.
pub(crate) fn mark_paid(at: &mut Moment<'_>, id: &InvoiceId) {
    let now = at.now;
    let invoice = &mut at.world.invoices[id];
    invoice.status = InvoiceStatus::Paid;
    invoice.amount_paid = invoice.amount_due();
    invoice.paid_at = Some(now);
    invoice.next_payment_attempt = None;
    for payment in at
        .world
        .invoice_payments
        .iter_mut()
        .filter(|payment| payment.invoice == *id)
    {
        payment.status = InvoicePaymentStatus::Paid;
        payment.amount_paid = Some(payment.amount_requested);
        payment.paid_at = Some(now);
    }
    keep_payer(at, id);
    let object = Object::Invoice(id.clone());
    at.emit("invoice.paid", &object);
    at.emit("invoice.payment_succeeded", &object);
    let paid = at
        .world
        .invoice_payments
        .iter()
        .rev()
        .find(|payment| payment.invoice == *id);
    if let Some(payment) = paid.map(|payment| payment.id.clone()) {
        at.emit("invoice_payment.paid", &Object::InvoicePayment(payment));
    }
    lifecycle::follow_payment(at, id);
}

/// Open → uncollectible: it is no longer pursued, and can still be paid or voided.
pub(crate) fn mark_uncollectible(at: &mut Moment<'_>, id: &InvoiceId) {
    let now = at.now;
    let invoice = &mut at.world.invoices[id];
    invoice.status = InvoiceStatus::Uncollectible;
    invoice.marked_uncollectible_at = Some(now);
    invoice.next_payment_attempt = None;
    at.emit("invoice.marked_uncollectible", &Object::Invoice(id.clone()));
    lifecycle::follow_giving_up(at, id);
}

/// A credit note took something off an open invoice, or gave something back of a paid one.
pub(crate) fn follow_credit_note(
    at: &mut Moment<'_>,
    id: &InvoiceId,
    before_payment: i64,
    after_payment: i64,
) {
    let object = Object::Invoice(id.clone());
    let before = at.picture(&object);
    let invoice = &mut at.world.invoices[id];
    invoice.credited_before_payment += before_payment;
    invoice.credited_after_payment += after_payment;
    let due = invoice.amount_due();
    let settled = invoice.status == InvoiceStatus::Open && invoice.amount_remaining() == 0;
    if let Some(intent) = invoice.payment_intent.clone().filter(|_| before_payment > 0) {
        if settled {
            payments::cancel(at, &intent);
        } else {
            at.world.payment_intents[&intent].amount = due;
        }
    }
    at.emit_updated("invoice.updated", &object, &before);
    if settled {
        mark_paid(at, id);
    }
}

/// The invoice stays open; the next attempt, if there is one, goes into the agenda.
pub(crate) fn mark_failed(at: &mut Moment<'_>, id: &InvoiceId) {
    let now = at.now;
    let invoice = &mut at.world.invoices[id];
    let failures = usize::try_from(invoice.attempt_count).unwrap_or(usize::MAX);
    let pause = failures
        .checked_sub(1)
        .and_then(|failed| RETRY_AFTER_DAYS.get(failed));
    let next = pause
        .filter(|_| invoice.auto_advance)
        .and_then(|days| now.saturating_add(SignedDuration::from_hours(24 * days)).ok());
    invoice.next_payment_attempt = next;
    if let Some(next) = next {
        at.world.remind(next, Due::PaymentRetry(id.clone()));
    }
    at.emit("invoice.payment_failed", &Object::Invoice(id.clone()));
    lifecycle::follow_failure(at, id, next.is_none());
}

/// Whether a bank debit is paying it: nobody can call that back, so the invoice cannot be made void meanwhile. Stripe's reference does
/// not say so; its users do (`frappe/press`, pull request 2421).
pub(crate) fn is_being_paid(at: &Moment<'_>, id: &InvoiceId) -> bool {
    let intent = at.world.invoices[id].payment_intent.as_ref();
    intent.is_some_and(|intent| at.world.payment_intents[intent].status == PaymentIntentStatus::Processing)
}

pub(crate) fn void_open(at: &mut Moment<'_>, id: &InvoiceId) {
    let now = at.now;
    let customer = at.world.invoices[id].customer.clone();
    let invoice = &mut at.world.invoices[id];
    // What the invoice took of the balance goes back.
    let taken = invoice.starting_balance - invoice.ending_balance();
    invoice.status = InvoiceStatus::Void;
    invoice.voided_at = Some(now);
    invoice.next_payment_attempt = None;
    let intent = invoice.payment_intent.clone();
    let subscription = invoice.subscription.clone();
    for payment in at
        .world
        .invoice_payments
        .iter_mut()
        .filter(|payment| payment.invoice == *id)
    {
        payment.status = InvoicePaymentStatus::Canceled;
        payment.canceled_at = Some(now);
    }
    if let Some(intent) = intent {
        payments::cancel(at, &intent);
    }
    if taken != 0 {
        let balance = at.world.customers[&customer].balance + taken;
        set_balance(at, &customer, balance);
    }
    at.emit("invoice.voided", &Object::Invoice(id.clone()));
    if let Some(subscription) = subscription {
        pending_updates::follow_void(at, &subscription, id);
        lifecycle::follow_void(at, &subscription);
    }
}
