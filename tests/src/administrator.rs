//! An administrator at a machine of their own, whose network can fail at any single step.

use billing_admin::accounts::{self, AtStripe};
use billing_admin::catalog::{self, CatalogFile, Difference};
use billing_admin::command::Place;
use billing_admin::erasure::{self, Erased};
use billing_admin::{Failure, connection};
use billing_core::Timestamp;
use billing_core::contact::Contact;
use billing_store::Store;
use local_stack::Stack;

use crate::account::Account;
use crate::network::Network;

/// Somebody who applies catalogs and changes accounts. Dropping what they are doing is a machine that dies over it.
pub struct Administrator {
    /// What they reach DynamoDB and Stripe through.
    pub network: Network,
    store: Store,
    stripe: billing_stripe::Stripe,
    now: Timestamp,
}

impl Administrator {
    pub(crate) async fn at(stack: &Stack) -> Self {
        let network = Network::new();
        let place = Place {
            endpoint_url: Some(network.way_to(&stack.directory.dynamodb).await),
            accounts_table: stack.variables["ACCOUNTS_TABLE"].clone(),
            sessions_table: stack.variables["SESSIONS_TABLE"].clone(),
            json: false,
        };
        let stripe = network.way_to(&stack.directory.stripe).await;
        let transport = billing_edge::transport();
        Self {
            store: connection::open(&place, transport.clone()).await.unwrap(),
            stripe: connection::stripe(&stripe, &stack.directory.stripe_key, transport),
            now: stack.time.now(),
            network,
        }
    }

    /// Applies a catalog, and answers how many things that changed.
    pub async fn applies(&self, file: &CatalogFile) -> Result<usize, Failure> {
        let mut done = Difference::default();
        catalog::apply(&self.store, &self.stripe, file, self.now, &mut done).await?;
        Ok(done.entries.len())
    }

    /// Gives an account another e-mail address, here and at Stripe.
    pub async fn readdresses(&self, account: &Account<'_>, email: &str) -> Result<AtStripe, Failure> {
        let contact = Contact {
            name: None,
            email: Some(email.parse().unwrap()),
        };
        let id = account.id.parse().unwrap();
        accounts::update(&self.store, Some(&self.stripe), &id, &contact, self.now).await
    }

    /// Erases an account.
    pub async fn erases(&self, account: &Account<'_>) -> Result<Erased, Failure> {
        let id = account.id.parse().unwrap();
        erasure::erase(&self.store, &self.stripe, &id, self.now).await
    }
}

impl Drop for Administrator {
    fn drop(&mut self) {
        self.network.closes();
    }
}
