//! Which tables and which Stripe the administrator means, how to reach them, and what is around them.
//!
//! Here alone the whole AWS credential chain is used; the functions are given what Lambda sets.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;
use billing_store::{Credentials, Store, StoreConfig, Transport};
use billing_stripe::{Stripe, StripeConfig};
use jiff::Timestamp;

use crate::command::Place;
use crate::doctor::Variables;
use crate::{Failure, local};

/// How long a command may go on asking Stripe.
const PATIENCE: Duration = Duration::from_secs(600);

/// The store behind `--endpoint-url`, or the one of the AWS environment.
pub async fn open(place: &Place, transport: Transport) -> Result<Store, Failure> {
    let (region, credentials) = match &place.endpoint_url {
        Some(_) => (known_as::REGION.to_owned(), known_as::credentials()),
        None => from_environment(&transport).await?,
    };
    let config = StoreConfig {
        region,
        credentials,
        endpoint: place.endpoint_url.clone(),
        accounts_table: place.accounts_table.clone(),
        sessions_table: place.sessions_table.clone(),
    };
    Ok(Store::new(config, transport))
}

/// What time it is where the tables are: what a local stack's clock shows behind `--endpoint-url`, and `now` by this machine's everywhere else.
pub async fn time(place: &Place, transport: Transport, now: Timestamp) -> Timestamp {
    match &place.endpoint_url {
        Some(url) => local::time(url, &transport).await.unwrap_or(now),
        None => now,
    }
}

/// What the functions would be told here: the environment's own variables, with the tables that the administrator means and with
/// the credentials of the whole chain in the place of those that Lambda sets.
pub async fn told(
    place: &Place,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Variables, Failure> {
    let mut told: Variables = environment.collect();
    let mut tell = |name: &str, value: &str| told.insert(name.to_owned(), value.to_owned());
    tell("ACCOUNTS_TABLE", &place.accounts_table);
    tell("SESSIONS_TABLE", &place.sessions_table);
    let (region, credentials) = match &place.endpoint_url {
        Some(url) => {
            tell("AWS_ENDPOINT_URL_DYNAMODB", url);
            (known_as::REGION.to_owned(), known_as::credentials())
        }
        None => from_environment(&billing_edge::transport()).await?,
    };
    tell("AWS_REGION", &region);
    let (id, secret, token) = match credentials {
        Credentials::Keys {
            access_key_id,
            secret_access_key,
            session_token,
        } => (access_key_id, secret_access_key, session_token),
        Credentials::Provider(provider) => {
            let keys = provider.provide_credentials().await;
            let keys = keys.map_err(|_| Failure::NoCredentials)?;
            let token = keys.session_token().map(str::to_owned);
            (
                keys.access_key_id().to_owned(),
                keys.secret_access_key().to_owned(),
                token,
            )
        }
    };
    tell("AWS_ACCESS_KEY_ID", &id);
    tell("AWS_SECRET_ACCESS_KEY", &secret);
    tell("AWS_SESSION_TOKEN", &token.unwrap_or_default());
    Ok(told)
}

/// A Stripe, with a key to it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how long a command takes is real time")]
pub fn stripe(url: &str, key: &str, transport: Transport) -> Stripe {
    let until = tokio::time::Instant::now() + PATIENCE;
    StripeConfig::new(transport, url).session(key, until, 0)
}

async fn from_environment(transport: &Transport) -> Result<(String, Credentials), Failure> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(billing_store::http_client(transport.clone()))
        .load()
        .await;
    let region = config.region().ok_or(Failure::NoRegion)?.to_string();
    let provider = config.credentials_provider().ok_or(Failure::NoCredentials)?;
    // Asked for once before anything else: a request that finds none would answer with the whole chain's story.
    provider
        .provide_credentials()
        .await
        .map_err(|_| Failure::NoCredentials)?;
    Ok((region, Credentials::Provider(provider)))
}

/// What a local stack's DynamoDB knows us by. Amazon's DynamoDB Local keeps a world for each pair of region and access key.
mod known_as {
    use billing_store::Credentials;

    pub(super) const REGION: &str = "us-east-1";

    pub(super) fn credentials() -> Credentials {
        Credentials::Keys {
            access_key_id: "local".to_owned(),
            secret_access_key: "local".to_owned(),
            session_token: None,
        }
    }
}
