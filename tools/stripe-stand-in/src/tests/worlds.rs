//! Connected accounts: worlds apart.

use serde_json::{Value, json};

use super::harness::{Listener, Shop, call, id};
use crate::api::Call;

async fn account(shop: &Shop) -> String {
    id(&shop
        .post(
            "/v1/accounts",
            json!({ "type": "standard", "email": "agency@example.com" }),
        )
        .await)
}

fn of(account: &str, method: &str, path: &str, params: &Value) -> Call {
    Call {
        account: Some(account.to_owned()),
        ..call(method, path, params)
    }
}

#[tokio::test]
async fn what_is_in_one_world_is_not_in_another() {
    let shop = Shop::open().await;
    let (one, other) = (account(&shop).await, account(&shop).await);
    let customer = shop
        .send(of(&one, "POST", "/v1/customers", &json!({ "email": "a@b.c" })))
        .await
        .body;
    let path = format!("/v1/customers/{}", id(&customer));
    assert_eq!(shop.send(of(&one, "GET", &path, &json!({}))).await.status, 200);
    for elsewhere in [
        call("GET", &path, &json!({})),
        of(&other, "GET", &path, &json!({})),
    ] {
        let answer = shop.send(elsewhere).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (404, &json!("resource_missing"))
        );
    }
    assert_eq!(shop.list("/v1/customers", json!({})).await["data"], json!([]));
}

#[tokio::test]
async fn an_account_that_is_not_connected_is_refused() {
    let shop = Shop::open().await;
    let answer = shop
        .send(of("acct_none", "GET", "/v1/customers", &json!({})))
        .await;
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (403, &json!("account_invalid"))
    );
}

#[tokio::test]
async fn an_idempotency_key_is_of_one_account() {
    let shop = Shop::open().await;
    let (one, other) = (account(&shop).await, account(&shop).await);
    let keyed = |account: &str| Call {
        idempotency_key: Some("k1".to_owned()),
        ..of(account, "POST", "/v1/customers", &json!({}))
    };
    let first = shop.send(keyed(&one)).await;
    let elsewhere = shop.send(keyed(&other)).await;
    assert!(!elsewhere.replayed);
    assert_ne!(first.body["id"], elsewhere.body["id"]);
    assert!(shop.send(keyed(&one)).await.replayed);
}

/// A stand-in that was restored is back where it was, and whoever knows it still knows what came after.
#[tokio::test]
async fn a_stand_in_that_is_restored_and_salted_makes_no_id_again_in_any_world() {
    let shop = Shop::open().await;
    let (spoken_to, silent) = (account(&shop).await, account(&shop).await);
    let customers = async || {
        let mut made = vec![shop.customer().await];
        for account in [&spoken_to, &silent] {
            let answer = shop.send(of(account, "POST", "/v1/customers", &json!({}))).await;
            made.push(id(&answer.body));
        }
        made
    };
    let keyed = Call {
        idempotency_key: Some("k1".to_owned()),
        ..of(&spoken_to, "POST", "/v1/customers", &json!({}))
    };
    let kept = shop.send(keyed.clone()).await.body;
    let snapshot = shop.stripe.snapshot().unwrap();
    let lost = customers().await;
    shop.stripe.restore(snapshot.clone()).unwrap();
    assert_eq!(customers().await, lost, "without the salt");

    shop.stripe.restore(snapshot).unwrap();
    shop.stripe.salt_ids("salt");
    for (made, lost) in customers().await.iter().zip(&lost) {
        assert_ne!(made, lost);
    }
    // What an idempotency key answers was kept with it, under the id that it had.
    let again = shop.send(keyed).await;
    assert!(again.replayed);
    assert_eq!(again.body, kept);
    let path = format!("/v1/customers/{}", id(&kept));
    assert_eq!(
        shop.send(of(&spoken_to, "GET", &path, &json!({}))).await.status,
        200
    );
}

#[tokio::test]
async fn events_of_a_connected_account_name_it_and_go_to_connect_endpoints() {
    let shop = Shop::open().await;
    let agency = account(&shop).await;
    let (own, connect) = (Listener::start().await, Listener::start().await);
    shop.stripe.add_webhook(&own.url, &["customer.created"], false);
    shop.stripe.add_webhook(&connect.url, &["customer.created"], true);
    shop.send(of(&agency, "POST", "/v1/customers", &json!({}))).await;
    shop.customer().await;
    shop.stripe.settle().await;
    let heard = |listener: &Listener| -> Vec<Value> {
        listener
            .heard()
            .iter()
            .map(|heard| heard.event()["account"].clone())
            .collect()
    };
    assert_eq!(heard(&connect), [json!(agency)]);
    assert_eq!(heard(&own), [Value::Null]);
}

