//! The whole product in one process on this machine.

pub mod dynamodb;
mod event;
mod http_client;
pub mod routes;
mod server;
pub mod tables;
pub mod template;
