//! Writes what a stack is to leave to the next start.

use stripe_stand_in::Clock;

use crate::data_dir::{DataDir, Kept, KeptStandIn};
use crate::dynamodb::Embedded;
use crate::stack::StackError;
use crate::stripe::EquippedStandIn;
use crate::world::Names;

/// What is kept, and where.
pub(crate) struct Keeper {
    pub(crate) data: DataDir,
    pub(crate) clock: Clock,
    pub(crate) names: Names,
    /// None when DynamoDB is outside, and keeps itself.
    pub(crate) database: Option<Embedded>,
    /// None when Stripe is outside, and keeps itself.
    pub(crate) stand_in: Option<EquippedStandIn>,
}

impl Keeper {
    /// Writes everything as it is now.
    pub(crate) fn save(&self) -> Result<(), StackError> {
        let stand_in = match &self.stand_in {
            Some(it) => Some(KeptStandIn {
                prices: it.prices.clone(),
                endpoint: it.endpoint.clone(),
                connected: Some(it.connected.clone()),
                snapshot: it.server.snapshot()?,
            }),
            None => None,
        };
        let kept = Kept::new(&self.clock, self.names.clone(), stand_in);
        let database = self.database.as_ref();
        Ok(self.data.save(
            &kept,
            database.map(|database| |file: &std::path::Path| database.save(file)),
        )?)
    }
}
