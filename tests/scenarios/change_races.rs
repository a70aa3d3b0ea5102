//! Changes on several machines at once, and on machines that die: one subscription, one charge, and what was cancelled is resumed
//! once.

use billing_core::Timestamp;
use billing_tests::{Account, Machine, Moment, World, at_every_death, path_of};
use futures_util::future::join_all;
use serde_json::json;
use stripe_stand_in::Settings;

use crate::interference::cancelled_and_changed;

/// 1000 for April, and 9600 − 1000 for the change in the first second of it.
async fn changed_once(world: &World, account: &Account<'_>, context: &str) {
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.payments(account).await, [1000, 8600], "{context}");
    assert_eq!(world.stripe.invoices(account).await.len(), 2, "{context}");
    assert_eq!(world.stripe.subscriptions(account).await.len(), 1, "{context}");
    let billing = account.billing().await;
    assert_eq!(billing.body["subscription"]["interval"], "annual", "{context}");
    assert_eq!(
        billing.body["subscription"]["cancelAtPeriodEnd"], false,
        "{context}"
    );
    assert_eq!(account.stored().await.profile.change, None, "{context}");
    assert_eq!(account.ledger().await.len(), 2, "{context}");
}

/// The machine dies before and after every single step; asking again, with the events held back until then or not, comes to one
/// change that is whole.
#[tokio::test]
async fn a_change_converges_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for retries in [true, false] {
        at_every_death(async |death| {
            let ada = world.subscriber(1, "monthly").await;
            ada.cancels().await;
            world.stripe.stand_in().settle().await;
            let wish = json!({ "interval": "annual" });
            let changes = async |machine: &Machine| ada.changes_on(machine, &wish).await;
            let (told, steps) = world.wreck(death, changes).await;
            if let Some(told) = &told {
                assert_eq!(told.body["changed"], true);
            }
            let context = format!("{death}, retries: {retries}");
            let mut at_stripe = steps
                .iter()
                .filter(|step| step.starts_with("POST /v1/subscriptions"));
            if retries {
                let answer = ada.changes(&wish).await;
                assert_eq!(answer.status, 200, "{context}: {answer}");
            }
            // What is stopped before it gets to Stripe was never asked.
            if retries || death.moment == Moment::After && at_stripe.next().is_some() {
                changed_once(&world, &ada, &context).await;
            }
            told.is_some()
        })
        .await;
    }
}

/// Every answer is lost in turn after it took effect; the call itself finds out.
#[tokio::test]
async fn a_lost_answer_of_a_change_is_found_out_within_the_call() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for step in 1..=7 {
        let ada = world.subscriber(1, "monthly").await;
        ada.cancels().await;
        world.stripe.stand_in().settle().await;
        let machine = world.machine().await;
        machine.network.loses_answer(step);
        let answer = ada
            .changes_on(&machine, &json!({ "interval": "annual" }))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "step {step}: {answer}");
        changed_once(&world, &ada, &format!("step {step}")).await;
    }
}

/// Stripe applies the change and never answers: 503, and the next attempt finds what took effect.
#[tokio::test]
async fn an_unknown_outcome_of_a_change_converges() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let id = world.stripe.subscription_id(&ada).await;
    world
        .stripe
        .applies_without_answering("POST", &format!("/v1/subscriptions/{id}"))
        .await;
    let answer = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(
        answer,
        r#"503 {"error":"temporarily unavailable, please try again"}"#
    );
    world.stripe.recovers().await;
    assert_eq!(ada.changes(&json!({ "interval": "annual" })).await.status, 200);
    changed_once(&world, &ada, "after an unknown outcome").await;
}

/// A double click by 24 hands on two machines: everybody is told 200, and one change is charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_four_concurrent_changes_charge_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ada.cancels().await;
    let machines = [world.machine().await, world.machine().await];
    let wish = json!({ "interval": "annual" });
    let answers = join_all((0..24).map(|n| ada.changes_on(&machines[n % 2], &wish))).await;
    for answer in answers.into_iter().flatten() {
        assert!(matches!(answer.status, 200 | 503), "{answer}");
    }
    changed_once(&world, &ada, "24 at once").await;
}

