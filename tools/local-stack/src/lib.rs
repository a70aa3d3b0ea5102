//! The whole product in one process on this machine: what `cargo local` starts, and what the scenario tests stand on.
//!
//! # How it works
//! A request comes in at the server, is told apart by [`stack`] into the stack's own routes ([`control`]) and the API's, finds
//! its function by the [`routes`] of the [`template`], travels as API Gateway's event, and is answered by the very code that
//! Lambda would run ([`gateway`]). Below the functions are DynamoDB ([`dynamodb`], [`tables`]) and Stripe ([`catalog`]),
//! reached over HTTP like the real ones, and everything reads one clock ([`time`]).
//!
//! What is not here: any of the product's decisions. This crate and the stand-in are for developers and are never deployed.

/// The command line.
pub mod options;
/// How a stack is to be started.
pub mod settings;
/// Everything started in the right order, and ended together.
pub mod stack;

/// From a socket to whole requests.
mod server;
/// The stack's own routes, `/_local`.
pub mod control;
/// API Gateway and Lambda, as far as a request can tell.
pub mod gateway;
/// Which function a request is for.
pub mod routes;
/// A request as API Gateway's event, and the answer to it.
mod event;
/// The list of the product's functions.
pub mod functions;

/// What `template.yaml` says.
pub mod template;
/// The variables that the functions read.
pub mod environment;
/// What the functions run on.
pub mod apps;
/// What the template lets a function do.
pub mod permissions;

/// The embedded DynamoDB.
pub mod dynamodb;
/// The product's tables in any DynamoDB.
pub mod tables;
/// The Stripe of the stack: stand-in or outside.
mod stripe;
/// What is for sale at the stand-in, and where its events go.
pub mod catalog;
/// What runs a function besides a request.
pub mod triggers;
/// The one clock, and what moving it makes happen.
pub mod time;

/// What one start leaves to the next.
pub mod data_dir;
/// Writes it.
mod keeper;
/// Holds requests back meanwhile.
mod gate;
/// Tasks with one end.
mod background;
/// The ports.
mod ports;
/// Plain HTTP to this machine.
pub mod http_client;

/// The demo accounts.
pub mod world;
/// What is printed when everything answers.
pub mod welcome;
/// What `cargo local demo` tells.
pub mod story;

pub use apps::{Apps, Listener};
pub use gateway::{Gateway, Limit};
pub use settings::Settings;
pub use stack::{Stack, StackError};

#[cfg(test)]
mod tests;
