//! Arbitrary bytes from everybody who can send any: callers, Stripe's name, API Gateway, streams. No panic, no 5xx, nothing that is not in
//! the contract. Every route and every function of the template is asked, so that a new one is included without anybody remembering.

use std::collections::BTreeSet;

use billing_stripe::webhook;
use billing_tests::{Account, World, project};
use bytes::Bytes;
use http::Request;
use local_stack::template::Template;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// How often each property is tried.
const CASES: u32 = 250;

const WEBHOOK: &str = "/stripe/webhook";

/// The same inputs in every run: what fails here fails everywhere.
pub(super) fn always<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
    judge: impl Fn(T) -> Result<(), String>,
) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let judged = runner.run(&strategy, |input| judge(input).map_err(TestCaseError::fail));
    judged.unwrap();
}

/// Any JSON; texts that mean something here are among it.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(vec![
            "monthly",
            "annual",
            "live",
            "test",
            "acct_1",
            "in_1",
            "sub_1",
            "cs_test_1",
            "evt_1",
            "ch_1",
            "cn_1",
            "..",
            "a#b",
            "",
            "https://app.example.com/?a={CHECKOUT_SESSION_ID}",
            "2026-04-01T00:00:00Z",
            "usd",
            "\u{0}",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// An object of these members, some left out, with any values.
fn object_of(names: Vec<String>) -> impl Strategy<Value = Value> {
    let members: Vec<_> = names
        .into_iter()
        .map(|name| proptest::option::weighted(0.7, json()).prop_map(move |value| (name.clone(), value)))
        .collect();
    members.prop_map(|members| {
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Value::Object(members.collect::<Map<_, _>>())
    })
}

/// The names of all members of all requests in the contract.
fn members() -> Vec<String> {
    fn walk(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    names.extend(properties.keys().cloned());
                }
                members.values().for_each(|value| walk(value, names));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    walk(&project::contract()["components"]["schemas"], &mut names);
    names.into_iter().collect()
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        2 => json().prop_map(|value| value.to_string().into_bytes()),
        4 => object_of(members()).prop_map(|value| value.to_string().into_bytes()),
    ]
}

/// A header's value: any bytes that HTTP lets through.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("HTTP", |byte| *byte >= 32 && *byte != 127 || *byte == 9);
    proptest::collection::vec(byte, 0..80)
}

/// The routes of the template: method, path, function.
fn routes() -> Vec<(String, String, String)> {
    let functions = Template::project().unwrap().functions;
    let routes = functions.into_iter().flat_map(|function| {
        let name = function.name;
        let routes = function.routes.into_iter();
        routes.map(move |route| (route.method, route.path, name.clone()))
    });
    routes.collect()
}

/// A path of a route with something in the place of its parameters.
fn filled(path: &str, with: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| if segment.starts_with('{') { with } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Whether an answer is in the contract; what API Gateway says of a path is.
pub(super) fn judged(function: &str, status: u16) -> Result<(), String> {
    let documented = project::statuses(function);
    if status < 500 && (status == 404 || documented.contains(&status)) {
        Ok(())
    } else {
        Err(format!(
            "{function} answered {status}; documented are {documented:?}"
        ))
    }
}

/// An account that has a subscription: there is something to preview, change and cancel.
async fn subscribed(world: &World) -> Account<'_> {
    world.subscriber(2, "monthly").await
}

#[test]
fn any_body_gets_a_documented_answer() {
    let runtime = runtime();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let ada = runtime.block_on(subscribed(&world));
    let routes = routes();
    always(
        (0..routes.len(), body(), "[A-Za-z0-9_.%-]{1,40}"),
        |(route, body, segment)| {
            let (method, path, function) = &routes[route];
            let request = Request::builder()
                .method(method.as_str())
                .uri(filled(path, &segment))
                .header("authorization", format!("Bearer {}", ada.key))
                .header("content-type", "application/json")
                .body(Bytes::from(body))
                .unwrap();
            let answer = runtime.block_on(ada.sends(request));
            judged(function, answer.status)
        },
    );
}

#[test]
fn any_headers_get_a_documented_answer() {
    let runtime = runtime();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let ada = runtime.block_on(subscribed(&world));
    let routes = routes();
    let names = [
        "authorization",
        "content-type",
        "idempotency-key",
        "accept",
        "stripe-signature",
        "cookie",
        "x-amzn-trace-id",
    ];
    let headers = proptest::collection::vec((0..names.len(), header()), 0..6);
    always(
        (0..routes.len(), headers, any::<bool>()),
        |(route, headers, known)| {
            let (method, path, function) = &routes[route];
            let mut request = Request::builder().method(method.as_str()).uri(filled(path, "x"));
            if known {
                request = request
                    .header("authorization", format!("Bearer {}", ada.key))
                    .header("content-type", "application/json");
            }
            for (name, value) in headers {
                request = request.header(names[name], value);
            }
            let request = request
                .body(Bytes::from_static(b"{\"interval\":\"annual\"}"))
                .unwrap();
            let answer = runtime.block_on(ada.sends(request));
            judged(function, answer.status)
        },
    );
}

