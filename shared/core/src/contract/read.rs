//! What Stripe has of a contract: its subscription, as it was just read, and its latest bill.

use jiff::{SignedDuration, Timestamp};

use super::{Billing, Contract, charge};
use crate::arrears::{BilledPeriod, Occasion, TimeBill};
use crate::id::{BilledPriceId, CustomerId, DiscountId, InvoiceId, PaymentMethodId, PriceId, ScheduleId};
use crate::payer::MethodKind;
use crate::quote::Charge;
use crate::sale::{Replaced, Sale, Way};
use crate::subscription::{Collection, Status as BillingStatus};

/// By how much a bill may seem older than the sale that it was made for: Stripe's seconds are whole, and not of our clock. Little, as a bill of as
/// much that was made before is another sale's.
const SLACK: SignedDuration = SignedDuration::from_secs(5);

/// A subscription as Stripe has it at this moment, and what a decision about it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What is stored of it.
    pub billing: Billing,
    /// Who pays.
    pub customer: CustomerId,
    /// When Stripe made it: when it was paid for, on a page.
    pub created: Timestamp,
    /// Whether a change waits for its payment.
    pub is_pending: bool,
    /// Whether a bill is being paid although its status does not say so: it has ended, is overdue, or the first is not the latest.
    pub is_debited: bool,
    /// Whether somebody has had Stripe work out its periods and credits otherwise than they are estimated: in its flexible billing mode.
    pub is_flexible: bool,
    /// How its invoices are paid.
    pub collection: Collection,
    /// What pays them; none where the customer's own does.
    pub payment_method: Option<PaymentMethodId>,
    /// Of which kind what pays them is, the customer's own too; none where nothing does, or it was not read with the subscription.
    pub payer: Option<MethodKind>,
    /// Whether this is Stripe's answer to the amendment itself: what it tells as done was paid at once.
    pub is_answer: bool,
    /// The name of the sale that its schedule was written for, whole: its two requests were both done.
    pub scheduled: Option<String>,
    /// The schedule that leads it, where it leads nowhere: it was made of the subscription as that is, and nobody has written anything
    /// into it.
    pub plain_schedule: Option<PlainSchedule>,
    /// What an operator has it say besides.
    pub terms: OperatorTerms,
    /// Its latest bill.
    pub latest_invoice: Option<Bill>,
    /// The bills before that, newest first, where the first had to be looked for behind the latest.
    pub earlier_invoices: Vec<Bill>,
}

/// A schedule of one phase, which is the subscription as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainSchedule {
    /// Stripe's id.
    pub id: ScheduleId,
    /// Where its phase begins, which nobody can change.
    pub start: Timestamp,
}

/// What an operator has a subscription say besides what is sold and what pays it. A phase of a schedule says it again: Stripe unsets what is
/// not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorTerms {
    /// Its discounts, in Stripe's order.
    pub discounts: Vec<DiscountId>,
    /// Its description.
    pub description: Option<String>,
    /// Whether Stripe works out taxes.
    pub is_taxed: bool,
    /// Whether it says what no phase of ours says again: tax rates, a fee, a discount of one item, …
    pub says_more: bool,
}

impl Read {
    fn bills(&self) -> impl Iterator<Item = &Bill> {
        self.latest_invoice.iter().chain(&self.earlier_invoices)
    }

