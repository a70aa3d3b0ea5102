//! Contracts: what a customer has bought of a plan, at the prices it was sold at, and how that changes.
//!
//! # How it works
//! A contract has what it stands at (`Standing`: the products with their prices, the period under way, what was billed for it), the
//! subscription that bills it, and at most one `Sale` that is under way. What becomes of a sale is told by Stripe and by
//! nothing else: `land` compares a subscription that was just read there with what is written down, and answers the difference.
//! The store writes it in one transaction under the version that was read *before* Stripe was asked, so nothing older ever
//! overwrites something newer (`docs/architecture.md`).
//!
//! # If it fails half-way
//! A sale stays in the contract until it took effect or came to nothing. Landing the same again changes nothing but the version.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::Anchor;
use crate::coverage::{self, Coverage, Entry};
use crate::estimate::{self, NoEstimate, Standing};
use crate::id::{
    BusinessEntityId, BuyerId, CheckoutId, ContractId, CustomerId, InvoiceId, ItemId, OrganisationId,
    PaymentMethodId, PlanId, PriceId, ScheduleId, SubscriptionId,
};
use crate::period::Period;
use crate::quote::Charge;
use crate::reversal::{self, Reversal};
use crate::sale::{Offer, OrderLine, Replaced, Sale, Way};
use crate::session::{Kind, LatePayment};
use crate::subscription::{Collection, Status as BillingStatus};

/// How many ledger entries one transaction adds at most: DynamoDB takes 100 items, and the others need room.
const MOST_ENTRIES: usize = 90;

/// Where a contract stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being sold: it is told to nobody yet.
    Pending,
    /// Sold.
    Active,
    /// Over.
    Ended,
    /// Paid too late for an offer that had moved: it never began, and the money was given back.
    Refunded,
}

/// A contract, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Who sold it.
    pub organisation: OrganisationId,
    /// Its id.
    pub id: ContractId,
    /// Counts the writes; one that decides names the version that it read.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// Who bought it.
    pub buyer: BuyerId,
    /// Who sells.
    pub business_entity: BusinessEntityId,
    /// What it stands at; while it is being sold, what it will.
    pub standing: Standing,
    /// What Stripe bills for that.
    pub order: Vec<OrderLine>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ends; none for one that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// The subscription that bills it, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
    /// How many amendments it has had, its beginning included.
    #[serde(default)]
    pub amendments: u64,
    /// The sale that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<Sale>,
    /// What it becomes when its period ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Scheduled>,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// The subscription of a contract, as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billing {
    /// Stripe's id.
    pub subscription: SubscriptionId,
    /// Where it stands.
    pub status: BillingStatus,
    /// Its items.
    pub items: Vec<BilledItem>,
    /// The period that is under way.
    pub period: Period,
    /// When it ends, if that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<Timestamp>,
    /// The schedule that leads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
}

/// An item of a contract's subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledItem {
    /// Stripe's id.
    pub id: ItemId,
    /// Its price.
    pub price: PriceId,
    /// How many.
    pub quantity: u64,
}

/// A change that takes effect when the period ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The session that it was sold by.
    pub checkout: CheckoutId,
    /// What the contract will stand at.
    pub after: Standing,
    /// What Stripe will bill.
    pub order: Vec<OrderLine>,
    /// When.
    pub effective_at: Timestamp,
}

/// One entry of a contract's history: how it began, and each amendment. Never rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// Counted from 1, the beginning.
    pub number: u64,
    /// The session that it was sold by.
    pub checkout: CheckoutId,
    /// Which kind that was.
    pub kind: Kind,
    /// When it takes effect, in a word.
    pub way: Way,
    /// The plan from then on.
    pub plan: PlanId,
    /// What it was charged at.
    pub charge: Charge,
    /// From when on it holds.
    pub effective_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
}

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
    /// How its invoices are paid.
    pub collection: Collection,
    /// What pays them; none where the customer's own does.
    pub payment_method: Option<PaymentMethodId>,
    /// Whether this is Stripe's answer to the amendment itself: what it tells as done was paid at once.
    pub is_answer: bool,
    /// The name of the sale that its schedule was written for, whole: its two requests were both done.
    pub scheduled: Option<String>,
    /// The schedule that leads it, where it leads nowhere: it was made of the subscription as that is, and nobody has written anything
    /// into it.
    pub plain_schedule: Option<ScheduleId>,
    /// Its latest bill.
    pub latest_invoice: Option<Bill>,
    /// The bills before that, newest first, where the first had to be looked for behind the latest.
    pub earlier_invoices: Vec<Bill>,
}

