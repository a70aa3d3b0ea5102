//! `Idempotency-Key`: the same request under the same key is done once and answered the same.
//!
//! # How it works
//! The key is claimed before the work and answered after it. What is stored is what the caller was told, unless it was a 5xx, a
//! conflict that passes, or a body of another type: then the work may not be done, the caller is to ask again, and the key is free for that.
//!
//! # If it fails half-way
//! See [`billing_store::Store::claim_reply`]. Without a key the operations are safe to repeat all the same; the header adds
//! that the *answer* is the same.

use std::collections::BTreeMap;
use std::future::Future;

use billing_core::access::Holder;
use billing_core::invalid::Invalid;
use billing_store::{FoundReply, ReplyClaim, ReplyKey, StoreError};
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;

/// The header's name, as callers write it.
const HEADER: &str = "Idempotency-Key";
/// How long a key may be.
const MAX_LENGTH: usize = 255;

impl Call<'_> {
    /// Does the work once for the caller's `Idempotency-Key`; without one, just does it.
    pub async fn once(
        &self,
        caller: impl Into<Holder>,
        operation: &str,
        work: impl Future<Output = Result<Reply, Problem>> + Send,
    ) -> Result<Reply, Problem> {
        let Some(key) = self.idempotency_key()? else {
            return work.await;
        };
        let (key_hash, request) = (sha256(key.as_bytes()), self.fingerprint());
        let (token, caller) = (self.claim_token()?, caller.into());
        let key = ReplyKey {
            caller: &caller,
            operation,
            key_hash: &key_hash,
        };
        let claim = ReplyClaim {
            key,
            request: &request,
            token: &token,
        };
        match self.store.claim_reply(&claim, self.now, self.lease()?).await? {
            FoundReply::Mine => {}
            FoundReply::Done { status, body } => {
                return Ok(Reply {
                    status,
                    body,
                    replayed: true,
                });
            }
            FoundReply::InProgress => return Err(Problem::in_progress()),
            FoundReply::Mismatch => return Err(Problem::key_reused()),
        }
        let outcome = work.await;
        let stored = match &outcome {
            Ok(reply) => self.store.finish_reply(&claim, reply.status, &reply.body).await,
            Err(problem) if problem.is_final() => {
                self.store
                    .finish_reply(&claim, problem.status, &problem.envelope())
                    .await
            }
            Err(_) => self.store.release_reply(&claim).await,
        };
        match (stored, outcome) {
            // The lease ran out meanwhile; whoever took over answers for the key, and the work is one.
            (Ok(()) | Err(StoreError::Conflict), outcome) => outcome,
            // The claim stays until its lease runs out.
            (Err(_), Err(problem)) if !problem.is_final() => Err(problem),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The caller's `Idempotency-Key`, hashed as it is stored; none without one.
    pub fn idempotency_key_hash(&self) -> Result<Option<String>, Problem> {
        let key = self.idempotency_key()?;
        Ok(key.map(|key| sha256(key.as_bytes())))
    }

    /// What makes the request this one: its body, and what its path names, in the order of the names: a map has none of its own.
    fn fingerprint(&self) -> String {
        let mut named: Vec<u8> = Vec::new();
        for (name, value) in self.path.iter().collect::<BTreeMap<_, _>>() {
            named.extend([name.as_bytes(), b"=", value.as_bytes(), b"\n"].concat());
        }
        sha256(&[&named, self.bytes()].concat())
    }

    fn idempotency_key(&self) -> Result<Option<&str>, Problem> {
        let Some(value) = self.headers.get(HEADER) else {
            return Ok(None);
        };
        let printable = |key: &&str| key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let key = value.to_str().ok().filter(printable);
        match key.filter(|key| (1..=MAX_LENGTH).contains(&key.len())) {
            Some(key) => Ok(Some(key)),
            None => {
                let mut invalid = Invalid::default();
                invalid.field(HEADER, "must be 1 to 255 printable characters");
                Err(Problem::invalid(invalid))
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
