//! The one customer that Stripe has of an organisation's: made once, also when nobody recorded it, and when Stripe failed to make it.

use billing_tests::{Machine, Moment, Network, Organisation, World, at_every_death, path_of};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn visa() -> Value {
    json!({ "payment_method_id": "pm_card_visa" })
}

/// That a customer was charged these amounts, and nothing else.
async fn bought(world: &World, customer: &Value, charges: &[i64], context: &str) {
    world.stripe.stand_in().settle().await;
    let charged = world.stripe.charges_of(customer["id"].as_str().unwrap()).await;
    assert_eq!(charged, charges, "{context}");
}

/// Stripe made the customer, and the machine died before anybody wrote that down. Two days later Stripe has forgotten the key: another
/// session of the same customer finds the one that is there.
#[tokio::test]
async fn a_customer_that_nobody_recorded_is_found_days_later() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let orders = [
        ("bob@bakery.example", acme.order("starter")),
        ("eve@example.com", acme.guest_order("eve@example.com")),
    ];
    let visa = visa();
    for (email, order) in orders {
        let lost = acme.session(&order).await;
        let machine = world.machine().await;
        machine.network.stops_named(Moment::After, "POST /v1/customers");
        machine.dies_over(acme.confirms_on(&machine, &lost, &visa)).await;
        world.advance("2d").await;
        let id = acme.session(&order).await;
        assert_eq!(acme.confirms(&id, &visa).await.status, 200, "{email}");
        let made = world.stripe.all_customers().await;
        let own: Vec<_> = made
            .iter()
            .filter(|customer| customer["email"] == email)
            .collect();
        assert_eq!(own.len(), 1, "{email}");
        bought(&world, own[0], &[3500], email).await;
    }
}

/// Every customer that Stripe has made for the bakery.
async fn made_for_the_bakery(world: &World, acme: &Organisation<'_>) -> Vec<Value> {
    let buyer = format!("{}/{}", acme.id, acme.customer("bakery"));
    let mut customers = world.stripe.all_customers().await;
    customers.retain(|customer| customer["metadata"]["buyer"] == json!(buyer));
    customers
}

/// The key under which the bakery's customer is made when so many were lost.
fn bakery_key(acme: &Organisation<'_>, lost: u32) -> String {
    format!("buyer/{}/{}/{lost}", acme.id, acme.customer("bakery"))
}

/// Stripe failed when it was to make the customer, and keeps that failure under its key for a day: nobody waits for it.
#[tokio::test]
async fn a_customer_that_cannot_be_made_under_its_key_is_made_under_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for (name, spent) in [("one", 1), ("two", 2)] {
        let acme = world.organisation(name).await;
        for lost in 0..spent {
            world
                .stripe
                .spends_idempotency_key(&bakery_key(&acme, lost))
                .await;
        }
        let id = acme.session(&acme.order("starter")).await;
        let answer = acme.confirms(&id, &visa()).await;
        assert_eq!(answer.status, 200, "{name}: {answer}");
        assert_eq!(made_for_the_bakery(&world, &acme).await.len(), 1, "{name}");
        // What is bought next is bought by the same.
        acme.sells(&acme.order("starter")).await;
        let made = made_for_the_bakery(&world, &acme).await;
        assert_eq!(made.len(), 1, "{name}");
        bought(&world, &made[0], &[3500, 3500], name).await;
    }
}

/// Stripe made the customer, failed to say so, and keeps that failure: what was made is found, and no other is made.
#[tokio::test]
async fn a_customer_whose_making_was_told_as_a_failure_is_found() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.guest_order("eve@example.com")).await;
    let lost = world.machine().await;
    lost.network.stops_named(Moment::After, "POST /v1/customers");
    let visa = visa();
    lost.dies_over(acme.confirms_on(&lost, &id, &visa)).await;
    let machine = world.machine().await;
    machine
        .network
        .answers("POST /v1/customers", 500, ("idempotent-replayed", "true"));
    let answer = acme.confirms_on(&machine, &id, &visa).await.unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    let made = world.stripe.all_customers().await;
    assert_eq!(made.len(), 1);
    bought(&world, &made[0], &[3500], "found").await;
}

/// The customer cannot be made under its key, and the machine dies after a step from there on until it is recorded, or the step's
/// answer is lost: one customer, one contract.
#[tokio::test]
async fn a_customer_is_made_once_under_the_next_key_after_a_crash_at_any_step() {
    let smooth = crashes_while_it_makes_a_customer(|_| {}, "smooth").await;
    let making = |step: &String| step == "POST /v1/customers";
    let first = smooth.iter().position(making).unwrap() + 1;
    let recorded = smooth.iter().rposition(making).unwrap() + 2;
    assert!(first < recorded - 1, "{smooth:?}");
    for step in first..=recorded {
        let after = |network: &Network| network.stops(Moment::After, step);
        crashes_while_it_makes_a_customer(after, &format!("after {step}")).await;
        let lost = |network: &Network| network.loses_answer(step);
        crashes_while_it_makes_a_customer(lost, &format!("answer lost of {step}")).await;
    }
}

