//! The client's one customer on a connected account.
//!
//! # If it fails half-way
//! As with an account's: its creation is repeated under one idempotency key for as long as Stripe surely keeps it; after that,
//! Stripe is asked whether the customer exists before another is made.
//!
//! A client that was moved to another country for an order that comes to nothing is moved back: what runs is taxed where it was. Where that is
//! is written into the sale before, so that whoever orders the same does it when the machine dies between the two.

use billing_core::access::Owner;
use billing_core::asked;
use billing_core::connect::Client;
use billing_core::connect::order::{Moved, Tax};
use billing_core::connect::sale::Buyer;
use billing_core::id::{AgencyId, CustomerId};
use billing_store::unless_conflict;
use billing_stripe::{Connected, StripeError};

use crate::call::Call;
use crate::problem::Problem;

/// What came of the client's customer.
#[derive(Debug)]
pub enum Payer {
    /// Here it is, and told where it is; and where it was before, if that was in another country.
    Is(CustomerId, Option<Moved>),
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
    /// Where it was before, as far as that is written down.
    pub moved: Option<&'a Moved>,
    /// The idempotency key under which Stripe is told that.
    pub address_key: &'a str,
}

/// A client that is to be where it was before it was told to be elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct MoveBack<'a> {
    /// As it is recorded.
    pub buyer: &'a Buyer,
    /// The customer that was told.
    pub customer: &'a CustomerId,
    /// Where it was, and where it was told to be.
    pub moved: &'a Moved,
    /// The idempotency key under which Stripe is told that it is back.
    pub key: &'a str,
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
            moved,
            address_key,
            ..
        } = *paying;
        let Some(customer) = self.made(owner, stripe, paying).await? else {
            unless_conflict(self.store.forget_connected_buyer(buyer, self.now).await)?;
            return Ok(Payer::Overtaken);
        };
        let country = tax.and_then(|tax| tax.country.as_ref());
        let moved = match moved {
            Some(moved) if moved.is_latest(buyer.country.as_ref()) => Some(moved.clone()),
            // Of a sale that a build before this one wrote down, or of a client that has moved since.
            _ => {
                let about_to_move = self.about_to_move(stripe, buyer, tax).await?;
                about_to_move.or_else(|| moved.cloned())
            }
        };
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
            return Ok(recorded.map_or(Payer::Overtaken, |()| Payer::Is(customer, moved)));
        }
        Ok(Payer::Is(customer, moved))
    }

    /// Where a client is, before it is told to be in another country than the one that is known of it.
    pub async fn about_to_move(
        &self,
        stripe: &Connected,
        buyer: &Buyer,
        tax: Option<&Tax>,
    ) -> Result<Option<Moved>, Problem> {
        let country = tax.and_then(|tax| tax.country.as_ref());
        let (Some(customer), Some(known), Some(country)) = (&buyer.customer, &buyer.country, country) else {
            return Ok(None);
        };
        if known == country {
            return Ok(None);
        }
        let there = stripe.buyer(customer).await;
        let there = there.map_err(|error| super::refused(error, &super::Fields::NONE))?;
        Ok(Moved::between(there.address, country))
    }

    /// Has a client be where it was, after all, unless it has been told since to be elsewhere still. Safe to repeat under the same key.
    pub async fn move_back(
        &self,
        stripe: &Connected,
        MoveBack {
            buyer,
            customer,
            moved,
            key,
        }: &MoveBack<'_>,
    ) -> Result<(), Problem> {
        let there = stripe.buyer(customer).await;
        let there = there.map_err(|error| super::refused(error, &super::Fields::NONE))?;
        let address = match there.address {
            Some(address) if address.is_in(&moved.to) => {
                match stripe.put_back(customer, &moved.from, key).await {
                    // What Stripe does not take it has never had.
                    Ok(()) | Err(StripeError::Refused(_) | StripeError::Spent { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                Some(moved.from.clone())
            }
            // By another machine, which may not have recorded it; or it has been told since to be elsewhere still.
            address => address,
        };
        if let Some(country) = address.and_then(|address| address.country()) {
            let recorded = self.store.record_connected_buyer(buyer, customer, Some(&country));
            unless_conflict(recorded.await)?;
        }
        Ok(())
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
        let since = asked::earliest(asked_at);
        if !asked::is_key_kept(asked_at, self.now)
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
