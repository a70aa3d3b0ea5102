//! Periods: their first and last second, months and years of every length, clocks that differ.

use billing_tests::{Account, World, path_of};
use serde_json::{Value, json};

use crate::changes::nothing_changed;

async fn previews_a_year(ada: &Account<'_>) -> (Value, Value) {
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(preview.status, 200, "{preview}");
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    (preview.body["amountDueCents"].clone(), wish)
}

/// One of April's 30 × 86400 seconds is left: 1000/2592000 is less than a cent and given back as one, 9600 − 1 = 9599.
#[tokio::test]
async fn the_last_second_of_a_period_is_quoted_and_charged_within_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("2591999s").await;
    let (due, wish) = previews_a_year(&ada).await;
    assert_eq!(due, 9599);
    assert_eq!(ada.changes(&wish).await.body["changed"], true);
    assert_eq!(world.stripe.payments(&ada).await, [1000, 9599]);
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2027-04-30T23:59:59Z");
}

/// Quoted in April, asked for in May: the second is not of the period that is billed now, and nothing is charged. In May itself all of
/// it is left: 9600 − 1000.
#[tokio::test]
async fn a_quote_does_not_outlive_a_renewal() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("2591999s").await;
    let (_, wish) = previews_a_year(&ada).await;
    world.advance("1s").await;
    let answer = ada.changes(&wish).await;
    assert_eq!(
        answer.body["error"]["fieldErrors"],
        json!({ "prorationDate": ["must lie in the current period"] }),
        "{answer}"
    );
    world.advance("2h").await;
    nothing_changed(&world, &ada, &[1000, 1000]).await;
    let first = json!({ "interval": "annual", "prorationDate": world.now().as_second() - 7200 });
    assert_eq!(ada.changes(&first).await.body["changed"], true);
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000, 8600]);
}

/// Clocks that differ by some seconds, right after a period began and right before it ends: what a preview names is held to what it
/// told, by the same machine and by the others.
#[tokio::test]
async fn a_quote_of_a_machine_whose_clock_differs_is_kept() {
    for (seconds, into_the_period) in [(-5, "0s"), (5, "0s"), (-5, "2591998s"), (5, "2591998s")] {
        for moves in [false, true] {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let ada = world.subscriber(1, "monthly").await;
            world.advance(into_the_period).await;
            let machine = world.machine_ahead(seconds).await;
            let context = format!("{seconds} s ahead, {into_the_period} into the period, moves: {moves}");
            let preview = ada
                .previews_on(&machine, &json!({ "interval": "annual" }))
                .await
                .unwrap();
            assert_eq!(preview.status, 200, "{context}: {preview}");
            let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
            if moves {
                let customer = world.stripe.customer_id(&ada).await;
                let path = format!("/v1/customers/{customer}");
                world.stripe.operator("POST", &path, "balance=500").await;
            }
            let answer = ada.changes_on(&machine, &wish).await.unwrap();
            if moves {
                assert_eq!(answer.status, 409, "{context}: {answer}");
                nothing_changed(&world, &ada, &[1000]).await;
            } else {
                assert_eq!(answer.body["changed"], true, "{context}: {answer}");
                assert_eq!(
                    json!(world.stripe.payments(&ada).await[1]),
                    preview.body["amountDueCents"]
                );
            }
        }
    }
}

