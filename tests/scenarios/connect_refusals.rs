//! What an agency cannot do: with what is not its own, with what is not for sale, with input of every wrong kind.

use billing_tests::{Agency, World};
use serde_json::{Value, json};

const NOW: &str = "2026-04-01T00:00:00Z";
const NEXT_MONTH: &str = "2026-05-01T00:00:00Z";

/// The order with something else at this JSON pointer.
fn with(agency: &Agency<'_>, pointer: &str, value: Value) -> Value {
    let mut order = agency.order(NEXT_MONTH);
    *order.pointer_mut(pointer).unwrap() = value;
    order
}

/// The order with one member more in `data`.
fn and(agency: &Agency<'_>, member: &str, value: Value) -> Value {
    let mut order = agency.order(NEXT_MONTH);
    order["data"][member] = value;
    order
}

#[tokio::test]
async fn what_another_owns_cannot_be_told_from_what_does_not_exist() {
    let world = World::at(NOW).await;
    let (north, south) = (world.agency().await, world.agency().await);
    let order = north.order(NEXT_MONTH);
    let before = world.stripe.stand_in().requests().len();
    let none = r#"404 {"error":"there is no such connected account"}"#;
    for account in [south.account.as_str(), "acct_none", "nonsense", "a%23b"] {
        for (method, rest, body) in [
            ("POST", "", &order),
            ("GET", "", &Value::Null),
            ("GET", "/sub_1", &Value::Null),
            ("PUT", "/sub_1", &order),
            ("DELETE", "/sub_1", &Value::Null),
        ] {
            let answer = north.sends(north.request_to(account, method, rest, body)).await;
            assert_eq!(answer, none, "{method} {account}");
        }
    }
    for (pointer, value, told) in [
        (
            "/data/clientId",
            json!(south.client),
            r#""data.clientId":["does not exist"]"#,
        ),
        (
            "/data/clientId",
            json!("0123456789abcdef01234567"),
            r#""data.clientId":["does not exist"]"#,
        ),
        (
            "/data/agentIds/0",
            json!("0123456789abcdef01234567"),
            r#""data.agentIds":["agent 0123456789abcdef01234567 does not exist"]"#,
        ),
        (
            "/data/agentIds/0",
            json!(south.agents[0]),
            &format!(r#""data.agentIds":["agent {} does not exist"]"#, south.agents[0]),
        ),
    ] {
        let answer = north.sells(&with(&north, pointer, value)).await;
        assert_eq!(
            answer,
            format!(r#"400 {{"error":{{"fieldErrors":{{{told}}},"formErrors":[]}}}}"#).as_str()
        );
    }
    let after = world.stripe.stand_in().requests().len();
    assert_eq!(after, before, "Stripe was asked nothing");
}

#[tokio::test]
async fn another_agencys_subscription_is_none_on_ones_own_account() {
    let world = World::at(NOW).await;
    let (north, south) = (world.agency().await, world.agency().await);
    let sold = south.sells(&south.order(NEXT_MONTH)).await;
    let id = sold.body["id"].as_str().unwrap();
    let none = r#"404 {"error":"there is no such subscription"}"#;
    for id in [id, "sub_none", "sub_sched_none", "in_1", "x%20y"] {
        assert_eq!(north.gets(id).await, none, "{id}");
        assert_eq!(north.updates(id, &json!({})).await, none, "{id}");
        assert_eq!(north.cancels(id).await, none, "{id}");
    }
    assert_eq!(north.lists("").await.body["subscriptions"], json!([]));
    assert_eq!(south.gets(id).await.status, 200);
}

/// What an agency sold by itself, in Stripe's dashboard, is its own business.
#[tokio::test]
async fn what_was_not_sold_here_is_not_told() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    north.sells(&north.order(NEXT_MONTH)).await;
    north.client_gives_card().await;
    let customer = north.customers().await[0]["id"].as_str().unwrap().to_owned();
    let price = north.schedules().await[0]["phases"][0]["items"][0]["price"].clone();
    let form = format!("customer={customer}&items[0][price]={}", price.as_str().unwrap());
    let own = north.at_stripe("POST", "/v1/subscriptions", &form).await;
    world.stripe.stand_in().settle().await;
    let id = own["id"].as_str().unwrap();
    assert_eq!(north.gets(id).await.status, 404);
    assert_eq!(north.cancels(id).await.status, 404);
    assert_eq!(north.lists("").await.body["subscriptions"], json!([]));
}

#[tokio::test]
async fn every_fault_of_an_order_is_told_at_once() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let answer = north
        .sells(&json!({ "data": { "agentIds": [], "taxSettings": { "country": "xx" } } }))
        .await;
    assert_eq!(
        answer.body["error"]["fieldErrors"],
        json!({
            "data.clientId": ["is required"],
            "data.agentIds": ["must not be empty"],
            "data.selectedProduct": ["is required"],
            "data.taxSettings.enabled": ["is required"],
            "data.taxSettings.country": ["must be a country code of two letters (ISO 3166-1 alpha-2)"],
        })
    );
    for (pointer, value, field, fault) in [
        ("/data", json!([]), "data", "must be an object"),
        ("/data", Value::Null, "data", "must be an object"),
        ("/data/clientId", json!(7), "data.clientId", "must be a string"),
        (
            "/data/clientId",
            json!("7"),
            "data.clientId",
            "must be 24 hex digits",
        ),
        (
            "/data/agentIds",
            json!("x"),
            "data.agentIds",
            "must be an array of strings",
        ),
        (
            "/data/agentIds",
            json!([7]),
            "data.agentIds",
            "must be an array of strings",
        ),
        (
            "/data/agentIds",
            json!(["x"]),
            "data.agentIds",
            "must be 24 hex digits each",
        ),
        (
            "/data/selectedProduct/productId",
            json!("price_1"),
            "data.selectedProduct.productId",
            "must be a product id (prod_…)",
        ),
        (
            "/data/selectedProduct/startDate",
            json!("2026-05-01"),
            "data.selectedProduct.startDate",
            "must be an integer",
        ),
        (
            "/data/selectedProduct/startDate",
            json!(1_775_001_600 - 301),
            "data.selectedProduct.startDate",
            "must not be more than 5 minutes in the past",
        ),
        (
            "/data/selectedProduct/startDate",
            json!(1_777_593_600_000_i64),
            "data.selectedProduct.startDate",
            "must not be more than 5 years ahead",
        ),
        (
            "/data/selectedProduct/pricing",
            json!({}),
            "data.selectedProduct.pricing.metrics",
            "is required",
        ),
        (
            "/data/selectedProduct/pricing/metrics",
            json!("hours"),
            "data.selectedProduct.pricing.metrics",
            r#"must be "minutes", "interactions" or "conversations""#,
        ),
    ] {
        let answer = north.sells(&with(&north, pointer, value)).await;
        assert_eq!(answer.status, 400, "{pointer}: {answer}");
        assert_eq!(
            answer.body["error"]["fieldErrors"],
            json!({ field: [fault] }),
            "{pointer}"
        );
    }
    assert!(north.schedules().await.is_empty());
}