/// Two wishes at once, one with a quote: one of them is charged, the other is told so or told to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_different_changes_at_once_charge_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let machines = [world.machine().await, world.machine().await];
    let now = world.now().as_second();
    let wishes = [
        json!({ "interval": "annual" }),
        json!({ "interval": "annual", "prorationDate": now }),
    ];
    let answers = join_all((0..2).map(|n| ada.changes_on(&machines[n], &wishes[n]))).await;
    for answer in answers.into_iter().flatten() {
        assert!(matches!(answer.status, 200 | 409), "{answer}");
    }
    changed_once(&world, &ada, "two wishes").await;
}

/// The payment's event lands while Stripe's answer to the change is still on its way.
#[tokio::test]
async fn the_webhook_before_the_answer_changes_nothing_about_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ada.cancels().await;
    let machine = world.machine().await;
    machine.network.holds("POST /v1/subscriptions/");
    let wish = json!({ "interval": "annual" });
    let (answer, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
        machine.network.reached().await;
        world.stripe.stand_in().settle().await;
        assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
        machine.network.lets_go();
    });
    assert_eq!(answer.unwrap(), r#"200 {"changed":true,"interval":"annual"}"#);
    changed_once(&world, &ada, "webhook first").await;
}

/// The same Idempotency-Key answers the same; another body under it is refused.
#[tokio::test]
async fn a_change_under_an_idempotency_key_is_answered_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let under_key = |body| {
        let mut request = ada.change_request(&body);
        request
            .headers_mut()
            .insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let first = ada.sends(under_key(json!({ "interval": "annual" }))).await;
    let again = ada.sends(under_key(json!({ "interval": "annual" }))).await;
    assert_eq!(
        (first.body["changed"].clone(), again.header("idempotent-replayed")),
        (json!(true), "true")
    );
    assert_eq!(again.body, first.body);
    assert_eq!(
        ada.sends(under_key(json!({ "interval": "monthly" })))
            .await
            .status,
        422
    );
}

/// The machine dies after the change was written down and before Stripe was asked; then an operator has the subscription end within the year
/// that would begin. Whoever takes the change over does not have a year billed that ends so soon.
#[tokio::test]
async fn a_change_that_is_taken_over_is_not_made_of_what_is_to_end() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let wish = json!({ "interval": "annual" });
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscriptions/");
    machine.dies_over(ada.changes_on(&machine, &wish)).await;
    let end: Timestamp = "2026-08-01T00:00:00Z".parse().unwrap();
    let path = path_of(&world.stripe.subscription(&ada).await);
    let form = format!("cancel_at={}&proration_behavior=none", end.as_second());
    world.stripe.operator("POST", &path, &form).await;
    let busy = ada.changes(&wish).await;
    assert_eq!(
        busy,
        r#"409 {"error":"another change of the subscription is being made"}"#
    );
    assert_eq!(busy.header("retry-after"), "5");
    world.advance("61s").await;
    let told = ada.changes(&wish).await;
    assert_eq!(told.status, 409, "{told}");
    assert!(told.to_string().contains("the subscription ends on"), "{told}");
    assert_eq!(world.stripe.payments(&ada).await, [1000]);
}

/// The same, and then an operator sells two more. What was written down is not made of that: after a minute it is begun anew.
#[tokio::test]
async fn a_change_that_is_taken_over_is_made_of_what_it_was_decided_on() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    let wish = json!({ "interval": "annual" });
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscriptions/");
    machine.dies_over(ada.changes_on(&machine, &wish)).await;
    let subscription = world.stripe.subscription(&ada).await;
    let item = subscription["items"]["data"][0]["id"].as_str().unwrap();
    let form = format!("items[0][id]={item}&items[0][quantity]=5&proration_behavior=always_invoice");
    world
        .stripe
        .operator("POST", &path_of(&subscription), &form)
        .await;
    assert_eq!(
        ada.changes(&wish).await,
        r#"409 {"error":"another change of the subscription is being made"}"#
    );
    world.advance("61s").await;
    let told = ada.changes(&wish).await;
    assert_eq!(told, r#"200 {"changed":true,"interval":"annual"}"#);
    let now = world.stripe.subscription(&ada).await;
    let item = &now["items"]["data"][0];
    assert_eq!(
        (&item["quantity"], &item["price"]["recurring"]["interval"]),
        (&json!(5), &json!("year"))
    );
}

