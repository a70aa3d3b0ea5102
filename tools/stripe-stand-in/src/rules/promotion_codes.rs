//! Promotion codes as the API offers them: made, read, listed, switched on and off.
//!
//! Who redeems one, and when, is in [`super::redemption`].

use jiff::Timestamp;
use serde_json::Value;

use super::coupons::read_amounts;
use super::listing::{self, Paging, Range};
use super::{Moment, customers, named, referred};
use crate::id::{CouponId, CustomerId, Id, PromotionCodeId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Coupon, Currency, Due, PromotionCode};

const COUPON: &str = "promotion[coupon]";

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let promotion = params
        .child("promotion")?
        .ok_or_else(|| Refusal::missing("promotion"))?;
    promotion
        .choice("type", &[("coupon", ())])?
        .ok_or_else(|| Refusal::missing("promotion[type]"))?;
    let coupon = promotion.required_text("coupon")?;
    let code = params.text("code")?;
    let switched_on = params.boolean("active")?.unwrap_or(true);
    let customer = params.text("customer")?;
    let expires_at = params.timestamp("expires_at")?;
    let max_redemptions = params.count("max_redemptions", 1)?;
    let (first_time_transaction, minimum_amount) = read_restrictions(params)?;
    let metadata = params.metadata()?;
    params.unsupported(&["customer_account"])?;
    params.finish()?;

    let coupon = redeemable_coupon(at, &coupon, COUPON)?;
    let customer = customer
        .map(|id| customers::live(at, &id, "customer").map(|customer| customer.id.clone()))
        .transpose()?;
    if expires_at.is_some_and(|end| end <= at.now) {
        return Err(Refusal::invalid(
            "expires_at",
            "The expires_at date cannot be in the past.",
        ));
    }
    let expires_at = within_coupon(&at.world.coupons[&coupon], expires_at, max_redemptions)?;
    if let Some(code) = &code {
        check_code(code)?;
    }
    let code = code.unwrap_or_else(|| at.world.ids.text("", 8).to_ascii_uppercase());
    if switched_on {
        check_unique(at, &code, customer.as_ref(), None)?;
    }
    let promotion_code = PromotionCode {
        id: at.world.ids.make(),
        created: at.now,
        switched_on,
        code,
        coupon,
        customer,
        expires_at,
        expired: false,
        max_redemptions,
        times_redeemed: 0,
        first_time_transaction,
        minimum_amount,
        metadata,
    };
    let id = at.world.promotion_codes.insert(promotion_code);
    if let Some(end) = expires_at {
        at.world.remind(end, Due::PromotionCodeExpiry(id.clone()));
    }
    let object = Object::PromotionCode(id);
    at.emit("promotion_code.created", &object);
    Ok(at.picture(&object))
}

/// A code can be made for a coupon that can still be redeemed.
fn redeemable_coupon(at: &Moment<'_>, id: &str, param: &str) -> Result<CouponId, Refusal> {
    let coupon = referred(&at.world.coupons, id, param)?;
    if coupon.deleted {
        return Err(Refusal::no_such("coupon", id, param));
    }
    if !coupon.is_valid() {
        return Err(super::redemption::expired(id, param));
    }
    Ok(coupon.id.clone())
}

fn check_code(code: &str) -> Result<(), Refusal> {
    let sound = code.len() <= 500
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if sound {
        Ok(())
    } else {
        Err(Refusal::invalid(
            "code",
            "Promotion codes can only contain letters, digits, dashes and underscores.",
        ))
    }
}

/// Among active codes each is there once for a customer, whatever its case: several customers may have their own of one word.
fn check_unique(
    at: &Moment<'_>,
    code: &str,
    customer: Option<&CustomerId>,
    own: Option<&PromotionCodeId>,
) -> Result<(), Refusal> {
    let taken = at.world.promotion_codes.iter().any(|known| {
        let is_for_others =
            known.customer.is_some() && customer.is_some() && known.customer.as_ref() != customer;
        Some(&known.id) != own
            && !is_for_others
            && known.code.eq_ignore_ascii_case(code)
            && known.is_active(&at.world.coupons[&known.coupon])
    });
    if taken {
        Err(Refusal::invalid(
            "code",
            format!("An active promotion code with `code: {code}` already exists."),
        ))
    } else {
        Ok(())
    }
}

/// A code lasts no longer than its coupon, until the end of which it lasts when nothing is said, and is redeemed no more often; answers when
/// it expires. Source: Stripe's page on coupons and promotion codes.
fn within_coupon(
    coupon: &Coupon,
    expires_at: Option<Timestamp>,
    max_redemptions: Option<u64>,
) -> Result<Option<Timestamp>, Refusal> {
    if let (Some(code), Some(coupon)) = (expires_at, coupon.redeem_by)
        && code > coupon
    {
        return Err(Refusal::invalid(
            "expires_at",
            "The expires_at date cannot be later than the coupon's redeem_by date.",
        ));
    }
    if let (Some(code), Some(coupon)) = (max_redemptions, coupon.max_redemptions)
        && code > coupon
    {
        return Err(Refusal::invalid(
            "max_redemptions",
            "The max_redemptions of a promotion code cannot be greater than those of its coupon.",
        ));
    }
    Ok(expires_at.or(coupon.redeem_by))
}

