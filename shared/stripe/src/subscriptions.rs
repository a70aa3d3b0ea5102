//! Subscriptions, re-read.

use std::collections::HashMap;

use billing_core::id::{AccountId, CustomerId, PromotionCodeId, SubscriptionId};
use billing_core::plan::Interval;
use billing_core::subscription::{ScheduledEnd, Standing, Status, Subscription};
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::subscription::{ListSubscription, RetrieveSubscription};
use stripe_client_core::StripeRequest;

use crate::bills::WireInvoice;
use crate::client::Stripe;
use crate::customers::ACCOUNT;
use crate::error::{StripeError, unless_missing};
use crate::pages::Page;
use crate::payers::{Customer, Method, PAYERS};
use crate::wire::{Reference, at, collection, currency, id, period};

/// What is expanded wherever a subscription is answered.
pub(crate) const LATEST_INVOICE: &str = "latest_invoice";

/// What is expanded besides where a subscription is read.
const DISCOUNTS: &str = "discounts";

/// The metadata member in which a cancellation keeps the end that an operator had set: unix seconds.
pub(crate) const SET_ASIDE: &str = "end_set_aside";

/// A subscription with what it takes to find its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedSubscription {
    /// As Stripe has it.
    pub standing: Standing,
    /// The account that it was sold to; none for one that was not made by us.
    pub account: Option<AccountId>,
}

#[derive(Deserialize)]
pub(crate) struct Wire {
    id: String,
    customer: Customer,
    status: String,
    currency: String,
    items: Page<Item>,
    cancel_at_period_end: bool,
    cancel_at: Option<i64>,
    #[serde(default)]
    billing_cycle_anchor: Option<i64>,
    schedule: Option<IgnoredAny>,
    pending_update: Option<IgnoredAny>,
    #[serde(default)]
    collection_method: Option<String>,
    #[serde(default)]
    pause_collection: Option<IgnoredAny>,
    #[serde(default)]
    default_payment_method: Option<Method>,
    #[serde(default)]
    default_source: Option<Method>,
    latest_invoice: Option<WireInvoice>,
    #[serde(default)]
    discounts: Vec<Discount>,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

/// A subscription in a list.
#[derive(Deserialize)]
struct Listed {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct Item {
    id: String,
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

/// An id where it was not expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Discount {
    Whole { promotion_code: Option<Reference> },
    Id(IgnoredAny),
}

impl Discount {
    fn code(&self) -> Option<Result<PromotionCodeId, StripeError>> {
        match self {
            Self::Whole { promotion_code } => {
                let code = promotion_code.as_ref()?;
                Some(id(&code.0, "a promotion code"))
            }
            Self::Id(_) => None,
        }
    }
}

impl TryFrom<Wire> for Standing {
    type Error = StripeError;

    fn try_from(wire: Wire) -> Result<Self, StripeError> {
        let unexpected = || StripeError::Unexpected {
            reason: format!("subscription {} has no item", wire.id),
        };
        let item = wire.items.data.first().ok_or_else(unexpected)?;
        let period = period(item.current_period_start, item.current_period_end)?;
        let interval =
            item.price.recurring.as_ref().and_then(|recurring| {
                Interval::from_recurring(&recurring.interval, recurring.interval_count)
            });
        let status = Status::parse(&wire.status);
        // Every date within the period is its end at Stripe, and what later ones would be counted from: it is the period's own where that
        // is a whole one, or ends where it was counted to before it began, or is a trial.
        let anchor = wire
            .billing_cycle_anchor
            .map(|anchor| at(anchor, "the anchor of a subscription"));
        let earlier = anchor.transpose()?.filter(|anchor| *anchor <= period.start);
        let counted = interval.is_some_and(|interval| {
            let mut anchors = [Some(period.start), earlier].into_iter().flatten();
            anchors.any(|anchor| interval.period_end(anchor, period.start) == Some(period.end))
        });
        let is_own_end = counted || status == Status::Trialing;
        let subscription = Subscription {
            id: id(&wire.id, "a subscription")?,
            status,
            price: id(&item.price.id, "a price")?,
            interval,
            // Metered items have no quantity: they are one subscription to whatever is used.
            quantity: item.quantity.unwrap_or(1),
            period,
            // Stripe's portal schedules the same end by its date.
            cancel_at_period_end: wire.cancel_at_period_end
                || (wire.cancel_at == Some(item.current_period_end) && is_own_end),
        };
        Ok(Self {
            subscription,
            customer: id(&wire.customer.id, "a customer")?,
            currency: currency(&wire.currency, "a subscription")?,
            items: wire
                .items
                .data
                .iter()
                .map(|item| id(&item.id, "a subscription item"))
                .collect::<Result<_, _>>()?,
            codes: wire
                .discounts
                .iter()
                .filter_map(Discount::code)
                .collect::<Result<_, _>>()?,
            scheduled: wire.schedule.is_some(),
            pending: wire.pending_update.is_some(),
            end: match (wire.cancel_at_period_end, wire.cancel_at) {
                (true, _) => Some(ScheduledEnd::WithPeriod),
                (false, Some(date)) => Some(ScheduledEnd::OnDate(at(date, "the end of a subscription")?)),
                (false, None) => None,
            },
            // Whoever edits metadata by hand may leave anything in it.
            set_aside: wire
                .metadata
                .get(SET_ASIDE)
                .and_then(|date| at(date.parse().ok()?, "an end that was set aside").ok()),
            collection: collection(wire.pause_collection.is_some(), wire.collection_method.as_deref()),
            payer: wire
                .customer
                .payer_of(wire.default_payment_method.as_ref(), wire.default_source.as_ref()),
            latest_invoice: wire.latest_invoice.map(TryInto::try_into).transpose()?,
        })
    }
}

impl TryFrom<Wire> for FetchedSubscription {
    type Error = StripeError;

