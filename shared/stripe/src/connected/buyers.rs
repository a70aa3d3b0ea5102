//! The customer of a client on a connected account: created once.

use std::collections::{BTreeMap, HashMap};

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::connect::Client;
use billing_core::connect::amendment::Amendment;
use billing_core::connect::place::Address;
use billing_core::connect::sale::Sale;
use billing_core::id::{AgencyId, ClientId, CustomerId};
use billing_core::money::Currency;
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::customer::{CreateCustomer, RetrieveCustomer};

use super::schedules::step_key;
use super::{Connected, found};
use crate::error::StripeError;
use crate::wire::{currency, id};

/// The metadata member by which an object on a connected account names its client.
pub(super) const CLIENT: &str = "client";

#[derive(Deserialize)]
struct Customer {
    id: String,
}

#[derive(Deserialize, Default)]
struct Located {
    #[serde(default)]
    address: Option<Address>,
    #[serde(default)]
    currency: Option<String>,
}

/// What a connected account has of a client's customer.
#[derive(Debug)]
pub struct BuyerThere {
    /// Where it is, as far as that is known.
    pub address: Option<Address>,
    /// What it pays in, once it has been billed.
    pub currency: Option<Currency>,
}

#[derive(Serialize)]
struct Whereabouts<'a> {
    address: BTreeMap<&'static str, &'a str>,
}

impl Connected {
    /// What the account has of a customer; nothing of one that was deleted, or that it does not have.
    pub async fn buyer(&self, customer: &CustomerId) -> Result<BuyerThere, StripeError> {
        let request = RetrieveCustomer::new(customer.as_str()).build();
        let wire: Located = found(self.stripe.get(request).await)?.unwrap_or_default();
        let code = wire.currency.as_deref();
        Ok(BuyerThere {
            address: wire.address.map(Address::of_what_is_said),
            currency: code.map(|code| currency(code, "a customer")).transpose()?,
        })
    }

    /// Tells Stripe where a customer is: all of it, as Stripe keeps nothing of an address of which another part is told.
    pub async fn locate_buyer(
        &self,
        customer: &CustomerId,
        address: &Address,
        key: &str,
    ) -> Result<(), StripeError> {
        let members = [
            ("line1", &address.line1),
            ("line2", &address.line2),
            ("city", &address.city),
            ("state", &address.state),
            ("postal_code", &address.postal_code),
            ("country", &address.country),
        ];
        // What it does not say is unset. In one order: under its key a request is always the same.
        let said = members.into_iter();
        let form = Whereabouts {
            address: said
                .map(|(name, said)| (name, said.as_deref().unwrap_or_default()))
                .collect(),
        };
        let path = format!("/customers/{customer}");
        let request = RequestBuilder::new(StripeMethod::Post, path).form(&form);
        let _customer: Customer = self.stripe.post(request, key).await?;
        Ok(())
    }

    /// The key under which Stripe is told where a customer is by an amendment.
    #[must_use]
    pub fn key_to_locate(sale: &Sale, amendment: &Amendment) -> String {
        step_key(sale, amendment, "address")
    }

    /// The key under which a customer is put back that was moved by an amendment which comes to nothing.
    #[must_use]
    pub fn key_to_put_back(sale: &Sale, amendment: &Amendment) -> String {
        step_key(sale, amendment, "address-back")
    }

    /// Creates the customer of a client. Safe to repeat under the same key for as long as Stripe keeps it; after that,
    /// [`Connected::find_buyer`] tells whether it exists. `_owner` witnesses that nobody is being impersonated.
    pub async fn create_buyer(
        &self,
        _owner: &Owner<AgencyId>,
        client: &Client,
        key: &str,
    ) -> Result<CustomerId, StripeError> {
        let mut request =
            CreateCustomer::new().metadata(HashMap::from([(CLIENT.to_owned(), client.id.to_string())]));
        if let Some(name) = &client.name {
            request = request.name(name.as_str());
        }
        if let Some(email) = &client.admin_email {
            request = request.email(email.as_str());
        }
        let customer: Customer = self.stripe.post(request.build(), key).await?;
        id(&customer.id, "a customer")
    }

    /// The client's customer among those created from this instant on, the oldest first.
    pub async fn find_buyer(
        &self,
        client: &ClientId,
        from: Timestamp,
    ) -> Result<Option<CustomerId>, StripeError> {
        self.stripe.customer_naming((CLIENT, client.as_str()), from).await
    }
}
