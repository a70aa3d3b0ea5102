//! What a Stripe account is set to, and what is not known of Stripe without asking it: for tests to choose.

use serde::{Deserialize, Serialize};

use super::SubscriptionStatus;

/// Which of the possible worlds this is. The default of each is said in this crate's README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// What happens to a subscription whose invoice could not be collected in all tries: the account's owner chooses.
    pub after_last_retry: AfterLastRetry,
    /// Whether `discounts` and `metadata` may come with `pending_if_incomplete`. Stripe's change log says so since 2026-05-27;
    /// an older page of its reference does not.
    pub pending_updates_take_discounts: bool,
    /// Whether the lines of a period that a change begins are themselves told as prorations, which a promotion code then does
    /// not touch. Unconfirmed: Stripe's text speaks of a charge for the new price, and of prorations for shares only.
    pub new_period_is_proration: bool,
    /// Where a period begins that a change of the interval begins. Unconfirmed: Stripe's text says that the billing date is
    /// reset and does not say to which of the two when they differ.
    pub new_period_starts_at: NewPeriodStart,
    /// Whether a charge goes on telling as refunded what a refund gave back that failed afterwards. Unconfirmed: Stripe's text says
    /// that the amount returns to the balance, and not what the charge tells then.
    pub failed_refunds_stay_on_charges: bool,
    /// Whether a trial goes on when the billing interval is changed in it. Unconfirmed: Stripe's reference has a trial end where its
    /// end is reached or set, and its portal asks whether an update is to continue it; Stripe's text on changes says that another
    /// interval is charged at once.
    pub trial_outlasts_interval: bool,
    /// Whether sessions that do not say otherwise are presented in the payer's currency, converted at a rate with a fee in it (*Adaptive
    /// Pricing*): the account's owner chooses. Every payer here is abroad.
    pub adaptive_pricing: bool,
    /// Whether a bill that was given up as uncollectible can still be made void. Stripe's text says so; somebody has recorded a refusal.
    pub given_up_bills_can_be_voided: bool,
    /// Whether a try in vain on a checkout page begins the subscription, which is incomplete then, while the session is open still. Stripe's text
    /// speaks of a session's incomplete subscription, which ends when the session is expired, and does not say when there is one.
    pub tries_begin_subscriptions: bool,
    /// Whether a change credits the time of a bill that was given up as uncollectible, or made void. Stripe's text says that time is
    /// credited before it is paid, on the assumption that every bill is paid in the end; it does not say what of one that will not be.
    pub given_up_time_is_credited: bool,
    /// Whether a cancellation that is to invoice bills what was used only where it also prorates. Stripe's reference of `invoice_now` has a final
    /// invoice bill un-invoiced usage; its page on cancelling says that all usage is discarded where nothing is prorated.
    pub usage_needs_prorate: bool,
    /// Whether a payment method is refused that is attached to the customer that has it already. Stripe's text says what becomes of one that
    /// another customer has; some programs expect a refusal, others none.
    pub attaching_again_is_refused: bool,
    /// Whether an update by which a subscription ends with its period, or does not any more, drops a change that waits and says nothing of that. Stripe's
    /// change log says, since 2026-09-30, that a value which conflicts drops it, and not whether one can conflict with none.
    pub ends_expire_pending_updates: bool,
    /// Whether the phase of a schedule that is made of a subscription begins where the subscription did, and not where its period does. Stripe's text does
    /// not say where it begins; that of one that is under way nobody can change.
    pub phases_begin_with_subscriptions: bool,
    /// Whether an address of which a part is told keeps the rest. Stripe's reference does not say; a maintainer of its libraries says that what is
    /// below a member is told whole.
    pub addresses_merge: bool,
    /// Whether twelve digits are charged at once in any currency, as cards are. Stripe's page says so of most cards, and of other payment methods that
    /// they have fewer in most currencies; it does not say which of them a bill is held to before it is paid.
    pub charges_twelve_digits: bool,
    /// The tax that the account collects where automatic tax is on, on top of its prices, in hundredths of a percent: the account's
    /// registrations say so.
    pub tax_basis_points: u32,
}

/// What becomes of a subscription that could not be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterLastRetry {
    /// It is canceled.
    Canceled,
    /// It stays, and is not pursued.
    Unpaid,
    /// It stays overdue.
    PastDue,
}

/// Where a new period begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewPeriodStart {
    /// At the call.
    Call,
    /// At the date that time is credited from.
    ProrationDate,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            after_last_retry: AfterLastRetry::Canceled,
            pending_updates_take_discounts: true,
            new_period_is_proration: false,
            new_period_starts_at: NewPeriodStart::Call,
            failed_refunds_stay_on_charges: false,
            trial_outlasts_interval: true,
            adaptive_pricing: true,
            given_up_bills_can_be_voided: true,
            tries_begin_subscriptions: false,
            given_up_time_is_credited: true,
            usage_needs_prorate: false,
            attaching_again_is_refused: false,
            ends_expire_pending_updates: false,
            phases_begin_with_subscriptions: false,
            addresses_merge: false,
            charges_twelve_digits: true,
            tax_basis_points: 0,
        }
    }
}

impl AfterLastRetry {
    pub(crate) fn status(self) -> SubscriptionStatus {
        match self {
            Self::Canceled => SubscriptionStatus::Canceled,
            Self::Unpaid => SubscriptionStatus::Unpaid,
            Self::PastDue => SubscriptionStatus::PastDue,
        }
    }
}
