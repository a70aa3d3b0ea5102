//! Contracts: the sale that is under way, what becomes of it, the ledger, the history.
//!
//! # If it fails half-way
//! Each write is one transaction under the versions that were read: contract, session, ledger and history change together or not
//! at all. Repeating one whose answer was lost is a conflict, upon which everything is read again and found to be there.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use billing_core::Timestamp;
use billing_core::contract::{Amendment, Contract, ContractKey, Landing, Ledger, Status};
use billing_core::id::{ContractId, OrganisationId, SubscriptionId};
use billing_core::session::{LONGEST, Session};

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, incomplete, item, number, put, put_if, string, text, value};
use crate::key::{self, SK};

/// A contract with what it has paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContract {
    /// The contract.
    pub contract: Contract,
    /// What was paid for, and what of that was given back.
    pub ledger: Ledger,
    /// How it came to be what it is, oldest first.
    pub history: Vec<Amendment>,
}

/// A session before and after a write.
#[derive(Debug, Clone, Copy)]
pub struct SessionWrite<'a> {
    /// As it was read.
    pub read: &'a Session,
    /// As it is to be, with its version counted up.
    pub new: &'a Session,
}

impl Store {
    /// A contract with its ledger and its history, in one query.
    pub async fn contract(
        &self,
        organisation: &OrganisationId,
        id: &ContractId,
    ) -> Result<Option<StoredContract>, StoreError> {
        let mut found = ContractItems::default();
        let of = key::organisation(organisation);
        for item in self.read_all(of, &key::contract(organisation, id).sk).await? {
            found.add(item)?;
        }
        Ok(found.contract())
    }

    /// Writes down the sale that Stripe is about to be asked for: into the session, which is claimed by it, and into the contract, in
    /// place of the one that was `read`. [`StoreError::Conflict`] when either has changed since; repeating is then a conflict too, so
    /// a number is given once.
    pub async fn claim_sale(
        &self,
        session: SessionWrite<'_>,
        read: Option<&Contract>,
        claimed: &Contract,
    ) -> Result<(), StoreError> {
        self.transact(vec![
            self.session_write(session.read, session.new)?,
            self.contract_write(read, claimed)?,
        ])
        .await
    }

    /// Writes a contract in place of the one that was `read`. [`StoreError::Conflict`] when it has changed since.
    pub async fn put_contract(&self, read: &Contract, new: &Contract) -> Result<(), StoreError> {
        let write = self.contract_write(Some(read), new)?;
        self.transact(vec![write]).await
    }

    /// Forgets a sale that came to nothing, before Stripe had a subscription for it: a contract that never was goes with it.
    pub async fn release_sale(
        &self,
        session: Option<SessionWrite<'_>>,
        read: &Contract,
        released: &Contract,
    ) -> Result<(), StoreError> {
        let mut writes = vec![self.end_or_write(read, released)?];
        if let Some(session) = session {
            writes.push(self.session_write(session.read, session.new)?);
        }
        self.transact(writes).await
    }

    /// Writes the difference that was decided on the contract as `read`, and what its session is told. Also when there is nothing to
    /// change: whoever read Stripe earlier and writes later has to look again. [`StoreError::Conflict`] when anything it stood on has
    /// changed since.
    pub async fn land_contract(
        &self,
        read: &Contract,
        landing: &Landing,
        session: Option<SessionWrite<'_>>,
    ) -> Result<(), StoreError> {
        let contract = &landing.contract;
        let (organisation, id) = (&contract.organisation, &contract.id);
        let mut writes = vec![self.end_or_write(read, contract)?];
        for entry in &landing.entries {
            // The natural key: whatever else went wrong, one line of one invoice is one entry, and it is never rewritten.
            let unlanded = Some("attribute_not_exists(pk)");
            let key = key::contract_ledger(organisation, id, entry);
            writes.push(put(&self.accounts, item(&key, entry)?, unlanded)?);
        }
        if let Some(reversal) = &landing.reversal {
            let key = key::contract_reversal(organisation, id, &reversal.invoice);
            // The contract's version guards it: it is what Stripe says of the invoice now, whole.
            writes.push(put(&self.accounts, item(&key, reversal)?, None)?);
        }
        if let Some(amendment) = &landing.amendment {
            let key = key::amendment(organisation, id, amendment.number);
            let unwritten = Some("attribute_not_exists(pk)");
            writes.push(put(&self.accounts, item(&key, amendment)?, unwritten)?);
        }
        for bill in &landing.let_go {
            writes.push(self.let_go(bill, contract.updated_at)?);
        }
        let known = read.billing.as_ref().map(|billing| &billing.subscription);
        if let Some(billing) = contract
            .billing
            .as_ref()
            .filter(|billing| known != Some(&billing.subscription))
        {
            writes.push(self.point_to_contract(&billing.subscription, contract)?);
        }
        if let Some(session) = session {
            writes.push(self.session_write(session.read, session.new)?);
        }
        self.transact(writes).await
    }

