//! What can go wrong between us and Stripe, told apart by what it means for the money.

use std::time::Duration;

/// Stripe's refusal, in Stripe's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status, 400 to 499.
    pub status: u16,
    /// Stripe's `error.type`.
    pub kind: String,
    /// Stripe's `error.code`, where there is one.
    pub code: Option<String>,
    /// The parameter at fault, where there is one.
    pub param: Option<String>,
    /// Stripe's words, which may repeat what was sent: not for the log, and whether they may be told is for the caller to say.
    pub message: String,
}

impl Refusal {
    /// Whether what was named is not there (404).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == 404
    }

    /// Whether Stripe does not take the key (401): it was rolled or deleted.
    #[must_use]
    pub fn is_unauthorised(&self) -> bool {
        self.status == 401
    }

    /// Whether the key may not do what was asked (403): a restricted one lacks the permission, or the account is not ours to speak for.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status == 403
    }

    /// Whether Stripe gives us no access to the account that was spoken for: it was disconnected, or is none. A key that may not do what
    /// was asked is refused with 403 too, and is our own fault.
    #[must_use]
    pub fn is_of_access(&self) -> bool {
        self.is_forbidden()
            && (self.code.as_deref() == Some("account_invalid")
                || self.message.contains("does not have access to account"))
    }

    /// Whether the account that was spoken for may not take payments: Stripe has restricted it, or waits for something of it.
    #[must_use]
    pub fn is_about_a_restricted_account(&self) -> bool {
        self.code.as_deref() == Some("testmode_charges_only")
            || self.message.contains("cannot currently make")
    }

    /// Whether it is the payer's bank that refuses, in Stripe's words for the payer.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        self.kind == "card_error"
    }

    /// Whether Stripe says that the object named by this parameter does not exist.
    #[must_use]
    pub fn is_missing(&self, param: &str) -> bool {
        self.code.as_deref() == Some("resource_missing") && self.param.as_deref() == Some(param)
    }

    /// Whether Stripe objects to what is to be charged. Of a product that was archived it does not always name the parameter.
    #[must_use]
    pub fn is_about_items(&self) -> bool {
        self.param.as_deref().is_some_and(|param| param.contains("items"))
            || self.message.contains("is marked as inactive")
    }

    /// As Stripe tells of an object that it does not have, where it told of it in another way.
    pub(crate) fn missing(param: &str) -> Self {
        Self {
            status: 404,
            kind: "invalid_request_error".to_owned(),
            code: Some("resource_missing".to_owned()),
            param: Some(param.to_owned()),
            message: String::new(),
        }
    }

    /// Whether Stripe objects to where a payer is to return to: it reads addresses more strictly than browsers do.
    #[must_use]
    pub fn is_about_the_return_address(&self) -> bool {
        let param = self.param.as_deref();
        self.code.as_deref() == Some("url_invalid")
            || matches!(param, Some("return_url" | "success_url" | "cancel_url"))
    }

    /// Whether Stripe objects to an e-mail address.
    #[must_use]
    pub fn is_about_the_address(&self) -> bool {
        self.code.as_deref() == Some("email_invalid") || self.param.as_deref() == Some("email")
    }

    /// Whether Stripe cannot work out taxes, as it does not know well enough where the payer is.
    #[must_use]
    pub fn is_unlocated(&self) -> bool {
        self.code.as_deref() == Some("customer_tax_location_invalid")
    }

    /// Whether Stripe objects to where somebody lives.
    #[must_use]
    pub fn is_about_the_whereabouts(&self) -> bool {
        self.param
            .as_deref()
            .is_some_and(|param| param.starts_with("address"))
    }

    /// Whether Stripe objects to the discounts of a request: a code that was used up since it was looked up, or that Stripe
    /// knows more about than it tells. Where it names neither a parameter nor a code of its own, its words do, which begin with what they
    /// are about.
    #[must_use]
    pub fn is_about_discounts(&self) -> bool {
        const WORDS: [&str; 3] = ["This promotion code", "This coupon", "Coupon expired"];
        let code = self.code.as_deref().unwrap_or_default();
        let param = self.param.as_deref().unwrap_or_default();
        param.starts_with("discounts")
            || param.starts_with("promotion_code")
            || code.starts_with("promotion_code")
            || code.starts_with("coupon")
            || (param.is_empty()
                && code.is_empty()
                && WORDS.iter().any(|words| self.message.starts_with(words)))
    }

    /// Whether Stripe objects to an amount that is less than it charges at once.
    #[must_use]
    pub fn is_too_little(&self) -> bool {
        self.code.as_deref() == Some("amount_too_small")
    }

    /// Whether Stripe objects to an amount that is more, or less, than it charges at once. It has codes for what is due, and for a quantity
    /// only words.
    #[must_use]
    pub fn is_about_the_amount(&self) -> bool {
        self.is_too_little()
            || self.code.as_deref() == Some("amount_too_large")
            || (self.param.as_deref().is_some_and(is_of_quantity) && self.message.contains("no more than"))
    }

    /// Whether Stripe objects to billing one customer, or one subscription, in two currencies. It has no code for it. All prices of one request
    /// of ours are of one interval, so that a mismatch of the two is one of the currency.
    #[must_use]
    pub fn is_about_the_currency(&self) -> bool {
        const WORDS: [&str; 3] = [
            "combine currencies",
            "match the expected currency",
            "mismatch in interval or currency",
        ];
        self.param.as_deref() == Some("currency") || WORDS.iter().any(|words| self.message.contains(words))
    }

    /// Whether Stripe objects to a quantity of what is billed by its usage.
    #[must_use]
    pub fn is_about_a_metered_quantity(&self) -> bool {
        self.param.as_deref().is_some_and(is_of_quantity) && self.message.contains("metered")
    }

    /// Whether there is no invoice to preview.
    #[must_use]
    pub fn is_about_no_invoice(&self) -> bool {
        self.code.as_deref() == Some("invoice_upcoming_none")
    }

    /// Whether the payer would have had to confirm a payment (3-D Secure) that was not to wait for it.
    #[must_use]
    pub fn wants_confirmation(&self) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| code.ends_with("_requires_action") || code == "authentication_required")
    }

    /// Whether Stripe objects to having a change wait for its payment: with its discounts, or because of how the subscription is paid. By
    /// which methods no change can be paid Stripe documents, and not how it refuses them; the parameter is the likeliest.
    #[must_use]
    pub fn is_about_waiting(&self) -> bool {
        self.param.as_deref() == Some("payment_behavior") || self.is_about_waiting_discounts()
    }

    /// Whether there is nothing to give back of a payment: it was given back, or its payer disputes it, and has the money from its bank.
    #[must_use]
    pub fn is_about_money_that_is_gone(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("charge_already_refunded" | "charge_disputed")
        )
    }

    /// Whether Stripe objects to the payment method that was to pay a subscription, or a phase of its schedule: it is not its customer's, perhaps not
    /// any more.
    #[must_use]
    pub fn is_about_the_payment_method(&self) -> bool {
        self.param
            .as_deref()
            .is_some_and(|param| param.contains("default_payment_method"))
    }

    /// Whether there is nothing that Stripe could charge.
    #[must_use]
    pub fn is_about_no_payer(&self) -> bool {
        self.code.as_deref() == Some("resource_missing")
            && self.param.is_none()
            && self.message.contains("no attached payment source")
    }

    /// Whether Stripe objects to having discounts wait for a payment: documented as allowed since 2026-05-27, and as refused elsewhere.
    #[must_use]
    pub fn is_about_waiting_discounts(&self) -> bool {
        // There is no code for it: the parameter as a whole is refused, and the words name what it does not go with.
        match self.param.as_deref() {
            Some("payment_behavior") => self.message.contains("discounts"),
            Some("discounts") => self.message.contains("pending"),
            _ => false,
        }
    }
}

