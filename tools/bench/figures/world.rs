//! The world that requests are made in: a local stack with accounts that have subscribed.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local_stack::{Settings, Stack};
use serde_json::{Value, json};
use stripe_stand_in::Payment;

/// A local stack, and a way to ask it.
pub(crate) struct World {
    pub(crate) stack: Stack,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self {
            stack: Stack::start(Settings::free_ports()).await.unwrap(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Asks the stack's API.
    pub(crate) async fn asks(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stack.directory.api))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The key of a new account with two phone numbers.
    pub(crate) async fn account(&self) -> String {
        let wanted = json!({ "phoneNumbers": 2 });
        let (_, account) = self.asks("", "POST", "/_local/accounts", &wanted).await;
        account["key"].as_str().unwrap().to_owned()
    }

    /// The key of a new account that pays by the month, once its coverage has landed.
    pub(crate) async fn subscriber(&self) -> String {
        let key = self.account().await;
        let wish = json!({ "interval": "monthly" });
        let (_, answer) = self
            .asks(&key, "POST", "/api/v1/billing/checkout/subscription", &wish)
            .await;
        let secret = answer["clientSecret"].as_str().unwrap();
        let session = secret.split("_secret_").next().unwrap();
        let stripe = self.stack.stand_in.as_ref().unwrap();
        stripe.pay_session(session, Payment::Succeed).await.unwrap();
        loop {
            let (_, billing) = self.asks(&key, "GET", "/api/v1/billing", &Value::Null).await;
            if !billing["coveredUntil"].is_null() {
                return key;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
