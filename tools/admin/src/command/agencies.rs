//! The commands for agencies: what they have, and what they sell on.

use billing_core::contact::{Email, Name};
use billing_core::id::{AgencyId, AgentId, ClientId, ConnectedAccountId};
use clap::Subcommand;

/// What to do with agencies.
#[derive(Debug, Subcommand)]
pub enum AgencyCommand {
    /// Create an agency; issue its keys with `key issue --agency`
    Create {
        /// The agency's id: letters, digits, `_`, `-`, `.` [default: one is made]
        #[arg(long)]
        id: Option<AgencyId>,
        /// A name for people
        #[arg(long)]
        name: Option<Name>,
    },
    /// Show an agency: connected accounts, clients, agents
    Show {
        /// The agency's id
        id: AgencyId,
    },
}

/// What to do with connected accounts.
#[derive(Debug, Subcommand)]
pub enum ConnectCommand {
    /// Link a Stripe account that the agency has connected; it is that agency's for ever
    Link {
        /// Whose it is
        #[arg(long)]
        agency: AgencyId,
        /// Stripe's id of it
        #[arg(value_name = "acct_…")]
        account: ConnectedAccountId,
    },
}

/// What to do with an agency's clients.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Add a client, or put it in the place of the one of that id; its id is told as `added`
    ///
    /// Of a client that is there, what is not named is taken away: name them all again.
    Add {
        /// Whose client
        #[arg(long)]
        agency: AgencyId,
        /// The client's id, 24 hex digits [default: one is made]
        #[arg(long)]
        id: Option<ClientId>,
        /// A name for people; Stripe's customer gets it
        #[arg(long)]
        name: Option<Name>,
        /// Where its admin member is reached; nothing can be sold to a client without one
        #[arg(long)]
        admin_email: Option<Email>,
    },
}

/// What to do with an agency's agents.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Add an agent, or put it in the place of the one of that id; its id is told as `added`
    ///
    /// Of an agent that is there, what is not named is taken away: name them all again.
    Add {
        /// Whose agent
        #[arg(long)]
        agency: AgencyId,
        /// The agent's id, 24 hex digits [default: one is made]
        #[arg(long)]
        id: Option<AgentId>,
        /// What it is called
        #[arg(long)]
        name: Name,
        /// For which client it works
        #[arg(long)]
        client: Option<ClientId>,
    },
}
