//! Customers, products, prices and payment methods.

use serde_json::{Value, json};

use super::harness::{Shop, at, id};

#[tokio::test]
async fn a_customer_is_created_read_changed_and_deleted() {
    let shop = Shop::open().await;
    let params = json!({
        "email": "ada@example.com",
        "name": "Ada",
        "metadata": { "account": "acc_1", "gone": "soon" },
        "address": { "country": "DE", "city": "Berlin" },
    });
    let customer = shop.post("/v1/customers", params).await;
    let path = format!("/v1/customers/{}", id(&customer));
    assert_eq!(shop.get(&path).await, customer);
    assert_eq!(customer["address"]["city"], "Berlin");

    let changed = shop
        .post(
            &path,
            json!({ "name": "", "metadata": { "gone": "" }, "phone": "123" }),
        )
        .await;
    assert_eq!(
        (&changed["name"], &changed["phone"]),
        (&Value::Null, &json!("123"))
    );
    assert_eq!(changed["metadata"], json!({ "account": "acc_1" }));
    let events = shop.stripe.events();
    let previous = &events.last().unwrap()["data"]["previous_attributes"];
    assert_eq!(previous["name"], "Ada");
    assert_eq!(previous.get("email"), None, "only what changed");

    let deleted = shop.call("DELETE", &path, json!({})).await;
    assert_eq!(deleted.body["deleted"], true);
    assert_eq!(shop.get(&path).await["deleted"], true);
    shop.refused(404, "POST", &path, json!({ "name": "x" })).await;
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let shop = Shop::open().await;
    let path = format!("/v1/customers/{}", shop.customer().await);
    let longest = format!("{}@example.com", "a".repeat(500));
    for wrong in [
        "ada",
        "ada@example.com, bob@example.com",
        "ada @example.com",
        &format!("a{longest}"),
    ] {
        for path in ["/v1/customers", &path] {
            let error = shop.refused(400, "POST", path, json!({ "email": wrong })).await;
            assert_eq!(
                (&error["code"], &error["param"]),
                (&json!("email_invalid"), &json!("email")),
                "{path} {wrong}"
            );
        }
    }
    for (right, told) in [(longest.as_str(), json!(longest)), ("", Value::Null)] {
        let changed = shop.post(&path, json!({ "email": right })).await;
        assert_eq!(changed["email"], told);
    }
}

#[tokio::test]
async fn deleting_a_customer_ends_their_subscriptions() {
    let shop = Shop::open().await;
    let (customer, subscription) = shop.subscriber().await;
    shop.call("DELETE", &format!("/v1/customers/{customer}"), json!({}))
        .await;
    assert_eq!(
        shop.get(&format!("/v1/subscriptions/{subscription}")).await["status"],
        "canceled"
    );
}

#[tokio::test]
async fn a_list_is_paged_newest_first_from_either_end() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, shop.customer().await);
    }
    let page = |params: Value| {
        let shop = &shop;
        async move {
            let list = shop.list("/v1/customers", params).await;
            let found: Vec<String> = list["data"].as_array().unwrap().iter().map(id).collect();
            (found, list["has_more"].as_bool().unwrap())
        }
    };
    assert_eq!(page(json!({ "limit": 2 })).await, (ids[..2].to_vec(), true));
    assert_eq!(
        page(json!({ "limit": 2, "starting_after": ids[1] })).await,
        (ids[2..4].to_vec(), true)
    );
    assert_eq!(
        page(json!({ "limit": 2, "starting_after": ids[3] })).await,
        (ids[4..].to_vec(), false)
    );
    assert_eq!(
        page(json!({ "limit": 2, "ending_before": ids[4] })).await,
        (ids[2..4].to_vec(), true)
    );
    assert_eq!(
        page(json!({ "limit": 2, "ending_before": ids[1] })).await,
        (ids[..1].to_vec(), false)
    );
    for (params, param) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "limit": 101 }), "limit"),
        (json!({ "starting_after": "cus_none" }), "starting_after"),
        (
            json!({ "starting_after": ids[0], "ending_before": ids[1] }),
            "starting_after",
        ),
    ] {
        assert_eq!(
            shop.refused(400, "GET", "/v1/customers", params).await["param"],
            param
        );
    }
}

