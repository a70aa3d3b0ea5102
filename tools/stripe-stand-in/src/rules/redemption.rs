//! Redeeming coupons and promotion codes: who may, and what is counted.
//!
//! # How it works
//! What is asked for (`discounts[0][promotion_code]`) is checked against a purchase when it is asked for, and becomes a discount
//! only when the purchase takes effect: that is when the redemption is counted. So a payment that fails on the way burns no code.
//!
//! # If it fails half-way
//! Checking writes nothing; redeeming cannot be refused.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::{Moment, pricing, referred};
use crate::id::{CouponId, CustomerId, DiscountId, PriceId, ProductId, PromotionCodeId, SubscriptionId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{
    CheckoutSession, Coupon, CouponDuration, Currency, Discount, Due, Grant, Invoice, InvoiceStatus, Off,
    PaymentIntent, Subscription,
};

/// Stripe's limit, of coupons and promotion codes together.
const MOST_DISCOUNTS: usize = 20;

/// One element of a `discounts` parameter.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    param: String,
    what: AskedFor,
}

#[derive(Clone, Debug)]
enum AskedFor {
    Coupon(String),
    PromotionCode(String),
    /// A discount that is there already, to be kept.
    Discount(String),
}

/// Reads a `discounts` parameter; none when it was not given, an empty list to clear them.
pub(crate) fn read(params: &Params<'_>, member: &str) -> Result<Option<Vec<Asked>>, Refusal> {
    if !params.has(member) {
        return Ok(None);
    }
    let elements = params.children(member)?;
    if elements.len() > MOST_DISCOUNTS {
        let message = format!("You may apply up to {MOST_DISCOUNTS} discounts.");
        return Err(Refusal::invalid(&params.name_of(member), message));
    }
    elements.iter().map(read_one).collect::<Result<_, _>>().map(Some)
}

fn read_one(params: &Params<'_>) -> Result<Asked, Refusal> {
    let given = [
        ("coupon", params.text("coupon")?.map(AskedFor::Coupon)),
        (
            "promotion_code",
            params.text("promotion_code")?.map(AskedFor::PromotionCode),
        ),
        ("discount", params.text("discount")?.map(AskedFor::Discount)),
    ];
    let mut asked = given
        .into_iter()
        .filter_map(|(member, what)| Some((params.name_of(member), what?)));
    match (asked.next(), asked.next()) {
        (Some((param, what)), None) => Ok(Asked { param, what }),
        (None, _) => Err(Refusal::missing(&params.name_of("coupon"))),
        (Some(_), Some((param, _))) => Err(Refusal::invalid(
            &param,
            "You may only specify one of these parameters: coupon, discount, promotion_code.",
        )),
    }
}

/// What is bought, as far as coupons ask.
pub(crate) struct Purchase<'a> {
    /// None on a checkout page that makes the customer itself.
    pub(crate) customer: Option<&'a CustomerId>,
    pub(crate) currency: &'a Currency,
    /// What is charged for each product, before discounts.
    pub(crate) lines: Vec<(ProductId, i64)>,
    /// The discounts there are, any of which may be kept.
    pub(crate) present: &'a [DiscountId],
    pub(crate) occasion: Occasion<'a>,
}

/// On what occasion it is bought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Occasion<'a> {
    /// A subscription begins, or the phase that is under way.
    Beginning,
    /// The same on a checkout page, on which the payer may have tried to pay before.
    Page(&'a CheckoutSession),
    /// A subscription is updated, or a phase is to come.
    Later,
}

/// Holds what is asked for to a subscription as it is to be (its `discounts` are still those it had), and makes the discounts:
/// its new list. They wait until [`take_effect`].
pub(crate) fn for_subscription(
    at: &mut Moment<'_>,
    asked: &[Asked],
    subscription: &Subscription,
) -> Result<Vec<DiscountId>, Refusal> {
    let items = subscription.items.iter().map(|item| (&item.price, item.quantity));
    let purchase = Purchase {
        customer: Some(&subscription.customer),
        currency: &subscription.currency,
        lines: charges(at, items),
        present: &subscription.discounts,
        occasion: Occasion::Later,
    };
    let grants = check(at, asked, &purchase)?;
    Ok(make(at, &grants, &subscription.customer))
}

