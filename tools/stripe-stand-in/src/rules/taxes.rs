//! Automatic tax: switched on and off, and refused where Stripe does not know the customer's country.
//!
//! What it comes to is a setting: an account without registrations collects none.

use serde_json::{Value, json};

use super::Moment;
use crate::id::CustomerId;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::{AutomaticTax, Settings};

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
            "customer_tax_location_invalid",
            "automatic_tax[enabled]",
            "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.",
        )),
    }
}
