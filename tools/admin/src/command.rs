//! The command line of `billing-admin`.

use std::path::PathBuf;

use billing_core::access::{Holder, Mode, Scope};
use billing_core::contact::{Contact, Email, Name};
use billing_core::id::{
    AccountId, AgencyId, ConnectedAccountId, CustomerId, EventId, KeyId, NumberId, OrganisationId,
};
use billing_edge::Secret;
use billing_stripe::SyntheticEvent;
use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

/// The commands for agencies.
mod agencies;
/// What is typed, read.
mod values;

use values::{address, impersonator, instant, mode, number, scope, secret};

pub use agencies::{AgencyCommand, AgentCommand, ClientCommand, ConnectCommand};
pub use values::NewNumber;

/// Accounts, API keys and failed events of the billing API.
///
/// Works on the deployment that the usual AWS environment points at (AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID, …), or
/// on a local stack with --endpoint-url.
#[derive(Debug, Parser)]
#[command(name = "billing-admin", version, after_long_help = AFTER_HELP)]
pub struct CommandLine {
    /// Where the tables are.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// Which DynamoDB, and which tables in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct Place {
    /// The DynamoDB of a local stack, such as http://127.0.0.1:8000, by whose clock it happens; the AWS environment is not read then
    #[arg(long, global = true, value_name = "URL", value_parser = address)]
    pub endpoint_url: Option<String>,

    /// The table of accounts and keys (stack output AccountsTableName)
    #[arg(
        long,
        global = true,
        env = "ACCOUNTS_TABLE",
        value_name = "NAME",
        default_value = "accounts"
    )]
    pub accounts_table: String,

    /// The table of what expires (stack output SessionsTableName)
    #[arg(
        long,
        global = true,
        env = "SESSIONS_TABLE",
        value_name = "NAME",
        default_value = "sessions"
    )]
    pub sessions_table: String,

    /// Answer in JSON
    #[arg(long, global = true, help_heading = "Options")]
    pub json: bool,
}

/// What to do: with what is stored, or with the deployment as a whole.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Something with what is stored.
    #[command(flatten)]
    Stored(Command),
    /// Check a deployment: tables, secrets, prices, webhook endpoint, clock. Changes nothing
    ///
    /// It is told by the environment what the functions are told (ACCOUNTS_TABLE, SESSIONS_TABLE, BILLING_MODE, STRIPE_SECRET_KEY_ARN,
    /// STRIPE_WEBHOOK_SECRETS_ARN, PRICE_MONTHLY, PRICE_ANNUAL, …): docs/operations.md shows how to take it from the deployment.
    Doctor {
        /// Where Stripe sends its events (stack output WebhookUrl)
        #[arg(long, env = "WEBHOOK_URL", value_name = "URL", value_parser = address)]
        webhook_url: Option<String>,
    },
}

/// What to do with what is stored.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, show and change accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// Create and show agencies, which sell on connected accounts
    #[command(subcommand)]
    Agency(AgencyCommand),
    /// Link connected accounts
    #[command(subcommand)]
    Connect(ConnectCommand),
    /// Add clients of an agency
    #[command(subcommand)]
    Client(ClientCommand),
    /// Add agents of an agency
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Issue, list and revoke API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check, compare and apply the catalog of an organisation
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// List, show and replay Stripe's events that failed
    #[command(subcommand)]
    Events(EventsCommand),
}

/// What to do with a catalog file.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Say what is wrong with a file, with the line; asks nobody
    Check {
        /// The file, such as docs/catalog.example.toml
        file: PathBuf,
    },
    /// Say what applying a file would change; changes nothing
    Diff {
        /// The file
        file: PathBuf,
    },
    /// Make the tables and Stripe's products and prices as a file says; may be repeated
    Apply {
        /// The file
        file: PathBuf,
        /// Which Stripe
        #[command(flatten)]
        stripe: StripePlace,
    },
}

/// Where Stripe is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct StripeAddress {
    /// Stripe, or the stand-in of a local stack, such as http://127.0.0.1:12111
    #[arg(
        long,
        env = "STRIPE_API_BASE",
        value_name = "URL",
        default_value = "https://api.stripe.com",
        value_parser = address
    )]
    pub stripe_url: String,
}

/// Which Stripe, and the key to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct StripePlace {
    /// Where it is
    #[command(flatten)]
    pub at: StripeAddress,

    /// Stripe's secret key; better in the environment than on the command line
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, value_name = "KEY", value_parser = secret)]
    pub stripe_key: Secret,
}

