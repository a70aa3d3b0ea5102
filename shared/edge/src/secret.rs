//! Secrets, from the environment or from AWS Secrets Manager.
//!
//! A secret does not print. One that is named by its ARN is fetched when the first request needs it, not at init, and kept for
//! a few minutes, so that a rotation reaches running sandboxes. The call is signed here by hand: one request does not need
//! another generated client in every function.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use billing_core::{SignedDuration, Timestamp};
use billing_stripe::Transport;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use lambda_http::http::Request;

use crate::config::AwsKeys;

/// How long a fetched secret is used before it is fetched again.
const KEPT: SignedDuration = SignedDuration::from_mins(5);
/// How long fetching one may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; whoever calls this sends it where it belongs, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The texts of a list that commas separate; none when there are only separators.
    #[must_use]
    pub fn listed(&self) -> Vec<&str> {
        let texts = self.0.split(',').map(str::trim);
        texts.filter(|text| !text.is_empty()).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the environment.
    Value(Secret),
    /// In Secrets Manager, under this ARN.
    Arn(String),
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
#[error("secrets manager: {0}")]
pub struct NoSecret(String);

/// A secret that is looked up when needed.
#[derive(Debug)]
pub(crate) struct CachedSecret {
    source: Source,
    fetched: Mutex<Option<(Timestamp, Secret)>>,
}

impl CachedSecret {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            fetched: Mutex::new(None),
        }
    }

    /// The secret: from memory, or fetched. A fetch that fails falls back on what was fetched before.
    pub(crate) async fn get(&self, vault: &Vault, now: Timestamp) -> Result<Secret, NoSecret> {
        let arn = match &self.source {
            Source::Value(secret) => return Ok(secret.clone()),
            Source::Arn(arn) => arn,
        };
        let known = self.fetched.lock().ok().and_then(|fetched| fetched.clone());
        match &known {
            Some((at, secret)) if now.duration_since(*at) < KEPT => return Ok(secret.clone()),
            _ => {}
        }
        match vault.fetch(arn).await {
            Ok(secret) => {
                if let Ok(mut fetched) = self.fetched.lock() {
                    *fetched = Some((now, secret.clone()));
                }
                Ok(secret)
            }
            Err(error) => known.map(|(_, secret)| secret).ok_or(error),
        }
    }
}

/// AWS Secrets Manager.
#[derive(Debug)]
pub(crate) struct Vault {
    transport: Transport,
    keys: AwsKeys,
    endpoint: Option<String>,
}

impl Vault {
    pub(crate) fn new(transport: Transport, keys: &AwsKeys, endpoint: Option<&str>) -> Self {
        Self {
            transport,
            keys: keys.clone(),
            endpoint: endpoint.map(str::to_owned),
        }
    }

    async fn fetch(&self, arn: &str) -> Result<Secret, NoSecret> {
        let request = self
            .signed(arn)
            .map_err(|error| NoSecret(format!("cannot sign: {error}")))?;
        let exchange = async {
            let answer = self
                .transport
                .request(request)
                .await
                .map_err(|error| NoSecret(error.to_string()))?;
            let status = answer.status();
            let body = answer
                .into_body()
                .collect()
                .await
                .map_err(|error| NoSecret(error.to_string()))?;
            // The body of a failure names the ARN and the role at most; its type is enough.
            let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
            match body["SecretString"].as_str() {
                Some(secret) if status.is_success() => Ok(Secret::new(secret.trim())),
                _ => Err(NoSecret(format!(
                    "{status} {}",
                    body["__type"].as_str().unwrap_or("without a secret string")
                ))),
            }
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(NoSecret("timed out".to_owned())))
    }

    fn signed(&self, arn: &str) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        // arn:<partition>:secretsmanager:<region>:<account>:secret:<name>
        let mut parts = arn.split(':').skip(1);
        let (partition, region) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
        let domain = if partition == "aws-cn" {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let in_aws = || format!("https://secretsmanager.{region}.{domain}/");
        let endpoint = self.endpoint.clone().unwrap_or_else(in_aws);
        let body = serde_json::json!({ "SecretId": arn }).to_string();
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "secretsmanager.GetSecretValue"),
        ];
        let identity = Credentials::new(
            &self.keys.access_key_id,
            self.keys.secret_access_key.expose(),
            self.keys
                .session_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            None,
            "lambda-environment",
        )
        .into();
        #[expect(
            clippy::disallowed_methods,
            reason = "AWS judges a signature by its own clock, not by the stack's"
        )]
        let time = SystemTime::now();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("secretsmanager")
            .time(time)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signable = SignableRequest::new(
            "POST",
            &endpoint,
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut builder = Request::post(&endpoint);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let mut request = builder.body(Full::new(Bytes::from(body)))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}
