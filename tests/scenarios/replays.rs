//! An operator looks at events that failed, and has them delivered once more.

use billing_admin::command::{CommandLine, Task};
use billing_tests::World;
use clap::Parser;

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
    let paid = world.stripe.events("invoice.paid").pop().unwrap();
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

/// Done is done, unless an operator insists: then the work is done again, and changes nothing.
#[tokio::test]
async fn an_event_that_is_done_is_done_again_when_an_operator_insists() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.subscribes("monthly").await;
    let paid = world.stripe.events("invoice.paid").pop().unwrap();
    for (again, attempts) in [("", 1), ("--again", 2)] {
        admin(&world, &format!("events replay {paid} {again} {}", place(&world)))
            .await
            .unwrap();
        assert_eq!(world.receipt(&paid).await.attempts, attempts);
    }
    assert_eq!(ada.ledger().await.len(), 1);
}

#[tokio::test]
async fn a_replay_that_cannot_be_is_told_in_one_sentence() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    ada.subscribes("monthly").await;
    let paid = world.stripe.events("invoice.paid").pop().unwrap();
    let told = async |command: &str| admin(&world, command).await.unwrap_err();
    let unknown = told(&format!("events replay evt_unknown {}", place(&world))).await;
    assert!(
        unknown.starts_with("stripe has no event evt_unknown"),
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
    let created = world
        .stripe
        .events("subscription_schedule.created")
        .pop()
        .unwrap();
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
