//! The stand-in as a whole: requests, the clock, and what is seen afterwards. Every answer is held to Stripe's description
//! and to async-stripe's types.

mod harness;
mod types;

mod catalog;
mod changes;
mod checkout;
mod clockwork;
mod discounts;
mod errors;
mod idempotency;
mod pending;
mod pricing;
mod properties;
mod refunds;
mod webhooks;
mod worlds;
