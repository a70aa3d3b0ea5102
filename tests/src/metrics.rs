//! What the functions count, in every scenario: what an alarm is for rings the alarm of whoever counted it.
//!
//! A metric's dimension is the Lambda that counted it, and much is counted by code that several share: what the webhook would have found,
//! `reconcile` finds where no event arrived. An alarm on the one says nothing of the other. A metric stands once in a line, whatever was
//! counted: of two with one name CloudWatch keeps one, and a line of more than a hundred it does not read.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;

use crate::project;

/// What every request counts. Which functions have alarms on them is the bundle test's business.
const OF_EVERY_REQUEST: [&str; 2] = ["ServerErrors", "UnknownOutcomes"];

/// What was counted where no alarm sees it, or so that CloudWatch does not take it.
static UNSEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Looks at a line that goes to CloudWatch.
pub(crate) fn hear(line: &Value) {
    let function = line["FunctionName"].as_str().unwrap_or_default();
    let unseen = |what: String| UNSEEN.lock().unwrap().insert(what);
    let definitions = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
    let mut names = BTreeSet::new();
    for definition in definitions.into_iter().flatten() {
        if !names.insert(definition["Name"].to_string()) {
            unseen(format!("{} twice in one line of {function}", definition["Name"]));
        }
    }
    for (metric, watchers) in project::watchers() {
        let counted = line[metric].as_u64().is_some_and(|value| value > 0);
        if counted && !OF_EVERY_REQUEST.contains(&metric.as_str()) && !watchers.contains(function) {
            unseen(format!("{metric} by {function}"));
        }
    }
}

/// That there was nothing of that kind so far.
///
/// # Panics
/// With everything that there was.
pub(crate) fn are_watched() {
    let unseen = UNSEEN.lock().unwrap();
    assert!(unseen.is_empty(), "counted, and no alarm sees it: {unseen:#?}");
}