impl Read {
    fn bills(&self) -> impl Iterator<Item = &Bill> {
        self.latest_invoice.iter().chain(&self.earlier_invoices)
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

    /// Whether its first bill is not known, since there is a later one: of a period that a short first one was soon followed by, of a
    /// change, or of its end.
    #[must_use]
    pub fn hides_first_bill(&self) -> bool {
        self.latest_invoice.is_some() && self.first_bill().is_none()
    }

    /// Whether its first bill is paid.
    fn has_begun(&self) -> bool {
        self.first_bill().is_some_and(|bill| bill.is_paid)
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
    pub fn is_led_by_an_operator(&self) -> bool {
        self.billing.schedule.is_some() && self.scheduled.is_none() && self.plain_schedule.is_none()
    }

    /// The first bill, where it can be paid and the status does not tell whether somebody is about to: a bank debit goes on when the
    /// subscription has ended, and is tried again when it is overdue.
    #[must_use]
    pub fn doubtful_bill(&self) -> Option<&Bill> {
        let tells = matches!(
            self.billing.status,
            BillingStatus::Active | BillingStatus::Incomplete | BillingStatus::Trialing
        );
        let bill = self.latest_invoice.as_ref().filter(|_| !tells);
        bill.filter(|bill| bill.is_first && bill.is_payable)
    }
}

/// A bill of a contract's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Stripe's id.
    pub id: InvoiceId,
    /// What it comes to.
    pub charge: Charge,
    /// Whether it is paid.
    pub is_paid: bool,
    /// When it was.
    pub paid_at: Option<Timestamp>,
    /// Whether it waits to be paid.
    pub is_open: bool,
    /// Whether it can be paid: it is open, or somebody has given it up.
    pub is_payable: bool,
    /// Whether it is the first of its subscription.
    pub is_first: bool,
    /// Where its customer pays it.
    pub page: Option<String>,
}

/// What has become of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing to tell yet.
    Open,
    /// It waits for the payment of this bill.
    Waits(Bill),
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
    /// Late, and nothing had moved.
    Holds,
    /// Late, and the offer had moved.
    Moved,
}

/// What a session is told of its sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
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
    pub told: Option<(CheckoutId, Told)>,
}

impl Contract {
    /// The change that was scheduled and that Stripe bills by now, and the schedule that led there: it is done.
    #[must_use]
    pub fn led_by(&self, read: &Read) -> Option<(&Scheduled, ScheduleId)> {
        let scheduled = self.scheduled.as_ref()?;
        let led = Self::bills(&read.billing, &scheduled.order);
        let schedule = read.billing.schedule.clone().filter(|_| led)?;
        Some((scheduled, schedule))
    }

    /// The subscription of an earlier sale that came to nothing, while the contract is being sold anew: what Stripe says of it is not
    /// about the sale that is under way. It cannot be this one's: a subscription that is over ends its sale in the write that
    /// records it, unless its bill is being paid, and then the sale names that.
    #[must_use]
    pub fn left_behind(&self) -> Option<&SubscriptionId> {
        let sale = self.sale.as_ref()?;
        let billing = self.billing.as_ref()?;
        let is_earlier = sale.invoice.is_none() && !billing.status.is_live();
        (sale.offer.way == Way::Begin && is_earlier).then_some(&billing.subscription)
    }

    /// Whether a sale came to what Stripe bills now: every line of the order is an item, and there are no others.
    fn bills(billing: &Billing, order: &[OrderLine]) -> bool {
        billing.items.len() == order.len()
            && order.iter().all(|line| {
                billing
                    .items
                    .iter()
                    .any(|item| Some(&item.price) == line.price.as_ref() && item.quantity == line.quantity)
            })
    }
}

/// What has become of a sale, by what Stripe has just said of the contract's subscription.
#[must_use]
pub fn fate(sale: &Sale, read: &Read, lateness: Lateness) -> Fate {
    let first = read.first_bill().filter(|_| sale.offer.way == Way::Begin);
    let waits = || match first.or(read.latest_invoice.as_ref()) {
        Some(bill) => Fate::Waits(bill.clone()),
        None => Fate::Open,
    };
    match (sale.offer.way, read.billing.status) {
        (Way::Begin, BillingStatus::Canceled) if sale.is_to_be_refunded => Fate::Over,
        // An operator ended it while a bank debit is paying for it, which nobody can call back.
        (Way::Begin, BillingStatus::Canceled) if read.is_debited => waits(),
        // An operator ended it before anybody had written down that it was paid: it was sold, and is over.
        (Way::Begin, BillingStatus::Canceled) if read.has_begun() => match lateness {
            Lateness::Moved => Fate::TooLate,
            Lateness::InTime | Lateness::Holds => Fate::TookEffect,
        },
        (_, BillingStatus::Canceled | BillingStatus::IncompleteExpired) => Fate::Over,
        (Way::Begin, BillingStatus::Incomplete) => waits(),
        (Way::Begin, _) if sale.is_to_be_refunded || lateness == Lateness::Moved => Fate::TooLate,
        // A bank debit: Stripe calls it active, and nobody has paid yet. Nor has anybody a bill that was made void.
        (Way::Begin, _) => match first.filter(|bill| !bill.is_paid) {
            Some(bill) => Fate::Waits(bill.clone()),
            None => Fate::TookEffect,
        },
        (Way::AtOnce, _) if read.is_pending => waits(),
        (Way::AtOnce, _) if Contract::bills(&read.billing, &sale.order) => Fate::TookEffect,
        (Way::AtPeriodEnd, _) if read.scheduled.as_ref() == Some(&sale.name()) => Fate::TookEffect,
        (Way::AtOnce, _) if sale.invoice.is_some() => Fate::Over,
        (Way::AtOnce | Way::AtPeriodEnd, _) => Fate::Open,
    }
}

