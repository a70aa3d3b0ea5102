//! The Stripe of a stack: the stand-in, set up to be used, or an outside one that is taken as it is.

use std::sync::Arc;

use billing_edge::key::random;
use serde::{Deserialize, Serialize};
use stripe_stand_in::{Clock, StandIn, Witness};
use tokio::net::TcpListener;

use crate::background::Background;
use crate::catalog::{Catalog, CatalogError, Endpoint, Prices, Showcase};
use crate::data_dir::KeptStandIn;
use crate::ports::{Place, address};
use crate::settings::OutsideStripe;
use crate::stack::StackError;

/// The stand-in's secret key. Everybody may know it: nothing behind it is real.
const STAND_IN_KEY: &str = "sk_test_local";

/// A Stripe that is ready to be used.
pub(crate) struct Stripe {
    pub(crate) address: String,
    pub(crate) key: String,
    pub(crate) webhook_secrets: String,
    pub(crate) prices: Prices,
    /// None when it is outside.
    pub(crate) stand_in: Option<EquippedStandIn>,
}

/// The stand-in, with what was made in it.
pub(crate) struct EquippedStandIn {
    pub(crate) server: StandIn,
    pub(crate) prices: Prices,
    pub(crate) endpoint: Endpoint,
    pub(crate) connected: Connected,
}

/// What was made in the stand-in for connected accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connected {
    /// A connected account with something for sale.
    pub showcase: Showcase,
    /// Where the events of connected accounts go.
    pub endpoint: Endpoint,
}

/// What a stand-in is made to fit into.
pub(crate) struct Surroundings<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) witness: Option<Arc<dyn Witness>>,
    /// Where its events go.
    pub(crate) api: &'a str,
    /// As it was left.
    pub(crate) kept: Option<KeptStandIn>,
    /// Whether DynamoDB may remember customers and events that no stand-in knows any more: those of one that is gone, or those
    /// that came after what was kept.
    pub(crate) outlived: bool,
}

impl Stripe {
    /// The outside one, or the stand-in on its port.
    pub(crate) async fn start(
        place: Place<OutsideStripe>,
        surroundings: Surroundings<'_>,
        background: &mut Background,
    ) -> Result<Self, StackError> {
        match place {
            Place::Here(port) => Self::stand_in(port, surroundings, background).await,
            Place::Outside(OutsideStripe {
                url,
                key,
                webhook_secrets,
                prices,
            }) => Ok(Self {
                address: url,
                key,
                webhook_secrets,
                prices,
                stand_in: None,
            }),
        }
    }

    async fn stand_in(
        port: TcpListener,
        surroundings: Surroundings<'_>,
        background: &mut Background,
    ) -> Result<Self, StackError> {
        let Surroundings {
            clock,
            witness,
            api,
            kept,
            outlived,
        } = surroundings;
        let address = address(&port)?;
        let server = StandIn::new(stripe_stand_in::Config {
            clock: clock.clone(),
            witness,
        });
        if let Some(kept) = &kept {
            server.restore(kept.snapshot.clone())?;
        }
        if outlived {
            // The answers that were kept for idempotency keys stay: what they speak of was kept with them.
            server.salt_ids(&hex::encode(random::<8>()?));
        }
        background.spawn(serve(server.clone(), port, background.end()));
        let catalog = Catalog {
            url: &address,
            key: STAND_IN_KEY,
            account: None,
        };
        let webhook = format!("{api}/stripe/webhook");
        let (prices, endpoint, connected) = match kept {
            Some(KeptStandIn {
                prices,
                endpoint,
                connected,
                ..
            }) => {
                catalog.move_endpoint(&endpoint, &webhook).await?;
                let connected = match connected {
                    Some(connected) => {
                        catalog.move_endpoint(&connected.endpoint, &webhook).await?;
                        connected
                    }
                    // Kept by a stack that knew no connected accounts.
                    None => Connected::create(&catalog, &webhook).await?,
                };
                (prices, endpoint, connected)
            }
            None => {
                catalog.create_promotion_code().await?;
                let connected = Connected::create(&catalog, &webhook).await?;
                let made = (
                    catalog.create_prices().await?,
                    catalog.create_endpoint(&webhook, false).await?,
                    connected,
                );
                // Without these the stack would be of no use after a reset.
                server.set_baseline();
                made
            }
        };
        Ok(Self {
            address,
            key: STAND_IN_KEY.to_owned(),
            webhook_secrets: format!("{},{}", endpoint.secret, connected.endpoint.secret),
            prices: prices.clone(),
            stand_in: Some(EquippedStandIn {
                server,
                prices,
                endpoint,
                connected,
            }),
        })
    }
}

impl Connected {
    async fn create(catalog: &Catalog<'_>, webhook: &str) -> Result<Self, CatalogError> {
        Ok(Self {
            showcase: catalog.create_showcase().await?,
            endpoint: catalog.create_endpoint(webhook, true).await?,
        })
    }
}

async fn serve(stand_in: StandIn, port: TcpListener, end: impl Future<Output = ()>) {
    tokio::select! {
        () = end => {}
        _ = stand_in.serve(port) => {}
    }
}
