//! What goes well.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::Value;

use crate::problem::problem_json;

/// An answer: a status and a JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON text.
    pub body: String,
    /// Whether this is an earlier answer, told again.
    pub replayed: bool,
}

impl Reply {
    /// 200 with this body.
    pub fn ok(body: &impl Serialize) -> Self {
        // Our own types: maps with text keys only, which serialise.
        let body = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
        Self {
            status: 200,
            body,
            replayed: false,
        }
    }

    /// 201 with this body.
    pub fn created(body: &impl Serialize) -> Self {
        Self {
            status: 201,
            ..Self::ok(body)
        }
    }

    /// A refusal that is told again is told in the form that is asked for this time.
    pub(crate) fn into_response(self, as_problem_json: bool) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (media_type, body) = match serde_json::from_str::<Value>(&self.body) {
            Ok(body) if as_problem_json && self.status >= 400 => {
                ("application/problem+json", problem_json(status, body).to_string())
            }
            _ => ("application/json", self.body),
        };
        let mut response = Response::new(Body::Text(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if self.replayed {
            response
                .headers_mut()
                .insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}
