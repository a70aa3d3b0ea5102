//! Reservations: one payable checkout per account.
//!
//! # If it fails half-way
//! Reserving and recording are one transaction each. Whatever dies between them leaves a reservation that the next caller
//! finishes: the decision is [`billing_core::checkout`]'s.

use aws_sdk_dynamodb::types::{ConditionCheck, Put, TransactWriteItem, Update};
use billing_core::Timestamp;
use billing_core::account::Account;
use billing_core::checkout::{OpenSession, Reservation};
use billing_core::id::{AccountId, CustomerId, InvoiceId};
use billing_core::subscription::Subscription;

use crate::client::Store;
use crate::error::StoreError;
use crate::item::{incomplete, item, number, string};
use crate::key::{self, EXPIRES_AT};

/// A reservation to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewReservation<'a> {
    /// What is reserved.
    pub reservation: &'a Reservation,
    /// Until when the account's checkouts count then ([`billing_core::checkout::pace`]).
    pub paced_until: Timestamp,
    /// Bills of the account's that are let go for it.
    pub let_go: &'a [InvoiceId],
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// The account's reservation, expired or not: age is for the reader to judge.
    pub async fn reservation(&self, account: &AccountId) -> Result<Option<Reservation>, StoreError> {
        self.read_expiring(&key::reservation(account)).await
    }

    /// Reserves the next number of the account's checkouts, in place of the reservation that was `seen`.
    ///
    /// [`StoreError::Conflict`] when anything the decision stood on has changed since it was read: a subscription landed,
    /// another checkout was reserved, recorded or released. Repeating it is a conflict, so it is done once.
    pub async fn reserve(
        &self,
        read: &Account,
        seen: Option<&Reservation>,
        new: &NewReservation<'_>,
    ) -> Result<(), StoreError> {
        let NewReservation {
            reservation: new,
            paced_until,
            let_go,
            now,
        } = *new;
        let Account {
            profile: read,
            subscription,
            ..
        } = read;
        let profile = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(&read.id).attributes()))
            .update_expression(
                // From now on Stripe may have a customer that is not recorded here; the first such moment counts.
                "SET version = :next, checkouts = :number, checkouts_paced_until = :paced, \
                 customer_asked_at = if_not_exists(customer_asked_at, :now) REMOVE open_session",
            )
            // Two calls that both decided to reserve: the second one's read is out of date. A webhook that lands a
            // subscription between our read and now: likewise.
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(read.version))
            .expression_attribute_values(":next", number(read.version + 1))
            .expression_attribute_values(":number", number(new.number))
            .expression_attribute_values(":paced", string(paced_until))
            .expression_attribute_values(":now", string(now))
            .build()
            .map_err(incomplete)?;
        let mut held = Put::builder()
            .table_name(&*self.sessions)
            .set_item(Some(item(&key::reservation(&new.account), new)?))
            // The profile and the reservation are read side by side, so one that was reserved in between may be missing from
            // what was seen although the profile's version is the latest: its session would stay payable behind our back.
            .condition_expression("attribute_not_exists(pk)");
        if let Some(seen) = seen {
            held = held
                // DynamoDB may have deleted it meanwhile, but nobody has put another in its place.
                .condition_expression("attribute_not_exists(pk) OR #number = :seen")
                .expression_attribute_names("#number", "number")
                .expression_attribute_values(":seen", number(seen.number));
        }
        let mut writes = vec![
            TransactWriteItem::builder().update(profile).build(),
            TransactWriteItem::builder()
                .put(held.build().map_err(incomplete)?)
                .build(),
            self.subscription_is(&read.id, subscription.as_ref())?,
        ];
        for bill in let_go {
            writes.push(self.let_go(bill, now)?);
        }
        self.transact(writes).await
    }

    /// A condition inside a transaction: the account has no other subscription than the one that was read.
    fn subscription_is(
        &self,
        account: &AccountId,
        read: Option<&Subscription>,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut check = ConditionCheck::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::subscription(account).attributes()))
            // A query is no transaction: it may bring the profile as a landing left it, and the subscription as it was before.
            // The profile's version is the latest then, and says nothing.
            .condition_expression("attribute_not_exists(pk)");
        if let Some(read) = read {
            check = check
                // One that was over stays over; another one may be live.
                .condition_expression("id = :subscription")
                .expression_attribute_values(":subscription", string(&read.id));
        }
        let check = check.build().map_err(incomplete)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Records Stripe's session of a reservation, and the customer who is to pay it. From here on the session's client secret
    /// may be handed out.
    ///
    /// [`StoreError::Conflict`] when the reservation was replaced or released meanwhile. Recording the same again changes
    /// nothing but the version.
    pub async fn record_session(
        &self,
        reservation: &Reservation,
        customer: &CustomerId,
        session: &OpenSession,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let account = &reservation.account;
        let profile = Update::builder()
            .table_name(&*self.accounts)
            .set_key(Some(key::profile(account).attributes()))
            .update_expression("SET version = version + :one, customer = :customer, open_session = :session")
            // `checkouts`: a later reservation holds. `customer`: a customer was deleted at Stripe and another one made
            // while this session was on its way; a session of the old one must not be handed out.
            .condition_expression(
                "checkouts = :number AND (attribute_not_exists(customer) OR customer = :customer)",
            )
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":number", number(reservation.number))
            .expression_attribute_values(":customer", string(customer))
            .expression_attribute_values(":session", string(&session.id))
            .build()
            .map_err(incomplete)?;
        let recorded = Reservation {
            session: Some(session.clone()),
            expires_at,
            ..reservation.clone()
        };
        let mut held = item(&key::reservation(account), &recorded)?;
        let session = held
            .remove("session")
            .ok_or_else(|| StoreError::corrupt("reservation", "without a session"))?;
        let held = Update::builder()
            .table_name(&*self.sessions)
            .set_key(Some(key::reservation(account).attributes()))
            .update_expression("SET #session = :session, #expires_at = :expires_at")
            // `number`: the webhook may have released it (the payer was faster than this write), or DynamoDB deleted it.
            .condition_expression("#number = :number")
            .expression_attribute_names("#session", "session")
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":session", session)
            .expression_attribute_values(":expires_at", number(expires_at.as_second()))
            .expression_attribute_values(":number", number(reservation.number))
            .build()
            .map_err(incomplete)?;
        self.transact(vec![
            TransactWriteItem::builder().update(profile).build(),
            TransactWriteItem::builder().update(held).build(),
            self.put_pointer(customer, account)?,
        ])
        .await
    }
}
