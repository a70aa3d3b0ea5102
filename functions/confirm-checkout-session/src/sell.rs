//! Asking Stripe for a sale.
//!
//! # How it works
//! The customer, the prices that are made of amounts, Stripe's own preview against the estimate, then the sale itself under its
//! number: a subscription that begins, or one that changes ([`amend`]). What it came to is landed as the webhook lands it
//! ([`land`]).
//!
//! # If it fails half-way
//! The sale is written down before any of this. Repeating a step answers the same; a sale that Stripe refused is forgotten, and the
//! session is open again.

use billing_core::access::Owner;
use billing_core::contract::{Fate, Lateness, Read, fate};
use billing_core::id::OrganisationId;
use billing_core::sale::{Sale, Way};
use billing_core::session::{Session, Status};
use billing_edge::{Call, Problem};
use billing_store::StoredContract;
use billing_stripe::{AskedSale, StripeError};

use crate::amend::amend;
use crate::claim::{Claimed, Origin};
use crate::method::{self, Chargeable};
use crate::outcome::{Check, Step, check_preview, give_up, land, refuse, refused};
use crate::{Wanted, busy, customer, expired, guest, page};

/// Finishes a sale that was found under way. None when it has to be looked at again.
pub(crate) fn finish<'a>(
    call: &'a Call<'_>,
    owner: &'a Owner<OrganisationId>,
    wanted: &'a Wanted,
    session: &'a Session,
) -> Step<'a> {
    Box::pin(async move {
        let Some(claimed) = claimed(call, session).await? else {
            return Ok(None);
        };
        let Some(sale) = &claimed.stored.contract.sale else {
            return Ok(None);
        };
        let other = wanted.payment_method.is_some() && wanted.payment_method != sale.payment_method;
        if let Some(page) = &sale.page {
            return page::resume(call, &claimed, page, other).await;
        }
        if sale.invoice.is_some() {
            let Some(read) = call.read_contract(&claimed.stored.contract).await? else {
                return Ok(None);
            };
            if !other {
                return land(call, &claimed, read).await;
            }
            // Another payment method instead of the page of the invoice, unless that was paid.
            let closed = call.close_sale(sale, read).await?;
            let landed = land(call, &claimed, closed).await?;
            return Ok(landed.filter(|session| session.status != Status::Open));
        }
        if other {
            return instead(call, &claimed, sale).await;
        }
        match claimed.clone().taken_up(call).await? {
            Some(taken_up) => sell(call, owner, &taken_up).await,
            None => Ok(None),
        }
    })
}

/// Another payment method is named than the sale's, of which nothing is known yet. While somebody may be at it, the caller has to come back;
/// what has come of it is landed; and what nothing has come of is forgotten, so that the next sale is charged to the other one. None when the session has to
/// be looked at again.
async fn instead(call: &Call<'_>, claimed: &Claimed, sale: &Sale) -> Result<Option<Session>, Problem> {
    if sale.is_in_flight(call.now) {
        return Err(busy());
    }
    let contract = &claimed.stored.contract;
    let read = call.read_contract(contract).await?;
    match read.filter(|read| fate(sale, read, Lateness::InTime) != Fate::Open) {
        Some(read) => {
            let landed = land(call, claimed, read).await?;
            // What waits for its payment has a page to be closed now.
            Ok(landed.filter(|session| !matches!(session.status, Status::Open | Status::Pending)))
        }
        None => call.release_sale(contract).await.map(|_| None),
    }
}

/// The time of a session has run out, and something was asked of Stripe for it. What was paid is landed; 410 for what was not. None
/// when it has to be looked at again.
pub(crate) async fn settle(call: &Call<'_>, session: &Session) -> Result<Option<Session>, Problem> {
    if call.settle_session(session).await?.is_none() {
        return Ok(None);
    }
    let settled = call.store.checkout_session(&session.id).await?;
    let sold = settled.filter(|settled| settled.status == Status::ContractCreated);
    sold.map(Some).ok_or_else(expired)
}

/// The session with its contract, as it is now; none when there is no sale of the session's any more.
async fn claimed(call: &Call<'_>, session: &Session) -> Result<Option<Claimed>, Problem> {
    let stored = call
        .store
        .contract(&session.organisation, &session.contract)
        .await?;
    let own = |stored: &StoredContract| {
        let sale = stored.contract.sale.as_ref();
        sale.is_some_and(|sale| sale.checkout == session.id)
    };
    Ok(stored.filter(own).map(|stored| Claimed {
        session: session.clone(),
        stored,
        origin: Origin::UnderWay,
    }))
}

