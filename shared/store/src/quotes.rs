//! Quotes: what was previewed, for as long as a change may name its second.
//!
//! Not here: whether a quote is kept ([`billing_core::quote`] decides).

use billing_core::Timestamp;
use billing_core::id::AccountId;
use billing_core::quote::Quote;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{item, string, value};
use crate::key;

impl Store {
    /// Keeps a quote. The same answer to the same question at the same instant is the same item; another answer is kept beside it, as
    /// somebody was told either.
    pub async fn put_quote(&self, quote: &Quote) -> Result<(), StoreError> {
        let key = key::quote(quote);
        self.call()
            .put_item()
            .table_name(&*self.sessions)
            .set_item(Some(item(&key, quote)?))
            .send()
            .await?;
        Ok(())
    }

    /// The quotes that an account got at an instant and that are not over. There are as many as things were asked, few enough
    /// for one page.
    pub async fn quotes(
        &self,
        account: &AccountId,
        proration_date: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Quote>, StoreError> {
        let page = self
            .call()
            .query()
            .table_name(&*self.sessions)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(key::quotes(account, proration_date)))
            .consistent_read(true)
            .send()
            .await?;
        let mut quotes = Vec::new();
        for item in page.items.into_iter().flatten() {
            let quote: Quote = value(item)?;
            // DynamoDB may delete an expired item days late, so age is checked on read.
            if now < quote.expires_at {
                quotes.push(quote);
            }
        }
        Ok(quotes)
    }
}