    /// What it is billed for now.
    #[must_use]
    pub fn billed(&self) -> BilledPeriod<'_> {
        let items = self.billing.items.iter();
        BilledPeriod {
            period: self.billing.period,
            items: items.map(|item| (&item.price, item.quantity)).collect(),
            given_back: vec![],
            given_back_in_part: vec![],
        }
    }

    /// Its bills that can be paid, as far as they are known.
    pub fn payable_bills(&self) -> impl Iterator<Item = &Bill> {
        self.bills().filter(|bill| bill.is_payable)
    }

    /// Its first bill, where that is known.
    #[must_use]
    pub fn first_bill(&self) -> Option<&Bill> {
        self.bills().find(|bill| bill.is_first)
    }

    /// The bill of an amendment, where that is known: the one that it waited for, or else the latest that is what was quoted, and was not there before:
    /// the amendment before it may have cost as much.
    #[must_use]
    pub fn bill_of(&self, amendment: &Sale) -> Option<&Bill> {
        match &amendment.invoice {
            Some(invoice) => self.bills().find(|bill| bill.id == *invoice),
            None => self
                .bills()
                .filter(|bill| amendment.known_bill.as_ref() != Some(&bill.id))
                .find(|bill| charge(&amendment.offer).is_kept_by(bill.charge)),
        }
    }

    /// Whether the bill of an amendment may be one before the latest, which was made after it was asked for and is not its own: an operator has had
    /// something else billed at once.
    #[must_use]
    pub fn may_hide_bill_of(&self, amendment: &Sale) -> bool {
        let is_later = |bill: &Bill| bill.time.created_at > amendment.asked_at;
        amendment.offer.way == Way::AtOnce
            && !self.is_pending
            && self.earlier_invoices.is_empty()
            && self.latest_invoice.as_ref().is_some_and(is_later)
            && !Contract::bills(&self.billing, &amendment.order)
            && !self.has_paid(amendment)
    }

    /// Whether an amendment was paid for, whatever an operator has made of the subscription since. A bill that somebody had given up does not
    /// tell: when it was paid, its change may have been dropped.
    pub(super) fn has_paid(&self, amendment: &Sale) -> bool {
        let paid = |bill: &Bill| bill.is_paid && !bill.was_given_up;
        self.own_bill_of(amendment).is_some_and(paid)
    }

    /// The bill that an amendment waited for and that it came to nothing with, of one that is in effect no more and does not wait: what is written
    /// down of it, or, where whoever asked for it died before that, its own that somebody has given up.
    #[must_use]
    pub fn dropped_bill_of(&self, amendment: &Sale) -> Option<InvoiceId> {
        let dropped = |bill: &&Bill| !bill.is_paid && bill.was_given_up;
        let found = || self.own_bill_of(amendment).filter(dropped);
        let known = amendment.invoice.clone();
        known.or_else(|| found().map(|bill| bill.id.clone()))
    }

    /// The bill of an amendment by what it says: made since that was asked for, it charges what is sold, as many as are sold.
    fn own_bill_of(&self, amendment: &Sale) -> Option<&Bill> {
        let since = amendment.asked_at.saturating_sub(SLACK).unwrap_or(Timestamp::MIN);
        self.bill_of(amendment).filter(|bill| {
            let charges = || bill.time.charges.iter();
            // Tiers have a line each.
            let charged = |price: &BilledPriceId| {
                let lines = charges().filter(|charge| charge.price == *price);
                lines.fold(0_u64, |units, charge| units.saturating_add(charge.quantity))
            };
            let is_sold = |price: &BilledPriceId| {
                let mut lines = amendment.order.iter();
                let is_it = |own: &PriceId| price == own;
                lines.any(|line| line.price.as_ref().is_some_and(is_it) && line.quantity == charged(price))
            };
            bill.time.occasion == Occasion::Change
                && bill.time.created_at >= since
                && charges().all(|charge| is_sold(&charge.price))
        })
    }

    /// Whether its first bill is not known, since there is a later one: of a period that a short first one was soon followed by, of a
    /// change, or of its end.
    #[must_use]
    pub fn hides_first_bill(&self) -> bool {
        self.latest_invoice.is_some() && self.first_bill().is_none()
    }

    /// Whether its first bill is paid.
    pub(super) fn has_begun(&self) -> bool {
        self.first_bill().is_some_and(|bill| bill.is_paid)
    }

    /// Whether a part of its first bill is paid, and the rest can be: Stripe does not make that void, whatever becomes of the subscription.
    #[must_use]
    pub fn is_paid_in_part(&self) -> bool {
        self.first_bill().is_some_and(|bill| bill.is_paid_in_part)
    }

    /// Whether its first payment is under way: Stripe calls such a subscription active, until somebody ends it.
    #[must_use]
    pub fn is_paying(&self) -> bool {
        let latest = self.latest_invoice.as_ref();
        let is_told = latest.is_some_and(|bill| bill.is_first && bill.is_open);
        self.is_debited || (self.billing.status == BillingStatus::Active && is_told)
    }

    /// What a sale made its payment method, where it is that still: somebody else may have changed it since.
    #[must_use]
    pub fn replaced<'a>(&self, sale: &'a Sale) -> Option<&'a Replaced> {
        let replaced = sale.replaced.as_ref()?;
        let stays = self.billing.status.is_live() && self.payment_method.as_ref() == Some(&replaced.by);
        stays.then_some(replaced)
    }

    /// Whether a schedule leads it that is no sale's: neither one that bears a sale's name, nor one without a word in it, as a downgrade
    /// begins.
    #[must_use]
    pub fn has_foreign_schedule(&self) -> bool {
        self.billing.schedule.is_some() && self.scheduled.is_none() && self.plain_schedule.is_none()
    }

    /// The first bill, where it can be paid and the status does not tell whether somebody is about to: a bank debit goes on when the
    /// subscription has ended, and is tried again when it is overdue, or when somebody has given the bill up.
    #[must_use]
    pub fn doubtful_bill(&self) -> Option<&Bill> {
        let tells = |bill: &Bill| match self.billing.status {
            BillingStatus::Incomplete => true,
            BillingStatus::Active | BillingStatus::Trialing => bill.is_open,
            _ => false,
        };
        let bill = self.latest_invoice.as_ref();
        bill.filter(|bill| bill.is_first && bill.is_payable && !tells(bill))
    }
}

/// A bill of a contract's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Stripe's id.
    pub id: InvoiceId,
    /// What it comes to.
    pub charge: Charge,
    /// What time it bills.
    pub time: TimeBill,
    /// Whether it is paid.
    pub is_paid: bool,
    /// When it was.
    pub paid_at: Option<Timestamp>,
    /// Whether it waits to be paid.
    pub is_open: bool,
    /// Whether it can be paid: it is open, or somebody has given it up.
    pub is_payable: bool,
    /// Whether somebody has given it up, whatever has become of it since.
    pub was_given_up: bool,
    /// Whether a part of it is paid, and the rest can be: Stripe does not make it void.
    pub is_paid_in_part: bool,
    /// Whether it is the first of its subscription.
    pub is_first: bool,
    /// Where its customer pays it.
    pub page: Option<String>,
}
