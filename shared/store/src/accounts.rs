//! Accounts: created by an administrator, read as one collection.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use billing_core::Timestamp;
use billing_core::access::Holder;
use billing_core::account::{Account, Number, Profile};
use billing_core::contact::Contact;
use billing_core::coverage::Entry;
use billing_core::id::{AccountId, CustomerId, NumberId};
use billing_core::reversal::Reversal;
use billing_core::subscription::Subscription;

use crate::client::Store;
use crate::error::{StoreError, cancelled};
use crate::item::{Item, incomplete, item, number, put, string, text, value};
use crate::key::{self, LEDGER_PREFIX, NUMBER_PREFIX, PK, PROFILE, REVERSAL_PREFIX, SK, SUBSCRIPTION};

/// How many items one transaction takes.
const TRANSACTION: usize = 100;

/// An account to be created.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Who it is; `version` is 0.
    pub profile: Profile,
    /// Its first phone numbers.
    pub numbers: Vec<Number>,
}

/// Whose a customer at Stripe is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerOf {
    /// An account's.
    Account(AccountId),
    /// An organisation's: what it bought is a contract.
    Organisation,
}

impl Store {
    /// Creates an account with its numbers, and with the customer that it has at Stripe already, if there is one.
    /// [`StoreError::Conflict`] when the id is taken, or the customer is another account's. Beyond 98 numbers it takes several
    /// transactions; repeating after a failure half-way is a conflict, and [`Store::add_number`] adds what is missing.
    pub async fn create_account(&self, new: &NewAccount) -> Result<(), StoreError> {
        let id = &new.profile.id;
        // An account that exists must not be overwritten by another of the same id.
        let mut items = vec![put(
            &self.accounts,
            item(&key::profile(id), &new.profile)?,
            Some("attribute_not_exists(pk)"),
        )?];
        if let Some(customer) = &new.profile.customer {
            items.push(self.put_pointer(customer, id)?);
        }
        for number in &new.numbers {
            items.push(put(
                &self.accounts,
                item(&key::number(id, &number.id), number)?,
                None,
            )?);
        }
        for chunk in items.chunks(TRANSACTION) {
            self.transact(chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Gives an account another name, another e-mail address, or both; what is none stays. [`StoreError::Conflict`] when there is no
    /// such account, or it was erased. Repeating it writes the same again; of two at once, the later one counts.
    pub async fn change_contact(
        &self,
        account: &AccountId,
        new: &Contact,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // A checkout that decided on what was there reads again before it asks Stripe for anything.
        let mut update = "SET version = version + :one, contact_changed_at = :now".to_owned();
        let mut call = self
            .call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(account).attributes()))
            // An update would otherwise make an item of an account that is not there, or give one that was erased a name again.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(erased_at)")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", string(now));
        if let Some(name) = &new.name {
            update.push_str(", #name = :name");
            call = call
                .expression_attribute_names("#name", "name")
                .expression_attribute_values(":name", string(name.as_str()));
        }
        if let Some(email) = &new.email {
            update.push_str(", email = :email");
            call = call.expression_attribute_values(":email", string(email.as_str()));
        }
        call.update_expression(update).send().await?;
        Ok(())
    }

    /// Adds a phone number to an account that exists. [`StoreError::Conflict`] when there is no such account, or it was erased. Adding one that is
    /// there gives it another nickname and leaves its age, by which numbers are covered.
    pub async fn add_number(&self, account: &AccountId, new: &Number) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::number(account, &new.id).attributes()))
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":id", string(&new.id))
            .expression_attribute_values(":number", string(new.number.as_str()))
            .expression_attribute_values(":now", string(new.created_at));
        let kept = "SET id = :id, #number = :number, created_at = if_not_exists(created_at, :now)";
        let update = match &new.nickname {
            Some(nickname) => update
                .update_expression(format!("{kept}, nickname = :nickname"))
                .expression_attribute_values(":nickname", string(nickname)),
            None => update.update_expression(format!("{kept} REMOVE nickname")),
        };
        let update = update.build().map_err(incomplete)?;
        let items = vec![
            self.exists(&account.into())?,
            TransactWriteItem::builder().update(update).build(),
        ];
        self.transact(items).await
    }

    /// Removes a phone number; removing what is not there changes nothing.
    pub async fn remove_number(&self, account: &AccountId, number: &NumberId) -> Result<(), StoreError> {
        self.call()
            .delete_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::number(account, number).attributes()))
            .send()
            .await?;
        Ok(())
    }

    /// Marks an account as erased and takes its name and e-mail address; from then on nothing is added to it, and nothing is sold to it. Its keys
    /// and numbers go afterwards, one by one. [`StoreError::Conflict`] when the profile has changed since it was read; repeating is then a
    /// conflict too.
    pub async fn erase_profile(&self, read: &Profile, now: Timestamp) -> Result<(), StoreError> {
        self.call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(&read.id).attributes()))
            .update_expression(
                "SET version = :next, erased_at = :now REMOVE #name, email, contact_changed_at, open_session",
            )
            // A checkout that was reserved, or a subscription that landed, since it was found that there is none: it has to be found again.
            .condition_expression("version = :read")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1))
            .expression_attribute_values(":now", string(now))
            .send()
            .await?;
        Ok(())
    }

    /// The whole account, none if there is no such. One query: the profile, numbers, subscription and ledger are neighbours.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let mut found = AccountItems::default();
        // The list of keys sorts before the ledger and is not read.
        for item in self.read_from(key::account(id), LEDGER_PREFIX).await? {
            found.add(item)?;
        }
        Ok(found.account())
    }

    /// Whose a customer is.
    pub async fn owner_of_customer(&self, customer: &CustomerId) -> Result<Option<CustomerOf>, StoreError> {
        let key = key::pointer(customer);
        let Some(found) = self.item(&self.accounts, &key).await? else {
            return Ok(None);
        };
        if found.contains_key("organisation") {
            return Ok(Some(CustomerOf::Organisation));
        }
        text(&found, "account")
            .parse()
            .map(|account| Some(CustomerOf::Account(account)))
            .map_err(|error| StoreError::corrupt(key.to_string(), error))
    }

    /// Forgets a customer that was deleted at Stripe, or that cannot be made under its key, so that another is made.
    /// [`StoreError::Conflict`] when the profile has changed since it was read; repeating is then a conflict too.
    pub async fn forget_customer(&self, read: &Profile, now: Timestamp) -> Result<(), StoreError> {
        self.call()
            .update_item()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(&read.id).attributes()))
            .update_expression(
                // The next one is about to be asked for: from now on it may exist without being recorded here.
                "SET version = :next, lost_customers = :lost, customer_asked_at = :now REMOVE customer, open_session",
            )
            // Two requests that both saw the old customer must forget it once, or the second forgets the new one.
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1))
            .expression_attribute_values(":lost", number(read.lost_customers + 1))
            .expression_attribute_values(":now", string(now))
            .send()
            .await?;
        Ok(())
    }

    /// The pointer from a customer to its account.
    pub(crate) fn put_pointer(
        &self,
        customer: &CustomerId,
        account: &AccountId,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut pointer = key::pointer(customer).attributes();
        pointer.insert("account".to_owned(), string(account));
        let put = Put::builder()
            .table_name(&*self.accounts)
            .set_item(Some(pointer))
            // A customer belongs to one account for ever: whoever else claims it, with whatever facts, is wrong.
            .condition_expression("attribute_not_exists(pk) OR account = :account")
            .expression_attribute_values(":account", string(account))
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A condition inside a transaction: the account, agency or organisation is there, and was not erased.
    pub(crate) fn exists(&self, holder: &Holder) -> Result<TransactWriteItem, StoreError> {
        let check = aws_sdk_dynamodb::types::ConditionCheck::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::head(holder).attributes()))
            // Whatever is added to one that does not exist would never be found; and to an account that was erased, or is being
            // erased, never be erased.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(erased_at)")
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Writes all or nothing. The SDK's request token makes its own retries safe.
    pub(crate) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        self.call()
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await
            .map_err(cancelled)?;
        Ok(())
    }
}

