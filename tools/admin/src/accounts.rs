//! Creating and changing accounts, as an administrator does.
//!
//! An account's customer at Stripe is made by its first checkout, unless it has one already, and what is billed follows the numbers at the
//! next one. Stripe is told of a new name or address, where it is named.
//!
//! # If it fails half-way
//! The account is written before Stripe is told: repeating the command tells it again.

use billing_core::account::{Account, Number, Profile};
use billing_core::contact::{Contact, Email, Name};
use billing_core::id::{AccountId, CustomerId, NumberId};
use billing_edge::key::random;
use billing_store::{NewAccount, Store, StoreError};
use billing_stripe::{Stripe, StripeError};
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
        name: wanted.name,
        email: wanted.email,
        customer: wanted.customer,
        ..Profile::new(wanted.id, now)
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

/// Why nothing could be changed of an account: it is not there, or was erased; or somebody was writing it at that moment, and trying again
/// helps.
pub(crate) async fn gone(store: &Store, id: &AccountId) -> Result<Failure, Failure> {
    Ok(match store.account(id).await? {
        Some(there) if there.profile.erased_at.is_some() => Failure::Erased(id.clone()),
        Some(_) => StoreError::Conflict.into(),
        None => Failure::NoAccount(id.clone()),
    })
}

/// What Stripe's customer has of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtStripe {
    /// There is none; the first checkout makes it.
    NoCustomer,
    /// A checkout has asked for it, perhaps with what was there before.
    AskedFor,
    /// It has what is new.
    Told(CustomerId),
    /// It has what it had: nobody named a Stripe.
    Untold(CustomerId),
    /// Somebody deleted it; the next checkout makes another.
    Deleted(CustomerId),
}

/// Gives an account another name, another e-mail address, or both, and tells Stripe's customer of it.
pub async fn update(
    store: &Store,
    stripe: Option<&Stripe>,
    id: &AccountId,
    new: &Contact,
    now: Timestamp,
) -> Result<AtStripe, Failure> {
    match store.change_contact(id, new, now).await {
        Err(StoreError::Conflict) => return Err(gone(store, id).await?),
        other => other?,
    }
    loop {
        let Profile {
            customer,
            customer_asked_at,
            name,
            email,
            version,
            ..
        } = show(store, id).await?.profile;
        let Some(customer) = customer else {
            return Ok(customer_asked_at.map_or(AtStripe::NoCustomer, |_| AtStripe::AskedFor));
        };
        let Some(stripe) = stripe else {
            return Ok(AtStripe::Untold(customer));
        };
        // As it is stored, so that of two commands at once the later one counts at Stripe too; and no more than this one was given.
        let contact = Contact {
            name: name.filter(|_| new.name.is_some()),
            email: email.filter(|_| new.email.is_some()),
        };
        let named = (new.name.is_some(), new.email.is_some());
        let key = format!("customer-contact/{id}/{version}/{}/{}", named.0, named.1);
        match stripe.update_customer(&customer, &contact, &key).await {
            Err(StripeError::Refused(refusal)) if refusal.is_missing("id") => {
                return if stripe.knows_customer(&customer).await? {
                    Ok(AtStripe::Deleted(customer))
                } else {
                    Err(Failure::NoCustomer(customer))
                };
            }
            other => other?,
        }
        let now = show(store, id).await?.profile;
        if now.version == version {
            return Ok(AtStripe::Told(customer));
        }
    }
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
        Err(StoreError::Conflict) => Err(gone(store, account).await?),
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
