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

use billing_core::access::{Mode, Owner};
use billing_core::account::{Account, Profile};
use billing_core::checkout::{self, Intent, Next, Refusal, Reservation, SESSION_LIFETIME, TooMany};
use billing_core::id::{AccountId, CustomerId, InvoiceId, SessionId};
use billing_core::landing::Landing;
use billing_core::plan::Interval;
use billing_core::return_url::ReturnUrl;
use billing_edge::{Call, Function, Problem, Reply};
use billing_store::{NewReservation, unless_conflict};
use billing_stripe::{CheckoutSession, NewCheckoutSession, StripeError};
use serde::Serialize;

use crate::customer::Customer;
use crate::previous::{Became, Bill, Over, Standing};

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

/// What this call has learnt so far; it goes through several attempts while others write first.
struct Course {
    /// The reservation as it was read beside the caller's key, or that there was none; for the first attempt.
    ahead: Option<Option<Reservation>>,
    /// The number of a reservation that no session can come of any more.
    spent: Option<u64>,
}

async fn start_checkout(call: &Call<'_>) -> Result<Reply, Problem> {
    let reservation = async |account: &AccountId| call.store.reservation(account).await;
    let (caller, ahead) = call.authenticate_beside(reservation).await?;
    let owner = caller.owner()?;
    let course = Course {
        ahead: ahead.and_then(Result::ok),
        spent: None,
    };
    call.once(owner.account(), NAME, checkout_of(call, &owner, course))
        .await
}

async fn checkout_of(call: &Call<'_>, owner: &Owner, mut course: Course) -> Result<Reply, Problem> {
    let wish = read_wish(call)?;
    let mut rounds = call.rounds();
    loop {
        if let Some(client_secret) = attempt(call, owner, &wish, &mut course).await? {
            return Ok(Reply::ok(&Answer { client_secret }));
        }
        rounds.lost().await?;
    }
}

fn read_wish(call: &Call<'_>) -> Result<Wish, Problem> {
    let config = &call.app.config;
    let mut members = call.members()?;
    let interval = members.required("interval", str::parse::<Interval>);
    let return_url = members.optional("returnUrl", |text| ReturnUrl::parse(text, &config.return_policy));
    Ok(Wish {
        interval: members.finish_with(interval)?,
        return_url: return_url.unwrap_or_else(|| config.return_url.clone()),
    })
}

/// One attempt on fresh facts; none when somebody else wrote first.
async fn attempt(
    call: &Call<'_>,
    owner: &Owner,
    wish: &Wish,
    course: &mut Course,
) -> Result<Option<String>, Problem> {
    let store = &call.store;
    let ahead = course.ahead.take();
    let reservation = async {
        match ahead {
            Some(seen) => Ok::<_, Problem>(seen),
            None => Ok(store.reservation(owner.account()).await?),
        }
    };
    let (account, seen) = tokio::try_join!(call.account(owner.account()), reservation)?;
    let intent = Intent {
        interval: wish.interval,
        price: call.app.config.prices.of(wish.interval).clone(),
        quantity: checkout::quantity(&account).map_err(refuse)?,
        return_url: wish.return_url.clone(),
    };
    previous::must_be_known(call, &account).await?.map_err(refuse)?;
    let let_go = match previous::close_bill(call, &account).await? {
        Bill::Closed(let_go) => let_go,
        Bill::Debited => return Err(refuse(Refusal::AlreadySubscribed)),
        Bill::Voided => return Ok(None),
        Bill::PaidInPart => return Err(refuse(Refusal::PaidInPart)),
    };
    let held = seen
        .clone()
        .filter(|reservation| course.spent != Some(reservation.number));
    let previous = match checkout::next(&account, held, &intent, call.now) {
        Next::Reserve => Over::Unpaid,
        Next::Settle(session) => previous::close(call, &session).await?,
        Next::Replace(Reservation {
            session: Some(session),
            ..
        }) => replace(call, &account, &session.id).await?,
        Next::Resume(Reservation {
            session: Some(session),
            ..
        }) => match previous::look(call, &session.id).await? {
            Standing::Payable => return Ok(Some(session.client_secret)),
            Standing::Orphaned => replace(call, &account, &session.id).await?,
            Standing::Over(over) => over,
        },
        // Its session may exist without our knowing: finishing what somebody left behind is the way to learn.
        Next::Resume(left) | Next::Replace(left) => {
            // Something else may have been sold to the customer since it was left.
            previous::must_be_alone(call, &account).await?.map_err(refuse)?;
            return match open(call, owner, &account.profile, &left).await? {
                Opened::Session(client_secret) if left.intent == intent => Ok(Some(client_secret)),
                Opened::Session(_) | Opened::Overtaken => Ok(None),
                Opened::Earlier(over) => pass_over(call, &account, &left, &over, course).await,
                Opened::Never(..) => {
                    course.spent = Some(left.number);
                    Ok(None)
                }
            };
        }
    };
    match previous::must_have_ended(call, &account, &previous)
        .await?
        .map_err(refuse)?
    {
        Became::Known => {}
        Became::Told => return Ok(None),
    }
    if let Some(begun) = account.live_subscription() {
        previous::settle(call, &account, begun).await?.map_err(refuse)?;
        return Ok(None);
    }
    previous::must_be_alone(call, &account).await?.map_err(refuse)?;
    let Some((profile, reservation)) = reserve(call, &account, seen.as_ref(), intent, &let_go).await? else {
        return Ok(None);
    };
    match open(call, owner, &profile, &reservation).await? {
        Opened::Session(client_secret) => Ok(Some(client_secret)),
        Opened::Overtaken => Ok(None),
        Opened::Earlier(over) => {
            let account = Account { profile, ..account };
            pass_over(call, &account, &reservation, &over, course).await
        }
        // The next number has another key.
        Opened::Never(StripeError::Spent { .. }, _) => {
            course.spent = Some(reservation.number);
            Ok(None)
        }
        Opened::Never(error, customer) => {
            give_back(call, &profile, &reservation, customer).await?;
            // That of the deployment is no fault of the caller's.
            let is_own = reservation.intent.return_url == call.app.config.return_url;
            Err(match &error {
                StripeError::Refused(refusal) if refusal.is_about_the_return_address() && !is_own => {
                    Problem::unreachable("returnUrl")
                }
                _ => Problem::refused(error, None),
            })
        }
    }
}

