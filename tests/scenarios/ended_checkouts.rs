//! An operator ends the subscription of an account at Stripe before it is paid. A bank debit that is under way cannot be called back:
//! nothing else is sold meanwhile. A bill that waits for its payer is made void before anything is.

use billing_tests::{Account, Machine, World, at_every_death, path_of};
use serde_json::{Value, json};
use stripe_stand_in::InvoiceAct;

const BARRED: &str = r#"409 {"error":"the account already has a subscription"}"#;

/// An account whose checkout a bank debits for in three days, and how that will end.
async fn debited<'a>(world: &'a World, later: &str) -> Account<'a> {
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.checks_out_by_bank(&secret, later).await;
    ada
}

/// An operator ends the subscription that was made last.
async fn ends_latest(world: &World) {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&latest);
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
}

/// What an invoice is by now.
async fn status_of(world: &World, invoice: &Value) -> Value {
    let path = path_of(invoice);
    world.stripe.operator("GET", &path, "").await["status"].clone()
}

/// What was debited is paid once, and covers its month; then the account may buy again.
#[tokio::test]
async fn nothing_is_sold_beside_the_debit_of_a_subscription_that_was_ended() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "succeed").await;
    ends_latest(&world).await;
    for interval in ["monthly", "annual"] {
        assert_eq!(ada.starts_checkout(interval).await, BARRED, "{interval}");
    }
    // Past the session's own time as well.
    world.advance("26h").await;
    assert_eq!(ada.starts_checkout("monthly").await, BARRED);
    world.advance("2d").await;
    assert_eq!(world.stripe.payments(&ada).await.len(), 1);
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    ada.starts_checkout("monthly").await.client_secret();
}

/// The bank refuses: nothing is left that could be paid, and a card buys it once.
#[tokio::test]
async fn what_a_debit_failed_for_after_the_end_is_sold_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "decline").await;
    ends_latest(&world).await;
    world.advance("71h").await;
    assert_eq!(ada.starts_checkout("monthly").await, BARRED);
    world.advance("2h").await;
    let bill = world.stripe.invoices(&ada).await.remove(0);
    assert_eq!(bill["status"], "open");
    ada.subscribes("monthly").await;
    assert_eq!(status_of(&world, &bill).await, "void");
    assert_eq!(world.stripe.payments(&ada).await.len(), 1);
    assert_eq!(ada.covered_until().await, "2026-05-04T01:00:00Z");
}

/// The debit has failed, and the bill waits to be paid on its page when the operator ends that: nobody pays it beside what is bought then,
/// wherever the machine dies.
#[tokio::test]
async fn a_bill_of_what_was_ended_is_void_before_anything_is_sold() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |death| {
        let ada = debited(&world, "decline").await;
        world.advance("73h").await;
        let bill = world.stripe.invoices(&ada).await.remove(0);
        ends_latest(&world).await;
        let starts = async |machine: &Machine| ada.starts_checkout_on(machine, "monthly").await;
        let told = world.dies_over(death, starts).await;
        ada.subscribes("monthly").await;
        assert_eq!(status_of(&world, &bill).await, "void", "{death}");
        assert_eq!(world.stripe.payments(&ada).await.len(), 1, "{death}");
        told.is_some()
    })
    .await;
}

/// The payer has a bank pay the bill at the very moment at which it is to be made void: nothing is sold over that.
#[tokio::test]
async fn a_bill_that_a_bank_pays_while_it_is_made_void_bars_a_checkout() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "decline").await;
    world.advance("73h").await;
    let bill = world.stripe.invoices(&ada).await.remove(0);
    ends_latest(&world).await;
    let machine = world.machine().await;
    machine.network.holds("GET /v1/invoice_payments");
    let (told, ()) = tokio::join!(ada.starts_checkout_on(&machine, "monthly"), async {
        machine.network.reached().await;
        world.stripe.pays_invoice(&bill, "pm_usBankAccount").await;
        machine.network.lets_go();
    });
    assert_eq!(told.unwrap(), BARRED);
    world.advance("100h").await;
    assert_eq!(world.stripe.payments(&ada).await.len(), 1);
    ada.starts_checkout("monthly").await.client_secret();
}

/// The account had one before, and the first that anybody hears of this one is that it was ended.
#[tokio::test]
async fn what_nobody_heard_of_before_its_end_is_waited_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ends_latest(&world).await;
    world.advance("1h").await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.stripe.checks_out_by_bank(&secret, "succeed").await;
    ends_latest(&world).await;
    world.stripe.holds_events(false).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(ada.starts_checkout("annual").await, BARRED);
    world.advance("73h").await;
    assert_eq!(world.stripe.payments(&ada).await.len(), 2);
    ada.starts_checkout("annual").await.client_secret();
}

/// A renewal that was never paid stays somebody's to collect; what a bank is paying of it is waited for.
#[tokio::test]
async fn a_renewal_of_what_was_ended_is_not_made_void() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    world.stripe.gives_card(&ada, "pm_card_chargeCustomerFail").await;
    world.advance("31d").await;
    let bill = world.stripe.invoices(&ada).await.remove(0);
    assert_eq!(
        (&bill["status"], &bill["billing_reason"]),
        (&json!("open"), &json!("subscription_cycle"))
    );
    ends_latest(&world).await;
    ada.starts_checkout("monthly").await.client_secret();
    assert_eq!(status_of(&world, &bill).await, "open");
    world.stripe.pays_invoice(&bill, "pm_usBankAccount").await;
    assert_eq!(ada.starts_checkout("annual").await, BARRED);
}

/// Of a subscription that was paid, nothing is asked.
#[tokio::test]
async fn a_checkout_after_a_paid_subscription_asks_for_no_bill() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    ends_latest(&world).await;
    let machine = world.machine().await;
    ada.starts_checkout_on(&machine, "monthly")
        .await
        .unwrap()
        .client_secret();
    let steps = machine.network.steps();
    assert!(
        !steps.iter().any(|step| step.contains("/v1/invoice")),
        "{steps:?}"
    );
}

/// The debit failed, and the payer paid a part of the bill on its page before an operator ended the subscription. Stripe does not make void what is paid
/// in part: that is said, until an operator has given up the rest.
#[tokio::test]
async fn a_first_bill_that_is_paid_in_part_bars_a_checkout_until_it_is_given_up() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = debited(&world, "decline").await;
    world.advance("73h").await;
    let bill = world.stripe.invoices(&ada).await.remove(0);
    let id = bill["id"].as_str().unwrap();
    let part = InvoiceAct {
        amount: Some(400),
        ..InvoiceAct::default()
    };
    world.stripe.stand_in().act_on_invoice(id, &part).await.unwrap();
    ends_latest(&world).await;
    for interval in ["monthly", "annual"] {
        assert_eq!(
            ada.starts_checkout(interval).await,
            r#"409 {"error":"the first bill of the subscription that ended is paid in part: only an operator can settle it"}"#
        );
    }
    world.stripe.stand_in().write_off_invoice(id).await.unwrap();
    ada.starts_checkout("monthly").await.client_secret();
}
