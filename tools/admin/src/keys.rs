//! Issuing, listing and revoking API keys.
//!
//! The secret of a key is made here, handed to the caller once, and forgotten: what is stored is its hash.

use billing_core::access::{Holder, Key, Mode, Scope};
use billing_core::id::KeyId;
use billing_edge::key::NewKey;
use billing_edge::{Secret, is_of_other_mode};
use billing_store::{Store, StoreError};
use jiff::Timestamp;

use crate::{Failure, accounts, agencies};

/// A key to be issued.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whom it is for.
    pub holder: Holder,
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
    pub fn full(holder: Holder, mode: Mode) -> Self {
        Self {
            holder,
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

/// Issues a key for somebody who exists. One that would open nothing from the first moment on is a slip of the pen.
pub async fn issue(store: &Store, wanted: Wanted, now: Timestamp) -> Result<Issued, Failure> {
    if let Some(over) = wanted.expires_at.filter(|at| *at <= now) {
        return Err(Failure::OverAlready(over));
    }
    let new = NewKey::generate(wanted.mode)?;
    let key = Key {
        id: new.id.clone(),
        holder: wanted.holder.clone(),
        mode: wanted.mode,
        scopes: wanted.scopes,
        impersonator: wanted.impersonator,
        created_at: now,
        expires_at: wanted.expires_at,
        revoked_at: None,
    };
    match store.put_api_key(&new.hash, &key).await {
        // A key of 256 random bits is not there already: it is its holder who is missing, or was erased.
        Err(StoreError::Conflict) => Err(match &wanted.holder {
            Holder::Account(id) => accounts::gone(store, id).await?,
            Holder::Agency(id) => agencies::missing(store, id).await?,
            _ => Failure::Nobody(wanted.holder),
        }),
        other => Ok(other.map(|()| Issued {
            id: key.id,
            secret: new.secret,
        })?),
    }
}

/// The keys of an account, an agency or an organisation, oldest first.
pub async fn list(store: &Store, holder: &Holder) -> Result<Vec<Key>, Failure> {
    let keys = store.api_keys(holder).await?;
    if keys.is_empty() {
        // Nothing found may mean that there is nothing, or that the id is mistyped.
        let exists = match holder {
            Holder::Account(id) => store.account(id).await?.is_some(),
            Holder::Agency(id) => store.agency(id).await?.is_some(),
            Holder::Organisation(id) => store.organisation(id).await?.is_some(),
        };
        if !exists {
            return Err(Failure::Nobody(holder.clone()));
        }
    }
    Ok(keys)
}

/// That a Stripe key is of the mode that somebody's own keys are of: with the other, nothing of theirs is found at Stripe, and what is
/// asked there says nothing about them. Who has no keys has nothing to tell it by.
pub async fn check_mode(store: &Store, holder: &Holder, stripe_key: &Secret) -> Result<(), Failure> {
    let keys = store.api_keys(holder).await?;
    let is_other = |key: &Key| is_of_other_mode(stripe_key, key.mode);
    if !keys.is_empty() && keys.iter().all(is_other) {
        return Err(Failure::OtherMode(holder.clone()));
    }
    Ok(())
}

/// Revokes a key; revoking it again changes nothing.
pub async fn revoke(store: &Store, holder: &Holder, key: &KeyId, now: Timestamp) -> Result<(), Failure> {
    if store.revoke_api_key(holder, key, now).await? {
        Ok(())
    } else {
        Err(Failure::NoKey {
            holder: holder.clone(),
            key: key.clone(),
        })
    }
}
