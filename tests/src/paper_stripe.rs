//! A Stripe of paper: answers that are written down, for shapes that no account of a scenario gets to.
//!
//! It knows nothing but paths with their queries; what it was not given is 404.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use billing_stripe::{Stripe, StripeConfig};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};

/// Stripe, answering `GET` of these paths.
pub async fn stripe_of(answers: impl IntoIterator<Item = (&'static str, Value)>) -> Stripe {
    let answers: Arc<BTreeMap<_, _>> = Arc::new(answers.into_iter().collect());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            let service = service_fn(move |request| {
                let answer = answer(&answers, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // How a client leaves is its own business.
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    #[expect(clippy::disallowed_methods, reason = "a test that takes longer has failed")]
    let until = Instant::now() + Duration::from_secs(600);
    StripeConfig::new(billing_edge::transport(), &base).session("sk_test_paper", until, 0)
}

fn answer(answers: &BTreeMap<&'static str, Value>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let asked = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let (status, body) = match answers.get(asked) {
        Some(body) => (200, body.clone()),
        None => (
            404,
            json!({ "error": { "type": "invalid_request_error", "message": asked } }),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    response
}
