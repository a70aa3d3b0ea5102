//! What discounts do to a draft. Nothing as yet: these are the places at which billing asks.

use super::billing::Draft;
use crate::state::{Line, Subscription, World};

/// Asked once for every invoice, when its lines are complete and before it is written: fills `line.discounts` of the lines
/// that are `discountable`.
pub(crate) fn apply(_world: &World, _draft: &mut Draft) {}

/// Asked for every charge that pays a share of a period. Stripe does not tell a discount apart on such a line but includes it
/// in `line.amount`; `line.list_amount` stays. A credit needs no asking: it gives back a share of what was billed.
pub(crate) fn include(_world: &World, _subscription: &Subscription, _line: &mut Line) {}
