//! Contracts that change when their period ends: a schedule leads their subscription there, and lets it go.
//!
//! # If it fails half-way
//! Two requests, each under a key of its own. The second one writes the sale's name into the schedule: one that does not bear it is not
//! done. A subscription has one schedule at most, so one that was made and told as a failure is the one that it names.

use std::collections::HashMap;

use billing_core::contract::{PlainSchedule, Read};
use billing_core::id::{DiscountId, ScheduleId, SubscriptionId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod};

use crate::client::Stripe;
use crate::contract_reads::{PHASE, ReadContract};
use crate::contracts::{AskedSale, key, priced};
use crate::error::StripeError;
use crate::wire::{Reference, at, id};

/// The metadata member by which a schedule names the sale that it was written for.
pub(crate) const SALE: &str = "sale";

#[derive(Serialize)]
struct Phases {
    end_behavior: &'static str,
    proration_behavior: &'static str,
    metadata: HashMap<&'static str, String>,
    phases: Vec<Phase>,
}

#[derive(Serialize)]
struct Phase {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<i64>,
    items: Vec<PhaseItem>,
    proration_behavior: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_payment_method: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discounts: Vec<Discount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    automatic_tax: Option<AutomaticTax>,
}

/// One that the subscription has, which goes on as it is: its time does not begin anew.
#[derive(Serialize)]
struct Discount {
    discount: String,
}

#[derive(Serialize)]
struct AutomaticTax {
    enabled: bool,
}

#[derive(Serialize)]
struct PhaseItem {
    price: String,
    quantity: u64,
}

impl Phase {
    /// A phase of these prices, and of what else the subscription says.
    fn of(read: &Read, prices: impl IntoIterator<Item = (String, u64)>) -> Self {
        let terms = &read.terms;
        let discount = |id: &DiscountId| Discount {
            discount: id.to_string(),
        };
        let item = |(price, quantity)| PhaseItem { price, quantity };
        Self {
            start_date: None,
            end_date: None,
            items: prices.into_iter().map(item).collect(),
            proration_behavior: "none",
            default_payment_method: read.payment_method.as_ref().map(ToString::to_string),
            discounts: terms.discounts.iter().map(discount).collect(),
            description: terms.description.clone(),
            automatic_tax: terms.is_taxed.then_some(AutomaticTax { enabled: true }),
        }
    }
}

impl Stripe {
    /// Has the subscription of a contract become what was sold when its period ends: a schedule leads it there and lets it go. Two
    /// requests, each under a key of its own; nothing is charged before. What pays the subscription, and what an operator has it say, is said of
    /// both phases: Stripe unsets what a schedule that is written does not say again. So whoever asks once more may ask in other words, and learns
    /// from Stripe that the key has been used.
    pub async fn schedule_contract(
        &self,
        asked: &AskedSale<'_>,
        read: &Read,
    ) -> Result<ReadContract, StripeError> {
        let sale = asked.sale;
        let billing = &read.billing;
        let PlainSchedule { id: schedule, start } = match &read.plain_schedule {
            Some(plain) => plain.clone(),
            None => self.schedule_of(&billing.subscription, &key(sale)).await?,
        };
        let present = billing
            .items
            .iter()
            .map(|billed| (billed.price.to_string(), billed.quantity));
        let end = sale.offer.ends_at;
        let form = Phases {
            // When the subscription ends is the schedule's to say from now on.
            end_behavior: if end.is_some() { "cancel" } else { "release" },
            proration_behavior: "none",
            metadata: HashMap::from([(SALE, sale.name())]),
            phases: vec![
                Phase {
                    // Stripe takes no other for a phase that is under way, and does not say that it is the period's.
                    start_date: Some(start.as_second()),
                    end_date: Some(billing.period.end.as_second()),
                    ..Phase::of(read, present)
                },
                Phase {
                    end_date: end.map(|end| end.as_second()),
                    ..Phase::of(read, priced(&sale.order)?)
                },
            ],
        };
        let path = format!("/subscription_schedules/{schedule}");
        let request = RequestBuilder::new(StripeMethod::Post, path).form(&form);
        let _: IgnoredAny = self.post(request, &format!("{}/phases", key(sale))).await?;
        self.contract_subscription(&billing.subscription).await
    }

    async fn schedule_of(
        &self,
        subscription: &SubscriptionId,
        key: &str,
    ) -> Result<PlainSchedule, StripeError> {
        #[derive(Serialize)]
        struct From<'a> {
            from_subscription: &'a str,
        }
        #[derive(Deserialize)]
        struct Made {
            id: String,
            phases: Vec<Begun>,
        }
        #[derive(Deserialize)]
        struct Begun {
            start_date: i64,
        }
        let form = From {
            from_subscription: subscription.as_str(),
        };
        let request =
            RequestBuilder::new(StripeMethod::Post, "/subscription_schedules".to_owned()).form(&form);
        match self.post::<Made>(request, &format!("{key}/schedule")).await {
            Ok(made) => {
                let without = || StripeError::Unexpected {
                    reason: format!("schedule {} has no phase", made.id),
                };
                let phase = made.phases.first().ok_or_else(without)?;
                Ok(PlainSchedule {
                    id: id(&made.id, "a subscription schedule")?,
                    start: at(phase.start_date, PHASE)?,
                })
            }
            // It may have been made all the same. One that somebody has written into is not this sale's.
            Err(spent @ StripeError::Spent { .. }) => {
                let now = self.contract_subscription(subscription).await?;
                now.read.plain_schedule.ok_or(spent)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the subscription of a schedule go on by itself, with the end that the schedule has set. One that is let go already stays as it is.
    pub async fn release_schedule(&self, schedule: &ScheduleId, key: &str) -> Result<(), StripeError> {
        #[derive(Serialize)]
        struct Release {
            preserve_cancel_date: bool,
        }
        let path = format!("/subscription_schedules/{schedule}/release");
        let form = Release {
            preserve_cancel_date: true,
        };
        let request = || RequestBuilder::new(StripeMethod::Post, path.clone()).form(&form);
        let key = format!("{key}/release");
        match self.post_at_last::<IgnoredAny>(request, &key).await {
            Ok(_) | Err(StripeError::Refused(_)) => Ok(()),
            // Whether it leads its subscription still: nobody may take it for released who has not seen that.
            Err(error) => Err(error),
        }
    }

    /// The subscription that a schedule leads, or led until it let it go.
    pub async fn subscription_of_schedule(
        &self,
        schedule: &ScheduleId,
    ) -> Result<Option<SubscriptionId>, StripeError> {
        #[derive(Deserialize)]
        struct Schedule {
            subscription: Option<Reference>,
            released_subscription: Option<Reference>,
        }
        let path = format!("/subscription_schedules/{schedule}");
        let read: Schedule = self.get(RequestBuilder::new(StripeMethod::Get, path)).await?;
        read.subscription
            .or(read.released_subscription)
            .map(|led| id(&led.0, "a subscription"))
            .transpose()
    }
}
