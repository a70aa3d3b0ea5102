//! What a person does on the checkout page: pays, is declined, must authenticate, or pays by a slow bank debit.
//!
//! # How it works
//! Only a payment that goes through (or is under way) completes the session: it begins the subscription, whose first invoice is
//! finalised and collected at once. A declined or unauthenticated one leaves the session open with a payment intent that the
//! next try takes up again. Where a try begins the subscription (a setting), its first invoice is what the next one pays.
//!
//! # If it fails half-way
//! The outcome is known before anything is written, and nothing awaits: a session is complete with everything that belongs to
//! it, or untouched.

use serde::{Deserialize, Serialize};

use super::invoicing;
use super::lifecycle::{self, NewSubscription};
use super::payments::{self, NewIntent, Outcome};
use super::{Moment, checkout_discounts, checkout_taxes, customers, named, payment_methods, redemption};
use crate::id::{CheckoutSessionId, CustomerId, InvoiceId, PaymentIntentId, PaymentMethodId, SubscriptionId};
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{AutomaticTax, CollectionMethod, Decline, Payer, PaymentStatus, SessionStatus};

/// How a payment ends that a test (or a person on the checkout page) makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// It goes through.
    #[default]
    Succeed,
    /// The card is declined; the session stays open.
    Decline,
    /// The customer must authenticate; the session stays open until a later attempt succeeds.
    RequiresAction,
    /// A bank debit: the session completes unpaid, and the outcome is known three days later.
    Delayed,
}

/// A person's act on the checkout page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Completion {
    /// How the payment ends.
    pub payment: Payment,
    /// One of Stripe's test payment methods (`pm_card_visa` when left out). It stays with the subscription, so
    /// `pm_card_chargeCustomerFail` pays now and fails at the renewal.
    pub payment_method: Option<String>,
    /// The promotion code that the customer types, on a session that allows it.
    pub promotion_code: Option<String>,
    /// Where the customer is, in ISO 3166-1 alpha-2 (where they were when left out, or `US`); for automatic tax.
    pub country: Option<String>,
    /// For a delayed payment: how it ends at last.
    pub later: Later,
}

/// The end of a delayed payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Later {
    /// The bank pays.
    #[default]
    Succeed,
    /// The bank refuses.
    Decline,
}

/// Acts on a session. The outcome is in the session afterwards, not in the answer.
pub(crate) fn act(at: &mut Moment<'_>, id: &str, how: &Completion) -> Result<(), Refusal> {
    let session = named(&at.world.sessions, id, "session")?;
    let id = session.id.clone();
    if session.status != SessionStatus::Open {
        return Err(Refusal::state("Only an open Checkout Session can be paid."));
    }
    checkout_discounts::enter(at, &id, how.promotion_code.as_deref())?;
    checkout_taxes::locate(at, &id, how.country.as_deref());
    let token = how.payment_method.as_deref().unwrap_or(match how.payment {
        Payment::Delayed => "pm_usBankAccount",
        Payment::Succeed | Payment::Decline | Payment::RequiresAction => "pm_card_visa",
    });
    let method = payment_methods::attachable(at, token, "paymentMethod")?;
    match how.payment {
        Payment::Succeed => complete(at, &id, method, Payer::Pays),
        Payment::Delayed => {
            let method = match how.later {
                Later::Succeed => method,
                Later::Decline => method.refusing(Decline::InsufficientFunds),
            };
            complete(at, &id, method, Payer::Pays);
        }
        Payment::Decline => try_in_vain(at, &id, method, Payer::Declines(Decline::Generic)),
        Payment::RequiresAction => try_in_vain(at, &id, method, Payer::RequiresAction),
    }
    Ok(())
}

/// A payment that does not complete the session: the intent remembers it.
fn try_in_vain(
    at: &mut Moment<'_>,
    id: &CheckoutSessionId,
    method: payment_methods::Attachable,
    payer: Payer,
) {
    if at.world.settings.tries_begin_subscriptions {
        let (_, invoice) = begun(at, id, None);
        let method = payment_methods::present(at, method);
        invoicing::collect_with(at, &invoice, Some(&method), Some(payer));
        return;
    }
    let intent = intent_of(at, id);
    let method = payment_methods::present(at, method);
    payments::attempt(at, &intent, &method, payer);
}

/// The intent of an earlier try, or a new one.
fn intent_of(at: &mut Moment<'_>, id: &CheckoutSessionId) -> PaymentIntentId {
    let session = &at.world.sessions[id];
    if let Some(intent) = &session.attempt {
        return intent.clone();
    }
    let new = NewIntent {
        amount: session.amount_total(),
        currency: session.currency.clone(),
        customer: session.customer.clone(),
        invoice: None,
        description: "Subscription creation",
    };
    let intent = payments::open(at, new);
    at.world.sessions[id].attempt = Some(intent.clone());
    intent
}

/// The subscription that an earlier try has begun, or a new one; with its first invoice.
fn begun(
    at: &mut Moment<'_>,
    id: &CheckoutSessionId,
    method: Option<PaymentMethodId>,
) -> (SubscriptionId, InvoiceId) {
    if let Some(begun) = at.world.sessions[id].begun.clone() {
        if method.is_some() {
            at.world.subscriptions[&begun.0].default_payment_method = method;
            at.world.invoices[&begun.1].auto_advance = true;
        }
        return begun;
    }
    let tried = method.is_none();
    let (subscription, invoice) = begin(at, id, method);
    if tried {
        at.world.sessions[id].begun = Some((subscription.clone(), invoice.clone()));
        at.world.invoices[&invoice].auto_advance = false;
        announce(at, &subscription, &invoice);
    }
    (subscription, invoice)
}

