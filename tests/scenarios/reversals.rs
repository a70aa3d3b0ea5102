//! Money that goes back: refunded in full, an invoice covers nothing; short of that its coverage stays, and people see it.

use billing_core::reversal::Reversal;
use billing_tests::{Account, Moment, World, path_of};
use futures_util::future::join_all;
use serde_json::json;
use stripe_stand_in::Settings;

const APRIL_ENDS: &str = "2026-05-01T00:00:00Z";

/// What was given back of the account's only reversed invoice.
async fn reversal(account: &Account<'_>) -> Reversal {
    let mut reversals = account.stored().await.reversals;
    assert_eq!(reversals.len(), 1);
    reversals.remove(0)
}

/// 3 × 1000 = 3000 paid; 1000 go back, then the other 2000.
#[tokio::test]
async fn what_is_refunded_in_full_is_covered_no_longer() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    let charge = world.stripe.latest_charge(&ada).await;
    let ledger = ada.ledger().await;

    world.stripe.refunds(&charge, 1000).await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
    let told = reversal(&ada).await;
    assert_eq!(
        (told.given_back, told.paid.minor, told.is_full()),
        (1000, 3000, false)
    );

    world.stripe.refunds(&charge, 2000).await;
    assert_eq!(ada.covered_until().await, "");
    assert_eq!(ada.billing().await.body["numbers"][0]["mode"], "PAYG");
    assert_eq!(ada.ledger().await, ledger, "no entry is rewritten");
}

/// The refund is known before the payment is: nothing is covered for a moment.
#[tokio::test]
async fn a_refund_that_lands_before_the_payment_covers_nothing_either() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    world.stripe.holds_events(true).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out(&secret, "succeed").await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.refunds(&charge, 1000).await;
    let refunded = world.stripe.events("charge.refunded").remove(0);
    assert_eq!(world.stripe.delivers(&refunded).await, 200);
    assert_eq!(ada.ledger().await.len(), 0);
    assert!(reversal(&ada).await.is_full());
    world.stripe.holds_events(false).await;
    assert_eq!(ada.ledger().await.len(), 1);
    assert_eq!(ada.covered_until().await, "");
}

/// 3 × 1000 = 3000 paid. 2000 and 1000 go back; the bank sends the 1000 back to us: the invoice is paid after all, and coverage is as it was
/// before that refund. In either of the Stripes that a charge may be told by afterwards.
#[tokio::test]
async fn a_refund_that_failed_is_covered_again() {
    for failed_refunds_stay_on_charges in [false, true] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            failed_refunds_stay_on_charges,
            ..Settings::default()
        });
        let ada = world.subscriber(3, "monthly").await;
        let charge = world.stripe.latest_charge(&ada).await;
        let ledger = ada.ledger().await;
        world.stripe.refunds(&charge, 2000).await;
        world.stripe.refunds(&charge, 1000).await;
        assert_eq!(ada.covered_until().await, "");

        world.stripe.refund_fails().await;
        assert_eq!(ada.covered_until().await, APRIL_ENDS);
        assert_eq!(ada.billing().await.body["numbers"][0]["mode"], "FIXED");
        assert_eq!(reversal(&ada).await.given_back, 2000);
        assert_eq!(ada.ledger().await, ledger);

        // Given back once more, it is given back.
        if !failed_refunds_stay_on_charges {
            world.stripe.refunds(&charge, 1000).await;
            assert_eq!(ada.covered_until().await, "");
        }
    }
}

/// The refund and its failure are heard of late, each twice, in either order, and on two machines at once: the money is here.
#[tokio::test]
async fn a_refund_and_its_failure_land_in_any_order() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for failure_first in [false, true] {
        let ada = world.subscriber(1, "monthly").await;
        let charge = world.stripe.latest_charge(&ada).await;
        world.stripe.refunds(&charge, 1000).await;
        assert_eq!(ada.covered_until().await, "");
        world.stripe.holds_events(true).await;
        world.stripe.refund_fails().await;
        let mut events = vec![
            world.stripe.event("charge.refunded"),
            world.stripe.event("refund.failed"),
        ];
        if failure_first {
            events.reverse();
        }
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
        assert_eq!(
            ada.covered_until().await,
            APRIL_ENDS,
            "failure first: {failure_first}"
        );
        assert_eq!(reversal(&ada).await.given_back, 0);
        world.stripe.holds_events(false).await;
        assert_eq!(ada.covered_until().await, APRIL_ENDS);
    }
}

