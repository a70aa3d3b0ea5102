//! A quote is what is charged, or nothing is charged.

use std::time::Duration;

use billing_tests::{Answer, Limit, Moment, World, path_of};
use serde_json::json;

use crate::changes::nothing_changed;

/// Quoted after 10 of 30 days, from the 1st, 11th and 22nd of April: −2000 + 28800 = 26800. A day later it would be −1900 + 28800 = 26900.
#[tokio::test]
async fn a_quote_is_charged_ten_minutes_and_a_day_later() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (later, quoted, charged) in [("10m", true, 26_800), ("1d", true, 26_800), ("1d", false, 26_900)] {
        let ada = world.subscriber(3, "monthly").await;
        world.advance("10d").await;
        let preview = ada.previews(&json!({ "interval": "annual" })).await;
        assert_eq!(preview.body["amountDueCents"], 26_800);
        world.advance(later).await;
        let wish = if quoted {
            json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] })
        } else {
            json!({ "interval": "annual" })
        };
        assert_eq!(ada.changes(&wish).await.body["changed"], true);
        assert_eq!(
            world.stripe.payments(&ada).await,
            [3000, charged],
            "{later} later"
        );
    }
}

/// Who asks without an interval is shown that nothing is due, with a date. A change at that date is not what was shown.
#[tokio::test]
async fn a_date_at_which_nothing_was_due_charges_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "promotionCode": "LAUNCH20" })).await;
    assert_eq!(preview.body["amountDueCents"], 0, "{preview}");
    let wish = json!({ "interval": "annual", "promotionCode": "LAUNCH20", "prorationDate": preview.body["prorationDate"] });
    let refused = ada.changes(&wish).await;
    assert_eq!(refused.status, 409, "{refused}");
    assert_ne!(refused.body["amountDueCents"], 0, "{refused}");
    nothing_changed(&world, &ada, &[3000]).await;
}

/// It is ended at Stripe between our reading and our holding the quote: that is told, and no failure of Stripe's.
#[tokio::test]
async fn a_subscription_that_ends_before_its_quote_is_held_is_told_as_ended() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let subscription = world.stripe.subscription(&ada).await;
    let machine = world.machine().await;
    machine.network.holds("GET /v1/subscriptions/");
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let (answer, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
        machine.network.reached().await;
        let path = path_of(&subscription);
        world.stripe.operator("DELETE", &path, "").await;
        machine.network.lets_go();
    });
    assert_eq!(
        answer.unwrap(),
        r#"409 {"error":"the account has no subscription"}"#
    );
    assert_eq!(world.stripe.payments(&ada).await, [3000]);
}

/// An operator adds a number at Stripe, unbilled: 4 × 9600 instead of 3 × 9600.
#[tokio::test]
async fn a_quote_that_went_stale_by_quantity_charges_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let item = world.stripe.item_id(&ada).await;
    world
        .stripe
        .operator(
            "POST",
            &format!("/v1/subscription_items/{item}"),
            "quantity=4&proration_behavior=none",
        )
        .await;
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let stale = ada.changes(&wish).await;
    let fresh = ada.previews(&json!({ "interval": "annual" })).await;
    assert_eq!(
        (stale.status, &stale.body),
        (
            409,
            &json!({
                "error": "the quote is out of date: the amount due has changed",
                "amountDueCents": fresh.body["amountDueCents"], "currency": "usd",
            })
        )
    );
    assert_ne!(fresh.body["amountDueCents"], 26_800);
    nothing_changed(&world, &ada, &[3000]).await;
}

/// The deployment sells another annual price since: 3 × 100.00 instead of 3 × 96.00. −2000 + 30000 = 28000.
#[tokio::test]
async fn a_quote_that_went_stale_by_price_charges_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let dearer = "product_data[name]=Number&currency=usd&unit_amount=10000&recurring[interval]=year";
    let dearer = world.stripe.operator("POST", "/v1/prices", dearer).await;
    let machine = world
        .machine_told(&[("PRICE_ANNUAL", dearer["id"].as_str().unwrap())])
        .await;
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let stale = ada.changes_on(&machine, &wish).await.unwrap();
    assert_eq!(
        (stale.status, &stale.body["amountDueCents"]),
        (409, &json!(28_000))
    );
    nothing_changed(&world, &ada, &[3000]).await;
}

/// Quoted with SPRING20, asked for without: what was shown is not charged more than it said.
#[tokio::test]
async fn forgetting_the_code_of_a_quote_charges_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SPRING20")
        .await;
    let preview = ada
        .previews(&json!({ "interval": "annual", "promotionCode": "SPRING20" }))
        .await;
    assert!(preview.body["discountCents"].as_i64().unwrap() > 0, "{preview}");
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(ada.changes(&wish).await.status, 409);
    nothing_changed(&world, &ada, &[3000]).await;
    let wish = json!({
        "interval": "annual", "promotionCode": "spring20", "prorationDate": preview.body["prorationDate"],
    });
    assert_eq!(ada.changes(&wish).await.status, 200);
    assert_eq!(
        json!(world.stripe.payments(&ada).await[1]),
        preview.body["amountDueCents"]
    );
}