/// Asks Stripe for a sale that was claimed. None when it has to be looked at again.
pub(crate) fn sell<'a>(
    call: &'a Call<'_>,
    owner: &'a Owner<OrganisationId>,
    claimed: &'a Claimed,
) -> Step<'a> {
    Box::pin(async move {
        let Some(customer) = customer::of(call, claimed).await? else {
            return Ok(None);
        };
        let Some(claimed) = priced(call, claimed).await? else {
            return Ok(None);
        };
        let contract = &claimed.stored.contract;
        let Some(sale) = &contract.sale else {
            return Ok(None);
        };
        if sale.offer.way != Way::Begin {
            let read = call.read_to_amend(contract).await?;
            let nothing = || Problem::internal("a contract without a subscription is amended");
            let read = read.ok_or_else(nothing)?;
            return amend(call, owner, &claimed, sale, &customer, &read).await;
        }
        // What another machine has asked for may be there, and its answer lost: what is asked now may be something else, or be refused over just
        // that; and Stripe may have forgotten the keys of an old one.
        if claimed.is_old() {
            match Box::pin(come_of(call, &claimed, sale)).await? {
                Some(read) => return land(call, &claimed, read).await,
                None if sale.offer.is_past(call.now) => return give_up(call, &claimed).await,
                None => {}
            }
        }
        let payment_method = match Box::pin(method::chargeable(call, &claimed, sale, &customer)).await? {
            Chargeable::Method(method) => method,
            Chargeable::Again => return Ok(None),
            Chargeable::Lost => return customer::replace(call, &claimed, &customer).await,
        };
        let asked = AskedSale {
            owner,
            contract: &contract.id,
            customer: &customer,
            sale,
            payment_method: payment_method.as_ref(),
        };
        let stripe = call.stripe().await?;
        let preview = stripe.preview_contract(&asked).await;
        if preview.as_ref().is_err_and(customer::is_lost) {
            return customer::replace(call, &claimed, &customer).await;
        }
        let owed = preview.as_ref().map_or(0, |preview| preview.owed);
        if let Check::Overtaken =
            check_preview(call, &claimed, preview.map(|preview| preview.charge), false).await?
        {
            return Ok(None);
        }
        if claimed.session.wish.guest.is_some() {
            let payer = guest::Payer {
                customer: &customer,
                method: payment_method.as_ref(),
                owed,
            };
            if let Some(why) = Box::pin(guest::refusal(call, sale, &payer)).await? {
                return refuse(call, &claimed, why).await;
            }
        }
        if payment_method.is_none() && sale.offer.short_first_period().is_none() && page::is_needed(sale) {
            return page::open(call, &claimed, &asked).await;
        }
        let Some(claimed) = claimed.joined(call).await? else {
            return Ok(None);
        };
        match stripe.begin_contract(&asked).await {
            Ok(begun) => land(call, &claimed, begun.read).await,
            Err(error) if customer::is_lost(&error) => customer::replace(call, &claimed, &customer).await,
            // The payer has to authenticate, which only a page can do: the bill's, where the quote stands on an instant.
            Err(StripeError::Refused(refusal)) if refusal.wants_confirmation() => {
                if sale.offer.short_first_period().is_none() {
                    return page::open(call, &claimed, &asked).await;
                }
                match Box::pin(stripe.begin_contract_unpaid(&asked)).await {
                    Ok(begun) => land(call, &claimed, begun.read).await,
                    Err(error) => refused(call, &claimed, error).await,
                }
            }
            Err(error) => refused(call, &claimed, error).await,
        }
    })
}

/// What has come of a sale that was asked for before and begins a contract, if anything has. What is over does not tell while another machine may
/// be at the sale: it may be of one before.
async fn come_of(call: &Call<'_>, claimed: &Claimed, sale: &Sale) -> Result<Option<Read>, Problem> {
    let read = call.read_contract(&claimed.stored.contract).await?;
    let tells =
        |read: &Read| !claimed.is_of_another(call.now) || fate(sale, read, Lateness::InTime) != Fate::Over;
    Ok(read.filter(tells))
}

/// The sale with a price for each of its lines, written down. None when somebody else wrote first.
async fn priced(call: &Call<'_>, claimed: &Claimed) -> Result<Option<Claimed>, Problem> {
    let stored = &claimed.stored;
    let contract = &stored.contract;
    let Some(sale) = &contract.sale else {
        return Ok(None);
    };
    let mut order = sale.order.clone();
    let sold = &sale.offer.after.configuration;
    let mut is_new = false;
    for line in order.iter_mut().filter(|line| line.price.is_none()) {
        // What stays as it is keeps its price, so that Stripe leaves it alone.
        let kept = contract.order.iter().find(|kept| {
            kept.product == line.product && kept.amount == line.amount && kept.quantity == line.quantity
        });
        let same_cadence = contract.standing.configuration.cadence == sold.cadence;
        line.price = match kept.and_then(|kept| kept.price.clone()).filter(|_| same_cadence) {
            Some(price) => Some(price),
            None => {
                let stripe = call.stripe().await?;
                let made = stripe.price_of_line(sale, line, sold);
                match made.await {
                    Ok(made) => Some(made),
                    // Kept by Stripe, it would be told as long as the sale is there: the next number asks under another key.
                    Err(error) => return refused(call, claimed, error).await.map(|_| None),
                }
            }
        };
        is_new = true;
    }
    if !is_new {
        return Ok(Some(claimed.clone()));
    }
    let sale = Sale {
        order,
        ..sale.clone()
    };
    claimed.with(call, sale).await
}
