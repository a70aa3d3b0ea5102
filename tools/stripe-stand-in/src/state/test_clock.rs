//! Test clocks: each a time of its own for the customers attached to it.
//!
//! What falls due for such a customer waits in the clock's own agenda, so that the stack's clock does not reach it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Agenda, Due, World};
use crate::id::{CustomerId, TestClockId};

/// A clock that stands still until it is advanced by call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TestClock {
    pub(crate) id: TestClockId,
    /// By the stack's clock.
    pub(crate) created: Timestamp,
    pub(crate) name: Option<String>,
    pub(crate) frozen_time: Timestamp,
    pub(crate) agenda: Agenda,
}

row!(TestClock, TestClockId, "test clock");

impl World {
    /// Puts an entry into the agenda of whom it is for: the stack's, or that of the customer's test clock.
    pub(crate) fn remind(&mut self, at: Timestamp, due: Due) {
        let clock = self
            .customer_of_due(&due)
            .and_then(|customer| self.customers.get(customer)?.test_clock.clone());
        match clock {
            Some(clock) => self.test_clocks[&clock].agenda.add(at, due),
            None => self.agenda.add(at, due),
        }
    }

    fn customer_of_due(&self, due: &Due) -> Option<&CustomerId> {
        match due {
            Due::SessionExpiry(id) => self.sessions.get(id)?.customer.as_ref(),
            Due::BankDebit(id) => self.payment_intents.get(id)?.customer.as_ref(),
            Due::PeriodEnd(id) | Due::FirstPayment(id) | Due::PendingUpdateExpiry(id) => {
                Some(&self.subscriptions.get(id)?.customer)
            }
            Due::Finalization(id) | Due::PaymentRetry(id) => Some(&self.invoices.get(id)?.customer),
            Due::DiscountEnd(id) => self.discounts.get(id)?.customer.as_ref(),
            Due::ScheduleStep(id) => Some(&self.schedules.get(id)?.customer),
            // Coupons are for customers of any time.
            Due::CouponExpiry(_) | Due::PromotionCodeExpiry(_) => None,
        }
    }

    /// The customer that an object belongs to, whatever it is.
    fn owner_of(&self, id: &str) -> Option<&CustomerId> {
        None.or_else(|| self.customers.find(id).map(|row| &row.id))
            .or_else(|| self.subscriptions.find(id).map(|row| &row.customer))
            .or_else(|| self.invoices.find(id).map(|row| &row.customer))
            .or_else(|| self.schedules.find(id).map(|row| &row.customer))
            .or_else(|| self.invoice_items.find(id).map(|row| &row.customer))
            .or_else(|| self.sessions.find(id)?.customer.as_ref())
            .or_else(|| self.payment_intents.find(id)?.customer.as_ref())
            .or_else(|| self.charges.find(id)?.customer.as_ref())
            .or_else(|| self.of_subscription_item(id))
    }

    fn of_subscription_item(&self, id: &str) -> Option<&CustomerId> {
        let mut all = self.subscriptions.iter().filter(|_| id.starts_with("si_"));
        let own = all.find(|row| row.items.iter().any(|item| crate::id::Id::as_str(&item.id) == id));
        own.map(|row| &row.customer)
    }

    /// What the test clock shows that an object lives by, or the clock itself. None for what lives by the stack's.
    pub(crate) fn time_of(&self, id: &str) -> Option<Timestamp> {
        if let Some(clock) = self.test_clocks.find(id) {
            return Some(clock.frozen_time);
        }
        let customer = self.customers.get(self.owner_of(id)?)?;
        Some(self.test_clocks.get(customer.test_clock.as_ref()?)?.frozen_time)
    }
}
