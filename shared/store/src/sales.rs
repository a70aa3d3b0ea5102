//! What is sold on connected accounts: a client's sales there, and the client's one customer.
//!
//! # If it fails half-way
//! Beginning a sale and recording its schedule are one transaction each. Whatever dies between them leaves a sale that the next
//! caller finishes: the decision is [`billing_core::connect::sale`]'s.

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem, Update};
use billing_core::Timestamp;
use billing_core::connect::amendment::Amendment;
use billing_core::connect::buyer::Buyer;
use billing_core::connect::contract::Contract;
use billing_core::connect::place::Place;
use billing_core::connect::sale::{Sale, SaleKey};
use billing_core::id::{ClientId, ConnectedAccountId, CustomerId, ScheduleId};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, number, put, string, value};
use crate::key::{self, SALE_PREFIX};

/// What a client was sold before, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct SoldBefore<'a> {
    /// The client as a buyer; none to whom nothing was sold.
    pub buyer: Option<&'a Buyer>,
    /// The sales, read after the buyer.
    pub sales: &'a [Sale],
}

/// What Stripe was found to say of a sale.
#[derive(Debug, Clone, Copy)]
pub struct FoundSale<'a> {
    /// The schedule that was made of it, where that may not be written down yet.
    pub schedule: Option<&'a ScheduleId>,
    /// What there is.
    pub contract: &'a Contract,
    /// What becomes of an amendment of the sale.
    pub amendment: Unfinished,
    /// Who is told of it.
    pub listener: Listener<'a>,
}

/// Who is told what Stripe was found to say of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener<'a> {
    /// Somebody who ordered it.
    Orderer {
        /// Under which `Idempotency-Key`, hashed, if any.
        key: Option<&'a str>,
        /// When.
        at: Timestamp,
    },
    /// Somebody else, or nobody.
    Other,
}

/// What becomes of an amendment when its sale is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// It is still to be finished, if there is one.
    Stays,
    /// It is done.
    Done,
}

impl Store {
    /// A client on a connected account; none that nothing was ever sold to.
    pub async fn connected_buyer(
        &self,
        account: &ConnectedAccountId,
        client: &ClientId,
    ) -> Result<Option<Buyer>, StoreError> {
        self.read(&key::connected_buyer(account, client)).await
    }

    /// What a client was sold on a connected account, by number. Read after the buyer: what was sold meanwhile counts the buyer's
    /// version up, and [`Store::begin_sale`] finds out.
    pub async fn sales_to(
        &self,
        account: &ConnectedAccountId,
        client: &ClientId,
    ) -> Result<Vec<Sale>, StoreError> {
        let found = self.read_all(key::buyers(account, client), SALE_PREFIX).await?;
        found.into_iter().map(value).collect()
    }

    /// One sale; none if there is no such.
    pub async fn sale(&self, sale: &SaleKey) -> Result<Option<Sale>, StoreError> {
        self.read(&key::sale(sale)).await
    }

    /// Those of these sales that there are, in no order.
    pub async fn sales(&self, sales: &[SaleKey]) -> Result<Vec<Sale>, StoreError> {
        let keys: Vec<_> = sales.iter().map(key::sale).collect();
        self.those(&keys).await
    }

