//! What is left of a change of the interval, for whoever learns first what became of it: the call that asked, or the webhook.
//!
//! # If it fails half-way
//! Taking a cancellation back is said before it is done, under the profile's version, and repeats under a later one. The record of
//! the change stays until it is done. Whoever cancels meanwhile waits for that: what was cancelled last stays cancelled.

use billing_core::account::Profile;
use billing_core::asked;
use billing_core::change::{Change, Fate, fate};
use billing_core::id::InvoiceId;
use billing_core::landing::ChangeStep;
use billing_core::subscription::Standing;
use billing_store::unless_conflict;
use billing_stripe::StripeError;

use crate::call::Call;
use crate::problem::Problem;

/// A change after what was left of it is done.
#[derive(Debug)]
pub struct Finished {
    /// The profile as it is now.
    pub profile: Profile,
    /// The subscription as it is now.
    pub standing: Standing,
    /// What is to be written down about the change.
    pub step: Option<ChangeStep>,
}

impl Call<'_> {
    /// Does what is left of a change by what Stripe says of the subscription, which was read after the profile. None when somebody
    /// else wrote first: the change may have less to do by then.
    pub async fn finish_change(
        &self,
        profile: &Profile,
        change: &Change,
        standing: Standing,
    ) -> Result<Option<Finished>, Problem> {
        if change.invoice.is_none() && change.differs_from_quote(&standing) {
            let (account, number) = (&change.account, change.number);
            tracing::error!(%account, number, "the invoice of a change is not what was quoted");
            self.count("QuoteMismatches", 1);
        }
        let step = match (fate(change, &standing, self.now), standing.cancellation(self.now)) {
            (Fate::TookEffect, Some(cancellation)) => {
                let begun = self.store.begin_finish(profile, change, self.now).await;
                let Some(profile) = unless_conflict(begun)? else {
                    return Ok(None);
                };
                let stripe = self.stripe().await?;
                let standing = match stripe.finish_change(change, profile.version, cancellation).await {
                    Ok(standing) => standing,
                    // Stripe keeps a failure under this version; the next attempt has another.
                    Err(StripeError::Spent { .. }) => return Ok(None),
                    // It may have been ended or given to a schedule since it was read.
                    Err(error @ StripeError::Refused(_)) => {
                        let standing = stripe.subscription(&change.subscription).await?.standing;
                        if fate(change, &standing, self.now) == Fate::TookEffect {
                            return Err(error.into());
                        }
                        standing
                    }
                    Err(error) => return Err(error.into()),
                };
                return Ok(Some(Finished {
                    profile,
                    standing,
                    step: Some(ChangeStep::Over),
                }));
            }
            (Fate::Over, _) if !change.took_effect(&standing) => Some(self.drop_change(change).await?),
            (Fate::TookEffect | Fate::Over, _) => Some(ChangeStep::Over),
            (Fate::Waits(invoice), _) => Some(ChangeStep::Waits(invoice)),
            (Fate::Resumed, _) => Some(ChangeStep::Resumed),
            (Fate::Open, _) => None,
        };
        Ok(Some(Finished {
            profile: profile.clone(),
            standing,
            step,
        }))
    }

    /// What is left to do of a change that came to nothing: Stripe makes its bill void, but one that somebody has given up perhaps not. Where whoever
    /// asked for it died before the bill was known, and no event told of it while it waited, it is looked for.
    async fn drop_change(&self, change: &Change) -> Result<ChangeStep, Problem> {
        let bill = match &change.invoice {
            Some(bill) => Some(bill.clone()),
            None => {
                let since = asked::earliest(change.asked_at);
                let bills = self.stripe().await?.bills_since(&change.subscription, since);
                change.bill_among(&bills.await?)
            }
        };
        Ok(match bill {
            Some(bill) if self.was_given_up(&bill).await? => ChangeStep::Dropped { bill, at: self.now },
            _ => ChangeStep::Over,
        })
    }

    /// Whether somebody has given a bill up that is not void: it can be paid, or was.
    pub(crate) async fn was_given_up(&self, bill: &InvoiceId) -> Result<bool, Problem> {
        match self.stripe().await?.invoice(bill).await {
            // Somebody erased Stripe's test data.
            Err(StripeError::Refused(refusal)) if refusal.is_not_found() => Ok(false),
            found => Ok(found?.was_given_up),
        }
    }
}
