//! A contract's subscription as Stripe writes it.

use std::collections::HashMap;

use billing_core::contract::{Bill, BilledItem, Billing, ContractKey, Read};
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
use crate::pages::Page;
use crate::payers::{Customer, Method};
use crate::subscriptions::LATEST_INVOICE;
use crate::wire::{Reference, at, collection, id, period};

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

    /// Whether it is as Stripe makes one of a subscription: one phase of the same items, which is let go at its end, and no word of
    /// anybody's.
    fn is_plain(&self, items: &[BilledItem]) -> bool {
        let Self::Object {
            end_behavior,
            phases,
            metadata,
            ..
        } = self
        else {
            return false;
        };
        let [phase] = phases.as_slice() else {
            return false;
        };
        let is_billed = |led: &WirePhaseItem| {
            items
                .iter()
                .any(|item| item.price.as_str() == led.price.0 && item.quantity == led.quantity.unwrap_or(1))
        };
        metadata.is_empty()
            && end_behavior.as_deref() == Some("release")
            && phase.items.len() == items.len()
            && phase.items.iter().all(is_billed)
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
}

impl TryFrom<Wire> for ReadContract {
    type Error = StripeError;

    fn try_from(wire: Wire) -> Result<Self, StripeError> {
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
        };
        let is_plain = |schedule: &WireSchedule| schedule.is_plain(&billing.items);
        let is_plain = wire.schedule.as_ref().is_some_and(is_plain);
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
                plain_schedule: billing.schedule.clone().filter(|_| is_plain),
                billing,
                customer: id(&wire.customer.id, "a customer")?,
                created: at(wire.created, "the creation of a subscription")?,
                is_pending: wire.pending_update.is_some(),
                // Told by the bill's payments, which are read where that is in doubt.
                is_debited: false,
                is_flexible: wire.billing_mode.is_some_and(|mode| mode.kind == "flexible"),
                collection: collection(wire.pause_collection.is_some(), wire.collection_method.as_deref()),
                scheduled: wire.schedule.as_ref().and_then(WireSchedule::sale).cloned(),
                latest_invoice: wire.latest_invoice.map(TryInto::try_into).transpose()?,
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
