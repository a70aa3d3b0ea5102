//! Signed events: whether one is Stripe's, and the few members that say what to re-read.
//!
//! The signature is checked over the exact bytes that arrived, before anything is read. A payload is read tolerantly: any API
//! version, any type, members missing or moved; nothing of it is ever taken as state.

use billing_core::id::{ConnectedAccountId, CustomerId, EventId};
use billing_core::{SignedDuration, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// How far a signature's time may be from ours, either way.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// The signature is missing, malformed, too old, or nobody's we know. Which one is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid signature")]
pub struct BadSignature;

/// Whether one of the header's `v1` signatures is by one of the secrets, and fresh. Secrets overlap while they are rotated.
pub fn verify<S: AsRef<[u8]>>(
    payload: &[u8],
    header: &str,
    secrets: &[S],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let mut signed_at = None;
    let mut signatures: Vec<[u8; 32]> = Vec::new();
    for pair in header.split(',') {
        match pair.trim().split_once('=') {
            Some(("t", seconds)) => signed_at = Some(seconds),
            Some(("v1", digits)) => {
                let mut signature = [0; 32];
                if hex::decode_to_slice(digits, &mut signature).is_ok() {
                    signatures.push(signature);
                }
            }
            // Other schemes (v0) are for tests of Stripe's own.
            _ => {}
        }
    }
    let signed_at = signed_at.ok_or(BadSignature)?;
    let by_a_known_secret = secrets.iter().any(|secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_ref()) else {
            return false;
        };
        mac.update(signed_at.as_bytes());
        mac.update(b".");
        mac.update(payload);
        // In constant time.
        signatures
            .iter()
            .any(|signature| mac.clone().verify_slice(signature).is_ok())
    });
    let age = signed_at
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map(|signed_at| now.duration_since(signed_at).abs());
    match age {
        Some(age) if by_a_known_secret && age <= TOLERANCE => Ok(()),
        _ => Err(BadSignature),
    }
}

/// The header for a payload, as Stripe would send it. For tests and for replays by an operator.
#[must_use]
pub fn sign(payload: &[u8], secret: &str, at: Timestamp) -> String {
    let seconds = at.as_second();
    let mut signature = String::new();
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(payload);
        signature = hex::encode(mac.finalize().into_bytes());
    }
    format!("t={seconds},v1={signature}")
}

/// What an event says about itself and about the object to re-read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Stripe's id.
    pub id: EventId,
    /// What happened, in Stripe's words (`invoice.paid`).
    pub kind: String,
    /// Whether real money is involved.
    pub livemode: bool,
    /// When it happened, to the second.
    pub created: Option<Timestamp>,
    /// The connected account that it happened on; none for our own.
    pub connected_account: Option<ConnectedAccountId>,
    /// The id of the object that it is about.
    pub object: Option<String>,
    /// The customer of that object, as a hint where to look.
    pub customer: Option<CustomerId>,
    /// The charge of that object: a refund is told of by what it gives back of.
    pub charge: Option<String>,
    /// The payment of that object, where it has no charge.
    pub payment: Option<String>,
}

impl Event {
    /// Reads a payload; none when it is no event at all.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(payload).ok()?)
    }

    /// The same of a payload that was read as JSON.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        let object = &value["data"]["object"];
        // An id, or the object when it is expanded.
        let reference = |value: &Value| value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned);
        Some(Self {
            id: value["id"].as_str()?.parse().ok()?,
            kind: value["type"].as_str()?.to_owned(),
            livemode: value["livemode"].as_bool()?,
            created: value["created"]
                .as_i64()
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            connected_account: match &value["account"] {
                Value::Null => None,
                account => Some(account.as_str()?.parse().ok()?),
            },
            object: object["id"].as_str().map(str::to_owned),
            customer: reference(&object["customer"]).and_then(|customer| customer.parse().ok()),
            charge: reference(&object["charge"]),
            payment: reference(&object["payment_intent"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = br#"{"id":"evt_1"}"#;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn any_signature_by_any_active_secret_will_do() {
        let old = sign(PAYLOAD, "whsec_old", at(1000));
        let new = sign(PAYLOAD, "whsec_new", at(1000));
        let both = format!("{old},{},v0=abc", new.split_once(',').unwrap().1);
        assert_eq!(verify(PAYLOAD, &both, &["whsec_new"], at(1000)), Ok(()));
        assert_eq!(
            verify(PAYLOAD, &old, &["whsec_new", "whsec_old"], at(1000)),
            Ok(())
        );
        assert_eq!(
            verify(PAYLOAD, &old.replace(',', ", "), &["whsec_old"], at(1000)),
            Ok(())
        );
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let header = sign(PAYLOAD, "whsec", at(1000));
        for (now, good) in [(1300, true), (1301, false), (700, true), (699, false)] {
            assert_eq!(
                verify(PAYLOAD, &header, &["whsec"], at(now)).is_ok(),
                good,
                "{now}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = sign(PAYLOAD, "whsec", at(1000));
        let signature = good.split_once(",v1=").unwrap().1;
        for header in [
            "",
            "t=1000",
            "v1=00",
            "t=,v1=",
            "t=1000,v1=",
            "t=x,v1=00",
            &format!("t=1001,v1={signature}"),
            &format!("t=1000,v0={signature}"),
            &format!("t=1000,v1={}", &signature[2..]),
        ] {
            assert_eq!(
                verify(PAYLOAD, header, &["whsec"], at(1000)),
                Err(BadSignature),
                "{header}"
            );
        }
        assert_eq!(
            verify(br#"{"id": "evt_1"}"#, &good, &["whsec"], at(1000)),
            Err(BadSignature)
        );
        assert_eq!(verify(PAYLOAD, &good, &["other"], at(1000)), Err(BadSignature));
        assert_eq!(verify::<&str>(PAYLOAD, &good, &[], at(1000)), Err(BadSignature));
    }

    #[test]
    fn a_payload_is_read_for_what_it_names() {
        let event = Event::read(
            br#"{"id":"evt_1","type":"invoice.paid","livemode":false,"created":1000,"surprise":[],
                 "data":{"object":{"id":"in_1","customer":{"id":"cus_1","object":"customer"},"metadata":{}}}}"#,
        )
        .unwrap();
        assert_eq!(
            (event.object.as_deref(), event.customer),
            (Some("in_1"), Some("cus_1".parse().unwrap()))
        );
        for no_event in [
            &b""[..],
            b"[]",
            b"\"x\"",
            b"{}",
            br#"{"id":"evt_1","type":"x"}"#,
            b"\xff",
        ] {
            assert_eq!(Event::read(no_event), None);
        }
    }
}
