//! The transport to Stripe.
//!
//! # How it works
//! One pooled connection is shared by all calls of a sandbox. A call is repeated (a dead pooled connection, a busy Stripe, a
//! lock on the idempotency key) within the time that the invocation has left, and only where repeating is safe: reads, and
//! writes, which all carry an idempotency key.
//!
//! # If it fails half-way
//! A write whose request may have left is never called failed: it is [`StripeError::Unknown`], unless a repeat under the same
//! key found out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use billing_core::id::ConnectedAccountId;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::de::DeserializeOwned;
use stripe_client_core::{RequestBuilder, StripeMethod};
use tokio::time::Instant;

use crate::error::{Refusal, StripeError};

/// The HTTP client: TCP, with TLS for `https`, and a pool of connections.
pub type Transport = Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How often one call is sent at most.
const ATTEMPTS: u32 = 4;
/// Under how many idempotency keys something is asked for that changes nothing when it is done again, where Stripe keeps a failure under one.
pub(crate) const KEYS: u32 = 8;
/// How long one attempt may take at most. Stripe's slowest calls take a few seconds.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(8);
/// When Stripe asks for a longer pause than this, the caller is told to come back instead of being kept waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What stays the same for all calls of a process.
#[derive(Clone)]
pub struct StripeConfig {
    transport: Transport,
    base: Arc<str>,
}

impl StripeConfig {
    /// Stripe at `base` (`https://api.stripe.com`). Connects to nobody yet.
    #[must_use]
    pub fn new(transport: Transport, base: &str) -> Self {
        Self {
            transport,
            base: base.trim_end_matches('/').into(),
        }
    }

    /// The calls of one request: with this secret key, until this instant.
    ///
    /// `seed` spreads the back-off of concurrent requests; any number will do.
    #[must_use]
    pub fn session(&self, key: &str, until: Instant, seed: u64) -> Stripe {
        // A key with bytes that no header takes is refused by Stripe as any wrong key is.
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer malformed"));
        authorization.set_sensitive(true);
        Stripe {
            config: self.clone(),
            authorization,
            account: None,
            until,
            seed,
            calls: Arc::default(),
        }
    }
}

impl fmt::Debug for StripeConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StripeConfig")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Stripe, for the length of one request.
#[derive(Clone)]
pub struct Stripe {
    config: StripeConfig,
    authorization: HeaderValue,
    /// The connected account that is spoken for; none for our own.
    account: Option<HeaderValue>,
    until: Instant,
    seed: u64,
    calls: Arc<AtomicU64>,
}

impl fmt::Debug for Stripe {
    /// Without the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Stripe")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What was answered.
pub(crate) struct Answer<T> {
    /// What it says.
    pub(crate) says: T,
    /// Whether Stripe told it before, under the same key (`Idempotent-Replayed`): so it was then, and may be otherwise by now.
    pub(crate) is_replayed: bool,
}

/// What one attempt came to.
enum Attempt {
    Answer(Answer<Bytes>),
    /// Final.
    Failed(StripeError),
    /// Worth another attempt.
    Again(StripeError),
}

impl Stripe {
    /// How many requests were sent so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The same, giving up earlier.
    #[must_use]
    pub fn until(&self, until: Instant) -> Self {
        Self {
            until,
            ..self.clone()
        }
    }

    /// The same, speaking for a connected account: every call carries `Stripe-Account`.
    pub(crate) fn speaking_for(&self, account: &ConnectedAccountId) -> Self {
        Self {
            // Ids are of a few ASCII characters, all of which a header takes.
            account: HeaderValue::from_str(account.as_str()).ok(),
            ..self.clone()
        }
    }

    /// Reads, also by a POST that changes nothing (a preview).
    pub(crate) async fn get<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, StripeError> {
        Ok(self.call(request, None).await?.says)
    }

    /// Writes under an idempotency key, which makes repeating safe. The key is derived from what makes the intent unique.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        idempotency_key: &str,
    ) -> Result<T, StripeError> {
        Ok(self.answer(request, idempotency_key).await?.says)
    }

