//! Checkout sessions: made for a reservation, asked about, made unpayable.

use std::collections::HashMap;
use std::fmt;

use billing_core::Timestamp;
use billing_core::access::Owner;
use billing_core::checkout::{Intent, OpenSession, Reservation};
use billing_core::id::{AccountId, CustomerId, SessionId, SubscriptionId};
use serde::Deserialize;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAdaptivePricing, CreateCheckoutSessionAutomaticTax,
    CreateCheckoutSessionCustomerUpdate, CreateCheckoutSessionCustomerUpdateAddress,
    CreateCheckoutSessionCustomerUpdateName, CreateCheckoutSessionLineItems,
    CreateCheckoutSessionSubscriptionData, CreateCheckoutSessionTaxIdCollection, ExpireCheckoutSession,
    ListCheckoutSession, RetrieveCheckoutSession,
};
use stripe_client_core::StripeRequest;
use stripe_shared::{CheckoutSessionMode, CheckoutSessionStatus, CheckoutSessionUiMode};

use crate::billing_mode::BillingMode;
use crate::client::Stripe;
use crate::customers::ACCOUNT;
use crate::error::{StripeError, unless_missing};
use crate::pages::Page;
use crate::wire::{Reference, at, id};

/// The metadata member by which a session names the reservation that it was made for.
const CHECKOUT: &str = "checkout";

/// A session to be created.
#[derive(Debug)]
pub struct NewCheckoutSession<'a> {
    /// Who asked for it: the customer itself, and nobody acting in its name.
    pub owner: &'a Owner,
    /// Whose it is, and what for.
    pub reservation: &'a Reservation,
    /// Who pays.
    pub customer: &'a CustomerId,
    /// What its page does.
    pub page: CheckoutPage,
}

/// What the page of a session does beside taking the payment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckoutPage {
    /// It takes promotion codes.
    pub promotion_codes: bool,
    /// Stripe works out the tax, by the address and the tax id that the payer gives there; the subscription's later bills have it too.
    pub automatic_tax: bool,
}

/// Whether a session can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// It can.
    Open,
    /// It went through; its payment may still be under way.
    Complete,
    /// It never will.
    Expired,
}

impl SessionStatus {
    /// Stripe's word.
    pub(crate) fn read(word: Option<&str>) -> Result<Self, StripeError> {
        match word {
            Some("open") => Ok(Self::Open),
            Some("complete") => Ok(Self::Complete),
            Some("expired") => Ok(Self::Expired),
            other => Err(StripeError::Unexpected {
                reason: format!("a checkout session is {other:?}"),
            }),
        }
    }
}

/// A checkout session of an account as Stripe has it. Its client secret does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckoutSession {
    /// Stripe's id.
    pub id: SessionId,
    /// Whether it can be paid.
    pub status: SessionStatus,
    /// What opens the embedded page; none once it is over.
    pub client_secret: Option<String>,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// Who pays.
    pub customer: Option<CustomerId>,
    /// Whether somebody deleted who pays; told only of a session that is read.
    pub is_customer_deleted: bool,
    /// The subscription that it became.
    pub subscription: Option<SubscriptionId>,
    /// The account that it was made for; none for a session that is not ours.
    pub account: Option<AccountId>,
    /// The number of the reservation that it was made for; none for a session that is not ours.
    pub number: Option<u64>,
}

impl fmt::Debug for CheckoutSession {
    /// Without the client secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CheckoutSession")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    status: Option<String>,
    client_secret: Option<String>,
    expires_at: i64,
    customer: Option<Payer>,
    subscription: Option<Reference>,
    client_reference_id: Option<String>,
    #[serde(default)]
    metadata: Option<HashMap<String, String>>,
}

/// The customer of a session: its id, or as much of it as says that it is there, when it was expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Payer {
    Id(String),
    Whole {
        id: String,
        #[serde(default)]
        deleted: bool,
    },
}

impl TryFrom<Wire> for CheckoutSession {
    type Error = StripeError;

    fn try_from(wire: Wire) -> Result<Self, StripeError> {
        let status = SessionStatus::read(wire.status.as_deref())?;
        let metadata = wire.metadata.unwrap_or_default();
        let number = metadata.get(CHECKOUT).and_then(|number| number.parse().ok());
        // The reference alone is anybody's word: whoever follows a payment link on the same Stripe account names in its address what he
        // likes. Metadata is written with the secret key.
        let account = wire.client_reference_id.filter(|_| number.is_some());
        let (customer, is_customer_deleted) = match wire.customer {
            None => (None, false),
            Some(Payer::Id(id)) => (Some(id), false),
            Some(Payer::Whole { id, deleted }) => (Some(id), deleted),
        };
        Ok(Self {
            id: id(&wire.id, "a checkout session")?,
            status,
            client_secret: wire.client_secret,
            expires_at: at(wire.expires_at, "the expiry of a checkout session")?,
            customer: customer.and_then(|id| id.parse().ok()),
            is_customer_deleted,
            subscription: wire
                .subscription
                .map(|reference| id(&reference.0, "a subscription"))
                .transpose()?,
            account: account.and_then(|account| account.parse().ok()),
            number,
        })
    }
}

impl CheckoutSession {
    /// What the payer is shown, if the session can be paid.
    #[must_use]
    pub fn open(&self) -> Option<OpenSession> {
        match (self.status, &self.client_secret) {
            (SessionStatus::Open, Some(client_secret)) => Some(OpenSession {
                id: self.id.clone(),
                client_secret: client_secret.clone(),
            }),
            _ => None,
        }
    }
}

