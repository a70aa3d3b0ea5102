//! The command line of `cargo local`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The whole product on this machine: DynamoDB, a Stripe stand-in, every function behind one address, a demo world.
///
/// Everything runs in this one process on 127.0.0.1, without network. State is in memory unless --data is given.
/// When everything answers, the last line reads `ready http://127.0.0.1:9000`. Ctrl-C ends it.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cargo local",
    bin_name = "cargo local",
    version,
    after_long_help = AFTER_HELP,
    // The story has a stack of its own: where somebody names another, it would seem to be about that.
    args_conflicts_with_subcommands = true
)]
pub struct Options {
    /// What to do instead of waiting for requests.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Port of the API; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    pub port: u16,

    /// Port of the Stripe stand-in; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 12111)]
    pub stripe_port: u16,

    /// Port of the embedded DynamoDB; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    pub dynamodb_port: u16,

    /// Keep DynamoDB, the stand-in and the clock in this directory from one start to the next
    ///
    /// Written together, between requests, every 15 seconds and at the end. For one stack at a time. What is outside keeps itself:
    /// with --stripe-url, the stand-in stays in the directory as it was.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Use the DynamoDB at this address (Amazon's DynamoDB Local) instead of the embedded one
    ///
    /// Tables that are missing are made. It deletes expired items by its own clock, not by the stack's.
    #[arg(long, value_name = "URL", conflicts_with = "dynamodb_port")]
    pub dynamodb_url: Option<String>,

    /// Use the Stripe at this address (test mode) instead of the stand-in; see below for what it needs
    #[arg(long, value_name = "URL", conflicts_with = "stripe_port")]
    pub stripe_url: Option<String>,
}

/// What to do instead of waiting for requests.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Tell the whole story against a fresh stack on free ports, line by line, and exit
    ///
    /// Exits with 0 when everything is as told, with 1 at the first thing that is not.
    Demo,
}

const AFTER_HELP: &str = "\
For scripts:
  GET  /_local           addresses, secrets, the clock and the demo world, as JSON
  GET  /_local/environment
                         what the functions are told, as sam local --env-vars takes it
  GET  /_local/clock     {\"now\": \"2026-04-01T00:00:00Z\"}
  POST /_local/clock     {\"advance\": \"10d\"} (also 24h, 15m, 90s) or {\"set\": \"2026-05-01T00:00:00Z\"}: moves the clock of the
                         functions, the stand-in and TTL; what falls due meanwhile happens before it answers
  POST /_local/accounts  {\"phoneNumbers\": 3}: another account, with its keys

From the environment, what a deployment may choose (docs/api.md, Configuration):
  CHECKOUT_PROMOTION_CODES, CHECKOUT_AUTOMATIC_TAX   true or false
  COVERAGE_GRACE_SECONDS                             for how long a period that is over still serves
  RETURN_HOSTS                                       where payers may return to, besides 127.0.0.1

With --stripe-url, the environment says how to use that Stripe (test mode only):
  STRIPE_SECRET_KEY        its secret key, sk_test_…
  STRIPE_WEBHOOK_SECRETS   the signing secret of whatever delivers its events to /stripe/webhook, such as `stripe listen`
  PRICE_MONTHLY            price for one phone number and month, price_…
  PRICE_ANNUAL             price for one phone number and year, price_…

Examples:
  cargo local
  cargo local --data .local
  CHECKOUT_PROMOTION_CODES=true cargo local
  cargo local --port 0 --stripe-port 0 --dynamodb-port 0
  cargo local --dynamodb-url http://127.0.0.1:8001
  cargo local demo";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_story_is_about_its_own_stack() {
        let read = |words: &str| Options::try_parse_from(words.split(' '));
        assert!(read("local demo").is_ok());
        for named in ["--port 9001", "--data kept", "--stripe-url http://127.0.0.1:1"] {
            assert!(read(&format!("local {named} demo")).is_err(), "{named}");
        }
    }
}