    /// The same, with whether it was told before.
    pub(crate) async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        idempotency_key: &str,
    ) -> Result<Answer<T>, StripeError> {
        self.call(request, Some(idempotency_key)).await
    }

    /// The same under the next of [`KEYS`] keys (`key`, `key/2`, …), where Stripe keeps a failure under one: for what changes nothing when it is
    /// done again. What was the matter may be over by then.
    pub(crate) async fn post_at_last<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
        key: &str,
    ) -> Result<T, StripeError> {
        let mut answer = self.post(request(), key).await;
        for attempt in 2..=KEYS {
            if !matches!(answer, Err(StripeError::Spent { .. })) {
                break;
            }
            answer = self.post(request(), &numbered(key, attempt)).await;
        }
        answer
    }

    /// Writes without a key, so that Stripe keeps no failure and judges anew however often it is asked: for what it refuses once it is done.
    pub(crate) async fn post_anew<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, StripeError> {
        Ok(self.call(request, None).await?.says)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        idempotency_key: Option<&str>,
    ) -> Result<Answer<T>, StripeError> {
        let out_of_time = || {
            let reason = "the invocation ran out of time".to_owned();
            match idempotency_key {
                Some(_) => StripeError::Unknown {
                    reason,
                    retry_after: None,
                },
                None => StripeError::Unavailable {
                    reason,
                    retry_after: None,
                },
            }
        };
        let Answer { says, is_replayed } =
            tokio::time::timeout_at(self.until, self.attempts(&request, idempotency_key))
                .await
                .unwrap_or_else(|_| Err(out_of_time()))?;
        let says = serde_json::from_slice(&says).map_err(|error| StripeError::Unexpected {
            reason: format!("{} {}: {error}", method(request.method), request.path),
        })?;
        Ok(Answer { says, is_replayed })
    }

    async fn attempts(
        &self,
        request: &RequestBuilder,
        idempotency_key: Option<&str>,
    ) -> Result<Answer<Bytes>, StripeError> {
        let mut worst = None;
        let mut asked = None;
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.calls.fetch_add(1, Ordering::Relaxed);
            let error = match self.attempt(request, idempotency_key).await {
                Attempt::Answer(answer) => return Ok(answer),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again(error) => error,
            };
            let wait = self.back_off(attempt, &error);
            asked = asked.max(error.retry_after());
            // An attempt that may have taken effect stays unknown, however the later ones failed.
            let error = match error {
                StripeError::Unknown { .. } => worst.insert(error),
                error => worst.get_or_insert(error),
            };
            if attempt == ATTEMPTS || wait > LONGEST_WAIT.min(self.left()) {
                return Err(error.clone().after(asked));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// 0 to 25 ms before the second attempt (mostly a pooled connection that died), then up to 100 and 400 ms; longer where
    /// Stripe says so.
    fn back_off(&self, attempt: u32, error: &StripeError) -> Duration {
        if let Some(asked) = error.retry_after() {
            return asked;
        }
        let ceiling = 25_u64 << (2 * (attempt - 1));
        // Knuth's multiplicative hash spreads consecutive seeds and attempts.
        let spread = self
            .seed
            .wrapping_add(u64::from(attempt))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            >> 33;
        Duration::from_millis(spread % ceiling)
    }

    async fn attempt(&self, request: &RequestBuilder, idempotency_key: Option<&str>) -> Attempt {
        let request = match self.http_request(request, idempotency_key) {
            Ok(request) => request,
            Err(error) => {
                return Attempt::Failed(StripeError::Unexpected {
                    reason: error.to_string(),
                });
            }
        };
        let exchange = async {
            let answer = self
                .config
                .transport
                .request(request)
                .await
                .map_err(|error| lost(&error, idempotency_key))?;
            let (head, body) = answer.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| unanswered(&error, idempotency_key))?;
            Ok::<_, StripeError>((head, body.to_bytes()))
        };
        match tokio::time::timeout(longest_attempt(self.left()), exchange).await {
            Ok(Ok((head, says))) if head.status.is_success() => Attempt::Answer(Answer {
                says,
                is_replayed: is_replayed(&head.headers),
            }),
            Ok(Ok((head, body))) => refusal(head.status.as_u16(), &head.headers, &body, idempotency_key),
            Ok(Err(error)) => Attempt::Again(error),
            Err(elapsed) => Attempt::Again(unanswered(&elapsed, idempotency_key)),
        }
    }

    /// How much time is left for calls.
    fn left(&self) -> Duration {
        #[expect(
            clippy::disallowed_methods,
            reason = "what is left of an invocation is real time"
        )]
        self.until.saturating_duration_since(Instant::now())
    }

    fn http_request(
        &self,
        request: &RequestBuilder,
        idempotency_key: Option<&str>,
    ) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let query = request.query.as_deref().filter(|query| !query.is_empty());
        let uri = match query {
            Some(query) => format!("{}/v1{}?{query}", self.config.base, request.path),
            None => format!("{}/v1{}", self.config.base, request.path),
        };
        let mut builder = http::Request::builder()
            .method(method(request.method))
            .uri(uri)
            .header(AUTHORIZATION, self.authorization.clone())
            .header("stripe-version", stripe_client_core::VERSION.as_str())
            .header(
                "user-agent",
                concat!("billing-stripe/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(account) = &self.account {
            builder = builder.header("stripe-account", account.clone());
        }
        if let Some(key) = idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        if request.body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        builder.body(Full::new(Bytes::from(request.body.clone().unwrap_or_default())))
    }
}

