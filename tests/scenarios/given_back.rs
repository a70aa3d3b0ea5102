//! A payment that buys nothing, and an operator has ended what it was for by then: it goes back, once.

use billing_tests::{World, path_of};

use crate::late_payments::{is_given_back, paid_too_late};

/// An operator ends the subscription at Stripe, or deletes its customer, before anybody has heard that it was paid too late.
#[tokio::test]
async fn a_late_payment_for_what_has_ended_unheard_goes_back() {
    for what in ["subscription", "customer"] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let mut acme = world.organisation("acme").await;
        let (contract, paid) = paid_too_late(&mut acme, &world, 0).await;
        let ended = match what {
            "customer" => world.stripe.all_customers().await.remove(0),
            _ => world.stripe.all_subscriptions().await.remove(0),
        };
        world.stripe.operator("DELETE", &path_of(&ended), "").await;
        let machine = world.machine().await;
        let told = machine.call(world.stripe.signed_event(&paid)).await.unwrap();
        assert_eq!(told.status, 200, "{what}: {told}");
        assert_eq!(machine.metric("LatePaymentsRefunded"), 1, "{what}");
        is_given_back(&acme, &contract, what).await;
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.refunded().await, [3500], "{what}");
        is_given_back(&acme, &contract, what).await;
    }
}
