//! What a sale is charged to.
//!
//! # If it fails half-way
//! A named method is given to the customer under the sale's key, which repeats. Before it becomes a subscription's, what paid that is
//! written into the sale, and is put back unless the named one pays ([`billing_core::sale::Replaced`]).

use billing_core::Timestamp;
use billing_core::asked::IN_FLIGHT;
use billing_core::contract::Read;
use billing_core::id::{CustomerId, PaymentMethodId};
use billing_core::invalid::Invalid;
use billing_core::sale::{Replaced, Sale, Way};
use billing_edge::{Call, Problem};
use billing_stripe::{AttachedMethod, StripeError};

use crate::claim::Claimed;
use crate::{customer, outcome};

/// What there is to be charged.
pub(crate) enum Chargeable {
    /// This; or nothing.
    Method(Option<PaymentMethodId>),
    /// The session has to be looked at again: the sale is forgotten, since what was refused under this number is refused again and the next
    /// number asks anew; or another machine has got it through.
    Again,
    /// The customer was deleted at Stripe.
    Lost,
}

/// What is charged: the method that was named, given to the customer; or for a new contract the customer's own. A guest is whoever
/// types an address: that it is a customer's does not make the customer's card his. A method that is refused ends the sale; so does one that
/// pays days later, where a contract is to change at once.
pub(crate) async fn chargeable(
    call: &Call<'_>,
    claimed: &Claimed,
    sale: &Sale,
    customer: &CustomerId,
) -> Result<Chargeable, Problem> {
    let stripe = call.stripe().await?;
    let answer = match (&sale.payment_method, sale.offer.way, &sale.replaced) {
        // It has been given, and pays by now.
        (_, _, Some(replaced)) => Ok(Some(replaced.by.clone())),
        (Some(named), _, None) => {
            let key = format!("sale/{}", sale.name());
            match stripe.attach_payment_method(named, customer, &key).await {
                Ok(AttachedMethod { kind: Some(kind), .. })
                    if sale.offer.way == Way::AtOnce && kind.pays_later() =>
                {
                    let why = unnamable(&format!(
                        "is a {kind}, with which a contract cannot be changed: name a card, or another payment method that pays at once"
                    ));
                    return outcome::forget(call, claimed, why)
                        .await
                        .map(|_| Chargeable::Again);
                }
                Ok(attached) => Ok(Some(attached.id)),
                Err(error) => Err(error),
            }
        }
        (None, Way::Begin, None) if claimed.session.wish.guest.is_none() => {
            stripe.default_payment_method(customer).await
        }
        (None, Way::Begin | Way::AtOnce | Way::AtPeriodEnd, None) => Ok(None),
    };
    let refusal = match answer {
        Ok(method) => return Ok(Chargeable::Method(method)),
        Err(error) if customer::is_lost(&error) => return Ok(Chargeable::Lost),
        Err(StripeError::Refused(refusal)) if sale.payment_method.is_some() => refusal,
        // Another machine may have been told otherwise, and be charging.
        Err(StripeError::Spent { .. }) if claimed.is_of_another(call.now) => return Ok(Chargeable::Again),
        Err(StripeError::Spent { .. }) if sale.payment_method.is_some() => {
            call.release_sale(&claimed.stored.contract).await?;
            return Ok(Chargeable::Again);
        }
        Err(error) => return Err(error.into()),
    };
    let why = if refusal.is_declined() {
        Problem::payment_required(refusal.message)
    } else {
        unnamable("is not a payment method that the customer can pay by")
    };
    outcome::forget(call, claimed, why)
        .await
        .map(|_| Chargeable::Again)
}

/// 400: the payment method that was named does not do, or none was.
pub(crate) fn unnamable(why: &str) -> Problem {
    let mut invalid = Invalid::default();
    invalid.field("payment_method_id", why);
    Problem::invalid(invalid)
}

/// What pays a contract's subscription when it is to be charged for its amendment.
pub(crate) enum Paying {
    /// What is to pay, as the sale says, which is joined.
    Joined(Box<Claimed>),
    /// The session has to be looked at again.
    Again,
    /// Stripe does not have it paid by that.
    Refused(Box<Claimed>, StripeError),
}

impl From<Option<Claimed>> for Paying {
    fn from(joined: Option<Claimed>) -> Self {
        joined.map_or(Self::Again, |claimed| Self::Joined(Box::new(claimed)))
    }
}

/// Has a contract's subscription paid by the method that was named for its amendment.
pub(crate) async fn pays(
    call: &Call<'_>,
    claimed: &Claimed,
    sale: &Sale,
    read: &Read,
    method: &PaymentMethodId,
) -> Result<Paying, Problem> {
    if read.payment_method.as_ref() == Some(method) {
        return Ok(claimed.joined(call).await?.into());
    }
    if sale.replaced.is_some() {
        return Box::pin(pays_again(call, claimed, sale, read, method)).await;
    }
    let replaced = Replaced {
        by: method.clone(),
        earlier: read.payment_method.clone(),
    };
    let sale = Sale {
        replaced: Some(replaced),
        joined_at: claimed.is_old().then_some(call.now).or(sale.joined_at),
        ..sale.clone()
    };
    let Some(claimed) = claimed.with(call, sale.clone()).await? else {
        return Ok(Paying::Again);
    };
    let stripe = call.stripe().await?;
    let subscription = &read.billing.subscription;
    Ok(match stripe.pay_contract_by(subscription, method, &sale).await {
        Ok(()) => Paying::Joined(Box::new(claimed)),
        Err(error) => Paying::Refused(Box::new(claimed), error),
    })
}

/// The same where Stripe may have been asked before: then it repeats its answer and changes nothing, so that what pays is read. Where that is
/// something else, somebody has set it since, and the named method is given under the next number's key.
async fn pays_again(
    call: &Call<'_>,
    claimed: &Claimed,
    sale: &Sale,
    read: &Read,
    method: &PaymentMethodId,
) -> Result<Paying, Problem> {
    // Whoever is at it still may be charging, and is waited for: only what was left behind, or is about to be, is joined before it is known what
    // pays. This call is done within half of that time.
    let half_a_time_on = call.now.saturating_add(IN_FLIGHT / 2).unwrap_or(Timestamp::MAX);
    let is_of_another = claimed.is_of_another(half_a_time_on);
    let claimed = if is_of_another {
        claimed.clone()
    } else {
        match claimed.joined(call).await? {
            Some(joined) => joined,
            None => return Ok(Paying::Again),
        }
    };
    let stripe = call.stripe().await?;
    let subscription = &read.billing.subscription;
    if let Err(error) = stripe.pay_contract_by(subscription, method, sale).await {
        return Ok(Paying::Refused(Box::new(claimed), error));
    }
    let now = stripe.contract_subscription(subscription).await?.read;
    if now.payment_method.as_ref() != Some(method) {
        // Who puts back what paid before is done with the sale.
        let earlier = sale.replaced.as_ref().map(|replaced| &replaced.earlier);
        if !is_of_another || earlier == Some(&now.payment_method) {
            call.release_sale(&claimed.stored.contract).await?;
        }
        return Ok(Paying::Again);
    }
    if is_of_another {
        Ok(claimed.joined(call).await?.into())
    } else {
        Ok(Paying::Joined(Box::new(claimed)))
    }
}
