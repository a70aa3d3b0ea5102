//! Agencies, which sell on connected accounts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contact::Name;
use crate::id::AgencyId;

/// Who the agency is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agency {
    /// Its own id.
    pub id: AgencyId,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// When it was created.
    pub created_at: Timestamp,
}
