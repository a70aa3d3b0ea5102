//! Who is calling. A key is for one kind of endpoint, and opens no other: accounts present theirs as `Authorization: Bearer
//! sk_…`, agencies as `Authorization: sk_…`, organisations as `x-api-key: sk_…` beside their id.
//!
//! Whatever is wrong with a key, the answer is the same 401, with how it is to be presented in `WWW-Authenticate`.
//!
//! A key is read each time, so that a revoked one opens nothing from that moment on. But whose it is never changes: where this
//! process has admitted it before, the account is read beside it, not after it.

use std::collections::HashMap;
use std::sync::Mutex;

use billing_core::access::{Caller, Holder, Key};
use billing_core::id::{AccountId, AgencyId, OrganisationId};
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
pub(crate) struct Remembered(Mutex<HashMap<String, AccountId>>);

impl Remembered {
    fn account(&self, hash: &str) -> Option<AccountId> {
        self.0.lock().ok()?.get(hash).cloned()
    }

    fn remember(&self, hash: String, account: &AccountId) {
        if let Ok(mut accounts) = self.0.lock() {
            if accounts.len() == MOST_REMEMBERED {
                accounts.clear();
            }
            accounts.insert(hash, account.clone());
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
        let hash = hash_of(presented)?;
        let Some(account) = self.app.remembered.account(&hash) else {
            let caller: Caller = self.admitted(self.store.api_key(&hash).await)?;
            self.app.remembered.remember(hash, caller.account());
            return Ok((caller, None));
        };
        let (stored, ahead, read) = tokio::join!(
            self.store.api_key(&hash),
            self.store.account(&account),
            read(&account)
        );
        let caller = self.admitted(stored)?;
        // What could not be read is read again by whoever needs it, who then also tells what is wrong.
        self.read_ahead(ahead.ok().flatten());
        Ok((caller, Some(read)))
    }

    /// The agency behind `Authorization: sk_…`; `Bearer sk_…` is taken too.
    pub async fn authenticate_agency(&self) -> Result<Caller<AgencyId>, Problem> {
        let presented = self.header(AUTHORIZATION.as_str());
        self.admits(presented.map(|text| bearer(text).unwrap_or(text)))
            .await
    }

    /// The organisation behind `x-api-key: sk_…` and `organisation: <id>`, when the key is that organisation's.
    pub async fn authenticate_organisation(&self) -> Result<Caller<OrganisationId>, Problem> {
        let named = self
            .header(ORGANISATION)
            .and_then(|id| id.trim().parse::<OrganisationId>().ok());
        let admitted = match named {
            Some(named) => self.admits(self.header(API_KEY)).await.and_then(|caller| {
                if *caller.organisation() == named {
                    Ok(caller)
                } else {
                    Err(Problem::unauthorised("the key is another organisation's"))
                }
            }),
            None => Err(Problem::unauthorised("no well-formed organisation")),
        };
        admitted.map_err(|problem| problem.challenging(Challenge::ApiKey))
    }

    /// The caller of this kind behind a key.
    async fn admits<H: TryFrom<Holder>>(&self, presented: Option<&str>) -> Result<Caller<H>, Problem> {
        let hash = hash_of(presented)?;
        self.admitted(self.store.api_key(&hash).await)
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
