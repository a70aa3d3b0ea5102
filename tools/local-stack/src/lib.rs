//! The whole product in one process on this machine: what `cargo local` starts, and what the scenario tests stand on.
//!
//! # How it works
//! A request comes in at [`server`](mod@server), is told apart by [`stack`] into the stack's own routes ([`control`]) and the
//! API's, finds its function by the [`routes`] of the [`template`], travels as API Gateway's [`event`](mod@event), and is
//! answered by the very code that Lambda would run ([`gateway`]). Below the functions are DynamoDB ([`dynamodb`],
//! [`tables`]) and Stripe ([`catalog`]), reached over HTTP like the real ones, and everything reads one clock ([`time`]).
//!
//! What is not here: any of the product's decisions. This crate and the stand-in are for developers and are never deployed.

mod background;
pub mod catalog;
pub mod control;
pub mod data_dir;
pub mod dynamodb;
pub mod environment;
mod event;
pub mod functions;
pub mod gateway;
pub mod http_client;
mod keeper;
pub mod options;
mod ports;
pub mod routes;
mod server;
pub mod settings;
pub mod stack;
pub mod story;
mod stripe;
pub mod tables;
pub mod template;
pub mod time;
pub mod welcome;
pub mod world;

pub use gateway::Gateway;
pub use settings::Settings;
pub use stack::{Stack, StackError};

#[cfg(test)]
mod tests;
