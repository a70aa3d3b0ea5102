//! An HTTP request as the event that API Gateway makes of it for a function (HTTP API, payload 2.0), and the function's
//! answer as API Gateway tells it to the client.
//!
//! Both go through JSON, as between API Gateway and Lambda, so that nothing reaches a function here that could not reach it
//! there. Sources: AWS, "Working with AWS Lambda proxy integrations for HTTP APIs", and its sample events.
//!
//! Not imitated: authorisers, stages other than `$default`, stage variables, client certificates.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::routes::Match;

/// The account number of AWS's own examples.
const AWS_ACCOUNT: &str = "123456789012";
const API_ID: &str = "local";
const SOURCE_IP: &str = "127.0.0.1";

/// Carries the trace; API Gateway makes one for a request that brings none.
pub(crate) const TRACE_HEADER: &str = "x-amzn-trace-id";

/// One request on its way to a function.
pub(crate) struct Arrival<'a> {
    pub(crate) request: &'a Request<Bytes>,
    pub(crate) found: &'a Match,
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: &'a str,
    pub(crate) now: Timestamp,
}

impl Arrival<'_> {
    /// The event that the function is invoked with.
    pub(crate) fn event(&self) -> Value {
        let Self { request, found, .. } = self;
        let headers = self.headers();
        let host = headers.get(HOST.as_str()).map_or("localhost", String::as_str);
        let query = request.uri().query().unwrap_or_default();
        let mut event = json!({
            "version": "2.0",
            "routeKey": found.route_key,
            "rawPath": found.path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": AWS_ACCOUNT,
                "apiId": API_ID,
                "domainName": host,
                "domainPrefix": host.split('.').next(),
                "http": {
                    "method": request.method().as_str(),
                    "path": found.path,
                    "protocol": format!("{:?}", request.version()),
                    "sourceIp": SOURCE_IP,
                    "userAgent": headers.get("user-agent").map_or("", String::as_str),
                },
                "requestId": self.request_id,
                "routeKey": found.route_key,
                "stage": "$default",
                "time": self.now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": self.now.as_millisecond(),
            },
            "isBase64Encoded": false,
        });
        // API Gateway leaves these members out when there is nothing to say.
        if !query.is_empty() {
            event["queryStringParameters"] = json!(query_parameters(query));
        }
        if !found.parameters.is_empty() {
            event["pathParameters"] = json!(found.parameters);
        }
        if let Some(cookies) = cookies(request.headers()) {
            event["cookies"] = json!(cookies);
        }
        match std::str::from_utf8(request.body()) {
            Ok("") => {}
            Ok(text) => event["body"] = json!(text),
            Err(_) => {
                event["body"] = json!(BASE64.encode(request.body()));
                event["isBase64Encoded"] = json!(true);
            }
        }
        event
    }

    /// Names in lower case, values of the same name joined by commas; cookies travel apart.
    fn headers(&self) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::new();
        for name in self.request.headers().keys().filter(|name| *name != COOKIE) {
            headers.insert(
                name.as_str().to_owned(),
                texts(self.request.headers(), name.as_str()).join(","),
            );
        }
        headers.insert(TRACE_HEADER.into(), self.trace_id.into());
        headers.insert("x-forwarded-for".into(), SOURCE_IP.into());
        headers.insert("x-forwarded-proto".into(), "http".into());
        headers
    }
}

/// What API Gateway itself answers, such as `{"message":"Not Found"}`.
pub(crate) fn message(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json!({ "message": text }).to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

/// A function's answer in payload 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl Answer {
    /// The answer as the client gets it; none when API Gateway could make nothing of it.
    pub(crate) fn response(self) -> Option<Response<Bytes>> {
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded {
            BASE64.decode(body).ok()?
        } else {
            body.into_bytes()
        };
        let mut builder = Response::builder().status(self.status_code);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        for cookie in self.cookies {
            builder = builder.header(SET_COOKIE, cookie);
        }
        builder.body(Bytes::from(body)).ok()
    }
}