/// The same for a subscription that is to be begun.
pub(crate) fn for_new(
    at: &mut Moment<'_>,
    asked: &[Asked],
    customer: &CustomerId,
    (items, currency): (&[(PriceId, Option<u64>)], &Currency),
) -> Result<Vec<DiscountId>, Refusal> {
    let purchase = Purchase {
        customer: Some(customer),
        currency,
        lines: charges(at, items.iter().map(|(price, quantity)| (price, *quantity))),
        present: &[],
        occasion: Occasion::Beginning,
    };
    let grants = check(at, asked, &purchase)?;
    Ok(make(at, &grants, customer))
}

/// What prices in these quantities come to, by product.
pub(crate) fn charges<'a>(
    at: &Moment<'_>,
    items: impl Iterator<Item = (&'a PriceId, Option<u64>)>,
) -> Vec<(ProductId, i64)> {
    items
        .map(|(price, quantity)| {
            let price = &at.world.prices[price];
            let amount = quantity.map_or(0, |quantity| pricing::amount(price, quantity));
            (price.product.clone(), amount)
        })
        .collect()
}

/// Holds what is asked for to the purchase.
pub(crate) fn check(
    at: &Moment<'_>,
    asked: &[Asked],
    purchase: &Purchase<'_>,
) -> Result<Vec<Grant>, Refusal> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut coupons: Vec<CouponId> = Vec::new();
    for Asked { param, what } in asked {
        let grant = match what {
            AskedFor::Coupon(id) => Grant::Coupon(coupon(at, id, param, purchase)?.id.clone()),
            AskedFor::PromotionCode(id) => Grant::PromotionCode(promotion_code(at, id, param, purchase)?),
            AskedFor::Discount(id) => Grant::Kept(present(at, id, param, purchase)?),
        };
        let coupon = coupon_of(at, &grant);
        if coupons.contains(&coupon) {
            return Err(Refusal::invalid(
                param,
                "You may not apply the same coupon more than once.",
            ));
        }
        coupons.push(coupon);
        grants.push(grant);
    }
    Ok(grants)
}

/// Holds what was granted earlier to the purchase once more: a code may have expired or been used up meanwhile.
pub(crate) fn check_again(at: &Moment<'_>, grants: &[Grant], purchase: &Purchase<'_>) -> Result<(), Refusal> {
    let asked: Vec<Asked> = grants
        .iter()
        .map(|grant| Asked {
            param: "discounts".to_owned(),
            what: match grant {
                Grant::Coupon(id) => AskedFor::Coupon(id.to_string()),
                Grant::PromotionCode(id) => AskedFor::PromotionCode(id.to_string()),
                Grant::Kept(id) => AskedFor::Discount(id.to_string()),
            },
        })
        .collect();
    check(at, &asked, purchase).map(|_| ())
}

/// The code that a customer typed, whatever its case, if it can be redeemed for the purchase.
pub(crate) fn check_typed(at: &Moment<'_>, code: &str, purchase: &Purchase<'_>) -> Result<Grant, Refusal> {
    let known = at
        .world
        .promotion_codes
        .iter()
        .rev()
        .find(|row| row.code.eq_ignore_ascii_case(code) && row.is_active(&at.world.coupons[&row.coupon]));
    let id = known
        .ok_or_else(|| Refusal::invalid("promotionCode", "This code is invalid."))?
        .id
        .to_string();
    promotion_code(at, &id, "promotionCode", purchase).map(Grant::PromotionCode)
}

fn coupon_of(at: &Moment<'_>, grant: &Grant) -> CouponId {
    match grant {
        Grant::Coupon(id) => id.clone(),
        Grant::PromotionCode(id) => at.world.promotion_codes[id].coupon.clone(),
        Grant::Kept(id) => at.world.discounts[id].coupon.clone(),
    }
}

fn coupon<'a>(
    at: &'a Moment<'_>,
    id: &str,
    param: &str,
    purchase: &Purchase<'_>,
) -> Result<&'a Coupon, Refusal> {
    let coupon = referred(&at.world.coupons, id, param)?;
    if coupon.deleted {
        return Err(Refusal::no_such("coupon", id, param));
    }
    if !coupon.is_valid() {
        return Err(expired(id, param));
    }
    check_terms(coupon, param, purchase)?;
    Ok(coupon)
}

