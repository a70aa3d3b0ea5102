//! Typed state → Stripe's JSON. One function per kind of object; nothing is decided and nothing is changed here.
//!
//! Members are those of API version [`API_VERSION`]; besides what the published description requires they include what strict
//! clients want (`product.type`, the items' `plan`). Ids that a caller wants as objects are filled in by [`expand`].

mod account;
mod catalog;
mod checkout;
mod customer;
mod discount;
mod dispute;
mod event;
mod expand;
mod invoice;
mod invoice_item;
mod meter;
mod payment;
mod refund;
mod schedule;
mod subscription;
mod test_clock;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use account::{account, own_account, own_account_id};
pub(crate) use catalog::{price, product};
pub(crate) use checkout::{checkout_session, session_items};
pub(crate) use customer::customer;
pub(crate) use discount::{coupon, discount, promotion_code};
pub(crate) use dispute::dispute;
pub(crate) use event::{event, webhook_endpoint};
pub(crate) use expand::expand;
pub(crate) use invoice::{invoice, invoice_line, invoice_lines_url, invoice_payment};
pub(crate) use invoice_item::invoice_item;
pub(crate) use meter::{meter, meter_event, meter_summary};
pub(crate) use payment::{charge, payment_intent, payment_method};
pub(crate) use refund::{credit_note, refund};
pub(crate) use schedule::{schedule, schedule_status};
pub(crate) use subscription::{subscription, subscription_item, subscription_items};

pub(crate) use test_clock::test_clock;

use crate::id::{
    ChargeId, CheckoutSessionId, CouponId, CreditNoteId, CustomerId, DiscountId, DisputeId, Id, InvoiceId,
    InvoiceItemId, InvoicePaymentId, PaymentIntentId, PaymentMethodId, PriceId, ProductId, PromotionCodeId,
    RefundId, ScheduleId, SubscriptionId, TestClockId,
};
use crate::state::World;

/// The API version whose shapes are answered.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// An object of a world, by kind and id.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Customer(CustomerId),
    Product(ProductId),
    Price(PriceId),
    PaymentMethod(PaymentMethodId),
    CheckoutSession(CheckoutSessionId),
    Subscription(SubscriptionId),
    Invoice(InvoiceId),
    InvoicePayment(InvoicePaymentId),
    InvoiceItem(InvoiceItemId),
    PaymentIntent(PaymentIntentId),
    Charge(ChargeId),
    Coupon(CouponId),
    PromotionCode(PromotionCodeId),
    Discount(DiscountId),
    Schedule(ScheduleId),
    TestClock(TestClockId),
    Refund(RefundId),
    CreditNote(CreditNoteId),
    Dispute(DisputeId),
}

/// An object of this world as Stripe answers it.
pub(crate) fn object(world: &World, object: &Object) -> Value {
    match object {
        Object::Customer(id) => customer(&world.customers[id]),
        Object::Product(id) => product(&world.products[id]),
        Object::Price(id) => price(&world.prices[id]),
        Object::PaymentMethod(id) => payment_method(&world.payment_methods[id]),
        Object::CheckoutSession(id) => checkout_session(world, &world.sessions[id]),
        Object::Subscription(id) => subscription(world, &world.subscriptions[id]),
        Object::Invoice(id) => invoice(world, &world.invoices[id]),
        Object::InvoiceItem(id) => invoice_item(world, &world.invoice_items[id]),
        Object::InvoicePayment(id) => invoice_payment(&world.invoice_payments[id]),
        Object::PaymentIntent(id) => payment_intent(world, &world.payment_intents[id]),
        Object::Refund(id) => refund(&world.refunds[id]),
        Object::CreditNote(id) => credit_note(world, &world.credit_notes[id]),
        Object::Dispute(id) => dispute(world, &world.disputes[id]),
        Object::Charge(id) => charge(world, &world.charges[id]),
        Object::Coupon(id) => coupon(&world.coupons[id]),
        Object::PromotionCode(id) => promotion_code(world, &world.promotion_codes[id]),
        Object::TestClock(id) => test_clock(&world.test_clocks[id]),
        Object::Schedule(id) => schedule(world, &world.schedules[id]),
        Object::Discount(id) => discount(&world.discounts[id]),
    }
}

/// The object that has this id, whatever it is.
pub(crate) fn by_id(world: &World, id: &str) -> Option<Value> {
    None.or_else(|| world.customers.find(id).map(customer))
        .or_else(|| world.products.find(id).map(product))
        .or_else(|| world.prices.find(id).map(price))
        .or_else(|| world.payment_methods.find(id).map(payment_method))
        .or_else(|| world.sessions.find(id).map(|row| checkout_session(world, row)))
        .or_else(|| world.subscriptions.find(id).map(|row| subscription(world, row)))
        .or_else(|| world.invoices.find(id).map(|row| invoice(world, row)))
        .or_else(|| {
            world
                .payment_intents
                .find(id)
                .map(|row| payment_intent(world, row))
        })
        .or_else(|| world.refunds.find(id).map(refund))
        .or_else(|| world.credit_notes.find(id).map(|row| credit_note(world, row)))
        .or_else(|| world.disputes.find(id).map(|row| dispute(world, row)))
        .or_else(|| world.charges.find(id).map(|row| charge(world, row)))
        .or_else(|| world.coupons.find(id).map(coupon))
        .or_else(|| {
            world
                .promotion_codes
                .find(id)
                .map(|row| promotion_code(world, row))
        })
        .or_else(|| world.discounts.find(id).map(discount))
        .or_else(|| world.test_clocks.find(id).map(test_clock))
        .or_else(|| world.schedules.find(id).map(|row| schedule(world, row)))
}

/// Unix seconds, as everywhere in Stripe's JSON.
fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

fn maybe_seconds(at: Option<Timestamp>) -> Option<i64> {
    at.map(seconds)
}

fn maybe_id<I: Id>(id: Option<&I>) -> Option<&str> {
    id.map(Id::as_str)
}

/// How many elements of a list that may be long an object shows.
const SHOWN_OF_A_LIST: usize = 10;

/// A list inside an object that may be long: the beginning of it, and where the whole is.
fn inner_beginning(url: &str, mut data: Vec<Value>) -> Value {
    let has_more = data.len() > SHOWN_OF_A_LIST;
    data.truncate(SHOWN_OF_A_LIST);
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

/// A list inside an object: always whole.
pub(crate) fn inner_list(url: &str, data: Vec<Value>) -> Value {
    json!({ "object": "list", "url": url, "has_more": false, "data": data })
}

/// The word for a value in one of state's word tables.
fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words
        .iter()
        .find(|(_, meaning)| *meaning == value)
        .map_or("", |(word, _)| word)
}
