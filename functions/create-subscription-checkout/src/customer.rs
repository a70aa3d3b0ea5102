//! The account's one customer at Stripe.
//!
//! # If it fails half-way
//! Its creation is repeated under one idempotency key for as long as Stripe surely keeps the key; after that, Stripe is asked
//! whether the customer exists before another is made. An administrator may have changed the account's name or e-mail address in
//! between: then the repetition is in other words, which Stripe refuses under that key. What it made of the first is found, and told the
//! new ones; what it may still make of it is waited for.

use billing_core::account::Profile;
use billing_core::asked;
use billing_core::id::CustomerId;
use billing_edge::{Call, Problem};
use billing_stripe::{NewCustomer, StripeError};

/// What is known of an account's customer.
pub(crate) enum Customer {
    /// Here it is.
    Is(CustomerId),
    /// It cannot be made under its key: it must be counted as lost, and made under the next.
    Lost,
}

/// The customer: as recorded, found, or created.
pub(crate) async fn of(call: &Call<'_>, profile: &Profile) -> Result<Customer, Problem> {
    if let Some(customer) = &profile.customer {
        return Ok(Customer::Is(customer.clone()));
    }
    let stripe = call.stripe().await?;
    let asked_at = profile.customer_asked_at.unwrap_or(call.now);
    let since = asked::earliest(asked_at);
    if !asked::is_key_kept(asked_at, call.now)
        && let Some(customer) = stripe.find_customer(&profile.id, since).await?
    {
        return found(call, profile, customer).await;
    }
    let new = NewCustomer {
        account: &profile.id,
        name: profile.name.as_ref(),
        email: profile.email.as_ref(),
    };
    let key = format!("customer/{}/{}", profile.id, profile.lost_customers);
    match stripe.create_customer(&new, &key).await {
        Ok(customer) => Ok(Customer::Is(customer)),
        // The name or address was changed since, or Stripe failed for good under this key: it may have been created all the same.
        Err(error @ StripeError::Spent { .. }) => match stripe.find_customer(&profile.id, since).await? {
            Some(customer) => found(call, profile, customer).await,
            None => match error.asked_in_other_words() {
                Some(unknown) if is_on_its_way(call, profile) => Err(unknown.into()),
                _ => Ok(Customer::Lost),
            },
        },
        Err(error) => Err(error.into()),
    }
}

/// A customer that was asked for before. It may have been made with another name or address than the account has now.
async fn found(call: &Call<'_>, profile: &Profile, customer: CustomerId) -> Result<Customer, Problem> {
    if profile.contact_changed_at.is_some() {
        // The same words for as long as the profile has this version.
        let key = format!("customer-found/{}/{}", profile.id, profile.version);
        let stripe = call.stripe().await?;
        stripe
            .update_customer(&customer, &profile.contact(), &key)
            .await?;
    }
    Ok(Customer::Is(customer))
}

/// Whether somebody who knows the account by an earlier name or address may still be asking for its customer.
fn is_on_its_way(call: &Call<'_>, profile: &Profile) -> bool {
    let changed_at = profile.contact_changed_at;
    changed_at.is_some_and(|changed_at| asked::is_in_flight(changed_at, call.now))
}
