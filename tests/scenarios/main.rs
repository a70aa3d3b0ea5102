//! What the product promises, told as scenarios. A file per topic, one binary, because each binary costs a link.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// The main job: subscribe, pay, be covered.
mod main_job;
/// Every refusal of the checkout.
mod refusals;
/// Bad input of every kind.
mod bad_input;
/// Several checkouts of one account.
mod checkouts;
/// A machine that dies after any single step, and answers that are lost.
mod crashes;
/// Events: twice, late, early, out of order.
mod events;
/// The same request under the same Idempotency-Key.
mod idempotency;
/// The store's conditions, each against the race that it closes.
mod conditions;
