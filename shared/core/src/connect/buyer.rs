//! Clients of agencies as those who pay.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::order::Tax;
use super::place::{Place, PostalCode};
use crate::contact::Country;
use crate::id::{ClientId, ConnectedAccountId, CustomerId};

/// A client as a connected account knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// On which account.
    pub account: ConnectedAccountId,
    /// Who.
    pub client: ClientId,
    /// Counts the writes that a decision could rest on.
    pub version: u64,
    /// The client's one customer there, once its creation is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// When Stripe was first asked for that customer: from then on it may exist without our knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_asked_at: Option<Timestamp>,
    /// How many customers it had there before and lost: an operator deleted them. Names the next one's creation.
    #[serde(default)]
    pub lost_customers: u64,
    /// How many sales were ever begun; the number of the latest.
    #[serde(default)]
    pub sales: u64,
    /// The country that Stripe was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The postal code there that Stripe was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<PostalCode>,
}

impl Buyer {
    /// Where Stripe was last told that it is.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let country = self.country.clone()?;
        Some(Place {
            country,
            postal_code: self.postal_code.clone(),
        })
    }

    /// Where these tax settings say that it is, a postal code alone being one of the country that is known; none where they do not.
    #[must_use]
    pub fn placed(&self, tax: Option<&Tax>) -> Option<Place> {
        tax?.clone().placed(self.country.as_ref()).place()
    }

    /// Where it is once Stripe has been told that it is at that place.
    #[must_use]
    pub fn told(&self, place: &Place) -> Place {
        match self.place() {
            Some(known) => known.told(place),
            None => place.clone(),
        }
    }
}
