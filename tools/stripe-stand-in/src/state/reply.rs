//! Answers kept for idempotency keys.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of an idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) since: Timestamp,
    /// Method, path and parameters of the first request with this key.
    pub(crate) fingerprint: String,
    pub(crate) state: ReplyState,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ReplyState {
    /// The first request is still being worked on.
    InProgress,
    Answered {
        status: u16,
        body: Value,
        request_id: String,
    },
}
