//! Requests and answers held to Stripe's published API description.
//!
//! # How it works
//! The description (`openapi/openapi-subset.json`) is OpenAPI 3.0; its schemas become JSON Schema by turning `nullable` into a
//! null type. A validator is built when an operation is first seen (some 50 ms) and kept. Parameters come as texts and are
//! read as the types that the schema wants.
//!
//! It covers the operations of the description only: for any other it says so, as a violation.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

const DESCRIPTION: &str = include_str!("../openapi/openapi-subset.json");

/// Something that is not as described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the body or the parameters, as a JSON pointer.
    pub at: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.at, self.problem)
    }
}

/// Holds an answer to the description. `path` is that of the request, without the query.
///
/// # Errors
/// All that is not as described.
pub fn check_response(method: &str, path: &str, status: u16, body: &Value) -> Result<(), Vec<Violation>> {
    let operation = find(method, path)?;
    let answer = if status == 200 { "200" } else { "default" };
    let schema = &operation.description["responses"][answer]["content"]["application/json"]["schema"];
    validate(&format!("{method} {} {answer}", operation.template), schema, body)
}

/// Holds a request to the description. `params` are the query and the form as one JSON object whose leaves are texts.
///
/// # Errors
/// All that is not as described, unknown parameters included.
pub fn check_request(method: &str, path: &str, params: &Value) -> Result<(), Vec<Violation>> {
    let operation = find(method, path)?;
    let schema = request_schema(operation.description);
    let typed = typed(&schema, params);
    validate(
        &format!("{method} {} request", operation.template),
        &schema,
        &typed,
    )
}

/// The description, as JSON Schema.
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut description: Value =
        serde_json::from_str(DESCRIPTION).unwrap_or_else(|error| unreachable!("{error}"));
    nullable_to_null(&mut description);
    description
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

struct Operation {
    template: &'static str,
    description: &'static Value,
}

fn find(method: &str, path: &str) -> Result<Operation, Vec<Violation>> {
    let paths = SCHEMAS["paths"].as_object().into_iter().flatten();
    let mut fitting: Vec<(&'static String, &'static Value)> = paths
        .filter(|(template, _)| template_matches(template, path))
        .collect();
    // `/v1/invoices/create_preview` is itself before it is an invoice's id.
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    let operation = fitting.into_iter().find_map(|(template, methods)| {
        let description = methods.get(method.to_ascii_lowercase())?;
        Some(Operation {
            template,
            description,
        })
    });
    operation.ok_or_else(|| {
        vec![Violation {
            at: String::new(),
            problem: format!("the description has no {method} {path}"),
        }]
    })
}

fn template_matches(template: &str, path: &str) -> bool {
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

fn validate(name: &str, schema: &Value, instance: &Value) -> Result<(), Vec<Violation>> {
    let validator = validator(name, schema);
    let violations: Vec<Violation> = validator
        .iter_errors(instance)
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

fn validator(name: &str, schema: &Value) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = validators.get(name) {
        return Arc::clone(known);
    }
    let document = json!({ "allOf": [schema], "components": SCHEMAS["components"] });
    let built = jsonschema::validator_for(&document).unwrap_or_else(|error| unreachable!("{name}: {error}"));
    let built = Arc::new(built);
    validators.insert(name.to_owned(), Arc::clone(&built));
    built
}

/// Query parameters and form members as one object. Path parameters are not part of it.
fn request_schema(operation: &Value) -> Value {
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
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Texts, read as the types that a schema wants; what cannot be read stays as it is, for the validator to find.
fn typed(schema: &Value, value: &Value) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_member_is_named() {
        let violations =
            check_response("GET", "/v1/prices/price_1", 200, &json!({ "id": "price_1" })).unwrap_err();
        let told: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(
            told.iter()
                .any(|violation| violation.contains("\"created\" is a required property")),
            "{told:?}"
        );
    }

    #[test]
    fn null_is_admitted_where_the_description_says_nullable() {
        let mut customer = json!({
            "id": "cus_1", "object": "customer", "created": 1, "livemode": false, "email": null, "default_source": null,
        });
        assert_eq!(
            check_response("GET", "/v1/customers/cus_1", 200, &customer),
            Ok(())
        );
        customer["livemode"] = Value::Null;
        assert!(check_response("GET", "/v1/customers/cus_1", 200, &customer).is_err());
    }

    #[test]
    fn parameters_are_read_as_the_types_that_are_wanted() {
        let path = "/v1/checkout/sessions";
        let params = json!({
            "mode": "subscription",
            "line_items": [{ "price": "price_1", "quantity": "3" }],
            "expires_at": "1800000000",
            "metadata": { "a": "1" },
        });
        assert_eq!(check_request("POST", path, &params), Ok(()));
        assert!(check_request("POST", path, &json!({ "expires_at": "soon" })).is_err());
        assert!(check_request("POST", path, &json!({ "unheard_of": "1" })).is_err());
        assert_eq!(
            check_request(
                "GET",
                "/v1/customers",
                &json!({ "created": { "gte": "1" }, "limit": "3" })
            ),
            Ok(())
        );
        assert_eq!(
            check_request(
                "POST",
                "/v1/customers/cus_1",
                &json!({ "metadata": "", "address": "" })
            ),
            Ok(())
        );
    }

    #[test]
    fn an_operation_that_is_not_described_is_a_violation() {
        assert!(check_response("GET", "/v1/unheard_of", 200, &json!({})).is_err());
    }
}
