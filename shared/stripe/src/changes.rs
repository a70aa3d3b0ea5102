//! Writes to a subscription that exists: moving it to another interval, scheduling its end, taking that back.
//!
//! # If it fails half-way
//! Every write repeats under its key, which names the account and what was decided, never the moment.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::change::Change;
use billing_core::id::SubscriptionId;
use billing_core::subscription::{Cancellation, ScheduledEnd, Standing};
use serde::Serialize;
use stripe_billing::subscription::{
    DiscountsDataParam, UpdateSubscription, UpdateSubscriptionCancelAt, UpdateSubscriptionItems,
    UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::client::Stripe;
use crate::error::StripeError;
use crate::subscriptions::{LATEST_INVOICE, SET_ASIDE, Wire};

/// A write to the schedule of a subscription's end.
#[derive(Debug)]
pub struct EndOfSubscription<'a> {
    /// Who asks: the customer itself, and nobody acting in its name.
    pub owner: &'a Owner,
    /// The subscription.
    pub subscription: &'a SubscriptionId,
    /// The profile's version that this write is recorded under: names it, so that cancelling, resuming and cancelling again
    /// are three writes.
    pub version: u64,
}

/// How Stripe is asked to go about the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payment {
    /// What cannot be paid at once waits for its payment, and the subscription stays as it is until then.
    MayWait,
    /// What cannot be paid at once is refused.
    AtOnce,
}

/// A subscription that Stripe was asked to change.
#[derive(Debug)]
pub enum Asked {
    /// As it is by this request.
    Now(Standing),
    /// As it is now: it had been asked for the same before.
    Before(Standing),
}

impl Stripe {
    /// Moves a subscription's item to the price of a change, prorated and invoiced immediately. With [`Payment::MayWait`] the
    /// change waits at Stripe until its invoice is paid, and the subscription is answered as it was, with the change pending.
    /// `_owner` witnesses that nobody is being impersonated. What Stripe has told before under the change's number it tells again, whatever has
    /// become of the subscription since; that is read then.
    pub async fn change_subscription(
        &self,
        _owner: &Owner,
        change: &Change,
        payment: Payment,
    ) -> Result<Asked, StripeError> {
        let (behavior, name) = match payment {
            Payment::MayWait => (UpdateSubscriptionPaymentBehavior::PendingIfIncomplete, "change"),
            Payment::AtOnce => (
                UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete,
                "change-at-once",
            ),
        };
        // Neither `billing_cycle_anchor` (another interval resets it anyway in the classic billing mode; a subscription that others
        // made flexible keeps it, as the preview tells; and Stripe refuses `now` beside a proration date) nor `cancel_at_period_end` (Stripe refuses it in a change that may wait).
        let mut request = UpdateSubscription::new(change.subscription.as_str())
            .items(vec![UpdateSubscriptionItems {
                id: Some(change.item.to_string()),
                price: Some(change.price.to_string()),
                // Left out, it would become 1.
                quantity: Some(change.quantity),
                ..UpdateSubscriptionItems::new()
            }])
            .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
            .payment_behavior(behavior)
            .expand(vec![LATEST_INVOICE.to_owned()]);
        if let Some(at) = change.prorated_from() {
            request = request.proration_date(at.as_second());
        }
        if let Some(code) = &change.promotion_code {
            request = request.discounts(vec![DiscountsDataParam {
                promotion_code: Some(code.to_string()),
                ..DiscountsDataParam::new()
            }]);
        }
        let key = format!("{name}/{}/{}", change.account, change.number);
        let answer = self.answer::<Wire>(request.build(), &key).await?;
        Ok(match answer.is_replayed {
            true => Asked::Before(self.subscription_to_change(&change.subscription).await?.standing),
            false => Asked::Now(answer.says.try_into()?),
        })
    }

