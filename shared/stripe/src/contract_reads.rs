//! A contract's subscription as Stripe writes it.

use std::collections::HashMap;

use billing_core::contract::{Bill, BilledItem, Billing, ContractKey, OperatorTerms, PlainSchedule, Read};
use billing_core::subscription::Status;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::invoice::ListInvoice;
use stripe_client_core::StripeRequest;

use crate::bills::WireInvoice;
use crate::client::Stripe;
use crate::contract_schedules::SALE;
use crate::contracts::named;
use crate::error::StripeError;
use crate::invoices::OpenPayment;
use crate::other_terms::{OtherItemTerms, OtherTerms, Party};
use crate::pages::Page;
use crate::payers::{Customer, Method};
use crate::subscriptions::LATEST_INVOICE;
use crate::wire::{Reference, at, collection, id, period};

/// What an error calls the start of a schedule's phase.
pub(crate) const PHASE: &str = "the start of a schedule's phase";

/// A contract's subscription, read at Stripe, with what it takes to find the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadContract {
    /// As Stripe has it.
    pub read: Read,
    /// Whose it is; none for a subscription that is no contract's.
    pub of: Option<ContractKey>,
}

/// A subscription in an answer, with its latest invoice and its schedule.
#[derive(Deserialize)]
pub(crate) struct Wire {
    id: String,
    created: i64,
    customer: Customer,
    status: String,
    items: Page<WireItem>,
    cancel_at: Option<i64>,
    schedule: Option<WireSchedule>,
    pending_update: Option<IgnoredAny>,
    #[serde(default)]
    billing_mode: Option<WireMode>,
    collection_method: Option<String>,
    pause_collection: Option<IgnoredAny>,
    latest_invoice: Option<WireInvoice>,
    default_payment_method: Option<Method>,
    #[serde(default)]
    default_source: Option<Method>,
    #[serde(default)]
    metadata: HashMap<String, String>,
    #[serde(default)]
    discounts: Vec<Reference>,
    description: Option<String>,
    automatic_tax: Option<WireTax>,
    #[serde(flatten)]
    others: OtherTerms,
}

/// Whether taxes are worked out, and who is liable for them.
#[derive(Deserialize)]
struct WireTax {
    enabled: bool,
    liability: Option<Party>,
}

#[derive(Deserialize)]
struct WireMode {
    #[serde(rename = "type")]
    kind: String,
}

/// The schedule that leads a subscription, with what it says of itself when it was expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireSchedule {
    Id(String),
    Object {
        id: String,
        end_behavior: Option<String>,
        #[serde(default)]
        phases: Vec<WirePhase>,
        #[serde(default)]
        metadata: HashMap<String, String>,
    },
}

#[derive(Deserialize)]
struct WirePhase {
    start_date: i64,
    items: Vec<WirePhaseItem>,
}

#[derive(Deserialize)]
struct WirePhaseItem {
    price: Reference,
    quantity: Option<u64>,
}

impl WireSchedule {
    fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Object { id, .. } => id,
        }
    }

    /// Where its phase begins, if it is as Stripe makes one of a subscription: one phase of the same items, which is let go at its end, and no
    /// word of anybody's.
    fn plain_start(&self, items: &[BilledItem]) -> Option<i64> {
        let Self::Object {
            end_behavior,
            phases,
            metadata,
            ..
        } = self
        else {
            return None;
        };
        let [phase] = phases.as_slice() else {
            return None;
        };
        let is_billed = |led: &WirePhaseItem| {
            items
                .iter()
                .any(|item| item.price.as_str() == led.price.0 && item.quantity == led.quantity.unwrap_or(1))
        };
        let is_plain = metadata.is_empty()
            && end_behavior.as_deref() == Some("release")
            && phase.items.len() == items.len()
            && phase.items.iter().all(is_billed);
        is_plain.then_some(phase.start_date)
    }

    /// The sale that it was written for.
    fn sale(&self) -> Option<&String> {
        match self {
            Self::Id(_) => None,
            Self::Object { metadata, .. } => metadata.get(SALE),
        }
    }
}

#[derive(Deserialize)]
struct WireItem {
    id: String,
    price: Reference,
    quantity: Option<u64>,
    current_period_start: i64,
    current_period_end: i64,
    #[serde(flatten)]
    others: OtherItemTerms,
}

