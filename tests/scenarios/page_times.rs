//! The time of a plan's page: half an hour to a day from when Stripe makes it, by Stripe's clock.

use billing_tests::{World, at_every_death};
use serde_json::{Value, json};

/// The session is made and confirmed at once, and may live for a day: the machine's clock is half a minute ahead of Stripe's, or behind.
#[tokio::test]
async fn a_page_is_opened_by_a_clock_that_differs() {
    for seconds in [30, 1, -30] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let machine = world.machine_ahead(seconds).await;
        let opened = acme.opens_on(&machine, &acme.order("starter")).await.unwrap();
        let id = opened.body["id"].as_str().unwrap();
        let pending = acme.confirms_on(&machine, id, &Value::Null).await.unwrap();
        assert_eq!(
            pending.body["checkout_status"], "pending",
            "{seconds} s ahead: {pending}"
        );
        world.stripe.pays_page(&world.stripe.latest_page().await).await;
        assert_eq!(acme.reads(id).await.body["checkout_status"], "contract_created");
    }
}

/// A session that has less than half an hour left has a page that lives for longer: as long as Stripe asks for, by the clock of either.
#[tokio::test]
async fn a_short_page_is_opened_by_a_clock_that_differs() {
    for seconds in [30, -30] {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let mut order = acme.order("starter");
        order["expires_at"] = json!("2026-04-01T00:30:00Z");
        let id = acme.session(&order).await;
        world.advance("5m").await;
        let machine = world.machine_ahead(seconds).await;
        let pending = acme.confirms_on(&machine, &id, &Value::Null).await.unwrap();
        assert_eq!(
            pending.body["checkout_status"], "pending",
            "{seconds} s ahead: {pending}"
        );
    }
}

/// A session of half an hour. Who confirms it after five minutes dies at any step, and comes back three minutes later: the page that was asked
/// for would be too short by then, unless it was made. It is paid once.
#[tokio::test]
async fn a_page_that_became_too_short_is_asked_for_anew() {
    at_every_death(async |death| {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let acme = world.organisation("acme").await;
        let mut order = acme.order("starter");
        order["expires_at"] = json!("2026-04-01T00:30:00Z");
        let id = acme.session(&order).await;
        world.advance("5m").await;
        let told = world
            .dies_over(death, async |machine| {
                acme.confirms_on(machine, &id, &Value::Null).await
            })
            .await;
        world.advance("3m").await;
        let pending = acme.confirms(&id, &Value::Null).await;
        assert_eq!(pending.body["checkout_status"], "pending", "{death}: {pending}");
        assert_eq!(world.stripe.open_pages().await.len(), 1, "{death}");
        world.stripe.pays_page(&world.stripe.latest_page().await).await;
        assert_eq!(
            acme.reads(&id).await.body["checkout_status"],
            "contract_created",
            "{death}"
        );
        assert_eq!(world.stripe.charges().await, [3500], "{death}");
        told.is_some()
    })
    .await;
}
