//! The phases of a schedule as a request describes them: read, looked up, and laid one after another.
//!
//! When they begin and end, and what happens then, is in [`super::scheduling`].

use jiff::Timestamp;

use super::item_changes::{self, ItemChange};
use super::redemption::{self, Asked, Occasion, Purchase};
use super::{Moment, calendar, customers, lifecycle, taxes};
use crate::id::{CustomerId, DiscountId};
use crate::params::{Change, Params};
use crate::refusal::Refusal;
use crate::state::{
    Interval, Metadata, Phase, PhaseAnchor, PhaseItem, PhaseProrations, PhaseSettings, Recurrence, UsageType,
};

/// A phase that is read and not yet looked up.
pub(crate) struct AskedPhase {
    /// Its name in errors: `phases[0]`.
    param: String,
    pub(crate) start: Option<PhaseEdge>,
    length: Option<Length>,
    currency: Option<String>,
    items: Vec<ItemChange>,
    discounts: Vec<Asked>,
    prorations: PhaseProrations,
    settings: AskedSettings,
    metadata: Metadata,
}

/// `now`, or a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PhaseEdge {
    Now,
    At(Timestamp),
}

impl PhaseEdge {
    pub(crate) fn read(params: &Params<'_>, member: &str) -> Result<Option<Self>, Refusal> {
        match params.text(member)?.as_deref() {
            Some("now") => Ok(Some(Self::Now)),
            _ => Ok(params.timestamp(member)?.map(Self::At)),
        }
    }

    pub(crate) fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::At(at) => at,
        }
    }
}

enum Length {
    Until(PhaseEdge),
    For(Recurrence),
}

/// Settings of a phase or of a schedule, read and not yet looked up.
pub(crate) struct AskedSettings {
    automatic_tax: Option<bool>,
    anchor: Option<PhaseAnchor>,
    default_payment_method: Option<String>,
    description: Change<String>,
    param: String,
}

/// Parameters of phases that the stand-in does not do.
const UNSUPPORTED: [&str; 8] = [
    "add_invoice_items",
    "application_fee_percent",
    "billing_thresholds",
    "default_tax_rates",
    "on_behalf_of",
    "transfer_data",
    "trial",
    "trial_end",
];

pub(crate) fn read(params: &Params<'_>) -> Result<Vec<AskedPhase>, Refusal> {
    params.children("phases")?.iter().map(read_one).collect()
}

fn read_one(params: &Params<'_>) -> Result<AskedPhase, Refusal> {
    params.unsupported(&UNSUPPORTED)?;
    Ok(AskedPhase {
        param: params.name_of("items"),
        start: PhaseEdge::read(params, "start_date")?,
        length: read_length(params)?,
        currency: params.text("currency")?,
        items: item_changes::read(params)?,
        discounts: redemption::read(params, "discounts")?.unwrap_or_default(),
        prorations: params
            .choice("proration_behavior", &PhaseProrations::WORDS)?
            .unwrap_or(PhaseProrations::Create),
        settings: AskedSettings::read(params)?,
        metadata: params.metadata()?,
    })
}

fn read_length(params: &Params<'_>) -> Result<Option<Length>, Refusal> {
    let end = PhaseEdge::read(params, "end_date")?;
    let duration = match params.child("duration")? {
        None => None,
        Some(duration) => Some(Recurrence {
            interval: duration
                .choice("interval", &Interval::WORDS)?
                .ok_or_else(|| Refusal::missing(&duration.name_of("interval")))?,
            interval_count: u32::try_from(duration.count("interval_count", 1)?.unwrap_or(1)).map_err(
                |_| Refusal::invalid(&duration.name_of("interval_count"), "This value is too large."),
            )?,
            usage_type: UsageType::Licensed,
            meter: None,
        }),
    };
    match (end, duration) {
        (Some(_), Some(_)) => Err(Refusal::invalid(
            &params.name_of("duration"),
            "You may only specify one of these parameters: end_date, duration.",
        )),
        (Some(end), None) => Ok(Some(Length::Until(end))),
        (None, Some(duration)) => Ok(Some(Length::For(duration))),
        (None, None) => Ok(None),
    }
}