#[tokio::test]
async fn each_world_renews_by_the_same_clock() {
    let shop = Shop::open().await;
    let agency = account(&shop).await;
    let post = |path: &'static str, params: Value| {
        let (shop, agency) = (&shop, &agency);
        async move { shop.send(of(agency, "POST", path, &params)).await.body }
    };
    let price = post(
        "/v1/prices",
        json!({
            "currency": "usd",
            "unit_amount": 500,
            "recurring": { "interval": "month" },
            "product_data": { "name": "Agent" },
        }),
    )
    .await;
    let customer = id(&post("/v1/customers", json!({})).await);
    let session = post(
        "/v1/checkout/sessions",
        json!({
            "mode": "subscription",
            "success_url": "https://app.example.com/",
            "customer": customer,
            "line_items": [{ "price": price["id"], "quantity": 2 }],
        }),
    )
    .await;
    shop.stripe
        .pay_session(&id(&session), crate::Payment::Succeed)
        .await
        .unwrap();
    let (platforms, _) = shop.subscriber().await;
    shop.advance("2027-01-01T01:00:00Z").await;
    for (customer, amount) in [(customer, 1000), (platforms, 3000)] {
        let invoices = shop.stripe.invoices_of(&customer);
        assert_eq!((invoices.len(), &invoices[1]["amount_paid"]), (2, &json!(amount)));
    }
}

#[tokio::test]
async fn an_account_can_be_looked_at_from_both_sides() {
    let shop = Shop::open().await;
    let agency = account(&shop).await;
    let seen = shop.get(&format!("/v1/accounts/{agency}")).await;
    assert_eq!(
        (&seen["type"], &seen["email"]),
        (&json!("standard"), &json!("agency@example.com"))
    );
    let own = shop
        .send(of(&agency, "GET", "/v1/account", &json!({})))
        .await
        .body;
    assert_eq!(own["id"], json!(agency));
    shop.refused(403, "GET", "/v1/accounts/acct_none", json!({}))
        .await;
}

impl Shop {
    async fn post_as(&self, account: &str, path: &str, params: Value) -> Value {
        let answer = self.send(of(account, "POST", path, &params)).await;
        assert_eq!(answer.status, 200, "{path}: {:#}", answer.body);
        answer.body
    }

    /// A price of 5.00 a month and a customer with a card, in the world of an account.
    async fn furnish(&self, account: &str) -> (String, String) {
        let params = json!({
            "currency": "usd",
            "unit_amount": 500,
            "recurring": { "interval": "month" },
            "product_data": { "name": "Agent" },
        });
        let price = self.post_as(account, "/v1/prices", params).await;
        let params = json!({
            "payment_method": "pm_card_visa",
            "invoice_settings": { "default_payment_method": "pm_card_visa" },
        });
        let customer = self.post_as(account, "/v1/customers", params).await;
        (id(&price), id(&customer))
    }
}

