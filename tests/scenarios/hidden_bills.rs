//! Stripe tells a subscription's latest bill, and a sale stands on its first: an operator who ends it may have a last one made, and a first
//! period that an anchor cuts short is soon followed by the next. The first is looked for behind those, and nothing of what never began can
//! be paid afterwards.

use billing_core::contract::Status;
use billing_core::session::LatePayment;
use billing_tests::{Organisation, World, path_of};
use serde_json::{Value, json};

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// Confirms a session by a debit that takes three days, and how that will end.
async fn debits(acme: &Organisation<'_>, id: &str, outcome: &str) {
    let bank = format!("pm_usBankAccount{outcome}");
    let pending = acme.confirms(id, &json!({ "payment_method_id": bank })).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
}

/// An operator ends the subscription that was made last, and has billed at once what was put by for it: a fee of 1.00.
async fn ends_with_a_last_bill(world: &World) -> Value {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let (id, customer) = (
        latest["id"].as_str().unwrap(),
        latest["customer"].as_str().unwrap(),
    );
    let first = world.stripe.latest_invoice().await;
    let fee = format!("customer={customer}&subscription={id}&amount=100&currency=usd");
    world.stripe.operator("POST", "/v1/invoiceitems", &fee).await;
    let path = format!("/v1/subscriptions/{id}?invoice_now=true&prorate=false");
    world.stripe.operator("DELETE", &path, "").await;
    assert_ne!(
        world.stripe.latest_invoice().await["id"],
        first["id"],
        "there is a last bill"
    );
    first
}

/// The bills that can be paid.
async fn payable(world: &World) -> usize {
    let open = world
        .stripe
        .operator("GET", "/v1/invoices?status=open&limit=100", "")
        .await;
    open["data"].as_array().unwrap().len()
}

/// The session waits, whoever confirms it once more, and no second subscription is made.
async fn waits(world: &World, acme: &Organisation<'_>, id: &str) {
    world.stripe.stand_in().settle().await;
    for body in [Value::Null, visa()] {
        let again = acme.confirms(id, &body).await;
        assert_eq!(again.body["checkout_status"], "pending", "{again}");
        assert_eq!(again.body["message"], "the payment is under way");
    }
    assert_eq!(world.stripe.all_subscriptions().await.len(), 1);
}

/// The first bill is being debited, and a last one hides it.
#[tokio::test]
async fn a_debit_behind_a_last_bill_is_waited_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    debits(&acme, &id, "").await;
    world.stripe.stand_in().settle().await;
    ends_with_a_last_bill(&world).await;
    waits(&world, &acme, &id).await;
    world.advance("26h").await;
    waits(&world, &acme, &id).await;
    world.advance("74h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    assert_eq!(acme.stored(&id).await.late_payment, Some(LatePayment::Honoured));
    let contract = acme.contract(read.body["contract_id"].as_str().unwrap()).await;
    assert_eq!(
        (contract.contract.status, contract.contract.sale),
        (Status::Ended, None)
    );
}

/// The debit fails: neither the first bill nor the last can be paid by then, and a card buys the session once.
#[tokio::test]
async fn a_first_bill_behind_a_last_one_cannot_be_paid_beside_what_is_sold_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = acme.session_whose_debit_failed().await;
    // The bank is not asked for the fee.
    let debited = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&debited);
    world
        .stripe
        .operator("POST", &path, "default_payment_method=")
        .await;
    let first = ends_with_a_last_bill(&world).await;
    world.stripe.stand_in().settle().await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    assert_eq!(payable(&world).await, 0);
    let sold = acme.confirms(&id, &visa()).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    let path = path_of(&first);
    assert_eq!(world.stripe.operator("GET", &path, "").await["status"], "void");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// It was paid, and ended with a last bill before anybody heard of either: it was sold, and is not sold again.
#[tokio::test]
async fn what_was_paid_behind_a_last_bill_was_sold() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.holds_events(true).await;
    let id = acme.session(&acme.order("starter")).await;
    let machine = world.machine().await;
    machine
        .network
        .stops_named(billing_tests::Moment::After, "POST /v1/subscriptions");
    let visa = visa();
    machine.dies_over(acme.confirms_on(&machine, &id, &visa)).await;
    ends_with_a_last_bill(&world).await;
    let ended = world.stripe.events("customer.subscription.deleted").remove(0);
    assert_eq!(world.stripe.delivers(&ended).await, 200);
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.all_subscriptions().await.len(), 1);
    assert_eq!(world.stripe.charges().await, [3500, 100]);
    let contract = acme.contract(read.body["contract_id"].as_str().unwrap()).await;
    assert_eq!(contract.contract.status, Status::Ended);
}

/// The last day of April of the team plan is debited until the third of May, and May is billed meanwhile: nobody is served before April is
/// paid.
#[tokio::test]
async fn a_debit_behind_the_next_periods_bill_is_waited_for() {
    let world = World::at("2026-04-30T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    debits(&acme, &id, "").await;
    world.advance("26h").await;
    assert_eq!(
        world.stripe.latest_invoice().await["billing_reason"],
        "subscription_cycle"
    );
    waits(&world, &acme, &id).await;
    world.advance("47h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    let contract = acme.contract(read.body["contract_id"].as_str().unwrap()).await;
    assert_eq!(contract.contract.status, Status::Active);
    world.advance("72h").await;
    assert_eq!(
        acme.covered_until(contract.contract.id.as_str()).await,
        "2026-06-01T00:00:00Z"
    );
}

/// The bank refuses both: what never began is over, and nothing of it can be paid.
#[tokio::test]
async fn nothing_of_what_never_began_can_be_paid() {
    let world = World::at("2026-04-30T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    debits(&acme, &id, "_insufficientFunds").await;
    world.advance("26h").await;
    waits(&world, &acme, &id).await;
    world.advance("144h").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    assert_eq!(payable(&world).await, 0);
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "canceled");
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
    let contract = acme.stored(&id).await.contract;
    assert_eq!(acme.contract_if_any(contract.as_str()).await, None);
}
