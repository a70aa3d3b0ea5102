//! A sale as it is now: read from its schedule, or from the subscription that the schedule became.

use std::collections::BTreeMap;

use billing_core::connect::contract::{Contract, Line, Sold};
use billing_core::id::{CouponId, ScheduleId, SubscriptionId};
use billing_core::period::Period;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::subscription::{ListSubscription, ListSubscriptionStatus, RetrieveSubscription};
use stripe_billing::subscription_schedule::{ListSubscriptionSchedule, RetrieveSubscriptionSchedule};
use stripe_client_core::StripeRequest;

use super::offers::WirePrice;
use super::owning::{Owning, reach};
use super::phases::{AutomaticTax, Phase, Settings};
use super::seen::{ConnectedObject, Object, Readable};
use super::{Connected, found, phases};
use crate::error::StripeError;
use crate::pages::Page;
use crate::wire::{Reference, at, id};

/// What a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Schedules that have not begun.
    Scheduled,
    /// Subscriptions in this state, in Stripe's word.
    InStatus(String),
}

/// A page of what an account has.
#[derive(Debug)]
pub struct Listed {
    /// Newest first; ours, or not.
    pub seen: Vec<ConnectedObject>,
    /// The last that was looked at, where there are more.
    pub next: Option<String>,
}

/// Which subscription a schedule has begun.
#[derive(Deserialize)]
struct Begun {
    subscription: Option<Reference>,
    released_subscription: Option<Reference>,
}

#[derive(Deserialize)]
struct Schedule {
    id: String,
    status: String,
    created: i64,
    canceled_at: Option<i64>,
    end_behavior: String,
    customer: Customer,
    phases: Vec<Phase>,
    default_settings: Option<Settings>,
    billing_mode: Option<Mode>,
}

#[derive(Deserialize)]
struct Mode {
    r#type: String,
}

impl Mode {
    fn is_flexible(&self) -> bool {
        self.r#type == "flexible"
    }
}

/// A customer: its id, or the object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Customer {
    Id(String),
    Object { id: String, email: Option<String> },
}

impl Customer {
    fn read(self) -> (String, Option<String>) {
        match self {
            Self::Id(id) => (id, None),
            Self::Object { id, email } => (id, email),
        }
    }
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
    status: String,
    created: i64,
    start_date: Option<i64>,
    cancel_at_period_end: bool,
    cancel_at: Option<i64>,
    canceled_at: Option<i64>,
    ended_at: Option<i64>,
    customer: Customer,
    items: Page<Item>,
    #[serde(default)]
    discounts: Vec<Discount>,
    automatic_tax: Option<AutomaticTax>,
    billing_mode: Option<Mode>,
    pause_collection: Option<IgnoredAny>,
    schedule: Option<Owning>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    price: WirePrice,
    quantity: Option<u64>,
    current_period_start: i64,
    current_period_end: i64,
}

/// A discount: its id, or the object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Discount {
    Object { source: Option<Source> },
    Id(#[expect(dead_code, reason = "what is not expanded says nothing")] String),
}

#[derive(Deserialize)]
struct Source {
    coupon: Option<Reference>,
}

fn coupon(reference: Option<Reference>) -> Result<Option<CouponId>, StripeError> {
    reference.map(|coupon| id(&coupon.0, "a coupon")).transpose()
}

