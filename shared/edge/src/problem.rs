//! What goes wrong: what the caller is told, and what the log is.
//!
//! The caller's text says what to do and reveals nothing; 5xx texts are constant. The log's text says what happened.

use std::time::Duration;

use billing_core::access::Forbidden;
use billing_core::invalid::Invalid;
use billing_store::StoreError;
use billing_stripe::StripeError;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What a caller is told when the right key is missing, whatever was wrong with it.
const UNAUTHORISED: &str = "missing or invalid API key";
/// What an agency is told, and an operator reads, of an account that was disconnected.
const NO_ACCESS: &str = "the connected account gives no access to its Stripe account";
/// What a caller is told when something that we depend on is down.
const UNAVAILABLE: &str = "temporarily unavailable, please try again";
/// What a caller is told when Stripe's answer made no sense.
const BAD_GATEWAY: &str = "the payment provider gave an unusable answer";
/// What a caller is told when something of ours is broken.
const INTERNAL: &str = "internal error";
/// When to come back, unless somebody said otherwise.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// When to come back to what somebody is at.
const BUSY: Duration = Duration::from_secs(5);
/// The longest that a caller is told to stay away because Stripe asked for it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// An answer other than the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    told: Message,
    /// What happened, for the log; empty where the answer says it all.
    pub logged: String,
    /// Whether the outcome of something that moves money is unknown.
    pub unknown_outcome: bool,
    /// Whether a connected account has taken back its access.
    pub no_access: bool,
    retry_after: Option<Duration>,
    /// How a key is to be presented, for 401.
    challenge: Challenge,
    /// Members that stand beside `error`.
    members: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Message {
    Text(String),
    Invalid(Invalid),
}

/// How a key is to be presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// In `Authorization`.
    Bearer,
    /// In a header of its own, for which there is no registered scheme.
    ApiKey,
}

impl Challenge {
    /// What `WWW-Authenticate` says.
    fn scheme(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::ApiKey => "ApiKey",
        }
    }
}

impl Problem {
    fn new(status: u16, told: impl Into<String>, logged: impl Into<String>) -> Self {
        Self {
            status,
            told: Message::Text(told.into()),
            logged: logged.into(),
            unknown_outcome: false,
            no_access: false,
            retry_after: None,
            challenge: Challenge::Bearer,
            members: Map::new(),
        }
    }

    /// 400 with one text: a request that cannot be served as things stand.
    pub fn bad_request(told: impl Into<String>) -> Self {
        Self::new(400, told, "")
    }

    /// 400 with all faults of the input.
    #[must_use]
    pub fn invalid(invalid: Invalid) -> Self {
        Self {
            told: Message::Invalid(invalid),
            ..Self::new(400, "", "")
        }
    }

    /// 401, always with the same text.
    pub fn unauthorised(logged: impl Into<String>) -> Self {
        Self::new(401, UNAUTHORISED, logged)
    }

    /// 404: there is no such thing, or it is somebody else's; which of them is nobody's business.
    pub fn not_found(told: impl Into<String>) -> Self {
        Self::new(404, told, "")
    }

    /// 409: as things stand it cannot be done; the caller can change that, or wait.
    pub fn conflict(told: impl Into<String>) -> Self {
        Self::new(409, told, "")
    }

    /// 409: somebody is at it, and done with it in seconds.
    pub fn busy(told: impl Into<String>) -> Self {
        Self::conflict(told).after(BUSY)
    }

    /// 429: the caller is to wait.
    pub fn too_many(told: impl Into<String>) -> Self {
        Self::new(429, told, "")
    }

    /// 410: it was there, and its time has run out.
    pub fn gone(told: impl Into<String>) -> Self {
        Self::new(410, told, "")
    }

    /// 402: the payment was refused, in Stripe's words for the payer.
    pub fn payment_required(told: impl Into<String>) -> Self {
        Self::new(402, told, "")
    }

    /// 409: the agency has disconnected the account at Stripe.
    #[must_use]
    pub fn no_access() -> Self {
        Self {
            no_access: true,
            ..Self::new(409, NO_ACCESS, NO_ACCESS)
        }
    }

    /// 409: the same request is under way.
    #[must_use]
    pub(crate) fn in_progress() -> Self {
        Self::conflict("a request with this idempotency key is in progress").after(RETRY_AFTER)
    }

    /// 422: another request came under the same idempotency key.
    #[must_use]
    pub fn key_reused() -> Self {
        Self::new(422, "this idempotency key was used for another request", "")
    }

