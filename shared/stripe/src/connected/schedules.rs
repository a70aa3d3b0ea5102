//! Schedules: made for a sale, rewritten, let go, canceled.
//!
//! A phase is described here once, for the request that makes a schedule and for the one that rewrites it: async-stripe has a type
//! of its own for each.

use std::collections::{BTreeMap, HashMap};
use std::iter;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::connect::amendment::Amendment;
use billing_core::connect::contract::{Contract, Line};
use billing_core::connect::offer::Cadence;
use billing_core::connect::sale::{ReadSale, Sale, Terms};
use billing_core::id::{AgencyId, CouponId, CustomerId, ScheduleId};
use billing_core::money::Currency;
use serde::{Deserialize, Serialize};
use stripe_billing::subscription_schedule::{
    CancelSubscriptionSchedule, ListSubscriptionSchedule, ReleaseSubscriptionSchedule,
    UpdateSubscriptionSchedule,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_shared::SubscriptionScheduleEndBehavior;
use stripe_types::RangeQueryTs;

use super::Connected;
use super::buyers::CLIENT;
use crate::billing_mode::BillingMode;
use crate::error::StripeError;
use crate::pages::Listed;
use crate::wire::{Created, id};

/// The metadata member by which an object on a connected account names its sale.
pub(super) const SALE: &str = "sale";

/// A schedule to be made.
#[derive(Debug)]
pub struct NewSchedule<'a> {
    /// Who sells: the agency itself, and nobody acting in its name.
    pub owner: &'a Owner<AgencyId>,
    /// What is sold.
    pub sale: &'a Sale,
    /// Who pays.
    pub customer: &'a CustomerId,
}

#[derive(Serialize)]
struct Schedule<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    /// Of one that is to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_mode: Option<BillingMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    end_behavior: &'static str,
    /// Left as it is where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_settings: Option<Settings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<Phase<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proration_behavior: Option<&'static str>,
}

#[derive(Serialize)]
struct Settings {
    automatic_tax: AutomaticTax,
}

#[derive(Serialize)]
struct AutomaticTax {
    enabled: bool,
}

impl Settings {
    fn taxed(enabled: bool) -> Self {
        Self {
            automatic_tax: AutomaticTax { enabled },
        }
    }
}

/// One period of what is sold; after it the schedule lets go, and the subscription renews by itself.
#[derive(Serialize)]
struct Phase<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    duration: Duration<'a>,
    /// Of one that is to be made: that of the prices as they were looked at. A price may have several, of which Stripe would choose by the
    /// customer. Of one that is there Stripe takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    items: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discounts: Vec<Discount<'a>>,
    /// Of one that says its own: we leave it to the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    automatic_tax: Option<AutomaticTax>,
    metadata: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Duration<'a> {
    interval: &'a str,
    interval_count: u64,
}

#[derive(Serialize)]
struct Item<'a> {
    price: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u64>,
    /// The agency's: we write none.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Item<'a> {
    /// So many of the flat price.
    fn flat(terms: &'a Terms, quantity: u64) -> Self {
        Self {
            price: terms.flat.as_str(),
            quantity: Some(quantity),
            metadata: None,
        }
    }

    /// What is metered, which has no quantity.
    fn metered(terms: &'a Terms) -> Option<Self> {
        terms.metered.as_ref().map(|price| Self {
            price: price.as_str(),
            quantity: None,
            metadata: None,
        })
    }

    /// The same, with what the agency has noted of the one that it takes the place of.
    fn noted(self, line: Option<&'a Line>) -> Self {
        Self {
            metadata: line.map(|line| &line.metadata).filter(|noted| !noted.is_empty()),
            ..self
        }
    }
}

#[derive(Serialize)]
struct Discount<'a> {
    coupon: &'a str,
}

/// A schedule, as far as it tells which sale it is of.
#[derive(Deserialize)]
struct Named {
    id: String,
    metadata: Option<HashMap<String, String>>,
}

impl Listed for Named {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What a phase charges, and how often.
struct Charges<'a> {
    items: Vec<Item<'a>>,
    cadence: &'a Cadence,
}

impl<'a> Charges<'a> {
    /// One of the flat price.
    fn of(terms: &'a Terms) -> Self {
        Self {
            items: iter::once(Item::flat(terms, 1))
                .chain(Item::metered(terms))
                .collect(),
            cadence: &terms.cadence,
        }
    }

