//! Faults that a test asks for: of answers, and of deliveries.
//!
//! A fault waits for the calls (or events) it matches, takes effect on the `nth` of them and the `times` − 1 after it, and then
//! stays in the list, spent, until the list is cleared. It is the knobs only; the effects are made in [`crate::stand_in`] and
//! [`crate::deliveries`].

use serde::{Deserialize, Serialize};

use crate::newer_shape::NewerShape;

/// A fault and what it waits for. As JSON it is one flat object:
/// `{"fault": "status", "status": 503, "method": "POST", "path": "/v1/customers", "nth": 2, "times": 1}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The method of the calls it matches; any, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path of the calls it matches. `*` stands for one segment, `**` at the end for the rest; any, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The type of the events it matches, for faults of deliveries: `invoice.paid`, `invoice.*`, `*`; any, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The first match that is affected, from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many matches are affected.
    #[serde(default = "one")]
    pub times: u32,
    /// How many matches there were.
    #[serde(default)]
    pub seen: u32,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// Nothing is done; the answer is this status, with Stripe's error object.
    Status {
        /// 400–599.
        status: u16,
        /// Stripe's error code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// It is done; the answer is this status all the same, and Stripe keeps it for the idempotency key.
    StatusAfter {
        /// 500–599.
        status: u16,
    },
    /// Nothing is done; the connection is closed without an answer.
    DropBefore,
    /// It is done; the connection is closed without an answer.
    DropAfter,
    /// Nothing is done for so long, and nothing ever; then the connection is closed.
    HangBefore {
        /// Real milliseconds.
        millis: u64,
    },
    /// It is done at once; the connection is held for so long and then closed without an answer.
    HangAfter {
        /// Real milliseconds.
        millis: u64,
    },
    /// It is done after a pause. The idempotency key is in progress meanwhile.
    Latency {
        /// Real milliseconds.
        millis: u64,
    },
    /// The answer has the shape of a later API version; with [`Fault::event`], the event has it when it is delivered.
    NewerShape(NewerShape),
    /// The event is delivered twice.
    DeliverTwice,
    /// The event is delivered so much later.
    DeliverLate {
        /// Seconds of the stand-in's clock.
        seconds: i64,
    },
    /// The event is delivered after all others that are due with it.
    DeliverLast,
    /// The event is delivered with a signature that is not of its endpoint's secret.
    DeliverMissigned,
}

fn one() -> u32 {
    1
}

impl Fault {
    /// A fault for the next call or event, whatever it is.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            method: None,
            path: None,
            event: None,
            nth: 1,
            times: 1,
            seen: 0,
        }
    }

    /// Only for calls of this method and path.
    #[must_use]
    pub fn on(self, method: &str, path: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            ..self
        }
    }

    /// Only for events of this type.
    #[must_use]
    pub fn on_event(self, event: &str) -> Self {
        Self {
            event: Some(event.to_owned()),
            ..self
        }
    }

    /// From the nth match on.
    #[must_use]
    pub fn nth(self, nth: u32) -> Self {
        Self { nth, ..self }
    }

    /// For so many matches.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn is_of_deliveries(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::DeliverTwice
                | FaultKind::DeliverLate { .. }
                | FaultKind::DeliverLast
                | FaultKind::DeliverMissigned
        ) || (matches!(self.kind, FaultKind::NewerShape(_)) && self.event.is_some())
    }

    /// Counts a match; true when it is one of those affected.
    fn strikes(&mut self) -> bool {
        self.seen = self.seen.saturating_add(1);
        self.seen >= self.nth && self.seen - self.nth < self.times
    }
}

/// All faults that were asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn all(&self) -> &[Fault] {
        &self.0
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes this call: the first that was asked for. All that match count it.
    pub(crate) fn of_call(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let matches = |fault: &Fault| {
            !fault.is_of_deliveries()
                && fault
                    .method
                    .as_deref()
                    .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && fault
                    .path
                    .as_deref()
                    .is_none_or(|pattern| path_matches(pattern, path))
        };
        self.strike(matches).into_iter().next()
    }

    /// The faults that strike the delivery of an event of this type.
    pub(crate) fn of_event(&mut self, kind: &str) -> Vec<FaultKind> {
        self.strike(|fault| {
            fault.is_of_deliveries()
                && fault
                    .event
                    .as_deref()
                    .is_none_or(|pattern| event_matches(pattern, kind))
        })
    }

    fn strike(&mut self, matches: impl Fn(&Fault) -> bool) -> Vec<FaultKind> {
        self.0
            .iter_mut()
            .filter(|fault| matches(fault))
            .filter_map(|fault| fault.strikes().then(|| fault.kind.clone()))
            .collect()
    }
}

/// `invoice.*` means every event whose type starts with `invoice.`.
pub(crate) fn event_matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut actual) = (
        pattern.trim_matches('/').split('/'),
        path.trim_matches('/').split('/'),
    );
    loop {
        match (wanted.next(), actual.next()) {
            (None, None) | (Some("**"), _) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_matches_it_was_asked_for_and_no_others() {
        let mut faults = Faults::default();
        faults.add(
            Fault::new(FaultKind::DropAfter)
                .on("POST", "/v1/customers")
                .nth(2)
                .times(2),
        );
        let mut struck = |method: &str, path: &str| faults.of_call(method, path).is_some();
        assert!(!struck("POST", "/v1/customers"));
        assert!(!struck("GET", "/v1/customers"));
        assert!(struck("POST", "/v1/customers"));
        assert!(struck("POST", "/v1/customers"));
        assert!(!struck("POST", "/v1/customers"));
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        assert!(path_matches(
            "/v1/checkout/sessions/*/expire",
            "/v1/checkout/sessions/cs_1/expire"
        ));
        assert!(!path_matches(
            "/v1/checkout/sessions/*",
            "/v1/checkout/sessions/cs_1/expire"
        ));
        assert!(path_matches(
            "/v1/checkout/**",
            "/v1/checkout/sessions/cs_1/expire"
        ));
        assert!(!path_matches("/v1/customers", "/v1/customers/cus_1"));
    }

    #[test]
    fn a_fault_is_written_as_one_flat_object() {
        let fault: Fault = serde_json::from_str(
            r#"{"fault": "status", "status": 503, "method": "POST", "path": "/v1/customers"}"#,
        )
        .unwrap();
        assert_eq!(
            fault.kind,
            FaultKind::Status {
                status: 503,
                code: None
            }
        );
        assert_eq!((fault.nth, fault.times), (1, 1));
    }
}
