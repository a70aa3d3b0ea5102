//! The customer at Stripe, made once.
//!
//! # If it fails half-way
//! Its creation repeats under one idempotency key for as long as Stripe surely keeps it; after that, Stripe is asked whether the
//! customer exists before another is made. One that Stripe failed for good to make, or that an operator deleted there, counts as lost, and
//! another is made under the next key. Of
//! two that were made all the same, the one that is recorded first counts.

use billing_core::asked;
use billing_core::id::CustomerId;
use billing_core::invalid::Invalid;
use billing_edge::{Call, Problem};
use billing_store::unless_conflict;
use billing_stripe::{NewBuyer, StripeError};

use crate::claim::Claimed;
use crate::outcome::{self, Step};

/// The customer of a claimed session: as recorded, found, or created. None when another one was recorded meanwhile, or it has to be
/// made under the next key.
pub(crate) async fn of(call: &Call<'_>, claimed: &Claimed) -> Result<Option<CustomerId>, Problem> {
    let session = &claimed.session;
    let organisation = &session.organisation;
    let missing = || Problem::internal("a session was claimed for a customer that is not there");
    let id = session.buyer.as_ref().ok_or_else(missing)?;
    let buyer = call.store.buyer(organisation, id).await?.ok_or_else(missing)?;
    if let Some(customer) = &buyer.customer {
        return Ok(Some(customer.clone()));
    }
    let new = NewBuyer {
        organisation,
        buyer: id,
        lost: buyer.lost_customers,
        name: &buyer.name,
        email: buyer.email.as_ref(),
        address: session
            .wish
            .guest
            .as_ref()
            .and_then(|guest| guest.address.as_ref()),
    };
    let asked_at = match buyer.customer_asked_at {
        Some(asked_at) => asked_at,
        None => call.store.ask_for_buyer(organisation, id, call.now).await?,
    };
    let since = asked::earliest(asked_at);
    let stripe = call.stripe().await?;
    let found = match asked::is_key_kept(asked_at, call.now) {
        true => None,
        false => stripe.find_buyer(&new, since).await?,
    };
    let customer = match found {
        Some(customer) => customer,
        None => match stripe.create_buyer(&new).await {
            Ok(customer) => customer,
            // The name or address was edited since, or Stripe failed for good under this key: it may have been created all the same.
            Err(StripeError::Spent { .. }) => match stripe.find_buyer(&new, since).await? {
                Some(customer) => customer,
                None => {
                    unless_conflict(call.store.forget_buyer(organisation, &buyer, call.now).await)?;
                    return Ok(None);
                }
            },
            // What a guest typed that reads as what it should be, and that Stripe does not take.
            Err(StripeError::Refused(refusal))
                if session.wish.guest.is_some()
                    && (refusal.is_about_the_address() || refusal.is_about_the_whereabouts()) =>
            {
                let field = if refusal.is_about_the_address() {
                    "customer_data.email"
                } else {
                    "customer_data.address"
                };
                let mut invalid = Invalid::default();
                invalid.field(field, "is not an address that the payment provider takes");
                return outcome::forget(call, claimed, Problem::invalid(invalid))
                    .await
                    .map(|_| None);
            }
            Err(error) => return Err(error.into()),
        },
    };
    let recorded = call.store.record_buyer(organisation, &buyer, &customer).await;
    Ok(unless_conflict(recorded)?.map(|()| customer))
}

/// Whether Stripe has no such customer: an operator deleted it.
pub(crate) fn is_lost(error: &StripeError) -> bool {
    matches!(error, StripeError::Refused(refusal) if refusal.is_missing("customer"))
}

/// An operator deleted the customer at Stripe, and with it whatever it had: the sale is forgotten, and the next one is another customer's.
/// None, since the session has to be looked at again; what another machine is at, it finds out by itself.
pub(crate) fn replace<'a>(call: &'a Call<'_>, claimed: &'a Claimed, lost: &'a CustomerId) -> Step<'a> {
    Box::pin(async move {
        let (session, contract) = (&claimed.session, &claimed.stored.contract);
        if claimed.is_of_another(call.now) {
            return Ok(None);
        }
        // First the sale: its keys are spent on the one that was deleted.
        if call.release_sale(contract).await?.is_none() {
            return Ok(None);
        }
        let buyer = match &session.buyer {
            Some(id) => call.store.buyer(&session.organisation, id).await?,
            None => None,
        };
        if let Some(buyer) = buyer.filter(|buyer| buyer.customer.as_ref() == Some(lost)) {
            let forgotten = call.store.forget_buyer(&session.organisation, &buyer, call.now);
            unless_conflict(forgotten.await)?;
        }
        Ok(None)
    })
}
