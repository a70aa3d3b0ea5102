//! Automatic tax on a checkout page: asked for with the session, worked out once the payer has said where they are.
//!
//! The refusals are Stripe's, as somebody has recorded them in July 2026.

use super::{Moment, taxes};
use crate::id::{CheckoutSessionId, CustomerId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{Address, SessionItem, Settings};

/// What a new session is asked about taxes.
pub(crate) struct Asked {
    automatic_tax: bool,
    /// Whether the payer may give a tax id.
    tax_ids: bool,
    customer_update: Option<CustomerUpdate>,
}

/// What of the payer's entries becomes the customer's.
struct CustomerUpdate {
    address: bool,
    name: bool,
}

pub(crate) fn read(params: &Params<'_>) -> Result<Asked, Refusal> {
    const WORDS: [(&str, bool); 2] = [("auto", true), ("never", false)];
    let customer_update = match params.child("customer_update")? {
        None => None,
        Some(update) => {
            update.inert(&["shipping"]);
            Some(CustomerUpdate {
                address: update.choice("address", &WORDS)?.unwrap_or(false),
                name: update.choice("name", &WORDS)?.unwrap_or(false),
            })
        }
    };
    let tax_ids = match params.child("tax_id_collection")? {
        None => false,
        Some(collection) => {
            collection.inert(&["required"]);
            let enabled = collection.boolean("enabled")?;
            enabled.ok_or_else(|| Refusal::missing(&collection.name_of("enabled")))?
        }
    };
    Ok(Asked {
        automatic_tax: taxes::read(params)?.unwrap_or(false),
        tax_ids,
        customer_update,
    })
}

/// Whether tax is to be worked out, unless Stripe refuses what it is asked of a customer that there is.
pub(crate) fn check(at: &Moment<'_>, asked: &Asked, customer: Option<&CustomerId>) -> Result<bool, Refusal> {
    let Some(customer) = customer else {
        if asked.customer_update.is_some() {
            return Err(Refusal::state(
                "`customer_update` can only be used with `customer` or `customer_account`.",
            ));
        }
        // Where a payer is whom nobody knows, nobody has said.
        return match asked.automatic_tax {
            true => Err(Refusal::unsupported("automatic_tax[enabled]")),
            false => Ok(false),
        };
    };
    let updates = |what: fn(&CustomerUpdate) -> bool| asked.customer_update.as_ref().is_some_and(what);
    if asked.automatic_tax && !updates(|update| update.address) && !at.world.customers[customer].is_located()
    {
        return Err(Refusal::state_code(
            "customer_tax_location_invalid",
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the Customer or set `customer_update[address]` to 'auto' to save the billing address entered in Checkout to the Customer.",
        ));
    }
    if asked.tax_ids && !updates(|update| update.name) {
        return Err(Refusal::state(
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an existing customer, please set `customer_update[name]` to `auto`.",
        ));
    }
    Ok(asked.automatic_tax)
}

/// The payer of a session has said where they are, and what they are to pay follows.
pub(crate) fn locate(at: &mut Moment<'_>, id: &CheckoutSessionId, country: Option<&str>) {
    let session = &at.world.sessions[id];
    if !session.automatic_tax {
        return;
    }
    if let Some(customer) = session.customer.clone()
        && (country.is_some() || !at.world.customers[&customer].is_located())
    {
        let object = Object::Customer(customer.clone());
        let before = at.picture(&object);
        at.world.customers[&customer].address = Some(Address {
            country: Some(country.unwrap_or("US").to_owned()),
            postal_code: Some("94103".to_owned()),
            ..Address::default()
        });
        at.emit_updated("customer.updated", &object, &before);
    }
    let settings = at.world.settings;
    work_out(&mut at.world.sessions[id].items, &settings);
}

pub(crate) fn work_out(items: &mut [SessionItem], settings: &Settings) {
    for item in items {
        item.amount_tax = taxes::on(item.amount - item.amount_discount, settings);
    }
}
