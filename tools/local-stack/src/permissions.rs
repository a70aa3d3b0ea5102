//! DynamoDB and Secrets Manager behind the permissions that `template.yaml` grants: what IAM would refuse to a function is refused here.
//!
//! A function is known by its access key, as in AWS ([`access_key`](crate::permissions::access_key)); whoever comes with another one may do everything. A policy that lacks
//! an action, a table or a leading key is so found by the first test that needs it, and not by the first deployment.
//!
//! It reads the few forms that the template uses and refuses every operation it does not know; it is no IAM: no denials, no
//! wildcards in actions, no roles, and nobody's signature is checked.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;
use tokio::net::TcpListener;

use crate::http_client::HttpClient;
use crate::server;
use crate::template::{Template, local_name, tagged};

/// One statement of a function's policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// What it may do to items of a table.
    Table {
        /// Such as `dynamodb:GetItem`.
        actions: Vec<String>,
        /// The table's local name.
        table: String,
        /// Patterns of partition keys, such as `ACCOUNT#*`.
        leading_keys: Vec<String>,
    },
    /// The secrets that it may read, by the parameters that name them.
    Secrets(Vec<String>),
}

/// What a request does to one item, to one collection, or to a secret.
#[derive(Debug)]
struct Access {
    action: String,
    table: String,
    leading_key: String,
}

/// What was refused so far. Cloning it gives another handle of the same.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<Vec<String>>>);