/// Passes over a number that made a session before, which is over: the next has another key, unless what it became can bill.
async fn pass_over(
    call: &Call<'_>,
    account: &Account,
    reservation: &Reservation,
    over: &Over,
    course: &mut Course,
) -> Result<Option<String>, Problem> {
    match previous::must_have_ended(call, account, over)
        .await?
        .map_err(refuse)?
    {
        Became::Known => course.spent = Some(reservation.number),
        Became::Told => {}
    }
    Ok(None)
}

/// Makes a session unpayable for another one, if that may be made.
async fn replace(call: &Call<'_>, account: &Account, session: &SessionId) -> Result<Over, Problem> {
    checkout::pace(account, call.now).map_err(|too_many| slow_down(call, too_many))?;
    previous::close(call, session).await
}

/// Nothing came of the reservation, and nothing will: no other call has to find that out. Whoever wrote meanwhile has seen it. The customer may
/// have been made for it, and need not be looked for among all that were made since, a day later.
async fn give_back(
    call: &Call<'_>,
    profile: &Profile,
    reservation: &Reservation,
    customer: CustomerId,
) -> Result<(), Problem> {
    let landing = Landing {
        customer: profile.customer.is_none().then_some(customer),
        release: Some(reservation.number),
        ..Landing::default()
    };
    unless_conflict(call.store.land(profile, &landing).await)?;
    Ok(())
}

/// Reserves the next number for the intent, and lets go of bills that were given up.
async fn reserve(
    call: &Call<'_>,
    account: &Account,
    seen: Option<&Reservation>,
    intent: Intent,
    let_go: &[InvoiceId],
) -> Result<Option<(Profile, Reservation)>, Problem> {
    let read = &account.profile;
    let paced_until = checkout::pace(account, call.now).map_err(|too_many| slow_down(call, too_many))?;
    let reservation = Reservation {
        account: read.id.clone(),
        // Of an account that was restored from a backup, the reservation may be the one that knows the latest number.
        number: seen.map_or(0, |seen| seen.number).max(read.checkouts) + 1,
        intent,
        session: None,
        expires_at: call
            .now
            .saturating_add(SESSION_LIFETIME)
            .map_err(|error| Problem::internal(error.to_string()))?,
    };
    let new = NewReservation {
        reservation: &reservation,
        paced_until,
        let_go,
        now: call.now,
    };
    let reserved = unless_conflict(call.store.reserve(account, seen, &new).await)?;
    let written = Profile {
        version: read.version + 1,
        checkouts: reservation.number,
        checkouts_paced_until: Some(paced_until),
        ..read.clone()
    };
    Ok(reserved.map(|()| (written, reservation)))
}

