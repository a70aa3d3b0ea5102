//! A function on the Lambda runtime.

use std::io::Write;
use std::process::ExitCode;

use lambda_http::{Error, Request, service_fn};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::function::Function;

/// Runs a function until Lambda ends it. What a `main` consists of.
///
/// Init reads the environment and builds the clients; it touches no network. A configuration that is wrong ends the process
/// with the variable's name on standard error.
#[must_use]
pub fn boot(function: &'static Function) -> ExitCode {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .without_time()
        .init();
    match configured(function)
        .map_err(Error::from)
        .and_then(|app| run(function, app))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function = function.name, %error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

fn configured(function: &Function) -> Result<App, ConfigError> {
    let config = Config::from_environment()?;
    if function.needs_webhook_secrets && config.webhook_secrets.is_none() {
        let fault = "or STRIPE_WEBHOOK_SECRETS_ARN is missing".to_owned();
        return Err(ConfigError {
            variable: "STRIPE_WEBHOOK_SECRETS",
            fault,
        });
    }
    let app = App::new(config, Clock::system()).with_metrics_to(|line| {
        // Standard output is the way to CloudWatch; where it is gone, there is nobody to tell.
        let _ = writeln!(std::io::stdout(), "{line}");
    });
    Ok(app)
}

fn run(function: &'static Function, app: App) -> Result<(), Error> {
    // One request at a time: a second thread would only cost wake-ups.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let app = &app;
    runtime.block_on(lambda_http::run(service_fn(move |request: Request| async move {
        Ok::<_, Error>(function.answer(app, request).await)
    })))
}
