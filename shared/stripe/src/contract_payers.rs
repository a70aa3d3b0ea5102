//! What a contract's subscription is paid by.

use billing_core::id::{PaymentMethodId, SubscriptionId};
use billing_core::sale::{Replaced, Sale};
use serde::de::IgnoredAny;
use stripe_billing::subscription::UpdateSubscription;
use stripe_client_core::{RequestBuilder, StripeRequest};

use crate::client::Stripe;
use crate::contracts::key;
use crate::error::StripeError;

impl Stripe {
    /// From now on a contract's subscription is paid by this method.
    pub async fn pay_contract_by(
        &self,
        subscription: &SubscriptionId,
        method: &PaymentMethodId,
        sale: &Sale,
    ) -> Result<(), StripeError> {
        let key = format!("{}/method", key(sale));
        // Once: a sale that is asked again may find that somebody has set another since.
        let request = set_payer(subscription, method.as_str());
        self.post::<IgnoredAny>(request, &key).await.map(|_| ())
    }

    /// A contract's subscription is paid again by what paid it before a sale. Where that is not there any more, the customer's own pays,
    /// as it does when a payment method is deleted.
    pub async fn pay_contract_as_before(
        &self,
        subscription: &SubscriptionId,
        replaced: &Replaced,
        sale: &Sale,
    ) -> Result<(), StripeError> {
        let earlier = replaced.earlier.as_ref().map_or("", PaymentMethodId::as_str);
        match self
            .set_payer_at_last(subscription, earlier, &format!("{}/method/back", key(sale)))
            .await
        {
            // An empty string unsets it. Source: Stripe, "Updating a subscription".
            Err(StripeError::Refused(_)) if !earlier.is_empty() => {
                self.set_payer_at_last(subscription, "", &format!("{}/method/none", key(sale)))
                    .await
            }
            answer => answer,
        }
    }

    async fn set_payer_at_last(
        &self,
        subscription: &SubscriptionId,
        method: &str,
        key: &str,
    ) -> Result<(), StripeError> {
        let set = self.post_at_last::<IgnoredAny>(|| set_payer(subscription, method), key);
        set.await.map(|_| ())
    }
}

fn set_payer(subscription: &SubscriptionId, method: &str) -> RequestBuilder {
    UpdateSubscription::new(subscription.as_str())
        .default_payment_method(method)
        .build()
}
