//! What Stripe refuses on a connected account, in our words: never in Stripe's.

use billing_core::invalid::Invalid;
use billing_stripe::{Refusal, StripeError};

use crate::problem::Problem;

/// What is wrong with a product that the client cannot be billed for beside what it pays for already.
pub const OTHER_CURRENCY: &str = "is in another currency than the client pays in";

/// What the caller called what Stripe may object to.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    /// What is bought.
    pub product: Option<&'static str>,
    /// From when on.
    pub start: Option<&'static str>,
    /// What is taken off.
    pub coupon: Option<&'static str>,
    /// Where the client is.
    pub country: Option<&'static str>,
}

impl Fields {
    /// Of a request that names none of it.
    pub const NONE: Self = Self {
        product: None,
        start: None,
        coupon: None,
        country: None,
    };
}

/// The problem that a refusal of Stripe's is to the caller: a fault of what they named, or something about the account.
#[must_use]
pub fn refused(error: StripeError, fields: &Fields) -> Problem {
    let StripeError::Refused(refusal) = &error else {
        return error.into();
    };
    if refusal.is_of_access() {
        return Problem::no_access();
    }
    if refusal.is_about_a_restricted_account() {
        return Problem::conflict("the connected account cannot take payments at present");
    }
    let (field, fault) = match about(refusal) {
        Some(About::Tax) => (fields.country, "is not where Stripe can work out taxes"),
        Some(About::Coupon) => (fields.coupon, "cannot be redeemed"),
        Some(About::Product) => (fields.product, "cannot be sold as it is"),
        Some(About::Currency) => (fields.product, OTHER_CURRENCY),
        Some(About::Start) => (fields.start, "is not possible"),
        None => (None, ""),
    };
    match field {
        Some(field) => {
            let mut invalid = Invalid::default();
            invalid.field(field, fault);
            Problem::invalid(invalid)
        }
        None => error.into(),
    }
}

enum About {
    Tax,
    Coupon,
    Currency,
    Product,
    Start,
}

fn about(refusal: &Refusal) -> Option<About> {
    let param = refusal.param.as_deref().unwrap_or_default();
    if refusal.is_unlocated() || param.contains("automatic_tax") || param.starts_with("address") {
        Some(About::Tax)
    } else if refusal.is_about_the_currency() {
        Some(About::Currency)
    } else if refusal.is_about_discounts() || param.contains("discounts") {
        Some(About::Coupon)
    } else if refusal.is_about_items() || param.contains("price") {
        Some(About::Product)
    } else if param.contains("start_date") {
        Some(About::Start)
    } else {
        None
    }
}
