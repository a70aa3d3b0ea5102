//! The `billing-admin` binary: reads the command line, reaches the tables, and says in one sentence what went wrong.

use std::io::{self, Write};
use std::process::ExitCode;

use billing_admin::command::{CatalogCommand, Command, CommandLine, Task};
use billing_admin::doctor::Patient;
use billing_admin::{check, connection, examine, run};
use clap::Parser;
use jiff::Timestamp;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let line = CommandLine::parse();
    match carry_out(line).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to say it to if this fails too.
            let _ = writeln!(io::stderr(), "billing-admin: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an administrator's command happens now, in this environment"
)]
async fn carry_out(line: CommandLine) -> Result<(), billing_admin::Failure> {
    let (now, json) = (Timestamp::now(), line.place.json);
    let out = &mut io::stdout().lock();
    match line.task {
        // A file can be checked by anyone, without a deployment.
        Task::Stored(Command::Catalog(CatalogCommand::Check { file })) => check(&file, json, out),
        Task::Stored(command) => {
            let store = connection::open(&line.place, billing_edge::transport()).await?;
            let now = connection::time(&line.place, billing_edge::transport(), now).await;
            run(&store, command, json, now, out).await
        }
        Task::Doctor { webhook_url } => {
            let told = connection::told(&line.place, std::env::vars()).await?;
            let patient = Patient {
                told: &told,
                webhook_url: webhook_url.as_deref(),
                now,
            };
            examine(&patient, json, out).await
        }
    }
}
