//! The network between a machine and the world, which can fail at any single step.
//!
//! Every call of a machine, to DynamoDB or to Stripe, is a step and goes through a proxy on a loopback port. A step can be stopped
//! for ever before it reaches its destination or after it took effect there (for a machine that dies), have its answer lost (for a
//! connection that breaks), or be held until it is let go (for a race). And from a step on everything may be down ([`Outage`]), until it
//! comes back.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long an answer of a network that is far takes: far longer than asking for two things at the same time.
const DISTANCE: Duration = Duration::from_millis(40);

/// When a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before it reached its destination.
    Before,
    /// After it took effect there.
    After,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The step never ends; whoever waits for it waits until it dies.
    Stop(Moment),
    /// The step takes effect, and its connection breaks.
    LoseAnswer,
    /// The step takes effect, and its answer waits to be let go.
    Hold,
    /// The step does not take effect, and is answered with this status and header by somebody on the way.
    Answer(u16, (&'static str, &'static str), &'static str),
    /// The step fails at this moment, and is answered with this status by somebody on the way.
    Fail(Moment, u16),
}

/// How everything is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Connections break before anything has arrived.
    Refuses,
    /// Everything takes effect, and connections break before the answer.
    Mute,
    /// Everything takes effect, and connections break in the middle of the answer.
    Torn,
    /// Both say that they are asked too often, and do nothing.
    Throttles,
    /// Both say that somebody else is at it, and do nothing.
    Contends,
    /// Both fail with 500, and do nothing.
    Fails,
    /// Nobody ever answers.
    Hangs,
}

impl Outage {
    /// All but the one that takes until the time is over.
    pub const QUICK: [Self; 6] = [
        Self::Refuses,
        Self::Mute,
        Self::Torn,
        Self::Throttles,
        Self::Contends,
        Self::Fails,
    ];

    /// One of each kind: nothing arrives, an answer is lost, both say no.
    pub const KINDS: [Self; 3] = [Self::Refuses, Self::Mute, Self::Throttles];

    /// What is answered instead of doing anything: a status and a body.
    fn refusal(self, step: &str) -> Option<(u16, String)> {
        let dynamodb = step.strip_prefix("DynamoDB ");
        let of_dynamodb = |status, kind: &str, more: &str| {
            let body =
                format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"no"{more}}}"#);
            Some((status, body))
        };
        let of_stripe = |status, code: &str| {
            let body = format!(r#"{{"error":{{"type":"api_error","code":"{code}","message":"no"}}}}"#);
            Some((status, body))
        };
        match (self, dynamodb) {
            (Self::Throttles, Some(_)) => of_dynamodb(400, "ThrottlingException", ""),
            (Self::Throttles, None) => of_stripe(429, "rate_limit"),
            (Self::Contends, Some("TransactWriteItems")) => {
                let reasons = r#","CancellationReasons":[{"Code":"TransactionConflict"}]"#;
                of_dynamodb(400, "TransactionCanceledException", reasons)
            }
            (Self::Contends, Some(_)) => of_dynamodb(400, "TransactionConflictException", ""),
            (Self::Contends, None) => of_stripe(409, "lock_timeout"),
            (Self::Fails, Some(_)) => of_dynamodb(500, "InternalServerError", ""),
            (Self::Fails, None) => of_stripe(500, "internal"),
            _ => None,
        }
    }
}

/// A network. Cloning it gives another handle of the same one.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    client: Client<HttpConnector, Full<Bytes>>,
    state: Mutex<State>,
    /// The number of the step that is being stopped or held; 0 for none.
    reached: watch::Sender<usize>,
    let_go: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    steps: Vec<String>,
    /// When each step began and ended, in the order of all beginnings and ends.
    spans: Vec<(usize, Option<usize>)>,
    moments: usize,
    far: bool,
    faults: Vec<(Which, Fault)>,
    /// From which step on everything is down, and how.
    down: Option<(usize, Outage)>,
}

