//! An organisation's customer and its one customer at Stripe.
//!
//! # If it fails half-way
//! That Stripe is about to be asked is written down first, so that a customer that nobody recorded is looked for. Repeating a write
//! changes nothing, or is a conflict, upon which the customer is read again.

use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem, Update};
use billing_core::Timestamp;
use billing_core::catalog::Buyer;
use billing_core::id::{BuyerId, CustomerId, OrganisationId};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, number, put, put_if, string, value};
use crate::key;

impl Store {
    /// Makes a customer of a guest. [`StoreError::Conflict`] when the address is somebody's by now: whose, has to be read again.
    pub async fn create_guest(
        &self,
        organisation: &OrganisationId,
        guest: &Buyer,
        email_hash: &str,
    ) -> Result<(), StoreError> {
        let mut of_email = key::email(organisation, email_hash).attributes();
        of_email.insert("buyer".to_owned(), string(&guest.id));
        self.transact(vec![
            // Two guests with one address, at the same time on two machines, are one customer.
            put(&self.accounts, of_email, Some("attribute_not_exists(pk)"))?,
            put(
                &self.accounts,
                item(&key::buyer(organisation, &guest.id), guest)?,
                Some("attribute_not_exists(pk)"),
            )?,
        ])
        .await
    }

    /// Writes down that Stripe is about to be asked for the customer of one of an organisation's, and answers when it first was.
    pub async fn ask_for_buyer(
        &self,
        organisation: &OrganisationId,
        buyer: &BuyerId,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let written = self
            .call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::buyer(organisation, buyer).attributes()))
            .update_expression("SET customer_asked_at = if_not_exists(customer_asked_at, :now)")
            // An update would otherwise make an item of a customer that is not there.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", string(now))
            .return_values(ReturnValue::AllNew)
            .send()
            .await?;
        let written: Option<Buyer> = written.attributes.map(value).transpose()?;
        Ok(written.and_then(|buyer| buyer.customer_asked_at).unwrap_or(now))
    }

    /// Records the customer that Stripe has for one of an organisation's, and whose it is. Recording the same again changes nothing.
    /// [`StoreError::Conflict`] when another one is recorded, or one was lost since it was read.
    pub async fn record_buyer(
        &self,
        organisation: &OrganisationId,
        read: &Buyer,
        customer: &CustomerId,
    ) -> Result<(), StoreError> {
        // Two machines that made two of them, because Stripe had forgotten the key of the first: the first one counts. And one was
        // lost and another one made while this one was on its way.
        let free = format!(
            "{} AND (attribute_not_exists(customer) OR customer = :customer)",
            has_lost(read)
        );
        let update = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::buyer(organisation, &read.id).attributes()))
            .update_expression("SET customer = :customer")
            .condition_expression(free)
            .expression_attribute_values(":lost", number(read.lost_customers))
            .expression_attribute_values(":customer", string(customer))
            .build()
            .map_err(incomplete)?;
        let mut pointer = key::pointer(customer).attributes();
        pointer.insert("organisation".to_owned(), string(organisation));
        pointer.insert("buyer".to_owned(), string(&read.id));
        let pointer = put_if(
            &self.accounts,
            pointer,
            // A customer belongs to one for ever.
            "attribute_not_exists(pk) OR buyer = :buyer",
            [(":buyer", string(&read.id))],
        )?;
        self.transact(vec![TransactWriteItem::builder().update(update).build(), pointer])
            .await
    }

    /// Counts a customer as lost that was deleted at Stripe, or that cannot be made under its key, so that another is made under the
    /// next. Its pointer stays: Stripe may still tell of it. [`StoreError::Conflict`] when somebody did so already, or has recorded one.
    pub async fn forget_buyer(
        &self,
        organisation: &OrganisationId,
        read: &Buyer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Two that both failed must count it once, or the second gives up the next one, which the first has made.
        let same = match &read.customer {
            Some(_) => "customer = :customer",
            None => "attribute_not_exists(customer)",
        };
        let mut update = self.call().update_item();
        if let Some(customer) = &read.customer {
            update = update.expression_attribute_values(":customer", string(customer));
        }
        update
            .table_name(&*self.accounts)
            .set_key(Some(key::buyer(organisation, &read.id).attributes()))
            // The next one is about to be asked for: from now on it may exist without being recorded here.
            .update_expression("SET lost_customers = :next, customer_asked_at = :now REMOVE customer")
            .condition_expression(format!("{} AND {same}", has_lost(read)))
            .expression_attribute_values(":lost", number(read.lost_customers))
            .expression_attribute_values(":next", number(read.lost_customers + 1))
            .expression_attribute_values(":now", string(now))
            .send()
            .await?;
        Ok(())
    }
}

/// That a customer is there, and has lost as many as `:lost`. The catalog makes customers that have lost none without saying so.
fn has_lost(read: &Buyer) -> &'static str {
    if read.lost_customers == 0 {
        "attribute_exists(pk) AND (attribute_not_exists(lost_customers) OR lost_customers = :lost)"
    } else {
        "lost_customers = :lost"
    }
}
