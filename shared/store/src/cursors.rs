//! How far Stripe's list of events was read, one cursor for each Stripe account.
//!
//! Kept beside the accounts: were it to expire, a run would read everything again that Stripe still tells, which harms nobody.

use billing_core::id::ConnectedAccountId;
use billing_core::reconcile::Cursor;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{item, number, value};
use crate::key;

/// A cursor as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCursor {
    /// Counts the writes.
    pub version: u64,
    /// How far the list was read.
    pub cursor: Cursor,
}

impl Store {
    /// The cursor of an account's list; none when it was never read.
    pub async fn cursor(
        &self,
        connected_account: Option<&ConnectedAccountId>,
    ) -> Result<Option<StoredCursor>, StoreError> {
        let found = self
            .call()
            .get_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::cursor(connected_account).attributes()))
            .consistent_read(true)
            .send()
            .await?
            .item;
        found.map(value).transpose()
    }

    /// Writes a cursor in the place of the one that was `read`, and answers it as it is stored. [`StoreError::Conflict`] when
    /// another run has written meanwhile; repeating is then a conflict too.
    pub async fn put_cursor(
        &self,
        connected_account: Option<&ConnectedAccountId>,
        read: Option<&StoredCursor>,
        cursor: Cursor,
    ) -> Result<StoredCursor, StoreError> {
        let version = read.map_or(0, |read| read.version);
        let stored = StoredCursor {
            version: version + 1,
            cursor,
        };
        self.call()
            .put_item()
            .table_name(&*self.accounts)
            .set_item(Some(item(&key::cursor(connected_account), &stored)?))
            // Two runs at once: the one that is behind must not take the other back.
            .condition_expression("attribute_not_exists(pk) OR version = :read")
            .expression_attribute_values(":read", number(version))
            .send()
            .await?;
        Ok(stored)
    }
}
