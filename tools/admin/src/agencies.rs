//! Creating agencies and what they have, as an administrator does.
//!
//! Nothing here talks to Stripe: a connected account is linked by its id, after the agency has connected it there.

use billing_core::agency::Agency;
use billing_core::connect::{Agent, Client, ConnectedAccount};
use billing_core::contact::Name;
use billing_core::id::{AgencyId, ConnectedAccountId};
use billing_edge::key::random;
use billing_store::{AgencyCollection, Store, StoreError};
use jiff::Timestamp;

use crate::Failure;

/// Creates an agency.
pub async fn create(store: &Store, id: &AgencyId, name: Option<Name>, now: Timestamp) -> Result<(), Failure> {
    let agency = Agency {
        id: id.clone(),
        name,
        created_at: now,
    };
    match store.create_agency(&agency).await {
        Err(StoreError::Conflict) => Err(Failure::AgencyExists(id.clone())),
        other => Ok(other?),
    }
}

/// An agency and everything that it has.
pub async fn show(store: &Store, id: &AgencyId) -> Result<(Agency, AgencyCollection), Failure> {
    let agency = store.agency(id).await?;
    let agency = agency.ok_or_else(|| Failure::Nobody(id.into()))?;
    Ok((agency, store.agency_collection(id).await?))
}

/// Links a connected account to an agency; linking it again changes nothing.
pub async fn link(
    store: &Store,
    agency: &AgencyId,
    account: &ConnectedAccountId,
    now: Timestamp,
) -> Result<(), Failure> {
    show(store, agency).await?;
    let new = ConnectedAccount {
        id: account.clone(),
        agency: agency.clone(),
        created_at: now,
    };
    match store.link_account(&new).await {
        Err(StoreError::Conflict) => match store.connected_account(account).await? {
            // Somebody linked it at the same moment.
            Some(linked) if linked.agency == *agency => Ok(()),
            Some(_) => Err(Failure::AccountTaken(account.clone())),
            None => Err(missing(store, agency).await?),
        },
        other => Ok(other?),
    }
}

/// Why nothing could be written of an agency: it is not there; or somebody was writing it at that moment, and trying again helps.
pub(crate) async fn missing(store: &Store, agency: &AgencyId) -> Result<Failure, Failure> {
    show(store, agency).await?;
    Ok(StoreError::Conflict.into())
}

/// Adds a client, or puts it in the place of the one of that id, which was created when it was.
pub async fn add_client(store: &Store, agency: &AgencyId, client: &Client) -> Result<(), Failure> {
    let known = store.client(agency, &client.id).await?;
    let client = Client {
        created_at: known.map_or(client.created_at, |known| known.created_at),
        ..client.clone()
    };
    match store.put_client(agency, &client).await {
        Err(StoreError::Conflict) => Err(missing(store, agency).await?),
        other => Ok(other?),
    }
}

/// Adds an agent, or puts it in the place of the one of that id, which was created when it was. The client that it works for is the agency's.
pub async fn add_agent(store: &Store, agency: &AgencyId, agent: &Agent) -> Result<(), Failure> {
    if let Some(client) = &agent.client
        && store.client(agency, client).await?.is_none()
    {
        show(store, agency).await?;
        return Err(Failure::NoClient {
            agency: agency.clone(),
            client: client.clone(),
        });
    }
    let known = store.agent(agency, &agent.id).await?;
    let agent = Agent {
        created_at: known.map_or(agent.created_at, |known| known.created_at),
        ..agent.clone()
    };
    match store.put_agent(agency, &agent).await {
        Err(StoreError::Conflict) => Err(missing(store, agency).await?),
        other => Ok(other?),
    }
}

/// 24 hex digits that nobody has.
pub fn new_id<T: std::str::FromStr>() -> Result<T, Failure> {
    let digits = random::<12>()?.map(|byte| format!("{byte:02x}")).concat();
    digits.parse().map_err(|_| Failure::NotAnId(digits))
}

/// An id for an agency: `agency_` and 64 random bits.
pub fn new_agency_id() -> Result<AgencyId, Failure> {
    let id = format!("agency_{:016x}", u64::from_le_bytes(random()?));
    id.parse().map_err(|_| Failure::NotAnId(id))
}
