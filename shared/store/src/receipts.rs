//! Which events were handled: a claim with a lease before the work, a mark after it.
//!
//! A receipt is an early out, not what correctness rests on: the ledger's keys and the profile's version are. It keeps a
//! duplicate from doing the work again, and a failed event visible until an operator has looked at it: what failed stands in a
//! collection of its own ([`crate::failures`]) for as long as it has not been done.
//!
//! # If it fails half-way
//! A handler that dies leaves a lease that runs out; the next delivery claims the event and does the work.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use billing_core::id::{ConnectedAccountId, EventId};
use billing_core::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::failures::Failure;
use crate::item::{incomplete, number, string, text, value};
use crate::key::{self, PK};

/// How long a receipt is kept. Stripe delivers for three days, and an operator can have it deliver again for thirty.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// What stands in the place of an error where an operator has an event done again that was done.
const REOPENED: &str = "an operator has it done again";

/// Which event, and in whose world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// The connected account that it happened on; none for our own.
    pub connected_account: Option<ConnectedAccountId>,
    /// Stripe's id.
    pub event: EventId,
}

/// How far the work on an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptStatus {
    /// Somebody is at it, until the lease runs out.
    Processing,
    /// It is done.
    Done,
    /// The last attempt failed.
    Failed,
}

/// What is known of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// How far the work is.
    pub status: ReceiptStatus,
    /// How often it was begun.
    pub attempts: u64,
    /// Stripe's type, for an operator's eyes.
    pub kind: String,
    /// Names the latest claim.
    pub holder: String,
    /// Until when a claim holds: unix seconds.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub lease_until: Timestamp,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// What a claim on an event says.
#[derive(Debug, Clone, Copy)]
pub struct EventClaim<'a> {
    /// Stripe's type of the event.
    pub kind: &'a str,
    /// The claim's name, by which its holder is recognised when an answer was lost and the SDK asked again.
    pub holder: &'a str,
    /// When.
    pub now: Timestamp,
    /// Until when it holds.
    pub lease_until: Timestamp,
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'a> {
    /// Stripe's type of the event.
    pub kind: &'a str,
    /// Who held the claim.
    pub holder: &'a str,
    /// Which attempt it was.
    pub attempts: u64,
    /// What went wrong, for an operator's eyes.
    pub error: &'a str,
    /// When.
    pub now: Timestamp,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The work is the caller's.
    Mine {
        /// How often it was begun, this time included.
        attempts: u64,
        /// Whether an earlier attempt failed, so that the event stands among the failed.
        failed_before: bool,
    },
    /// It was done before.
    Done,
    /// Somebody else is at it.
    Busy,
}

