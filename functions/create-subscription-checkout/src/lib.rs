//! `POST /api/v1/billing/checkout/subscription`: starts an embedded Stripe Checkout Session for the account's subscription.
//!
//! Coverage is not granted here: it begins when the invoice is paid, and only the webhook says so.
//!
//! # How it works
//! The intent is reserved in DynamoDB before Stripe is asked ([`billing_core::checkout`] decides what stands in the way); the
//! reservation's number makes Stripe's idempotency keys; the session is recorded before its client secret is handed out.
//!
//! # If it fails half-way
//! Every step can be repeated by anyone: a caller finds what the dead one left, finishes it, and answers its session.

/// What stands in the way of a new session, and how it is cleared.
mod previous;
/// The account's one customer at Stripe.
mod customer;

use billing_core::access::Owner;
use billing_core::account::{Account, Profile};
use billing_core::checkout::{self, Intent, Next, Refusal, Reservation, SESSION_LIFETIME};
use billing_core::plan::Interval;
use billing_core::return_url::ReturnUrl;
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::unless_conflict;
use billing_stripe::{NewCheckoutSession, StripeError};
use serde::Serialize;

use crate::customer::Customer;
use crate::previous::Previous;

const NAME: &str = "create-subscription-checkout";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(start_checkout(call)));

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    client_secret: String,
}

/// What the caller asked for. A quantity is not among it.
struct Wish {
    interval: Interval,
    return_url: ReturnUrl,
}

async fn start_checkout(call: &Call<'_>) -> Result<Reply, Problem> {
    let owner = call.authenticate().await?.owner()?;
    call.once(&owner.account, NAME, checkout_of(call, &owner)).await
}

async fn checkout_of(call: &Call<'_>, owner: &Owner) -> Result<Reply, Problem> {
    let wish = read_wish(call)?;
    let mut rounds = call.rounds();
    let mut spent = None;
    loop {
        if let Some(client_secret) = attempt(call, owner, &wish, &mut spent).await? {
            return Ok(Reply::ok(&Answer { client_secret }));
        }
        rounds.lost().await?;
    }
}

fn read_wish(call: &Call<'_>) -> Result<Wish, Problem> {
    let config = &call.app.config;
    let mut members = call.members()?;
    let interval = members.required("interval", |word| {
        Interval::parse(word).ok_or("must be \"monthly\" or \"annual\"")
    });
    let return_url = members.optional("returnUrl", |text| ReturnUrl::parse(text, &config.return_policy));
    members.finish()?;
    let return_url = return_url.unwrap_or_else(|| config.return_url.clone());
    match interval {
        Some(interval) => Ok(Wish { interval, return_url }),
        None => Err(Problem::internal(
            "a required member was neither read nor refused",
        )),
    }
}

/// One attempt on fresh facts; none when somebody else wrote first. `spent` is the number of a reservation whose idempotency
/// key Stripe has burnt.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner,
    wish: &Wish,
    spent: &mut Option<u64>,
) -> Result<Option<String>, Problem> {
    let store = &call.store;
    let (account, seen) = tokio::try_join!(store.account(&owner.account), store.reservation(&owner.account))?;
    let account = account.ok_or_else(|| Problem::unauthorised("the key's account does not exist"))?;
    let intent = Intent {
        interval: wish.interval,
        price: call.app.config.prices.of(wish.interval).clone(),
        quantity: checkout::quantity(&account).map_err(refuse)?,
        return_url: wish.return_url.clone(),
    };
    let reservation = seen
        .clone()
        .filter(|reservation| *spent != Some(reservation.number));
    let previous = match checkout::next(&account, reservation, &intent, call.now) {
        Next::Reserve => Previous::Gone,
        Next::Settle(session) => previous::close(call, &session).await?,
        Next::Replace(Reservation {
            session: Some(session),
            ..
        }) => previous::close(call, &session.id).await?,
        // Its session may exist without our knowing; finishing it is the way to learn its id, and so to close it.
        Next::Replace(reservation) => {
            return open(call, &account.profile, &reservation, spent)
                .await
                .map(|_| None);
        }
        Next::Resume(reservation) => match &reservation.session {
            None => return open(call, &account.profile, &reservation, spent).await,
            Some(session) => match previous::look(call, &session.id).await? {
                Previous::Open => return Ok(Some(session.client_secret.clone())),
                previous => previous,
            },
        },
    };
    previous.must_be_over(&account).map_err(refuse)?;
    match reserve(call, &account, seen.as_ref(), intent).await? {
        Some((profile, reservation)) => open(call, &profile, &reservation, spent).await,
        None => Ok(None),
    }
}

/// Reserves the next number for the intent.
async fn reserve(
    call: &Call<'_>,
    account: &Account,
    seen: Option<&Reservation>,
    intent: Intent,
) -> Result<Option<(Profile, Reservation)>, Problem> {
    let read = &account.profile;
    let reservation = Reservation {
        account: read.id.clone(),
        number: read.checkouts + 1,
        intent,
        session: None,
        expires_at: call
            .now
            .saturating_add(SESSION_LIFETIME)
            .map_err(|error| Problem::internal(error.to_string()))?,
    };
    let reserved = unless_conflict(call.store.reserve(read, seen, &reservation, call.now).await)?;
    let written = Profile {
        version: read.version + 1,
        checkouts: reservation.number,
        ..read.clone()
    };
    Ok(reserved.map(|()| (written, reservation)))
}

/// Asks Stripe for the session of a reservation, and records it before anybody learns its client secret.
async fn open(
    call: &Call<'_>,
    profile: &Profile,
    reservation: &Reservation,
    spent: &mut Option<u64>,
) -> Result<Option<String>, Problem> {
    let customer = match customer::of(call, profile).await? {
        Customer::Is(customer) => customer,
        Customer::Lost => {
            unless_conflict(call.store.forget_customer(profile).await)?;
            return Ok(None);
        }
    };
    let new = NewCheckoutSession {
        reservation,
        customer: &customer,
    };
    let session = match call.stripe().await?.create_checkout_session(&new).await {
        Ok(session) => session,
        // An operator deleted the customer at Stripe: the account gets another one.
        Err(StripeError::Refused(refusal)) if refusal.is_missing("customer") => {
            unless_conflict(call.store.forget_customer(profile).await)?;
            return Ok(None);
        }
        Err(StripeError::Spent { .. }) => {
            *spent = Some(reservation.number);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let expires_at = session.expires_at;
    let session = session
        .open()
        .ok_or_else(|| Problem::bad_gateway("a new session cannot be paid"))?;
    let recorded = call
        .store
        .record_session(reservation, &customer, &session, expires_at)
        .await;
    Ok(unless_conflict(recorded)?.map(|()| session.client_secret))
}

fn refuse(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NoPhoneNumbers => Problem::bad_request(refusal.to_string()),
        Refusal::AlreadySubscribed | Refusal::Completed => Problem::conflict(refusal.to_string()),
    }
}
