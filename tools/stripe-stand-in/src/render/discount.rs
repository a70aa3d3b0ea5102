//! Coupons, promotion codes and discounts as Stripe answers them.

use serde_json::{Map, Number, Value, json};

use super::{maybe_id, maybe_seconds, seconds};
use crate::id::Id;
use crate::state::{Coupon, CouponDuration, Currency, Discount, Off, Percent, PromotionCode, World};

pub(crate) fn coupon(coupon: &Coupon) -> Value {
    let (amount_off, currency, percent_off) = match &coupon.terms.off {
        Off::Percent(percent) => (None, None, Some(number(*percent))),
        Off::Amount(amounts) => {
            let own = amounts.first();
            (
                own.map(|(_, amount)| *amount),
                own.map(|(currency, _)| currency.as_str()),
                None,
            )
        }
    };
    let months = match coupon.terms.duration {
        CouponDuration::Repeating { months } => Some(months),
        CouponDuration::Once | CouponDuration::Forever => None,
    };
    json!({
        "id": coupon.id.as_str(),
        "object": "coupon",
        "amount_off": amount_off,
        "created": seconds(coupon.created),
        "currency": currency,
        "duration": coupon.terms.duration.word(),
        "duration_in_months": months,
        "livemode": false,
        "max_redemptions": coupon.max_redemptions,
        "metadata": coupon.metadata,
        "name": coupon.name,
        "percent_off": percent_off,
        "redeem_by": maybe_seconds(coupon.redeem_by),
        "times_redeemed": coupon.times_redeemed,
        "valid": coupon.is_valid(),
    })
}

/// As a JSON number, exactly as it was given.
fn number(percent: Percent) -> Option<Number> {
    percent.to_string().parse().ok()
}

/// The products that a coupon is limited to: left out of it unless asked for.
pub(super) fn applies_to(coupon: &Coupon) -> Option<Value> {
    let products: Vec<&str> = coupon.terms.applies_to.iter().map(Id::as_str).collect();
    (!products.is_empty()).then(|| json!({ "products": products }))
}

/// The amounts in other currencies: left out unless asked for.
pub(super) fn coupon_options(coupon: &Coupon) -> Option<Value> {
    match &coupon.terms.off {
        Off::Percent(_) => None,
        Off::Amount(amounts) => Some(options(amounts, "amount_off")),
    }
}

fn options(amounts: &[(Currency, i64)], member: &str) -> Value {
    let options: Map<String, Value> = amounts
        .iter()
        .map(|(currency, amount)| (currency.as_str().to_owned(), json!({ member: amount })))
        .collect();
    Value::Object(options)
}

/// The restrictions of a code with its minima in other currencies, which are left out unless asked for.
pub(super) fn restrictions_in_full(row: &PromotionCode) -> Value {
    let mut restrictions = restrictions(row);
    if !row.minimum_amount.is_empty() {
        restrictions["currency_options"] = options(&row.minimum_amount, "minimum_amount");
    }
    restrictions
}

fn restrictions(row: &PromotionCode) -> Value {
    let minimum = row.minimum_amount.first();
    json!({
        "first_time_transaction": row.first_time_transaction,
        "minimum_amount": minimum.map(|(_, amount)| *amount),
        "minimum_amount_currency": minimum.map(|(currency, _)| currency.as_str()),
    })
}

pub(crate) fn promotion_code(world: &World, row: &PromotionCode) -> Value {
    json!({
        "id": row.id.as_str(),
        "object": "promotion_code",
        "active": row.is_active(&world.coupons[&row.coupon]),
        "code": row.code,
        "created": seconds(row.created),
        "customer": maybe_id(row.customer.as_ref()),
        "customer_account": null,
        "expires_at": maybe_seconds(row.expires_at),
        "livemode": false,
        "max_redemptions": row.max_redemptions,
        "metadata": row.metadata,
        "promotion": { "coupon": row.coupon.as_str(), "type": "coupon" },
        "restrictions": restrictions(row),
        "times_redeemed": row.times_redeemed,
    })
}

pub(crate) fn discount(discount: &Discount) -> Value {
    json!({
        "id": discount.id.as_str(),
        "object": "discount",
        "checkout_session": maybe_id(discount.checkout_session.as_ref()),
        "customer": maybe_id(discount.customer.as_ref()),
        "customer_account": null,
        "end": maybe_seconds(discount.end),
        "invoice": null,
        "invoice_item": null,
        "promotion_code": maybe_id(discount.promotion_code.as_ref()),
        "source": { "coupon": discount.coupon.as_str(), "type": "coupon" },
        "start": seconds(discount.start),
        "subscription": maybe_id(discount.subscription.as_ref()),
        "subscription_item": null,
    })
}
