//! The handle: one stand-in with its state, its clock and its courier. Clones share them.
//!
//! The state is behind one lock that is never held across an await: a webhook handler calls back while a delivery to it is
//! under way. Rules do not know of this file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::api::{self, ApiAnswer, Begun, Call};
use crate::clock::Clock;
use crate::courier::Courier;
use crate::deliveries::{self, Letter};
use crate::faults::FaultKind;
use crate::form::{self, Node};
use crate::state::{Delivery, State};
use crate::walk;
use crate::witness::{Exchange, Witness};

/// What a stand-in is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The clock by which everything falls due.
    pub clock: Clock,
    /// Somebody who looks on.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Config {
    /// By this clock, and nobody looks on.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, witness: None }
    }
}

/// A Stripe of one's own. Cloning it gives another handle of the same one.
///
/// Methods that may deliver events must be called within a tokio runtime: deliveries are tasks of their own.
#[derive(Clone, Debug)]
pub struct StandIn {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) clock: Clock,
    pub(crate) witness: Option<Arc<dyn Witness>>,
    core: Mutex<Core>,
    courier: Courier,
    /// Told whenever a delivery has ended.
    delivered: Notify,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) state: State,
    /// What a reset goes back to.
    pub(crate) baseline: State,
    pub(crate) requests: Vec<RequestRecord>,
    /// One courier task at a time, so that events arrive in their order.
    courier_is_out: bool,
}

/// What was asked of the API, and what it answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// By the stand-in's clock.
    pub at: Timestamp,
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Query and body as one tree; every leaf is a string.
    pub params: Value,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The `Stripe-Account` header.
    pub account: Option<String>,
    /// What was answered; none when a fault swallowed the answer.
    pub status: Option<u16>,
    /// Whether the answer was that of an earlier request with the same key.
    pub replayed: bool,
    /// The answer's `request-id`.
    pub request_id: String,
}

/// Something that could not be done, in words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StandInError(pub(crate) String);