/// Whatever stands in the signature's header: without the secret nobody gets in.
#[test]
fn no_signature_but_stripes_is_taken() {
    let runtime = runtime();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let now = world.now().as_second();
    let almost = prop_oneof![
        header(),
        "t=[0-9]{1,12},v1=[0-9a-f]{0,70}".prop_map(String::into_bytes),
        "[0-9a-f]{64}".prop_map(move |digits| format!("t={now},v1={digits},v1={digits}").into_bytes()),
    ];
    always((almost, body()), |(signature, body)| {
        let request = Request::post(WEBHOOK)
            .header("stripe-signature", signature)
            .body(Bytes::from(body))
            .unwrap();
        let answer = runtime.block_on(world.stack().gateway.call(request));
        if answer.status() == 400 {
            Ok(())
        } else {
            Err(format!("{}", answer.status()))
        }
    });
}

/// Signed by Stripe, and anything at all. An event of a type that matters, that names no object that could exist, is the one thing that
/// must be seen: 500.
#[test]
fn any_signed_payload_is_taken_or_refused() {
    const KINDS: [&str; 9] = [
        "invoice.paid",
        "checkout.session.completed",
        "customer.subscription.updated",
        "charge.refunded",
        "charge.dispute.created",
        "credit_note.created",
        "subscription_schedule.updated",
        "a.type.of.tomorrow",
        "",
    ];
    let runtime = runtime();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let secret = world.stack().directory.webhook_secret.clone();
    let names = ["id", "type", "livemode", "created", "account", "data", "request"].map(str::to_owned);
    let event = (
        object_of(names.to_vec()),
        0..KINDS.len(),
        any::<u64>(),
        json(),
        any::<bool>(),
    );
    let event = event.prop_map(|(mut event, kind, id, object, well_formed)| {
        if well_formed {
            event["id"] = json!(format!("evt_{id}"));
            event["type"] = json!(KINDS[kind]);
            event["livemode"] = json!(false);
            event["account"] = Value::Null;
            event["data"] = json!({ "object": object });
        }
        event.to_string().into_bytes()
    });
    let payload = prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..200), 4 => event];
    always(payload, |payload| {
        let signature = webhook::sign(&payload, &secret, world.now());
        let read = serde_json::from_slice::<Value>(&payload).unwrap_or_default();
        let request = Request::post(WEBHOOK)
            .header("stripe-signature", signature)
            .body(Bytes::from(payload))
            .unwrap();
        let status = runtime
            .block_on(world.stack().gateway.call(request))
            .status()
            .as_u16();
        let nameless = read["data"]["object"]["id"]
            .as_str()
            .is_none_or(|id| !id.contains('_') || id.len() < 4);
        match status {
            200 | 400 => Ok(()),
            500 if nameless => Ok(()),
            status => Err(format!("{status}")),
        }
    });
}

/// The events in `events/` with something else in any place: API Gateway's and those of streams and schedules. What a function cannot
/// read is Lambda's error; it never crashes.
#[test]
fn any_event_is_answered_or_refused() {
    let runtime = runtime();
    let world = runtime.block_on(World::unjudged_at("2026-04-01T00:00:00Z"));
    let events = project::events();
    let gateway = &world.stack().gateway;
    let routed: BTreeSet<String> = routes().into_iter().map(|(_, _, function)| function).collect();
    let change = (any::<usize>(), proptest::option::of(json()));
    let input = (0..events.len(), proptest::collection::vec(change, 1..4));
    always(input, |(which, changes)| {
        let (function, mut event) = events[which].clone();
        for (place, value) in changes {
            let pointers = pointers(&event);
            let pointer = &pointers[place % pointers.len()];
            let place = event.pointer_mut(pointer).unwrap();
            *place = value.unwrap_or_default();
        }
        if routed.contains(&function) {
            match runtime.block_on(gateway.enter(&function, &event)) {
                Some(answer) => judged(&function, answer.status().as_u16()),
                None => Ok(()),
            }
        } else {
            match runtime.block_on(gateway.deliver(&function, &event)) {
                Err(why) if why.contains("crashed") || why.contains("too long") => Err(why),
                _ => Ok(()),
            }
        }
    });
}

/// Every place in a value but its root.
pub(super) fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
                .collect(),
            Value::Array(values) => values
                .iter()
                .enumerate()
                .map(|(index, value)| (index.to_string(), value))
                .collect(),
            _ => Vec::new(),
        };
        for (name, value) in members {
            let at = format!("{at}/{name}");
            found.push(at.clone());
            walk(value, &at, found);
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    if found.is_empty() {
        found.push(String::new());
    }
    found
}