impl Readable for Schedule {
    /// One that has not begun, or never did.
    fn contract(self, sold: Sold) -> Result<Contract, StripeError> {
        let wire = self;
        let of = "a subscription schedule";
        let (customer, email) = wire.customer.read();
        let default = wire.default_settings.as_ref().and_then(Settings::taxed);
        let default = default.unwrap_or_default();
        let taxed = |phase: &Phase| phase.automatic_tax.as_ref().map_or(default, |tax| tax.enabled);
        let first_taxed = wire.phases.first().map_or(default, taxed);
        let tax_varies = wire.phases.iter().any(|phase| taxed(phase) != first_taxed);
        let phase_says_tax = wire.phases.iter().any(|phase| phase.automatic_tax.is_some());
        let has_more_phases = wire.phases.len() > 1;
        let last_end = wire.phases.last().map(|phase| phase.end_date);
        let first = wire.phases.into_iter().next();
        let is_ended = wire.end_behavior == "cancel";
        let mut contract = Contract {
            schedule: Some(id(&wire.id, of)?),
            subscription: None,
            status: wire.status,
            customer: id(&customer, "a customer")?,
            email,
            period: None,
            start: None,
            created: at(wire.created, of)?,
            ends: false,
            ends_on_date: false,
            ends_at: None,
            canceled_at: wire.canceled_at.map(|canceled| at(canceled, of)).transpose()?,
            ended_at: None,
            taxed: first_taxed,
            flexible: wire.billing_mode.is_some_and(|mode| mode.is_flexible()),
            held_back: false,
            coupon: None,
            lines: Vec::new(),
            has_more_phases,
            outlasts_period: false,
            phase_says_tax,
            tax_varies,
            has_other_terms: false,
            metadata: BTreeMap::new(),
            sold,
        };
        let Some(phase) = first else {
            return Ok(contract);
        };
        let span = Period {
            start: at(phase.start_date, of)?,
            end: at(phase.end_date, of)?,
        };
        contract.start = Some(span.start);
        let says_more = phase.says_more();
        contract.metadata = phase.metadata.unwrap_or_default();
        contract.coupon = coupon(phase.discounts.into_iter().find_map(|discount| discount.coupon))?;
        for item in phase.items {
            let (price, name) = item.price.read()?;
            contract.lines.push(Line {
                item: None,
                price,
                quantity: item.quantity,
                name,
                metadata: item.metadata.unwrap_or_default(),
            });
        }
        let period = phases::first_period(span, &contract);
        let last_end = last_end.map(|end| at(end, of)).transpose()?;
        contract.outlasts_period = last_end.is_some_and(|end| end > period.end);
        contract.ends = is_ended && !contract.outlasts_period;
        contract.ends_at = last_end.filter(|_| is_ended);
        contract.period = Some(period);
        contract.has_other_terms = says_more || period != span;
        Ok(contract)
    }
}

impl Readable for Subscription {
    fn contract(self, sold: Sold) -> Result<Contract, StripeError> {
        let wire = self;
        let of = "a subscription";
        let (customer, email) = wire.customer.read();
        let owning = wire.schedule.filter(|schedule| schedule.status == "active");
        let schedule_end = owning
            .as_ref()
            .and_then(|schedule| schedule.phases.last())
            .map(|phase| phase.end_date);
        let is_ended = owning
            .as_ref()
            .is_some_and(|schedule| schedule.end_behavior == "cancel");
        let ends_with_schedule = schedule_end.filter(|_| is_ended);
        let first = wire.items.data.first();
        let span = first.map(|item| (item.current_period_start, item.current_period_end));
        let period = match span {
            Some((start, end)) => Some(Period {
                start: at(start, of)?,
                end: at(end, of)?,
            }),
            None => None,
        };
        let ends_at = ends_with_schedule.or(wire.cancel_at);
        let mut lines = Vec::new();
        for item in wire.items.data {
            let (price, name) = item.price.read()?;
            lines.push(Line {
                item: Some(id(&item.id, "a subscription item")?),
                price,
                quantity: item.quantity,
                name,
                metadata: BTreeMap::new(),
            });
        }
        let discount = wire.discounts.into_iter().find_map(|discount| match discount {
            Discount::Object { source } => source?.coupon,
            Discount::Id(_) => None,
        });
        let has_more_phases = owning.as_ref().is_some_and(Owning::leads_on);
        let is_last_trial = wire.status == "trialing" && !has_more_phases;
        let reach = period.map(|period| reach(period, is_last_trial, &lines).as_second());
        let with_period = wire
            .cancel_at
            .zip(span.zip(reach))
            .is_some_and(|(end, ((_, period_end), reach))| (period_end..=reach).contains(&end));
        let outlasts_period = schedule_end.zip(reach).is_some_and(|(end, reach)| end > reach);
        let taxed = wire.automatic_tax.is_some_and(|tax| tax.enabled);
        let tax_varies = owning
            .as_ref()
            .is_some_and(|schedule| schedule.taxes_otherwise(taxed));
        Ok(Contract {
            schedule: owning
                .map(|schedule| id(&schedule.id, "a subscription schedule"))
                .transpose()?,
            subscription: Some(id(&wire.id, of)?),
            status: wire.status,
            customer: id(&customer, "a customer")?,
            email,
            period,
            start: wire.start_date.map(|start| at(start, of)).transpose()?,
            created: at(wire.created, of)?,
            ends: wire.cancel_at_period_end
                || with_period
                || ends_with_schedule.is_some() && !outlasts_period,
            ends_on_date: wire.cancel_at.is_some() && !wire.cancel_at_period_end,
            ends_at: ends_at.map(|end| at(end, of)).transpose()?,
            canceled_at: wire.canceled_at.map(|canceled| at(canceled, of)).transpose()?,
            ended_at: wire.ended_at.map(|ended| at(ended, of)).transpose()?,
            taxed,
            flexible: wire.billing_mode.is_some_and(|mode| mode.is_flexible()),
            held_back: wire.pause_collection.is_some(),
            coupon: coupon(discount)?,
            lines,
            has_more_phases,
            outlasts_period,
            phase_says_tax: false,
            tax_varies,
            has_other_terms: false,
            metadata: BTreeMap::new(),
            sold,
        })
    }
}

