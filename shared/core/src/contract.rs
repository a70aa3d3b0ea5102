//! Contracts: what a customer has bought of a plan, at the prices it was sold at, and how that changes.
//!
//! # How it works
//! A contract has what it stands at (`Standing`: the products with their prices, the period under way, what was billed for it), the
//! subscription that bills it, and at most one `Sale` that is under way. What becomes of a sale is told by Stripe and by
//! nothing else: `land` compares a subscription that was just read there with what is written down, and answers the difference.
//! The store writes it in one transaction under the version that was read *before* Stripe was asked, so nothing older ever
//! overwrites something newer (`docs/architecture.md`).
//!
//! # If it fails half-way
//! A sale stays in the contract until it took effect or came to nothing. Landing the same again changes nothing but the version.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::estimate::Standing;
use crate::id::{
    BilledPriceId, BusinessEntityId, BuyerId, CheckoutId, ContractId, InvoiceId, ItemId, OrganisationId,
    PlanId, ScheduleId, SubscriptionId,
};
use crate::period::Period;
use crate::quote::Charge;
use crate::sale::{Offer, OrderLine, Sale, Way};
use crate::session::Kind;
use crate::subscription::Status as BillingStatus;

/// What Stripe has of it.
mod read;
/// What that changes about it.
mod landing;
/// The period that it is in.
mod periods;
/// Whether it can be amended.
mod amending;

pub use amending::{Obstacle, Unamendable};
pub use landing::{
    Facts, Fate, Landing, Lateness, Ledger, SessionUpdate, fate, is_awaited, land, lateness, missing_end,
};
pub use read::{Bill, OperatorTerms, PlainSchedule, Read};

/// Where a contract stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being sold: it is told to nobody yet.
    Pending,
    /// Sold.
    Active,
    /// Over.
    Ended,
    /// Paid too late for an offer that had moved: it never began, and the money was given back.
    Refunded,
}

/// A contract, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Who sold it.
    pub organisation: OrganisationId,
    /// Its id.
    pub id: ContractId,
    /// Counts the writes; one that decides names the version that it read.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// Who bought it.
    pub buyer: BuyerId,
    /// Whether it was bought by typing an address, which may be another's: nothing is charged for it to what the customer has of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_guests: bool,
    /// Who sells.
    pub business_entity: BusinessEntityId,
    /// What it stands at; while it is being sold, what it will.
    pub standing: Standing,
    /// What Stripe bills for that.
    pub order: Vec<OrderLine>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ends; none for one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// The subscription that bills it, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
    /// How many amendments it has had, its beginning included.
    #[serde(default)]
    pub amendments: u64,
    /// The sale that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<Sale>,
    /// What it becomes when its period ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// The subscription of a contract, as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billing {
    /// Stripe's id.
    pub subscription: SubscriptionId,
    /// Where it stands.
    pub status: BillingStatus,
    /// Its items.
    pub items: Vec<BilledItem>,
    /// The period that is under way.
    pub period: Period,
    /// When it ends, if that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<Timestamp>,
    /// The schedule that leads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// Its latest bill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_bill: Option<InvoiceId>,
}

/// An item of a contract's subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledItem {
    /// Stripe's id.
    pub id: ItemId,
    /// Its price.
    pub price: BilledPriceId,
    /// How many.
    pub quantity: u64,
}

/// A change that takes effect when the period ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The session that it was sold by.
    pub checkout: CheckoutId,
    /// What the contract will stand at.
    pub after: Standing,
    /// What Stripe will bill.
    pub order: Vec<OrderLine>,
    /// When.
    pub effective_at: Timestamp,
}

/// One entry of a contract's history: how it began, and each amendment. Never rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// Counted from 1, the beginning.
    pub number: u64,
    /// The session that it was sold by.
    pub checkout: CheckoutId,
    /// Which kind that was.
    pub kind: Kind,
    /// When it takes effect, in a word.
    pub way: Way,
    /// The plan from then on.
    pub plan: PlanId,
    /// What it was charged at.
    pub charge: Charge,
    /// From when on it holds.
    pub effective_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
}

/// Which contract: the organisation's, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractKey {
    /// Who sold it.
    pub organisation: OrganisationId,
    /// Which.
    pub contract: ContractId,
}

impl Contract {
    /// The change that was scheduled and that Stripe bills by now, and the schedule that led there: it is done.
    #[must_use]
    pub fn completed_schedule(&self, read: &Read) -> Option<(&Scheduled, ScheduleId)> {
        let scheduled = self.scheduled.as_ref()?;
        let is_done = Self::bills(&read.billing, &scheduled.order);
        let schedule = read.billing.schedule.clone().filter(|_| is_done)?;
        Some((scheduled, schedule))
    }

    /// The end of a contract that its subscription does not have, because a schedule led it: that says the end while it leads, and Stripe drops it when
    /// that is let go, having led where it was to lead, or released by an operator, who takes back what it led to and not the end. That Stripe had
    /// it when it was last read tells that an operator took it away.
    #[must_use]
    pub fn lost_end(&self, read: &Read, now: Timestamp) -> Option<Timestamp> {
        // While it is being sold, the end is the sale's to set.
        let is_sold = self.status == Status::Active;
        let end = self.ends_at.filter(|end| is_sold && now < *end)?;
        let billing = &read.billing;
        let is_lost = billing.schedule.is_none() && billing.status.is_live() && billing.cancel_at.is_none();
        let known = self.billing.as_ref();
        let had_none = known
            .is_some_and(|known| known.subscription == billing.subscription && known.cancel_at.is_none());
        let was_led = self.scheduled.is_some() || had_none;
        (is_lost && was_led).then_some(end)
    }

    /// The subscription of an earlier sale that came to nothing, while the contract is being sold anew: what Stripe says of it is not
    /// about the sale that is under way. It cannot be this one's: a subscription that is over ends its sale in the write that
    /// records it, unless its bill is being paid, and then the sale names that, or its money is to go back first.
    #[must_use]
    pub fn left_behind(&self) -> Option<&SubscriptionId> {
        let sale = self.sale.as_ref()?;
        let billing = self.billing.as_ref()?;
        let is_own = sale.invoice.is_some() || sale.is_to_be_refunded;
        let is_earlier = !is_own && !billing.status.is_live();
        (sale.offer.way == Way::Begin && is_earlier).then_some(&billing.subscription)
    }

    /// Whether a sale came to what Stripe bills now: every line of the order is an item, and there are no others.
    fn bills(billing: &Billing, order: &[OrderLine]) -> bool {
        billing.items.len() == order.len()
            && order.iter().all(|line| {
                billing.items.iter().any(|item| {
                    line.price.as_ref().is_some_and(|price| item.price == *price)
                        && item.quantity == line.quantity
                })
            })
    }
}

/// What an offer charges.
#[must_use]
pub fn charge(offer: &Offer) -> Charge {
    let invoice = &offer.estimates.current_invoice;
    Charge {
        amount_due: invoice.amount_due,
        total: invoice.total,
        currency: invoice.currency,
    }
}

#[cfg(test)]
mod tests;
