//! The `billing-admin` binary: reads the command line, reaches the tables, and says in one sentence what went wrong.

use std::io::{self, Write};
use std::process::ExitCode;

use billing_admin::command::{CatalogCommand, Command, CommandLine};
use billing_admin::{connection, run};
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

#[expect(clippy::disallowed_methods, reason = "an administrator's command happens now")]
async fn carry_out(line: CommandLine) -> Result<(), billing_admin::Failure> {
    let mut out = io::stdout().lock();
    // A file can be checked by anyone, without a deployment.
    if let Command::Catalog(CatalogCommand::Check { file }) = &line.command {
        return billing_admin::check(file, line.place.json, &mut out);
    }
    let store = connection::open(&line.place, billing_edge::connector()).await?;
    run(&store, line.command, line.place.json, Timestamp::now(), &mut out).await
}
