//! A sale of a contract that is first heard of when Stripe bills the period after: the contract is in that one, and what is left of it is what was billed for
//! it.

use billing_tests::{Moment, Organisation, World};
use serde_json::{Value, json};

use crate::amendments::seats;

/// At noon on 16 May, when half of it is left, the contract becomes so many of its seats for this much, by a card.
async fn is_amended_in_may(
    world: &World,
    acme: &Organisation<'_>,
    contract: &str,
    (seats, total): (u64, i64),
) {
    let by = world
        .now()
        .duration_until("2026-05-16T12:00:00Z".parse().unwrap());
    world.advance(&format!("{}s", by.as_secs())).await;
    let standing = acme.contract(contract).await.contract.standing;
    let seat = &standing.configuration.products[0].product.id;
    let wish =
        json!({ "contract_id": contract, "product_overrides": [{ "product_id": seat, "quantity": seats }] });
    let offered = acme.opens(&wish).await;
    assert_eq!(
        offered.body["estimates"]["current_invoice"]["total"], total,
        "{offered}"
    );
    let id = offered.body["id"].as_str().unwrap();
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let sold = acme.confirms(id, &visa).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
}

/// 112.00 a month from the first on: the last day of April is debited, which takes three days, so that the contract begins in May. What is left of May is
/// what was billed for May, and not for that day: of five seats 50.00 come back, and two are 20.00.
#[tokio::test]
async fn a_contract_whose_short_first_period_is_paid_after_it_is_in_the_next_one() {
    let world = World::at("2026-04-30T12:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    let bank = json!({ "payment_method_id": "pm_usBankAccount" });
    let pending = acme.confirms(&id, &bank).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    world.advance("10d").await;
    assert_eq!(world.stripe.charges().await, [373, 11200]);
    let contract = acme.sold(&id, "paid in May").await.contract.id;
    is_amended_in_may(&world, &acme, contract.as_str(), (2, -3000)).await;
}

/// Sixty seats more for the last half day of April, 10.00, are paid, and nobody hears of it before May: what is left of May is what was billed for May. Of
/// 63 seats 315.00 come back, and three are 15.00.
#[tokio::test]
async fn an_amendment_that_is_heard_of_after_its_period_is_in_the_next_one() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("29d 12h").await;
    world.stripe.holds_events(true).await;
    let id = acme.session(&seats(&acme, &contract, 63)).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(Moment::After, "POST /v1/subscriptions/");
    machine
        .dies_over(acme.confirms_on(&machine, &id, &Value::Null))
        .await;
    world.advance("14h").await;
    assert_eq!(world.stripe.charges().await, [3500, 1000, 63500]);
    world.stripe.holds_events(false).await;
    acme.sold(&id, "heard of in May").await;
    is_amended_in_may(&world, &acme, &contract, (3, -30_000)).await;
}
