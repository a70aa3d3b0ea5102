//! The main job: an account subscribes, pays, and is covered.

use billing_tests::World;
use serde_json::{Value, json};

/// Three numbers at 10.00 USD a month: the checkout is for 3 × 1000 = 3000, paid on 1 April, covered until 1 May.
#[tokio::test]
async fn an_account_subscribes_pays_and_is_covered() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(3).await;
    let before = ada.billing().await;
    assert_eq!(before.body["subscription"], json!(null));
    assert_eq!(before.body["coveredUntil"], json!(null));
    assert_eq!(
        before.body["pricing"],
        json!({ "monthlyCents": 1000, "annualCents": 9600, "currency": "usd" })
    );

    let checkout = ada.starts_checkout("monthly").await;
    let secret = checkout.client_secret();
    assert_eq!(
        checkout.body,
        json!({ "clientSecret": secret }),
        "and nothing else"
    );
    assert_eq!(ada.covered_until().await, "", "a checkout is not a payment");

    world.stripe.pays(&secret).await;
    let after = ada.billing().await;
    assert_eq!(
        after.body["subscription"],
        json!({
            "periodStart": "2026-04-01T00:00:00Z", "periodEnd": "2026-05-01T00:00:00Z",
            "quantity": 3, "interval": "monthly", "cancelAtPeriodEnd": false,
        })
    );
    assert_eq!(after.body["coveredUntil"], "2026-05-01T00:00:00Z");
    let modes: Vec<_> = after.body["numbers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| &number["mode"])
        .collect();
    assert_eq!(modes, ["FIXED", "FIXED", "FIXED"]);

    let ledger = ada.ledger().await;
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].amount.minor, ledger[0].quantity), (3000, 3));
}

/// 3 × 96.00 USD a year = 28800.
#[tokio::test]
async fn a_year_is_covered_by_one_payment() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "annual").await;
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
    assert_eq!(ada.ledger().await[0].amount.minor, 28_800);
}

/// What is paid for ends to the second. The renewal's invoice is made at the period's end and paid an hour later, as Stripe does:
/// until then nobody is served, unless the deployment grants grace.
#[tokio::test]
async fn coverage_ends_with_the_period_and_begins_again_with_the_renewals_payment() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("2591999s").await;
    assert_eq!(
        ada.covered_until().await,
        "2026-05-01T00:00:00Z",
        "30 days less a second: still covered"
    );
    world.advance("1s").await;
    assert_eq!(ada.covered_until().await, "", "not paid for yet");
    world.advance("2h").await;
    assert_eq!(ada.covered_until().await, "2026-06-01T00:00:00Z");
    assert_eq!(ada.ledger().await.len(), 2);
}

/// Two hours of grace bridge the hour in which the renewal is not paid yet. What was paid for ends when it ended all the same, and somebody who
/// does not pay is off after two hours.
#[tokio::test]
async fn a_deployments_grace_bridges_the_hour_of_a_renewal_and_no_more() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let lenient = world.machine_told(&[("COVERAGE_GRACE_SECONDS", "7200")]).await;
    let tells = async || {
        let request = ada.request("GET", "/api/v1/billing", &Value::Null);
        let told = lenient.call(request).await.unwrap().body;
        format!("{} {}", told["numbers"][0]["mode"], told["coveredUntil"])
    };
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("30d").await;
    assert_eq!(ada.covered_until().await, "", "strictly, it is not paid for");
    assert_eq!(tells().await, r#""FIXED" "2026-05-01T00:00:00Z""#);
    world.advance("7199s").await;
    assert_eq!(tells().await, r#""FIXED" "2026-05-01T00:00:00Z""#);
    world.advance("1s").await;
    assert_eq!(tells().await, r#""PAYG" null"#);
}

/// Stripe is down: whoever has shown the prices before shows them on, however old; who has read none says 503, and never a wrong price.
#[tokio::test]
async fn prices_that_were_read_are_shown_while_stripe_is_down() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let before = ada.billing().await.body;
    world.stripe.fails("GET", "/v1/prices/*", 500).await;
    world.advance("10d").await;
    assert_eq!(ada.billing().await.body["pricing"], before["pricing"]);
    let new = world.machine().await;
    let asks = || ada.request("GET", "/api/v1/billing", &Value::Null);
    assert_eq!(new.call(asks()).await.unwrap().status, 503);
    world.stripe.recovers().await;
    assert_eq!(new.call(asks()).await.unwrap().body["pricing"], before["pricing"]);
}

/// One currency is told for both prices: two of different currencies are told as nothing.
#[tokio::test]
async fn prices_in_two_currencies_are_not_shown() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let machine = world.machine().await;
    let euros = r#"{"id":"price_other","object":"price","currency":"eur","unit_amount":900}"#;
    machine.network.tells("GET /v1/prices/", 200, euros);
    let told = machine
        .call(ada.request("GET", "/api/v1/billing", &Value::Null))
        .await
        .unwrap();
    assert_eq!(
        told,
        r#"502 {"error":"the payment provider gave an unusable answer"}"#
    );
}

/// Two accounts, two checkouts at once: each gets its own session, and pays for itself.
#[tokio::test]
async fn two_accounts_do_not_touch_each_other() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, bob) = (world.account(3).await, world.account(1).await);
    let (for_ada, for_bob) = tokio::join!(ada.starts_checkout("monthly"), bob.starts_checkout("annual"));
    assert_ne!(for_ada.client_secret(), for_bob.client_secret());
    world.stripe.pays(&for_bob.client_secret()).await;
    assert_eq!(ada.covered_until().await, "");
    assert_eq!(bob.covered_until().await, "2027-04-01T00:00:00Z");
    world.stripe.pays(&for_ada.client_secret()).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!((ada.ledger().await.len(), bob.ledger().await.len()), (1, 1));
}

/// A number that is added after the payment is not paid for: it is billed as it is used.
#[tokio::test]
async fn a_number_added_later_is_not_covered_by_what_was_paid_before() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(2, "monthly").await;
    world.advance("1d").await;
    ada.adds_number("+15559990000").await;
    let billing = ada.billing().await;
    let modes: Vec<_> = billing.body["numbers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| &number["mode"])
        .collect();
    assert_eq!(modes, ["FIXED", "FIXED", "PAYG"]);
}

/// Giving a number another nickname does not make it younger: it stays covered, and the newest one stays uncovered.
#[tokio::test]
async fn a_number_that_is_renamed_keeps_its_place() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("1d").await;
    ada.adds_number("+15559990000").await;
    world.advance("1d").await;
    let oldest = ada.stored().await.numbers[0].number.as_str().to_owned();
    ada.adds_number(&oldest).await;
    let billing = ada.billing().await;
    assert_eq!(
        (
            &billing.body["numbers"][0]["number"],
            &billing.body["numbers"][0]["mode"]
        ),
        (&json!(oldest), &json!("FIXED"))
    );
    assert_eq!(billing.body["numbers"][1]["mode"], "PAYG");
}

/// Support staff reads everything, and pays for nothing.
#[tokio::test]
async fn an_impersonator_reads_billing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut ada = world.account(1).await;
    ada.key = ada.impersonated_key.clone();
    assert_eq!(ada.billing().await.status, 200);
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"403 {"error":"not available while impersonating"}"#
    );
}
