//! Who is calling. A key is for one kind of endpoint, and opens no other: accounts present theirs as `Authorization: Bearer
//! sk_…`, agencies as `Authorization: sk_…`, organisations as `x-api-key: sk_…` beside their id.
//!
//! Whatever is wrong with a key, the answer is the same 401, with how it is to be presented in `WWW-Authenticate`.
//!
//! A key is read each time, so that a revoked one opens nothing from that moment on. But whose it is never changes: where this
//! process has admitted it before, what a request begins with is read beside it, not after it.

use std::collections::HashMap;
use std::sync::Mutex;

use billing_core::access::{Caller, Holder, Key};
use billing_core::id::{AccountId, AgencyId, ConnectedAccountId, OrganisationId};
use billing_store::StoreError;
use lambda_http::http::header::AUTHORIZATION;

use crate::call::Call;
use crate::key;
use crate::problem::{Challenge, Problem};

/// Where an organisation's key is presented.
const API_KEY: &str = "x-api-key";
/// Where an organisation says who it is.
const ORGANISATION: &str = "organisation";
/// How many keys a process remembers. It is a saving, not a promise: beyond them it starts anew.
const MOST_REMEMBERED: usize = 512;

/// Whose the keys are that this process has admitted, by their hashes.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<String, Holder>>);

impl Remembered {
    fn holder<H: TryFrom<Holder>>(&self, hash: &str) -> Option<H> {
        let holder = self.0.lock().ok()?.get(hash).cloned();
        holder.and_then(|holder| H::try_from(holder).ok())
    }

    fn remember(&self, hash: String, holder: Holder) {
        if let Ok(mut holders) = self.0.lock() {
            if holders.len() == MOST_REMEMBERED {
                holders.clear();
            }
            holders.insert(hash, holder);
        }
    }
}

impl Call<'_> {
    /// The account behind `Authorization: Bearer sk_…`. It may have been read along with its key, for the next [`Call::account`].
    pub async fn authenticate(&self) -> Result<Caller, Problem> {
        let (caller, _) = self.authenticate_beside(async |_| ()).await?;
        Ok(caller)
    }

    /// The same, and what else was read of that account at the same time; none where it was not known whose the key is.
    pub async fn authenticate_beside<T>(
        &self,
        read: impl AsyncFnOnce(&AccountId) -> T,
    ) -> Result<(Caller, Option<T>), Problem> {
        let presented = self.header(AUTHORIZATION.as_str()).and_then(bearer);
        let beside = async |account: &AccountId| tokio::join!(self.store.account(account), read(account));
        let (caller, ahead) = self.admits(presented, beside).await?;
        Ok(match ahead {
            Some((account, read)) => {
                // What could not be read is read again by whoever needs it, who then also tells what is wrong.
                self.read_ahead(account.ok().flatten());
                (caller, Some(read))
            }
            None => (caller, None),
        })
    }

    /// The agency behind `Authorization: sk_…`; `Bearer sk_…` is taken too. And the connected account that the path names, if it is the
    /// agency's; 404 for another's as for none, which is told to who may ask for it.
    pub async fn authenticate_agency(
        &self,
    ) -> Result<(Caller<AgencyId>, Result<ConnectedAccountId, Problem>), Problem> {
        let presented = self.header(AUTHORIZATION.as_str());
        let presented = presented.map(|text| bearer(text).unwrap_or(text));
        let account = async |agency: &AgencyId| self.connected_account(agency).await;
        let (caller, ahead) = self.admits(presented, account).await?;
        let account = match ahead {
            Some(account) => account,
            None => self.connected_account(caller.agency()).await,
        };
        Ok((caller, account))
    }

    /// The organisation behind `x-api-key: sk_…` and `organisation: <id>`, when the key is that organisation's. And what was read of it at the same
    /// time; none where it was not known whose the key is.
    pub async fn authenticate_organisation_beside<T>(
        &self,
        read: impl AsyncFnOnce(&OrganisationId) -> T,
    ) -> Result<(Caller<OrganisationId>, Option<T>), Problem> {
        let named = self
            .header(ORGANISATION)
            .and_then(|id| id.trim().parse::<OrganisationId>().ok());
        let admitted = match named {
            Some(named) => {
                let admitted = self.admits(self.header(API_KEY), read).await;
                admitted.and_then(|(caller, read)| {
                    if *caller.organisation() == named {
                        Ok((caller, read))
                    } else {
                        Err(Problem::unauthorised("the key is another organisation's"))
                    }
                })
            }
            None => Err(Problem::unauthorised("no well-formed organisation")),
        };
        admitted.map_err(|problem| problem.challenging(Challenge::ApiKey))
    }

    /// The caller of this kind behind a key, and what was read of it at the same time; none where it was not known whose the key is.
    async fn admits<H, T>(
        &self,
        presented: Option<&str>,
        read: impl AsyncFnOnce(&H) -> T,
    ) -> Result<(Caller<H>, Option<T>), Problem>
    where
        H: TryFrom<Holder> + Clone + Into<Holder>,
    {
        let hash = hash_of(presented)?;
        let Some(holder) = self.app.remembered.holder::<H>(&hash) else {
            let caller = self.admitted::<H>(self.store.api_key(&hash).await)?;
            self.app.remembered.remember(hash, caller.holder().clone().into());
            return Ok((caller, None));
        };
        let (stored, read) = tokio::join!(self.store.api_key(&hash), read(&holder));
        Ok((self.admitted(stored)?, Some(read)))
    }

    /// The same, of the key as it is stored.
    fn admitted<H: TryFrom<Holder>>(
        &self,
        stored: Result<Option<Key>, StoreError>,
    ) -> Result<Caller<H>, Problem> {
        let stored = stored?.ok_or_else(|| Problem::unauthorised("unknown key"))?;
        let id = stored.id.clone();
        stored.admit(self.app.config.mode, self.now).ok_or_else(|| {
            Problem::unauthorised(format!(
                "{id} is revoked, expired, of the other mode or of another kind"
            ))
        })
    }
}

/// The hash that a key is stored under; 401 for what can be none.
fn hash_of(presented: Option<&str>) -> Result<String, Problem> {
    presented
        .map(str::trim)
        .filter(|secret| key::is_well_formed(secret))
        .map(key::hash)
        .ok_or_else(|| Problem::unauthorised("no well-formed key"))
}

/// What follows `Bearer`, in whatever case that is spelt.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, secret) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret)
}
