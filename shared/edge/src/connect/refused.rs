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

/// What a caller is told while a machine that asked for a start in time, which is over, may be waiting for Stripe's answer.
#[must_use]
pub fn awaited_start() -> Problem {
    Problem::unavailable("a start that is over may still be on its way to Stripe")
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
    if refusal.is_unlocated() || refusal.is_about_the_whereabouts() || param.contains("automatic_tax") {
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields {
        product: Some("product"),
        start: Some("start"),
        coupon: Some("coupon"),
        country: Some("country"),
    };

    fn refusal(code: Option<&str>, param: Option<&str>) -> Refusal {
        Refusal {
            status: 400,
            kind: "invalid_request_error".to_owned(),
            code: code.map(str::to_owned),
            param: param.map(str::to_owned),
            message: "no".to_owned(),
        }
    }

    #[test]
    fn what_stripe_blames_is_told_by_the_field_that_it_came_from() {
        for (code, param, field) in [
            (Some("customer_tax_location_invalid"), None, "country"),
            (None, Some("default_settings[automatic_tax][enabled]"), "country"),
            (None, Some("address[country]"), "country"),
            (None, Some("phases[0][discounts][0][coupon]"), "coupon"),
            (None, Some("phases[0][items][0][price]"), "product"),
            (None, Some("price"), "product"),
            (None, Some("currency"), "product"),
            (None, Some("start_date"), "start"),
            (None, Some("phases[0][start_date]"), "start"),
        ] {
            let told = refused(StripeError::Refused(refusal(code, param)), &FIELDS);
            assert_eq!(told.status, 400, "{code:?} {param:?}");
            let told = told.envelope();
            assert!(
                told.contains(&format!("\"{field}\":")),
                "{code:?} {param:?}: {told}"
            );
        }
        let other = refused(StripeError::Refused(refusal(None, Some("metadata"))), &FIELDS);
        assert_eq!(other.status, 502);
        let unnamed = refused(
            StripeError::Refused(refusal(None, Some("start_date"))),
            &Fields::NONE,
        );
        assert_eq!(unnamed.status, 502);
    }
}
