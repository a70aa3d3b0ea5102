//! A payer abroad is charged what was quoted: the account at Stripe is set to convert it, and our sessions say otherwise.

use billing_tests::World;
use serde_json::{Value, json};

#[tokio::test]
async fn an_account_abroad_pays_what_it_was_told() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(3, "monthly").await;
    let session = world.stripe.sessions(&ada).await.remove(0);
    assert_eq!(session["status"], "complete");
    assert_eq!(session["adaptive_pricing"], json!({ "enabled": false }));
    assert_eq!(session.get("presentment_details"), None);
}

#[tokio::test]
async fn a_plan_is_paid_abroad_as_it_was_estimated() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    acme.confirms(&id, &Value::Null).await;
    let page = world.stripe.latest_page().await;
    world.stripe.pays_page(&page).await;
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "contract_created");
    let page = world.stripe.latest_page().await;
    assert_eq!(page["adaptive_pricing"], json!({ "enabled": false }));
    assert_eq!(page.get("presentment_details"), None);
}