    /// In the place of what a schedule has at Stripe: as many of the flat price, and what the agency has noted of either.
    fn instead(terms: &'a Terms, contract: &'a Contract) -> Self {
        let flat = Item::flat(terms, contract.flat_quantity()).noted(contract.flat());
        let metered = Item::metered(terms).map(|item| item.noted(contract.metered()));
        Self {
            items: iter::once(flat).chain(metered).collect(),
            cadence: &terms.cadence,
        }
    }

    /// As a schedule has it at Stripe, whoever wrote it there; none of one that charges nothing.
    fn as_they_are(contract: &'a Contract) -> Option<Self> {
        let first = contract.flat().or(contract.lines.first())?;
        let item = |line: &'a Line| {
            let item = Item {
                price: line.price.id.as_str(),
                quantity: line.quantity,
                metadata: None,
            };
            item.noted(Some(line))
        };
        Some(Self {
            items: contract.lines.iter().map(item).collect(),
            cadence: &first.price.cadence,
        })
    }
}

fn phase<'a>(
    sale: &Sale,
    charges: Charges<'a>,
    coupon: Option<&'a CouponId>,
    start: Option<String>,
) -> Phase<'a> {
    let Cadence { interval, count } = charges.cadence;
    Phase {
        start_date: start,
        duration: Duration {
            interval,
            interval_count: *count,
        },
        currency: None,
        items: charges.items,
        discounts: coupon
            .map(|coupon| Discount {
                coupon: coupon.as_str(),
            })
            .into_iter()
            .collect(),
        automatic_tax: None,
        // The subscription gets it when the phase begins.
        metadata: named(sale).into_iter().collect(),
    }
}

fn named(sale: &Sale) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (CLIENT, sale.order.client.to_string()),
        (SALE, sale.number.to_string()),
    ])
}

fn end_behavior(ends: bool) -> &'static str {
    if ends { "cancel" } else { "release" }
}

/// What a schedule that waits is to be, and nothing of what is to stay.
fn rewritten<'a>(
    (sale, contract): (&'a Sale, &'a Contract),
    amendment: &'a Amendment,
    coupon: Option<&'a CouponId>,
) -> Schedule<'a> {
    let difference = &amendment.difference;
    let charges = match &difference.terms {
        Some(terms) => Charges::instead(terms, contract),
        None => Charges::as_they_are(contract).unwrap_or_else(|| Charges::of(&sale.terms)),
    };
    let start = match (difference.start, contract.start) {
        (Some(start), _) if start <= amendment.asked_at => Some("now".to_owned()),
        (Some(start), _) | (None, Some(start)) => Some(start.as_second().to_string()),
        (None, None) => None,
    };
    Schedule {
        customer: None,
        billing_mode: None,
        start_date: None,
        // Also an end that comes later than its first period: it is not ours.
        end_behavior: end_behavior(difference.ends.unwrap_or(contract.ends_at.is_some())),
        default_settings: difference.tax.as_ref().map(|tax| Settings::taxed(tax.enabled)),
        phases: if difference.is_of_the_phase(contract) {
            let tax = difference.tax.as_ref().map_or(contract.taxed, |tax| tax.enabled);
            let mut phase = phase(sale, charges, coupon, start);
            phase.automatic_tax = contract.phase_says_tax.then_some(AutomaticTax { enabled: tax });
            for (member, noted) in &contract.metadata {
                phase.metadata.entry(member).or_insert_with(|| noted.clone());
            }
            vec![phase]
        } else {
            Vec::new()
        },
        metadata: BTreeMap::new(),
        proration_behavior: None,
    }
}

