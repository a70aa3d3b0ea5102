//! Who is calling. A key is for one kind of endpoint, and opens no other: accounts present theirs as `Authorization: Bearer
//! sk_…`, agencies as `Authorization: sk_…`, organisations as `x-api-key: sk_…` beside their id.
//!
//! Whatever is wrong with a key, the answer is the same 401, with how it is to be presented in `WWW-Authenticate`.

use billing_core::access::{Caller, Holder};
use billing_core::id::{AgencyId, OrganisationId};
use lambda_http::http::header::AUTHORIZATION;

use crate::call::Call;
use crate::key;
use crate::problem::{Challenge, Problem};

/// Where an organisation's key is presented.
const API_KEY: &str = "x-api-key";
/// Where an organisation says who it is.
const ORGANISATION: &str = "organisation";

impl Call<'_> {
    /// The account behind `Authorization: Bearer sk_…`.
    pub async fn authenticate(&self) -> Result<Caller, Problem> {
        let presented = self.header(AUTHORIZATION.as_str()).and_then(bearer);
        self.admitted(presented).await
    }

    /// The agency behind `Authorization: sk_…`; `Bearer sk_…` is taken too.
    pub async fn authenticate_agency(&self) -> Result<Caller<AgencyId>, Problem> {
        let presented = self.header(AUTHORIZATION.as_str());
        self.admitted(presented.map(|text| bearer(text).unwrap_or(text)))
            .await
    }

    /// The organisation behind `x-api-key: sk_…` and `organisation: <id>`, when the key is that organisation's.
    pub async fn authenticate_organisation(&self) -> Result<Caller<OrganisationId>, Problem> {
        let named = self
            .header(ORGANISATION)
            .and_then(|id| id.trim().parse::<OrganisationId>().ok());
        let admitted = match named {
            Some(named) => self.admitted(self.header(API_KEY)).await.and_then(|caller| {
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
    async fn admitted<H: TryFrom<Holder>>(&self, presented: Option<&str>) -> Result<Caller<H>, Problem> {
        let secret = presented
            .map(str::trim)
            .filter(|secret| key::is_well_formed(secret));
        let secret = secret.ok_or_else(|| Problem::unauthorised("no well-formed key"))?;
        let stored = self.store.api_key(&key::hash(secret)).await?;
        let stored = stored.ok_or_else(|| Problem::unauthorised("unknown key"))?;
        let id = stored.id.clone();
        stored.admit(self.app.config.mode, self.now).ok_or_else(|| {
            Problem::unauthorised(format!(
                "{id} is revoked, expired, of the other mode or of another kind"
            ))
        })
    }
}

/// What follows `Bearer`, in whatever case that is spelt.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, secret) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret)
}
