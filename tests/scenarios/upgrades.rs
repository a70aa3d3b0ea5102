//! An upgrade in the middle of a sale: the build before has asked Stripe for it in other words, under the same idempotency key.
//!
//! Stripe refuses the key with another body. What it made, or did not make, for the first is found out; nothing is sold twice.

use billing_core::change::Change;
use billing_tests::{Account, Machine, Moment, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";

/// A machine of the build that did not know of billing modes. It is stopped at this step, which Stripe hears of or not.
async fn before_the_upgrade(world: &World, moment: Moment, step: &'static str) -> Machine {
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.leaves_out("billing_mode");
    machine.network.stops_named(moment, step);
    machine
}

/// The card was charged and the answer lost: what was bought is found.
#[tokio::test]
async fn a_plan_that_was_bought_before_the_upgrade_is_charged_once() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let earlier = before_the_upgrade(&world, Moment::After, "POST /v1/subscriptions").await;
    earlier.dies_over(acme.confirms_on(&earlier, &id, &visa)).await;
    let confirmed = acme.confirms(&id, &visa).await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.charges().await, [3500]);
    assert_eq!(world.stripe.all_subscriptions().await.len(), 1);
    let contract = confirmed.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:00:00Z");
}

/// Stripe has the earlier build's request and has not made anything of it that is to be found: it may do so at any moment. So it is waited
/// for, and a minute later, when nobody can be waiting for the answer any more, the next number asks anew.
#[tokio::test]
async fn a_plan_that_is_being_bought_during_the_upgrade_is_waited_for() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let earlier = before_the_upgrade(&world, Moment::Before, "POST /v1/subscriptions").await;
    earlier.dies_over(acme.confirms_on(&earlier, &id, &visa)).await;
    world.stripe.spends_idempotency_key(&format!("sale/{id}/1")).await;
    let waits = acme.confirms(&id, &visa).await;
    assert_eq!(waits.status, 503, "{waits}");
    assert!(waits.headers.contains_key("retry-after"));
    assert_eq!(world.stripe.all_subscriptions().await.len(), 0);
    world.advance("61s").await;
    let confirmed = acme.confirms(&id, &visa).await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.charges().await, [3500]);
    assert_eq!(world.stripe.all_subscriptions().await.len(), 1);
}

/// Nobody has seen the earlier page's address: the next number opens another, and that is the one that is paid.
#[tokio::test]
async fn a_page_that_was_opened_before_the_upgrade_is_opened_anew() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let earlier = before_the_upgrade(&world, Moment::After, "POST /v1/checkout/sessions").await;
    earlier
        .dies_over(acme.confirms_on(&earlier, &id, &Value::Null))
        .await;
    let shown = acme.confirms(&id, &Value::Null).await;
    let page = world.stripe.latest_page().await;
    assert_eq!(shown.body["url"], page["url"], "{shown}");
    world.stripe.pays_page(&page).await;
    world.stripe.holds_events(false).await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// Nobody has the earlier session's client secret.
#[tokio::test]
async fn a_checkout_that_was_started_before_the_upgrade_is_started_anew() {
    let world = World::at(NOW).await;
    let ada = world.account(1).await;
    let earlier = before_the_upgrade(&world, Moment::After, "POST /v1/checkout/sessions").await;
    earlier
        .dies_over(ada.starts_checkout_on(&earlier, "monthly"))
        .await;
    let client_secret = ada.starts_checkout("monthly").await.client_secret();
    assert_eq!(
        ada.starts_checkout("monthly").await.client_secret(),
        client_secret
    );
    world.stripe.pays(&client_secret).await;
    world.stripe.holds_events(false).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(world.stripe.subscriptions(&ada).await.len(), 1);
}

#[tokio::test]
async fn an_order_that_was_placed_before_the_upgrade_is_one_schedule() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order("2026-05-01T00:00:00Z");
    let earlier = before_the_upgrade(&world, Moment::After, "POST /v1/subscription_schedules").await;
    earlier.dies_over(north.sells_on(&earlier, &order)).await;
    let sold = north.sells(&order).await;
    assert_eq!(sold.status, 200, "{sold}");
    world.stripe.holds_events(false).await;
    assert_eq!(north.schedules().await.len(), 1);
    assert_eq!(north.sales().await.len(), 1);
}

/// As with a plan.
#[tokio::test]
async fn an_order_that_is_being_placed_during_the_upgrade_is_waited_for() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let order = north.order("2026-05-01T00:00:00Z");
    let earlier = before_the_upgrade(&world, Moment::Before, "POST /v1/subscription_schedules").await;
    earlier.dies_over(north.sells_on(&earlier, &order)).await;
    let key = format!("connect-sale/{}/{}/1", north.account, north.client);
    world.stripe.spends_idempotency_key_on(&north.account, &key).await;
    let waits = north.sells(&order).await;
    assert_eq!(waits.status, 503, "{waits}");
    assert_eq!(north.schedules().await.len(), 0);
    world.advance("61s").await;
    let sold = north.sells(&order).await;
    assert_eq!(sold.status, 200, "{sold}");
    world.stripe.holds_events(false).await;
    assert_eq!(north.schedules().await.len(), 1);
}

/// The build before did not write down from when a change counts, and left that to Stripe: 96.00 for the year, less 20 of April's thirty days, once. Whichever of the
/// two builds takes up what the other has asked for, or was about to.
#[tokio::test]
async fn a_change_that_was_begun_before_the_upgrade_or_by_it_is_charged_once() {
    let annual = json!({ "interval": "annual" });
    for moment in [Moment::Before, Moment::After] {
        for begins_before in [true, false] {
            let world = World::at(NOW).await;
            let ada = world.subscriber(1, "monthly").await;
            world.advance("10d").await;
            world.stripe.holds_events(true).await;
            let (first, second) = (world.machine().await, world.machine().await);
            let earlier = if begins_before { &first } else { &second };
            earlier.network.leaves_out("proration_date");
            first.network.stops_named(moment, "POST /v1/subscriptions/");
            first.dies_over(ada.changes_on(&first, &annual)).await;
            if begins_before {
                forgets_from_when(&world, &ada).await;
            }
            let told = ada.changes_on(&second, &annual).await.unwrap();
            assert_eq!(told, r#"200 {"changed":true,"interval":"annual"}"#, "{moment:?}");
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
            assert_eq!(world.stripe.payments(&ada).await, [1000, 8933], "{moment:?}");
            assert_eq!(ada.stored().await.profile.change, None, "{moment:?}");
        }
    }
}

/// The account's change is stored as the build before stored it.
async fn forgets_from_when(world: &World, account: &Account<'_>) {
    let profile = account.stored().await.profile;
    let change = Change {
        from: None,
        ..profile.change.clone().unwrap()
    };
    let store = world.stack().app.store();
    store.begin_change(&profile, &change).await.unwrap();
}
