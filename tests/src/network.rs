//! The network between a machine and the world, which can fail at any single step.
//!
//! Every call of a machine, to DynamoDB or to Stripe, is a step and goes through a proxy on a loopback port. A step can be stopped
//! for ever before it reaches its destination or after it took effect there (for a machine that dies), have its answer lost (for a
//! connection that breaks), or be held until it is let go (for a race). And from a step on everything may go wrong ([`Outage`]), until it
//! works again.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use billing_edge::key::random;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::outage::{Outage, Reach};
use crate::passed::{Broken, Passed};
use crate::turns::{Step, Turns};

/// How long an answer of a network that is far takes at least.
const DISTANCE: Duration = Duration::from_millis(40);
/// How late an answer is that is late: longer than anything takes here, and far within every limit.
const LATE: Duration = Duration::from_millis(20);

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
    /// The parameter that Stripe is not told.
    left_out: Option<&'static str>,
    /// The access key by which DynamoDB knows whoever asks over it.
    access_key: Option<String>,
    /// Where the machine does its work.
    machine: Option<Handle>,
    /// What listens on its ways.
    listening: Vec<AbortHandle>,
    faults: Vec<(Which, Fault)>,
    /// Whose turns its steps wait for.
    turns: Option<(Turns, usize)>,
    /// From which step on things go wrong, how, and which of them.
    down: Option<(usize, Outage, Reach)>,
}

/// Which step a fault is for.
#[derive(Debug, Clone)]
enum Which {
    /// By its number, from 1.
    Number(usize),
    /// The first whose description contains this.
    Named(&'static str),
    /// That one, from 1, of those whose description contains this.
    Among(&'static str, usize),
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
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if network.resets() {
                    stream.set_zero_linger().unwrap();
                }
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
        self.0
            .state
            .lock()
            .unwrap()
            .listening
            .push(listening.abort_handle());
        way
    }

    /// A way to a world of its own at somebody's DynamoDB. Amazon's DynamoDB Local keeps one for each access key, and deletes in all of them what has expired
    /// by this machine's clock, which is another than the world's: nothing is to expire there.
    pub(crate) async fn way_to_a_world_at(&self, dynamodb: &str) -> String {
        let digits = random::<8>().unwrap().map(|byte| format!("{byte:02x}"));
        self.0.state.lock().unwrap().access_key = Some(digits.concat());
        self.tells("DynamoDB UpdateTimeToLive", 200, "{}");
        self.way_to(dynamodb).await
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

    /// The same of the one with that number, from 1, among all steps whose description contains `part`.
    pub fn tells_at(&self, part: &'static str, number: usize, status: u16, body: &'static str) {
        let json = ("content-type", "application/json");
        self.fault(Which::Among(part, number), Fault::Answer(status, json, body));
    }

    /// At step `number`, from 1, and as far as it reaches, things go wrong.
    pub fn goes_down(&self, number: usize, how: Outage, reach: Reach) {
        self.0.state.lock().unwrap().down = Some((number, how, reach));
    }

    /// Everything works again.
    pub fn comes_back(&self) {
        self.0.state.lock().unwrap().down = None;
    }

    /// Step `number`, from 1, is answered with this status, before it is passed on or after it took effect.
    pub fn fails(&self, moment: Moment, number: usize, status: u16) {
        self.fault(Which::Number(number), Fault::Fail(moment, status));
    }

    /// From now on Stripe is asked without this parameter: as the build before asked that did not know it.
    pub fn leaves_out(&self, parameter: &'static str) {
        self.0.state.lock().unwrap().left_out = Some(parameter);
    }

    /// From now on each step waits until it is the turn of `whose`.
    pub fn takes_turns(&self, turns: &Turns, whose: usize) {
        self.0.state.lock().unwrap().turns = Some((turns.clone(), whose));
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

    /// Whose network it is.
    pub(crate) fn is_of(&self, machine: Handle) {
        self.0.state.lock().unwrap().machine = Some(machine);
    }

    /// Nobody is at its ways any more. Whoever starts thousands of machines would run out of sockets otherwise.
    pub(crate) fn closes(&self) {
        let mut state = self.0.state.lock().unwrap();
        state.machine = None;
        for listening in state.listening.drain(..) {
            listening.abort();
        }
    }

    /// From now on an answer comes when the machine has nothing more to do without it, so that it shows which steps wait for which.
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
            Which::Among(part, wanted) => {
                let before = state.steps.iter().filter(|step| step.contains(part)).count();
                description.contains(part) && before + 1 == *wanted
            }
        });
        let outage = state.down.filter(|(from, _, reach)| match reach {
            Reach::Once => number == *from,
            Reach::Stripe => number >= *from && !description.starts_with("DynamoDB"),
            Reach::Everything => number >= *from,
        });
        let outage = outage.map(|(_, how, _)| how);
        state.steps.push(description);
        state.moments += 1;
        let began = state.moments;
        state.spans.push((began, None));
        (number, due.map(|place| state.faults.remove(place).1), outage)
    }

