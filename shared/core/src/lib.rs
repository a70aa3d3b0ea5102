//! What the billing API knows and decides.
//!
//! Pure: no I/O, no async, no clock, no randomness, no AWS, no Stripe client. `now`, ids and configuration come in as values,
//! decisions go out as enums, and money is exact. Everything else in the project depends on this crate; it depends on nobody.

/// Ids as types: two swapped ids do not compile.
pub mod id;
/// Minor units with a currency that knows its exponent.
pub mod money;
/// How long what Stripe was asked for may be under way, and can be asked for again.
pub mod asked;
/// Exact decimals: quantities, unit amounts, percentages.
pub mod decimal;
/// Periods of time.
pub mod period;
/// When a contract is billed: cadence, anchor, zone.
pub mod calendar;
/// What is for sale: an interval and the Stripe price behind it.
pub mod plan;
/// Who is calling, and what they may do.
pub mod access;
/// Agencies, which sell on connected accounts.
pub mod agency;
/// Organisations, which sell plans.
pub mod organisation;
/// How an account is called and reached.
pub mod contact;
/// An account as it is stored: profile, numbers, subscription, ledger.
pub mod account;
/// A subscription as the account knows it.
pub mod subscription;
/// What a subscription is paid by.
pub mod payer;
/// The ledger of paid periods, and what it covers.
pub mod coverage;
/// Whether the period that a subscription is in was paid for.
pub mod arrears;
/// What was given back of a paid invoice.
pub mod reversal;
/// Where a payer returns to.
pub mod return_url;
/// One payable checkout per account.
pub mod checkout;
/// What a fact from Stripe changes about an account.
pub mod landing;
/// Looking through Stripe's list of events.
pub mod reconcile;
/// A change of a subscription's interval.
pub mod change;
/// Ending a subscription with its period.
pub mod ending;
/// Previewed amounts, and holding a change to them.
pub mod quote;
/// Promotion codes, and whether one applies.
pub mod promotion;
/// Selling on connected accounts.
pub mod connect;
/// What a quantity costs.
pub mod pricing;
/// What a share of a period costs.
pub mod proration;
/// What organisations sell: plans, products, prices.
pub mod catalog;
/// What somebody takes of a plan.
pub mod offer;
/// What a contract's next invoice comes to.
pub mod estimate;
/// An offer, and asking Stripe for what it comes to, once.
pub mod sale;
/// Checkout sessions over plans and contracts.
pub mod session;
/// What a customer has bought of a plan.
pub mod contract;
/// Everything that is wrong with an input, at once.
pub mod invalid;

pub use jiff::{SignedDuration, Timestamp};
