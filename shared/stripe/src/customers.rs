//! Customers: one for each account, created once.

use std::collections::HashMap;

use billing_core::Timestamp;
use billing_core::contact::{Contact, Email, Name};
use billing_core::id::{AccountId, CustomerId};
use serde::Deserialize;
use stripe_client_core::StripeRequest;
use stripe_core::customer::{CreateCustomer, ListCustomer, RetrieveCustomer, UpdateCustomer};
use stripe_types::RangeQueryTs;

use crate::client::Stripe;
use crate::error::{StripeError, known};
use crate::pages::Listed;
use crate::wire::id;

/// The metadata member by which an object at Stripe names its account.
pub(crate) const ACCOUNT: &str = "account";

/// A customer to be created.
#[derive(Debug)]
pub struct NewCustomer<'a> {
    /// Whose it is; kept in its metadata.
    pub account: &'a AccountId,
    /// For people.
    pub name: Option<&'a Name>,
    /// Where receipts go.
    pub email: Option<&'a Email>,
}

#[derive(Deserialize)]
struct Customer {
    id: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

impl Listed for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// Creates a customer. Safe to repeat under the same key for as long as Stripe keeps it (a day at least); after that,
    /// [`Stripe::find_customer`] tells whether it exists.
    pub async fn create_customer(&self, new: &NewCustomer<'_>, key: &str) -> Result<CustomerId, StripeError> {
        let mut request =
            CreateCustomer::new().metadata(HashMap::from([(ACCOUNT.to_owned(), new.account.to_string())]));
        if let Some(name) = new.name {
            request = request.name(name.as_str());
        }
        if let Some(email) = new.email {
            request = request.email(email.as_str());
        }
        let customer: Customer = self.post(request.build(), key).await?;
        id(&customer.id, "a customer")
    }

    /// Gives a customer another name, another e-mail address, or both; what is none stays as Stripe has it. Invoices that are there keep
    /// what they were made with. Repeating it changes nothing; the key is another one for other words.
    pub async fn update_customer(
        &self,
        customer: &CustomerId,
        contact: &Contact,
        key: &str,
    ) -> Result<(), StripeError> {
        let mut request = UpdateCustomer::new(customer.as_str());
        if let Some(name) = &contact.name {
            request = request.name(name.as_str());
        }
        if let Some(email) = &contact.email {
            request = request.email(email.as_str());
        }
        let _customer: Customer = self.post(request.build(), key).await?;
        Ok(())
    }

    /// Whether Stripe has this customer, of which it keeps a trace when it was deleted. Another Stripe account has it not, nor has the
    /// other mode, nor a test mode whose data was erased.
    pub async fn knows_customer(&self, customer: &CustomerId) -> Result<bool, StripeError> {
        let found: Result<Customer, _> = self.get(RetrieveCustomer::new(customer.as_str()).build()).await;
        known(found)
    }

    /// The account's customer among those created from this instant on, the oldest first.
    pub async fn find_customer(
        &self,
        account: &AccountId,
        from: Timestamp,
    ) -> Result<Option<CustomerId>, StripeError> {
        self.customer_naming((ACCOUNT, account.as_str()), from).await
    }

    /// The customer whose metadata has this member, among those created from this instant on, the oldest first. Reads a list, which
    /// Stripe keeps up to date at once, and not the search index, which lags.
    pub(crate) async fn customer_naming(
        &self,
        (member, value): (&str, &str),
        from: Timestamp,
    ) -> Result<Option<CustomerId>, StripeError> {
        let own = |customer: &&Customer| customer.metadata.get(member).is_some_and(|named| named == value);
        let list = ListCustomer::new().created(RangeQueryTs::gte(from.as_second()));
        let mut pages = self.pages::<Customer>(list.build());
        let mut found = None;
        while let Some(page) = pages.next().await? {
            // Newest first: the last match is the oldest.
            if let Some(customer) = page.iter().rfind(own) {
                found = Some(id(&customer.id, "a customer")?);
            }
        }
        Ok(found)
    }
}
