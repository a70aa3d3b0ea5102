//! `/_local`: what scripts and tests ask of the stack itself rather than of the product.
//!
//! Not part of the product: nothing under `template.yaml` knows these routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::time::{Move, Time, TimeError};
use crate::world::{Accounts, World};

/// Where everything is and how to get in: what `GET /_local` tells, besides the clock.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Address of the API.
    pub api: String,
    /// Address of Stripe.
    pub stripe: String,
    /// Address of DynamoDB.
    pub dynamodb: String,
    /// What events are signed with.
    pub webhook_secret: String,
    /// Stripe's secret key.
    pub stripe_key: String,
    /// The demo world.
    pub demo: World,
}

/// The routes under `/_local`.
pub struct Control {
    /// What `GET /_local` tells.
    pub directory: Directory,
    /// What the functions are told.
    pub variables: BTreeMap<String, String>,
    /// The clock.
    pub time: Arc<Time>,
    /// Makes accounts.
    pub accounts: Accounts,
}

/// Enough for every test; a mistyped figure does not fill the memory.
const MOST_NUMBERS: u32 = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedAccount {
    phone_numbers: u32,
}

impl Control {
    /// Whether a path is one of the stack's own.
    #[must_use]
    pub fn is_for(path: &str) -> bool {
        path.strip_prefix("/_local")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers a request that is for the stack itself.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let answer = match (request.method(), request.uri().path()) {
            (&Method::GET, "/_local") => Ok(self.whole()),
            // As `sam local --env-vars` takes it.
            (&Method::GET, "/_local/environment") => Ok(self.environment()),
            (&Method::GET, "/_local/clock") => Ok(json!({ "now": iso(self.time.now()) })),
            (&Method::POST, "/_local/clock") => self.move_clock(request.body()).await,
            (&Method::POST, "/_local/accounts") => self.make_account(request.body()).await,
            (&Method::GET, "/_local/returned") => return returned(),
            _ => Err((
                StatusCode::NOT_FOUND,
                "there is nothing here; GET /_local tells what is".to_owned(),
            )),
        };
        match answer {
            Ok(body) => told(StatusCode::OK, &body),
            Err((status, text)) => told(status, &json!({ "error": text })),
        }
    }

    fn whole(&self) -> Value {
        let mut whole = json!(self.directory);
        whole["clock"] = json!(iso(self.time.now()));
        whole
    }

    /// Secrets are told as they are here, so those variables are empty that would name them in AWS.
    fn environment(&self) -> Value {
        let mut variables = self.variables.clone();
        for secret in ["STRIPE_SECRET_KEY_ARN", "STRIPE_WEBHOOK_SECRETS_ARN"] {
            variables.insert(secret.to_owned(), String::new());
        }
        json!({ "Parameters": variables })
    }

    async fn move_clock(&self, body: &[u8]) -> Result<Value, (StatusCode, String)> {
        let wanted: Move = read(body, r#"{"advance": "10d"} or {"set": "2026-05-01T00:00:00Z"}"#)?;
        match self.time.change(&wanted).await {
            Ok(now) => Ok(json!({ "now": iso(now) })),
            Err(failed @ TimeError::DynamoDb(_)) => {
                Err((StatusCode::INTERNAL_SERVER_ERROR, failed.to_string()))
            }
            Err(refused) => Err((StatusCode::BAD_REQUEST, refused.to_string())),
        }
    }

    async fn make_account(&self, body: &[u8]) -> Result<Value, (StatusCode, String)> {
        let wanted: WantedAccount = read(body, r#"{"phoneNumbers": 3}"#)?;
        if wanted.phone_numbers > MOST_NUMBERS {
            let text = format!("an account gets at most {MOST_NUMBERS} phone numbers here");
            return Err((StatusCode::BAD_REQUEST, text));
        }
        let made = self.accounts.make(wanted.phone_numbers, self.time.now()).await;
        let account = made.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        Ok(json!({ "id": account.id, "key": account.key, "impersonatedKey": account.impersonated_key }))
    }
}

/// To the second, like every time that the API tells.
fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Where a person lands after paying on the stand-in's page, unless the caller of the checkout named another page.
fn returned() -> Response<Bytes> {
    let page = "Back from the checkout. Coverage begins when the webhook has landed the paid invoice: GET /api/v1/billing tells.\n";
    let mut response = Response::new(Bytes::from_static(page.as_bytes()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], example: &str) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("send {example}: {error}")))
}

fn told(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{body}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