    async fn pass(&self, request: Request<Incoming>, address: &str) -> Result<Response<Passed>, Broken> {
        let description = describe(&request);
        let turn = self.turn().await;
        let (number, fault, outage) = self.step(description.clone());
        if let Some(outage) = outage {
            return self.goes_wrong(outage, &description, request, address).await;
        }
        if let Some(Fault::Stop(Moment::Before)) = fault {
            drop(turn);
            self.0.reached.send_replace(number);
            match std::future::pending::<Infallible>().await {}
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
        drop(turn);
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

    async fn goes_wrong(
        &self,
        outage: Outage,
        step: &str,
        request: Request<Incoming>,
        address: &str,
    ) -> Result<Response<Passed>, Broken> {
        if let Some(refusal) = outage.refusal(step) {
            let mut answer = Response::builder()
                .status(refusal.status)
                .header("content-type", "application/json");
            if let Some(seconds) = refusal.retry_after {
                answer = answer.header("retry-after", seconds);
            }
            return answer.body(Passed::whole(refusal.body)).map_err(|_| Broken);
        }
        match outage {
            Outage::Refuses => return Err(Broken),
            Outage::Hangs => std::future::pending().await,
            _ => {}
        }
        let answer = self.forward(request, address).await?;
        match outage {
            Outage::Mute => Err(Broken),
            Outage::Torn | Outage::Resets => Ok(answer.map(Passed::torn)),
            Outage::Stalls => Ok(answer.map(Passed::stalled)),
            Outage::Drips => Ok(answer.map(Passed::dripping)),
            Outage::Trickles => Ok(answer.map(Passed::trickling)),
            _ => {
                tokio::time::sleep(LATE).await;
                Ok(answer)
            }
        }
    }

    /// Waits for its turn, where there are any.
    async fn turn(&self) -> Option<Step> {
        let turns = self.0.state.lock().unwrap().turns.clone();
        let (turns, whose) = turns?;
        Some(turns.wait(whose).await)
    }

    /// Whether connections that break are reset.
    fn resets(&self) -> bool {
        let state = self.0.state.lock().unwrap();
        matches!(state.down, Some((_, Outage::Resets, _)))
    }

    /// Waits until the machine has done everything that it can do without an answer, and what it sent has come in: however slow it is.
    async fn machine_waits(&self) {
        loop {
            let (before, machine) = {
                let state = self.0.state.lock().unwrap();
                (state.steps.len(), state.machine.clone())
            };
            tokio::time::sleep(DISTANCE).await;
            if let Some(machine) = machine {
                // One that died has nothing to do.
                drop(machine.spawn(rounds()).await);
            }
            rounds().await;
            if self.0.state.lock().unwrap().steps.len() == before {
                return;
            }
        }
    }

    /// The step's answer is on its way back.
    async fn ends(&self, number: usize) {
        let far = self.0.state.lock().unwrap().far;
        if far {
            self.machine_waits().await;
        }
        let mut state = self.0.state.lock().unwrap();
        state.moments += 1;
        let ended = state.moments;
        state.spans[number - 1].1 = Some(ended);
    }

    async fn forward(&self, request: Request<Incoming>, address: &str) -> Result<Response<Passed>, Broken> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let (left_out, access_key) = {
            let state = self.0.state.lock().unwrap();
            (state.left_out, state.access_key.clone())
        };
        if let Some(access_key) = access_key {
            sign_as(&access_key, &mut head.headers);
        }
        let body = match left_out.filter(|_| is_form(&head.headers)) {
            Some(parameter) => {
                head.headers.remove(CONTENT_LENGTH);
                without(parameter, &body)
            }
            None => body,
        };
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

/// Puts an access key in the place of the one that a request names. No DynamoDB on this machine checks a signature.
fn sign_as(access_key: &str, headers: &mut HeaderMap) {
    let named = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let parts = named
        .and_then(|named| named.split_once("Credential="))
        .and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?.1)));
    if let Some((scheme, scope)) = parts {
        let signed = format!("{scheme}Credential={access_key}/{scope}");
        headers.insert(AUTHORIZATION, signed.parse().unwrap());
    }
}

/// Whether Stripe is told something, as opposed to DynamoDB.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind == Some("application/x-www-form-urlencoded")
}

/// A form without a parameter, wherever it stands in it.
fn without(parameter: &str, form: &[u8]) -> Bytes {
    let form = std::str::from_utf8(form).unwrap();
    let left = form.split('&').filter(|pair| !pair.contains(parameter));
    Bytes::from(left.collect::<Vec<_>>().join("&"))
}

/// Lets everything else on a runtime go on, as often as it takes from a call to its first byte, and more.
async fn rounds() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
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
