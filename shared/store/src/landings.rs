//! Landing what Stripe told: subscription, ledger, the end of a checkout, all in one transaction.
//!
//! # If it fails half-way
//! It cannot: DynamoDB writes all or nothing. Repeating it after an answer was lost is a conflict, upon which everything is read
//! again and found to be there.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use billing_core::account::Profile;
use billing_core::landing::{ChangeStep, Landing};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, number, put, string};
use crate::key;

impl Store {
    /// Writes the difference that was decided on the profile as `read`; the profile's version if there is none. [`StoreError::Conflict`] when anything it stood on has
    /// changed since.
    pub async fn land(&self, read: &Profile, landing: &Landing) -> Result<(), StoreError> {
        let account = &read.id;
        let mut items = vec![self.land_on_profile(read, landing)?];
        if let Some(subscription) = &landing.subscription {
            items.push(put(
                &self.accounts,
                item(&key::subscription(account), subscription)?,
                None,
            )?);
        }
        for entry in &landing.entries {
            // The natural key: whatever else went wrong, one line of one invoice is one entry, and it is never rewritten.
            let unlanded = Some("attribute_not_exists(pk)");
            items.push(put(
                &self.accounts,
                item(&key::ledger(account, entry), entry)?,
                unlanded,
            )?);
        }
        if let Some(reversal) = &landing.reversal {
            // Whole, as Stripe tells it now: the profile's version guards it.
            let key = key::reversal(account, &reversal.invoice);
            items.push(put(&self.accounts, item(&key, reversal)?, None)?);
        }
        if let Some(ChangeStep::Dropped { bill, at }) = &landing.change {
            items.push(self.let_go(bill, *at)?);
        }
        if let Some(customer) = &landing.customer {
            items.push(self.put_pointer(customer, account)?);
        }
        if let Some(released) = landing.release {
            let delete = Delete::builder()
                .table_name(&*self.sessions)
                .set_key(Some(key::reservation(account).attributes()))
                // A later reservation must not be released by an earlier session's end; one that is gone already is.
                .condition_expression("attribute_not_exists(pk) OR #number = :number")
                .expression_attribute_names("#number", "number")
                .expression_attribute_values(":number", number(released))
                .build()
                .map_err(incomplete)?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        self.transact(items).await
    }

    fn land_on_profile(&self, read: &Profile, landing: &Landing) -> Result<TransactWriteItem, StoreError> {
        let link = if landing.customer.is_some() {
            ", customer = :customer"
        } else {
            ""
        };
        let waits = match landing.change {
            Some(ChangeStep::Waits(_)) => ", #change.invoice = :invoice",
            Some(ChangeStep::Resumed) => ", #change.clears_cancellation = :no",
            Some(ChangeStep::Over | ChangeStep::Dropped { .. }) | None => "",
        };
        let mut over = Vec::new();
        if landing.close_session {
            over.push("open_session");
        }
        if matches!(
            landing.change,
            Some(ChangeStep::Over | ChangeStep::Dropped { .. })
        ) {
            over.push("#change");
        }
        let remove = if over.is_empty() {
            String::new()
        } else {
            format!(" REMOVE {}", over.join(", "))
        };
        let mut update = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(&read.id).attributes()))
            .update_expression(format!("SET version = :next{link}{waits}{remove}"))
            // Two handlers that both re-read Stripe: the one with the older facts may write last. The version was read before
            // Stripe was asked, so whoever wrote since then knows something that this one does not.
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1));
        if let Some(customer) = &landing.customer {
            update = update.expression_attribute_values(":customer", string(customer));
        }
        if let Some(change) = &landing.change {
            // `version`: the change that is there is the one that was judged.
            update = update.expression_attribute_names("#change", "change");
            update = match change {
                ChangeStep::Waits(invoice) => update.expression_attribute_values(":invoice", string(invoice)),
                ChangeStep::Resumed => update.expression_attribute_values(":no", AttributeValue::Bool(false)),
                ChangeStep::Over | ChangeStep::Dropped { .. } => update,
            };
        }
        Ok(TransactWriteItem::builder()
            .update(update.build().map_err(incomplete)?)
            .build())
    }
}
