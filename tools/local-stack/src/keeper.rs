//! Writes what a stack is to leave to the next start.

use stripe_stand_in::{Clock, StandInError};

use crate::data_dir::{DataDir, DataDirError, Kept, KeptStandIn};
use crate::dynamodb::Embedded;
use crate::gate::Gate;
use crate::stripe::EquippedStandIn;
use crate::time::Time;
use crate::world::Names;

/// What is kept, and where.
pub(crate) struct Keeper {
    pub(crate) data: DataDir,
    pub(crate) clock: Clock,
    pub(crate) names: Names,
    /// None when DynamoDB is outside, and keeps itself.
    pub(crate) database: Option<Embedded>,
    pub(crate) stand_in: Keepsake,
    /// What the requests go through that change DynamoDB and Stripe.
    pub(crate) gate: Gate,
}

/// The stand-in that is kept.
pub(crate) enum Keepsake {
    /// The one that runs.
    Present(Box<EquippedStandIn>),
    /// That of an earlier start, if there was one: this time Stripe is outside, and keeps itself.
    Past(Option<Box<KeptStandIn>>),
}

impl Keeper {
    /// Writes everything as it is once nothing is under way.
    pub(crate) async fn save_in_quiet(&self, time: &Time) -> Result<(), DataDirError> {
        let _still = time.still().await;
        self.gate.close_for(async { self.save() }).await
    }

    /// Writes everything as it is now. DynamoDB comes first: when something is under way all the same, the stand-in knows more
    /// than DynamoDB does, never less, and is what Stripe would be after a function that was ended half-way.
    pub(crate) fn save(&self) -> Result<(), DataDirError> {
        let database = self.database.as_ref();
        self.data.save(
            database.map(|database| |file: &std::path::Path| database.save(file)),
            || Ok::<_, StandInError>(Kept::new(&self.clock, self.names.clone(), self.stand_in.kept()?)),
        )
    }
}

impl Keepsake {
    fn kept(&self) -> Result<Option<KeptStandIn>, StandInError> {
        match self {
            Self::Present(it) => Ok(Some(KeptStandIn {
                prices: it.prices.clone(),
                endpoint: it.endpoint.clone(),
                connected: Some(it.connected.clone()),
                snapshot: it.server.snapshot()?,
            })),
            Self::Past(kept) => Ok(kept.as_deref().cloned()),
        }
    }
}
