//! What an operator makes of a contract's subscription by hand, over an amendment or a downgrade whose machine has died: what was paid is sold, and what was
//! let go is asked for anew.

use billing_core::contract::Status;
use billing_tests::{Machine, Moment, Organisation, World, at_every_step, id_of, path_of};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

use crate::moved_periods::{resets_the_cycle, seats, sold};

/// Confirms a session on a machine that dies when Stripe is asked for this, and two minutes pass. No event is delivered from then on.
async fn dies_asking(world: &World, acme: &Organisation<'_>, id: &str, at: (Moment, &'static str)) {
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    machine.network.stops_named(at.0, at.1);
    machine
        .dies_over(acme.confirms_on(&machine, id, &Value::Null))
        .await;
    world.advance("2m").await;
}

/// An operator has it bill so many seats, which is billed with the next invoice, or at once.
async fn has_seats(world: &World, quantity: u64, proration: &str) {
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    let items = subscription["items"]["data"].as_array().unwrap();
    let seat = items.iter().find(|item| item["quantity"] != 1).unwrap();
    let path = format!("/v1/subscription_items/{}", id_of(seat));
    let form = format!("quantity={quantity}&proration_behavior={proration}");
    world.stripe.operator("POST", &path, &form).await;
}

/// An operator ends it.
async fn is_ended(world: &World) {
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    world.stripe.operator("DELETE", &path_of(&subscription), "").await;
}

/// A fourth seat for two thirds of April, 6.66, is charged, and nobody has heard of it when an operator has the subscription bill five seats, at once or later, or
/// three again, or ends it: it was sold all the same, and is told so, as if that had been written down first. Nothing is charged again.
#[tokio::test]
async fn an_amendment_that_was_paid_is_sold_whatever_an_operator_makes_of_it() {
    let seats_by_hand = [
        Some((5, "none")),
        Some((5, "always_invoice")),
        Some((3, "none")),
        None,
    ];
    for by_hand in seats_by_hand {
        for is_heard_of in [false, true] {
            let context = format!("{by_hand:?}, heard of: {is_heard_of}");
            let world = World::at("2026-04-01T00:00:00Z").await;
            let (acme, contract) = sold(&world).await;
            world.advance("10d").await;
            let id = acme.session(&seats(&acme, &contract, 4)).await;
            dies_asking(&world, &acme, &id, (Moment::After, "POST /v1/subscriptions/")).await;
            match by_hand {
                Some((quantity, proration)) => has_seats(&world, quantity, proration).await,
                None => is_ended(&world).await,
            }
            let charged = world.stripe.charges().await;
            assert_eq!(charged[..2], [3500, 666], "{context}");
            world.stripe.holds_events(!is_heard_of).await;
            let told = acme.confirms(&id, &Value::Null).await;
            assert_eq!(
                told.body["checkout_status"], "contract_created",
                "{context}: {told}"
            );
            world.stripe.holds_events(false).await;
            assert_eq!(world.stripe.charges().await, charged, "{context}");
            let stored = acme.contract(&contract).await;
            let charges: Vec<_> = stored.history.iter().map(|entry| entry.charge.total).collect();
            assert_eq!(
                (charges, &stored.contract.sale),
                (vec![3500, 666], &None),
                "{context}"
            );
            let status = match by_hand {
                Some(_) => Status::Active,
                None => Status::Ended,
            };
            assert_eq!(stored.contract.status, status, "{context}");
        }
    }
}

/// A fourth seat waits for the bank, and nobody has heard of it when an operator gives its bill up: Stripe drops the change, and what is paid for the bill
/// on its page goes back.
#[tokio::test]
async fn what_is_paid_for_an_amendment_that_was_dropped_unheard_of_goes_back() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.stripe.is(Settings {
        given_up_bills_can_be_voided: false,
        ..Settings::default()
    });
    let (acme, contract) = sold(&world).await;
    world.advance("10d").await;
    let id = acme.session(&seats(&acme, &contract, 4)).await;
    world.stripe.holds_events(true).await;
    let machine = world.machine().await;
    // When Stripe has it.
    machine.network.stops(Moment::After, 13);
    let card = json!({ "payment_method_id": "pm_card_authenticationRequired" });
    machine.dies_over(acme.confirms_on(&machine, &id, &card)).await;
    let subscription = world.stripe.all_subscriptions().await.remove(0);
    assert!(subscription["pending_update"].is_object(), "{subscription}");
    let sale = acme.contract(&contract).await.contract.sale.unwrap();
    assert_eq!(sale.invoice, None, "nobody has heard of it");
    let bill = subscription["latest_invoice"].as_str().unwrap();
    world.stripe.stand_in().write_off_invoice(bill).await.unwrap();
    world.advance("26h").await;
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(acme.contract(&contract).await.contract.sale, None);
    world.stripe.stand_in().pay_invoice(bill).await.unwrap();
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.refunded().await, [666]);
    assert_eq!(acme.contract(&contract).await.history.len(), 1);
}

