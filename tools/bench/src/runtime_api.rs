//! The Lambda Runtime API, as a function's process meets it: three routes on a loopback port.
//!
//! `GET …/invocation/next` hangs until there is an event, `POST …/{id}/response` and `POST …/{id}/error` take the outcome; with the headers,
//! statuses and long poll that AWS documents. One process polls one API. It deliberately does not enforce time-outs, freeze the process
//! or restart it: what is shown here is that the binary speaks the protocol, not that Lambda does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};

use crate::loopback::{self, answer};

const INVOCATION: &str = "/2018-06-01/runtime/invocation/";

/// How long an invocation may take, as the function is told, unless somebody says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// What a function made of an event.
#[derive(Debug)]
pub enum Outcome {
    /// It answered.
    Response(Value),
    /// It reported that it could not.
    Error(Value),
}

/// A Runtime API for one process.
pub struct RuntimeApi {
    address: SocketAddr,
    events: mpsc::UnboundedSender<Invocation>,
    made: AtomicU64,
    polls: watch::Receiver<u64>,
}

struct Invocation {
    id: String,
    event: Value,
    outcome: oneshot::Sender<Outcome>,
}

struct State {
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    // What was handed out last, until its outcome has come.
    running: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    polls: watch::Sender<u64>,
    time_limit: Duration,
}

impl RuntimeApi {
    /// Listens on a free port until the runtime of the test ends.
    pub async fn start() -> Self {
        Self::start_within(TIME_LIMIT).await
    }

    /// The same, with another time-out.
    pub async fn start_within(time_limit: Duration) -> Self {
        let (events, waiting) = mpsc::unbounded_channel();
        let (polls_made, polls) = watch::channel(0);
        let state = Arc::new(State {
            waiting: AsyncMutex::new(waiting),
            running: Mutex::default(),
            polls: polls_made,
            time_limit,
        });
        let address = loopback::serve(move |request| {
            let state = Arc::clone(&state);
            async move { route(&state, request).await }
        })
        .await;
        Self {
            address,
            events,
            made: AtomicU64::new(0),
            polls,
        }
    }

    /// What `AWS_LAMBDA_RUNTIME_API` says: host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the process has asked for its first event: its init is over.
    pub async fn polled(&self) {
        self.polls.clone().wait_for(|polls| *polls > 0).await.unwrap();
    }

    /// Hands out an event and waits for its outcome.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        let (outcome, answered) = oneshot::channel();
        let id = format!(
            "8476a536-e9f4-11e8-9739-{:012}",
            self.made.fetch_add(1, Ordering::Relaxed)
        );
        self.events
            .send(Invocation {
                id,
                event: event.clone(),
                outcome,
            })
            .unwrap_or_else(|_| panic!("the runtime API has stopped"));
        answered
            .await
            .expect("the process asked for the next event without an outcome for this one")
    }
}

async fn route(state: &State, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(rest) = request.uri().path().strip_prefix(INVOCATION).map(str::to_owned) else {
        return answer(StatusCode::NOT_FOUND, "{}");
    };
    match (request.method().clone(), rest.split_once('/')) {
        (Method::GET, None) if rest == "next" => next(state).await,
        (Method::POST, Some((id, kind @ ("response" | "error")))) => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let text = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let outcome = if kind == "response" {
                Outcome::Response(text)
            } else {
                Outcome::Error(text)
            };
            let running = state
                .running
                .lock()
                .unwrap()
                .take_if(|(running, _)| running == id);
            match running {
                Some((_, waiting)) => {
                    // Nobody waits any more when the test has ended.
                    let _ = waiting.send(outcome);
                    answer(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
                }
                None => answer(
                    StatusCode::BAD_REQUEST,
                    r#"{"errorType":"InvalidRequestID","errorMessage":"unknown invocation"}"#,
                ),
            }
        }
        _ => answer(StatusCode::NOT_FOUND, "{}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Lambda tells the deadline by the real clock"
)]
async fn next(state: &State) -> Response<Full<Bytes>> {
    state.polls.send_modify(|polls| *polls += 1);
    let Some(Invocation { id, event, outcome }) = state.waiting.lock().await.recv().await else {
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "{}");
    };
    // An outcome that is still owed is given up with its sender, and `invoke` says so.
    *state.running.lock().unwrap() = Some((id.clone(), outcome));
    let deadline = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + state.time_limit;
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", id)
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:bundle",
        )
        .header(
            "lambda-runtime-trace-id",
            "Root=1-69cc6100-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1",
        )
        .body(Full::from(event.to_string()))
        .unwrap()
}
