//! Posts signed events to endpoints, over plain HTTP.
//!
//! It decides nothing: who gets what, and when again, is in [`crate::deliveries`]. HTTPS is left out on purpose; everything that the
//! stand-in talks to is on the same machine.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::deliveries::{Letter, Posted};

/// How long an endpoint may take, in real time.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub(crate) struct Courier {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Courier {
    pub(crate) fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(4)
                .build_http(),
        }
    }

    /// Posts and waits for the answer's end. Never an error: what went wrong is in what is answered.
    pub(crate) async fn post(&self, letter: Letter) -> Posted {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&letter.url)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(
                header::USER_AGENT,
                "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            )
            .header("stripe-signature", &letter.signature)
            .body(Full::new(Bytes::from(letter.body)));
        let request = match request {
            Ok(request) => request,
            Err(error) => return failed(error.to_string()),
        };
        let answer = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            response
                .into_body()
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            Ok::<u16, String>(status)
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(status)) => Posted {
                status: Some(status),
                error: None,
            },
            Ok(Err(error)) => failed(error),
            Err(_) => failed("no answer in time".to_owned()),
        }
    }
}

fn failed(error: String) -> Posted {
    Posted {
        status: None,
        error: Some(error),
    }
}
