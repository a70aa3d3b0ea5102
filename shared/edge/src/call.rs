//! One request, or one event: who, when, with what.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use billing_core::account::Account;
use billing_core::id::AccountId;
use billing_core::{SignedDuration, Timestamp};
use billing_store::Store;
use billing_stripe::{Stripe, webhook};
use bytes::Bytes;
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::http::HeaderMap;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Context, Request, RequestExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::app::App;
use crate::config::check_stripe_key;
use crate::key::random;
use crate::problem::Problem;
use crate::reply::Reply;

/// How long a request may take when nobody says.
const DEFAULT_TIME: Duration = Duration::from_secs(20);
/// A deadline that was missed by more than this was none: no invocation is begun so late.
const NONSENSE: Duration = Duration::from_secs(60);
/// What is kept of the remaining time for writing down what happened and answering.
const RESERVE: Duration = Duration::from_millis(700);
/// What is kept of it for answering alone, whatever is still waited for.
const ANSWERING: Duration = Duration::from_millis(300);
/// How much longer than the invocation a claim holds.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// What one of several pieces of work of a run may take: as much as a function that answers requests has.
const PIECE: Duration = Duration::from_secs(15);
/// How often a decision is made again because somebody else wrote first, before the caller is told to come back.
const MOST_ROUNDS: u32 = 12;

/// A request under way; or an event, which has neither headers nor parameters, and itself as its body.
#[derive(Debug)]
pub struct Call<'a> {
    /// What all requests share.
    pub app: &'a App,
    /// When it came: read once, used everywhere. A run that does several pieces of work reads it anew for each ([`Call::piece`]).
    pub now: Timestamp,
    /// The same moment, by what the machine counts time with.
    began: Instant,
    /// Until when its work must be done.
    pub(crate) until: Instant,
    /// When it is given up, so that an answer gets out before Lambda ends the invocation.
    ends: Instant,
    /// The tables.
    pub store: Store,
    pub(crate) id: String,
    pub(crate) trace: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) query: QueryMap,
    pub(crate) path: QueryMap,
    pub(crate) stripe: tokio::sync::OnceCell<Stripe>,
    pub(crate) counts: Arc<Mutex<Vec<(&'static str, u64)>>>,
    /// The caller's account, read beside its key; for whoever asks first.
    ahead: Mutex<Option<Account>>,
    seed: u64,
}