/// Whether a parameter is a quantity: that of a request, or of one of its items.
fn is_of_quantity(param: &str) -> bool {
    param == "quantity" || param.ends_with("[quantity]")
}

/// Why a call has no answer to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// Stripe understood and said no. Nothing changed.
    // Without the message: Stripe repeats in it what it was sent, an e-mail address perhaps.
    #[error("stripe refused: {} {}", .0.status, .0.code.as_deref().unwrap_or(&.0.kind))]
    Refused(Refusal),
    /// Stripe was not reached, or was too busy, and nothing changed. Another try may go through.
    #[error("stripe is unavailable: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
        /// How long Stripe asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The request was sent and no answer came, or one that tells nothing: it may have taken effect. The next call with the
    /// same idempotency key finds out.
    #[error("the outcome at stripe is unknown: {reason}")]
    Unknown {
        /// For the log.
        reason: String,
        /// How long Stripe asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// Stripe has stored a failure under this idempotency key and will repeat it for as long as it keeps the key. Only
    /// another key can succeed.
    #[error("the idempotency key is spent: {reason}")]
    Spent {
        /// For the log.
        reason: String,
        /// Whether the key was first used with another body: another build has asked for the same in other words, and may not have
        /// been answered yet.
        reworded: bool,
    },
    /// An answer that cannot be what it should be.
    #[error("stripe answered something unexpected: {reason}")]
    Unexpected {
        /// For the log.
        reason: String,
    },
}

