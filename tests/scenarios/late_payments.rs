//! A payment that arrives after its session's time has run out: honoured when the offer still holds, given back otherwise, and
//! recorded either way.

use billing_core::contract::Status;
use billing_core::id::ContractId;
use billing_core::reversal::Reversal;
use billing_core::session::{LatePayment, Status as SessionStatus};
use billing_tests::{Moment, Organisation, World, at_every_death, log, path_of};
use serde_json::{Value, json};

/// Where a page is closed.
const CLOSING: &str = "/v1/checkout/sessions/*/expire";

/// A session of half an hour whose page was opened in its last minute, and is open still when the session is not: DynamoDB has not
/// deleted its deadline yet, or nobody could follow that.
async fn late(acme: &Organisation<'_>, world: &World) -> (String, Value) {
    let mut order = acme.order("starter");
    order["expires_at"] = json!("2026-04-01T00:30:00Z");
    let id = acme.session(&order).await;
    world.advance("29m").await;
    let pending = acme.confirms(&id, &Value::Null).await;
    assert_eq!(pending.body["checkout_status"], "pending");
    world.stripe.fails("POST", CLOSING, 500).await;
    world.advance("90s").await;
    world.stripe.recovers().await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    assert_eq!(acme.reads(&id).await.body["url"], Value::Null);
    (id, world.stripe.latest_page().await)
}

/// The same, paid when what it sells has become dearer, by a customer with that balance, and nobody has heard of it: the contract, and the event
/// that is to come.
pub(crate) async fn paid_too_late(
    acme: &mut Organisation<'_>,
    world: &World,
    balance: i64,
) -> (ContractId, String) {
    let (id, page) = late(acme, world).await;
    let contract = acme.stored(&id).await.contract;
    let customer = world.stripe.all_customers().await.remove(0);
    let form = format!("balance={balance}");
    world.stripe.operator("POST", &path_of(&customer), &form).await;
    acme.changes_its_catalog("unit_amount = 500", "unit_amount = 600")
        .await;
    world.stripe.holds_events(true).await;
    world.stripe.pays_page(&page).await;
    (contract, world.stripe.event("invoice.paid"))
}

/// Its payer has its bank ask for the payment.
async fn is_disputed(world: &World) -> String {
    let invoice = world.stripe.latest_invoice().await;
    let charge = world.stripe.charge_of(invoice["id"].as_str().unwrap()).await;
    world.stripe.is_disputed(&charge).await
}

/// The payment is given back, and nothing is sold.
pub(crate) async fn is_given_back(acme: &Organisation<'_>, contract: &ContractId, context: &str) {
    let stored = acme.contract(contract.as_str()).await.contract;
    assert_eq!(
        (stored.status, stored.sale),
        (Status::Refunded, None),
        "{context}"
    );
}

#[tokio::test]
async fn a_late_payment_is_honoured_while_the_offer_holds() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, page) = late(&acme, &world).await;
    world.stripe.pays_page(&page).await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    assert_eq!(acme.stored(&id).await.late_payment, Some(LatePayment::Honoured));
    let contract = read.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:30:30Z");
    assert_eq!(world.stripe.refunded().await, [0_i64; 0]);
}

/// The price is another, or the plan is sold to nobody any more.
#[tokio::test]
async fn a_late_payment_is_given_back_when_the_offer_has_moved() {
    for (was, is) in [
        ("unit_amount = 500", "unit_amount = 600"),
        ("[plans.starter", "[plans.basic"),
    ] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let mut acme = world.organisation("acme").await;
        let (id, page) = late(&acme, &world).await;
        acme.changes_its_catalog(was, is).await;
        log::keeps();
        world.stripe.pays_page(&page).await;
        let log = log::kept();
        let told = log.lines().find(|line| line.contains("the money was given back"));
        assert!(told.is_some_and(|line| line.contains(&id)), "{log}");
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired", "{is}");
        let session = acme.stored(&id).await;
        assert_eq!(session.late_payment, Some(LatePayment::Refunded));
        assert_eq!(world.stripe.refunded().await, [3500]);
        assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "canceled");
        is_given_back(&acme, &session.contract, is).await;
        assert_eq!(acme.confirms(&id, &Value::Null).await.status, 410);
        // Everything once more, in whatever order.
        for kind in [
            "checkout.session.completed",
            "invoice.paid",
            "customer.subscription.deleted",
        ] {
            for event in world.stripe.events(kind) {
                world.stripe.delivers(&event).await;
            }
        }
        assert_eq!(world.stripe.refunded().await, [3500]);
    }
}