/// Which Stripe, where something is to be done there too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct StripeIfNamed {
    /// Where it is
    #[command(flatten)]
    pub at: StripeAddress,

    /// Stripe's secret key; better in the environment than on the command line [default: Stripe is not told]
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, value_name = "KEY", value_parser = secret)]
    pub stripe_key: Option<Secret>,
}

/// How an account is called and reached from now on.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct NewContact {
    /// A name for people
    #[arg(long)]
    name: Option<Name>,
    /// Where Stripe sends receipts and invoices
    #[arg(long)]
    email: Option<Email>,
}

impl From<NewContact> for Contact {
    fn from(NewContact { name, email }: NewContact) -> Self {
        Self { name, email }
    }
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Create an account with its phone numbers
    Create {
        /// The account's id: letters, digits, `_`, `-`, `.` [default: one is made]
        #[arg(long)]
        id: Option<AccountId>,
        /// A name for people; Stripe's customer gets it
        #[arg(long)]
        name: Option<Name>,
        /// Where Stripe sends receipts
        #[arg(long)]
        email: Option<Email>,
        /// The customer that it has at Stripe already, cus_…; nobody else's [default: its first checkout makes one]
        #[arg(long)]
        customer: Option<CustomerId>,
        /// A phone number, with a nickname if it has one: +15551230001 or +15551230001=front-desk
        #[arg(long = "number", value_name = "NUMBER[=NICKNAME]")]
        numbers: Vec<NewNumber>,
    },
    /// Give an account another name or e-mail address, here and at Stripe
    ///
    /// Stripe's customer is told where STRIPE_SECRET_KEY is in the environment; without it, a customer that is there already keeps what it has,
    /// and invoices go there. Invoices that were made before stay as they are.
    Update {
        /// The account's id
        id: AccountId,
        /// What is new
        #[command(flatten)]
        contact: NewContact,
        /// Which Stripe
        #[command(flatten)]
        stripe: StripeIfNamed,
    },
    /// Erase what is personal of an account: name, e-mail address, numbers, and who acted as it; revokes its keys. For good; may be repeated
    ///
    /// Refused while a subscription can bill, a checkout can be paid or a bill is owed. The ledger stays, for the books, and so does the link to
    /// Stripe's customer, whose redaction is asked for at Stripe. docs/operations.md tells the rest.
    Erase {
        /// The account's id
        id: AccountId,
        /// Which Stripe
        #[command(flatten)]
        stripe: StripePlace,
    },
    /// Show an account: profile, subscription, coverage, numbers, ledger
    Show {
        /// The account's id
        id: AccountId,
    },
    /// Add and remove phone numbers; the next checkout bills them, of a running subscription its quantity at Stripe
    #[command(subcommand)]
    Number(NumberCommand),
}

/// What to do with an account's phone numbers.
#[derive(Debug, Subcommand)]
pub enum NumberCommand {
    /// Add a phone number
    Add {
        /// The account's id
        #[arg(long)]
        account: AccountId,
        /// The phone number, with a nickname if it has one
        #[arg(value_name = "NUMBER[=NICKNAME]")]
        number: NewNumber,
    },
    /// Remove a phone number
    Remove {
        /// The account's id
        #[arg(long)]
        account: AccountId,
        /// The number, +15551230001, or its id, as `account show` lists it
        #[arg(value_parser = number)]
        number: NumberId,
    },
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Issue a key and print it, once: only its hash is stored
    Issue {
        /// Whom the key is for
        #[command(flatten)]
        holder: Whose,
        /// `live` or `test`; a deployment admits keys of its own mode only
        #[arg(long, default_value = "test", value_parser = mode)]
        mode: Mode,
        /// What the key may do, `billing:read` or `billing:write`; may be repeated [default: both]
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
        scopes: Vec<Scope>,
        /// From when on it opens nothing: 2027-01-31 (midnight UTC) or 2027-01-31T12:00:00Z [default: never]
        #[arg(long, value_name = "DATE", value_parser = instant)]
        expires: Option<Timestamp>,
        /// Who of the support staff acts as the customer with it, by a name that may be logged; such a key reads but moves no money
        #[arg(long, value_name = "NAME", value_parser = impersonator)]
        impersonator: Option<String>,
    },
    /// List the keys of somebody, without their secrets
    List {
        /// Whose keys
        #[command(flatten)]
        holder: Whose,
    },
    /// Revoke a key; it opens nothing from then on
    Revoke {
        /// Whose key it is
        #[command(flatten)]
        holder: Whose,
        /// The key's id, as `key list` shows it
        key: KeyId,
    },
}

