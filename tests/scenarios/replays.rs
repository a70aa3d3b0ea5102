//! An operator looks at events that failed, and has them delivered once more; and has the webhook look at what it was never told of.

use std::str::FromStr;

use billing_admin::command::{CommandLine, Task};
use billing_store::ReceiptStatus;
use billing_stripe::{SyntheticEvent, webhook};
use billing_tests::{Machine, World};
use clap::Parser;
use serde_json::Value;

/// What a command of `billing-admin` prints, or its one sentence of failure after what it printed.
async fn admin(world: &World, command: &str) -> Result<String, String> {
    let words = std::iter::once("billing-admin").chain(command.split_whitespace());
    let line = CommandLine::try_parse_from(words).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let store = world.stack().app.store();
    let Task::Stored(command) = line.task else {
        panic!("not about what is stored")
    };
    let done = billing_admin::run(store, command, line.place.json, world.now(), &mut out).await;
    let printed = String::from_utf8(out).unwrap();
    match done {
        Ok(()) => Ok(printed),
        Err(failure) => Err(format!("{printed}{failure}")),
    }
}

/// The options by which an operator reaches this world's Stripe and webhook.
fn place(world: &World) -> String {
    let directory = &world.stack().directory;
    format!(
        "--webhook-url {}/stripe/webhook --stripe-url {} --stripe-key {} --webhook-secrets {}",
        directory.api, directory.stripe, directory.stripe_key, directory.webhook_secret
    )
}

/// Stripe fails when the invoice is read: the event is listed, a replay in vain says so, and one after the recovery does the work.
#[tokio::test]
async fn a_failed_event_is_listed_shown_and_replayed() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    world.stripe.pays(&secret).await;
    let paid = world.stripe.event("invoice.paid");
    let listed = admin(&world, "events list").await.unwrap();
    assert!(
        listed.starts_with(&format!(
            "{paid}  invoice.paid  1 attempts  failed 2026-04-01T00:00:00Z  "
        )),
        "{listed}"
    );
    assert!(listed.contains("500"), "{listed}");

    let replay = format!("events replay {paid} {}", place(&world));
    let in_vain = admin(&world, &replay).await.unwrap_err();
    assert!(in_vain.contains("not done  503"), "{in_vain}");
    assert!(in_vain.ends_with("1 of the events are not done"), "{in_vain}");
    let shown = admin(&world, &format!("events show {paid}")).await.unwrap();
    assert!(
        shown.contains("attempts      2") && shown.contains("status        failed"),
        "{shown}"
    );
    assert_eq!(ada.covered_until().await, "");

    world.stripe.recovers().await;
    let all = format!("events replay --all {}", place(&world));
    let done = admin(&world, &all).await.unwrap();
    assert_eq!(done, format!("{paid}  done  200 {{\"received\":true}}\n"));
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
    assert_eq!(admin(&world, &all).await.unwrap(), "no failed events\n");
}

/// Stripe does not tell one of them any more, and one an operator told himself: each is told of for itself, and none keeps another from
/// being done.
#[tokio::test]
async fn every_failed_event_is_replayed_whatever_becomes_of_another() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    world.stripe.fails("GET", "/v1/subscriptions/*", 500).await;
    let gone = r#"{"id":"evt_0","object":"event","type":"invoice.paid","livemode":false,"data":{"object":{"id":"in_0","customer":"#;
    let gone = format!("{gone}{}}}}}}}", world.stripe.customers(&ada).await[0]["id"]);
    let secret_of_ours = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(gone.as_bytes(), secret_of_ours, world.now());
    assert_eq!(world.posts_event(&gone, &signature).await.status, 503);
    world.stripe.pays(&secret).await;
    let paid = world.stripe.event("invoice.paid");
    let told = world.stripe.invoices(&ada).await[0]["id"].clone();
    let told = told.as_str().unwrap();
    world.stripe.recovers().await;
    let event = SyntheticEvent::from_str(told).unwrap().body(false).to_string();
    let signature = webhook::sign(event.as_bytes(), secret_of_ours, world.now());
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    assert_eq!(world.posts_event(&event, &signature).await.status, 503);
    world.stripe.recovers().await;

    let all = format!("events replay --all {}", place(&world));
    let in_vain = admin(&world, &all).await.unwrap_err();
    for line in [
        "evt_0  not done  stripe has no event evt_0".to_owned(),
        format!("{paid}  done  200"),
        format!("evt_told_{told}  done  200"),
        "1 of the events are not done".to_owned(),
    ] {
        assert!(in_vain.contains(&line), "{line}: {in_vain}");
    }
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    let listed = admin(&world, "events list").await.unwrap();
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