#[tokio::test]
async fn customers_are_found_by_address_and_by_time() {
    let shop = Shop::open().await;
    let early = shop.customer().await;
    shop.advance("2026-12-01T00:01:40Z").await;
    let late = id(&shop
        .post("/v1/customers", json!({ "email": "late@example.com" }))
        .await);
    let moment = at("2026-12-01T00:01:40Z").as_second();
    for (params, found) in [
        (json!({ "created": { "gte": moment } }), vec![&late]),
        (json!({ "created": { "gt": moment } }), vec![]),
        (json!({ "created": { "lt": moment } }), vec![&early]),
        (json!({ "created": { "lte": moment } }), vec![&late, &early]),
        (json!({ "created": moment }), vec![&late]),
        (json!({ "email": "late@example.com" }), vec![&late]),
    ] {
        let list = shop.list("/v1/customers", params.clone()).await;
        let ids: Vec<String> = list["data"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{params}");
    }
}

#[tokio::test]
async fn a_lookup_key_is_of_one_price_at_a_time_unless_it_is_transferred() {
    let shop = Shop::open().await;
    let priced = |amount: i64, transfer: bool| {
        json!({
            "product": shop.product,
            "currency": "usd",
            "unit_amount": amount,
            "lookup_key": "standard",
            "transfer_lookup_key": transfer,
            "recurring": { "interval": "month" },
        })
    };
    let old = id(&shop.post("/v1/prices", priced(1000, false)).await);
    assert_eq!(
        shop.refused(400, "POST", "/v1/prices", priced(1200, false)).await["param"],
        "lookup_key"
    );
    let new = id(&shop.post("/v1/prices", priced(1200, true)).await);
    let found = shop
        .list("/v1/prices", json!({ "lookup_keys": ["standard", "other"] }))
        .await;
    assert_eq!(
        found["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(id)
            .collect::<Vec<_>>(),
        [new]
    );
    assert_eq!(
        shop.get(&format!("/v1/prices/{old}")).await["lookup_key"],
        Value::Null
    );
}

#[tokio::test]
async fn an_id_of_ones_own_is_taken_once() {
    let shop = Shop::open().await;
    assert_eq!(
        shop.post("/v1/products", json!({ "name": "A", "id": "numbers" }))
            .await["id"],
        "numbers"
    );
    shop.refused(
        400,
        "POST",
        "/v1/products",
        json!({ "name": "B", "id": "numbers" }),
    )
    .await;
    let params =
        json!({ "currency": "usd", "unit_amount": 1, "product_data": { "name": "B", "id": "numbers" } });
    let error = shop.refused(400, "POST", "/v1/prices", params).await;
    assert_eq!(error["param"], "product_data[id]");
}

#[tokio::test]
async fn a_tiered_price_keeps_its_tiers_and_shows_them_when_asked() {
    let shop = Shop::open().await;
    let params = json!({
        "product_data": { "name": "Calls" },
        "currency": "usd",
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "tiers": [
            { "up_to": 5, "unit_amount": 700 },
            { "up_to": "inf", "unit_amount_decimal": "650.5", "flat_amount": 100 },
        ],
        "transform_quantity": { "divide_by": 10, "round": "up" },
        "recurring": { "interval": "month", "interval_count": 3 },
    });
    let error = shop
        .refused(400, "POST", "/v1/prices", {
            let mut p = params.clone();
            p["tiers"][1]["up_to"] = json!(4);
            p
        })
        .await;
    assert_eq!(error["param"], "tiers");
    let price = shop.post("/v1/prices", params).await;
    assert_eq!((&price["unit_amount"], price.get("tiers")), (&Value::Null, None));
    assert_eq!(
        price["transform_quantity"],
        json!({ "divide_by": 10, "round": "up" })
    );
    let path = format!("/v1/prices/{}", id(&price));
    let shown = shop.list(&path, json!({ "expand": ["tiers", "product"] })).await;
    assert_eq!(shown["tiers"][0]["up_to"], 5);
    assert_eq!(shown["tiers"][1]["up_to"], Value::Null);
    assert_eq!(shown["tiers"][1]["unit_amount_decimal"], "650.5");
    assert_eq!(shown["product"]["name"], "Calls");
}

#[tokio::test]
async fn a_price_changes_its_name_but_not_what_it_costs() {
    let shop = Shop::open().await;
    let path = format!("/v1/prices/{}", shop.monthly);
    let changed = shop
        .post(&path, json!({ "nickname": "Monthly", "active": false }))
        .await;
    assert_eq!(
        (&changed["nickname"], &changed["active"]),
        (&json!("Monthly"), &json!(false))
    );
    let error = shop
        .refused(400, "POST", &path, json!({ "unit_amount": 1 }))
        .await;
    assert_eq!(error["code"], "parameter_unknown");
    let product = format!("/v1/products/{}", shop.product);
    assert_eq!(
        shop.post(&product, json!({ "default_price": shop.annual })).await["default_price"],
        json!(shop.annual)
    );
}

#[tokio::test]
async fn a_test_card_becomes_the_customers_own() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let attach = json!({ "customer": customer });
    let card = shop
        .post("/v1/payment_methods/pm_card_visa/attach", attach.clone())
        .await;
    assert_eq!(
        (&card["card"]["last4"], &card["customer"]),
        (&json!("4242"), &json!(customer))
    );
    assert_ne!(card["id"], "pm_card_visa");
    let listed = shop
        .list(
            "/v1/payment_methods",
            json!({ "customer": customer, "type": "card" }),
        )
        .await;
    assert_eq!(listed["data"][0], card);
    let error = shop
        .refused(
            402,
            "POST",
            "/v1/payment_methods/pm_card_chargeDeclined/attach",
            attach,
        )
        .await;
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("card_error"), &json!("card_declined"))
    );
    let default = json!({ "invoice_settings": { "default_payment_method": card["id"] } });
    let changed = shop
        .post(&format!("/v1/customers/{customer}"), default.clone())
        .await;
    assert_eq!(changed["invoice_settings"]["default_payment_method"], card["id"]);
    let other = shop.customer().await;
    shop.refused(400, "POST", &format!("/v1/customers/{other}"), default)
        .await;
}

