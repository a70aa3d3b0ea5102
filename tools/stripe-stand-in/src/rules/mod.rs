//! What Stripe does: functions of a world, parameters and an instant, which change the world and emit events.
//!
//! Each operation reads all its parameters, refuses what it does not know, and only then writes. Nothing here awaits, reads
//! a clock or knows of HTTP. Modules in the order in which a customer's life meets them:

pub(crate) mod accounts;
pub(crate) mod webhook_endpoints;

pub(crate) mod meters;
pub(crate) mod prices;
pub(crate) mod products;

pub(crate) mod coupons;
pub(crate) mod promotion_codes;
pub(crate) mod redemption;
pub(crate) mod taxes;

pub(crate) mod test_clocks;

pub(crate) mod customers;
pub(crate) mod payment_methods;

pub(crate) mod checkout;
mod checkout_discounts;
mod checkout_taxes;
mod checkout_lines;
pub(crate) mod completion;

pub(crate) mod billing_modes;
mod changes;
mod item_changes;
pub(crate) mod lifecycle;
mod pending_updates;
pub(crate) mod subscription_creation;
pub(crate) mod subscription_items;
pub(crate) mod subscription_updates;
pub(crate) mod subscriptions;

mod phase_terms;
mod phases;
pub(crate) mod schedules;
pub(crate) mod scheduling;

mod billing;
mod discounting;
pub(crate) mod credit_notes;
mod discounts;
pub(crate) mod invoice_items;
pub(crate) mod invoice_page;
pub(crate) mod invoices;
pub(crate) mod preview;
pub(crate) mod invoicing;
mod late_usage;
pub(crate) mod payments;
mod pending;
pub(crate) mod disputes;
pub(crate) mod refunds;

pub(crate) mod due;
pub(crate) mod events;

/// What quantities and shares of periods cost and may cost, when periods end, how lists are cut, how a line is worded.
mod calendar;
mod limits;
mod listing;
mod pricing;
mod proration;
mod wording;

use jiff::Timestamp;
use serde_json::Value;

use crate::refusal::Refusal;
use crate::render::{self, Object};
use crate::state::{Row, Table, World};

/// A world at an instant, and the request that is being worked on in it.
pub(crate) struct Moment<'a> {
    pub(crate) world: &'a mut World,
    /// By the test clock of the customer whom it is about, or else by the stack's clock.
    pub(crate) now: Timestamp,
    /// What the stack's clock shows: events are told of by it.
    pub(crate) told_at: Timestamp,
    /// None when it is the clock that makes something happen.
    pub(crate) cause: Option<&'a Cause>,
}

/// The request that events are put down to.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) request_id: String,
    pub(crate) idempotency_key: Option<String>,
}

impl Moment<'_> {
    /// An object as Stripe would answer it now.
    pub(crate) fn picture(&self, object: &Object) -> Value {
        render::object(self.world, object)
    }
}

/// The row that the path names, or 404.
fn named<'a, T: Row>(table: &'a Table<T>, id: &str, param: &str) -> Result<&'a T, Refusal> {
    table
        .find(id)
        .ok_or_else(|| Refusal::not_found(T::OBJECT, id, param))
}

/// The row that a parameter refers to, or 400.
fn referred<'a, T: Row>(table: &'a Table<T>, id: &str, param: &str) -> Result<&'a T, Refusal> {
    table
        .find(id)
        .ok_or_else(|| Refusal::no_such(T::OBJECT, id, param))
}
