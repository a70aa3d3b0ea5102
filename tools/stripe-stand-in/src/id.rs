//! Ids that look like Stripe's, each kind a type of its own, and the source that makes them.
//!
//! The source is a counter that is hashed, not chance: two runs with the same requests make the same ids, so that a failing
//! scenario can be repeated. It makes no promise that ids cannot be guessed.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every id has: a prefix that tells its kind, and a text.
pub(crate) trait Id: Clone + Ord + Sized {
    /// The start of every id of this kind, with its underscore.
    const PREFIX: &'static str;
    /// How many letters and digits follow the prefix.
    const LENGTH: usize;

    fn from_text(text: String) -> Self;
    fn as_str(&self) -> &str;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($prefix:literal, $length:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(String);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            const LENGTH: usize = $length;

            fn from_text(text: String) -> Self {
                Self(text)
            }

            fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A connected account, or the platform itself.
    AccountId("acct_", 16);
    CustomerId("cus_", 14);
    ProductId("prod_", 14);
    PriceId("price_", 24);
    PaymentMethodId("pm_", 24);
    CheckoutSessionId("cs_test_", 58);
    SessionItemId("li_", 24);
    SubscriptionId("sub_", 24);
    SubscriptionItemId("si_", 14);
    InvoiceId("in_", 24);
    InvoiceLineId("il_", 24);
    InvoiceItemId("ii_", 24);
    InvoicePaymentId("inpay_", 24);
    /// A coupon at work on a customer or a subscription.
    DiscountId("di_", 24);
    PaymentIntentId("pi_", 24);
    ChargeId("ch_", 24);
    /// Made ones have no prefix; most are chosen by whoever makes the coupon.
    CouponId("", 8);
    PromotionCodeId("promo_", 24);
    MeterId("mtr_test_", 24);
    ScheduleId("sub_sched_", 24);
    TestClockId("clock_", 24);
    RefundId("re_", 24);
    CreditNoteId("cn_", 24);
    CreditNoteLineId("cnli_", 24);
    DisputeId("du_", 24);
    EventId("evt_", 24);
    WebhookEndpointId("we_", 24);
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes ids and secrets, one after another, the same in every run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IdSource {
    /// Sets the ids of one account's world apart from those of another.
    seed: String,
    made: u64,
}

impl IdSource {
    pub(crate) fn new(seed: &str) -> Self {
        Self {
            seed: seed.to_owned(),
            made: 0,
        }
    }

    /// The next id of a kind.
    pub(crate) fn make<I: Id>(&mut self) -> I {
        I::from_text(self.text(I::PREFIX, I::LENGTH))
    }

    /// The next text of `length` letters and digits after `prefix`: for client secrets, signing secrets and the like.
    pub(crate) fn text(&mut self, prefix: &str, length: usize) -> String {
        self.made += 1;
        let mut text = String::with_capacity(prefix.len() + length);
        text.push_str(prefix);
        let mut block: u32 = 0;
        while text.len() < prefix.len() + length {
            let digest = Sha256::digest(format!("{}:{}:{block}", self.seed, self.made));
            let missing = prefix.len() + length - text.len();
            text.extend(
                digest
                    .iter()
                    .take(missing)
                    .map(|byte| char::from(ALPHABET[usize::from(byte % 62)])),
            );
            block += 1;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sources_with_one_seed_make_the_same_ids() {
        let (mut one, mut other) = (IdSource::new("acct_1"), IdSource::new("acct_1"));
        let first: CustomerId = one.make();
        assert_eq!(first, other.make());
        assert_ne!(first, one.make(), "but never the same id twice");
        assert_ne!(
            first,
            IdSource::new("acct_2").make(),
            "nor that of another account"
        );
    }

    #[test]
    fn an_id_has_the_length_that_stripe_gives_it() {
        let session: CheckoutSessionId = IdSource::new("acct_1").make();
        assert_eq!(session.as_str().len(), "cs_test_".len() + 58);
        assert!(session.as_str().starts_with("cs_test_"));
    }
}
