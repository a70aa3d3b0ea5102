//! Subscriptions created by call, without a checkout.
//!
//! # How it works
//! The subscription begins as `incomplete` with the draft of its first invoice ([`lifecycle::begin`], which a preview runs as
//! well); paying that invoice makes it active. Left unpaid for a day it expires.
//!
//! # If it fails half-way
//! Everything is read and checked before anything is written. With `error_if_incomplete` the world is put back as it was.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::changes::{TrialEnd, Wish};
use super::lifecycle::{self, FirstPeriod, NewSubscription};
use super::payments::Outcome;
use super::subscription_updates::{self, PaymentBehavior};
use super::{
    Moment, billing_modes, calendar, customers, invoices, item_changes, limits, pricing, redemption, taxes,
};
use crate::id::{CustomerId, SubscriptionId};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::render::Object;
use crate::state::{
    AutomaticTax, BillingModeKind, CancellationReason, CollectionMethod, Due, Metadata, SubscriptionStatus,
    World,
};

/// How long the first payment may take.
const FIRST_PAYMENT_WITHIN: SignedDuration = SignedDuration::from_hours(23);

pub(crate) fn create(at: &mut Moment<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let customer = params.required_text("customer")?;
    let discounts = redemption::read(params, "discounts")?;
    let mut wish = Wish {
        items: item_changes::read(params)?,
        discounts,
        ..Wish::none()
    };
    wish.trial_end = match (
        params.text("trial_end")?.as_deref(),
        params.count("trial_period_days", 1)?,
    ) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: trial_end, trial_period_days.";
            return Err(Refusal::invalid("trial_period_days", message));
        }
        (Some("now"), None) => None,
        (_, None) => params.timestamp("trial_end")?.map(TrialEnd::At),
        (None, Some(days)) => Some(TrialEnd::At(after_days(at, days)?)),
    };
    let first_period = AskedFirstPeriod {
        start: params.timestamp("backdate_start_date")?,
        anchor: params.timestamp("billing_cycle_anchor")?,
    };
    first_period.check_words(params)?;
    let behavior = params
        .choice("payment_behavior", &PaymentBehavior::WORDS)?
        .unwrap_or(PaymentBehavior::LandAnyway);
    let method = params.text("default_payment_method")?;
    let collection_method = params
        .choice("collection_method", &CollectionMethod::WORDS)?
        .unwrap_or(CollectionMethod::ChargeAutomatically);
    let days_until_due = subscription_updates::read_days(params)?;
    let cancel_at_period_end = params.boolean("cancel_at_period_end")?.unwrap_or(false);
    let cancel_at = params.timestamp("cancel_at")?;
    let description = params.text("description")?;
    let metadata = params.metadata()?;
    let automatic_tax = taxes::read(params)?.unwrap_or(false);
    let currency = params.text("currency")?;
    let missing_payment_method = subscription_updates::read_trial_settings(params)?;
    let billing_mode = billing_modes::read(params)?;
    let saves_payment_method = subscription_updates::read_payment_settings(params)?.unwrap_or(false);
    params.inert(&["off_session", "proration_behavior", "invoice_settings"]);
    params.unsupported(&[
        "add_invoice_items",
        "billing_cycle_anchor_config",
        "trial_from_plan",
    ])?;
    params.finish()?;
    if behavior == PaymentBehavior::Wait {
        let message = "`payment_behavior` cannot be `pending_if_incomplete` when a subscription is created.";
        return Err(Refusal::invalid("payment_behavior", message));
    }
    let customer = customers::live(at, &customer, "customer")?.id.clone();
    let method = method
        .map(|method| customers::own_method(at, &customer, &method, "default_payment_method"))
        .transpose()?;
    let automatic_tax = taxes::switch(at, &customer, automatic_tax)?;
    let saved = (behavior == PaymentBehavior::Refuse).then(|| at.world.copy_without_replies());
    let new = new(at, &customer, &wish, first_period)?;
    if currency.is_some_and(|currency| !currency.eq_ignore_ascii_case(new.currency.as_str())) {
        let message = "The specified price's currency does not match the subscription's.";
        return Err(Refusal::invalid("currency", message));
    }
    if collection_method == CollectionMethod::SendInvoice && days_until_due.is_none() {
        let message = "You must provide `days_until_due` when `collection_method` is `send_invoice`.";
        return Err(Refusal::invalid("days_until_due", message));
    }
    let has_method = method.is_some() || at.world.customers[&customer].default_payment_method.is_some();
    let pays_now = collection_method == CollectionMethod::ChargeAutomatically
        && behavior != PaymentBehavior::LeaveOpen
        && new.trial_end.is_none();
    if pays_now && !has_method && costs_something(at, &new) {
        return Err(no_payment_method());
    }
    let new = NewSubscription {
        billing_mode,
        collection_method,
        days_until_due,
        default_payment_method: method,
        saves_payment_method,
        automatic_tax,
        description,
        metadata,
        ..new
    };
    let id = begin(at, new, behavior, saved)?;
    if let Some(wanted) = missing_payment_method {
        at.world.subscriptions[&id].missing_payment_method = wanted;
    }
    if cancel_at_period_end || cancel_at.is_some() {
        let row = &mut at.world.subscriptions[&id];
        row.cancel_at_period_end = cancel_at_period_end;
        row.cancel_at = cancel_at.or_else(|| row.period_end());
        row.canceled_at = Some(at.now);
        row.cancellation_reason = Some(CancellationReason::Requested);
        lifecycle::cut_short(row);
        lifecycle::await_period_end(at, &id);
    }
    Ok(at.picture(&Object::Subscription(id)))
}

