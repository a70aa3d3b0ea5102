//! A catalog that is applied on a machine which dies at any step, or whose answers are lost: the next attempt does the rest, and
//! nothing is there twice.

use billing_admin::catalog::CatalogFile;
use billing_core::id::OrganisationId;
use billing_tests::{Death, World, at_every_death, at_every_step};
use serde_json::{Value, json};

/// A plan of two products, one of which Stripe can express; a business entity, and a customer with an address.
const CATALOG: &str = r#"
[organisation]
id = "replaced"
name = "Shop"

[business_entities.main]
name = "Shop Inc."

[customers.bob]
name = "Bob"
email = "bob@example.com"
business_entity = "main"

[plans.basic]
name = "Basic"
currency = "usd"
cadence = "P1M"

[plans.basic.products.seat]
name = "Seat"
pricing = { pricing_type = "per_unit", unit_amount = 1000 }

[plans.basic.products.band]
name = "Band"
pricing = { pricing_type = "step", tiers = [{ flat_amount = 500 }] }
"#;

fn catalog(organisation: &str) -> CatalogFile {
    // A DynamoDB outside remembers earlier runs.
    let unique: [u8; 8] = billing_edge::key::random().unwrap();
    let organisation: OrganisationId = format!("{organisation}-{}", hex::encode(unique)).parse().unwrap();
    CatalogFile::read_for(CATALOG, &organisation).unwrap()
}

/// What the file says is there, once: in the tables and at Stripe.
async fn is_there(world: &World, file: &CatalogFile) {
    let store = world.stack().app.store();
    let (organisation, plan) = (&file.organisation, &file.plans[0].it);
    let stored = store.plan(organisation, &plan.id).await.unwrap().unwrap();
    assert_eq!(stored.edition, 1);
    let versions: Vec<u32> = stored.plan.products.iter().map(|it| it.price.version).collect();
    assert_eq!(versions, [1, 1]);
    let seat = &stored.plan.products[0];
    let params = json!({ "product": seat.id, "limit": 100 });
    let (status, prices) = world.stripe.stand_in().call("GET", "/v1/prices", &params, None);
    let prices: Vec<&Value> = prices["data"].as_array().unwrap().iter().collect();
    assert_eq!((status, prices.len()), (200, 1));
    assert_eq!(prices[0]["id"], json!(seat.price.stripe_price));
    let bob = &file.customers[0].it;
    assert_eq!(
        store.buyer(organisation, &bob.id).await.unwrap().as_ref(),
        Some(bob)
    );
}

#[tokio::test]
async fn an_apply_that_dies_at_any_step_is_finished_by_the_next() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_death(async |Death { moment, step }| {
        let file = catalog(&format!("shop-{moment:?}-{step}"));
        let dying = world.administrator().await;
        dying.network.stops(moment, step);
        let finished = tokio::select! {
            done = dying.applies(&file) => {
                assert_eq!(done.unwrap(), 4);
                true
            }
            () = dying.network.reached() => false,
        };
        let next = world.administrator().await;
        next.applies(&file).await.unwrap();
        assert_eq!(next.applies(&file).await.unwrap(), 0, "{moment:?} step {step}");
        is_there(&world, &file).await;
        finished
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_lost_changes_nothing_twice() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    at_every_step(async |step| {
        let file = catalog(&format!("shop-{step}"));
        let admin = world.administrator().await;
        admin.network.loses_answer(step);
        admin.applies(&file).await.unwrap();
        let steps = admin.network.steps().len();
        is_there(&world, &file).await;
        steps < step
    })
    .await;
}

/// Two administrators whose machines meet at the plan: the second reads it again, and finds what it wanted.
#[tokio::test]
async fn two_that_apply_at_once_write_a_plan_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let file = catalog("shop");
    let (slow, fast) = (world.administrator().await, world.administrator().await);
    // Held when its prices are made and before its plan is written.
    slow.network.holds("POST /v1/prices");
    let both = async {
        slow.network.reached().await;
        assert_eq!(fast.applies(&file).await.unwrap(), 1);
        slow.network.lets_go();
    };
    let (done, ()) = tokio::join!(slow.applies(&file), both);
    assert_eq!(
        done.unwrap(),
        3,
        "organisation, entity and customer, and not the plan"
    );
    is_there(&world, &file).await;
}
