//! What Stripe has just said of a contract's subscription, and what that changes about the contract: what has become of its sale, and of
//! its period.

use jiff::{SignedDuration, Timestamp};

use super::periods::{billed_in, sold_in};
use super::{Amendment, Bill, Contract, Read, Scheduled, Status, charge};
use crate::coverage::{self, Coverage, Entry, new_entries};
use crate::estimate::{NoEstimate, Standing};
use crate::id::{CheckoutId, InvoiceId};
use crate::reversal::{self, Reversal};
use crate::sale::{Sale, Way};
use crate::session::LatePayment;
use crate::subscription::Status as BillingStatus;

/// What has become of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing to tell yet.
    Open,
    /// It waits for the payment of this bill.
    Waits(Box<Bill>),
    /// It took effect.
    TookEffect,
    /// Its payment came too late for an offer that had moved: the money goes back.
    TooLate,
    /// It came to nothing.
    Over,
}

/// Whether an offer still held when its payment turned out to be late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// It was in time, or that was not asked.
    InTime,
    /// Late, and nothing had moved; or an amendment, which is honoured all the same.
    Holds,
    /// Late, and the offer had moved.
    Moved,
}

/// What a session is told of its sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionUpdate {
    /// It waits for a payment: where that is made, and whether it is under way.
    Waits {
        /// The page of the bill.
        page: Option<String>,
        /// Whether the payment is under way.
        is_paying: bool,
    },
    /// The contract is made, or amended.
    Done(Option<LatePayment>),
    /// The money was given back.
    Refunded,
    /// It came to nothing: the session is open again, while its time lasts.
    Over,
}

/// The difference to write, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// The contract as it is then. Its version is the one that was read.
    pub contract: Contract,
    /// Ledger entries to add.
    pub entries: Vec<Entry>,
    /// What was given back of an invoice, when that is news.
    pub reversal: Option<Reversal>,
    /// Whether there are more entries than fit, so that the facts must be landed once more.
    pub more: bool,
    /// A new entry of its history.
    pub amendment: Option<Amendment>,
    /// The bill of the sale; the latest, where none is under way.
    pub billed: Option<Bill>,
    /// What the session of the sale that was under way is told.
    pub told: Option<(CheckoutId, SessionUpdate)>,
    /// Bills of a sale that came to nothing, which can be paid all the same: somebody has given them up, and Stripe does not make them void.
    /// What is paid for them goes back.
    pub let_go: Vec<InvoiceId>,
}

/// What has become of a sale, by what Stripe has just said of the contract's subscription.
#[must_use]
pub fn fate(sale: &Sale, read: &Read, lateness: Lateness) -> Fate {
    let first = read.first_bill().filter(|_| sale.offer.way == Way::Begin);
    let waits = || match first.or(read.latest_invoice.as_ref()) {
        Some(bill) => Fate::Waits(Box::new(bill.clone())),
        None => Fate::Open,
    };
    match (sale.offer.way, read.billing.status) {
        (Way::Begin, BillingStatus::Canceled) if sale.is_to_be_refunded => Fate::Over,
        // An operator ended it while a bank debit is paying for it, which nobody can call back.
        (Way::Begin, BillingStatus::Canceled) if read.is_debited => waits(),
        // A part of it is paid: the rest is the payer's to pay, or an operator's to give up.
        (Way::Begin, BillingStatus::Canceled | BillingStatus::IncompleteExpired)
            if read.is_paid_in_part() =>
        {
            waits()
        }
        // An operator ended it before anybody had written down that it was paid: it was sold, and is over.
        (Way::Begin, BillingStatus::Canceled) if read.has_begun() => match lateness {
            Lateness::Moved => Fate::TooLate,
            Lateness::InTime | Lateness::Holds => Fate::TookEffect,
        },
        // Likewise an amendment.
        (Way::AtOnce, BillingStatus::Canceled) if read.has_paid(sale) => Fate::TookEffect,
        (_, BillingStatus::Canceled | BillingStatus::IncompleteExpired) => Fate::Over,
        (Way::Begin, BillingStatus::Incomplete) => waits(),
        (Way::Begin, _) if sale.is_to_be_refunded || lateness == Lateness::Moved => Fate::TooLate,
        // A bank debit: Stripe calls it active, and nobody has paid yet. Nor has anybody a bill that was made void.
        (Way::Begin, _) => match first.filter(|bill| !bill.is_paid) {
            Some(bill) => Fate::Waits(Box::new(bill.clone())),
            None => Fate::TookEffect,
        },
        (Way::AtOnce, _) if read.is_pending => waits(),
        (Way::AtOnce, _) if Contract::bills(&read.billing, &sale.order) => Fate::TookEffect,
        // An operator has changed it again before anybody had written down that it was paid.
        (Way::AtOnce, _) if read.has_paid(sale) => Fate::TookEffect,
        (Way::AtPeriodEnd, _) if read.scheduled.as_ref() == Some(&sale.name()) => Fate::TookEffect,
        (Way::AtOnce, _) if read.dropped_bill_of(sale).is_some() => Fate::Over,
        (Way::AtOnce | Way::AtPeriodEnd, _) => Fate::Open,
    }
}

