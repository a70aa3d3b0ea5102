//! Coupons, the codes that stand for them, and the discounts that came of either.
//!
//! What a discount takes off an invoice is worked out in [`crate::rules::discounting`].

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata};
use crate::id::{
    CheckoutSessionId, CouponId, CustomerId, DiscountId, InvoiceId, ProductId, PromotionCodeId,
    SubscriptionId,
};

/// A rule for taking something off. Deleted ones stay as a mark: discounts that came of them go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Coupon {
    pub(crate) id: CouponId,
    pub(crate) created: Timestamp,
    pub(crate) deleted: bool,
    pub(crate) name: Option<String>,
    pub(crate) terms: CouponTerms,
    pub(crate) max_redemptions: Option<u64>,
    pub(crate) redeem_by: Option<Timestamp>,
    /// Set by the clock at `redeem_by`.
    pub(crate) expired: bool,
    pub(crate) times_redeemed: u64,
    pub(crate) metadata: Metadata,
}

row!(Coupon, CouponId, "coupon");

impl Coupon {
    /// Whether it can still be redeemed: Stripe's `valid`.
    pub(crate) fn is_valid(&self) -> bool {
        let exhausted = self
            .max_redemptions
            .is_some_and(|most| self.times_redeemed >= most);
        !self.deleted && !self.expired && !exhausted
    }
}

/// What is taken off, of what, and for how long. It never changes, so a discount keeps its own copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CouponTerms {
    pub(crate) off: Off,
    pub(crate) duration: CouponDuration,
    /// Products that it is limited to; empty for all.
    pub(crate) applies_to: Vec<ProductId>,
}

impl CouponTerms {
    pub(crate) fn covers(&self, product: &ProductId) -> bool {
        self.applies_to.is_empty() || self.applies_to.contains(product)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Off {
    Percent(Percent),
    /// The amount in the coupon's own currency first, then in those of its `currency_options`.
    Amount(Vec<(Currency, i64)>),
}

impl Off {
    /// The amount in a currency, if it is one that the coupon knows.
    pub(crate) fn amount_in(&self, currency: &Currency) -> Option<i64> {
        match self {
            Self::Percent(_) => None,
            Self::Amount(amounts) => amounts
                .iter()
                .find(|(known, _)| known == currency)
                .map(|(_, amount)| *amount),
        }
    }
}

/// For how many invoices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CouponDuration {
    Once,
    Repeating { months: u32 },
    Forever,
}

impl CouponDuration {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Repeating { .. } => "repeating",
            Self::Forever => "forever",
        }
    }
}

/// A percentage above 0 and up to 100, with up to four decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Percent {
    ten_thousandths: u32,
}

impl Percent {
    /// The whole of something, in ten thousandths of a percent.
    pub(crate) const WHOLE: i128 = 1_000_000;
    const DECIMALS: usize = 4;

    pub(crate) fn ten_thousandths(self) -> i128 {
        i128::from(self.ten_thousandths)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.ten_thousandths / 10_000, self.ten_thousandths % 10_000);
        if rest == 0 {
            return write!(formatter, "{whole}");
        }
        let decimals = format!("{rest:04}");
        write!(formatter, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Percent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let decimals = decimals.trim_end_matches('0');
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let readable = !whole.is_empty() && whole.len() <= 3 && decimals.len() <= Self::DECIMALS;
        if !readable || !all_digits(whole) || !all_digits(decimals) {
            return Err(());
        }
        let ten_thousandths: u32 = format!("{whole}{decimals:0<width$}", width = Self::DECIMALS)
            .parse()
            .map_err(|_| ())?;
        let sound = ten_thousandths > 0 && i128::from(ten_thousandths) <= Self::WHOLE;
        sound.then_some(Self { ten_thousandths }).ok_or(())
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        percent.to_string()
    }
}

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|()| format!("not a percentage: {text}"))
    }
}

/// A code that customers type to redeem a coupon.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PromotionCode {
    pub(crate) id: PromotionCodeId,
    pub(crate) created: Timestamp,
    /// As set; [`PromotionCode::is_active`] also asks whether it can be redeemed.
    pub(crate) switched_on: bool,
    pub(crate) code: String,
    pub(crate) coupon: CouponId,
    /// The only customer who may redeem it.
    pub(crate) customer: Option<CustomerId>,
    pub(crate) expires_at: Option<Timestamp>,
    /// Set by the clock at `expires_at`.
    pub(crate) expired: bool,
    pub(crate) max_redemptions: Option<u64>,
    pub(crate) times_redeemed: u64,
    pub(crate) first_time_transaction: bool,
    /// The least that the purchase must come to, in its own currency first, then in those of its `currency_options`.
    pub(crate) minimum_amount: Vec<(Currency, i64)>,
    pub(crate) metadata: Metadata,
}

row!(PromotionCode, PromotionCodeId, "promotion code");

impl PromotionCode {
    /// Stripe's `active`: switched on, neither expired nor exhausted, and its coupon still valid.
    pub(crate) fn is_active(&self, coupon: &Coupon) -> bool {
        self.switched_on
            && coupon.is_valid()
            && !self.expired
            && self.max_redemptions.is_none_or(|most| self.times_redeemed < most)
    }
}

/// What somebody asked for and may have, before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grant {
    Coupon(CouponId),
    PromotionCode(PromotionCodeId),
    /// A discount that is there already.
    Kept(DiscountId),
}

/// A coupon at work, or about to be, on a subscription. Ended ones stay: invoices name them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Discount {
    pub(crate) id: DiscountId,
    pub(crate) coupon: CouponId,
    pub(crate) terms: CouponTerms,
    pub(crate) promotion_code: Option<PromotionCodeId>,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) checkout_session: Option<CheckoutSessionId>,
    pub(crate) start: Timestamp,
    /// When a repeating one ends by itself.
    pub(crate) end: Option<Timestamp>,
    /// Whether it has taken effect. One that waits for a payment is not counted as a redemption.
    pub(crate) redeemed: bool,
    /// The invoice that used up one that is good for a single invoice.
    pub(crate) used_on: Option<InvoiceId>,
}

row!(Discount, DiscountId, "discount");

impl Discount {
    /// Whether it takes something off an invoice that is made at this instant.
    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.used_on.is_none() && self.end.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_read_and_written_exactly() {
        for text in ["20", "100", "0.5", "33.3333", "12.25"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        assert_eq!("12.500000".parse::<Percent>().unwrap().to_string(), "12.5");
        for text in ["", "0", "100.01", "-5", "1e1", ".5", "20.00001", "1000", "ten"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
