//! What is told of prices and coupons that an agency made by itself, at Stripe, in whatever form Stripe takes.

use billing_tests::{Agency, World, id_of};
use serde_json::{Value, json};

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

/// An agency has what runs charged at 29.995, which no sale begins with: half a cent is told, and a total of whole ones, of one and of three.
#[tokio::test]
async fn a_flat_price_of_fractions_is_told() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold_by_card(NOW).await;
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
        id_of(flat.unwrap()),
        id_of(&price)
    );
    north
        .at_stripe("POST", &format!("/v1/subscriptions/{}", id_of(&running)), &form)
        .await;
    let told = north.gets(&id).await.body;
    assert_eq!(
        (&told["pricing"]["amount"], &told["totalPrice"]),
        (&json!("2999.5"), &json!(3000)),
        "{told}"
    );
    let path = format!("/v1/subscription_items/{}", id_of(flat.unwrap()));
    let three = "quantity=3&proration_behavior=none";
    north.at_stripe("POST", &path, three).await;
    let told = north.gets(&id).await.body;
    assert_eq!(told["totalPrice"], 8999, "three of 2999.5: {told}");
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
        id_of(&meter)
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
    let id = north.sold_by_card(NOW).await;
    world.advance("10d").await;
    north.client_talks(6600).await;
    world.advance("1m").await;
    assert_eq!(north.cancels(&id).await.body["canceled"], true);
    world.advance("1d").await;
    north.client_talks(600).await;
    world.advance("1d").await;
    assert_eq!(north.gets(&id).await.body["totalUsage"], 110);
}

/// 7.77 a month, of a product whose id somebody chose, as it is escaped in a form; its price.
async fn chosen(north: &Agency<'_>, escaped: &str) -> String {
    let form = format!("id={escaped}&name=Chosen");
    north.at_stripe("POST", "/v1/products", &form).await;
    let form = format!("product={escaped}&currency=usd&unit_amount=777&recurring[interval]=month");
    let price = north.at_stripe("POST", "/v1/prices", &form).await;
    id_of(&price).to_owned()
}

/// An operator has what runs charged at this price.
async fn moves(north: &Agency<'_>, price: &str) {
    let running = north.subscriptions().await.remove(0);
    let items = running["items"]["data"].as_array().unwrap();
    let flat = items
        .iter()
        .find(|item| item["price"]["recurring"]["usage_type"] == "licensed");
    let form = format!("price={price}&proration_behavior=none");
    let path = format!("/v1/subscription_items/{}", id_of(flat.unwrap()));
    let moved = north.at_stripe("POST", &path, &form).await;
    assert_eq!(moved["price"]["id"], price, "{moved}");
}

/// An operator has what waits charged at this price.
async fn rewrites(north: &Agency<'_>, schedule: &str, price: &str) {
    let path = format!("/v1/subscription_schedules/{schedule}");
    let waiting = north.at_stripe("GET", &path, "").await;
    let metadata = &waiting["metadata"];
    let form = format!(
        "phases[0][start_date]={}&phases[0][items][0][price]={price}&phases[0][items][0][quantity]=1\
         &phases[0][duration][interval]=month&phases[0][metadata][client]={}&phases[0][metadata][sale]={}",
        waiting["phases"][0]["start_date"],
        metadata["client"].as_str().unwrap(),
        metadata["sale"].as_str().unwrap(),
    );
    let told = north.at_stripe("POST", &path, &form).await;
    assert_eq!(told["phases"][0]["items"][0]["price"], price, "{told}");
}

/// Every event of the account so far is delivered once more, and taken.
async fn its_events_are_taken(world: &World, north: &Agency<'_>) {
    world.stripe.stand_in().settle().await;
    let events = world.stripe.stand_in().events();
    let own = events
        .iter()
        .filter(|event| event["account"] == north.account.as_str());
    for event in own {
        assert_eq!(world.stripe.delivers(id_of(event)).await, 200, "{event}");
    }
}

