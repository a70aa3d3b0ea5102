//! What somebody asks.

use bytes::Bytes;
use http::Request;
use http::request::Builder;
use serde_json::Value;

/// A request with a JSON body; a null body is none.
pub(crate) fn asking(request: Builder, body: &Value) -> Request<Bytes> {
    let body = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    request
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}
