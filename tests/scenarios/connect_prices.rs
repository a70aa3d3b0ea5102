//! What is told of prices and coupons that an agency made by itself, at Stripe, in whatever form Stripe takes.

use billing_tests::World;
use serde_json::json;

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

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
