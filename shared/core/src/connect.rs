//! Selling on connected accounts: an agency's clients and agents, what it sells them, and what became of it.
//!
//! An agency's own Stripe account is connected to the deployment's; everything that is sold there is that account's. Here is what
//! is decided about it, on facts that others read.

/// Clients as those who pay.
pub mod buyer;
/// What a client is sold, as it was asked for.
pub mod order;
/// Where clients are.
pub mod place;
/// What a product offers: a flat price, and perhaps what is used beyond it.
pub mod offer;
/// Sales by number: one for each order, however often it is asked for.
pub mod sale;
/// A sale as Stripe has it: a schedule, or the subscription that it became.
pub mod contract;
/// Changing what was sold.
pub mod amendment;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contact::{Email, Name};
use crate::id::{AgencyId, AgentId, ClientId, ConnectedAccountId};

/// A Stripe account that is connected to the deployment's. It belongs to one agency for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedAccount {
    /// Stripe's id of it.
    pub id: ConnectedAccountId,
    /// Whose it is.
    pub agency: AgencyId,
    /// When it was linked.
    pub created_at: Timestamp,
}

/// A client of an agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// A name for people; Stripe's customer gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Where its admin member is reached. Nothing can be sold to a client without one: nobody would get its invoices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<Email>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What works for a client and is billed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// What it is called.
    pub name: Name,
    /// For which of the agency's clients it works, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// When it was added.
    pub created_at: Timestamp,
}
