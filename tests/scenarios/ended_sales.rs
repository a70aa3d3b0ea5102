//! An operator ends the subscription of a sale at Stripe before it is paid. A bank debit that is under way cannot be called back: the
//! sale waits for it. A bill that waits for its payer is made void: nobody pays for what is sold anew by then.

use billing_core::contract::Status;
use billing_core::session::LatePayment;
use billing_tests::{Machine, Organisation, World, at_every_death, id_of, log, path_of};
use serde_json::{Value, json};
use stripe_stand_in::InvoiceAct;

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// A session of the starter plan, 35.00, that a bank debits for in three days, and how that will end.
async fn debited(acme: &Organisation<'_>, outcome: &str) -> String {
    let id = acme.session(&acme.order("starter")).await;
    let pending = acme
        .confirms(
            &id,
            &json!({ "payment_method_id": format!("pm_usBankAccount{outcome}") }),
        )
        .await;
    assert_eq!(pending.body["checkout_status"], "pending", "{pending}");
    id
}

/// An operator ends the subscription that was made last.
async fn ends_latest(world: &World) {
    let latest = world.stripe.all_subscriptions().await.remove(0);
    let path = path_of(&latest);
    world.stripe.operator("DELETE", &path, "").await;
}

/// The session waits, whoever confirms it once more, and nobody is charged for it but by the bank.
async fn waits(world: &World, acme: &Organisation<'_>, id: &str) {
    for body in [Value::Null, visa()] {
        let again = acme.confirms(id, &body).await;
        assert_eq!(again.body["checkout_status"], "pending", "{again}");
        assert_eq!(again.body["message"], "the payment is under way");
    }
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
    assert_eq!(world.stripe.all_subscriptions().await.len(), 1);
}

/// It was paid once, for a contract that is over; what was paid for is covered.
async fn sold_and_over(world: &World, acme: &Organisation<'_>, id: &str) {
    assert_eq!(world.stripe.charges().await, [3500]);
    let read = acme.reads(id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    let contract = read.body["contract_id"].as_str().unwrap();
    let stored = acme.contract(contract).await.contract;
    assert_eq!((stored.status, stored.sale), (Status::Ended, None));
    assert_eq!(acme.covered_until(contract).await, "2026-05-01T00:00:00Z");
}

/// Whether Stripe's news come at once or when everything is over, and whether the session was heard of as paying before.
#[tokio::test]
async fn a_sale_that_is_ended_during_its_debit_waits_for_the_debit() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = debited(&acme, "").await;
    world.stripe.stand_in().settle().await;
    ends_latest(&world).await;
    world.stripe.stand_in().settle().await;
    waits(&world, &acme, &id).await;
    // Past the session's own time, when its deadline is deleted.
    world.advance("26h").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    waits(&world, &acme, &id).await;
    world.advance("74h").await;
    sold_and_over(&world, &acme, &id).await;
    assert_eq!(acme.stored(&id).await.late_payment, Some(LatePayment::Honoured));
}

/// The first that anybody hears of the subscription is that it was ended.
#[tokio::test]
async fn a_sale_that_nobody_recorded_and_that_is_ended_during_its_debit_waits_for_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.holds_events(true).await;
    let id = acme.session(&acme.order("starter")).await;
    let machine = world.machine().await;
    let after = billing_tests::Moment::After;
    machine.network.stops_named(after, "POST /v1/subscriptions");
    let debit = json!({ "payment_method_id": "pm_usBankAccount" });
    machine.dies_over(acme.confirms_on(&machine, &id, &debit)).await;
    ends_latest(&world).await;
    let ended = world.stripe.events("customer.subscription.deleted").remove(0);
    assert_eq!(world.stripe.delivers(&ended).await, 200);
    waits(&world, &acme, &id).await;
    world.stripe.holds_events(false).await;
    world.advance("100h").await;
    sold_and_over(&world, &acme, &id).await;
}

