//! Events whose work failed, in one collection: what an operator lists, and what is tried again.
//!
//! A failure is put with the mark on its receipt and deleted with the mark that the work is done, each in one transaction. So
//! what is listed here is what has failed and was not done since, and nobody scans a table for it.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use billing_core::Timestamp;
use billing_core::id::{ConnectedAccountId, EventId};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, number, put, string, value};
use crate::key::{self, EXPIRES_AT};
use crate::receipts::{EventKey, kept_until};

/// An event whose latest attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stripe's id.
    pub event: EventId,
    /// The connected account that it happened on; none for our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_account: Option<ConnectedAccountId>,
    /// Stripe's type.
    pub kind: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it failed last.
    pub failed_at: Timestamp,
    /// What went wrong then.
    pub error: String,
}

impl Failure {
    /// Which event it is.
    #[must_use]
    pub fn key(&self) -> EventKey {
        EventKey {
            connected_account: self.connected_account.clone(),
            event: self.event.clone(),
        }
    }
}

impl Store {
    /// Every event that failed and was not done since, the one that failed first in front.
    pub async fn failures(&self) -> Result<Vec<Failure>, StoreError> {
        let mut failures: Vec<Failure> = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .call()
                .query()
                .table_name(&*self.sessions)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", string(key::FAILED))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in page.items.into_iter().flatten() {
                failures.push(value(item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                failures.sort_by(|a, b| (a.failed_at, &a.event).cmp(&(b.failed_at, &b.event)));
                return Ok(failures);
            }
        }
    }

    /// Leaves a failure that cannot be tried now until it has rested, for longer each time; how long it is kept does not change. Repeating
    /// it has it rest longer. [`StoreError::Conflict`] when it is not there any more.
    pub async fn rest_failure(&self, failure: &Failure, now: Timestamp) -> Result<(), StoreError> {
        self.call()
            .update_item()
            .table_name(&*self.sessions)
            .set_key(Some(failure.key().failure().attributes()))
            .update_expression("SET failed_at = :now ADD attempts :one")
            // Done meanwhile: it must not come back.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", string(now.to_string()))
            .expression_attribute_values(":one", number(1))
            .send()
            .await?;
        Ok(())
    }

    /// Takes an event that turned out to be done from among the failed: a holder whose lease had run out may finish what the next one
    /// failed at. [`StoreError::Conflict`] when it is not there any more, or has failed again.
    pub async fn forget_failure(&self, failure: &Failure) -> Result<(), StoreError> {
        self.call()
            .delete_item()
            .table_name(&*self.sessions)
            .set_key(Some(failure.key().failure().attributes()))
            // It was opened anew, and failed once more.
            .condition_expression("failed_at = :failed_at")
            .expression_attribute_values(":failed_at", string(failure.failed_at.to_string()))
            .send()
            .await?;
        Ok(())
    }

    pub(crate) fn put_failure(
        &self,
        event: &EventKey,
        failure: &Failure,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut failure_item = item(&event.failure(), failure)?;
        failure_item.insert(EXPIRES_AT.to_owned(), number(kept_until(failure.failed_at)));
        put(&self.sessions, failure_item, None)
    }

    pub(crate) fn delete_failure(&self, event: &EventKey) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&*self.sessions)
            .set_key(Some(event.failure().attributes()))
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

impl EventKey {
    fn failure(&self) -> key::Key {
        key::failure(self.connected_account.as_ref(), &self.event)
    }
}