/// Which step a fault is for.
#[derive(Debug, Clone)]
enum Which {
    /// By its number, from 1.
    Number(usize),
    /// The first whose description contains this.
    Named(&'static str),
}

impl Network {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            state: Mutex::default(),
            reached: watch::channel(0).0,
            let_go: watch::channel(false).0,
        }))
    }

    /// A way to an address that leads through this network.
    pub(crate) async fn way_to(&self, address: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let way = format!("http://{}", listener.local_addr().unwrap());
        let (network, address) = (self.clone(), address.trim_end_matches('/').to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (network, address) = (network.clone(), address.clone());
                let service = service_fn(move |request| {
                    let (network, address) = (network.clone(), address.clone());
                    async move { network.pass(request, &address).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // A connection that breaks does so on order.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        way
    }

    /// Step `number`, from 1, never ends.
    pub fn stops(&self, moment: Moment, number: usize) {
        self.fault(Which::Number(number), Fault::Stop(moment));
    }

    /// The next step whose description contains `part` never ends.
    pub fn stops_named(&self, moment: Moment, part: &'static str) {
        self.fault(Which::Named(part), Fault::Stop(moment));
    }

    /// Step `number`, from 1, takes effect and its answer is lost.
    pub fn loses_answer(&self, number: usize) {
        self.fault(Which::Number(number), Fault::LoseAnswer);
    }

    /// The first step whose description contains `part` takes effect, and its answer waits until [`Network::lets_go`].
    pub fn holds(&self, part: &'static str) {
        self.fault(Which::Named(part), Fault::Hold);
    }

    /// Step `number`, from 1, takes effect, and its answer waits until [`Network::lets_go`].
    pub fn holds_step(&self, number: usize) {
        self.fault(Which::Number(number), Fault::Hold);
    }

    /// The first step whose description contains `part` is answered with this status and header, and not passed on.
    pub fn answers(&self, part: &'static str, status: u16, header: (&'static str, &'static str)) {
        self.fault(Which::Named(part), Fault::Answer(status, header, ""));
    }

    /// The same, with this JSON text as the body.
    pub fn tells(&self, part: &'static str, status: u16, body: &'static str) {
        let json = ("content-type", "application/json");
        self.fault(Which::Named(part), Fault::Answer(status, json, body));
    }

    /// From step `number` on, everything is down.
    pub fn goes_down(&self, number: usize, how: Outage) {
        self.0.state.lock().unwrap().down = Some((number, how));
    }

    /// Everything works again.
    pub fn comes_back(&self) {
        self.0.state.lock().unwrap().down = None;
    }

    /// Step `number`, from 1, is answered with this status, before it is passed on or after it took effect.
    pub fn fails(&self, moment: Moment, number: usize, status: u16) {
        self.fault(Which::Number(number), Fault::Fail(moment, status));
    }

    /// What was held goes on.
    pub fn lets_go(&self) {
        self.0.let_go.send_replace(true);
    }

    /// Waits until a step is stopped or held.
    pub async fn reached(&self) {
        let mut reached = self.0.reached.subscribe();
        reached.wait_for(|number| *number > 0).await.unwrap();
    }

    /// Waits until a step after step `number` is stopped or held.
    pub async fn reached_beyond(&self, number: usize) {
        let mut reached = self.0.reached.subscribe();
        reached.wait_for(|reached| *reached > number).await.unwrap();
    }

    /// The steps so far, as `POST /v1/customers` or `DynamoDB GetItem`.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        self.0.state.lock().unwrap().steps.clone()
    }

    /// From now on an answer takes a while, so that it shows which steps wait for which.
    pub fn is_far(&self) {
        self.0.state.lock().unwrap().far = true;
    }

    /// How many of the steps so far went one after the other: those that were under way at the same time count once.
    #[must_use]
    pub fn steps_in_a_row(&self) -> usize {
        let state = self.0.state.lock().unwrap();
        let mut rows: Vec<(usize, usize)> = Vec::new();
        for (began, ended) in &state.spans {
            let before = rows.iter().filter(|(ended, _)| ended < began);
            let row = before.map(|(_, row)| row + 1).max().unwrap_or(1);
            rows.push((ended.unwrap_or(usize::MAX), row));
        }
        rows.into_iter().map(|(_, row)| row).max().unwrap_or(0)
    }

    fn fault(&self, which: Which, fault: Fault) {
        self.0.state.lock().unwrap().faults.push((which, fault));
    }

    /// The step's number and what is to go wrong with it, each fault once.
    fn step(&self, description: String) -> (usize, Option<Fault>, Option<Outage>) {
        let mut state = self.0.state.lock().unwrap();
        let number = state.steps.len() + 1;
        let due = state.faults.iter().position(|(which, _)| match which {
            Which::Number(wanted) => *wanted == number,
            Which::Named(part) => description.contains(part),
        });
        state.steps.push(description);
        state.moments += 1;
        let began = state.moments;
        state.spans.push((began, None));
        let outage = state.down.filter(|(from, _)| number >= *from).map(|(_, how)| how);
        (number, due.map(|place| state.faults.remove(place).1), outage)
    }

    async fn pass(&self, request: Request<Incoming>, address: &str) -> Result<Response<Passed>, Broken> {
        let description = describe(&request);
        let (number, fault, outage) = self.step(description.clone());
        match outage {
            Some(Outage::Refuses) => return Err(Broken),
            Some(Outage::Hangs) => std::future::pending().await,
            Some(Outage::Mute) => {
                self.forward(request, address).await?;
                return Err(Broken);
            }
            Some(Outage::Torn) => {
                let (head, body) = self.forward(request, address).await?.into_parts();
                return Ok(Response::from_parts(head, body.torn()));
            }
            Some(outage) => {
                if let Some((status, body)) = outage.refusal(&description) {
                    let answer = Response::builder()
                        .status(status)
                        .header("content-type", "application/json")
                        .body(Passed::whole(Bytes::from(body)));
                    return answer.map_err(|_| Broken);
                }
            }
            None => {}
        }
        if let Some(Fault::Stop(Moment::Before)) = fault {
            self.0.reached.send_replace(number);
            std::future::pending::<Infallible>().await;
        }
        if let Some(Fault::Answer(status, (name, value), body)) = fault {
            let answer = Response::builder()
                .status(status)
                .header(name, value)
                .body(Passed::whole(Bytes::from_static(body.as_bytes())));
            return answer.map_err(|_| Broken);
        }
        let failure = |status| {
            Response::builder()
                .status(status)
                .body(Passed::whole(Bytes::new()))
        };
        if let Some(Fault::Fail(Moment::Before, status)) = fault {
            return failure(status).map_err(|_| Broken);
        }
        let answer = self.forward(request, address).await?;
        self.ends(number).await;
        match fault {
            Some(Fault::Fail(_, status)) => failure(status).map_err(|_| Broken),
            Some(Fault::Stop(_)) => {
                self.0.reached.send_replace(number);
                std::future::pending::<Infallible>().await;
                Err(Broken)
            }
            Some(Fault::LoseAnswer) => Err(Broken),
            Some(Fault::Hold) => {
                self.0.reached.send_replace(number);
                self.0
                    .let_go
                    .subscribe()
                    .wait_for(|go| *go)
                    .await
                    .map_err(|_| Broken)?;
                Ok(answer)
            }
            Some(Fault::Answer(..)) | None => Ok(answer),
        }
    }

    /// The step's answer is on its way back.
    async fn ends(&self, number: usize) {
        let far = self.0.state.lock().unwrap().far;
        if far {
            tokio::time::sleep(DISTANCE).await;
        }
        let mut state = self.0.state.lock().unwrap();
        state.moments += 1;
        let ended = state.moments;
        state.spans[number - 1].1 = Some(ended);
    }

    async fn forward(&self, request: Request<Incoming>, address: &str) -> Result<Response<Passed>, Broken> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("{address}{path}").parse().map_err(|_| Broken)?;
        let answer = self
            .0
            .client
            .request(Request::from_parts(head, Full::new(body)))
            .await
            .map_err(|_| Broken)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        Ok(Response::from_parts(head, Passed::whole(body)))
    }
}

/// An answer on its way: whole, or one that breaks off in the middle.
struct Passed {
    rest: Option<Bytes>,
    breaks: bool,
}

impl Passed {
    fn whole(body: Bytes) -> Self {
        Self {
            rest: Some(body),
            breaks: false,
        }
    }

    fn torn(self) -> Self {
        let half = self.rest.map(|body| body.slice(..body.len() / 2));
        Self {
            rest: half,
            breaks: true,
        }
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.rest.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None if self.breaks => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }
}

fn describe(request: &Request<Incoming>) -> String {
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    match target.and_then(|target| target.rsplit_once('.')) {
        Some((_, operation)) => format!("DynamoDB {operation}"),
        None => format!("{} {}", request.method(), request.uri().path()),
    }
}

/// hyper closes the connection upon it, without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the connection breaks")
    }
}

impl std::error::Error for Broken {}
