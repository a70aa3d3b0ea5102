//! Bad input of every kind to the endpoints of checkout sessions: 400 with all that is wrong, and nothing is stored.

use billing_tests::World;
use bytes::Bytes;
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const SOMEBODY: &str = "0b5f1c9e-3a57-4e38-9c3f-6d1a2b3c4d5e";

#[tokio::test]
async fn all_faults_are_told_at_once_by_name() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let answer = acme
        .opens(&json!({
            "plan_id": "team", "start_date": "yesterday", "end_date": 5, "customer_id": 7, "expires_at": "2026-04-01",
            "guest_checkout": "yes", "customer_data": { "email": "eve" }, "success_url": "/done", "cancel_url": "",
            "product_overrides": [{ "product_id": "x", "quantity": -1 }, 5, { "product_id": SOMEBODY }],
        }))
        .await;
    assert_eq!(answer.status, 400);
    let faults = answer.body["error"]["fieldErrors"].as_object().unwrap();
    let names: Vec<&str> = faults.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "cancel_url",
            "customer_data.email",
            "customer_data.name",
            "customer_id",
            "end_date",
            "expires_at",
            "guest_checkout",
            "plan_id",
            "product_overrides[0].product_id",
            "product_overrides[0].quantity",
            "product_overrides[1]",
            "product_overrides[2].quantity",
            "start_date",
            "success_url",
        ]
    );
}

/// Fifteen thousand elements fit into a body; a fault for each of them would not fit under an idempotency key. A hundred are told one by one.
#[tokio::test]
async fn a_list_that_is_too_long_is_one_fault_and_told_again() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    for (length, name, faults) in [
        (15_000, "product_overrides", 1),
        (15_000, "product_quantities", 1),
        (101, "product_overrides", 1),
        (100, "product_overrides", 100),
    ] {
        let order = json!({
            "plan_id": acme.plan("starter"), "customer_id": acme.customer("bakery"), name: vec![0; length],
        });
        let mut request = acme.request("POST", "/checkouts", &order);
        let key = format!("{length}-of-{name}").parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        let first = acme.sends(request.clone()).await;
        assert_eq!(first.status, 400, "{first}");
        let told = first.body["error"]["fieldErrors"].as_object().unwrap();
        assert_eq!(told.len(), faults, "{first}");
        if faults == 1 {
            assert_eq!(told[name], json!(["must have at most 100 elements"]));
        }
        let again = acme.sends(request).await;
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
}

/// Kinds are detected: what is missing, or contradicts the rest, is told by name.
#[tokio::test]
async fn members_that_do_not_go_together_are_told() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let (plan, customer) = (acme.plan("starter"), acme.customer("bakery"));
    let data = json!({ "name": "Eve", "email": "eve@example.com" });
    for (body, names) in [
        (json!({}), vec!["contract_id", "plan_id"]),
        (
            json!({ "contract_id": SOMEBODY }),
            vec!["plan_id", "product_overrides"],
        ),
        (
            json!({ "contract_id": SOMEBODY, "product_overrides": [] }),
            vec!["plan_id", "product_overrides"],
        ),
        (json!({ "plan_id": plan }), vec!["customer_id"]),
        (
            json!({ "plan_id": plan, "guest_checkout": true }),
            vec!["business_entity_id", "customer_data"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "guest_checkout": true, "customer_data": data,
                    "business_entity_id": acme.entity("headquarters") }),
            vec!["customer_id"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "customer_data": data }),
            vec!["customer_data"],
        ),
        (
            json!({ "plan_id": plan, "contract_id": SOMEBODY, "guest_checkout": true, "start_date": "2026-04-01",
                    "end_date": "2026-05-01" }),
            vec!["end_date", "guest_checkout", "start_date"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "product_overrides": [], "product_quantities": [] }),
            vec!["product_quantities"],
        ),
        // What is there and wrong is not missing, whatever it is called.
        (
            json!({ "contract_id": SOMEBODY, "product_quantities": 5 }),
            vec!["product_quantities"],
        ),
        (
            json!({ "contract_id": SOMEBODY, "product_quantities": [{ "product_id": 5 }] }),
            vec!["product_quantities[0].product_id"],
        ),
        (
            json!({ "plan_id": SOMEBODY, "customer_id": customer }),
            vec!["plan_id"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": SOMEBODY }),
            vec!["customer_id"],
        ),
        (
            json!({ "plan_id": plan, "contract_id": SOMEBODY }),
            vec!["contract_id"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "business_entity_id": acme.entity("auckland") }),
            vec!["business_entity_id"],
        ),
        (
            json!({ "plan_id": plan, "guest_checkout": true, "customer_data": data, "business_entity_id": SOMEBODY }),
            vec!["business_entity_id"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "start_date": "2026-03-31" }),
            vec!["start_date"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "start_date": "2026-04-01T00:00:01Z" }),
            vec!["start_date"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "end_date": "2026-04-01" }),
            vec!["end_date"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "end_date": "9999-12-31" }),
            vec!["end_date"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "expires_at": "2026-04-01T00:29:59Z" }),
            vec!["expires_at"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "expires_at": "2026-04-02T00:00:01Z" }),
            vec!["expires_at"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer,
                    "product_overrides": [{ "product_id": SOMEBODY, "quantity": 1 }] }),
            vec!["product_overrides"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer,
                    "product_overrides": [{ "product_id": acme.product("starter", "Starter seat"), "quantity": 101 }] }),
            vec!["product_overrides"],
        ),
    ] {
        for answer in [acme.opens(&body).await, acme.previews(&body).await] {
            assert_eq!(answer.status, 400, "{body}: {answer}");
            let faults = answer.body["error"]["fieldErrors"].as_object().unwrap();
            let told: Vec<&str> = faults.keys().map(String::as_str).collect();
            assert_eq!(told, names, "{body}: {answer}");
        }
    }
}