/// Between the fresh preview and the charge an operator puts 5.00 on the customer's balance: 26800 + 500. Nothing can stop it then, and
/// somebody is told.
#[tokio::test]
async fn what_an_operator_adds_after_the_last_look_does_not_stop_the_change() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let customer = world.stripe.customer_id(&ada).await;
    let machine = world.machine().await;
    machine.network.holds("create_preview");
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let (answer, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
        machine.network.reached().await;
        let path = format!("/v1/customers/{customer}");
        world.stripe.operator("POST", &path, "balance=500").await;
        machine.network.lets_go();
    });
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(world.stripe.payments(&ada).await, [3000, 27_300]);
    assert_eq!(machine.metric("QuoteMismatches"), 1);
}

/// The same, and the machine that asked Stripe dies over it: the webhook is the first to see the invoice, and tells. What is charged as
/// quoted is told by nobody.
#[tokio::test]
async fn an_invoice_that_differs_from_its_quote_is_told_by_whoever_sees_it_first() {
    for (added, mismatches) in [(500, 1), (0, 0)] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(3, "monthly").await;
        world.advance("10d").await;
        let preview = ada.previews(&json!({ "interval": "annual" })).await;
        let customer = world.stripe.customer_id(&ada).await;
        world.stripe.holds_events(true).await;
        let (machine, other) = (world.machine().await, world.machine().await);
        machine.network.holds("create_preview");
        let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
        tokio::join!(ada.changes_on(&machine, &wish), async {
            machine.network.reached().await;
            let path = format!("/v1/customers/{customer}");
            let form = format!("balance={added}");
            world.stripe.operator("POST", &path, &form).await;
            // It does not live to tell what Stripe answers.
            machine
                .network
                .stops_named(Moment::After, "POST /v1/subscriptions/");
            let held = machine.network.steps().len();
            machine.network.lets_go();
            machine.network.reached_beyond(held).await;
            machine.ends();
        });
        assert_eq!(world.stripe.payments(&ada).await, [3000, 26_800 + added]);
        let paid = world.stripe.event("invoice.paid");
        let delivered = other.call(world.stripe.signed_event(&paid)).await.unwrap();
        assert_eq!(delivered.status, 200);
        assert_eq!(other.metric("QuoteMismatches"), mismatches);
        assert_eq!(machine.metric("QuoteMismatches"), 0);
        assert_eq!(ada.stored().await.profile.change, None);
    }
}

/// Two callers ask within one second, and an operator puts 5.00 on the balance between them: 268.00 and 273.00 were shown. Neither is
/// charged what the other was told; a second later there is one answer.
#[tokio::test]
async fn two_amounts_told_within_one_second_are_charged_to_nobody() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let wish = json!({ "interval": "annual" });
    let first = ada.previews(&wish).await;
    let customer = world.stripe.customer_id(&ada).await;
    let path = format!("/v1/customers/{customer}");
    world.stripe.operator("POST", &path, "balance=500").await;
    let second = ada.previews(&wish).await;
    assert_eq!(first.body["prorationDate"], second.body["prorationDate"]);
    assert_eq!(second.body["amountDueCents"], 27_300);
    let quoted = |preview: &Answer| {
        let date = &preview.body["prorationDate"];
        json!({ "interval": "annual", "prorationDate": date })
    };
    let stale = ada.changes(&quoted(&second)).await;
    assert_eq!(
        (stale.status, &stale.body["amountDueCents"]),
        (409, &json!(27_300))
    );
    nothing_changed(&world, &ada, &[3000]).await;
    world.advance("1s").await;
    let third = ada.previews(&wish).await;
    assert_eq!(ada.changes(&quoted(&third)).await.body["changed"], true);
    assert_eq!(
        json!(world.stripe.payments(&ada).await[1]),
        third.body["amountDueCents"]
    );
}

