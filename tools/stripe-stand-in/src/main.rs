//! The stand-in as a program of its own. Everything it does is in the library; this reads arguments and waits.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stripe_stand_in::{Clock, Config, Seed, StandIn};
use tokio::net::TcpListener;

/// A Stripe to develop and test against, on this machine only.
///
/// Speaks Stripe's API under /v1/ with any key that begins with sk_test_, delivers signed webhooks, and shows a page at
/// /checkout/{session} on which a person pays or declines. Test routes are under /_test/. State is in memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen. Must be a loopback address; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:12111", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A JSON file of API requests to make at the start
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Deliver all events, signed, to this http:// address; its signing secret is printed at the start
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Deliver the connected accounts' events to the same address, with a secret of their own
    #[arg(long, requires = "webhook")]
    connect: bool,
    /// Hold requests and answers to Stripe's published description; `GET /_test/violations` tells what was found
    #[cfg(feature = "conformance")]
    #[arg(long)]
    judge: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    let _told = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> Result<(), String> {
    if !arguments.listen.ip().is_loopback() {
        return Err(format!("{} is not a loopback address", arguments.listen));
    }
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let stand_in = StandIn::new(config(&arguments));
    stand_in.set_base_url(&format!("http://{address}"));
    if let Some(file) = &arguments.seed {
        seed(&stand_in, file)?;
    }
    if let Some(url) = &arguments.webhook {
        say(&format!(
            "webhook {url} secret {}",
            stand_in.add_webhook(url, &["*"], false)
        ));
        if arguments.connect {
            say(&format!(
                "connect {url} secret {}",
                stand_in.add_webhook(url, &["*"], true)
            ));
        }
    }
    stand_in.set_baseline();
    // In this order, so that whoever reads `ready` may interrupt at once.
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|error| error.to_string()),
        served = async {
            say(&format!("ready http://{address}"));
            stand_in.serve(listener).await
        } => served.map_err(|error| error.to_string()),
    }
}

#[cfg(feature = "conformance")]
fn config(arguments: &Arguments) -> Config {
    use stripe_stand_in::conformance::{Judge, Requests};
    // The judge goes, as a program has no test to fail; its witness stays and speaks when it is asked.
    Config {
        witness: arguments.judge.then(|| Judge::new(Requests::Done).witness()),
        ..Config::new(Clock::system())
    }
}

#[cfg(not(feature = "conformance"))]
fn config(_: &Arguments) -> Config {
    Config::new(Clock::system())
}

fn seed(stand_in: &StandIn, file: &PathBuf) -> Result<(), String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let seed: Seed = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let names = stand_in
        .seed(&seed)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    for (name, id) in names {
        say(&format!("seed {name} {id}"));
    }
    Ok(())
}

fn say(line: &str) {
    // A reader that has gone away is no reason to stop serving.
    let _told = writeln!(std::io::stdout(), "{line}");
}
