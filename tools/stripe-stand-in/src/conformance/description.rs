//! The description itself, as JSON Schema: operations by method and path, validators by name.
//!
//! A validator is built when it is first asked for (some 50 ms) and kept for the life of the process.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::Violation;
use crate::render::API_VERSION;

const DESCRIPTION: &str = include_str!("../../openapi/openapi-subset.json");

/// What the version that is spoken here changed about it, as a JSON merge patch (RFC 7396).
const CHANGES: &str = include_str!("../../openapi/2026-09-30.endive.json");

/// The description, as JSON Schema.
pub(super) static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let read = |text| serde_json::from_str(text).unwrap_or_else(|error| unreachable!("{error}"));
    let mut description: Value = read(DESCRIPTION);
    merge(&mut description, read(CHANGES));
    nullable_to_null(&mut description);
    admit_own_version(&mut description);
    description
});

/// Applies a merge patch: an object is merged member by member, null takes a member away, all else takes its place.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Value::Object(members) = target {
        for (name, value) in patch {
            if value.is_null() {
                members.remove(&name);
            } else {
                merge(members.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

/// The published description is of a version before the one that is spoken here, and does not know it for a webhook endpoint.
fn admit_own_version(description: &mut Value) {
    let versions = "/paths/~1v1~1webhook_endpoints/post/requestBody/content/application~1x-www-form-urlencoded/schema/properties\
                    /api_version/enum";
    match description.pointer_mut(versions) {
        Some(Value::Array(versions)) => versions.push(json!(API_VERSION)),
        _ => unreachable!("the description lists the versions of endpoints"),
    }
}

/// A schema and what was built of it.
struct Built {
    schema: Value,
    validator: Validator,
}

static BUILT: LazyLock<Mutex<HashMap<String, Arc<Built>>>> = LazyLock::new(Mutex::default);

pub(super) struct Operation {
    pub(super) template: &'static str,
    pub(super) description: &'static Value,
}

/// The operation that a request names; none when it is not described.
pub(super) fn find(method: &str, path: &str) -> Option<Operation> {
    let paths = SCHEMAS["paths"].as_object().into_iter().flatten();
    let mut fitting: Vec<(&'static String, &'static Value)> = paths
        .filter(|(template, _)| template_matches(template, path))
        .collect();
    // `/v1/invoices/create_preview` is itself before it is an invoice's id.
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    fitting.into_iter().find_map(|(template, methods)| {
        let description = methods.get(method.to_ascii_lowercase())?;
        Some(Operation {
            template,
            description,
        })
    })
}

/// Whether a path is one of a template: `{…}` stands for one segment.
pub(super) fn template_matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut actual) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), actual.next()) {
            (None, None) => return true,
            (Some(segment), Some(given))
                if segment == given || (segment.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Holds what `instance` makes of a schema to that schema. The schema of a name is always the same; it is asked for once.
pub(super) fn validate(
    name: &str,
    schema: impl FnOnce() -> Value,
    instance: impl FnOnce(&Value) -> Value,
) -> Result<(), Vec<Violation>> {
    let built = built(name, schema);
    let violations: Vec<Violation> = built
        .validator
        .iter_errors(&instance(&built.schema))
        .map(|error| Violation {
            at: error.instance_path().to_string(),
            problem: error.to_string(),
        })
        .collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations)
    }
}

fn built(name: &str, schema: impl FnOnce() -> Value) -> Arc<Built> {
    let mut known = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = known.get(name) {
        return Arc::clone(built);
    }
    let schema = schema();
    let document = json!({ "allOf": [schema], "components": SCHEMAS["components"] });
    let validator =
        jsonschema::validator_for(&document).unwrap_or_else(|error| unreachable!("{name}: {error}"));
    let built = Arc::new(Built { schema, validator });
    known.insert(name.to_owned(), Arc::clone(&built));
    built
}

/// Query parameters and form members as one object. Path parameters are not part of it.
pub(super) fn request_schema(operation: &Value) -> Value {
    let form = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    let mut properties = form["properties"].as_object().cloned().unwrap_or_default();
    let mut required: Vec<Value> = form["required"].as_array().cloned().unwrap_or_default();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] != "query" {
            continue;
        }
        if let Some(name) = parameter["name"].as_str() {
            properties.insert(name.to_owned(), parameter["schema"].clone());
            if parameter["required"] == true {
                required.push(json!(name));
            }
        }
    }
    let mut schema = json!({ "type": "object", "properties": properties, "required": required });
    close(&mut schema);
    schema
}

/// Lets objects admit nothing but their own members: the description leaves that unsaid, and Stripe refuses the rest.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(values) => values.iter_mut().for_each(close),
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
        }
        _ => {}
    }
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has a null type.
fn nullable_to_null(schema: &mut Value) {
    match schema {
        Value::Array(values) => values.iter_mut().for_each(nullable_to_null),
        Value::Object(members) => {
            members.values_mut().for_each(nullable_to_null);
            if members.remove("nullable") == Some(json!(true)) {
                admit_null(members);
            }
        }
        _ => {}
    }
}

fn admit_null(members: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.push(Value::Null);
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.push(json!({ "type": "null" }));
    }
    if let Some(Value::String(kind)) = members.get("type") {
        let kinds = json!([kind, "null"]);
        members.insert("type".to_owned(), kinds);
    }
}
