//! API Gateway and Lambda as far as a request can tell: it finds its function by the routes of the template, reaches it as an
//! event, runs under the function's time-out, and is answered.
//!
//! A function is entered where Lambda's runtime would enter it, so events that it cannot read, panics and time-outs end as
//! they do in AWS. Throttling, cold starts and one-request-at-a-time are not imitated.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use billing_edge::App;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, Service, service_fn};
use serde_json::Value;

use crate::apps::Apps;
use crate::dynamodb::Now;
use crate::event::{Answer, Arrival, TRACE_HEADER, message};
use crate::functions;
use crate::routes::Routes;
use crate::template::Template;

/// The functions behind one HTTP API, without a socket: [`call`](Self::call) is all that happens between a client and them.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    routes: Routes,
    timeouts: BTreeMap<String, Duration>,
    apps: Apps,
    now: Now,
    requests: AtomicU64,
}

/// How long an invocation may take.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What the function is told.
    pub told: Duration,
    /// When it is ended. In AWS that is the same; on a machine that is busy with other things, timers fire late.
    pub ends: Duration,
}

impl From<Duration> for Limit {
    fn from(timeout: Duration) -> Self {
        Self {
            told: timeout,
            ends: timeout,
        }
    }
}

impl Gateway {
    /// The functions of a template over their apps, on the stack's clock.
    pub fn new(template: &Template, apps: Apps, now: Now) -> Result<Self, functions::Drift> {
        functions::agree_with(template)?;
        let timeouts = template
            .functions
            .iter()
            .map(|it| (it.name.clone(), it.timeout))
            .collect();
        let routes = Routes::new(template);
        Ok(Self(Arc::new(Inner {
            routes,
            timeouts,
            apps,
            now,
            requests: AtomicU64::new(1),
        })))
    }

    /// Hands a function an event that no caller waits for, and answers what Lambda would be told.
    pub async fn deliver(&self, function: &str, event: &Value) -> Result<Value, String> {
        let timeout = self.0.timeouts.get(function).copied().unwrap_or_default();
        self.deliver_within(function, event, timeout).await
    }

    /// The same, with another time-out than the template's.
    pub async fn deliver_within(
        &self,
        function: &str,
        event: &Value,
        limit: impl Into<Limit>,
    ) -> Result<Value, String> {
        let Limit { told, ends } = limit.into();
        let found =
            billing_bundle::named(function).ok_or_else(|| format!("there is no function {function}"))?;
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let mut context = Context::default();
        context.request_id = format!("local-{number:08}");
        context.deadline = deadline(told);
        let app = self.0.apps.of(function);
        let app = app.ok_or_else(|| format!("{function} did not start"))?;
        let event = event.clone();
        let invocation = async move { found.take(&app, &event, &context).await };
        match tokio::spawn(tokio::time::timeout(ends, invocation)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_elapsed)) => Err("it took too long".to_owned()),
            Err(_) => Err("it crashed".to_owned()),
        }
    }

    /// Has a function answer an event of API Gateway's as it stands; none when the function cannot read it.
    pub async fn enter(&self, function: &str, event: &Value) -> Option<Response<Bytes>> {
        let timeout = self.0.timeouts.get(function).copied().unwrap_or_default();
        let mut context = Context::default();
        context.deadline = deadline(timeout);
        let app = self.0.apps.of(function)?;
        invoke(function.to_owned(), app, event.to_string(), context).await
    }

    /// Answers a request.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.call_limited(request, None).await
    }

    /// The same, with another time-out than the template's.
    pub async fn call_within(&self, request: Request<Bytes>, limit: impl Into<Limit>) -> Response<Bytes> {
        self.call_limited(request, Some(limit.into())).await
    }

    async fn call_limited(&self, request: Request<Bytes>, limit: Option<Limit>) -> Response<Bytes> {
        let found = self
            .0
            .routes
            .find(request.method().as_str(), request.uri().path());
        let Some(found) = found else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let now = (self.0.now)();
        let brought = request
            .headers()
            .get(TRACE_HEADER)
            .and_then(|value| value.to_str().ok());
        let trace_id = brought.map_or_else(
            || format!("Root=1-{:08x}-{number:024x}", now.as_second()),
            ToOwned::to_owned,
        );
        let request_id = format!("local-{number:08}");
        let arrival = Arrival {
            request: &request,
            found: &found,
            request_id: &request_id,
            trace_id: &trace_id,
            now,
        };
        let event = arrival.event().to_string();
        let declared = self.0.timeouts.get(&found.function).copied();
        let declared = declared.unwrap_or_default().into();
        let Limit { told, ends } = limit.unwrap_or(declared);
        let mut context = Context::default();
        context.request_id = request_id;
        context.xray_trace_id = Some(trace_id);
        context.deadline = deadline(told);

        // A task of its own, so that a panic stays in it and a client that hangs up does not stop it half-way.
        let app = self.0.apps.of(&found.function);
        let invocation = async move { invoke(found.function, app?, event, context).await };
        match tokio::spawn(tokio::time::timeout(ends, invocation)).await {
            Ok(Ok(Some(response))) => response,
            Ok(Err(_elapsed)) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            Ok(Ok(None)) | Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }
}

/// Runs a function on an event as its runtime would; none when either side cannot read the other.
async fn invoke(function: String, app: Arc<App>, event: String, context: Context) -> Option<Response<Bytes>> {
    let function = billing_bundle::named(&function)?;
    let mut payload: LambdaRequest = serde_json::from_str(&event).ok()?;
    billing_edge::prepare(&mut payload);
    let app = &app;
    let mut handler = Adapter::from(service_fn(move |request| async move {
        Ok::<_, Infallible>(function.answer(app, request).await)
    }));
    let Ok(answer) = handler.call(LambdaEvent::new(payload, context)).await;
    let answer: Answer = serde_json::from_value(serde_json::to_value(answer).ok()?).ok()?;
    answer.response()
}

/// When Lambda would end the invocation, in real milliseconds: the runtime's deadline does not follow the stack's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "an invocation's time-out is real time, whatever the stack's clock shows"
)]
fn deadline(timeout: Duration) -> u64 {
    let epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from((epoch + timeout).as_millis()).unwrap_or(u64::MAX)
}