/// How long an attempt may take when so much time is left: half of it, so that an answer that does not come can still be found out
/// by a repeat under the same key.
fn longest_attempt(left: Duration) -> Duration {
    LONGEST_ATTEMPT.min(left / 2)
}

fn method(method: StripeMethod) -> http::Method {
    match method {
        StripeMethod::Get => http::Method::GET,
        StripeMethod::Post => http::Method::POST,
        StripeMethod::Delete => http::Method::DELETE,
    }
}

/// The request did not get an answer; it may not even have left.
fn lost(error: &hyper_util::client::legacy::Error, idempotency_key: Option<&str>) -> StripeError {
    if error.is_connect() {
        return StripeError::Unavailable {
            reason: told(error),
            retry_after: None,
        };
    }
    unanswered(error, idempotency_key)
}

/// The request left; what became of it nobody knows. A read has nothing to become of.
fn unanswered(error: &dyn std::error::Error, idempotency_key: Option<&str>) -> StripeError {
    match idempotency_key {
        Some(_) => StripeError::Unknown {
            reason: told(error),
            retry_after: None,
        },
        None => StripeError::Unavailable {
            reason: told(error),
            retry_after: None,
        },
    }
}

/// An error with its causes, which hyper keeps apart.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether Stripe repeats what it told under the same key before.
fn is_replayed(headers: &HeaderMap) -> bool {
    headers
        .get("idempotent-replayed")
        .is_some_and(|told| told == "true")
}

fn refusal(status: u16, headers: &HeaderMap, body: &[u8], idempotency_key: Option<&str>) -> Attempt {
    #[derive(serde::Deserialize)]
    struct Envelope {
        error: ErrorObject,
    }
    #[derive(serde::Deserialize)]
    struct ErrorObject {
        #[serde(rename = "type", default)]
        kind: String,
        code: Option<String>,
        param: Option<String>,
        #[serde(default)]
        message: String,
    }

    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let told = serde_json::from_slice::<Envelope>(body)
        .ok()
        .map(|envelope| envelope.error);
    let reason = format!(
        "{status} {} (request {})",
        told.as_ref().map_or("without an error object", |told| told
            .code
            .as_deref()
            .unwrap_or(&told.kind)),
        text("request-id").unwrap_or("without id"),
    );
    let replayed = is_replayed(headers);
    let retry_after = text("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    match (status, told) {
        // Another request with this key is under way, or an object is locked by one: nothing was done for this request.
        (409 | 429, _) => Attempt::Again(StripeError::Unavailable { reason, retry_after }),
        // What was refused once is told again for as long as the key is kept, also when it would do by now.
        (400..=499, Some(told)) if told.kind == "idempotency_error" || replayed => {
            let reworded = told.kind == "idempotency_error";
            Attempt::Failed(StripeError::Spent { reason, reworded })
        }
        (
            400..=499,
            Some(ErrorObject {
                kind,
                code,
                param,
                message,
            }),
        ) => Attempt::Failed(StripeError::Refused(Refusal {
            status,
            kind,
            code,
            param,
            message,
        })),
        (500..=599, _) if replayed => Attempt::Failed(StripeError::Spent {
            reason,
            reworded: false,
        }),
        (500..=599, _) if idempotency_key.is_some() => {
            Attempt::Again(StripeError::Unknown { reason, retry_after })
        }
        (500..=599, _) => Attempt::Again(StripeError::Unavailable { reason, retry_after }),
        _ => Attempt::Failed(StripeError::Unexpected { reason }),
    }
}

/// The key of an attempt, counted from 1: `key`, `key/2`, ….
pub(crate) fn numbered(key: &str, attempt: u32) -> String {
    match attempt {
        1 => key.to_owned(),
        _ => format!("{key}/{attempt}"),
    }
}

#[cfg(test)]
mod tests;
