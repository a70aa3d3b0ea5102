//! `billing-admin`: accounts, API keys, catalogs and failed events, by hand, and the deployment's doctor.
//!
//! What each command does is a function of its own over the store, which the local stack uses too for its demo world.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use billing_core::access::{Holder, Scope};
use billing_core::account::NotAPhoneNumber;
use billing_core::connect::{Agent, Client};
use billing_core::id::{
    AccountId, AgencyId, BuyerId, ClientId, ConnectedAccountId, CustomerId, EventId, KeyId, NumberId,
};
use billing_edge::Secret;
use billing_edge::key::NoRandomness;
use billing_store::{EventKey, Failure as FailedEvent, Store, StoreError};
use billing_stripe::{Stripe, StripeError};
use jiff::Timestamp;
use serde_json::json;

pub mod accounts;
pub mod agencies;
pub mod catalog;
pub mod command;
pub mod connection;
pub mod doctor;
pub mod erasure;
pub mod events;
pub mod keys;
pub mod local;
mod report;
#[cfg(test)]
mod tests;

use command::{
    AccountCommand, AgencyCommand, AgentCommand, CatalogCommand, ClientCommand, Command, ConnectCommand,
    EventsCommand, KeyCommand, NumberCommand, StripeAddress, Whose,
};
use events::{Replayed, WhenDone};
use report::Report;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No account of that id.
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    /// What was personal of it is gone, and nothing is added to it.
    #[error("account {0} was erased; who comes back gets another account")]
    Erased(AccountId),
    /// Something is under way.
    #[error("account {account} is not erased; nothing was changed: {obstacle}")]
    NotErased {
        /// Whose.
        account: AccountId,
        /// What.
        obstacle: erasure::Obstacle,
    },
    /// The id is taken.
    #[error("account {0} exists already; nothing was changed")]
    AccountExists(AccountId),
    /// A customer at Stripe belongs to one account for ever.
    #[error("customer {0} is another account's")]
    CustomerTaken(CustomerId),
    /// The id is taken.
    #[error("agency {0} exists already; nothing was changed")]
    AgencyExists(AgencyId),
    /// The connected account is another agency's.
    #[error("{0} is linked to another agency; nothing was changed")]
    AccountTaken(ConnectedAccountId),
    /// The agency has no such client.
    #[error("agency {agency} has no client {client}")]
    NoClient {
        /// Whose.
        agency: AgencyId,
        /// Which.
        client: ClientId,
    },
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
    /// Which of two nicknames is meant?
    #[error("phone number {0} is named twice; nothing was changed")]
    NumberTwice(NumberId),
    /// No account, agency or organisation of that id.
    #[error("there is no {0}")]
    Nobody(Holder),
    /// A key is asked for that is over.
    #[error("{0} is over: such a key would open nothing; none was issued")]
    OverAlready(Timestamp),
    /// They have no such key.
    #[error("{holder} has no key {key}")]
    NoKey {
        /// Whose.
        holder: Holder,
        /// Which.
        key: KeyId,
    },
    /// Nothing is known of the event.
    #[error("event {0} never arrived")]
    NoEvent(EventId),
    /// Stripe does not have it, or no longer.
    #[error("stripe has no event {0}; it tells events for thirty days, to a key of the same mode")]
    NotAtStripe(EventId),
    /// Stripe does not have what the webhook was to be told of.
    #[error("stripe has no {0} for STRIPE_SECRET_KEY, which may be of another account or mode")]
    NothingToTell(String),
    /// The Stripe key is not the one that this is sold by.
    #[error("STRIPE_SECRET_KEY is of the other mode than the keys of {0}; nothing was changed")]
    OtherMode(Holder),
    /// Nor is it where the customer is.
    #[error(
        "stripe has no customer {0} for STRIPE_SECRET_KEY, which may be of another account or mode; nothing was changed at Stripe"
    )]
    NoCustomer(CustomerId),
    /// Stripe could not be asked.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// The webhook could not be reached.
    #[error("the webhook: {0}")]
    Webhook(String),
    /// Some events are still not done.
    #[error("{0} of the events are not done")]
    NotDone(usize),
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
    #[error("{}", with_where_to_look(.0))]
    Store(#[from] StoreError),
    /// The deployment is not as it should be; what is wrong was printed.
    #[error("{0} wrong: see above")]
    Unwell(usize),
    /// A file is not there, or not for us.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A catalog file is wrong.
    #[error("{}", told(.path, .faults))]
    Faults {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        faults: Vec<catalog::Fault>,
    },
    /// An e-mail address is one customer's.
    #[error("customer {customer}: its e-mail address is customer {owner}'s already")]
    AddressTaken {
        /// Who was to get it.
        customer: String,
        /// Who has it.
        owner: BuyerId,
    },
    /// What Stripe has under a lookup key is not what was stored.
    #[error("stripe's price {0} does not cost what was stored for it; it was not made by this catalog")]
    OtherPrice(String),
    /// Others keep writing the same.
    #[error("somebody else keeps changing this catalog; try again")]
    Contended,
    /// The answer could not be printed.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// What DynamoDB did not do, with what the operator has to look at where its word does not say.
fn with_where_to_look(error: &StoreError) -> String {
    let look = match error {
        StoreError::Unavailable(word) if word == "ResourceNotFoundException" => {
            "the table is not there: it is named by --accounts-table and --sessions-table (the stack's outputs), and its region by AWS_REGION"
        }
        StoreError::Unavailable(word) if word == "AccessDeniedException" => {
            "the AWS identity may not do that: docs/operations.md lists what each command needs"
        }
        _ => return error.to_string(),
    };
    format!("{error}; {look}")
}

/// Examines a deployment and prints what the doctor says; a failure when anything is wrong.
pub async fn examine(patient: &doctor::Patient<'_>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let findings = doctor::examine(patient).await;
    print(&doctor::report(&findings), json, out)?;
    match doctor::wrongs(&findings) {
        0 => Ok(()),
        wrongs => Err(Failure::Unwell(wrongs)),
    }
}

/// Every fault of a file on a line of its own.
fn told(path: &Path, faults: &[catalog::Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {fault}", path.display()))
        .collect();
    lines.join("\n")
}

/// Carries out one command at `now` and prints what came of it.
pub async fn run(
    store: &Store,
    command: Command,
    json: bool,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // Where something was done and something not, both are told.
    let mut failed = None;
    let report = match command {
        Command::Account(command) => account(store, command, now).await?,
        Command::Agency(command) => agency(store, command, now).await?,
        Command::Connect(ConnectCommand::Link { agency, account }) => {
            agencies::link(store, &agency, &account, now).await?;
            shown(store, &agency).await?
        }
        Command::Client(command) => client(store, command, now).await?,
        Command::Agent(command) => agent(store, command, now).await?,
        Command::Key(command) => key(store, command, now).await?,
        Command::Catalog(command) => catalog(store, command, now, &mut failed).await?,
        Command::Events(command) => events(store, command, now, &mut failed).await?,
    };
    print(&report, json, out)?;
    failed.map_or(Ok(()), Err)
}

/// Checks a catalog file, and prints that it is right or fails with everything that is wrong.
pub fn check(file: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    print(&catalog::checked(&catalog::read(file)?), json, out)
}

fn print(report: &Report, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        writeln!(out, "{:#}", report.json)?;
    } else {
        write!(out, "{}", report.text)?;
    }
    Ok(())
}

async fn agency(store: &Store, command: AgencyCommand, now: Timestamp) -> Result<Report, Failure> {
    let id = match command {
        AgencyCommand::Create { id, name } => {
            let id = id.map_or_else(agencies::new_agency_id, Ok)?;
            agencies::create(store, &id, name, now).await?;
            id
        }
        AgencyCommand::Show { id } => id,
    };
    shown(store, &id).await
}

async fn client(store: &Store, command: ClientCommand, now: Timestamp) -> Result<Report, Failure> {
    let ClientCommand::Add {
        agency,
        id,
        name,
        admin_email,
    } = command;
    let client = Client {
        id: id.map_or_else(agencies::new_id, Ok)?,
        name,
        admin_email,
        created_at: now,
    };
    agencies::add_client(store, &agency, &client).await?;
    Ok(report::added(shown(store, &agency).await?, client.id.as_str()))
}

async fn agent(store: &Store, command: AgentCommand, now: Timestamp) -> Result<Report, Failure> {
    let AgentCommand::Add {
        agency,
        id,
        name,
        client,
    } = command;
    let agent = Agent {
        id: id.map_or_else(agencies::new_id, Ok)?,
        name,
        client,
        created_at: now,
    };
    agencies::add_agent(store, &agency, &agent).await?;
    Ok(report::added(shown(store, &agency).await?, agent.id.as_str()))
}

async fn shown(store: &Store, agency: &AgencyId) -> Result<Report, Failure> {
    let (agency, collection) = agencies::show(store, agency).await?;
    Ok(report::agency(&agency, &collection))
}

async fn events(
    store: &Store,
    command: EventsCommand,
    now: Timestamp,
    failed: &mut Option<Failure>,
) -> Result<Report, Failure> {
    match command {
        EventsCommand::List => Ok(report::failed_events(&events::list(store).await?)),
        EventsCommand::Show { event, connected } => {
            let receipt = events::show(store, &event, connected.as_ref()).await?;
            Ok(report::event(&event, &receipt))
        }
        EventsCommand::Tell { objects, place } => {
            let mut told = Vec::new();
            for object in &objects {
                let done = events::tell(store, &place, object, place.signed_at.unwrap_or(now)).await;
                told.push(Replayed::of(object.id(), done)?);
            }
            *failed = not_done(&told);
            Ok(report::replayed(&told))
        }
        EventsCommand::Replay {
            events: wanted,
            connected,
            all,
            again,
            place,
        } => {
            let wanted: Vec<EventKey> = if all {
                let failed = events::list(store).await?;
                failed.iter().map(FailedEvent::key).collect()
            } else {
                let key = |event| EventKey {
                    connected_account: connected.clone(),
                    event,
                };
                wanted.into_iter().map(key).collect()
            };
            let mut replayed = Vec::new();
            let when_done = match again {
                true => WhenDone::DoAgain,
                false => WhenDone::Leave,
            };
            for event in &wanted {
                let at = place.signed_at.unwrap_or(now);
                let done = events::replay(store, &place, event, when_done, at).await;
                replayed.push(Replayed::of(event.event.to_string(), done)?);
            }
            *failed = not_done(&replayed);
            Ok(report::replayed(&replayed))
        }
    }
}

fn not_done(all: &[Replayed]) -> Option<Failure> {
    match all.iter().filter(|it| !it.is_done()).count() {
        0 => None,
        some => Some(Failure::NotDone(some)),
    }
}

async fn catalog(
    store: &Store,
    command: CatalogCommand,
    now: Timestamp,
    failed: &mut Option<Failure>,
) -> Result<Report, Failure> {
    match command {
        CatalogCommand::Check { file } => Ok(catalog::checked(&catalog::read(&file)?)),
        CatalogCommand::Diff { file } => {
            let file = catalog::read(&file)?;
            Ok(catalog::difference(store, &file).await?.report())
        }
        CatalogCommand::Apply { file, stripe } => {
            let file = catalog::read(&file)?;
            keys::check_mode(store, &(&file.organisation).into(), &stripe.stripe_key).await?;
            let stripe = stripe_at(&stripe.at, &stripe.stripe_key);
            let mut done = catalog::Difference::default();
            match catalog::apply(store, &stripe, &file, now, &mut done).await {
                Err(failure) if done.entries.is_empty() => return Err(failure),
                other => *failed = other.err(),
            }
            let mut report = done.report();
            if failed.is_some() {
                report.text.push_str("so far; applying it again does the rest\n");
            }
            Ok(report)
        }
    }
}

fn stripe_at(address: &StripeAddress, key: &Secret) -> Stripe {
    connection::stripe(&address.stripe_url, key.expose(), billing_edge::transport())
}

async fn account(store: &Store, command: AccountCommand, now: Timestamp) -> Result<Report, Failure> {
    let changed = match command {
        AccountCommand::Create {
            id,
            name,
            email,
            customer,
            numbers,
        } => {
            let id = id.map_or_else(accounts::new_id, Ok)?;
            let wanted = accounts::Wanted {
                id: id.clone(),
                name,
                email,
                customer,
                numbers,
            };
            accounts::create(store, wanted, now).await?;
            id
        }
        AccountCommand::Update { id, contact, stripe } => {
            let stripe_key = stripe.stripe_key.as_ref();
            if let Some(key) = stripe_key {
                keys::check_mode(store, &(&id).into(), key).await?;
            }
            let stripe = stripe_key.map(|key| stripe_at(&stripe.at, key));
            let told = accounts::update(store, stripe.as_ref(), &id, &contact.into(), now).await?;
            return Ok(report::updated(&accounts::show(store, &id).await?, &told, now));
        }
        AccountCommand::Erase { id, stripe } => {
            keys::check_mode(store, &(&id).into(), &stripe.stripe_key).await?;
            let stripe = stripe_at(&stripe.at, &stripe.stripe_key);
            let erased = erasure::erase(store, &stripe, &id, now).await?;
            return Ok(report::erased(&erased, now));
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
            let named = |scope: &Scope| scopes.is_empty() || scopes.contains(scope);
            let scopes = Scope::ALL.into_iter().filter(named).collect();
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