    /// A contract's write; the end of one that never was, when nothing is left of it.
    fn end_or_write(&self, read: &Contract, new: &Contract) -> Result<TransactWriteItem, StoreError> {
        // One that Stripe had a subscription for stays while it can be sold anew: the news of that may come later, and more than once. Whether
        // it can, its sale says; where that is forgotten already, the life of a session does, which is older than its contract.
        let open_until = match &read.sale {
            Some(sale) => sale.open_until,
            None => read.created_at.saturating_add(LONGEST).unwrap_or(Timestamp::MAX),
        };
        let may_be_sold = open_until > new.updated_at;
        let is_left_behind = new.billing.is_some() && may_be_sold;
        let is_nothing = new.status == Status::Pending && new.sale.is_none() && !is_left_behind;
        if !is_nothing {
            return self.contract_write(Some(read), new);
        }
        let delete = Delete::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::contract(&read.organisation, &read.id).attributes()))
            // Somebody sold it, or sells it anew.
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(read.version))
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn contract_write(
        &self,
        read: Option<&Contract>,
        new: &Contract,
    ) -> Result<TransactWriteItem, StoreError> {
        let written = Contract {
            version: read.map_or(new.version, |read| read.version + 1),
            ..new.clone()
        };
        let written = item(&key::contract(&new.organisation, &new.id), &written)?;
        match read {
            Some(read) => put_if(
                &self.accounts,
                written,
                // Two machines that both sell, or one that lands what the other has just decided on: the second has to look again.
                "version = :read",
                [(":read", number(read.version))],
            ),
            // Somebody sells it at this moment.
            None => put(&self.accounts, written, Some("attribute_not_exists(pk)")),
        }
    }

    /// The pointer from a subscription to its contract.
    fn point_to_contract(
        &self,
        subscription: &SubscriptionId,
        contract: &Contract,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut pointer = key::subscription_pointer(subscription).attributes();
        pointer.insert("organisation".to_owned(), string(&contract.organisation));
        pointer.insert("contract".to_owned(), string(&contract.id));
        let put = Put::builder()
            .table_name(&*self.accounts)
            .set_item(Some(pointer))
            // A subscription belongs to one contract for ever.
            .condition_expression("attribute_not_exists(pk) OR contract = :contract")
            .expression_attribute_values(":contract", string(&contract.id))
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The contract that a subscription bills.
    pub async fn contract_of_subscription(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<Option<ContractKey>, StoreError> {
        let key = key::subscription_pointer(subscription);
        let Some(found) = self.item(&self.accounts, &key).await? else {
            return Ok(None);
        };
        let corrupt = |error: billing_core::id::NotAnId| StoreError::corrupt(key.to_string(), error);
        Ok(Some(ContractKey {
            organisation: text(&found, "organisation").parse().map_err(corrupt)?,
            contract: text(&found, "contract").parse().map_err(corrupt)?,
        }))
    }
}

/// What a query has brought so far.
#[derive(Default)]
struct ContractItems {
    contract: Option<Contract>,
    ledger: Ledger,
    history: Vec<Amendment>,
}

impl ContractItems {
    fn add(&mut self, item: Item) -> Result<(), StoreError> {
        match text(&item, SK).split('#').nth(2) {
            None => self.contract = Some(value(item)?),
            Some("LEDGER") => self.ledger.entries.push(value(item)?),
            Some("REVERSAL") => self.ledger.reversals.push(value(item)?),
            Some("AMENDMENT") => self.history.push(value(item)?),
            Some(_) => {
                let sk = text(&item, SK).to_owned();
                return Err(StoreError::corrupt(sk, "unknown sort key"));
            }
        }
        Ok(())
    }

    fn contract(mut self) -> Option<StoredContract> {
        self.ledger.entries.sort_by(|a, b| {
            (a.period.start, &a.invoice, &a.line).cmp(&(b.period.start, &b.invoice, &b.line))
        });
        Some(StoredContract {
            contract: self.contract?,
            ledger: self.ledger,
            history: self.history,
        })
    }
}
