//! Reading, strongly consistent: one item, or items of a collection of `accounts` by their sort keys.

use serde::de::DeserializeOwned;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, string, value};
use crate::key::Key;

impl Store {
    /// An item of `accounts` as what it is, none if there is no such.
    pub(crate) async fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.item(&self.accounts, key).await?.map(value).transpose()
    }

    /// An item of `sessions` as what it is, its time run out or not; none if there is no such.
    pub(crate) async fn read_expiring<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<T>, StoreError> {
        self.item(&self.sessions, key).await?.map(value).transpose()
    }

    /// An item by its attributes, none if there is no such.
    pub(crate) async fn item(&self, table: &str, key: &Key) -> Result<Option<Item>, StoreError> {
        let found = self
            .call()
            .get_item()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await?;
        Ok(found.item)
    }

    /// The items of a collection whose sort keys begin with `prefix`, in their order.
    pub(crate) async fn read_all(&self, pk: String, prefix: &str) -> Result<Vec<Item>, StoreError> {
        self.query(pk, "begins_with(sk, :sk)", prefix).await
    }

    /// The items of a collection whose sort keys are `first` or come after it, in their order.
    pub(crate) async fn read_from(&self, pk: String, first: &str) -> Result<Vec<Item>, StoreError> {
        self.query(pk, "sk >= :sk", first).await
    }

    async fn query(&self, pk: String, condition: &str, sk: &str) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .call()
                .query()
                .table_name(&*self.accounts)
                .key_condition_expression(format!("pk = :pk AND {condition}"))
                .expression_attribute_values(":pk", string(&pk))
                .expression_attribute_values(":sk", string(sk))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            items.extend(page.items.into_iter().flatten());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}
