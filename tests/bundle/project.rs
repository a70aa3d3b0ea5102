//! What the project's own files say of each function: its variables and routes in `template.yaml`, its operation in
//! `docs/openapi.yaml`, its events in `events/`, its folder in `functions/`.
//!
//! Routes come from the local stack's reading of the template, so that there is one. Nothing is judged here; the tests compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_stack::template::Template;
use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

/// A method and a path, such as `GET /api/v1/billing`: API Gateway's `routeKey`.
pub(crate) type RouteKey = String;

/// A file of the project, by its path from the root.
pub(crate) fn path(from_root: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from_root)
}

/// Every function of the template and its routes.
pub(crate) fn functions() -> BTreeMap<String, BTreeSet<RouteKey>> {
    let template = Template::project().unwrap();
    let routes = |routes: Vec<local_stack::template::Route>| {
        routes
            .into_iter()
            .map(|route| format!("{} {}", route.method, route.path))
            .collect()
    };
    template
        .functions
        .into_iter()
        .map(|function| (function.name, routes(function.routes)))
        .collect()
}

/// How long the template lets an invocation of a function take.
pub(crate) fn timeout(function: &str) -> Duration {
    let functions = Template::project().unwrap().functions.into_iter();
    let mut own = functions.filter(|it| it.name == function).map(|it| it.timeout);
    own.next().unwrap()
}

/// The template as it is written, with CloudFormation's tags.
pub(crate) fn template() -> Yaml {
    yaml("template.yaml")
}

/// A file's text, by its path from the root.
pub(crate) fn text(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|fault| panic!("{file}: {fault}"))
}

/// The metrics that the functions' code counts: the first argument of every `.count("…", …)`.
pub(crate) fn counted_metrics() -> BTreeSet<String> {
    let mut metrics = BTreeSet::new();
    let mut folders = vec![path("shared/edge/src"), path("functions")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let code = fs::read_to_string(file).unwrap();
                let calls = code.split(".count(\"").skip(1);
                metrics.extend(calls.filter_map(|call| Some(call.split_once('"')?.0.to_owned())));
            }
        }
    }
    metrics
}

/// A function as the template declares it.
pub(crate) fn resource(function: &str) -> Yaml {
    let template = template();
    let mut resources = template["Resources"].as_mapping().unwrap().values();
    resources
        .find(|resource| resource["Properties"]["Handler"].as_str() == Some(function))
        .unwrap_or_else(|| panic!("{function} is not in template.yaml"))
        .clone()
}

/// The names of the variables that the template gives a function always, not on a condition.
pub(crate) fn variables(function: &str) -> BTreeSet<String> {
    let globals = &template()["Globals"]["Function"];
    [globals, &resource(function)["Properties"]]
        .into_iter()
        .filter_map(|properties| properties["Environment"]["Variables"].as_mapping())
        .flatten()
        .filter(|(_, value)| !matches!(value, Yaml::Tagged(tagged) if tagged.tag == "If"))
        .map(|(name, _)| name.as_str().unwrap().to_owned())
        .collect()
}

/// The contract, `docs/openapi.yaml`.
pub(crate) fn contract() -> Json {
    serde_json::to_value(yaml("docs/openapi.yaml")).unwrap()
}

/// The routes of the contract, by operation.
pub(crate) fn operations() -> BTreeMap<String, BTreeSet<RouteKey>> {
    let mut operations = BTreeMap::<String, BTreeSet<RouteKey>>::new();
    for (path, methods) in contract()["paths"].as_object().unwrap() {
        // What the methods of a path have in common stands beside them.
        for (method, operation) in methods
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "parameters")
        {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            let route = format!("{} {path}", method.to_ascii_uppercase());
            operations.entry(name).or_default().insert(route);
        }
    }
    operations
}

/// The crates in `functions/`.
pub(crate) fn folders() -> BTreeSet<String> {
    entries("functions").collect()
}

/// The files in `events/` that are for a function, with its name.
pub(crate) fn events() -> Vec<(String, String)> {
    let mut events: Vec<_> = entries("events")
        .filter(|file| file.ends_with(".json"))
        .map(|file| (file.split('.').next().unwrap().to_owned(), file))
        .collect();
    events.sort();
    events
}

/// One file of `events/`.
pub(crate) fn event(file: &str) -> Json {
    let text = fs::read_to_string(path("events").join(file)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("events/{file}: {fault}"))
}

fn entries(folder: &str) -> impl Iterator<Item = String> {
    fs::read_dir(path(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

fn yaml(file: &str) -> Yaml {
    serde_yaml_ng::from_str(&text(file)).unwrap()
}
