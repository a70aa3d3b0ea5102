//! DynamoDB as the billing API uses it: two tables, every key, every condition.
//!
//! `accounts` holds what must outlive everything; `sessions` holds what expires. No index, no scan on a request path. What goes
//! wrong with a database is in its conditions and transactions, so there is no abstraction over it: each method is one call,
//! and its documentation says what makes repeating it safe.
//!
//! Not here: deciding anything; reading the clock.

/// The connection: one HTTP client, short back-offs.
mod client;
/// Every key, spelt once.
mod key;
/// Items to and from [`billing_core`]'s types.
mod item;
/// Reading items and collections.
mod reads;
/// What can go wrong.
mod error;
/// Accounts, their numbers, and whose customer is whose.
mod accounts;
/// Agencies and organisations.
mod holders;
/// What an agency has: clients, agents, connected accounts.
mod agencies;
/// What is sold on connected accounts.
mod sales;
/// The catalog of an organisation.
mod catalog;
/// Their customers, and the one that each of them has at Stripe.
mod buyers;
/// API keys by the hash of their secret.
mod api_keys;
/// Reservations: one payable checkout per account.
mod reservations;
/// Changes of a subscription, before Stripe is asked.
mod changes;
/// Quotes.
mod quotes;
/// Landing what Stripe told.
mod landings;
/// Checkout sessions over plans and contracts.
mod checkout_sessions;
/// Contracts, their ledgers, their histories, and whose they are.
mod contracts;
/// Bills that were let go.
mod let_go;
/// Which events were handled.
mod receipts;
/// Which of them failed.
mod failures;
/// How far Stripe's own list of events was read.
mod cursors;
/// Items that expired.
mod expiries;
/// Replies under an idempotency key.
mod replies;
/// The tables as they are deployed.
mod inspection;

pub use accounts::{CustomerOf, NewAccount};
pub use agencies::AgencyCollection;
pub use catalog::{BuyerWrite, StoredPlan, StoredPrice};
pub use client::{Credentials, Store, StoreConfig, Transport, http_client};
pub use contracts::{SessionWrite, StoredContract};
pub use cursors::{Rotation, StoredCursor};
pub use error::{StoreError, unless_conflict};
pub use expiries::Expired;
pub use failures::Failure;
pub use inspection::TableState;
pub use receipts::{Claim, EventClaim, EventKey, FailedAttempt, Receipt, ReceiptStatus};
pub use replies::{FoundReply, ReplyClaim, ReplyKey};
pub use reservations::NewReservation;
pub use sales::{FoundSale, Listener, SoldBefore, Unfinished};
