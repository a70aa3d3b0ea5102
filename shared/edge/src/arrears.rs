//! Whether the period that a subscription is in was paid for: its latest bill tells, and where it does not, those of the period are read, and
//! those before where something went back of one that a change has taken along.

use billing_core::Timestamp;
use billing_core::arrears::{BilledPeriod, TimeBill, Verdict};
use billing_core::id::SubscriptionId;

use crate::call::Call;
use crate::problem::Problem;

impl Call<'_> {
    /// Whether nobody has paid for the period that a subscription is in, although it costs something.
    pub async fn is_owed(
        &self,
        subscription: &SubscriptionId,
        billed: &BilledPeriod<'_>,
        latest: Option<&TimeBill>,
    ) -> Result<bool, Problem> {
        match billed.by_latest(latest) {
            Verdict::Paid => Ok(false),
            Verdict::Owed => Ok(true),
            Verdict::Unclear => {
                let bills = self.bills(subscription, billed).await?;
                Ok(billed.is_owed(&bills))
            }
        }
    }

    /// Whether a change would give back more than is left of what was paid for the period, of which something went back already. The credit is
    /// in minor units.
    pub async fn is_overdrawn(
        &self,
        subscription: &SubscriptionId,
        billed: &BilledPeriod<'_>,
        credit: i64,
    ) -> Result<bool, Problem> {
        if credit <= 0 || billed.given_back_in_part.is_empty() {
            return Ok(false);
        }
        let bills = self.bills(subscription, billed).await?;
        Ok(billed.is_overdrawn_by(credit, &bills))
    }

    /// The bills of the period, newest first; with all before them where it stands on those.
    async fn bills(
        &self,
        subscription: &SubscriptionId,
        billed: &BilledPeriod<'_>,
    ) -> Result<Vec<TimeBill>, Problem> {
        let stripe = self.stripe().await?;
        let bills = stripe.bills_since(subscription, billed.since()).await?;
        if !billed.stands_on_earlier(&bills) {
            return Ok(bills);
        }
        Ok(stripe.bills_since(subscription, Timestamp::UNIX_EPOCH).await?)
    }
}
