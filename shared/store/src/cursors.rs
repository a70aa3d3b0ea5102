//! How far Stripe's list of events was read, one cursor for each Stripe account; and which connected account's turn it was last.
//!
//! Kept beside the accounts: were it to expire, a run would read everything again that Stripe still tells, which harms nobody.

use billing_core::id::ConnectedAccountId;
use billing_core::reconcile::Cursor;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{item, number};
use crate::key;

/// A cursor as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCursor {
    /// Counts the writes.
    pub version: u64,
    /// How far the list was read.
    pub cursor: Cursor,
}

/// Whose turn it was last, as it was read. The accounts take turns in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Counts the writes.
    pub version: u64,
    /// The account whose list was read last, or is being read.
    pub account: ConnectedAccountId,
}

impl Store {
    /// The cursor of an account's list; none when it was never read.
    pub async fn cursor(
        &self,
        connected_account: Option<&ConnectedAccountId>,
    ) -> Result<Option<StoredCursor>, StoreError> {
        self.read(&key::cursor(connected_account)).await
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

    /// Whose turn it was last; none before the first.
    pub async fn rotation(&self) -> Result<Option<Rotation>, StoreError> {
        self.read(&key::rotation()).await
    }

    /// Gives an account its turn after the one that was `read`, and answers the turn as it is stored. [`StoreError::Conflict`]
    /// when another run has gone on meanwhile; repeating is then a conflict too.
    pub async fn put_rotation(
        &self,
        read: Option<&Rotation>,
        account: ConnectedAccountId,
    ) -> Result<Rotation, StoreError> {
        let version = read.map_or(0, |read| read.version);
        let turn = Rotation {
            version: version + 1,
            account,
        };
        self.call()
            .put_item()
            .table_name(&*self.accounts)
            .set_item(Some(item(&key::rotation(), &turn)?))
            // Two runs at once: each turn is one run's, and neither takes the other back.
            .condition_expression("attribute_not_exists(pk) OR version = :read")
            .expression_attribute_values(":read", number(version))
            .send()
            .await?;
        Ok(turn)
    }
}
