//! Replies under an idempotency key: who may do the work, and what came of it.
//!
//! # If it fails half-way
//! A request that dies leaves a claim whose lease runs out; the next one with the same key and body does the work, which is safe
//! to repeat on its own. Whatever cannot be written here makes the request fail: where money moves nothing fails open.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use billing_core::access::Holder;
use billing_core::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{number, string, value};
use crate::key;

/// How long a reply is repeated.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Which reply: a caller's, to one operation, under one key.
#[derive(Debug, Clone)]
pub struct ReplyKey<'a> {
    /// Who asked.
    pub caller: &'a Holder,
    /// What for.
    pub operation: &'a str,
    /// The hash of the caller's `Idempotency-Key`.
    pub key_hash: &'a str,
}

/// A claim on the work of a request.
#[derive(Debug, Clone)]
pub struct ReplyClaim<'a> {
    /// Which reply.
    pub key: ReplyKey<'a>,
    /// The hash of the request: another request under the same key is a mistake.
    pub request: &'a str,
    /// Names this claim, so that one that outlived its lease does not overwrite its successor's reply.
    pub token: &'a str,
}

/// What was found under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundReply {
    /// Nothing: the work is the claimer's.
    Mine,
    /// Somebody else is at it.
    InProgress,
    /// The key was used for another request.
    Mismatch,
    /// It was answered.
    Done {
        /// The HTTP status.
        status: u16,
        /// The JSON text.
        body: String,
    },
}

#[derive(Deserialize)]
struct Stored {
    request: String,
    token: String,
    status: Option<u16>,
    body: Option<String>,
}

impl Store {
    /// Claims the work of a request until `lease_until`. Repeating it with the same token finds the claim to be one's own.
    pub async fn claim_reply(
        &self,
        claim: &ReplyClaim<'_>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<FoundReply, StoreError> {
        let expires_at = now.saturating_add(KEPT).unwrap_or(Timestamp::MAX);
        let claimed = self
            .call()
            .update_item()
            .table_name(&*self.sessions)
            .set_key(Some(claim.key.key().attributes()))
            .update_expression(
                "SET #request = :request, #token = :token, lease_until = :lease, expires_at = :expires_at \
                 REMOVE #status, #body",
            )
            // Absent: the first. Expired: DynamoDB deletes late. Unanswered past its lease: its holder died, and the same
            // request may take over; another one may not, for the first may have had its effect.
            .condition_expression(
                "attribute_not_exists(pk) OR expires_at <= :now \
                 OR (attribute_not_exists(#status) AND lease_until <= :now AND #request = :request)",
            )
            .expression_attribute_names("#request", "request")
            .expression_attribute_names("#token", "token")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#body", "body")
            .expression_attribute_values(":request", string(claim.request))
            .expression_attribute_values(":token", string(claim.token))
            .expression_attribute_values(":lease", number(lease_until.as_second()))
            .expression_attribute_values(":expires_at", number(expires_at.as_second()))
            .expression_attribute_values(":now", number(now.as_second()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = claimed else {
            return Ok(FoundReply::Mine);
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() else {
            return Err(error.into());
        };
        let found = refused.item().cloned().ok_or(StoreError::Conflict)?;
        let found: Stored = value(found)?;
        Ok(match (found.status, found.body) {
            _ if found.request != claim.request => FoundReply::Mismatch,
            (Some(status), Some(body)) => FoundReply::Done { status, body },
            // This very claim, whose answer was lost and which the SDK sent again.
            _ if found.token == claim.token => FoundReply::Mine,
            _ => FoundReply::InProgress,
        })
    }

    /// Stores the reply of a claim. [`StoreError::Conflict`] when the claim is no longer ours. Repeating it changes nothing.
    pub async fn finish_reply(
        &self,
        claim: &ReplyClaim<'_>,
        status: u16,
        body: &str,
    ) -> Result<(), StoreError> {
        self.call()
            .update_item()
            .table_name(&*self.sessions)
            .set_key(Some(claim.key.key().attributes()))
            .update_expression("SET #status = :status, #body = :body")
            // The lease ran out and somebody took over: theirs is the reply that counts.
            .condition_expression("#token = :token")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#body", "body")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":status", number(status))
            .expression_attribute_values(":body", string(body))
            .expression_attribute_values(":token", string(claim.token))
            .send()
            .await?;
        Ok(())
    }

    /// Gives a claim back, so that the next request need not wait for the lease. One that is no longer ours stays.
    pub async fn release_reply(&self, claim: &ReplyClaim<'_>) -> Result<(), StoreError> {
        self.call()
            .delete_item()
            .table_name(&*self.sessions)
            .set_key(Some(claim.key.key().attributes()))
            // Likewise: a successor's claim must not be given back.
            .condition_expression("#token = :token")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":token", string(claim.token))
            .send()
            .await?;
        Ok(())
    }
}

impl ReplyKey<'_> {
    fn key(&self) -> key::Key {
        key::reply(self.caller, self.operation, self.key_hash)
    }
}
