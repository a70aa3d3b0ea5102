//! What a contract is paid by after a sale.
//!
//! # How it works
//! A payment method that was named for an amendment is its subscription's before Stripe is asked for the change, since nothing else
//! would be charged. Before the sale is over, what paid before is put back, unless the named one has paid. What an operator has set in the
//! meantime stays.
//!
//! # If it fails half-way
//! The earlier method is written into the sale before it is replaced, and the sale stays in the contract until this is done: whoever comes
//! next does it under the same keys.

use billing_core::contract::{Fate, Read};
use billing_core::sale::Sale;
use billing_stripe::StripeError;

use crate::call::Call;
use crate::problem::Problem;

impl Call<'_> {
    /// Puts back what paid before a sale, where the sale is about to be over and something else than the named method has paid, or
    /// nothing. What Stripe has then.
    pub(crate) async fn settle_payer(&self, sale: &Sale, read: Read, fate: &Fate) -> Result<Read, Problem> {
        let is_over = match fate {
            Fate::Over => true,
            Fate::TookEffect => self.is_paid_by_another(sale, &read).await?,
            Fate::Open | Fate::Waits(_) | Fate::TooLate => false,
        };
        if is_over {
            self.put_payer_back(sale, read).await
        } else {
            Ok(read)
        }
    }

    /// Puts back what paid before a sale that is over, unless somebody has changed it since.
    pub(crate) async fn put_payer_back(&self, sale: &Sale, read: Read) -> Result<Read, Problem> {
        let Some(replaced) = read.replaced(sale) else {
            return Ok(read);
        };
        let stripe = self.stripe().await?;
        let subscription = &read.billing.subscription;
        match stripe.pay_contract_as_before(subscription, replaced, sale).await {
            Ok(()) => {}
            // It has ended since it was read, and is charged nothing any more; or it is an operator's to say what pays.
            Err(error @ (StripeError::Refused(_) | StripeError::Spent { .. })) => {
                tracing::warn!(%subscription, %error, "what paid a subscription before could not be put back");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(stripe.contract_subscription(subscription).await?.read)
    }

    /// Whether an amendment that took effect was paid, and not by the method that was named for it.
    async fn is_paid_by_another(&self, sale: &Sale, read: &Read) -> Result<bool, Problem> {
        let Some(replaced) = read.replaced(sale).filter(|_| !read.is_answer) else {
            return Ok(false);
        };
        let latest = read.latest_invoice.as_ref().map(|bill| &bill.id);
        let Some(bill) = sale.invoice.as_ref().or(latest) else {
            return Ok(false);
        };
        let payers = self.stripe().await?.payers(bill).await?;
        Ok(!payers.is_empty() && !payers.contains(&replaced.by))
    }
}
