//! A contract keeps the prices that it was sold at; what is sold from then on costs what the catalog says.

use billing_tests::World;
use serde_json::{Value, json};

/// Three seats at 10.00 and the archive at 5.00 were sold; since then a seat costs 12.00. The renewal is at the old price, and so is a fourth seat: for
/// 30 of May's 31 days 3 × 10.00 come back, rounded up to 29.04, and 4 × 10.00 are charged, rounded down to 38.70. A new customer pays the new price.
#[tokio::test]
async fn a_contract_is_renewed_and_amended_at_the_prices_that_it_was_sold_at() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut acme = world.organisation("acme").await;
    let order = acme.order("starter");
    let contract = acme.sells(&order).await;
    acme.changes_its_catalog("unit_amount = 1000", "unit_amount = 1200")
        .await;
    world.advance("31d").await;
    assert_eq!(
        world.stripe.charges().await,
        [3500, 3500],
        "renewed as it was sold"
    );

    let fourth = json!({
        "contract_id": contract,
        "product_overrides": [{ "product_id": acme.product("starter", "Starter seat"), "quantity": 4 }],
    });
    let offered = acme.opens(&fourth).await;
    let lines = offered.body["estimates"]["current_invoice"]["lines"]
        .as_array()
        .unwrap();
    let amounts: Vec<_> = lines
        .iter()
        .map(|line| (&line["unit_amount"], &line["amount"]))
        .collect();
    assert_eq!(
        amounts,
        [(&json!(1000), &json!(-2904)), (&json!(1000), &json!(3870))],
        "{offered}"
    );
    assert_eq!(offered.body["estimates"]["next_invoice"]["total"], 4500);
    let id = offered.body["id"].as_str().unwrap();
    assert_eq!(acme.confirms(id, &Value::Null).await.status, 200);
    world.stripe.stand_in().settle().await;
    assert_eq!(world.stripe.charges().await, [3500, 3500, 966]);

    let new = acme.previews(&acme.guest_order("new@example.com")).await;
    assert_eq!(new.body["estimates"]["current_invoice"]["total"], 4100, "{new}");
}
