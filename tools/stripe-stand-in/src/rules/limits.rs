//! The largest and the smallest amounts that Stripe takes.
//!
//! Source: Stripe's page on currencies: an amount has up to twelve digits where most cards pay, and where something else pays up to twelve in
//! IDR, ten in COP, nine in INR and eight in every other currency; the least that is charged is what that page lists. The words are those that its
//! users have published, of eight digits: which of the two a bill is held to is a setting. What is used up to a bill by itself (metered
//! usage) is not held to the largest.

use super::item_changes::Ordered;
use super::{pricing, wording};
use crate::refusal::Refusal;
use crate::state::{Currency, Line, Price, PriceAmounts, Settings, UnitAmount, World};

const CODE: &str = "amount_too_large";
const SESSION: &str = "The Checkout Session's total amount due";

/// The largest amount of a currency, in minor units.
fn most(settings: Settings, currency: &Currency) -> i64 {
    match currency.as_str() {
        _ if settings.charges_twelve_digits => 999_999_999_999,
        "idr" => 999_999_999_999,
        "cop" => 9_999_999_999,
        "inr" => 999_999_999,
        _ => 99_999_999,
    }
}

/// The least that is charged, in minor units. A bill of less is paid without a charge, and owed with the next (`invoicing`); a checkout
/// session of less is refused. Of a currency that the page does not list, what half a dollar is depends on the day: anything is charged.
fn least(currency: &Currency) -> i64 {
    match currency.as_str() {
        "ars" | "aud" | "brl" | "cad" | "chf" | "cop" | "eur" | "idr" | "ils" | "inr" | "jpy" | "krw"
        | "nzd" | "php" | "rub" | "sgd" | "usd" | "zar" => 50,
        "gbp" => 30,
        "aed" | "myr" | "pln" | "ron" => 200,
        "dkk" => 250,
        "nok" | "sek" => 300,
        "hkd" => 400,
        "mxn" | "thb" => 1_000,
        "czk" => 1_500,
        "huf" => 17_500,
        _ => 1,
    }
}

/// Whether something is due that is not worth charging.
pub(crate) fn is_too_small(due: i64, currency: &Currency) -> bool {
    due > 0 && due < least(currency)
}

fn at_most(settings: Settings, currency: &Currency) -> String {
    format!(
        "must be no more than {}",
        wording::money(most(settings, currency), currency)
    )
}

/// What a unit of a price may cost.
pub(crate) fn check_price(
    settings: Settings,
    amounts: &PriceAmounts,
    currency: &Currency,
) -> Result<(), Refusal> {
    let too_large = |amount: &UnitAmount| *amount > UnitAmount::whole(most(settings, currency));
    let (param, exceeds) = match amounts {
        PriceAmounts::PerUnit(unit) => ("unit_amount", too_large(unit)),
        PriceAmounts::Tiered { tiers, .. } => {
            let amounts = tiers.iter().flat_map(|tier| tier.unit.iter().chain(&tier.flat));
            ("tiers", amounts.into_iter().any(too_large))
        }
    };
    if exceeds {
        let message = format!("Amount {}", at_most(settings, currency));
        return Err(Refusal::invalid_code(CODE, param, message));
    }
    Ok(())
}

/// What a quantity may come to at its price, before discounts.
pub(crate) fn check_quantity(
    settings: Settings,
    price: &Price,
    quantity: Option<u64>,
    param: &str,
) -> Result<(), Refusal> {
    let amount = quantity.map_or(0, |quantity| pricing::amount(price, quantity));
    if amount > most(settings, &price.currency) {
        let message = format!(
            "Invalid quantity: total amount (quantity * price.unit_amount) {} {}",
            at_most(settings, &price.currency),
            price.currency.as_str().to_ascii_uppercase()
        );
        return Err(Refusal::invalid(param, message));
    }
    Ok(())
}

/// What the items of a new subscription may come to together, before discounts.
pub(crate) fn check_items(world: &World, items: &[Ordered], currency: &Currency) -> Result<(), Refusal> {
    let amounts = items.iter().map(|(price, quantity)| {
        let amount = quantity.map_or(0, |quantity| pricing::amount(&world.prices[price], quantity));
        i128::from(amount)
    });
    check_sum(world.settings, amounts, ("Amount", currency))
}

/// What the lines of a bill may come to together, before discounts.
pub(crate) fn check_lines<'a>(
    settings: Settings,
    lines: impl Iterator<Item = &'a Line>,
    currency: &Currency,
) -> Result<(), Refusal> {
    let amounts = lines.map(|line| i128::from(line.list_amount));
    check_sum(settings, amounts, ("Amount", currency))
}

/// What is due for a checkout session. Nothing may be: then a subscription begins without a payment.
pub(crate) fn check_session(
    settings: Settings,
    amounts: impl Iterator<Item = i64>,
    currency: &Currency,
) -> Result<(), Refusal> {
    let amounts: Vec<i64> = amounts.collect();
    let exact = amounts.iter().map(|&amount| i128::from(amount));
    check_sum(settings, exact, (SESSION, currency))?;
    if is_too_small(amounts.iter().sum(), currency) {
        let least = wording::money(least(currency), currency);
        let message = format!("{SESSION} must add up to at least {least} {}", currency.as_str());
        return Err(Refusal::state_code("amount_too_small", message));
    }
    Ok(())
}

fn check_sum(
    settings: Settings,
    amounts: impl Iterator<Item = i128>,
    (what, currency): (&str, &Currency),
) -> Result<(), Refusal> {
    if amounts.sum::<i128>() > i128::from(most(settings, currency)) {
        return Err(Refusal::state_code(
            CODE,
            format!("{what} {}.", at_most(settings, currency)),
        ));
    }
    Ok(())
}