/// The offer has moved when the bank has paid: the money goes back, as of any late payment.
#[tokio::test]
async fn a_debit_for_what_was_ended_is_given_back_when_the_offer_has_moved() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let id = debited(&acme, "").await;
    ends_latest(&world).await;
    world.advance("1h").await;
    acme.changes_its_catalog("unit_amount = 500", "unit_amount = 600")
        .await;
    world.advance("100h").await;
    assert_eq!(world.stripe.refunded().await, [3500]);
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    let session = acme.stored(&id).await;
    assert_eq!(session.late_payment, Some(LatePayment::Refunded));
    let contract = acme.contract(session.contract.as_str()).await.contract;
    assert_eq!((contract.status, contract.sale), (Status::Refunded, None));
}

/// The bank refuses: nothing is left that could be paid.
#[tokio::test]
async fn a_debit_that_fails_for_what_was_ended_leaves_nothing_behind() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = debited(&acme, "_insufficientFunds").await;
    ends_latest(&world).await;
    world.stripe.stand_in().settle().await;
    waits(&world, &acme, &id).await;
    world.advance("100h").await;
    assert_eq!(world.stripe.latest_invoice().await["status"], "void");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "expired");
    let contract = acme.stored(&id).await.contract;
    assert_eq!(acme.contract_if_any(contract.as_str()).await, None);
}

/// Paid on the page by a debit that fails within the session's time: the session is open again, and a card buys it once.
#[tokio::test]
async fn a_session_whose_debit_failed_after_its_end_is_sold_anew() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    acme.confirms(&id, &Value::Null).await;
    let page = world.stripe.latest_page().await;
    world.stripe.delays_page(&page).await;
    ends_latest(&world).await;
    world.stripe.stand_in().settle().await;
    waits(&world, &acme, &id).await;
    world.stripe.settles_page(&page, "decline").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    assert_eq!(world.stripe.latest_invoice().await["status"], "void");
    let sold = acme.confirms(&id, &visa()).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// Half of April of the team plan, 56.00, waits to be paid on its bill's page. The operator ends that, the payer buys it by card, and only then
/// goes to the page that is still open in a tab.
#[tokio::test]
async fn a_bill_of_what_was_ended_cannot_be_paid_beside_what_is_sold_anew() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    at_every_death(async |death| {
        let id = acme.session(&acme.order("team")).await;
        acme.confirms(&id, &Value::Null).await;
        let bill = world.stripe.latest_invoice().await;
        world.stripe.stand_in().settle().await;
        world.stripe.holds_events(true).await;
        ends_latest(&world).await;
        let ended = world.stripe.event("customer.subscription.deleted");
        let hears = async |machine: &Machine| machine.call(world.stripe.signed_event(&ended)).await;
        let told = world.dies_over(death, hears).await;
        // Within the lease nobody else may be at it.
        world.advance("5m").await;
        world.stripe.holds_events(false).await;
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open", "{death}");
        let sold = acme.confirms(&id, &visa()).await;
        assert_eq!(
            sold.body["checkout_status"], "contract_created",
            "{death}: {sold}"
        );
        let tab = path_of(&bill);
        let bill = world.stripe.operator("GET", &tab, "").await;
        assert_eq!(bill["status"], "void", "{death}");
        told.is_some()
    })
    .await;
}

