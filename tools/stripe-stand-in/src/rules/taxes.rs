//! Automatic tax: switched on and off, and refused where Stripe does not know the customer's country.
//!
//! What it comes to is a setting: an account without registrations collects none.

use serde_json::{Value, json};

use super::Moment;
use crate::id::{CustomerId, InvoiceId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{AutomaticTax, Settings};

const UNLOCATED: &str = "customer_tax_location_invalid";
const NOWHERE: &str = "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.";

/// What the account has set up: all that there is to.
pub(crate) fn settings(params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(json!({
        "object": "tax.settings",
        "defaults": { "provider": "stripe", "tax_behavior": "exclusive", "tax_code": "txcd_10000000" },
        "head_office": { "address": {
            "city": null, "country": "US", "line1": null, "line2": null, "postal_code": null, "state": null,
        } },
        "livemode": false,
        "status": "active",
        "status_details": { "active": {} },
    }))
}

/// Reads `automatic_tax`: whether it is to be on.
pub(crate) fn read(params: &Params<'_>) -> Result<Option<bool>, Refusal> {
    let Some(tax) = params.child("automatic_tax")? else {
        return Ok(None);
    };
    tax.inert(&["liability"]);
    let enabled = tax.boolean("enabled")?;
    enabled
        .ok_or_else(|| Refusal::missing(&tax.name_of("enabled")))
        .map(Some)
}

/// The tax that comes on top of an amount, rounded half up; of a credit, what of it is given back.
pub(crate) fn on(amount: i64, settings: &Settings) -> i64 {
    let scaled = i128::from(amount) * i128::from(settings.tax_basis_points);
    let rounded = (scaled + 5_000).div_euclid(10_000);
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// Switches it on or off by a request, which is refused when it cannot be done.
pub(crate) fn switch(at: &Moment<'_>, customer: &CustomerId, on: bool) -> Result<AutomaticTax, Refusal> {
    match (on, at.world.customers[customer].is_located()) {
        (false, _) => Ok(AutomaticTax::Off),
        (true, true) => Ok(AutomaticTax::On),
        (true, false) => Err(Refusal::invalid_code(
            UNLOCATED,
            "automatic_tax[enabled]",
            NOWHERE,
        )),
    }
}

/// Refuses that a request makes an invoice final whose customer cannot be found any more: it stays a draft. Source: Stripe's page on customers'
/// locations.
pub(crate) fn check_final(at: &Moment<'_>, invoice: &InvoiceId) -> Result<(), Refusal> {
    if is_lost(at, invoice) {
        Err(Refusal::state_code(UNLOCATED, NOWHERE))
    } else {
        Ok(())
    }
}

/// What becomes final by itself is not taxed where its customer cannot be found any more, and neither is its subscription from then on.
pub(crate) fn forgo(at: &mut Moment<'_>, id: &InvoiceId) {
    if !is_lost(at, id) {
        return;
    }
    let object = Object::Invoice(id.clone());
    let before = at.picture(&object);
    let invoice = &mut at.world.invoices[id];
    invoice.automatic_tax = false;
    for row in &mut invoice.lines {
        row.tax = 0;
    }
    let subscription = invoice.subscription.clone();
    at.emit_updated("invoice.updated", &object, &before);
    if let Some(id) = subscription {
        let object = Object::Subscription(id.clone());
        let before = at.picture(&object);
        at.world.subscriptions[&id].automatic_tax = AutomaticTax::LacksLocation;
        at.emit_updated("customer.subscription.updated", &object, &before);
    }
}

fn is_lost(at: &Moment<'_>, invoice: &InvoiceId) -> bool {
    let invoice = &at.world.invoices[invoice];
    invoice.automatic_tax && !at.world.customers[&invoice.customer].is_located()
}
