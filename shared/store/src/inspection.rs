//! The tables as they are deployed, for an administrator's checks. No request path comes here.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::TimeToLiveStatus;

use crate::client::Store;
use crate::error::StoreError;

/// One table, as DynamoDB describes it. What a DynamoDB does not tell is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// Its name.
    pub name: String,
    /// Its key attributes, the partition key first.
    pub keys: Vec<String>,
    /// The attribute by which items expire, when that is on.
    pub expires_by: Option<String>,
    /// What its stream carries, when it has one: `OLD_IMAGE`.
    pub stream: Option<String>,
    /// Whether it can be deleted by mistake.
    pub deletion_protection: Option<bool>,
    /// Whether it can be put back to an earlier second.
    pub point_in_time_recovery: Option<bool>,
}

impl Store {
    /// The table of accounts; none when it does not exist.
    pub async fn inspect_accounts(&self) -> Result<Option<TableState>, StoreError> {
        self.inspect(&self.accounts).await
    }

    /// The table of what expires; none when it does not exist.
    pub async fn inspect_sessions(&self) -> Result<Option<TableState>, StoreError> {
        self.inspect(&self.sessions).await
    }

    async fn inspect(&self, name: &str) -> Result<Option<TableState>, StoreError> {
        let described = self.call().describe_table().table_name(name).send().await;
        let table = match described {
            Ok(answer) => answer.table,
            Err(error) => {
                let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
                if code == Some("ResourceNotFoundException") {
                    return Ok(None);
                }
                return Err(error.into());
            }
        };
        let Some(table) = table else { return Ok(None) };
        let ttl = self
            .call()
            .describe_time_to_live()
            .table_name(name)
            .send()
            .await?;
        let ttl = ttl.time_to_live_description.filter(|it| {
            matches!(
                it.time_to_live_status,
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            )
        });
        let stream = table.stream_specification.as_ref();
        let stream = stream.filter(|stream| stream.stream_enabled);
        // The local ones do not know of it.
        let backups = self
            .call()
            .describe_continuous_backups()
            .table_name(name)
            .send()
            .await;
        let recovery = backups
            .ok()
            .and_then(|answer| answer.continuous_backups_description);
        let recovery = recovery.and_then(|it| it.point_in_time_recovery_description);
        Ok(Some(TableState {
            name: name.to_owned(),
            keys: table
                .key_schema()
                .iter()
                .map(|key| key.attribute_name.clone())
                .collect(),
            expires_by: ttl.and_then(|it| it.attribute_name),
            stream: stream
                .and_then(|it| it.stream_view_type.as_ref())
                .map(|view| view.as_str().to_owned()),
            deletion_protection: table.deletion_protection_enabled,
            point_in_time_recovery: recovery
                .and_then(|it| it.point_in_time_recovery_status)
                .map(|status| status.as_str() == "ENABLED"),
        }))
    }
}