/// Stripe does not make the bill void: the sale is not forgotten over it, or its payer could pay twice. Whoever hears of it again tries again.
#[tokio::test]
async fn a_sale_is_not_forgotten_while_its_bill_can_be_paid() {
    let world = World::at("2026-04-16T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("team")).await;
    acme.confirms(&id, &Value::Null).await;
    world.stripe.stand_in().settle().await;
    world.stripe.holds_events(true).await;
    ends_latest(&world).await;
    let ended = world.stripe.event("customer.subscription.deleted");
    let machine = world.machine().await;
    let refusal = r#"{"error":{"type":"invalid_request_error","message":"Not now."}}"#;
    machine.network.tells("POST /v1/invoices/", 400, refusal);
    let told = machine.call(world.stripe.signed_event(&ended)).await.unwrap();
    assert_eq!(told.status, 500, "{told}");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    world.advance("5m").await;
    world.stripe.holds_events(false).await;
    assert_eq!(world.stripe.latest_invoice().await["status"], "void");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
}

/// The bill is paid on its page at the very moment at which it is to be made void: that was bought, and it is not sold again.
#[tokio::test]
async fn a_bill_that_is_paid_while_it_is_made_void_is_paid() {
    for method in ["pm_card_visa", "pm_usBankAccount"] {
        let world = World::at("2026-04-16T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let id = acme.session(&acme.order("team")).await;
        acme.confirms(&id, &Value::Null).await;
        let bill = world.stripe.latest_invoice().await;
        world.stripe.stand_in().settle().await;
        world.stripe.holds_events(true).await;
        ends_latest(&world).await;
        let ended = world.stripe.event("customer.subscription.deleted");
        let machine = world.machine().await;
        // The subscription, then the payments of its bill.
        machine.network.holds("GET /v1/invoice_payments");
        let (told, ()) = tokio::join!(machine.call(world.stripe.signed_event(&ended)), async {
            machine.network.reached().await;
            world.stripe.pays_invoice(&bill, method).await;
            machine.network.lets_go();
        });
        assert_eq!(told.unwrap().status, 200, "{method}");
        world.stripe.holds_events(false).await;
        world.advance("100h").await;
        assert_eq!(world.stripe.charges().await, [5600], "{method}");
        let read = acme.reads(&id).await;
        assert_eq!(
            read.body["checkout_status"], "contract_created",
            "{method}: {read}"
        );
        let contract = acme.contract(read.body["contract_id"].as_str().unwrap()).await;
        assert_eq!(contract.contract.status, Status::Ended, "{method}");
    }
}

/// A debit has failed, and the payer has the bank try again at the very moment at which the bill is to be made void, which is refused then.
/// That debit fails within the day too: now the bill is made void, whatever Stripe keeps of the first time.
#[tokio::test]
async fn a_bill_that_could_not_be_made_void_during_a_debit_is_when_that_has_failed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, page) = acme.session_whose_debit_failed().await;
    let bill = world.stripe.latest_invoice().await;
    world.stripe.holds_events(true).await;
    ends_latest(&world).await;
    let ended = world.stripe.events("customer.subscription.deleted").remove(0);
    let machine = world.machine().await;
    // The subscription, then the payments of its bill.
    machine.network.holds("GET /v1/invoice_payments");
    let (told, ()) = tokio::join!(machine.call(world.stripe.signed_event(&ended)), async {
        machine.network.reached().await;
        world
            .stripe
            .pays_invoice(&bill, "pm_usBankAccount_insufficientFunds")
            .await;
        machine.network.lets_go();
    });
    assert_eq!(told.unwrap().status, 200);
    world.stripe.holds_events(false).await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    world.stripe.settles_page(&page, "decline").await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    assert_eq!(world.stripe.latest_invoice().await["status"], "void");
    let sold = acme.confirms(&id, &visa()).await;
    assert_eq!(sold.body["checkout_status"], "contract_created", "{sold}");
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// A debit on the page failed, and the payer has the bank try again on the bill's page, right before the session's time runs out: nothing is
/// closed over that.
#[tokio::test]
async fn a_second_debit_is_waited_for_past_the_sessions_time() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (id, _) = acme.session_whose_debit_failed().await;
    let bill = world.stripe.latest_invoice().await;
    world.stripe.pays_invoice(&bill, "pm_usBankAccount").await;
    world.advance("26h").await;
    assert_eq!(world.stripe.all_subscriptions().await[0]["status"], "past_due");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "pending");
    world.advance("74h").await;
    let read = acme.reads(&id).await;
    assert_eq!(read.body["checkout_status"], "contract_created", "{read}");
    assert_eq!(world.stripe.charges().await, [3500]);
}