/// Stripe declines what two machines ask for. While the first has not heard of it, the second has, and the change is begun anew: what the first
/// forgets is its own.
#[tokio::test]
async fn a_refusal_that_is_heard_late_forgets_no_later_change() {
    const DECLINED: &str =
        r#"{"error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}}"#;
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let wish = json!({ "interval": "annual" });
    let asking = "POST /v1/subscriptions/";
    let (slow, fast, later) = (
        world.machine().await,
        world.machine().await,
        world.machine().await,
    );
    slow.network.holds("DynamoDB UpdateItem");
    slow.network.tells(asking, 402, DECLINED);
    fast.network.tells(asking, 402, DECLINED);
    later.network.stops_named(Moment::Before, asking);
    let (told, ()) = tokio::join!(ada.changes_on(&slow, &wish), async {
        slow.network.reached().await;
        assert_eq!(ada.changes_on(&fast, &wish).await.unwrap().status, 402);
        later.dies_over(ada.changes_on(&later, &wish)).await;
        slow.network.lets_go();
    });
    assert_eq!(told.unwrap().status, 402);
    let left = ada.stored().await.profile.change.unwrap();
    assert_eq!(left.number, 2);
    assert_eq!(ada.changes(&wish).await.body["changed"], true);
    assert_eq!(world.stripe.payments(&ada).await.len(), 2);
}

/// Two clicks on one quote: before the first looks at its amount once more, the second is through. Nothing is out of date.
#[tokio::test]
async fn a_quote_that_the_same_request_has_just_charged_is_not_told_as_stale() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let machine = world.machine().await;
    machine.network.holds("GET /v1/subscriptions/");
    let (first, ()) = tokio::join!(ada.changes_on(&machine, &wish), async {
        machine.network.reached().await;
        assert_eq!(ada.changes(&wish).await.body["changed"], true);
        machine.network.lets_go();
    });
    assert_eq!(first.unwrap(), r#"200 {"changed":false,"interval":"annual"}"#);
    assert_eq!(world.stripe.payments(&ada).await, [3000, 26_800]);
}

/// A machine has died when Stripe had taken its change, and an operator has undone that a moment later: what Stripe told then is no news. A bill that
/// is void is nobody's to pay, and what is stored is what Stripe has. After a minute it is begun anew.
#[tokio::test]
async fn what_stripe_tells_again_of_a_change_is_not_what_is() {
    for (card, is_heard_of) in [
        ("pm_card_visa", true),
        ("pm_card_authenticationRequired", true),
        ("pm_card_authenticationRequired", false),
    ] {
        let context = format!("{card}, heard of: {is_heard_of}");
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        let monthly = world.stripe.subscription(&ada).await["items"]["data"][0]["price"]["id"].take();
        world.stripe.gives_card(&ada, card).await;
        world.stripe.holds_events(!is_heard_of).await;
        let wish = json!({ "interval": "annual" });
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::After, "POST /v1/subscriptions/");
        machine.dies_over(ada.changes_on(&machine, &wish)).await;
        let made = world.stripe.subscription(&ada).await;
        let (path, form) = if made["pending_update"].is_null() {
            let item = made["items"]["data"][0]["id"].as_str().unwrap();
            let price = monthly.as_str().unwrap();
            let back = format!("items[0][id]={item}&items[0][price]={price}&proration_behavior=none");
            (path_of(&made), back)
        } else {
            let bill = made["latest_invoice"].as_str().unwrap();
            (format!("/v1/invoices/{bill}/void"), String::new())
        };
        world.stripe.operator("POST", &path, &form).await;
        if is_heard_of {
            world.stripe.stand_in().settle().await;
        }
        assert_eq!(
            ada.changes(&wish).await,
            r#"409 {"error":"another change of the subscription is being made"}"#,
            "{context}"
        );
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        let told = ada.billing().await.body["subscription"]["interval"].take();
        assert_eq!(told, "monthly", "{context}");
        world.advance("61s").await;
        let again = ada.changes(&wish).await;
        assert_eq!(again.body["changed"], true, "{context}: {again}");
    }
}

