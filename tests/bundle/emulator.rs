//! AWS's own Runtime Interface Emulator in the place of our Runtime API, and another binary in the place of this crate's: the same tests
//! over the release build, run by AWS's own program.
//!
//! `LAMBDA_RIE` names the emulator (`aws-lambda-rie-x86_64`, which comes with the SAM command line) and `BUNDLE` the binary; `.ci/run` sets
//! both. The emulator starts the function at its first event, enforces time-outs, and starts it again after a crash.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use billing_bench::runtime_api::Outcome;

/// Between two looks whether an emulator has begun to listen: it says so in no other way.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// An emulator for one process.
pub(crate) struct Emulator {
    client: Client<HttpConnector, Full<Bytes>>,
    events: String,
    runtime_api: String,
}

impl Emulator {
    /// One on free ports; none where nobody named the program.
    pub(crate) async fn new() -> Option<(OsString, Self)> {
        let program = named("LAMBDA_RIE")?;
        let emulator = Self {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            events: free_address().await,
            runtime_api: free_address().await,
        };
        Some((program, emulator))
    }

    /// Its command line, before the function's.
    pub(crate) fn arguments(&self) -> [&str; 6] {
        [
            "--log-level",
            "error",
            "--runtime-interface-emulator-address",
            &self.events,
            "--runtime-api-address",
            &self.runtime_api,
        ]
    }

    /// Waits until it takes events, and until a function that is started for one finds its Runtime API: that begins to listen on its own,
    /// and may be the later one.
    pub(crate) async fn listens(&self) {
        for address in [&self.events, &self.runtime_api] {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Gives the function an event and waits for the outcome.
    pub(crate) async fn invoke(&self, event: &Value) -> Outcome {
        let address = format!("http://{}/2015-03-31/functions/function/invocations", self.events);
        let request = Request::post(address).body(Full::new(Bytes::from(event.to_string())));
        let answer = self.client.request(request.unwrap()).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        match told.get("errorType") {
            Some(_) => Outcome::Error(told),
            None => Outcome::Response(told),
        }
    }
}

/// What a variable of the test's own environment names.
#[expect(
    clippy::disallowed_methods,
    reason = "which programs are tested is for whoever runs the test to say"
)]
pub(crate) fn named(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

/// An address that nobody listens at, another at each call. The emulator takes no port 0, and between this look and its own, a port that
/// the system hands out could be somebody's: so it is below those.
async fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(22_000);
    loop {
        let address = format!("127.0.0.1:{}", NEXT.fetch_add(1, Ordering::Relaxed));
        if TcpListener::bind(&address).await.is_ok() {
            return address;
        }
    }
}
