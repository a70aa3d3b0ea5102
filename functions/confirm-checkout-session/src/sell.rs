//! Asking Stripe for a sale, and what becomes of it.
//!
//! # How it works
//! The customer, the prices that are made of amounts, Stripe's own preview against the estimate, then the sale itself under its
//! number: a subscription that begins, one that changes at once, or one that is scheduled to change. What it came to is landed as
//! the webhook lands it.
//!
//! # If it fails half-way
//! The sale is written down before any of this. Repeating a step answers the same; a sale that Stripe refused is forgotten, and the
//! session is open again.

use std::pin::Pin;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::change::{self, Unchangeable};
use billing_core::contract::{Billing, Contract, Fate, Lateness, Read, charge, fate};
use billing_core::id::{CustomerId, OrganisationId};
use billing_core::invalid::Invalid;
use billing_core::quote::Charge;
use billing_core::sale::{Sale, Way};
use billing_core::session::{Session, Status};
use billing_edge::{Billed, Call, Problem};
use billing_store::StoredContract;
use billing_stripe::{AskedSale, ReadContract, StripeError};

use crate::claim::{Claimed, Found};
use crate::method::Given;
use crate::{Wanted, busy, customer, expired, guest, method, page};

/// Finishes a sale that was found under way. None when it has to be looked at again.
pub(crate) async fn finish(
    call: &Call<'_>,
    owner: &Owner<OrganisationId>,
    wanted: &Wanted,
    session: &Session,
) -> Result<Option<Session>, Problem> {
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
        found: Found::UnderWay,
    }))
}

/// Asks Stripe for a sale that was claimed. None when it has to be looked at again.
pub(crate) async fn sell(
    call: &Call<'_>,
    owner: &Owner<OrganisationId>,
    claimed: &Claimed,
) -> Result<Option<Session>, Problem> {
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
        return Box::pin(amend(call, owner, &claimed, sale, &customer, &read)).await;
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
    let payment_method = match Box::pin(method::given(call, &claimed, sale, &customer)).await? {
        Given::Method(method) => method,
        Given::Again => return Ok(None),
        Given::Lost => return customer::replace(call, &claimed, &customer).await,
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
    if let Check::Overtaken = hold(call, &claimed, preview.map(|preview| preview.charge), false).await? {
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
}

/// What has come of a sale that was asked for before and begins a contract, if anything has. What is over does not tell while another machine may
/// be at the sale: it may be of one before.
async fn come_of(call: &Call<'_>, claimed: &Claimed, sale: &Sale) -> Result<Option<Read>, Problem> {
    let read = call.read_contract(&claimed.stored.contract).await?;
    let tells =
        |read: &Read| !claimed.is_of_another(call.now) || fate(sale, read, Lateness::InTime) != Fate::Over;
    Ok(read.filter(tells))
}

/// Nothing has come of a sale, and by now it would be charged at another amount than was quoted: it is forgotten, so that the offer is made
/// anew. None, since the session has to be looked at again; what another machine is at, it finds out by itself.
async fn give_up(call: &Call<'_>, claimed: &Claimed) -> Result<Option<Session>, Problem> {
    if !claimed.is_of_another(call.now) {
        call.release_sale(&claimed.stored.contract).await?;
    }
    Ok(None)
}

/// Changes a contract, at once or when its period ends.
async fn amend(
    call: &Call<'_>,
    owner: &Owner<OrganisationId>,
    claimed: &Claimed,
    sale: &Sale,
    customer: &CustomerId,
    read: &Read,
) -> Result<Option<Session>, Problem> {
    let contract = &claimed.stored.contract;
    let billing: &Billing = &read.billing;
    if fate(sale, read, Lateness::InTime) != Fate::Open {
        return land(call, claimed, read.clone()).await;
    }
    if sale.offer.is_past(call.now) {
        return give_up(call, claimed).await;
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
        if has_other_end(contract, billing) {
            return land_end(call, claimed, read.clone()).await;
        }
        let Some(joined) = claimed.joined(call).await? else {
            return Ok(None);
        };
        let answer = stripe.schedule_contract(&asked, read).await;
        return Box::pin(amended(call, &joined, answer)).await;
    }
    let method = match Box::pin(method::given(call, claimed, sale, customer)).await? {
        Given::Method(method) => method,
        // With its customer the subscription has ended, which tells the rest.
        Given::Again | Given::Lost => return Ok(None),
    };
    let preview = stripe.preview_amendment(sale, billing).await;
    let preview = preview.map(|preview| preview.charge);
    if let Check::Overtaken = hold(call, claimed, preview, read.is_flexible).await? {
        return Ok(None);
    }
    // Last of all: what is refused before has changed nothing.
    let paying = match &method {
        Some(method) => Box::pin(method::pays(call, claimed, sale, read, method)).await?,
        None => claimed.joined(call).await?,
    };
    let Some(paying) = paying else {
        return Ok(None);
    };
    let answer = stripe.amend_contract(&asked, billing).await;
    Box::pin(amended(call, &paying, answer)).await
}

/// Whether Stripe has another end of a contract than the contract: an operator has set, moved or taken it away, and its event is still to come. A
/// schedule that was written now would say the old one.
fn has_other_end(contract: &Contract, billing: &Billing) -> bool {
    let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
    billing.schedule.is_none() && second(billing.cancel_at) != second(contract.ends_at)
}

/// Lands what Stripe has of a contract before it is amended: the sale is forgotten, and offered anew. None, since the session has to be looked
/// at again.
fn land_end<'a>(call: &'a Call<'_>, claimed: &'a Claimed, read: Read) -> Step<'a> {
    Box::pin(async move {
        let contract = &claimed.stored.contract;
        if claimed.is_of_another(call.now) || call.release_sale(contract).await?.is_none() {
            return Ok(None);
        }
        let stored = call.store.contract(&contract.organisation, &contract.id).await?;
        if let Some(stored) = stored {
            call.land_contract(&stored, read, Billed::default()).await?;
        }
        Ok(None)
    })
}