/// What a request names is looked up; what is not there, and all else that is wrong by then, is told at once.
#[tokio::test]
async fn faults_that_are_found_by_looking_are_told_at_once() {
    let world = World::at("2026-04-02T12:00:00Z").await;
    let acme = world.organisation("acme").await;
    let (plan, customer) = (acme.plan("starter"), acme.customer("bakery"));
    let contract = acme.sells(&acme.order("starter")).await;
    let data = json!({ "name": "Eve", "email": "eve@example.com" });
    let strange = json!([{ "product_id": SOMEBODY, "quantity": 1 }]);
    for (body, names) in [
        (
            json!({ "plan_id": SOMEBODY, "customer_id": SOMEBODY, "business_entity_id": SOMEBODY }),
            vec!["business_entity_id", "customer_id", "plan_id"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": SOMEBODY, "business_entity_id": SOMEBODY,
                    "product_overrides": strange, "expires_at": "2026-04-02T12:29:59Z" }),
            vec![
                "business_entity_id",
                "customer_id",
                "expires_at",
                "product_overrides",
            ],
        ),
        (
            json!({ "plan_id": SOMEBODY, "guest_checkout": true, "customer_data": data, "business_entity_id": SOMEBODY }),
            vec!["business_entity_id", "plan_id"],
        ),
        // Whose time zone is known says what is today.
        (
            json!({ "plan_id": SOMEBODY, "customer_id": customer, "start_date": "2026-04-01", "end_date": "2026-03-31" }),
            vec!["end_date", "plan_id", "start_date"],
        ),
        (
            json!({ "plan_id": SOMEBODY, "customer_id": customer, "end_date": "2026-04-02T12:00:00Z" }),
            vec!["end_date", "plan_id"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "start_date": "2026-04-01", "product_overrides": strange }),
            vec!["product_overrides", "start_date"],
        ),
        // What it would cost from there on cannot be said, and is not.
        (
            json!({ "plan_id": plan, "customer_id": customer, "start_date": "9999-12-31" }),
            vec!["start_date"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "end_date": "2026-04-02T12:00:00Z",
                    "product_overrides": strange, "expires_at": "2026-04-03T12:00:01Z" }),
            vec!["end_date", "expires_at", "product_overrides"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "end_date": "2026-04-01", "product_overrides": strange }),
            vec!["end_date", "product_overrides"],
        ),
        (
            json!({ "plan_id": plan, "customer_id": customer, "end_date": "2026-04-02T12:00:00Z",
                    "expires_at": "2026-04-02T12:29:59Z" }),
            vec!["end_date", "expires_at"],
        ),
        // It is not the contract's, so that it is not asked whether there is one.
        (
            json!({ "contract_id": contract, "plan_id": plan, "customer_id": SOMEBODY, "product_overrides": strange }),
            vec!["customer_id", "plan_id", "product_overrides"],
        ),
        (
            json!({ "contract_id": contract, "plan_id": plan, "product_overrides": strange }),
            vec!["plan_id", "product_overrides"],
        ),
        (
            json!({ "contract_id": contract, "product_overrides": strange, "expires_at": "2026-04-02T12:29:59Z" }),
            vec!["expires_at", "product_overrides"],
        ),
        (
            json!({ "contract_id": SOMEBODY, "plan_id": SOMEBODY, "customer_id": SOMEBODY }),
            vec!["contract_id", "customer_id", "plan_id"],
        ),
    ] {
        let (opened, previewed) = (acme.opens(&body).await, acme.previews(&body).await);
        assert_eq!(opened.status, 400, "{body}: {opened}");
        assert_eq!(previewed.body, opened.body, "{body}");
        let faults = opened.body["error"]["fieldErrors"].as_object().unwrap();
        let told: Vec<&str> = faults.keys().map(String::as_str).collect();
        assert_eq!(told, names, "{body}: {opened}");
        for (name, faults) in faults {
            assert_eq!(faults.as_array().unwrap().len(), 1, "{body}: {name}: {faults}");
        }
    }
}

