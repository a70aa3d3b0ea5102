//! What somebody at Stripe may have said of a subscription, or of a phase of its schedule, and what is said nowhere here: whoever writes one
//! anew would lose it.
//!
//! Members are looked at for whether they say something.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Members that a subscription and a phase have both.
#[derive(Deserialize)]
pub(crate) struct OtherTerms {
    application_fee_percent: Option<IgnoredAny>,
    billing_thresholds: Option<IgnoredAny>,
    default_tax_rates: Option<Vec<IgnoredAny>>,
    invoice_settings: Option<InvoiceSettings>,
    on_behalf_of: Option<IgnoredAny>,
    transfer_data: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct InvoiceSettings {
    account_tax_ids: Option<Vec<IgnoredAny>>,
    custom_fields: Option<Vec<IgnoredAny>>,
    days_until_due: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
    footer: Option<IgnoredAny>,
    issuer: Option<Party>,
}

/// Members of an item of either.
#[derive(Deserialize)]
pub(crate) struct OtherItemTerms {
    discounts: Option<Vec<IgnoredAny>>,
    tax_rates: Option<Vec<IgnoredAny>>,
    billing_thresholds: Option<IgnoredAny>,
}

/// Who issues an invoice, or is liable for its taxes: the account itself where nothing is said.
#[derive(Deserialize)]
pub(crate) struct Party {
    #[serde(rename = "type")]
    kind: String,
}

impl Party {
    /// Whether it is another account.
    pub(crate) fn is_another(&self) -> bool {
        self.kind == "account"
    }
}

/// Whether a list says something.
pub(crate) fn lists(list: Option<&Vec<IgnoredAny>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

impl OtherTerms {
    /// Whether any of them says something.
    pub(crate) fn say(&self) -> bool {
        let members = [
            &self.application_fee_percent,
            &self.billing_thresholds,
            &self.on_behalf_of,
            &self.transfer_data,
        ];
        members.iter().any(|member| member.is_some())
            || lists(self.default_tax_rates.as_ref())
            || self.invoice_settings.as_ref().is_some_and(InvoiceSettings::say)
    }
}

impl InvoiceSettings {
    fn say(&self) -> bool {
        let members = [&self.days_until_due, &self.description, &self.footer];
        members.iter().any(|member| member.is_some())
            || lists(self.account_tax_ids.as_ref())
            || lists(self.custom_fields.as_ref())
            || self.issuer.as_ref().is_some_and(Party::is_another)
    }
}

impl OtherItemTerms {
    /// Whether any of them says something.
    pub(crate) fn say(&self) -> bool {
        lists(self.discounts.as_ref()) || lists(self.tax_rates.as_ref()) || self.billing_thresholds.is_some()
    }
}
