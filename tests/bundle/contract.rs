//! Answers held to `docs/openapi.yaml`: status, headers and body are what the contract says of the operation.
//!
//! It reads what the contract uses of OpenAPI 3.1, whose schemas are JSON Schema as it is. Requests are not judged.

use serde_json::{Value as Json, json};

use crate::project;

/// Everything about a function's answer that the contract does not allow.
pub(crate) fn faults(function: &str, answer: &Json) -> Vec<String> {
    let contract = project::contract();
    let mut paths = contract["paths"].as_object().unwrap().values();
    let operation = paths
        .find_map(|methods| {
            let mut operations = methods.as_object().unwrap().values();
            operations.find(|operation| operation["operationId"] == function)
        })
        .unwrap_or_else(|| panic!("no operation {function}"));
    let status = answer["statusCode"].to_string();
    let Some(response) = operation["responses"].get(&status) else {
        return vec![format!("status {status} is not in the contract")];
    };
    let response = resolve(&contract, response);

    let mut faults = Vec::new();
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let header = resolve(&contract, header);
        match answer["headers"].get(name.to_ascii_lowercase()) {
            Some(value) => faults.extend(mismatches(&contract, &header["schema"], value)),
            None if header["required"] == true => faults.push(format!("header {name} is missing")),
            None => {}
        }
    }
    let described = |name: &str| {
        let mut names = response["headers"]
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys);
        name == "content-type" || names.any(|it| it.eq_ignore_ascii_case(name))
    };
    for name in answer["headers"]
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
    {
        if !described(name) {
            faults.push(format!("header {name} is not in the contract"));
        }
    }
    let media_type = answer["headers"]["content-type"].as_str().unwrap_or_default();
    match response["content"].get(media_type) {
        Some(content) => match serde_json::from_str(answer["body"].as_str().unwrap_or_default()) {
            Ok(body) => faults.extend(mismatches(&contract, &content["schema"], &body)),
            Err(error) => faults.push(format!("the body is no JSON: {error}")),
        },
        None => faults.push(format!("content type {media_type:?} is not in the contract")),
    }
    faults
}

/// What a `$ref` stands for, or the value itself.
pub(crate) fn resolve<'a>(contract: &'a Json, value: &'a Json) -> &'a Json {
    match value["$ref"].as_str() {
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn mismatches(contract: &Json, schema: &Json, value: &Json) -> Vec<String> {
    // References in the schema start at the contract's root, so its components come along.
    let whole = json!({ "allOf": [schema], "components": contract["components"] });
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&whole)
        .unwrap();
    validator
        .iter_errors(value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect()
}
