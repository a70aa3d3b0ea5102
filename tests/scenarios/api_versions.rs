//! Events in the shapes of several API versions, as Stripe has sent them over the years: each is read for the ids that it names,
//! and does its work.

use std::path::Path;

use billing_store::ReceiptStatus;
use billing_stripe::webhook;
use billing_tests::{Account, World};
use serde_json::Value;

/// One story in the shapes of an API version.
struct Version {
    name: String,
    /// In the order in which they happened.
    events: Vec<Value>,
}

fn versions() -> Vec<Version> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/stripe");
    let entries = |path: &Path| {
        let mut paths: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    };
    let version = |path: &std::path::PathBuf| {
        let read = |file: &std::path::PathBuf| -> Value {
            let text = std::fs::read_to_string(file).unwrap();
            serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()))
        };
        let mut events: Vec<_> = entries(path).iter().map(read).collect();
        events.sort_by_key(|event| event["created"].as_i64());
        Version {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            events,
        }
    };
    entries(&root).iter().map(version).collect()
}

/// The payload with the ids of this world in the place of the story's, signed now.
async fn posts(world: &World, ids: &[(&str, String)], event: &Value) -> u16 {
    let mut payload = event.to_string();
    for (story, own) in ids {
        payload = payload.replace(story, own);
    }
    let secret = &world.stack().directory.webhook_secret;
    let signature = webhook::sign(payload.as_bytes(), secret, world.now());
    world.posts_event(&payload, &signature).await.status
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What the story's objects are called here, after the account has subscribed, disputed and so on.
async fn ids(
    world: &World,
    ada: &Account<'_>,
    more: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let subscription = world.stripe.subscription(ada).await;
    let invoice = world.stripe.invoices(ada).await.remove(0);
    let charge = world.stripe.latest_charge(ada).await;
    let mut ids = vec![
        (
            "cs_test_a1Ada00000000000000000000000000000000000000000000001",
            text(&world.stripe.sessions(ada).await[0]["id"]),
        ),
        (
            "cs_test_b1Ada00000000000000000000000000000000000000000000001",
            text(&world.stripe.sessions(ada).await[0]["id"]),
        ),
        ("cus_Ada0000000001", text(&subscription["customer"])),
        ("sub_1Ada0000000000000000001", text(&subscription["id"])),
        ("in_1Ada0000000000000000001", text(&invoice["id"])),
        ("pi_3Ada0000000000000000001", text(&charge["payment_intent"])),
        ("ch_3Ada0000000000000000001", text(&charge["id"])),
    ];
    ids.extend(more.iter().cloned());
    ids
}

/// The account's whole story, told by nothing but the payloads of each version: subscribed, covered, disputed, credited in part,
/// refunded in full, over.
#[tokio::test]
async fn every_version_tells_the_whole_story() {
    let versions = versions();
    assert!(versions.len() >= 3, "several API versions");
    for Version { name, events } in versions {
        let world = World::at("2026-04-01T00:00:00Z").await;
        let ada = world.account(2).await;
        world.stripe.holds_events(true).await;
        let secret = ada.starts_checkout("monthly").await.client_secret();
        world.stripe.checks_out(&secret, "succeed").await;
        let charge = world.stripe.latest_charge(&ada).await;
        let mut more = Vec::new();
        for event in events {
            let kind = event["type"].as_str().unwrap();
            assert_eq!(event["api_version"], name.as_str(), "{kind}");
            // What the event is about has happened at Stripe by then.
            match kind {
                "charge.dispute.created" => {
                    let dispute = world.stripe.is_disputed(&charge).await;
                    more.push(("du_1Ada0000000000000000001", dispute));
                }
                "credit_note.created" => {
                    let note = world.stripe.credits(&ada, 500, "out_of_band_amount").await;
                    more.push(("cn_1Ada0000000000000000001", note));
                }
                "charge.refunded" => {
                    world.stripe.decides(&more[0].1, true).await;
                    world.stripe.refunds(&charge, 1500).await;
                }
                "refund.failed" => world.stripe.refund_fails().await,
                "customer.subscription.deleted" => {
                    let path = format!(
                        "/v1/subscriptions/{}",
                        text(&world.stripe.subscription(&ada).await["id"])
                    );
                    world.stripe.operator("DELETE", &path, "").await;
                }
                _ => {}
            }
            let ids = ids(&world, &ada, &more).await;
            assert_eq!(posts(&world, &ids, &event).await, 200, "{name}: {kind}");
            let receipt = world.receipt(event["id"].as_str().unwrap()).await;
            assert_eq!(receipt.status, ReceiptStatus::Done, "{name}: {kind}");

            let stored = ada.stored().await;
            match kind {
                "checkout.session.completed" => {
                    assert_eq!(stored.profile.open_session, None, "{name}");
                    assert!(stored.subscription.is_some(), "{name}");
                }
                "invoice.paid" => assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z", "{name}"),
                "charge.dispute.created" => assert!(stored.reversals[0].disputed, "{name}"),
                "credit_note.created" => assert_eq!(stored.reversals[0].given_back, 500, "{name}"),
                // 500 + 1500 = 2 × 1000.
                "charge.refunded" => assert_eq!(ada.covered_until().await, "", "{name}"),
                "refund.failed" => {
                    assert_eq!(stored.reversals[0].given_back, 500, "{name}");
                    assert_eq!(ada.covered_until().await, "2026-05-01T00:00:00Z", "{name}");
                }
                "customer.subscription.deleted" => assert!(!stored.subscription.unwrap().is_live(), "{name}"),
                _ => {}
            }
        }
    }
}