/// What a query has brought so far.
#[derive(Default)]
struct AccountItems {
    profile: Option<Profile>,
    subscription: Option<Subscription>,
    numbers: Vec<Number>,
    ledger: Vec<Entry>,
    reversals: Vec<Reversal>,
}

impl AccountItems {
    fn add(&mut self, item: Item) -> Result<(), StoreError> {
        match text(&item, SK) {
            PROFILE => self.profile = Some(value(item)?),
            SUBSCRIPTION => self.subscription = Some(value(item)?),
            sk if sk.starts_with(NUMBER_PREFIX) => self.numbers.push(value(item)?),
            sk if sk.starts_with(LEDGER_PREFIX) => self.ledger.push(value(item)?),
            sk if sk.starts_with(REVERSAL_PREFIX) => self.reversals.push(value(item)?),
            sk => {
                return Err(StoreError::corrupt(
                    format!("{}/{sk}", text(&item, PK)),
                    "unknown sort key",
                ));
            }
        }
        Ok(())
    }

    fn account(self) -> Option<Account> {
        let Self {
            profile,
            subscription,
            mut numbers,
            mut ledger,
            reversals,
        } = self;
        numbers.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        ledger.sort_by(|a, b| {
            (a.period.start, &a.invoice, &a.line).cmp(&(b.period.start, &b.invoice, &b.line))
        });
        Some(Account {
            profile: profile?,
            subscription,
            numbers,
            ledger,
            reversals,
        })
    }
}
