//! HTTP, both ways: a request becomes a call or a test route, an answer becomes a response.
//!
//! A connection that is to be closed without an answer is an error of the service here, which hyper turns into just that.
//! A caller that goes away does not undo what it asked for: each request is worked on in a task of its own.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::api::{ApiAnswer, Call};
use crate::render::API_VERSION;
use crate::stand_in::StandIn;
use crate::{page, test_routes};

/// No request of Stripe's API is anywhere near as large.
const LARGEST_BODY: usize = 1024 * 1024;

/// How often a running clock is looked at for what has fallen due.
const TICK: std::time::Duration = std::time::Duration::from_millis(500);

/// What a route answers.
pub(crate) struct RouteAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer, as was asked for")]
struct Silence;

impl StandIn {
    /// Serves on a listener until the returned future is dropped. Takes care that on a running clock things fall due by
    /// themselves.
    ///
    /// # Errors
    /// When the listener is not bound to a loopback address, or accepting fails for good.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let message =
                format!("{address} is not a loopback address, and this is no Stripe to show to others");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.set_base_url(&format!("http://{address}"));
        tokio::select! {
            result = self.accept(listener) => result,
            () = self.tick() => Ok(()),
        }
    }

    async fn accept(&self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let stand_in = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let stand_in = stand_in.clone();
                    async move { respond(stand_in, request).await }
                });
                // An error here is the caller's going away, or a fault that was asked for.
                let _closed = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    /// On a clock that stands still there is nothing to do until somebody moves it.
    async fn tick(&self) {
        loop {
            tokio::time::sleep(TICK).await;
            if self.clock().is_running() {
                self.with_state(|_, _| ());
            }
        }
    }
}

async fn respond(stand_in: StandIn, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Silence> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Ok(told(RouteAnswer {
                status: 413,
                content_type: "text/plain",
                body: "too large\n".to_owned(),
            }));
        }
    };
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: body.to_vec(),
        authorization: text(&head.headers, "authorization"),
        account: text(&head.headers, "stripe-account"),
        idempotency_key: text(&head.headers, "idempotency-key"),
        version: text(&head.headers, "stripe-version"),
    };
    let worked_on = tokio::spawn(async move { work(stand_in, call).await });
    match worked_on.await {
        Ok(Some(response)) => Ok(response),
        Ok(None) | Err(_) => Err(Silence),
    }
}

async fn work(stand_in: StandIn, call: Call) -> Option<Response<Full<Bytes>>> {
    if let Some(answer) = page::answer(&stand_in, &call) {
        return Some(told(answer));
    }
    if let Some(answer) = test_routes::answer(&stand_in, &call).await {
        return Some(told(answer));
    }
    let version = call.version.clone().unwrap_or_else(|| API_VERSION.to_owned());
    let key = call.idempotency_key.clone();
    let answer = stand_in.answer(call).await?;
    Some(api_response(&answer, &version, key.as_deref()))
}

fn api_response(answer: &ApiAnswer, version: &str, key: Option<&str>) -> Response<Full<Bytes>> {
    let mut builder = Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, "application/json")
        .header("request-id", &answer.request_id)
        .header("stripe-version", version);
    if let Some(key) = key {
        builder = builder.header("idempotency-key", key);
    }
    if answer.replayed {
        builder = builder.header("idempotent-replayed", "true");
    }
    let body = serde_json::to_vec_pretty(&answer.body).unwrap_or_default();
    builder
        .body(Full::new(Bytes::from(body)))
        .unwrap_or_else(|_| bad_request())
}

fn told(answer: RouteAnswer) -> Response<Full<Bytes>> {
    let builder = Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, answer.content_type);
    builder
        .body(Full::new(Bytes::from(answer.body)))
        .unwrap_or_else(|_| bad_request())
}

/// A header that was echoed cannot be sent back.
fn bad_request() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