/// What Stripe's answer to an amendment comes to.
async fn amended(
    call: &Call<'_>,
    claimed: &Claimed,
    answer: Result<ReadContract, StripeError>,
) -> Result<Option<Session>, Problem> {
    let contract = &claimed.stored.contract;
    let error = match answer {
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
            Some(Unchangeable::PaidBy(now.payer))
        } else {
            refusal.is_about_no_payer().then_some(Unchangeable::NothingPays)
        };
        if let Some(why) = why {
            return forget(call, claimed, Problem::conflict(why.to_string())).await;
        }
    }
    refused(call, claimed, error).await
}

/// Why an amendment is not made as its subscription stands at Stripe, if it is not.
async fn obstacle(
    call: &Call<'_>,
    claimed: &Claimed,
    sale: &Sale,
    read: &Read,
) -> Result<Option<Unchangeable>, Problem> {
    if let Err(why) = amendable(&claimed.stored.contract, sale, read) {
        return Ok(Some(why));
    }
    // What changes when the period ends gives nothing back.
    match sale.offer.way {
        Way::AtOnce => unpaid(call, claimed, sale, read).await,
        Way::Begin | Way::AtPeriodEnd => Ok(None),
    }
}

/// Whether what an amendment costs would be charged, and be paid at once, and no schedule of an operator's would undo it. What a guest has
/// bought is charged to nothing but what its subscription has of its own.
fn amendable(contract: &Contract, sale: &Sale, read: &Read) -> Result<(), Unchangeable> {
    // One that is named is looked at when it has been given; a change at the end of the period leaves it alone.
    let is_named = sale.offer.way == Way::AtOnce && sale.payment_method.is_some();
    let is_paid_by_it = sale.offer.way == Way::AtOnce && !is_named;
    let payer = read.payer.as_ref().filter(|_| is_paid_by_it);
    change::charged(read.collection)?;
    // A schedule that bears a sale's name is a downgrade's: of another, that was made since this one was priced.
    let is_of_another = read.scheduled.as_ref().is_some_and(|of| *of != sale.name());
    if read.is_led_by_an_operator() || is_of_another {
        return Err(Unchangeable::Scheduled);
    }
    let has_none = read.payment_method.is_none() && !is_named;
    let asks_for_one = match sale.offer.way {
        Way::Begin | Way::AtOnce => sale.offer.costs_something(),
        // Less is billed than without it.
        Way::AtPeriodEnd => sale.offer.begins_to_cost(),
    };
    if contract.is_guests && has_none && asks_for_one {
        return Err(Unchangeable::NothingPays);
    }
    change::payable(payer)
}

/// 409 for an amendment that its subscription does not allow: the sale is forgotten. None when another machine may be at it.
fn cannot_amend<'a>(call: &'a Call<'_>, claimed: &'a Claimed, why: &Unchangeable) -> Step<'a> {
    refuse(call, claimed, Problem::conflict(why.to_string()))
}

/// The sale is forgotten, and its caller told why. None when another machine may be at it.
fn refuse<'a>(call: &'a Call<'_>, claimed: &'a Claimed, why: Problem) -> Step<'a> {
    Box::pin(async move {
        if claimed.is_of_another(call.now) {
            return Ok(None);
        }
        forget(call, claimed, why).await
    })
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
                let made = stripe.price_of_line(sale, line, (sold.currency, sold.cadence));
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

/// What a last look before Stripe is asked for a sale comes to. One that is forgotten over it is told as a problem.
pub(crate) enum Check {
    /// Stripe may be asked.
    Stands,
    /// Another machine is at the same sale, or has got it through: the session has to be looked at again.
    Overtaken,
}

