//! Customers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::row;
use super::{Currency, Metadata};
use crate::id::{CustomerId, PaymentMethodId, TestClockId};

/// A customer. Deleted ones stay as a mark, as they do at Stripe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    pub(crate) created: Timestamp,
    pub(crate) deleted: bool,
    /// The clock that the customer lives by, if it is not the stack's.
    pub(crate) test_clock: Option<TestClockId>,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) address: Option<Address>,
    pub(crate) metadata: Metadata,
    /// Set by the first invoice; from then on every subscription must be in it.
    pub(crate) currency: Option<Currency>,
    /// Negative: credit the customer has; positive: what is added to the next invoice.
    pub(crate) balance: i64,
    pub(crate) delinquent: bool,
    /// Starts the numbers of the customer's invoices.
    pub(crate) invoice_prefix: String,
    pub(crate) next_invoice_sequence: u64,
    /// What invoices are paid with unless the subscription says otherwise.
    pub(crate) default_payment_method: Option<PaymentMethodId>,
}

row!(Customer, CustomerId, "customer");

impl Customer {
    /// Whether Stripe knows where they are taxed: a country will do, in the United States with a postal code.
    pub(crate) fn is_located(&self) -> bool {
        let located = |address: &Address| match address.country.as_deref() {
            Some("US") => address.postal_code.is_some(),
            country => country.is_some(),
        };
        self.address.as_ref().is_some_and(located)
    }
}

/// A postal address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) city: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) line1: Option<String>,
    pub(crate) line2: Option<String>,
    pub(crate) postal_code: Option<String>,
    pub(crate) state: Option<String>,
}