/// A key of another account, or of the other mode: Stripe has nothing of that name for it, and the webhook would take it for somebody else's.
#[tokio::test]
async fn what_stripe_does_not_have_is_not_told_as_done() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    for object in ["sub_elsewhere", "in_elsewhere"] {
        let told = admin(&world, &format!("events tell {object} {}", place(&world))).await;
        let told = told.unwrap_err();
        assert!(
            told.starts_with(&format!(
                "evt_told_{object}  not done  stripe has no {object} for"
            )),
            "{told}"
        );
    }
}

/// Done is done, unless an operator insists: then the work is done again, and changes nothing.
#[tokio::test]
async fn an_event_that_is_done_is_done_again_when_an_operator_insists() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let paid = world.stripe.event("invoice.paid");
    for (again, attempts) in [("", 1), ("--again", 2)] {
        admin(&world, &format!("events replay {paid} {again} {}", place(&world)))
            .await
            .unwrap();
        assert_eq!(world.receipt(&paid).await.attempts, attempts);
    }
    assert_eq!(ada.ledger().await.len(), 1);
}

/// What is done is done again, and the webhook takes no signature, or is not there: it stands among the failed until it is done.
#[tokio::test]
async fn what_is_to_be_done_again_is_listed_until_it_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let paid = world.stripe.event("invoice.paid");
    let bill = world.stripe.invoices(&ada).await[0]["id"].clone();
    let bill = bill.as_str().unwrap();
    admin(&world, &format!("events tell {bill} {}", place(&world)))
        .await
        .unwrap();
    let known = world.stack().directory.webhook_secret.as_str();
    let nowhere = format!("{}/stripe/webhook", world.stack().directory.api);
    for (place_in_vain, told) in [
        (place(&world).replace(known, "whsec_another"), "not done  400"),
        (
            place(&world).replace(&nowhere, "http://127.0.0.1:9/"),
            "not done  ",
        ),
    ] {
        for (command, event) in [
            (format!("events replay {paid} --again"), paid.clone()),
            (format!("events tell {bill}"), format!("evt_told_{bill}")),
        ] {
            let in_vain = admin(&world, &format!("{command} {place_in_vain}")).await;
            let in_vain = in_vain.unwrap_err();
            assert!(in_vain.contains(told), "{in_vain}");
            let listed = admin(&world, "events list").await.unwrap();
            assert!(
                listed.contains(&event) && listed.contains("an operator has it done again"),
                "{command}: {listed}"
            );
        }
    }
    let all = format!("events replay --all {}", place(&world));
    assert_eq!(
        admin(&world, &all).await.unwrap().matches("  done  200").count(),
        2
    );
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
    assert_eq!(world.receipt(&paid).await.status, ReceiptStatus::Done);
}

/// Stripe does not tell it any more, or cannot be asked: what was done stays done.
#[tokio::test]
async fn what_stripe_does_not_tell_is_not_taken_up_again() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    let bill = world.stripe.invoices(&ada).await.remove(0);
    let gone = serde_json::json!({
        "id": "evt_0", "object": "event", "type": "invoice.paid", "livemode": false, "data": { "object": bill },
    })
    .to_string();
    let secret = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(gone.as_bytes(), secret, world.now());
    assert_eq!(world.posts_event(&gone, &signature).await.status, 200);
    let bill = bill["id"].as_str().unwrap();
    let tell = format!("events tell {bill} {}", place(&world));
    admin(&world, &tell).await.unwrap();

    let again = format!("events replay evt_0 --again {}", place(&world));
    let told = admin(&world, &again).await.unwrap_err();
    assert!(told.contains("stripe has no event evt_0"), "{told}");
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    let told = admin(&world, &tell).await.unwrap_err();
    assert!(told.contains("not done  stripe is unavailable"), "{told}");
    for event in ["evt_0".to_owned(), format!("evt_told_{bill}")] {
        assert_eq!(world.receipt(&event).await.status, ReceiptStatus::Done, "{event}");
    }
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
}

