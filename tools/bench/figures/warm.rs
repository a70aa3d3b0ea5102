//! Requests to a warm process: the processor time that the process itself used, and how long the caller waited. DynamoDB and Stripe are
//! the local stack's, on the same machine, so the latency is theirs for the most part; the processor time is not.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::subject::{Warm, event, percentile};
use crate::world::World;

/// Requests before it is measured: connections, the allocator, prices that are kept.
const WARMING: usize = 20;

/// Measures each kind of request and prints a table.
pub(crate) async fn measure(bundle: &Path, requests: usize) {
    let world = World::start().await;
    let bundle = bundle.to_str().unwrap();
    println!("| request | processor time | latency, median | p99 |\n| --- | --- | --- | --- |");
    let mut subscribers = Vec::new();
    for _ in 0..WARMING + requests {
        subscribers.push(world.subscriber().await);
    }
    let one = &subscribers[..1];
    for (told, file, keys) in [
        ("refused without a key", "get-billing.unauthorized.json", one),
        ("billing shown", "get-billing.json", one),
        (
            "change to what is there already",
            "change-subscription-interval.same",
            one,
        ),
        (
            "change of the interval",
            "change-subscription-interval.json",
            &subscribers[..],
        ),
    ] {
        let function = file.split('.').next().unwrap();
        let events: Vec<_> = (0..WARMING + requests)
            .map(|nth| request(file, &keys[nth % keys.len()]))
            .collect();
        let process = Warm::start(&[bundle], function, &world.stack.variables).await;
        let (used, mut waited) = run(&process, &events).await;
        waited.sort();
        println!(
            "| {told} | {} µs | {} µs | {} µs |",
            used.as_micros(),
            percentile(&waited, 50).as_micros(),
            percentile(&waited, 99).as_micros()
        );
    }
}

/// An event; `.same` asks for what is there already.
pub(crate) fn request(file: &str, key: &str) -> Value {
    if let Some(function) = file.strip_suffix(".same") {
        let mut event = event(&format!("{function}.json"), key);
        event["body"] = r#"{"interval":"monthly"}"#.into();
        return without_idempotency(event);
    }
    if file.contains("unauthorized") {
        let mut event = event(file, key);
        event["headers"].as_object_mut().unwrap().remove("authorization");
        return event;
    }
    let mut event = event(file, key);
    if file.starts_with("change-") {
        event["body"] = r#"{"interval":"annual"}"#.into();
    }
    without_idempotency(event)
}

/// Without the header, which would have the reply stored and told again.
fn without_idempotency(mut event: Value) -> Value {
    event["headers"]
        .as_object_mut()
        .unwrap()
        .remove("idempotency-key");
    event
}

/// The processor time for each request, and how long each took.
async fn run(process: &Warm, events: &[Value]) -> (Duration, Vec<Duration>) {
    let mut waited = Vec::new();
    let mut before = process.processor_time();
    for (nth, event) in events.iter().enumerate() {
        if nth == WARMING {
            before = process.processor_time();
        }
        let began = Instant::now();
        let answer = process.answer(event).await;
        let took = began.elapsed();
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(status == 200 || status == 401, "{answer}");
        if nth >= WARMING {
            waited.push(took);
        }
    }
    let used = process.processor_time() - before;
    (used / u32::try_from(waited.len()).unwrap(), waited)
}
