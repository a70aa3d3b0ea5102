//! The catalog of an organisation: business entities, customers, plans, and every version of every price.
//!
//! # How it works
//! A plan is one item with its products and their prices at present, so that a checkout reads it at once. Every version of a price
//! is an item of its own as well, which is never removed: a contract can be traced to what it was sold at.
//!
//! # If it fails half-way
//! A plan and the new versions of its prices are written together or not at all. Everything else is one item each, and writing it
//! again changes nothing.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};
use billing_core::Timestamp;
use billing_core::calendar::Cadence;
use billing_core::catalog::{BusinessEntity, Buyer, Plan, Price};
use billing_core::id::{BusinessEntityId, BuyerId, OfferedId, OrganisationId, PlanId};
use billing_core::money::Currency;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, number, put, put_if, string, value};
use crate::key::{self, ENTITY_PREFIX, PLAN_PREFIX};

/// A plan, and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// As it is offered at present.
    #[serde(flatten)]
    pub plan: Plan,
    /// Counts the writes; one that decides names the edition that it read.
    pub edition: u64,
}

/// A version of a product's price, with all that its amounts mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPrice {
    /// The product that it is a price of.
    pub product: OfferedId,
    /// The plan that the product belongs to.
    pub plan: PlanId,
    /// What its amounts are in.
    pub currency: Currency,
    /// How often it is billed.
    pub cadence: Cadence,
    /// The version, the pricing, and Stripe's price.
    #[serde(flatten)]
    pub price: Price,
    /// When it was first offered.
    pub created_at: Timestamp,
}

/// A customer of an organisation, and who it was before.
#[derive(Debug, Clone, Copy)]
pub struct BuyerWrite<'a> {
    /// As it is to be. Its customer at Stripe is left as it is stored.
    pub new: &'a Buyer,
    /// The hash of its e-mail address.
    pub email_hash: Option<&'a str>,
    /// As it was read; none when there was none.
    pub read: Option<&'a Buyer>,
    /// The hash of the address that it had.
    pub read_email_hash: Option<&'a str>,
}

impl Store {
    /// A plan, none if there is no such.
    pub async fn plan(
        &self,
        organisation: &OrganisationId,
        id: &PlanId,
    ) -> Result<Option<StoredPlan>, StoreError> {
        self.read(&key::plan(organisation, id)).await
    }

    /// All plans of an organisation, withdrawn ones among them.
    pub async fn plans(&self, organisation: &OrganisationId) -> Result<Vec<StoredPlan>, StoreError> {
        self.all_of_catalog(organisation, PLAN_PREFIX).await
    }

    /// A business entity, none if there is no such.
    pub async fn business_entity(
        &self,
        organisation: &OrganisationId,
        id: &BusinessEntityId,
    ) -> Result<Option<BusinessEntity>, StoreError> {
        self.read(&key::business_entity(organisation, id)).await
    }

    /// All business entities of an organisation.
    pub async fn business_entities(
        &self,
        organisation: &OrganisationId,
    ) -> Result<Vec<BusinessEntity>, StoreError> {
        self.all_of_catalog(organisation, ENTITY_PREFIX).await
    }

    /// A customer of an organisation, none if there is no such.
    pub async fn buyer(
        &self,
        organisation: &OrganisationId,
        id: &BuyerId,
    ) -> Result<Option<Buyer>, StoreError> {
        self.read(&key::buyer(organisation, id)).await
    }

    /// The customer that has this e-mail address, by the hash of it.
    pub async fn buyer_of_email(
        &self,
        organisation: &OrganisationId,
        email_hash: &str,
    ) -> Result<Option<BuyerId>, StoreError> {
        #[derive(Deserialize)]
        struct Pointer {
            buyer: BuyerId,
        }
        let found: Option<Pointer> = self.read(&key::email(organisation, email_hash)).await?;
        Ok(found.map(|pointer| pointer.buyer))
    }

    /// A version of a product's price, none if there is no such.
    pub async fn price(
        &self,
        organisation: &OrganisationId,
        product: &OfferedId,
        version: u32,
    ) -> Result<Option<StoredPrice>, StoreError> {
        self.read(&key::price(organisation, product, version)).await
    }

