//! Bad input of every kind gets its documented answer and changes nothing.

use billing_tests::World;
use bytes::Bytes;
use serde_json::{Value, json};

const CHECKOUT: fn(&str) -> Value = |interval| json!({ "interval": interval });

#[tokio::test]
async fn all_faults_of_a_body_are_told_at_once() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let answer = ada
        .starts_checkout_with(&json!({ "interval": "weekly", "returnUrl": "/billing" }))
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        json!({ "error": { "formErrors": [], "fieldErrors": {
            "interval": ["must be \"monthly\" or \"annual\""],
            "returnUrl": ["must be an absolute URL"],
        } } })
    );
}

#[tokio::test]
async fn a_member_of_the_wrong_type_is_a_fault_of_that_member() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for wrong in [json!(null), json!(1), json!(true), json!(["monthly"]), json!({})] {
        let answer = ada.starts_checkout_with(&json!({ "interval": wrong })).await;
        assert_eq!(
            answer.to_string(),
            r#"400 {"error":{"fieldErrors":{"interval":["must be a string"]},"formErrors":[]}}"#
        );
        let answer = ada
            .starts_checkout_with(&json!({ "interval": "monthly", "returnUrl": wrong }))
            .await;
        assert_eq!(
            answer.body["error"]["fieldErrors"]["returnUrl"],
            json!(["must be a string"])
        );
    }
    for wrong in [
        "",
        "Monthly",
        "MONTHLY",
        " monthly",
        "monthly ",
        "yearly",
        "month\u{0}ly",
    ] {
        assert_eq!(ada.starts_checkout(wrong).await.status, 400, "{wrong:?}");
    }
    assert_eq!(world.stripe.customers(&ada).await.len(), 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_as_a_whole() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let deep = "[".repeat(10_000);
    for (body, fault) in [
        (&b""[..], "the body is not valid JSON"),
        (b"{", "the body is not valid JSON"),
        (b"{\"interval\":\"monthly\"", "the body is not valid JSON"),
        (b"{\"interval\":\"monthly\"} x", "the body is not valid JSON"),
        (b"{\"interval\":\"\xff\"}", "the body is not valid JSON"),
        (b"{\"interval\":NaN}", "the body is not valid JSON"),
        (deep.as_bytes(), "the body is not valid JSON"),
        (b"[]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"\"monthly\"", "the body must be a JSON object"),
    ] {
        let mut request = ada.checkout_request(&CHECKOUT("monthly"));
        *request.body_mut() = Bytes::copy_from_slice(body);
        let answer = ada.sends(request).await;
        assert_eq!(answer.status, 400, "{:?}", String::from_utf8_lossy(body));
        assert_eq!(answer.body["error"]["formErrors"], json!([fault]));
    }
}

/// 64 KiB are read, one byte more is not.
#[tokio::test]
async fn a_body_over_64_kib_is_too_large() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let padded = |length: usize| {
        let frame = r#"{"interval":"monthly","x":""}"#;
        let body = format!(
            r#"{{"interval":"monthly","x":"{}"}}"#,
            "x".repeat(length - frame.len())
        );
        assert_eq!(body.len(), length);
        body
    };
    for (length, status) in [(65_537, 413), (65_536, 200)] {
        let mut request = ada.checkout_request(&CHECKOUT("monthly"));
        *request.body_mut() = padded(length).into();
        assert_eq!(ada.sends(request).await.status, status, "{length}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_it_is_json_is_not_read() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
        ("", 415),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/vnd.api+json", 200),
    ] {
        let mut request = ada.checkout_request(&CHECKOUT("monthly"));
        request
            .headers_mut()
            .insert("content-type", content_type.parse().unwrap());
        assert_eq!(ada.sends(request).await.status, status, "{content_type}");
    }
    let mut request = ada.checkout_request(&CHECKOUT("monthly"));
    request.headers_mut().remove("content-type");
    assert_eq!(
        ada.sends(request).await,
        r#"415 {"error":"the body must be application/json"}"#
    );
}

/// The quantity is what the account has: three numbers, whatever the body says.
#[tokio::test]
async fn a_quantity_in_the_body_is_ignored() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(3).await;
    let secret = ada
        .starts_checkout_with(&json!({ "interval": "monthly", "quantity": 1, "price": "x" }))
        .await
        .client_secret();
    world.stripe.pays(&secret).await;
    assert_eq!(ada.ledger().await[0].amount.minor, 3000);
}