/// What names a contract that nobody sold, or another subscription of one, and was paid and ended before anybody heard of it: somebody else's
/// program. Nobody is silent about it.
#[tokio::test]
async fn what_was_paid_for_nothing_rings() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    let own = world.stripe.all_subscriptions().await.remove(0);
    let unknown = "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e";
    for (named, alarm) in [
        (unknown, "UnknownContracts"),
        (contract.as_str(), "SecondSubscriptions"),
    ] {
        world.stripe.holds_events(true).await;
        let heard = world.stripe.events("invoice.paid").len();
        let form = format!(
            "customer={}&items[0][price]={}&default_payment_method={}&metadata[contract]={}/{named}",
            own["customer"].as_str().unwrap(),
            own["items"]["data"][0]["price"]["id"].as_str().unwrap(),
            own["default_payment_method"].as_str().unwrap(),
            acme.id,
        );
        world.stripe.operator("POST", "/v1/subscriptions", &form).await;
        ends_latest(&world).await;
        let machine = world.machine().await;
        let paid = world.stripe.events("invoice.paid").split_off(heard);
        assert_eq!(paid.len(), 1, "{alarm}");
        let answer = machine.call(world.stripe.signed_event(&paid[0])).await.unwrap();
        assert_eq!((answer.status, machine.metric(alarm)), (200, 1), "{alarm}");
        // Told once more: what the machine logs nobody reads here.
        let payload = world.stripe.signed_event(&paid[0]).into_body();
        let payload = String::from_utf8_lossy(&payload).replace(&paid[0], &format!("evt_{alarm}"));
        let secret = &world.stack().directory.webhook_secret;
        let signature = billing_stripe::webhook::sign(payload.as_bytes(), secret, world.now());
        log::keeps();
        world.posts_event(&payload, &signature).await;
        let log = log::kept();
        let names_own = log.contains(&format!("\"own\":{}", own["id"]));
        assert_eq!(names_own, alarm == "SecondSubscriptions", "{log}");
        world.stripe.holds_events(false).await;
    }
}

/// The debit failed, and the payer paid a part of the bill on its page; an operator ends the subscription, or nobody does. Stripe does not make void what
/// is paid in part, so nothing is sold anew beside it: the session waits while its time lasts, whoever hears of it or confirms.
#[tokio::test]
async fn a_first_bill_that_is_paid_in_part_is_waited_for() {
    for is_ended in [true, false] {
        for then in ["is paid", "is given up", "runs out"] {
            let context = format!("ended: {is_ended}, {then}");
            let world = World::at("2026-04-01T00:00:00Z").await;
            let acme = world.organisation("acme").await;
            let (id, _) = acme.session_whose_debit_failed().await;
            let bill = world.stripe.latest_invoice().await;
            let part = InvoiceAct {
                amount: Some(400),
                ..InvoiceAct::default()
            };
            let stand_in = world.stripe.stand_in();
            stand_in.act_on_invoice(id_of(&bill), &part).await.unwrap();
            if is_ended {
                ends_latest(&world).await;
                stand_in.settle().await;
            }
            for body in [Value::Null, visa()] {
                let pending = acme.confirms(&id, &body).await;
                assert_eq!(pending.body["checkout_status"], "pending", "{context}: {pending}");
                assert_eq!(pending.body["url"], bill["hosted_invoice_url"], "{context}");
            }
            let sold = match then {
                "is paid" => {
                    world.stripe.pays_invoice(&bill, "pm_card_visa").await;
                    "contract_created"
                }
                "is given up" => {
                    stand_in.write_off_invoice(id_of(&bill)).await.unwrap();
                    stand_in.settle().await;
                    acme.confirms(&id, &visa()).await;
                    acme.confirms(&id, &visa()).await;
                    stand_in.settle().await;
                    if is_ended { "contract_created" } else { "pending" }
                }
                _ => {
                    world.advance("26h").await;
                    let latest = world.stripe.all_subscriptions().await.remove(0);
                    let over = ["canceled", "incomplete_expired"];
                    assert!(
                        over.iter().any(|it| latest["status"] == *it),
                        "{context}: {latest}"
                    );
                    assert_eq!(acme.confirms(&id, &visa()).await.status, 410, "{context}");
                    "expired"
                }
            };
            assert_eq!(acme.reads(&id).await.body["checkout_status"], sold, "{context}");
            assert_eq!(world.dead_letters().await, [Value::Null; 0], "{context}");
            let refused = stand_in.delivery_attempts();
            assert!(
                refused
                    .iter()
                    .all(|it| it.status.is_none_or(|status| status < 500)),
                "{context}: {refused:?}"
            );
        }
    }
}
