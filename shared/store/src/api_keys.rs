//! API keys: found by the hash of their secret, listed and revoked by their id.

use billing_core::Timestamp;
use billing_core::access::{Holder, Key};
use billing_core::id::KeyId;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, item, put, string, text};
use crate::key::{self, KEY_PREFIX};

impl Store {
    /// The key whose secret has this SHA-256, in lower-case hex; none if there is no such. One read, strongly consistent: a
    /// revoked key opens nothing from that moment on.
    pub async fn api_key(&self, hash: &str) -> Result<Option<Key>, StoreError> {
        self.read(&key::api_key(hash)).await
    }

    /// Stores a new key. [`StoreError::Conflict`] when there is no such holder, it was erased, or the key exists.
    pub async fn put_api_key(&self, hash: &str, new: &Key) -> Result<(), StoreError> {
        let mut listed = key::listed_key(&new.holder, &new.id).attributes();
        listed.insert("hash".to_owned(), string(hash));
        let unused = Some("attribute_not_exists(pk)");
        self.transact(vec![
            self.exists(&new.holder)?,
            // Neither a key nor an id is ever handed out twice.
            put(&self.accounts, item(&key::api_key(hash), new)?, unused)?,
            put(&self.accounts, listed, unused)?,
        ])
        .await
    }

    /// The keys of a holder, oldest first, revoked and expired ones among them.
    pub async fn api_keys(&self, holder: &Holder) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        for listed in self.listed_keys(holder, KEY_PREFIX).await? {
            let hash = text(&listed, "hash");
            let key = self.api_key(hash).await?;
            keys.push(key.ok_or_else(|| {
                StoreError::corrupt(key::api_key(hash).to_string(), "listed but not there")
            })?);
        }
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(keys)
    }

    /// Revokes a key, and answers whether there was one. The first revocation's time stays.
    pub async fn revoke_api_key(
        &self,
        holder: &Holder,
        id: &KeyId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sort_key = key::listed_key(holder, id).sk;
        let listed = self.listed_keys(holder, &sort_key).await?;
        let Some(listed) = listed.iter().find(|item| text(item, key::SK) == sort_key) else {
            return Ok(false);
        };
        self.call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::api_key(text(listed, "hash")).attributes()))
            .update_expression("SET revoked_at = if_not_exists(revoked_at, :now)")
            // An update would otherwise make an item of a key that is not there.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", string(now))
            .send()
            .await?;
        Ok(true)
    }

    /// Revokes every key of a holder and takes from each the name of who acted with it. Repeating it changes nothing.
    pub async fn erase_api_keys(&self, holder: &Holder, now: Timestamp) -> Result<(), StoreError> {
        for listed in self.listed_keys(holder, KEY_PREFIX).await? {
            self.call()
                .update_item()
                .table_name(&*self.accounts)
                .set_key(Some(key::api_key(text(&listed, "hash")).attributes()))
                // Both at once: a key without the name would be its owner's own.
                .update_expression("SET revoked_at = if_not_exists(revoked_at, :now) REMOVE impersonator")
                // An update would otherwise make an item of a key that is not there.
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":now", string(now))
                .send()
                .await?;
        }
        Ok(())
    }

    async fn listed_keys(&self, holder: &Holder, prefix: &str) -> Result<Vec<Item>, StoreError> {
        self.read_all(key::holder(holder), prefix).await
    }
}