fn expanded(members: &[&str]) -> Vec<String> {
    members.iter().map(|member| (*member).to_owned()).collect()
}

const OF_SCHEDULE: [&str; 3] = [
    "customer",
    "phases.items.price.product",
    "phases.items.price.tiers",
];
const OF_SUBSCRIPTION: [&str; 5] = [
    "customer",
    "discounts",
    "schedule",
    "items.data.price.product",
    "items.data.price.tiers",
];
/// Stripe expands four levels and no more: what a product is called is not told in a list.
const OF_SCHEDULES: [&str; 2] = ["data.customer", "data.phases.items.price"];
const OF_SUBSCRIPTIONS: [&str; 3] = ["data.customer", "data.discounts", "data.schedule"];

impl Connected {
    /// What a schedule comes to now: itself while it waits, then the subscription that it made. None when the account has no such.
    pub async fn schedule(&self, schedule: &ScheduleId) -> Result<Option<ConnectedObject>, StripeError> {
        let request = RetrieveSubscriptionSchedule::new(schedule.as_str()).expand(expanded(&OF_SCHEDULE));
        let Some(object) = found(self.stripe.get::<Object>(request.build()).await)? else {
            return Ok(None);
        };
        let begun: Begun = object.read()?;
        let seen = object.seen::<Schedule>()?;
        match begun.subscription.or(begun.released_subscription) {
            Some(subscription) => {
                let subscription = id(&subscription.0, "a subscription")?;
                let made = self.subscription(&subscription).await?;
                Ok(made.map(|made| made.made_by(seen)))
            }
            None => Ok(Some(seen)),
        }
    }

