//! What callers do: a front end that asks at random, impatiently, sometimes twice.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local_stack::Stack;
use serde_json::{Value, json};
use stripe_stand_in::Payment;

use crate::tally::Tally;

/// An account, with its key.
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) key: String,
}

/// One caller.
pub(crate) struct Caller {
    stack: Arc<Stack>,
    accounts: Arc<[Account]>,
    client: Client<HttpConnector, Full<Bytes>>,
    random: u64,
    acts: u64,
    pub(crate) tally: Tally,
}

/// A request that a caller sends.
struct Ask<'a> {
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'a Value,
    /// The caller's own, when it sends one.
    idempotency_key: Option<String>,
}

impl Caller {
    pub(crate) fn new(stack: Arc<Stack>, accounts: Arc<[Account]>, seed: u64) -> Self {
        Self {
            stack,
            accounts,
            client: Client::builder(TokioExecutor::new()).build_http(),
            random: seed.wrapping_add(0x9E37_79B9_7F4A_7C15),
            acts: 0,
            tally: Tally::default(),
        }
    }

    /// Makes an account with two phone numbers.
    pub(crate) async fn makes_account(&self) -> Account {
        let wanted = json!({ "phoneNumbers": 2 });
        let ask = Ask {
            operation: "accounts",
            method: "POST",
            path: "/_local/accounts",
            body: &wanted,
            idempotency_key: None,
        };
        let (status, account) = self.send("", &ask).await;
        assert_eq!(status, 200, "{account}");
        let text = |name: &str| account[name].as_str().unwrap().to_owned();
        Account {
            id: text("id"),
            key: text("key"),
        }
    }

    /// Does one thing for one account.
    pub(crate) async fn acts(&mut self) {
        let account = self.pick(self.accounts.len());
        let interval = if self.pick(2) == 0 { "monthly" } else { "annual" };
        match self.pick(100) {
            0..30 => self.shows_billing(account).await,
            30..60 => self.checks_out(account, interval).await,
            60..75 => self.previews(account, interval).await,
            75..90 => self.changes(account, interval).await,
            90..95 => {
                self.ends(
                    account,
                    "cancel-subscription",
                    "/api/v1/billing/subscription/cancel",
                )
                .await
            }
            _ => {
                self.ends(
                    account,
                    "resume-subscription",
                    "/api/v1/billing/subscription/resume",
                )
                .await
            }
        }
    }

    async fn shows_billing(&mut self, account: usize) {
        self.asks(account, "get-billing", "GET", "/api/v1/billing", &Value::Null)
            .await;
    }

    /// Starts a checkout and mostly pays it.
    async fn checks_out(&mut self, account: usize, interval: &str) {
        let path = "/api/v1/billing/checkout/subscription";
        let wish = json!({ "interval": interval });
        let answer = self
            .asks(account, "create-subscription-checkout", "POST", path, &wish)
            .await;
        let Some(secret) = answer["clientSecret"].as_str() else {
            return;
        };
        if self.pick(10) < 8 {
            let session = secret.split("_secret_").next().unwrap();
            let stripe = self.stack.stand_in.as_ref().unwrap();
            // Somebody else's may have been faster, or have replaced it.
            drop(stripe.pay_session(session, Payment::Succeed).await);
        }
    }

    async fn previews(&mut self, account: usize, interval: &str) {
        let wish = json!({ "interval": interval });
        let path = "/api/v1/billing/subscription/preview";
        self.asks(account, "preview-subscription-change", "POST", path, &wish)
            .await;
    }

    async fn changes(&mut self, account: usize, interval: &str) {
        let wish = json!({ "interval": interval });
        let path = "/api/v1/billing/subscription/change";
        self.asks(account, "change-subscription-interval", "POST", path, &wish)
            .await;
    }

    async fn ends(&mut self, account: usize, operation: &'static str, path: &'static str) {
        self.asks(account, operation, "POST", path, &json!({})).await;
    }

    /// Sends a request, one in ten of those that write twice at once, and notes how it went.
    async fn asks(
        &mut self,
        account: usize,
        operation: &'static str,
        method: &'static str,
        path: &'static str,
        body: &Value,
    ) -> Value {
        self.acts += 1;
        let key = self.accounts[account].key.clone();
        let twice = method == "POST" && self.pick(10) == 0;
        let ask = Ask {
            operation,
            method,
            path,
            body,
            idempotency_key: twice.then(|| format!("{:x}-{}", self.random, self.acts)),
        };
        let began = Instant::now();
        let (status, answer) = if twice {
            let (one, other) = tokio::join!(self.send(&key, &ask), self.send(&key, &ask));
            self.tally.note(ask.operation, other.0, began.elapsed());
            one
        } else {
            self.send(&key, &ask).await
        };
        self.tally.note(ask.operation, status, began.elapsed());
        answer
    }

    async fn send(&self, key: &str, ask: &Ask<'_>) -> (u16, Value) {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.stack.directory.api, ask.path))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        if let Some(key) = &ask.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = if ask.body.is_null() {
            String::new()
        } else {
            ask.body.to_string()
        };
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A number below `limit`: splitmix64, so that a seed tells the whole story again.
    fn pick(&mut self, limit: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(limit).unwrap()).unwrap()
    }
}