/// The machine dies after a quoted change was written down, and an operator begins another period before anybody takes it over: its date lies in none
/// that could be credited.
#[tokio::test]
async fn a_change_that_is_taken_over_is_of_the_period_under_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("10d").await;
    let preview = ada.previews(&json!({ "interval": "annual" })).await;
    let wish = json!({ "interval": "annual", "prorationDate": preview.body["prorationDate"] });
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::Before, "POST /v1/subscriptions/");
    machine.dies_over(ada.changes_on(&machine, &wish)).await;
    world.advance("10s").await;
    let path = path_of(&world.stripe.subscription(&ada).await);
    let form = "billing_cycle_anchor[type]=now&proration_behavior=none";
    world.stripe.operator("POST", &path, form).await;
    assert_eq!(
        ada.changes(&wish).await,
        r#"409 {"error":"another change of the subscription is being made"}"#
    );
    world.advance("61s").await;
    assert_eq!(
        ada.changes(&wish).await,
        r#"400 {"error":{"fieldErrors":{"prorationDate":["must lie in the current period"]},"formErrors":[]}}"#
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000, 1000]);
}

/// The machine dies when Stripe waits for the change's payment, and nobody hears of that. An operator gives the bill up, Stripe drops the change after
/// a day, and the bill is paid on its page all the same, before or after the account changes once more: that buys nothing, and goes back.
#[tokio::test]
async fn what_is_paid_for_a_dropped_change_that_nobody_heard_of_goes_back() {
    for changes_again in [false, true] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            given_up_bills_can_be_voided: false,
            ..Settings::default()
        });
        let ada = world.subscriber(1, "monthly").await;
        let wish = json!({ "interval": "annual" });
        let asks_first = "pm_card_authenticationRequired";
        world.stripe.gives_card(&ada, asks_first).await;
        world.stripe.holds_events(true).await;
        let machine = world.machine().await;
        machine
            .network
            .stops_named(Moment::After, "POST /v1/subscriptions/");
        machine.dies_over(ada.changes_on(&machine, &wish)).await;
        let waits = world.stripe.subscription(&ada).await;
        let bill = waits["latest_invoice"].as_str().unwrap();
        let stand_in = world.stripe.stand_in();
        stand_in.write_off_invoice(bill).await.unwrap();
        world.advance("24h").await;
        world.stripe.gives_card(&ada, "pm_card_visa").await;
        if changes_again {
            assert_eq!(ada.changes(&wish).await.body["changed"], true);
        }
        world.stripe.holds_events(false).await;
        stand_in.settle().await;
        stand_in.pay_invoice(bill).await.unwrap();
        stand_in.settle().await;
        assert_eq!(world.stripe.refunded().await, [8600], "{changes_again}");
        // 9600 less 29 of 30 days of 1000, from 2 April on.
        let (paid, until): (&[i64], _) = if changes_again {
            (&[1000, 8600, 8633], "2027-04-02T00:00:00Z")
        } else {
            (&[1000, 8600], "2026-05-01T00:00:00Z")
        };
        assert_eq!(world.stripe.payments(&ada).await, paid);
        assert_eq!(ada.covered_until().await, until);
    }
}

/// A cancellation is to be taken back by a change that waits for its payment. A machine dies over taking it back before that, and nobody asks again:
/// paid, the change takes it back. What is cancelled once it was taken back is newer, and stays.
#[tokio::test]
async fn a_change_takes_back_what_a_machine_died_over_taking_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for cancels_again in [false, true] {
        at_every_death(async |death| {
            let ada = cancelled_and_changed(&world).await;
            let told = world
                .dies_over(death, async |machine| ada.ends_on(machine, "resume").await)
                .await;
            world.stripe.stand_in().settle().await;
            let left = world.stripe.subscription(&ada).await;
            let is_newer = cancels_again && left["cancel_at_period_end"] == false;
            if is_newer {
                let form = "cancel_at_period_end=true";
                world.stripe.operator("POST", &path_of(&left), form).await;
            }
            world.stripe.pays_open_invoice(&ada).await;
            let context = format!("{death}, cancels again: {cancels_again}");
            let billing = ada.billing().await.body["subscription"].take();
            assert_eq!(billing["interval"], "annual", "{context}");
            assert_eq!(billing["cancelAtPeriodEnd"], json!(is_newer), "{context}");
            assert_eq!(world.stripe.payments(&ada).await, [1000, 8600], "{context}");
            told.is_some()
        })
        .await;
    }
}