/// Whether a sale was paid after its session's time had run out, and whether its offer still held then; none where that is for the plan to say,
/// as it is offered now. An amendment is honoured whatever its plan costs by then: what it replaced was credited by the bill that was paid, and
/// is not there to go back to.
#[must_use]
pub fn lateness(sale: &Sale, read: &Read, now: Timestamp) -> Option<Lateness> {
    if sale.is_to_be_refunded {
        return Some(Lateness::Moved);
    }
    let paid_at = match sale.offer.way {
        Way::Begin => {
            let paid_at = read.first_bill().and_then(|bill| bill.paid_at);
            Some(paid_at.unwrap_or(read.created))
        }
        Way::AtOnce => read.bill_of(sale).and_then(|bill| bill.paid_at),
        Way::AtPeriodEnd => None,
    };
    let took_effect = fate(sale, read, Lateness::InTime) == Fate::TookEffect;
    let Some(paid_at) = paid_at.filter(|_| took_effect) else {
        return Some(Lateness::InTime);
    };
    // A contract that was to be over by then is not begun, whatever was offered; nor is one that nobody learned of before, and that bills on.
    let goes_on = read.billing.status.is_live() && read.billing.cancel_at != sale.offer.ends_at;
    let known_at = if goes_on { now } else { paid_at };
    if sale.offer.way == Way::Begin && sale.offer.ends_at.is_some_and(|end| end <= known_at) {
        return Some(Lateness::Moved);
    }
    if paid_at < sale.open_until {
        return Some(Lateness::InTime);
    }
    (sale.offer.way == Way::AtOnce).then_some(Lateness::Holds)
}

/// Whether a sale waits for its payment, and can be made unpayable: nobody is making the first one of a contract, or has made a part of it.
#[must_use]
pub fn is_awaited(sale: &Sale, read: &Read) -> bool {
    match sale.offer.way {
        Way::Begin => {
            let is_made = read.is_paying() || read.is_paid_in_part();
            !is_made && matches!(fate(sale, read, Lateness::InTime), Fate::Waits(_))
        }
        Way::AtOnce => read.is_pending,
        Way::AtPeriodEnd => false,
    }
}

/// The end of a contract that begins, where Stripe does not have it yet. A bank debit pays days later, when that may be over: the end is set as
/// soon as Stripe takes one, which it does not of a subscription whose first bill waits for its payer, nor of one that an operator has a schedule
/// lead: that says the end itself, and when it is let go without one, the end is set ([`Contract::lost_end`]).
#[must_use]
pub fn missing_end(sale: &Sale, read: &Read, fate: &Fate, now: Timestamp) -> Option<Timestamp> {
    let end = sale.offer.ends_at.filter(|end| now < *end)?;
    let billing = &read.billing;
    let is_led = billing.schedule.is_some();
    let takes_end = billing.status.is_live() && billing.status != BillingStatus::Incomplete && !is_led;
    let begins = sale.offer.way == Way::Begin && matches!(fate, Fate::TookEffect | Fate::Waits(_));
    (begins && takes_end && billing.cancel_at != Some(end)).then_some(end)
}

/// What was read at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The subscription.
    pub read: Read,
    /// The lines of an invoice that is paid.
    pub paid: Vec<Entry>,
    /// The bill of a sale that came to nothing, paid or not, where somebody had given it up.
    pub given_up: Option<InvoiceId>,
    /// What was given back of an invoice.
    pub reversal: Option<Reversal>,
    /// Whether the sale's payment was late.
    pub lateness: Lateness,
}

