//! The ports of a stack, on 127.0.0.1 only.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::settings::{OutsideStripe, Settings};

/// Every port of a stack, bound before anything runs.
pub(crate) struct Ports {
    pub(crate) api: TcpListener,
    pub(crate) stripe: Place<OutsideStripe>,
    pub(crate) dynamodb: Place<String>,
}

/// Where a part of the stack is.
pub(crate) enum Place<Outside> {
    /// In this process, on a port of its own.
    Here(TcpListener),
    /// Somewhere else.
    Outside(Outside),
}

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("port {port} for {what} cannot be used: {reason}; choose another with {option}, or 0 for a free one")]
pub struct PortError {
    port: u16,
    what: &'static str,
    option: &'static str,
    reason: io::Error,
}

impl Ports {
    pub(crate) async fn bind(settings: &Settings) -> Result<Self, PortError> {
        let api = bind(settings.port, "the API", "--port").await?;
        let stripe = match settings.stripe.clone() {
            Some(outside) => Place::Outside(outside),
            None => Place::Here(bind(settings.stripe_port, "the Stripe stand-in", "--stripe-port").await?),
        };
        let dynamodb = match settings.dynamodb_url.clone() {
            Some(outside) => Place::Outside(outside),
            None => Place::Here(bind(settings.dynamodb_port, "DynamoDB", "--dynamodb-port").await?),
        };
        Ok(Self {
            api,
            stripe,
            dynamodb,
        })
    }
}

/// Where a port is reached.
pub(crate) fn address(port: &TcpListener) -> io::Result<String> {
    port.local_addr().map(|address| format!("http://{address}"))
}

async fn bind(port: u16, what: &'static str, option: &'static str) -> Result<TcpListener, PortError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.map_err(|reason| PortError {
        port,
        what,
        option,
        reason,
    })
}