/// The machine dies after the change was written down and before Stripe was asked; then an operator puts 5.00 on the balance. Whoever
/// takes the change over within the minute charges the quote or nothing, and so does whoever begins anew after it.
#[tokio::test]
async fn a_change_that_is_taken_over_is_held_to_its_quote_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for moved in [false, true] {
        let ada = world.subscriber(3, "monthly").await;
        let preview = ada.previews(&json!({ "interval": "annual" })).await;
        let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::Before, "POST /v1/subscriptions/");
        machine.dies_over(ada.changes_on(&machine, &wish)).await;
        assert!(ada.stored().await.profile.change.is_some());
        if !moved {
            assert_eq!(ada.changes(&wish).await.body["changed"], true);
            assert_eq!(world.stripe.payments(&ada).await, [3000, 25_800]);
            continue;
        }
        let customer = world.stripe.customer_id(&ada).await;
        let path = format!("/v1/customers/{customer}");
        world.stripe.operator("POST", &path, "balance=500").await;
        let taken_over = ada.changes(&wish).await;
        assert_eq!(
            taken_over,
            r#"409 {"error":"another change of the subscription is being made"}"#
        );
        assert_eq!(taken_over.header("retry-after"), "5");
        world.advance("61s").await;
        let stale = ada.changes(&wish).await;
        assert_eq!(
            (stale.status, &stale.body["amountDueCents"]),
            (409, &json!(26_300)),
            "{stale}"
        );
        assert_eq!(world.stripe.payments(&ada).await, [3000]);
        assert_eq!(world.stripe.invoices(&ada).await.len(), 1);
    }
}

/// Twelve fees of 1.00 wait for the next invoice: with the credit and the year there are fourteen lines, and all of them are told.
/// −2000 + 28800 + 1200 = 28000.
#[tokio::test]
async fn all_lines_of_a_preview_are_told() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let customer = world.stripe.customer_id(&ada).await;
    for _ in 0..12 {
        let form = format!("customer={customer}&amount=100&currency=usd");
        world.stripe.operator("POST", "/v1/invoiceitems", &form).await;
    }
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let lines = preview.body["lines"].as_array().unwrap();
    let sum: i64 = lines
        .iter()
        .map(|line| line["amountCents"].as_i64().unwrap())
        .sum();
    assert_eq!(
        (lines.len(), sum, &preview.body["amountDueCents"]),
        (14, 28_000, &json!(28_000))
    );
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    assert_eq!(ada.changes(&wish).await.body["changed"], true);
    assert_eq!(world.stripe.payments(&ada).await, [3000, 28_000]);
}

#[tokio::test]
async fn a_proration_date_lies_in_the_current_period_and_not_in_the_future() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("10d").await;
    let now = world.now().as_second();
    for (date, why) in [
        (now - 10 * 86_400 - 1, "must lie in the current period"),
        (now + 20 * 86_400, "must lie in the current period"),
        (now + 3, "must not be in the future"),
    ] {
        let answer = ada
            .changes(&json!({ "interval": "annual", "prorationDate": date }))
            .await;
        assert_eq!(
            answer.body["error"]["fieldErrors"],
            json!({ "prorationDate": [why] })
        );
    }
    nothing_changed(&world, &ada, &[1000]).await;
    let answer = ada
        .changes(&json!({ "interval": "annual", "prorationDate": now - 10 * 86_400 }))
        .await;
    assert_eq!(
        answer.body["changed"], true,
        "from the period's first second: all of it is given back"
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000, 8600]);
}

/// The clock of the machine that previews is ahead: a second that is still to come for the one that takes the change is waited for, and what was quoted
/// is charged. More than two seconds are the future.
#[tokio::test]
async fn a_second_that_another_clock_has_named_is_waited_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (ahead, is_waited_for) in [(1, true), (2, true), (3, false)] {
        let ada = world.subscriber(3, "monthly").await;
        let previewing = world.machine_ahead(ahead).await;
        let preview = ada
            .previews_on(&previewing, &json!({ "interval": "annual" }))
            .await
            .unwrap();
        let date = preview.body["prorationDate"].clone();
        assert_eq!(date, json!(world.now().as_second() + ahead));
        let answer = ada
            .changes(&json!({ "interval": "annual", "prorationDate": date }))
            .await;
        if is_waited_for {
            assert_eq!(answer.body["changed"], true, "{ahead} s: {answer}");
            let due = preview.body["amountDueCents"].as_i64().unwrap();
            assert_eq!(world.stripe.payments(&ada).await, [3000, due], "{ahead} s");
        } else {
            assert_eq!(
                answer.body["error"]["fieldErrors"],
                json!({ "prorationDate": ["must not be in the future"] }),
                "{ahead} s: {answer}"
            );
            nothing_changed(&world, &ada, &[3000]).await;
        }
    }
}

/// There is no time to wait for it: nothing is changed, nothing is kept under the key, and the next request changes.
#[tokio::test]
async fn a_second_that_cannot_be_waited_for_is_told_to_come_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    let date = world.now().as_second() + 2;
    let keyed = || {
        let mut request = ada.change_request(&json!({ "interval": "annual", "prorationDate": date }));
        request
            .headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let short = Limit {
        told: Duration::from_millis(2200),
        ends: Duration::from_secs(9),
    };
    let machine = world.machine().await;
    let told = machine.call_within(keyed(), short).await.unwrap();
    assert_eq!(told.status, 503, "{told}");
    nothing_changed(&world, &ada, &[3000]).await;
    let answer = ada.sends(keyed()).await;
    assert_eq!(answer.body["changed"], true, "{answer}");
}
