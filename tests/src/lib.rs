//! The scenario language: a world with a clock, accounts that act in it, Stripe's side of it, and a network that fails on order.
//!
//! Scenarios enter the product through real HTTP events, move the one clock of the stack, and assert on answers, on the ledger
//! and on what Stripe has; never on which calls were made, where their number is not itself what is promised. Nothing sleeps but a network that is late or slow on order.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario whose world breaks has failed, and says where"
)]

/// The whole stack at an instant, and more machines beside the first.
mod world;
/// An account and what it does.
mod account;
/// An agency and what it does.
mod agency;
/// An organisation that sells plans, and what it does.
mod organisation;
/// What it asks.
mod asked;
/// What it is answered.
mod answer;
/// Stripe's side.
mod stripe;
/// A copy of what is stored, and putting it back.
mod backup;
/// What happens there after a sale.
mod after_sales;
/// A machine of its own, which can die.
mod machine;
/// An administrator, whose machine can die as well.
mod administrator;
/// The network between a machine and the world, which can fail.
mod network;
/// Something at each step of a deed in turn.
mod steps;
/// Machines that take turns on it.
mod turns;
/// How things go wrong on it, and how far.
mod outage;
/// An answer on its way through it.
mod passed;
/// What the functions log, searched.
pub mod log;
/// What they count, watched.
mod metrics;
/// What they ask Stripe by, listed.
mod keys;
/// A Stripe of paper.
mod paper_stripe;
/// What the project's own files say.
pub mod project;

pub use account::Account;
pub use administrator::Administrator;
pub use agency::Agency;
pub use answer::Answer;
pub use backup::Backup;
pub use local_stack::Limit;
pub use machine::Machine;
pub use network::{Moment, Network};
pub use organisation::Organisation;
pub use outage::{Outage, Reach};
pub use paper_stripe::stripe_of;
pub use steps::{Death, Held, at_every_death, at_every_step};
pub use stripe::{Stripe, id_of, path_of};
pub use turns::Turns;
pub use world::World;
