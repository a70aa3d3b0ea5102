//! Quotes: a previewed amount, pinned to what was asked and to what it stood on.
//!
//! A quote outlives the period that it was made in, which is as long as its proration date can be named by a change. So a date
//! that was quoted is always held to its quote.
//!
//! Not here: amounts are never computed; Stripe's preview is what bills.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, PriceId, PromotionCodeId};
use crate::money::Currency;

/// For how long a quote is kept after the period that it was made in. Clocks differ, and an operator may put the end of a period
/// off: a date whose quote is forgotten while it can be named would be charged at any amount.
const KEPT_AFTER_PERIOD: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What an invoice comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What is to be paid, in minor units; never negative.
    pub amount_due: i64,
    /// The sum of the lines after discounts; what is below zero is credited to the customer's balance.
    pub total: i64,
    /// What the minor units are of.
    pub currency: Currency,
}

impl Charge {
    /// Nothing, in a currency.
    #[must_use]
    pub fn nothing(currency: Currency) -> Self {
        Self {
            amount_due: 0,
            total: 0,
            currency,
        }
    }

    /// Whether a quote of this is kept by what is charged. Less may be due than was quoted: what is on account by now, and what is too little
    /// to be charged. What is owed from before must not be added.
    #[must_use]
    pub fn is_kept_by(self, charged: Self) -> bool {
        charged.total == self.total
            && charged.currency == self.currency
            && charged.amount_due <= self.amount_due
    }

    /// Whether there is nothing to pay and nothing to be credited.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self.amount_due == 0 && self.total == 0
    }
}

/// What was asked for: two previews that ask the same at the same instant are one quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// The price to move to.
    pub price: PriceId,
    /// The quantity to move to; none for whatever the subscription has. A change of the interval names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    /// The promotion code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_code: Option<PromotionCodeId>,
}

/// A quote, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Who was quoted.
    pub account: AccountId,
    /// The instant that time is credited and charged from.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub proration_date: Timestamp,
    /// What was asked.
    pub asked: QuoteRequest,
    /// What it comes to.
    pub charge: Charge,
    /// The units that it was for.
    pub quantity: u64,
    /// When it may be forgotten.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

/// The amount that was quoted is not what would be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the quote is out of date: the amount due has changed")]
pub struct Stale;

/// When a quote may be forgotten that is made in a period with this end.
#[must_use]
pub fn expiry(period_end: Timestamp) -> Timestamp {
    period_end
        .saturating_add(KEPT_AFTER_PERIOD)
        .unwrap_or(Timestamp::MAX)
}

/// Whether a change that comes to `fresh` may be made, given the quotes at its proration date. With none there is nothing to
/// hold it to. Of those that asked for the same, all have to be kept: who was told two amounts within one second, or two who
/// were told one each, are charged neither. A quote for something else, such as without the promotion code, is a promise as
/// well: it is kept when the amount is the same.
pub fn check(quotes: &[Quote], asked: &QuoteRequest, fresh: &Charge, quantity: u64) -> Result<(), Stale> {
    let kept = |quote: &Quote| quote.charge == *fresh && quote.quantity == quantity;
    let mut own = quotes.iter().filter(|quote| quote.asked == *asked).peekable();
    let kept = if own.peek().is_some() {
        own.all(kept)
    } else {
        quotes.is_empty() || quotes.iter().any(kept)
    };
    if kept { Ok(()) } else { Err(Stale) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(code: Option<&str>) -> QuoteRequest {
        QuoteRequest {
            price: "price_a".parse().unwrap(),
            quantity: None,
            promotion_code: code.map(|code| code.parse().unwrap()),
        }
    }

    fn charge(minor: i64) -> Charge {
        Charge {
            amount_due: minor.max(0),
            total: minor,
            currency: "usd".parse().unwrap(),
        }
    }

    fn quote(code: Option<&str>, minor: i64) -> Quote {
        Quote {
            account: "ada".parse().unwrap(),
            proration_date: "2026-04-11T00:00:00Z".parse().unwrap(),
            asked: asked(code),
            charge: charge(minor),
            quantity: 3,
            expires_at: "2026-05-01T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_quote_is_what_is_charged_to_the_cent_and_for_as_many() {
        let quotes = [quote(None, 26_800)];
        assert_eq!(check(&quotes, &asked(None), &charge(26_800), 3), Ok(()));
        assert_eq!(check(&quotes, &asked(None), &charge(26_801), 3), Err(Stale));
        assert_eq!(check(&quotes, &asked(None), &charge(26_800), 4), Err(Stale));
    }

    #[test]
    fn what_leaves_a_credit_is_not_nothing() {
        assert!(charge(0).is_nothing());
        assert!(!charge(-5000).is_nothing() && !charge(5000).is_nothing());
        let on_account = Charge {
            amount_due: 0,
            ..charge(5000)
        };
        assert!(!on_account.is_nothing());
    }

    /// Both come to nothing due today; one leaves 50.00 of credit, the other 40.00.
    #[test]
    fn a_smaller_credit_is_not_what_was_quoted() {
        assert_eq!(
            check(&[quote(None, -5000)], &asked(None), &charge(-4000), 3),
            Err(Stale)
        );
    }

    #[test]
    fn two_quotes_of_one_instant_are_each_kept() {
        let quotes = [quote(None, 26_800), quote(Some("promo_1"), 21_040)];
        assert_eq!(check(&quotes, &asked(None), &charge(26_800), 3), Ok(()));
        assert_eq!(
            check(&quotes, &asked(Some("promo_1")), &charge(21_040), 3),
            Ok(())
        );
        assert_eq!(
            check(&quotes, &asked(Some("promo_1")), &charge(26_800), 3),
            Err(Stale)
        );
    }

    /// Two callers asked within one second, and an operator was between them.
    #[test]
    fn two_amounts_for_the_same_are_both_promises() {
        let quotes = [quote(None, 26_800), quote(None, 36_400)];
        for fresh in [26_800, 36_400] {
            assert_eq!(check(&quotes, &asked(None), &charge(fresh), 3), Err(Stale));
        }
    }

    #[test]
    fn a_quote_outlives_its_period_whatever_becomes_of_that() {
        let end: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(expiry(end).to_string(), "2027-05-02T00:00:00Z");
        assert_eq!(expiry(Timestamp::MAX), Timestamp::MAX);
    }

    #[test]
    fn forgetting_the_code_that_was_quoted_does_not_charge_more_than_was_shown() {
        assert_eq!(
            check(
                &[quote(Some("promo_1"), 21_040)],
                &asked(None),
                &charge(26_800),
                3
            ),
            Err(Stale)
        );
        assert_eq!(
            check(
                &[quote(Some("promo_1"), 26_800)],
                &asked(None),
                &charge(26_800),
                3
            ),
            Ok(()),
            "what was shown is what is charged"
        );
        let others = [quote(Some("promo_1"), 26_800), quote(Some("promo_2"), 21_040)];
        assert_eq!(
            check(&others, &asked(None), &charge(26_800), 3),
            Ok(()),
            "one of what was shown"
        );
        assert_eq!(check(&[], &asked(None), &charge(26_800), 3), Ok(()));
    }
}