/// What became of one try to deliver an event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOutcome {
    /// The event's id.
    pub event: String,
    /// The endpoint's id.
    pub endpoint: String,
    /// What the endpoint answered; none when it did not.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl StandIn {
    /// A stand-in in which there is nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let core = Core {
            state: State::new(),
            baseline: State::new(),
            requests: Vec::new(),
            courier_is_out: false,
        };
        Self {
            inner: Arc::new(Inner {
                clock: config.clock,
                witness: config.witness,
                core: Mutex::new(core),
                courier: Courier::new(),
                delivered: Notify::new(),
            }),
        }
    }

    /// The clock it goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// To the whole second: Stripe knows no fractions.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.inner.clock.now().as_second()).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        // A rule that panicked may have left half of its work; the next request shows it, which is better than none at all.
        self.inner.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the state as it is now: what has fallen due has happened, and what happens is delivered.
    pub(crate) fn with_state<T>(&self, work: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.now();
        let (result, any_due) = {
            let mut core = self.core();
            walk::happen_until(&mut core.state, now);
            let result = work(&mut core.state, now);
            deliveries::dispatch(&mut core.state);
            (
                result,
                core.state.deliveries.next_due().is_some_and(|due| due <= now),
            )
        };
        if any_due {
            self.send_courier();
        }
        result
    }

    /// Answers an API call. None when the connection is to be closed without an answer.
    pub(crate) async fn answer(&self, call: Call) -> Option<ApiAnswer> {
        let (begun, fault) = self.with_state(|state, now| {
            (
                api::begin(state, &call, now),
                state.faults.of_call(&call.method, &call.path),
            )
        });
        if let Some(FaultKind::Latency { millis } | FaultKind::HangBefore { millis }) = fault {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let answer = self.with_state(|state, now| match (begun, &fault) {
            (Begun::Go(ticket), Some(FaultKind::DropBefore | FaultKind::HangBefore { .. })) => {
                api::abandon(state, &ticket);
                None
            }
            (begun, Some(FaultKind::Status { status, code })) => {
                if let Begun::Go(ticket) = begun {
                    api::abandon(state, &ticket);
                }
                let refusal = crate::refusal::Refusal::fault(*status, code.as_deref());
                Some(api::answer_refusal(&refusal, &state.request_ids.text("req_", 14)))
            }
            (Begun::Go(ticket), Some(FaultKind::StatusAfter { status })) => {
                let done = api::execute(state, &ticket, now);
                let refusal = crate::refusal::Refusal::fault(*status, None);
                let answer = api::answer_refusal(&refusal, &done.request_id);
                api::keep_answer(state, &ticket, &answer);
                Some(answer)
            }
            (Begun::Go(ticket), _) => Some(api::execute(state, &ticket, now)),
            (Begun::Answered(_), Some(FaultKind::DropBefore | FaultKind::HangBefore { .. })) => None,
            (Begun::Answered(answer), _) => Some(answer),
        });
        let told = match fault {
            Some(FaultKind::DropAfter) => None,
            Some(FaultKind::HangAfter { millis }) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                None
            }
            Some(FaultKind::NewerShape(shape)) => answer.clone().map(|answer| answer.in_shape(&shape)),
            _ => answer.clone(),
        };
        let params = self.show(&call, answer.as_ref());
        self.log(&call, params, answer.as_ref(), told.is_some());
        told
    }

    /// Shows a request and its answer to the witness; answers the request's parameters.
    pub(crate) fn show(&self, call: &Call, answer: Option<&ApiAnswer>) -> Value {
        let tree = form::decode(&[call.query.as_bytes(), &call.body]).unwrap_or_else(|_| Node::empty());
        let params = tree.to_json();
        if let Some(witness) = &self.inner.witness {
            witness.exchange(&Exchange {
                method: &call.method,
                path: &call.path,
                params: &params,
                answer: answer.map(|answer| (answer.status, &answer.body)),
            });
        }
        params
    }

    fn log(&self, call: &Call, params: Value, answer: Option<&ApiAnswer>, told: bool) {
        let record = RequestRecord {
            at: self.now(),
            method: call.method.clone(),
            path: call.path.clone(),
            params,
            idempotency_key: call.idempotency_key.clone(),
            account: call.account.clone(),
            status: answer.filter(|_| told).map(|answer| answer.status),
            replayed: answer.is_some_and(|answer| answer.replayed),
            request_id: answer.map(|answer| answer.request_id.clone()).unwrap_or_default(),
        };
        self.core().requests.push(record);
    }

    /// Lets a courier task deliver what is due, unless one is out already.
    pub(crate) fn send_courier(&self) {
        let stand_in = self.clone();
        {
            let mut core = self.core();
            if core.courier_is_out {
                return;
            }
            core.courier_is_out = true;
        }
        tokio::spawn(async move {
            while let Some((delivery, letter)) = stand_in.take_delivery() {
                stand_in.post(delivery, letter).await;
            }
            stand_in.inner.delivered.notify_waiters();
        });
    }

    /// The next delivery that is due. The courier is back when there is none: both under one lock, so that none is missed.
    fn take_delivery(&self) -> Option<(Delivery, Result<Letter, String>)> {
        let now = self.now();
        let mut core = self.core();
        let Some(delivery) = core.state.deliveries.take_due(now) else {
            core.courier_is_out = false;
            return None;
        };
        let letter = deliveries::letter(&core.state, &delivery, now);
        Some((delivery, letter))
    }

    pub(crate) async fn post(&self, delivery: Delivery, letter: Result<Letter, String>) -> DeliveryOutcome {
        let mut outcome = DeliveryOutcome {
            event: delivery.event.to_string(),
            endpoint: delivery.endpoint.to_string(),
            status: None,
            error: None,
        };
        match letter {
            Err(problem) => {
                let now = self.now();
                deliveries::give_up(&mut self.core().state, &delivery, &problem, now);
                outcome.error = Some(problem);
            }
            Ok(letter) => {
                if let Some(witness) = &self.inner.witness {
                    witness.event(&letter.event);
                }
                let posted = self.inner.courier.post(letter).await;
                let now = self.now();
                deliveries::record(&mut self.core().state, delivery, &posted, now);
                outcome.status = posted.status;
                outcome.error = posted.error;
            }
        }
        self.inner.delivered.notify_waiters();
        outcome
    }

    /// When the next thing falls due, be it an expiry, a renewal or a delivery.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let core = self.core();
        [walk::next_due(&core.state), core.state.deliveries.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Moves the clock forward to `to`. On the way it stops at every instant at which something falls due, lets it happen,
    /// delivers what is to be delivered and waits for the answers.
    pub async fn advance_to(&self, to: Timestamp) {
        self.settle().await;
        while let Some(next) = self.next_due().filter(|next| *next <= to) {
            self.inner.clock.move_forward_to(next);
            self.settle().await;
        }
        self.inner.clock.move_forward_to(to);
        self.settle().await;
    }

    /// Waits until everything that is due now has happened, and no delivery is due or under way.
    pub async fn settle(&self) {
        loop {
            let delivered = self.inner.delivered.notified();
            tokio::pin!(delivered);
            // From here on no notification is missed, whatever happens before it is awaited.
            delivered.as_mut().enable();
            let quiet = self.with_state(|state, now| {
                let due = state.deliveries.next_due().is_some_and(|due| due <= now);
                !due && !state.deliveries.any_under_way()
            });
            if quiet {
                return;
            }
            delivered.await;
        }
    }
}
