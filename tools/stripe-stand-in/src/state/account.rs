//! Connected accounts, as the platform sees them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Metadata;
use super::table::row;
use crate::id::AccountId;

/// A connected account. Its world is made when it is first spoken to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) created: Timestamp,
    /// `standard`, `express`, `custom` or `none`.
    pub(crate) kind: String,
    pub(crate) country: String,
    pub(crate) email: Option<String>,
    pub(crate) business_type: Option<String>,
    pub(crate) default_currency: String,
    pub(crate) metadata: Metadata,
}

row!(Account, AccountId, "account");
