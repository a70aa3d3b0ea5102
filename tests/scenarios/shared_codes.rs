//! Promotion codes that are several: of one word, one for each customer; in several currencies.

use billing_tests::{Account, World};
use serde_json::{Value, json};

use crate::changes::nothing_changed;

fn with(code: &str) -> Value {
    json!({ "interval": "annual", "promotionCode": code })
}

/// Previewed and changed to a year at the first second of April: 9600 − 1000 without a code.
async fn charged(world: &World, ada: &Account<'_>, code: &str, amount: i64) {
    let mut wish = with(code);
    let preview = ada.previews(&wish).await;
    assert_eq!(preview.body["amountDueCents"], amount, "{preview}");
    wish["prorationDate"] = preview.body["prorationDate"].clone();
    let answer = ada.changes(&wish).await;
    assert_eq!(answer, r#"200 {"changed":true,"interval":"annual"}"#);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [1000, amount]);
}

/// A tenth for each loyal customer, by the same word. The account's own is the oldest of a hundred and one: 8600 − 960.
#[tokio::test]
async fn the_own_code_is_found_among_those_that_many_customers_have() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let stripe = &world.stripe;
    let coupon = stripe
        .operator("POST", "/v1/coupons", "percent_off=10&duration=once")
        .await;
    let gives = async |customer: &Value| {
        let form = format!(
            "promotion[type]=coupon&promotion[coupon]={}&code=LOYAL&customer={}",
            coupon["id"].as_str().unwrap(),
            customer["id"].as_str().unwrap()
        );
        stripe.operator("POST", "/v1/promotion_codes", &form).await;
    };
    gives(&stripe.customers(&ada).await[0]).await;
    for _ in 0..100 {
        gives(&stripe.operator("POST", "/v1/customers", "").await).await;
    }
    charged(&world, &ada, "loyal", 8600 - 960).await;
}

/// 5.00 euro off, or 6.00 dollars: 8600 − 600.
#[tokio::test]
async fn a_code_in_several_currencies_takes_off_the_amount_of_the_subscriptions() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let coupon = "amount_off=500&currency=eur&currency_options[usd][amount_off]=600&duration=once";
    world.stripe.makes_code(coupon, "code=ABROAD").await;
    charged(&world, &ada, "ABROAD", 8600 - 600).await;
}

/// For purchases of 20.00 euro, or 10.00 dollars, on the page of a checkout: 30.00 less a tenth. Stripe takes such a code on no change, of
/// whatever amount, in whatever currency.
#[tokio::test]
async fn a_code_with_a_minimum_is_for_what_begins_and_for_no_change() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let code = "code=LARGE&restrictions[minimum_amount]=2000&restrictions[minimum_amount_currency]=eur\
                &restrictions[currency_options][usd][minimum_amount]=1000";
    world
        .stripe
        .makes_code("percent_off=10&duration=once", code)
        .await;
    let machine = world.machine_told(&[("CHECKOUT_PROMOTION_CODES", "true")]).await;
    let ada = world.account(3).await;
    let started = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
    let typed = json!({ "promotionCode": "large" });
    world
        .stripe
        .checks_out_with(&started.client_secret(), &typed)
        .await;
    assert_eq!(world.stripe.payments(&ada).await, [2700]);
    world.advance("10d").await;
    for answer in [
        ada.previews(&with("LARGE")).await,
        ada.previews(&json!({ "quantity": 4, "promotionCode": "LARGE" }))
            .await,
        ada.changes(&with("LARGE")).await,
    ] {
        assert_eq!(
            answer,
            r#"400 {"error":"promotion code \"LARGE\" is for new subscriptions only, as it has a minimum amount"}"#
        );
    }
    nothing_changed(&world, &ada, &[2700]).await;
}
