//! Ending a subscription with its period and taking that back: one frame for both, as they differ in what is wished for alone.
//!
//! # How it works
//! The subscription is re-read at Stripe, and [`billing_core::ending`] says what there is to do. A write is counted in the profile
//! first, whose version makes Stripe's idempotency key, so that cancelling, resuming and cancelling again are three writes however
//! late their events are.
//!
//! # If it fails half-way
//! Asking again finds out at Stripe what took effect.

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::account::Profile;
use billing_core::change::{Change, Fate, fate};
use billing_core::ending::{self, Next, Unendable, Wish};
use billing_core::id::SubscriptionId;
use billing_core::landing::{ChangeStep, Landing};
use billing_core::subscription::Standing;
use billing_store::unless_conflict;
use billing_stripe::{EndOfSubscription, StripeError};
use serde::Serialize;

use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    cancel_at_period_end: bool,
    period_end: Timestamp,
}

impl Call<'_> {
    /// Has the end of the owner's subscription be as was wished for, and tells it.
    pub async fn set_end(&self, owner: &Owner, wish: Wish) -> Result<Reply, Problem> {
        let mut rounds = self.rounds();
        let mut refused = None;
        loop {
            if let Some(standing) = self.try_to_set_end(owner, wish, &mut refused).await? {
                return Ok(Reply::ok(&Answer {
                    // Cancelled, it ends with its period at the latest: an operator may have it end sooner.
                    cancel_at_period_end: wish == Wish::Cancel || standing.subscription.cancel_at_period_end,
                    period_end: standing.subscription.period.end,
                }));
            }
            rounds.lost().await?;
        }
    }

    /// One attempt on fresh facts; none when they have moved since. `refused` is what Stripe said of an earlier one.
    async fn try_to_set_end(
        &self,
        owner: &Owner,
        wish: Wish,
        refused: &mut Option<StripeError>,
    ) -> Result<Option<Standing>, Problem> {
        let account = self.account(owner.account()).await?;
        let stored = account.live_subscription();
        let stored = stored.ok_or_else(|| refuse(Unendable::NoSubscription))?;
        let standing = self.reread(&stored.id, None).await?.standing;
        let change = account.profile.change.as_ref();
        let next = ending::next(wish, change, &standing, self.now).map_err(refuse)?;
        match next {
            Next::Done => return Ok(Some(standing)),
            Next::Wait => return Ok(None),
            Next::Keep | Next::Schedule(_) | Next::TakeBack(_) => {}
        }
        // Cancelled, no change that is under way takes that back from here on.
        let begun = self.store.begin_end(&account.profile, wish).await;
        let Some(profile) = unless_conflict(begun)? else {
            return Ok(None);
        };
        let end = EndOfSubscription {
            owner,
            subscription: &stored.id,
            version: profile.version,
        };
        let stripe = self.stripe().await?;
        let written = match next {
            Next::Schedule(instead_of) => stripe.schedule_end(&end, instead_of).await,
            Next::TakeBack(cancellation) => stripe.take_end_back(&end, cancellation).await,
            Next::Done | Next::Wait | Next::Keep => return Ok(Some(standing)),
        };
        let standing = match written {
            Ok(standing) => standing,
            // Stripe keeps a failure under this version; the next attempt has another.
            Err(StripeError::Spent { .. }) => return Ok(None),
            // It may have been ended or given to a schedule since it was read: once more, and if so it says so.
            Err(error @ StripeError::Refused(_)) if refused.is_none() => {
                *refused = Some(error);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.land_end(&profile, &standing).await?;
        Ok(Some(standing))
    }

    /// Has a subscription that ends on the date of its period's end end with its period, before it is changed. Whether it took effect
    /// is to be read at Stripe: somebody may have written first.
    pub async fn end_with_period(
        &self,
        owner: &Owner,
        profile: &Profile,
        subscription: &SubscriptionId,
    ) -> Result<(), Problem> {
        let begun = self.store.begin_end(profile, Wish::Cancel).await;
        let Some(profile) = unless_conflict(begun)? else {
            return Ok(());
        };
        let end = EndOfSubscription {
            owner,
            subscription,
            version: profile.version,
        };
        match self.stripe().await?.end_with_period(&end).await {
            Ok(standing) => self.land_end(&profile, &standing).await,
            // It may have been ended or given to a schedule since, and if so it says so.
            Err(StripeError::Spent { .. } | StripeError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whoever wrote in between has read Stripe since.
    async fn land_end(&self, profile: &Profile, standing: &Standing) -> Result<(), Problem> {
        let resumed = |change: &&Change| fate(change, standing, self.now) == Fate::Resumed;
        let landing = Landing {
            subscription: Some(standing.subscription.clone()),
            change: profile
                .change
                .as_ref()
                .filter(resumed)
                .map(|_| ChangeStep::Resumed),
            ..Landing::default()
        };
        unless_conflict(self.store.land(profile, &landing).await)?;
        Ok(())
    }
}

fn refuse(unendable: Unendable) -> Problem {
    match unendable {
        Unendable::NoSubscription | Unendable::Incomplete => Problem::bad_request(unendable.to_string()),
        Unendable::Scheduled => Problem::conflict(unendable.to_string()),
    }
}
