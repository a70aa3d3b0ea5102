//! Who hears of an event, when, with what signature, and when it is tried again.
//!
//! Decisions only: the posting is [`crate::courier`]'s.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::Sha256;

use crate::faults::FaultKind;
use crate::id::{AccountId, EventId, WebhookEndpointId};
use crate::render;
use crate::state::{Attempt, Delivery, State};

/// Seconds from one failed try to the next: a minute, doubled each time, for just under three days in all.
const RETRY_AFTER_SECS: [i64; 12] = [
    60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 30_720, 61_440, 122_880,
];

/// Turns the events that have happened into deliveries.
pub(crate) fn dispatch(state: &mut State) {
    let mut happened: Vec<(Option<AccountId>, EventId)> = Vec::new();
    for world in state.worlds_mut() {
        let account = world.account.clone();
        happened.extend(
            std::mem::take(&mut world.outbox)
                .into_iter()
                .map(|event| (account.clone(), event)),
        );
    }
    for (account, event) in happened {
        dispatch_one(state, account.as_ref(), &event);
    }
}

fn dispatch_one(state: &mut State, account: Option<&AccountId>, event: &EventId) {
    let Some(row) = state.world(account).and_then(|world| world.events.get(event)) else {
        return;
    };
    let (kind, created) = (row.kind.clone(), row.created);
    for (endpoint_account, endpoint) in listeners(state, account, &kind) {
        let mut delivery = Delivery {
            number: 0,
            due: created,
            postponed: false,
            missigned: false,
            shape: None,
            event: event.clone(),
            account: account.cloned(),
            endpoint,
            endpoint_account,
            failures: 0,
        };
        let mut copies = 1;
        for fault in state.faults.of_event(&kind) {
            match fault {
                FaultKind::DeliverTwice => copies = 2,
                FaultKind::DeliverLate { seconds } => delivery.due = later(created, seconds),
                FaultKind::DeliverLast => delivery.postponed = true,
                FaultKind::DeliverMissigned => delivery.missigned = true,
                FaultKind::NewerShape(shape) => delivery.shape = Some(shape),
                _ => {}
            }
        }
        for _ in 0..copies {
            state.deliveries.add(delivery.clone());
        }
        count_pending(state, account, event, 1);
    }
}

/// The endpoints that want an event: those of its own account, and the platform's for connected accounts.
pub(crate) fn listeners(
    state: &State,
    account: Option<&AccountId>,
    kind: &str,
) -> Vec<(Option<AccountId>, WebhookEndpointId)> {
    let own = state
        .world(account)
        .into_iter()
        .flat_map(|world| world.webhook_endpoints.iter());
    let own = own.filter(|endpoint| !endpoint.connect && endpoint.wants(kind));
    let mut found: Vec<_> = own
        .map(|endpoint| (account.cloned(), endpoint.id.clone()))
        .collect();
    if account.is_some() {
        let platform = state.platform.webhook_endpoints.iter();
        let connect = platform.filter(|endpoint| endpoint.connect && endpoint.wants(kind));
        found.extend(connect.map(|endpoint| (None, endpoint.id.clone())));
    }
    found
}

fn count_pending(state: &mut State, account: Option<&AccountId>, event: &EventId, change: i32) {
    let row = state
        .world_mut(account)
        .and_then(|world| world.events.get_mut(event));
    if let Some(row) = row {
        row.pending_webhooks = row.pending_webhooks.saturating_add_signed(change);
    }
}

/// A request to be posted.
pub(crate) struct Letter {
    pub(crate) url: String,
    /// What the body says, in the stand-in's own version.
    pub(crate) event: Value,
    pub(crate) body: Vec<u8>,
    pub(crate) signature: String,
}

