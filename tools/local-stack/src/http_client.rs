//! Plain HTTP to this machine: how the stack talks to a DynamoDB and a Stripe stand-in over their own interfaces.
//!
//! Deliberately without TLS and retries: everything it reaches listens on a loopback address.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client that keeps its connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Client<HttpConnector, Full<Bytes>>);

/// Nobody answered, or the answer broke off.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}: {reason}")]
pub struct NoAnswer {
    url: String,
    reason: String,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl HttpClient {
    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        let url = request.uri().to_string();
        let broken = |reason: String| NoAnswer {
            url: url.clone(),
            reason,
        };
        let answer = self.0.request(request.map(Full::new)).await.map_err(|error| {
            // The error itself says only that sending failed; its source says why.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            broken(cause.unwrap_or_else(|| error.to_string()))
        })?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| broken(error.to_string()))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}