impl<'a> Call<'a> {
    pub(crate) fn new(app: &'a App, request: Request) -> Self {
        let context = request.lambda_context_ref().cloned();
        let gateway_id = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(gateway)) => gateway.request_id.clone(),
            _ => None,
        };
        let (query, path) = (request.query_string_parameters(), request.path_parameters());
        let (head, body) = request.into_parts();
        let body = match body {
            Body::Text(text) => Bytes::from(text),
            Body::Binary(bytes) => Bytes::from(bytes),
            _ => Bytes::new(),
        };
        Self {
            headers: head.headers,
            query,
            path,
            ..Self::start(app, context.as_ref(), gateway_id, body)
        }
    }

    pub(crate) fn of_event(app: &'a App, event: &Value, context: &Context) -> Self {
        Self::start(app, Some(context), None, Bytes::from(event.to_string()))
    }

    fn start(app: &'a App, context: Option<&Context>, gateway_id: Option<String>, body: Bytes) -> Self {
        let id = gateway_id
            .or_else(|| context.map(|context| context.request_id.clone()))
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| random::<16>().map(hex::encode).unwrap_or_default());
        let remaining = context
            .and_then(|context| remaining(context.deadline))
            .unwrap_or(DEFAULT_TIME);
        #[expect(clippy::disallowed_methods, reason = "the edge measures time")]
        let began = Instant::now();
        Self {
            app,
            now: app.clock.now(),
            began,
            until: began + remaining.saturating_sub(RESERVE),
            ends: began + remaining.saturating_sub(ANSWERING),
            store: app.store.session(),
            id,
            trace: context.and_then(|context| context.xray_trace_id.clone()),
            headers: HeaderMap::new(),
            body,
            query: QueryMap::default(),
            path: QueryMap::default(),
            stripe: tokio::sync::OnceCell::new(),
            counts: Arc::default(),
            ahead: Mutex::default(),
            seed: random().map(u64::from_le_bytes).unwrap_or_default(),
        }
    }

    /// A header's value; none when it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What stands in the path in the place of a parameter of the route, decoded; none when the route has no such.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&str> {
        self.path.first(name)
    }

    /// The exact bytes that arrived.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The event that this is, read. Lambda and its event sources are trusted with its form.
    pub fn event<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::internal(format!("an event of another form: {error}")))
    }

    /// Whether so much time is left that something more can be begun.
    #[must_use]
    pub fn has(&self, time: Duration) -> bool {
        self.left() > time
    }

    /// How much time is left for its work.
    #[must_use]
    pub fn left(&self) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "the edge measures time")]
        self.until.saturating_duration_since(Instant::now())
    }

    /// Does all of its work, for as long as there is time to answer. A call to Stripe gives up earlier by itself; one to DynamoDB, or for
    /// a secret, may still be waited for. What was asked for last may have taken effect: to whoever asks again it is as if the machine
    /// had died there. What comes when no time is left is not begun: work that is waited for until the past begins all the same.
    pub(crate) async fn in_time(
        &self,
        work: impl Future<Output = Result<Reply, Problem>>,
    ) -> Result<Reply, Problem> {
        if self.ends <= self.began {
            return Err(Problem::unavailable(
                "the invocation came when its time had run out",
            ));
        }
        let done = tokio::time::timeout_at(self.ends, work).await;
        done.unwrap_or_else(|_| {
            let logged = "the invocation ran out of time; what was asked for last may have taken effect";
            Err(Problem::unavailable(logged))
        })
    }

    /// Waits until it is that moment, where it is no more than `most` ahead of when the request came, and answers the time by then: a caller may name
    /// the present of another machine, whose clock is a little ahead. 503 when there is no time to wait.
    pub async fn not_before(&self, moment: Timestamp, most: SignedDuration) -> Result<Timestamp, Problem> {
        let ahead = moment.duration_since(self.now);
        if ahead.is_negative() || ahead > most {
            return Ok(self.now);
        }
        let then = self.began + ahead.unsigned_abs();
        if then >= self.until {
            return Err(Problem::unavailable(
                "there is no time to wait for a moment that is ahead",
            ));
        }
        tokio::time::sleep_until(then).await;
        Ok(moment)
    }

    /// What time it is by now. What a request decides, it decides by when it came; but what it asked of Stripe may have gone by since.
    #[must_use]
    pub fn by_now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Stripe, for the rest of this request.
    pub async fn stripe(&self) -> Result<&Stripe, Problem> {
        self.stripe
            .get_or_try_init(|| async {
                let key = self.app.stripe_key.get(&self.app.vault, self.now).await;
                let key = key.map_err(|error| Problem::unavailable(error.to_string()))?;
                check_stripe_key(&key, self.app.config.mode)
                    .map_err(|wrong| Problem::internal(format!("what is to open Stripe {wrong}")))?;
                Ok(self.app.stripe.session(key.expose(), self.until, self.seed))
            })
            .await
    }

    /// One of several pieces of work that a run does, as if it had come by itself: at this moment, and with the time of a request at most.
    /// So nothing that it writes down as begun, and no claim of its own, is older than it looks. What it counts is the run's.
    pub async fn piece(&self) -> Result<Call<'a>, Problem> {
        #[expect(clippy::disallowed_methods, reason = "the edge measures time")]
        let began = Instant::now();
        let until = self.until.min(began + PIECE);
        Ok(Call {
            app: self.app,
            now: self.app.clock.now(),
            began,
            until,
            ends: self.ends,
            store: self.store.clone(),
            id: self.id.clone(),
            trace: self.trace.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            query: self.query.clone(),
            path: self.path.clone(),
            stripe: tokio::sync::OnceCell::new_with(Some(self.stripe().await?.until(until))),
            counts: Arc::clone(&self.counts),
            ahead: Mutex::default(),
            seed: self.seed,
        })
    }

    /// An account as it is stored. 401 when it is gone: so is its key.
    pub async fn account(&self, id: &AccountId) -> Result<Account, Problem> {
        let ahead = self.ahead.lock().ok().and_then(|mut ahead| ahead.take());
        let account = match ahead.filter(|account| account.profile.id == *id) {
            Some(account) => Some(account),
            None => self.store.account(id).await?,
        };
        let account = account.ok_or_else(|| Problem::unauthorised("the key's account does not exist"))?;
        if account.profile.erased_at.is_some() {
            // Its keys are being revoked, or were while this call was under way.
            return Err(Problem::unauthorised("the key's account was erased"));
        }
        Ok(account)
    }

    /// Keeps an account that was read before anybody asked. It is handed out once: who asks again wants to know what is new.
    pub(crate) fn read_ahead(&self, account: Option<Account>) {
        if let Ok(mut ahead) = self.ahead.lock() {
            *ahead = account;
        }
    }

    /// Whether the body carries Stripe's signature. 400 with one constant text if not; 503 while there is no secret to tell by.
    pub async fn verify_signature(&self) -> Result<(), Problem> {
        let secrets = self.app.webhook_secrets.as_ref();
        let secrets = secrets.ok_or_else(|| Problem::internal("no webhook secret is configured"))?;
        let secrets = secrets.get(&self.app.vault, self.now).await;
        let secrets = secrets.map_err(|error| Problem::unavailable(error.to_string()))?;
        let secrets = secrets.listed();
        if secrets.is_empty() {
            // Whoever put them there can mend it, and Stripe asks again; a 400 would tell of a forgery.
            return Err(Problem::unavailable("the list of webhook secrets is empty"));
        }
        let header = self.header("stripe-signature").unwrap_or_default();
        webhook::verify(&self.body, header, &secrets, self.now)
            .map_err(|bad| Problem::bad_request(bad.to_string()))
    }

    /// Until when a claim on this request's work holds: a little longer than the invocation can last, so that nobody else is at
    /// it at the same time, and not much, so that somebody is soon after it died.
    pub fn lease(&self) -> Result<Timestamp, Problem> {
        SignedDuration::try_from(self.left() + RESERVE + LEASE_MARGIN)
            .and_then(|lease| self.now.checked_add(lease))
            .map_err(|error| Problem::internal(error.to_string()))
    }

    /// A name for a claim of this request's, which no other has.
    pub(crate) fn claim_token(&self) -> Result<String, Problem> {
        random::<16>()
            .map(hex::encode)
            .map_err(|error| Problem::internal(error.to_string()))
    }

    /// For a decision that is made again, on fresh facts, for as long as somebody else keeps writing first.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        Rounds {
            lost: 0,
            seed: self.seed,
        }
    }

    /// Counts something worth an alarm or a graph. What is counted twice adds up: a metric stands once in what CloudWatch is told, which
    /// holds a hundred.
    pub fn count(&self, metric: &'static str, value: u64) {
        if let Ok(mut counts) = self.counts.lock() {
            match counts.iter_mut().find(|(name, _)| *name == metric) {
                Some((_, sum)) => *sum = sum.saturating_add(value),
                None => counts.push((metric, value)),
            }
        }
    }
}