#[tokio::test]
async fn a_return_url_is_sent_as_it_came() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let url = "https://app.example.com/{CHECKOUT_SESSION_ID}?id={CHECKOUT_SESSION_ID}&x=%7B";
    let answer = ada
        .starts_checkout_with(&json!({ "interval": "monthly", "returnUrl": url }))
        .await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(world.stripe.sessions(&ada).await[0]["return_url"], url);
}

#[tokio::test]
async fn events_that_are_not_stripes_are_refused_with_one_text() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let payload = json!({ "id": "evt_1", "type": "invoice.paid", "livemode": false }).to_string();
    let now = world.now();
    let earlier = "2026-03-31T23:54:59Z".parse().unwrap();
    let secret = &world.stack().directory.webhook_secret;
    let good = billing_stripe::webhook::sign(payload.as_bytes(), secret, now);
    for signature in [
        String::new(),
        "t=1,v1=00".to_owned(),
        billing_stripe::webhook::sign(payload.as_bytes(), "whsec_other", now),
        billing_stripe::webhook::sign(payload.as_bytes(), secret, earlier),
        billing_stripe::webhook::sign(b"another payload", secret, now),
        good.replace("v1=", "v0="),
    ] {
        let answer = world.posts_event(&payload, &signature).await;
        assert_eq!(answer, r#"400 {"error":"invalid signature"}"#, "{signature}");
    }
    assert_eq!(
        world.posts_event(&payload, &good).await.status,
        500,
        "signed, and names no invoice: it must be seen"
    );
    for no_event in [
        "",
        "[]",
        "{}",
        "not json",
        r#"{"id":"../x","type":"a","livemode":false}"#,
    ] {
        let signature = billing_stripe::webhook::sign(no_event.as_bytes(), secret, now);
        let answer = world.posts_event(no_event, &signature).await;
        assert_eq!(answer, r#"400 {"error":"invalid payload"}"#, "{no_event}");
    }
}

/// Browsers read such an address, and Stripe does not: the fault is told before anything is given up for it.
#[tokio::test]
async fn a_return_url_that_stripe_would_refuse_costs_nothing() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    for url in [
        "/x#y#z",
        "/%zz",
        "/100%",
        "/<x>",
        "/a|b",
        "/a^b",
        "/`",
        "/?q=\"x\"",
        "/a\\b",
        "/a b",
    ] {
        let url = format!("https://app.example.com{url}");
        let answer = ada
            .starts_checkout_with(&json!({ "interval": "annual", "returnUrl": url }))
            .await;
        assert_eq!(
            answer,
            r#"400 {"error":{"fieldErrors":{"returnUrl":["must be an absolute URL"]},"formErrors":[]}}"#,
            "{url}"
        );
    }
    for url in ["https:///app.example.com/x", "https:////app.example.com/x"] {
        let answer = ada
            .starts_checkout_with(&json!({ "interval": "annual", "returnUrl": url }))
            .await;
        assert_eq!(answer.status, 400, "{url}: {answer}");
    }
    let payable = world.stripe.payable_sessions(&ada).await;
    assert_eq!((payable.len(), &payable[0]["client_secret"]), (1, &json!(secret)));
}

/// API Gateway hands on what it was sent as host, and nothing reads it.
#[tokio::test]
async fn a_host_that_is_none_is_answered() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for host in ["<x>", "a%zz", "a.example, b.example", ""] {
        let mut request = ada.checkout_request(&CHECKOUT("monthly"));
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(ada.sends(request).await.status, 200, "{host}");
    }
}

/// What Stripe takes for an address it does not document. What it refuses of a caller's is the caller's fault, and of the deployment's is not.
#[tokio::test]
async fn a_return_url_that_stripe_refuses_is_a_fault_of_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let refusal = r#"{"error":{"type":"invalid_request_error","code":"url_invalid","param":"return_url","message":"Not a valid URL"}}"#;
    let own = json!({ "interval": "monthly", "returnUrl": "https://app.example.com/[x]" });
    for (body, status) in [(own, 400), (json!({ "interval": "monthly" }), 502)] {
        let machine = world.machine().await;
        machine.network.tells("POST /v1/checkout/sessions", 400, refusal);
        let answer = machine.call(ada.checkout_request(&body)).await.unwrap();
        assert_eq!(answer.status, status, "{answer}");
        if status == 400 {
            assert_eq!(
                answer.body["error"]["fieldErrors"]["returnUrl"],
                json!(["must be an absolute URL"])
            );
        }
    }
    ada.starts_checkout("monthly").await.client_secret();
}