fn texts(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

fn cookies(headers: &HeaderMap) -> Option<Vec<String>> {
    let lines = texts(headers, COOKIE.as_str());
    let cookies: Vec<_> = lines
        .iter()
        .flat_map(|line| line.split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .collect();
    (!cookies.is_empty()).then_some(cookies)
}

/// Decoded, values of the same name joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let mut parameters = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters
            .entry(decode(name))
            .and_modify(|values| {
                values.push(',');
                values.push_str(&decode(value));
            })
            .or_insert_with(|| decode(value));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request: &Request<Bytes>) -> Value {
        let found = Match {
            function: "get-checkout-session".into(),
            route_key: "GET /checkouts/{checkoutId}".into(),
            path: "/checkouts/cs 1".into(),
            parameters: BTreeMap::from([("checkoutId".into(), "cs 1".into())]),
        };
        let now = "2026-04-01T09:08:07.065Z".parse().unwrap();
        Arrival {
            request,
            found: &found,
            request_id: "request-1",
            trace_id: "Root=1-a-b",
            now,
        }
        .event()
    }

    /// The shape of AWS's own sample, member by member.
    #[test]
    fn a_request_becomes_the_event_that_api_gateway_sends() {
        let request = Request::get("/checkouts/cs%201?a=1&b=x%20y&a=2")
            .header("Host", "127.0.0.1:9000")
            .header("User-Agent", "curl/7.58.0")
            .header("X-Twice", "one")
            .header("X-Twice", "two")
            .header("Cookie", "s=1; t=2")
            .body(Bytes::new())
            .unwrap();
        assert_eq!(
            event(&request),
            json!({
                "version": "2.0",
                "routeKey": "GET /checkouts/{checkoutId}",
                "rawPath": "/checkouts/cs 1",
                "rawQueryString": "a=1&b=x%20y&a=2",
                "cookies": ["s=1", "t=2"],
                "headers": {
                    "host": "127.0.0.1:9000",
                    "user-agent": "curl/7.58.0",
                    "x-amzn-trace-id": "Root=1-a-b",
                    "x-forwarded-for": "127.0.0.1",
                    "x-forwarded-proto": "http",
                    "x-twice": "one,two"
                },
                "queryStringParameters": { "a": "1,2", "b": "x y" },
                "pathParameters": { "checkoutId": "cs 1" },
                "requestContext": {
                    "accountId": "123456789012",
                    "apiId": "local",
                    "domainName": "127.0.0.1:9000",
                    "domainPrefix": "127",
                    "http": {
                        "method": "GET",
                        "path": "/checkouts/cs 1",
                        "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1",
                        "userAgent": "curl/7.58.0"
                    },
                    "requestId": "request-1",
                    "routeKey": "GET /checkouts/{checkoutId}",
                    "stage": "$default",
                    "time": "01/Apr/2026:09:08:07 +0000",
                    "timeEpoch": 1775034487065_u64
                },
                "isBase64Encoded": false
            })
        );
    }

    #[test]
    fn a_body_that_is_not_text_travels_in_base64() {
        let text = Request::post("/").body(Bytes::from("{\"é\":1}")).unwrap();
        assert_eq!(
            (&event(&text)["body"], &event(&text)["isBase64Encoded"]),
            (&json!("{\"é\":1}"), &json!(false))
        );
        let binary = Request::post("/")
            .body(Bytes::from_static(&[0xff, 0x00]))
            .unwrap();
        assert_eq!(
            (&event(&binary)["body"], &event(&binary)["isBase64Encoded"]),
            (&json!("/wA="), &json!(true))
        );
    }

    #[test]
    fn an_answer_comes_back_with_its_cookies_and_its_bytes() {
        let answer: Answer = serde_json::from_value(json!({
            "statusCode": 201, "headers": { "content-type": "image/png" }, "multiValueHeaders": {},
            "cookies": ["a=1", "b=2"], "body": "/wA=", "isBase64Encoded": true
        }))
        .unwrap();
        let response = answer.response().unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["content-type"], "image/png");
        assert_eq!(texts(response.headers(), "set-cookie"), ["a=1", "b=2"]);
        assert_eq!(response.body().as_ref(), [0xff, 0x00]);
    }
}