/// A date that nobody means, in milliseconds, hides nothing and is hidden by nothing: beside what is wrong with the body, and beside agents that are
/// not the agency's.
#[tokio::test]
async fn a_start_that_nobody_means_is_told_with_the_rest() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let start = "/data/selectedProduct/startDate";
    let far = json!(1_777_593_600_000_i64);
    let fault = "must not be more than 5 years ahead";
    for (client, agent) in [
        ("7", ("data.clientId", "must be 24 hex digits")),
        (
            "0123456789abcdef01234567",
            ("data.agentIds", "agent 0123456789abcdef01234567 does not exist"),
        ),
    ] {
        let mut order = with(&north, start, far.clone());
        order["data"]["agentIds"][0] = json!("0123456789abcdef01234567");
        if client == "7" {
            order["data"]["clientId"] = json!(client);
        }
        let told = north.sells(&order).await;
        let (field, other) = agent;
        assert_eq!(
            (told.status, &told.body["error"]["fieldErrors"]),
            (
                400,
                &json!({ "data.selectedProduct.startDate": [fault], field: [other] })
            ),
            "{told}"
        );
    }
    let id = north.sells(&north.order(NEXT_MONTH)).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let faults = |answer: billing_tests::Answer| {
        assert_eq!(answer.status, 400, "{answer}");
        answer.body["error"]["fieldErrors"].clone()
    };
    let wish = json!({ "startDate": far, "productId": "price_1" });
    assert_eq!(
        faults(north.updates(&id, &wish).await),
        json!({ "data.startDate": [fault], "data.productId": ["must be a product id (prod_…)"] })
    );
    let wish = json!({ "startDate": far, "productId": "prod_none" });
    assert_eq!(
        faults(north.updates(&id, &wish).await),
        json!({ "data.startDate": [fault], "data.productId": ["does not exist"] })
    );
}

