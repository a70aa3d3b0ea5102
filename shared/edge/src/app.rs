//! What all requests of a process share.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use billing_store::{Credentials, Store, StoreConfig};
use billing_stripe::{StripeConfig, Transport};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;

use crate::auth::Remembered;
use crate::clock::Clock;
use crate::config::Config;
use crate::prices::PriceCache;
use crate::secret::{CachedSecret, Vault};

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long an idle connection is worth keeping; Stripe closes it after about a minute.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// Everything that is built once. Building it touches no network.
#[derive(Debug)]
pub struct App {
    /// What the deployment was told.
    pub config: Config,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) stripe: StripeConfig,
    pub(crate) stripe_key: CachedSecret,
    pub(crate) webhook_secrets: Option<CachedSecret>,
    pub(crate) vault: Vault,
    pub(crate) prices: PriceCache,
    pub(crate) remembered: Remembered,
    /// Whether no request was answered yet.
    pub(crate) cold: AtomicBool,
    /// Where the metrics of each request go; nowhere unless somebody wants them.
    pub(crate) metrics: Option<Metrics>,
}

impl App {
    /// What a deployment of this configuration works with. Asks nobody for anything: secrets are read when the first request needs them.
    #[must_use]
    pub fn new(config: Config, clock: Clock) -> Self {
        let transport = transport();
        let aws = &config.aws;
        let store = Store::new(
            StoreConfig {
                region: aws.region.clone(),
                credentials: Credentials::Keys {
                    access_key_id: aws.keys.access_key_id.clone(),
                    secret_access_key: aws.keys.secret_access_key.expose().to_owned(),
                    session_token: aws
                        .keys
                        .session_token
                        .as_ref()
                        .map(|token| token.expose().to_owned()),
                },
                endpoint: aws.dynamodb_endpoint.clone(),
                accounts_table: aws.accounts_table.clone(),
                sessions_table: aws.sessions_table.clone(),
            },
            transport.clone(),
        );
        Self {
            clock,
            store,
            stripe: StripeConfig::new(transport.clone(), &config.stripe_base),
            stripe_key: CachedSecret::new(config.stripe_key.clone()),
            webhook_secrets: config.webhook_secrets.clone().map(CachedSecret::new),
            vault: Vault::new(transport, &aws.keys, aws.secrets_endpoint.as_deref()),
            prices: PriceCache::default(),
            remembered: Remembered::default(),
            cold: AtomicBool::new(true),
            metrics: None,
            config,
        }
    }

    /// The same, handing over the metrics of each request for the Lambda of that name: one line in CloudWatch's embedded metric
    /// format.
    #[must_use]
    pub fn with_metrics_of(
        self,
        lambda: impl Into<String>,
        hand_over: impl Fn(&Value) + Send + Sync + 'static,
    ) -> Self {
        Self {
            metrics: Some(Metrics {
                lambda: lambda.into(),
                hand_over: Box::new(hand_over),
            }),
            ..self
        }
    }

    /// The tables, for an administrator's work.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// Somebody who takes metrics.
pub(crate) struct Metrics {
    /// The Lambda whose they are.
    pub(crate) lambda: String,
    pub(crate) hand_over: Box<dyn Fn(&Value) + Send + Sync>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Metrics")
            .field("lambda", &self.lambda)
            .finish_non_exhaustive()
    }
}

/// The one way to DynamoDB, Stripe and Secrets Manager, with one pool of connections: rustls with `ring` (aws-lc-rs costs tens of
/// milliseconds at its first handshake) and the roots compiled in (reading the system's costs several milliseconds at init). A second
/// kind of client would be a hundred kilobytes more to load. Connects to nobody yet.
#[must_use]
pub fn transport() -> Transport {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(connector)
}
