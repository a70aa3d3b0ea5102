//! The whole stack, as a script or a person meets it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use billing_admin::command::{CommandLine, Task};
use billing_admin::{connection, local};
use bytes::Bytes;
use clap::Parser;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stripe_stand_in::Payment;
use stripe_stand_in::conformance::{Judge, Requests};

use crate::dynamodb::Embedded;
use crate::http_client::HttpClient;
use crate::{Settings, Stack, story};

/// What one start leaves to the next.
mod kept;

/// A stack with everything on free ports.
fn judged(judge: &Judge) -> Settings {
    Settings {
        witness: Some(judge.witness()),
        ..Settings::free_ports()
    }
}

/// A DynamoDB that is nobody's, and where it is.
async fn outside_database() -> String {
    let now = || "2026-04-01T00:00:00Z".parse().unwrap();
    let outside = Embedded::empty(Arc::new(now)).unwrap();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    tokio::spawn(outside.serve(port, std::future::pending()));
    url
}

/// Asks a running stack, as the demo account.
async fn ask(stack: &Stack, method: &str, path: &str, body: &Value) -> (u16, Value) {
    ask_as(stack, &stack.directory.demo.account.key, method, path, body).await
}

async fn ask_as(stack: &Stack, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", stack.directory.api))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let answer = HttpClient::default().send(request).await.unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_slice(answer.body()).unwrap(),
    )
}

