//! Requests and answers held to Stripe's published API description.
//!
//! # How it works
//! The description (`openapi/openapi-subset.json`) is OpenAPI 3.0; its schemas become JSON Schema by turning `nullable` into a
//! null type, and the objects of a request admit no parameters but theirs. A [`Judge`] sits in while a stand-in works and remembers
//! what was not as described; a test whose judge found something fails, whether it looks or not.
//!
//! It knows the operations of the description and, by name and reason, those that the stand-in has beside them (`undescribed`). It
//! does not say whether an answer is *right*: that is for tests.

mod description;
mod judge;
mod reading;
mod undescribed;

use std::fmt;

use serde_json::{Value, json};

use description::{Operation, SCHEMAS, validate};
pub use judge::{Judge, Requests};

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

/// Whether an operation is described, or among those that are not for a reason.
#[must_use]
pub fn is_known(method: &str, path: &str) -> bool {
    description::find(method, path).is_some() || undescribed::contains(method, path)
}

/// Holds an answer to the description. `path` is that of the request, without the query.
///
/// # Errors
/// All that is not as described.
pub fn check_response(method: &str, path: &str, status: u16, body: &Value) -> Result<(), Vec<Violation>> {
    let operation = description::find(method, path);
    if status != 200 {
        // All operations describe the same error, so one that Stripe does not have is refused like any other.
        return check_schema("error", "#/components/schemas/error", body);
    }
    match operation {
        Some(Operation {
            template,
            description,
        }) => {
            let schema = &description["responses"]["200"]["content"]["application/json"]["schema"];
            validate(
                &format!("{method} {template} answer"),
                || schema.clone(),
                |_| body.clone(),
            )?;
            check_events(body)
        }
        None if undescribed::contains(method, path) => check_object(body),
        None => Err(not_described(method, path)),
    }
}

/// Holds a request to the description. `params` are the query and the form as one JSON object whose leaves are texts.
///
/// # Errors
/// All that is not as described, unknown parameters included.
pub fn check_request(method: &str, path: &str, params: &Value) -> Result<(), Vec<Violation>> {
    let Some(operation) = description::find(method, path) else {
        let known = undescribed::contains(method, path);
        return if known {
            Ok(())
        } else {
            Err(not_described(method, path))
        };
    };
    validate(
        &format!("{method} {} request", operation.template),
        || description::request_schema(operation.description),
        |schema| reading::typed(schema, params),
    )
}

/// Holds an object (or each element of a list) to the description of what it says it is. An event is held to it with the object
/// that it is about.
///
/// # Errors
/// All that is not as described.
pub fn check_object(object: &Value) -> Result<(), Vec<Violation>> {
    let kind = object["object"].as_str().unwrap_or_default();
    if kind == "list" {
        let mut elements = object["data"].as_array().into_iter().flatten();
        return elements.try_for_each(check_object);
    }
    let name = if object["deleted"] == true {
        format!("deleted_{kind}")
    } else {
        kind.to_owned()
    };
    if SCHEMAS["components"]["schemas"][&name].is_null() {
        return Err(vec![Violation {
            at: String::new(),
            problem: format!("the description has no object {name:?}"),
        }]);
    }
    check_schema(&name, &format!("#/components/schemas/{name}"), object)?;
    check_events(object)
}

/// The description says of the object in an event only that it is one.
fn check_events(answer: &Value) -> Result<(), Vec<Violation>> {
    match answer["object"].as_str() {
        Some("list") => answer["data"]
            .as_array()
            .into_iter()
            .flatten()
            .try_for_each(check_events),
        Some("event") => check_object(&answer["data"]["object"]).map_err(|violations| {
            let within = |violation: Violation| Violation {
                at: format!("/data/object{}", violation.at),
                ..violation
            };
            violations.into_iter().map(within).collect()
        }),
        _ => Ok(()),
    }
}

fn check_schema(name: &str, reference: &str, instance: &Value) -> Result<(), Vec<Violation>> {
    validate(name, || json!({ "$ref": reference }), |_| instance.clone())
}

fn not_described(method: &str, path: &str) -> Vec<Violation> {
    vec![Violation {
        at: String::new(),
        problem: format!("the description has no {method} {path}"),
    }]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        assert!(check_request("POST", path, &json!({ "mode": "unheard_of" })).is_err());
        assert!(check_request("POST", path, &json!({ "line_items": [{ "unheard_of": "1" }] })).is_err());
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
        assert!(check_request("GET", "/v1/unheard_of", &json!({})).is_err());
        assert!(check_response("GET", "/v1/unheard_of", 200, &json!({})).is_err());
    }

    #[test]
    fn an_answer_of_an_undescribed_operation_is_held_to_the_description_of_its_object() {
        let path = "/v1/invoices/in_1/lines";
        assert_eq!(check_request("GET", path, &json!({ "limit": "3" })), Ok(()));
        let list = |data: Value| json!({ "object": "list", "data": data });
        assert_eq!(check_response("GET", path, 200, &list(json!([]))), Ok(()));
        let bare = json!([{ "object": "line_item", "id": "il_1" }]);
        assert!(check_response("GET", path, 200, &list(bare)).is_err());
    }

    #[test]
    fn an_event_is_held_to_the_description_with_the_object_in_it() {
        let event = |object: Value| {
            json!({
                "id": "evt_1", "object": "event", "api_version": null, "created": 1, "data": { "object": object },
                "livemode": false, "pending_webhooks": 0, "request": null, "type": "customer.created",
            })
        };
        let customer = json!({ "id": "cus_1", "object": "customer", "created": 1, "livemode": false });
        assert_eq!(check_object(&event(customer)), Ok(()));
        let violations = check_object(&event(json!({ "id": "cus_1", "object": "customer" }))).unwrap_err();
        assert!(
            violations.iter().all(|violation| violation.at == "/data/object"),
            "{violations:?}"
        );
        assert!(check_object(&event(json!({ "object": "novelty" }))).is_err());
    }
}
