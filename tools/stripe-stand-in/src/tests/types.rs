//! Every answer parses as async-stripe's full generated type, which is stricter than Stripe's description.

use miniserde::json;
use serde_json::Value;
use stripe_shared as stripe;

/// Parses an answer (or each element of a list) as the type that its `object` says.
pub(super) fn check(answer: &Value) {
    match answer["object"].as_str() {
        Some("list") => answer["data"].as_array().unwrap().iter().for_each(check),
        Some(_) if answer["deleted"] == true => {}
        Some(kind) => assert!(
            parses(kind, &answer.to_string()),
            "async-stripe cannot read this {kind}: {answer:#}"
        ),
        None => {}
    }
}

fn parses(kind: &str, text: &str) -> bool {
    match kind {
        "account" => json::from_str::<stripe::Account>(text).is_ok(),
        "charge" => json::from_str::<stripe::Charge>(text).is_ok(),
        "checkout.session" => json::from_str::<stripe::CheckoutSession>(text).is_ok(),
        "coupon" => json::from_str::<stripe::Coupon>(text).is_ok(),
        "discount" => json::from_str::<stripe::Discount>(text).is_ok(),
        "promotion_code" => json::from_str::<stripe::PromotionCode>(text).is_ok(),
        "credit_note" => json::from_str::<stripe::CreditNote>(text).is_ok(),
        "dispute" => json::from_str::<stripe::Dispute>(text).is_ok(),
        "refund" => json::from_str::<stripe::Refund>(text).is_ok(),
        "customer" => json::from_str::<stripe::Customer>(text).is_ok(),
        "event" => json::from_str::<stripe::Event>(text).is_ok(),
        "invoice" => json::from_str::<stripe::Invoice>(text).is_ok(),
        "invoiceitem" | "billing.meter" | "billing.meter_event" => true,
        "invoice_payment" => json::from_str::<stripe::InvoicePayment>(text).is_ok(),
        "item" => json::from_str::<stripe::CheckoutSessionItem>(text).is_ok(),
        "line_item" => json::from_str::<stripe::InvoiceLineItem>(text).is_ok(),
        "payment_intent" => json::from_str::<stripe::PaymentIntent>(text).is_ok(),
        "payment_method" => json::from_str::<stripe::PaymentMethod>(text).is_ok(),
        "price" => json::from_str::<stripe::Price>(text).is_ok(),
        "product" => json::from_str::<stripe::Product>(text).is_ok(),
        "test_helpers.test_clock" => json::from_str::<stripe::TestHelpersTestClock>(text).is_ok(),
        "subscription_schedule" => json::from_str::<stripe::SubscriptionSchedule>(text).is_ok(),
        "subscription" => json::from_str::<stripe::Subscription>(text).is_ok(),
        "subscription_item" => json::from_str::<stripe::SubscriptionItem>(text).is_ok(),
        // Its type is in a crate of async-stripe that the project does not use.
        "webhook_endpoint" => true,
        other => panic!("which type is {other}?"),
    }
}
