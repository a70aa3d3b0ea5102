//! Asking Stripe to change what a contract bills, at once or when its period ends.
//!
//! # How it works
//! What bars the change as the subscription stands is told before anything is asked. A change at once is held against Stripe's own preview,
//! charged to the method that was named, and made only if it is paid; one at the period's end is written into a schedule.
//!
//! # If it fails half-way
//! Both are asked under the sale's number. What Stripe has of it is read first, and landed when something has come of it.

use billing_core::access::Owner;
use billing_core::change::Unchangeable;
use billing_core::contract::{Billing, Fate, Lateness, Read, Unamendable, fate};
use billing_core::id::{CustomerId, OrganisationId};
use billing_core::sale::{Sale, Way};
use billing_edge::{Call, InvoiceFacts, Problem};
use billing_stripe::{AskedSale, ReadContract, StripeError};

use crate::claim::Claimed;
use crate::method::{self, Chargeable, Paying};
use crate::outcome::{Check, Step, check_preview, forget, give_up, land, refuse, refused};

/// Changes a contract, at once or when its period ends.
pub(crate) fn amend<'a>(
    call: &'a Call<'_>,
    owner: &'a Owner<OrganisationId>,
    claimed: &'a Claimed,
    sale: &'a Sale,
    customer: &'a CustomerId,
    read: &'a Read,
) -> Step<'a> {
    Box::pin(async move {
        let contract = &claimed.stored.contract;
        let billing: &Billing = &read.billing;
        if fate(sale, read, Lateness::InTime) != Fate::Open {
            return land(call, claimed, read.clone()).await;
        }
        if sale.offer.is_past(call.now) {
            return give_up(call, claimed).await;
        }
        // Of which an event may have told since the sale was written down.
        if contract.is_in_another_period(billing) || contract.has_moved_since(&sale.offer) {
            return land_news(call, claimed).await;
        }
        if let Some(why) = obstacle(call, claimed, sale, read).await? {
            return cannot_amend(call, claimed, &why).await;
        }
        let asked = AskedSale {
            owner,
            contract: &contract.id,
            customer,
            sale,
            payment_method: None,
        };
        let stripe = call.stripe().await?;
        if sale.offer.way == Way::AtPeriodEnd {
            if contract.has_another_end(read) {
                return land_news(call, claimed).await;
            }
            let Some(joined) = claimed.joined(call).await? else {
                return Ok(None);
            };
            let answer = stripe.schedule_contract(&asked, read).await;
            return amended(call, &joined, answer).await;
        }
        let method = match Box::pin(method::chargeable(call, claimed, sale, customer)).await? {
            Chargeable::Method(method) => method,
            // With its customer the subscription has ended, which tells the rest.
            Chargeable::Again | Chargeable::Lost => return Ok(None),
        };
        let preview = stripe.preview_amendment(sale, billing).await;
        let preview = match preview {
            Err(error @ StripeError::Refused(_)) if !claimed.is_of_another(call.now) => {
                return amended(call, claimed, Err(error)).await;
            }
            preview => preview.map(|preview| preview.charge),
        };
        if let Check::Overtaken = check_preview(call, claimed, preview, read.is_flexible).await? {
            return Ok(None);
        }
        // Last of all: what is refused before has changed nothing.
        let paying = match &method {
            Some(method) => Box::pin(method::pays(call, claimed, sale, read, method)).await?,
            None => claimed.joined(call).await?.into(),
        };
        let paying = match paying {
            Paying::Joined(paying) => paying,
            Paying::Again => return Ok(None),
            Paying::Refused(claimed, error) => return refused(call, &claimed, error).await,
        };
        let answer = stripe.amend_contract(&asked, billing).await;
        amended(call, &paying, answer).await
    })
}

/// Lands what Stripe has of a contract before it is amended: the sale is forgotten, which lets a schedule of it go, and what there is then is offered
/// anew. None, since the session has to be looked at again.
fn land_news<'a>(call: &'a Call<'_>, claimed: &'a Claimed) -> Step<'a> {
    Box::pin(async move {
        let contract = &claimed.stored.contract;
        if claimed.is_of_another(call.now) || call.release_sale(contract).await?.is_none() {
            return Ok(None);
        }
        let stored = call.store.contract(&contract.organisation, &contract.id).await?;
        if let Some(stored) = stored
            && let Some(read) = call.read_contract(&stored.contract).await?
        {
            call.land_contract(&stored, read, InvoiceFacts::default()).await?;
        }
        Ok(None)
    })
}