/// What to do with Stripe's events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List the events that failed and were not done since
    List,
    /// Show what is known of an event, failed or not
    Show {
        /// The event's id
        event: EventId,
        /// The connected account that it happened on
        #[arg(long, value_name = "ACCOUNT")]
        connected: Option<ConnectedAccountId>,
    },
    /// Have the webhook look at subscriptions and paid invoices, as if Stripe had just told of them; may be repeated
    ///
    /// For what was there before this deployment, and for what is older than the thirty days that Stripe keeps events. Nothing is taken
    /// from the command but the id: the webhook reads the object again at Stripe.
    Tell {
        /// Their ids: sub_… or in_…
        #[arg(required = true)]
        objects: Vec<SyntheticEvent>,
        /// Between whom.
        #[command(flatten)]
        place: ReplayPlace,
    },
    /// Deliver events once more: Stripe is asked for them, and they are posted, signed, to the webhook
    Replay {
        /// The events' ids
        #[arg(required_unless_present = "all")]
        events: Vec<EventId>,
        /// The connected account that they happened on
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "all")]
        connected: Option<ConnectedAccountId>,
        /// Every event that failed
        #[arg(long, conflicts_with = "events")]
        all: bool,
        /// Also do again what is done already
        #[arg(long)]
        again: bool,
        /// Between whom.
        #[command(flatten)]
        place: ReplayPlace,
    },
}

/// Where an event comes from and goes to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub struct ReplayPlace {
    /// The webhook's address (stack output WebhookUrl)
    #[arg(long, env = "WEBHOOK_URL", value_name = "URL", value_parser = address)]
    pub webhook_url: String,

    /// Which Stripe
    #[command(flatten)]
    pub stripe: StripePlace,

    /// The webhook's signing secret; likewise
    #[arg(long, env = "STRIPE_WEBHOOK_SECRETS", hide_env_values = true, value_name = "SECRET", value_parser = secret)]
    pub webhook_secrets: Secret,

    /// The deployment's time when it is not the present [default: now, or what the clock of the local stack at --endpoint-url shows]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub signed_at: Option<Timestamp>,
}

/// Whose keys: an account's, an agency's or an organisation's.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// An account, by its id
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// An agency, by its id
    #[arg(long, value_name = "ID")]
    agency: Option<AgencyId>,
    /// An organisation, by its id
    #[arg(long, value_name = "ID")]
    organisation: Option<OrganisationId>,
}

impl Whose {
    /// The one that was named; the command line sees to it that there is exactly one.
    #[must_use]
    pub fn holder(self) -> Option<Holder> {
        let Self {
            account,
            agency,
            organisation,
        } = self;
        let account = account.map(Holder::Account);
        account
            .or(agency.map(Holder::Agency))
            .or(organisation.map(Holder::Organisation))
    }
}

const AFTER_HELP: &str = "\
Examples:
  billing-admin account create --id acme --name 'Acme Inc.' --number +15551230001=front-desk --number +15551230002
  billing-admin account show acme
  billing-admin account update acme --email billing@acme.example      (with STRIPE_SECRET_KEY in the environment, at Stripe too)
  billing-admin account erase acme      (with STRIPE_SECRET_KEY in the environment)
  billing-admin account number add --account acme +15551230003
  billing-admin key issue --account acme --mode live
  billing-admin key issue --account acme --mode live --impersonator sam --scope billing:read --expires 2027-01-31
  billing-admin agency create --id north --name 'North Agency'
  billing-admin connect link --agency north acct_1MzN3pA2eZvKYlo2
  billing-admin client add --agency north --name 'Bakery' --admin-email ada@example.com
  billing-admin agent add --agency north --name Reception
  billing-admin agency show north
  billing-admin key issue --agency north
  billing-admin key issue --organisation demo      (the catalog's `organisation.id`)
  billing-admin key list --account acme
  billing-admin key revoke --account acme key_0123456789abcdef
  billing-admin doctor --webhook-url https://….amazonaws.com/stripe/webhook
  billing-admin catalog check catalog.toml
  billing-admin catalog apply catalog.toml      (with STRIPE_SECRET_KEY in the environment)
  billing-admin account create --id globex --customer cus_NffrFeUfNV2Hib --number +15551230004     (whom another program sold to)
  billing-admin events tell sub_1MowQVLkdIwHu7ixeRlqHVzs in_1MtHbELkdIwHu7ixl4OzzPMv               (and what)
  billing-admin events list
  billing-admin events replay --all      (with WEBHOOK_URL, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRETS in the environment)
  billing-admin --endpoint-url http://127.0.0.1:8000 account show acme     (a local stack)

Exit code: 0 when done, 1 when it could not be done or the doctor found something wrong, 2 when the command line makes no sense.
Signed in by SSO? First: eval \"$(aws configure export-credentials --format env)\"";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
