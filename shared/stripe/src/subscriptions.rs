//! Subscriptions, re-read.

use std::collections::HashMap;

use billing_core::id::{AccountId, CustomerId, SubscriptionId};
use billing_core::period::Period;
use billing_core::plan::Interval;
use billing_core::subscription::{Status, Subscription};
use serde::Deserialize;
use stripe_billing::subscription::RetrieveSubscription;
use stripe_client_core::StripeRequest;

use crate::client::Stripe;
use crate::customers::ACCOUNT;
use crate::error::StripeError;
use crate::wire::{Page, Reference, at, id};

/// A subscription with what it takes to find its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedSubscription {
    /// What is stored of it.
    pub subscription: Subscription,
    /// Who pays.
    pub customer: CustomerId,
    /// The account that it was sold to; none for one that was not made by us.
    pub account: Option<AccountId>,
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    customer: Reference,
    status: String,
    items: Page<Item>,
    cancel_at_period_end: bool,
    cancel_at: Option<i64>,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Item {
    price: ItemPrice,
    quantity: Option<u64>,
    current_period_start: i64,
    current_period_end: i64,
}

#[derive(Deserialize)]
struct ItemPrice {
    id: String,
    recurring: Option<Recurring>,
}

#[derive(Deserialize)]
struct Recurring {
    interval: String,
    interval_count: u64,
}

impl TryFrom<Wire> for FetchedSubscription {
    type Error = StripeError;

    fn try_from(wire: Wire) -> Result<Self, StripeError> {
        let unexpected = || StripeError::Unexpected {
            reason: format!("subscription {} has no item", wire.id),
        };
        let item = wire.items.data.first().ok_or_else(unexpected)?;
        let period = Period {
            start: at(item.current_period_start, "the start of a subscription's period")?,
            end: at(item.current_period_end, "the end of a subscription's period")?,
        };
        let interval =
            item.price.recurring.as_ref().and_then(|recurring| {
                Interval::from_recurring(&recurring.interval, recurring.interval_count)
            });
        Ok(Self {
            subscription: Subscription {
                id: id(&wire.id, "a subscription")?,
                status: Status::parse(&wire.status),
                price: id(&item.price.id, "a price")?,
                interval,
                // Metered items have no quantity: they are one subscription to whatever is used.
                quantity: item.quantity.unwrap_or(1),
                period,
                // Stripe's dashboard schedules the same end by its date.
                cancel_at_period_end: wire.cancel_at_period_end
                    || wire.cancel_at == Some(item.current_period_end),
            },
            customer: id(&wire.customer.0, "a customer")?,
            account: wire
                .metadata
                .get(ACCOUNT)
                .and_then(|account| account.parse().ok()),
        })
    }
}

impl Stripe {
    /// A subscription as it is now. Stripe keeps those that are over, so it is there as long as its id is right.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<FetchedSubscription, StripeError> {
        let wire: Wire = self.get(RetrieveSubscription::new(id.as_str()).build()).await?;
        wire.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(cancel_at_period_end: bool, cancel_at: Option<i64>) -> FetchedSubscription {
        let wire = json!({
            "id": "sub_1", "customer": { "id": "cus_1", "object": "customer" }, "status": "active",
            "cancel_at_period_end": cancel_at_period_end, "cancel_at": cancel_at,
            "items": { "data": [{
                "price": { "id": "price_m", "recurring": { "interval": "month", "interval_count": 1 } },
                "quantity": 3, "current_period_start": 1000, "current_period_end": 2000,
            }] },
        });
        serde_json::from_value::<Wire>(wire).unwrap().try_into().unwrap()
    }

    /// By the switch, or, as the dashboard does, by the date of the period's end; another date is another end.
    #[test]
    fn an_end_with_the_period_is_told_in_two_ways() {
        for (switch, date, ends) in [
            (true, None, true),
            (false, Some(2000), true),
            (false, Some(1999), false),
            (false, None, false),
        ] {
            assert_eq!(
                read(switch, date).subscription.cancel_at_period_end,
                ends,
                "{date:?}"
            );
        }
    }
}