/// A second seat for all of April, 10.00. The machine has died before it asked for it, and an operator begins another month with the one seat, which is
/// 10.00 too: that pays for no second seat, which is offered anew and charged.
#[tokio::test]
async fn a_bill_of_as_much_that_an_operator_makes_pays_for_no_amendment() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["product_overrides"] = json!([
        { "product_id": acme.product("starter", "Starter seat"), "quantity": 1 },
        { "product_id": acme.product("starter", "Call archive"), "is_enabled": false },
    ]);
    let contract = acme.sells(&order).await;
    let id = acme.session(&seats(&acme, &contract, 2)).await;
    dies_asking(&world, &acme, &id, (Moment::Before, "POST /v1/subscriptions/")).await;
    resets_the_cycle(&world, "none").await;
    assert_eq!(world.stripe.charges().await, [1000, 1000]);
    let moved = acme.confirms(&id, &Value::Null).await;
    assert_eq!(moved.status, 409, "{moved}");
    let version = json!({ "version": moved.body["version"] });
    let told = acme.confirms(&id, &version).await;
    assert_eq!(told.body["checkout_status"], "contract_created", "{told}");
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.charges().await, [1000, 1000, 1000]);
}

/// The machine has died between the two requests of a downgrade, or after the second, and an operator lets its schedule go: whoever asks again is
/// told that it is scheduled, and it is.
#[tokio::test]
async fn a_downgrade_whose_schedule_an_operator_let_go_is_scheduled_when_it_is_asked_for_again() {
    for moment in [Moment::Before, Moment::After] {
        for is_heard_of in [false, true] {
            let context = format!("died {moment:?}, heard of: {is_heard_of}");
            let world = World::at("2026-04-01T00:00:00Z").await;
            let acme = world.organisation("acme").await;
            let contract = acme.sells(&acme.order("team")).await;
            let less = json!({ "contract_id": contract, "plan_id": acme.plan("starter") });
            let id = acme.session(&less).await;
            dies_asking(&world, &acme, &id, (moment, "POST /v1/subscription_schedules/")).await;
            let led = world.stripe.all_subscriptions().await.remove(0);
            let schedule = led["schedule"].as_str().unwrap();
            let path = format!("/v1/subscription_schedules/{schedule}/release");
            world.stripe.operator("POST", &path, "").await;
            world.stripe.holds_events(!is_heard_of).await;
            let told = acme.confirms(&id, &Value::Null).await;
            assert_eq!(
                told.body["checkout_status"], "contract_created",
                "{context}: {told}"
            );
            world.stripe.holds_events(false).await;
            let stored = acme.contract(&contract).await.contract;
            let effective = stored.scheduled.unwrap().effective_at.to_string();
            assert_eq!(
                (stored.sale, effective.as_str()),
                (None, "2026-05-01T00:00:00Z"),
                "{context}"
            );
            assert_eq!(world.stripe.phases_of_latest_schedule().await, 2, "{context}");
            assert_eq!(world.stripe.charges().await, [11_200], "{context}");
        }
    }
}

/// An operator ends the subscription while it is being amended, at whichever moment: the amendment comes first, or nothing is charged, and it is told that the
/// contract has ended.
#[tokio::test]
async fn an_amendment_of_what_an_operator_ends_meanwhile_comes_first_or_to_nothing() {
    const ENDED: &str = r#"409 {"error":"the checkout session is cancelled: its contract has ended"}"#;
    for paying in [Value::Null, json!({ "payment_method_id": "pm_card_mastercard" })] {
        at_every_step(async |step| {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let (acme, contract) = sold(&world).await;
            world.advance("10d").await;
            let id = acme.session(&seats(&acme, &contract, 4)).await;
            let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &paying).await;
            let held = world.held_over(step, confirms, is_ended(&world)).await;
            let context = format!("{paying}, {step}: {}", held.answer);
            assert!(matches!(held.answer.status, 200 | 409), "{context}");
            world.stripe.stand_in().settle().await;
            let is_sold = held.answer.body["checkout_status"] == "contract_created";
            let charged: &[i64] = if is_sold { &[3500, 666] } else { &[3500] };
            assert_eq!(world.stripe.charges().await, charged, "{context}");
            if !is_sold {
                assert_eq!(acme.confirms(&id, &paying).await, ENDED, "{context}");
            }
            let stored = acme.contract(&contract).await.contract;
            assert_eq!(stored.status, Status::Ended, "{context}");
            !held.was_held
        })
        .await;
    }
}
