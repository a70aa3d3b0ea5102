//! What Stripe says of an object now.

use billing_core::access::Mode;
use billing_core::id::{AccountId, InvoiceId, SessionId, SubscriptionId};
use billing_core::landing::{EndedSession, Facts};
use billing_core::subscription::Standing;
use billing_stripe::{FetchedSubscription, Left, ReversedInvoice, SessionStatus, Stripe, StripeError};

use super::errand::Errand;
use crate::call::Call;
use crate::problem::Problem;

/// Facts, and the account that they name themselves.
pub(super) struct FetchedFacts {
    pub(super) facts: Facts,
    pub(super) account: Option<AccountId>,
    /// Whether they tell of a bill that somebody had given up.
    pub(super) was_given_up: bool,
    /// What is left of the payment of a bill that money may have gone back of.
    pub(super) left: Option<Left>,
    /// The subscription that was touched, whole.
    pub(super) standing: Option<Standing>,
}

/// Reads the object again; none when it says nothing that would change an account: a session that is still open, an invoice
/// of something else, an object that is not a subscription's or is not there.
pub(super) async fn find(call: &Call<'_>, errand: &Errand) -> Result<Option<FetchedFacts>, Problem> {
    let stripe = call.stripe().await?;
    let found = match errand {
        Errand::Session(id) => session(stripe, id).await,
        Errand::Invoice { id, is_told } => invoice(stripe, id, *is_told).await,
        Errand::Subscription(id) => subscription(stripe, id).await,
        Errand::Reversed(invoice) => reversal(stripe, invoice).await,
        // Told invoice by invoice; and accounts have no schedules.
        Errand::Reversal(_) | Errand::Schedule(_) => Ok(None),
    };
    unless_erased(call, errand, found)
}

/// The errands that an errand comes to: money that went back of a payment may be that of several invoices.
pub(super) async fn apart(call: &Call<'_>, errand: &Errand) -> Result<Vec<Errand>, Problem> {
    let Errand::Reversal(reversed) = errand else {
        return Ok(vec![errand.clone()]);
    };
    let invoices = call.stripe().await?.reversed(reversed).await.map(Some);
    let invoices = unless_erased(call, errand, invoices)?.unwrap_or_default();
    Ok(invoices.into_iter().map(Errand::Reversed).collect())
}

/// What was found; none when it is not there. Stripe keeps what is over. In test mode somebody may have erased it; where real money moves, it
/// is our key that looks in the wrong place, and the work is not done.
fn unless_erased<T>(
    call: &Call<'_>,
    errand: &Errand,
    found: Result<Option<T>, StripeError>,
) -> Result<Option<T>, Problem> {
    match found {
        Err(StripeError::Refused(refusal))
            if refusal.is_not_found() && call.app.config.mode == Mode::Test =>
        {
            tracing::warn!(?errand, "an event named an object that is not there");
            Ok(None)
        }
        found => Ok(found?),
    }
}

/// Makes a session unpayable if it still can be paid.
pub(super) async fn end_session(call: &Call<'_>, session: &SessionId) -> Result<(), Problem> {
    let stripe = call.stripe().await?;
    match stripe.checkout_session(session).await {
        Ok(found) if found.status == SessionStatus::Open => {
            stripe.expire_checkout_session(session).await?;
            Ok(())
        }
        // Whether it should be there is judged when it is read to be landed.
        Err(StripeError::Refused(refusal)) if refusal.is_not_found() => Ok(()),
        found => Ok(found.map(drop)?),
    }
}

async fn session(stripe: &Stripe, id: &SessionId) -> Result<Option<FetchedFacts>, StripeError> {
    let session = stripe.checkout_session(id).await?;
    let (SessionStatus::Complete | SessionStatus::Expired, Some(customer)) =
        (session.status, session.customer)
    else {
        return Ok(None);
    };
    let bought = match &session.subscription {
        Some(id) => Some(stripe.subscription(id).await?),
        None => None,
    };
    let facts = Facts {
        customer,
        subscription: bought.as_ref().map(|bought| bought.standing.subscription.clone()),
        paid: Vec::new(),
        reversal: None,
        ended: Some(EndedSession {
            id: session.id,
            number: session.number,
        }),
        change: None,
    };
    Ok(Some(FetchedFacts {
        facts,
        account: session.account,
        was_given_up: false,
        left: None,
        standing: bought.map(|bought| bought.standing),
    }))
}

async fn invoice(
    stripe: &Stripe,
    id: &InvoiceId,
    is_told: bool,
) -> Result<Option<FetchedFacts>, StripeError> {
    let invoice = stripe.invoice(id).await?;
    let Some(billed) = &invoice.subscription else {
        return Ok(None);
    };
    let Some(found) = subscription(stripe, billed).await? else {
        return Ok(None);
    };
    // What was forgiven before is called paid as well, and its credit note's event may never come; nor may that of a refund of what was
    // paid long ago.
    let reversal = match invoice.paid && (invoice.is_forgiven || is_told) {
        true => Some(stripe.reversal(id).await?),
        false => None,
    };
    let left = reversal.as_ref().map(|reversed| reversed.left);
    // What is not paid grants nothing, and leaves alone what was paid for before.
    let paid = if invoice.paid { invoice.service } else { Vec::new() };
    Ok(Some(FetchedFacts {
        facts: Facts {
            paid,
            reversal: reversal.map(|reversed| reversed.reversal),
            ..found.facts
        },
        was_given_up: invoice.was_given_up,
        left,
        ..found
    }))
}

async fn reversal(stripe: &Stripe, invoice: &InvoiceId) -> Result<Option<FetchedFacts>, StripeError> {
    let ReversedInvoice {
        subscription: Some(billed),
        was_given_up,
        reversal,
        left,
    } = stripe.reversal(invoice).await?
    else {
        return Ok(None);
    };
    let Some(found) = subscription(stripe, &billed).await? else {
        return Ok(None);
    };
    Ok(Some(FetchedFacts {
        facts: Facts {
            reversal: Some(reversal),
            ..found.facts
        },
        was_given_up,
        left: Some(left),
        ..found
    }))
}

async fn subscription(stripe: &Stripe, id: &SubscriptionId) -> Result<Option<FetchedFacts>, StripeError> {
    let Some(FetchedSubscription { standing, account }) = stripe.anybodys_subscription(id).await? else {
        return Ok(None);
    };
    let facts = Facts {
        customer: standing.customer.clone(),
        subscription: Some(standing.subscription.clone()),
        paid: Vec::new(),
        reversal: None,
        ended: None,
        change: None,
    };
    Ok(Some(FetchedFacts {
        facts,
        account,
        was_given_up: false,
        left: None,
        standing: Some(standing),
    }))
}
