//! What a quantity costs at a price.
//!
//! # How it works
//! The quantity is transformed (sold by the dozen), priced per unit or by tiers in exact twelfth decimals, and rounded half away from
//! zero to whole minor units: of tiers, each one's units and each one's flat amount on their own, as they are lines of their own on Stripe's
//! invoices (recorded by gitpod, 2022: 31 × 3.6 cents of a second tier are 112). There are no floats. Nothing is written, so nothing can fail half-way; an amount
//! beyond `i64` saturates.

use crate::state::{Price, PriceAmounts, RoundTo, Tier, TiersMode, TransformQuantity, UnitAmount};

/// The amount in minor units.
pub(crate) fn amount(price: &Price, quantity: u64) -> i64 {
    let quantity = price
        .transform_quantity
        .map_or(quantity, |transform| transformed(transform, quantity));
    match &price.amounts {
        PriceAmounts::PerUnit(unit) => narrow(rounded(unit.scaled() * i128::from(quantity))),
        PriceAmounts::Tiered {
            mode: TiersMode::Volume,
            tiers,
        } => narrow(volume(tiers, quantity)),
        PriceAmounts::Tiered {
            mode: TiersMode::Graduated,
            tiers,
        } => narrow(graduated(tiers, quantity)),
    }
}

fn transformed(transform: TransformQuantity, quantity: u64) -> u64 {
    match transform.round {
        RoundTo::Down => quantity / transform.divide_by,
        RoundTo::Up => quantity.div_ceil(transform.divide_by),
    }
}

/// All units at the price of the tier that the quantity falls in.
fn volume(tiers: &[Tier], quantity: u64) -> i128 {
    let tier = tiers
        .iter()
        .find(|tier| tier.up_to.is_none_or(|up_to| quantity <= up_to));
    tier.map_or(0, |tier| tier_amount(tier, quantity))
}

/// Each unit at the price of its own tier. A tier's flat amount is due as soon as the tier is reached; the first always is.
fn graduated(tiers: &[Tier], quantity: u64) -> i128 {
    let mut total = 0;
    let mut before: u64 = 0;
    for tier in tiers {
        let end = tier.up_to.unwrap_or(u64::MAX).min(quantity);
        total += tier_amount(tier, end.saturating_sub(before));
        if end == quantity {
            break;
        }
        before = end;
    }
    total
}

/// In whole minor units: two lines, each rounded.
fn tier_amount(tier: &Tier, units: u64) -> i128 {
    let scaled = |amount: Option<UnitAmount>| amount.map_or(0, UnitAmount::scaled);
    rounded(scaled(tier.unit) * i128::from(units)) + rounded(scaled(tier.flat))
}

/// Half away from zero.
fn rounded(scaled: i128) -> i128 {
    let half = UnitAmount::SCALE / 2;
    if scaled < 0 {
        (scaled - half) / UnitAmount::SCALE
    } else {
        (scaled + half) / UnitAmount::SCALE
    }
}

fn narrow(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::id::{Id, PriceId, ProductId};
    use crate::state::Metadata;

    fn price(amounts: PriceAmounts, transform_quantity: Option<TransformQuantity>) -> Price {
        Price {
            id: PriceId::from_text("price_1".to_owned()),
            created: Timestamp::UNIX_EPOCH,
            active: true,
            currency: "usd".parse().unwrap(),
            product: ProductId::from_text("prod_1".to_owned()),
            amounts,
            transform_quantity,
            recurring: None,
            nickname: None,
            lookup_key: None,
            tax_behavior: "unspecified".to_owned(),
            metadata: Metadata::new(),
        }
    }

    fn tier(up_to: Option<u64>, unit: &str, flat: &str) -> Tier {
        Tier {
            up_to,
            unit: unit.parse().ok(),
            flat: flat.parse().ok(),
        }
    }

    #[test]
    fn per_unit_is_unit_times_quantity() {
        assert_eq!(
            amount(&price(PriceAmounts::PerUnit(UnitAmount::whole(1000)), None), 3),
            3000
        );
    }

    /// 0.5 cents × 3 = 1.5, rounded to 2; × 1 = 0.5, rounded to 1; 0.4 × 1 to 0.
    #[test]
    fn fractions_are_rounded_once_on_the_whole() {
        let half = price(PriceAmounts::PerUnit("0.5".parse().unwrap()), None);
        assert_eq!([amount(&half, 1), amount(&half, 3), amount(&half, 4)], [1, 2, 2]);
        assert_eq!(
            amount(&price(PriceAmounts::PerUnit("0.4".parse().unwrap()), None), 1),
            0
        );
    }

    /// 5 at 7.00 and the sixth and seventh at 6.50: 35.00 + 13.00.
    #[test]
    fn graduated_prices_each_unit_in_its_own_tier() {
        let tiers = vec![
            tier(Some(5), "700", ""),
            tier(Some(10), "650", ""),
            tier(None, "600", ""),
        ];
        let graduated = price(
            PriceAmounts::Tiered {
                mode: TiersMode::Graduated,
                tiers,
            },
            None,
        );
        assert_eq!(amount(&graduated, 7), 3500 + 1300);
        assert_eq!(amount(&graduated, 12), 3500 + 3250 + 1200);
    }

    /// 5 × 99.5 cents are 497.5 and one of 49.5: 498 and 50, each a line. A flat amount is one, too: 49.5 and 0.5 are 50 and 1.
    #[test]
    fn each_part_of_a_tiered_price_is_rounded_on_its_own() {
        let tiers = vec![tier(Some(5), "99.5", ""), tier(None, "49.5", "0.5")];
        let of = |mode| {
            let tiers = tiers.clone();
            price(PriceAmounts::Tiered { mode, tiers }, None)
        };
        assert_eq!(amount(&of(TiersMode::Graduated), 6), 498 + 50 + 1);
        assert_eq!(amount(&of(TiersMode::Volume), 7), 347 + 1);
    }

    /// 7 in all are in the second tier: 7 × 6.50 + 10.00.
    #[test]
    fn volume_prices_all_units_in_one_tier() {
        let tiers = vec![
            tier(Some(5), "700", ""),
            tier(Some(10), "650", "1000"),
            tier(None, "600", ""),
        ];
        let volume = price(
            PriceAmounts::Tiered {
                mode: TiersMode::Volume,
                tiers,
            },
            None,
        );
        assert_eq!(
            [amount(&volume, 5), amount(&volume, 7), amount(&volume, 11)],
            [3500, 5550, 6600]
        );
    }

    /// 25 by the dozen: 2 dozens rounded down, 3 rounded up.
    #[test]
    fn a_transformed_quantity_is_divided_first() {
        let dozen = |round| {
            let transform = Some(TransformQuantity { divide_by: 12, round });
            amount(
                &price(PriceAmounts::PerUnit(UnitAmount::whole(100)), transform),
                25,
            )
        };
        assert_eq!([dozen(RoundTo::Down), dozen(RoundTo::Up)], [200, 300]);
    }
}
