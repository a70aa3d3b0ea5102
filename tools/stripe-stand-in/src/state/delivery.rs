//! Deliveries of events to endpoints: those that wait, those under way, and what became of the tries.
//!
//! When one is tried again is decided in [`crate::rules::deliveries`]; the trying itself is [`crate::courier`]'s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, EventId, WebhookEndpointId};
use crate::newer_shape::NewerShape;

/// All deliveries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Deliveries {
    /// While set, nothing is delivered by itself.
    pub(crate) held: bool,
    made: u64,
    waiting: Vec<Delivery>,
    /// Taken up by the courier. A snapshot keeps them, so that a restart delivers them again.
    under_way: BTreeMap<u64, Delivery>,
    /// Every try there was.
    pub(crate) attempts: Vec<Attempt>,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) due: Timestamp,
    /// Delivered after the others that are due at the same instant.
    pub(crate) postponed: bool,
    pub(crate) missigned: bool,
    /// Another shape than that of the stand-in's version.
    pub(crate) shape: Option<NewerShape>,
    pub(crate) event: EventId,
    /// The world the event happened in.
    pub(crate) account: Option<AccountId>,
    pub(crate) endpoint: WebhookEndpointId,
    /// The world the endpoint belongs to.
    pub(crate) endpoint_account: Option<AccountId>,
    pub(crate) failures: u32,
}

/// One try to deliver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) at: Timestamp,
    pub(crate) event: EventId,
    pub(crate) kind: String,
    pub(crate) endpoint: WebhookEndpointId,
    /// What the endpoint answered; none when it did not.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
}

impl Deliveries {
    /// Numbers a delivery and lets it wait until it is due.
    pub(crate) fn add(&mut self, mut delivery: Delivery) {
        self.made += 1;
        delivery.number = self.made;
        self.waiting.push(delivery);
    }

    /// Puts a delivery that failed back, under its number.
    pub(crate) fn put_back(&mut self, delivery: Delivery) {
        self.waiting.push(delivery);
    }

    /// When the next delivery is due, unless all are held.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        if self.held {
            None
        } else {
            self.waiting.iter().map(|delivery| delivery.due).min()
        }
    }

    /// Takes the first delivery that is due, and counts it as under way.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<Delivery> {
        if self.held {
            return None;
        }
        let position = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, delivery)| delivery.due <= now)
            .min_by_key(|(_, delivery)| (delivery.due, delivery.postponed, delivery.number))
            .map(|(position, _)| position)?;
        Some(self.start(position))
    }

    /// Takes the deliveries of one event that wait, whenever they are due.
    pub(crate) fn take_of(&mut self, event: &EventId) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while let Some(position) = self.waiting.iter().position(|delivery| delivery.event == *event) {
            taken.push(self.start(position));
        }
        taken
    }

    fn start(&mut self, position: usize) -> Delivery {
        let delivery = self.waiting.remove(position);
        self.under_way.insert(delivery.number, delivery.clone());
        delivery
    }

    pub(crate) fn ended(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    pub(crate) fn any_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Without all that there was; numbers go on, so that a delivery that ends late is not taken for a new one.
    pub(crate) fn forgotten(self) -> Self {
        Self {
            made: self.made,
            ..Self::default()
        }
    }

    /// After a restart nobody is under way: what was, waits again.
    pub(crate) fn resume(&mut self) {
        self.waiting
            .extend(std::mem::take(&mut self.under_way).into_values());
    }
}