/// Paid by 25.00, and by 10.00 that the customer had on account: both go back to where they were, once, whatever dies over it, and nothing is
/// covered.
#[tokio::test]
async fn a_late_payment_gives_the_credit_back_that_it_took() {
    goes_back(Back {
        balance: -1000,
        paid: 2500,
        refunded: 2500,
        left: -1000,
    })
    .await;
}

/// Paid by 40.00, of which 5.00 were what the customer owed of before: that stays paid, and the rest goes back.
#[tokio::test]
async fn a_late_payment_keeps_what_was_owed_of_before() {
    goes_back(Back {
        balance: 500,
        paid: 4000,
        refunded: 3500,
        left: 0,
    })
    .await;
}

/// A customer's balance, what is paid by card beside it, what of that goes back, and what is on the balance then.
struct Back {
    balance: i64,
    paid: i64,
    refunded: i64,
    left: i64,
}

async fn goes_back(back: Back) {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let mut acme = world.organisation("acme").await;
        let (contract, paid) = paid_too_late(&mut acme, &world, back.balance).await;
        assert_eq!(world.stripe.charges().await, [back.paid], "{death}");
        let is_through = world.dies_over_event(death, &paid).await;
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.refunded().await, [back.refunded], "{death}");
        assert_eq!(
            world.stripe.all_customers().await[0]["balance"],
            back.left,
            "{death}"
        );
        let stored = acme.contract(contract.as_str()).await;
        assert!(stored.ledger.reversals.iter().all(Reversal::is_full), "{death}");
        is_given_back(&acme, &contract, &death.to_string()).await;
        assert_eq!(acme.covered_until(contract.as_str()).await, "", "{death}");
        is_through
    })
    .await;
}

/// Nobody could read at Stripe for a month, in which it was renewed: both payments go back.
#[tokio::test]
async fn a_late_payment_is_given_back_with_the_renewals_that_followed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let (id, page) = late(&acme, &world).await;
    let contract = acme.stored(&id).await.contract;
    acme.changes_its_catalog("unit_amount = 500", "unit_amount = 600")
        .await;
    world.stripe.holds_events(true).await;
    world.stripe.fails("GET", "/v1/subscriptions/*", 500).await;
    world.stripe.pays_page(&page).await;
    world.advance("32d").await;
    world.stripe.recovers().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500]);
    let paid = world.stripe.events("invoice.paid");
    assert_eq!(world.stripe.delivers(&paid[0]).await, 200);
    assert_eq!(world.stripe.refunded().await, [3500, 3500]);
    is_given_back(&acme, &contract, "renewed").await;
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.refunded().await, [3500, 3500]);
}

/// Its payer has had its bank take the payment back already: Stripe gives nothing back then. The subscription ends all the same, and
/// bills nobody.
#[tokio::test]
async fn a_late_payment_that_is_disputed_ends_all_the_same() {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let mut acme = world.organisation("acme").await;
        let (contract, paid) = paid_too_late(&mut acme, &world, 0).await;
        is_disputed(&world).await;
        let is_through = world.dies_over_event(death, &paid).await;
        is_given_back(&acme, &contract, &death.to_string()).await;
        assert_eq!(
            world.stripe.all_subscriptions().await[0]["status"],
            "canceled",
            "{death}"
        );
        assert_eq!(world.stripe.refunded().await, [0_i64; 0], "{death}");
        world.stripe.holds_events(false).await;
        is_through
    })
    .await;
}

/// The same, and the bank decides for us: the money is here again, and goes back once, whoever dies over that. Nothing is covered.
#[tokio::test]
async fn a_late_payment_that_was_disputed_goes_back_when_that_is_won() {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let mut acme = world.organisation("acme").await;
        let (contract, paid) = paid_too_late(&mut acme, &world, 0).await;
        let dispute = is_disputed(&world).await;
        assert_eq!(world.stripe.delivers(&paid).await, 200, "{death}");
        world.stripe.decides(&dispute, true).await;
        let closed = world.stripe.event("charge.dispute.closed");
        let is_through = world.dies_over_event(death, &closed).await;
        world.stripe.holds_events(false).await;
        world.stripe.stand_in().settle().await;
        assert_eq!(world.stripe.refunded().await, [3500], "{death}");
        is_given_back(&acme, &contract, &death.to_string()).await;
        assert_eq!(acme.covered_until(contract.as_str()).await, "", "{death}");
        is_through
    })
    .await;
}

