//! An operator gives a first bill up as uncollectible. It can still be paid on its page, and it is not known whether Stripe lets it be made
//! void: whoever is sold the same anew is charged once in either Stripe, or gets the other payment back.

use billing_tests::{World, path_of};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

/// In a Stripe where what was given up can be made void, and in one where it cannot.
async fn worlds() -> [World; 2] {
    let world = async |given_up_bills_can_be_voided| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        world.stripe.is(Settings {
            given_up_bills_can_be_voided,
            ..Settings::default()
        });
        world
    };
    [world(true).await, world(false).await]
}

/// An operator gives the latest bill up, and answers it.
async fn writes_off(world: &World) -> Value {
    let bill = world.stripe.latest_invoice().await;
    let id = bill["id"].as_str().unwrap();
    world.stripe.stand_in().write_off_invoice(id).await.unwrap();
    world.stripe.stand_in().settle().await;
    bill
}

/// What Stripe has been paid and has not given back.
async fn kept(world: &World) -> i64 {
    let paid: i64 = world.stripe.charges().await.iter().sum();
    let given_back: i64 = world.stripe.refunded().await.iter().sum();
    paid - given_back
}

/// Its debit failed, and the bill was given up: its page is where it is paid for, as before.
#[tokio::test]
async fn a_bill_that_was_given_up_is_paid_on_its_page() {
    for world in worlds().await {
        let acme = world.organisation("acme").await;
        let (id, _) = acme.session_whose_debit_failed().await;
        let bill = writes_off(&world).await;
        for body in [Value::Null, json!({ "payment_method_id": "pm_card_visa" })] {
            let pending = acme.confirms(&id, &body).await;
            assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
            assert_eq!(pending.body["url"], bill["hosted_invoice_url"]);
        }
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
        world.advance("2d").await;
        assert_eq!(kept(&world).await, 3500);
    }
}

/// Nobody comes back: the session runs out, and the plan is sold in another. What is paid for the first after all is given back, or bought
/// another contract.
#[tokio::test]
async fn a_session_whose_bill_was_given_up_runs_out() {
    for world in worlds().await {
        let acme = world.organisation("acme").await;
        let (id, _) = acme.session_whose_debit_failed().await;
        let bill = writes_off(&world).await;
        world.advance("4d").await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
        acme.sells(&acme.order("starter")).await;
        let path = path_of(&bill);
        if world.stripe.operator("GET", &path, "").await["status"] == "uncollectible" {
            world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        }
        world.advance("1d").await;
        let is_sold = acme.reads(&id).await.body["checkout_status"] == "contract_created";
        assert_eq!(kept(&world).await, if is_sold { 7000 } else { 3500 });
    }
}

/// The first debit of an account failed, its bill was given up and its subscription ended: it checks out again.
#[tokio::test]
async fn an_account_whose_first_bill_was_given_up_can_buy() {
    for world in worlds().await {
        let ada = world.account(1).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out_by_bank(&secret, "decline").await;
        world.advance("4d").await;
        writes_off(&world).await;
        let standing = world.stripe.subscription(&ada).await;
        let path = path_of(&standing);
        world.stripe.operator("DELETE", &path, "").await;
        world.stripe.stand_in().settle().await;
        let again = ada.starts_checkout("monthly").await;
        assert_eq!(again.status, 200, "{again}");
        world.stripe.pays(&again.client_secret()).await;
        assert_eq!(kept(&world).await, 1000);
        assert_eq!(ada.covered_until().await, "2026-05-05T00:00:00Z");
    }
}

/// A bank is asked to pay the bill that was given up at the very moment at which it is to be made void: the checkout waits for that, whatever the
/// refusal was for.
#[tokio::test]
async fn a_debit_for_a_bill_that_was_given_up_is_waited_for() {
    for world in worlds().await {
        let ada = world.account(1).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out_by_bank(&secret, "decline").await;
        world.advance("4d").await;
        let bill = writes_off(&world).await;
        let standing = world.stripe.subscription(&ada).await;
        let path = path_of(&standing);
        world.stripe.operator("DELETE", &path, "").await;
        world.stripe.stand_in().settle().await;
        let machine = world.machine().await;
        machine.network.holds("GET /v1/invoice_payments");
        let (told, ()) = tokio::join!(ada.starts_checkout_on(&machine, "monthly"), async {
            machine.network.reached().await;
            world.stripe.pays_invoice(&bill, "pm_usBankAccount").await;
            machine.network.lets_go();
        });
        assert_eq!(told.unwrap().status, 409);
        world.advance("4d").await;
        assert_eq!(kept(&world).await, 1000);
    }
}