    /// A subscription; none when the account has no such.
    pub async fn subscription(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<Option<ConnectedObject>, StripeError> {
        let request = RetrieveSubscription::new(subscription.as_str()).expand(expanded(&OF_SUBSCRIPTION));
        let object = found(self.stripe.get::<Object>(request.build()).await)?;
        object.map(Object::seen::<Subscription>).transpose()
    }

    /// A page of what there is, newest first, sold here or not.
    pub async fn page(&self, shown: &Shown, limit: i64, after: Option<&str>) -> Result<Listed, StripeError> {
        match shown {
            Shown::Scheduled => {
                let mut request = ListSubscriptionSchedule::new()
                    .scheduled(true)
                    .limit(limit)
                    .expand(expanded(&OF_SCHEDULES));
                if let Some(after) = after {
                    request = request.starting_after(after);
                }
                listed::<Schedule>(self.stripe.get(request.build()).await?)
            }
            Shown::InStatus(word) => {
                let mut request = ListSubscription::new()
                    .status(
                        word.parse::<ListSubscriptionStatus>()
                            .unwrap_or(ListSubscriptionStatus::Active),
                    )
                    .limit(limit)
                    .expand(expanded(&OF_SUBSCRIPTIONS));
                if let Some(after) = after {
                    request = request.starting_after(after);
                }
                listed::<Subscription>(self.stripe.get(request.build()).await?)
            }
        }
    }
}

fn listed<T: Readable>(page: Page<Object>) -> Result<Listed, StripeError> {
    let last = page.data.last().filter(|_| page.has_more);
    Ok(Listed {
        next: last.map(Object::id).transpose()?,
        seen: page
            .data
            .into_iter()
            .map(Object::seen::<T>)
            .collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A schedule as Stripe answers it, of one phase that begins with April 2026; what is null or empty there says nothing.
    pub(in crate::connected) fn schedule() -> Value {
        let price = json!({
            "id": "price_f", "product": "prod_1", "currency": "usd", "unit_amount": 2999, "unit_amount_decimal": "2999",
            "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed", "meter": null },
        });
        json!({
            "id": "sub_sched_1", "status": "not_started", "created": 1_775_000_000, "canceled_at": null, "end_behavior": "release",
            "customer": "cus_1", "metadata": { "client": "0123456789abcdef01234567", "sale": "1" },
            "subscription": null, "released_subscription": null, "default_settings": null, "billing_mode": { "type": "flexible" },
            "phases": [{
                "start_date": 1_775_001_600, "end_date": 1_777_593_600, "automatic_tax": null, "metadata": {},
                "add_invoice_items": [], "application_fee_percent": null, "billing_thresholds": null, "collection_method": null,
                "default_payment_method": null, "default_tax_rates": [], "description": null, "discounts": [{ "coupon": "50%OFF" }],
                "invoice_settings": null, "on_behalf_of": null, "proration_behavior": "create_prorations", "transfer_data": null,
                "trial_end": null,
                "items": [{
                    "price": price, "quantity": 1, "discounts": [], "tax_rates": [], "billing_thresholds": null, "metadata": {},
                }],
            }],
        })
    }

    /// A subscription of April and its schedule, which is to cancel it with its phase, on a trial until 15 April.
    fn trial() -> Value {
        let schedule = schedule();
        let (start, trial_end, phase_end) = (1_775_001_600, 1_776_211_200, 1_777_593_600);
        json!({
            "id": "sub_1", "status": "trialing", "created": 1_775_000_000, "start_date": start, "cancel_at_period_end": false,
            "cancel_at": null, "canceled_at": null, "ended_at": null, "customer": "cus_1", "metadata": schedule["metadata"],
            "items": { "has_more": false, "data": [{
                "id": "si_1", "price": schedule["phases"][0]["items"][0]["price"], "quantity": 1,
                "current_period_start": start, "current_period_end": trial_end,
            }] },
            "schedule": {
                "id": "sub_sched_1", "status": "active", "end_behavior": "cancel",
                "current_phase": { "end_date": phase_end }, "phases": [{ "end_date": phase_end }],
            },
        })
    }

    fn contract<T: Readable>(object: Object) -> Contract {
        let seen = object.seen::<T>().unwrap();
        seen.contract(seen.sold().unwrap().clone()).unwrap()
    }

    pub(in crate::connected) fn read(schedule: &Value) -> Contract {
        let object: Object = serde_json::from_str(&schedule.to_string()).unwrap();
        contract::<Schedule>(object)
    }

    #[test]
    fn what_a_phase_says_beyond_ours_is_noticed() {
        let ours = read(&schedule());
        assert!(!ours.has_other_terms);
        assert_eq!(ours.coupon.unwrap().as_str(), "50%OFF");
        for (pointer, value) in [
            ("/add_invoice_items", json!([{ "price": "price_1" }])),
            ("/application_fee_percent", json!(2.5)),
            ("/billing_thresholds", json!({ "amount_gte": 100 })),
            ("/collection_method", json!("send_invoice")),
            ("/default_payment_method", json!("pm_1")),
            ("/default_tax_rates", json!([{ "id": "txr_1" }])),
            ("/description", json!("Autumn")),
            (
                "/discounts",
                json!([{ "coupon": null, "promotion_code": "promo_1" }]),
            ),
            ("/discounts", json!([{ "coupon": "A" }, { "coupon": "B" }])),
            (
                "/invoice_settings",
                json!({ "days_until_due": 14, "issuer": { "type": "self" } }),
            ),
            (
                "/invoice_settings",
                json!({ "issuer": { "type": "account", "account": "acct_2" } }),
            ),
            (
                "/automatic_tax",
                json!({ "enabled": true, "liability": { "type": "account", "account": "acct_2" } }),
            ),
            ("/on_behalf_of", json!("acct_2")),
            ("/transfer_data", json!({ "destination": "acct_2" })),
            ("/trial_end", json!(1_776_000_000)),
            ("/end_date", json!(1_780_272_000)),
            ("/items/0/discounts", json!([{ "coupon": "A" }])),
            ("/items/0/tax_rates", json!([{ "id": "txr_1" }])),
            ("/items/0/billing_thresholds", json!({ "usage_gte": 1 })),
        ] {
            let mut schedule = schedule();
            let phase = schedule.pointer_mut("/phases/0").unwrap();
            *phase.pointer_mut(pointer).unwrap() = value;
            assert!(read(&schedule).has_other_terms, "{pointer}");
        }
        for (member, value) in [
            ("collection_method", json!("charge_automatically")),
            (
                "invoice_settings",
                json!({ "account_tax_ids": null, "days_until_due": null, "issuer": { "type": "self" } }),
            ),
            (
                "automatic_tax",
                json!({ "enabled": true, "liability": { "type": "self" } }),
            ),
            ("end_date", json!(1_777_593_600 + 3600)),
        ] {
            let mut schedule = schedule();
            schedule["phases"][0][member] = value;
            assert!(!read(&schedule).has_other_terms, "{member}");
        }
    }

    /// A phase of a month that begins with a trial ends within the month after the trial, with what is paid first. One that lasts longer, or that
    /// another follows, does not; nor has what is on no trial any other period than its own.
    #[test]
    fn an_end_within_the_period_after_a_trial_is_one_with_the_period() {
        const MAY: i64 = 1_777_593_600;
        const TRIAL_END: i64 = 1_776_211_200;
        let longer = json!([{ "end_date": MAY + 90 * 86_400 }]);
        let two = json!([{ "end_date": TRIAL_END }, { "end_date": MAY }]);
        for (pointer, value, is_with_period) in [
            ("/status", json!("trialing"), true),
            ("/status", json!("active"), false),
            ("/schedule/phases", longer, false),
            ("/schedule/phases", two, false),
        ] {
            let mut trial = trial();
            *trial.pointer_mut(pointer).unwrap() = value;
            let end = trial["schedule"]["phases"][0]["end_date"].clone();
            trial["schedule"]["current_phase"]["end_date"] = end;
            let object: Object = serde_json::from_str(&trial.to_string()).unwrap();
            let read = contract::<Subscription>(object);
            assert_eq!(
                (read.ends, read.outlasts_period),
                (is_with_period, !is_with_period),
                "{pointer}: {trial}"
            );
        }
        // Its schedule has let go of it, and has left it the date.
        for (cancel_at, is_with_period) in [(MAY, true), (MAY + 30 * 86_400, false), (TRIAL_END - 1, false)] {
            let mut trial = trial();
            trial["schedule"] = Value::Null;
            trial["cancel_at"] = json!(cancel_at);
            let object: Object = serde_json::from_str(&trial.to_string()).unwrap();
            let read = contract::<Subscription>(object);
            assert_eq!(read.ends, is_with_period, "{cancel_at}");
        }
    }
}
