//! Events, and how they are told.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::harness::{Heard, Listener, Shop, at, id};
use crate::{Fault, FaultKind, NewerShape, Payment};

/// Checks a signature the way Stripe's documentation says, and answers its time.
fn verified_time(heard: &Heard, secret: &str) -> Option<i64> {
    let (time, signature) = heard.signature.strip_prefix("t=")?.split_once(",v1=")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(&heard.body);
    mac.verify_slice(&hex::decode(signature).ok()?).ok()?;
    time.parse().ok()
}

#[tokio::test]
async fn events_are_delivered_signed_and_in_order() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    let secret = shop.stripe.add_webhook(&listener.url, &["*"], false);
    let (_, subscription) = shop.subscriber().await;
    let heard = listener.types();
    assert_eq!(heard.first().unwrap(), "customer.created");
    assert_eq!(heard.last().unwrap(), "customer.subscription.updated");
    assert_eq!(
        heard,
        shop.event_types()
            .split_off(shop.event_types().len() - heard.len()),
        "in the order of events"
    );
    for heard in listener.heard() {
        super::types::check(&heard.event());
        super::types::check(&heard.event()["data"]["object"]);
        assert_eq!(
            verified_time(&heard, &secret),
            Some(at(super::harness::START).as_second())
        );
        assert_eq!(verified_time(&heard, "whsec_other"), None);
    }
    let last = listener.heard().last().unwrap().event();
    assert_eq!(last["data"]["object"]["id"], json!(subscription));
    let event = shop.get(&format!("/v1/events/{}", id(&last))).await;
    assert_eq!(
        (&event["pending_webhooks"], &last["pending_webhooks"]),
        (&json!(0), &json!(1))
    );
}

#[tokio::test]
async fn an_endpoint_hears_only_what_it_wants() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    let params = json!({ "url": listener.url, "enabled_events": ["invoice.paid"] });
    let endpoint = shop.post("/v1/webhook_endpoints", params).await;
    assert!(endpoint["secret"].as_str().unwrap().starts_with("whsec_"));
    let path = format!("/v1/webhook_endpoints/{}", id(&endpoint));
    assert_eq!(
        shop.get(&path).await.get("secret"),
        None,
        "the secret is told once"
    );
    shop.subscriber().await;
    shop.stripe.settle().await;
    assert_eq!(listener.types(), ["invoice.paid"]);
    shop.call("DELETE", &path, json!({})).await;
    shop.refused(404, "GET", &path, json!({})).await;
    shop.subscriber().await;
    assert_eq!(listener.types().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_hears_nothing_not_even_what_it_owes_an_answer() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    let params = json!({ "url": listener.url, "enabled_events": ["customer.created"] });
    let path = format!(
        "/v1/webhook_endpoints/{}",
        id(&shop.post("/v1/webhook_endpoints", params).await)
    );
    listener.answers(500);
    shop.customer().await;
    shop.stripe.settle().await;
    let disabled = shop.post(&path, json!({ "disabled": true })).await;
    assert_eq!(disabled["status"], "disabled");
    shop.customer().await;
    shop.advance("2026-12-02T00:00:00Z").await;
    assert_eq!(listener.types().len(), 1);
    shop.post(&path, json!({ "disabled": false })).await;
    shop.customer().await;
    shop.stripe.settle().await;
    assert_eq!(listener.types().len(), 2);
    for none in ["invoice", "invoice.payd", ""] {
        let wrong = json!({ "url": listener.url, "enabled_events": ["*", none] });
        let error = shop.refused(400, "POST", "/v1/webhook_endpoints", wrong).await;
        assert_eq!(error["param"], "enabled_events[1]", "{none:?}");
    }
}

/// What an endpoint can ask for, the published description lists.
#[test]
fn the_types_of_events_are_those_of_the_description() {
    let description: Value = serde_json::from_str(include_str!("../../openapi/openapi-subset.json")).unwrap();
    let listed = "/paths/~1v1~1webhook_endpoints/post/requestBody/content/application~1x-www-form-urlencoded/schema/properties\
                  /enabled_events/items/enum";
    let mut listed: Vec<&str> = description
        .pointer(listed)
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .map(|kind| kind.as_str().unwrap())
        .collect();
    listed.sort_unstable();
    let ours = include_str!("../../openapi/event-types.txt");
    assert_eq!(ours.lines().collect::<Vec<_>>(), listed);
}

