//! Seed files: what is there when a stand-in starts, as a list of API requests.
//!
//! `[{"post": "/v1/products", "params": {"name": "Number"}, "as": "number"},
//!   {"post": "/v1/prices", "params": {"product": "$number", …}}]`: a text that is `$` and a name is replaced by the id that
//! the step of that name was answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stand_in::StandIn;

/// The steps of a seed file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub Vec<SeedStep>);

/// One request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedStep {
    /// The path of a POST request, beginning with `/v1/`.
    pub post: String,
    /// Its parameters.
    #[serde(default)]
    pub params: Value,
    /// The connected account (or `$` and a name) in whose world it is made.
    #[serde(default)]
    pub account: Option<String>,
    /// A name for the id of what is answered.
    #[serde(default, rename = "as")]
    pub name: Option<String>,
}

/// A step that was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("step {step} ({path}) was refused: {answer}")]
pub struct SeedError {
    /// Counted from 1.
    pub step: usize,
    /// The step's path.
    pub path: String,
    /// What was answered.
    pub answer: Value,
}

impl StandIn {
    /// Makes the requests of a seed file one after another. Answers the ids by the names they were given.
    ///
    /// # Errors
    /// At the first step that is refused; those before it have been done.
    pub fn seed(&self, seed: &Seed) -> Result<BTreeMap<String, String>, SeedError> {
        let mut names = BTreeMap::new();
        for (index, step) in seed.0.iter().enumerate() {
            let account = step.account.as_deref().map(|account| resolve(account, &names));
            let path: Vec<String> = step
                .post
                .split('/')
                .map(|segment| resolve(segment, &names))
                .collect();
            let path = path.join("/");
            let params = filled(&step.params, &names);
            let (status, answer) = self.call("POST", &path, &params, account.as_deref());
            if status != 200 {
                return Err(SeedError {
                    step: index + 1,
                    path,
                    answer,
                });
            }
            if let (Some(name), Some(id)) = (&step.name, answer["id"].as_str()) {
                names.insert(name.clone(), id.to_owned());
            }
        }
        Ok(names)
    }
}

fn resolve(text: &str, names: &BTreeMap<String, String>) -> String {
    let known = text.strip_prefix('$').and_then(|name| names.get(name));
    known.cloned().unwrap_or_else(|| text.to_owned())
}

fn filled(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(resolve(text, names)),
        Value::Array(values) => Value::Array(values.iter().map(|value| filled(value, names)).collect()),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), filled(value, names)))
                .collect(),
        ),
        other => other.clone(),
    }
}
