//! What measures and what tests the deployed binary: Lambda's Runtime API as a function's process meets it.
//!
//! The bundle test and the figures drive the same processes in the same way, so the Runtime API is here once. Never deployed.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

/// An HTTP server on a free loopback port.
pub mod loopback;
/// Lambda's Runtime API for one process.
pub mod runtime_api;