/// What a contract has paid for, and what of that was given back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What was paid for, oldest first.
    pub entries: Vec<Entry>,
    /// What was given back.
    pub reversals: Vec<Reversal>,
}

impl Ledger {
    /// What is covered at `now`, as for an account.
    #[must_use]
    pub fn covered(&self, now: Timestamp, grace: SignedDuration) -> Option<Coverage> {
        let standing = reversal::standing(&self.entries, &self.reversals);
        coverage::covered(&standing, now, grace)
    }
}

/// What the facts change about a contract, with the ledger that it has.
pub fn land(
    contract: &Contract,
    ledger: &Ledger,
    facts: Facts,
    now: Timestamp,
) -> Result<Landing, NoEstimate> {
    let Facts {
        read,
        paid,
        given_up,
        reversal,
        lateness,
    } = facts;
    let lands_paid = paid.first().map(|entry| entry.invoice.clone());
    let (entries, more) = new_entries(&ledger.entries, paid);
    let own = contract.sale.as_ref().and_then(|sale| match sale.offer.way {
        Way::Begin => read.first_bill(),
        Way::AtOnce => read.bill_of(sale),
        Way::AtPeriodEnd => None,
    });
    let billed = own.or(read.latest_invoice.as_ref());
    let mut landing = Landing {
        contract: Contract {
            updated_at: now,
            ..contract.clone()
        },
        entries,
        reversal: reversal.and_then(|fetched| reversal::news(&ledger.reversals, fetched)),
        more,
        amendment: None,
        billed: billed.cloned(),
        told: None,
        let_go: Vec::new(),
    };
    landing.follow_sale(&read, given_up.as_ref(), lateness, now);
    // What was paid for a bill that is let go just now goes back in the next round.
    if landing
        .let_go
        .iter()
        .any(|bill| lands_paid.as_ref() == Some(bill))
    {
        landing.entries.clear();
        landing.more = true;
    }
    landing.follow_period(&read, now)?;
    let landed = &mut landing.contract;
    landed.status = match (landed.status, read.billing.status) {
        (Status::Active, BillingStatus::Canceled | BillingStatus::IncompleteExpired) => Status::Ended,
        (status, _) => status,
    };
    landed.billing = Some(read.billing);
    Ok(landing)
}

impl Landing {
    /// Whether the sale of a contract, as it was before, took effect by a bill of another amount than it was quoted at. What changes nothing of what
    /// is billed, or changes it later, has no bill of its own.
    #[must_use]
    pub fn differs_from_quote(&self, before: &Contract) -> bool {
        let sale = before.sale.as_ref();
        let Some(sale) = sale.filter(|sale| match sale.offer.way {
            Way::Begin => true,
            Way::AtOnce => sale.order != before.order,
            Way::AtPeriodEnd => false,
        }) else {
            return false;
        };
        let took_effect = matches!(self.told, Some((_, SessionUpdate::Done(_))));
        let billed = self.billed.as_ref().map(|bill| bill.charge);
        took_effect && billed.is_some_and(|billed| !charge(&sale.offer).is_kept_by(billed))
    }

    /// What has become of the sale. One that came to nothing lets go of what can still be paid, and what was paid by now though somebody had
    /// given it up.
    fn follow_sale(&mut self, read: &Read, given_up: Option<&InvoiceId>, lateness: Lateness, now: Timestamp) {
        let Some(sale) = self.contract.sale.clone() else {
            return;
        };
        if self.contract.left_behind() == Some(&read.billing.subscription) {
            return;
        }
        let told = match fate(&sale, read, lateness) {
            Fate::Open => return,
            Fate::Waits(bill) => {
                let waiting = Sale {
                    invoice: Some(bill.id),
                    ..sale.clone()
                };
                self.contract.sale = Some(waiting);
                SessionUpdate::Waits {
                    page: bill.page,
                    // No bank debit pays an amendment. What may be under way is over in minutes, and the page tells of it.
                    is_paying: sale.offer.way == Way::Begin && read.is_paying(),
                }
            }
            Fate::TookEffect => {
                self.effect(&sale, read, now);
                SessionUpdate::Done((lateness == Lateness::Holds).then_some(LatePayment::Honoured))
            }
            Fate::TooLate => {
                let refunded = Sale {
                    is_to_be_refunded: true,
                    ..sale.clone()
                };
                self.contract.sale = Some(refunded);
                return;
            }
            Fate::Over => {
                self.contract.sale = None;
                let payable = read.payable_bills().map(|bill| &bill.id);
                self.let_go = match &read.dropped_bill_of(&sale) {
                    _ if sale.offer.way == Way::Begin => payable.cloned().collect(),
                    // It was in effect when the subscription ended.
                    Some(_) if Contract::bills(&read.billing, &sale.order) => Vec::new(),
                    Some(own) => {
                        let own = payable.chain(given_up).find(|bill| *bill == own);
                        own.cloned().into_iter().collect()
                    }
                    None => Vec::new(),
                };
                if sale.is_to_be_refunded {
                    self.contract.status = Status::Refunded;
                    SessionUpdate::Refunded
                } else {
                    SessionUpdate::Over
                }
            }
        };
        self.told = Some((sale.checkout, told));
    }

