//! Erasing what is personal of an account, for a customer who asks to be forgotten.
//!
//! What stays: ids, the ledger and what was given back (the books), and whose customer it is at Stripe, so that an event, a refund or a
//! dispute that comes late is handled as ever. What Stripe has is Stripe's to redact.
//!
//! # How it works
//! Stripe is asked whether anything is under way. Then the profile is marked as erased, under the version that was read before Stripe was
//! asked: a checkout that starts at the same moment comes first, and is found, or comes second, and is refused. From the mark on
//! nothing is added to the account, so what is there is all that there is to erase.
//!
//! # If it fails half-way
//! Before the mark nothing was changed. After it, repeating the command goes on where it ended.

use billing_core::account::Account;
use billing_core::id::{AccountId, CustomerId, InvoiceId, SessionId, SubscriptionId};
use billing_store::{Store, unless_conflict};
use billing_stripe::{CheckoutSession, SessionStatus, Stripe, StripeError};
use jiff::{SignedDuration, Timestamp};

use crate::Failure;
use crate::accounts;

/// How much earlier than our record of it a customer may seem to be created, by Stripe's clock.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Why an account is not erased yet, with what to do first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A subscription that can still bill.
    #[error(
        "{0} can still bill: cancel it at Stripe at once, or let it end with its period, and wait for the event"
    )]
    Subscribed(SubscriptionId),
    /// A session that can be paid.
    #[error("checkout session {0} can still be paid: expire it at Stripe, or wait a day")]
    Payable(SessionId),
    /// A session was paid, and nothing has told of it here.
    #[error("checkout session {0} was just paid: wait for the event, or replay it")]
    JustPaid(SessionId),
    /// A checkout that nobody finished; somebody may.
    #[error("a checkout was started, and may be finished until {0}: wait until then")]
    Started(Timestamp),
    /// A bill that is owed.
    #[error("invoice {0} is not paid: collect it, make it void, or give it up (uncollectible) at Stripe")]
    Owes(InvoiceId),
}

/// An account that was erased.
#[derive(Debug)]
pub struct Erased {
    /// What is left of it.
    pub account: Account,
    /// Who it is at Stripe, where Stripe's own redaction is to be asked for.
    pub customer: Option<CustomerId>,
}

/// Erases what is personal of an account, unless something is under way.
pub async fn erase(
    store: &Store,
    stripe: &Stripe,
    id: &AccountId,
    now: Timestamp,
) -> Result<Erased, Failure> {
    let customer = loop {
        let account = accounts::show(store, id).await?;
        let customer = customer(stripe, &account).await?;
        if account.profile.erased_at.is_some() {
            break customer;
        }
        if let Some(obstacle) = obstacle(store, stripe, &account, customer.as_ref(), now).await? {
            return Err(Failure::NotErased {
                account: id.clone(),
                obstacle,
            });
        }
        if unless_conflict(store.erase_profile(&account.profile, now).await)?.is_some() {
            break customer;
        }
    };
    // Keys first: nobody reads with one what is half gone.
    store.erase_api_keys(&id.into(), now).await?;
    for number in accounts::show(store, id).await?.numbers {
        store.remove_number(id, &number.id).await?;
    }
    Ok(Erased {
        account: accounts::show(store, id).await?,
        customer,
    })
}

/// The account's customer: as recorded, or as a checkout may have left it at Stripe.
async fn customer(stripe: &Stripe, account: &Account) -> Result<Option<CustomerId>, Failure> {
    let profile = &account.profile;
    match (&profile.customer, profile.customer_asked_at) {
        // Where Stripe knows nothing of the customer, that nothing is under way means nothing.
        (Some(customer), _) if !stripe.knows_customer(customer).await? => {
            Err(Failure::NoCustomer(customer.clone()))
        }
        (Some(customer), _) => Ok(Some(customer.clone())),
        (None, Some(asked_at)) => {
            let since = asked_at.saturating_sub(CLOCK_SKEW).unwrap_or(asked_at);
            Ok(stripe.find_customer(&profile.id, since).await?)
        }
        (None, None) => Ok(None),
    }
}

/// What is under way of an account, here or at Stripe.
async fn obstacle(
    store: &Store,
    stripe: &Stripe,
    account: &Account,
    customer: Option<&CustomerId>,
    now: Timestamp,
) -> Result<Option<Obstacle>, Failure> {
    if let Some(live) = account.live_subscription() {
        return Ok(Some(Obstacle::Subscribed(live.id.clone())));
    }
    let reservation = store.reservation(&account.profile.id).await?;
    // DynamoDB may delete an expired item days late, so age is checked on read.
    let reservation = reservation.filter(|reservation| now < reservation.expires_at);
    let reserved = reservation
        .as_ref()
        .and_then(|reservation| reservation.session.as_ref());
    let sessions = reserved.map(|session| &session.id).into_iter();
    for session in sessions.chain(&account.profile.open_session) {
        if let Some(obstacle) = of_session(stripe, account, session).await? {
            return Ok(Some(obstacle));
        }
    }
    if let Some(unfinished) = reservation.filter(|reservation| reservation.session.is_none()) {
        return Ok(Some(Obstacle::Started(unfinished.expires_at)));
    }
    if let Some(customer) = customer
        && let Some(live) = stripe.live_subscription(customer).await?
    {
        return Ok(Some(Obstacle::Subscribed(live)));
    }
    if let Some(ended) = &account.subscription {
        let bills = stripe.payable_invoices(&ended.id).await?;
        if let Some(owed) = bills.into_iter().find(|bill| !bill.is_given_up) {
            return Ok(Some(Obstacle::Owes(owed.id)));
        }
    }
    // Of an earlier subscription, or of none: whatever is paid late has to find its account as it was.
    match customer {
        Some(customer) => Ok(stripe.open_invoice(customer).await?.map(Obstacle::Owes)),
        None => Ok(None),
    }
}

async fn of_session(
    stripe: &Stripe,
    account: &Account,
    session: &SessionId,
) -> Result<Option<Obstacle>, Failure> {
    let CheckoutSession {
        status, subscription, ..
    } = match stripe.checkout_session(session).await {
        Ok(found) => found,
        // Somebody erased Stripe's test data.
        Err(StripeError::Refused(refusal)) if refusal.is_missing("session") => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let landed = account.subscription.as_ref().map(|landed| &landed.id);
    Ok(match status {
        SessionStatus::Open => Some(Obstacle::Payable(session.clone())),
        SessionStatus::Complete if subscription.is_some() && subscription.as_ref() == landed => None,
        SessionStatus::Complete => Some(Obstacle::JustPaid(session.clone())),
        SessionStatus::Expired => None,
    })
}
