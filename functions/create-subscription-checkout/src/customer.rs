//! The account's one customer at Stripe.
//!
//! # If it fails half-way
//! Its creation is repeated under one idempotency key for as long as Stripe surely keeps the key; after that, Stripe is asked
//! whether the customer exists before another is made.

use billing_core::SignedDuration;
use billing_core::account::Profile;
use billing_core::id::CustomerId;
use billing_edge::{Call, Problem};
use billing_stripe::{NewCustomer, StripeError};

/// Stripe keeps idempotency keys for a day at least; clocks differ.
const KEY_KEPT: SignedDuration = SignedDuration::from_hours(20);
/// How much earlier than our record of it a customer may seem to be created, by Stripe's clock.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

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
    let since = asked_at
        .saturating_sub(CLOCK_SKEW)
        .map_err(|error| Problem::internal(error.to_string()))?;
    if call.now.duration_since(asked_at) > KEY_KEPT
        && let Some(customer) = stripe.find_customer(&profile.id, since).await?
    {
        return Ok(Customer::Is(customer));
    }
    let new = NewCustomer {
        account: &profile.id,
        name: profile.name.as_ref(),
        email: profile.email.as_ref(),
    };
    let key = format!("customer/{}/{}", profile.id, profile.lost_customers);
    match stripe.create_customer(&new, &key).await {
        Ok(customer) => Ok(Customer::Is(customer)),
        // The name or address was edited since, or Stripe failed for good under this key: it may have been created all the same.
        Err(StripeError::Spent { .. }) => {
            let found = stripe.find_customer(&profile.id, since).await?;
            Ok(found.map_or(Customer::Lost, Customer::Is))
        }
        Err(error) => Err(error.into()),
    }
}
