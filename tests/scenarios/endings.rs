//! Ending a subscription with its period, and taking that back.

use billing_tests::{Account, Moment, World, path_of};
use serde_json::json;

const CANCELLED: &str = r#"200 {"cancelAtPeriodEnd":true,"periodEnd":"2026-05-01T00:00:00Z"}"#;
const RUNNING: &str = r#"200 {"cancelAtPeriodEnd":false,"periodEnd":"2026-05-01T00:00:00Z"}"#;

#[tokio::test]
async fn a_subscription_is_cancelled_and_resumed_as_often_as_one_likes() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    // Stripe's events are late: every write has to be one of its own all the same.
    world.stripe.holds_events(true).await;
    for _ in 0..2 {
        assert_eq!(ada.resumes().await, RUNNING);
        for _ in 0..2 {
            assert_eq!(ada.cancels().await, CANCELLED);
        }
        assert_eq!(
            world.stripe.subscription(&ada).await["cancel_at_period_end"],
            true
        );
        assert_eq!(
            ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
            true
        );
        assert_eq!(ada.resumes().await, RUNNING);
        assert_eq!(
            world.stripe.subscription(&ada).await["cancel_at_period_end"],
            false
        );
    }
    world.stripe.holds_events(false).await;
    assert_eq!(
        ada.billing().await.body["subscription"]["cancelAtPeriodEnd"],
        false
    );
}

#[tokio::test]
async fn what_is_cancelled_ends_with_what_was_paid_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for answer in [ada.cancels().await, ada.resumes().await] {
        assert_eq!(answer, r#"400 {"error":"the account has no subscription"}"#);
    }
    ada.subscribes("monthly").await;
    assert_eq!(ada.cancels().await, CANCELLED);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    world.advance("31d").await;
    assert_eq!(ada.billing().await.body["subscription"], json!(null));
    assert_eq!(world.stripe.payments(&ada).await, [1000]);
    for answer in [ada.cancels().await, ada.resumes().await] {
        assert_eq!(answer, r#"400 {"error":"the account has no subscription"}"#);
    }
}

/// An operator set the end in Stripe's dashboard, by its date.
#[tokio::test]
async fn an_end_that_was_set_by_its_date_is_taken_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription(&ada).await;
    let end = &subscription["items"]["data"][0]["current_period_end"];
    let path = path_of(&subscription);
    world
        .stripe
        .operator("POST", &path, &format!("cancel_at={end}"))
        .await;
    assert_eq!(ada.cancels().await, CANCELLED);
    assert_eq!(ada.resumes().await, RUNNING);
    assert_eq!(world.stripe.subscription(&ada).await["cancel_at"], json!(null));
}

fn seconds(instant: &str) -> i64 {
    instant.parse::<billing_core::Timestamp>().unwrap().as_second()
}

/// An operator has the account's subscription end on a date; answers its path at Stripe.
async fn operator_ends(world: &World, ada: &Account<'_>, date: i64) -> String {
    let subscription = world.stripe.subscription(ada).await;
    let path = path_of(&subscription);
    let form = format!("cancel_at={date}");
    world.stripe.operator("POST", &path, &form).await;
    path
}

/// An operator has it end on 15 July. Cancelled, it ends with April; resumed, it ends on 15 July again, as often as one likes, also when
/// the answer or the event of a step is lost. A date that is over meanwhile, or that the operator has taken back, does not come back.
#[tokio::test]
async fn a_later_end_that_an_operator_set_is_kept_by_cancelling_and_resuming() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let july = seconds("2026-07-15T00:00:00Z");
    let path = operator_ends(&world, &ada, july).await;
    assert_eq!(
        ada.resumes().await,
        RUNNING,
        "that is not the customer's to take back"
    );
    for _ in 0..2 {
        for _ in 0..2 {
            assert_eq!(ada.cancels().await, CANCELLED);
            let at_stripe = world.stripe.subscription(&ada).await;
            assert_eq!(at_stripe["cancel_at_period_end"], true);
        }
        for _ in 0..2 {
            assert_eq!(ada.resumes().await, RUNNING);
            let at_stripe = world.stripe.subscription(&ada).await;
            assert_eq!(
                (&at_stripe["cancel_at"], &at_stripe["cancel_at_period_end"]),
                (&json!(july), &json!(false))
            );
        }
    }
    ada.cancels().await;
    world
        .stripe
        .operator("POST", &path, "cancel_at_period_end=false")
        .await;
    ada.cancels().await;
    ada.resumes().await;
    assert_eq!(
        world.stripe.subscription(&ada).await["cancel_at"],
        json!(null),
        "the operator had taken it back"
    );
}

