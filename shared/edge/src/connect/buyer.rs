//! The client's one customer on a connected account.
//!
//! # If it fails half-way
//! As with an account's: its creation is repeated under one idempotency key for as long as Stripe surely keeps it; after that,
//! Stripe is asked whether the customer exists before another is made.

use billing_core::SignedDuration;
use billing_core::access::Owner;
use billing_core::connect::Client;
use billing_core::connect::order::Tax;
use billing_core::connect::sale::{Buyer, KEY_KEPT};
use billing_core::id::{AgencyId, CustomerId};
use billing_store::unless_conflict;
use billing_stripe::{Connected, StripeError};

use crate::call::Call;
use crate::problem::Problem;

/// How much earlier than our record of it a customer may seem to be created, by Stripe's clock.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// What came of the client's customer.
#[derive(Debug)]
pub enum Payer {
    /// Here it is, and told where it is.
    Is(CustomerId),
    /// Somebody else wrote first, or it has to be made anew.
    Overtaken,
    /// Stripe does not take where it is said to be, or keeps a failure to under this key.
    Unlocated(StripeError),
}

/// Whose customer is to pay, and where it is said to be.
#[derive(Debug, Clone, Copy)]
pub struct Paying<'a> {
    /// As it is recorded.
    pub buyer: &'a Buyer,
    /// The client itself.
    pub client: &'a Client,
    /// What tells where it is.
    pub tax: Option<&'a Tax>,
    /// The idempotency key under which Stripe is told that.
    pub address_key: &'a str,
}

impl Call<'_> {
    /// The client's customer, recorded and told where it is.
    pub async fn buyers_customer(
        &self,
        owner: &Owner<AgencyId>,
        stripe: &Connected,
        paying: &Paying<'_>,
    ) -> Result<Payer, Problem> {
        let Paying {
            buyer,
            tax,
            address_key,
            ..
        } = *paying;
        let Some(customer) = self.made(owner, stripe, paying).await? else {
            unless_conflict(self.store.forget_connected_buyer(buyer, self.now).await)?;
            return Ok(Payer::Overtaken);
        };
        let country = tax.and_then(|tax| tax.country.as_ref());
        if let Some(tax) = tax {
            match stripe.locate_buyer(&customer, tax, address_key).await {
                Ok(()) => {}
                Err(error @ (StripeError::Refused(_) | StripeError::Spent { .. })) => {
                    return Ok(Payer::Unlocated(error));
                }
                Err(error) => return Err(super::refused(error, &super::Fields::NONE)),
            }
        }
        if buyer.customer.as_ref() != Some(&customer) || country.is_some() {
            let recorded = self.store.record_connected_buyer(buyer, &customer, country).await;
            let recorded = unless_conflict(recorded)?;
            return Ok(recorded.map_or(Payer::Overtaken, |()| Payer::Is(customer)));
        }
        Ok(Payer::Is(customer))
    }

    /// The customer: as recorded, found, or created. None when it cannot be made under its key.
    async fn made(
        &self,
        owner: &Owner<AgencyId>,
        stripe: &Connected,
        Paying { buyer, client, .. }: &Paying<'_>,
    ) -> Result<Option<CustomerId>, Problem> {
        if let Some(customer) = &buyer.customer {
            return Ok(Some(customer.clone()));
        }
        let told = |error| super::refused(error, &super::Fields::NONE);
        let asked_at = buyer.customer_asked_at.unwrap_or(self.now);
        let since = asked_at
            .saturating_sub(CLOCK_SKEW)
            .map_err(|error| Problem::internal(error.to_string()))?;
        if self.now.duration_since(asked_at) > KEY_KEPT
            && let Some(customer) = stripe.find_buyer(&client.id, since).await.map_err(told)?
        {
            return Ok(Some(customer));
        }
        let key = format!(
            "connect-customer/{}/{}/{}",
            buyer.account, client.id, buyer.lost_customers
        );
        match stripe.create_buyer(owner, client, &key).await {
            Ok(customer) => Ok(Some(customer)),
            // The name or address was edited since, or Stripe failed for good under this key: it may be there all the same.
            Err(StripeError::Spent { .. }) => stripe.find_buyer(&client.id, since).await.map_err(told),
            Err(error) => Err(told(error)),
        }
    }
}