fn read_restrictions(params: &Params<'_>) -> Result<(bool, Vec<(Currency, i64)>), Refusal> {
    let Some(restrictions) = params.child("restrictions")? else {
        return Ok((false, Vec::new()));
    };
    let first_time = restrictions.boolean("first_time_transaction")?.unwrap_or(false);
    let minimum = restrictions.count("minimum_amount", 1)?;
    let currency = restrictions.parsed::<Currency>("minimum_amount_currency", "currency")?;
    let others = read_amounts(&restrictions, "minimum_amount")?;
    match (minimum, currency) {
        (None, None) => Ok((first_time, Vec::new())),
        (Some(_), None) => Err(Refusal::missing("restrictions[minimum_amount_currency]")),
        (None, Some(_)) => Err(Refusal::missing("restrictions[minimum_amount]")),
        (Some(minimum), Some(currency)) => {
            let minimum = i64::try_from(minimum).unwrap_or(i64::MAX);
            let mut amounts = vec![(currency, minimum)];
            amounts.extend(others);
            Ok((first_time, amounts))
        }
    }
}

pub(crate) fn get(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    params.finish()?;
    let id = named(&at.world.promotion_codes, id, "promotion_code")?.id.clone();
    Ok(at.picture(&Object::PromotionCode(id)))
}

pub(crate) fn list(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let active = params.boolean("active")?;
    let code = params.text("code")?;
    let coupon = params.text("coupon")?;
    let customer = params.text("customer")?;
    let created = Range::read(params, "created")?;
    let paging = Paging::read(params)?;
    params.unsupported(&["customer_account"])?;
    params.finish()?;
    let world = &at.world;
    listing::page(
        &world.promotion_codes,
        &paging,
        "/v1/promotion_codes",
        |row| render::promotion_code(world, row),
        |row| {
            active.is_none_or(|active| active == row.is_active(&world.coupons[&row.coupon]))
                && code
                    .as_ref()
                    .is_none_or(|code| row.code.eq_ignore_ascii_case(code))
                && coupon.as_ref().is_none_or(|id| row.coupon.as_str() == id)
                && customer
                    .as_ref()
                    .is_none_or(|id| row.customer.as_ref().is_some_and(|own| own.as_str() == id))
                && created.contains(row.created)
        },
    )
}

/// Switches a code on or off; of its restrictions only amounts in more currencies can be added.
pub(crate) fn update(at: &mut Moment<'_>, id: &str, params: &Params<'_>) -> Result<Value, Refusal> {
    let mut row = named(&at.world.promotion_codes, id, "promotion_code")?.clone();
    let active = params.boolean("active")?;
    params.metadata_into(&mut row.metadata)?;
    let more = match params.child("restrictions")? {
        None => Vec::new(),
        Some(restrictions) => read_amounts(&restrictions, "minimum_amount")?,
    };
    params.finish()?;
    if !more.is_empty() && row.minimum_amount.is_empty() {
        return Err(Refusal::invalid(
            "restrictions[currency_options]",
            "You cannot set `currency_options` on a promotion code that has no `minimum_amount`.",
        ));
    }
    for (currency, amount) in more {
        row.minimum_amount.retain(|(known, _)| *known != currency);
        row.minimum_amount.push((currency, amount));
    }
    // Also one that was never switched off: what ran out stays so, and Stripe says it instead of nothing.
    if active == Some(true) {
        row.switched_on = true;
        if !row.is_active(&at.world.coupons[&row.coupon]) {
            let message =
                "This promotion code cannot be activated: it has expired or has been fully redeemed.";
            return Err(Refusal::invalid("active", message));
        }
        check_unique(at, &row.code, row.customer.as_ref(), Some(&row.id))?;
    }
    if active == Some(false) {
        row.switched_on = false;
    }
    let object = Object::PromotionCode(row.id.clone());
    let before = at.picture(&object);
    let id = row.id.clone();
    at.world.promotion_codes[&id] = row;
    at.emit_updated("promotion_code.updated", &object, &before);
    Ok(at.picture(&object))
}

/// By the clock, at `expires_at`.
pub(crate) fn expire(at: &mut Moment<'_>, id: &PromotionCodeId) {
    let object = Object::PromotionCode(id.clone());
    let before = at.picture(&object);
    at.world.promotion_codes[id].expired = true;
    at.emit_updated("promotion_code.updated", &object, &before);
}
