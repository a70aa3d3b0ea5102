//! Payment methods: Stripe's well-known test ones, and the copies of them that customers have.

use serde_json::Value;

use super::listing::{self, Paging};
use super::{Moment, customers, named};
use crate::id::{CustomerId, Id, PaymentMethodId, SubscriptionId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Decline, Metadata, MethodKind, Payer, PaymentMethod};

/// A test payment method that Stripe documents: its token, what it looks like, and how its owner behaves.
struct WellKnown {
    token: &'static str,
    brand: &'static str,
    last4: &'static str,
    payer: Payer,
    /// Whether the bank refuses it already when it is attached to a customer.
    attaches: bool,
}

const fn card(token: &'static str, brand: &'static str, last4: &'static str, payer: Payer) -> WellKnown {
    WellKnown {
        token,
        brand,
        last4,
        payer,
        attaches: true,
    }
}

const fn refused(token: &'static str, last4: &'static str, decline: Decline) -> WellKnown {
    WellKnown {
        token,
        brand: "visa",
        last4,
        payer: Payer::Declines(decline),
        attaches: false,
    }
}

/// The brand that stands for a bank account.
const BANK_ACCOUNT: &str = "us_bank_account";

/// Source: Stripe's documentation, "Testing use cases".
const WELL_KNOWN: [WellKnown; 13] = [
    card("pm_card_visa", "visa", "4242", Payer::Pays),
    card("pm_card_visa_debit", "visa", "5556", Payer::Pays),
    card("pm_card_mastercard", "mastercard", "4444", Payer::Pays),
    card("pm_card_amex", "amex", "8431", Payer::Pays),
    card(
        "pm_card_chargeCustomerFail",
        "visa",
        "0341",
        Payer::Declines(Decline::Generic),
    ),
    card(
        "pm_card_authenticationRequired",
        "visa",
        "3184",
        Payer::RequiresAction,
    ),
    card(
        "pm_card_threeDSecure2Required",
        "visa",
        "3220",
        Payer::RequiresAction,
    ),
    card(
        "pm_card_authenticationRequiredOnSetup",
        "visa",
        "3155",
        Payer::Pays,
    ),
    card("pm_usBankAccount", BANK_ACCOUNT, "6789", Payer::Pays),
    card(
        "pm_usBankAccount_insufficientFunds",
        BANK_ACCOUNT,
        "2227",
        Payer::Declines(Decline::InsufficientFunds),
    ),
    refused("pm_card_chargeDeclined", "0002", Decline::Generic),
    refused(
        "pm_card_chargeDeclinedInsufficientFunds",
        "9995",
        Decline::InsufficientFunds,
    ),
    refused("pm_card_chargeDeclinedExpiredCard", "0069", Decline::ExpiredCard),
];

/// A payment method that can be attached to a customer: checked, nothing written yet.
pub(crate) struct Attachable {
    existing: Option<PaymentMethodId>,
    kind: MethodKind,
    payer: Payer,
}

impl Attachable {
    pub(crate) fn is_bank_debit(&self) -> bool {
        matches!(self.kind, MethodKind::BankDebit { .. })
    }

    /// The same, of an owner whose bank refuses.
    pub(crate) fn refusing(self, decline: Decline) -> Self {
        Self {
            payer: Payer::Declines(decline),
            ..self
        }
    }
}

/// Whether a payment method is a bank account, which pays days later.
pub(crate) fn is_bank_debit(at: &Moment<'_>, method: &PaymentMethodId) -> bool {
    matches!(
        at.world.payment_methods[method].kind,
        MethodKind::BankDebit { .. }
    )
}

/// Looks up a well-known token or an id. `param` is where it came from.
pub(crate) fn attachable(at: &Moment<'_>, id: &str, param: &str) -> Result<Attachable, Refusal> {
    if let Some(known) = WELL_KNOWN.iter().find(|known| known.token == id) {
        if let (false, Payer::Declines(decline)) = (known.attaches, known.payer) {
            return Err(Refusal::declined(
                decline.code(),
                decline.decline_code(),
                decline.message(),
                None,
            ));
        }
        return Ok(Attachable {
            existing: None,
            kind: kind_of(known),
            payer: known.payer,
        });
    }
    let method = at
        .world
        .payment_methods
        .find(id)
        .ok_or_else(|| Refusal::no_such("PaymentMethod", id, param))?;
    if method.customer.is_some() {
        let message = "The payment method you provided has already been attached to a customer.";
        return Err(Refusal::state_code("payment_method_unexpected_state", message));
    }
    if method.detached {
        let message = "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again.";
        return Err(Refusal::state_code("payment_method_unexpected_state", message));
    }
    Ok(Attachable {
        existing: Some(method.id.clone()),
        kind: method.kind.clone(),
        payer: method.payer,
    })
}

