//! A half-open span of time: its start belongs to it, its end does not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From `start` until just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first instant of the period.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}
