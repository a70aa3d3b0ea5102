//! What a sale comes to: it stands or is overtaken, it is landed, or forgotten.
//!
//! # How it works
//! Everything that asks Stripe ends here. What was sold is landed as the webhook lands it. A sale that came to nothing is forgotten, so
//! that its session is open again, unless another machine is at it: then the session is looked at again.
//!
//! # If it fails half-way
//! Landing and forgetting are one write each, under the version that was read before Stripe was asked.

use std::pin::Pin;

use billing_core::Timestamp;
use billing_core::change::CLOCK_LEAD;
use billing_core::contract::{Contract, Fate, Lateness, Read, charge, fate};
use billing_core::invalid::Invalid;
use billing_core::quote::Charge;
use billing_core::sale::{Sale, Way};
use billing_core::session::Session;
use billing_edge::{Call, InvoiceFacts, Problem};
use billing_stripe::StripeError;

use crate::claim::Claimed;

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
pub(crate) async fn check_preview(
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
            let forgotten = forget(call, claimed, turned_down(call, contract, error)).await;
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
            .land_contract(&claimed.stored, read, InvoiceFacts::default())
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
pub(crate) fn refused<'a>(call: &'a Call<'_>, claimed: &'a Claimed, error: StripeError) -> Step<'a> {
    Box::pin(async move {
        let contract = &claimed.stored.contract;
        match error {
            StripeError::Refused(refusal) if refusal.is_declined() => {
                let told = unsold(StripeError::Refused(refusal));
                match call.release_declined(contract).await? {
                    Some(()) => Err(told),
                    None => Ok(None),
                }
            }
            // What was to pay has been taken from its customer since it was given, or looked up: the next number looks once more.
            StripeError::Refused(refusal) if refusal.is_about_the_payment_method() => {
                call.release_sale(contract).await?;
                Ok(None)
            }
            error @ StripeError::Refused(_) => match ended(call, claimed).await? {
                Some(read) => land(call, claimed, read).await,
                None => forget(call, claimed, turned_down(call, contract, error)).await,
            },
            // Stripe keeps a failure under this number, or has done what was asked under it in other words: which, it tells when it is
            // read. Otherwise the next number asks anew.
            error @ StripeError::Spent { .. } => {
                let sale = contract.sale.as_ref();
                let read = call.read_contract(contract).await?;
                let done = read
                    .filter(|read| sale.is_some_and(|sale| fate(sale, read, Lateness::InTime) != Fate::Open));
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
    })
}

/// What is to be amended, where an operator has ended it meanwhile: that is what Stripe's refusal means.
async fn ended(call: &Call<'_>, claimed: &Claimed) -> Result<Option<Read>, Problem> {
    let contract = &claimed.stored.contract;
    let amends = |sale: &&Sale| sale.offer.way != Way::Begin;
    let Some(sale) = contract.sale.as_ref().filter(amends) else {
        return Ok(None);
    };
    let read = call.read_contract(contract).await?;
    Ok(read.filter(|read| fate(sale, read, Lateness::InTime) == Fate::Over))
}

/// What Stripe's refusal of a sale means, also where the period that it charges a share of went by since the request came, by Stripe's clock at least: there Stripe
/// has nothing to begin. Whoever asks again is told what there is to be sold by then.
fn turned_down(call: &Call<'_>, contract: &Contract, error: StripeError) -> Problem {
    let problem = unsold(error);
    let latest = call.by_now().saturating_add(CLOCK_LEAD).unwrap_or(Timestamp::MAX);
    let went_by = |sale: &Sale| sale.offer.is_past(latest);
    match problem.is_bad_gateway() && contract.sale.as_ref().is_some_and(went_by) {
        true => Problem::unavailable("the period that was to be sold went by while it was asked for"),
        false => problem,
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

/// The sale is forgotten, and its caller told why. None when another machine may be at it.
pub(crate) fn refuse<'a>(call: &'a Call<'_>, claimed: &'a Claimed, why: Problem) -> Step<'a> {
    Box::pin(async move {
        if claimed.is_of_another(call.now) {
            return Ok(None);
        }
        forget(call, claimed, why).await
    })
}

/// Nothing has come of a sale, and by now it would be charged at another amount than was quoted: it is forgotten, so that the offer is made
/// anew. None, since the session has to be looked at again; what another machine is at, it finds out by itself.
pub(crate) fn give_up<'a>(call: &'a Call<'_>, claimed: &'a Claimed) -> Step<'a> {
    Box::pin(async move {
        if !claimed.is_of_another(call.now) {
            call.release_sale(&claimed.stored.contract).await?;
        }
        Ok(None)
    })
}