fn kind_of(known: &WellKnown) -> MethodKind {
    let last4 = known.last4.to_owned();
    match known.brand {
        BANK_ACCOUNT => MethodKind::BankDebit { last4 },
        brand => MethodKind::Card {
            brand: brand.to_owned(),
            last4,
        },
    }
}

/// The method itself, not attached to anybody: a well-known token becomes a copy.
pub(crate) fn present(at: &mut Moment<'_>, method: Attachable) -> PaymentMethodId {
    if let Some(id) = method.existing {
        return id;
    }
    let copy = PaymentMethod {
        id: at.world.ids.make(),
        created: at.now,
        customer: None,
        detached: false,
        kind: method.kind,
        payer: method.payer,
        metadata: Metadata::new(),
    };
    at.world.payment_methods.insert(copy)
}

/// Attaches; a well-known token becomes a copy of the customer's own.
pub(crate) fn attach_to(at: &mut Moment<'_>, method: Attachable, customer: &CustomerId) -> PaymentMethodId {
    let id = present(at, method);
    at.world.payment_methods[&id].customer = Some(customer.clone());
    at.emit("payment_method.attached", &Object::PaymentMethod(id.clone()));
    id
}

pub(crate) fn attach(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.required_text("customer")?;
    params.finish()?;
    let customer = customers::live(at, &customer, "customer")?.id.clone();
    if !at.world.settings.attaching_again_is_refused
        && let Some(method) = at.world.payment_methods.find(id)
        && method.customer.as_ref() == Some(&customer)
    {
        return Ok(render::payment_method(method));
    }
    let method = attachable(at, id, "payment_method")?;
    let id = attach_to(at, method, &customer);
    Ok(render::payment_method(&at.world.payment_methods[&id]))
}

/// Takes a payment method from its customer, for good. Whatever it paid by default has none then.
pub(crate) fn detach(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let method = named(&at.world.payment_methods, id, "payment_method")?;
    let id = method.id.clone();
    let Some(customer) = method.customer.clone() else {
        let message =
            "The payment method you provided is not attached to a customer so detachment is impossible.";
        return Err(Refusal::state_code("payment_method_unexpected_state", message));
    };
    let subscriptions = at.world.subscriptions.iter();
    let paid: Vec<SubscriptionId> = subscriptions
        .filter(|subscription| subscription.default_payment_method.as_ref() == Some(&id))
        .map(|subscription| subscription.id.clone())
        .collect();
    for subscription in paid {
        let object = Object::Subscription(subscription.clone());
        let before = at.picture(&object);
        at.world.subscriptions[&subscription].default_payment_method = None;
        at.emit_updated("customer.subscription.updated", &object, &before);
    }
    if at.world.customers[&customer].default_payment_method.as_ref() == Some(&id) {
        let object = Object::Customer(customer.clone());
        let before = at.picture(&object);
        at.world.customers[&customer].default_payment_method = None;
        at.emit_updated("customer.updated", &object, &before);
    }
    let method = &mut at.world.payment_methods[&id];
    method.customer = None;
    method.detached = true;
    at.emit("payment_method.detached", &Object::PaymentMethod(id.clone()));
    Ok(render::payment_method(&at.world.payment_methods[&id]))
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::payment_method(named(
        &at.world.payment_methods,
        id,
        "payment_method",
    )?))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.text("customer")?;
    let kind = params.text("type")?;
    let paging = Paging::read(params)?;
    params.inert(&["allow_redisplay"]);
    params.finish()?;
    listing::page(
        &at.world.payment_methods,
        &paging,
        "/v1/payment_methods",
        render::payment_method,
        |method| {
            let own_kind = match method.kind {
                MethodKind::Card { .. } => "card",
                MethodKind::BankDebit { .. } => "us_bank_account",
            };
            customer
                .as_ref()
                .is_none_or(|id| method.customer.as_ref().is_some_and(|own| own.as_str() == id))
                && kind.as_ref().is_none_or(|kind| kind == own_kind)
        },
    )
}