/// Has the account of a key check out by the month, and pay.
async fn subscribe(stack: &Stack, key: &str) {
    let (path, wanted) = (
        "/api/v1/billing/checkout/subscription",
        json!({ "interval": "monthly" }),
    );
    let checkout = ask_as(stack, key, "POST", path, &wanted).await.1;
    let secret = checkout["clientSecret"].as_str().unwrap();
    let session = secret.split("_secret_").next().unwrap();
    let stand_in = stack.stand_in.as_ref().unwrap();
    stand_in.pay_session(session, Payment::Succeed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_as_it_is_told() {
    let judge = Judge::new(Requests::All);
    let stack = Stack::start(judged(&judge)).await.unwrap();
    let mut told = Vec::new();
    story::tell(&stack.directory, &mut told).await.unwrap();
    assert!(
        String::from_utf8(told)
            .unwrap()
            .ends_with("Everything is as told.\n")
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_outside_serves_one_stack_after_another() {
    let judge = Judge::new(Requests::All);
    let url = outside_database().await;
    for _ in 0..2 {
        let settings = Settings {
            dynamodb_url: Some(url.clone()),
            ..judged(&judge)
        };
        let stack = Stack::start(settings).await.unwrap();
        // Nothing that the first stack left behind stands in the second one's way.
        story::tell(&stack.directory, &mut Vec::new()).await.unwrap();
        stack.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_keeps_the_accounts_stripe_and_the_clock() {
    let judge = Judge::new(Requests::All);
    let dir = std::env::temp_dir().join(format!("local-stack-{}", std::process::id()));
    let settings = || Settings {
        data: Some(dir.clone()),
        ..judged(&judge)
    };
    let billing = async |stack: &Stack| ask(stack, "GET", "/api/v1/billing", &Value::Null).await.1;
    let clock = async |stack: &Stack| ask(stack, "GET", "/_local/clock", &Value::Null).await.1;
    let stack = Stack::start(settings()).await.unwrap();
    let key = stack.directory.demo.account.key.clone();
    story::tell(&stack.directory, &mut Vec::new()).await.unwrap();
    let (covered, then) = (billing(&stack).await, clock(&stack).await);
    stack.stop().await.unwrap();

    let stack = Stack::start(settings()).await.unwrap();
    assert_ne!(stack.directory.demo.account.key, key, "demo keys are made anew");
    let now = clock(&stack).await;
    assert!(
        now["now"].as_str() >= then["now"].as_str(),
        "{now} is before {then}"
    );
    assert_eq!(billing(&stack).await, covered);
    // Stripe renews what was subscribed before, and tells the new address.
    ask(&stack, "POST", "/_local/clock", &json!({ "advance": "370d" })).await;
    let renewed = billing(&stack).await;
    assert!(
        renewed["coveredUntil"].as_str() > covered["coveredUntil"].as_str(),
        "{renewed}"
    );
    stack.stop().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    let judge = Judge::new(Requests::All);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let told = match Stack::start(Settings {
        stripe_port: port,
        ..judged(&judge)
    })
    .await
    {
        Ok(_) => panic!("started"),
        Err(error) => error.to_string(),
    };
    assert!(
        told.starts_with(&format!("port {port} for the Stripe stand-in")),
        "{told}"
    );
    assert!(told.contains("--stripe-port"), "{told}");
}

/// A stack that is told what a deployment may choose.
fn choosing(judge: &Judge, name: &str, value: &str) -> Settings {
    Settings {
        choices: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        sellers: false,
        ..judged(judge)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_may_choose_reaches_the_functions_and_a_wrong_choice_is_named() {
    let judge = Judge::new(Requests::All);
    let stack = Stack::start(choosing(&judge, "CHECKOUT_PROMOTION_CODES", "true"))
        .await
        .unwrap();
    let wish = json!({ "interval": "monthly" });
    let (status, _) = ask(&stack, "POST", "/api/v1/billing/checkout/subscription", &wish).await;
    assert_eq!(status, 200);
    let asked = Request::get(format!("{}/_test/requests", stack.directory.stripe));
    let asked = HttpClient::default()
        .send(asked.body(Bytes::new()).unwrap())
        .await
        .unwrap();
    let asked = String::from_utf8(asked.body().to_vec()).unwrap();
    assert!(asked.contains("allow_promotion_codes"), "{asked}");
    stack.stop().await.unwrap();

    for (name, value) in [("CHECKOUT_AUTOMATIC_TAX", "yes"), ("RETURN_HOSTS", " ,")] {
        let Err(told) = Stack::start(choosing(&judge, name, value)).await else {
            panic!("{name} is {value:?}");
        };
        assert!(told.to_string().contains(name), "{told}");
    }
}

/// What the documents order is what the example catalog has, and the demo organisation sells that: as written it is answered as
/// `events/README.md` says.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_documents_order_of_the_example_catalog_is_sold() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let body = |file: &str| {
        let event: Value = serde_json::from_str(&text(file)).unwrap();
        event["body"].as_str().unwrap().to_owned()
    };
    let contract: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text("docs/openapi.yaml")).unwrap();
    let content = &contract["paths"]["/checkouts"]["post"]["requestBody"]["content"]["application/json"];
    let example = serde_json::to_string(&content["examples"]["plan"]["value"]).unwrap();

    let judge = Judge::new(Requests::All);
    let stack = Stack::start(judged(&judge)).await.unwrap();
    let organisation = stack.directory.demo.organisation.as_ref().unwrap();
    for (path, body, status) in [
        (
            "/checkouts/preview",
            body("events/preview-checkout-session.json"),
            200,
        ),
        ("/checkouts", body("events/create-checkout-session.json"), 201),
        (
            "/checkouts",
            body("events/create-checkout-session.unauthorized.json"),
            201,
        ),
        ("/checkouts", example, 201),
    ] {
        let request = Request::post(format!("{}{path}", stack.directory.api))
            .header("content-type", "application/json")
            .header("x-api-key", &organisation.key)
            .header("organisation", organisation.id.as_str())
            .body(Bytes::from(body.clone()))
            .unwrap();
        let answer = HttpClient::default().send(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path} {body}: {answer:?}");
    }
    stack.stop().await.unwrap();
}

/// Whoever says nothing else returns to the stack itself, which nobody who chooses hosts thinks of.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_whose_payers_may_return_to_some_hosts_alone_starts() {
    let judge = Judge::new(Requests::All);
    let stack = Stack::start(choosing(&judge, "RETURN_HOSTS", "app.example.com"))
        .await
        .unwrap();
    for (return_url, expected) in [
        (Value::Null, 200),
        (json!("https://app.example.com/paid"), 200),
        (json!("https://shop.example.com/paid"), 400),
    ] {
        let mut wish = json!({ "interval": "monthly" });
        if return_url.is_string() {
            wish["returnUrl"] = return_url;
        }
        let (status, told) = ask(&stack, "POST", "/api/v1/billing/checkout/subscription", &wish).await;
        assert_eq!(status, expected, "{wish}: {told}");
    }
    stack.stop().await.unwrap();
}

/// An administrator at a stack knows its DynamoDB alone. What they do happens by the stack's clock all the same: a number that is added after
/// others were paid for is younger than they are.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_goes_by_the_clock_of_the_stack() {
    let judge = Judge::new(Requests::All);
    let settings = Settings {
        sellers: false,
        ..judged(&judge)
    };
    let stack = Stack::start(settings).await.unwrap();
    let wanted = json!({ "advance": "40d" });
    ask(&stack, "POST", "/_local/clock", &wanted).await;
    let wanted = json!({ "phoneNumbers": 2 });
    let account = ask(&stack, "POST", "/_local/accounts", &wanted).await.1;
    let (id, key) = (account["id"].as_str().unwrap(), account["key"].as_str().unwrap());
    subscribe(&stack, key).await;

    // As the binary does.
    let done = async |command: &str| {
        let words = [
            "billing-admin",
            "--json",
            "--endpoint-url",
            &stack.directory.dynamodb,
        ];
        let line = CommandLine::parse_from(words.into_iter().chain(command.split(' ')));
        let transport = billing_edge::transport();
        let store = connection::open(&line.place, transport.clone()).await.unwrap();
        let now = connection::time(&line.place, transport, Timestamp::UNIX_EPOCH).await;
        let Task::Stored(command) = line.task else {
            panic!("{command} is not about what is stored")
        };
        let mut out = Vec::new();
        billing_admin::run(&store, command, true, now, &mut out)
            .await
            .unwrap();
        let ahead = now.duration_since(stack.time.now()).abs();
        assert!(ahead <= SignedDuration::from_secs(2), "{ahead}");
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    done(&format!("account number add --account {id} +15550001111")).await;
    let billing = ask_as(&stack, key, "GET", "/api/v1/billing", &Value::Null)
        .await
        .1;
    let mode = |number: &Value| (number["number"].clone(), number["mode"].clone());
    let numbers: Vec<_> = billing["numbers"].as_array().unwrap().iter().map(mode).collect();
    assert_eq!(numbers.len(), 3, "{billing}");
    for (number, mode) in numbers {
        let expected = if number == "+15550001111" { "PAYG" } else { "FIXED" };
        assert_eq!(mode, expected, "{billing}");
    }
    let shown = done(&format!("account show {id}")).await;
    assert_eq!(shown["coveredUntil"], billing["coveredUntil"], "{shown}");
    stack.stop().await.unwrap();
}

/// A DynamoDB that is nobody's stack, and one whose stack has ended.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_goes_by_the_own_clock_where_no_stack_answers() {
    let now: Timestamp = "2026-04-01T00:00:00Z".parse().unwrap();
    let outside = Embedded::empty(Arc::new(move || now)).unwrap();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    tokio::spawn(outside.serve(port, std::future::pending()));
    assert_eq!(local::time(&url, &billing_edge::transport()).await, None);
    crate::tables::write_down(&url, "http://127.0.0.1:1")
        .await
        .unwrap();
    assert_eq!(local::time(&url, &billing_edge::transport()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_told_where_everything_is_and_may_make_accounts_and_move_the_clock() {
    let judge = Judge::new(Requests::All);
    let stack = Stack::start(judged(&judge)).await.unwrap();
    let (status, whole) = ask(&stack, "GET", "/_local", &Value::Null).await;
    assert_eq!(status, 200);
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        members(&whole),
        [
            "api",
            "clock",
            "demo",
            "dynamodb",
            "stripe",
            "stripeKey",
            "webhookSecret"
        ]
    );
    let demo = &whole["demo"];
    assert_eq!(
        members(demo),
        [
            "account",
            "agency",
            "emptyAccount",
            "organisation",
            "promotionCode"
        ]
    );
    assert_eq!(
        members(&demo["account"]),
        ["id", "impersonatedKey", "key", "phoneNumbers"]
    );
    assert_eq!(members(&demo["emptyAccount"]), ["id", "key"]);
    assert_eq!(
        members(&demo["agency"]),
        [
            "accountId",
            "agentIds",
            "clientId",
            "couponId",
            "id",
            "key",
            "productId"
        ]
    );
    let organisation = &demo["organisation"];
    assert_eq!(
        members(organisation),
        ["businessEntityId", "customerId", "id", "key", "plans"]
    );
    assert_eq!(
        members(&organisation["plans"]),
        ["business", "starter", "team", "team-annual"]
    );

    let (status, account) = ask(&stack, "POST", "/_local/accounts", &json!({ "phoneNumbers": 2 })).await;
    assert_eq!(
        (status, members(&account)),
        (200, ["id", "impersonatedKey", "key"].map(String::from).to_vec())
    );

    let (status, refused) = ask(
        &stack,
        "POST",
        "/_local/clock",
        &json!({ "set": "2020-01-01T00:00:00Z" }),
    )
    .await;
    assert_eq!(status, 400, "{refused}");
    let (status, nothing) = ask(&stack, "GET", "/_local/nothing", &Value::Null).await;
    assert_eq!(status, 404, "{nothing}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_route_is_not_found_in_api_gateways_words() {
    let judge = Judge::new(Requests::All);
    let stack = Stack::start(judged(&judge)).await.unwrap();
    let not_found = (404, json!({ "message": "Not Found" }));
    assert_eq!(
        ask(&stack, "GET", "/api/v1/unknown", &Value::Null).await,
        not_found
    );
    assert_eq!(
        ask(&stack, "DELETE", "/api/v1/billing", &Value::Null).await,
        not_found
    );
    assert_eq!(ask(&stack, "GET", "/_localhost", &Value::Null).await, not_found);
    stack.stop().await.unwrap();
}

/// Stripe goes back to the catalog; the database remembers. Nothing that it remembers may stand in the way of what comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_whose_stripe_was_reset_goes_on() {
    let judge = Judge::new(Requests::All);
    let stack = Stack::start(judged(&judge)).await.unwrap();
    let stand_in = stack.stand_in.clone().unwrap();
    let subscribed = async || {
        let account = ask(&stack, "POST", "/_local/accounts", &json!({ "phoneNumbers": 1 }))
            .await
            .1;
        let key = account["key"].as_str().unwrap();
        subscribe(&stack, key).await;
        let events: BTreeSet<String> = stand_in
            .events()
            .iter()
            .map(|event| event["id"].to_string())
            .collect();
        let billing = ask_as(&stack, key, "GET", "/api/v1/billing", &Value::Null)
            .await
            .1;
        assert!(billing["coveredUntil"].is_string(), "{billing}");
        events
    };
    let catalog: BTreeSet<String> = stand_in
        .events()
        .iter()
        .map(|event| event["id"].to_string())
        .collect();
    let before = &subscribed().await - &catalog;
    let reset = Request::post(format!("{}/_test/reset", stack.directory.stripe)).body(Bytes::new());
    assert_eq!(
        HttpClient::default().send(reset.unwrap()).await.unwrap().status(),
        200
    );
    assert_eq!(
        stand_in.call("GET", "/v1/subscriptions", &json!({}), None).1["data"],
        json!([])
    );
    let after = &subscribed().await - &catalog;
    assert!(
        after.is_disjoint(&before),
        "an event under an old id would be taken for one that has landed"
    );
    stack.stop().await.unwrap();
}
