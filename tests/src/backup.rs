//! A copy of an account's items in the accounts table, and putting them back when they are lost, as the guide has an operator do.

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::account::Account;
use crate::project;
use crate::world::World;

/// What the accounts table had of an account at an earlier second.
#[derive(Debug)]
pub struct Backup(Vec<Value>);

impl World {
    /// Copies what the accounts table has of an account.
    pub async fn backs_up(&self, account: &Account<'_>) -> Backup {
        let collection = json!({ "S": format!("ACCOUNT#{}", account.id) });
        Backup(self.items_of(&collection).await)
    }

    /// All that there is of the account is lost. Puts the copy back, with the counters moved on as the guide says.
    pub async fn restores(&self, backup: &Backup) {
        let counters = project::counters_that_a_restore_moves_on();
        let mut items = backup.0.clone();
        for item in &mut items {
            for counter in &counters {
                let Some(count) = item[counter]["N"].as_str() else {
                    continue;
                };
                let moved_on = count.parse::<u64>().unwrap() + 1000;
                item[counter]["N"] = json!(moved_on.to_string());
            }
        }
        self.puts(items).await;
    }

    /// The same, as it was copied.
    pub async fn restores_bare(&self, backup: &Backup) {
        self.puts(backup.0.clone()).await;
    }

    async fn puts(&self, items: Vec<Value>) {
        for lost in self.items_of(&items[0]["pk"]).await {
            let key = json!({ "pk": lost["pk"], "sk": lost["sk"] });
            self.asks_dynamodb("DeleteItem", json!({ "Key": key })).await;
        }
        for item in items {
            self.asks_dynamodb("PutItem", json!({ "Item": item })).await;
        }
    }

    async fn items_of(&self, collection: &Value) -> Vec<Value> {
        let wanted = json!({
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": { ":pk": collection },
        });
        let mut found = self.asks_dynamodb("Query", wanted).await;
        match found["Items"].take() {
            Value::Array(items) => items,
            other => panic!("no items: {other}"),
        }
    }

    /// DynamoDB's own interface, without an SDK: no product writes items of which it knows nothing.
    async fn asks_dynamodb(&self, operation: &str, mut wanted: Value) -> Value {
        let stack = self.stack();
        wanted["TableName"] = json!(stack.variables["ACCOUNTS_TABLE"]);
        let signed = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        let request = Request::post(&stack.directory.dynamodb)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", signed)
            .body(Full::from(wanted.to_string()))
            .unwrap();
        let client: Client<_, Full<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(status.is_success(), "{operation}: {status} {body}");
        body
    }
}
