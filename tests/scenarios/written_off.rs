//! An operator gives a first bill up as uncollectible. It can still be paid on its page, and it is not known whether Stripe lets it be made
//! void: whoever is sold the same anew is charged once in either Stripe, or gets the other payment back.

use billing_tests::{Account, Machine, World, at_every_death, path_of};
use serde_json::{Value, json};
use stripe_stand_in::Settings;

use crate::amendments::{seats, ten_days_later, told};

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

const DECLINING: &str = "pm_card_chargeCustomerFail";

/// Three numbers a month; on the eleventh a change to a year is declined, and its bill given up.
async fn declined_year(world: &World) -> (Account<'_>, Value) {
    let ada = world.subscriber(3, "monthly").await;
    world.advance("10d").await;
    world.stripe.gives_card(&ada, DECLINING).await;
    let told = ada.changes(&json!({ "interval": "annual" })).await;
    assert_eq!(
        told.body["payment"]["status"], "requires_payment_method",
        "{told}"
    );
    world.stripe.stand_in().settle().await;
    let bill = writes_off(world).await;
    (ada, bill)
}

/// Every event of the change, and of what has become of its bill, once more.
async fn replays(world: &World) {
    for kind in [
        "charge.refunded",
        "invoice.paid",
        "customer.subscription.pending_update_expired",
        "customer.subscription.updated",
    ] {
        for event in world.stripe.events(kind) {
            assert_eq!(world.stripe.delivers(&event).await, 200, "{kind}");
        }
    }
}

/// Whether Stripe still lets a bill be paid.
async fn is_payable(world: &World, bill: &Value) -> bool {
    let bill = world.stripe.operator("GET", &path_of(bill), "").await;
    bill["status"] == "uncollectible"
}

/// April was paid for, and nothing else.
async fn has_april(world: &World, ada: &Account<'_>, context: &str) {
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z", "{context}");
    assert_eq!(
        ada.billing().await.body["subscription"]["interval"],
        "monthly",
        "{context}"
    );
    assert_eq!(ada.ledger().await.len(), 1, "{context}");
    assert_eq!(ada.stored().await.profile.change, None, "{context}");
    assert_eq!(kept(world).await, 3000, "{context}");
}

/// Within the 23 hours it is a change like any other, given up or not.
#[tokio::test]
async fn a_change_whose_bill_was_given_up_can_be_paid_in_time() {
    for world in worlds().await {
        let (ada, bill) = declined_year(&world).await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        assert_eq!(ada.covered_until().await, "2027-04-11T00:00:00Z");
        world.advance("2d").await;
        replays(&world).await;
        assert_eq!(kept(&world).await, 29_800);
        assert_eq!(ada.covered_until().await, "2027-04-11T00:00:00Z");
    }
}

/// Stripe dropped the change; who pays its bill then gets the money back, and stays monthly. That it was dropped is heard of before, or after
/// that the bill was paid.
#[tokio::test]
async fn the_bill_of_a_change_that_was_dropped_buys_nothing() {
    for is_heard in [true, false] {
        for world in worlds().await {
            let (ada, bill) = declined_year(&world).await;
            world.stripe.holds_events(!is_heard).await;
            world.advance("1d").await;
            let is_payable = is_payable(&world, &bill).await;
            if is_payable {
                world.stripe.pays_invoice(&bill, "pm_card_visa").await;
                let paid = world.stripe.event("invoice.paid");
                assert_eq!(world.stripe.delivers(&paid).await, 200);
            }
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
            let context = format!("heard: {is_heard}, payable: {is_payable}");
            has_april(&world, &ada, &context).await;
            replays(&world).await;
            has_april(&world, &ada, &context).await;
            // It can be changed, for what that costs with 19 of 30 days left: −1900 + 28800.
            world.stripe.gives_card(&ada, "pm_card_visa").await;
            let changed = ada.changes(&json!({ "interval": "annual" })).await;
            assert_eq!(
                changed, r#"200 {"changed":true,"interval":"annual"}"#,
                "{context}"
            );
            world.stripe.stand_in().settle().await;
            assert_eq!(kept(&world).await, 3000 + 28_800 - 1900, "{context}");
        }
    }
}

