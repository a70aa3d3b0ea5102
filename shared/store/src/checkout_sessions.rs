//! Checkout sessions over plans and contracts, and which wish a session was made of.
//!
//! # If it fails half-way
//! Each write is one transaction under the version that was read. Repeating one whose answer was lost is a conflict, upon which
//! everything is read again and found to be there.

use aws_sdk_dynamodb::types::TransactWriteItem;
use billing_core::id::{CheckoutId, OrganisationId};
use billing_core::session::{Deadline, Intent, Session};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{item, number, put, put_if, string};
use crate::key;

impl Store {
    /// A session, its time run out or not: that is for the reader to judge.
    pub async fn checkout_session(&self, id: &CheckoutId) -> Result<Option<Session>, StoreError> {
        self.read_expiring(&key::session(id)).await
    }

    /// The session that a wish of this hash was last made into, over or not.
    pub async fn session_of_wish(
        &self,
        organisation: &OrganisationId,
        hash: &str,
    ) -> Result<Option<CheckoutId>, StoreError> {
        let intent: Option<Intent> = self.read_expiring(&key::intent(organisation, hash)).await?;
        Ok(intent.map(|intent| intent.checkout))
    }

    /// Makes a session of a wish, in place of the one that was `seen` for it. [`StoreError::Conflict`] when another was made of the same
    /// wish meanwhile.
    pub async fn create_checkout_session(
        &self,
        new: &Session,
        hash: &str,
        seen: Option<&CheckoutId>,
    ) -> Result<(), StoreError> {
        let intent = Intent {
            checkout: new.id.clone(),
            expires_at: new.open_until,
        };
        let of_wish = item(&key::intent(&new.organisation, hash), &intent)?;
        // Two that want the same at the same time get one session: the second has to look again, and finds the first one's.
        let of_wish = match seen {
            Some(seen) => put_if(
                &self.sessions,
                of_wish,
                "attribute_not_exists(pk) OR checkout = :seen",
                [(":seen", string(seen))],
            )?,
            None => put(&self.sessions, of_wish, Some("attribute_not_exists(pk)"))?,
        };
        let deadline = Deadline {
            organisation: new.organisation.clone(),
            checkout: new.id.clone(),
            expires_at: new.open_until,
        };
        self.transact(vec![
            put(
                &self.sessions,
                item(&key::session(&new.id), new)?,
                // An id that was drawn twice must not overwrite somebody's session.
                Some("attribute_not_exists(pk)"),
            )?,
            put(&self.sessions, item(&key::deadline(&new.id), &deadline)?, None)?,
            of_wish,
        ])
        .await
    }

    /// Writes a session in place of the one that was `read`. [`StoreError::Conflict`] when it has changed since.
    pub async fn put_checkout_session(&self, read: &Session, new: &Session) -> Result<(), StoreError> {
        let write = self.session_write(read, new)?;
        self.transact(vec![write]).await
    }

    /// The same inside a transaction. The version is counted up by whoever made `new`.
    pub(crate) fn session_write(
        &self,
        read: &Session,
        new: &Session,
    ) -> Result<TransactWriteItem, StoreError> {
        put_if(
            &self.sessions,
            item(&key::session(&new.id), new)?,
            // Two confirmations that read the same: the second has to see what the first is about to ask of Stripe.
            "version = :read",
            [(":read", number(read.version))],
        )
    }
}
