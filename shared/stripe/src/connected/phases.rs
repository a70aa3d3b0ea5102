//! The phase of a schedule that waits: what we write into one, and whether somebody at Stripe has put more into it, which writing it anew would lose.

use billing_core::SignedDuration;
use billing_core::connect::contract::Contract;
use billing_core::period::Period;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::offers::WirePrice;
use crate::wire::Reference;

/// How far from a period a phase may be and still be one.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whether taxes are worked out.
#[derive(Deserialize)]
pub(super) struct AutomaticTax {
    pub(super) enabled: bool,
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
    // What we write into no phase: it is looked at for whether somebody at Stripe has.
    #[serde(default)]
    add_invoice_items: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    default_tax_rates: Option<Vec<IgnoredAny>>,
    application_fee_percent: Option<IgnoredAny>,
    billing_thresholds: Option<IgnoredAny>,
    collection_method: Option<String>,
    default_payment_method: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    invoice_settings: Option<InvoiceSettings>,
    on_behalf_of: Option<IgnoredAny>,
    transfer_data: Option<IgnoredAny>,
    trial_end: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct InvoiceSettings {
    account_tax_ids: Option<Vec<IgnoredAny>>,
    custom_fields: Option<Vec<IgnoredAny>>,
    days_until_due: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    footer: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct PhaseItem {
    pub(super) price: WirePrice,
    pub(super) quantity: Option<u64>,
    #[serde(default)]
    discounts: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    tax_rates: Option<Vec<IgnoredAny>>,
    billing_thresholds: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct PhaseDiscount {
    pub(super) coupon: Option<Reference>,
}

/// Whether a list says something.
fn lists(list: Option<&Vec<IgnoredAny>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

impl Phase {
    /// Whether it says more than we write into one: members that we leave out, or discounts beyond one coupon.
    pub(super) fn says_more(&self) -> bool {
        let members = [
            &self.application_fee_percent,
            &self.billing_thresholds,
            &self.default_payment_method,
            &self.description,
            &self.on_behalf_of,
            &self.transfer_data,
            &self.trial_end,
        ];
        let discounts = match self.discounts.as_slice() {
            [] => false,
            [discount] => discount.coupon.is_none(),
            _ => true,
        };
        members.iter().any(|member| member.is_some())
            || lists(self.add_invoice_items.as_ref())
            || lists(self.default_tax_rates.as_ref())
            || self.collection_method.as_deref() == Some("send_invoice")
            || self.invoice_settings.as_ref().is_some_and(InvoiceSettings::say)
            || self.items.iter().any(PhaseItem::says_more)
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

impl InvoiceSettings {
    fn say(&self) -> bool {
        let members = [&self.days_until_due, &self.description, &self.footer];
        members.iter().any(|member| member.is_some())
            || lists(self.account_tax_ids.as_ref())
            || lists(self.custom_fields.as_ref())
    }
}

impl PhaseItem {
    fn says_more(&self) -> bool {
        lists(self.discounts.as_ref()) || lists(self.tax_rates.as_ref()) || self.billing_thresholds.is_some()
    }
}