impl Wire {
    /// What somebody at Stripe has it say.
    fn terms(&self) -> Result<OperatorTerms, StripeError> {
        let tax = self.automatic_tax.as_ref();
        let discounts = self.discounts.iter().map(|known| id(&known.0, "a discount"));
        Ok(OperatorTerms {
            discounts: discounts.collect::<Result<_, _>>()?,
            description: self.description.clone(),
            is_taxed: tax.is_some_and(|tax| tax.enabled),
            says_more: self.others.say()
                || self.items.data.iter().any(|item| item.others.say())
                || tax.is_some_and(|tax| tax.liability.as_ref().is_some_and(Party::is_another)),
        })
    }
}

impl TryFrom<Wire> for ReadContract {
    type Error = StripeError;

    fn try_from(mut wire: Wire) -> Result<Self, StripeError> {
        let unexpected = || StripeError::Unexpected {
            reason: format!("subscription {} has no item", wire.id),
        };
        let first = wire.items.data.first().ok_or_else(unexpected)?;
        let period = period(first.current_period_start, first.current_period_end)?;
        let items = wire.items.data.iter().map(|item| {
            Ok(BilledItem {
                id: id(&item.id, "a subscription item")?,
                price: id(&item.price.0, "a price")?,
                quantity: item.quantity.unwrap_or(1),
            })
        });
        let latest_invoice: Option<Bill> = wire.latest_invoice.take().map(TryInto::try_into).transpose()?;
        let billing = Billing {
            subscription: id(&wire.id, "a subscription")?,
            status: Status::parse(&wire.status),
            items: items.collect::<Result<_, StripeError>>()?,
            period,
            cancel_at: wire
                .cancel_at
                .map(|end| at(end, "the end of a subscription"))
                .transpose()?,
            schedule: wire
                .schedule
                .as_ref()
                .map(|schedule| id(schedule.id(), "a subscription schedule"))
                .transpose()?,
            latest_bill: latest_invoice.as_ref().map(|bill| bill.id.clone()),
        };
        let terms = wire.terms()?;
        let plain_start = |schedule: &WireSchedule| schedule.plain_start(&billing.items);
        let plain_start = wire.schedule.as_ref().and_then(plain_start);
        let plain_start = plain_start.map(|start| at(start, PHASE)).transpose()?;
        let plain = billing.schedule.clone().zip(plain_start);
        Ok(Self {
            of: named(&wire.metadata),
            read: Read {
                payment_method: wire
                    .default_payment_method
                    .as_ref()
                    .map(|method| id(&method.id, "a payment method"))
                    .transpose()?,
                payer: wire
                    .customer
                    .payer_of(wire.default_payment_method.as_ref(), wire.default_source.as_ref()),
                is_answer: false,
                plain_schedule: plain.map(|(id, start)| PlainSchedule { id, start }),
                terms,
                billing,
                customer: id(&wire.customer.id, "a customer")?,
                created: at(wire.created, "the creation of a subscription")?,
                is_pending: wire.pending_update.is_some(),
                // Told by the bill's payments, which are read where that is in doubt.
                is_debited: false,
                is_flexible: wire.billing_mode.is_some_and(|mode| mode.kind == "flexible"),
                collection: collection(wire.pause_collection.is_some(), wire.collection_method.as_deref()),
                scheduled: wire.schedule.as_ref().and_then(WireSchedule::sale).cloned(),
                latest_invoice,
                earlier_invoices: Vec::new(),
            },
        })
    }
}

impl Stripe {
    /// A contract's subscription with the bills before its latest, back to its first; and whether one of those that can be paid is being
    /// paid.
    pub async fn with_earlier_bills(&self, read: Read) -> Result<Read, StripeError> {
        let mut bills: Vec<Bill> = Vec::new();
        let list = ListInvoice::new().subscription(read.billing.subscription.as_str());
        let mut pages = self.pages::<WireInvoice>(list.build());
        while let Some(page) = pages.next().await? {
            for wire in page {
                bills.push(wire.try_into()?);
            }
            if bills.iter().any(|bill| bill.is_first) {
                break;
            }
        }
        let mut bills = bills.into_iter();
        let mut found = Read {
            latest_invoice: bills.next(),
            earlier_invoices: bills.collect(),
            ..read
        };
        let payable: Vec<_> = found.payable_bills().map(|bill| bill.id.clone()).collect();
        for bill in payable {
            if !found.is_debited {
                found.is_debited = self.open_payment(&bill).await? == OpenPayment::UnderWay;
            }
        }
        Ok(found)
    }
}

