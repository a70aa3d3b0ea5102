//! The clock of a local stack, for whoever knows no more of it than where its DynamoDB is.
//!
//! # How it works
//! The stack writes down in its DynamoDB where its API is, in a table of its own that no deployment has ([`WHERE_IT_IS`]), and tells there what
//! its clock shows (`GET /_local/clock`). Two stacks at one DynamoDB are not told apart: the one that was started last is asked.
//!
//! # If it fails
//! A DynamoDB without that table is not of a local stack, and a stack that does not answer has ended, and its clock with it. Then it is what
//! this machine's clock shows.

use std::time::Duration;

use billing_store::Transport;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The table in which a local stack writes down where it is: one item, `name` `stack`, with its `address`.
pub const WHERE_IT_IS: &str = "local-stack";

/// How long both answers may take: everything is on this machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// The stack tells its time to the second. What happens now comes after whatever happened there in that second: the oldest number is covered
/// first.
const REST_OF_THE_SECOND: SignedDuration = SignedDuration::from_nanos(999_999_999);

/// What the clock of the local stack shows whose DynamoDB is at `endpoint`; none when there is no such stack.
pub async fn time(endpoint: &str, transport: &Transport) -> Option<Timestamp> {
    let told = async {
        let asked = json!({ "TableName": WHERE_IT_IS, "Key": { "name": { "S": "stack" } } });
        let note = ask(transport, get_item(endpoint, &asked)?).await?;
        let address = note["Item"]["address"]["S"].as_str()?;
        let clock = Request::get(format!("{address}/_local/clock"));
        let told = ask(transport, clock.body(Full::default()).ok()?).await?;
        let now: Timestamp = told["now"].as_str()?.parse().ok()?;
        now.checked_add(REST_OF_THE_SECOND).ok()
    };
    tokio::time::timeout(PATIENCE, told).await.ok()?
}

/// Neither the embedded DynamoDB nor Amazon's DynamoDB Local checks a signature; the latter wants to see one.
fn get_item(endpoint: &str, asked: &Value) -> Option<Request<Full<Bytes>>> {
    let request = Request::post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "DynamoDB_20120810.GetItem")
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0",
        );
    request.body(Full::from(asked.to_string())).ok()
}

async fn ask(transport: &Transport, request: Request<Full<Bytes>>) -> Option<Value> {
    let answer = transport.request(request).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}
