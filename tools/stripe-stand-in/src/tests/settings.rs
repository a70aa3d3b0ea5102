//! Each of the possible worlds: what an account's owner may choose, and what is not known of Stripe.

use serde_json::{Value, json};

use super::changes::amounts;
use super::harness::{Shop, at, call, day, id};
use crate::{AfterLastRetry, NewPeriodStart, Settings};

/// 30.00 for April's 30 days, of which 20 are left: −20.00, and 3 × 96.00 for the year.
async fn to_a_year(settings: Settings, more: Value) -> (Shop, String, Value) {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    shop.stripe.set(settings);
    let item = json!({ "price": shop.annual, "quantity": 3 });
    let changed = shop.change(&subscription, item, more).await;
    (shop, subscription, changed)
}

#[tokio::test]
async fn a_subscription_that_was_not_paid_in_all_tries_is_as_its_owner_chose() {
    for (after_last_retry, status) in [
        (AfterLastRetry::Canceled, "canceled"),
        (AfterLastRetry::Unpaid, "unpaid"),
        (AfterLastRetry::PastDue, "past_due"),
    ] {
        let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
        shop.stripe.set(Settings {
            after_last_retry,
            ..Settings::default()
        });
        let (customer, subscription) = shop.subscriber().await;
        shop.stripe
            .set_card(&customer, "pm_card_chargeCustomerFail")
            .unwrap();
        shop.advance("2026-05-20T00:00:00Z").await;
        let path = format!("/v1/subscriptions/{subscription}");
        assert_eq!(shop.get(&path).await["status"], status);
    }
}