/// A payment method that is taken from its customer pays nothing by default any more, and is nobody's again. Source: Stripe's reference, "Detach a PaymentMethod
/// from a Customer".
#[tokio::test]
async fn a_detached_payment_method_is_gone_for_good() {
    let (shop, customer, subscription) = Shop::ten_days_later().await;
    let attach = json!({ "customer": customer });
    let card = shop
        .post("/v1/payment_methods/pm_card_visa/attach", attach.clone())
        .await["id"]
        .take();
    let (buyer, running) = (
        format!("/v1/customers/{customer}"),
        format!("/v1/subscriptions/{subscription}"),
    );
    let pays = json!({ "default_payment_method": card });
    shop.post(&buyer, json!({ "invoice_settings": pays })).await;
    shop.post(&running, pays.clone()).await;
    let method = format!("/v1/payment_methods/{}", card.as_str().unwrap());
    let detached = shop.post(&format!("{method}/detach"), json!({})).await;
    assert_eq!(detached["customer"], json!(null));
    let (buyer, subscription) = (shop.get(&buyer).await, shop.get(&running).await);
    for default in [
        &buyer["invoice_settings"]["default_payment_method"],
        &subscription["default_payment_method"],
    ] {
        assert_eq!(*default, json!(null));
    }
    assert!(shop.event_types().contains(&"payment_method.detached".to_owned()));
    let error = shop.refused(400, "POST", &running, pays).await;
    assert_eq!(error["param"], "default_payment_method");
    for (what, params) in [("attach", attach), ("detach", json!({}))] {
        shop.refused(400, "POST", &format!("{method}/{what}"), params)
            .await;
    }
}
