//! Changes of a subscription: written into the profile before Stripe is asked.
//!
//! # If it fails half-way
//! Each is one conditional write. Whatever dies after it leaves a record that the next reader judges by what Stripe says
//! ([`billing_core::change`]).

use billing_core::Timestamp;
use billing_core::account::Profile;
use billing_core::change::Change;
use billing_core::ending::Wish;
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{number, string};
use crate::key;

impl Store {
    /// Writes down the change that Stripe is about to be asked for, in place of an earlier one, and answers the profile as it is
    /// then. [`StoreError::Conflict`] when the profile has changed since it was read; repeating is then a conflict too, so a
    /// number is given once.
    pub async fn begin_change(&self, read: &Profile, change: &Change) -> Result<Profile, StoreError> {
        let account = &read.id;
        let attribute = to_attribute_value(change)
            .map_err(|error| StoreError::corrupt(key::profile(account).to_string(), error))?;
        self.call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(account).attributes()))
            .update_expression("SET version = :next, changes = :number, #change = :change")
            // Two machines that both decided to change: the second one has to see what the first is about to do. A webhook
            // that landed something since the read: likewise.
            .condition_expression("version = :read")
            .expression_attribute_names("#change", "change")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1))
            .expression_attribute_values(":number", number(change.number))
            .expression_attribute_values(":change", attribute)
            .send()
            .await?;
        Ok(Profile {
            version: read.version + 1,
            changes: change.number,
            change: Some(change.clone()),
            ..read.clone()
        })
    }

    /// Says that the cancellation which a change was to take back is about to be taken back at Stripe, and answers the profile as it
    /// is then: its version names the request. [`StoreError::Conflict`] when the profile has changed since it was read.
    pub async fn begin_finish(
        &self,
        read: &Profile,
        change: &Change,
        now: Timestamp,
    ) -> Result<Profile, StoreError> {
        let change = Change {
            finishing_at: Some(now),
            ..change.clone()
        };
        self.call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(&read.id).attributes()))
            .update_expression("SET version = :next, #change.finishing_at = :now")
            // Somebody cancelled since the change was read, so that it has nothing to take back any more; or took it back already.
            .condition_expression("version = :read")
            .expression_attribute_names("#change", "change")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1))
            .expression_attribute_values(":now", string(now))
            .send()
            .await?;
        Ok(Profile {
            version: read.version + 1,
            change: Some(change),
            ..read.clone()
        })
    }

    /// Counts a write to the end of the subscription that Stripe is about to be asked for, and answers the profile as it is then:
    /// its version names the request. Where it is to end, a change that is under way no longer takes a cancellation back: what is decided now is
    /// newer. Where it is to go on, the change wants the same until that is done. [`StoreError::Conflict`] when the profile has changed since it
    /// was read.
    pub async fn begin_end(&self, read: &Profile, wish: Wish) -> Result<Profile, StoreError> {
        let overtaken = read.change.as_ref().filter(|_| wish == Wish::Cancel);
        let change = overtaken.map(|change| Change {
            clears_cancellation: false,
            ..change.clone()
        });
        let keep = if change.is_some() {
            ", #change.clears_cancellation = :no"
        } else {
            ""
        };
        let mut update = self
            .call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(&read.id).attributes()))
            .update_expression(format!("SET version = :next{keep}"))
            // Two that decided on the same facts would otherwise send two requests under one key, or undo each other unseen.
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1));
        if change.is_some() {
            update = update
                .expression_attribute_names("#change", "change")
                .expression_attribute_values(":no", aws_sdk_dynamodb::types::AttributeValue::Bool(false));
        }
        update.send().await?;
        Ok(Profile {
            version: read.version + 1,
            change: change.or_else(|| read.change.clone()),
            ..read.clone()
        })
    }
}
