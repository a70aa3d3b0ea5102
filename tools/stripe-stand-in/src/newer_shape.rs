//! What an API version that came later would have said: members that are new, have another value, or are gone.
//!
//! It knows no such version. Every object gets a member that nobody has heard of, as Stripe adds them without asking; what else is
//! different is for the test to say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The member that every object gets.
const NOVELTY: &str = "added_later";

/// How a later version differs. Members are named by JSON pointers from the answer (or the event) on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewerShape {
    /// What it calls itself, in an event's `api_version`.
    #[serde(default = "later")]
    pub version: String,
    /// Members that have this value now: `{"/status": "resting"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
    /// Members that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

fn later() -> String {
    "2027-03-31.later".to_owned()
}

impl Default for NewerShape {
    fn default() -> Self {
        Self {
            version: later(),
            set: BTreeMap::new(),
            remove: Vec::new(),
        }
    }
}

impl NewerShape {
    /// Gives JSON this shape. A member that it does not have cannot change: a misspelt one would be a test that tests nothing.
    pub(crate) fn give_to(&self, value: &mut Value) -> Result<(), String> {
        for (pointer, new) in &self.set {
            *value.pointer_mut(pointer).ok_or_else(|| nothing_at(pointer))? = new.clone();
        }
        for pointer in &self.remove {
            let (parent, name) = pointer.rsplit_once('/').ok_or_else(|| nothing_at(pointer))?;
            let members = value.pointer_mut(parent).and_then(Value::as_object_mut);
            members
                .and_then(|members| members.remove(name))
                .ok_or_else(|| nothing_at(pointer))?;
        }
        add_novelty(value);
        Ok(())
    }

    /// The same for an event.
    pub(crate) fn give_to_event(&self, event: &mut Value) -> Result<(), String> {
        self.give_to(event)?;
        event["api_version"] = json!(self.version);
        Ok(())
    }
}

fn nothing_at(pointer: &str) -> String {
    format!("newer_shape: there is no {pointer} to change")
}

fn add_novelty(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(add_novelty),
        Value::Object(members) => {
            members.values_mut().for_each(add_novelty);
            if members.get("object").is_some_and(Value::is_string) {
                members.insert(NOVELTY.to_owned(), json!({ "unheard_of": true }));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_set_removed_and_added_in_every_object() {
        let mut list =
            json!({ "object": "list", "data": [{ "object": "price", "active": true, "type": "recurring" }] });
        let shape = NewerShape {
            set: BTreeMap::from([("/data/0/type".to_owned(), json!("endless"))]),
            remove: vec!["/data/0/active".to_owned()],
            ..NewerShape::default()
        };
        shape.give_to(&mut list).unwrap();
        let novelty = json!({ "unheard_of": true });
        assert_eq!(
            list,
            json!({
                "object": "list",
                "data": [{ "object": "price", "type": "endless", "added_later": novelty }],
                "added_later": novelty,
            })
        );
        let again = shape.give_to(&mut list);
        assert_eq!(
            again.unwrap_err(),
            "newer_shape: there is no /data/0/active to change"
        );
    }
}