/// A payer abroad is asked for what was quoted, in the currency it was quoted in. Stripe would convert it at a rate of its own with a fee in it,
/// at each renewal anew, where the account is set to that (*Adaptive Pricing*) and a session does not say otherwise.
pub(crate) fn as_quoted() -> CreateCheckoutSessionAdaptivePricing {
    let mut pricing = CreateCheckoutSessionAdaptivePricing::new();
    pricing.enabled = Some(false);
    pricing
}

impl Stripe {
    /// Creates the embedded session of a reservation. The key is the reservation's number: repeating answers the same session, as it is by
    /// then. It is over where the number was used before, by an account that was restored from a backup since.
    /// `expires_at` is left out, because clocks differ; Stripe's default is a day.
    pub async fn create_checkout_session(
        &self,
        new: &NewCheckoutSession<'_>,
    ) -> Result<CheckoutSession, StripeError> {
        let Reservation {
            account,
            number,
            intent,
            ..
        } = new.reservation;
        let Intent {
            price,
            quantity,
            return_url,
            ..
        } = intent;
        // One member each: a body must be the same whenever it is built again, and a map of several has no order.
        let of_account = HashMap::from([(ACCOUNT.to_owned(), account.to_string())]);
        let of_checkout = HashMap::from([(CHECKOUT.to_owned(), number.to_string())]);
        let mut request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Subscription)
            .ui_mode(CheckoutSessionUiMode::EmbeddedPage)
            .customer(new.customer.as_str())
            .client_reference_id(account.as_str())
            .return_url(return_url.as_str())
            .adaptive_pricing(as_quoted())
            .line_items(vec![CreateCheckoutSessionLineItems {
                price: Some(price.to_string()),
                quantity: Some(*quantity),
                ..CreateCheckoutSessionLineItems::new()
            }])
            .subscription_data(CreateCheckoutSessionSubscriptionData {
                billing_mode: Some(BillingMode::Classic.into()),
                metadata: Some(of_account),
                ..CreateCheckoutSessionSubscriptionData::new()
            })
            .metadata(of_checkout);
        if new.page.promotion_codes {
            request = request.allow_promotion_codes(true);
        }
        if new.page.automatic_tax {
            // Stripe takes neither of a customer that there is unless it may write down what the payer gives.
            request = request
                .automatic_tax(CreateCheckoutSessionAutomaticTax::new(true))
                .tax_id_collection(CreateCheckoutSessionTaxIdCollection::new(true))
                .customer_update(CreateCheckoutSessionCustomerUpdate {
                    address: Some(CreateCheckoutSessionCustomerUpdateAddress::Auto),
                    name: Some(CreateCheckoutSessionCustomerUpdateName::Auto),
                    ..CreateCheckoutSessionCustomerUpdate::new()
                });
        }
        let answer = self
            .answer::<Wire>(request.build(), &format!("checkout/{account}/{number}"))
            .await?;
        let told: CheckoutSession = answer.says.try_into()?;
        match answer.is_replayed {
            // It says that it can be paid, whatever has become of it.
            true => self.checkout_session(&told.id).await,
            false => Ok(told),
        }
    }

    /// A session as it is now, and whether its customer is there.
    pub async fn checkout_session(&self, id: &SessionId) -> Result<CheckoutSession, StripeError> {
        let wire: Wire = self
            .get(
                RetrieveCheckoutSession::new(id.as_str())
                    .expand(vec!["customer".to_owned()])
                    .build(),
            )
            .await?;
        wire.try_into()
    }

    /// The sessions of a customer that can be paid, the newest first: a hundred at most, which are more than are started at once. None of one
    /// that is not there.
    pub async fn open_checkout_sessions(
        &self,
        customer: &CustomerId,
    ) -> Result<Vec<CheckoutSession>, StripeError> {
        let request = ListCheckoutSession::new()
            .customer(customer.as_str())
            .status(CheckoutSessionStatus::Open)
            .limit(100);
        let found = unless_missing(self.get(request.build()).await, "customer")?;
        let page: Page<Wire> = found.unwrap_or_default();
        page.data.into_iter().map(TryInto::try_into).collect()
    }

    /// Makes a session unpayable, and answers what it is afterwards: expired, or complete when the payer was faster.
    pub async fn expire_checkout_session(&self, id: &SessionId) -> Result<CheckoutSession, StripeError> {
        let request = || ExpireCheckoutSession::new(id.as_str()).build();
        match self.post_at_last::<Wire>(request, &format!("expire/{id}")).await {
            Ok(wire) => wire.try_into(),
            // Stripe expires open sessions only. What this one is now it tells.
            Err(StripeError::Refused(_) | StripeError::Spent { .. }) => self.checkout_session(id).await,
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_an_open_session_is_shown_to_a_payer() {
        for (status, shown) in [("open", true), ("complete", false), ("expired", false)] {
            let wire = json!({
                "id": "cs_1", "status": status, "client_secret": "cs_1_secret_x", "expires_at": 1000, "customer": null,
                "metadata": null,
            });
            let session: CheckoutSession = serde_json::from_value::<Wire>(wire).unwrap().try_into().unwrap();
            assert_eq!(session.open().is_some(), shown, "{status}");
        }
    }
}
