//! Ids as newtypes, checked once when they enter.
//!
//! An id is a token of ASCII letters, digits, `_`, `-` and `.`, at most 255 long, an account's 200: safe inside a table key (which uses `#`) and
//! inside a URL path (Stripe clients put ids there unescaped). Of other forms are a coupon's (`50%OFF`), as agencies choose them by hand, and those of
//! prices and products that are only read of what is billed: they are escaped in a path, and go into no key. Stripe's ids carry their prefix; that an
//! object exists is not checked here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that cannot be the id it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}")]
pub struct NotAnId {
    what: &'static str,
}

/// 24 hex digits, in lower case: the ids of clients and agents as their agency knows them.
fn hex24(text: &str) -> Option<String> {
    let good = text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| text.to_ascii_lowercase())
}

/// What Stripe calls a price or a product that is only read: it is put into no key, and into no path unless it is escaped. Source of the length:
/// Stripe's description of its API.
fn free_text(text: String) -> Option<String> {
    let good = !text.is_empty() && text.len() <= 5000;
    good.then_some(text)
}

/// A UUID of any version, in lower case.
fn uuid(text: &str) -> Option<String> {
    let good = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    good.then(|| text.to_ascii_lowercase())
}

fn token(text: String, prefix: &str) -> Option<String> {
    is_token(&text, prefix).then_some(text)
}

/// An account's id goes into idempotency keys, of 255 characters, with more around it, and into the reference of a checkout session, of
/// 200. Source: Stripe's API reference.
fn account(text: String) -> Option<String> {
    token(text, "").filter(|text| text.len() <= 200)
}

