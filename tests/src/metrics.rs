//! What the functions count, in every scenario: what an alarm is for rings the alarm of whoever counted it.
//!
//! A metric's dimension is the Lambda that counted it, and much is counted by code that several share: what the webhook would have found,
//! `reconcile` finds where no event arrived. An alarm on the one says nothing of the other.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;

use crate::project;

/// What every request counts. Which functions have alarms on them is the bundle test's business.
const OF_EVERY_REQUEST: [&str; 2] = ["ServerErrors", "UnknownOutcomes"];

/// What was counted where no alarm sees it.
static UNWATCHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Looks at a line that goes to CloudWatch.
pub(crate) fn hear(line: &Value) {
    let function = line["FunctionName"].as_str().unwrap_or_default();
    for (metric, watchers) in project::watchers() {
        let counted = line[metric].as_u64().is_some_and(|value| value > 0);
        if counted && !OF_EVERY_REQUEST.contains(&metric.as_str()) && !watchers.contains(function) {
            UNWATCHED
                .lock()
                .unwrap()
                .insert(format!("{metric} by {function}"));
        }
    }
}

/// That there was nothing of that kind so far.
///
/// # Panics
/// With everything that there was.
pub(crate) fn are_watched() {
    let unwatched = UNWATCHED.lock().unwrap();
    assert!(
        unwatched.is_empty(),
        "counted, and no alarm sees it: {unwatched:#?}"
    );
}
