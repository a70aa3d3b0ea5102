//! Customers of organisations: made once, with the payment method that they pay by.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::contact::{Address, Country, Email, Name};
use billing_core::id::{BuyerId, CustomerId, OrganisationId, PaymentMethodId};
use billing_core::payer::MethodKind;
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::customer::{CreateCustomer, OptionalFieldsCustomerAddress, RetrieveCustomer};

use crate::client::Stripe;
use crate::error::{Refusal, StripeError};
use crate::payers::Method;
use crate::wire::{Reference, id};

/// The metadata member by which a customer at Stripe names whose it is: `<organisation>/<customer>`.
const BUYER: &str = "buyer";

/// A customer of an organisation's to be made at Stripe.
#[derive(Debug)]
pub struct NewBuyer<'a> {
    /// Whose customer.
    pub organisation: &'a OrganisationId,
    /// Which.
    pub buyer: &'a BuyerId,
    /// How many it has lost. Names its creation.
    pub lost: u64,
    /// For people.
    pub name: &'a Name,
    /// Where receipts go.
    pub email: Option<&'a Email>,
    /// Where they are.
    pub address: Option<&'a Address>,
}

/// A payment method that is a customer's.
#[derive(Debug)]
pub struct AttachedMethod {
    /// Its id; of one of Stripe's test methods another than the one that was given.
    pub id: PaymentMethodId,
    /// Its kind, as far as it matters here.
    pub kind: Option<MethodKind>,
}

#[derive(Deserialize)]
struct Customer {
    id: String,
    invoice_settings: Option<Settings>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct Settings {
    default_payment_method: Option<Reference>,
}

impl NewBuyer<'_> {
    fn named(&self) -> String {
        format!("{}/{}", self.organisation, self.buyer)
    }
}

impl Stripe {
    /// Makes the customer. Safe to repeat for as long as Stripe keeps the key (a day at least); after that,
    /// [`Stripe::find_buyer`] tells whether it exists.
    pub async fn create_buyer(&self, new: &NewBuyer<'_>) -> Result<CustomerId, StripeError> {
        let mut request = CreateCustomer::new()
            .name(new.name.as_str())
            .metadata(HashMap::from([(BUYER.to_owned(), new.named())]));
        if let Some(email) = new.email {
            request = request.email(email.as_str());
        }
        if let Some(address) = new.address {
            let text = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
            request = request.address(OptionalFieldsCustomerAddress {
                city: text(&address.city),
                country: address.country.as_ref().map(Country::as_str).map(str::to_owned),
                line1: text(&address.line1),
                line2: text(&address.line2),
                postal_code: text(&address.postal_code),
                state: text(&address.state),
            });
        }
        let key = format!("buyer/{}/{}", new.named(), new.lost);
        let customer: Customer = self.post(request.build(), &key).await?;
        id(&customer.id, "a customer")
    }

    /// The customer that was made for an organisation's among those made from this instant on, the oldest first.
    pub async fn find_buyer(
        &self,
        new: &NewBuyer<'_>,
        from: Timestamp,
    ) -> Result<Option<CustomerId>, StripeError> {
        self.customer_naming((BUYER, &new.named()), from).await
    }

    /// What a customer pays by when nothing else is said. One that was deleted is refused as it would be anywhere else.
    pub async fn default_payment_method(
        &self,
        customer: &CustomerId,
    ) -> Result<Option<PaymentMethodId>, StripeError> {
        let read: Customer = self.get(RetrieveCustomer::new(customer.as_str()).build()).await?;
        if read.deleted {
            return Err(StripeError::Refused(Refusal::missing("customer")));
        }
        read.invoice_settings
            .and_then(|settings| settings.default_payment_method)
            .map(|method| id(&method.0, "a payment method"))
            .transpose()
    }

    /// Gives a payment method to a customer; giving it again changes nothing: what Stripe makes of that it does not say, so one that it
    /// refuses, or has refused under this key, is read, and is given when it is the customer's.
    pub async fn attach_payment_method(
        &self,
        method: &PaymentMethodId,
        customer: &CustomerId,
        key: &str,
    ) -> Result<AttachedMethod, StripeError> {
        #[derive(Serialize)]
        struct To<'a> {
            customer: &'a str,
        }
        let form = To {
            customer: customer.as_str(),
        };
        let path = format!("/payment_methods/{method}/attach");
        let request = RequestBuilder::new(StripeMethod::Post, path).form(&form);
        let attached: Method = match self.post(request, &format!("{key}/attach")).await {
            // Of a card that the bank refuses there is nothing to learn.
            Err(StripeError::Refused(refusal)) if refusal.is_declined() => {
                return Err(StripeError::Refused(refusal));
            }
            Err(error @ (StripeError::Refused(_) | StripeError::Spent { .. })) => {
                self.own_method(method, customer).await?.ok_or(error)?
            }
            answer => answer?,
        };
        Ok(AttachedMethod {
            id: id(&attached.id, "a payment method")?,
            kind: attached.kind,
        })
    }

    /// A payment method that is the customer's; none for another's, nobody's, or one that is not there.
    async fn own_method(
        &self,
        method: &PaymentMethodId,
        customer: &CustomerId,
    ) -> Result<Option<Method>, StripeError> {
        #[derive(Deserialize)]
        struct Owned {
            customer: Option<Reference>,
            #[serde(flatten)]
            method: Method,
        }
        let path = format!("/payment_methods/{method}");
        let request = RequestBuilder::new(StripeMethod::Get, path);
        match self.get::<Owned>(request).await {
            Ok(read) => {
                let is_own = read.customer.is_some_and(|owner| owner.0 == customer.as_str());
                Ok(is_own.then_some(read.method))
            }
            Err(StripeError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
