//! The billing mode of every subscription that is made here: always said.
//!
//! Since its version 2025-09-30.clover Stripe makes a subscription flexible where nothing is said. A flexible one keeps its anchor when the
//! interval changes, and credits what was debited, line by line; what is quoted here follows the other mode's rules (decision 0016). What
//! is sold on connected accounts is never quoted and may be metered: there it is flexible, because a classic one forgets what was used
//! of a price that is taken away (decision 0017).
//!
//! It is said wherever a request makes a subscription, or previews one that is to be made. Never where there is one already: a preview
//! of it, and a schedule made of it, go by the mode that it has.

use serde::Serialize;
use stripe_billing::invoice::{
    CreatePreviewInvoiceSubscriptionDetailsBillingMode,
    CreatePreviewInvoiceSubscriptionDetailsBillingModeType,
};
use stripe_billing::subscription::{CreateSubscriptionBillingMode, CreateSubscriptionBillingModeType};
use stripe_checkout::checkout_session::{
    CreateCheckoutSessionSubscriptionDataBillingMode, CreateCheckoutSessionSubscriptionDataBillingModeType,
};

/// How Stripe works out periods and prorations. async-stripe has a type of its own for each request that takes it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum BillingMode {
    /// Another interval begins a new period, and a credit is a share of what the item costs.
    Classic,
    /// What was used of a price that is taken away is billed.
    Flexible,
}

macro_rules! told_as {
    ($($params:ident: $kind:ident;)*) => {$(
        impl From<BillingMode> for $params {
            fn from(mode: BillingMode) -> Self {
                Self::new(match mode {
                    BillingMode::Classic => $kind::Classic,
                    BillingMode::Flexible => $kind::Flexible,
                })
            }
        }
    )*};
}

told_as! {
    CreateSubscriptionBillingMode: CreateSubscriptionBillingModeType;
    CreatePreviewInvoiceSubscriptionDetailsBillingMode: CreatePreviewInvoiceSubscriptionDetailsBillingModeType;
    CreateCheckoutSessionSubscriptionDataBillingMode: CreateCheckoutSessionSubscriptionDataBillingModeType;
}