/// What came of asking Stripe for a session.
enum Opened {
    /// Its client secret; it is recorded.
    Session(String),
    /// Somebody else wrote first.
    Overtaken,
    /// A session that this number made before, and that is over: the account was restored from a backup since.
    Earlier(Over),
    /// No session was made for this customer that can be paid, and none will be under this reservation's number.
    Never(StripeError, CustomerId),
}

/// Asks Stripe for the session of a reservation, and records it before anybody learns its client secret.
async fn open(
    call: &Call<'_>,
    owner: &Owner,
    profile: &Profile,
    reservation: &Reservation,
) -> Result<Opened, Problem> {
    let customer = match customer::of(call, profile).await? {
        Customer::Is(customer) => customer,
        Customer::Lost => return forget_customer(call, profile).await,
    };
    let new = NewCheckoutSession {
        owner,
        reservation,
        customer: &customer,
        page: call.app.config.checkout_page,
    };
    let session = match call.stripe().await?.create_checkout_session(&new).await {
        Ok(session) => session,
        // An operator deleted the customer at Stripe: the account gets another one.
        Err(error @ StripeError::Refused(_)) if error.is_missing("customer") => {
            return match is_gone(call, &customer).await? {
                true => forget_customer(call, profile).await,
                false => Err(error.into()),
            };
        }
        // It may have made one before it failed, which nobody has seen: it would be payable beside that of the next number.
        Err(error @ StripeError::Spent { reworded: false, .. }) => {
            close_unseen(call, reservation, &customer).await?;
            return Ok(Opened::Never(error, customer));
        }
        // A price that was archived meanwhile, or what another build has asked for under this number.
        Err(error @ (StripeError::Refused(_) | StripeError::Spent { .. })) => {
            return Ok(Opened::Never(error, customer));
        }
        Err(error) => return Err(error.into()),
    };
    match previous::standing(&session) {
        Standing::Payable => {}
        Standing::Over(over) => return Ok(Opened::Earlier(over)),
        Standing::Orphaned => {
            return match previous::close(call, &session.id).await? {
                Over::Unpaid => forget_customer(call, profile).await,
                paid @ Over::Paid(_) => Ok(Opened::Earlier(paid)),
            };
        }
    }
    let expires_at = session.expires_at;
    let session = session
        .open()
        .ok_or_else(|| Problem::bad_gateway("a new session cannot be paid"))?;
    let recorded = call
        .store
        .record_session(reservation, &customer, &session, expires_at)
        .await;
    Ok(match unless_conflict(recorded)? {
        Some(()) => Opened::Session(session.client_secret),
        None => Opened::Overtaken,
    })
}

/// Makes unpayable what was made for a reservation under whose number Stripe tells nothing but a failure.
async fn close_unseen(
    call: &Call<'_>,
    reservation: &Reservation,
    customer: &CustomerId,
) -> Result<(), Problem> {
    let is_of_it = |session: &CheckoutSession| {
        session.account.as_ref() == Some(&reservation.account) && session.number == Some(reservation.number)
    };
    let open = call.stripe().await?.open_checkout_sessions(customer).await?;
    for unseen in open.iter().filter(|session| is_of_it(session)) {
        previous::close(call, &unseen.id).await?;
    }
    Ok(())
}

/// Whether a customer that Stripe does not sell to was deleted, and Stripe says so: it keeps a trace of those that were. Where real money
/// moves, one that it has never heard of is another Stripe account's, and it is our key that looks in the wrong one; in test mode somebody
/// erased Stripe's data.
async fn is_gone(call: &Call<'_>, customer: &CustomerId) -> Result<bool, Problem> {
    Ok(call.app.config.mode == Mode::Test || call.stripe().await?.knows_customer(customer).await?)
}

/// Forgets a customer that is not there any more; the next attempt makes another.
async fn forget_customer(call: &Call<'_>, profile: &Profile) -> Result<Opened, Problem> {
    unless_conflict(call.store.forget_customer(profile, call.now).await)?;
    Ok(Opened::Overtaken)
}

fn slow_down(call: &Call<'_>, too_many: TooMany) -> Problem {
    let wait = too_many.until.duration_since(call.now);
    Problem::too_many(too_many.to_string()).after(wait.unsigned_abs())
}

fn refuse(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NoPhoneNumbers => Problem::bad_request(refusal.to_string()),
        Refusal::AlreadySubscribed | Refusal::NotTakenOver | Refusal::Completed | Refusal::PaidInPart => {
            Problem::conflict(refusal.to_string())
        }
    }
}
