//! Changes of what was sold, carried to their end by whoever finds them: the call that asked, the next one, or an event.
//!
//! # If it fails half-way
//! Every step repeats under the change's number; which step is next follows from what Stripe has. Where the client was before a change tells it to
//! be elsewhere is written into the change first, and whoever forgets a change that comes to nothing puts it back.

use billing_core::connect::amendment::{Amendment, Step};
use billing_core::connect::contract::Contract;
use billing_core::connect::order::{Tax, Timeliness};
use billing_core::connect::place::Whereabouts;
use billing_core::connect::sale::{ReadSale, Sale};
use billing_core::id::CouponId;
use billing_store::{FoundSale, Listener, StoreError, Unfinished, unless_conflict};
use billing_stripe::{Connected, StripeError};

use super::buyer::PutBack;
use super::{Fields, Named, awaited_start, refused};
use crate::call::Call;
use crate::problem::Problem;

/// How many steps an amendment can take, and then some: what moves meanwhile is looked at again.
const MOST_STEPS: u32 = 6;

/// Why an amendment was not carried to its end.
#[derive(Debug)]
pub enum NotAmended {
    /// It cannot be: it is forgotten, and this is what whoever asked for it is told. To anybody else it is nothing.
    Refused(Problem),
    /// It could not be now: it is there still.
    Failed(Problem),
}