/// 60 s, then 120 s more, then 240 s more.
#[tokio::test]
async fn a_delivery_that_fails_is_tried_again_at_growing_intervals() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    shop.stripe
        .add_webhook(&listener.url, &["customer.created"], false);
    listener.answers(500);
    shop.customer().await;
    shop.stripe.settle().await;
    assert_eq!(listener.types().len(), 1);
    assert_eq!(shop.stripe.next_due(), Some(at("2026-12-01T00:01:00Z")));
    shop.advance("2026-12-01T00:00:59Z").await;
    assert_eq!(listener.types().len(), 1);
    shop.advance("2026-12-01T00:03:00Z").await;
    assert_eq!(listener.types().len(), 3);
    listener.answers(200);
    shop.advance("2026-12-01T00:07:00Z").await;
    assert_eq!(listener.types().len(), 4);
    assert_eq!(
        shop.stripe.next_due(),
        None,
        "and not again after it was acknowledged"
    );
    let signatures: Vec<String> = listener
        .heard()
        .into_iter()
        .map(|heard| heard.signature)
        .collect();
    assert_ne!(signatures[0], signatures[1], "each try is signed at its own time");
}

/// One try and twelve more.
#[tokio::test]
async fn a_delivery_is_given_up_after_three_days() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    shop.stripe
        .add_webhook(&listener.url, &["customer.created"], false);
    listener.answers(404);
    shop.customer().await;
    shop.advance("2027-01-01T00:00:00Z").await;
    assert_eq!(listener.types().len(), 13);
    assert_eq!(shop.stripe.delivery_attempts().len(), 13);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_a_failure_like_any_other() {
    let shop = Shop::open().await;
    shop.stripe.add_webhook("http://127.0.0.1:1/hook", &["*"], false);
    shop.customer().await;
    shop.stripe.settle().await;
    assert!(shop.stripe.delivery_attempts()[0].error.is_some());
    assert_eq!(shop.stripe.next_due(), Some(at("2026-12-01T00:01:00Z")));
}

#[tokio::test]
async fn held_events_wait_and_can_be_told_by_hand_in_any_order() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    shop.stripe
        .add_webhook(&listener.url, &["customer.created", "product.created"], false);
    shop.stripe.hold_deliveries(true);
    let customer = shop.customer().await;
    shop.post("/v1/products", json!({ "name": "A" })).await;
    shop.stripe.settle().await;
    assert_eq!(listener.types(), Vec::<String>::new());

    let events = shop.stripe.events();
    let (first, second) = (id(&events[events.len() - 2]), id(&events[events.len() - 1]));
    assert_eq!(events[events.len() - 2]["data"]["object"]["id"], json!(customer));
    for event in [&second, &first, &first] {
        let outcomes = shop.stripe.deliver(event).await.unwrap();
        assert_eq!(outcomes[0].status, Some(200));
    }
    assert_eq!(
        listener.types(),
        ["product.created", "customer.created", "customer.created"]
    );
    shop.stripe.hold_deliveries(false);
    shop.stripe.settle().await;
    assert_eq!(listener.types().len(), 3, "what was told by hand no longer waits");
    assert!(shop.stripe.deliver("evt_none").await.is_err());
}

#[tokio::test]
async fn deliveries_go_wrong_when_asked_to() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    let secret = shop.stripe.add_webhook(
        &listener.url,
        &["invoice.created", "invoice.finalized", "invoice.paid"],
        false,
    );
    shop.stripe
        .add_fault(Fault::new(FaultKind::DeliverLast).on_event("invoice.created"));
    shop.stripe
        .add_fault(Fault::new(FaultKind::DeliverTwice).on_event("invoice.finalized"));
    shop.stripe
        .add_fault(Fault::new(FaultKind::DeliverLate { seconds: 90 }).on_event("invoice.paid"));
    shop.subscriber().await;
    assert_eq!(
        listener.types(),
        ["invoice.finalized", "invoice.finalized", "invoice.created"]
    );
    shop.advance("2026-12-01T00:01:30Z").await;
    assert_eq!(listener.types().last().unwrap(), "invoice.paid");

    shop.stripe
        .add_fault(Fault::new(FaultKind::DeliverMissigned).on_event("invoice.paid"));
    shop.subscriber().await;
    let missigned = listener.heard().pop().unwrap();
    assert_eq!(verified_time(&missigned, &secret), None);
}