    /// Begins a sale under the buyer's next number. [`StoreError::Conflict`] when the buyer has changed since it was read. Repeating it
    /// is a conflict, so it is done once.
    pub async fn begin_sale(
        &self,
        before: SoldBefore<'_>,
        sale: &Sale,
        now: Timestamp,
    ) -> Result<Buyer, StoreError> {
        let SoldBefore { buyer: read, sales } = before;
        let buyer = match read {
            Some(read) => Buyer {
                version: read.version + 1,
                sales: sale.number,
                // From now on Stripe may have a customer that is not recorded here; the first such moment counts.
                customer_asked_at: read.customer_asked_at.or(Some(now)),
                ..read.clone()
            },
            None => Buyer {
                account: sale.account.clone(),
                client: sale.order.client.clone(),
                version: 1,
                customer: None,
                customer_asked_at: Some(now),
                lost_customers: 0,
                sales: sale.number,
                country: None,
                postal_code: None,
            },
        };
        let of_buyer = key::connected_buyer(&sale.account, &sale.order.client);
        let mut update = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(of_buyer.attributes()))
            .update_expression(
                "SET account = :account, client = :client, version = :next, sales = :sales, \
                 customer_asked_at = if_not_exists(customer_asked_at, :now), \
                 lost_customers = if_not_exists(lost_customers, :none)",
            )
            // Two that both saw no such sale: the second one has to look again.
            .condition_expression("attribute_not_exists(pk)")
            .expression_attribute_values(":account", string(&buyer.account))
            .expression_attribute_values(":client", string(&buyer.client))
            .expression_attribute_values(":next", number(buyer.version))
            .expression_attribute_values(":sales", number(buyer.sales))
            .expression_attribute_values(":now", string(now))
            .expression_attribute_values(":none", number(0));
        if let Some(read) = read {
            update = update
                .condition_expression("version = :read")
                .expression_attribute_values(":read", number(read.version));
        }
        let update = update.build().map_err(incomplete)?;
        let mut items = vec![
            TransactWriteItem::builder().update(update).build(),
            put(
                &self.accounts,
                item(&key::sale(&sale.key()), sale)?,
                // A number is given once.
                Some("attribute_not_exists(pk)"),
            )?,
        ];
        let unseen = |number: u64| number > 0 && !sales.iter().any(|sale| sale.number == number);
        if let Some(read) = read.filter(|read| unseen(read.sales)) {
            let latest = SaleKey {
                number: read.sales,
                ..sale.key()
            };
            let check = ConditionCheck::builder()
                .table_name(&*self.accounts)
                .set_key(Some(key::sale(&latest).attributes()))
                // Reads are no transaction: the buyer may be read as a sale left it, and that sale not be there yet. One that was
                // dropped is not there either.
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(incomplete)?;
            items.push(TransactWriteItem::builder().condition_check(check).build());
        }
        self.transact(items).await?;
        Ok(buyer)
    }

    /// Records the customer who is to pay, before Stripe is asked to sell anything to it, and where it was told to be.
    /// [`StoreError::Conflict`] when it is another. Repeating it changes nothing but the version.
    pub async fn record_connected_buyer(
        &self,
        buyer: &Buyer,
        customer: &CustomerId,
        place: Option<&Place>,
    ) -> Result<(), StoreError> {
        let code = place.and_then(|place| place.postal_code.as_ref());
        let located = match (place, code) {
            (None, _) => "",
            (Some(_), Some(_)) => ", country = :country, postal_code = :code",
            (Some(_), None) => ", country = :country REMOVE postal_code",
        };
        let mut update = self
            .call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::connected_buyer(&buyer.account, &buyer.client).attributes()))
            .update_expression(format!("SET version = version + :one, customer = :customer{located}"))
            // One was deleted at Stripe and another one made while this one was on its way.
            .condition_expression(
                "lost_customers = :lost AND (attribute_not_exists(customer) OR customer = :customer)",
            )
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":lost", number(buyer.lost_customers))
            .expression_attribute_values(":customer", string(customer));
        if let Some(place) = place {
            update = update.expression_attribute_values(":country", string(place.country.as_str()));
        }
        if let Some(code) = code {
            update = update.expression_attribute_values(":code", string(code.as_str()));
        }
        update.send().await?;
        Ok(())
    }

    /// Forgets a customer that was deleted at Stripe, or that cannot be made under its key, so that another is made.
    /// [`StoreError::Conflict`] when somebody did so already.
    pub async fn forget_connected_buyer(&self, buyer: &Buyer, now: Timestamp) -> Result<(), StoreError> {
        self.call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::connected_buyer(&buyer.account, &buyer.client).attributes()))
            .update_expression(
                "SET version = version + :one, lost_customers = :lost, customer_asked_at = :now REMOVE customer, country, postal_code",
            )
            // Two that both saw the old one must forget it once, or the second forgets the new one.
            .condition_expression("lost_customers = :read")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":read", number(buyer.lost_customers))
            .expression_attribute_values(":lost", number(buyer.lost_customers + 1))
            .expression_attribute_values(":now", string(now))
            .send()
            .await?;
        Ok(())
    }

    /// Forgets a sale that came to nothing: Stripe refused it, or will never answer under its number. One that has come to
    /// something since stays.
    pub async fn drop_sale(&self, sale: &Sale) -> Result<(), StoreError> {
        self.call()
            .delete_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::sale(&sale.key()).attributes()))
            // Another machine got it through, or its event was here.
            .condition_expression("attribute_not_exists(pk) OR attribute_not_exists(#schedule)")
            .expression_attribute_names("#schedule", "schedule")
            .send()
            .await?;
        Ok(())
    }

    /// Writes what Stripe says of a sale, under the version that was read before Stripe was. [`StoreError::Conflict`] when somebody
    /// wrote since: they know something newer, or as new.
    pub async fn land_sale(&self, read: &Sale, found: &FoundSale<'_>) -> Result<Sale, StoreError> {
        let FoundSale {
            schedule, contract, ..
        } = found;
        let told = match found.listener {
            Listener::Orderer { key, at } => read.telling(key, at),
            Listener::Other => read.clone(),
        };
        let written = Sale {
            version: read.version + 1,
            schedule: read.schedule.clone().or_else(|| schedule.cloned()),
            state: Some(contract.state()),
            moved: None,
            amendment: match found.amendment {
                Unfinished::Stays => read.amendment.clone(),
                Unfinished::Done => None,
            },
            // Also where nobody was told that they changed, or an operator changed them.
            terms: read.terms.as_they_are(contract),
            ..told
        };
        self.put_sale(read, &written).await?;
        Ok(written)
    }

    /// Writes an amendment down before Stripe is asked, or more of it. [`StoreError::Conflict`] when the sale has changed since it was read.
    pub async fn begin_amendment(&self, read: &Sale, amendment: &Amendment) -> Result<Sale, StoreError> {
        let written = Sale {
            version: read.version + 1,
            amendments: amendment.number,
            amendment: Some(amendment.clone()),
            ..read.clone()
        };
        self.put_sale(read, &written).await?;
        Ok(written)
    }

    /// Forgets an amendment that came to nothing. [`StoreError::Conflict`] as above.
    pub async fn drop_amendment(&self, read: &Sale) -> Result<Sale, StoreError> {
        let written = Sale {
            version: read.version + 1,
            amendment: None,
            ..read.clone()
        };
        self.put_sale(read, &written).await?;
        Ok(written)
    }

    async fn put_sale(&self, read: &Sale, written: &Sale) -> Result<(), StoreError> {
        self.call()
            .put_item()
            .table_name(&*self.accounts)
            .set_item(Some(item(&key::sale(&read.key()), written)?))
            // Two that decided on the same facts, or a handler with older facts that writes last.
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(read.version))
            .send()
            .await?;
        Ok(())
    }
}
