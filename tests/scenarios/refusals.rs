//! Every refusal of the checkout, and that a refusal changes nothing.

use billing_tests::{Account, World, log};
use serde_json::json;

const UNAUTHORISED: &str = r#"401 {"error":"missing or invalid API key"}"#;

/// Nothing at Stripe, nothing reserved.
async fn nothing_happened(world: &World, account: &Account<'_>) {
    assert_eq!(world.stripe.customers(account).await.len(), 0);
    assert_eq!(world.stripe.sessions(account).await.len(), 0);
    assert_eq!(account.stored().await.profile.checkouts, 0);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let unknown = format!("sk_test_{}", "0".repeat(64));
    let live = ada.key.replace("sk_test_", "sk_live_");
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        &ada.key,
        &format!("Basic {}", ada.key),
        &format!("Bearer {unknown}"),
        &format!("Bearer {live}"),
        &format!("Bearer {}0", ada.key),
        &format!("Bearer {0},Bearer {0}", ada.key),
        &format!("Bearer {}", ada.key.to_uppercase()),
        "Bearer sk_test_\u{e9}",
    ] {
        let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
        request.headers_mut().remove("authorization");
        if !authorization.is_empty() {
            let value = http::HeaderValue::from_bytes(authorization.as_bytes()).unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let answer = ada.sends(request).await;
        assert_eq!(answer, UNAUTHORISED, "{authorization}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_ne!(answer.header("x-request-id"), "");
    }
    nothing_happened(&world, &ada).await;
}

#[tokio::test]
async fn the_scheme_is_spelt_in_any_case() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
    request
        .headers_mut()
        .insert("authorization", format!("bearer {}", ada.key).parse().unwrap());
    assert_eq!(ada.sends(request).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_from_then_on() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    assert_eq!(ada.billing().await.status, 200);
    ada.revokes_its_key().await;
    assert_eq!(ada.billing().await, UNAUTHORISED);
    assert_eq!(ada.starts_checkout("monthly").await, UNAUTHORISED);
    nothing_happened(&world, &ada).await;
}

#[tokio::test]
async fn a_key_that_may_only_read_starts_no_checkout() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut ada = world.account(1).await;
    ada.uses_a_key_that_may_only_read().await;
    assert_eq!(ada.billing().await.status, 200);
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"403 {"error":"the API key lacks the scope billing:write"}"#
    );
    nothing_happened(&world, &ada).await;
}

/// Nor tries it unseen: the log names who it was, and the answer does not.
#[tokio::test]
async fn an_impersonator_starts_no_checkout() {
    log::keeps();
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut ada = world.account(1).await;
    ada.key = ada.impersonated_key.clone();
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"403 {"error":"not available while impersonating"}"#
    );
    nothing_happened(&world, &ada).await;
    let log = log::kept();
    assert!(log.contains("attempt while impersonated by sam.support"), "{log}");
}

#[tokio::test]
async fn without_phone_numbers_there_is_nothing_to_subscribe() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(0).await;
    assert_eq!(
        ada.starts_checkout("monthly").await,
        r#"400 {"error":"the account has no phone numbers to subscribe"}"#
    );
    nothing_happened(&world, &ada).await;
}

#[tokio::test]
async fn a_live_subscription_bars_another() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.subscriber(1, "monthly").await;
    for interval in ["monthly", "annual"] {
        assert_eq!(
            ada.starts_checkout(interval).await,
            r#"409 {"error":"the account already has a subscription"}"#
        );
    }
    assert_eq!(world.stripe.subscriptions(&ada).await.len(), 1);
}

/// Paid, and the event is still on its way: whoever asks again, with the same intent or another, must not pay twice.
#[tokio::test]
async fn a_checkout_that_was_just_paid_bars_another_before_its_event_arrives() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.stripe.checks_out(&secret, "succeed").await;
    for interval in ["monthly", "annual"] {
        assert_eq!(
            ada.starts_checkout(interval).await,
            r#"409 {"error":"a checkout was just completed; the subscription is being set up"}"#
        );
    }
    world.stripe.holds_events(false).await;
    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z");
    assert_eq!(world.stripe.subscriptions(&ada).await.len(), 1);
}

/// The events of a paid checkout are lost for two days, longer than the reservation lives. The profile still remembers the session,
/// so Stripe is asked before a second one is made.
#[tokio::test]
async fn a_paid_checkout_bars_another_even_when_its_events_are_lost() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.holds_events(true).await;
    world.stripe.checks_out(&secret, "succeed").await;
    world.advance("2d").await;
    assert_eq!(ada.starts_checkout("monthly").await.status, 409);
    assert_eq!(ada.starts_checkout("annual").await.status, 409);
    assert_eq!(world.stripe.sessions(&ada).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_path_and_another_method_are_not_found() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for (method, path) in [
        ("GET", "/api/v1/billing/checkout/subscription"),
        ("POST", "/api/v1/billing"),
        ("GET", "/"),
        ("GET", "/api/v1/billing/"),
        ("POST", "/stripe/webhook/x"),
    ] {
        let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(
            ada.sends(request).await,
            r#"404 {"message":"Not Found"}"#,
            "{method} {path}"
        );
    }
}

