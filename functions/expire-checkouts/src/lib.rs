//! `expire-checkouts`: what has expired is settled with Stripe. Fed by the stream of what DynamoDB deleted from `sessions`.
//!
//! # How it works
//! Reconcile before expiring: the item is gone, but its checkout session may have been paid after all. So Stripe is asked; one that
//! is still open is made unpayable, and what became of it lands as if its event had come. Several records come at once, and each
//! is settled for itself.
//!
//! # If it fails half-way
//! What failed is told by its sequence number, and Lambda delivers the batch again from there; everything here may be repeated. After the last
//! try the records go to the dead-letter queue, from where they can be fed in again.

/// The reservation of an account's checkout.
mod reservation;
/// The time of a checkout session over plans and contracts.
mod session;

use std::time::Duration;

use billing_edge::{Call, Function, Problem, Reply};
use billing_store::Expired;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What settling one record may take: two calls to Stripe, a few to DynamoDB.
const ENOUGH: Duration = Duration::from_secs(2);

/// This Lambda.
pub const FUNCTION: Function = Function::on_event("expire-checkouts", |call| Box::pin(expire(call)));

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    sequence_number: String,
    /// The item as it was.
    #[serde(default)]
    old_image: Value,
}

/// What Lambda is told: which records are to be delivered again.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: Vec<Failed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    item_identifier: String,
}

async fn expire(call: &Call<'_>) -> Result<Reply, Problem> {
    let batch: Batch = call.event()?;
    let mut answer = Answer::default();
    for Record { dynamodb: change } in batch.records {
        let settled = if call.has(ENOUGH) {
            settle(call, &change.old_image).await
        } else {
            Err(Problem::unavailable("no time is left"))
        };
        if let Err(problem) = settled {
            let (sequence, logged) = (&change.sequence_number, &problem.logged);
            tracing::error!(%sequence, logged, "an expired item could not be settled");
            call.count("ExpiryFailures", 1);
            answer.batch_item_failures.push(Failed {
                item_identifier: change.sequence_number,
            });
        }
    }
    Ok(Reply::ok(&answer))
}

async fn settle(call: &Call<'_>, image: &Value) -> Result<(), Problem> {
    match Expired::read(image)? {
        Expired::Reservation(reservation) => reservation::settle(&call.piece().await?, &reservation).await,
        Expired::Deadline(deadline) => session::settle(&call.piece().await?, &deadline).await,
        // The stream's filter lets nothing else through.
        Expired::Other(key) => {
            tracing::warn!(%key, "nothing is done when this expires");
            Ok(())
        }
    }
}