    fn try_from(wire: Wire) -> Result<Self, StripeError> {
        let account = wire
            .metadata
            .get(ACCOUNT)
            .and_then(|account| account.parse().ok());
        Ok(Self {
            standing: wire.try_into()?,
            account,
        })
    }
}

impl Stripe {
    /// A subscription as it is now. Stripe keeps those that are over, so it is there as long as its id is right.
    pub async fn subscription(&self, id: &SubscriptionId) -> Result<FetchedSubscription, StripeError> {
        self.wire_subscription(id, &[]).await?.try_into()
    }

    /// The same of a subscription that may be anybody's on this Stripe account. None for one whose customer has an id that no customer here has:
    /// until 2018 they could be chosen.
    pub async fn anybodys_subscription(
        &self,
        id: &SubscriptionId,
    ) -> Result<Option<FetchedSubscription>, StripeError> {
        let wire = self.wire_subscription(id, &[]).await?;
        if wire.customer.id.parse::<CustomerId>().is_err() {
            return Ok(None);
        }
        wire.try_into().map(Some)
    }

    /// The same with what pays it: for whoever is about to change it.
    pub async fn subscription_to_change(
        &self,
        id: &SubscriptionId,
    ) -> Result<FetchedSubscription, StripeError> {
        self.wire_subscription(id, &PAYERS).await?.try_into()
    }

    async fn wire_subscription(&self, id: &SubscriptionId, with: &[&str]) -> Result<Wire, StripeError> {
        let expanded = [LATEST_INVOICE, DISCOUNTS].iter().chain(with);
        let request = RetrieveSubscription::new(id.as_str())
            .expand(expanded.map(|member| (*member).to_owned()).collect::<Vec<_>>());
        self.get(request.build()).await
    }

    /// The oldest subscription of a customer that can still bill; none when there is none, or no such customer any more.
    pub async fn live_subscription(
        &self,
        customer: &CustomerId,
    ) -> Result<Option<SubscriptionId>, StripeError> {
        // Without those that were canceled, newest first.
        let request = ListSubscription::new().customer(customer.as_str()).limit(100);
        let found = unless_missing(self.get(request.build()).await, "customer")?;
        let page: Page<Listed> = found.unwrap_or_default();
        let live = |listed: &&Listed| Status::parse(&listed.status).is_live();
        let oldest = page.data.iter().rfind(live);
        oldest.map(|listed| id(&listed.id, "a subscription")).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const APRIL: i64 = 1_775_001_600;
    const MAY: i64 = 1_777_593_600;

    /// A month's subscription in a period from 1 April 2026 on.
    fn read(status: &str, switch: bool, (cancel_at, anchor): (Option<i64>, i64), until: i64) -> Standing {
        let wire = json!({
            "id": "sub_1", "customer": { "id": "cus_1", "object": "customer" }, "status": status,
            "currency": "usd", "cancel_at_period_end": switch, "cancel_at": cancel_at, "billing_cycle_anchor": anchor,
            "items": { "data": [{
                "id": "si_1", "price": { "id": "price_m", "recurring": { "interval": "month", "interval_count": 1 } },
                "quantity": 3, "current_period_start": APRIL, "current_period_end": until,
            }] },
        });
        serde_json::from_value::<Wire>(wire).unwrap().try_into().unwrap()
    }

    /// By the switch, or, as the portal does, by the date of the period's own end. Another date is another end, also where Stripe has the period
    /// end there.
    #[test]
    fn an_end_with_the_period_is_told_in_two_ways() {
        let early = MAY - 86_400;
        // Counted from a day before: its month ends on 30 April, and Stripe counts from a date that cuts it short.
        let counted = APRIL - 86_400 * 2;
        for (status, switch, date, anchor, until, ends) in [
            ("active", true, None, APRIL, MAY, true),
            ("active", true, Some(MAY), APRIL, MAY, true),
            ("active", false, Some(MAY), APRIL, MAY, true),
            ("active", false, Some(early), APRIL, early, false),
            ("active", false, Some(early), early, early, false),
            ("active", false, Some(early), counted, early, true),
            ("active", false, Some(early), APRIL, MAY, false),
            ("active", false, Some(MAY + 1), APRIL, MAY, false),
            ("active", false, None, APRIL, MAY, false),
            ("trialing", false, Some(early), early, early, true),
        ] {
            let read = read(status, switch, (date, anchor), until).subscription;
            assert_eq!(
                read.cancel_at_period_end, ends,
                "{status} {date:?} {anchor} {until}"
            );
        }
    }
}
