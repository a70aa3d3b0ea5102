//! Confirmations that name a version: they agree to its offer, and can be repeated until that is made anew, whatever came of them before.

use billing_tests::{Answer, Machine, Organisation, World, at_every_death, at_every_step};
use serde_json::{Value, json};
use stripe_stand_in::{Fault, FaultKind};

const NOW: &str = "2026-04-01T00:00:00Z";
const DECLINING: &str = "pm_card_chargeCustomerFail";

fn by(card: &str, version: u64) -> Value {
    json!({ "payment_method_id": card, "version": version })
}

fn visa(version: u64) -> Value {
    by("pm_card_visa", version)
}

/// The starter plan, 35.00, for a guest of an address of its own.
async fn offered(acme: &Organisation<'_>, name: &str) -> String {
    let email = format!("{}@example.com", name.to_lowercase());
    acme.session(&acme.guest_order(&email)).await
}

/// The contract is made, and this one sale was charged since.
async fn is_sold_once(world: &World, told: &Answer, before: &[i64], context: &str) {
    assert_eq!(
        told.body["checkout_status"], "contract_created",
        "{context}: {told}"
    );
    world.stripe.stand_in().settle().await;
    let charges = world.stripe.charges().await;
    assert_eq!(charges, [before, &[3500]].concat(), "{context}");
}

/// A method that is not there, a card that is declined: the corrected confirmation agrees to the same version.
#[tokio::test]
async fn what_was_refused_is_corrected_under_the_same_version() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    for (card, status) in [("pm_none", 400), (DECLINING, 402)] {
        let id = offered(&acme, card).await;
        let before = world.stripe.charges().await;
        for _ in 0..2 {
            let refused = acme.confirms(&id, &by(card, 1)).await;
            assert_eq!(refused.status, status, "{card}: {refused}");
        }
        let read = acme.reads(&id).await;
        assert_ne!(read.body["version"], 1, "{card}: it was written since");
        let sold = acme.confirms(&id, &visa(1)).await;
        is_sold_once(&world, &sold, &before, card).await;
    }
}

/// Stripe does what it is asked at one of the calls and at all that come after, and answers with failures: the very same request is repeated
/// until it is sold, with and without a key.
#[tokio::test]
async fn what_was_given_up_is_repeated_to_the_letter() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    for keyed in [false, true] {
        at_every_step(async |nth| {
            let context = format!("{keyed}-{nth}");
            let id = offered(&acme, &context).await;
            let before = world.stripe.charges().await;
            let asks = || {
                let mut request = acme.confirmation(&id, &visa(1));
                if keyed {
                    let key = context.parse().unwrap();
                    request.headers_mut().insert("idempotency-key", key);
                }
                acme.sends(request)
            };
            let fault = Fault::new(FaultKind::StatusAfter { status: 500 });
            let nth = u32::try_from(nth).unwrap();
            world.stripe.stand_in().add_fault(fault.nth(nth).times(50));
            let first = asks().await;
            world.stripe.recovers().await;
            assert!([200, 503].contains(&first.status), "{context}: {first}");
            let mut sold = first.clone();
            for _ in 0..3 {
                if sold.status == 503 {
                    // Somebody may be at it still, for a minute.
                    world.advance("30s").await;
                    sold = asks().await;
                }
            }
            is_sold_once(&world, &sold, &before, &context).await;
            first.status == 200
        })
        .await;
    }
}

/// A machine dies over a card that is declined, or that pays. What is repeated a moment later, and what names another card after some minutes, agrees
/// to the same version.
#[tokio::test]
async fn what_a_machine_died_over_is_repeated_under_the_same_version() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    for card in ["pm_card_visa", DECLINING] {
        at_every_death(async |death| {
            let context = format!("{card}-{:?}-{}", death.moment, death.step);
            let id = offered(&acme, &context).await;
            let before = world.stripe.charges().await;
            let wish = by(card, 1);
            let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &wish).await;
            let told = world.dies_over(death, confirms).await;
            if card == DECLINING {
                let again = acme.confirms(&id, &wish).await;
                assert_eq!(again.status, 402, "{context}: {again}");
            }
            let sold = acme.confirms(&id, &visa(1)).await;
            is_sold_once(&world, &sold, &before, &context).await;
            told.is_some()
        })
        .await;
    }
}

/// Two machines confirm the same version, by a card that is declined and by one that pays; the first is held at each of its steps. Neither is told
/// that another version is there: the second sells, at once or when the first is out of the way.
#[tokio::test]
async fn two_machines_confirm_the_same_version() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    at_every_step(async |step| {
        let context = format!("held-{step}");
        let id = offered(&acme, &context).await;
        let before = world.stripe.charges().await;
        let declining = by(DECLINING, 1);
        let first = async |machine: &Machine| acme.confirms_on(machine, &id, &declining).await;
        let held = world.held_over(step, first, acme.confirms(&id, &visa(1))).await;
        for told in [&held.answer, &held.other] {
            assert_eq!(told.body["version"], Value::Null, "{context}: {told}");
        }
        let sold = acme.confirms(&id, &visa(1)).await;
        is_sold_once(&world, &sold, &before, &context).await;
        !held.was_held
    })
    .await;
}

/// The archive costs a dollar more after a card was declined, and the offer is made anew in the fourth version: none before it agrees to that, though
/// the card is declined once more.
#[tokio::test]
async fn a_version_before_the_offer_was_made_anew_agrees_to_nothing() {
    let world = World::at(NOW).await;
    let mut acme = world.organisation("acme").await;
    let id = offered(&acme, "eve").await;
    assert_eq!(acme.confirms(&id, &by(DECLINING, 1)).await.status, 402);
    acme.changes_its_catalog("unit_amount = 500", "unit_amount = 600")
        .await;
    let moved = acme.confirms(&id, &visa(1)).await;
    assert_eq!(moved.status, 409, "{moved}");
    let anew = moved.body["version"].as_u64().unwrap();
    assert_eq!(anew, 4, "one for the claim, one for what came of it");
    assert_eq!(acme.confirms(&id, &by(DECLINING, anew)).await.status, 402);
    let latest = acme.reads(&id).await.body["version"].as_u64().unwrap();
    assert_eq!(latest, 6);
    for version in [1, 2, 3, 7] {
        let told = acme.confirms(&id, &visa(version)).await;
        assert_eq!(
            (told.status, &told.body["version"]),
            (409, &json!(latest)),
            "{version}: {told}"
        );
    }
    let unnamed = acme
        .confirms(&id, &json!({ "payment_method_id": "pm_card_visa" }))
        .await;
    assert_eq!(unnamed.status, 409, "{unnamed}");
    assert_eq!(world.stripe.charges().await, [0; 0]);
    assert_eq!(acme.confirms(&id, &visa(anew)).await.status, 200);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3600]);
}
