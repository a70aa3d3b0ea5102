//! What an agency has: connected accounts, clients, agents. Put there by an administrator, read before anything is sold.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem};
use billing_core::access::Holder;
use billing_core::connect::{Agent, Client, ConnectedAccount};
use billing_core::id::{AgencyId, AgentId, ClientId, ConnectedAccountId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, put, string, text, value};
use crate::key::{self, AGENT_PREFIX, CLIENT_PREFIX, CONNECTED_PREFIX, Key, SK};

/// How many items one read takes.
const BATCH: usize = 100;
/// How often what a read left over is asked for again.
const BATCH_ATTEMPTS: u32 = 5;

/// Everything that an agency has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgencyCollection {
    /// Its connected accounts.
    pub accounts: Vec<ConnectedAccountId>,
    /// Its clients.
    pub clients: Vec<Client>,
    /// Its agents.
    pub agents: Vec<Agent>,
}

impl Store {
    /// Links a connected account to an agency that exists. [`StoreError::Conflict`] when there is no such agency, or the account is
    /// another's. Linking it again changes nothing, and puts it on the lists again.
    pub async fn link_account(&self, new: &ConnectedAccount) -> Result<(), StoreError> {
        let linked = put(
            &self.accounts,
            item(&key::connected(&new.id), new)?,
            // An account belongs to one agency for ever: its customers would otherwise change hands.
            Some("attribute_not_exists(pk)"),
        )?;
        let mut writes = vec![self.exists(&Holder::Agency(new.agency.clone()))?, linked];
        writes.extend(self.listings(new)?);
        match self.transact(writes).await {
            Err(StoreError::Conflict) => match self.connected_account(&new.id).await? {
                Some(known) if known.agency == new.agency => {
                    self.transact(self.listings(&known)?.into()).await
                }
                _ => Err(StoreError::Conflict),
            },
            written => written,
        }
    }

    /// A connected account's entries in the list of its agency and in that of all.
    fn listings(&self, account: &ConnectedAccount) -> Result<[TransactWriteItem; 2], StoreError> {
        let of_agency = key::listed_connection(&account.agency, &account.id).attributes();
        let of_all = item(&key::any_connection(&account.id), account)?;
        Ok([
            put(&self.accounts, of_agency, None)?,
            put(&self.accounts, of_all, None)?,
        ])
    }

    /// The connected accounts of all agencies, so many of them, in the order of their ids, from the one after `after` on.
    pub async fn connected_accounts(
        &self,
        after: Option<&ConnectedAccountId>,
        limit: u8,
    ) -> Result<Vec<ConnectedAccount>, StoreError> {
        let after = after.map_or_else(
            || CONNECTED_PREFIX.to_owned(),
            |after| key::any_connection(after).sk,
        );
        let page = self
            .call()
            .query()
            .table_name(&*self.accounts)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", string(key::CONNECTED))
            .expression_attribute_values(":after", string(after))
            .consistent_read(true)
            .limit(i32::from(limit))
            .send()
            .await?;
        page.items.into_iter().flatten().map(value).collect()
    }

    /// A connected account; none when it is not linked.
    pub async fn connected_account(
        &self,
        account: &ConnectedAccountId,
    ) -> Result<Option<ConnectedAccount>, StoreError> {
        self.read(&key::connected(account)).await
    }

    /// Adds a client to an agency that exists, or changes it. [`StoreError::Conflict`] when there is no such agency.
    pub async fn put_client(&self, agency: &AgencyId, client: &Client) -> Result<(), StoreError> {
        self.put_part(agency, &key::client(agency, &client.id), client)
            .await
    }

    /// A client; none when the agency has no such.
    pub async fn client(&self, agency: &AgencyId, client: &ClientId) -> Result<Option<Client>, StoreError> {
        self.read(&key::client(agency, client)).await
    }

    /// An agent; none when the agency has no such.
    pub async fn agent(&self, agency: &AgencyId, agent: &AgentId) -> Result<Option<Agent>, StoreError> {
        self.read(&key::agent(agency, agent)).await
    }

    /// Adds an agent to an agency that exists, or changes it. [`StoreError::Conflict`] when there is no such agency.
    pub async fn put_agent(&self, agency: &AgencyId, agent: &Agent) -> Result<(), StoreError> {
        self.put_part(agency, &key::agent(agency, &agent.id), agent).await
    }

    /// Those of the agents that the agency has, in no order.
    pub async fn agents(&self, agency: &AgencyId, agents: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
        let keys: Vec<Key> = agents.iter().map(|agent| key::agent(agency, agent)).collect();
        self.those(&keys).await
    }

    /// Everything that an agency has, for an administrator.
    pub async fn agency_collection(&self, agency: &AgencyId) -> Result<AgencyCollection, StoreError> {
        let holder = Holder::Agency(agency.clone());
        let mut collection = AgencyCollection::default();
        for item in self.read_all(key::holder(&holder), CONNECTED_PREFIX).await? {
            let account = text(&item, SK).trim_start_matches(CONNECTED_PREFIX);
            let account = account
                .parse()
                .map_err(|error| StoreError::corrupt(text(&item, SK), error));
            collection.accounts.push(account?);
        }
        for item in self.read_all(key::holder(&holder), CLIENT_PREFIX).await? {
            collection.clients.push(value(item)?);
        }
        for item in self.read_all(key::holder(&holder), AGENT_PREFIX).await? {
            collection.agents.push(value(item)?);
        }
        Ok(collection)
    }

    async fn put_part(&self, agency: &AgencyId, key: &Key, part: &impl Serialize) -> Result<(), StoreError> {
        self.transact(vec![
            self.exists(&Holder::Agency(agency.clone()))?,
            put(&self.accounts, item(key, part)?, None)?,
        ])
        .await
    }

    /// Those of these items that there are, in no order. Keys must not repeat.
    pub(crate) async fn those<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(BATCH) {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(chunk.iter().map(Key::attributes).collect()))
                .consistent_read(true)
                .build()
                .map_err(incomplete)?;
            let mut left = HashMap::from([(self.accounts.to_string(), wanted)]);
            let mut attempts = 0;
            while !left.is_empty() {
                // What is left over was not read for want of capacity.
                if attempts == BATCH_ATTEMPTS {
                    return Err(StoreError::Throttled);
                }
                attempts += 1;
                let page = self
                    .call()
                    .batch_get_item()
                    .set_request_items(Some(left))
                    .send()
                    .await?;
                for item in page
                    .responses
                    .into_iter()
                    .flat_map(HashMap::into_values)
                    .flatten()
                {
                    found.push(value(item)?);
                }
                left = page.unprocessed_keys.unwrap_or_default();
            }
        }
        Ok(found)
    }
}
