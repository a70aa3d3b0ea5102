//! A function: its name, its handler, and what surrounds every handler.

use std::future::Future;
use std::pin::Pin;

use lambda_http::http::HeaderValue;
use lambda_http::http::header::ACCEPT;
use lambda_http::{Body, Request, Response};

use crate::app::App;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::telemetry::{Watch, log};

/// What a handler comes to.
pub type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// The largest body that a caller may send.
const BODY_LIMIT: usize = 64 * 1024;

/// One endpoint, one Lambda.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name, here and in `template.yaml`.
    pub name: &'static str,
    /// The largest body it takes, in bytes.
    pub body_limit: usize,
    /// Whether it cannot work without the webhook's secrets.
    pub needs_webhook_secrets: bool,
    /// What it does.
    pub handle: for<'a> fn(&'a Call<'a>) -> Outcome<'a>,
}

impl Function {
    /// A function with the usual limits.
    #[must_use]
    pub const fn new(name: &'static str, handle: for<'a> fn(&'a Call<'a>) -> Outcome<'a>) -> Self {
        Self {
            name,
            body_limit: BODY_LIMIT,
            needs_webhook_secrets: false,
            handle,
        }
    }

    /// Answers one request, logs it, and never fails.
    pub async fn answer(&self, app: &App, request: Request) -> Response<Body> {
        let watch = Watch::start();
        let call = Call::new(app, request);
        let outcome = if call.body.len() > self.body_limit {
            Err(Problem::too_large())
        } else {
            (self.handle)(&call).await
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
        wanted && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}