/// The access key by which a function is known here. Amazon's DynamoDB Local takes letters and digits only.
#[must_use]
pub fn access_key(function: &str) -> String {
    function.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Passes on to the DynamoDB at `upstream` what the functions of the template may do, until `end` comes.
pub async fn guard(
    listener: TcpListener,
    template: &Template,
    upstream: String,
    refusals: Refusals,
    end: impl Future<Output = ()>,
) {
    let roles = template.functions.iter();
    let guard = Arc::new(Guard {
        roles: roles
            .map(|it| (access_key(&it.name), it.permissions.clone()))
            .collect(),
        http: HttpClient::default(),
        upstream,
        refusals,
    });
    let pass = move |request| {
        let guard = Arc::clone(&guard);
        async move { guard.pass(request).await }
    };
    server::serve(listener, pass, end).await;
}

struct Guard {
    roles: BTreeMap<String, Vec<Permission>>,
    http: HttpClient,
    upstream: String,
    refusals: Refusals,
}

impl Guard {
    async fn pass(&self, request: Request<Bytes>) -> Response<Bytes> {
        let operation = header(&request, "x-amz-target")
            .rsplit('.')
            .next()
            .unwrap_or_default();
        // `AWS4-HMAC-SHA256 Credential=<access key>/<date>/<region>/<service>/aws4_request, …`
        let key = header(&request, "authorization").split("Credential=").nth(1);
        let key = key.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if let Some(role) = self.roles.get(key) {
            let body = serde_json::from_slice(request.body()).unwrap_or_default();
            let mut accesses = accesses(operation, &body).into_iter();
            if let Some(access) = accesses.find(|it| !role.iter().any(|permission| permission.allows(it))) {
                let message = format!("template.yaml does not allow {key} {access:?}");
                self.refusals.push(message.clone());
                return refusal(&message);
            }
        }
        let mut forwarded = Request::post(&self.upstream);
        for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
            if let Some(value) = request.headers().get(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        let unavailable = |reason: String| plain(StatusCode::SERVICE_UNAVAILABLE, reason);
        match forwarded.body(request.into_body()) {
            Ok(forwarded) => match self.http.send(forwarded).await {
                Ok(answer) => answer,
                Err(error) => unavailable(error.to_string()),
            },
            Err(error) => unavailable(error.to_string()),
        }
    }
}

impl Permission {
    fn allows(&self, access: &Access) -> bool {
        match self {
            Self::Table {
                actions,
                table,
                leading_keys,
            } => {
                let matches = |pattern: &String| match pattern.strip_suffix('*') {
                    Some(prefix) => access.leading_key.starts_with(prefix),
                    None => access.leading_key == *pattern,
                };
                actions.contains(&access.action) && *table == access.table && leading_keys.iter().any(matches)
            }
            Self::Secrets(_) => false,
        }
    }

    /// Whether it lets a function read the secret that this parameter of the template names.
    #[must_use]
    pub fn reads(&self, parameter: &str) -> bool {
        matches!(self, Self::Secrets(parameters) if parameters.iter().any(|it| it == parameter))
    }
}

impl Refusals {
    /// In words.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, refusal: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(refusal);
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
        .filter_map(Json::as_object)
        .flatten()
        .map(|(kind, part)| (kind.as_str(), part))
}

/// The statements of a function's `Policies`.
pub(crate) fn of(policies: &Yaml) -> Result<Vec<Permission>, String> {
    let policies = policies.as_sequence().into_iter().flatten();
    let statements = policies.flat_map(|policy| policy["Statement"].as_sequence().into_iter().flatten());
    statements
        .map(|statement| {
            let actions = texts(&statement["Action"]);
            if actions == ["secretsmanager:GetSecretValue"] {
                return Ok(Permission::Secrets(references(&statement["Resource"])));
            }
            let leading_keys =
                texts(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
            match table(&statement["Resource"]) {
                Some(table) if actions.iter().all(|it| it.starts_with("dynamodb:")) => {
                    Ok(Permission::Table {
                        actions,
                        table,
                        leading_keys,
                    })
                }
                _ => Err(format!(
                    "a statement of another form than those about tables and secrets: {statement:?}"
                )),
            }
        })
        .collect()
}

/// The local name of the table that `!GetAtt <logical id>.Arn` speaks of.
fn table(resource: &Yaml) -> Option<String> {
    tagged(resource, "GetAtt")?.strip_suffix(".Arn").map(local_name)
}

/// The parameters of one `!Ref`, or of a list of them.
fn references(value: &Yaml) -> Vec<String> {
    match value {
        Yaml::Sequence(values) => values.iter().flat_map(references).collect(),
        Yaml::Tagged(tagged) if tagged.tag == "Ref" => texts(&tagged.value),
        _ => Vec::new(),
    }
}

/// One text, or a list of them.
fn texts(value: &Yaml) -> Vec<String> {
    match value {
        Yaml::Sequence(values) => values.iter().flat_map(texts).collect(),
        value => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> &'a str {
    let value = request.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// As AWS words it.
fn refusal(message: &str) -> Response<Bytes> {
    let body =
        json!({ "__type": "com.amazon.coral.service#AccessDeniedException", "Message": message }).to_string();
    plain(StatusCode::BAD_REQUEST, body)
}

fn plain(status: StatusCode, body: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(function: &str, operation: &str, body: Json) -> bool {
        let template = Template::project().unwrap();
        let role = template.functions.into_iter().find(|it| it.name == function);
        let role = role.unwrap().permissions;
        let mut accesses = accesses(operation, &body).into_iter();
        accesses.any(|access| !role.iter().any(|permission| permission.allows(&access)))
    }

    #[test]
    fn a_function_may_do_what_its_statements_say_and_nothing_else() {
        let key = json!({ "pk": { "S": "ACCOUNT#ada" } });
        let query = |table: &str, pk: &str| json!({ "TableName": table, "ExpressionAttributeValues": { ":pk": { "S": pk } } });
        let refused = |operation: &str, body: Json| is_refused("get-billing", operation, body);
        assert!(!refused("Query", query("accounts", "ACCOUNT#ada")));
        assert!(
            refused("Query", query("accounts", "ORGANISATION#demo")),
            "another partition"
        );
        assert!(
            refused("Query", query("sessions", "ACCOUNT#ada")),
            "another table"
        );
        assert!(
            refused("PutItem", json!({ "TableName": "accounts", "Item": key })),
            "another action"
        );
        assert!(refused("Scan", json!({ "TableName": "accounts" })));
        assert!(
            refused("BatchWriteItem", json!({ "RequestItems": {} })),
            "one that is not known here"
        );
    }

    #[test]
    fn each_item_of_a_transaction_is_asked_for_on_its_own() {
        let item = |table: &str, pk: &str| json!({ "TableName": table, "Key": { "pk": { "S": pk } } });
        let update = json!({ "Update": item("accounts", "ACCOUNT#ada") });
        let foreign = json!({ "Delete": item("accounts", "STRIPE#-#cus_1") });
        let refused = |items: Json| {
            let body = json!({ "TransactItems": items });
            is_refused("change-subscription-interval", "TransactWriteItems", body)
        };
        assert!(!refused(json!([update])));
        assert!(refused(json!([update, foreign])));
    }

    #[test]
    fn only_the_webhook_reads_what_signs_events() {
        let functions = Template::project().unwrap().functions;
        let reads = |parameter: &str| {
            let readers = functions.iter();
            let readers = readers.filter(|it| it.permissions.iter().any(|it| it.reads(parameter)));
            readers.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(reads("StripeWebhookSecretArn"), ["stripe-webhook"]);
        assert!(!reads("StripeSecretArn").contains(&"preview-checkout-session".to_owned()));
    }
}
