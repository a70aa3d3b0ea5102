//! What terms take off amounts.
//!
//! # How it works
//! Discounts come one after another, each looking at what those before it have left of every line. A percentage is taken of each
//! line on its own and rounded half up; an amount is limited to what is left and spread over the lines in proportion, the minor
//! units that do not divide going to the largest remainders. So no line falls below zero. There are no floats, and nothing is
//! written.
//!
//! Which discounts there are, and on which lines, is [`super::discounts`]' business.

use crate::id::ProductId;
use crate::state::{CouponTerms, Currency, Off, Percent};

/// A line that something may be taken off.
#[derive(Clone, Debug)]
pub(crate) struct Base<'a> {
    pub(crate) product: Option<&'a ProductId>,
    /// What earlier discounts have left of it; nothing when the line is not discountable or a credit.
    pub(crate) left: i64,
}

/// Takes something off; answers how much of each line, in their order.
pub(crate) fn take_off(bases: &mut [Base<'_>], terms: &CouponTerms, currency: &Currency) -> Vec<i64> {
    let covered: Vec<i64> = bases
        .iter()
        .map(|base| match base.product {
            Some(product) if !terms.covers(product) => 0,
            None if !terms.applies_to.is_empty() => 0,
            _ => base.left.max(0),
        })
        .collect();
    let taken = match &terms.off {
        Off::Percent(percent) => covered.iter().map(|left| percent_of(*left, *percent)).collect(),
        // An amount in another currency takes nothing off: redeeming it is refused.
        Off::Amount(_) => spread(terms.off.amount_in(currency).unwrap_or_default(), &covered),
    };
    for (base, taken) in bases.iter_mut().zip(&taken) {
        base.left -= taken;
    }
    taken
}

fn percent_of(amount: i64, percent: Percent) -> i64 {
    let scaled = i128::from(amount) * percent.ten_thousandths();
    let rounded = (scaled + Percent::WHOLE / 2) / Percent::WHOLE;
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// Spreads `amount` over shares in proportion to them, at most all of them.
fn spread(amount: i64, shares: &[i64]) -> Vec<i64> {
    let whole: i128 = shares.iter().copied().map(i128::from).sum();
    if whole == 0 {
        return vec![0; shares.len()];
    }
    let amount = i128::from(amount).min(whole);
    let mut parts: Vec<i128> = Vec::new();
    let mut remainders: Vec<(i128, usize)> = Vec::new();
    for (position, share) in shares.iter().enumerate() {
        let scaled = amount * i128::from(*share);
        parts.push(scaled / whole);
        remainders.push((scaled % whole, position));
    }
    // The sort is stable: of two equal remainders the earlier line's comes first.
    remainders.sort_by_key(|(remainder, _)| std::cmp::Reverse(*remainder));
    let mut missing = amount - parts.iter().sum::<i128>();
    for (_, position) in remainders {
        if missing == 0 {
            break;
        }
        parts[position] += 1;
        missing -= 1;
    }
    parts
        .into_iter()
        .map(|part| i64::try_from(part).unwrap_or(i64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::state::CouponDuration;

    fn percent(text: &str) -> CouponTerms {
        terms(Off::Percent(text.parse().unwrap()))
    }

    fn amount(minor: i64, currency: &str) -> CouponTerms {
        terms(Off::Amount(vec![(currency.parse().unwrap(), minor)]))
    }

    fn terms(off: Off) -> CouponTerms {
        CouponTerms {
            off,
            duration: CouponDuration::Once,
            applies_to: Vec::new(),
        }
    }

    fn bases(amounts: &[i64]) -> Vec<Base<'static>> {
        amounts
            .iter()
            .map(|left| Base {
                product: None,
                left: *left,
            })
            .collect()
    }

    fn taken(amounts: &[i64], terms: &CouponTerms) -> Vec<i64> {
        take_off(&mut bases(amounts), terms, &"usd".parse().unwrap())
    }

    /// 12.5 % of 999 = 124.875 → 125; of 4 = 0.5 → 1; of 3 = 0.375 → 0.
    #[test]
    fn a_percentage_is_rounded_on_each_line() {
        assert_eq!(taken(&[999, 4, 3], &percent("12.5")), [125, 1, 0]);
        assert_eq!(taken(&[333], &percent("100")), [333]);
    }

    /// 1000 over 1, 1, 1: 333.3 each, the unit that is left to the first. 100 over 300 and 700: 30 and 70. 10 over 5, 25, 7
    /// (37): 1.35, 6.76, 1.89 → 1, 6, 1 and two more to the remainders .89 and .76.
    #[test]
    fn an_amount_is_spread_by_largest_remainder() {
        assert_eq!(taken(&[5000, 5000, 5000], &amount(1000, "usd")), [334, 333, 333]);
        assert_eq!(taken(&[300, 700], &amount(100, "usd")), [30, 70]);
        assert_eq!(taken(&[5, 25, 7], &amount(10, "usd")), [1, 7, 2]);
    }

    #[test]
    fn nothing_falls_below_zero() {
        assert_eq!(taken(&[300, 200], &amount(10_000, "usd")), [300, 200]);
        assert_eq!(taken(&[-500, 200], &amount(300, "usd")), [0, 200]);
        assert_eq!(taken(&[0], &amount(300, "usd")), [0]);
        assert_eq!(taken(&[300], &amount(100, "eur")), [0]);
    }

    /// 3000 less 500 is 2500, of which 20 % are 500: 2000. The other way round: 3000 less 600 less 500 is 1900.
    #[test]
    fn each_discount_takes_off_what_those_before_it_left() {
        let usd = "usd".parse().unwrap();
        let left = |order: [CouponTerms; 2]| {
            let mut bases = bases(&[3000]);
            for terms in &order {
                take_off(&mut bases, terms, &usd);
            }
            bases[0].left
        };
        assert_eq!(left([amount(500, "usd"), percent("20")]), 2000);
        assert_eq!(left([percent("20"), amount(500, "usd")]), 1900);
    }

    #[test]
    fn products_out_of_scope_are_left_alone() {
        let (one, other) = (
            ProductId::from_text("prod_1".into()),
            ProductId::from_text("prod_2".into()),
        );
        let mut bases = [
            Base {
                product: Some(&one),
                left: 1000,
            },
            Base {
                product: Some(&other),
                left: 1000,
            },
            Base {
                product: None,
                left: 1000,
            },
        ];
        let scoped = CouponTerms {
            applies_to: vec![other.clone()],
            ..amount(300, "usd")
        };
        let usd = "usd".parse().unwrap();
        assert_eq!(take_off(&mut bases, &scoped, &usd), [0, 300, 0]);
    }
}
