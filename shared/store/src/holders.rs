//! Agencies and organisations: created by an administrator, each the head of a collection of its own.

use billing_core::access::Holder;
use billing_core::agency::Agency;
use billing_core::contact::Name;
use billing_core::id::{AgencyId, OrganisationId};
use billing_core::organisation::Organisation;
use serde::Serialize;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{item, string};
use crate::key;

impl Store {
    /// Creates an agency. [`StoreError::Conflict`] when the id is taken.
    pub async fn create_agency(&self, new: &Agency) -> Result<(), StoreError> {
        self.create_head(&(&new.id).into(), new).await
    }

    /// An agency, none if there is no such.
    pub async fn agency(&self, id: &AgencyId) -> Result<Option<Agency>, StoreError> {
        self.read(&key::head(&id.into())).await
    }

    /// Creates an organisation. [`StoreError::Conflict`] when the id is taken.
    pub async fn create_organisation(&self, new: &Organisation) -> Result<(), StoreError> {
        self.create_head(&(&new.id).into(), new).await
    }

    /// An organisation, none if there is no such.
    pub async fn organisation(&self, id: &OrganisationId) -> Result<Option<Organisation>, StoreError> {
        self.read(&key::head(&id.into())).await
    }

    /// Gives an organisation another name than the one that was read. [`StoreError::Conflict`] when it has another by now, or is not there.
    pub async fn rename_organisation(&self, read: &Organisation, name: &Name) -> Result<(), StoreError> {
        let call = self
            .call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::head(&(&read.id).into()).attributes()))
            .update_expression("SET #name = :name")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", string(name.as_str()));
        // An update would otherwise make an item of an organisation that is not there, or undo what somebody else wrote meanwhile.
        let call = match &read.name {
            Some(before) => call
                .condition_expression("attribute_exists(pk) AND #name = :before")
                .expression_attribute_values(":before", string(before.as_str())),
            None => call.condition_expression("attribute_exists(pk) AND attribute_not_exists(#name)"),
        };
        call.send().await?;
        Ok(())
    }

    async fn create_head(&self, holder: &Holder, new: &impl Serialize) -> Result<(), StoreError> {
        self.call()
            .put_item()
            .table_name(&*self.accounts)
            .set_item(Some(item(&key::head(holder), new)?))
            // One that exists must not be overwritten by another of the same id.
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await?;
        Ok(())
    }
}