impl Store {
    /// Claims the work on an event. To everybody but its holder a repetition within the lease is [`Claim::Busy`].
    pub async fn claim_event(&self, event: &EventKey, claim: &EventClaim<'_>) -> Result<Claim, StoreError> {
        let claimed = self
            .call()
            .update_item()
            .table_name(&*self.sessions)
            .set_key(Some(event.key().attributes()))
            .update_expression(
                "SET #status = :processing, kind = :kind, holder = :holder, lease_until = :lease, expires_at = :expires_at ADD attempts :one",
            )
            // Absent: never seen. Failed: to be tried again. A lease that ran out: its holder died.
            .condition_expression(
                "attribute_not_exists(pk) OR #status = :failed OR (#status = :processing AND lease_until <= :now)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", string("processing"))
            .expression_attribute_values(":failed", string("failed"))
            .expression_attribute_values(":kind", string(claim.kind))
            .expression_attribute_values(":holder", string(claim.holder))
            .expression_attribute_values(":now", number(claim.now.as_second()))
            .expression_attribute_values(":lease", number(claim.lease_until.as_second()))
            .expression_attribute_values(":expires_at", number(kept_until(claim.now)))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match claimed {
            Ok(claimed) => {
                let receipt: Receipt = value(claimed.attributes.ok_or(StoreError::Conflict)?)?;
                return Ok(receipt.mine());
            }
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() else {
            return Err(error.into());
        };
        let found: Receipt = value(refused.item().cloned().ok_or(StoreError::Conflict)?)?;
        Ok(match found.status {
            ReceiptStatus::Done => Claim::Done,
            ReceiptStatus::Processing if found.holder == claim.holder => found.mine(),
            ReceiptStatus::Processing | ReceiptStatus::Failed => Claim::Busy,
        })
    }

    /// Marks an event as done, and takes it from among the failed if it stands there. Repeating it changes nothing.
    pub async fn finish_event(
        &self,
        event: &EventKey,
        failed_before: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&*self.sessions)
            .set_key(Some(event.key().attributes()))
            .update_expression("SET #status = :done, expires_at = :expires_at REMOVE last_error")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":done", string("done"))
            .expression_attribute_values(":expires_at", number(kept_until(now)))
            .build()
            .map_err(incomplete)?;
        if failed_before {
            let update = TransactWriteItem::builder().update(update).build();
            return self.transact(vec![update, self.delete_failure(event)?]).await;
        }
        self.call()
            .update_item()
            .table_name(update.table_name)
            .set_key(Some(update.key))
            .update_expression(update.update_expression)
            .set_expression_attribute_names(update.expression_attribute_names)
            .set_expression_attribute_values(update.expression_attribute_values)
            .send()
            .await?;
        Ok(())
    }

    /// Marks an attempt as failed, so that the next delivery need not wait for the lease, and puts the event among the failed.
    /// [`StoreError::Conflict`] when the claim is no longer the holder's.
    pub async fn fail_event(&self, event: &EventKey, attempt: &FailedAttempt<'_>) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&*self.sessions)
            .set_key(Some(event.key().attributes()))
            .update_expression("SET #status = :failed, last_error = :error")
            // Our lease may have run out, and the next holder be at the work or have done it.
            .condition_expression("#status = :processing AND holder = :holder")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":failed", string("failed"))
            .expression_attribute_values(":processing", string("processing"))
            .expression_attribute_values(":holder", string(attempt.holder))
            .expression_attribute_values(":error", string(attempt.error))
            .build()
            .map_err(incomplete)?;
        let failure = Failure {
            event: event.event.clone(),
            connected_account: event.connected_account.clone(),
            kind: attempt.kind.to_owned(),
            attempts: attempt.attempts,
            failed_at: attempt.now,
            error: attempt.error.to_owned(),
        };
        let update = TransactWriteItem::builder().update(update).build();
        self.transact(vec![update, self.put_failure(event, &failure)?])
            .await
    }

    /// Has an event that is done be done again with its next delivery. Until then it stands among the failed, so that it is not forgotten
    /// where nothing comes of that. [`StoreError::Conflict`] when it is not done.
    pub async fn reopen_event(&self, event: &EventKey, now: Timestamp) -> Result<(), StoreError> {
        let read = self.receipt(event).await?;
        let done = read.filter(|receipt| receipt.status == ReceiptStatus::Done);
        let done = done.ok_or(StoreError::Conflict)?;
        let update = Update::builder()
            .table_name(&*self.sessions)
            .set_key(Some(event.key().attributes()))
            .update_expression("SET #status = :failed, last_error = :error")
            // What is being worked on, or failed, is done again without this.
            .condition_expression("#status = :done")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":failed", string("failed"))
            .expression_attribute_values(":error", string(REOPENED))
            .expression_attribute_values(":done", string("done"))
            .build()
            .map_err(incomplete)?;
        let failure = Failure {
            event: event.event.clone(),
            connected_account: event.connected_account.clone(),
            kind: done.kind,
            attempts: done.attempts,
            failed_at: now,
            error: REOPENED.to_owned(),
        };
        let update = TransactWriteItem::builder().update(update).build();
        self.transact(vec![update, self.put_failure(event, &failure)?])
            .await
    }

    /// Which of these events are done. At most a hundred. One that DynamoDB has no time to look up counts as not done: whoever
    /// takes it finds out.
    pub async fn done_events(&self, events: &[EventKey]) -> Result<HashSet<EventId>, StoreError> {
        if events.is_empty() {
            return Ok(HashSet::new());
        }
        let keys = events.iter().map(|event| event.key().attributes()).collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(incomplete)?;
        let found = self
            .call()
            .batch_get_item()
            .request_items(&*self.sessions, wanted)
            .send()
            .await?;
        let items = found
            .responses
            .into_iter()
            .flat_map(HashMap::into_values)
            .flatten();
        let mut done = HashSet::new();
        for item in items {
            let pk = text(&item, PK).to_owned();
            let receipt: Receipt = value(item)?;
            if receipt.status == ReceiptStatus::Done {
                done.extend(pk.rsplit('#').next().and_then(|event| event.parse().ok()));
            }
        }
        Ok(done)
    }

    /// What is known of an event.
    pub async fn receipt(&self, event: &EventKey) -> Result<Option<Receipt>, StoreError> {
        self.read_expiring(&event.key()).await
    }
}

impl Receipt {
    fn mine(&self) -> Claim {
        Claim::Mine {
            attempts: self.attempts,
            failed_before: self.last_error.is_some(),
        }
    }
}

impl EventKey {
    pub(crate) fn key(&self) -> key::Key {
        key::receipt(self.connected_account.as_ref(), &self.event)
    }
}

pub(crate) fn kept_until(now: Timestamp) -> i64 {
    now.saturating_add(KEPT).unwrap_or(Timestamp::MAX).as_second()
}
