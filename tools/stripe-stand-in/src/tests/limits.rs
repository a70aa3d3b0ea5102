//! The most that is charged at once: twelve digits, or where a payment method has fewer 999,999.99 in dollars, twelve digits in rupiah. And the least
//! that a checkout session takes.

use serde_json::{Value, json};

use super::harness::{Shop, id};
use crate::Settings;

/// A shop in which as much is charged at once as by other payment methods than cards.
async fn of_eight_digits() -> Shop {
    let shop = Shop::open().await;
    shop.stripe.set(Settings {
        charges_twelve_digits: false,
        ..Settings::default()
    });
    shop
}

/// What an update, a preview and a schedule say of the same items.
fn of_items(items: &Value) -> [Value; 3] {
    let seconds = super::harness::day("2026-12-10");
    [
        json!({ "items": items }),
        json!({ "subscription_details": { "items": items } }),
        json!({ "start_date": seconds, "phases": [{ "items": items }] }),
    ]
}

/// 99,999 × 10.00 is the most; one more is refused by its quantity, wherever it is asked for, and nothing is changed.
#[tokio::test]
async fn a_quantity_that_comes_to_too_much_is_refused_wherever_it_is_asked_for() {
    let shop = of_eight_digits().await;
    let (customer, subscription) = shop.subscriber().await;
    let path = format!("/v1/subscriptions/{subscription}");
    let before = shop.get(&path).await;
    let item = before["items"]["data"][0]["id"].clone();
    let [update, preview, _] = of_items(&json!([{ "id": item, "quantity": 100_000 }]));
    let [create, _, schedule] = of_items(&json!([{ "price": shop.monthly, "quantity": 100_000 }]));
    let with = |mut params: Value, name: &str, value: &str| {
        params[name] = json!(value);
        params
    };
    let told =
        "Invalid quantity: total amount (quantity * price.unit_amount) must be no more than $999999.99 USD";
    for (path, params, param) in [
        (path.as_str(), update, "items[0][quantity]"),
        (
            "/v1/invoices/create_preview",
            with(preview, "subscription", &subscription),
            "subscription_details[items][0][quantity]",
        ),
        (
            "/v1/subscriptions",
            with(create, "customer", &customer),
            "items[0][quantity]",
        ),
        (
            "/v1/subscription_schedules",
            with(schedule, "customer", &customer),
            "phases[0][items][0][quantity]",
        ),
        (
            &format!("/v1/subscription_items/{}", item.as_str().unwrap()),
            json!({ "quantity": 100_000 }),
            "quantity",
        ),
    ] {
        let error = shop.refused(400, "POST", path, params).await;
        assert_eq!(
            (&error["param"], &error["message"]),
            (&json!(param), &json!(told)),
            "{path}"
        );
    }
    assert_eq!(shop.get(&path).await, before);
    let most = json!({ "subscription": subscription,
                       "subscription_details": { "items": [{ "id": item, "quantity": 99_999 }] } });
    shop.post("/v1/invoices/create_preview", most).await;
}

/// Two items of 600,000.00 are too much together, as a new subscription and as an update; a checkout of them too.
#[tokio::test]
async fn items_that_come_to_too_much_together_are_refused() {
    let shop = of_eight_digits().await;
    let (customer, subscription) = shop.subscriber().await;
    let dear = [
        id(&shop.price(60_000_000, "month").await),
        id(&shop.price(60_000_000, "month").await),
    ];
    let items = json!([{ "price": dear[0] }, { "price": dear[1] }]);
    let create = json!({ "customer": customer, "items": items });
    let update = json!({ "items": items, "proration_behavior": "always_invoice" });
    let path = format!("/v1/subscriptions/{subscription}");
    for (path, params) in [("/v1/subscriptions", create), (path.as_str(), update)] {
        let error = shop.refused(400, "POST", path, params).await;
        assert_eq!(error["code"], "amount_too_large", "{path}");
    }
    let session = json!({
        "mode": "subscription", "success_url": "https://app.example.com/",
        "line_items": [{ "price": dear[0], "quantity": 1 }, { "price": dear[1], "quantity": 1 }],
    });
    let error = shop.refused(400, "POST", "/v1/checkout/sessions", session).await;
    assert_eq!(
        (&error["code"], &error["message"]),
        (
            &json!("amount_too_large"),
            &json!("The Checkout Session's total amount due must be no more than $999999.99.")
        )
    );
}

#[tokio::test]
async fn a_price_costs_at_most_what_can_be_charged() {
    for (by_card, currency, most) in [
        (true, "usd", 999_999_999_999_i64),
        (true, "jpy", 999_999_999_999),
        (false, "usd", 99_999_999),
        (false, "jpy", 99_999_999),
        (false, "inr", 999_999_999),
        (false, "cop", 9_999_999_999),
        (false, "idr", 999_999_999_999),
    ] {
        let shop = if by_card {
            Shop::open().await
        } else {
            of_eight_digits().await
        };
        let of =
            |amount: i64| json!({ "product": shop.product, "currency": currency, "unit_amount": amount });
        shop.post("/v1/prices", of(most)).await;
        let error = shop.refused(400, "POST", "/v1/prices", of(most + 1)).await;
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("amount_too_large"), &json!("unit_amount")),
            "{currency}"
        );
    }
}

/// 0.49 is too little for a page; 0.50 is not, nor is what costs nothing. A subscription of 0.49 begins all the same.
#[tokio::test]
async fn a_checkout_session_of_less_than_is_charged_is_refused() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe.set_card(&customer, "pm_card_visa").unwrap();
    let session = |price: &str| {
        json!({ "mode": "subscription", "success_url": "https://app.example.com/", "customer": customer,
                "line_items": [{ "price": price, "quantity": 1 }] })
    };
    let little = id(&shop.price(49, "month").await);
    let error = shop
        .refused(400, "POST", "/v1/checkout/sessions", session(&little))
        .await;
    assert_eq!(
        (&error["code"], &error["message"]),
        (
            &json!("amount_too_small"),
            &json!("The Checkout Session's total amount due must add up to at least $0.50 usd")
        )
    );
    for amount in [0, 50] {
        let price = id(&shop.price(amount, "month").await);
        shop.post("/v1/checkout/sessions", session(&price)).await;
    }
    let begun = json!({ "customer": customer, "items": [{ "price": little }] });
    let begun = shop.post("/v1/subscriptions", begun).await;
    assert_eq!(begun["status"], "active");
}
