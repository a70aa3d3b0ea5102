//! The schedule that still owns a subscription: what it leads it on to, and whether its end is one with the period.

use billing_core::Timestamp;
use billing_core::connect::contract::Line;
use billing_core::connect::offer::Usage;
use billing_core::period::Period;
use serde::Deserialize;

use super::phases::{AutomaticTax, Settings};

/// The schedule of a subscription, expanded.
#[derive(Deserialize)]
pub(super) struct Owning {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) end_behavior: String,
    current_phase: Option<Span>,
    #[serde(default)]
    pub(super) phases: Vec<Span>,
    default_settings: Option<Settings>,
}

impl Owning {
    /// The phases that follow the one under way.
    fn to_come(&self) -> impl Iterator<Item = &Span> {
        let current = self.current_phase.as_ref().map(|phase| phase.end_date);
        let later = move |phase: &&Span| current.is_some_and(|end| phase.end_date > end);
        self.phases.iter().filter(later)
    }

    /// Whether another phase follows the one under way.
    pub(super) fn leads_on(&self) -> bool {
        self.to_come().next().is_some()
    }

    /// Whether one that follows is taxed otherwise than this. One that says nothing leaves it to the schedule.
    pub(super) fn taxes_otherwise(&self, taxed: bool) -> bool {
        let default = self.default_settings.as_ref().and_then(Settings::taxed);
        let says = |phase: &Span| phase.automatic_tax.as_ref().map(|tax| tax.enabled);
        self.to_come()
            .any(|phase| says(phase).or(default) == Some(!taxed))
    }
}

/// A phase of it.
#[derive(Deserialize)]
pub(super) struct Span {
    pub(super) end_date: i64,
    automatic_tax: Option<AutomaticTax>,
}

/// Until when an end counts as one with the period: for the period's own; after a trial that no other phase follows, for the period that it leads
/// to, as the phase of which the trial is a part ends in that.
pub(super) fn reach(period: Period, is_last_trial: bool, lines: &[Line]) -> Timestamp {
    let flat = lines.iter().find(|line| line.price.usage == Usage::Licensed);
    let line = flat.or(lines.first()).filter(|_| is_last_trial);
    let paid = line.and_then(|line| line.price.cadence.end_of_period(period.end));
    paid.unwrap_or(period.end)
}