/// A comma too many in the list of secrets: the functions read it as well.
#[tokio::test]
async fn a_replay_is_signed_with_the_first_secret_that_there_is() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.subscriber(1, "monthly").await;
    let paid = world.stripe.event("invoice.paid");
    let known = world.stack().directory.webhook_secret.as_str();
    let listed = place(&world).replace(known, &format!(",{known},"));
    admin(&world, &format!("events replay {paid} {listed}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_replay_that_cannot_be_is_told_in_one_sentence() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    world.subscriber(1, "monthly").await;
    let paid = world.stripe.event("invoice.paid");
    let told = async |command: &str| admin(&world, command).await.unwrap_err();
    let unknown = told(&format!("events replay evt_unknown {}", place(&world))).await;
    assert!(
        unknown.starts_with("evt_unknown  not done  stripe has no event evt_unknown"),
        "{unknown}"
    );
    assert_eq!(
        told("events show evt_unknown").await,
        "event evt_unknown never arrived"
    );
    let secret = &world.stack().directory.webhook_secret;
    let wrong = place(&world).replace(secret.as_str(), "whsec_of_somebody_else");
    let refused = told(&format!("events replay {paid} {wrong}")).await;
    assert!(
        refused.contains(r#"not done  400 {"error":"invalid signature"}"#),
        "{refused}"
    );
}

/// What failed on a connected account is asked for there, and delivered as its event.
#[tokio::test]
async fn a_failed_event_of_a_connected_account_is_replayed_on_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let north = world.agency().await;
    world
        .stripe
        .fails("GET", "/v1/subscription_schedules/*", 500)
        .await;
    north.sells(&north.order("2026-05-01T00:00:00Z")).await;
    world.stripe.stand_in().settle().await;
    world.stripe.recovers().await;
    let listed = admin(&world, "events list").await.unwrap();
    assert!(listed.contains(&north.account), "{listed}");
    let created = world.stripe.event("subscription_schedule.created");
    let on = format!("--connected {}", north.account);
    let place = place(&world);
    let replayed = admin(&world, &format!("events replay {created} {on} {place}")).await;
    assert!(replayed.unwrap().contains("done  200"));
    admin(&world, &format!("events replay --all {place}"))
        .await
        .unwrap();
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
    let shown = admin(&world, &format!("events show {created} {on}"))
        .await
        .unwrap();
    assert!(shown.contains("attempts      2"), "{shown}");
    let again = format!("events replay {created} {on} --again {place}");
    admin(&world, &again).await.unwrap();
    let shown = admin(&world, &format!("events show {created} {on}"))
        .await
        .unwrap();
    assert!(shown.contains("attempts      3"), "{shown}");
}

/// Another program sold a year, a hundred days ago; Stripe tells events for thirty. The account is made with the customer that it has, and the
/// webhook is told of the subscription and of the invoice that paid for it.
#[tokio::test]
async fn what_another_program_sold_is_taken_over() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let (customer, subscription) = sold_elsewhere(&world).await;
    world.advance("100d").await;
    let create =
        format!("account create --id acme --customer {customer} --number +15551230001 --number +15551230002");
    admin(&world, &create).await.unwrap();
    let acme = world.admits("acme").await;
    assert_eq!(acme.covered_until().await, "");

    let (id, bill) = (&subscription["id"], &subscription["latest_invoice"]);
    let tell = format!(
        "events tell {} {} {}",
        id.as_str().unwrap(),
        bill.as_str().unwrap(),
        place(&world)
    );
    // Told twice, it is the same.
    for _ in 0..2 {
        let told = admin(&world, &tell).await.unwrap();
        assert_eq!(told.matches("done  200").count(), 2, "{told}");
        assert_eq!(acme.covered_until().await, "2027-01-01T00:00:00Z");
        assert_eq!(acme.ledger().await.len(), 1);
    }
    // As Stripe spells it: an operator compares it with what is there, to cancel the other one of two.
    let shown = admin(&world, "account show acme").await.unwrap();
    let named = format!("\nsubscription  {}, active\n", id.as_str().unwrap());
    assert!(shown.contains(&named), "{shown}");
    let billing = acme.billing().await;
    assert_eq!(billing.body["subscription"]["quantity"], 2, "{billing}");
    assert_eq!(billing.body["subscription"]["interval"], "annual", "{billing}");
    assert_eq!(billing.body["numbers"][1]["mode"], "FIXED", "{billing}");
    // It is the account's like any other: not sold twice, and ended when that is wished for.
    assert_eq!(acme.starts_checkout("monthly").await.status, 409);
    assert_eq!(acme.cancels().await.body["cancelAtPeriodEnd"], true);
}

