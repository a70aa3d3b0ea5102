//! Subscriptions that have begun: changed, canceled, and what was used of them.

use std::collections::BTreeMap;

use billing_core::SignedDuration;
use billing_core::access::Owner;
use billing_core::connect::amendment::Amendment;
use billing_core::connect::contract::Contract;
use billing_core::connect::offer::Usage;
use billing_core::connect::sale::{ReadSale, Sale, Terms};
use billing_core::id::{AgencyId, CustomerId, InvoiceId, MeterId, SubscriptionId};
use billing_core::period::Period;
use billing_core::subscription::Collection;
use serde::Deserialize;
use serde::de::IgnoredAny;
use stripe_billing::billing_meter_event_summary::ListIdBillingMeterEventSummary;
use stripe_billing::invoice::{CreatePreviewInvoice, ListInvoice, RetrieveInvoice};
use stripe_billing::subscription::{
    CancelSubscription, MigrateSubscription, MigrateSubscriptionBillingMode,
    MigrateSubscriptionBillingModeType, UpdateSubscription, UpdateSubscriptionAutomaticTax,
    UpdateSubscriptionItems, UpdateSubscriptionProrationBehavior,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_product::price::RetrievePrice;

use super::schedules::step_key;
use super::{Connected, found};
use crate::error::{StripeError, unless_missing};
use crate::pages::{Listed, Page};
use crate::wire::{Reference, collection, id, segment};

/// Stripe sums a meter up by whole minutes.
const MINUTE: i64 = 60;
/// What has Stripe forget the date on which a subscription ends.
const NO_DATE: &str = "cancel_at=";

#[derive(Deserialize)]
struct Bill {
    id: String,
    status: Option<String>,
    billing_reason: Option<String>,
    #[serde(default)]
    auto_advance: bool,
    #[serde(default)]
    attempted: bool,
    collection_method: Option<String>,
}

impl Bill {
    /// Whether it is a renewal's that Stripe has yet to collect. One that somebody took in hand does not advance.
    fn is_renewal_to_come(&self) -> bool {
        self.billing_reason.as_deref() == Some("subscription_cycle")
            && matches!(self.status.as_deref(), Some("draft" | "open"))
            && self.auto_advance
            && !self.attempted
    }

    fn is_draft(&self) -> bool {
        self.status.as_deref() == Some("draft")
    }

    /// Whether it is charged once it is final: one that an operator has Stripe send is paid by whoever gets it, and charged to nothing here.
    fn is_charged(&self) -> bool {
        match collection(false, self.collection_method.as_deref()) {
            Collection::Sent => false,
            Collection::Charged | Collection::Paused => true,
        }
    }
}

/// What became of the renewal of what is about to be canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It is billed, or there was none.
    Billed,
    /// Stripe leaves it a draft: it does not know where to tax the client.
    Unlocated,
    /// Stripe leaves it a draft, for another reason.
    Drafted,
}

#[derive(Deserialize)]
struct Summary {
    aggregated_value: serde_json::Number,
}

#[derive(Deserialize)]
struct Preview {
    id: String,
    lines: Page<PreviewLine>,
}

#[derive(Deserialize)]
struct PreviewLine {
    id: String,
    amount: i64,
    pricing: Option<Pricing>,
}

impl PreviewLine {
    /// What it is charged at; none of what an agency has charged without a price.
    fn price(&self) -> Option<&str> {
        let details = self.pricing.as_ref()?.price_details.as_ref()?;
        Some(&details.price.0)
    }
}

impl Listed for PreviewLine {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct Pricing {
    price_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    price: Reference,
}

/// A price, as far as it tells what it is for.
#[derive(Deserialize)]
struct Purpose {
    recurring: Option<Recurring>,
}

#[derive(Deserialize)]
struct Recurring {
    usage_type: String,
}

impl Connected {
    /// Changes a running subscription by what is different. Another product takes the place of the present one's prices, and what
    /// is left of the period is settled with the next invoice. An end is taken back however it was set.
    pub async fn change_running(
        &self,
        subscription: &SubscriptionId,
        ReadSale { sale, contract }: &ReadSale,
        amendment: &Amendment,
    ) -> Result<(), StripeError> {
        let difference = &amendment.difference;
        let mut request = UpdateSubscription::new(subscription.as_str());
        if let Some(terms) = &difference.terms {
            request = request
                .items(items(contract, terms))
                .proration_behavior(UpdateSubscriptionProrationBehavior::CreateProrations);
        }
        if let Some(tax) = &difference.tax {
            request = request.automatic_tax(UpdateSubscriptionAutomaticTax::new(tax.enabled));
        }
        let clears_date = difference.ends == Some(false) && contract.ends_on_date;
        if clears_date && difference.terms.is_none() {
            // Its date may have cut the period short: what the agency gave back for that is its own affair.
            request = request.proration_behavior(UpdateSubscriptionProrationBehavior::None);
        }
        if let Some(ends) = difference.ends.filter(|_| !clears_date) {
            request = request.cancel_at_period_end(ends);
        }
        let mut request = request.build();
        if clears_date {
            // async-stripe cannot say "unset".
            let others = request.body.take().filter(|body| !body.is_empty());
            request.body =
                Some(others.map_or_else(|| NO_DATE.to_owned(), |others| format!("{others}&{NO_DATE}")));
        }
        let key = step_key(sale, amendment, "change");
        let _changed: IgnoredAny = self.stripe.post(request, &key).await?;
        Ok(())
    }