/// The failure's event dies at each of its steps: the next delivery lands it.
#[tokio::test]
async fn a_failed_refund_lands_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for step in 1..40 {
        let ada = world.subscriber(1, "monthly").await;
        let charge = world.stripe.latest_charge(&ada).await;
        world.stripe.refunds(&charge, 1000).await;
        world.stripe.holds_events(true).await;
        world.stripe.refund_fails().await;
        let event = world.stripe.event("refund.failed");
        let machine = world.machine().await;
        machine.network.stops(Moment::After, step);
        let finished = tokio::select! {
            answer = machine.call(world.stripe.signed_event(&event)) => {
                assert_eq!(answer.unwrap().status, 200);
                true
            }
            () = machine.network.reached() => false,
        };
        machine.dies();
        world.advance("5m").await;
        assert_eq!(world.stripe.delivers(&event).await, 200);
        assert_ne!(ada.covered_until().await, "", "died at step {step}");
        world.stripe.holds_events(false).await;
        if finished {
            return;
        }
    }
    panic!("it never finished");
}

/// Both refunds' events arrive late, twice, and the newer one first: each reads the whole sum.
#[tokio::test]
async fn the_order_of_refunds_does_not_matter() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.holds_events(true).await;
    world.stripe.refunds(&charge, 400).await;
    world.stripe.refunds(&charge, 600).await;
    let mut events = world.stripe.events("charge.refunded");
    events.reverse();
    for event in events.iter().chain(&events) {
        assert_eq!(world.stripe.delivers(event).await, 200);
        assert_eq!(reversal(&ada).await.given_back, 1000);
        assert_eq!(ada.covered_until().await, "");
    }
}

/// A credit note over all of it, by refund, to the customer's balance, or outside of Stripe: each gives the money back.
#[tokio::test]
async fn a_credit_note_gives_back_in_any_form() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for how in ["refund_amount", "credit_amount", "out_of_band_amount"] {
        let ada = world.subscriber(2, "monthly").await;
        world.stripe.credits(&ada, 500, how).await;
        assert_eq!(ada.covered_until().await, APRIL_ENDS, "{how}");
        world.stripe.credits(&ada, 1500, how).await;
        assert_eq!(ada.covered_until().await, "", "{how}");
        assert_eq!(reversal(&ada).await.given_back, 2000, "{how}: counted once");
    }
}

/// 1 × 1000 a month; on 11 April to a year: 9600 less the rest of April. The year is refunded in full: April is what was paid for.
#[tokio::test]
async fn a_change_that_was_refunded_leaves_what_was_paid_before() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.advance("10d").await;
    assert_eq!(ada.changes(&json!({ "interval": "annual" })).await.status, 200);
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.covered_until().await, "2027-04-11T00:00:00Z");
    let charge = world.stripe.latest_charge(&ada).await;
    world
        .stripe
        .refunds(&charge, charge["amount"].as_i64().unwrap())
        .await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
}

/// An operator deleted the customer, a new one bought; then the old payment is refunded. What it had covered is withdrawn.
#[tokio::test]
async fn a_refund_reaches_the_payment_of_a_customer_that_was_replaced() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "annual").await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.loses_its_customer(&ada).await;
    world.stripe.stand_in().settle().await;
    ada.subscribes("monthly").await;
    assert_eq!(ada.covered_until().await, "2027-04-01T00:00:00Z");
    world.stripe.refunds(&charge, 9600).await;
    assert_eq!(ada.covered_until().await, APRIL_ENDS);
}

/// The account has paid for a year; an operator deletes its customer, and it begins to check out anew. That the year was paid is heard of before
/// the customer is replaced, or after; or after it was given back.
#[tokio::test]
async fn a_payment_of_a_customer_that_was_replaced_lands_whenever_it_is_heard_of() {
    for (is_late, is_refunded) in [(false, false), (true, false), (true, true)] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.account(1).await;
        let secret = ada.starts_checkout("annual").await.client_secret();
        world.stripe.holds_events(true).await;
        world.stripe.checks_out(&secret, "succeed").await;
        for kind in ["checkout.session.completed", "customer.subscription.created"] {
            assert_eq!(world.stripe.delivers(&world.stripe.event(kind)).await, 200);
        }
        let paid = world.stripe.event("invoice.paid");
        let charge = world.stripe.latest_charge(&ada).await;
        world.stripe.loses_its_customer(&ada).await;
        let ended = world.stripe.event("customer.subscription.deleted");
        assert_eq!(world.stripe.delivers(&ended).await, 200);
        if !is_late {
            assert_eq!(world.stripe.delivers(&paid).await, 200);
        }
        let again = ada.starts_checkout("monthly").await.client_secret();
        let customer = ada.stored().await.profile.customer;
        if is_refunded {
            world.stripe.refunds(&charge, 9600).await;
            let refunded = world.stripe.event("charge.refunded");
            assert_eq!(world.stripe.delivers(&refunded).await, 200);
        }
        let machine = world.machine().await;
        let answer = machine.call(world.stripe.signed_event(&paid)).await.unwrap();
        assert_eq!(answer.status, 200);
        let context = format!("late: {is_late}, refunded: {is_refunded}");
        assert_eq!(machine.metric("ForeignCustomers"), 0, "{context}");
        let covered = if is_refunded { "" } else { "2027-04-01T00:00:00Z" };
        assert_eq!(ada.covered_until().await, covered, "{context}");
        assert_eq!(ada.stored().await.profile.customer, customer, "{context}");
        // The rest of the old customer's news changes nothing: the new page can be paid.
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        world.stripe.pays(&again).await;
        assert_eq!(ada.ledger().await.len(), 2, "{context}");
        let covered = if is_refunded { APRIL_ENDS } else { covered };
        assert_eq!(ada.covered_until().await, covered, "{context}");
    }
}