/// The year was given back, in full or in part, before anybody here knew of it, and Stripe tells of that no more: what is told of is the invoice,
/// with what went back of it.
#[tokio::test]
async fn what_another_program_sold_and_gave_back_is_not_covered() {
    for (given_back, covered) in [(19_200, ""), (19_199, "2027-01-01T00:00:00Z")] {
        let world = World::at("2026-01-01T00:00:00Z").await;
        let (customer, subscription) = sold_elsewhere(&world).await;
        let bill = subscription["latest_invoice"].as_str().unwrap();
        let charge = world.stripe.charge_of(bill).await;
        assert_eq!(charge["amount"], 19_200);
        world.stripe.refunds(&charge, given_back).await;
        world.advance("40d").await;
        let create = format!("account create --id acme --customer {customer} --number +15551230001");
        admin(&world, &create).await.unwrap();
        let acme = world.admits("acme").await;
        let id = subscription["id"].as_str().unwrap();
        let tell = format!("events tell {id} {bill} {}", place(&world));
        let told = admin(&world, &tell).await.unwrap();
        assert_eq!(told.matches("done  200").count(), 2, "{told}");
        assert_eq!(acme.covered_until().await, covered, "{given_back}");
        assert_eq!(acme.ledger().await.len(), 1);
    }
}

/// The same of a contract: the event of the refund was lost with what the table forgot.
#[tokio::test]
async fn what_a_contract_was_given_back_is_found_when_its_bill_is_told_of() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let contract = acme.sells(&acme.order("starter")).await;
    world.stripe.stops_delivering().await;
    let bill = world.stripe.latest_invoice().await;
    let bill = bill["id"].as_str().unwrap();
    let charge = world.stripe.charge_of(bill).await;
    world.stripe.refunds(&charge, 3500).await;
    assert_eq!(acme.covered_until(&contract).await, "2026-05-01T00:00:00Z");
    let told = admin(&world, &format!("events tell {bill} {}", place(&world))).await;
    assert!(told.unwrap().contains("done  200"));
    assert_eq!(acme.covered_until(&contract).await, "");
}