    /// Ends a subscription with its current period. An end that an operator has set is kept in its metadata, by the same write.
    pub async fn schedule_end(
        &self,
        end: &EndOfSubscription<'_>,
        instead_of: Option<Timestamp>,
    ) -> Result<Standing, StripeError> {
        let request = UpdateSubscription::new(end.subscription.as_str())
            .cancel_at_period_end(true)
            .proration_behavior(UpdateSubscriptionProrationBehavior::None)
            .metadata(set_aside(instead_of))
            .expand(vec![LATEST_INVOICE.to_owned()]);
        let key = format!("cancel/{}/{}", end.owner.account(), end.version);
        let wire: Wire = self.post(request.build(), &key).await?;
        wire.try_into()
    }

    /// Has a subscription that ends on the date of its period's end end with its period: the same end, and one that a new period does not
    /// end at.
    pub async fn end_with_period(&self, end: &EndOfSubscription<'_>) -> Result<Standing, StripeError> {
        let request = UpdateSubscription::new(end.subscription.as_str())
            .cancel_at_period_end(true)
            .proration_behavior(UpdateSubscriptionProrationBehavior::None)
            .expand(vec![LATEST_INVOICE.to_owned()]);
        let key = format!("cancel/{}/{}", end.owner.account(), end.version);
        let wire: Wire = self.post(request.build(), &key).await?;
        wire.try_into()
    }

    /// Takes a scheduled end back, in favour of what an operator had set before it.
    pub async fn take_end_back(
        &self,
        end: &EndOfSubscription<'_>,
        cancellation: Cancellation,
    ) -> Result<Standing, StripeError> {
        let key = format!("resume/{}/{}", end.owner.account(), end.version);
        self.unschedule(end.subscription, cancellation, &key).await
    }

    /// Takes back the cancellation that a change was to take back, now that it took effect. It was the owner who asked for the
    /// change: this does the rest of it. `version` is the profile's that the write is recorded under, as for any other.
    pub async fn finish_change(
        &self,
        change: &Change,
        version: u64,
        cancellation: Cancellation,
    ) -> Result<Standing, StripeError> {
        let key = format!("resume/{}/{version}/change/{}", change.account, change.number);
        self.unschedule(&change.subscription, cancellation, &key).await
    }

    /// No end that is moved here gives back or charges anything.
    async fn unschedule(
        &self,
        subscription: &SubscriptionId,
        cancellation: Cancellation,
        key: &str,
    ) -> Result<Standing, StripeError> {
        /// async-stripe cannot say "unset".
        #[derive(Serialize)]
        struct NoDate<'a> {
            cancel_at: &'a str,
            proration_behavior: &'a str,
            #[serde(rename = "expand[0]")]
            expand: &'a str,
        }
        let request = match (cancellation.back_to, cancellation.end) {
            (Some(date), _) => UpdateSubscription::new(subscription.as_str())
                .cancel_at(UpdateSubscriptionCancelAt::Timestamp(date.as_second()))
                .proration_behavior(UpdateSubscriptionProrationBehavior::None)
                .metadata(set_aside(None))
                .expand(vec![LATEST_INVOICE.to_owned()])
                .build(),
            (None, ScheduledEnd::WithPeriod) => UpdateSubscription::new(subscription.as_str())
                .cancel_at_period_end(false)
                .proration_behavior(UpdateSubscriptionProrationBehavior::None)
                .expand(vec![LATEST_INVOICE.to_owned()])
                .build(),
            (None, ScheduledEnd::OnDate(_)) => {
                let path = format!("/subscriptions/{subscription}");
                RequestBuilder::new(StripeMethod::Post, path).form(&NoDate {
                    cancel_at: "",
                    proration_behavior: "none",
                    expand: LATEST_INVOICE,
                })
            }
        };
        let wire: Wire = self.post(request, key).await?;
        wire.try_into()
    }
}

/// Metadata with the end that a cancellation takes the place of; without one, what was kept before is dropped.
fn set_aside(end: Option<Timestamp>) -> HashMap<String, String> {
    let end = end.map_or_else(String::new, |end| end.as_second().to_string());
    HashMap::from([(SET_ASIDE.to_owned(), end)])
}
