//! What is left of a change of the interval, for whoever learns first what became of it: the call that asked, or the webhook.
//!
//! # If it fails half-way
//! Taking a cancellation back repeats under the change's number, and the record of the change stays until it is done.

use billing_core::change::{Change, Fate, fate};
use billing_core::landing::ChangeStep;
use billing_core::subscription::Standing;

use crate::call::Call;
use crate::problem::Problem;

impl Call<'_> {
    /// Does what is left of a change by what Stripe says of the subscription. Answers the subscription as it is then, and what is
    /// to be written down about the change.
    pub async fn finish_change(
        &self,
        change: &Change,
        standing: Standing,
    ) -> Result<(Standing, Option<ChangeStep>), Problem> {
        if change.invoice.is_none() && change.differs_from_quote(&standing) {
            let (account, number) = (&change.account, change.number);
            tracing::error!(%account, number, "the invoice of a change is not what was quoted");
            self.count("QuoteMismatches", 1);
        }
        Ok(match (fate(change, &standing, self.now), standing.end) {
            (Fate::TookEffect, Some(end)) => {
                let standing = self.stripe().await?.finish_change(change, end).await?;
                (standing, Some(ChangeStep::Over))
            }
            (Fate::TookEffect | Fate::Over, _) => (standing, Some(ChangeStep::Over)),
            (Fate::Waits(invoice), _) => (standing, Some(ChangeStep::Waits(invoice))),
            (Fate::Open, _) => (standing, None),
        })
    }
}
