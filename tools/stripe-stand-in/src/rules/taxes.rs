//! Automatic tax: switched on and off, and refused where Stripe does not know the customer's country.
//!
//! No tax is worked out: an account without registrations collects none.

use super::Moment;
use crate::id::CustomerId;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::state::AutomaticTax;

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

pub(crate) fn is_located(at: &Moment<'_>, customer: &CustomerId) -> bool {
    let address = at.world.customers[customer].address.as_ref();
    address.is_some_and(|address| address.country.is_some())
}

/// Switches it on or off by a request, which is refused when it cannot be done.
pub(crate) fn switch(at: &Moment<'_>, customer: &CustomerId, on: bool) -> Result<AutomaticTax, Refusal> {
    match (on, is_located(at, customer)) {
        (false, _) => Ok(AutomaticTax::Off),
        (true, true) => Ok(AutomaticTax::On),
        (true, false) => Err(Refusal::invalid_code(
            "customer_tax_location_invalid",
            "automatic_tax[enabled]",
            "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.",
        )),
    }
}
