//! One function as a process, started as Lambda starts it: with an environment of its own and a Runtime API to poll.
//!
//! The binary is the bundle's own `main.rs`, built once more as a binary of this crate so that `cargo test` builds it first and
//! says where it is. It deliberately does not inherit anything of the test's own environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::emulator::{self, Emulator};
use crate::project;
use billing_bench::runtime_api::{Outcome, RuntimeApi};

/// Where the binary is that is deployed as every function.
const BINARY: &str = env!("CARGO_BIN_EXE_bundle");

/// The variables a process is given, by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// Longer than any start or answer on a slow machine: reached only by a process that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A function that has started. It ends with the test that started it, and its log is shown when that test fails.
pub(crate) struct Process {
    lambda: Lambda,
    log: Arc<Mutex<String>>,
    _child: Child,
}

/// What the function takes its events from.
enum Lambda {
    Ours(RuntimeApi),
    Amazons(Emulator),
}

impl Process {
    /// Starts a function and waits until it has polled for its first event.
    pub(crate) async fn start(function: &str, environment: &Environment) -> Self {
        let (lambda, mut command) = match Emulator::new().await {
            Some((program, emulator)) => {
                let mut command = Command::new(program);
                command.args(emulator.arguments()).arg(binary()).arg(function);
                (Lambda::Amazons(emulator), command)
            }
            None => {
                let api = RuntimeApi::start_within(project::timeout(function)).await;
                (Lambda::Ours(api), Command::new(binary()))
            }
        };
        surround(&mut command, function, environment).stderr(Stdio::inherit());
        if let Lambda::Ours(api) = &lambda {
            command.env("AWS_LAMBDA_RUNTIME_API", api.address());
        }
        let mut child = command.spawn().unwrap();
        let ready = async {
            match &lambda {
                Lambda::Ours(api) => api.polled().await,
                Lambda::Amazons(emulator) => emulator.listens().await,
            }
        };
        tokio::select! {
            () = ready => {}
            status = child.wait() => panic!("{function} ended before its first poll: {status:?}"),
            () = tokio::time::sleep(PATIENCE) => panic!("{function} did not poll"),
        }
        let log = Arc::<Mutex<String>>::default();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            lambda,
            log,
            _child: child,
        }
    }

    /// Gives the function an event and waits for the outcome.
    pub(crate) async fn invoke(&self, event: &Value) -> Outcome {
        let outcome = async {
            match &self.lambda {
                Lambda::Ours(api) => api.invoke(event).await,
                Lambda::Amazons(emulator) => emulator.invoke(event).await,
            }
        };
        timeout(PATIENCE, outcome)
            .await
            .expect("the function answers in time")
    }

    /// The same for an event that has to be answered.
    pub(crate) async fn answer(&self, event: &Value) -> Value {
        match self.invoke(event).await {
            Outcome::Response(answer) => answer,
            Outcome::Error(error) => panic!("the function reported an error: {error}"),
        }
    }
}

/// What never stands in a log, whatever a function was asked: keys, secrets, addresses, numbers.
const UNTOLD: [&str; 8] = [
    "sk_test_", "sk_live_", "whsec_", "_secret_", "Bearer ", "v1=", "@", "+1555",
];

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a test that fails says why")]
    fn drop(&mut self) {
        let log = self.log.lock().unwrap();
        if std::thread::panicking() {
            eprintln!("{log}");
            return;
        }
        for untold in UNTOLD {
            let line = log.lines().find(|line| line.contains(untold));
            assert!(line.is_none(), "{untold} is in the log: {line:?}");
        }
        for line in log.lines().filter(|line| line.contains("\"level\":")) {
            let line: Value = serde_json::from_str(line).unwrap();
            let time = line["timestamp"].as_str().unwrap_or_default();
            assert!(
                time.parse::<billing_core::Timestamp>().is_ok(),
                "Lambda would not know the level of {line}"
            );
        }
    }
}

/// Starts a function that is expected to refuse its environment, and answers all it said before it ended.
pub(crate) async fn refusal(function: &str, environment: &Environment) -> String {
    let api = RuntimeApi::start().await;
    let mut command = Command::new(binary());
    let child = surround(&mut command, function, environment)
        .env("AWS_LAMBDA_RUNTIME_API", api.address())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = tokio::select! {
        ended = child.wait_with_output() => ended.unwrap(),
        () = api.polled() => panic!("{function} asked for an event in spite of its environment"),
        () = tokio::time::sleep(PATIENCE) => panic!("{function} neither started nor ended"),
    };
    assert!(!ended.status.success(), "{function} ended as if all were well");
    String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
}

/// The deployed binary, or whatever `BUNDLE` names.
fn binary() -> OsString {
    emulator::named("BUNDLE").unwrap_or_else(|| BINARY.into())
}

/// What Lambda has around a function's process.
fn surround<'a>(command: &'a mut Command, function: &str, environment: &Environment) -> &'a mut Command {
    command
        .env_clear()
        .envs(environment)
        .env("_HANDLER", function)
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{function}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/04/01/[$LATEST]bundle")
        .env("LAMBDA_TASK_ROOT", "/var/task")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
}
