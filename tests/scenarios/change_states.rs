//! Where a subscription stands when somebody wants to change or end it: every state is named, and none is Stripe's own error.

use billing_tests::{Account, Answer, World};
use serde_json::{Value, json};
use stripe_stand_in::{AfterLastRetry, Settings};

fn to_a_year() -> Value {
    json!({ "interval": "annual" })
}

/// Refused with that text: 409 for the change, 400 for the preview.
async fn refused_both_ways(ada: &Account<'_>, told: &str) {
    let told = json!({ "error": told });
    for (status, answer) in [
        (409, ada.changes(&to_a_year()).await),
        (400, ada.previews(&to_a_year()).await),
    ] {
        assert_eq!((answer.status, &answer.body), (status, &told));
    }
}

/// A subscription that an operator made for the account's customer in the classic billing mode, with these parameters besides.
pub(crate) async fn made_by_operator(world: &World, ada: &Account<'_>, form: &str) -> String {
    ada.starts_checkout("monthly").await.client_secret();
    let customer = world.stripe.customer_id(ada).await;
    let form = format!(
        "customer={customer}&items[0][price]={}&billing_mode[type]=classic&metadata[account]={}&{form}",
        world.stack().variables["PRICE_MONTHLY"],
        ada.id
    );
    let made = world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    world.stripe.stand_in().settle().await;
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_subscription_there_is_nothing_to_change() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let wish = json!({ "interval": "annual" });
    assert_eq!(
        ada.previews(&wish).await,
        r#"400 {"error":"the account has no subscription"}"#
    );
    assert_eq!(
        ada.changes(&wish).await,
        r#"409 {"error":"the account has no subscription"}"#
    );
    ada.subscribes("monthly").await;
    let id = world.stripe.subscription_id(&ada).await;
    world.stripe.holds_events(true).await;
    world
        .stripe
        .operator("DELETE", &format!("/v1/subscriptions/{id}"), "")
        .await;
    assert_eq!(
        ada.previews(&wish).await.status,
        400,
        "Stripe knows before its event is here"
    );
    assert_eq!(
        ada.changes(&wish).await,
        r#"409 {"error":"the account has no subscription"}"#
    );
}

#[tokio::test]
async fn an_incomplete_subscription_is_named() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.starts_checkout("monthly").await.client_secret();
    let customer = world.stripe.customer_id(&ada).await;
    let form = format!(
        "customer={customer}&items[0][price]={}&payment_behavior=default_incomplete&metadata[account]={}",
        world.stack().variables["PRICE_MONTHLY"],
        ada.id
    );
    world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    world.stripe.stand_in().settle().await;
    let told = "the subscription is incomplete: its first invoice is not paid";
    let wish = json!({ "interval": "annual" });
    assert_eq!(
        ada.changes(&wish).await,
        format!(r#"409 {{"error":"{told}"}}"#).as_str()
    );
    assert_eq!(
        ada.previews(&wish).await,
        format!(r#"400 {{"error":"{told}"}}"#).as_str()
    );
    assert_eq!(
        ada.cancels().await,
        format!(r#"400 {{"error":"{told}"}}"#).as_str()
    );
}

/// The renewal's card fails: past due while Stripe retries.
#[tokio::test]
async fn an_overdue_subscription_is_named() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("30d").await;
    world.advance("2h").await;
    assert_eq!(world.stripe.subscription(&ada).await["status"], "past_due");
    let told = "the subscription is past_due: its latest invoice has to be paid first";
    let wish = json!({ "interval": "annual" });
    assert_eq!(
        ada.changes(&wish).await,
        format!(r#"409 {{"error":"{told}"}}"#).as_str()
    );
    assert_eq!(
        ada.previews(&wish).await,
        format!(r#"400 {{"error":"{told}"}}"#).as_str()
    );
    assert_eq!(
        ada.cancels().await.body["cancelAtPeriodEnd"],
        true,
        "it can be ended all the same"
    );
}

#[tokio::test]
async fn two_items_are_named() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let subscription = world.stripe.subscription(&ada).await;
    let price = "product_data[name]=Extra&currency=usd&unit_amount=100&recurring[interval]=month";
    let price = world.stripe.operator("POST", "/v1/prices", price).await;
    let form = format!(
        "subscription={}&price={}&proration_behavior=none",
        subscription["id"].as_str().unwrap(),
        price["id"].as_str().unwrap()
    );
    world
        .stripe
        .operator("POST", "/v1/subscription_items", &form)
        .await;
    let told = r#"409 {"error":"the subscription has 2 items instead of exactly one recurring item"}"#;
    assert_eq!(ada.changes(&json!({ "interval": "annual" })).await, told);
    assert_eq!(ada.previews(&json!({ "interval": "annual" })).await, told);
}

#[tokio::test]
async fn a_subscription_that_a_schedule_owns_is_named() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let id = world.stripe.subscription_id(&ada).await;
    world
        .stripe
        .operator(
            "POST",
            "/v1/subscription_schedules",
            &format!("from_subscription={id}"),
        )
        .await;
    let told = r#"409 {"error":"the subscription is owned by a schedule, which alone can change it"}"#;
    let wish = json!({ "interval": "annual" });
    for answer in [
        ada.changes(&wish).await,
        ada.previews(&wish).await,
        ada.cancels().await,
        ada.resumes().await,
    ] {
        assert_eq!(answer, told);
    }
}

/// Every try to collect the renewal failed, and this Stripe account leaves such subscriptions unpaid: 1 May, and 3, 5 and 7 days.
#[tokio::test]
async fn an_unpaid_subscription_is_named_and_can_be_ended() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.is(Settings {
        after_last_retry: AfterLastRetry::Unpaid,
        ..Settings::default()
    });
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("50d").await;
    assert_eq!(world.stripe.subscription(&ada).await["status"], "unpaid");
    refused_both_ways(
        &ada,
        "the subscription is unpaid: its latest invoice has to be paid first",
    )
    .await;
    assert_eq!(ada.covered_until().await, "");
    let ended = ada.cancels().await;
    assert_eq!(
        ended,
        r#"200 {"cancelAtPeriodEnd":true,"periodEnd":"2026-06-01T00:00:00Z"}"#
    );
    assert_eq!(world.stripe.payments(&ada).await, [1000]);
}