/// A trial from 1 to 15 April, quoted on the 11th at 96.00 by a Stripe where a change ends it; an operator puts its end off to May and
/// raises what is due. On the 20th the quoted second is still of the current period, and what was quoted is remembered.
#[tokio::test]
async fn a_quote_is_kept_when_an_operator_puts_the_end_of_the_period_off() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.is(stripe_stand_in::Settings {
        trial_outlasts_interval: false,
        ..stripe_stand_in::Settings::default()
    });
    let ada = world.account(1).await;
    let id = crate::change_states::made_by_operator(&world, &ada, "trial_period_days=14").await;
    world.stripe.gives_card(&ada, "pm_card_visa").await;
    world.advance("10d").await;
    let (due, wish) = previews_a_year(&ada).await;
    assert_eq!(due, 9600);
    let (path, customer) = (
        format!("/v1/subscriptions/{id}"),
        world.stripe.customers(&ada).await,
    );
    let later = world.now().as_second() + 30 * 86_400;
    let form = format!("trial_end={later}&proration_behavior=none");
    world.stripe.operator("POST", &path, &form).await;
    world.advance("9d").await;
    let customer = path_of(&customer[0]);
    world.stripe.operator("POST", &customer, "balance=500").await;
    let period = world.stripe.subscription(&ada).await;
    let start = period["items"]["data"][0]["current_period_start"]
        .as_i64()
        .unwrap();
    let quoted = wish["prorationDate"].as_i64().unwrap();
    assert!(start <= quoted, "the trial that was put off began with the first");
    let stale = ada.changes(&wish).await;
    assert_eq!(
        (stale.status, &stale.body["amountDueCents"]),
        (409, &json!(10_100)),
        "{stale}"
    );
}

/// 29 February 2028, a month of 31 days later, and a year that has no such day. 1000 for 29 February to 29 March, changed in its first
/// second: 9600 − 1000. The year ends on 28 February 2029, the next one on 28 February 2030, and 2032 has the 29th again.
#[tokio::test]
async fn a_year_from_a_leap_day_ends_on_the_last_of_february() {
    let world = World::at("2028-02-29T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    assert_eq!(ada.covered_until().await, "2028-03-29T00:00:00Z");
    let (due, wish) = previews_a_year(&ada).await;
    assert_eq!(due, 8600);
    assert_eq!(ada.changes(&wish).await.body["changed"], true);
    world.stripe.stand_in().settle().await;
    for until in ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"] {
        assert_eq!(ada.covered_until().await, format!("{until}T00:00:00Z"));
        let days = if until == "2032-02-29" { "366d" } else { "365d" };
        world.advance(days).await;
        world.advance("2h").await;
    }
}

/// Whatever stands where a number of seconds or of units is expected is refused by its name, and never by Stripe.
#[tokio::test]
async fn numbers_beyond_reason_are_refused_by_their_name() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    for (date, told) in [
        (json!(-1), "must lie in the current period"),
        (json!(0), "must lie in the current period"),
        (json!(i64::MIN), "must be unix seconds"),
        (json!(i64::MAX), "must be unix seconds"),
        (json!(1_775_001_600_000_i64), "must be unix seconds"),
        (json!(u64::MAX), "must be unix seconds"),
        (json!(1_775_001_600.5), "must be an integer"),
        // Written with a fraction of zero it is an integer, as JSON Schema has it.
        (json!(1.0e9), "must lie in the current period"),
        (json!("1775001600"), "must be an integer"),
        (json!(null), "must be an integer"),
        (json!([1_775_001_600]), "must be an integer"),
    ] {
        let answer = ada
            .changes(&json!({ "interval": "annual", "prorationDate": date }))
            .await;
        assert_eq!(
            (answer.status, &answer.body["error"]["fieldErrors"]),
            (400, &json!({ "prorationDate": [told] })),
            "{date}"
        );
    }
    for (quantity, told) in [
        (json!(0), "must be at least 1"),
        (json!(-1), "must be at least 1"),
        (json!(i64::MIN), "must be at least 1"),
        (json!(4_294_967_296_u64), "must be at most 4294967295"),
        (json!(i64::MAX), "must be at most 4294967295"),
        (json!(1e20), "must be at most 4294967295"),
        (json!(-1e20), "must be at least 1"),
        (json!(u64::MAX), "must be at most 4294967295"),
        (json!(1.5), "must be an integer"),
        (json!("3"), "must be an integer"),
        (json!(true), "must be an integer"),
    ] {
        let answer = ada.previews(&json!({ "quantity": quantity })).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["fieldErrors"]),
            (400, &json!({ "quantity": [told] })),
            "{quantity}"
        );
    }
    let most = ada.previews(&json!({ "quantity": 99_999 })).await;
    assert_eq!(most.status, 200, "{most}");
    nothing_changed(&world, &ada, &[1000]).await;
}