/// A customer that somebody has marked with the account's id by hand was never the account's: what it pays covers nothing.
#[tokio::test]
async fn a_payment_of_a_customer_that_was_marked_by_hand_covers_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let price = world.stripe.subscription(&ada).await["items"]["data"][0]["price"]["id"].clone();
    let other = world
        .stripe
        .operator("POST", "/v1/customers", "name=By%20hand")
        .await;
    let customer = other["id"].as_str().unwrap();
    world
        .stripe
        .stand_in()
        .set_card(customer, "pm_card_visa")
        .unwrap();
    let form = format!(
        "customer={customer}&items[0][price]={}&items[0][quantity]=9&metadata[account]={}",
        price.as_str().unwrap(),
        ada.id
    );
    world.stripe.holds_events(true).await;
    world.stripe.operator("POST", "/v1/subscriptions", &form).await;
    let paid = world.stripe.event("invoice.paid");
    let machine = world.machine().await;
    let answer = machine.call(world.stripe.signed_event(&paid)).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(machine.metric("ForeignCustomers"), 1);
    assert_eq!(ada.ledger().await.len(), 1);
}

/// The refund's event dies at each of its steps: the next delivery lands it, once.
#[tokio::test]
async fn a_refund_lands_when_the_webhook_dies_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut finished = false;
    for step in 1..40 {
        let ada = world.subscriber(1, "monthly").await;
        world.stripe.holds_events(true).await;
        let charge = world.stripe.latest_charge(&ada).await;
        world.stripe.refunds(&charge, 1000).await;
        let event = world.stripe.event("charge.refunded");
        let machine = world.machine().await;
        machine.network.stops(Moment::After, step);
        tokio::select! {
            answer = machine.call(world.stripe.signed_event(&event)) => {
                assert_eq!(answer.unwrap().status, 200);
                finished = true;
            }
            () = machine.network.reached() => {}
        }
        machine.dies();
        world.advance("5m").await;
        assert_eq!(world.stripe.delivers(&event).await, 200);
        assert_eq!(ada.covered_until().await, "", "died at step {step}");
        world.stripe.holds_events(false).await;
        if finished {
            return;
        }
    }
    panic!("it never finished");
}

/// The account owes 5.00 of before, which is paid with May's 10.00. Of May nothing is left: it is credited before it was paid, or given back
/// after.
#[tokio::test]
async fn what_was_owed_before_is_no_payment_of_the_period() {
    for before_it_is_paid in [true, false] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.subscriber(1, "monthly").await;
        let customer = world.stripe.customers(&ada).await.remove(0);
        let path = path_of(&customer);
        world.stripe.operator("POST", &path, "balance=500").await;
        if before_it_is_paid {
            world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
        }
        world.advance("30d 2h").await;
        if before_it_is_paid {
            let bill = world.stripe.latest_invoice().await;
            assert_eq!(
                (&bill["status"], &bill["amount_due"]),
                (&json!("open"), &json!(1500))
            );
            let form = format!("invoice={}&amount=1000", bill["id"].as_str().unwrap());
            world.stripe.operator("POST", "/v1/credit_notes", &form).await;
            world.stripe.pays_latest_invoice().await;
            assert_eq!(world.stripe.payments(&ada).await, [1000, 500]);
        } else {
            assert_eq!(world.stripe.payments(&ada).await, [1000, 1500]);
            assert_eq!(ada.covered_until().await, "2026-06-01T00:00:00Z");
            world.stripe.credits(&ada, 1000, "refund_amount").await;
        }
        assert_eq!(ada.covered_until().await, "", "{before_it_is_paid}");
        if before_it_is_paid {
            world.stripe.gives_card(&ada, "pm_card_visa").await;
            let change = ada.changes(&json!({ "interval": "annual" })).await;
            assert_eq!(
                change.status, 409,
                "what nobody paid for is not given back: {change}"
            );
        }
    }
}
