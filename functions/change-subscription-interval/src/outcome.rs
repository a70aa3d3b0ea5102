//! What becomes of a change at Stripe, what is left to do, and how it is told.
//!
//! # If it fails half-way
//! The record of the change stays in the profile until everything is done; the webhook, or the next call, does the rest.

use billing_core::access::Owner;
use billing_core::account::Profile;
use billing_core::change::{self, Change, Unchangeable, Wish};
use billing_core::landing::{ChangeStep, Landing};
use billing_core::payer::MethodKind;
use billing_core::plan::Interval;
use billing_core::subscription::{Collection, Standing};
use billing_edge::{Call, Finished, Problem};
use billing_store::unless_conflict;
use billing_stripe::{Asked, OpenPayment, Payment, Refusal, StripeError};
use serde::Serialize;

/// Where a change with a code cannot wait, and the bank wants the payer: Stripe's own words are for developers.
const CANNOT_BE_CONFIRMED: &str =
    "the payment has to be confirmed with the bank, which a change with a promotion code cannot wait for";

/// What the caller is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    changed: bool,
    interval: Interval,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<AwaitedPayment>,
}

/// A payment that the change waits for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AwaitedPayment {
    status: PaymentStatus,
    hosted_invoice_url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum PaymentStatus {
    RequiresAction,
    RequiresPaymentMethod,
}

impl Answer {
    /// The subscription was there before.
    pub(crate) fn unchanged(interval: Interval) -> Self {
        Self {
            changed: false,
            interval,
            payment: None,
        }
    }

    /// It is there now.
    pub(crate) fn changed(interval: Interval) -> Self {
        Self {
            changed: true,
            ..Self::unchanged(interval)
        }
    }
}

/// Asks Stripe for the change. Where Stripe does not let discounts wait for a payment, it is paid at once or not made: a code
/// must not be used up by a payment that failed. What pays days later never pays at once.
pub(crate) async fn ask(call: &Call<'_>, owner: &Owner, change: &Change) -> Result<Asked, StripeError> {
    let stripe = call.stripe().await.map_err(|problem| StripeError::Unavailable {
        reason: problem.logged,
        retry_after: None,
    })?;
    match stripe.change_subscription(owner, change, Payment::MayWait).await {
        Err(StripeError::Refused(refusal))
            if change.promotion_code.is_some() && refusal.is_about_waiting_discounts() =>
        {
            // An invoice that is sent, or debited, waits for nothing: the change would be made, and not be paid.
            let now = stripe
                .subscription_to_change(&change.subscription)
                .await?
                .standing;
            if now.collection != Collection::Charged || change::payable(now.payer.as_ref()).is_err() {
                return Err(StripeError::Refused(refusal));
            }
            stripe.change_subscription(owner, change, Payment::AtOnce).await
        }
        answer => answer,
    }
}

/// Does what is left of a change by what Stripe says of the subscription, writes that down, and answers the subscription as it is
/// then. None when somebody wrote before anything was done about it; whoever wrote after that has read Stripe since.
pub(crate) async fn settle(
    call: &Call<'_>,
    profile: &Profile,
    change: &Change,
    standing: Standing,
) -> Result<Option<Standing>, Problem> {
    let finished = call.finish_change(profile, change, standing).await?;
    let Some(Finished {
        profile,
        standing,
        step,
    }) = finished
    else {
        return Ok(None);
    };
    let landing = Landing {
        subscription: Some(standing.subscription.clone()),
        change: step,
        ..Landing::default()
    };
    unless_conflict(call.store.land(&profile, &landing).await)?;
    Ok(Some(standing))
}

/// The same, and what is told of it.
pub(crate) async fn settle_and_tell(
    call: &Call<'_>,
    profile: &Profile,
    change: &Change,
    standing: Standing,
) -> Result<Option<Answer>, Problem> {
    match settle(call, profile, change, standing).await? {
        Some(settled) => tell(call, change, settled).await.map(Some),
        None => Ok(None),
    }
}

/// Forgets a change that Stripe refused: nothing has happened. An event that landed meanwhile has left it there, as it was under way.
pub(crate) async fn forget(call: &Call<'_>, profile: &Profile, change: &Change) -> Result<(), Problem> {
    let landing = Landing {
        change: Some(ChangeStep::Over),
        ..Landing::default()
    };
    let mut profile = profile.clone();
    while unless_conflict(call.store.land(&profile, &landing).await)?.is_none() {
        profile = call.account(&profile.id).await?.profile;
        if profile.change.as_ref() != Some(change) {
            break;
        }
    }
    Ok(())
}

/// What is told of a change that Stripe took: that it is made, or which payment it waits for.
async fn tell(call: &Call<'_>, change: &Change, standing: Standing) -> Result<Answer, Problem> {
    let answer = Answer::changed(change.interval);
    if change.took_effect(&standing) {
        return Ok(answer);
    }
    let invoice = standing.latest_invoice.filter(|_| standing.pending);
    let invoice = invoice
        .ok_or_else(|| Problem::bad_gateway("a change neither took effect nor waits for a payment"))?;
    let status = match call.stripe().await?.open_payment(&invoice.id).await? {
        OpenPayment::RequiresAction => PaymentStatus::RequiresAction,
        // The contract has no word for what is under way, for minutes by then: the page says more.
        OpenPayment::UnderWay | OpenPayment::RequiresPaymentMethod => PaymentStatus::RequiresPaymentMethod,
    };
    Ok(Answer {
        payment: Some(AwaitedPayment {
            status,
            hosted_invoice_url: invoice.page,
        }),
        ..answer
    })
}

/// What a refusal of Stripe's means for the caller, given what pays the subscription. Of its words, those about a card are for the payer.
pub(crate) fn refused(refusal: Refusal, wish: &Wish, payer: Option<MethodKind>) -> Problem {
    if refusal.is_about_waiting() {
        Problem::conflict(Unchangeable::PaidBy(payer).to_string())
    } else if refusal.is_about_no_payer() {
        Problem::conflict(Unchangeable::NothingPays.to_string())
    } else if refusal.wants_confirmation() {
        Problem::payment_required(CANNOT_BE_CONFIRMED)
    } else if refusal.is_declined() {
        Problem::payment_required(refusal.message)
    } else {
        Problem::refused(StripeError::Refused(refusal), wish.code.as_ref())
    }
}