/// Of a contract that is over no life of a session is judged, by either. What stands is found again although it could not be made any more; a
/// preview is of what would be made now.
#[tokio::test]
async fn how_long_a_session_would_live_is_judged_last() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["expires_at"] = json!("2026-04-01T00:30:00Z");
    let id = acme.session(&order).await;
    world.advance("1m").await;
    assert_eq!(acme.session(&order).await, id);
    let short = r#"400 {"error":{"fieldErrors":{"expires_at":["must be from 30 minutes to 24 hours from now"]},"formErrors":[]}}"#;
    assert_eq!(acme.previews(&order).await, short);
    let contract = acme.sells(&acme.order("starter")).await;
    let billing = acme.contract(&contract).await.contract.billing.unwrap();
    let path = format!("/v1/subscriptions/{}", billing.subscription);
    world.stripe.operator("DELETE", &path, "").await;
    world.stripe.stand_in().settle().await;
    let seats = json!({ "product_id": acme.product("starter", "Starter seat"), "quantity": 5 });
    let more = json!({
        "contract_id": contract, "product_overrides": [seats], "expires_at": "2026-04-01T00:30:00Z",
    });
    let over = r#"409 {"error":"the contract has ended"}"#;
    assert_eq!(acme.opens(&more).await, over);
    assert_eq!(acme.previews(&more).await, over);
}

/// What would have ended before it is paid for is not sold: neither offered, nor confirmed when that moment has come meanwhile.
#[tokio::test]
async fn a_contract_that_would_be_over_is_not_sold() {
    let world = World::at("2026-04-01T12:00:00Z").await;
    let acme = world.organisation("acme").await;
    let ending = |end: &str| {
        let mut order = acme.order("starter");
        order["end_date"] = json!(end);
        order
    };
    let over = r#"400 {"error":{"fieldErrors":{"end_date":["must be in the future"]},"formErrors":[]}}"#;
    for end in ["2026-04-01T00:00:01Z", "2026-04-01T12:00:00Z"] {
        assert_eq!(acme.opens(&ending(end)).await, over, "{end}");
        assert_eq!(acme.previews(&ending(end)).await, over, "{end}");
    }
    let id = acme.session(&ending("2026-04-01T13:00:00Z")).await;
    world.advance("1h").await;
    let visa = json!({ "payment_method_id": "pm_card_visa" });
    assert_eq!(acme.confirms(&id, &visa).await, over);
    assert_eq!(world.stripe.charges().await, [0_i64; 0]);
}

/// What is wrong with a quantity is told, and not something else.
#[tokio::test]
async fn a_quantity_beyond_what_is_kept_is_told_as_that() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let seats = acme.product("starter", "Starter seat");
    for (quantity, fault) in [
        (
            json!(1_000_000_000_000_000_i64),
            "must have at most 15 digits before the point",
        ),
        (
            json!("1000000000000000"),
            "must have at most 15 digits before the point",
        ),
        (json!("0.1234567"), "must have at most 6 decimals"),
        (json!("-1"), "must be 0 or more, a fraction as a text (\"0.5\")"),
        (json!(0.5), "must be 0 or more, a fraction as a text (\"0.5\")"),
        (json!([1]), "must be a number"),
    ] {
        let mut order = acme.order("starter");
        order["product_overrides"] = json!([{ "product_id": seats, "quantity": quantity }]);
        let told = acme.opens(&order).await;
        let faults = &told.body["error"]["fieldErrors"]["product_overrides[0].quantity"];
        assert_eq!(*faults, json!([fault]), "{quantity}: {told}");
    }
}