/// Product, date and tax of an update are judged together, before it begins and while it runs.
#[tokio::test]
async fn every_fault_of_an_update_is_told_at_once() {
    let world = World::at(NOW).await;
    for start in [NEXT_MONTH, NOW] {
        let north = world.agency().await;
        let sold = north.sells(&north.order(start)).await;
        let id = sold.body["id"].as_str().unwrap();
        let mut wish =
            json!({ "productId": "prod_none", "startDate": 1000, "taxSettings": { "enabled": true } });
        let mut faults = json!({
            "data.productId": ["does not exist"],
            "data.startDate": ["must not be more than 5 minutes in the past"],
            "data.taxSettings.country": ["is required until the client's country is known"],
        });
        for member in ["startDate", "productId", "taxSettings"] {
            let told = north.updates(id, &wish).await;
            assert_eq!(
                (told.status, &told.body["error"]["fieldErrors"]),
                (400, &faults),
                "{wish}: {told}"
            );
            wish.as_object_mut().unwrap().remove(member);
            let faults = faults.as_object_mut().unwrap();
            faults.retain(|field, _| !field.contains(member));
        }
        assert_eq!(north.sales().await[0].amendments, 0);
    }
}

#[tokio::test]
async fn what_the_account_does_not_sell_is_refused_by_its_field() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let field = "data.selectedProduct.productId";
    let product = "/data/selectedProduct/productId";
    let two = north.offers("Two", 1000).await;
    let form = format!("product={two}&currency=usd&unit_amount=2000&recurring[interval]=month");
    north.at_stripe("POST", "/v1/prices", &form).await;
    let bare = north.at_stripe("POST", "/v1/products", "name=Bare").await;
    let archived = north.offers("Archived", 1000).await;
    north
        .at_stripe("POST", &format!("/v1/products/{archived}"), "active=false")
        .await;
    let once = "percent_off=50&duration=once&id=";
    let past = format!("{once}PAST&redeem_by={}", 1_775_001_600 + 60);
    north.at_stripe("POST", "/v1/coupons", &past).await;
    let other = format!("{once}OTHER&applies_to[products][0]={two}");
    north.at_stripe("POST", "/v1/coupons", &other).await;
    let euros = "amount_off=100&currency=eur&duration=once&id=";
    for form in [
        format!("{euros}EURO"),
        format!("{euros}BOTH&currency_options[usd][amount_off]=100"),
    ] {
        north.at_stripe("POST", "/v1/coupons", &form).await;
    }
    world.advance("2m").await;
    for (order, field, fault) in [
        (with(&north, product, json!("prod_none")), field, "does not exist"),
        (with(&north, product, json!(archived)), field, "is not active"),
        (
            with(&north, product, bare["id"].clone()),
            field,
            "must have exactly one active flat recurring price",
        ),
        (
            with(&north, product, json!(two)),
            field,
            "must have exactly one active flat recurring price",
        ),
        (
            with(
                &north,
                "/data/selectedProduct/pricing/metrics",
                json!("interactions"),
            ),
            field,
            "does not count what is asked for",
        ),
        (
            and(&north, "couponId", json!("NONE")),
            "data.couponId",
            "does not exist",
        ),
        (
            and(&north, "couponId", json!("PAST")),
            "data.couponId",
            "is not valid any more",
        ),
        (
            and(&north, "couponId", json!("OTHER")),
            "data.couponId",
            "does not apply to this product",
        ),
        (
            and(&north, "couponId", json!("EURO")),
            "data.couponId",
            "does not apply to this product",
        ),
        (
            and(&north, "taxSettings", json!({ "enabled": true })),
            "data.taxSettings.country",
            "is required until the client's country is known",
        ),
    ] {
        let answer = north.sells(&order).await;
        assert_eq!(answer.status, 400, "{answer}");
        assert_eq!(answer.body["error"]["fieldErrors"], json!({ field: [fault] }));
    }
    assert!(north.schedules().await.is_empty() && north.customers().await.is_empty());
    let both = north.sells(&and(&north, "couponId", json!("BOTH"))).await;
    assert_eq!((both.status, &both.body["coupon"]), (200, &json!("BOTH")));
}