impl AskedSettings {
    pub(crate) fn read(params: &Params<'_>) -> Result<Self, Refusal> {
        params.choice("collection_method", &[("charge_automatically", ())])?;
        params.inert(&["invoice_settings"]);
        let automatic_tax = taxes::read(params)?;
        Ok(Self {
            automatic_tax,
            anchor: params.choice("billing_cycle_anchor", &PhaseAnchor::WORDS)?,
            default_payment_method: params.text("default_payment_method")?,
            description: params.change("description")?,
            param: params.name_of("default_payment_method"),
        })
    }

    /// Looks the payment method up and changes what was asked to be changed.
    pub(crate) fn apply(
        self,
        at: &Moment<'_>,
        customer: &CustomerId,
        settings: &mut PhaseSettings,
    ) -> Result<(), Refusal> {
        if let Some(method) = &self.default_payment_method {
            settings.default_payment_method = Some(customers::own_method(at, customer, method, &self.param)?);
        }
        if self.automatic_tax.is_some() {
            settings.automatic_tax = self.automatic_tax;
        }
        if self.anchor.is_some() {
            settings.anchor = self.anchor;
        }
        self.description.apply(&mut settings.description);
        Ok(())
    }
}

/// Looks up what the phases name and lays them one after another, the first from `start`. The discounts that the customer's
/// subscription has may be kept.
pub(crate) fn laid(
    at: &Moment<'_>,
    (customer, present): (&CustomerId, &[DiscountId]),
    asked: Vec<AskedPhase>,
    start: Timestamp,
) -> Result<Vec<Phase>, Refusal> {
    let mut phases: Vec<Phase> = Vec::new();
    for one in asked {
        let from = phases.last().map_or(start, |phase| phase.end);
        if let (false, Some(edge)) = (phases.is_empty(), one.start)
            && edge.instant(at.now) != from
        {
            let message = "The start_date of a phase must be the end_date of the one before it.";
            return Err(Refusal::invalid(
                &one.param.replace("[items]", "[start_date]"),
                message,
            ));
        }
        let phase = looked_up(at, (customer, present), one, from)?;
        if let Some(first) = phases.first()
            && first.currency != phase.currency
        {
            let message = "All phases of a subscription schedule must be in the same currency.";
            return Err(Refusal::invalid("phases", message));
        }
        phases.push(phase);
    }
    Ok(phases)
}

fn looked_up(
    at: &Moment<'_>,
    (customer, present): (&CustomerId, &[DiscountId]),
    asked: AskedPhase,
    start: Timestamp,
) -> Result<Phase, Refusal> {
    if asked.items.is_empty() {
        return Err(Refusal::missing(&asked.param));
    }
    let (prices, currency) = item_changes::new_items(at, &asked.items)?;
    // A price is in one currency here.
    if asked.currency.is_some_and(|wanted| wanted != currency.as_str()) {
        let message = "The price specified supports no other currency than its own.";
        return Err(Refusal::invalid(
            &asked.param.replace("[items]", "[currency]"),
            message,
        ));
    }
    customers::pays_in(at, customer, &currency)?;
    let items: Vec<PhaseItem> = prices
        .into_iter()
        .zip(&asked.items)
        .map(|((price, quantity), asked)| PhaseItem {
            price,
            quantity,
            metadata: asked.metadata.clone(),
        })
        .collect();
    let end = match asked.length {
        Some(Length::Until(end)) => end.instant(at.now),
        Some(Length::For(duration)) => calendar::next_period_end(start, &duration, start),
        // One period of what is sold.
        None => items.first().map_or(start, |item| {
            calendar::next_period_end(start, lifecycle::recurrence(&at.world.prices[&item.price]), start)
        }),
    };
    if end <= start {
        let message = "The end_date of a phase must be after its start_date.";
        return Err(Refusal::invalid(
            &asked.param.replace("[items]", "[end_date]"),
            message,
        ));
    }
    let purchase = Purchase {
        customer: Some(customer),
        currency: &currency,
        lines: redemption::charges(at, items.iter().map(|item| (&item.price, item.quantity))),
        present,
        occasion: if start <= at.now {
            Occasion::Beginning
        } else {
            Occasion::Later
        },
    };
    let discounts = redemption::check(at, &asked.discounts, &purchase)?;
    let mut settings = PhaseSettings::default();
    asked.settings.apply(at, customer, &mut settings)?;
    Ok(Phase {
        start,
        end,
        currency,
        items,
        discounts,
        prorations: asked.prorations,
        settings,
        metadata: asked.metadata,
    })
}