/// The same while a year is asked for once more, and nobody has heard that the first was dropped.
#[tokio::test]
async fn a_change_that_was_dropped_is_let_go_by_the_next_one() {
    for world in worlds().await {
        let (ada, bill) = declined_year(&world).await;
        world.stripe.holds_events(true).await;
        world.advance("1d").await;
        world.stripe.gives_card(&ada, "pm_card_visa").await;
        let changed = ada.changes(&json!({ "interval": "annual" })).await;
        assert_eq!(changed, r#"200 {"changed":true,"interval":"annual"}"#);
        if is_payable(&world, &bill).await {
            world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        }
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(kept(&world).await, 3000 + 28_800 - 1900);
        assert_eq!(ada.covered_until().await, "2027-04-12T00:00:00Z");
        assert_eq!(ada.ledger().await.len(), 2);
    }
}

/// Whoever hears that the bill was paid dies over it: the money goes back once.
#[tokio::test]
async fn what_is_paid_for_a_change_that_was_dropped_goes_back_once_whoever_dies() {
    at_every_death(async |death| {
        let [_, world] = worlds().await;
        let (ada, bill) = declined_year(&world).await;
        world.stripe.holds_events(true).await;
        world.advance("1d").await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        let paid = world.stripe.event("invoice.paid");
        let hears = async |machine: &Machine| machine.call(world.stripe.signed_event(&paid)).await;
        let told = world.dies_over(death, hears).await;
        world.advance("5m").await;
        assert_eq!(world.stripe.delivers(&paid).await, 200, "{death}");
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        has_april(&world, &ada, &death.to_string()).await;
        assert_eq!(world.stripe.refunded().await.len(), 1, "{death}");
        told.is_some()
    })
    .await;
}

/// More seats of a contract: declined, given up and dropped, ten days into the period or in its last ten hours, with a renewal right after it;
/// paid when that is known, or before anything is heard of it, of whatever is heard first.
#[tokio::test]
async fn the_bill_of_an_amendment_that_was_dropped_buys_nothing() {
    let (paid, dropped) = ("invoice.paid", "customer.subscription.pending_update_expired");
    for (heard_first, later, wanted, renewals) in [
        (None, "0s", 6, 0),
        (Some(paid), "0s", 6, 0),
        (Some(dropped), "0s", 6, 0),
        (None, "470h", 20, 1),
    ] {
        for world in worlds().await {
            let (acme, contract) = ten_days_later(&world).await;
            world.advance(later).await;
            let id = acme.session(&seats(&acme, &contract, wanted)).await;
            let pending = acme
                .confirms(&id, &json!({ "payment_method_id": DECLINING }))
                .await;
            assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
            world.stripe.stand_in().settle().await;
            let bill = writes_off(&world).await;
            world.stripe.holds_events(heard_first.is_some()).await;
            world.advance("1d").await;
            let is_payable = is_payable(&world, &bill).await;
            if is_payable {
                world.stripe.pays_invoice(&bill, "pm_card_visa").await;
                let first = world.stripe.event(heard_first.unwrap_or(paid));
                assert_eq!(world.stripe.delivers(&first).await, 200);
            }
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
            replays(&world).await;
            let context = format!("first: {heard_first:?}, {later}, payable: {is_payable}");
            assert_eq!(kept(&world).await, 3500 * (1 + renewals), "{context}");
            let stored = acme.contract(&contract).await;
            assert_eq!(
                told(&stored.contract),
                ["3 × Starter seat", "1 × Call archive"],
                "{context}"
            );
            let of_bill = |entry: &billing_core::coverage::Entry| entry.invoice.as_str() == bill["id"];
            assert!(!stored.ledger.entries.iter().any(of_bill), "{context}");
        }
    }
}

/// The news that an amendment was dropped come after its bill was paid, and to a machine that dies over them; then those of the payment.
#[tokio::test]
async fn what_is_paid_for_an_amendment_that_was_dropped_goes_back_once_whoever_dies() {
    at_every_death(async |death| {
        let [_, world] = worlds().await;
        let (acme, contract) = ten_days_later(&world).await;
        let id = acme.session(&seats(&acme, &contract, 6)).await;
        acme.confirms(&id, &json!({ "payment_method_id": DECLINING }))
            .await;
        world.stripe.stand_in().settle().await;
        let bill = writes_off(&world).await;
        world.stripe.holds_events(true).await;
        world.advance("1d").await;
        world.stripe.pays_invoice(&bill, "pm_card_visa").await;
        let news = ["customer.subscription.pending_update_expired", "invoice.paid"];
        let [dropped, paid] = news.map(|kind| world.stripe.event(kind));
        let hears = async |machine: &Machine| machine.call(world.stripe.signed_event(&dropped)).await;
        let told = world.dies_over(death, hears).await;
        world.advance("5m").await;
        for news in [&paid, &dropped, &paid] {
            assert_eq!(world.stripe.delivers(news).await, 200, "{death}");
        }
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(kept(&world).await, 3500, "{death}");
        let stored = acme.contract(&contract).await;
        let of_bill = |entry: &billing_core::coverage::Entry| entry.invoice.as_str() == bill["id"];
        assert!(!stored.ledger.entries.iter().any(of_bill), "{death}");
        assert_eq!(stored.contract.sale, None, "{death}");
        told.is_some()
    })
    .await;
}
