//! Who is calling.

use billing_core::access::Caller;
use lambda_http::http::header::AUTHORIZATION;

use crate::call::Call;
use crate::key;
use crate::problem::Problem;

impl Call<'_> {
    /// The caller behind `Authorization: Bearer sk_…`. Whatever is wrong with the key, the answer is the same 401.
    pub async fn authenticate(&self) -> Result<Caller, Problem> {
        let secret = self
            .bearer()
            .ok_or_else(|| Problem::unauthorised("no well-formed key"))?;
        let stored = self.store.api_key(&key::hash(secret)).await?;
        let stored = stored.ok_or_else(|| Problem::unauthorised("unknown key"))?;
        let id = stored.id.clone();
        stored
            .admit(self.app.config.mode, self.now)
            .ok_or_else(|| Problem::unauthorised(format!("{id} is revoked, expired or of the other mode")))
    }

    fn bearer(&self) -> Option<&str> {
        let (scheme, secret) = self.header(AUTHORIZATION.as_str())?.split_once(' ')?;
        let secret = secret.trim();
        (scheme.eq_ignore_ascii_case("bearer") && key::is_well_formed(secret)).then_some(secret)
    }
}
