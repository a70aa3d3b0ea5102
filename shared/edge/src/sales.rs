//! What becomes of a sale at Stripe, for whoever learns it first: the confirmation that asked, the webhook, or the expiry.
//!
//! # How it works
//! In rounds: read the contract, *then* read its subscription at Stripe, do what is left to do there (a scheduled end, a refund),
//! decide ([`billing_core::contract::land`]), and write the contract, its ledger and its session in one transaction under the
//! versions that were read first. A round that somebody else overtook starts over.
//!
//! # If it fails half-way
//! The sale stays in the contract until it is landed, and what is done at Stripe repeats under the sale's keys.

use billing_core::access::Mode;
use billing_core::contract::{
    self, Billing, Contract, ContractKey, Facts, Fate, Landing, Lateness, Read, SessionUpdate,
};
use billing_core::coverage::Entry;
use billing_core::id::InvoiceId;
use billing_core::reversal::Reversal;
use billing_core::sale::{Sale, Way};
use billing_core::session::{Session, Status};
use billing_store::{SessionWrite, StoredContract, unless_conflict};
use billing_stripe::{Left, Returned};

use crate::call::Call;
use crate::problem::Problem;

/// What an event told of an invoice of a contract's.
#[derive(Debug, Clone, Default)]
pub struct InvoiceFacts {
    /// Its lines, when it is paid.
    pub paid: Vec<Entry>,
    /// Whether somebody had given it up.
    pub was_given_up: bool,
    /// What was given back of it.
    pub reversal: Option<Reversal>,
    /// What is left of its payment, where that was looked at.
    pub left: Option<Left>,
}

impl InvoiceFacts {
    /// Whether somebody paid money for it.
    #[must_use]
    pub(crate) fn costs_money(&self) -> bool {
        self.paid.iter().any(|entry| entry.amount.minor > 0)
    }
}

/// A contract and its session after a round that was written.
#[derive(Debug, Clone)]
pub struct Landed {
    /// The contract, as it is then.
    pub contract: Contract,
    /// The session of the sale that was under way, as it is then.
    pub session: Option<Session>,
}

/// What a sale that came to nothing has left at Stripe.
enum Leftover {
    /// Nothing that it has done.
    Nothing,
    /// The subscription that it was to amend, as it is billed now.
    Billed(Box<Billing>),
    /// Another machine has got it through, or has begun to: nothing is to be forgotten.
    Done,
}