impl StripeError {
    /// What a key comes to that another build has used, in other words, a moment ago: what it asked for is not known before it is
    /// answered. None for any other error.
    #[must_use]
    pub fn asked_in_other_words(&self) -> Option<Self> {
        match self {
            Self::Spent {
                reason,
                reworded: true,
            } => Some(Self::Unknown {
                reason: reason.clone(),
                retry_after: None,
            }),
            _ => None,
        }
    }

    /// Whether Stripe says that the object named by this parameter does not exist.
    #[must_use]
    pub fn is_missing(&self, param: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_missing(param))
    }

    /// For how long Stripe asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Unknown { retry_after, .. } => *retry_after,
            Self::Refused(_) | Self::Spent { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// The same, told to wait for so long.
    pub(crate) fn after(mut self, wait: Option<Duration>) -> Self {
        if let Self::Unavailable { retry_after, .. } | Self::Unknown { retry_after, .. } = &mut self {
            *retry_after = wait;
        }
        self
    }
}

/// Whether there was anything to read.
pub(crate) fn known<T>(found: Result<T, StripeError>) -> Result<bool, StripeError> {
    match found {
        Ok(_) => Ok(true),
        Err(StripeError::Refused(refusal)) if refusal.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is there; none where Stripe says that the object named by this parameter does not exist.
pub(crate) fn unless_missing<T>(
    answer: Result<T, StripeError>,
    param: &str,
) -> Result<Option<T>, StripeError> {
    match answer {
        Err(error) if error.is_missing(param) => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(param: &str, code: Option<&str>, message: &str) -> Refusal {
        Refusal {
            status: 400,
            kind: "invalid_request_error".to_owned(),
            code: code.map(str::to_owned),
            param: Some(param.to_owned()),
            message: message.to_owned(),
        }
    }

    /// The words of Stripe's reference for parameters that cannot wait.
    #[test]
    fn discounts_that_cannot_wait_are_no_fault_of_the_code() {
        let cannot_wait = "You cannot set `discounts` when `payment_behavior` is `pending_if_incomplete`";
        for param in ["discounts", "payment_behavior"] {
            assert!(
                refused(param, None, cannot_wait).is_about_waiting_discounts(),
                "{param}"
            );
            assert!(refused(param, None, cannot_wait).is_about_waiting(), "{param}");
        }
        assert!(!refused("discounts[0][promotion_code]", None, "This code is used up.").is_about_waiting());
    }

    /// Such a change is not asked for at once instead: it would be made, and paid days later or never.
    #[test]
    fn how_a_subscription_is_paid_is_no_matter_of_discounts() {
        let refused = refused("payment_behavior", None, "not supported for this payment method");
        assert!(refused.is_about_waiting() && !refused.is_about_waiting_discounts());
    }

    /// Stripe's words for an item, and its code for a checkout session. A quantity that is wrong in another way is ours to put right.
    #[test]
    fn an_amount_beyond_what_is_charged_at_once_is_known_by_its_code_or_its_words() {
        let of_item = "Invalid quantity: total amount (quantity * price.unit_amount) must be no more than $999,999.99 USD";
        assert!(refused("items[0][quantity]", None, of_item).is_about_the_amount());
        assert!(refused("", Some("amount_too_large"), "").is_about_the_amount());
        assert!(!refused("", Some("amount_too_large"), "").is_too_little());
        let small = refused("", Some("amount_too_small"), "");
        assert!(small.is_about_the_amount() && small.is_too_little());
        let metered = "Quantity should not be specified where usage_type is `metered`.";
        let metered = refused("items[0][quantity]", None, metered);
        assert!(!metered.is_about_the_amount() && metered.is_about_a_metered_quantity());
        assert!(!refused("expires_at", None, "must be no more than 24 hours").is_about_the_amount());
    }

    /// The words of Stripe, which come without a code.
    #[test]
    fn two_currencies_of_one_customer_are_known_by_the_words() {
        let words = "You cannot combine currencies on a single customer. This customer has an active subscription, subscription \
                     schedule, discount, quote, or invoice item with currency usd.";
        assert!(refused("", None, words).is_about_the_currency());
        assert!(refused("currency", None, "").is_about_the_currency());
        // Of a price that is to take the place of another, or that a customer is to pay who has paid before.
        let of_price =
            "The price specified only supports `usd`. This doesn't match the expected currency: `aud`.";
        assert!(refused("", None, of_price).is_about_the_currency());
        let of_items = "Currency and interval fields must match across all plans on this subscription. Found mismatch in interval \
                        or currency field.";
        assert!(refused("items", None, of_items).is_about_the_currency());
        assert!(!refused("discounts", None, "The coupon is in another currency.").is_about_the_currency());
    }

    #[test]
    fn a_refused_code_is_known_by_its_parameter_or_its_code() {
        assert!(refused("discounts[0][promotion_code]", None, "").is_about_discounts());
        assert!(refused("promotion_code", None, "").is_about_discounts());
        assert!(refused("", Some("coupon_expired"), "").is_about_discounts());
        assert!(refused("", Some("promotion_code_expired"), "").is_about_discounts());
        assert!(!refused("items[0][price]", Some("resource_missing"), "").is_about_discounts());
    }

    /// Such refusals have come without parameter and code. What names a parameter of ours, or another code, is none whatever its words.
    #[test]
    fn a_refused_code_that_is_told_of_in_words_alone_is_known_by_them() {
        let words =
            "This promotion code cannot be redeemed because the associated customer has prior transactions.";
        assert!(refused("", None, words).is_about_discounts());
        assert!(!refused("items[0][price]", None, words).is_about_discounts());
        assert!(!refused("", Some("rate_limit"), words).is_about_discounts());
        assert!(!refused("", None, "A promotion code and a price were given.").is_about_discounts());
    }

    /// Each by its code, and by the words that have come without one.
    #[test]
    fn what_an_account_cannot_take_and_what_is_not_sold_are_known_by_code_or_words() {
        assert!(refused("", Some("testmode_charges_only"), "").is_about_a_restricted_account());
        assert!(
            refused("", None, "Your account cannot currently make live charges.")
                .is_about_a_restricted_account()
        );
        assert!(!refused("", None, "Your card was declined.").is_about_a_restricted_account());
        assert!(refused("items[0][price]", None, "").is_about_items());
        assert!(refused("", None, "The price specified is marked as inactive.").is_about_items());
        assert!(!refused("customer", None, "No such customer").is_about_items());
    }

    #[test]
    fn a_payment_that_waits_for_its_payer_is_known_by_either_code() {
        for code in [
            "authentication_required",
            "subscription_payment_intent_requires_action",
            "invoice_payment_intent_requires_action",
        ] {
            assert!(refused("", Some(code), "").wants_confirmation(), "{code}");
        }
        assert!(!refused("", Some("card_declined"), "").wants_confirmation());
    }

    #[test]
    fn money_that_went_back_already_is_known_by_either_code() {
        for code in ["charge_already_refunded", "charge_disputed"] {
            assert!(
                refused("", Some(code), "").is_about_money_that_is_gone(),
                "{code}"
            );
        }
        assert!(!refused("", Some("charge_expired_for_capture"), "").is_about_money_that_is_gone());
    }

    #[test]
    fn an_address_is_known_by_its_code_or_its_parameter() {
        assert!(refused("", Some("email_invalid"), "").is_about_the_address());
        assert!(refused("email", None, "").is_about_the_address());
        assert!(!refused("name", None, "").is_about_the_address());
    }
}
