//! What stands in the way of a new session, and how it is cleared.
//!
//! An earlier session of the account is asked about, or made unpayable, at Stripe: what we have stored of it may be out of date. So is
//! the bill of a subscription that was ended before anything told that it was paid.

use billing_core::access::Mode;
use billing_core::account::Account;
use billing_core::checkout::Refusal;
use billing_core::id::{InvoiceId, SessionId, SubscriptionId};
use billing_core::landing::Landing;
use billing_core::subscription::Subscription;
use billing_edge::{Call, Problem};
use billing_store::unless_conflict;
use billing_stripe::{CheckoutSession, OpenPayment, PayableInvoice, SessionStatus, Stripe, StripeError};

/// An earlier session that can no longer be paid.
pub(crate) enum Over {
    /// It never was, or there was none.
    Unpaid,
    /// It was, and became this subscription.
    Paid(Option<SubscriptionId>),
}

/// What an earlier session became that is over too.
pub(crate) enum Became {
    /// Nothing, or what is known here.
    Known,
    /// A subscription that was not known here. It is written down, and the account has to be looked at again: its bill may be payable still.
    Told,
}

/// Refuses unless what an earlier session became is over too: an account that paid, and whose webhook is still on its way, must not pay
/// again. What was not told here may be older than what was, where the account was restored from a backup: no event of it comes any more.
pub(crate) async fn must_have_ended(
    call: &Call<'_>,
    account: &Account,
    over: &Over,
) -> Result<Result<Became, Refusal>, Problem> {
    let stored = account.subscription.as_ref();
    let became = match over {
        Over::Unpaid => return Ok(Ok(Became::Known)),
        // What it became has landed here; as we got this far, it is not live any more, or was not paid when it landed.
        Over::Paid(Some(became)) if stored.is_some_and(|stored| stored.id == *became) => {
            return Ok(Ok(Became::Known));
        }
        Over::Paid(Some(became)) if !stored.is_some_and(Subscription::is_live) => became,
        Over::Paid(_) => return Ok(Err(Refusal::Completed)),
    };
    let told = write_down_if_over(call, account, became).await?;
    Ok(told.map(|()| Became::Told).ok_or(Refusal::Completed))
}

/// Writes a subscription down as Stripe has it, when it is over there; none when it can bill.
async fn write_down_if_over(
    call: &Call<'_>,
    account: &Account,
    subscription: &SubscriptionId,
) -> Result<Option<()>, Problem> {
    let now = call.stripe().await?.subscription(subscription).await?;
    let subscription = now.standing.subscription;
    if subscription.is_live() {
        return Ok(None);
    }
    let landing = Landing {
        subscription: Some(subscription),
        ..Landing::default()
    };
    unless_conflict(call.store.land(&account.profile, &landing).await)?;
    Ok(Some(()))
}

/// How the account's session stands.
pub(crate) enum Standing {
    /// It can be paid.
    Payable,
    /// It can be paid, for a customer whom an operator deleted.
    Orphaned,
    /// It can no longer be paid.
    Over(Over),
}

/// How a session stands that the same intent was answered with.
pub(crate) async fn look(call: &Call<'_>, session: &SessionId) -> Result<Standing, Problem> {
    judge(call, call.stripe().await?.checkout_session(session).await)
}

/// Makes a session unpayable, unless it was paid.
pub(crate) async fn close(call: &Call<'_>, session: &SessionId) -> Result<Over, Problem> {
    match judge(call, call.stripe().await?.expire_checkout_session(session).await)? {
        Standing::Over(over) => Ok(over),
        Standing::Payable | Standing::Orphaned => {
            Err(Problem::bad_gateway("a session stays open after it was expired"))
        }
    }
}

/// How a session stands by what Stripe says of it.
pub(crate) fn standing(session: &CheckoutSession) -> Standing {
    match session.status {
        SessionStatus::Open if session.is_customer_deleted => Standing::Orphaned,
        SessionStatus::Open => Standing::Payable,
        SessionStatus::Complete => Standing::Over(Over::Paid(session.subscription.clone())),
        SessionStatus::Expired => Standing::Over(Over::Unpaid),
    }
}