/// Nobody has told of what was sold: a checkout would be a second subscription, and the customer would pay for both. It is barred until it is told of;
/// where it is over, or never was, the checkout is the customer's own.
#[tokio::test]
async fn what_another_program_sold_bars_a_checkout_before_it_is_told_of() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let (customer, subscription) = sold_elsewhere(&world).await;
    let create = format!("account create --id acme --customer {customer} --number +15551230001");
    admin(&world, &create).await.unwrap();
    let acme = world.admits("acme").await;
    for interval in ["monthly", "annual"] {
        assert_eq!(
            acme.starts_checkout(interval).await,
            r#"409 {"error":"the account's customer has a subscription at Stripe that is not taken over yet"}"#
        );
    }
    assert_eq!(world.stripe.sessions(&acme).await.len(), 0);

    let id = subscription["id"].as_str().unwrap();
    world
        .stripe
        .operator("DELETE", &format!("/v1/subscriptions/{id}"), "")
        .await;
    let secret = acme.starts_checkout("monthly").await.client_secret();
    world.stripe.pays(&secret).await;
    let own = world.stripe.all_subscriptions().await;
    let own: Vec<_> = own.iter().map(|it| (&it["customer"], &it["status"])).collect();
    assert_eq!(
        own[0],
        (&Value::from(customer), &Value::from("active")),
        "{own:?}"
    );
    assert_eq!(world.stripe.all_customers().await.len(), 1);
    assert_eq!(acme.covered_until().await, "2026-02-01T00:00:00Z");
}

/// Until 2018 plans were given ids of free text, and they are prices now: it is taken along whatever its price is called, and covers what is paid.
#[tokio::test]
async fn what_an_old_plan_bills_is_taken_over() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let (customer, subscription) = sold_elsewhere(&world).await;
    let create = format!("account create --id acme --customer {customer} --number +15551230001");
    admin(&world, &create).await.unwrap();
    let acme = world.admits("acme").await;
    let of_old = retold(
        &world,
        &subscription,
        &world.stack().variables["PRICE_ANNUAL"],
        "Pro plan $699/month",
    )
    .await;
    for object in ["id", "latest_invoice"] {
        let machine = tells_again(&world, of_old).await;
        let told = SyntheticEvent::from_str(subscription[object].as_str().unwrap()).unwrap();
        assert_eq!(
            machine.call(signed(&world, &told)).await.unwrap().status,
            200,
            "{object}"
        );
    }
    let stored = acme.stored().await.subscription.unwrap();
    assert_eq!(stored.price.as_str(), "Pro plan $699/month");
    assert_eq!(acme.covered_until().await, "2027-01-01T00:00:00Z");
    // Its renewals are paid and amended at Stripe alone; of what it is, another quantity is not previewed.
    let machine = tells_again(&world, of_old).await;
    let asked = acme
        .previews_on(&machine, &serde_json::json!({ "quantity": 3 }))
        .await;
    assert_eq!(
        asked.unwrap(),
        r#"400 {"error":"the subscription is billed by an old plan: only a change of its interval can be previewed"}"#
    );
}

/// So could the ids of customers be chosen. No account has such a one: what is told of it is somebody else's.
#[tokio::test]
async fn a_customer_whose_id_was_chosen_is_nobodys() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let (customer, subscription) = sold_elsewhere(&world).await;
    let of_old = retold(&world, &subscription, &customer, "acme@example.com").await;
    for object in ["id", "latest_invoice"] {
        let machine = tells_again(&world, of_old).await;
        let told = SyntheticEvent::from_str(subscription[object].as_str().unwrap()).unwrap();
        assert_eq!(
            machine.call(signed(&world, &told)).await.unwrap().status,
            200,
            "{object}"
        );
    }
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
}

/// The subscription as Stripe would tell it, were one thing called otherwise.
async fn retold(world: &World, subscription: &Value, name: &str, other: &str) -> &'static str {
    let path = format!(
        "/v1/subscriptions/{}?expand[0]=latest_invoice&expand[1]=discounts",
        subscription["id"].as_str().unwrap()
    );
    let told = world.stripe.operator("GET", &path, "").await.to_string();
    let name = serde_json::to_string(name).unwrap();
    assert!(told.contains(&name));
    told.replace(&name, &serde_json::to_string(other).unwrap()).leak()
}

/// A machine that Stripe tells this of whatever subscription it asks for.
async fn tells_again(world: &World, told: &'static str) -> Machine {
    let machine = world.machine().await;
    for reading in 1..=4 {
        machine
            .network
            .tells_at("GET /v1/subscriptions/", reading, 200, told);
    }
    machine
}