/// What has gone back is told once, whatever tells of the payment afterwards. The bank sends it back: there is no way to its payer, and somebody is
/// told.
#[tokio::test]
async fn a_late_payment_whose_refund_comes_back_is_told_as_kept() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let (contract, paid) = paid_too_late(&mut acme, &world, 0).await;
    let counted = async |event| {
        let machine = world.machine().await;
        let told = machine.call(world.stripe.signed_event(event)).await.unwrap();
        assert_eq!(told.status, 200, "{told}");
        ["LatePaymentsKept", "LatePaymentsRefunded"].map(|metric| machine.metric(metric))
    };
    let completed = world.stripe.event("checkout.session.completed");
    assert_eq!(counted(&completed).await, [0, 1]);
    assert_eq!(counted(&paid).await, [0, 0]);
    world.stripe.refund_fails().await;
    assert_eq!(counted(&world.stripe.event("refund.failed")).await, [1, 0]);
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.refunded().await, [3500]);
    is_given_back(&acme, &contract, "its refund came back").await;
}

/// There is not enough on the balance at Stripe to give it back: nothing more is billed meanwhile, and it goes back when there is.
#[tokio::test]
async fn a_late_payment_that_cannot_go_back_yet_ends_all_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let (contract, paid) = paid_too_late(&mut acme, &world, 0).await;
    let empty = stripe_stand_in::Fault::new(stripe_stand_in::FaultKind::Status {
        status: 400,
        code: Some("balance_insufficient".to_owned()),
    });
    world
        .stripe
        .stand_in()
        .add_fault(empty.on("POST", "/v1/refunds").times(1000));
    assert_eq!(world.stripe.delivers(&paid).await, 502);
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "canceled");
    assert_eq!(world.stripe.refunded().await, [0_i64; 0]);
    world.stripe.recovers().await;
    assert_eq!(world.stripe.delivers(&paid).await, 200);
    assert_eq!(world.stripe.refunded().await, [3500]);
    is_given_back(&acme, &contract, "the balance is back").await;
}

/// The payment's events are lost, and somebody confirms the expired session: it closes the page, or finds that it was paid.
#[tokio::test]
async fn an_expired_session_that_was_paid_in_time_is_found_to_be() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["expires_at"] = json!("2026-04-01T00:30:00Z");
    let id = acme.session(&order).await;
    acme.confirms(&id, &Value::Null).await;
    world.stripe.holds_events(true).await;
    world.stripe.pays_page(&world.stripe.latest_page().await).await;
    world.stripe.fails("POST", CLOSING, 500).await;
    world.advance("1830s").await;
    world.stripe.recovers().await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    let confirmed = acme.confirms(&id, &Value::Null).await;
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// The same, and nobody confirms: the deletion of the deadline settles it.
#[tokio::test]
async fn a_session_that_was_paid_after_all_is_completed_when_its_deadline_is_deleted() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    acme.confirms(&id, &Value::Null).await;
    world.stripe.holds_events(true).await;
    world.stripe.pays_page(&world.stripe.latest_page().await).await;
    world.advance("25h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    assert!(world.dead_letters().await.is_empty());
}

/// A page outlives its session by a minute at most: it is closed when the deadline is deleted.
#[tokio::test]
async fn an_open_page_is_closed_when_the_deadline_is_deleted() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = late(&acme, &world).await;
    world.advance("60s").await;
    assert_eq!(world.stripe.latest_page().await["status"], "expired");
    let session = acme.stored(&id).await;
    assert_eq!(acme.contract_if_any(session.contract.as_str()).await, None);
    assert_eq!(acme.confirms(&id, &Value::Null).await.status, 410);
    assert!(world.dead_letters().await.is_empty());
}

