//! What is told of prices and coupons that an agency made by itself, at Stripe, in whatever form Stripe takes.

use billing_tests::{Agency, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

async fn sold(north: &Agency<'_>, start: &str) -> String {
    let answer = north.sells(&north.order(start)).await;
    assert_eq!(answer.status, 200, "{answer}");
    north.client_gives_card().await;
    answer.body["id"].as_str().unwrap().to_owned()
}

/// Stripe takes any text for the id of a coupon: it is redeemed, told, listed, kept over another date, and in nobody's way.
#[tokio::test]
async fn a_coupon_may_be_called_anything() {
    let world = World::at(NOW).await;
    for (escaped, name) in [
        ("50%25OFF", "50%OFF"),
        ("Sommer%202026", "Sommer 2026"),
        ("%C3%84%2F1%3F%23%26", "Ä/1?#&"),
    ] {
        let north = world.agency().await;
        let form = format!("id={escaped}&percent_off=50&duration=forever");
        north.at_stripe("POST", "/v1/coupons", &form).await;
        let mut order = north.order(NEXT_MONTH);
        order["data"]["couponId"] = json!(name);
        let told = north.sells(&order).await;
        assert_eq!((told.status, &told.body["coupon"]), (200, &json!(name)), "{told}");
        let id = told.body["id"].as_str().unwrap();
        let later = json!({ "startDate": told.body["startDate"].as_i64().unwrap() + 86_400 });
        for told in [north.updates(id, &later).await, north.gets(id).await] {
            assert_eq!((told.status, &told.body["coupon"]), (200, &json!(name)), "{told}");
        }
        let listed = north.lists("?status=scheduled").await;
        assert_eq!(listed.body["subscriptions"][0]["coupon"], name, "{listed}");
        assert_eq!(north.cancels(id).await.body["canceled"], true, "{name}");
    }
    let north = world.agency().await;
    for (name, fault) in [
        ("60%OFF", "does not exist"),
        ("..", "must be a coupon id"),
        ("a\nb", "must be a coupon id"),
    ] {
        let mut order = north.order(NEXT_MONTH);
        order["data"]["couponId"] = json!(name);
        let told = north.sells(&order).await;
        let fault = json!({ "data.couponId": [fault] });
        assert_eq!(
            (told.status, &told.body["error"]["fieldErrors"]),
            (400, &fault),
            "{told}"
        );
    }
}

/// An agency has what runs charged at 29.995, which no sale begins with: half a cent is told, and a total of whole ones.
#[tokio::test]
async fn a_flat_price_of_fractions_is_told() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold(&north, NOW).await;
    world.advance("31d").await;
    let form = format!(
        "product={}&currency=usd&unit_amount_decimal=2999.5&recurring[interval]=month",
        north.product
    );
    let price = north.at_stripe("POST", "/v1/prices", &form).await;
    let running = north.subscriptions().await.remove(0);
    let items = running["items"]["data"].as_array().unwrap();
    let flat = items
        .iter()
        .find(|item| item["price"]["recurring"]["usage_type"] == "licensed");
    let form = format!(
        "items[0][id]={}&items[0][price]={}&proration_behavior=none",
        text(flat.unwrap()),
        text(&price)
    );
    north
        .at_stripe("POST", &format!("/v1/subscriptions/{}", text(&running)), &form)
        .await;
    let told = north.gets(&id).await.body;
    assert_eq!(
        (&told["pricing"]["amount"], &told["totalPrice"]),
        (&json!("2999.5"), &json!(3000)),
        "{told}"
    );
}

fn text(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// 5.00 for each 1,000 interactions: half a cent for one.
#[tokio::test]
async fn the_overage_of_a_package_is_told_for_one() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let product = north.offers("Chat", 1000).await;
    let meter = north
        .at_stripe(
            "POST",
            "/v1/billing/meters",
            "display_name=Chats&event_name=interactions&default_aggregation[formula]=sum",
        )
        .await;
    let form = format!(
        "product={product}&currency=usd&unit_amount=500&recurring[interval]=month&recurring[usage_type]=metered\
         &recurring[meter]={}&transform_quantity[divide_by]=1000&transform_quantity[round]=down",
        text(&meter)
    );
    north.at_stripe("POST", "/v1/prices", &form).await;
    let mut order = north.order(NOW);
    order["data"]["selectedProduct"]["productId"] = json!(product);
    order["data"]["selectedProduct"]["pricing"]["metrics"] = json!("interactions");
    let sold = north.sells(&order).await;
    assert_eq!(sold.status, 200, "{sold}");
    let told = north.gets(sold.body["id"].as_str().unwrap()).await.body;
    assert_eq!(told["pricing"]["overage"], "0.5", "{told}");
}

/// 110 minutes until it is canceled in the middle of its period, and ten after that, which are nobody's.
#[tokio::test]
async fn usage_after_the_end_is_not_told() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = sold(&north, NOW).await;
    world.advance("10d").await;
    north.client_talks(6600).await;
    world.advance("1m").await;
    assert_eq!(north.cancels(&id).await.body["canceled"], true);
    world.advance("1d").await;
    north.client_talks(600).await;
    world.advance("1d").await;
    assert_eq!(north.gets(&id).await.body["totalUsage"], 110);
}