/// Holds Stripe's own figure against the estimate. A mismatch, or a refusal, charges nothing: the sale is forgotten. But another machine may
/// be at the same sale, and what it has just done is what differs. Of a subscription that somebody has made flexible, that is what
/// differs, and there is no way back.
pub(crate) async fn hold(
    call: &Call<'_>,
    claimed: &Claimed,
    preview: Result<Charge, StripeError>,
    is_flexible: bool,
) -> Result<Check, Problem> {
    let contract = &claimed.stored.contract;
    let Some(sale) = &contract.sale else {
        return Ok(Check::Overtaken);
    };
    let quoted = charge(&sale.offer);
    let fresh = match preview {
        // A price that was archived: asking again will not help.
        Err(StripeError::Refused(_)) if claimed.is_of_another(call.now) => return Ok(Check::Overtaken),
        Err(error @ StripeError::Refused(_)) => {
            let forgotten = forget(call, claimed, unsold(error)).await;
            return forgotten.map(|_| Check::Overtaken);
        }
        preview => preview?,
    };
    if quoted.is_kept_by(fresh) {
        return Ok(Check::Stands);
    }
    if claimed.is_of_another(call.now) || call.release_sale(contract).await?.is_none() {
        return Ok(Check::Overtaken);
    }
    let (checkout, number) = (&sale.checkout, sale.number);
    tracing::error!(%checkout, number, estimated = quoted.total, previewed = fresh.total, "Stripe would charge something else");
    call.count("QuoteMismatches", 1);
    let owes = fresh.total == quoted.total && fresh.currency == quoted.currency;
    Err(Problem::conflict(if owes {
        "the customer owes the payment provider something from before, which would be charged too; nothing was charged"
    } else if is_flexible {
        "the contract is billed in the payment provider's flexible mode, in which it would charge another amount than was estimated; nothing was charged"
    } else {
        "the payment provider would charge another amount than was estimated; nothing was charged"
    }))
}

/// A step that many ways lead to. It is on the heap, since each of them would take its room of the stack.
pub(crate) type Step<'a> = Pin<Box<dyn Future<Output = Result<Option<Session>, Problem>> + Send + 'a>>;

/// Lands what a sale came to, and answers its session. None when it has to be looked at again.
pub(crate) fn land<'a>(call: &'a Call<'_>, claimed: &'a Claimed, read: Read) -> Step<'a> {
    Box::pin(async move {
        let landed = call
            .land_contract(&claimed.stored, read, Billed::default())
            .await?;
        Ok(landed.and_then(|landed| landed.session))
    })
}

/// Forgets a sale that came to nothing, so that its session is open again, and tells why. None when something has come of it all the same:
/// another machine has got it through, and the session has to be looked at again.
pub(crate) fn forget<'a>(call: &'a Call<'_>, claimed: &'a Claimed, why: Problem) -> Step<'a> {
    Box::pin(async move {
        match call.release_sale(&claimed.stored.contract).await? {
            Some(()) => Err(why),
            None => Ok(None),
        }
    })
}

/// Stripe said no: the sale is forgotten, and the session open again.
pub(crate) async fn refused(
    call: &Call<'_>,
    claimed: &Claimed,
    error: StripeError,
) -> Result<Option<Session>, Problem> {
    let contract = &claimed.stored.contract;
    match error {
        StripeError::Refused(refusal) if refusal.is_declined() => {
            let told = unsold(StripeError::Refused(refusal));
            match call.release_declined(contract).await? {
                Some(()) => Err(told),
                None => Ok(None),
            }
        }
        error @ StripeError::Refused(_) => forget(call, claimed, unsold(error)).await,
        // Stripe keeps a failure under this number, or has done what was asked under it in other words: which, it tells when it is
        // read. Otherwise the next number asks anew.
        error @ StripeError::Spent { .. } => {
            let sale = contract.sale.as_ref();
            let read = call.read_contract(contract).await?;
            let done =
                read.filter(|read| sale.is_some_and(|sale| fate(sale, read, Lateness::InTime) != Fate::Open));
            match done {
                Some(read) => land(call, claimed, read).await,
                None => {
                    // A machine of the build before this one may be waiting for its answer.
                    if claimed.is_of_another(call.now)
                        && let Some(unknown) = error.asked_in_other_words()
                    {
                        return Err(unknown.into());
                    }
                    call.release_sale(contract).await?;
                    Ok(None)
                }
            }
        }
        error => Err(error.into()),
    }
}

/// What Stripe's refusal of a sale means: the payer's words for a declined card, and a fault for an amount that is more, or less, than is
/// charged at once, or a customer who pays for something else in another currency.
pub(crate) fn unsold(error: StripeError) -> Problem {
    match error {
        StripeError::Refused(refusal) if refusal.is_declined() => Problem::payment_required(refusal.message),
        StripeError::Refused(refusal) if refusal.is_about_the_amount() => {
            Problem::unchargeable(&refusal, "product_overrides")
        }
        StripeError::Refused(refusal) if refusal.is_about_the_currency() => {
            let mut invalid = Invalid::default();
            invalid.field("plan_id", "is in another currency than the customer pays in");
            Problem::invalid(invalid)
        }
        error => error.into(),
    }
}