/// What an answer has to hold whole.
pub(crate) fn expanded() -> Vec<String> {
    vec![LATEST_INVOICE.to_owned(), "schedule".to_owned()]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A subscription of April as Stripe writes one of which nobody has said anything.
    fn subscription() -> Value {
        json!({
            "id": "sub_1", "created": 1_775_001_600, "customer": "cus_1", "status": "active", "schedule": null,
            "application_fee_percent": null, "billing_thresholds": null, "default_tax_rates": [], "description": null, "discounts": [],
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
            "on_behalf_of": null, "transfer_data": null,
            "items": { "has_more": false, "data": [{
                "id": "si_1", "price": "price_1", "quantity": 3, "discounts": [], "tax_rates": [], "billing_thresholds": null,
                "current_period_start": 1_775_001_600, "current_period_end": 1_777_593_600,
            }] },
        })
    }

    fn read(subscription: &Value) -> Read {
        let wire: Wire = serde_json::from_str(&subscription.to_string()).unwrap();
        ReadContract::try_from(wire).unwrap().read
    }

    /// Also where the members are not there at all.
    #[test]
    fn what_a_schedule_cannot_say_again_is_noticed() {
        assert_eq!(read(&subscription()).terms, OperatorTerms::default());
        let mut bare = subscription();
        bare.as_object_mut().unwrap().retain(|member, _| {
            ["id", "created", "customer", "status", "items", "schedule"].contains(&member.as_str())
        });
        let item = bare["items"]["data"][0].as_object_mut().unwrap();
        item.retain(|member, _| !["discounts", "tax_rates", "billing_thresholds"].contains(&member.as_str()));
        assert_eq!(read(&bare).terms, OperatorTerms::default());
        for (pointer, value) in [
            ("/application_fee_percent", json!(2.5)),
            ("/billing_thresholds", json!({ "amount_gte": 100 })),
            ("/default_tax_rates", json!([{ "id": "txr_1" }])),
            (
                "/automatic_tax/liability",
                json!({ "type": "account", "account": "acct_2" }),
            ),
            ("/invoice_settings/account_tax_ids", json!(["txi_1"])),
            (
                "/invoice_settings/issuer",
                json!({ "type": "account", "account": "acct_2" }),
            ),
            ("/on_behalf_of", json!("acct_2")),
            ("/transfer_data", json!({ "destination": "acct_2" })),
            ("/items/data/0/discounts", json!(["di_1"])),
            ("/items/data/0/tax_rates", json!([{ "id": "txr_1" }])),
            ("/items/data/0/billing_thresholds", json!({ "usage_gte": 1 })),
        ] {
            let mut said = subscription();
            *said.pointer_mut(pointer).unwrap() = value;
            assert!(read(&said).terms.says_more, "{pointer}");
        }
    }

    #[test]
    fn what_a_schedule_says_again_is_read() {
        let mut said = subscription();
        said["discounts"] = json!(["di_2", { "id": "di_1" }]);
        said["description"] = json!("Bakery");
        said["automatic_tax"] = json!({ "enabled": true, "liability": { "type": "self" } });
        let terms = OperatorTerms {
            discounts: vec!["di_2".parse().unwrap(), "di_1".parse().unwrap()],
            description: Some("Bakery".to_owned()),
            is_taxed: true,
            says_more: false,
        };
        assert_eq!(read(&said).terms, terms);
    }

    /// Wherever its period began. One that names a sale, or leads to something else, is not plain.
    #[test]
    fn a_plain_schedule_tells_where_its_phase_begins() {
        let schedule = json!({
            "id": "sub_sched_1", "end_behavior": "release", "metadata": {},
            "phases": [{ "start_date": 1_772_323_200, "items": [{ "price": "price_1", "quantity": 3 }] }],
        });
        let led = |pointer: &str, value: Value| {
            let mut led = subscription();
            led["schedule"] = schedule.clone();
            *led["schedule"].pointer_mut(pointer).unwrap() = value;
            read(&led).plain_schedule
        };
        let plain = PlainSchedule {
            id: "sub_sched_1".parse().unwrap(),
            start: at(1_772_323_200, PHASE).unwrap(),
        };
        assert_eq!(led("/end_behavior", json!("release")), Some(plain));
        assert_eq!(led("/end_behavior", json!("cancel")), None);
        assert_eq!(led("/metadata", json!({ "sale": "1" })), None);
        assert_eq!(led("/phases/0/items/0/quantity", json!(4)), None);
    }
}
