//! The `local-stack` binary behind `cargo local`: starts the stack and waits for Ctrl-C, or tells the story.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use local_stack::options::{Command, Options};
use local_stack::settings::OutsideStripeError;
use local_stack::{Settings, Stack, StackError, story, welcome};
use tokio::signal::unix::{SignalKind, signal};

/// Why the binary ends with 1.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    OutsideStripe(#[from] OutsideStripeError),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error(transparent)]
    Story(#[from] story::Twist),
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// How long the welcome waits for what is under way.
const SOON: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.command {
        Some(Command::Demo) => demo().await,
        None => serve(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to say it to if this fails too.
            let _ = writeln!(io::stderr(), "local-stack: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: &Options) -> Result<(), Failure> {
    // Before anything is started, so that no signal comes too early to be heard.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    #[expect(
        clippy::disallowed_methods,
        reason = "what a deployment may choose, and an outside Stripe, are told by the environment"
    )]
    let settings = Settings::new(options, |name| std::env::var(name).ok())?;
    // The functions log as they do in AWS; here a person reads it, beside what is printed.
    tracing_subscriber::fmt()
        .compact()
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    let stack = Stack::start(settings).await?;
    // The events of the demo world are logged before the welcome, and not over it.
    if let Some(stand_in) = &stack.stand_in {
        tokio::time::timeout(SOON, stand_in.settle())
            .await
            .unwrap_or_default();
    }
    let mut out = io::stdout();
    out.write_all(welcome::text(&stack.directory, options.data.as_deref()).as_bytes())?;
    // A script that waits for the last line reads a pipe.
    out.flush()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(stack.stop().await?)
}

async fn demo() -> Result<(), Failure> {
    let stack = Stack::start(Settings::free_ports()).await?;
    let told = story::tell(&stack.directory, &mut io::stdout()).await;
    stack.stop().await?;
    Ok(told?)
}
