//! What a subscription is paid by, as far as it says whether the subscription can be changed.
//!
//! Stripe lets a change wait for its payment only where the payment method is on a list of its own; a method that tells days later whether
//! it has paid is not on it. Source: Stripe, "Pending updates".

use std::fmt;

/// Those that are known not to be on Stripe's list: bank debits (a bank redirect such as iDEAL or Bancontact is kept as one of SEPA), money
/// that its owner transfers, and vouchers that are paid at a counter. What Stripe adds is left to Stripe.
const PAY_LATER: [&str; 11] = [
    "us_bank_account",
    "sepa_debit",
    "bacs_debit",
    "acss_debit",
    "au_becs_debit",
    "nz_bank_account",
    "customer_balance",
    "boleto",
    "konbini",
    "multibanco",
    "oxxo",
];

/// A kind of payment method, in Stripe's word: `card`, `sepa_debit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodKind(String);

impl MethodKind {
    /// The kind of this name.
    pub fn of(word: impl Into<String>) -> Self {
        Self(word.into())
    }

    /// Whether it is known to pay days later, so that no change can be made with it.
    #[must_use]
    pub fn pays_later(&self) -> bool {
        PAY_LATER.contains(&self.0.as_str())
    }
}

/// Stripe's word.
impl fmt::Display for MethodKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on Stripe's list, and what it has invented since, is left to Stripe.
    #[test]
    fn bank_debits_transfers_and_vouchers_pay_later() {
        for (word, later) in [
            ("card", false),
            ("link", false),
            ("paypal", false),
            ("payto", false),
            ("a word of tomorrow", false),
            ("us_bank_account", true),
            ("sepa_debit", true),
            ("bacs_debit", true),
            ("acss_debit", true),
            ("au_becs_debit", true),
            ("nz_bank_account", true),
            ("customer_balance", true),
            ("boleto", true),
        ] {
            assert_eq!(MethodKind::of(word).pays_later(), later, "{word}");
        }
    }
}