/// Where real money moves, Stripe keeps every page. One that it does not know may have been paid on the account that our key should be of: the
/// contract is not forgotten, and the deadline comes again.
#[tokio::test]
async fn a_live_page_that_is_not_found_is_not_forgotten() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, page) = late(&acme, &world).await;
    let machine = world
        .machine_told(&[("BILLING_MODE", "live"), ("STRIPE_SECRET_KEY", "sk_live_x")])
        .await;
    let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"session","message":"No such session"}}"#;
    machine.network.tells("/expire", 404, missing);
    // What could not be expired is read, and so is what became of it.
    for reading in 1..=2 {
        machine
            .network
            .tells_at("GET /v1/checkout/sessions/", reading, 404, missing);
    }
    let nothing = r#"{"object":"list","data":[],"has_more":false}"#;
    machine.network.tells("GET /v1/subscriptions", 200, nothing);
    let image = json!({
        "pk": { "S": format!("SESSION#{id}") }, "sk": { "S": "DEADLINE" }, "checkout": { "S": id },
        "organisation": { "S": acme.id.as_str() }, "expires_at": { "N": world.now().as_second().to_string() },
    });
    let record = json!({ "dynamodb": { "SequenceNumber": "1", "OldImage": image } });
    let answer = machine
        .hands("expire-checkouts", &json!({ "Records": [record] }))
        .await;
    assert_eq!(
        answer.unwrap().unwrap()["batchItemFailures"],
        json!([{ "itemIdentifier": "1" }])
    );
    let contract = acme.stored(&id).await.contract;
    assert!(acme.contract_if_any(contract.as_str()).await.is_some());
    world.stripe.pays_page(&page).await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
}

/// A plan that begins with a share of a month has no page but its bill's: that is given up with the session.
#[tokio::test]
async fn a_first_bill_that_nobody_pays_is_given_up_with_its_session() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    let pending = acme.confirms(&id, &Value::Null).await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    assert_ne!(pending.body["url"], Value::Null);
    world.advance("25h").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    let subscriptions = world.stripe.all_subscriptions().await;
    assert!(
        subscriptions
            .iter()
            .all(|it| it["status"] != "active" && it["status"] != "incomplete"),
        "{subscriptions:?}"
    );
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
}

#[tokio::test]
async fn confirming_an_expired_session_closes_its_page() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = late(&acme, &world).await;
    assert_eq!(acme.confirms(&id, &Value::Null).await.status, 410);
    assert_eq!(world.stripe.latest_page().await["status"], "expired");
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
}

/// A page that nobody pays: the session is open again while its time lasts, and nothing is left of the sale.
#[tokio::test]
async fn a_page_that_expires_leaves_nothing_behind() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    acme.confirms(&id, &Value::Null).await;
    let page = world.stripe.latest_page().await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .stripe
        .operator("POST", &format!("/v1/checkout/sessions/{page}/expire"), "")
        .await;
    world.stripe.stand_in().settle().await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "open", "{read}");
    let contract = acme.stored(&id).await.contract;
    assert_eq!(acme.contract_if_any(contract.as_str()).await, None);
    let paid = acme
        .confirms(&id, &json!({ "payment_method_id": "pm_card_visa" }))
        .await;
    assert_eq!(paid.body["checkout_status"], "contract_created", "{paid}");
}

/// A bank debits the amount: the session waits for it, past its own time, and is done when the money has arrived.
#[tokio::test]
async fn a_payment_that_takes_days_is_waited_for() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    let pending = acme
        .confirms(&id, &json!({ "payment_method_id": "pm_usBankAccount" }))
        .await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    world.advance("30h").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    world.advance("72h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    let contract = read.body["contract_id"].as_str().unwrap();
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:00:00Z");
}

/// The bank refuses after three days, when nobody can pay in the session any more: nothing is left that Stripe would charge again, or
/// that could be paid.
#[tokio::test]
async fn a_payment_that_fails_days_later_leaves_nothing_behind() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    acme.confirms(
        &id,
        &json!({ "payment_method_id": "pm_usBankAccount_insufficientFunds" }),
    )
    .await;
    world.advance("73h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "expired", "{read}");
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "canceled");
    assert_eq!(world.stripe.latest_invoice().await["status"], "void");
    let contract = acme.stored(&id).await.contract;
    assert_eq!(acme.contract_if_any(contract.as_str()).await, None);
    world.advance("30d").await;
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
}