/// A change takes a cancellation back, and with it goes no end of an operator's, wherever the machine dies over it.
#[tokio::test]
async fn a_later_end_that_an_operator_set_is_kept_by_a_change() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let wish = json!({ "interval": "annual" });
    let later = seconds("2027-10-01T00:00:00Z");
    let mut finished = false;
    for step in 1..40 {
        let ada = world.subscriber(1, "monthly").await;
        operator_ends(&world, &ada, later).await;
        ada.cancels().await;
        let machine = world.machine().await;
        machine.network.stops(Moment::After, step);
        tokio::select! {
            answer = ada.changes_on(&machine, &wish) => {
                assert_eq!(answer.unwrap().body["changed"], true);
                finished = true;
            }
            () = machine.network.reached() => {}
        }
        machine.dies();
        assert_eq!(ada.changes(&wish).await.status, 200, "died after step {step}");
        world.stripe.stand_in().settle().await;
        let at_stripe = world.stripe.subscription(&ada).await;
        assert_eq!(
            (&at_stripe["cancel_at"], &at_stripe["cancel_at_period_end"]),
            (&json!(later), &json!(false)),
            "died after step {step}"
        );
        assert_eq!(ada.stored().await.profile.change, None, "died after step {step}");
        if finished {
            break;
        }
    }
    assert!(finished);
}

/// An operator has it end on 20 April: cancelling changes nothing about that, for it would end later, and resuming neither.
#[tokio::test]
async fn an_earlier_end_that_an_operator_set_is_not_put_off_by_cancelling() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let sooner = seconds("2026-04-20T00:00:00Z");
    operator_ends(&world, &ada, sooner).await;
    for (path, ends) in [("cancel", true), ("resume", false), ("cancel", true)] {
        let told = json!({ "cancelAtPeriodEnd": ends, "periodEnd": "2026-04-20T00:00:00Z" });
        assert_eq!(ada.sends(ada.end_request(path)).await.body, told);
        let at_stripe = world.stripe.subscription(&ada).await;
        assert_eq!(
            (&at_stripe["cancel_at"], &at_stripe["cancel_at_period_end"]),
            (&json!(sooner), &json!(false)),
            "{path}"
        );
    }
    world.advance("20d").await;
    assert_eq!(ada.billing().await.body["subscription"], json!(null));
}

/// An operator has it end on a day of this period, or of the year that would begin: no change to the year touches that, or is quoted, for it would be
/// billed up to that day, and the rest when the operator takes the day away. So it is while a cancellation has taken the day's place. Nor is another quantity
/// quoted where the day is in this period.
#[tokio::test]
async fn an_end_that_an_operator_set_is_changed_by_nobody_else() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let annual = json!({ "interval": "annual" });
    let more = json!({ "quantity": 5 });
    for (date, cancelled, more_is_quoted) in [
        ("2026-04-20T00:00:00Z", false, false),
        ("2026-07-15T00:00:00Z", false, true),
        ("2026-07-15T00:00:00Z", true, true),
        ("2027-04-01T00:00:00Z", false, true),
    ] {
        let ada = world.subscriber(3, "monthly").await;
        operator_ends(&world, &ada, seconds(date)).await;
        if cancelled {
            ada.cancels().await;
        }
        let before = world.stripe.subscription(&ada).await;
        let refusal = format!(
            r#"409 {{"error":"the subscription ends on {date}, as an operator has set: only an operator can change it"}}"#
        );
        assert_eq!(ada.previews(&annual).await, refusal.as_str());
        assert_eq!(ada.changes(&annual).await, refusal.as_str());
        assert_eq!(ada.previews(&more).await.status == 200, more_is_quoted, "{date}");
        assert_eq!(
            ada.changes(&json!({ "interval": "monthly" })).await.body["changed"],
            false
        );
        assert_eq!(world.stripe.subscription(&ada).await, before, "{date}");
        assert_eq!(ada.stored().await.profile.change, None);
        assert_eq!(world.stripe.payments(&ada).await, [3000]);
    }
}

#[tokio::test]
async fn ending_and_resuming_converge_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (path, answered) in [("cancel", CANCELLED), ("resume", RUNNING)] {
        for moment in [Moment::Before, Moment::After] {
            let mut finished = false;
            for step in 1..20 {
                let ada = world.subscriber(1, "monthly").await;
                if path == "resume" {
                    ada.cancels().await;
                }
                let machine = world.machine().await;
                machine.network.stops(moment, step);
                tokio::select! {
                    answer = ada.ends_on(&machine, path) => {
                        assert_eq!(answer.unwrap(), answered);
                        finished = true;
                    }
                    () = machine.network.reached() => {}
                }
                machine.dies();
                // What the dead machine did is undone and done again: no two of these writes are one.
                let (there, back) = match path {
                    "cancel" => (ada.cancels().await, ada.resumes().await),
                    _ => (ada.resumes().await, ada.cancels().await),
                };
                assert_eq!(there, answered, "died {moment:?} step {step}");
                assert_ne!(back, answered);
                let again = if path == "cancel" {
                    ada.cancels().await
                } else {
                    ada.resumes().await
                };
                assert_eq!(again, answered);
                let subscription = world.stripe.subscription(&ada).await;
                assert_eq!(subscription["cancel_at_period_end"], json!(path == "cancel"));
                if finished {
                    break;
                }
            }
            assert!(finished);
        }
    }
}
