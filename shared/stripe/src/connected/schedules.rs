//! Schedules: made for a sale, rewritten, let go, canceled.
//!
//! A phase is described here once, for the request that makes a schedule and for the one that rewrites it: async-stripe has a type
//! of its own for each.

use std::collections::HashMap;

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
    default_settings: Settings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<Phase<'a>>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    metadata: HashMap<&'static str, String>,
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

/// One period of what is sold; after it the schedule lets go, and the subscription renews by itself.
#[derive(Serialize)]
struct Phase<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    duration: Duration<'a>,
    /// Of one that is to be made: that of the prices as they were looked at. A price may have several, of which Stripe would choose by the
    /// customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    items: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discounts: Vec<Discount<'a>>,
    metadata: HashMap<&'static str, String>,
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
    /// So many of the flat price.
    fn of(terms: &'a Terms, quantity: u64) -> Self {
        let flat = Item {
            price: terms.flat.as_str(),
            quantity: Some(quantity),
        };
        // What is metered has no quantity.
        let metered = terms.metered.as_ref().map(|price| Item {
            price: price.as_str(),
            quantity: None,
        });
        Self {
            items: std::iter::once(flat).chain(metered).collect(),
            cadence: &terms.cadence,
        }
    }

    /// As a schedule has it at Stripe, whoever wrote it there; none of one that charges nothing.
    fn as_they_are(contract: &'a Contract) -> Option<Self> {
        let first = contract.flat().or(contract.lines.first())?;
        let item = |line: &'a Line| Item {
            price: line.price.id.as_str(),
            quantity: line.quantity,
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
        // The subscription gets it when the phase begins.
        metadata: named(sale),
    }
}

fn named(sale: &Sale) -> HashMap<&'static str, String> {
    HashMap::from([
        (CLIENT, sale.order.client.to_string()),
        (SALE, sale.number.to_string()),
    ])
}

fn end_behavior(ends: bool) -> &'static str {
    if ends { "cancel" } else { "release" }
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
            default_settings: Settings {
                automatic_tax: AutomaticTax {
                    enabled: sale.order.tax.as_ref().is_some_and(|tax| tax.enabled),
                },
            },
            phases: vec![Phase {
                currency: sale.terms.currency,
                ..phase(
                    sale,
                    Charges::of(&sale.terms, 1),
                    sale.order.coupon.as_ref(),
                    None,
                )
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
        let difference = &amendment.difference;
        let charges = match &difference.terms {
            Some(terms) => Charges::of(terms, contract.flat_quantity()),
            None => Charges::as_they_are(contract).unwrap_or_else(|| Charges::of(&sale.terms, 1)),
        };
        let start = match (difference.start, contract.start) {
            (Some(start), _) if start <= amendment.asked_at => Some("now".to_owned()),
            (Some(start), _) | (None, Some(start)) => Some(start.as_second().to_string()),
            (None, None) => None,
        };
        let form = Schedule {
            customer: None,
            billing_mode: None,
            start_date: None,
            // Also an end that comes later than its first period: it is not ours.
            end_behavior: end_behavior(difference.ends.unwrap_or(contract.ends_at.is_some())),
            default_settings: Settings {
                automatic_tax: AutomaticTax {
                    enabled: difference.tax.as_ref().map_or(contract.taxed, |tax| tax.enabled),
                },
            },
            phases: if difference.is_of_the_phase(contract) {
                vec![phase(sale, charges, coupon, start)]
            } else {
                Vec::new()
            },
            metadata: HashMap::new(),
            proration_behavior: None,
        };
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
