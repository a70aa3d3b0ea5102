//! Discounts on a checkout page: given with the session, or typed there by the customer.
//!
//! They are redeemed by [`super::completion`], when the session is paid.

use super::Moment;
use super::discounting::{self, Base};
use super::redemption::{self, Asked, Occasion, Purchase};
use crate::id::{CheckoutSessionId, CustomerId, ProductId};
use crate::refusal::Refusal;
use crate::state::{CheckoutSession, CouponTerms, Currency, Grant, SessionItem, World};

/// What a new session is given.
pub(crate) struct Given {
    pub(crate) discounts: Option<Vec<Asked>>,
    pub(crate) allow_promotion_codes: Option<bool>,
}

/// Checks what a new session is given.
pub(crate) fn granted(
    at: &Moment<'_>,
    given: &Given,
    customer: Option<&CustomerId>,
    (items, currency): (&[SessionItem], &Currency),
) -> Result<Vec<Grant>, Refusal> {
    let asked = given.discounts.as_deref().unwrap_or_default();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    if given.allow_promotion_codes.is_some() {
        return Err(Refusal::invalid(
            "discounts",
            "You may only specify one of these parameters: allow_promotion_codes, discounts.",
        ));
    }
    if asked.len() > 1 {
        return Err(Refusal::invalid(
            "discounts",
            "You may only specify one discount for a Checkout Session.",
        ));
    }
    let purchase = purchase(at.world, (items, currency), customer, None);
    redemption::check(at, asked, &purchase)
}

fn purchase<'a>(
    world: &World,
    (items, currency): (&[SessionItem], &'a Currency),
    customer: Option<&'a CustomerId>,
    page: Option<&'a CheckoutSession>,
) -> Purchase<'a> {
    Purchase {
        customer,
        currency,
        lines: items
            .iter()
            .map(|item| (world.prices[&item.price].product.clone(), item.amount))
            .collect(),
        present: &[],
        occasion: page.map_or(Occasion::Beginning, Occasion::Page),
    }
}

/// Works out what the discounts take off each item.
pub(crate) fn take_off(world: &World, grants: &[Grant], items: &mut [SessionItem], currency: &Currency) {
    let products: Vec<&ProductId> = items
        .iter()
        .map(|item| &world.prices[&item.price].product)
        .collect();
    let mut bases: Vec<Base<'_>> = items
        .iter()
        .zip(&products)
        .map(|(item, product)| Base {
            product: Some(product),
            left: item.amount,
        })
        .collect();
    for grant in grants {
        discounting::take_off(&mut bases, terms(world, grant), currency);
    }
    for (item, base) in items.iter_mut().zip(bases) {
        item.amount_discount = item.amount - base.left;
    }
}

fn terms<'a>(world: &'a World, grant: &Grant) -> &'a CouponTerms {
    match grant {
        Grant::Coupon(id) => &world.coupons[id].terms,
        Grant::PromotionCode(id) => &world.coupons[&world.promotion_codes[id].coupon].terms,
        Grant::Kept(id) => &world.discounts[id].terms,
    }
}

/// The customer is about to pay: takes the code they typed, and holds what the session has to what holds now.
pub(crate) fn enter(at: &mut Moment<'_>, id: &CheckoutSessionId, typed: Option<&str>) -> Result<(), Refusal> {
    let session = &at.world.sessions[id];
    let sold = (&session.items[..], &session.currency);
    let purchase = purchase(at.world, sold, session.customer.as_ref(), Some(session));
    redemption::check_again(at, &session.discounts, &purchase)?;
    let Some(typed) = typed else {
        return Ok(());
    };
    if session.allow_promotion_codes != Some(true) {
        return Err(Refusal::state("This Checkout Session takes no promotion codes."));
    }
    let grants = vec![redemption::check_typed(at, typed, &purchase)?];
    let (mut items, currency) = (session.items.clone(), session.currency.clone());
    take_off(at.world, &grants, &mut items, &currency);
    let session = &mut at.world.sessions[id];
    session.items = items;
    session.discounts = grants;
    Ok(())
}