/// A trial of ten days that ended without anything to pay with.
#[tokio::test]
async fn a_paused_subscription_is_named_and_can_be_ended() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let form = "trial_period_days=10&trial_settings[end_behavior][missing_payment_method]=pause";
    made_by_operator(&world, &ada, form).await;
    world.advance("11d").await;
    assert_eq!(world.stripe.subscription(&ada).await["status"], "paused");
    refused_both_ways(&ada, "the subscription is paused").await;
    assert_eq!(ada.cancels().await.body["cancelAtPeriodEnd"], true);
    assert_eq!(ada.resumes().await.body["cancelAtPeriodEnd"], false);
}

/// Whatever an operator does between our reading and our asking, Stripe's refusal is told as the state that is the reason for it.
#[tokio::test]
async fn what_an_operator_does_between_reading_and_asking_is_told_as_the_state_that_it_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (path, status) in [
        ("change", 409),
        ("cancel", 400),
        ("resume", 400),
        ("preview", 400),
    ] {
        let ada = world.subscriber(1, "monthly").await;
        if path == "resume" {
            ada.cancels().await;
        }
        let id = world.stripe.subscription_id(&ada).await;
        let machine = world.machine().await;
        machine.network.holds("GET /v1/subscriptions/");
        let (answer, ()) = tokio::join!(acts(&ada, &machine, path), async {
            machine.network.reached().await;
            let path = format!("/v1/subscriptions/{id}");
            world.stripe.operator("DELETE", &path, "").await;
            machine.network.lets_go();
        });
        assert_eq!(
            answer,
            format!(r#"{status} {{"error":"the account has no subscription"}}"#).as_str(),
            "{path}"
        );
        assert_eq!(world.stripe.payments(&ada).await, [1000]);
    }
}

/// The customer was deleted in Stripe's dashboard: that ends the subscription, and nothing can be changed or ended any more.
#[tokio::test]
async fn a_deleted_customer_has_no_subscription() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.holds_events(true).await;
    world.stripe.loses_its_customer(&ada).await;
    refused_both_ways(&ada, "the account has no subscription").await;
    for answer in [ada.cancels().await, ada.resumes().await] {
        assert_eq!(answer, r#"400 {"error":"the account has no subscription"}"#);
    }
}

/// A schedule takes the subscription over between our reading and our asking.
#[tokio::test]
async fn a_schedule_that_comes_in_between_is_told() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for path in ["cancel", "resume"] {
        let ada = world.subscriber(1, "monthly").await;
        if path == "resume" {
            ada.cancels().await;
        }
        let id = world.stripe.subscription_id(&ada).await;
        let machine = world.machine().await;
        machine.network.holds("GET /v1/subscriptions/");
        let (answer, ()) = tokio::join!(acts(&ada, &machine, path), async {
            machine.network.reached().await;
            let form = format!("from_subscription={id}");
            world
                .stripe
                .operator("POST", "/v1/subscription_schedules", &form)
                .await;
            machine.network.lets_go();
        });
        assert_eq!(
            answer, r#"409 {"error":"the subscription is owned by a schedule, which alone can change it"}"#,
            "{path}"
        );
    }
}

/// One of the four, on that machine.
async fn acts(ada: &Account<'_>, machine: &billing_tests::Machine, path: &str) -> Answer {
    let answer = match path {
        "preview" => ada.previews_on(machine, &to_a_year()).await,
        "change" => ada.changes_on(machine, &to_a_year()).await,
        _ => ada.ends_on(machine, path).await,
    };
    answer.unwrap()
}
