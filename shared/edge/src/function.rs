//! A function: its name, its handler, and what surrounds every handler.
//!
//! Most functions answer a request. Some take an event that no caller waits for: a stream's records, a schedule's hour. What
//! they answer is for Lambda, and what they fail with makes Lambda try again.

use std::future::Future;
use std::pin::Pin;

use lambda_http::http::HeaderValue;
use lambda_http::http::header::ACCEPT;
use lambda_http::{Body, Context, Request, Response};
use serde_json::Value;

use crate::app::App;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::telemetry::{Watch, log};

/// What a handler comes to.
pub type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// The largest body that a caller may send.
const BODY_LIMIT: usize = 64 * 1024;

/// What makes a function run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A request of the HTTP API.
    Request,
    /// An event that no caller waits for.
    Event,
}

/// One endpoint, one Lambda.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name, here and in `template.yaml`.
    pub name: &'static str,
    /// What makes it run.
    pub trigger: Trigger,
    /// The largest body that a request may have, in bytes.
    pub body_limit: usize,
    /// Whether it cannot work without the webhook's secrets.
    pub needs_webhook_secrets: bool,
    /// What it does.
    pub handle: for<'a> fn(&'a Call<'a>) -> Outcome<'a>,
}

impl Function {
    /// A function that answers requests, with the usual limits.
    #[must_use]
    pub const fn new(name: &'static str, handle: for<'a> fn(&'a Call<'a>) -> Outcome<'a>) -> Self {
        Self {
            name,
            trigger: Trigger::Request,
            body_limit: BODY_LIMIT,
            needs_webhook_secrets: false,
            handle,
        }
    }

    /// A function that takes events.
    #[must_use]
    pub const fn on_event(name: &'static str, handle: for<'a> fn(&'a Call<'a>) -> Outcome<'a>) -> Self {
        Self {
            trigger: Trigger::Event,
            ..Self::new(name, handle)
        }
    }

    /// Takes one event and logs it. What comes back is for Lambda: the reply's body, or why it has to try again.
    pub async fn take(&self, app: &App, event: &Value, context: &Context) -> Result<Value, String> {
        let watch = Watch::start();
        let call = Call::of_event(app, event, context);
        let outcome = call.in_time((self.handle)(&call)).await;
        log(self.name, &call, &outcome, &watch);
        match outcome {
            Ok(reply) => serde_json::from_str(&reply.body).map_err(|error| error.to_string()),
            Err(problem) => Err(problem.logged),
        }
    }

    /// Answers one request, logs it, and never fails.
    pub async fn answer(&self, app: &App, request: Request) -> Response<Body> {
        let watch = Watch::start();
        let call = Call::new(app, request);
        let outcome = if call.body.len() > self.body_limit {
            Err(Problem::too_large())
        } else {
            call.in_time((self.handle)(&call)).await
        };
        log(self.name, &call, &outcome, &watch);
        let as_problem_json = wants_problem_json(&call);
        let mut response = match outcome {
            Ok(reply) => reply.into_response(as_problem_json),
            Err(problem) => problem.into_response(as_problem_json),
        };
        if let Ok(id) = HeaderValue::from_str(&call.id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }
}

fn wants_problem_json(call: &Call<'_>) -> bool {
    let accepted = call.header(ACCEPT.as_str()).unwrap_or_default();
    accepted.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("application/problem+json"));
        wanted && !parts.any(is_never)
    })
}

/// Whether a parameter of a range says that it is not wanted. Source: RFC 9110, 12.4.2; the name is of either case.
fn is_never(parameter: &str) -> bool {
    let weight = parameter
        .strip_prefix(['q', 'Q'])
        .and_then(|rest| rest.strip_prefix('='));
    matches!(weight, Some("0" | "0." | "0.0" | "0.00" | "0.000"))
}