/// Stripe takes any text for the id of a product, and an operator may have what was sold charged at a price of it: it is told, listed, changed,
/// canceled and stored like any other, and its events are taken.
#[tokio::test]
async fn a_product_that_something_is_moved_to_may_be_called_anything() {
    let world = World::at(NOW).await;
    for (escaped, name) in [
        ("Voice%20Agent%202027", "Voice Agent 2027"),
        ("voice%3Aagent", "voice:agent"),
        ("plan%231", "plan#1"),
        ("M%C3%BCnchen", "München"),
    ] {
        let north = world.agency().await;
        let running = north.sold_by_card(&world.now().to_string()).await;
        world.advance("2h").await;
        let waiting = north.sells(&north.order(NEXT_MONTH)).await;
        let waiting = id_of(&waiting.body).to_owned();
        let price = chosen(&north, escaped).await;
        moves(&north, &price).await;
        rewrites(&north, &waiting, &price).await;
        // 2 May.
        let later = json!({ "startDate": 1_777_680_000 });
        for told in [
            north.gets(&running).await,
            north
                .updates(&running, &json!({ "cancelAtPeriodEnd": true }))
                .await,
            north
                .updates(&running, &json!({ "cancelAtPeriodEnd": false }))
                .await,
            north.gets(&waiting).await,
            north.updates(&waiting, &later).await,
        ] {
            assert_eq!(
                (told.status, &told.body["product"]),
                (200, &json!({ "id": name, "name": "Chosen" })),
                "{told}"
            );
        }
        for (query, id) in [("", &running), ("?status=scheduled", &waiting)] {
            let listed = north.lists(query).await;
            assert_eq!(
                listed.body["subscriptions"][0]["product"]["id"], name,
                "{id}: {listed}"
            );
        }
        its_events_are_taken(&world, &north).await;
        for sale in north.sales().await {
            let terms = (sale.terms.product.as_str(), sale.terms.flat.as_str());
            assert_eq!(terms, (name, price.as_str()));
        }
        // Back to what is sold here; and away again.
        let back = north
            .updates(&running, &json!({ "productId": north.product }))
            .await;
        assert_eq!(back.body["product"]["id"], north.product, "{back}");
        moves(&north, &price).await;
        let beside = north.sells(&north.order(NEXT_MONTH)).await;
        for id in [&running, &waiting, &id_of(&beside.body).to_owned()] {
            assert_eq!(north.cancels(id).await.body["canceled"], true, "{name}: {id}");
        }
        assert_eq!(north.gets(&running).await.body["product"]["id"], name);
        its_events_are_taken(&world, &north).await;
    }
}

/// Until 2018 plans were given ids of free text, and they are prices now, which anything can be moved to.
#[tokio::test]
async fn what_was_moved_to_an_old_plan_is_told() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let id = north.sold_by_card(NOW).await;
    let running = north.subscriptions().await.remove(0);
    let path = format!(
        "/v1/subscriptions/{}?expand[0]=customer&expand[1]=discounts&expand[2]=schedule\
         &expand[3]=items.data.price.product&expand[4]=items.data.price.tiers",
        id_of(&running)
    );
    let told = north.at_stripe("GET", &path, "").await.to_string();
    let flat = north.sales().await[0].terms.flat.to_string();
    assert!(told.contains(&flat));
    let machine = world.machine().await;
    let told = told.replace(&flat, "Gold $9/month").leak();
    for reading in 1..=4 {
        machine
            .network
            .tells_at("GET /v1/subscriptions/", reading, 200, told);
    }
    let get = north.request("GET", &format!("/{id}"), &Value::Null);
    let told = machine.call(get).await.unwrap();
    assert_eq!(
        (told.status, &told.body["priceIds"][0]),
        (200, &json!("Gold $9/month")),
        "{told}"
    );
}
