//! The client's one customer on a connected account.
//!
//! # If it fails half-way
//! As with an account's: its creation is repeated under one idempotency key for as long as Stripe surely keeps it; after that,
//! Stripe is asked whether the customer exists before another is made.
//!
//! A client that was told to be elsewhere for an order that comes to nothing is put back: what runs is taxed where it was. Where that is is written
//! into the sale before, so that whoever orders the same does it when the machine dies between the two. See [`billing_core::connect::place`].

use billing_core::access::Owner;
use billing_core::asked;
use billing_core::connect::Client;
use billing_core::connect::buyer::Buyer;
use billing_core::connect::place::{Address, Moved, Place, Whereabouts};
use billing_core::connect::sale::Sale;
use billing_core::id::{AgencyId, CustomerId};
use billing_store::unless_conflict;
use billing_stripe::{Connected, StripeError};

use crate::call::Call;
use crate::problem::Problem;

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
    /// What there is to tell of where it is.
    pub whereabouts: &'a Whereabouts,
    /// The idempotency key under which Stripe is told that.
    pub address_key: &'a str,
}

/// A client that is to be where it was before it was told to be elsewhere for a sale, or for an amendment of it.
#[derive(Debug, Clone, Copy)]
pub struct PutBack<'a> {
    /// What was sold.
    pub sale: &'a Sale,
    /// The customer that was told.
    pub customer: &'a CustomerId,
    /// Where it was, and where it was told to be.
    pub moved: &'a Moved,
    /// The idempotency key under which Stripe is told that it is back.
    pub key: &'a str,
}

impl Call<'_> {
    /// The client's customer, told where it is. One that is new is recorded with that; of any other it is recorded when something has come of
    /// the sale ([`Call::record_place`]).
    pub async fn buyers_customer(
        &self,
        owner: &Owner<AgencyId>,
        stripe: &Connected,
        paying: &Paying<'_>,
    ) -> Result<Payer, Problem> {
        let Paying {
            buyer,
            whereabouts,
            address_key,
            ..
        } = *paying;
        let Some(customer) = self.made(owner, stripe, paying).await? else {
            unless_conflict(self.store.forget_connected_buyer(buyer, self.now).await)?;
            return Ok(Payer::Overtaken);
        };
        if let Some(address) = &whereabouts.address {
            match stripe.locate_buyer(&customer, address, address_key).await {
                Ok(()) => {}
                Err(error @ (StripeError::Refused(_) | StripeError::Spent { .. })) => {
                    return Ok(Payer::Unlocated(error));
                }
                Err(error) => return Err(super::refused(error, &super::Fields::NONE)),
            }
        }
        if buyer.customer.is_none() {
            let place = whereabouts.place.as_ref();
            let recorded = self.store.record_connected_buyer(buyer, &customer, place);
            let recorded = unless_conflict(recorded.await)?;
            return Ok(recorded.map_or(Payer::Overtaken, |()| Payer::Is(customer)));
        }
        Ok(Payer::Is(customer))
    }

    /// The client of a sale as one who pays.
    pub async fn buyer_of(&self, sale: &Sale) -> Result<Option<Buyer>, Problem> {
        let buyer = self.store.connected_buyer(&sale.account, &sale.order.client);
        Ok(buyer.await?)
    }

    /// Where Stripe has a customer; nowhere where it has not said.
    pub async fn address_of(&self, stripe: &Connected, customer: &CustomerId) -> Result<Address, Problem> {
        let there = stripe.buyer(customer).await;
        let there = there.map_err(|error| super::refused(error, &super::Fields::NONE))?;
        Ok(there.address.unwrap_or_default())
    }

    /// What there is to tell of where the client of a sale is that is written down.
    pub async fn whereabouts_of(
        &self,
        stripe: &Connected,
        buyer: &Buyer,
        sale: &Sale,
    ) -> Result<Whereabouts, Problem> {
        let Some(place) = buyer.placed(sale.order.tax.as_ref()) else {
            return Ok(Whereabouts::default());
        };
        let Some(customer) = &buyer.customer else {
            // One that is just being made.
            return Ok(Whereabouts::of(&Address::default(), &place));
        };
        let there = self.address_of(stripe, customer).await?;
        Ok(match &sale.moved {
            Some(moved) => Whereabouts::again(&there, moved.clone()),
            None => Whereabouts::at_last(&there, &place),
        })
    }

    /// Where a client is is not where it is recorded to be, and it is to be told just that: corrected before, so that it is recorded there
    /// only when something has come of it. Whether anything was to correct.
    pub async fn correct_place(
        &self,
        buyer: &Buyer,
        customer: &CustomerId,
        moved: &Moved,
    ) -> Result<bool, Problem> {
        let Some(from) = moved
            .from
            .place()
            .filter(|_| moved.is_known(buyer.place().as_ref()))
        else {
            return Ok(false);
        };
        let corrected = self.store.record_connected_buyer(buyer, customer, Some(&from));
        unless_conflict(corrected.await)?;
        Ok(true)
    }

    /// Records where a client is, once something has come of what it was told for: for its next order, and for taxes that are switched on later.
    pub async fn record_place(
        &self,
        buyer: &Buyer,
        customer: &CustomerId,
        place: &Place,
    ) -> Result<(), Problem> {
        let told = buyer.told(place);
        // A buyer with another customer by now is told by its next order.
        let recorded = self.store.record_connected_buyer(buyer, customer, Some(&told));
        unless_conflict(recorded.await)?;
        Ok(())
    }

    /// The same of a sale that something has come of without its maker: where its client is, if that is where the order says.
    pub async fn record_place_of(&self, sale: &Sale) -> Result<(), Problem> {
        if sale.order.tax.is_none() {
            return Ok(());
        }
        let Some(buyer) = self.buyer_of(sale).await? else {
            return Ok(());
        };
        let stripe = self.stripe_of(&sale.account).await?;
        let whereabouts = self.whereabouts_of(&stripe, &buyer, sale).await?;
        match (&buyer.customer, whereabouts.known()) {
            (Some(customer), Some(place)) => self.record_place(&buyer, customer, place).await,
            _ => Ok(()),
        }
    }

    /// Has a client be where it was, after all, unless it has been told since to be elsewhere still, or is recorded to be there: then something
    /// has come of being told. Safe to repeat under the same key.
    pub async fn put_back(
        &self,
        stripe: &Connected,
        PutBack {
            sale,
            customer,
            moved,
            key,
        }: &PutBack<'_>,
    ) -> Result<(), Problem> {
        let (buyer, there) = tokio::try_join!(self.buyer_of(sale), self.address_of(stripe, customer))?;
        let Some(buyer) = buyer.filter(|buyer| !moved.is_known(buyer.place().as_ref())) else {
            return Ok(());
        };
        let place = if moved.is_done(&there) {
            match stripe.locate_buyer(customer, &moved.from, key).await {
                // What Stripe does not take it has never had.
                Ok(()) | Err(StripeError::Refused(_) | StripeError::Spent { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            moved.from.place()
        } else {
            // By another machine, which may not have recorded it; or it has been told since to be elsewhere still.
            there.place()
        };
        if let Some(place) = place {
            let recorded = self.store.record_connected_buyer(&buyer, customer, Some(&place));
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