impl Connected {
    /// Makes the schedule of a sale. Safe to repeat: the sale's number is the idempotency key, and the sale is all that is said.
    pub async fn create_schedule(&self, new: &NewSchedule<'_>) -> Result<ScheduleId, StripeError> {
        let NewSchedule { sale, customer, .. } = new;
        let start = if sale.at_once {
            "now".to_owned()
        } else {
            sale.order.start.as_second().to_string()
        };
        let form = Schedule {
            customer: Some(customer.as_str()),
            billing_mode: Some(BillingMode::Flexible),
            start_date: Some(start),
            end_behavior: end_behavior(false),
            default_settings: Some(Settings::taxed(
                sale.order.tax.as_ref().is_some_and(|tax| tax.enabled),
            )),
            phases: vec![Phase {
                currency: sale.terms.currency,
                ..phase(sale, Charges::of(&sale.terms), sale.order.coupon.as_ref(), None)
            }],
            metadata: named(sale),
            proration_behavior: None,
        };
        let key = format!(
            "connect-sale/{}/{}/{}",
            sale.account, sale.order.client, sale.number
        );
        let request = RequestBuilder::new(StripeMethod::Post, "/subscription_schedules").form(&form);
        let made: Created = self.stripe.post(request, &key).await?;
        id(&made.id, "a subscription schedule")
    }

    /// The schedule that was made of a sale, among those made for the customer from this instant on: for a sale whose key tells a
    /// failure, which may have come after the schedule.
    pub async fn find_schedule(
        &self,
        sale: &Sale,
        customer: &CustomerId,
        from: Timestamp,
    ) -> Result<Option<ScheduleId>, StripeError> {
        let own = named(sale);
        let names = |schedule: &&Named| {
            let told = schedule.metadata.as_ref();
            told.is_some_and(|told| own.iter().all(|(member, value)| told.get(*member) == Some(value)))
        };
        let list = ListSubscriptionSchedule::new()
            .customer(customer.as_str())
            .created(RangeQueryTs::gte(from.as_second()));
        let mut pages = self.stripe.pages::<Named>(list.build());
        while let Some(page) = pages.next().await? {
            if let Some(found) = page.iter().find(names) {
                return id(&found.id, "a subscription schedule").map(Some);
            }
        }
        Ok(None)
    }

    /// Writes a schedule that has not begun anew: what is different, and the rest as Stripe has it. Its phase is left out where nothing
    /// of it changes, so that what was archived or has expired since stands in nobody's way. `coupon` is what it is to have.
    pub async fn rewrite_schedule(
        &self,
        schedule: &ScheduleId,
        ReadSale { sale, contract }: &ReadSale,
        amendment: &Amendment,
        coupon: Option<&CouponId>,
    ) -> Result<(), StripeError> {
        let form = rewritten((sale, contract), amendment, coupon);
        let path = format!("/subscription_schedules/{schedule}");
        let request = RequestBuilder::new(StripeMethod::Post, path).form(&form);
        let _made: Created = self
            .stripe
            .post(request, &step_key(sale, amendment, "rewrite"))
            .await?;
        Ok(())
    }

    /// Has a schedule end its subscription with the phase under way, or let it go on.
    pub async fn end_with_schedule(
        &self,
        schedule: &ScheduleId,
        sale: &Sale,
        amendment: &Amendment,
        ends: bool,
    ) -> Result<(), StripeError> {
        let behavior = if ends {
            SubscriptionScheduleEndBehavior::Cancel
        } else {
            SubscriptionScheduleEndBehavior::Release
        };
        let request = UpdateSubscriptionSchedule::new(schedule.as_str()).end_behavior(behavior);
        let key = step_key(sale, amendment, "end");
        let _made: Created = self.stripe.post(request.build(), &key).await?;
        Ok(())
    }

    /// Has a schedule let go of its subscription, which goes on by itself, or until the end that `contract` tells of: whatever becomes
    /// of the steps after this one, that end stays.
    pub async fn release_schedule(
        &self,
        schedule: &ScheduleId,
        ReadSale { sale, contract }: &ReadSale,
        amendment: &Amendment,
    ) -> Result<(), StripeError> {
        let request = ReleaseSubscriptionSchedule::new(schedule.as_str())
            .preserve_cancel_date(contract.ends || contract.ends_at.is_some())
            .build();
        let _made: Created = self
            .stripe
            .post(request, &step_key(sale, amendment, "release"))
            .await?;
        Ok(())
    }

    /// Cancels a schedule, and its subscription if it has begun: at once, without giving anything back; what was used is billed.
    /// What Stripe refuses may be over already, or have let go of its subscription since: what it is now it tells.
    pub async fn cancel_schedule(
        &self,
        _owner: &Owner<AgencyId>,
        schedule: &ScheduleId,
    ) -> Result<(), StripeError> {
        let request = || {
            CancelSubscriptionSchedule::new(schedule.as_str())
                .invoice_now(true)
                .prorate(false)
                .build()
        };
        self.cancel_at_last(request, schedule.as_str()).await
    }
}

