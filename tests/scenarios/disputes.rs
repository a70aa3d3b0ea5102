//! Payments that their payers' banks ask back: covered until the bank has decided against us, and again when it decides otherwise.

use billing_core::reversal::Reversal;
use billing_tests::{Account, World, at_every_death};
use futures_util::future::join_all;
use serde_json::{Value, json};

const APRIL_ENDS: &str = "2026-05-01T00:00:00Z";

/// What disputes make of the account's only reversed invoice.
async fn reversal(account: &Account<'_>) -> Reversal {
    let mut reversals = account.stored().await.reversals;
    assert_eq!(reversals.len(), 1);
    reversals.remove(0)
}

/// An account that has paid 1000 for April, and the charge.
async fn paid(world: &World) -> (Account<'_>, Value) {
    let ada = world.subscriber(1, "monthly").await;
    let charge = world.stripe.latest_charge(&ada).await;
    (ada, charge)
}

/// A dispute is flagged; lost, the money is gone, and a late word of the dispute itself does not bring it back.
#[tokio::test]
async fn a_disputed_payment_covers_until_the_dispute_is_lost() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (won, covered) in [(true, APRIL_ENDS), (false, "")] {
        let (ada, charge) = paid(&world).await;
        let dispute = world.stripe.is_disputed(&charge).await;
        assert!(reversal(&ada).await.disputed);
        assert_eq!(ada.covered_until().await, APRIL_ENDS);
        world.stripe.decides(&dispute, won).await;
        assert_eq!(ada.covered_until().await, covered, "won: {won}");
        let created = world.stripe.event("charge.dispute.created");
        world.stripe.delivers(&created).await;
        world.stripe.credits(&ada, 1, "credit_amount").await;
        assert_eq!(ada.covered_until().await, covered, "won: {won}");
        assert_eq!(reversal(&ada).await.lost, if won { 0 } else { 1000 });
    }
}

/// Lost and appealed, the money is gone; won after all, it is here, and the account has what it paid for.
#[tokio::test]
async fn a_dispute_that_is_won_on_an_appeal_is_covered_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, charge) = paid(&world).await;
    let dispute = world.stripe.is_disputed(&charge).await;
    world.stripe.decides(&dispute, false).await;
    world.stripe.appeals(&dispute).await;
    assert_eq!(ada.covered_until().await, "", "the money is still gone");
    world.stripe.decides(&dispute, true).await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
    assert_eq!(ada.billing().await.body["numbers"][0]["mode"], "FIXED");
    assert_eq!(reversal(&ada).await.lost, 0);
    // What came back can go back once more.
    world.stripe.refunds(&charge, 1000).await;
    assert_eq!(ada.covered_until().await, "");
}

/// All of it is heard of late, the newest first, each twice, on two machines at once.
#[tokio::test]
async fn a_dispute_and_its_appeal_land_in_any_order() {
    for (won, covered) in [(true, APRIL_ENDS), (false, "")] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let (ada, charge) = paid(&world).await;
        world.stripe.holds_events(true).await;
        let dispute = world.stripe.is_disputed(&charge).await;
        world.stripe.decides(&dispute, false).await;
        world.stripe.appeals(&dispute).await;
        world.stripe.decides(&dispute, won).await;
        let kinds = [
            "funds_reinstated",
            "closed",
            "updated",
            "funds_withdrawn",
            "created",
        ];
        let events: Vec<String> = kinds
            .iter()
            .flat_map(|kind| world.stripe.events(&format!("charge.dispute.{kind}")))
            .collect();
        let machines = [world.machine().await, world.machine().await];
        for event in events.iter().chain(&events) {
            let told = join_all(
                machines
                    .iter()
                    .map(|machine| machine.call(world.stripe.signed_event(event))),
            );
            for answer in told.await.into_iter().flatten() {
                assert!(matches!(answer.status, 200 | 409), "{answer}");
            }
        }
        assert_eq!(ada.covered_until().await, covered, "won: {won}");
        world.stripe.holds_events(false).await;
        assert_eq!(ada.covered_until().await, covered, "won: {won}");
    }
}

/// The news of the appeal dies at each of its steps, before and after: the next delivery lands it.
#[tokio::test]
async fn an_appeal_lands_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let (ada, charge) = paid(&world).await;
        let dispute = world.stripe.is_disputed(&charge).await;
        world.stripe.decides(&dispute, false).await;
        world.stripe.holds_events(true).await;
        world.stripe.decides(&dispute, true).await;
        let event = world.stripe.event("charge.dispute.closed");
        let is_through = world.dies_over_event(death, &event).await;
        assert_ne!(ada.covered_until().await, "", "{death}");
        world.stripe.holds_events(false).await;
        is_through
    })
    .await;
}

/// 400 and 600 of 1000, each lost: nothing is left. One of them won again: something is.
#[tokio::test]
async fn several_disputes_of_one_payment_add_up() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, charge) = paid(&world).await;
    let first = world
        .stripe
        .is_disputed_so(&charge, &json!({ "amount": 400 }))
        .await;
    let second = world
        .stripe
        .is_disputed_so(&charge, &json!({ "amount": 600 }))
        .await;
    world.stripe.decides(&first, false).await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
    world.stripe.decides(&second, false).await;
    assert_eq!(
        (reversal(&ada).await.lost, ada.covered_until().await),
        (1000, String::new())
    );
    world.stripe.decides(&first, true).await;
    assert_eq!(
        (reversal(&ada).await.lost, ada.covered_until().await),
        (600, APRIL_ENDS.to_owned())
    );
}

/// A dispute that was prevented: the payer had its money by a rule agreed to beforehand, or gave in. Neither is anybody's to answer.
#[tokio::test]
async fn what_was_prevented_is_lost_where_it_took_the_money() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, charge) = paid(&world).await;
    world
        .stripe
        .is_disputed_so(&charge, &json!({ "caseType": "block" }))
        .await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
    assert!(ada.stored().await.reversals.is_empty(), "there is nothing to say");

    let (bob, charge) = paid(&world).await;
    world
        .stripe
        .is_disputed_so(&charge, &json!({ "caseType": "resolution" }))
        .await;
    assert_eq!(bob.covered_until().await, "");
    let told = reversal(&bob).await;
    assert_eq!((told.lost, told.disputed), (1000, false));
}

/// A bank asks, and takes nothing: it is to be answered, and covers whatever comes of it.
#[tokio::test]
async fn an_inquiry_takes_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let (ada, charge) = paid(&world).await;
    let inquiry = world
        .stripe
        .is_disputed_so(&charge, &json!({ "caseType": "inquiry" }))
        .await;
    assert!(reversal(&ada).await.disputed);
    world.stripe.decides(&inquiry, false).await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
}
