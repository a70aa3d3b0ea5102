//! The phase of a schedule that waits: what we write into one, and whether somebody at Stripe has put more into it, which writing it anew would lose.

use std::collections::BTreeMap;

use billing_core::SignedDuration;
use billing_core::connect::contract::Contract;
use billing_core::period::Period;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::offers::WirePrice;
use crate::other_terms::{OtherItemTerms, OtherTerms, Party, lists};
use crate::wire::Reference;

/// How far from a period a phase may be and still be one.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whether taxes are worked out.
#[derive(Deserialize)]
pub(super) struct AutomaticTax {
    pub(super) enabled: bool,
    liability: Option<Party>,
}

/// What holds for every phase that does not say otherwise.
#[derive(Deserialize)]
pub(super) struct Settings {
    automatic_tax: Option<AutomaticTax>,
}

impl Settings {
    pub(super) fn taxed(&self) -> Option<bool> {
        self.automatic_tax.as_ref().map(|tax| tax.enabled)
    }
}

/// A phase. Members that we do not write are looked at for whether they say something.
#[derive(Deserialize)]
pub(super) struct Phase {
    pub(super) start_date: i64,
    pub(super) end_date: i64,
    pub(super) items: Vec<PhaseItem>,
    #[serde(default)]
    pub(super) discounts: Vec<PhaseDiscount>,
    pub(super) automatic_tax: Option<AutomaticTax>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    // What we write into no phase: it is looked at for whether somebody at Stripe has.
    #[serde(default)]
    add_invoice_items: Option<Vec<IgnoredAny>>,
    collection_method: Option<String>,
    default_payment_method: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    trial_end: Option<IgnoredAny>,
    #[serde(flatten)]
    others: OtherTerms,
}

#[derive(Deserialize)]
pub(super) struct PhaseItem {
    pub(super) price: WirePrice,
    pub(super) quantity: Option<u64>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    others: OtherItemTerms,
}

#[derive(Deserialize)]
pub(super) struct PhaseDiscount {
    pub(super) coupon: Option<Reference>,
}

impl Phase {
    /// Whether it says more than we write into one: members that we leave out, or discounts beyond one coupon.
    pub(super) fn says_more(&self) -> bool {
        let members = [&self.default_payment_method, &self.description, &self.trial_end];
        let liability = self.automatic_tax.as_ref().and_then(|tax| tax.liability.as_ref());
        let discounts = match self.discounts.as_slice() {
            [] => false,
            [discount] => discount.coupon.is_none(),
            _ => true,
        };
        members.iter().any(|member| member.is_some())
            || lists(self.add_invoice_items.as_ref())
            || self.collection_method.as_deref() == Some("send_invoice")
            || self.others.say()
            || self.items.iter().any(|item| item.others.say())
            || liability.is_some_and(Party::is_another)
            || discounts
    }
}

/// The first period of what a phase charges: the phase itself where it is as long, give or take what is less than a day, as how Stripe counts is
/// Stripe's affair.
pub(super) fn first_period(phase: Period, contract: &Contract) -> Period {
    let line = contract.flat().or(contract.lines.first());
    let end = line.and_then(|line| line.price.cadence.end_of_period(phase.start));
    let end = end.filter(|end| end.duration_since(phase.end).abs() >= DAY);
    Period {
        end: end.unwrap_or(phase.end),
        ..phase
    }
}