/// The request by which the webhook is told of something.
fn signed(world: &World, told: &SyntheticEvent) -> http::Request<bytes::Bytes> {
    let event = told.body(false).to_string();
    let secret = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(event.as_bytes(), secret, world.now());
    http::Request::post("/stripe/webhook")
        .header("stripe-signature", signature)
        .body(bytes::Bytes::from(event))
        .unwrap()
}

/// What could not be read is told of once more, and is not left among the failures then.
#[tokio::test]
async fn telling_of_what_failed_once_more_finishes_it() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let (customer, subscription) = sold_elsewhere(&world).await;
    let create = format!("account create --id acme --customer {customer} --number +15551230001");
    admin(&world, &create).await.unwrap();
    let bill = subscription["latest_invoice"].as_str().unwrap();
    let tell = format!("events tell {bill} {}", place(&world));
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    let in_vain = admin(&world, &tell).await.unwrap_err();
    assert!(in_vain.contains("not done  stripe is unavailable"), "{in_vain}");
    // It went down a moment later, when the webhook asked.
    let event = SyntheticEvent::from_str(bill).unwrap().body(false).to_string();
    let signature = webhook::sign(
        event.as_bytes(),
        &world.stack().directory.webhook_secret,
        world.now(),
    );
    assert_eq!(world.posts_event(&event, &signature).await.status, 503);
    assert!(admin(&world, "events list").await.unwrap().contains(bill));
    world.stripe.recovers().await;
    admin(&world, &tell).await.unwrap();
    assert_eq!(admin(&world, "events list").await.unwrap(), "no failed events\n");
    let acme = world.admits("acme").await;
    assert_eq!(acme.covered_until().await, "2027-01-01T00:00:00Z");
}

/// A signature that is not taken is no reason to look at the event: the secret or the clock is wrong, and the operator is told so.
#[tokio::test]
async fn a_signature_that_is_not_taken_is_told_with_its_causes() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let (_, subscription) = sold_elsewhere(&world).await;
    let bill = subscription["latest_invoice"].as_str().unwrap();
    let known = &world.stack().directory.webhook_secret;
    let tell = format!("events tell {bill} {}", place(&world)).replace(known.as_str(), "whsec_another");
    let refused = admin(&world, &tell).await.unwrap_err();
    assert!(
        refused.contains(r#"not done  400 {"error":"invalid signature"}"#),
        "{refused}"
    );
    assert!(refused.contains("STRIPE_WEBHOOK_SECRETS"), "{refused}");
    assert!(refused.contains("clock"), "{refused}");
}

#[tokio::test]
async fn a_customer_is_brought_along_by_one_account() {
    let world = World::at("2026-01-01T00:00:00Z").await;
    let create = |id: &str| format!("account create --id {id} --customer cus_1");
    admin(&world, &create("acme")).await.unwrap();
    let told = async |id: &str| admin(&world, &create(id)).await.unwrap_err();
    assert_eq!(told("other").await, "customer cus_1 is another account's");
    assert_eq!(
        told("acme").await,
        "account acme exists already; nothing was changed"
    );
    let unknown = admin(&world, "account show other").await;
    assert!(unknown.is_err(), "{unknown:?}");
}

/// A customer with a card and two numbers for a year, as a program before this one has made them. Nobody here knows of either.
pub(crate) async fn sold_elsewhere(world: &World) -> (String, Value) {
    let stripe = &world.stripe;
    let customer = stripe.operator("POST", "/v1/customers", "name=Acme").await;
    let customer = customer["id"].as_str().unwrap().to_owned();
    let attach = format!("customer={customer}");
    let card = stripe
        .operator("POST", "/v1/payment_methods/pm_card_visa/attach", &attach)
        .await;
    let form = format!(
        "customer={customer}&items[0][price]={}&items[0][quantity]=2&default_payment_method={}",
        world.stack().variables["PRICE_ANNUAL"],
        card["id"].as_str().unwrap()
    );
    let subscription = stripe.operator("POST", "/v1/subscriptions", &form).await;
    stripe.stand_in().settle().await;
    (customer, subscription)
}
