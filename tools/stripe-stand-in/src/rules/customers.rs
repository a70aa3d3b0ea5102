//! Customers.

use serde_json::{Value, json};

use super::listing::{self, Paging, Range};
use super::{Moment, lifecycle, named, payment_methods, referred, scheduling};
use crate::id::{CustomerId, Id, PaymentMethodId, SubscriptionId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Address, CancellationReason, Currency, Customer, Metadata};

/// Parameters that change nothing in what the stand-in does with a customer.
const INERT: [&str; 5] = [
    "preferred_locales",
    "shipping",
    "tax",
    "business_name",
    "individual_name",
];

/// In characters. Source: Stripe's reference of customers.
const LONGEST_EMAIL: usize = 512;

const DEFAULT_METHOD: &str = "invoice_settings[default_payment_method]";

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let email = params.text("email")?;
    email.as_deref().map_or(Ok(()), check_email)?;
    let mut customer = blank(at, email);
    read_common(&mut customer, params, false)?;
    let method = params.text("payment_method")?;
    let default = read_default_method(params)?;
    let test_clock = params.text("test_clock")?;
    params.unsupported(&["source", "tax_id_data", "cash_balance"])?;
    params.finish()?;
    customer.test_clock = test_clock
        .map(|id| referred(&at.world.test_clocks, &id, "test_clock").map(|clock| clock.id.clone()))
        .transpose()?;
    let attachable = method
        .map(|method| payment_methods::attachable(at, &method, "payment_method"))
        .transpose()?;
    if let Change::Set(_) = default
        && attachable.is_none()
    {
        return Err(Refusal::invalid(
            DEFAULT_METHOD,
            "A new customer's default must be its `payment_method`.",
        ));
    }
    let id = at.world.customers.insert(customer);
    if let Some(attachable) = attachable {
        let method = payment_methods::attach_to(at, attachable, &id);
        if let Change::Set(_) = default {
            at.world.customers[&id].default_payment_method = Some(method);
        }
    }
    let object = Object::Customer(id);
    at.emit("customer.created", &object);
    Ok(at.picture(&object))
}

/// A customer as checkout makes one, of an e-mail address alone.
pub(crate) fn create_for_checkout(at: &mut Moment<'_>, email: Option<String>) -> CustomerId {
    let customer = blank(at, email);
    let id = at.world.customers.insert(customer);
    at.emit("customer.created", &Object::Customer(id.clone()));
    id
}

fn blank(at: &mut Moment<'_>, email: Option<String>) -> Customer {
    Customer {
        id: at.world.ids.make(),
        created: at.now,
        deleted: false,
        test_clock: None,
        email,
        name: None,
        phone: None,
        description: None,
        address: None,
        metadata: Metadata::new(),
        currency: None,
        balance: 0,
        delinquent: false,
        invoice_prefix: at.world.ids.text("", 8).to_ascii_uppercase(),
        next_invoice_sequence: 1,
        default_payment_method: None,
    }
}

fn read_common(customer: &mut Customer, params: &Params<'_>, merges: bool) -> Result<(), Refusal> {
    params.change("name")?.apply(&mut customer.name);
    params.change("phone")?.apply(&mut customer.phone);
    params.change("description")?.apply(&mut customer.description);
    params.metadata_into(&mut customer.metadata)?;
    if let Some(balance) = params.integer("balance")? {
        customer.balance = balance;
    }
    if let Some(prefix) = params.text("invoice_prefix")? {
        customer.invoice_prefix = prefix;
    }
    if let Some(sequence) = params.count("next_invoice_sequence", 1)? {
        customer.next_invoice_sequence = sequence;
    }
    if params.is_object("address") {
        customer.address = params
            .child("address")?
            .map(|told| read_address(&told, customer.address.take().filter(|_| merges)))
            .transpose()?;
    } else if params.change("address")? == Change::Clear {
        customer.address = None;
    }
    params.choice("tax_exempt", &[("none", ()), ("exempt", ()), ("reverse", ())])?;
    params.inert(&INERT);
    Ok(())
}

/// What surely is no e-mail address. What else Stripe refuses it does not document.
fn check_email(email: &str) -> Result<(), Refusal> {
    let sound =
        email.contains('@') && !email.contains(char::is_whitespace) && email.chars().count() <= LONGEST_EMAIL;
    if sound {
        Ok(())
    } else {
        let message = format!("Invalid email address: {email}");
        Err(Refusal::invalid_code("email_invalid", "email", message))
    }
}

