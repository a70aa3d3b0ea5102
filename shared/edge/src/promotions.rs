//! Promotion codes: one way for previews and for changes, so that a code is taken by both or by neither.

use billing_core::account::Account;
use billing_core::id::{PriceId, PromotionCodeId, SubscriptionId};
use billing_core::promotion::{self, Choice, PromotionCode, Purchase, Word};
use billing_core::subscription::Standing;

use crate::call::Call;
use crate::problem::Problem;

/// What a code is to be used for.
#[derive(Debug)]
pub struct Redemption<'a> {
    /// Whose subscription it is.
    pub account: &'a Account,
    /// The subscription, as Stripe has it.
    pub standing: &'a Standing,
    /// The price to move to.
    pub price: &'a PriceId,
}

/// What Stripe has now of a subscription that is to be changed.
#[derive(Debug)]
pub struct Reread {
    /// The subscription, with what pays it.
    pub standing: Standing,
    /// All promotion codes of the word that was asked for; none where none was.
    pub codes: Vec<PromotionCode>,
}

impl Call<'_> {
    /// A subscription as Stripe has it now, with what pays it, and all that Stripe has of a promotion code's word, read side by side.
    pub async fn reread(
        &self,
        subscription: &SubscriptionId,
        word: Option<&Word>,
    ) -> Result<Reread, Problem> {
        let stripe = self.stripe().await?;
        let codes = async {
            match word {
                Some(word) => stripe.promotion_codes(word).await,
                None => Ok(Vec::new()),
            }
        };
        let (fetched, codes) = tokio::try_join!(stripe.subscription_to_change(subscription), codes)?;
        Ok(Reread {
            standing: fetched.standing,
            codes,
        })
    }

    /// The promotion code to redeem for a word, out of what was found of it; none when the subscription has its discount already. 400
    /// when there is none that applies.
    pub async fn promotion_code(
        &self,
        word: &Word,
        found: &[PromotionCode],
        redemption: &Redemption<'_>,
    ) -> Result<Option<PromotionCodeId>, Problem> {
        let Redemption {
            account,
            standing,
            price,
        } = redemption;
        let product = self.stripe().await?.product_of(price).await?;
        let purchase = Purchase {
            customer: standing.customer.clone(),
            paid_before: !account.ledger.is_empty(),
            product,
            currency: standing.currency,
            has: standing.codes.clone(),
        };
        match promotion::choose(found, word, &purchase, self.now)
            .map_err(|refused| Problem::inapplicable(&refused))?
        {
            Choice::Redeem(code) => Ok(Some(code.id.clone())),
            Choice::Has => Ok(None),
        }
    }
}
