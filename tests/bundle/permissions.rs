//! DynamoDB behind the permissions that `template.yaml` grants: what IAM would refuse to a function is refused here.
//!
//! A policy that lacks an action, a table or a leading key is found by the first test that needs it, not by the first deployment.
//! It reads the few forms that the template uses and refuses every operation it does not know; it is no IAM: no denials, no
//! wildcards in actions, no roles, and nobody's signature is checked.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;

use crate::project;
use billing_bench::loopback::{answer, serve};

/// One statement about a table.
struct Statement {
    actions: Vec<String>,
    table: String,
    /// Patterns of partition keys, such as `ACCOUNT#*`.
    leading_keys: Vec<String>,
}

/// What a request does to one item or collection.
#[derive(Debug)]
struct Access {
    action: String,
    table: String,
    leading_key: String,
}

/// Serves the DynamoDB at `upstream` as that function may use it, and answers the address.
pub(crate) async fn start(function: &str, upstream: &str) -> String {
    let statements = statements(function);
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let guard = Arc::new(Guard {
        statements,
        client,
        upstream: upstream.to_owned(),
    });
    let address = serve(move |request| {
        let guard = Arc::clone(&guard);
        async move { guard.pass(request).await }
    })
    .await;
    format!("http://{address}")
}

struct Guard {
    statements: Vec<Statement>,
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: String,
}

impl Guard {
    #[expect(clippy::print_stderr, reason = "a test that fails says why")]
    async fn pass(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let target = head
            .headers
            .get("x-amz-target")
            .map(|target| target.to_str().unwrap())
            .unwrap_or_default();
        let operation = target.split('.').next_back().unwrap_or_default();
        for access in accesses(operation, &serde_json::from_slice(&body).unwrap_or_default()) {
            if !self.statements.iter().any(|statement| statement.allows(&access)) {
                let message = format!("template.yaml does not allow {access:?}");
                eprintln!("{message}");
                let refusal =
                    json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "Message": message });
                return answer(StatusCode::BAD_REQUEST, refusal.to_string());
            }
        }
        let mut forwarded = Request::post(&self.upstream).body(Full::new(body)).unwrap();
        for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
            if let Some(value) = head.headers.get(name) {
                forwarded.headers_mut().insert(name, value.clone());
            }
        }
        let (head, body) = self.client.request(forwarded).await.unwrap().into_parts();
        Response::from_parts(head, Full::new(body.collect().await.unwrap().to_bytes()))
    }
}

impl Statement {
    fn allows(&self, access: &Access) -> bool {
        self.actions.contains(&access.action)
            && self.table == access.table
            && self
                .leading_keys
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(prefix) => access.leading_key.starts_with(prefix),
                    None => access.leading_key == *pattern,
                })
    }
}

/// What IAM asks about a request: each item of a transaction on its own, a transaction itself not at all.
fn accesses(operation: &str, body: &Json) -> Vec<Access> {
    let key = |part: &Json, of: &str| part[of]["pk"]["S"].as_str().unwrap_or_default().to_owned();
    let access = |action: &str, part: &Json, leading_key: String| Access {
        action: format!("dynamodb:{action}"),
        table: part["TableName"].as_str().unwrap_or_default().to_owned(),
        leading_key,
    };
    match operation {
        "GetItem" | "UpdateItem" | "DeleteItem" => vec![access(operation, body, key(body, "Key"))],
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            let keys = tables.flat_map(|(table, wanted)| {
                let keys = wanted["Keys"].as_array().into_iter().flatten();
                keys.map(move |key| Access {
                    action: "dynamodb:BatchGetItem".to_owned(),
                    table: table.clone(),
                    leading_key: key["pk"]["S"].as_str().unwrap_or_default().to_owned(),
                })
            });
            keys.collect()
        }
        "PutItem" => vec![access(operation, body, key(body, "Item"))],
        // Every query of the store begins with `pk = :pk`.
        "Query" => {
            let leading_key = body["ExpressionAttributeValues"][":pk"]["S"]
                .as_str()
                .unwrap_or_default();
            vec![access(operation, body, leading_key.to_owned())]
        }
        "TransactGetItems" | "TransactWriteItems" => items(body)
            .map(|(kind, part)| match kind {
                "Put" => access("PutItem", part, key(part, "Item")),
                "ConditionCheck" => access("ConditionCheckItem", part, key(part, "Key")),
                _ => access(&format!("{kind}Item"), part, key(part, "Key")),
            })
            .collect(),
        _ => vec![access(operation, body, String::new())],
    }
}

/// The parts of a transaction with their kinds: `Get`, `Put`, `Update`, `Delete`, `ConditionCheck`.
fn items(body: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let items = body["TransactItems"].as_array().into_iter().flatten();
    items
        .flat_map(|item| item.as_object().unwrap())
        .map(|(kind, part)| (kind.as_str(), part))
}

/// What the template allows a function to do with tables.
fn statements(function: &str) -> Vec<Statement> {
    let resource = project::resource(function);
    let policies = resource["Properties"]["Policies"].as_sequence().unwrap();
    let statements = policies
        .iter()
        .flat_map(|policy| policy["Statement"].as_sequence().unwrap());
    statements
        .filter_map(|statement| {
            let actions: Vec<_> = texts(&statement["Action"]);
            actions
                .iter()
                .all(|action| action.starts_with("dynamodb:"))
                .then(|| Statement {
                    actions,
                    table: table(&statement["Resource"]),
                    leading_keys: texts(
                        &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"],
                    ),
                })
        })
        .collect()
}

/// The local name of the table that `!GetAtt <logical id>.Arn` speaks of: `AccountsTable` is `accounts`.
fn table(resource: &Yaml) -> String {
    let Yaml::Tagged(tagged) = resource else {
        panic!("a table is named by !GetAtt: {resource:?}")
    };
    let id = tagged
        .value
        .as_str()
        .and_then(|attribute| attribute.strip_suffix("Table.Arn"));
    id.unwrap_or_else(|| panic!("no table's ARN: {tagged:?}"))
        .to_ascii_lowercase()
}

/// One text, or a list of them.
fn texts(value: &Yaml) -> Vec<String> {
    match value {
        Yaml::Sequence(values) => values
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect(),
        value => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}