/// JSON has one kind of number: `5.0` is a whole one. Of a fraction, a float has lost what was meant; a text has not.
#[tokio::test]
async fn a_whole_quantity_may_be_written_in_any_way() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let order = |quantity: &str| {
        let mut order = acme.order("starter");
        let seats = acme.product("starter", "Starter seat");
        order["product_overrides"] =
            json!([{ "product_id": seats, "quantity": serde_json::from_str::<Value>(quantity).unwrap() }]);
        order
    };
    for (quantity, total) in [
        ("5", 5500),
        ("5.0", 5500),
        ("5e0", 5500),
        ("1e2", 100_500),
        ("\"5\"", 5500),
        ("\"5.00\"", 5500),
        ("\"2.5\"", 3000),
    ] {
        let answer = acme.previews(&order(quantity)).await;
        assert_eq!(
            answer.body["estimates"]["current_invoice"]["total"], total,
            "{quantity}: {answer}"
        );
    }
    for quantity in [
        "2.5", "1e30", "-1", "-1.0", "\"5e0\"", "\" 5\"", "true", "null", "[5]",
    ] {
        let answer = acme.previews(&order(quantity)).await;
        let faults = &answer.body["error"]["fieldErrors"];
        assert!(
            faults["product_overrides[0].quantity"].is_array(),
            "{quantity}: {answer}"
        );
    }
}

/// The older name says the same.
#[tokio::test]
async fn product_quantities_is_taken_as_it_was() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let mut order = acme.order("starter");
    order["product_quantities"] =
        json!([{ "product_id": acme.product("starter", "Starter seat"), "quantity": 5 }]);
    let answer = acme.opens(&order).await;
    assert_eq!(
        answer.body["estimates"]["current_invoice"]["total"], 5500,
        "{answer}"
    );
    assert_eq!(answer.body["product_overrides"], order["product_quantities"]);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_as_a_whole() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    for body in ["{", "[]", "null", "\"x\"", "{\"plan_id\":NaN}"] {
        for path in [
            "/checkouts",
            "/checkouts/preview",
            &format!("/checkouts/{id}/confirm"),
        ] {
            let mut request = acme.request("POST", path, &Value::Null);
            *request.body_mut() = Bytes::copy_from_slice(body.as_bytes());
            let answer = acme.sends(request).await;
            assert_eq!(answer.status, 400, "{path} {body}: {answer}");
        }
    }
    assert_eq!(acme.opens(&Value::Null).await.status, 400);
    let mut request = acme.request("POST", "/checkouts", &json!({}));
    request
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(acme.sends(request).await.status, 415);
}

#[tokio::test]
async fn a_confirmation_says_what_is_wrong_with_it_and_charges_nothing() {
    let world = World::at(NOW).await;
    let acme = world.organisation("acme").await;
    let id = acme.session(&acme.order("starter")).await;
    for (body, name) in [
        (json!({ "payment_method_id": 5 }), "payment_method_id"),
        (json!({ "payment_method_id": "" }), "payment_method_id"),
        (json!({ "payment_method_id": "../x" }), "payment_method_id"),
        (json!({ "payment_method_id": "pm_nobody" }), "payment_method_id"),
        (json!({ "version": "1" }), "version"),
        (json!({ "version": -1 }), "version"),
        (json!({ "version": 0 }), "version"),
        (json!({ "version": 1.5 }), "version"),
    ] {
        let answer = acme.confirms(&id, &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer}");
        assert!(
            answer.body["error"]["fieldErrors"][name].is_array(),
            "{body}: {answer}"
        );
    }
    let other = acme.confirms(&id, &json!({ "version": 99 })).await;
    assert_eq!(other.status, 409, "{other}");
    assert_eq!(acme.reads(&id).await.body["checkout_status"], "open");
    assert_eq!(world.stripe.all_subscriptions().await.len(), 0);
}