/// Writes and signs what is posted; or says why it cannot be.
pub(crate) fn letter(state: &State, delivery: &Delivery, now: Timestamp) -> Result<Letter, String> {
    let there = || {
        let endpoint = state
            .world(delivery.endpoint_account.as_ref())?
            .webhook_endpoints
            .get(&delivery.endpoint)?;
        let world = state.world(delivery.account.as_ref())?;
        Some((endpoint, render::event(world, world.events.get(&delivery.event)?)))
    };
    let (endpoint, event) = there().ok_or("the endpoint or the event is no longer there")?;
    let mut told = event.clone();
    if let Some(shape) = &delivery.shape {
        shape.give_to_event(&mut told)?;
    }
    // Stripe sends indented JSON: whoever verifies a re-serialised body finds out here.
    let body = serde_json::to_vec_pretty(&told).map_err(|error| error.to_string())?;
    let secret = if delivery.missigned {
        "whsec_of_somebody_else"
    } else {
        endpoint.secret.as_str()
    };
    Ok(Letter {
        url: endpoint.url.clone(),
        signature: sign(secret, now, &body),
        event,
        body,
    })
}

/// `t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">`.
pub(crate) fn sign(secret: &str, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_second();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .unwrap_or_else(|_| unreachable!("any length is a key"));
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// What became of a try.
pub(crate) struct Posted {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
}

impl Posted {
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Records a try; one that failed goes back to wait, unless it was the last.
pub(crate) fn record(state: &mut State, mut delivery: Delivery, posted: &Posted, now: Timestamp) {
    note(state, &delivery, posted, now);
    if posted.is_success() {
        count_pending(state, delivery.account.as_ref(), &delivery.event, -1);
        return;
    }
    let failed = usize::try_from(delivery.failures).unwrap_or(usize::MAX);
    if let Some(pause) = RETRY_AFTER_SECS.get(failed) {
        delivery.failures += 1;
        delivery.due = later(now, *pause);
        delivery.postponed = false;
        state.deliveries.put_back(delivery);
    }
}

/// Records what could not even be tried, and never will be.
pub(crate) fn give_up(state: &mut State, delivery: &Delivery, problem: &str, now: Timestamp) {
    let posted = Posted {
        status: None,
        error: Some(problem.to_owned()),
    };
    note(state, delivery, &posted, now);
}

fn note(state: &mut State, delivery: &Delivery, posted: &Posted, now: Timestamp) {
    state.deliveries.ended(delivery.number);
    let world = state.world(delivery.account.as_ref());
    let kind = world
        .and_then(|world| world.events.get(&delivery.event))
        .map(|event| event.kind.clone());
    state.deliveries.attempts.push(Attempt {
        at: now,
        event: delivery.event.clone(),
        kind: kind.unwrap_or_default(),
        endpoint: delivery.endpoint.clone(),
        status: posted.status,
        error: posted.error.clone(),
    });
}

/// Deliveries of one event by hand: those that wait, or else one more to each endpoint that wants it.
pub(crate) fn by_hand(state: &mut State, event: &str, now: Timestamp) -> Vec<Delivery> {
    let found = state.worlds().find_map(|world| {
        world
            .events
            .find(event)
            .map(|row| (world.account.clone(), row.id.clone(), row.kind.clone()))
    });
    let Some((account, event, kind)) = found else {
        return Vec::new();
    };
    let waiting = state.deliveries.take_of(&event);
    if !waiting.is_empty() {
        return waiting;
    }
    for (endpoint_account, endpoint) in listeners(state, account.as_ref(), &kind) {
        state.deliveries.add(Delivery {
            number: 0,
            due: now,
            postponed: false,
            missigned: false,
            shape: None,
            event: event.clone(),
            account: account.clone(),
            endpoint,
            endpoint_account,
            failures: 0,
        });
    }
    state.deliveries.take_of(&event)
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retries_end_within_three_days() {
        let whole: i64 = RETRY_AFTER_SECS.iter().sum();
        assert!(whole < 3 * 86_400, "{whole}");
        assert!(RETRY_AFTER_SECS.windows(2).all(|pair| pair[1] == 2 * pair[0]));
    }

    /// Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test`.
    #[test]
    fn a_signature_is_over_time_and_body() {
        let signature = sign(
            "whsec_test",
            Timestamp::from_second(1_700_000_000).unwrap(),
            b"{}",
        );
        assert_eq!(
            signature,
            "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"
        );
    }
}
