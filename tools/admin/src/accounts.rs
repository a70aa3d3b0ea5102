//! Creating and changing accounts, as an administrator does.
//!
//! Nothing here talks to Stripe: an account's customer is made by its first checkout, unless it has one already, and what is billed follows the numbers
//! at the next one.

use billing_core::account::{Account, Number, Profile};
use billing_core::contact::{Email, Name};
use billing_core::id::{AccountId, CustomerId, NumberId};
use billing_edge::key::random;
use billing_store::{NewAccount, Store, StoreError};
use jiff::Timestamp;

use crate::Failure;
use crate::command::NewNumber;

/// An account to be created.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its id.
    pub id: AccountId,
    /// A name for people.
    pub name: Option<Name>,
    /// Where Stripe sends receipts.
    pub email: Option<Email>,
    /// The customer that it has at Stripe already.
    pub customer: Option<CustomerId>,
    /// Its first phone numbers.
    pub numbers: Vec<NewNumber>,
}

/// Creates an account with its numbers.
pub async fn create(store: &Store, wanted: Wanted, now: Timestamp) -> Result<(), Failure> {
    let profile = Profile {
        id: wanted.id,
        name: wanted.name,
        email: wanted.email,
        created_at: now,
        version: 0,
        customer: wanted.customer,
        customer_asked_at: None,
        lost_customers: 0,
        checkouts: 0,
        checkouts_paced_until: None,
        open_session: None,
        changes: 0,
        change: None,
    };
    let (id, customer) = (profile.id.clone(), profile.customer.clone());
    let numbers = wanted
        .numbers
        .into_iter()
        .map(|it| number(it, now))
        .collect::<Result<Vec<Number>, Failure>>()?;
    let mut named = std::collections::BTreeSet::new();
    if let Some(twice) = numbers.iter().find(|number| !named.insert(number.id.as_str())) {
        return Err(Failure::NumberTwice(twice.id.clone()));
    }
    match store.create_account(&NewAccount { profile, numbers }).await {
        Err(StoreError::Conflict) => Err(taken(store, id, customer).await?),
        other => Ok(other?),
    }
}

/// Why an account cannot be created: it is there, or its customer is somebody else's.
async fn taken(store: &Store, id: AccountId, customer: Option<CustomerId>) -> Result<Failure, Failure> {
    let there = store.account(&id).await?.is_some();
    Ok(match customer {
        Some(customer) if !there => Failure::CustomerTaken(customer),
        _ => Failure::AccountExists(id),
    })
}

/// An id that nobody has: `acc_` and 64 random bits.
pub fn new_id() -> Result<AccountId, Failure> {
    let id = format!("acc_{:016x}", u64::from_le_bytes(random()?));
    id.parse().map_err(|_| Failure::NotAnId(id))
}

/// The whole account.
pub async fn show(store: &Store, id: &AccountId) -> Result<Account, Failure> {
    store
        .account(id)
        .await?
        .ok_or_else(|| Failure::NoAccount(id.clone()))
}

/// Adds a phone number, or gives one that is there another nickname.
pub async fn add_number(
    store: &Store,
    account: &AccountId,
    new: NewNumber,
    now: Timestamp,
) -> Result<Number, Failure> {
    let number = number(new, now)?;
    match store.add_number(account, &number).await {
        Err(StoreError::Conflict) => Err(Failure::NoAccount(account.clone())),
        other => Ok(other.map(|()| number)?),
    }
}

/// Removes a phone number that is there.
pub async fn remove_number(store: &Store, account: &AccountId, number: &NumberId) -> Result<(), Failure> {
    let found = show(store, account).await?;
    if !found.numbers.iter().any(|it| it.id == *number) {
        return Err(Failure::NoNumber {
            account: account.clone(),
            number: number.clone(),
        });
    }
    Ok(store.remove_number(account, number).await?)
}

fn number(new: NewNumber, now: Timestamp) -> Result<Number, Failure> {
    let NewNumber { number, nickname } = new;
    Ok(Number {
        id: number.id()?,
        number,
        nickname,
        created_at: now,
    })
}