/// Whatever Stripe takes. Two dots cannot be escaped in a path.
fn coupon(text: String) -> Option<String> {
    let good = (1..=255).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
        && !matches!(text.as_str(), "." | "..");
    good.then_some(text)
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
    ($($(#[$doc:meta])* $name:ident, $what:literal, $form:expr;)*) => {$(
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
                let form: fn(String) -> Option<String> = $form;
                form(text).map(Self).ok_or(NotAnId { what: $what })
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
    AccountId, "an account id", account;
    /// Somebody who sells on connected accounts.
    AgencyId, "an agency id", |text| token(text, "");
    /// Somebody with plans, customers and contracts.
    OrganisationId, "an organisation id", |text| token(text, "");
    /// A client of an agency. 24 hex digits; in upper case they are the same.
    ClientId, "24 hex digits", |text| hex24(&text);
    /// What works for a client and is billed to it. 24 hex digits; in upper case they are the same.
    AgentId, "24 hex digits", |text| hex24(&text);
    /// A phone number's own id (not the number).
    NumberId, "a number id", |text| token(text, "");
    /// An API key's public name, by which it is listed and revoked; it opens nothing.
    KeyId, "a key id", |text| token(text, "key_");
    /// A connected Stripe account, `acct_…`.
    ConnectedAccountId, "a connected account id (acct_…)", |text| token(text, "acct_");
    /// A Stripe customer, `cus_…`.
    CustomerId, "a customer id (cus_…)", |text| token(text, "cus_");
    /// A Stripe price that is sold. Prices made from old plans have ids of other forms than `price_…`.
    PriceId, "a price id", |text| token(text, "");
    /// A Stripe price that something is billed at, whoever sold it: until 2018 plans were given ids of free text, with blanks and slashes.
    BilledPriceId, "what a price is called", free_text;
    /// A Stripe Checkout Session, `cs_…`.
    SessionId, "a checkout session id (cs_…)", |text| token(text, "cs_");
    /// A Stripe subscription, `sub_…`; a schedule's id is none.
    SubscriptionId, "a subscription id (sub_…)", |text| token(text, "sub_").filter(|id| !id.starts_with("sub_sched_"));
    /// An item of a Stripe subscription, `si_…`.
    ItemId, "a subscription item id (si_…)", |text| token(text, "si_");
    /// A Stripe product that is asked for, or made here.
    ProductId, "a product id", |text| token(text, "");
    /// A Stripe product that something is billed for, whoever made it: an operator may choose its id, with blanks, colons and umlauts.
    BilledProductId, "what a product is called", free_text;
    /// A Stripe promotion code's id, `promo_…`; not the word that customers know.
    PromotionCodeId, "a promotion code id (promo_…)", |text| token(text, "promo_");
    /// A Stripe coupon. Coupons made by hand have ids of any form.
    CouponId, "a coupon id", coupon;
    /// A discount that a Stripe subscription has, `di_…`.
    DiscountId, "a discount id", |text| token(text, "");
    /// A Stripe subscription schedule, `sub_sched_…`.
    ScheduleId, "a subscription schedule id (sub_sched_…)", |text| token(text, "sub_sched_");
    /// A Stripe meter, `mtr_…`.
    MeterId, "a meter id (mtr_…)", |text| token(text, "mtr_");
    /// A Stripe invoice, `in_…`.
    InvoiceId, "an invoice id (in_…)", |text| token(text, "in_");
    /// What Stripe calls an invoice that it only previews, for as long as its lines are read.
    PreviewId, "a preview id", |text| token(text, "");
    /// A line of a Stripe invoice (`il_…`; older ones differ).
    LineId, "an invoice line id", |text| token(text, "");
    /// A Stripe payment method, `pm_…`; older ones, such as cards, have ids of any form.
    PaymentMethodId, "a payment method id", |text| token(text, "");
    /// A payment at Stripe, `pi_…`.
    PaymentIntentId, "a payment intent id (pi_…)", |text| token(text, "pi_");
    /// A charge of a payment (`ch_…`, or `py_…` by other means than a card).
    ChargeId, "a charge id", |text| token(text, "");
    /// A dispute of a charge (`du_…`; older ones `dp_…`).
    DisputeId, "a dispute id", |text| token(text, "");
    /// A credit note on an invoice, `cn_…`.
    CreditNoteId, "a credit note id (cn_…)", |text| token(text, "cn_");
    /// A Stripe event, `evt_…`.
    EventId, "an event id (evt_…)", |text| token(text, "evt_");
    /// The part of an organisation that sells: it has a time zone.
    BusinessEntityId, "a business entity id (a uuid)", |text| uuid(&text);
    /// A customer of an organisation; not the one that Stripe has for it.
    BuyerId, "a customer id (a uuid)", |text| uuid(&text);
    /// A plan of the catalog.
    PlanId, "a plan id (a uuid)", |text| uuid(&text);
    /// A product of a plan; not the one that Stripe has for it.
    OfferedId, "a product id (a uuid)", |text| uuid(&text);
    /// What a customer has bought of a plan.
    ContractId, "a contract id (a uuid)", |text| uuid(&text);
    /// A checkout session of ours; not one of Stripe's.
    CheckoutId, "a checkout id (a uuid)", |text| uuid(&text);
}

impl PartialEq<PriceId> for BilledPriceId {
    fn eq(&self, sold: &PriceId) -> bool {
        self.0 == sold.0
    }
}

impl PartialEq<ProductId> for BilledProductId {
    fn eq(&self, asked: &ProductId) -> bool {
        self.0 == asked.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_is_only_read_has_any_name() {
        let old = "Pro plan $699/month";
        assert!(old.parse::<PriceId>().is_err());
        assert_eq!(old.parse::<BilledPriceId>().unwrap().as_str(), old);
        assert!("".parse::<BilledPriceId>().is_err());
        let sold: PriceId = "price_1".parse().unwrap();
        assert!("price_1".parse::<BilledPriceId>().unwrap() == sold);
        assert!("price_2".parse::<BilledPriceId>().unwrap() != sold);
    }

    #[test]
    fn a_product_that_is_only_read_has_any_name() {
        for chosen in ["Voice Agent 2027", "voice:agent", "plan#1", "München"] {
            assert!(chosen.parse::<ProductId>().is_err(), "{chosen}");
            assert_eq!(chosen.parse::<BilledProductId>().unwrap().as_str(), chosen);
        }
        assert!("".parse::<BilledProductId>().is_err());
        let asked: ProductId = "prod_1".parse().unwrap();
        assert!("prod_1".parse::<BilledProductId>().unwrap() == asked);
        assert!("prod_2".parse::<BilledProductId>().unwrap() != asked);
    }

    #[test]
    fn an_id_is_safe_in_a_key_and_in_a_path() {
        for bad in [
            "", "a b", "a/b", "a#b", "a?b", "a%2fb", ".", "..", "a..b", "../x", "é", "a\nb",
        ] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
        assert!("A-1_b.c".parse::<AccountId>().is_ok());
        assert!("x".repeat(200).parse::<AccountId>().is_ok());
        assert!("x".repeat(201).parse::<AccountId>().is_err());
        assert!("x".repeat(255).parse::<NumberId>().is_ok());
        assert!("x".repeat(256).parse::<NumberId>().is_err());
    }

    #[test]
    fn a_uuid_is_read_in_either_case_and_told_in_one() {
        let text = "0B5F1C9E-3A57-4E38-9C3F-6D1A2B3C4D5E";
        let id: PlanId = text.parse().unwrap();
        assert_eq!(id.as_str(), text.to_lowercase());
        for bad in [
            "",
            "0b5f1c9e3a574e389c3f6d1a2b3c4d5e",
            "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5",
            "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5g",
            "{0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e}",
        ] {
            assert_eq!(
                bad.parse::<PlanId>().unwrap_err().to_string(),
                "not a plan id (a uuid)"
            );
        }
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

    #[test]
    fn a_schedule_is_no_subscription() {
        assert!("sub_sched_1".parse::<ScheduleId>().is_ok());
        assert!("sub_sched_1".parse::<SubscriptionId>().is_err());
        assert!("sub_1".parse::<ScheduleId>().is_err());
    }

    #[test]
    fn an_id_of_24_hex_digits_is_the_same_in_either_case() {
        let digits = "0123456789abcdefABCDEF01";
        let id: ClientId = digits.parse().unwrap();
        assert_eq!(id.as_str(), "0123456789abcdefabcdef01");
        for bad in [
            "",
            "0123456789abcdef0123456",
            "0123456789abcdef012345678",
            "0123456789abcdef0123456g",
            "0123456789abcdef012345é",
        ] {
            assert_eq!(
                bad.parse::<AgentId>().unwrap_err().to_string(),
                "not 24 hex digits",
                "{bad}"
            );
        }
    }
}