/// Sells to the bakery on a machine on whose network something goes wrong, and again on another; answers the steps of the first.
async fn crashes_while_it_makes_a_customer(wrong: impl Fn(&Network), context: &str) -> Vec<String> {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.spends_idempotency_key(&bakery_key(&acme, 0)).await;
    let id = acme.session(&acme.order("starter")).await;
    let machine = world.machine().await;
    wrong(&machine.network);
    let visa = visa();
    tokio::select! {
        answer = acme.confirms_on(&machine, &id, &visa) => {
            assert_eq!(answer.unwrap().status, 200, "{context}");
        }
        () = machine.network.reached() => {}
    }
    let steps = machine.network.steps();
    machine.dies();
    let answer = acme.confirms(&id, &visa).await;
    assert_eq!(answer.status, 200, "{context}: {answer}");
    let made = made_for_the_bakery(&world, &acme).await;
    assert_eq!(made.len(), 1, "{context}");
    bought(&world, &made[0], &[3500], context).await;
    steps
}

/// The customer cannot be made under its key, and everybody finds that out at the same time, for two sessions on two machines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_cannot_make_a_customer_under_its_key_make_one_under_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    world.stripe.spends_idempotency_key(&bakery_key(&acme, 0)).await;
    let mut annual = acme.order("starter");
    annual["expires_at"] = json!("2026-04-01T12:00:00Z");
    let sessions = [
        acme.session(&acme.order("starter")).await,
        acme.session(&annual).await,
    ];
    assert_ne!(sessions[0], sessions[1]);
    let machines = [world.machine().await, world.machine().await];
    let visa = visa();
    let answers = join_all((0..8).map(|n| {
        let (machine, session) = (&machines[n % 2], &sessions[n / 2 % 2]);
        acme.confirms_on(machine, session, &visa)
    }));
    for answer in answers.await.into_iter().flatten() {
        assert!(matches!(answer.status, 200 | 503), "{answer}");
    }
    for session in &sessions {
        assert_eq!(acme.confirms(session, &visa).await.status, 200);
    }
    let made = made_for_the_bakery(&world, &acme).await;
    assert_eq!(made.len(), 1);
    bought(&world, &made[0], &[3500, 3500], "many at once").await;
}

/// A guest's address reads as one, and Stripe does not take it: a fault of the request, and nothing is under way.
#[tokio::test]
async fn a_guests_address_that_stripe_does_not_take_is_a_fault_of_the_request() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    for (field, refusal) in [
        (
            "email",
            r#"{"error":{"type":"invalid_request_error","code":"email_invalid","param":"email","message":"Invalid email address"}}"#,
        ),
        (
            "address",
            r#"{"error":{"type":"invalid_request_error","param":"address[country]","message":"Country 'KP' is unknown."}}"#,
        ),
    ] {
        let id = acme
            .session(&acme.guest_order(&format!("{field}..eve@example.com")))
            .await;
        let machine = world.machine().await;
        machine.network.tells("POST /v1/customers", 400, refusal);
        let answer = acme.confirms_on(&machine, &id, &visa()).await.unwrap();
        assert_eq!(
            answer,
            format!(
                r#"400 {{"error":{{"fieldErrors":{{"customer_data.{field}":["is not an address that the payment provider takes"]}},"formErrors":[]}}}}"#
            )
            .as_str()
        );
        assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    }
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
}

/// An operator deletes a customer at Stripe.
async fn deletes(world: &World, customer: &Value) {
    let path = path_of(customer);
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
}

/// An operator has deleted the customer at Stripe: it gets another one, however it pays, and whoever confirms once more.
#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_is_replaced() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let guest = acme.guest_order("eve@example.com");
    for (order, how, charged) in [
        (acme.order("starter"), visa(), vec![3500]),
        (acme.order("starter"), Value::Null, vec![]),
        (guest.clone(), visa(), vec![3500]),
        (guest, Value::Null, vec![]),
    ] {
        let context = format!("{order} {how}");
        acme.sells(&order).await;
        let deleted = world.stripe.all_customers().await.remove(0);
        deletes(&world, &deleted).await;
        let id = acme.session(&order).await;
        let answer = acme.confirms(&id, &how).await;
        assert_eq!(answer.status, 200, "{context}: {answer}");
        let made = world.stripe.all_customers().await.remove(0);
        assert_ne!(made["id"], deleted["id"], "{context}");
        assert_eq!(
            (&made["email"], &made["metadata"]),
            (&deleted["email"], &deleted["metadata"])
        );
        bought(&world, &made, &charged, &context).await;
        let again = acme.confirms(&id, &how).await;
        assert_eq!(again.body, answer.body, "{context}");
        deletes(&world, &made).await;
    }
}

/// The machine dies over it at any step: in the end there is one other customer, who is charged once.
#[tokio::test]
async fn a_deleted_customer_is_replaced_once_after_a_crash_at_any_step() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let visa = visa();
    at_every_death(async |death| {
        let email = format!("eve-{:?}-{}@example.com", death.moment, death.step).to_lowercase();
        let order = acme.guest_order(&email);
        acme.sells(&order).await;
        let deleted = world.stripe.all_customers().await.remove(0);
        deletes(&world, &deleted).await;
        let id = acme.session(&order).await;
        let confirms = async |machine: &Machine| acme.confirms_on(machine, &id, &visa).await;
        let told = world.dies_over(death, confirms).await;
        // Whoever joins a sale lets the other go on for a minute.
        world.advance("2m").await;
        let answer = acme.confirms(&id, &visa).await;
        assert_eq!(answer.status, 200, "{death}: {answer}");
        let mut made = world.stripe.all_customers().await;
        made.retain(|customer| customer["email"] == json!(email));
        assert_eq!(made.len(), 1, "{death}");
        assert_ne!(made[0]["id"], deleted["id"], "{death}");
        bought(&world, &made[0], &[3500], &death.to_string()).await;
        told.is_some()
    })
    .await;
}