    /// The sale took effect: the contract is what was sold, or will be.
    fn effect(&mut self, sale: &Sale, read: &Read, now: Timestamp) {
        let contract = &mut self.contract;
        let offer = &sale.offer;
        contract.sale = None;
        contract.status = Status::Active;
        contract.amendments += 1;
        match offer.way {
            Way::AtPeriodEnd => {
                contract.scheduled = Some(Scheduled {
                    checkout: sale.checkout.clone(),
                    after: offer.after.clone(),
                    order: sale.order.clone(),
                    effective_at: offer.effective_at,
                });
            }
            Way::Begin | Way::AtOnce => {
                contract.standing = sold_in(offer, &read.billing);
                contract.order.clone_from(&sale.order);
            }
        }
        if offer.way == Way::Begin {
            contract.started_at = offer.at;
            contract.ends_at = offer.ends_at;
        }
        self.amendment = Some(Amendment {
            number: contract.amendments,
            checkout: sale.checkout.clone(),
            kind: sale.kind,
            way: offer.way,
            plan: offer.after.configuration.plan.clone(),
            charge: charge(offer),
            effective_at: offer.effective_at,
            recorded_at: now,
        });
    }

    /// The end that Stripe has of the contract, which is an operator's to set, to move and to take away. While a schedule leads the subscription, its
    /// end is the schedule's to say. That there is none tells that it was taken away where Stripe had it before, or goes on after it: it is
    /// set in a request of its own.
    fn follow_end(&mut self, read: &Read, now: Timestamp) {
        let contract = &mut self.contract;
        let billing = &read.billing;
        if billing.schedule.is_some() || !billing.status.is_live() {
            return;
        }
        let known = contract.billing.as_ref();
        let had_one = known
            .is_some_and(|known| known.subscription == billing.subscription && known.cancel_at.is_some());
        let is_gone = |end: &Timestamp| had_one || *end <= now;
        contract.ends_at = billing.cancel_at.or(contract.ends_at.filter(|end| !is_gone(end)));
    }

    /// Another period than the one that is stored, and what was to happen at its beginning.
    fn follow_period(&mut self, read: &Read, now: Timestamp) -> Result<(), NoEstimate> {
        if self.contract.status != Status::Active {
            return Ok(());
        }
        self.follow_end(read, now);
        let contract = &mut self.contract;
        let period = read.billing.period;
        // One that Stripe has gone on after is none.
        let ends_at = contract.ends_at.filter(|end| *end > period.start);
        contract.standing.ends_at = ends_at;
        let is_moved = contract.is_in_another_period(&read.billing);
        let began = contract.scheduled.take_if(|scheduled| {
            let has_come = is_moved || scheduled.effective_at <= period.start;
            has_come && Contract::bills(&read.billing, &scheduled.order)
        });
        if let Some(began) = began {
            let after = Standing {
                ends_at,
                ..began.after
            };
            contract.standing = billed_in(&after, period)?;
            contract.order = began.order;
        } else if is_moved {
            contract.standing = billed_in(&contract.standing, period)?;
        }
        // A schedule that was let go without having led anywhere was taken back by an operator.
        if read.billing.schedule.is_none() && contract.sale.is_none() {
            contract
                .scheduled
                .take_if(|scheduled| !Contract::bills(&read.billing, &scheduled.order));
        }
        Ok(())
    }
}
