//! What falls due in a world, in the order of time.
//!
//! An entry is a reminder, not an order: the rule that it calls looks at the object again, so entries are never searched for
//! and taken back when plans change.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{
    CheckoutSessionId, CouponId, DiscountId, InvoiceId, PaymentIntentId, PromotionCodeId, ScheduleId,
    SubscriptionId,
};

/// Something to look at when its time has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Due {
    /// A checkout session nobody completed.
    SessionExpiry(CheckoutSessionId),
    /// A bank debit that succeeds or fails at last.
    BankDebit(PaymentIntentId),
    /// The end of a subscription's period: renewal or scheduled end.
    PeriodEnd(SubscriptionId),
    /// A draft that becomes final.
    Finalization(InvoiceId),
    /// Another try to collect an open invoice.
    PaymentRetry(InvoiceId),
    /// A subscription whose first invoice nobody paid.
    FirstPayment(SubscriptionId),
    /// A change whose invoice was not paid in time.
    PendingUpdateExpiry(SubscriptionId),
    /// A coupon that can no longer be redeemed.
    CouponExpiry(CouponId),
    /// A promotion code that can no longer be redeemed.
    PromotionCodeExpiry(PromotionCodeId),
    /// The last month of a repeating discount.
    DiscountEnd(DiscountId),
    /// The start of a schedule, or the end of one of its phases.
    ScheduleStep(ScheduleId),
}

/// Entries in the order of time; at one instant, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeMap<(Timestamp, u64), Due>,
    made: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Timestamp, due: Due) {
        self.made += 1;
        self.entries.insert((at, self.made), due);
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first entry if it is due at `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Due)> {
        let first = self.entries.first_entry()?;
        let at = first.key().0;
        (at <= now).then(|| (at, first.remove()))
    }
}

impl Serialize for Agenda {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter().map(|((at, _), due)| (at, due)))
    }
}

impl<'de> Deserialize<'de> for Agenda {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut agenda = Self::default();
        for (at, due) in Vec::<(Timestamp, Due)>::deserialize(deserializer)? {
            agenda.add(at, due);
        }
        Ok(agenda)
    }
}
