//! Organisations, which sell plans to their customers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contact::Name;
use crate::id::OrganisationId;

/// Who the organisation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its own id.
    pub id: OrganisationId,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// When it was created.
    pub created_at: Timestamp,
}
