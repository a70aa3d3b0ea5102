//! A shop with a stand-in of its own, a frozen clock and a few prices; and a listener that stands for our webhook.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::api::{ApiAnswer, Call};
use crate::conformance::{Judge, Requests};
use crate::{Clock, Config, Payment, StandIn};

/// Where all shops' clocks begin, unless a test says otherwise.
pub(super) const START: &str = "2026-12-01T00:00:00Z";

/// Everything that it asks and is answered is held to Stripe's description: a violation fails the test when the shop is dropped.
pub(super) struct Shop {
    pub(super) stripe: StandIn,
    /// Kept to the end, when it speaks.
    _judge: Judge,
    pub(super) product: String,
    /// 10.00 a month.
    pub(super) monthly: String,
    /// 96.00 a year.
    pub(super) annual: String,
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The unix seconds of a date at midnight.
pub(super) fn day(date: &str) -> i64 {
    at(&format!("{date}T00:00:00Z")).as_second()
}

impl Shop {
    pub(super) async fn open() -> Self {
        Self::open_at(START).await
    }

    pub(super) async fn open_at(start: &str) -> Self {
        let judge = Judge::new(Requests::Done);
        let stripe = StandIn::new(Config {
            witness: Some(judge.witness()),
            ..Config::new(Clock::frozen(at(start)))
        });
        let mut shop = Self {
            stripe,
            _judge: judge,
            product: String::new(),
            monthly: String::new(),
            annual: String::new(),
        };
        shop.product = id(&shop.post("/v1/products", json!({ "name": "Number" })).await);
        shop.monthly = id(&shop.price(1000, "month").await);
        shop.annual = id(&shop.price(9600, "year").await);
        shop
    }

    pub(super) async fn price(&self, unit_amount: i64, interval: &str) -> Value {
        let params = json!({
            "product": self.product,
            "currency": "usd",
            "unit_amount": unit_amount,
            "recurring": { "interval": interval },
        });
        self.post("/v1/prices", params).await
    }

    pub(super) async fn customer(&self) -> String {
        id(&self
            .post("/v1/customers", json!({ "email": "ada@example.com" }))
            .await)
    }

    /// An open session for `quantity` of a price, billed in the classic mode.
    pub(super) async fn session(&self, customer: &str, price: &str, quantity: u64) -> Value {
        let params = json!({
            "mode": "subscription",
            "ui_mode": "embedded_page",
            "return_url": "https://app.example.com/done?session={CHECKOUT_SESSION_ID}",
            "customer": customer,
            "line_items": [{ "price": price, "quantity": quantity }],
            "subscription_data": { "billing_mode": { "type": "classic" } },
        });
        self.post("/v1/checkout/sessions", params).await
    }

    /// A customer who has paid for three numbers by the month; answers customer and subscription.
    pub(super) async fn subscriber(&self) -> (String, String) {
        let customer = self.customer().await;
        let session = self.session(&customer, &self.monthly, 3).await;
        let paid = self
            .stripe
            .pay_session(&id(&session), Payment::Succeed)
            .await
            .unwrap();
        (customer, paid["subscription"].as_str().unwrap().to_owned())
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, json!({})).await
    }

    pub(super) async fn list(&self, path: &str, params: Value) -> Value {
        self.ok("GET", path, params).await
    }

    pub(super) async fn post(&self, path: &str, params: Value) -> Value {
        self.ok("POST", path, params).await
    }

    async fn ok(&self, method: &str, path: &str, params: Value) -> Value {
        let answer = self.call(method, path, params).await;
        assert_eq!(answer.status, 200, "{method} {path}: {:#}", answer.body);
        answer.body
    }

    /// The error object of a request that is refused with this status.
    pub(super) async fn refused(&self, status: u16, method: &str, path: &str, params: Value) -> Value {
        let answer = self.call(method, path, params).await;
        assert_eq!(answer.status, status, "{method} {path}: {:#}", answer.body);
        answer.body["error"].clone()
    }

    pub(super) async fn call(&self, method: &str, path: &str, params: Value) -> ApiAnswer {
        self.send(call(method, path, &params)).await
    }

    /// Sends a call and parses the answer as async-stripe's types.
    pub(super) async fn send(&self, call: Call) -> ApiAnswer {
        let answer = self.stripe.answer(call).await.expect("an answer");
        super::types::check(&answer.body);
        answer
    }

    /// The types of all events so far.
    pub(super) fn event_types(&self) -> Vec<String> {
        self.stripe
            .events()
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The types of the events that `act` causes.
    pub(super) async fn events_of(&self, act: impl Future<Output = ()>) -> Vec<String> {
        let before = self.event_types().len();
        act.await;
        self.event_types().split_off(before)
    }

    pub(super) async fn advance(&self, to: &str) {
        self.stripe.advance_to(at(to)).await;
    }
}

pub(super) fn call(method: &str, path: &str, params: &Value) -> Call {
    let form = crate::form::encode(&crate::form::Node::from_json(params));
    let in_body = method == "POST";
    Call {
        method: method.to_owned(),
        path: path.to_owned(),
        query: if in_body { String::new() } else { form.clone() },
        body: if in_body { form.into_bytes() } else { Vec::new() },
        authorization: Some("Bearer sk_test_123".to_owned()),
        ..Call::default()
    }
}

pub(super) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// A webhook endpoint that remembers what it was sent and answers what it is told to.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    status: Arc<Mutex<u16>>,
    on_hearing: Arc<Mutex<Option<OnHearing>>>,
}

type OnHearing = Box<dyn Fn() + Send>;

#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) signature: String,
    pub(super) body: Vec<u8>,
}

impl Heard {
    pub(super) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Listener {
    pub(super) async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", socket.local_addr().unwrap());
        let listener = Self {
            url,
            heard: Arc::default(),
            status: Arc::new(Mutex::new(200)),
            on_hearing: Arc::default(),
        };
        let own = listener.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let own = own.clone();
                let service = service_fn(move |request| own.clone().hear(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        listener
    }

    async fn hear(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let signature = request.headers()["stripe-signature"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await?.to_bytes().to_vec();
        self.heard.lock().unwrap().push(Heard { signature, body });
        if let Some(act) = &*self.on_hearing.lock().unwrap() {
            act();
        }
        let status = *self.status.lock().unwrap();
        Ok(Response::builder().status(status).body(Full::default()).unwrap())
    }

    pub(super) fn answers(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// What the handler does before it answers.
    pub(super) fn calls_back(&self, act: impl Fn() + Send + 'static) {
        *self.on_hearing.lock().unwrap() = Some(Box::new(act));
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The types of the events heard, in order.
    pub(super) fn types(&self) -> Vec<String> {
        self.heard()
            .iter()
            .map(|heard| heard.event()["type"].as_str().unwrap().to_owned())
            .collect()
    }
}