fn check_terms(coupon: &Coupon, param: &str, purchase: &Purchase<'_>) -> Result<(), Refusal> {
    if let Off::Amount(amounts) = &coupon.terms.off
        && coupon.terms.off.amount_in(purchase.currency).is_none()
    {
        let own = amounts.first().map_or("", |(currency, _)| currency.as_str());
        let message = format!(
            "The coupon `{}` is in {own} and cannot be applied to a purchase in {}.",
            coupon.id,
            purchase.currency.as_str()
        );
        return Err(Refusal::invalid(param, message));
    }
    let applies = purchase
        .lines
        .iter()
        .any(|(product, _)| coupon.terms.covers(product));
    if applies {
        Ok(())
    } else {
        Err(Refusal::invalid_code(
            "coupon_applies_to_nothing",
            param,
            "This coupon cannot be redeemed because it does not apply to anything in this order.",
        ))
    }
}

/// A coupon past its date or its number of redemptions.
pub(crate) fn expired(id: &str, param: &str) -> Refusal {
    Refusal::invalid_code("coupon_expired", param, format!("Coupon expired: {id}"))
}

fn promotion_code(
    at: &Moment<'_>,
    id: &str,
    param: &str,
    purchase: &Purchase<'_>,
) -> Result<PromotionCodeId, Refusal> {
    let row = referred(&at.world.promotion_codes, id, param)?;
    let cannot = |because: &str| format!("This promotion code cannot be redeemed because {because}.");
    let coupon = &at.world.coupons[&row.coupon];
    if !row.is_active(coupon) {
        return Err(Refusal::invalid_code(
            "coupon_expired",
            param,
            cannot("it is inactive, has expired or has been fully redeemed"),
        ));
    }
    if row.customer.is_some() && row.customer.as_ref() != purchase.customer {
        return Err(Refusal::invalid(param, cannot("it belongs to another customer")));
    }
    let is_known = purchase
        .customer
        .is_some_and(|customer| has_bought(at, customer, purchase.occasion));
    if row.first_time_transaction && is_known {
        return Err(Refusal::invalid_code(
            "promotion_code_customer_not_first_time",
            param,
            cannot("the associated customer has prior transactions"),
        ));
    }
    if !row.minimum_amount.is_empty() {
        // So Stripe's page on coupons and promotion codes. How Stripe refuses it, it does not say: the words are ours.
        if matches!(purchase.occasion, Occasion::Later) {
            let because = "one with a minimum amount is taken where a subscription begins, and neither by an update nor by a \
                           phase to come";
            return Err(Refusal::invalid(param, cannot(because)));
        }
        let minimum = row
            .minimum_amount
            .iter()
            .find(|(currency, _)| currency == purchase.currency);
        let subtotal: i64 = purchase.lines.iter().map(|(_, amount)| amount).sum();
        // A minimum in another currency cannot be met.
        if minimum.is_none_or(|(_, minimum)| subtotal < *minimum) {
            let because = "the associated purchase does not meet the minimum amount requirement";
            return Err(Refusal::invalid(param, cannot(because)));
        }
    }
    check_terms(coupon, param, purchase)?;
    Ok(row.id.clone())
}

/// Whether a customer has tried to pay anything, even in vain, or has an invoice that was not given up: then no purchase is their first. What came
/// of earlier tries on the same page does not count: it is one purchase. Source: Stripe's page on coupons and promotion codes, which does not speak
/// of such tries.
fn has_bought(at: &Moment<'_>, customer: &CustomerId, occasion: Occasion<'_>) -> bool {
    let page = match occasion {
        Occasion::Page(session) => Some(session),
        Occasion::Beginning | Occasion::Later => None,
    };
    let tried = page.and_then(|session| session.attempt.as_ref());
    let begun = page.and_then(|session| Some(&session.begun.as_ref()?.1));
    let tries_to_pay = |intent: &PaymentIntent| {
        let is_of_page = tried == Some(&intent.id) || (begun.is_some() && intent.invoice.as_ref() == begun);
        intent.customer.as_ref() == Some(customer) && !is_of_page
    };
    let counts = |invoice: &Invoice| {
        invoice.customer == *customer
            && begun != Some(&invoice.id)
            && !matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Void)
    };
    at.world.payment_intents.iter().any(tries_to_pay) || at.world.invoices.iter().any(counts)
}

