//! The connection to DynamoDB.
//!
//! The client is built by hand from what Lambda sets, without the credential chain (several milliseconds at init), over the
//! HTTP client that Stripe's calls take too. Back-offs start at 20 ms: after a freeze every pooled connection is dead, and the
//! default of one second would be the first request's latency.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;

/// The HTTP client: TCP, with TLS for `https`, and a pool of connections.
pub type Transport = legacy::Client<HttpsConnector<Tcp>, Full<Bytes>>;

/// Who signs the requests.
#[derive(Clone)]
pub enum Credentials {
    /// The keys that Lambda puts into the environment.
    Keys {
        /// `AWS_ACCESS_KEY_ID`.
        access_key_id: String,
        /// `AWS_SECRET_ACCESS_KEY`.
        secret_access_key: String,
        /// `AWS_SESSION_TOKEN`.
        session_token: Option<String>,
    },
    /// Whatever the administrator's environment has: profiles, single sign-on.
    Provider(SharedCredentialsProvider),
}

impl fmt::Debug for Credentials {
    /// Nothing of them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials")
    }
}

/// Where the tables are.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The AWS region.
    pub region: String,
    /// Who signs.
    pub credentials: Credentials,
    /// Another DynamoDB than the region's.
    pub endpoint: Option<String>,
    /// The name of the table of accounts.
    pub accounts_table: String,
    /// The name of the table of what expires.
    pub sessions_table: String,
}

/// The two tables of a deployment, for one request: it counts what DynamoDB is asked.
#[derive(Clone)]
pub struct Store {
    pub(crate) client: Client,
    pub(crate) accounts: Arc<str>,
    pub(crate) sessions: Arc<str>,
    calls: Arc<AtomicU64>,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store")
            .field("accounts", &self.accounts)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The tables at that place. Connects to nobody yet.
    #[must_use]
    pub fn new(config: StoreConfig, transport: Transport) -> Self {
        let credentials = match config.credentials {
            Credentials::Keys {
                access_key_id,
                secret_access_key,
                session_token,
            } => SharedCredentialsProvider::new(AwsCredentials::new(
                access_key_id,
                secret_access_key,
                session_token,
                None,
                "lambda-environment",
            )),
            Credentials::Provider(provider) => provider,
        };
        let retries = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(20))
            .with_max_backoff(Duration::from_millis(200));
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_millis(1500))
            .build();
        let mut builder = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(config.region))
            .credentials_provider(credentials)
            .retry_config(retries)
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(Http(transport));
        if let Some(endpoint) = config.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(builder.build()),
            accounts: config.accounts_table.into(),
            sessions: config.sessions_table.into(),
            calls: Arc::default(),
        }
    }

    /// The same tables with a count of calls of its own, for one request.
    #[must_use]
    pub fn session(&self) -> Self {
        Self {
            calls: Arc::default(),
            ..self.clone()
        }
    }

    /// How many operations were asked for so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The client, counted.
    pub(crate) fn call(&self) -> &Client {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.client
    }
}

/// The HTTP client under the store, for whoever needs another part of the SDK: an administrator's credentials.
#[must_use]
pub fn http_client(transport: Transport) -> SharedHttpClient {
    SharedHttpClient::new(Http(transport))
}

/// hyper under the SDK.
#[derive(Clone)]
struct Http(Transport);

impl fmt::Debug for Http {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Http")
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (parts, body) = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?
                .into_parts();
            let body = body
                .bytes()
                .ok_or_else(|| ConnectorError::user("a body that is a stream".into()))?;
            let request = Request::from_parts(parts, Full::new(Bytes::copy_from_slice(body)));
            let answer = client.request(request).await.map_err(|error| {
                if error.is_connect() {
                    ConnectorError::io(error.into())
                } else {
                    // A pooled connection that died: worth another attempt at once.
                    ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
                }
            })?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
