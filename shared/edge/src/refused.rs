//! What Stripe's refusal of a purchase means for the caller, where it is about what the caller named.

use billing_core::invalid::Invalid;
use billing_core::money::{TOO_LITTLE, UNCHARGEABLE};
use billing_core::promotion::{Inapplicable, Why, Word};
use billing_core::return_url::Refused;
use billing_stripe::{Refusal, StripeError};

use crate::problem::Problem;

/// Stripe bills a customer in one currency for ever: only an operator can put that right.
const OTHER_CURRENCY: &str =
    "the customer pays in another currency than the price is in: only an operator can change that";

impl Problem {
    /// What Stripe's refusal of a purchase means: 400 when it is about the promotion code, which was used up since it was looked up or
    /// which Stripe knows more about, or about an amount that is more, or less, than Stripe charges at once; 409 when it is about the currency; else
    /// what any refusal means.
    #[must_use]
    pub fn refused(error: StripeError, word: Option<&Word>) -> Self {
        match (error, word) {
            (StripeError::Refused(refusal), _) if refusal.is_about_the_amount() => {
                Self::unchargeable(&refusal, "quantity")
            }
            (StripeError::Refused(refusal), _) if refusal.is_about_the_currency() => {
                Self::conflict(OTHER_CURRENCY)
            }
            (StripeError::Refused(refusal), Some(word)) if refusal.is_about_discounts() => {
                Self::inapplicable(&Inapplicable {
                    word: word.clone(),
                    why: Why::Refused,
                })
            }
            (error, _) => error.into(),
        }
    }

    /// 400: that many, or that few, cannot be charged at once.
    #[must_use]
    pub fn unchargeable(refusal: &Refusal, member: &str) -> Self {
        let mut invalid = Invalid::default();
        let fault = if refusal.is_too_little() {
            TOO_LITTLE
        } else {
            UNCHARGEABLE
        };
        invalid.field(member, fault);
        Self::invalid(invalid)
    }

    /// 400: Stripe does not take this member for an address that a payer could return to.
    #[must_use]
    pub fn unreachable(member: &str) -> Self {
        let mut invalid = Invalid::default();
        invalid.field(member, Refused::NotAUrl.to_string());
        Self::invalid(invalid)
    }

    /// 400: the promotion code cannot be used.
    pub(crate) fn inapplicable(refused: &Inapplicable) -> Self {
        Self::bad_request(refused.to_string())
    }
}
