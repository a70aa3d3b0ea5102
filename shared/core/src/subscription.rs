//! A subscription as the account knows it: Stripe's, re-read and reduced to what is asked of it here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::arrears::{BilledPeriod, TimeBill};
use crate::id::{BilledPriceId, CustomerId, InvoiceId, ItemId, PromotionCodeId, SubscriptionId};
use crate::money::Currency;
use crate::payer::MethodKind;
use crate::period::Period;
use crate::plan::Interval;

/// Where a subscription stands, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "String")]
pub enum Status {
    /// Its first invoice is open; Stripe gives up on it after 23 hours.
    Incomplete,
    /// Stripe gave up.
    IncompleteExpired,
    /// In a free trial.
    Trialing,
    /// Paid up.
    Active,
    /// An invoice is overdue and being retried.
    PastDue,
    /// Overdue, and no longer retried.
    Unpaid,
    /// A trial ended without a payment method.
    Paused,
    /// Over.
    Canceled,
    /// A word that Stripe has added since. It counts as live: no second subscription is sold on a guess.
    Unknown,
}

impl Status {
    /// By Stripe's word; what is not known here is [`Self::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "unpaid" => Self::Unpaid,
            "paused" => Self::Paused,
            "canceled" => Self::Canceled,
            _ => Self::Unknown,
        }
    }

    /// Whether the subscription can still bill, so that a second one would bill beside it.
    #[must_use]
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        Self::parse(&word)
    }
}

/// Stripe's word, or `unknown`.
impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
            Self::Unknown => "unknown",
        })
    }
}

/// An account's subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Stripe's id.
    pub id: SubscriptionId,
    /// Where it stands.
    pub status: Status,
    /// The price of its recurring item.
    pub price: BilledPriceId,
    /// How often it bills; none when an operator moved it to an interval that is not sold here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Units billed.
    pub quantity: u64,
    /// The current billing period.
    pub period: Period,
    /// Whether it ends with the current period, as a cancellation has it. An end that an operator has set on another date may have cut the
    /// period short.
    pub cancel_at_period_end: bool,
}

impl Subscription {
    /// Whether it can still bill.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status.is_live()
    }

    /// Whether the account sees it as its subscription: it has begun (an incomplete one has not) and is not over.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.is_live() && self.status != Status::Incomplete
    }
}

/// How the end of a subscription was scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledEnd {
    /// With the current period, whenever that ends.
    WithPeriod,
    /// On a date: that of the period's own end, as Stripe's portal does, or another, which an operator has set.
    OnDate(jiff::Timestamp),
}

/// An end that is scheduled, and what it goes back to when that is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancellation {
    /// The end that is scheduled.
    pub end: ScheduledEnd,
    /// What an operator had set before, if that is still to come.
    pub back_to: Option<jiff::Timestamp>,
}

/// How the invoices of a subscription are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// They are charged to the customer's payment method.
    Charged,
    /// They are sent to the customer, who pays them on their page.
    Sent,
    /// An operator has paused it: they are drafts, void or given up.
    Paused,
}

/// The latest bill of a subscription, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestInvoice {
    /// Stripe's id.
    pub id: InvoiceId,
    /// What it comes to.
    pub charge: crate::quote::Charge,
    /// What time it bills.
    pub time: TimeBill,
    /// Where its customer pays it, once it can be paid.
    pub page: Option<String>,
}

/// A subscription as Stripe has it at this moment: what is stored of it, and what a decision about it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is stored of it.
    pub subscription: Subscription,
    /// Who pays.
    pub customer: CustomerId,
    /// What it is billed in.
    pub currency: Currency,
    /// Its items; one, unless an operator added some.
    pub items: Vec<ItemId>,
    /// The promotion codes whose discounts it has; read with the subscription, not told by a write.
    pub codes: Vec<PromotionCodeId>,
    /// Whether a schedule decides what becomes of it.
    pub scheduled: bool,
    /// Whether a change waits for its payment.
    pub pending: bool,
    /// How its end was scheduled, if it was.
    pub end: Option<ScheduledEnd>,
    /// The end that an operator had set and that a cancellation took the place of.
    pub set_aside: Option<jiff::Timestamp>,
    /// How its invoices are paid.
    pub collection: Collection,
    /// What pays them; none where nothing does, or it was not read with the subscription.
    pub payer: Option<MethodKind>,
    /// Its latest bill.
    pub latest_invoice: Option<LatestInvoice>,
}

impl Standing {
    /// When its trial ends, while it is in one.
    #[must_use]
    pub fn trial_end(&self) -> Option<jiff::Timestamp> {
        let subscription = &self.subscription;
        (subscription.status == Status::Trialing).then_some(subscription.period.end)
    }

    /// What it is billed for now.
    #[must_use]
    pub fn billed(&self) -> BilledPeriod<'_> {
        let subscription = &self.subscription;
        BilledPeriod {
            period: subscription.period,
            items: vec![(&subscription.price, subscription.quantity)],
            given_back: vec![],
            given_back_in_part: vec![],
        }
    }

    /// The end that an operator has set: on another date than the period's own, whether it has cut the period short or is still to
    /// come, or has been set aside by a cancellation.
    #[must_use]
    pub(crate) fn operators_end(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        match self.end? {
            ScheduledEnd::OnDate(end) if !self.subscription.cancel_at_period_end => Some(end),
            ScheduledEnd::OnDate(_) | ScheduledEnd::WithPeriod => self.end_before_cancellation(now),
        }
    }

    /// Whether it ends with its period, and by the date of that: Stripe's portal has a flexible subscription end so.
    #[must_use]
    pub fn ends_by_date(&self) -> bool {
        self.subscription.cancel_at_period_end && matches!(self.end, Some(ScheduledEnd::OnDate(_)))
    }

    /// Its scheduled end, if it has one, as it is to be taken back.
    #[must_use]
    pub fn cancellation(&self, now: jiff::Timestamp) -> Option<Cancellation> {
        self.end.map(|end| Cancellation {
            end,
            back_to: self.end_before_cancellation(now),
        })
    }

    fn end_before_cancellation(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.set_aside.filter(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an operator is shown is what Stripe calls it, so that it can be looked for there.
    #[test]
    fn a_status_is_told_in_the_word_that_it_was_read_from() {
        for word in [
            "incomplete",
            "incomplete_expired",
            "trialing",
            "active",
            "past_due",
            "unpaid",
            "paused",
            "canceled",
        ] {
            assert_eq!(Status::parse(word).to_string(), word);
        }
        assert_eq!(Status::parse("hibernating").to_string(), "unknown");
    }

    /// Live bars another; running is shown. Incomplete is live and does not run yet.
    #[test]
    fn what_has_not_begun_and_what_is_over_is_not_shown() {
        let subscription = |word| Subscription {
            id: "sub_1".parse().unwrap(),
            status: Status::parse(word),
            price: "price_m".parse().unwrap(),
            interval: Some(Interval::Monthly),
            quantity: 1,
            period: Period {
                start: jiff::Timestamp::UNIX_EPOCH,
                end: jiff::Timestamp::MAX,
            },
            cancel_at_period_end: false,
        };
        for (word, live, running) in [
            ("active", true, true),
            ("past_due", true, true),
            ("incomplete", true, false),
            ("incomplete_expired", false, false),
            ("canceled", false, false),
        ] {
            let subscription = subscription(word);
            assert_eq!(
                (subscription.is_live(), subscription.is_running()),
                (live, running),
                "{word}"
            );
        }
    }
}