/// How often a decision was overtaken.
#[derive(Debug)]
pub struct Rounds {
    lost: u32,
    seed: u64,
}

impl Rounds {
    /// Waits a little before the next round; 503 when there were too many.
    pub async fn lost(&mut self) -> Result<(), Problem> {
        if self.lost == MOST_ROUNDS {
            return Err(Problem::unavailable("others kept writing first"));
        }
        // 0 to 10 ms at first, then up to 320 ms: enough to let a crowd of concurrent writers through one by one.
        let ceiling = 10_u64 << self.lost.min(5);
        self.lost += 1;
        let spread = self
            .seed
            .wrapping_mul(u64::from(self.lost))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            >> 33;
        tokio::time::sleep(Duration::from_millis(spread % ceiling)).await;
        Ok(())
    }
}

/// What is left until a deadline in milliseconds since 1970; nothing of one that has passed. None of what is no deadline.
fn remaining(deadline_ms: u64) -> Option<Duration> {
    #[expect(
        clippy::disallowed_methods,
        reason = "Lambda's deadline is by the system's clock, whatever the stack's says"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    until(Duration::from_millis(deadline_ms), now)
}

/// The same, both since 1970. One that is missing, or long past, is no deadline: some emulators send nonsense.
fn until(deadline: Duration, now: Duration) -> Option<Duration> {
    let missed_by = now.saturating_sub(deadline);
    (!deadline.is_zero() && missed_by <= NONSENSE).then(|| deadline.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_has_just_passed_leaves_nothing() {
        let seconds = Duration::from_secs;
        for (deadline, now, left) in [
            (120, 100, Some(20)),
            (100, 100, Some(0)),
            (100, 160, Some(0)),
            (100, 161, None),
            (0, 100, None),
            (0, 0, None),
        ] {
            assert_eq!(
                until(seconds(deadline), seconds(now)),
                left.map(seconds),
                "{deadline} at {now}"
            );
        }
    }
}