/// What Stripe's answer to an amendment comes to.
fn amended<'a>(
    call: &'a Call<'_>,
    claimed: &'a Claimed,
    answer: Result<ReadContract, StripeError>,
) -> Step<'a> {
    Box::pin(async move {
        let contract = &claimed.stored.contract;
        let error = match answer {
            Ok(amended) if !claimed.is_of_another(call.now) && is_undone(claimed, &amended.read) => {
                return give_up(call, claimed).await;
            }
            Ok(amended) => return land(call, claimed, amended.read).await,
            Err(error) => error,
        };
        if let StripeError::Refused(refusal) = &error
            && !refusal.is_declined()
            && let Some(sale) = &contract.sale
            && let Some(now) = call.read_to_amend(contract).await?
        {
            // What an operator has set in between is told as what it is.
            if let Some(why) = obstacle(call, claimed, sale, &now).await? {
                return cannot_amend(call, claimed, &why).await;
            }
            let why = if refusal.is_about_waiting() {
                Some(Unchangeable::PaidBy(now.payer.clone()))
            } else {
                refusal.is_about_no_payer().then_some(Unchangeable::NothingPays)
            };
            if let Some(why) = why {
                return forget(call, claimed, Problem::conflict(why.to_string())).await;
            }
            if claimed.is_old() && is_undone(claimed, &now) {
                return give_up(call, claimed).await;
            }
        }
        refused(call, claimed, error).await
    })
}

/// Whether the schedule of a downgrade that was asked for before is gone: an operator has let it go, and Stripe would repeat for ever that it was
/// made, or refuse to write into it. The next number asks for another.
fn is_undone(claimed: &Claimed, now: &Read) -> bool {
    let sale = claimed.stored.contract.sale.as_ref();
    let is_open = |sale: &Sale| fate(sale, now, Lateness::InTime) == Fate::Open;
    sale.is_some_and(|sale| sale.offer.way == Way::AtPeriodEnd && is_open(sale))
        && now.billing.schedule.is_none()
}

/// Why an amendment is not made as its subscription stands at Stripe, if it is not.
async fn obstacle(
    call: &Call<'_>,
    claimed: &Claimed,
    sale: &Sale,
    read: &Read,
) -> Result<Option<Unamendable>, Problem> {
    if let Err(why) = claimed.stored.contract.amendable(sale, read) {
        return Ok(Some(why));
    }
    // What changes when the period ends gives nothing back.
    match sale.offer.way {
        Way::AtOnce => Ok(unpaid(call, claimed, sale, read).await?.map(Into::into)),
        Way::Begin | Way::AtPeriodEnd => Ok(None),
    }
}

/// 409 for an amendment that its subscription does not allow: the sale is forgotten. None when another machine may be at it.
fn cannot_amend<'a>(call: &'a Call<'_>, claimed: &'a Claimed, why: &Unamendable) -> Step<'a> {
    refuse(call, claimed, Problem::conflict(why.to_string()))
}

/// What was not paid of the period that the contract is in, or went back since, if an amendment would give it back.
async fn unpaid(
    call: &Call<'_>,
    claimed: &Claimed,
    sale: &Sale,
    read: &Read,
) -> Result<Option<Unchangeable>, Problem> {
    let latest = read.latest_invoice.as_ref().map(|bill| &bill.time);
    let subscription = &read.billing.subscription;
    let billed = read.billed().after(&claimed.stored.ledger.reversals);
    if Box::pin(call.is_owed(subscription, &billed, latest)).await? {
        return Ok(Some(Unchangeable::Owed));
    }
    let credit = sale.offer.estimates.current_invoice.total.saturating_neg();
    let is_overdrawn = Box::pin(call.is_overdrawn(subscription, &billed, credit)).await?;
    Ok(is_overdrawn.then_some(Unchangeable::GivenBack))
}