    /// Has Stripe bill a subscription in its flexible mode from now on. There is no way back.
    pub async fn migrate_running(
        &self,
        subscription: &SubscriptionId,
        sale: &Sale,
        amendment: &Amendment,
    ) -> Result<(), StripeError> {
        let mode = MigrateSubscriptionBillingMode::new(MigrateSubscriptionBillingModeType::Flexible);
        let request = MigrateSubscription::new(subscription.as_str(), mode);
        let key = step_key(sale, amendment, "migrate");
        let _changed: IgnoredAny = self.stripe.post(request.build(), &key).await?;
        Ok(())
    }

    /// Cancels a subscription at once, without giving anything back; what was used is billed. What Stripe refuses may be over already:
    /// what it is now it tells.
    pub async fn cancel_running(
        &self,
        _owner: &Owner<AgencyId>,
        subscription: &SubscriptionId,
    ) -> Result<(), StripeError> {
        let request = || {
            CancelSubscription::new(subscription.as_str())
                .invoice_now(true)
                .prorate(false)
                .build()
        };
        self.cancel_at_last(request, subscription.as_str()).await
    }

    /// Collects the renewal that Stripe is about to collect by itself, of a subscription that is about to be canceled: what was used in the
    /// period before is on it, and with the subscription Stripe would give it up. What cannot be paid stays open; that Stripe leaves it a draft is
    /// told. Safe to repeat.
    pub async fn collect_renewal(
        &self,
        _owner: &Owner<AgencyId>,
        subscription: &SubscriptionId,
    ) -> Result<Renewal, StripeError> {
        let request = ListInvoice::new().subscription(subscription.as_str()).limit(10);
        let page: Page<Bill> = self.stripe.get(request.build()).await?;
        for bill in page.data.iter().filter(|bill| bill.is_renewal_to_come()) {
            let invoice: InvoiceId = id(&bill.id, "an invoice")?;
            let renewal = self.finalized(&invoice).await?;
            if renewal != Renewal::Billed {
                return Ok(renewal);
            }
            if bill.is_charged() {
                let request = RequestBuilder::new(StripeMethod::Post, format!("/invoices/{invoice}/pay"));
                let key = format!("connect-last/{invoice}/pay");
                match self.stripe.post::<IgnoredAny>(request, &key).await {
                    // Paid already, or nothing pays it.
                    Ok(_) | Err(StripeError::Refused(_) | StripeError::Spent { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Renewal::Billed)
    }

    /// Makes an invoice final. Where it is to be taxed and the client cannot be found Stripe refuses that, until it knows better.
    async fn finalized(&self, invoice: &InvoiceId) -> Result<Renewal, StripeError> {
        let request = RequestBuilder::new(StripeMethod::Post, format!("/invoices/{invoice}/finalize"));
        let is_unlocated = match self.stripe.post_anew::<IgnoredAny>(request).await {
            Ok(_) => return Ok(Renewal::Billed),
            Err(StripeError::Refused(refusal)) => refusal.is_unlocated(),
            Err(error) => return Err(error),
        };
        // Final already?
        let now: Bill = self
            .stripe
            .get(RetrieveInvoice::new(invoice.as_str()).build())
            .await?;
        Ok(match (now.is_draft(), is_unlocated) {
            (false, _) => Renewal::Billed,
            (true, true) => Renewal::Unlocated,
            (true, false) => Renewal::Drafted,
        })
    }

    /// The subscription that an invoice bills; none when it bills something else, or is not there.
    pub async fn subscription_of_invoice(
        &self,
        invoice: &InvoiceId,
    ) -> Result<Option<SubscriptionId>, StripeError> {
        Ok(found(self.stripe.invoice(invoice).await)?.and_then(|invoice| invoice.subscription))
    }

    /// What a meter counted of a customer in a period so far: nothing where more was taken back than used. Stripe counts by whole
    /// minutes: the one in which the period begins counts whole.
    pub async fn usage(
        &self,
        meter: &MeterId,
        customer: &CustomerId,
        period: Period,
    ) -> Result<u64, StripeError> {
        let start = period.start.as_second().div_euclid(MINUTE) * MINUTE;
        let end = period.end.saturating_add(SignedDuration::from_secs(MINUTE - 1));
        let end = end.map_or(period.end, |end| end).as_second().div_euclid(MINUTE) * MINUTE;
        if end <= start {
            return Ok(0);
        }
        let request =
            ListIdBillingMeterEventSummary::new(meter.as_str(), customer.as_str(), end, start).limit(100);
        // An operator may have deleted the customer: what there was has been billed, and Stripe counts for it no more.
        let found = unless_missing(self.stripe.get(request.build()).await, "customer")?;
        let page: Page<Summary> = found.unwrap_or_default();
        let counted = page.data.iter().try_fold(0_i64, |sum, summary| {
            let counted = whole(&summary.aggregated_value)?;
            sum.checked_add(counted).ok_or_else(|| StripeError::Unexpected {
                reason: "a meter is beyond counting".to_owned(),
            })
        })?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    /// What the usage of the period under way comes to so far, by the engine that bills it, also at metered prices that were taken away since;
    /// nothing when no invoice is to come.
    pub async fn usage_charge(
        &self,
        subscription: &SubscriptionId,
        contract: &Contract,
    ) -> Result<i64, StripeError> {
        let request = CreatePreviewInvoice::new().subscription(subscription.as_str());
        // A POST that only reads.
        let preview: Preview = match self.stripe.get(request.build()).await {
            Err(StripeError::Refused(refusal)) if refusal.is_about_no_invoice() || refusal.is_not_found() => {
                return Ok(0);
            }
            preview => preview?,
        };
        let lines = self.stripe.all_lines(&preview.id, preview.lines).await?;
        let known = contract.lines.iter().map(|line| {
            let is_metered = line.price.usage != Usage::Licensed;
            (line.price.id.to_string(), is_metered)
        });
        let mut known: BTreeMap<String, bool> = known.collect();
        let mut charge = 0_i64;
        for line in &lines {
            let Some(price) = line.price() else {
                continue;
            };
            let is_metered = match known.get(price) {
                Some(is_metered) => *is_metered,
                // One that another took the place of in this period.
                None => {
                    let is_metered = self.is_metered(price).await?;
                    known.insert(price.to_owned(), is_metered);
                    is_metered
                }
            };
            if is_metered {
                charge = charge
                    .checked_add(line.amount)
                    .ok_or_else(|| StripeError::Unexpected {
                        reason: "the lines of a preview are beyond counting".to_owned(),
                    })?;
            }
        }
        Ok(charge)
    }

    async fn is_metered(&self, price: &str) -> Result<bool, StripeError> {
        let request = RetrievePrice::new(segment(price)).build();
        let found = found(self.stripe.get::<Purpose>(request).await)?;
        let recurring = found.and_then(|price| price.recurring);
        Ok(recurring.is_some_and(|recurring| recurring.usage_type == "metered"))
    }
}

/// The items that make the subscription one of these terms: a price takes the place of its like. What was used of one that goes is
/// billed at its price, by the flexible mode. How many there are of the flat one stays: Stripe would have it be one.
fn items(contract: &Contract, terms: &Terms) -> Vec<UpdateSubscriptionItems> {
    let id = |line: Option<&billing_core::connect::contract::Line>| {
        line.and_then(|line| line.item.as_ref()).map(ToString::to_string)
    };
    let flat = UpdateSubscriptionItems {
        id: id(contract.flat()),
        price: Some(terms.flat.to_string()),
        quantity: Some(contract.flat_quantity()),
        ..UpdateSubscriptionItems::new()
    };
    let metered = match (id(contract.metered()), &terms.metered) {
        (known, Some(price)) => Some(UpdateSubscriptionItems {
            id: known,
            price: Some(price.to_string()),
            ..UpdateSubscriptionItems::new()
        }),
        (Some(known), None) => Some(UpdateSubscriptionItems {
            id: Some(known),
            deleted: Some(true),
            ..UpdateSubscriptionItems::new()
        }),
        (None, None) => None,
    };
    std::iter::once(flat).chain(metered).collect()
}

/// A meter's sum as a whole number; what is more than whole counts as one more. Stripe writes it as a number with a point. What is taken back
/// is an event below zero.
fn whole(number: &serde_json::Number) -> Result<i64, StripeError> {
    let text = number.to_string();
    let (digits, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_more = !digits.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
    let more = i64::from(is_more);
    let counted = digits
        .parse::<i64>()
        .ok()
        .and_then(|whole| whole.checked_add(more));
    counted.ok_or_else(|| StripeError::Unexpected {
        reason: format!("a meter counted {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meters_sum_is_whole_and_never_less() {
        for (text, counted) in [
            ("90", Some(90)),
            ("90.0", Some(90)),
            ("90.25", Some(91)),
            ("-1", Some(-1)),
            ("-90.75", Some(-90)),
            ("-0.5", Some(0)),
            ("1e300", None),
        ] {
            let number: serde_json::Number = serde_json::from_str(text).unwrap();
            assert_eq!(whole(&number).ok(), counted, "{text}");
        }
    }
}