fn judge(call: &Call<'_>, answer: Result<CheckoutSession, StripeError>) -> Result<Standing, Problem> {
    match answer {
        Ok(session) => Ok(standing(&session)),
        // Somebody erased Stripe's test data: what is not there cannot be paid. Where real money moves Stripe keeps everything, and it is our
        // key that looks in the wrong account.
        Err(StripeError::Refused(refusal))
            if refusal.is_missing("session") && call.app.config.mode == Mode::Test =>
        {
            Ok(Standing::Over(Over::Unpaid))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is done about the incomplete subscription of an account whose session is out of the way: a payer's try in vain may have begun it on the
/// page, and Stripe ends it with the session. It is written down when it is over, and the account has to be looked at again; one that can
/// be paid still, of an operator's or by a bank debit that is under way, is told as it is.
pub(crate) async fn settle(
    call: &Call<'_>,
    account: &Account,
    begun: &Subscription,
) -> Result<Result<(), Refusal>, Problem> {
    let told = write_down_if_over(call, account, &begun.id).await?;
    Ok(told.ok_or(Refusal::AlreadySubscribed))
}

/// Refuses while the customer that the account was made with has a subscription that another program sold and that nobody has told of: it would
/// be billed for both. Asked before the account's first checkout alone; whatever is sold after the account was made, events tell.
pub(crate) async fn must_be_known(
    call: &Call<'_>,
    account: &Account,
) -> Result<Result<(), Refusal>, Problem> {
    let Some(customer) = account.untold_customer() else {
        return Ok(Ok(()));
    };
    let untold = call.stripe().await?.live_subscription(customer).await?;
    Ok(untold.map_or(Ok(()), |_| Err(Refusal::NotTakenOver)))
}

/// Refuses while the customer of an account whose subscription is over has another one that can bill: a second that was not taken while the
/// first lived, and that no event has put in its place yet.
pub(crate) async fn must_be_alone(
    call: &Call<'_>,
    account: &Account,
) -> Result<Result<(), Refusal>, Problem> {
    let over = account.subscription.as_ref().filter(|stored| !stored.is_live());
    let (Some(_), Some(customer)) = (over, &account.profile.customer) else {
        return Ok(Ok(()));
    };
    let other = call.stripe().await?.live_subscription(customer).await?;
    Ok(other.map_or(Ok(()), |_| Err(Refusal::AlreadySubscribed)))
}

/// How the bill of a subscription that is over stands in the way.
pub(crate) enum Bill {
    /// Nobody can pay it any more, or what is paid for it goes back: those that somebody has given up are let go with the next reservation.
    Closed(Vec<InvoiceId>),
    /// A bank debit is paying it, which nobody can call back.
    Debited,
    /// It was payable, and has been made void unless somebody paid it first: to be looked at again.
    Voided,
    /// A part of it is paid, and Stripe makes it void no more: the rest can still be paid.
    PaidInPart,
}

/// What came of making a bill void.
enum Voiding {
    /// It is void, or somebody pays it at this moment: it has to be looked at again.
    Done,
    /// It stays as it is, and nobody is paying it: looking again would find the same.
    Stays,
}

/// Makes void the first bill of the account's subscription when that was ended before it was paid: it could still be paid, beside what is
/// bought now. A debit that is under way pays all the same, and is waited for. A renewal that was never paid is somebody's to collect,
/// and stays.
pub(crate) async fn close_bill(call: &Call<'_>, account: &Account) -> Result<Bill, Problem> {
    let Some(ended) = account.ended_unpaid() else {
        return Ok(Bill::Closed(Vec::new()));
    };
    let stripe = call.stripe().await?;
    let mut is_void = false;
    let mut given_up = Vec::new();
    for bill in stripe.payable_invoices(&ended.id).await? {
        if stripe.open_payment(&bill.id).await? == OpenPayment::UnderWay {
            return Ok(Bill::Debited);
        }
        if !bill.is_first {
            continue;
        }
        match void(stripe, &ended.id, &bill).await? {
            Voiding::Done => is_void = true,
            // Somebody has given it up.
            Voiding::Stays if bill.is_given_up => given_up.push(bill.id),
            Voiding::Stays => return Ok(Bill::PaidInPart),
        }
    }
    Ok(if is_void {
        Bill::Voided
    } else {
        Bill::Closed(given_up)
    })
}

/// Makes a bill void. Stripe may not, where somebody has given the bill up; and does not, where a part of it is paid.
async fn void(stripe: &Stripe, ended: &SubscriptionId, bill: &PayableInvoice) -> Result<Voiding, Problem> {
    if stripe.void_invoice(&bill.id).await? {
        return Ok(Voiding::Done);
    }
    // It may have been refused because somebody pays at this very moment.
    let (payment, payable) = tokio::try_join!(stripe.open_payment(&bill.id), stripe.payable_invoices(ended))?;
    let stays = payment != OpenPayment::UnderWay && payable.contains(bill);
    Ok(if stays { Voiding::Stays } else { Voiding::Done })
}
