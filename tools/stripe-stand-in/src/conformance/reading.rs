//! Parameters, which come as texts, read as the types that the description wants.
//!
//! It refuses nothing: what cannot be read stays a text, for the validator to find.

use serde_json::{Map, Value, json};

use super::description::SCHEMAS;

/// Texts, read as the types that a schema wants; what cannot be read stays as it is, for the validator to find.
pub(super) fn typed(schema: &Value, value: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return typed(&SCHEMAS["components"]["schemas"][name], value);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let readings = choices.iter().map(|choice| (choice, typed(choice, value)));
        let fitting = readings
            .filter(|(choice, reading)| has_type(choice, reading))
            .map(|(_, reading)| reading);
        // A text that is neither empty nor a number fits several choices; the one that changed it knows most of it.
        let mut fitting: Vec<Value> = fitting.collect();
        fitting.sort_by_key(|reading| reading == value);
        return fitting.into_iter().next().unwrap_or_else(|| value.clone());
    }
    match value {
        Value::String(text) => typed_text(schema, text),
        Value::Array(values) => Value::Array(
            values
                .iter()
                .map(|value| typed(&schema["items"], value))
                .collect(),
        ),
        Value::Object(members) => {
            let typed_member = |(name, value): (&String, &Value)| {
                let own = schema["properties"]
                    .get(name)
                    .or_else(|| schema.get("additionalProperties"));
                (
                    name.clone(),
                    own.map_or_else(|| value.clone(), |own| typed(own, value)),
                )
            };
            Value::Object(members.iter().map(typed_member).collect::<Map<String, Value>>())
        }
        other => other.clone(),
    }
}

fn typed_text(schema: &Value, text: &str) -> Value {
    let is = |wanted: &str| {
        schema["type"] == wanted
            || schema["type"]
                .as_array()
                .is_some_and(|types| types.contains(&json!(wanted)))
    };
    let number = || text.parse::<i64>().ok().map(Value::from);
    let read = if is("integer") {
        number()
    } else if is("number") {
        number().or_else(|| serde_json::from_str(text).ok().filter(Value::is_number))
    } else if is("boolean") {
        text.parse::<bool>().ok().map(Value::from)
    } else if is("array") && text.is_empty() {
        Some(json!([]))
    } else {
        None
    };
    read.unwrap_or_else(|| json!(text))
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::String(wanted) => wanted == kind,
        Value::Array(wanted) => wanted.contains(&json!(kind)),
        _ => true,
    }
}
