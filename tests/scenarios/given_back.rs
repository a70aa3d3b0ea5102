//! A payment that buys nothing, of which an operator has given something back by then, or has ended what it was for: what is left of it goes back,
//! once, and no more.

use billing_tests::{Machine, World, at_every_death, at_every_step, id_of, path_of};
use serde_json::Value;
use stripe_stand_in::InvoiceAct;

use crate::late_payments::{is_given_back, paid_too_late};
use crate::let_go;

/// An operator gives that much of an invoice back, `how`: `credit_amount`, `out_of_band_amount`.
async fn credits(world: &World, invoice: &Value, how: &str, amount: i64) {
    let form = format!("invoice={}&amount={amount}&{how}={amount}", id_of(invoice));
    world.stripe.operator("POST", "/v1/credit_notes", &form).await;
}

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

/// 35.00 were paid too late. An operator credits all of it, or 10.00, to the customer's balance, or tells Stripe that it was given back elsewhere:
/// the rest goes back. Of 25.00 that were paid beside 10.00 of the balance, what is credited beyond those stays.
#[tokio::test]
async fn what_was_credited_of_a_late_payment_does_not_go_back_again() {
    for (balance, how, credited, refunded) in [
        (0, "credit_amount", 3500, &[][..]),
        (0, "out_of_band_amount", 3500, &[]),
        (0, "credit_amount", 1000, &[2500_i64]),
        (-1000, "credit_amount", 600, &[2500]),
    ] {
        let noted = Noted {
            balance,
            how,
            credited,
        };
        let (world, paid) = noted.late().await;
        assert_eq!(world.stripe.delivers(&paid).await, 200, "{noted:?}");
        noted.rest_goes_back(&world, refunded).await;
    }
}

/// Of 25.00 by card and 10.00 of the balance, 20.00: 15.00 are left to go back.
const MOST: Noted = Noted {
    balance: -1000,
    how: "credit_amount",
    credited: 2000,
};

/// Whatever dies over it.
#[tokio::test]
async fn the_rest_of_what_was_credited_goes_back_once() {
    at_every_death(async |death| {
        let (world, paid) = MOST.late().await;
        let is_through = world.dies_over_event(death, &paid).await;
        MOST.rest_goes_back(&world, &[1500]).await;
        is_through
    })
    .await;
}

/// An answer is lost; or a machine is so slow that another does the same meanwhile.
#[tokio::test]
async fn two_machines_give_the_rest_of_what_was_credited_back_once() {
    for is_slow in [false, true] {
        at_every_step(async |step| {
            let (world, paid) = MOST.late().await;
            let hears = async |machine: &Machine| machine.call(world.stripe.signed_event(&paid)).await;
            let another = async {
                world.advance("5m").await;
                world.stripe.delivers(&paid).await
            };
            let came_to_it = if is_slow {
                let held = world.held_over(step, hears, another).await;
                assert_eq!(held.other, 200, "{step}");
                held.was_held
            } else {
                let (_, was_lost) = world.loses_over(step, hears).await;
                assert_eq!(another.await, 200, "{step}");
                was_lost
            };
            MOST.rest_goes_back(&world, &[1500]).await;
            !came_to_it
        })
        .await;
    }
}

/// What a customer has on its balance when it pays too late, and what an operator gives back of that payment.
#[derive(Debug)]
struct Noted {
    balance: i64,
    how: &'static str,
    credited: i64,
}

impl Noted {
    /// A world where that has happened, and the event of the payment, which nobody has heard.
    async fn late(&self) -> (World, String) {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let mut acme = world.organisation("acme").await;
        let (_, paid) = paid_too_late(&mut acme, &world, self.balance).await;
        let bill = world.stripe.latest_invoice().await;
        credits(&world, &bill, self.how, self.credited).await;
        (world, paid)
    }

    /// When everything is heard, this went back by card, and the balance has what it had, or more where more was credited.
    async fn rest_goes_back(&self, world: &World, refunded: &[i64]) {
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.refunded().await, refunded, "{self:?}");
        let customer = world.stripe.all_customers().await.remove(0);
        let to_balance = match self.how {
            "credit_amount" => self.credited,
            _ => 0,
        };
        assert_eq!(customer["balance"], -to_balance.max(-self.balance), "{self:?}");
    }
}

/// The same of 35.00 that were paid for a bill that was let go.
#[tokio::test]
async fn what_was_credited_of_a_bill_that_was_let_go_does_not_go_back_again() {
    for (how, credited, refunded) in [
        ("credit_amount", 3500, &[][..]),
        ("out_of_band_amount", 3500, &[]),
        ("credit_amount", 1000, &[2500_i64]),
    ] {
        let world = let_go::world().await;
        let acme = world.organisation("acme").await;
        let_go::paid_unheard(&world, &acme).await;
        credits(&world, &world.stripe.latest_invoice().await, how, credited).await;
        let_go::hears(&world).await;
        assert_eq!(world.stripe.refunded().await, refunded, "{how} {credited}");
    }
}

/// 10.00 and 25.00 were paid for it. An operator refunds the first payment, and credits 5.00: 20.00 are left, of the second.
#[tokio::test]
async fn what_was_credited_beside_a_refund_is_of_another_payment() {
    let world = let_go::world().await;
    let acme = world.organisation("acme").await;
    let (_, bill) = let_go::let_go(&world, &acme).await;
    world.stripe.holds_events(true).await;
    let part = InvoiceAct {
        amount: Some(1000),
        ..InvoiceAct::default()
    };
    let stand_in = world.stripe.stand_in();
    stand_in.act_on_invoice(id_of(&bill), &part).await.unwrap();
    let first = world.stripe.charge_of(id_of(&bill)).await;
    assert_eq!(first["amount"], 1000);
    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
    world.stripe.refunds(&first, 1000).await;
    credits(&world, &bill, "credit_amount", 500).await;
    let_go::hears(&world).await;
    assert_eq!(world.stripe.refunded().await, [1000, 2000]);
}
