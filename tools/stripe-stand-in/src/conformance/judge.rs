//! A judge sits in while a stand-in works, and remembers what was not as described.
//!
//! It never interrupts: the answer goes out, and the test fails at its end. So the code under test is judged on what it does with an
//! answer, and the exchange on its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{Violation, check_object, check_request, check_response};
use crate::witness::{Exchange, Witness};

/// Which requests are held to the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// All: whoever sends them must know Stripe.
    All,
    /// Those that were done: whoever sends them tries out what is refused.
    Done,
}

/// Holds whatever it witnesses to the description. **Panics when it is dropped** with violations that nobody has taken, so that a
/// test that never looks fails too: keep it for as long as the test lasts.
#[derive(Debug)]
pub struct Judge(Arc<Records>);

#[derive(Debug)]
struct Records {
    requests: Requests,
    found: Mutex<Vec<String>>,
}

impl Judge {
    /// A judge that has seen nothing yet.
    #[must_use]
    pub fn new(requests: Requests) -> Self {
        Self(Arc::new(Records {
            requests,
            found: Mutex::default(),
        }))
    }

    /// What is put into [`Config::witness`](crate::Config::witness).
    #[must_use]
    pub fn witness(&self) -> Arc<dyn Witness> {
        let records: Arc<Records> = Arc::clone(&self.0);
        records
    }

    /// Takes what was found so far, each thing once.
    #[must_use]
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.0.found())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let found = self.take_violations();
        // A second panic would hide the first one's message.
        assert!(
            found.is_empty() || std::thread::panicking(),
            "against Stripe's description:\n{}",
            found.join("\n")
        );
    }
}

impl Records {
    fn found(&self) -> MutexGuard<'_, Vec<String>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, what: &str, outcome: Result<(), Vec<Violation>>, seen: &Value) {
        let Err(violations) = outcome else { return };
        let told: Vec<String> = violations
            .iter()
            .map(|violation| format!("  {violation}"))
            .collect();
        let text = format!("{what}\n{}\n  in {seen}", told.join("\n"));
        let mut found = self.found();
        if !found.contains(&text) {
            found.push(text);
        }
    }
}

impl Witness for Records {
    fn exchange(&self, exchange: &Exchange<'_>) {
        let Exchange {
            method,
            path,
            params,
            answer,
            ..
        } = exchange;
        let done = answer.is_some_and(|(status, _)| status == 200);
        if done || self.requests == Requests::All {
            let what = format!("{method} {path} was sent");
            self.add(&what, check_request(method, path, params), params);
        }
        if let Some((status, body)) = answer {
            let what = format!("{method} {path} was answered {status}");
            self.add(&what, check_response(method, path, *status, body), body);
        }
    }

    fn event(&self, event: &Value) {
        let what = format!("{} was posted", event["type"]);
        self.add(&what, check_object(event), event);
    }

    fn findings(&self) -> Vec<String> {
        self.found().clone()
    }

    fn forget(&self) {
        self.found().clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exchange<'a>(path: &'a str, params: &'a Value, status: u16, body: &'a Value) -> Exchange<'a> {
        Exchange {
            method: "GET",
            path,
            params,
            answer: Some((status, body)),
        }
    }

    #[test]
    #[should_panic(expected = "against Stripe's description")]
    fn a_judge_that_nobody_asks_speaks_at_its_end() {
        let judge = Judge::new(Requests::Done);
        judge
            .witness()
            .exchange(&exchange("/v1/prices/price_1", &json!({}), 200, &json!({})));
    }

    #[test]
    fn a_refused_request_is_judged_by_whom_it_concerns() {
        let refusal = json!({ "error": { "type": "invalid_request_error", "message": "no" } });
        for (requests, violations) in [(Requests::All, 1), (Requests::Done, 0)] {
            let judge = Judge::new(requests);
            let params = json!({ "unheard_of": "1" });
            let sent = exchange("/v1/prices", &params, 400, &refusal);
            judge.witness().exchange(&sent);
            judge.witness().exchange(&sent);
            assert_eq!(judge.take_violations().len(), violations, "{requests:?}");
        }
    }
}