    /// The latest version of a product's price, also of a product that its plan has lost; none if it never had one.
    pub async fn latest_price(
        &self,
        organisation: &OrganisationId,
        product: &OfferedId,
    ) -> Result<Option<StoredPrice>, StoreError> {
        let page = self
            .call()
            .query()
            .table_name(&*self.accounts)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", string(key::organisation(organisation)))
            .expression_attribute_values(":prefix", string(key::prices(product)))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true)
            .send()
            .await?;
        page.items.into_iter().flatten().next().map(value).transpose()
    }

    /// Writes a business entity. Repeating changes nothing.
    pub async fn put_business_entity(
        &self,
        organisation: &OrganisationId,
        entity: &BusinessEntity,
    ) -> Result<(), StoreError> {
        self.call()
            .put_item()
            .table_name(&*self.accounts)
            .set_item(Some(item(
                &key::business_entity(organisation, &entity.id),
                entity,
            )?))
            .send()
            .await?;
        Ok(())
    }

    /// Writes a customer, and whose its e-mail address is. [`StoreError::Conflict`] when the address is another customer's, or the
    /// customer has another one than was read. Repeating changes nothing.
    pub async fn put_buyer(
        &self,
        organisation: &OrganisationId,
        write: BuyerWrite<'_>,
    ) -> Result<(), StoreError> {
        let BuyerWrite { new, email_hash, .. } = write;
        let mut update = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::buyer(organisation, &new.id).attributes()))
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":id", string(&new.id))
            .expression_attribute_values(":entity", string(&new.business_entity))
            .expression_attribute_values(":name", string(new.name.as_str()));
        // What Stripe and a checkout have added to the customer stays.
        let kept = "SET id = :id, business_entity = :entity, #name = :name";
        update = match &new.email {
            Some(email) => update
                .update_expression(format!("{kept}, email = :email"))
                .expression_attribute_values(":email", string(email.as_str())),
            None => update.update_expression(format!("{kept} REMOVE email")),
        };
        // Of two that give it another address at once, the second would leave the first one's behind.
        update = match write.read.and_then(|read| read.email.as_ref()) {
            Some(email) => update
                .condition_expression("email = :read")
                .expression_attribute_values(":read", string(email.as_str())),
            None => update.condition_expression("attribute_not_exists(email)"),
        };
        let mut items = vec![
            TransactWriteItem::builder()
                .update(update.build().map_err(incomplete)?)
                .build(),
        ];
        if let Some(hash) = email_hash {
            let mut pointer = key::email(organisation, hash).attributes();
            pointer.insert("buyer".to_owned(), string(&new.id));
            // One address is one customer's.
            let free = "attribute_not_exists(pk) OR buyer = :buyer";
            items.push(put_if(
                &self.accounts,
                pointer,
                free,
                [(":buyer", string(&new.id))],
            )?);
        }
        if let Some(old) = write.read_email_hash.filter(|old| Some(*old) != email_hash) {
            let delete = Delete::builder()
                .table_name(&*self.accounts)
                .set_key(Some(key::email(organisation, old).attributes()))
                // It may be another customer's by now.
                .condition_expression("attribute_not_exists(pk) OR buyer = :buyer")
                .expression_attribute_values(":buyer", string(&new.id))
                .build()
                .map_err(incomplete)?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        self.transact(items).await
    }

    /// Writes a plan with the versions of its prices that it brings. `new.edition` is one more than the edition that was read, 1 for a
    /// plan that was not there. [`StoreError::Conflict`] when the plan has changed since; repeating is then a conflict too.
    pub async fn put_plan(
        &self,
        organisation: &OrganisationId,
        new: &StoredPlan,
        prices: &[StoredPrice],
    ) -> Result<(), StoreError> {
        let plan = item(&key::plan(organisation, &new.plan.id), new)?;
        let mut items = vec![match new.edition.checked_sub(1) {
            // Two that both saw no plan would each think that its prices are the first.
            None | Some(0) => put(&self.accounts, plan, Some("attribute_not_exists(pk)"))?,
            // Two that decided on the same edition: the second has to decide again.
            Some(read) => put_if(&self.accounts, plan, "edition = :read", [(":read", number(read))])?,
        }];
        for price in prices {
            let key = key::price(organisation, &price.product, price.price.version);
            // What a version costs is never changed; Stripe's price for it may have been made anew.
            let same = "attribute_not_exists(pk) OR pricing = :pricing";
            let stored = item(&key, price)?;
            let pricing = stored
                .get("pricing")
                .cloned()
                .ok_or_else(|| StoreError::corrupt(key.to_string(), "no pricing"))?;
            items.push(put_if(&self.accounts, stored, same, [(":pricing", pricing)])?);
        }
        self.transact(items).await
    }

    async fn all_of_catalog<T: DeserializeOwned>(
        &self,
        organisation: &OrganisationId,
        prefix: &str,
    ) -> Result<Vec<T>, StoreError> {
        let items = self.read_all(key::organisation(organisation), prefix).await?;
        items.into_iter().map(value).collect()
    }
}
