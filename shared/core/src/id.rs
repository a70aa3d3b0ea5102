//! Ids as newtypes, checked once when they enter.
//!
//! An id is a token of ASCII letters, digits, `_`, `-` and `.`, at most 255 long: safe inside a table key (which uses `#`) and
//! inside a URL path (Stripe clients put ids there unescaped). Stripe's ids carry their prefix; that an object exists is not
//! checked here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that cannot be the id it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}")]
pub struct NotAnId {
    what: &'static str,
}

fn is_token(text: &str, prefix: &str) -> bool {
    text.len() > prefix.len()
        && text.len() <= 255
        && text.starts_with(prefix)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && !text.starts_with('.')
        && !text.contains("..")
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as it is written everywhere.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                if is_token(&text, $prefix) { Ok(Self(text)) } else { Err(NotAnId { what: $what }) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A customer of the deploying company.
    AccountId, "an account id", "";
    /// A phone number's own id (not the number).
    NumberId, "a number id", "";
    /// An API key's public name, by which it is listed and revoked; it opens nothing.
    KeyId, "a key id", "key_";
    /// A connected Stripe account, `acct_…`.
    ConnectedAccountId, "a connected account id (acct_…)", "acct_";
    /// A Stripe customer, `cus_…`.
    CustomerId, "a customer id (cus_…)", "cus_";
    /// A Stripe price. Prices made from old plans have ids of any form.
    PriceId, "a price id", "";
    /// A Stripe Checkout Session, `cs_…`.
    SessionId, "a checkout session id (cs_…)", "cs_";
    /// A Stripe subscription, `sub_…`.
    SubscriptionId, "a subscription id (sub_…)", "sub_";
    /// An item of a Stripe subscription, `si_…`.
    ItemId, "a subscription item id (si_…)", "si_";
    /// A Stripe product. Products made by hand have ids of any form.
    ProductId, "a product id", "";
    /// A Stripe promotion code's id, `promo_…`; not the word that customers know.
    PromotionCodeId, "a promotion code id (promo_…)", "promo_";
    /// A Stripe invoice, `in_…`.
    InvoiceId, "an invoice id (in_…)", "in_";
    /// What Stripe calls an invoice that it only previews, for as long as its lines are read.
    PreviewId, "a preview id", "";
    /// A line of a Stripe invoice (`il_…`; older ones differ).
    LineId, "an invoice line id", "";
    /// A Stripe event, `evt_…`.
    EventId, "an event id (evt_…)", "evt_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_safe_in_a_key_and_in_a_path() {
        for bad in [
            "", "a b", "a/b", "a#b", "a?b", "a%2fb", ".", "..", "a..b", "../x", "é", "a\nb",
        ] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
        assert!("A-1_b.c".parse::<AccountId>().is_ok());
        assert!("x".repeat(256).parse::<AccountId>().is_err());
    }

    #[test]
    fn a_stripe_id_carries_its_prefix_and_more() {
        assert!("cus_1".parse::<CustomerId>().is_ok());
        assert_eq!(
            "sub_1".parse::<CustomerId>().unwrap_err().to_string(),
            "not a customer id (cus_…)"
        );
        assert!("cus_".parse::<CustomerId>().is_err());
    }
}
