//! An object on a connected account, and which sale it is of: one of ours, or whatever else an agency keeps there.
//!
//! # How it works
//! What we make names its sale, and so does the phase that a subscription begins with. An agency that writes a phase anew at Stripe drops what it does not
//! repeat, and the subscription names no sale then. Its schedule still does; once that has let go of it, what is written down of the sale tells
//! which subscription it is ([`Sale::goes_by`]), and its customer, which names the client, where to look for that. What is not ours is not looked into.

use std::collections::HashMap;

use billing_core::connect::contract::{Contract, Sold};
use billing_core::connect::sale::Sale;
use billing_core::id::ClientId;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use super::buyers::CLIENT;
use super::schedules::SALE;
use crate::error::StripeError;

type Metadata = HashMap<String, String>;

/// An object, unread.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Object(Box<RawValue>);

/// What every object tells, ours or not.
#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    schedule: Option<Other>,
    #[serde(default)]
    customer: Option<Other>,
}

/// Another object that it names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Other {
    /// Expanded.
    Object {
        id: String,
        #[serde(default)]
        metadata: Option<Metadata>,
    },
    /// Anything else says nothing.
    Else(IgnoredAny),
}

/// A kind of object that a contract is read from.
pub(super) trait Readable: DeserializeOwned {
    /// The contract, of a sale of ours.
    fn contract(self, sold: Sold) -> Result<Contract, StripeError>;
}

/// A schedule or a subscription that an account has.
#[derive(Debug)]
pub struct ConnectedObject {
    /// Its id, and that of the schedule that made it, where that is known.
    ids: Vec<String>,
    sold: Option<Sold>,
    client: Option<ClientId>,
    object: Object,
    read: fn(&Object, Sold) -> Result<Contract, StripeError>,
}

impl Object {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, StripeError> {
        serde_json::from_str(self.0.get()).map_err(|error| StripeError::Unexpected {
            reason: format!("an object of a connected account: {error}"),
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> Result<String, StripeError> {
        self.read::<Head>().map(|head| head.id)
    }

    /// The object as one of that kind.
    pub(super) fn seen<T: Readable>(self) -> Result<ConnectedObject, StripeError> {
        let Head {
            id,
            metadata,
            schedule,
            customer,
        } = self.read()?;
        let (schedule, of_schedule) = schedule.map(Other::told).unwrap_or_default();
        let (_, of_customer) = customer.map(Other::told).unwrap_or_default();
        Ok(ConnectedObject {
            ids: [Some(id), schedule].into_iter().flatten().collect(),
            sold: sold(metadata.as_ref()).or_else(|| sold(of_schedule.as_ref())),
            client: client(of_customer.as_ref()),
            object: self,
            read: |object, sold| object.read::<T>()?.contract(sold),
        })
    }
}

impl Other {
    fn told(self) -> (Option<String>, Option<Metadata>) {
        match self {
            Self::Object { id, metadata } => (Some(id), metadata),
            Self::Else(_) => (None, None),
        }
    }
}

impl ConnectedObject {
    /// The sale that it says it is of, or that its schedule does.
    #[must_use]
    pub fn sold(&self) -> Option<&Sold> {
        self.sold.as_ref()
    }

    /// The client of ours that its customer says it is.
    #[must_use]
    pub fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// Whether it is what is written down as this sale's.
    #[must_use]
    pub fn is_of(&self, sale: &Sale) -> bool {
        self.ids.iter().any(|id| sale.goes_by(id))
    }

    /// The contract that it is, of this sale.
    pub fn contract(&self, sold: Sold) -> Result<Contract, StripeError> {
        (self.read)(&self.object, sold)
    }

    /// The same, made by a schedule that was seen before.
    pub(super) fn made_by(self, schedule: Self) -> Self {
        Self {
            ids: [self.ids, schedule.ids].concat(),
            sold: self.sold.or(schedule.sold),
            client: self.client.or(schedule.client),
            ..self
        }
    }
}

fn client(metadata: Option<&Metadata>) -> Option<ClientId> {
    metadata?.get(CLIENT)?.parse().ok()
}

fn sold(metadata: Option<&Metadata>) -> Option<Sold> {
    Some(Sold {
        client: client(metadata)?,
        number: metadata?.get(SALE)?.parse().ok()?,
    })
}
