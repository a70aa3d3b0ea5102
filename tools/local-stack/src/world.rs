//! The demo world: accounts with phone numbers and keys, to try everything on.
//!
//! Accounts and agencies are made the way an administrator makes them, and so is the catalog of the organisation:
//! `docs/catalog.example.toml`.

use std::collections::BTreeMap;

use billing_admin::catalog::{self, CatalogFile, Difference};
use billing_admin::command::NewNumber;
use billing_admin::{Failure, accounts, agencies, connection, keys};
use billing_core::access::{Holder, Mode};
use billing_core::connect::{Agent, Client};
use billing_core::id::{
    AccountId, AgencyId, AgentId, BusinessEntityId, BuyerId, ClientId, ConnectedAccountId, OrganisationId,
    PlanId,
};
use billing_store::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::Showcase;

/// How many phone numbers the demo account has.
const DEMO_NUMBERS: u32 = 3;

/// Who acts as the customer with an impersonated key.
const SUPPORT: &str = "sam.support";

/// What `GET /_local` tells as `demo`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct World {
    /// An account that can subscribe.
    pub account: DemoAccount,
    /// An account without phone numbers, which cannot.
    pub empty_account: EmptyAccount,
    /// An agency with a connected account; none at an outside Stripe, where there is no account of ours to connect.
    pub agency: Option<DemoAgency>,
    /// An organisation with the example catalog; none at an outside Stripe, whose catalog is left alone.
    pub organisation: Option<DemoOrganisation>,
    /// The word of a promotion code, a fifth off; none at an outside Stripe, whose catalog is left alone.
    pub promotion_code: Option<&'static str>,
}

/// An account and how to be it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoAccount {
    /// Its id.
    pub id: AccountId,
    /// The customer's own key.
    pub key: String,
    /// A key by which support staff acts as the customer.
    pub impersonated_key: String,
    /// How many phone numbers it has.
    pub phone_numbers: u32,
}

/// An agency and how to be it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoAgency {
    /// Its id.
    pub id: AgencyId,
    /// Its key.
    pub key: String,
    /// Its connected account.
    pub account_id: ConnectedAccountId,
    /// A client that it can sell to.
    pub client_id: ClientId,
    /// What it can sell.
    pub agent_ids: Vec<AgentId>,
    /// What it sells them as.
    pub product_id: String,
    /// What it can take off.
    pub coupon_id: String,
}

/// An account without phone numbers.
#[derive(Debug, Clone, Serialize)]
pub struct EmptyAccount {
    /// Its id.
    pub id: AccountId,
    /// The customer's own key.
    pub key: String,
}

/// An organisation and what it sells.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoOrganisation {
    /// Its id.
    pub id: OrganisationId,
    /// Its own key.
    pub key: String,
    /// A customer of it.
    pub customer_id: BuyerId,
    /// Whom that customer buys from.
    pub business_entity_id: BusinessEntityId,
    /// Its plans, by their names in the catalog file.
    pub plans: BTreeMap<String, PlanId>,
}

/// A Stripe that the demo world may make its products and prices in.
#[derive(Debug, Clone, Copy)]
pub struct Shelf<'a> {
    /// Where it is.
    pub url: &'a str,
    /// Its secret key.
    pub key: &'a str,
}

/// What the demo organisation sells.
const CATALOG: &str = include_str!("../../../docs/catalog.example.toml");

/// The ids of the demo accounts, which stay while their keys are made anew at each start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Names {
    /// The account that can subscribe.
    pub account: AccountId,
    /// The account that cannot.
    pub empty_account: AccountId,
    /// The agency.
    #[serde(default = "Names::demo_agency")]
    pub agency: AgencyId,
    /// The organisation. One that was kept by an earlier version is made now.
    #[serde(default = "demo_organisation")]
    pub organisation: Option<OrganisationId>,
}

fn demo_organisation() -> Option<OrganisationId> {
    "demo".parse().ok()
}

impl Names {
    /// The agency of a stack that was kept before there were any.
    fn demo_agency() -> AgencyId {
        #[expect(clippy::unwrap_used, reason = "a literal that is an id")]
        "demo".parse().unwrap()
    }

    /// `demo` and `empty` in a database that is new with this stack. In an outside one there may be the demo world of a stack
    /// that is gone, together with the stand-in that knew its customers; there they are names that nobody has.
    pub fn new(own_database: bool) -> Result<Self, Failure> {
        if own_database {
            let id = |name: &str| name.parse().map_err(|_| Failure::NotAnId(name.to_owned()));
            Ok(Self {
                account: id("demo")?,
                empty_account: id("empty")?,
                agency: Self::demo_agency(),
                organisation: demo_organisation(),
            })
        } else {
            Ok(Self {
                account: accounts::new_id()?,
                empty_account: accounts::new_id()?,
                agency: agencies::new_agency_id()?,
                organisation: accounts::new_id()?.as_str().parse().ok(),
            })
        }
    }
}

/// Makes accounts.
#[derive(Clone)]
pub struct Accounts(Store);

impl Accounts {
    /// Makes them in this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Another account, with keys of its own.
    pub async fn make(&self, phone_numbers: u32, now: Timestamp) -> Result<DemoAccount, Failure> {
        let id = accounts::new_id()?;
        self.create(&id, "Another account", phone_numbers, now).await?;
        self.admit(id, phone_numbers, now).await
    }

