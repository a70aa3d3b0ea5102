//! Promotion codes: which of Stripe's is meant by a customer's word, and whether it applies.
//!
//! One decision for previews and for changes, so that a code is taken by both or by neither. It knows what can be read from the
//! code itself; what only Stripe knows, Stripe says when it is asked, and is told with `Why::Refused`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{BilledProductId, CustomerId, PromotionCodeId};
use crate::money::Currency;

/// The longest code that Stripe takes.
const MAX_LENGTH: usize = 500;

/// What may stand around a code.
const AROUND: [char; 5] = [' ', '\t', '\r', '\n', '\u{a0}'];

/// A code as a customer writes it. Neither case nor white space around it matters: it comes from letters and clipboards.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(String);

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// A text that can be no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 500 letters, digits, dashes or underscores")]
pub struct NotAWord;

impl Word {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Word {
    type Err = NotAWord;
    fn from_str(text: &str) -> Result<Self, NotAWord> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let text = text.trim_matches(AROUND);
        if (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(letters) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAWord)
        }
    }
}

/// A promotion code of Stripe's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionCode {
    /// Stripe's id.
    pub id: PromotionCodeId,
    /// The customer-facing word.
    pub word: String,
    /// Whether it is active. Stripe also turns it off when it is expired or used up.
    pub active: bool,
    /// From when on it is worth nothing.
    pub expires_at: Option<Timestamp>,
    /// Whether it was redeemed as often as it may be.
    pub used_up: bool,
    /// The one customer who may use it.
    pub customer: Option<CustomerId>,
    /// Whether it is for those who never paid before.
    pub first_time: bool,
    /// Whether so much has to be bought at least. Such a code begins a subscription, and none that there is takes it. Source: Stripe's
    /// page "Coupons and promotion codes", of promotion codes with amount restrictions.
    pub has_minimum: bool,
    /// Whether the coupon behind it is still worth anything.
    pub coupon_valid: bool,
    /// The products that it is for; none for all.
    pub products: Option<Vec<BilledProductId>>,
    /// The currencies that it takes an amount off in; none for a share.
    pub currencies: Option<Vec<Currency>>,
}

/// Who wants to use a code, and for which change of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// Who pays.
    pub customer: CustomerId,
    /// Whether that customer has paid before.
    pub paid_before: bool,
    /// What is bought.
    pub product: BilledProductId,
    /// The currency that it is sold in.
    pub currency: Currency,
    /// The codes whose discounts the subscription has.
    pub has: Vec<PromotionCodeId>,
}

/// What a word comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// This code is redeemed.
    Redeem(&'a PromotionCode),
    /// The subscription has that code's discount already, and keeps what it has: a code is neither redeemed twice nor started over.
    Has,
}

/// A code that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("promotion code {:?} {why}", .word.as_str())]
pub struct Inapplicable {
    /// As it was written.
    pub word: Word,
    /// Why not.
    pub why: Why,
}

/// Why a code cannot be used. Somebody else's code reads like an unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is none, or it is another customer's.
    Unknown,
    /// It was turned off.
    Inactive,
    /// Its time is over.
    Expired,
    /// It was redeemed as often as it may be.
    UsedUp,
    /// It is for other products, or takes off an amount in another currency.
    NotForThis,
    /// It is for those who never paid before.
    FirstTimeOnly,
    /// It has a minimum amount: Stripe takes it where a subscription begins, and on no change.
    ForNewOnly,
    /// Stripe says no.
    Refused,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unknown => "does not exist",
            Self::Inactive => "is not active",
            Self::Expired => "has expired",
            Self::UsedUp => "has been used up",
            Self::NotForThis | Self::Refused => "is not valid for this subscription",
            Self::FirstTimeOnly => "is for first-time customers only",
            Self::ForNewOnly => "is for new subscriptions only, as it has a minimum amount",
        })
    }
}

/// The code that a word means for this purchase, out of all that Stripe has of that word: there may be an old one that is
/// turned off, and one for each of several customers. What the subscription has already is not asked whether it could be had.
pub fn choose<'a>(
    found: &'a [PromotionCode],
    word: &Word,
    purchase: &Purchase,
    now: Timestamp,
) -> Result<Choice<'a>, Inapplicable> {
    let refuse = |why| Inapplicable {
        word: word.clone(),
        why,
    };
    let of_word = || {
        found
            .iter()
            .filter(|code| code.word.eq_ignore_ascii_case(word.as_str()))
    };
    if of_word().any(|code| purchase.has.contains(&code.id)) {
        return Ok(Choice::Has);
    }
    let meant = of_word().filter(|code| {
        code.customer
            .as_ref()
            .is_none_or(|customer| *customer == purchase.customer)
    });
    let mut first = None;
    for code in meant {
        match judge(code, purchase, now) {
            None => return Ok(Choice::Redeem(code)),
            // Stripe lists the newest first: its reason is the one that matters.
            Some(why) => first = first.or(Some(why)),
        }
    }
    Err(refuse(first.unwrap_or(Why::Unknown)))
}

fn judge(code: &PromotionCode, purchase: &Purchase, now: Timestamp) -> Option<Why> {
    // Stripe turns a code off when it is over; why is told first.
    if code.expires_at.is_some_and(|at| at <= now) {
        Some(Why::Expired)
    } else if code.used_up {
        Some(Why::UsedUp)
    } else if !code.active {
        Some(Why::Inactive)
    } else if !code.coupon_valid {
        Some(Why::Expired)
    } else if code
        .products
        .as_ref()
        .is_some_and(|products| !products.contains(&purchase.product))
        || code
            .currencies
            .as_ref()
            .is_some_and(|currencies| !currencies.contains(&purchase.currency))
    {
        Some(Why::NotForThis)
    } else if code.first_time && purchase.paid_before {
        Some(Why::FirstTimeOnly)
    } else if code.has_minimum {
        Some(Why::ForNewOnly)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
