//! The whole product in one process on this machine.

mod event;
pub mod routes;
pub mod template;
