//! Issuing, listing and revoking API keys.
//!
//! The secret of a key is made here, handed to the caller once, and forgotten: what is stored is its hash.

use billing_core::access::{Key, Mode, Scope};
use billing_core::id::{AccountId, KeyId};
use billing_edge::Secret;
use billing_edge::key::NewKey;
use billing_store::{Store, StoreError};
use jiff::Timestamp;

use crate::Failure;

/// A key to be issued.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The account that it opens.
    pub account: AccountId,
    /// Live or test.
    pub mode: Mode,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// Who acts as the customer with it.
    pub impersonator: Option<String>,
}

impl Wanted {
    /// A key that may do everything, for ever.
    #[must_use]
    pub fn full(account: AccountId, mode: Mode) -> Self {
        Self {
            account,
            mode,
            scopes: Scope::ALL.to_vec(),
            expires_at: None,
            impersonator: None,
        }
    }
}

/// A key that was just issued.
pub struct Issued {
    /// By which it is listed and revoked.
    pub id: KeyId,
    /// What its owner presents. It cannot be had a second time.
    pub secret: Secret,
}

/// Issues a key for an account that exists.
pub async fn issue(store: &Store, wanted: Wanted, now: Timestamp) -> Result<Issued, Failure> {
    let new = NewKey::generate(wanted.mode)?;
    let key = Key {
        id: new.id.clone(),
        account: wanted.account.clone(),
        mode: wanted.mode,
        scopes: wanted.scopes,
        impersonator: wanted.impersonator,
        created_at: now,
        expires_at: wanted.expires_at,
        revoked_at: None,
    };
    match store.put_api_key(&new.hash, &key).await {
        // A key of 256 random bits is not there already: it is the account that is missing.
        Err(StoreError::Conflict) => Err(Failure::NoAccount(wanted.account)),
        other => Ok(other.map(|()| Issued {
            id: key.id,
            secret: new.secret,
        })?),
    }
}

/// An account's keys, oldest first.
pub async fn list(store: &Store, account: &AccountId) -> Result<Vec<Key>, Failure> {
    let keys = store.api_keys(account).await?;
    if keys.is_empty() {
        // Nothing found may mean that there is nothing, or that the id is mistyped.
        crate::accounts::show(store, account).await?;
    }
    Ok(keys)
}

/// Revokes a key; revoking it again changes nothing.
pub async fn revoke(store: &Store, account: &AccountId, key: &KeyId, now: Timestamp) -> Result<(), Failure> {
    if store.revoke_api_key(account, key, now).await? {
        Ok(())
    } else {
        Err(Failure::NoKey {
            account: account.clone(),
            key: key.clone(),
        })
    }
}
