//! One of the functions of a binary on the Lambda runtime.

use std::borrow::Cow;
use std::future::{Future, ready};
use std::io::Write;
use std::pin::Pin;
use std::process::ExitCode;

use lambda_http::http::header::HOST;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Error, IntoResponse, Request, Response, Service, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::function::{Function, Trigger};

/// What no query holds as it is. Source: RFC 3986, 3.4.
const NO_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The header that tells the scheme which a caller used.
const SCHEME: &str = "x-forwarded-proto";

/// Runs the function that the Lambda's `Handler` names until Lambda ends it. What a `main` consists of.
///
/// Init reads the environment and builds the clients; it touches no network. A configuration that is wrong ends the process
/// with the variable's name on standard error.
#[must_use]
pub fn boot(functions: &'static [&'static Function]) -> ExitCode {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        // With the time: Lambda takes a line without one for a line of level INFO.
        .init();
    // The function's `Handler` in `template.yaml`, as Lambda tells it to a runtime of one's own.
    let name = variable("_HANDLER");
    match start(functions, &name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function = name, %error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

/// A variable that Lambda always sets.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge reads the environment, once, at init"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn start(functions: &'static [&'static Function], name: &str) -> Result<(), Error> {
    let function = functions.iter().find(|function| function.name == name);
    let function = function.ok_or_else(|| ConfigError {
        variable: "_HANDLER",
        fault: "names no function of this binary".to_owned(),
    })?;
    run(function, configured(function)?)
}

fn configured(function: &Function) -> Result<App, ConfigError> {
    let config = Config::from_environment()?;
    if function.needs_webhook_secrets && config.webhook_secrets.is_none() {
        let fault = "or STRIPE_WEBHOOK_SECRETS_ARN is missing".to_owned();
        return Err(ConfigError {
            variable: "STRIPE_WEBHOOK_SECRETS",
            fault,
        });
    }
    let lambda = variable("AWS_LAMBDA_FUNCTION_NAME");
    let app = App::new(config, Clock::system()).with_metrics_of(lambda, |line| {
        let mut line = serde_json::to_vec(line).unwrap_or_default();
        line.push(b'\n');
        // Standard output is the way to CloudWatch; where it is gone, there is nobody to tell.
        let _ = std::io::stdout().write_all(&line);
    });
    Ok(app)
}

fn run(function: &'static Function, app: App) -> Result<(), Error> {
    // One request at a time: a second thread would only cost wake-ups.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let app = &app;
    runtime.block_on(async {
        match function.trigger {
            Trigger::Request => {
                let answer = service_fn(move |request: Request| async move {
                    Ok::<_, Error>(Answer(function.answer(app, request).await))
                });
                let mut adapter = Adapter::from(answer);
                let take = service_fn(move |mut event: LambdaEvent<LambdaRequest>| {
                    prepare(&mut event.payload);
                    adapter.call(event)
                });
                lambda_runtime::run(take).await
            }
            Trigger::Event => {
                let take = service_fn(move |event: LambdaEvent<Value>| async move {
                    let LambdaEvent { payload, context } = event;
                    function.take(app, &payload, &context).await.map_err(Error::from)
                });
                lambda_runtime::run(take).await
            }
        }
    })
}

/// Takes from a request what the adapter would end the process over. API Gateway hands on what it was sent, and whoever called may have sent `<`
/// in a query, `a.example, b.example` as host, and `https,http` as scheme. A query is written as a URL has it; host and scheme are left out,
/// since the path says what is asked for. For whoever hands a function its events otherwise than [`boot`] does.
pub fn prepare(request: &mut LambdaRequest) {
    let LambdaRequest::ApiGatewayV2(request) = request else {
        return;
    };
    if let Some(query) = &mut request.raw_query_string
        && let Cow::Owned(encoded) = utf8_percent_encode(query, NO_QUERY).into()
    {
        *query = encoded;
    }
    request.headers.remove(HOST);
    request.headers.remove(SCHEME);
    request.request_context.domain_name = None;
}

/// An answer, told as it is: every body of ours is text or nothing. Of any `Response` the runtime would read the charset first,
/// and for that link the tables of all encodings.
struct Answer(Response<Body>);

impl IntoResponse for Answer {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(ready(self.0))
    }
}