/// Tells of what has begun, and makes its first bill one that can be paid.
fn announce(at: &mut Moment<'_>, subscription: &SubscriptionId, invoice: &InvoiceId) {
    at.emit(
        "customer.subscription.created",
        &Object::Subscription(subscription.clone()),
    );
    at.emit("invoice.created", &Object::Invoice(invoice.clone()));
    invoicing::finalize(at, invoice);
}

fn begin(
    at: &mut Moment<'_>,
    id: &CheckoutSessionId,
    method: Option<PaymentMethodId>,
) -> (SubscriptionId, InvoiceId) {
    let customer = customer_of(at, id);
    let grants = at.world.sessions[id].discounts.clone();
    let discounts = redemption::make(at, &grants, &customer);
    for discount in &discounts {
        at.world.discounts[discount].checkout_session = Some(id.clone());
    }
    let session = &at.world.sessions[id];
    let attempt = session.attempt.clone();
    let new = NewSubscription {
        customer,
        currency: session.currency.clone(),
        items: session
            .items
            .iter()
            .map(|item| (item.price.clone(), item.quantity))
            .collect(),
        billing_mode: session.subscription_billing_mode,
        first_period: None,
        collection_method: CollectionMethod::ChargeAutomatically,
        days_until_due: None,
        trial_end: None,
        discounts,
        automatic_tax: if session.automatic_tax {
            AutomaticTax::On
        } else {
            AutomaticTax::Off
        },
        default_payment_method: method,
        saves_payment_method: false,
        description: session.subscription_description.clone(),
        metadata: session.subscription_metadata.clone(),
    };
    let (subscription, invoice) = lifecycle::begin(at, new);
    if let Some(intent) = attempt {
        at.world.payment_intents[&intent].invoice = Some(invoice.clone());
        at.world.payment_intents[&intent].customer = Some(at.world.invoices[&invoice].customer.clone());
        at.world.invoices[&invoice].payment_intent = Some(intent);
    }
    (subscription, invoice)
}

fn complete(at: &mut Moment<'_>, id: &CheckoutSessionId, method: payment_methods::Attachable, payer: Payer) {
    let customer = customer_of(at, id);
    let delayed = method.is_bank_debit();
    let method = payment_methods::attach_to(at, method, &customer);
    let is_announced = at.world.sessions[id].begun.is_some();
    let (subscription, invoice) = begun(at, id, Some(method.clone()));
    let free = at.world.invoices[&invoice].amount_due() == 0;
    let session = &mut at.world.sessions[id];
    session.status = SessionStatus::Complete;
    session.subscription = Some(subscription.clone());
    session.invoice = Some(invoice.clone());
    session.attempt = None;
    session.begun = None;
    session.payment_status = match (free, delayed) {
        (true, _) => PaymentStatus::NotRequired,
        (false, true) => PaymentStatus::Unpaid,
        (false, false) => PaymentStatus::Paid,
    };
    at.emit("checkout.session.completed", &Object::CheckoutSession(id.clone()));
    if !is_announced {
        announce(at, &subscription, &invoice);
    }
    invoicing::collect_with(at, &invoice, Some(&method), Some(payer));
}

/// The session's customer; one is made of the e-mail address if there is none yet.
fn customer_of(at: &mut Moment<'_>, id: &CheckoutSessionId) -> CustomerId {
    let session = &at.world.sessions[id];
    if let Some(customer) = &session.customer {
        return customer.clone();
    }
    let email = session.customer_email.clone();
    let customer = customers::create_for_checkout(at, email);
    at.world.sessions[id].customer = Some(customer.clone());
    customer
}

/// A bank debit's outcome is known: the invoice follows, and the checkout session it may have come from.
pub(crate) fn settle_debit(at: &mut Moment<'_>, intent: &PaymentIntentId) {
    let Some(outcome) = payments::settle(at, intent) else {
        return;
    };
    let Some(invoice) = at.world.payment_intents[intent].invoice.clone() else {
        return;
    };
    let paid = outcome == Outcome::Paid;
    if paid {
        invoicing::mark_paid(at, &invoice);
    } else {
        invoicing::mark_failed(at, &invoice);
    }
    let waiting = |session: &&crate::state::CheckoutSession| {
        session.invoice.as_ref() == Some(&invoice) && session.payment_status == PaymentStatus::Unpaid
    };
    let Some(session) = at
        .world
        .sessions
        .iter()
        .find(waiting)
        .map(|session| session.id.clone())
    else {
        return;
    };
    let kind = if paid {
        at.world.sessions[&session].payment_status = PaymentStatus::Paid;
        "checkout.session.async_payment_succeeded"
    } else {
        "checkout.session.async_payment_failed"
    };
    at.emit(kind, &Object::CheckoutSession(session));
}

/// Ends a delayed payment now, as told, instead of when its time comes.
pub(crate) fn settle_now(at: &mut Moment<'_>, id: &str, later: Later) -> Result<(), Refusal> {
    let session = named(&at.world.sessions, id, "session")?;
    let invoice = session
        .invoice
        .as_ref()
        .map(|invoice| &at.world.invoices[invoice]);
    let intent = invoice.and_then(|invoice| invoice.payment_intent.clone());
    let intent = intent.ok_or_else(|| Refusal::state("This Checkout Session has no payment under way."))?;
    let method: Option<PaymentMethodId> = at.world.payment_intents[&intent].payment_method.clone();
    if let Some(method) = method {
        at.world.payment_methods[&method].payer = match later {
            Later::Succeed => Payer::Pays,
            Later::Decline => Payer::Declines(Decline::InsufficientFunds),
        };
    }
    settle_debit(at, &intent);
    Ok(())
}