/// What is written down of a sale has a limit: more agents, with longer names, than fit are a fault of the request.
#[tokio::test]
async fn more_agents_than_can_be_written_down_are_refused() {
    let world = World::at(NOW).await;
    let mut north = world.agency().await;
    let name: billing_core::contact::Name = "🐦".repeat(256).parse().unwrap();
    let store = world.stack().app.store();
    north.agents.clear();
    for number in 0..450 {
        let agent = billing_core::connect::Agent {
            id: format!("{number:024x}").parse().unwrap(),
            name: name.clone(),
            client: None,
            created_at: world.now(),
        };
        north.agents.push(agent.id.to_string());
        store.put_agent(&north.id.parse().unwrap(), &agent).await.unwrap();
    }
    let answer = north.sells(&north.order(NEXT_MONTH)).await;
    assert_eq!(
        answer,
        r#"400 {"error":{"fieldErrors":{"data.agentIds":["are too many for one order"]},"formErrors":[]}}"#
    );
    north.agents.truncate(190);
    assert_eq!(north.sells(&north.order(NEXT_MONTH)).await.status, 200);
}

/// Stripe bills a customer in one currency.
#[tokio::test]
async fn a_client_pays_in_one_currency() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    assert_eq!(north.sells(&north.order(NOW)).await.status, 200);
    // Its first bill is final after an hour.
    world.advance("2h").await;
    let product = north.at_stripe("POST", "/v1/products", "name=Voix").await;
    let product = product["id"].as_str().unwrap();
    let form = format!("product={product}&currency=eur&unit_amount=2000&recurring[interval]=month");
    north.at_stripe("POST", "/v1/prices", &form).await;
    for start in ["2026-04-01T02:00:00Z", NEXT_MONTH] {
        let mut order = north.order(start);
        order["data"]["selectedProduct"]["productId"] = json!(product);
        assert_eq!(
            north.sells(&order).await,
            r#"400 {"error":{"fieldErrors":{"data.selectedProduct.productId":["is in another currency than the client pays in"]},"formErrors":[]}}"#
        );
    }
    assert_eq!((north.schedules().await.len(), north.sales().await.len()), (1, 1));
}

#[tokio::test]
async fn a_client_without_an_admin_member_cannot_be_sold_to() {
    let world = World::at(NOW).await;
    let mut north = world.agency().await;
    let client = billing_core::connect::Client {
        id: "0123456789abcdef01234567".parse().unwrap(),
        name: None,
        admin_email: None,
        created_at: world.now(),
    };
    let store = world.stack().app.store();
    store
        .put_client(&north.id.parse().unwrap(), &client)
        .await
        .unwrap();
    north.client = client.id.to_string();
    assert_eq!(
        north.sells(&north.order(NEXT_MONTH)).await.body["error"]["fieldErrors"],
        json!({ "data.clientId": ["has no admin member with an e-mail address"] })
    );
}

#[tokio::test]
async fn what_is_no_order_and_no_page_is_refused() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let mut request = north.request("POST", "", &json!({}));
    request.headers_mut().remove("content-type");
    assert_eq!(north.sends(request).await.status, 415);
    let mut request = north.request("POST", "", &Value::Null);
    *request.body_mut() = "{".into();
    assert_eq!(north.sends(request).await.status, 400);
    let mut request = north.request("POST", "", &Value::Null);
    *request.body_mut() = vec![b'x'; 65 * 1024].into();
    assert_eq!(north.sends(request).await.status, 413);
    let mut request = north.request("POST", "", &Value::Null);
    request
        .headers_mut()
        .insert("authorization", "sk_test_1".parse().unwrap());
    let answer = north.sends(request).await;
    assert_eq!(answer, r#"401 {"error":"missing or invalid API key"}"#);
    for query in [
        "?status=cancelled",
        "?limit=0",
        "?limit=101",
        "?limit=ten",
        "?starting_after=in_1",
        "?starting_after=sub_sched_1",
        "?status=scheduled&starting_after=sub_1",
    ] {
        assert_eq!(north.lists(query).await.status, 400, "{query}");
    }
    // Of the right form, and nothing on the account.
    for query in [
        "?starting_after=sub_none",
        "?status=scheduled&starting_after=sub_sched_none",
    ] {
        assert_eq!(
            north.lists(query).await,
            r#"400 {"error":{"fieldErrors":{"starting_after":["must be the next_cursor of a page of the same status"]},"formErrors":[]}}"#,
            "{query}"
        );
    }
    let sold = north.sells(&north.order(NEXT_MONTH)).await;
    let id = sold.body["id"].as_str().unwrap();
    for data in [
        json!({ "productId": "x" }),
        json!({ "startDate": 0 }),
        json!({ "taxSettings": true }),
        json!({ "taxSettings": { "enabled": true } }),
        json!({ "cancelAtPeriodEnd": "yes" }),
    ] {
        assert_eq!(north.updates(id, &data).await.status, 400, "{data}");
    }
    assert_eq!(north.gets(id).await.body["status"], "not_started");
}

