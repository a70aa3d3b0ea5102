//! One log line and one metrics line per request, at the boundary.
//!
//! A line says what was asked, how it ended, how long it took and what it cost in calls. No body, key, e-mail, client secret or
//! header but the request's and the trace's id gets here.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::app::Metrics;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;

/// The CloudWatch namespace of all metrics.
const NAMESPACE: &str = "Billing";

/// A stop watch.
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the edge measures time")]
        Self(Instant::now())
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

pub(crate) fn log(operation: &'static str, call: &Call<'_>, outcome: &Result<Reply, Problem>, watch: &Watch) {
    let (status, logged) = match outcome {
        Ok(reply) => (reply.status, ""),
        Err(problem) => (problem.status, problem.logged.as_str()),
    };
    let milliseconds = watch.milliseconds();
    let dynamodb_calls = call.store.calls();
    let stripe_calls = call.stripe.get().map_or(0, billing_stripe::Stripe::calls);
    let cold = call.app.cold.swap(false, Ordering::Relaxed);
    let (request_id, trace_id) = (&call.id, call.trace.as_deref().unwrap_or_default());
    if status >= 500 {
        tracing::error!(
            operation,
            status,
            milliseconds,
            dynamodb_calls,
            stripe_calls,
            cold,
            request_id,
            trace_id,
            logged,
            "failed"
        );
    } else {
        tracing::info!(
            operation,
            status,
            milliseconds,
            dynamodb_calls,
            stripe_calls,
            cold,
            request_id,
            trace_id,
            logged,
            "answered"
        );
    }
    if let Some(Metrics { lambda, hand_over }) = &call.app.metrics {
        let unknown = outcome.as_ref().is_err_and(|problem| problem.unknown_outcome);
        let mut metrics = vec![
            ("Latency", milliseconds),
            ("DynamoDbCalls", dynamodb_calls),
            ("StripeCalls", stripe_calls),
            ("ColdStarts", u64::from(cold)),
            ("ServerErrors", u64::from(status >= 500)),
            ("UnknownOutcomes", u64::from(unknown)),
        ];
        metrics.extend(
            call.counts
                .lock()
                .iter()
                .flat_map(|counts| counts.iter().copied()),
        );
        hand_over(&embedded(
            lambda,
            operation,
            status,
            call.now.as_millisecond(),
            &metrics,
        ));
    }
}

/// CloudWatch's embedded metric format. The dimension is the Lambda's own name: two deployments in one AWS account, such as a
/// live and a test one, must not share an alarm.
fn embedded(
    lambda: &str,
    operation: &str,
    status: u16,
    timestamp_ms: i64,
    metrics: &[(&'static str, u64)],
) -> Value {
    let unit = |name: &str| {
        if matches!(name, "Latency" | "WebhookLag" | "ReconcileLag") {
            "Milliseconds"
        } else {
            "Count"
        }
    };
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|(name, _)| json!({ "Name": name, "Unit": unit(name) }))
        .collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": timestamp_ms,
            "CloudWatchMetrics": [
                { "Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": definitions }
            ],
        }),
    );
    line.insert("FunctionName".to_owned(), json!(lambda));
    line.insert("Operation".to_owned(), json!(operation));
    line.insert("Status".to_owned(), json!(status));
    for (name, value) in metrics {
        line.insert((*name).to_owned(), json!(value));
    }
    Value::Object(line)
}
