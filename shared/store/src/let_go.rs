//! Bills that were let go: nothing is sold by them any more, and they can be paid all the same, for as long as Stripe shows their pages.
//!
//! # If it fails half-way
//! A bill is let go in the transaction that lets something else be sold in its place: whoever sees that sees this.

use aws_sdk_dynamodb::types::TransactWriteItem;
use billing_core::Timestamp;
use billing_core::id::InvoiceId;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{put, string};
use crate::key;

impl Store {
    /// Whether a bill was let go.
    pub async fn is_let_go(&self, bill: &InvoiceId) -> Result<bool, StoreError> {
        let found = self.item(&self.accounts, &key::let_go(bill)).await?;
        Ok(found.is_some())
    }

    /// Lets a bill go. Repeating it tells a later moment, and changes nothing else.
    pub(crate) fn let_go(&self, bill: &InvoiceId, now: Timestamp) -> Result<TransactWriteItem, StoreError> {
        let mut item = key::let_go(bill).attributes();
        item.insert("let_go_at".to_owned(), string(now));
        put(&self.accounts, item, None)
    }
}