impl From<Problem> for NotAmended {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl From<StripeError> for NotAmended {
    fn from(error: StripeError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for NotAmended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<NotAmended> for Problem {
    fn from(not: NotAmended) -> Self {
        match not {
            NotAmended::Refused(problem) | NotAmended::Failed(problem) => problem,
        }
    }
}

impl Call<'_> {
    /// Does the rest of a sale's amendment and writes down what came of it: answers that, and what Stripe has then. None when
    /// somebody else wrote first, or it has to be asked under another number. `fields` are what the caller called it: none of one that
    /// somebody else asked for.
    pub async fn amend(
        &self,
        read: ReadSale,
        amendment: &Amendment,
        fields: &Fields,
    ) -> Result<Option<ReadSale>, NotAmended> {
        let stripe = self.stripe_of(&read.sale.account).await?;
        let named = named(&read)?;
        let mut is_tried = amendment.moved.is_some();
        let Some(noted) = self.noted(&stripe, read, amendment).await? else {
            return Ok(None);
        };
        let Noted {
            mut read,
            amendment,
            whereabouts,
        } = noted;
        let amendment = &amendment;
        for _ in 0..MOST_STEPS {
            if amendment.timeliness(&read.contract, self.now) == Timeliness::Awaited {
                return Err(awaited_start().into());
            }
            if let Some(refusal) = amendment.overtaken(&read.contract, self.now) {
                if is_tried {
                    self.undo_move(&stripe, &read, amendment).await?;
                }
                return match self.land_amended(&read).await? {
                    Some(_) => Err(NotAmended::Refused(Problem::conflict(refusal.to_string()))),
                    None => Ok(None),
                };
            }
            let Some(step) = amendment.next(&read.contract) else {
                break;
            };
            is_tried |= matches!(step, Step::Rewrite(_) | Step::Change(_));
            let last = !matches!(step, Step::Release(_) | Step::Migrate(_));
            match take(&stripe, &read, (amendment, &whereabouts), &step).await {
                Ok(()) if matches!(step, Step::Rewrite(_) | Step::Change(_)) => {
                    self.remember_place(&read, &whereabouts).await?;
                }
                Ok(()) => {}
                // Stripe keeps a failure under this number.
                Err(error @ StripeError::Spent { .. }) => {
                    // A machine that is at it in other words puts the client back itself, where it has to.
                    if error.asked_in_other_words().is_some() && amendment.is_in_flight(self.now) {
                        unless_conflict(self.store.drop_amendment(&read.sale).await)?;
                    } else {
                        self.give_up(&read, amendment).await?;
                    }
                    return Ok(None);
                }
                Err(error @ StripeError::Refused(_)) => {
                    let now = self.look_again(&read.sale, &named).await?;
                    if now.stage() != read.contract.stage() || now.flexible != read.contract.flexible {
                        // It began, was let go of or migrated between the look and the step.
                        read.contract = now;
                        continue;
                    }
                    self.give_up(&read, amendment).await?;
                    return Err(NotAmended::Refused(not_possible(error, amendment, fields)));
                }
                Err(error) => return Err(refused(error, fields).into()),
            }
            read.contract = self.look_again(&read.sale, &named).await?;
            if last {
                break;
            }
        }
        let landed = self.land_amended(&read).await?;
        Ok(landed.map(|sale| ReadSale { sale, ..read }))
    }

    /// Forgets an amendment that comes to nothing; its client is where it was before.
    pub async fn give_up(&self, read: &ReadSale, amendment: &Amendment) -> Result<(), Problem> {
        let stripe = self.stripe_of(&read.sale.account).await?;
        self.undo_move(&stripe, read, amendment).await?;
        unless_conflict(self.store.drop_amendment(&read.sale).await)?;
        Ok(())
    }

    /// An amendment and its sale, with where the client is written into them if it is told to be elsewhere; none when somebody else wrote first.
    async fn noted(
        &self,
        stripe: &Connected,
        read: ReadSale,
        amendment: &Amendment,
    ) -> Result<Option<Noted>, Problem> {
        let mut noted = Noted {
            read,
            amendment: amendment.clone(),
            whereabouts: Whereabouts::default(),
        };
        let Some(place) = amendment.difference.tax.as_ref().and_then(Tax::place) else {
            return Ok(Some(noted));
        };
        let there = self.address_of(stripe, &noted.read.contract.customer).await?;
        if let Some(moved) = &amendment.moved {
            noted.whereabouts = Whereabouts::again(&there, moved.clone());
            return Ok(Some(noted));
        }
        noted.whereabouts = Whereabouts::of(&there, &place);
        let Some(moved) = &noted.whereabouts.moved else {
            return Ok(Some(noted));
        };
        if let Some(buyer) = self.buyer_of(&noted.read.sale).await? {
            self.correct_place(&buyer, &noted.read.contract.customer, moved)
                .await?;
        }
        noted.amendment.moved = Some(moved.clone());
        let written = self.store.begin_amendment(&noted.read.sale, &noted.amendment);
        Ok(unless_conflict(written.await)?.map(|sale| {
            noted.read.sale = sale;
            noted
        }))
    }

    /// Has the client be where it was before an amendment that comes to nothing: what runs is taxed there.
    async fn undo_move(
        &self,
        stripe: &Connected,
        ReadSale { sale, contract }: &ReadSale,
        amendment: &Amendment,
    ) -> Result<(), Problem> {
        let Some(moved) = &amendment.moved else {
            return Ok(());
        };
        let key = Connected::key_to_put_back(sale, amendment);
        let back = PutBack {
            sale,
            customer: &contract.customer,
            moved,
            key: &key,
        };
        self.put_back(stripe, &back).await
    }

    /// Writes down what Stripe has, with which the amendment is at its end; none when somebody else wrote first.
    async fn land_amended(&self, ReadSale { sale, contract }: &ReadSale) -> Result<Option<Sale>, Problem> {
        let found = FoundSale {
            schedule: None,
            contract,
            amendment: Unfinished::Done,
            listener: Listener::Other,
        };
        Ok(unless_conflict(self.store.land_sale(sale, &found).await)?)
    }

    /// Where an amendment that something has come of says that the client is, it is.
    async fn remember_place(
        &self,
        ReadSale { sale, contract }: &ReadSale,
        whereabouts: &Whereabouts,
    ) -> Result<(), Problem> {
        let Some(place) = &whereabouts.place else {
            return Ok(());
        };
        match self.buyer_of(sale).await? {
            Some(buyer) if buyer.place().as_ref() != Some(&buyer.told(place)) => {
                self.record_place(&buyer, &contract.customer, place).await
            }
            _ => Ok(()),
        }
    }

    async fn look_again(&self, sale: &Sale, named: &Named) -> Result<Contract, Problem> {
        let contract = self.contract_of(sale, named).await?;
        contract.ok_or_else(|| Problem::bad_gateway("what was just there is not there any more"))
    }
}

/// The schedule knows the subscription that it became; a subscription does not know a schedule that has let go of it.
fn named(ReadSale { sale, contract }: &ReadSale) -> Result<Named, Problem> {
    let schedule = sale.schedule.clone().or_else(|| contract.schedule.clone());
    schedule
        .map(Named::Schedule)
        .or_else(|| contract.subscription.clone().map(Named::Subscription))
        .ok_or_else(|| Problem::bad_gateway("a sale has neither a schedule nor a subscription"))
}

/// What is known before the first step.
struct Noted {
    read: ReadSale,
    amendment: Amendment,
    /// What there is to tell of where the client is.
    whereabouts: Whereabouts,
}

async fn take(
    stripe: &Connected,
    read: &ReadSale,
    (amendment, whereabouts): (&Amendment, &Whereabouts),
    step: &Step,
) -> Result<(), StripeError> {
    let ReadSale { sale, contract } = read;
    if let (Step::Rewrite(_) | Step::Change(_), Some(address)) = (step, &whereabouts.address) {
        let key = Connected::key_to_locate(sale, amendment);
        stripe.locate_buyer(&contract.customer, address, &key).await?;
    }
    match step {
        Step::Rewrite(schedule) => {
            let coupon = still_valid(stripe, contract, amendment).await?;
            stripe
                .rewrite_schedule(schedule, read, amendment, coupon.as_ref())
                .await
        }
        Step::EndWithSchedule(schedule, ends) => {
            stripe.end_with_schedule(schedule, sale, amendment, *ends).await
        }
        Step::Release(schedule) => stripe.release_schedule(schedule, read, amendment).await,
        Step::Migrate(subscription) => stripe.migrate_running(subscription, sale, amendment).await,
        Step::Change(subscription) => stripe.change_running(subscription, read, amendment).await,
    }
}

/// The coupon that a schedule has, as far as it can still be redeemed. One that has expired meanwhile is left out, as it would be
/// when the subscription begins.
async fn still_valid(
    stripe: &Connected,
    contract: &Contract,
    amendment: &Amendment,
) -> Result<Option<CouponId>, StripeError> {
    let (Some(coupon), Some(flat)) = (&contract.coupon, contract.flat()) else {
        return Ok(None);
    };
    let terms = amendment.difference.terms.as_ref();
    let product = terms.map_or(&flat.price.product, |terms| &terms.product);
    let found = stripe.coupon(coupon).await?;
    let applies = found.is_some_and(|found| found.applies_to(product, flat.price.currency));
    Ok(applies.then(|| coupon.clone()))
}

/// A phase is written whole, so Stripe may object to what nobody asked to change: a price or product that was archived meanwhile.
fn not_possible(error: StripeError, amendment: &Amendment, fields: &Fields) -> Problem {
    let about_items = matches!(&error, StripeError::Refused(refusal) if refusal.is_about_items());
    if about_items && amendment.difference.terms.is_none() {
        return Problem::conflict(
            "what it was sold at is not sold any more: name another productId, or cancel it and sell it anew",
        );
    }
    refused(error, fields)
}
