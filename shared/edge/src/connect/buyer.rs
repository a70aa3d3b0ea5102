//! The client's one customer on a connected account.
//!
//! # If it fails half-way
//! As with an account's: its creation is repeated under one idempotency key for as long as Stripe surely keeps it; after that,
//! Stripe is asked whether the customer exists before another is made.
//!
//! A client that was told to be elsewhere for an order that comes to nothing is put back: what runs is taxed where it was. Where that is is written
//! into the sale before, so that whoever orders the same does it when the machine dies between the two.

use billing_core::access::Owner;
use billing_core::asked;
use billing_core::connect::Client;
use billing_core::connect::order::{Address, Moved, Tax};
use billing_core::connect::sale::Buyer;
use billing_core::id::{AgencyId, CustomerId};
use billing_store::unless_conflict;
use billing_stripe::{Connected, StripeError};

use crate::call::Call;
use crate::problem::Problem;

/// What came of the client's customer.
#[derive(Debug)]
pub enum Payer {
    /// Here it is, and told where it is; and where it was before, if that was elsewhere.
    Is(CustomerId, Option<Moved>),
    /// Somebody else wrote first, or it has to be made anew.
    Overtaken,
    /// Stripe does not take where it is said to be, or keeps a failure to under this key.
    Unlocated(StripeError),
}

/// What there is to tell of where a client is.
#[derive(Debug, Default)]
pub struct Whereabouts {
    /// What Stripe is to be told; none where it knows, or nothing is said of it.
    address: Option<Address>,
    /// Where it was before, if that was elsewhere.
    pub moved: Option<Moved>,
}

impl Whereabouts {
    /// Whether Stripe has nothing to be told.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.address.is_none()
    }
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
    /// Whether Stripe was asked a moment ago, and knew that it is there.
    pub is_known: bool,
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
            address_key,
            ..
        } = *paying;
        let Some(customer) = self.made(owner, stripe, paying).await? else {
            unless_conflict(self.store.forget_connected_buyer(buyer, self.now).await)?;
            return Ok(Payer::Overtaken);
        };
        let Whereabouts { address, moved } = self.whereabouts_of(stripe, paying).await?;
        if let Some(address) = address {
            match stripe.locate_buyer(&customer, &address, address_key).await {
                Ok(()) => {}
                Err(error @ (StripeError::Refused(_) | StripeError::Spent { .. })) => {
                    return Ok(Payer::Unlocated(error));
                }
                Err(error) => return Err(super::refused(error, &super::Fields::NONE)),
            }
        }
        let place = tax.and_then(Tax::place).map(|place| buyer.told(&place));
        if buyer.customer.as_ref() != Some(&customer) || place.is_some() {
            let recorded = self
                .store
                .record_connected_buyer(buyer, &customer, place.as_ref());
            let recorded = unless_conflict(recorded.await)?;
            return Ok(recorded.map_or(Payer::Overtaken, |()| Payer::Is(customer, moved)));
        }
        Ok(Payer::Is(customer, moved))
    }

    /// What there is to tell of where a client is, by what Stripe has of its customer. One that is just being made is nowhere yet.
    pub async fn whereabouts(
        &self,
        stripe: &Connected,
        buyer: &Buyer,
        tax: Option<&Tax>,
    ) -> Result<Whereabouts, Problem> {
        let Some(place) = tax.and_then(Tax::place) else {
            return Ok(Whereabouts::default());
        };
        let there = match &buyer.customer {
            Some(customer) => {
                let there = stripe.buyer(customer).await;
                let there = there.map_err(|error| super::refused(error, &super::Fields::NONE))?;
                there.address.unwrap_or_default()
            }
            None => Address::default(),
        };
        let told = there.told(&place);
        Ok(Whereabouts {
            moved: Moved::between(&there, &place),
            address: (told != there).then_some(told),
        })
    }

    /// The same of a sale that is written down: what it was begun with, unless the client has been told to be elsewhere since.
    async fn whereabouts_of(&self, stripe: &Connected, paying: &Paying<'_>) -> Result<Whereabouts, Problem> {
        let Paying {
            buyer, tax, moved, ..
        } = *paying;
        if paying.is_known {
            return Ok(Whereabouts::default());
        }
        match (moved, tax.and_then(Tax::place)) {
            (Some(moved), Some(place)) if moved.is_latest(buyer.place().as_ref()) => Ok(Whereabouts {
                address: Some(moved.from.told(&place)),
                moved: Some(moved.clone()),
            }),
            _ => {
                let now = self.whereabouts(stripe, buyer, tax).await?;
                Ok(Whereabouts {
                    moved: now.moved.or_else(|| moved.cloned()),
                    ..now
                })
            }
        }
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
            Some(address) if moved.is_done(&address) => {
                match stripe.locate_buyer(customer, &moved.from, key).await {
                    // What Stripe does not take it has never had.
                    Ok(()) | Err(StripeError::Refused(_) | StripeError::Spent { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                Some(moved.from.clone())
            }
            // By another machine, which may not have recorded it; or it has been told since to be elsewhere still.
            address => address,
        };
        if let Some(place) = address.and_then(|address| address.place()) {
            let recorded = self.store.record_connected_buyer(buyer, customer, Some(&place));
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
