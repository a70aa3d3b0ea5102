//! The customer of a client on a connected account: created once.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::connect::Client;
use billing_core::connect::amendment::Amendment;
use billing_core::connect::order::Tax;
use billing_core::connect::sale::Sale;
use billing_core::id::{AgencyId, ClientId, CustomerId};
use serde::Deserialize;
use stripe_client_core::StripeRequest;
use stripe_core::customer::{CreateCustomer, OptionalFieldsCustomerAddress, UpdateCustomer};

use super::Connected;
use super::schedules::step_key;
use crate::error::StripeError;
use crate::wire::id;

/// The metadata member by which an object on a connected account names its client.
pub(super) const CLIENT: &str = "client";

#[derive(Deserialize)]
struct Customer {
    id: String,
}

impl Connected {
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

    /// Tells Stripe where a client is; without a country there is nothing to tell.
    pub async fn locate_buyer(&self, customer: &CustomerId, tax: &Tax, key: &str) -> Result<(), StripeError> {
        let Some(country) = &tax.country else {
            return Ok(());
        };
        let address = OptionalFieldsCustomerAddress {
            country: Some(country.as_str().to_owned()),
            postal_code: tax.postal_code.as_ref().map(|code| code.as_str().to_owned()),
            ..OptionalFieldsCustomerAddress::new()
        };
        let request = UpdateCustomer::new(customer.as_str()).address(address);
        let _customer: Customer = self.stripe.post(request.build(), key).await?;
        Ok(())
    }

    /// The same as part of an amendment.
    pub async fn locate_amended(
        &self,
        customer: &CustomerId,
        sale: &Sale,
        amendment: &Amendment,
    ) -> Result<(), StripeError> {
        match &amendment.difference.tax {
            Some(tax) => {
                let key = step_key(sale, amendment, "address");
                self.locate_buyer(customer, tax, &key).await
            }
            None => Ok(()),
        }
    }
}