    /// 413: the body is longer than any that makes sense here.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(413, "the body is too large", "")
    }

    /// 415: the body is not JSON by its type.
    #[must_use]
    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(415, "the body must be application/json", "")
    }

    /// 500: something of ours is broken.
    pub fn internal(logged: impl Into<String>) -> Self {
        Self::new(500, INTERNAL, logged)
    }

    /// 502: Stripe's answer is of no use, and asking again will not help.
    pub fn bad_gateway(logged: impl Into<String>) -> Self {
        Self::new(502, BAD_GATEWAY, logged)
    }

    /// 503: asking again will help.
    pub fn unavailable(logged: impl Into<String>) -> Self {
        Self::new(503, UNAVAILABLE, logged).after(RETRY_AFTER)
    }

    /// The same, with a hint when to come back.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Whether it is the caller's doing, who can do something about it (4xx).
    #[must_use]
    pub fn is_client_error(&self) -> bool {
        self.status < 500
    }

    /// Whether Stripe gave an answer that is of no use: it refused what it should not have (502).
    #[must_use]
    pub fn is_bad_gateway(&self) -> bool {
        self.status == 502
    }

    /// Whether asking the very same again comes to the same, until the caller does something about it. A key that opens nothing is told with
    /// a challenge, which no stored answer has. A body that was not read may be read the next time: its type is no part of what makes the
    /// request the same.
    #[must_use]
    pub(crate) fn is_final(&self) -> bool {
        self.is_client_error() && !matches!(self.status, 401 | 415) && self.retry_after.is_none()
    }

    /// The same 401, for keys that are presented in another way.
    #[must_use]
    pub(crate) fn challenging(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }

    /// The same, with a member beside `error` that helps the caller on.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.members.insert(name.to_owned(), value);
        self
    }

    fn error(&self) -> Value {
        match &self.told {
            Message::Text(text) => json!(text),
            Message::Invalid(Invalid { form, fields }) => {
                json!({ "formErrors": form, "fieldErrors": fields })
            }
        }
    }

    /// The body as the contract has it.
    pub(crate) fn envelope(&self) -> String {
        self.body().to_string()
    }

    fn body(&self) -> Value {
        let mut body = self.members.clone();
        body.insert("error".to_owned(), self.error());
        Value::Object(body)
    }

    /// As the contract has it: `{"error": …}`; as RFC 9457 has it, for those who ask for `application/problem+json`.
    pub(crate) fn into_response(self, as_problem_json: bool) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (media_type, body) = if as_problem_json {
            (
                "application/problem+json",
                problem_json(status, self.body()).to_string(),
            )
        } else {
            ("application/json", self.envelope())
        };
        let mut response = Response::new(Body::Text(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(self.challenge.scheme());
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

/// Rounded up: who comes back after so many seconds does not come too early.
fn whole_seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

/// A status in the words of RFC 9110, which are not the library's for two.
fn phrase(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        status => status.canonical_reason().unwrap_or("Error"),
    }
}

/// The body of a contract's error as RFC 9457 has it; what stands beside `error` becomes extension members.
pub(crate) fn problem_json(status: StatusCode, mut body: Value) -> Value {
    let title = phrase(status);
    let mut told = match body["error"].take() {
        Value::String(detail) => {
            json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail })
        }
        faults => json!({
            "type": "about:blank", "title": title, "status": status.as_u16(),
            "detail": "the request is not valid", "errors": faults,
        }),
    };
    if let (Value::Object(told), Value::Object(beside)) = (&mut told, body) {
        told.extend(beside.into_iter().filter(|(name, _)| name != "error"));
    }
    told
}

impl From<Forbidden> for Problem {
    fn from(forbidden: Forbidden) -> Self {
        let logged = match &forbidden {
            Forbidden::Impersonating(name) => format!("attempt while impersonated by {name}"),
            Forbidden::MissingScope(_) => String::new(),
        };
        Self::new(403, forbidden.to_string(), logged)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            // Whoever expects conflicts handles them; one that gets here came too often.
            StoreError::Conflict | StoreError::Throttled | StoreError::Unavailable(_) => {
                Self::unavailable(error.to_string())
            }
            StoreError::Corrupt { .. } => Self::internal(error.to_string()),
        }
    }
}

impl From<StripeError> for Problem {
    fn from(error: StripeError) -> Self {
        let logged = error.to_string();
        // Stripe may ask for a moment or, wrongly, for a day.
        let wait = error.retry_after().unwrap_or_default();
        let wait = wait.clamp(RETRY_AFTER, LONGEST_RETRY_AFTER);
        match error {
            StripeError::Unavailable { .. } => Self::unavailable(logged).after(wait),
            StripeError::Unknown { .. } => Self {
                unknown_outcome: true,
                ..Self::unavailable(logged).after(wait)
            },
            // A refusal that the function expects, it handles itself.
            StripeError::Refused(_) | StripeError::Spent { .. } | StripeError::Unexpected { .. } => {
                Self::bad_gateway(logged)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_in_seconds_that_are_enough() {
        for (millis, told) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_400, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), told, "{millis} ms");
        }
    }

    /// The longer of our pause and Stripe's, and never a day.
    #[test]
    fn a_pause_that_stripe_asks_for_is_told_within_bounds() {
        for (asked, told) in [(None, 2), (Some(0), 2), (Some(30), 30), (Some(86_400), 300)] {
            let retry_after = asked.map(Duration::from_secs);
            let unavailable = StripeError::Unavailable {
                reason: String::new(),
                retry_after,
            };
            let unknown = StripeError::Unknown {
                reason: String::new(),
                retry_after,
            };
            for error in [unavailable, unknown] {
                let problem = Problem::from(error);
                assert_eq!(problem.retry_after, Some(Duration::from_secs(told)), "{asked:?}");
            }
        }
    }
}
