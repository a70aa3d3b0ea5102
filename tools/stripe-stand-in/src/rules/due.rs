//! What happens when an agenda entry's time has come.
//!
//! Each rule looks at the object again: an entry for something that has since been settled otherwise does nothing.

use super::{
    Moment, checkout, completion, coupons, discounts, invoicing, lifecycle, pending_updates, promotion_codes,
    scheduling,
};
use crate::state::{Due, InvoiceStatus};

pub(crate) fn happen(at: &mut Moment<'_>, due: Due) {
    match due {
        Due::SessionExpiry(id) => checkout::expire_if_open(at, &id),
        Due::BankDebit(id) => completion::settle_debit(at, &id),
        Due::PeriodEnd(id) => lifecycle::period_ended(at, &id),
        Due::Finalization(id) => {
            let invoice = &at.world.invoices[&id];
            let is_due = invoice.status == InvoiceStatus::Draft && invoice.auto_advance;
            if is_due && invoicing::finalize_unless_paused(at, &id) {
                invoicing::collect_or_send(at, &id);
            }
        }
        Due::FirstPayment(id) => lifecycle::expire_unpaid(at, &id),
        Due::PendingUpdateExpiry(id) => pending_updates::expire_if_due(at, &id),
        Due::PaymentRetry(id) => {
            let invoice = &at.world.invoices[&id];
            if invoice.status == InvoiceStatus::Open && invoice.auto_advance {
                invoicing::collect(at, &id);
            }
        }
        Due::CouponExpiry(id) => coupons::expire(at, &id),
        Due::PromotionCodeExpiry(id) => promotion_codes::expire(at, &id),
        Due::DiscountEnd(id) => discounts::end(at, &id),
        Due::ScheduleStep(id) => scheduling::catch_up(at, &id),
    }
}
