//! Golden cases of rounding: fractions, currencies, months of every length; each with its arithmetic, worked out by hand.

use serde_json::json;

use super::changes::{amounts, at_once, lines};
use super::harness::{Shop, day, id};

/// 505 at half a month: −252.5 is −253; 909 at half a month: 454.5 is 454. 10.00 at two thirds: −666.67 is −667.
#[tokio::test]
async fn each_line_is_rounded_down_on_its_own() {
    for (old, new, date, expected) in [
        (505, 909, "2026-11-16T00:00:00Z", [-253, 454]),
        (1000, 500, "2026-11-11T00:00:00Z", [-667, 333]),
        (107, 7_000_001, "2026-11-30T23:59:59Z", [-1, 2]),
    ] {
        let shop = Shop::open_at("2026-11-01T00:00:00Z").await;
        let (old, new) = (
            id(&shop.price(old, "month").await),
            id(&shop.price(new, "month").await),
        );
        let (_, subscription) = shop.subscribed_to(&old, 1).await;
        shop.advance(date).await;
        shop.change(&subscription, json!({ "price": new }), at_once())
            .await;
        let invoice = shop.latest(&subscription).await;
        assert_eq!(amounts(&invoice), expected);
        assert_eq!(invoice["total"], expected.iter().sum::<i64>());
    }
}

/// 2027 has 365 days, of which 73 are a fifth: four fifths of 288.00 are 230.40. The first month costs 30.00, so 200.40 are
/// left; the second leaves 170.40.
#[tokio::test]
async fn a_year_turned_into_a_month_leaves_a_credit_above_the_charge() {
    let shop = Shop::open_at("2027-01-01T00:00:00Z").await;
    let (customer, subscription) = shop.subscribed_to(&shop.annual.clone(), 3).await;
    shop.advance("2027-03-15T00:00:00Z").await;
    let monthly = shop.monthly.clone();
    shop.change(
        &subscription,
        json!({ "price": monthly, "quantity": 3 }),
        at_once(),
    )
    .await;
    let invoice = shop.latest(&subscription).await;
    assert_eq!(amounts(&invoice), [-23_040, 3000]);
    assert_eq!(
        (&invoice["amount_due"], &invoice["status"]),
        (&json!(0), &json!("paid"))
    );
    assert_eq!(shop.balance(&customer).await, -20_040);
    shop.advance("2027-04-15T01:00:00Z").await;
    assert_eq!(shop.balance(&customer).await, -17_040);
}

/// Two thirds of ¥500 are ¥333.33…: −334 back, and of ¥1000 ¥666 charged. Two thirds of 1.000 KWD are −0.667, of 2.500 KWD 1.666.
#[tokio::test]
async fn currencies_with_no_and_with_three_decimals_are_rounded_in_their_own_unit() {
    for (currency, old, new, expected) in [("jpy", 500, 1000, [-334, 666]), ("kwd", 1000, 2500, [-667, 1666])]
    {
        let shop = Shop::open_at("2026-11-01T00:00:00Z").await;
        let price = |amount: i64| {
            let params = json!({
                "product": shop.product,
                "currency": currency,
                "unit_amount": amount,
                "recurring": { "interval": "month" },
            });
            let shop = &shop;
            async move { id(&shop.post("/v1/prices", params).await) }
        };
        let (old, new) = (price(old).await, price(new).await);
        let (_, subscription) = shop.subscribed_to(&old, 1).await;
        shop.advance("2026-11-11T00:00:00Z").await;
        shop.change(&subscription, json!({ "price": new }), at_once())
            .await;
        let invoice = shop.latest(&subscription).await;
        assert_eq!(
            (amounts(&invoice), &invoice["currency"]),
            (expected.to_vec(), &json!(currency))
        );
    }
}

/// From 31 January 2028 to 29 February are 29 days, of which 14 are left on the 15th: 29.00 × 14/29 = 14.00.
/// From 29 February to 31 March are 31 days; on the 10th 21 are left: 31.00 × 21/31 = 21.00.
#[tokio::test]
async fn a_subscription_of_the_thirty_first_is_prorated_in_a_leap_years_february() {
    let shop = Shop::open_at("2028-01-31T00:00:00Z").await;
    let price = id(&shop.price(100, "month").await);
    let (_, subscription) = shop.subscribed_to(&price, 29).await;
    shop.advance("2028-02-15T00:00:00Z").await;
    shop.change(&subscription, json!({ "quantity": 31 }), at_once())
        .await;
    // 31.00 × 14/29 = 14.965…
    assert_eq!(amounts(&shop.latest(&subscription).await), [-1400, 1496]);
    shop.advance("2028-03-10T00:00:00Z").await;
    shop.change(&subscription, json!({ "quantity": 0 }), at_once())
        .await;
    assert_eq!(amounts(&shop.latest(&subscription).await), [-2100, 0]);
    let period = &shop.get(&format!("/v1/subscriptions/{subscription}")).await["items"]["data"][0];
    assert_eq!(period["current_period_end"], day("2028-03-31"));
}

/// −20.00 + 33.33 and, at the same second, −33.33 + 20.00. The second credit is not 33.34, although 33.333… rounds to that: no
/// more than 33.33 was ever billed for that time.
#[tokio::test]
async fn a_change_and_its_undo_come_to_nothing() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    shop.change(&subscription, json!({ "quantity": 5 }), at_once())
        .await;
    assert_eq!(amounts(&shop.latest(&subscription).await), [-2000, 3333]);
    shop.change(&subscription, json!({ "quantity": 3 }), at_once())
        .await;
    assert_eq!(amounts(&shop.latest(&subscription).await), [-3333, 2000]);
}

/// As it was after 10 of 30 days, although 15 have passed: −20.00 + 33.33.
#[tokio::test]
async fn a_proration_date_holds_the_clock_for_the_quote() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    shop.advance("2026-11-16T00:00:00Z").await;
    let dated = json!({ "proration_behavior": "always_invoice", "proration_date": day("2026-11-11") });
    let preview = shop
        .preview(&subscription, json!({ "quantity": 5 }), dated.clone())
        .await;
    shop.change(&subscription, json!({ "quantity": 5 }), dated).await;
    let invoice = shop.latest(&subscription).await;
    assert_eq!(amounts(&invoice), [-2000, 3333]);
    assert_eq!(lines(&preview), lines(&invoice));
}

#[tokio::test]
async fn a_proration_date_must_lie_in_the_period_and_agree_with_the_anchor() {
    let (shop, _, subscription) = Shop::ten_days_later().await;
    let path = format!("/v1/subscriptions/{subscription}");
    for (more, says) in [
        (
            json!({ "proration_date": day("2026-10-31") }),
            "outside of current subscription period",
        ),
        (
            json!({ "proration_date": day("2026-12-02") }),
            "outside of current subscription period",
        ),
        (
            json!({ "proration_date": day("2026-11-05"), "billing_cycle_anchor": { "type": "now" } }),
            "`billing_cycle_anchor` is `now`",
        ),
    ] {
        let params = shop
            .change_params(&subscription, json!({ "quantity": 5 }), more)
            .await;
        let error = shop.refused(400, "POST", &path, params.clone()).await;
        assert_eq!(error["param"], "proration_date");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
        let preview = json!({ "subscription": subscription, "subscription_details": params });
        shop.refused(400, "POST", "/v1/invoices/create_preview", preview)
            .await;
    }
}