fn read_address(params: &Params<'_>, kept: Option<Address>) -> Result<Address, Refusal> {
    let mut address = kept.unwrap_or_default();
    params.change("city")?.apply(&mut address.city);
    params.change("country")?.apply(&mut address.country);
    params.change("line1")?.apply(&mut address.line1);
    params.change("line2")?.apply(&mut address.line2);
    params.change("postal_code")?.apply(&mut address.postal_code);
    params.change("state")?.apply(&mut address.state);
    Ok(address)
}

fn read_default_method(params: &Params<'_>) -> Result<Change<String>, Refusal> {
    let Some(settings) = params.child("invoice_settings")? else {
        return Ok(Change::Keep);
    };
    settings.inert(&["custom_fields", "footer", "rendering_options"]);
    settings.change("default_payment_method")
}

/// A payment method that belongs to the customer.
pub(crate) fn own_method(
    at: &Moment<'_>,
    id: &CustomerId,
    method: &str,
    param: &str,
) -> Result<PaymentMethodId, Refusal> {
    let method = referred(&at.world.payment_methods, method, param)?;
    if method.customer.as_ref() != Some(id) {
        let message = "The customer does not have a payment method with that ID. It must be attached to the customer first.";
        return Err(Refusal::invalid_code("resource_missing", param, message));
    }
    Ok(method.id.clone())
}

/// A deleted customer answers 200, with `deleted: true` and nothing else.
pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::customer(named(&at.world.customers, id, "id")?))
}

/// A customer that a parameter refers to and that is not deleted.
pub(crate) fn live<'a>(at: &'a Moment<'_>, id: &str, param: &str) -> Result<&'a Customer, Refusal> {
    let customer = referred(&at.world.customers, id, param)?;
    if customer.deleted {
        Err(Refusal::no_such("customer", id, param))
    } else {
        Ok(customer)
    }
}

/// A customer is billed in the currency of their first bill, and in no other.
pub(crate) fn pays_in(at: &Moment<'_>, id: &CustomerId, currency: &Currency) -> Result<(), Refusal> {
    match &at.world.customers[id].currency {
        Some(known) if known != currency => {
            let known = known.as_str();
            Err(Refusal::state(format!(
                "You cannot combine currencies on a single customer. This customer has an active subscription, subscription \
                 schedule, discount, quote, or invoice item with currency {known}."
            )))
        }
        _ => Ok(()),
    }
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let email = params.text("email")?;
    let test_clock = params.text("test_clock")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    listing::page(
        &at.world.customers,
        &paging,
        "/v1/customers",
        render::customer,
        |customer| {
            !customer.deleted
                // Without a clock, those of no clock.
                && test_clock.as_deref() == customer.test_clock.as_ref().map(Id::as_str)
                && created.contains(customer.created)
                && email
                    .as_ref()
                    .is_none_or(|email| customer.email.as_ref() == Some(email))
        },
    )
}

pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let known = named(&at.world.customers, id, "id")?;
    if known.deleted {
        return Err(Refusal::not_found("customer", id, "id"));
    }
    let mut customer = known.clone();
    let id = customer.id.clone();
    let email = params.change("email")?;
    if let Change::Set(email) = &email {
        check_email(email)?;
    }
    email.apply(&mut customer.email);
    read_common(&mut customer, params, at.world.settings.addresses_merge)?;
    let default = read_default_method(params)?;
    params.unsupported(&["source", "default_source", "card", "bank_account", "cash_balance"])?;
    params.finish()?;
    match default {
        Change::Keep => {}
        Change::Clear => customer.default_payment_method = None,
        Change::Set(method) => {
            customer.default_payment_method = Some(own_method(at, &id, &method, DEFAULT_METHOD)?)
        }
    }
    let object = Object::Customer(id.clone());
    let before = at.picture(&object);
    at.world.customers[&id] = customer;
    at.emit_updated("customer.updated", &object, &before);
    Ok(at.picture(&object))
}

/// Deletes the customer and, as Stripe does, ends their subscriptions at once.
pub(crate) fn delete(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let customer = named(&at.world.customers, id, "id")?;
    if customer.deleted {
        return Err(Refusal::not_found("customer", id, "id"));
    }
    let id = customer.id.clone();
    let running: Vec<SubscriptionId> = at
        .world
        .subscriptions
        .iter()
        .filter(|subscription| subscription.customer == id && !subscription.has_ended())
        .map(|subscription| subscription.id.clone())
        .collect();
    for subscription in running {
        lifecycle::end(at, &subscription, CancellationReason::Requested);
    }
    scheduling::follow_deletion(at, &id);
    at.emit("customer.deleted", &Object::Customer(id.clone()));
    at.world.customers[&id].deleted = true;
    Ok(json!({ "id": id.as_str(), "object": "customer", "deleted": true }))
}
