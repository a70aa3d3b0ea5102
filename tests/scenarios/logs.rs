//! Nothing that opens anything, and nobody's address, reaches a log: a whole story is told, with its failures, and its log is searched.

use billing_admin::accounts::Wanted;
use billing_tests::{World, log};
use serde_json::json;

/// Every line of every scenario is searched for these ([`billing_tests::log`]): each is found.
#[test]
fn a_line_with_a_secret_or_an_address_is_found() {
    for line in [
        "{\"logged\":\"key sk_test_51\"}",
        "client secret cs_test_a1_secret_b2",
        "signed with whsec_c3",
        "authorization: Bearer d4",
        "no customer eve.adamson@example.com",
        "number +15551230001",
        "card 4242424242424242",
        "idempotency key intent-e5",
    ] {
        assert!(log::trespass(line).is_some(), "{line}");
    }
    let good = r#"{"operation":"reconcile","status":200,"request_id":"local-00000001","logged":"","message":"answered"}"#;
    assert_eq!(log::trespass(good), None);
}

/// Everything at once: bought, paid, previewed, changed with a code, cancelled, refused, impersonated, refunded, disputed, expired; Stripe
/// down and lying, events twice, unsigned and about nothing.
#[tokio::test]
async fn a_whole_story_leaves_no_secret_and_no_address_in_the_log() {
    log::keeps();
    let world = World::at("2026-04-01T00:00:00Z").await;
    let mut secrets = vec![
        world.stack().directory.webhook_secret.clone(),
        world.stack().directory.stripe_key.clone(),
    ];
    let wanted = Wanted {
        id: "customer-1".parse().unwrap(),
        name: Some("Eve Adamson".parse().unwrap()),
        email: Some("eve.adamson@example.com".parse().unwrap()),
        customer: None,
        numbers: vec!["+15551234567=Eves".parse().unwrap()],
    };
    billing_admin::accounts::create(world.stack().app.store(), wanted, world.now())
        .await
        .unwrap();
    let ada = world.admits("customer-1").await;
    secrets.extend([ada.key.clone(), ada.impersonated_key.clone()]);

    world.stripe.fails("POST", "/v1/customers", 500).await;
    assert_eq!(ada.starts_checkout("monthly").await.status, 503);
    world.stripe.recovers().await;
    let client_secret = ada.starts_checkout("monthly").await.client_secret();
    secrets.push(client_secret.clone());
    secrets.push(ada.starts_checkout("annual").await.client_secret());
    assert_eq!(
        ada.starts_checkout_with(&json!({ "interval": "eve.adamson@example.com" }))
            .await
            .status,
        400
    );
    let mut impersonated = ada.checkout_request(&json!({ "interval": "monthly" }));
    let key = format!("Bearer {}", ada.impersonated_key).parse().unwrap();
    impersonated.headers_mut().insert("authorization", key);
    assert_eq!(ada.sends(impersonated).await.status, 403);
    let secret = ada.starts_checkout("monthly").await.client_secret();
    world.stripe.fails("GET", "/v1/invoices/*", 500).await;
    world.stripe.pays(&secret).await;
    world.stripe.recovers().await;
    world.advance("2h").await;
    secrets.push(secret);

    world
        .stripe
        .makes_code("percent_off=20&duration=once", "code=SECRETWORD")
        .await;
    let change = json!({ "interval": "annual", "promotionCode": "SECRETWORD" });
    ada.previews(&change).await;
    ada.previews(&json!({ "interval": "annual", "promotionCode": "NOSUCHWORD" }))
        .await;
    ada.changes(&change).await;
    ada.cancels().await;
    ada.resumes().await;
    let charge = world.stripe.latest_charge(&ada).await;
    world.stripe.refunds(&charge, 100).await;
    world.stripe.is_disputed(&charge).await;
    let signature = billing_stripe::webhook::sign(b"{}", "whsec_of_somebody_else", world.now());
    world.posts_event("{}", &signature).await;
    secrets.push(signature);
    world.hands("reconcile", &json!({})).await;
    world
        .hands(
            "expire-checkouts",
            &json!({ "Records": [{ "dynamodb": { "SequenceNumber": "1" } }] }),
        )
        .await;

    let log = log::kept();
    assert!(
        log.contains("\"operation\":\"create-subscription-checkout\""),
        "it was logged at all"
    );
    assert!(log.contains("\"operation\":\"reconcile\""), "{log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
    }
    for trace in [
        "@",
        "Eve",
        "_secret_",
        "whsec_",
        "sk_test",
        "sk_live",
        "Bearer",
        "+1555",
        "SECRETWORD",
        "NOSUCHWORD",
    ] {
        let line = log.lines().find(|line| line.contains(trace));
        assert_eq!(line, None, "{trace} is in the log");
    }
}