#[tokio::test]
async fn nothing_of_one_world_can_be_had_from_another() {
    let shop = Shop::open().await;
    let (one, other) = (account(&shop).await, account(&shop).await);
    let (price, customer) = shop.furnish(&one).await;
    let coupon = shop
        .post_as(&one, "/v1/coupons", json!({ "id": "HALF", "percent_off": 50 }))
        .await;
    let params = json!({ "promotion": { "type": "coupon", "coupon": "HALF" }, "code": "LAUNCH" });
    let code = shop.post_as(&one, "/v1/promotion_codes", params.clone()).await;
    let phases = json!([{ "items": [{ "price": price }] }]);
    let schedule = json!({ "customer": customer, "start_date": "now", "phases": phases });
    let schedule = shop.post_as(&one, "/v1/subscription_schedules", schedule).await;
    let subscription = schedule["subscription"].as_str().unwrap().to_owned();
    let invoice = id(&shop.stripe.invoices_of(&customer)[0]);
    let clock = shop
        .post_as(
            &one,
            "/v1/test_helpers/test_clocks",
            json!({ "frozen_time": 1_900_000_000 }),
        )
        .await;
    let paths = [
        format!("/v1/coupons/{}", id(&coupon)),
        format!("/v1/promotion_codes/{}", id(&code)),
        format!("/v1/subscription_schedules/{}", id(&schedule)),
        format!("/v1/subscriptions/{subscription}"),
        format!("/v1/invoices/{invoice}"),
        format!("/v1/prices/{price}"),
        format!("/v1/customers/{customer}"),
        format!("/v1/test_helpers/test_clocks/{}", id(&clock)),
    ];
    for path in &paths {
        assert_eq!(shop.send(of(&one, "GET", path, &json!({}))).await.status, 200);
        for elsewhere in [call("GET", path, &json!({})), of(&other, "GET", path, &json!({}))] {
            let answer = shop.send(elsewhere).await;
            assert_eq!(
                (answer.status, &answer.body["error"]["code"]),
                (404, &json!("resource_missing")),
                "{path}"
            );
        }
    }
    let (own_price, own_customer) = shop.furnish(&other).await;
    let (fitting, code) = (json!([{ "items": [{ "price": own_price }] }]), id(&code));
    for (path, params) in [
        (
            "/v1/subscription_schedules",
            json!({ "customer": customer, "phases": fitting }),
        ),
        (
            "/v1/subscription_schedules",
            json!({ "customer": own_customer, "phases": phases }),
        ),
        (
            "/v1/subscription_schedules",
            json!({ "from_subscription": subscription }),
        ),
        ("/v1/promotion_codes", params),
        (
            "/v1/subscriptions",
            json!({
                "customer": own_customer,
                "items": [{ "price": own_price }],
                "discounts": [{ "promotion_code": code }],
            }),
        ),
        ("/v1/customers", json!({ "test_clock": id(&clock) })),
    ] {
        let answer = shop.send(of(&other, "POST", path, &params)).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (400, &json!("resource_missing")),
            "{path} {params}"
        );
    }
    // The same id and the same code are free in another world.
    shop.post_as(&other, "/v1/coupons", json!({ "id": "HALF", "percent_off": 10 }))
        .await;
    let params = json!({ "promotion": { "type": "coupon", "coupon": "HALF" }, "code": "launch" });
    shop.post_as(&other, "/v1/promotion_codes", params).await;
    for list in [
        "/v1/coupons",
        "/v1/promotion_codes",
        "/v1/subscription_schedules",
        "/v1/subscriptions",
        "/v1/invoices",
    ] {
        assert_eq!(shop.list(list, json!({})).await["data"], json!([]), "{list}");
    }
}

#[tokio::test]
async fn an_account_that_is_not_connected_is_refused_whatever_is_asked() {
    let shop = Shop::open().await;
    for (method, path) in [
        ("POST", "/v1/customers"),
        ("GET", "/v1/subscription_schedules/sub_sched_1"),
        ("POST", "/v1/subscription_schedules"),
        ("GET", "/v1/coupons"),
        ("DELETE", "/v1/subscriptions/sub_1"),
        ("GET", "/v1/account"),
    ] {
        let answer = shop.send(of("acct_none", method, path, &json!({}))).await;
        let error = &answer.body["error"];
        assert_eq!(
            (answer.status, &error["code"]),
            (403, &json!("account_invalid")),
            "{method} {path}"
        );
        assert!(
            error["message"].as_str().unwrap().contains("'acct_none'"),
            "{error}"
        );
    }
}

/// Two agencies, each with a schedule that starts an hour after the other's: each event names its own account, and the objects in
/// it are that account's.
#[tokio::test]
async fn events_of_two_accounts_are_interleaved_and_each_names_its_own() {
    let shop = Shop::open().await;
    let connect = Listener::start().await;
    shop.stripe.add_webhook(
        &connect.url,
        &[
            "customer.subscription.created",
            "invoice.paid",
            "subscription_schedule.updated",
        ],
        true,
    );
    let mut customers = Vec::new();
    for hour in [1, 2] {
        let agency = account(&shop).await;
        let (price, customer) = shop.furnish(&agency).await;
        let start = super::harness::day("2026-12-10") + hour * 3600;
        let phases = json!([{ "items": [{ "price": price, "quantity": 2 }] }]);
        let params = json!({ "customer": customer, "start_date": start, "phases": phases });
        shop.post_as(&agency, "/v1/subscription_schedules", params).await;
        customers.push((agency, customer));
    }
    shop.advance("2026-12-11T00:00:00Z").await;
    let heard: Vec<(String, Value, Value)> = connect
        .heard()
        .iter()
        .map(super::harness::Heard::event)
        .map(|event| {
            (
                event["type"].as_str().unwrap().to_owned(),
                event["account"].clone(),
                event["data"]["object"]["customer"].clone(),
            )
        })
        .collect();
    let of =
        |kind: &str, (agency, customer): &(String, String)| (kind.to_owned(), json!(agency), json!(customer));
    let [first, second] = &customers[..] else {
        panic!("two of them");
    };
    assert_eq!(
        heard,
        [
            of("customer.subscription.created", first),
            of("subscription_schedule.updated", first),
            of("invoice.paid", first),
            of("customer.subscription.created", second),
            of("subscription_schedule.updated", second),
            of("invoice.paid", second),
        ]
    );
}
