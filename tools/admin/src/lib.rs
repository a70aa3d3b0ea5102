//! `billing-admin`: accounts and API keys, by hand.
//!
//! What each command does is a function of its own over the store, which the local stack uses too for its demo world. The
//! catalog and the replay of failed events come with the functions that need them.

use std::io::{self, Write};

use billing_core::access::{Holder, Scope};
use billing_core::account::NotAPhoneNumber;
use billing_core::id::{AccountId, KeyId, NumberId};
use billing_edge::key::NoRandomness;
use billing_store::{Store, StoreError};
use jiff::Timestamp;
use serde_json::json;

pub mod accounts;
pub mod command;
pub mod connection;
pub mod keys;
mod report;
#[cfg(test)]
mod tests;

use command::{AccountCommand, Command, KeyCommand, NumberCommand, Whose};
use report::Report;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No account of that id.
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    /// The id is taken.
    #[error("account {0} exists already; nothing was changed")]
    AccountExists(AccountId),
    /// A key is somebody's.
    #[error("whose? --account, --agency or --organisation")]
    NobodyNamed,
    /// The account has no such number.
    #[error("account {account} has no phone number {number}")]
    NoNumber {
        /// Whose.
        account: AccountId,
        /// Which.
        number: NumberId,
    },
    /// No account, agency or organisation of that id.
    #[error("there is no {0}")]
    Nobody(Holder),
    /// They have no such key.
    #[error("{holder} has no key {key}")]
    NoKey {
        /// Whose.
        holder: Holder,
        /// Which.
        key: KeyId,
    },
    /// Not a number that can be kept.
    #[error(transparent)]
    NotAPhoneNumber(#[from] NotAPhoneNumber),
    /// No id can be made of it.
    #[error("{0:?} is not an id")]
    NotAnId(String),
    /// The AWS environment names no region.
    #[error("no AWS region: set AWS_REGION or AWS_PROFILE, or use --endpoint-url for a local stack")]
    NoRegion,
    /// The AWS environment has no credentials.
    #[error("no AWS credentials: sign in, or use --endpoint-url for a local stack")]
    NoCredentials,
    /// Neither a key nor an id can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// DynamoDB did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be printed.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// Carries out one command at `now` and prints what came of it.
pub async fn run(
    store: &Store,
    command: Command,
    json: bool,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let report = match command {
        Command::Account(command) => account(store, command, now).await?,
        Command::Key(command) => key(store, command, now).await?,
    };
    if json {
        writeln!(out, "{:#}", report.json)?;
    } else {
        write!(out, "{}", report.text)?;
    }
    Ok(())
}

async fn account(store: &Store, command: AccountCommand, now: Timestamp) -> Result<Report, Failure> {
    let changed = match command {
        AccountCommand::Create {
            id,
            name,
            email,
            numbers,
        } => {
            let id = id.map_or_else(accounts::new_id, Ok)?;
            let wanted = accounts::Wanted {
                id: id.clone(),
                name,
                email,
                numbers,
            };
            accounts::create(store, wanted, now).await?;
            id
        }
        AccountCommand::Show { id } => id,
        AccountCommand::Number(NumberCommand::Add { account, number }) => {
            accounts::add_number(store, &account, number, now).await?;
            account
        }
        AccountCommand::Number(NumberCommand::Remove { account, number }) => {
            accounts::remove_number(store, &account, &number).await?;
            account
        }
    };
    Ok(report::account(&accounts::show(store, &changed).await?, now))
}

async fn key(store: &Store, command: KeyCommand, now: Timestamp) -> Result<Report, Failure> {
    match command {
        KeyCommand::Issue {
            holder,
            mode,
            scopes,
            expires,
            impersonator,
        } => {
            let scopes = if scopes.is_empty() {
                Scope::ALL.to_vec()
            } else {
                scopes
            };
            let wanted = keys::Wanted {
                holder: whose(holder)?,
                mode,
                scopes,
                expires_at: expires,
                impersonator,
            };
            let keys::Issued { id, secret } = keys::issue(store, wanted, now).await?;
            Ok(Report {
                text: format!(
                    "{id}\n{}\n\nThis key is not shown again; only its hash is stored.\n",
                    secret.expose()
                ),
                json: json!({ "id": id, "key": secret.expose() }),
            })
        }
        KeyCommand::List { holder } => Ok(report::keys(&keys::list(store, &whose(holder)?).await?, now)),
        KeyCommand::Revoke { holder, key } => {
            let holder = whose(holder)?;
            keys::revoke(store, &holder, &key, now).await?;
            Ok(report::keys(&keys::list(store, &holder).await?, now))
        }
    }
}

fn whose(named: Whose) -> Result<Holder, Failure> {
    named.holder().ok_or(Failure::NobodyNamed)
}