fn costs_something(at: &Moment<'_>, new: &NewSubscription) -> bool {
    new.items.iter().any(|(price, quantity)| {
        quantity.is_some_and(|quantity| pricing::amount(&at.world.prices[price], quantity) > 0)
    })
}

fn after_days(at: &Moment<'_>, days: u64) -> Result<Timestamp, Refusal> {
    let refusal = || Refusal::invalid("trial_period_days", "A trial can last 730 days at most.");
    let days = i64::try_from(days)
        .ok()
        .filter(|days| *days <= 730)
        .ok_or_else(refusal)?;
    at.now
        .checked_add(SignedDuration::from_hours(24 * days))
        .map_err(|_| refusal())
}

/// What is to be begun, looked up and held to the rules. How it is paid is left at the usual.
pub(crate) fn new(
    at: &mut Moment<'_>,
    customer: &CustomerId,
    wish: &Wish,
    first_period: AskedFirstPeriod,
) -> Result<NewSubscription, Refusal> {
    let (items, currency) = item_changes::new_items(at, &wish.items)?;
    customers::pays_in(at, customer, &currency)?;
    let trial_end = wish.trial_end_at();
    if trial_end.is_some_and(|end| end <= at.now) {
        let message = "Invalid timestamp: must be an integer Unix timestamp in the future.";
        return Err(Refusal::invalid("trial_end", message));
    }
    limits::check_items(at.world, &items, &currency)?;
    let asked = wish.discounts.as_deref().unwrap_or_default();
    let first_period = first_period.laid(at, &items)?;
    Ok(NewSubscription {
        customer: customer.clone(),
        discounts: redemption::for_new(at, asked, customer, (&items, &currency))?,
        currency,
        items,
        billing_mode: BillingModeKind::Flexible,
        first_period,
        trial_end,
        automatic_tax: AutomaticTax::Off,
        collection_method: CollectionMethod::ChargeAutomatically,
        days_until_due: None,
        default_payment_method: None,
        saves_payment_method: false,
        description: None,
        metadata: Metadata::new(),
    })
}

/// When the first period is asked to begin and end, if it is not a whole one from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AskedFirstPeriod {
    /// In the past.
    pub(crate) start: Option<Timestamp>,
    /// In the future.
    pub(crate) anchor: Option<Timestamp>,
}

impl AskedFirstPeriod {
    /// An anchor cuts the first period short, and what is left of it is billed; a start in the past comes with an anchor.
    fn check_words(self, params: &Params<'_>) -> Result<(), Refusal> {
        if self.anchor.is_none() && self.start.is_some() {
            return Err(Refusal::unsupported("backdate_start_date"));
        }
        let free = params.text("proration_behavior")?.as_deref() == Some("none");
        if self.anchor.is_some() && (free || params.has("trial_end") || params.has("trial_period_days")) {
            return Err(Refusal::unsupported("billing_cycle_anchor"));
        }
        Ok(())
    }

    fn laid(self, at: &Moment<'_>, items: &[item_changes::Ordered]) -> Result<Option<FirstPeriod>, Refusal> {
        let (Some(anchor), Some((price, _))) = (self.anchor, items.first()) else {
            return Ok(None);
        };
        let start = self.start.unwrap_or(at.now);
        if start > at.now {
            let message = "`backdate_start_date` must be in the past.";
            return Err(Refusal::invalid("backdate_start_date", message));
        }
        let latest = calendar::next_period_end(start, lifecycle::recurrence(&at.world.prices[price]), start);
        if anchor <= at.now || anchor > latest {
            let message = format!(
                "billing_cycle_anchor cannot be later than next natural billing date ({}) for plan",
                latest.as_second()
            );
            return Err(Refusal::invalid("billing_cycle_anchor", message));
        }
        Ok(Some(FirstPeriod { start, anchor }))
    }
}

fn begin(
    at: &mut Moment<'_>,
    new: NewSubscription,
    behavior: PaymentBehavior,
    saved: Option<World>,
) -> Result<SubscriptionId, Refusal> {
    let sent = new.collection_method == CollectionMethod::SendInvoice;
    let (id, invoice) = lifecycle::begin(at, new);
    // Nothing is asked of a customer who is sent the invoice before the subscription begins.
    if sent && at.world.subscriptions[&id].status == SubscriptionStatus::Incomplete {
        at.world.subscriptions[&id].status = SubscriptionStatus::Active;
    }
    at.emit("customer.subscription.created", &Object::Subscription(id.clone()));
    at.emit("invoice.created", &Object::Invoice(invoice.clone()));
    let outcome = subscription_updates::settle(at, &invoice, behavior);
    if let (Some(saved), Some(Outcome::Declined(_) | Outcome::RequiresAction)) = (saved, outcome) {
        let refusal = invoices::refusal(at, &invoice, outcome);
        subscription_updates::undo(at, saved);
        return refusal.map_or(Ok(id), Err);
    }
    if at.world.subscriptions[&id].status == SubscriptionStatus::Incomplete {
        let due = at
            .now
            .saturating_add(FIRST_PAYMENT_WITHIN)
            .unwrap_or(Timestamp::MAX);
        at.world.remind(due, Due::FirstPayment(id.clone()));
    }
    Ok(id)
}

/// What is charged at once needs something that can be charged: of a new subscription as of a change.
pub(super) fn no_payment_method() -> Refusal {
    let message = "This customer has no attached payment source or default payment method. Please consider adding a \
                   default payment method.";
    Refusal::state_code("resource_missing", message)
}
