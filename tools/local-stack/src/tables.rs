//! The product's tables, made in whatever DynamoDB answers at an address from what `template.yaml` says of them.
//!
//! It speaks DynamoDB's own interface without an SDK: a few calls, whose bodies the template already spells out. They carry
//! no real signature, because neither the embedded DynamoDB nor Amazon's DynamoDB Local checks one.

use billing_admin::local::WHERE_IT_IS;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::http_client::{HttpClient, NoAnswer};
use crate::template::Table;

/// The region of everything local. DynamoDB Local keeps a world for each pair of region and access key.
pub const REGION: &str = "us-east-1";
/// The access key of everything local, and its secret.
pub const ACCESS_KEY: &str = "local";

/// Why a table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Nobody answers there.
    #[error("DynamoDB: {0}")]
    NoAnswer(#[from] NoAnswer),
    /// The address is none.
    #[error("{0:?} is not the address of a DynamoDB")]
    Address(String),
    /// It answers, and refuses.
    #[error("DynamoDB refused {operation} for table {table}: {message}")]
    Refused {
        /// What it was asked.
        operation: &'static str,
        /// For which table.
        table: String,
        /// In its own words.
        message: String,
    },
}

/// Makes those of the tables that are not there yet, each with its time to live.
pub async fn create_missing(url: &str, tables: &[Table]) -> Result<(), TableError> {
    let dynamodb = DynamoDb {
        http: HttpClient::default(),
        url,
    };
    for table in tables {
        dynamodb.create(&table.name, &table.definition).await?;
        let Some(attribute) = &table.ttl_attribute else {
            continue;
        };
        let named = json!({ "TableName": table.name });
        let now = dynamodb.ask("DescribeTimeToLive", &table.name, &named).await?;
        if now["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED" {
            let wanted = json!({
                "TableName": table.name,
                "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
            });
            match dynamodb.ask("UpdateTimeToLive", &table.name, &wanted).await {
                // Another stack has, a moment ago.
                Err(TableError::Refused { message, .. }) if message.contains("already enabled") => {}
                other => drop(other?),
            }
        }
    }
    Ok(())
}

/// Writes down at what address the API of this stack is, for the administrator's command line, which goes by the stack's clock and knows its
/// DynamoDB alone. An earlier stack's address is forgotten.
pub async fn write_down(url: &str, address: &str) -> Result<(), TableError> {
    let dynamodb = DynamoDb {
        http: HttpClient::default(),
        url,
    };
    let definition = json!({
        "TableName": WHERE_IT_IS,
        "AttributeDefinitions": [{ "AttributeName": "name", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "name", "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    dynamodb.create(WHERE_IT_IS, &definition).await?;
    let note = json!({
        "TableName": WHERE_IT_IS,
        "Item": { "name": { "S": "stack" }, "address": { "S": address } },
    });
    dynamodb.ask("PutItem", WHERE_IT_IS, &note).await?;
    Ok(())
}

struct DynamoDb<'a> {
    http: HttpClient,
    url: &'a str,
}

impl DynamoDb<'_> {
    /// Makes a table that is not there yet.
    async fn create(&self, table: &str, definition: &Value) -> Result<(), TableError> {
        match self.ask("CreateTable", table, definition).await {
            Err(TableError::Refused { message, .. }) if message.contains("ResourceInUseException") => Ok(()),
            other => other.map(drop),
        }
    }

    async fn ask(&self, operation: &'static str, table: &str, body: &Value) -> Result<Value, TableError> {
        let request = Request::post(self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/dynamodb/aws4_request, \
                     SignedHeaders=host;x-amz-date;x-amz-target, Signature=0"
                ),
            )
            .body(Bytes::from(body.to_string()))
            .map_err(|_| TableError::Address(self.url.to_owned()))?;
        let answer = self.http.send(request).await?;
        let refused = |message: String| TableError::Refused {
            operation,
            table: table.to_owned(),
            message,
        };
        let text = String::from_utf8_lossy(answer.body());
        if !answer.status().is_success() {
            return Err(refused(text.into_owned()));
        }
        serde_json::from_str(&text).map_err(|_| refused(text.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dynamodb::Embedded;
    use crate::template::Template;

    #[tokio::test]
    async fn tables_are_made_once_and_with_their_time_to_live() {
        let now = Arc::new(|| "2026-04-01T00:00:00Z".parse().unwrap());
        let database = Embedded::empty(now).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(database.serve(listener, std::future::pending()));
        let tables = Template::project().unwrap().tables;

        create_missing(&url, &tables).await.unwrap();
        create_missing(&url, &tables).await.unwrap();

        let dynamodb = DynamoDb {
            http: HttpClient::default(),
            url: &url,
        };
        let sessions = json!({ "TableName": "sessions" });
        let ttl = dynamodb
            .ask("DescribeTimeToLive", "sessions", &sessions)
            .await
            .unwrap();
        assert_eq!(ttl["TimeToLiveDescription"]["AttributeName"], "expires_at");
        let described = dynamodb
            .ask("DescribeTable", "sessions", &sessions)
            .await
            .unwrap();
        assert_eq!(
            described["Table"]["StreamSpecification"]["StreamViewType"],
            "OLD_IMAGE"
        );
    }
}