/// Support staff acts as the agency: it looks, and moves nothing.
#[tokio::test]
async fn an_impersonator_looks_and_does_not_sell() {
    let world = World::at(NOW).await;
    let mut north = world.agency().await;
    let sold = north.sells(&north.order(NEXT_MONTH)).await;
    let id = sold.body["id"].as_str().unwrap();
    let wanted = billing_admin::keys::Wanted {
        impersonator: Some("sam".to_owned()),
        ..billing_admin::keys::Wanted::full(
            billing_core::access::Holder::Agency(north.id.parse().unwrap()),
            billing_core::access::Mode::Test,
        )
    };
    let issued = billing_admin::keys::issue(world.stack().app.store(), wanted, world.now()).await;
    north.key = issued.ok().unwrap().secret.expose().to_owned();
    assert_eq!(north.gets(id).await.status, 200);
    assert_eq!(north.lists("?status=scheduled").await.status, 200);
    let refused = r#"403 {"error":"not available while impersonating"}"#;
    assert_eq!(north.sells(&north.order(NOW)).await, refused);
    assert_eq!(
        north.updates(id, &json!({ "cancelAtPeriodEnd": true })).await,
        refused
    );
    assert_eq!(north.cancels(id).await, refused);
}

/// An agency that has cut the connection at Stripe is told so, and not in Stripe's words.
#[tokio::test]
async fn an_account_that_gives_no_access_is_told_as_such() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let fault = stripe_stand_in::Fault::new(stripe_stand_in::FaultKind::Status {
        status: 403,
        code: Some("account_invalid".to_owned()),
    });
    world.stripe.stand_in().add_fault(fault.times(1000));
    let told = r#"409 {"error":"the connected account gives no access to its Stripe account"}"#;
    assert_eq!(north.sells(&north.order(NEXT_MONTH)).await, told);
    assert_eq!(north.lists("").await, told);
}

/// A cancellation that Stripe goes on refusing is told for what it is, before the start and after it; by what is wrong with our own key, nobody
/// is the wiser. It goes through when that is over.
#[tokio::test]
async fn a_cancellation_that_stripe_refuses_is_told_as_such() {
    let no_access = r#"409 {"error":"the connected account gives no access to its Stripe account"}"#;
    let restricted = r#"409 {"error":"the connected account cannot take payments at present"}"#;
    for (start, days) in [(NEXT_MONTH, "1d"), (NOW, "1d"), (NOW, "31d")] {
        let world = World::at(NOW).await;
        let north = world.agency().await;
        let sold = north.sells(&north.order(start)).await;
        let id = sold.body["id"].as_str().unwrap();
        north.client_gives_card().await;
        world.advance(days).await;
        for (status, code, told) in [
            (403, "account_invalid", no_access),
            (400, "testmode_charges_only", restricted),
            (
                401,
                "api_key_expired",
                r#"502 {"error":"the payment provider gave an unusable answer"}"#,
            ),
        ] {
            for (method, path) in [
                ("POST", "/v1/subscription_schedules/*/cancel"),
                ("DELETE", "/v1/subscriptions/*"),
            ] {
                let fault = stripe_stand_in::Fault::new(stripe_stand_in::FaultKind::Status {
                    status,
                    code: Some(code.to_owned()),
                });
                world
                    .stripe
                    .stand_in()
                    .add_fault(fault.on(method, path).times(1000));
            }
            assert_eq!(north.cancels(id).await, told, "{start}, {days}");
            world.stripe.recovers().await;
        }
        assert_eq!(north.gets(id).await.status, 200);
        assert_eq!(north.cancels(id).await.body["canceled"], true, "{start}, {days}");
    }
}

/// Stripe has restricted the account, or waits for papers of it: that is told in words, and goes through when it is over.
#[tokio::test]
async fn an_account_that_may_not_take_payments_is_told_as_such() {
    let world = World::at(NOW).await;
    let north = world.agency().await;
    let fault = stripe_stand_in::Fault::new(stripe_stand_in::FaultKind::Status {
        status: 400,
        code: Some("testmode_charges_only".to_owned()),
    });
    let of_schedules = fault.on("POST", "/v1/subscription_schedules");
    world.stripe.stand_in().add_fault(of_schedules.times(1000));
    let told = r#"409 {"error":"the connected account cannot take payments at present"}"#;
    assert_eq!(north.sells(&north.order(NEXT_MONTH)).await, told);
    world.stripe.recovers().await;
    assert_eq!(north.sells(&north.order(NEXT_MONTH)).await.status, 200);
}