#[tokio::test]
async fn discounts_are_refused_in_what_waits_where_they_cannot_wait() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    shop.stripe.set(Settings {
        pending_updates_take_discounts: false,
        ..Settings::default()
    });
    let coupon = shop
        .post("/v1/coupons", json!({ "percent_off": 20, "duration": "once" }))
        .await;
    for (param, value) in [
        ("discounts", json!([{ "coupon": id(&coupon) }])),
        ("metadata", json!({ "a": "1" })),
    ] {
        let params = json!({ "payment_behavior": "pending_if_incomplete", (param): value });
        let path = format!("/v1/subscriptions/{subscription}");
        let error = shop.refused(400, "POST", &path, params).await;
        assert!(
            error["param"].as_str().unwrap().starts_with(param)
                && error["message"].as_str().unwrap().contains("pending"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_new_period_can_be_labelled_a_proration() {
    for new_period_is_proration in [false, true] {
        let settings = Settings {
            new_period_is_proration,
            ..Settings::default()
        };
        let (shop, subscription, _) = to_a_year(settings, json!({})).await;
        let invoice = shop.latest(&subscription).await;
        assert_eq!(amounts(&invoice), [-2000, 28_800]);
        let label = &invoice["lines"]["data"][1]["parent"]["subscription_item_details"]["proration"];
        assert_eq!(label, &json!(new_period_is_proration), "{invoice:#}");
    }
}

/// Changed on the 11th, credited from the 6th: 25 of 30 days are left, −25.00.
#[tokio::test]
async fn a_new_period_can_start_at_the_date_that_time_is_credited_from() {
    for (new_period_starts_at, start) in [
        (NewPeriodStart::Call, "2026-11-11"),
        (NewPeriodStart::ProrationDate, "2026-11-06"),
    ] {
        let settings = Settings {
            new_period_starts_at,
            ..Settings::default()
        };
        let date = json!({ "proration_date": day("2026-11-06") });
        let (shop, subscription, changed) = to_a_year(settings, date).await;
        assert_eq!(
            changed["items"]["data"][0]["current_period_start"],
            day(start),
            "{start}"
        );
        assert_eq!(amounts(&shop.latest(&subscription).await), [-2500, 28_800]);
    }
}

/// Changed to a year on the fifth of ten days of trial. Where the trial goes on, nothing is billed until its end, and then the year;
/// else the year begins and is paid for at once.
#[tokio::test]
async fn a_trial_goes_on_when_its_interval_is_changed_or_it_does_not() {
    for (trial_outlasts_interval, status, end, paid) in [
        (true, "trialing", "2026-12-11", vec![0]),
        (false, "active", "2027-12-05", vec![0, 9600]),
    ] {
        let shop = Shop::open().await;
        shop.stripe.set(Settings {
            trial_outlasts_interval,
            ..Settings::default()
        });
        let customer = shop.customer().await;
        shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
        let params = json!({
            "customer": customer, "items": [{ "price": shop.monthly }], "trial_period_days": 10,
            "billing_mode": { "type": "classic" },
        });
        let subscription = id(&shop.post("/v1/subscriptions", params).await);
        shop.advance("2026-12-05T00:00:00Z").await;
        let to_a_year = json!({ "price": shop.annual });
        let more =
            json!({ "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete" });
        let changed = shop.change(&subscription, to_a_year, more).await;
        let item = &changed["items"]["data"][0];
        assert_eq!(
            (
                &changed["status"],
                &item["price"]["id"],
                &item["current_period_end"]
            ),
            (&json!(status), &json!(shop.annual), &json!(day(end)))
        );
        let invoices = shop.list("/v1/invoices", json!({ "customer": customer })).await;
        let totals = invoices["data"].as_array().unwrap().iter().rev();
        let totals: Vec<i64> = totals.map(|invoice| invoice["total"].as_i64().unwrap()).collect();
        assert_eq!(totals, paid);
        shop.advance("2026-12-11T02:00:00Z").await;
        assert_eq!(shop.latest(&subscription).await["amount_paid"], 9600);
    }
}

#[tokio::test]
async fn settings_are_told_and_changed_one_by_one_and_a_reset_takes_them_back() {
    let shop = Shop::open().await;
    shop.stripe.set_baseline();
    shop.stripe.set(Settings {
        after_last_retry: AfterLastRetry::Unpaid,
        ..shop.stripe.settings()
    });
    assert_eq!(shop.stripe.settings().after_last_retry, AfterLastRetry::Unpaid);
    assert!(shop.stripe.settings().pending_updates_take_discounts);
    shop.stripe.reset();
    assert_eq!(shop.stripe.settings(), Settings::default());
}

/// A trial of ten days, and nothing to pay with at its end.
#[tokio::test]
async fn a_trial_without_a_payment_method_ends_as_it_was_told_to() {
    for (wanted, status) in [
        ("pause", "paused"),
        ("cancel", "canceled"),
        ("create_invoice", "active"),
    ] {
        let shop = Shop::open_at("2026-04-01T00:00:00Z").await;
        let customer = shop.customer().await;
        let params = json!({
            "customer": customer, "items": [{ "price": shop.monthly }], "trial_period_days": 10,
            "trial_settings": { "end_behavior": { "missing_payment_method": wanted } },
        });
        let begun = shop.post("/v1/subscriptions", params).await;
        assert_eq!(
            (
                &begun["status"],
                &begun["trial_settings"]["end_behavior"]["missing_payment_method"]
            ),
            (&json!("trialing"), &json!(wanted))
        );
        shop.stripe.advance_to(at("2026-04-11T00:00:00Z")).await;
        let path = format!("/v1/subscriptions/{}", id(&begun));
        assert_eq!(shop.get(&path).await["status"], status, "{wanted}");
        let paused = shop
            .event_types()
            .contains(&"customer.subscription.paused".to_owned());
        assert_eq!(paused, wanted == "pause");
    }
}

/// Twelve fees wait for the next invoice: −20.00, 288.00 and 12 × 1.00 are fourteen lines, of which ten are shown at first.
#[tokio::test]
async fn the_lines_of_a_preview_are_listed_page_by_page() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    for _ in 0..12 {
        let fee = json!({ "customer": customer, "amount": 100, "currency": "usd" });
        shop.post("/v1/invoiceitems", fee).await;
    }
    let item = json!({ "price": shop.annual, "quantity": 3 });
    let more = json!({ "proration_behavior": "always_invoice" });
    let preview = shop.preview(&subscription, item, more).await;
    let lines = &preview["lines"];
    assert_eq!(
        (lines["data"].as_array().unwrap().len(), &lines["has_more"]),
        (10, &json!(true))
    );
    let url = lines["url"].as_str().unwrap();
    let after = &lines["data"][9]["id"];
    let rest = shop
        .send(call("GET", url, &json!({ "limit": 3, "starting_after": after })))
        .await
        .body;
    assert_eq!(
        (rest["data"].as_array().unwrap().len(), &rest["has_more"]),
        (3, &json!(true))
    );
    let last = json!({ "starting_after": rest["data"][2]["id"] });
    let last = shop.list(url, last).await;
    assert_eq!(
        (last["data"].as_array().unwrap().len(), &last["has_more"]),
        (1, &json!(false))
    );
    let whole = shop.list(url, json!({ "limit": 100 })).await;
    let sum: i64 = whole["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .sum();
    assert_eq!((json!(sum), sum), (preview["total"].clone(), 28_000));
}