/// What was read at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The subscription.
    pub read: Read,
    /// The lines of an invoice that is paid.
    pub paid: Vec<Entry>,
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

    /// The reversal to store; none when it says nothing new.
    fn news(&self, fetched: Reversal) -> Option<Reversal> {
        let mut stored = self.reversals.iter();
        let stored = stored.find(|stored| stored.invoice == fetched.invoice);
        let reversal = fetched.after(stored);
        let news = match stored {
            Some(stored) => *stored != reversal,
            None => !reversal.is_nothing(),
        };
        news.then_some(reversal)
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
        reversal,
        lateness,
    } = facts;
    let mut entries: Vec<Entry> = paid
        .into_iter()
        .filter(|entry| !is_known(&ledger.entries, entry))
        .collect();
    let more = entries.len() > MOST_ENTRIES;
    entries.truncate(MOST_ENTRIES);
    let begins = contract
        .sale
        .as_ref()
        .is_some_and(|sale| sale.offer.way == Way::Begin);
    let first = read.first_bill().filter(|_| begins);
    let billed = first.or(read.latest_invoice.as_ref());
    let mut landing = Landing {
        contract: Contract {
            updated_at: now,
            ..contract.clone()
        },
        entries,
        reversal: reversal.and_then(|fetched| ledger.news(fetched)),
        more,
        amendment: None,
        billed: billed.cloned(),
        told: None,
    };
    landing.follow_sale(&read, lateness, now);
    landing.follow_period(&read)?;
    let landed = &mut landing.contract;
    landed.status = match (landed.status, read.billing.status) {
        (Status::Active, BillingStatus::Canceled | BillingStatus::IncompleteExpired) => Status::Ended,
        (status, _) => status,
    };
    landed.billing = Some(read.billing);
    Ok(landing)
}

fn is_known(ledger: &[Entry], entry: &Entry) -> bool {
    ledger
        .iter()
        .any(|known| known.invoice == entry.invoice && known.line == entry.line)
}

impl Landing {
    fn follow_sale(&mut self, read: &Read, lateness: Lateness, now: Timestamp) {
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
                Told::Waits {
                    page: bill.page,
                    is_paying: sale.offer.way == Way::Begin && read.is_paying(),
                }
            }
            Fate::TookEffect => {
                self.effect(&sale, read, now);
                Told::Done((lateness == Lateness::Holds).then_some(LatePayment::Honoured))
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
                if sale.is_to_be_refunded {
                    self.contract.status = Status::Refunded;
                    Told::Refunded
                } else {
                    Told::Over
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
                contract.standing = in_period(offer.after.clone(), read.billing.period);
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

    /// A period after the one that is stored, and what was to happen at its beginning.
    fn follow_period(&mut self, read: &Read) -> Result<(), NoEstimate> {
        let contract = &mut self.contract;
        let period = read.billing.period;
        if contract.status != Status::Active {
            return Ok(());
        }
        let began = contract.scheduled.take_if(|scheduled| {
            scheduled.effective_at <= period.start && Contract::bills(&read.billing, &scheduled.order)
        });
        if let Some(began) = began {
            contract.standing = in_period(began.after, period);
            contract.order = began.order;
        } else if contract.standing.period.end <= period.start {
            let renewed = estimate::next_invoice(&contract.standing, &contract.standing.configuration)?;
            contract.standing = in_period(renewed.standing, period);
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

/// A standing in the period that Stripe bills. A first period that an anchor cuts short ends where the standing's does, and stays a
/// share of the whole one.
fn in_period(standing: Standing, period: Period) -> Standing {
    if standing.period.end == period.end {
        return standing;
    }
    let cadence = standing.configuration.cadence;
    let counts = standing.anchor.period_at(cadence, period.start) == Ok(period);
    Standing {
        anchor: if counts {
            standing.anchor
        } else {
            Anchor::of(period.start)
        },
        period,
        ..standing
    }
}

/// What an offer charges.
#[must_use]
pub fn charge(offer: &Offer) -> Charge {
    let invoice = &offer.estimates.current_invoice;
    Charge {
        amount_due: invoice.amount_due,
        total: invoice.total,
        currency: invoice.currency,
    }
}
