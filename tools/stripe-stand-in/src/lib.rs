//! A Stripe to develop and test against: stateful, deterministic, on one clock, without network.
//!
//! [`StandIn`] is the handle: serve it on a loopback port, let it deliver signed webhooks, move its clock. The code is in layers,
//! each knowing only those below it:
//!
//! * `stand_in`, `server`, `test_routes`, `page`, `seed`: HTTP, locks, waiting, and what tests ask for
//! * `api`, `router`, `walk`, `deliveries`: one request, one step of the clock, one event on its way
//! * `rules`: what Stripe does, as functions of a world, parameters and an instant
//! * `render`, `params`, `form`, `refusal`: Stripe's JSON, forms and errors
//! * `state`, `id`: what there is
//!
//! It is a developer tool. It moves no money, proves nothing about Stripe, and must not be reachable from outside the machine.

// Stripe's objects have up to a hundred members, and `json!` recurses once for each.
#![recursion_limit = "512"]

mod api;
mod clock;
mod control;
mod courier;
mod deliveries;
mod faults;
mod form;
mod id;
mod newer_shape;
mod page;
mod params;
mod refusal;
mod render;
mod router;
mod rules;
mod seed;
mod server;
mod snapshot;
mod stand_in;
mod state;
mod test_routes;
mod walk;
mod witness;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use clock::Clock;
pub use faults::{Fault, FaultKind};
pub use newer_shape::NewerShape;
pub use rules::completion::{Completion, Later, Payment};
pub use rules::disputes::NewDispute;
pub use rules::invoice_page::InvoiceAct;
pub use seed::{Seed, SeedError, SeedStep};
pub use stand_in::{Config, DeliveryOutcome, RequestRecord, StandIn, StandInError};
pub use state::{AfterLastRetry, CaseType, NewPeriodStart, Settings};
pub use witness::{Exchange, Witness};

#[cfg(test)]
mod tests;