/// The card declined, and nobody paid on the bill's page while the session lasted. DynamoDB has not deleted its deadline yet: the next amendment
/// of the contract does not wait for that.
#[tokio::test]
async fn an_amendment_that_ran_out_is_in_nobodys_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.advance("10d").await;
    let seats = |quantity: u64| {
        json!({
            "contract_id": contract,
            "product_overrides": [{ "product_id": acme.product("starter", "Starter seat"), "quantity": quantity }],
        })
    };
    let declined = acme.session(&seats(6)).await;
    let pending = acme
        .confirms(
            &declined,
            &json!({ "payment_method_id": "pm_card_chargeCustomerFail" }),
        )
        .await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    let other = acme.session(&seats(4)).await;
    let waits = acme.confirms(&other, &Value::Null).await;
    assert_eq!(waits.status, 409, "{waits}");

    let a_day_later = world.machine_ahead(25 * 3600).await;
    let next = acme.opens_on(&a_day_later, &seats(5)).await.unwrap();
    let next = next.body["id"].as_str().unwrap().to_owned();
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    let confirmed = acme.confirms_on(&a_day_later, &next, &visa).await.unwrap();
    assert_eq!(
        confirmed.body["checkout_status"], "contract_created",
        "{confirmed}"
    );
    world.stripe.stand_in().settle().await;
    // Nothing is left of the one that was declined.
    assert_eq!(acme.contract(&contract).await.contract.sale, None);
}

/// The card declined, and somebody pays on the bill's page before or after the session's time has run out, while the bill could not be made
/// void yet: the contract is amended, and what was late is recorded as that. Honoured also where the plan costs more by then, for what it had
/// before was credited.
#[tokio::test]
async fn a_late_payment_of_an_amendment_is_honoured_and_recorded() {
    for (waits, late_payment) in [("29m", None), ("31m", Some(LatePayment::Honoured))] {
        for notes_the_bill in [true, false] {
            let world = World::at("2026-04-01T00:00:00Z").await;
            let mut acme = world.organisation("acme").await;
            let contract = acme.sells(&acme.order("starter")).await;
            world.advance("10d").await;
            let id = acme
                .session(&json!({
                    "contract_id": contract, "expires_at": "2026-04-11T00:30:00Z",
                    "product_overrides": [{ "product_id": acme.product("starter", "Starter seat"), "quantity": 6 }],
                }))
                .await;
            let bakery = world.stripe.all_customers().await[0]["id"].clone();
            let card = "pm_card_chargeCustomerFail";
            world
                .stripe
                .stand_in()
                .set_card(bakery.as_str().unwrap(), card)
                .unwrap();
            if notes_the_bill {
                let pending = acme.confirms(&id, &Value::Null).await;
                assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
            } else {
                // The machine dies, and nobody hears of the bill before it is paid.
                world.stripe.holds_events(true).await;
                let dying = world.machine().await;
                dying
                    .network
                    .stops_named(Moment::After, "POST /v1/subscriptions/");
                dying.dies_over(acme.confirms_on(&dying, &id, &Value::Null)).await;
            }
            let price = |amount: u32| {
                format!("max = 100\npricing = {{ pricing_type = \"per_unit\", unit_amount = {amount} }}")
            };
            acme.changes_its_catalog(&price(1000), &price(1200)).await;
            world.stripe.fails("POST", "/v1/invoices/*/void", 500).await;
            world.stripe.fails("GET", "/v1/subscriptions/*", 500).await;
            world.advance(waits).await;
            world.stripe.recovers().await;
            world.stripe.pays_latest_invoice().await;
            world.stripe.holds_events(false).await;
            world.stripe.stand_in().settle().await;
            let context = format!("after {waits}, bill noted: {notes_the_bill}");
            let session = acme.stored(&id).await;
            assert_eq!(
                (session.status, session.late_payment),
                (SessionStatus::ContractCreated, late_payment),
                "{context}"
            );
            assert_eq!(world.stripe.charges().await, [3500, 2000], "{context}");
            assert_eq!(world.stripe.refunded().await, [0_i64; 0], "{context}");
            assert_eq!(acme.contract(&contract).await.history.len(), 2, "{context}");
        }
    }
}