/// The documented envelope for those who do not ask for anything else, RFC 9457 for those who do.
#[tokio::test]
async fn a_problem_is_told_as_problem_json_on_request() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(0).await;
    let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
    request.headers_mut().insert(
        "accept",
        "application/problem+json, application/json;q=0.5"
            .parse()
            .unwrap(),
    );
    let answer = ada.sends(request).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(
        answer.body,
        json!({
            "type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "the account has no phone numbers to subscribe",
        })
    );
    let mut request = ada.checkout_request(&json!({}));
    request
        .headers_mut()
        .insert("accept", "application/problem+json".parse().unwrap());
    let answer = ada.sends(request).await;
    assert_eq!(
        answer.body["errors"]["fieldErrors"],
        json!({ "interval": ["is required"] })
    );
}

/// As RFC 9110 has them, whose words for two of them are not the ones that most libraries know.
#[tokio::test]
async fn a_problem_has_the_title_of_its_status() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let asks = async |key: &str, interval: &str| {
        let mut request = ada.checkout_request(&json!({ "interval": interval }));
        let headers = request.headers_mut();
        headers.insert("accept", "application/problem+json".parse().unwrap());
        headers.insert("idempotency-key", key.parse().unwrap());
        let answer = ada.sends(request).await;
        (answer.status, answer.body["title"].clone())
    };
    asks("once", "monthly").await;
    assert_eq!(
        asks("once", "annual").await,
        (422, json!("Unprocessable Content"))
    );
    let large = "x".repeat(70_000);
    assert_eq!(asks("twice", &large).await, (413, json!("Content Too Large")));
    let wrong = asks("thrice", "weekly").await;
    assert_eq!(wrong, (400, json!("Bad Request")));
}

/// A weight of nothing is a no, in either case.
#[tokio::test]
async fn a_problem_is_not_told_as_problem_json_to_who_does_not_take_it() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(0).await;
    for (weight, is_taken) in [
        ("q=0", false),
        ("Q=0", false),
        ("Q=0.000", false),
        ("q=0.", false),
        ("Q=0.001", true),
        ("Q=1", true),
        ("x=0", true),
    ] {
        let mut request = ada.checkout_request(&json!({ "interval": "monthly" }));
        let accept = format!("application/problem+json; {weight}");
        request.headers_mut().insert("accept", accept.parse().unwrap());
        let told = ada.sends(request).await;
        let is_told = told.header("content-type") == "application/problem+json";
        assert_eq!(is_told, is_taken, "{weight}");
    }
}

/// Stripe refuses for a while: nothing is half-visible, and the next attempt goes through.
#[tokio::test]
async fn stripes_failures_are_told_as_ours_and_leave_nothing_in_the_way() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for (status, told) in [(500, 503), (503, 503), (429, 503)] {
        world.stripe.fails("POST", "/v1/checkout/sessions", status).await;
        let answer = ada.starts_checkout("monthly").await;
        assert_eq!(answer.status, told, "Stripe's {status}: {answer}");
        assert_eq!(
            answer.body,
            json!({ "error": "temporarily unavailable, please try again" })
        );
        assert_ne!(answer.header("retry-after"), "");
        world.stripe.recovers().await;
    }
    ada.starts_checkout("monthly").await.client_secret();
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
}

/// An operator archived the monthly price, or the product that both prices are of. That is 502 for whoever wants it, and in nobody's way who wants
/// another price, and gone with its cause. What a number costs is told all the same.
#[tokio::test]
async fn an_intent_that_stripe_refuses_is_not_in_the_way_of_others() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    let price = format!("/v1/prices/{}", world.stack().variables["PRICE_MONTHLY"]);
    let sold = world.stripe.operator("GET", &price, "").await;
    let product = format!("/v1/products/{}", sold["product"].as_str().unwrap());
    for archived in [&product, &price] {
        world.stripe.operator("POST", archived, "active=false").await;
        for _ in 0..2 {
            assert_eq!(
                ada.starts_checkout("monthly").await,
                r#"502 {"error":"the payment provider gave an unusable answer"}"#,
                "{archived}"
            );
        }
        assert_eq!(ada.billing().await.status, 200, "{archived}");
        if *archived == product {
            world.stripe.operator("POST", archived, "active=true").await;
        }
    }
    ada.starts_checkout("annual").await.client_secret();
    world.stripe.operator("POST", &price, "active=true").await;
    let secret = ada.starts_checkout("monthly").await.client_secret();
    assert_eq!(
        world.stripe.payable_sessions(&ada).await[0]["client_secret"],
        secret
    );
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
}

/// Stripe asks for a pause that is longer than anybody should be kept waiting: the caller is told, at once, and at most five minutes,
/// whatever Stripe says. What Stripe was asked for may be done or not; the next attempt finds out.
#[tokio::test]
async fn a_long_pause_that_stripe_asks_for_is_passed_on() {
    let world = World::at("2026-04-01T00:00:00Z").await;
    let ada = world.account(1).await;
    for (step, status, asked, told) in [
        ("POST /v1/customers", 429, "30", "30"),
        ("POST /v1/customers", 503, "30", "30"),
        ("POST /v1/customers", 500, "86400", "300"),
        ("GET /v1/checkout/sessions", 503, "4000000000", "300"),
    ] {
        if step.starts_with("GET") {
            ada.starts_checkout("monthly").await.client_secret();
        }
        let machine = world.machine().await;
        machine.network.answers(step, status, ("retry-after", asked));
        let answer = ada.starts_checkout_on(&machine, "monthly").await.unwrap();
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, told),
            "{step} {status} {asked}"
        );
    }
    ada.starts_checkout("monthly").await.client_secret();
    assert_eq!(world.stripe.customers(&ada).await.len(), 1);
    assert_eq!(world.stripe.payable_sessions(&ada).await.len(), 1);
}
