//! The stand-in as a whole: requests, the clock, and what is seen afterwards. Every answer is held to Stripe's description
//! and to async-stripe's types.

mod harness;
mod types;

mod billing_modes;
mod catalog;
mod changes;
mod checkout;
mod clockwork;
mod coupons;
mod discounts;
mod discounts_over_changes;
mod disputes;
mod ends;
mod errors;
mod first_periods;
mod idempotency;
mod limits;
mod operations;
mod pauses;
mod pending;
mod pending_payers;
mod pricing;
mod properties;
mod refunds;
mod rounding;
mod schedule_calls;
mod schedules;
/// Each of the possible worlds.
mod settings;
mod taxes;
mod test_clocks;
mod webhooks;
mod worlds;
