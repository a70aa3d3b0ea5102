//! What somebody is answered.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

/// An HTTP answer with a JSON body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Answer {
    pub(crate) fn new(response: http::Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// A header's text; empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The client secret of a checkout that was started.
    ///
    /// # Panics
    /// When there is none: the checkout was refused.
    pub fn client_secret(&self) -> String {
        match self.body["clientSecret"].as_str() {
            Some(secret) if self.status == 200 => secret.to_owned(),
            _ => panic!("no checkout was started: {self}"),
        }
    }
}

/// `200 {"changed":true}`.
impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.status, self.body)
    }
}

impl PartialEq<&str> for Answer {
    fn eq(&self, told: &&str) -> bool {
        self.to_string().as_str() == *told
    }
}