impl Call<'_> {
    /// Lands what Stripe says of a contract's subscription: one round; none when it has to be done again, on fresh facts.
    pub async fn land_contract(
        &self,
        stored: &StoredContract,
        read: Read,
        bill: InvoiceFacts,
    ) -> Result<Option<Landed>, Problem> {
        let contract = &stored.contract;
        let sale = contract.sale.as_ref();
        let mut session = match sale {
            Some(sale) => self.store.checkout_session(&sale.checkout).await?,
            None => None,
        };
        // Written together: somebody has landed it since the contract was read.
        if session
            .as_ref()
            .is_some_and(|session| session.status == Status::ContractCreated)
        {
            return Ok(None);
        }
        let (read, lateness) = match sale {
            Some(sale) => {
                let read = self.with_own_bill(sale, read).await?;
                let read = Box::pin(self.close_late(sale, read)).await?;
                let read = Box::pin(self.close_ended(sale, read)).await?;
                let lateness = self.lateness(contract, sale, &read).await?;
                let read = Box::pin(self.finish_at_stripe(sale, &mut session, read, lateness));
                (read.await?, lateness)
            }
            None => (read, Lateness::InTime),
        };
        let read = Box::pin(self.finish_schedule(contract, read)).await?;
        let given_up = match sale {
            Some(sale) => self.given_up_bill(sale, &read).await?,
            None => None,
        };
        let facts = Facts {
            read,
            paid: bill.paid,
            given_up,
            reversal: bill.reversal,
            lateness,
        };
        let landing = contract::land(contract, &stored.ledger, facts, self.now)
            .map_err(|error| Problem::internal(error.to_string()))?;
        self.check_charge(contract, &landing);
        if let Some(reversal) = &landing.reversal {
            let (contract, invoice, full) = (&contract.id, &reversal.invoice, reversal.is_full());
            tracing::warn!(%contract, %invoice, full, disputed = reversal.disputed, "money of an invoice went back");
            self.count("Reversals", 1);
            if full {
                self.count("Withdrawals", 1);
            }
            if reversal.disputed {
                self.count("Disputes", 1);
            }
        }
        let told = landing.told.as_ref().map(|(_, told)| told);
        let new = session
            .as_ref()
            .zip(told)
            .map(|(session, told)| session.after(told, self.now));
        let write = session
            .as_ref()
            .zip(new.as_ref())
            .map(|(read, new)| SessionWrite { read, new });
        // Also when there is nothing to change: whoever read Stripe earlier and writes later has to look again.
        let written = unless_conflict(self.store.land_contract(contract, &landing, write).await)?;
        // An invoice of more lines than one transaction takes needs another round, and so does a refund that was just decided on.
        let refunds = landing
            .contract
            .sale
            .as_ref()
            .is_some_and(|sale| sale.is_to_be_refunded);
        Ok(written.filter(|()| !landing.more && !refunds).map(|()| Landed {
            contract: landing.contract,
            session: new.or(session),
        }))
    }

    /// Does what a schedule leaves to be done at Stripe: it lets go when it has led where it was to lead, since what is left of it would only stand in the way
    /// of the next change; and where it leaves the contract without its end, that is set.
    async fn finish_schedule(&self, contract: &Contract, read: Read) -> Result<Read, Problem> {
        let read = match contract.completed_schedule(&read) {
            Some((scheduled, schedule)) => {
                let stripe = self.stripe().await?;
                let key = format!("sale/{}", scheduled.checkout);
                stripe.release_schedule(&schedule, &key).await?;
                let subscription = &read.billing.subscription;
                stripe.contract_subscription(subscription).await?.read
            }
            None => read,
        };
        let Some(end) = contract.lost_end(&read, self.now) else {
            return Ok(read);
        };
        let stripe = self.stripe().await?;
        let key = format!("contract/{}/{}", contract.id, contract.version);
        let subscription = &read.billing.subscription;
        let ended = stripe.end_contract_at(subscription, end, &key).await?;
        Ok(Read {
            billing: ended.read.billing,
            ..read
        })
    }

    /// The bill of an amendment that came to nothing, where somebody has given it up: Stripe makes every other void.
    async fn given_up_bill(&self, sale: &Sale, read: &Read) -> Result<Option<InvoiceId>, Problem> {
        let is_over = || contract::fate(sale, read, Lateness::InTime) == Fate::Over;
        let bill = read.dropped_bill_of(sale);
        let Some(bill) = bill.filter(|_| sale.offer.way == Way::AtOnce && is_over()) else {
            return Ok(None);
        };
        let was_given_up = self.was_given_up(&bill).await?;
        Ok(was_given_up.then_some(bill))
    }

    /// Whether a sale was paid after its session's time had run out, and whether the offer still held then.
    async fn lateness(&self, contract: &Contract, sale: &Sale, read: &Read) -> Result<Lateness, Problem> {
        if let Some(lateness) = contract::lateness(sale, read, self.now) {
            return Ok(lateness);
        }
        let plan = &sale.offer.after.configuration.plan;
        let plan = self.store.plan(&contract.organisation, plan).await?;
        let holds = plan.is_some_and(|stored| !stored.plan.withdrawn && sale.offer.still_holds(&stored.plan));
        Ok(if holds { Lateness::Holds } else { Lateness::Moved })
    }

    /// Makes unpayable what a sale waits for, once its session's time has run out: Stripe would go on trying to charge it where a bank
    /// debit failed days later.
    async fn close_late(&self, sale: &Sale, read: Read) -> Result<Read, Problem> {
        if self.now < sale.open_until {
            return Ok(read);
        }
        let read = self.close_sale(sale, read).await?;
        // What is paid in part cannot be made void: its payer may pay the rest on its page, and nobody else charges anything.
        let is_left = sale.offer.way == Way::Begin && read.is_paid_in_part() && !read.is_paying();
        if !is_left || !read.billing.status.is_live() {
            return Ok(read);
        }
        let stripe = self.stripe().await?;
        let canceled = stripe.cancel_contract(&read.billing.subscription, sale).await?;
        self.with_own_bill(sale, canceled.read).await
    }

    /// What a sale stands on: where it begins a contract, the first bill of its subscription, where it amends one, its own; looked for where a
    /// later one hides it.
    async fn with_own_bill(&self, sale: &Sale, read: Read) -> Result<Read, Problem> {
        let is_hidden = match sale.offer.way {
            Way::Begin => read.hides_first_bill(),
            Way::AtOnce => read.may_hide_bill_of(sale),
            Way::AtPeriodEnd => false,
        };
        if !is_hidden {
            return Ok(read);
        }
        let stripe = self.stripe().await?;
        // On the heap: of the many ways that lead here, hardly any needs it.
        Ok(Box::pin(stripe.with_earlier_bills(read)).await?)
    }

    /// A subscription as it is now, with what a sale stands on.
    async fn reread_for(&self, sale: &Sale, read: &Read) -> Result<Read, Problem> {
        let subscription = &read.billing.subscription;
        let found = self.stripe().await?.contract_subscription(subscription).await?;
        self.with_own_bill(sale, found.read).await
    }

    /// Makes void the bills of a subscription that somebody has ended, before its sale is forgotten: they could still be paid on their
    /// pages, for nothing, or for what is sold anew by then. One that was paid a moment ago, or is being paid by a bank debit, cannot be
    /// made void, and says so when it is read; nor, perhaps, can one that somebody has given up.
    async fn close_ended(&self, sale: &Sale, read: Read) -> Result<Read, Problem> {
        let is_over = |read: &Read| {
            sale.offer.way == Way::Begin && contract::fate(sale, read, Lateness::InTime) == Fate::Over
        };
        if !is_over(&read) || read.payable_bills().next().is_none() {
            return Ok(read);
        }
        let stripe = self.stripe().await?;
        for bill in read.payable_bills() {
            stripe.void_invoice(&bill.id).await?;
        }
        let closed = self.reread_for(sale, &read).await?;
        // To forget it now could charge twice: whoever asked comes back. One that somebody has given up may stay so for ever: it is let go,
        // and what is paid for it goes back.
        if let Some(bill) = closed
            .payable_bills()
            .find(|bill| bill.is_open)
            .filter(|_| is_over(&closed))
        {
            return Err(Problem::internal(format!(
                "invoice {} of an ended subscription can still be paid, and cannot be made void",
                bill.id
            )));
        }
        Ok(closed)
    }

    /// Makes unpayable what a sale waits for: the bills of a subscription that has not begun, with it; a change with its invoice. What was
    /// paid a moment ago cannot be made void, and stays.
    pub async fn close_sale(&self, sale: &Sale, read: Read) -> Result<Read, Problem> {
        let read = self.with_own_bill(sale, read).await?;
        if !contract::is_awaited(sale, &read) {
            return Ok(read);
        }
        let stripe = self.stripe().await?;
        for bill in read.payable_bills() {
            stripe.void_invoice(&bill.id).await?;
        }
        let closed = self.reread_for(sale, &read).await?;
        if sale.offer.way == Way::Begin && contract::is_awaited(sale, &closed) {
            let subscription = &closed.billing.subscription;
            let canceled = stripe.cancel_contract(subscription, sale).await?.read;
            return self.with_own_bill(sale, canceled).await;
        }
        Ok(closed)
    }

    /// Does what a sale leaves to be done at Stripe when it is over: what paid its contract before; its end; or gives the money back.
    async fn finish_at_stripe(
        &self,
        sale: &Sale,
        session: &mut Option<Session>,
        read: Read,
        lateness: Lateness,
    ) -> Result<Read, Problem> {
        let subscription = read.billing.subscription.clone();
        // Decided in an earlier round, and written down. That it has ended does not tell that this was done: an operator may have ended it.
        if sale.is_to_be_refunded {
            let stripe = self.stripe().await?;
            // First its end: whatever keeps the money from going back, nothing more is billed meanwhile.
            let ended = stripe.cancel_contract(&subscription, sale).await?.read;
            let (checkout, number) = (&sale.checkout, sale.number);
            match Box::pin(stripe.refund_contract(&subscription, sale)).await? {
                Returned::Whole => {
                    tracing::warn!(%checkout, number, %subscription, "a sale was paid too late: the money was given back");
                    self.count("LatePaymentsRefunded", 1);
                }
                Returned::InPart => {
                    tracing::error!(%checkout, number, %subscription, "a sale was paid too late, and not by what could be given back");
                    self.count("LatePaymentsKept", 1);
                }
            }
            return Ok(ended);
        }
        let fate = contract::fate(sale, &read, lateness);
        let read = Box::pin(self.settle_payer(sale, read, &fate)).await?;
        let Some(end) = contract::missing_end(sale, &read, &fate, self.now) else {
            return Ok(read);
        };
        if fate == Fate::TookEffect
            && let Some(known) = session.take_if(|known| known.status != Status::PaymentSucceeded)
        {
            let paid = known.paid(self.now);
            *session = match unless_conflict(self.store.put_checkout_session(&known, &paid).await)? {
                Some(()) => Some(paid),
                // Somebody else has told that, or what has come of it since.
                None => self.store.checkout_session(&known.id).await?,
            };
        }
        let stripe = self.stripe().await?;
        let key = format!("sale/{}", sale.name());
        let ended = stripe.end_contract_at(&subscription, end, &key).await?;
        // The bills are as they were read, the first of them too.
        Ok(Read {
            billing: ended.read.billing,
            ..read
        })
    }

    /// The charge was previewed right before it was asked for, and compared. Should it have come out as something else all the
    /// same, somebody must be told.
    fn check_charge(&self, contract: &Contract, landing: &Landing) {
        let Some(sale) = contract
            .sale
            .as_ref()
            .filter(|_| landing.differs_from_quote(contract))
        else {
            return;
        };
        let (checkout, number) = (&sale.checkout, sale.number);
        tracing::error!(%checkout, number, "the invoice of a sale is not what was estimated");
        self.count("QuoteMismatches", 1);
    }

    /// Forgets a sale that came to nothing; the session is open again while its time lasts. None when something has become of it: somebody
    /// has landed it, or got it through at Stripe, where it is for somebody to land. Then the session has to be looked at again.
    pub async fn release_sale(&self, contract: &Contract) -> Result<Option<()>, Problem> {
        let is_unchanged = |now: &Sale| Some(now) == contract.sale.as_ref();
        self.release(contract, is_unchanged).await
    }

    /// The same of one that was declined: Stripe keeps that under its key, so that whoever has joined it is told no better, and asks under the
    /// next number.
    pub async fn release_declined(&self, contract: &Contract) -> Result<Option<()>, Problem> {
        let sale = contract.sale.as_ref();
        let is_the_same = |now: &Sale| sale.is_some_and(|sale| sale.name() == now.name());
        self.release(contract, is_the_same).await
    }

    async fn release(
        &self,
        contract: &Contract,
        is_it: impl Fn(&Sale) -> bool,
    ) -> Result<Option<()>, Problem> {
        let Some(sale) = &contract.sale else {
            return Ok(Some(()));
        };
        let mut read = contract.clone();
        loop {
            let left = match Box::pin(self.take_back(&read, sale)).await? {
                Leftover::Nothing => None,
                Leftover::Billed(billing) => Some(billing),
                Leftover::Done => return Ok(None),
            };
            let session = self.store.checkout_session(&sale.checkout).await?;
            let mut billing = left.map(|left| *left).or_else(|| read.billing.clone());
            if let (Some(billing), Some(known)) = (&mut billing, &read.billing) {
                // That an end was taken away is for whoever lands it to see, by what was there before.
                billing.cancel_at = billing.cancel_at.or(known.cancel_at);
            }
            let released = Contract {
                sale: None,
                billing,
                updated_at: self.now,
                ..read.clone()
            };
            let new = session
                .as_ref()
                .map(|session| session.after(&SessionUpdate::Over, self.now));
            let write = session
                .as_ref()
                .zip(new.as_ref())
                .map(|(read, new)| SessionWrite { read, new });
            let written = self.store.release_sale(write, &read, &released).await;
            if unless_conflict(written)?.is_some() {
                return Ok(Some(()));
            }
            // An event that tells nothing of this sale may have been written: then it is still to be forgotten.
            let now = self.store.contract(&contract.organisation, &contract.id).await?;
            match now.map(|now| now.contract) {
                Some(now) if now.sale.as_ref().is_some_and(&is_it) && now.version > read.version => {
                    read = now
                }
                _ => return Ok(None),
            }
        }
    }

    /// Takes back what an amendment that comes to nothing has done at Stripe, as long as nobody has changed that since: what pays; of a
    /// downgrade, the schedule, which would stand in the way of every other change until the period ends. But of two machines at one
    /// sale, one may have got it through, and what the other was refused for is just that: it is not forgotten then.
    async fn take_back(&self, contract: &Contract, sale: &Sale) -> Result<Leftover, Problem> {
        let Some(read) = self.read_contract(contract).await? else {
            return Ok(Leftover::Nothing);
        };
        if sale.offer.way == Way::Begin {
            let read = self.with_own_bill(sale, read).await?;
            // What waits for its payer is closed by whoever knows where it can be paid.
            let has_come = match contract::fate(sale, &read, Lateness::InTime) {
                Fate::TookEffect | Fate::TooLate => true,
                Fate::Waits(_) => read.is_paying() || read.is_paid_in_part(),
                Fate::Open | Fate::Over => false,
            };
            return Ok(if has_come {
                Leftover::Done
            } else {
                Leftover::Nothing
            });
        }
        match contract::fate(sale, &read, Lateness::InTime) {
            Fate::Open | Fate::Over => {}
            Fate::Waits(_) | Fate::TookEffect | Fate::TooLate => return Ok(Leftover::Done),
        }
        let billed = |billing| Ok(Leftover::Billed(Box::new(billing)));
        let own = read.plain_schedule.clone();
        let Some(schedule) = own.filter(|_| sale.offer.way == Way::AtPeriodEnd) else {
            return billed(self.put_payer_back(sale, read).await?.billing);
        };
        let stripe = self.stripe().await?;
        let key = format!("sale/{}", sale.name());
        stripe.release_schedule(&schedule.id, &key).await?;
        let subscription = &read.billing.subscription;
        billed(stripe.contract_subscription(subscription).await?.read.billing)
    }

    /// What Stripe has of a contract that is to be amended, with what pays it.
    pub async fn read_to_amend(&self, contract: &Contract) -> Result<Option<Read>, Problem> {
        let known = contract
            .billing
            .as_ref()
            .filter(|_| contract.left_behind().is_none());
        let Some(billing) = known else {
            return self.read_contract(contract).await;
        };
        let stripe = self.stripe().await?;
        let found = stripe
            .contract_subscription_to_amend(&billing.subscription)
            .await?;
        self.of_contract(contract, found.read).await.map(Some)
    }

    /// The same with the bill of the amendment that is under way.
    async fn of_contract(&self, contract: &Contract, read: Read) -> Result<Read, Problem> {
        match &contract.sale {
            Some(sale) if sale.offer.way == Way::AtOnce => self.with_own_bill(sale, read).await,
            _ => Ok(read),
        }
    }

    /// What Stripe has of a contract: its subscription, or, while none is recorded of the sale that is under way, the one that names it.
    pub async fn read_contract(&self, contract: &Contract) -> Result<Option<Read>, Problem> {
        let stripe = self.stripe().await?;
        let left_behind = contract.left_behind();
        if let Some(billing) = contract.billing.as_ref().filter(|_| left_behind.is_none()) {
            let found = stripe.contract_subscription(&billing.subscription).await?;
            return self.of_contract(contract, found.read).await.map(Some);
        }
        let buyer = self.store.buyer(&contract.organisation, &contract.buyer).await?;
        let Some(customer) = buyer.and_then(|buyer| buyer.customer) else {
            return Ok(None);
        };
        let of = ContractKey {
            organisation: contract.organisation.clone(),
            contract: contract.id.clone(),
        };
        let found = match stripe.find_contract_subscription(&customer, &of).await {
            // An operator deleted it, and with it whatever it had. Where real money moves Stripe keeps a trace of that, and it may be our key that
            // looks in the wrong account.
            Err(error) if error.is_missing("customer") => {
                if self.app.config.mode == Mode::Live && !stripe.knows_customer(&customer).await? {
                    return Err(error.into());
                }
                None
            }
            found => found?,
        };
        let read = found.map(|found| found.read);
        Ok(read.filter(|read| left_behind != Some(&read.billing.subscription)))
    }
}
