//! Coupons as the API offers them: made, read, listed, deleted. They are never changed.
//!
//! Who redeems one, and when, is in [`super::redemption`].

use serde_json::{Value, json};

use super::listing::{self, Paging, Range};
use super::{Moment, named, referred};
use crate::id::{CouponId, Id, ProductId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Coupon, CouponDuration, CouponTerms, Currency, Due, Off, Percent};

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let own_id = params.text("id")?;
    let name = params.text("name")?;
    let off = read_off(params)?;
    let duration = read_duration(params)?;
    let applies_to = match params.child("applies_to")? {
        None => Vec::new(),
        Some(scope) => scope.texts("products")?,
    };
    let max_redemptions = params.count("max_redemptions", 1)?;
    let redeem_by = params.timestamp("redeem_by")?;
    let metadata = params.metadata()?;
    params.finish()?;
    if own_id
        .as_deref()
        .is_some_and(|id| at.world.coupons.find(id).is_some_and(|known| !known.deleted))
    {
        return Err(Refusal::invalid_code(
            "resource_already_exists",
            "id",
            "Coupon already exists.",
        ));
    }
    if redeem_by.is_some_and(|end| end <= at.now) {
        return Err(Refusal::invalid(
            "redeem_by",
            "The redeem_by date cannot be in the past.",
        ));
    }
    let applies_to = applies_to
        .iter()
        .map(|id| {
            let product = referred(&at.world.products, id, "applies_to[products]")?;
            Ok(product.id.clone())
        })
        .collect::<Result<Vec<ProductId>, Refusal>>()?;
    let id = own_id.map_or_else(|| at.world.ids.make(), CouponId::from_text);
    // A deleted coupon's id may be given again; discounts of the old one keep their own terms.
    at.world.coupons.remove(&id);
    at.world.coupons.insert(Coupon {
        id: id.clone(),
        created: at.now,
        deleted: false,
        name,
        terms: CouponTerms {
            off,
            duration,
            applies_to,
        },
        max_redemptions,
        redeem_by,
        expired: false,
        times_redeemed: 0,
        metadata,
    });
    if let Some(end) = redeem_by {
        at.world.remind(end, Due::CouponExpiry(id.clone()));
    }
    let object = Object::Coupon(id);
    at.emit("coupon.created", &object);
    Ok(at.picture(&object))
}

fn read_off(params: &Params<'_>) -> Result<Off, Refusal> {
    let amount_off = params.integer("amount_off")?;
    let percent_off = params.text("percent_off")?;
    let currency = params.parsed::<Currency>("currency", "currency")?;
    let options = read_amounts(params, "amount_off")?;
    match (amount_off, percent_off) {
        (Some(_), Some(_)) => Err(Refusal::invalid(
            "percent_off",
            "You cannot set both `amount_off` and `percent_off`.",
        )),
        (None, None) => Err(Refusal::invalid(
            "percent_off",
            "Must provide either `amount_off` or `percent_off`.",
        )),
        (None, Some(percent)) => {
            let percent: Percent = percent.parse().map_err(|()| {
                Refusal::invalid(
                    "percent_off",
                    "Invalid percent_off: must be greater than 0 and at most 100.",
                )
            })?;
            Ok(Off::Percent(percent))
        }
        (Some(amount), None) => {
            let currency = currency.ok_or_else(|| {
                Refusal::invalid("currency", "You must pass `currency` when passing `amount_off`.")
            })?;
            if amount < 1 {
                let message = "Invalid positive integer";
                return Err(Refusal::invalid_code(
                    "parameter_invalid_integer",
                    "amount_off",
                    message,
                ));
            }
            let mut amounts = vec![(currency, amount)];
            amounts.extend(options);
            Ok(Off::Amount(amounts))
        }
    }
}

/// `currency_options[eur][amount_off]`: amounts in other currencies.
pub(super) fn read_amounts(params: &Params<'_>, member: &str) -> Result<Vec<(Currency, i64)>, Refusal> {
    let Some(options) = params.child("currency_options")? else {
        return Ok(Vec::new());
    };
    let mut amounts = Vec::new();
    for code in options.names() {
        let name = options.name_of(code);
        let currency = code
            .parse::<Currency>()
            .map_err(|()| Refusal::invalid(&name, format!("Invalid currency: {code}")))?;
        if let Some(option) = options.child(code)? {
            let amount = option.integer(member)?;
            amounts.push((
                currency,
                amount.ok_or_else(|| Refusal::missing(&option.name_of(member)))?,
            ));
        }
    }
    Ok(amounts)
}

/// Left out, the duration is `once`.
fn read_duration(params: &Params<'_>) -> Result<CouponDuration, Refusal> {
    const WORDS: [(&str, CouponDuration); 3] = [
        ("forever", CouponDuration::Forever),
        ("once", CouponDuration::Once),
        ("repeating", CouponDuration::Repeating { months: 0 }),
    ];
    let months = params.count("duration_in_months", 1)?;
    let duration = params.choice("duration", &WORDS)?.unwrap_or(CouponDuration::Once);
    match (duration, months) {
        (CouponDuration::Repeating { .. }, Some(months)) => {
            let months = u32::try_from(months)
                .map_err(|_| Refusal::invalid("duration_in_months", "This value is too large."))?;
            Ok(CouponDuration::Repeating { months })
        }
        (CouponDuration::Repeating { .. }, None) => Err(Refusal::missing("duration_in_months")),
        (_, Some(_)) => Err(Refusal::invalid(
            "duration_in_months",
            "You may only specify `duration_in_months` when `duration` is `repeating`.",
        )),
        (other, None) => Ok(other),
    }
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    Ok(render::coupon(existing(at, id)?))
}

fn existing<'a>(at: &'a Moment<'_>, id: &str) -> Result<&'a Coupon, Refusal> {
    let coupon = named(&at.world.coupons, id, "coupon")?;
    if coupon.deleted {
        Err(Refusal::not_found("coupon", id, "coupon"))
    } else {
        Ok(coupon)
    }
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.finish()?;
    listing::page(
        &at.world.coupons,
        &paging,
        "/v1/coupons",
        render::coupon,
        |coupon| !coupon.deleted && created.contains(coupon.created),
    )
}

/// Nobody can redeem it any more. Discounts that came of it stay.
pub(crate) fn delete(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let id = existing(at, id)?.id.clone();
    at.emit("coupon.deleted", &Object::Coupon(id.clone()));
    at.world.coupons[&id].deleted = true;
    Ok(json!({ "id": id.as_str(), "object": "coupon", "deleted": true }))
}

/// By the clock, at `redeem_by`.
pub(crate) fn expire(at: &mut Moment<'_>, id: &CouponId) {
    let now = at.now;
    if let Some(coupon) = at.world.coupons.get_mut(id) {
        // A deleted coupon's id may have been given to one that is good for longer.
        coupon.expired = coupon.redeem_by.is_some_and(|end| end <= now);
    }
}
