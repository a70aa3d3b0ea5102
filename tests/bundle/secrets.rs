//! AWS Secrets Manager, as far as a function asks it: `GetSecretValue` for the secrets that were put there.
//!
//! A request without a signature for this service is refused, as AWS would; that the signature is right is not checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use billing_bench::loopback::{answer, serve};

/// Serves secrets by their ARNs, and answers the address.
pub(crate) async fn start(secrets: BTreeMap<String, String>) -> String {
    let secrets = Arc::new(secrets);
    let address = serve(move |request| {
        let secrets = Arc::clone(&secrets);
        async move { get_secret_value(&secrets, request).await }
    })
    .await;
    format!("http://{address}")
}

async fn get_secret_value(
    secrets: &BTreeMap<String, String>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    if header("x-amz-target") != "secretsmanager.GetSecretValue" {
        return refuse("UnknownOperationException");
    }
    let authorization = header("authorization");
    if !authorization.starts_with("AWS4-HMAC-SHA256 ")
        || !authorization.contains("/secretsmanager/aws4_request")
    {
        return refuse("IncompleteSignatureException");
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
    let arn = wanted["SecretId"].as_str().unwrap_or("");
    match secrets.get(arn) {
        Some(secret) => answer(
            StatusCode::OK,
            json!({ "ARN": arn, "SecretString": secret }).to_string(),
        ),
        None => refuse("ResourceNotFoundException"),
    }
}

fn refuse(kind: &str) -> Response<Full<Bytes>> {
    answer(StatusCode::BAD_REQUEST, json!({ "__type": kind }).to_string())
}
