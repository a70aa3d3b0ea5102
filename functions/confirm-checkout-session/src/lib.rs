//! `POST /checkouts/{checkoutId}/confirm`: sells what a checkout session offers, paid first.
//!
//! Coverage is not granted here: it begins when the invoice is paid, and only the webhook says so.
//!
//! # How it works
//! The wish is priced again, on the catalog and the contract as they are now; what has moved is told with fresh estimates, and
//! nothing is charged. The same offer is written down as a sale of the contract, under a number of the session's, in the transaction
//! that claims the session's version: of two confirmations one sells, and the other finds the sale and finishes it. Stripe's own
//! preview is held against the estimate right before it is asked; session and number make its idempotency keys.
//!
//! # If it fails half-way
//! Every step can be repeated by anyone: whoever finds a sale that is under way finishes it ([`billing_core::sale`]), and the
//! webhook lands what was paid ([`billing_edge::Landed`]).

/// Holding a session to its offer, and claiming it.
mod claim;
/// The customer at Stripe.
mod customer;
/// Asking Stripe for a sale.
mod sell;
/// Asking it to change what a contract bills.
mod amend;
/// What that comes to.
mod outcome;
/// What a guest does not use up.
mod guest;
/// What a sale is charged to.
mod method;
/// The hosted page of a sale.
mod page;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::calendar::whole_second;
use billing_core::id::{CheckoutId, ContractId, OrganisationId, PaymentMethodId};
use billing_core::session::{self, Confirmation, Next, Refusal, Session, Status};
use billing_edge::{Call, Function, Problem, Reply};
use serde::Serialize;

const NAME: &str = "confirm-checkout-session";

/// This Lambda.
pub const FUNCTION: Function = Function::new(NAME, |call| Box::pin(confirm(call)));

/// What the caller is told.
#[derive(Serialize)]
struct Answer<'a> {
    id: &'a CheckoutId,
    checkout_status: Status,
    contract_id: Option<&'a ContractId>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What the caller wants.
pub(crate) struct Wanted {
    pub(crate) payment_method: Option<PaymentMethodId>,
    confirmation: Confirmation,
}

async fn confirm(call: &Call<'_>) -> Result<Reply, Problem> {
    let beside = async |organisation: &OrganisationId| call.named_session(organisation).await;
    let (caller, ahead) = call.authenticate_organisation_beside(beside).await?;
    let owner = caller.owner()?;
    // What can be no session's id is told before an `Idempotency-Key` is claimed for it.
    call.named_checkout()?;
    // On the heap, it leaves the stack to what it is made of.
    let confirmed = Box::pin(confirmed(call, &owner, ahead));
    call.once(owner.organisation(), NAME, confirmed).await
}

async fn confirmed(
    call: &Call<'_>,
    owner: &Owner<OrganisationId>,
    mut ahead: Option<Result<Session, Problem>>,
) -> Result<Reply, Problem> {
    let mut members = call.optional_members()?;
    let payment_method = members.optional("payment_method_id", str::parse);
    let version = members.optional_integer("version", |version| {
        u64::try_from(version)
            .ok()
            .filter(|version| *version > 0)
            .ok_or("must be 1 or more")
    });
    members.finish()?;
    let wanted = Wanted {
        payment_method,
        confirmation: Confirmation { version },
    };
    let mut rounds = call.rounds();
    loop {
        let session = match ahead.take() {
            Some(session) => session?,
            None => call.named_session(owner.organisation()).await?,
        };
        if let Some(session) = attempt(call, owner, &wanted, session).await? {
            return Ok(Reply::ok(&answer(&session, call.now)));
        }
        rounds.lost().await?;
    }
}

/// One attempt on the session as it was read; none when it has to be made again: somebody else wrote first, or something that was left behind is
/// out of the way now.
fn attempt<'a>(
    call: &'a Call<'_>,
    owner: &'a Owner<OrganisationId>,
    wanted: &'a Wanted,
    session: Session,
) -> outcome::Step<'a> {
    Box::pin(async move {
        match session::next(&session, &wanted.confirmation, call.now)
            .map_err(|refusal| refuse(refusal, &session))?
        {
            Next::Done => Ok(Some(session)),
            Next::Finish => sell::finish(call, owner, wanted, &session).await,
            Next::Settle => sell::settle(call, &session).await,
            Next::Sell => match claim::claim(call, wanted, &session).await? {
                Some(claimed) => sell::sell(call, owner, &claimed).await,
                None => Ok(None),
            },
        }
    })
}

fn answer(session: &Session, now: Timestamp) -> Answer<'_> {
    let status = session.status_at(now);
    let message = match (status, session.url_at(now)) {
        (Status::ContractCreated, _) if session.offer.effective_at > now => {
            format!("the change takes effect at {}", session.offer.effective_at)
        }
        (Status::ContractCreated, _) if session.wish.contract.is_some() => {
            "the contract is amended".to_owned()
        }
        (Status::ContractCreated, _) => "the contract is created".to_owned(),
        (Status::Pending, Some(_)) => "the payment is to be made on the page at url".to_owned(),
        (Status::Pending, None) => "the payment is under way".to_owned(),
        (Status::PaymentSucceeded, _) => "the payment succeeded; the contract is being made".to_owned(),
        (Status::Open | Status::Expired | Status::Cancelled, _) => "nothing was charged".to_owned(),
    };
    Answer {
        id: &session.id,
        checkout_status: status,
        contract_id: session.told_contract(),
        message,
        url: session.url_at(now),
        created_at: whole_second(session.created_at),
        updated_at: whole_second(session.updated_at),
    }
}

pub(crate) fn expired() -> Problem {
    Problem::gone(Refusal::Expired.to_string())
}

/// Somebody is at it: come back.
pub(crate) fn busy() -> Problem {
    Problem::busy("the checkout session is being confirmed with another payment method")
}

fn refuse(refusal: Refusal, session: &Session) -> Problem {
    match refusal {
        Refusal::Expired => expired(),
        Refusal::Cancelled => Problem::conflict(refusal.to_string()),
        Refusal::OtherVersion(_) => moved(refusal.to_string(), session),
    }
}

/// 409 with what the session offers now.
pub(crate) fn moved(told: String, session: &Session) -> Problem {
    Problem::conflict(told)
        .with("estimates", &session.offer.estimates)
        .with("version", session.version)
}
