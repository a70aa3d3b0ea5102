//! What Stripe's refusal of a purchase means for the caller, where it is about what the caller named.

use billing_core::invalid::Invalid;
use billing_core::money::UNCHARGEABLE;
use billing_core::promotion::{Inapplicable, Why, Word};
use billing_stripe::StripeError;

use crate::problem::Problem;

impl Problem {
    /// What Stripe's refusal of a purchase means: 400 when it is about the promotion code, which was used up since it was looked up or
    /// which Stripe knows more about, or about an amount beyond what Stripe charges at once; else what any refusal means.
    #[must_use]
    pub fn refused(error: StripeError, word: Option<&Word>) -> Self {
        match (error, word) {
            (StripeError::Refused(refusal), _) if refusal.is_about_the_amount() => {
                Self::unchargeable("quantity")
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

    /// 400: that many cannot be charged at once.
    #[must_use]
    pub fn unchargeable(member: &str) -> Self {
        let mut invalid = Invalid::default();
        invalid.field(member, UNCHARGEABLE);
        Self::invalid(invalid)
    }

    /// 400: the promotion code cannot be used.
    pub(crate) fn inapplicable(refused: &Inapplicable) -> Self {
        Self::bad_request(refused.to_string())
    }
}