#[tokio::test]
async fn an_event_can_have_the_shape_of_a_later_version() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    let secret = shop
        .stripe
        .add_webhook(&listener.url, &["customer.created"], false);
    let shape = |pointer: &str| {
        FaultKind::NewerShape(NewerShape {
            set: [(pointer.to_owned(), json!("by pigeon"))].into(),
            ..NewerShape::default()
        })
    };
    shop.stripe
        .add_fault(Fault::new(shape("/data/object/email")).on_event("customer.*"));
    let customer = shop.customer().await;
    shop.stripe.settle().await;
    let heard = listener.heard().pop().unwrap();
    let event = heard.event();
    assert!(
        verified_time(&heard, &secret).is_some(),
        "it is signed as it is sent"
    );
    assert_eq!(event["data"]["object"]["email"], "by pigeon");
    assert_eq!(event["data"]["object"]["added_later"]["unheard_of"], true);
    assert_eq!(event["api_version"], "2027-03-31.later");
    let path = format!("/v1/customers/{customer}");
    assert_eq!(
        shop.get(&path).await["email"],
        "ada@example.com",
        "it is the telling that differs"
    );

    shop.stripe
        .add_fault(Fault::new(shape("/misspelt")).on_event("*"));
    shop.customer().await;
    shop.stripe.settle().await;
    let attempts = shop.stripe.delivery_attempts();
    let problem = attempts.last().unwrap().error.as_deref();
    assert_eq!(problem, Some("newer_shape: there is no /misspelt to change"));
}

#[tokio::test]
async fn an_answer_can_have_the_shape_of_a_later_version() {
    let shop = Shop::open().await;
    let path = format!("/v1/prices/{}", shop.monthly);
    let shape = |pointer: &str| {
        FaultKind::NewerShape(NewerShape {
            remove: vec![pointer.to_owned()],
            ..NewerShape::default()
        })
    };
    let get = || shop.stripe.answer(super::harness::call("GET", &path, &json!({})));
    shop.stripe
        .add_fault(Fault::new(shape("/recurring")).on("GET", &path));
    let answer = get().await.unwrap();
    assert_eq!((answer.body.get("recurring"), answer.status), (None, 200));
    assert_eq!(get().await.unwrap().body["recurring"]["interval"], "month");
    shop.stripe
        .add_fault(Fault::new(shape("/misspelt")).on("GET", &path));
    assert_eq!(get().await.unwrap().status, 500);
}

#[tokio::test]
async fn events_are_listed_by_type() {
    let shop = Shop::open().await;
    shop.subscriber().await;
    let found = shop
        .list("/v1/events", json!({ "type": "invoice.*", "limit": 100 }))
        .await;
    let kinds: Vec<&str> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "invoice.payment_succeeded",
            "invoice.paid",
            "invoice.finalized",
            "invoice.created"
        ]
    );
    let paid = shop
        .list(
            "/v1/events",
            json!({ "types": ["invoice.paid", "product.created"] }),
        )
        .await;
    assert_eq!(paid["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_event_names_the_request_that_caused_it() {
    let shop = Shop::open().await;
    let (_, subscription) = shop.subscriber().await;
    let answer = shop
        .call(
            "POST",
            &format!("/v1/subscriptions/{subscription}"),
            json!({ "description": "x" }),
        )
        .await;
    let event = shop.stripe.events().pop().unwrap();
    assert_eq!(event["request"]["id"], json!(answer.request_id));
    shop.advance("2027-01-01T00:00:00Z").await;
    assert_eq!(
        shop.stripe.events().pop().unwrap()["request"]["id"],
        json!(null),
        "the clock is no request"
    );
}

#[tokio::test]
async fn a_handler_may_call_back_while_it_is_being_told() {
    let shop = Shop::open().await;
    let listener = Listener::start().await;
    shop.stripe.add_webhook(&listener.url, &["*"], false);
    let stripe = shop.stripe.clone();
    listener.calls_back(move || {
        let (status, _) = stripe.call("GET", "/v1/customers", &json!({}), None);
        assert_eq!(status, 200);
    });
    let customer = shop.customer().await;
    let session = id(&shop.session(&customer, &shop.monthly, 1).await);
    shop.stripe.pay_session(&session, Payment::Succeed).await.unwrap();
    assert!(listener.types().contains(&"invoice.paid".to_owned()));
}