    /// The demo world under these names: made if it is not there, with new keys in any case.
    pub async fn demo(
        &self,
        names: &Names,
        shelf: Option<Shelf<'_>>,
        now: Timestamp,
    ) -> Result<World, Failure> {
        self.create_if_missing(&names.account, "Ada's Bakery", DEMO_NUMBERS, now)
            .await?;
        self.create_if_missing(&names.empty_account, "Nobody's Bakery", 0, now)
            .await?;
        Ok(World {
            account: self.admit(names.account.clone(), DEMO_NUMBERS, now).await?,
            empty_account: EmptyAccount {
                id: names.empty_account.clone(),
                key: self
                    .key(Holder::Account(names.empty_account.clone()), None, now)
                    .await?,
            },
            agency: None,
            organisation: match (&names.organisation, shelf) {
                (Some(id), Some(shelf)) => Some(self.organisation(id, shelf, now).await?),
                _ => None,
            },
            promotion_code: None,
        })
    }

    /// The agency under this id on a connected account, with a new key; made if it is not there.
    pub async fn agency(
        &self,
        id: &AgencyId,
        showcase: &Showcase,
        now: Timestamp,
    ) -> Result<DemoAgency, Failure> {
        let not_an_id = |_| Failure::NotAnId(showcase.account.clone());
        let account: ConnectedAccountId = showcase.account.parse().map_err(not_an_id)?;
        match agencies::create(&self.0, id, "North Agency".parse().ok(), now).await {
            Ok(()) => self.furnish(id, &account, now).await?,
            Err(Failure::AgencyExists(_)) => {}
            Err(failure) => return Err(failure),
        }
        let (_, has) = agencies::show(&self.0, id).await?;
        Ok(DemoAgency {
            id: id.clone(),
            key: self.key(Holder::Agency(id.clone()), None, now).await?,
            account_id: account,
            client_id: has
                .clients
                .first()
                .map(|client| client.id.clone())
                .ok_or_else(|| Failure::NotAnId("a client".to_owned()))?,
            agent_ids: has.agents.into_iter().map(|agent| agent.id).collect(),
            product_id: showcase.product.clone(),
            coupon_id: showcase.coupon.clone(),
        })
    }

    /// A client with an admin member, and two agents that work for it.
    async fn furnish(
        &self,
        agency: &AgencyId,
        account: &ConnectedAccountId,
        now: Timestamp,
    ) -> Result<(), Failure> {
        agencies::link(&self.0, agency, account, now).await?;
        let client = Client {
            id: agencies::new_id()?,
            name: "Bob's Garage".parse().ok(),
            admin_email: "bob@example.com".parse().ok(),
            created_at: now,
        };
        agencies::add_client(&self.0, agency, &client).await?;
        for name in ["Reception", "Night shift"] {
            let agent = Agent {
                id: agencies::new_id()?,
                name: name.parse().map_err(|_| Failure::NotAnId(name.to_owned()))?,
                client: Some(client.id.clone()),
                created_at: now,
            };
            agencies::add_agent(&self.0, agency, &agent).await?;
        }
        Ok(())
    }

    /// An organisation that sells the example catalog: made if it is not there, with a new key in any case.
    async fn organisation(
        &self,
        id: &OrganisationId,
        shelf: Shelf<'_>,
        now: Timestamp,
    ) -> Result<DemoOrganisation, Failure> {
        let file = CatalogFile::read_for(CATALOG, id).map_err(|faults| Failure::Faults {
            path: "docs/catalog.example.toml".into(),
            faults,
        })?;
        let stripe = connection::stripe(shelf.url, shelf.key, billing_edge::transport());
        catalog::apply(&self.0, &stripe, &file, now, &mut Difference::default()).await?;
        let wanted = keys::Wanted::full(Holder::Organisation(id.clone()), Mode::Test);
        let issued = keys::issue(&self.0, wanted, now).await?;
        let customer = file.customers.first().map(|named| &named.it);
        let customer = customer.ok_or_else(|| Failure::NotAnId("the example's customer".to_owned()))?;
        Ok(DemoOrganisation {
            id: id.clone(),
            key: issued.secret.expose().to_owned(),
            customer_id: customer.id.clone(),
            business_entity_id: customer.business_entity.clone(),
            plans: file
                .plans
                .iter()
                .map(|named| (named.name.clone(), named.it.id.clone()))
                .collect(),
        })
    }

    async fn create_if_missing(
        &self,
        id: &AccountId,
        name: &str,
        phone_numbers: u32,
        now: Timestamp,
    ) -> Result<(), Failure> {
        match self.create(id, name, phone_numbers, now).await {
            Err(Failure::AccountExists(_)) => Ok(()),
            other => other,
        }
    }

    async fn create(
        &self,
        id: &AccountId,
        name: &str,
        phone_numbers: u32,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let numbers = (1..=phone_numbers)
            .map(|nth| {
                Ok(NewNumber {
                    number: format!("+1555{nth:07}").parse()?,
                    nickname: None,
                })
            })
            .collect::<Result<_, Failure>>()?;
        let wanted = accounts::Wanted {
            id: id.clone(),
            name: name.parse().ok(),
            email: None,
            customer: None,
            numbers,
        };
        accounts::create(&self.0, wanted, now).await
    }

    /// The keys to an account.
    pub async fn admit(
        &self,
        id: AccountId,
        phone_numbers: u32,
        now: Timestamp,
    ) -> Result<DemoAccount, Failure> {
        let holder = Holder::Account(id.clone());
        let key = self.key(holder.clone(), None, now).await?;
        let impersonated_key = self.key(holder, Some(SUPPORT.to_owned()), now).await?;
        Ok(DemoAccount {
            id,
            key,
            impersonated_key,
            phone_numbers,
        })
    }

    async fn key(
        &self,
        holder: Holder,
        impersonator: Option<String>,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let wanted = keys::Wanted {
            impersonator,
            ..keys::Wanted::full(holder, Mode::Test)
        };
        keys::issue(&self.0, wanted, now)
            .await
            .map(|issued| issued.secret.expose().to_owned())
    }
}
