//! How Stripe works out the periods and prorations of a subscription.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A subscription's mode, and since when it has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BillingMode {
    pub(crate) kind: BillingModeKind,
    /// Told of flexible ones.
    pub(crate) updated_at: Option<Timestamp>,
}

impl BillingMode {
    /// A mode that is given now.
    pub(crate) fn given(kind: BillingModeKind, now: Timestamp) -> Self {
        Self {
            kind,
            updated_at: (kind == BillingModeKind::Flexible).then_some(now),
        }
    }

    pub(crate) fn is_flexible(self) -> bool {
        self.kind == BillingModeKind::Flexible
    }
}

/// Stripe's two modes. What was kept before there were two is classic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BillingModeKind {
    #[default]
    Classic,
    Flexible,
}

impl BillingModeKind {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("classic", Self::Classic), ("flexible", Self::Flexible)];
}