fn present(at: &Moment<'_>, id: &str, param: &str, purchase: &Purchase<'_>) -> Result<DiscountId, Refusal> {
    let discount = referred(&at.world.discounts, id, param)?;
    if purchase.present.contains(&discount.id) {
        Ok(discount.id.clone())
    } else {
        Err(Refusal::no_such("discount", id, param))
    }
}

/// Whether a grant of earlier can still be redeemed, or is a discount that still runs.
pub(crate) fn is_redeemable(at: &Moment<'_>, grant: &Grant) -> bool {
    match grant {
        Grant::Coupon(id) => at.world.coupons.get(id).is_some_and(Coupon::is_valid),
        Grant::PromotionCode(id) => {
            let row = &at.world.promotion_codes[id];
            row.is_active(&at.world.coupons[&row.coupon])
        }
        Grant::Kept(id) => at.world.discounts[id].is_running(at.now),
    }
}

/// Whether a discount is what became of a grant.
pub(crate) fn came_of(at: &Moment<'_>, id: &DiscountId, grant: &Grant) -> bool {
    let discount = &at.world.discounts[id];
    match grant {
        Grant::Coupon(coupon) => discount.promotion_code.is_none() && discount.coupon == *coupon,
        Grant::PromotionCode(code) => discount.promotion_code.as_ref() == Some(code),
        Grant::Kept(kept) => kept == id,
    }
}

/// Makes discounts of grants. They are not redeemed until they take effect.
pub(crate) fn make(at: &mut Moment<'_>, grants: &[Grant], customer: &CustomerId) -> Vec<DiscountId> {
    grants
        .iter()
        .map(|grant| match grant {
            Grant::Kept(id) => id.clone(),
            Grant::Coupon(coupon) => make_one(at, coupon.clone(), None, customer),
            Grant::PromotionCode(code) => {
                let coupon = at.world.promotion_codes[code].coupon.clone();
                make_one(at, coupon, Some(code.clone()), customer)
            }
        })
        .collect()
}

fn make_one(
    at: &mut Moment<'_>,
    coupon: CouponId,
    promotion_code: Option<PromotionCodeId>,
    customer: &CustomerId,
) -> DiscountId {
    let terms = at.world.coupons[&coupon].terms.clone();
    let id = at.world.ids.make();
    at.world.discounts.insert(Discount {
        id,
        coupon,
        terms,
        promotion_code,
        customer: Some(customer.clone()),
        subscription: None,
        checkout_session: None,
        start: at.now,
        end: None,
        redeemed: false,
        used_on: None,
    })
}

/// Lets those discounts of a subscription that are new take effect now: counts the redemptions, and starts their time.
pub(crate) fn take_effect(at: &mut Moment<'_>, subscription: &SubscriptionId) {
    for id in at.world.subscriptions[subscription].discounts.clone() {
        let discount = &mut at.world.discounts[&id];
        if discount.redeemed {
            continue;
        }
        discount.redeemed = true;
        discount.subscription = Some(subscription.clone());
        discount.start = at.now;
        discount.end = match discount.terms.duration {
            CouponDuration::Repeating { months } => Some(months_after(at.now, months)),
            CouponDuration::Once | CouponDuration::Forever => None,
        };
        let (coupon, code, end) = (
            discount.coupon.clone(),
            discount.promotion_code.clone(),
            discount.end,
        );
        // Deleted in the meantime, a coupon counts on as a mark.
        if let Some(coupon) = at.world.coupons.get_mut(&coupon) {
            coupon.times_redeemed += 1;
        }
        if let Some(code) = code {
            at.world.promotion_codes[&code].times_redeemed += 1;
        }
        if let Some(end) = end {
            at.world.remind(end, Due::DiscountEnd(id.clone()));
        }
        at.emit("customer.discount.created", &Object::Discount(id));
    }
}

fn months_after(start: Timestamp, months: u32) -> Timestamp {
    let moved = Span::new()
        .try_months(months)
        .and_then(|span| start.to_zoned(TimeZone::UTC).checked_add(span));
    moved.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}