/// The idempotency key of a step of an amendment.
pub(super) fn step_key(sale: &Sale, amendment: &Amendment, step: &str) -> String {
    format!(
        "connect-amend/{}/{}/{}/{}/{step}",
        sale.account, sale.order.client, sale.number, amendment.number
    )
}

#[cfg(test)]
mod tests {
    use billing_core::connect::amendment::Difference;
    use serde_json::{Value, json};

    use super::super::contracts::tests::{read, schedule};
    use super::*;

    const START: i64 = 1_777_593_600;

    fn sale() -> Sale {
        let sale = json!({
            "agency": "north", "account": "acct_1", "number": 1, "at_once": false, "agents": [], "version": 1,
            "asked_at": "2026-04-01T00:00:00Z",
            "order": {
                "client": "0123456789abcdef01234567", "agents": [], "product": "prod_1", "metric": "minutes",
                "start": "2026-05-01T00:00:00Z",
            },
            "terms": terms("prod_1", "price_f"),
        });
        serde_json::from_value(sale).unwrap()
    }

    fn terms(product: &str, price: &str) -> Value {
        json!({
            "product": product, "name": "Voice", "flat": price, "cadence": { "interval": "month", "count": 1 }, "currency": "usd",
        })
    }

    /// What is asked for of that schedule by that difference.
    fn asked(schedule: &Value, difference: Value) -> Value {
        let contract = read(schedule);
        let mut difference: Difference = serde_json::from_value(difference).unwrap();
        difference.writes_phase = difference.is_of_the_phase(&contract);
        let amendment = Amendment {
            number: 1,
            difference,
            asked_at: "2026-04-01T00:00:00Z".parse().unwrap(),
            moved: None,
        };
        let sale = sale();
        serde_json::to_value(rewritten((&sale, &contract), &amendment, None)).unwrap()
    }

    /// The schedule of an agency that has noted something on it, and charges two of the flat price.
    fn noted() -> Value {
        let mut schedule = schedule();
        let phase = &mut schedule["phases"][0];
        phase["metadata"] = json!({ "order": "A-7", "sale": "old" });
        phase["items"][0]["metadata"] = json!({ "seat": "3" });
        phase["items"][0]["quantity"] = json!(2);
        schedule
    }

    #[test]
    fn what_an_agency_has_noted_stays_with_another_date_or_product() {
        for (difference, price) in [
            (json!({ "start": "2026-05-01T00:00:00Z" }), "price_f"),
            (json!({ "terms": terms("prod_2", "price_g") }), "price_g"),
        ] {
            let asked = asked(&noted(), difference);
            let phase = &asked["phases"][0];
            assert_eq!(
                phase["metadata"],
                json!({ "client": "0123456789abcdef01234567", "order": "A-7", "sale": "1" })
            );
            assert_eq!(
                phase["items"],
                json!([{ "price": price, "quantity": 2, "metadata": { "seat": "3" } }])
            );
        }
    }

    #[test]
    fn taxes_are_told_where_they_are_to_be_others() {
        let date = json!({ "start": "2026-05-01T00:00:00Z" });
        let untaxed = json!({ "tax": { "enabled": false }, "start": "2026-05-01T00:00:00Z" });
        let mut own = noted();
        own["phases"][0]["automatic_tax"] = json!({ "enabled": true, "liability": { "type": "self" } });
        for (schedule, difference, default, phase) in [
            (&noted(), &date, Value::Null, Value::Null),
            (&noted(), &untaxed, json!(false), Value::Null),
            (&own, &date, Value::Null, json!(true)),
            (&own, &untaxed, json!(false), json!(false)),
        ] {
            let asked = asked(schedule, difference.clone());
            assert_eq!(
                asked["default_settings"]["automatic_tax"]["enabled"], default,
                "{asked}"
            );
            assert_eq!(asked["phases"][0]["automatic_tax"]["enabled"], phase, "{asked}");
            assert_eq!(asked["phases"][0]["start_date"], START.to_string());
        }
        let asked = asked(&noted(), json!({ "ends": true }));
        assert_eq!(asked, json!({ "end_behavior": "cancel" }));
    }
}
