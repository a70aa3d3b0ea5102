//! What is measured: a process, started as Lambda starts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use billing_bench::runtime_api::{Outcome, RuntimeApi};
use serde_json::Value;
use tokio::process::{Child, Command};

/// The variables of a process.
pub(crate) type Environment = BTreeMap<String, String>;

/// An environment that is complete and leads nowhere: enough to start.
pub(crate) fn nowhere() -> Environment {
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "session"),
        ("ACCOUNTS_TABLE", "accounts"),
        ("SESSIONS_TABLE", "sessions"),
        ("BILLING_MODE", "test"),
        ("PRICE_MONTHLY", "price_monthly"),
        ("PRICE_ANNUAL", "price_annual"),
        ("RETURN_URL", "https://app.example.com/billing"),
        ("STRIPE_SECRET_KEY", "sk_test_nowhere"),
        ("STRIPE_WEBHOOK_SECRETS", "whsec_nowhere"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// What Lambda itself tells a function.
pub(crate) fn lambda(function: &str, runtime_api: &str) -> Environment {
    [
        ("_HANDLER", function),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/figures"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "figures"),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        // Node.js needs to be found.
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A warm function.
pub(crate) struct Warm {
    api: RuntimeApi,
    child: Child,
}

impl Warm {
    /// Starts a function under `program` (itself, or something that watches it), and waits for its first poll.
    pub(crate) async fn start(program: &[&str], function: &str, environment: &Environment) -> Self {
        let api = RuntimeApi::start().await;
        let child = Command::new(program[0])
            .args(&program[1..])
            .env_clear()
            .envs(environment)
            .envs(lambda(function, &api.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        api.polled().await;
        Self { api, child }
    }

    /// Gives it an event.
    pub(crate) async fn answer(&self, event: &Value) -> Value {
        match self.api.invoke(event).await {
            Outcome::Response(answer) => answer,
            Outcome::Error(error) => panic!("the function reported an error: {error}"),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// The processor time that it has used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let told = fs::read_to_string(format!("/proc/{}/schedstat", self.pid())).unwrap();
        Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
    }

    /// Sends it a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(mut self) {
        self.signal("TERM").await;
        self.child.wait().await.unwrap();
    }
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The value at `percent` of the sorted ones.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// An event of `events/`, with the caller's key.
pub(crate) fn event(file: &str, key: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(file);
    let mut event: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    event["headers"]["authorization"] = Value::String(format!("Bearer {key}"));
    event
}
