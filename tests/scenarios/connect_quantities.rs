//! An agency may have what it sold charged several times, by its own hand at Stripe: that stays, is told and is charged.

use billing_tests::{World, id_of};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// How many there are of the flat price.
fn quantity(items: &Value) -> &Value {
    let items = items.as_array().unwrap();
    &items.iter().find(|item| !item["quantity"].is_null()).unwrap()["quantity"]
}

/// Three of 29.99 are three of 49.00: while its schedule owns it, and by itself.
#[tokio::test]
async fn another_product_keeps_the_quantity_of_what_runs() {
    for days in ["2h", "31d"] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let other = north.offers("Other", 4900).await;
        let id = north.sold_by_card(NOW).await;
        world.advance(days).await;
        let running = north.subscriptions().await.remove(0);
        let items = running["items"]["data"].as_array().unwrap();
        let flat = items.iter().find(|item| item["quantity"] == 1).unwrap();
        let path = format!("/v1/subscription_items/{}", id_of(flat));
        north
            .at_stripe("POST", &path, "quantity=3&proration_behavior=none")
            .await;
        let three = north.gets(&id).await.body;
        assert_eq!(
            (&three["pricing"]["amount"], &three["totalPrice"]),
            (&json!("2999"), &json!(3 * 2999)),
            "{three}"
        );
        let changed = north.updates(&id, &json!({ "productId": other })).await;
        assert_eq!(changed.status, 200, "{days}: {changed}");
        let running = north.subscriptions().await.remove(0);
        assert_eq!(quantity(&running["items"]["data"]), 3, "{days}");
        assert_eq!(north.gets(&id).await.body["totalPrice"], 3 * 4900, "{days}");
        // What is left of the period is settled for as many.
        let settled = north.all("/v1/invoiceitems?limit=100").await;
        let quantities: Vec<_> = settled.iter().map(|item| &item["quantity"]).collect();
        assert_eq!(quantities, [3, 3], "{days}: {settled:?}");
    }
}

/// The same before it begins.
#[tokio::test]
async fn another_product_keeps_the_quantity_of_what_waits() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 4900).await;
    let id = north.sold_by_card(NEXT_MONTH).await;
    let waiting = north.schedules().await.remove(0);
    let phase = &waiting["phases"][0];
    let form = format!(
        "phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={}&phases[0][items][0][quantity]=3\
         &phases[0][items][1][price]={}&phases[0][metadata][client]={}&phases[0][metadata][sale]=1",
        phase["start_date"],
        phase["end_date"],
        phase["items"][0]["price"].as_str().unwrap(),
        phase["items"][1]["price"].as_str().unwrap(),
        north.client,
    );
    let path = format!("/v1/subscription_schedules/{}", id_of(&waiting));
    north.at_stripe("POST", &path, &form).await;
    assert_eq!(north.gets(&id).await.body["totalPrice"], 3 * 2999);
    let changed = north.updates(&id, &json!({ "productId": other })).await;
    assert_eq!(changed.status, 200, "{changed}");
    let waiting = north.schedules().await.remove(0);
    assert_eq!(quantity(&waiting["phases"][0]["items"]), 3);
    assert_eq!(north.gets(&id).await.body["totalPrice"], 3 * 4900);
    world.advance("30d").await;
    world.advance("2h").await;
    assert_eq!(north.payments().await, [3 * 4900]);
}

/// A thousand units in packages of ten are no thousand of another product.
#[tokio::test]
async fn another_product_takes_the_place_of_packages_once() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let other = north.offers("Other", 4900).await;
    let id = north.sold_by_card(NOW).await;
    world.advance("31d").await;
    let running = north.subscriptions().await.remove(0);
    let items = running["items"]["data"].as_array().unwrap();
    let flat = items.iter().find(|item| item["quantity"] == 1).unwrap();
    let packages = format!(
        "product={}&currency=usd&unit_amount=30&recurring[interval]=month&transform_quantity[divide_by]=10\
         &transform_quantity[round]=up",
        flat["price"]["product"].as_str().unwrap()
    );
    let packages = north.at_stripe("POST", "/v1/prices", &packages).await;
    let form = format!("price={}&quantity=1000&proration_behavior=none", id_of(&packages));
    let path = format!("/v1/subscription_items/{}", id_of(flat));
    north.at_stripe("POST", &path, &form).await;
    let changed = north.updates(&id, &json!({ "productId": other })).await;
    assert_eq!(changed.status, 200, "{changed}");
    let running = north.subscriptions().await.remove(0);
    assert_eq!(quantity(&running["items"]["data"]), 1);
    assert_eq!(north.gets(&id).await.body["totalPrice"], 4900);
}
