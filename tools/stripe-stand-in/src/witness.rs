//! Somebody who looks on: told of every request with its answer, and of every event as it is posted.
//!
//! It changes nothing and holds nothing up. What it is for is [`crate::conformance`], which is not part of an ordinary build.

use std::fmt;

use serde_json::Value;

/// A request and what was answered.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Query and body as one tree; every leaf is a string.
    pub params: &'a Value,
    /// Status and body as the API made them, whatever a fault made of them on the way; none when a fault kept it from being done.
    pub answer: Option<(u16, &'a Value)>,
}

/// Somebody who looks on.
pub trait Witness: fmt::Debug + Send + Sync {
    /// A request came and was worked on.
    fn exchange(&self, exchange: &Exchange<'_>);

    /// An event is posted to an endpoint.
    fn event(&self, event: &Value);

    /// What there is to object to so far.
    fn findings(&self) -> Vec<String>;

    /// Forgets them.
    fn forget(&self);
}
