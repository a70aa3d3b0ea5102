//! What the project's own files say: the contract, and the events in `events/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

fn path(from_root: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from_root)
}

/// The contract, `docs/openapi.yaml`.
#[must_use]
pub fn contract() -> &'static Value {
    /// Read once: thousands of answers are held to it.
    static CONTRACT: LazyLock<Value> = LazyLock::new(|| {
        let text = fs::read_to_string(path("docs/openapi.yaml")).unwrap();
        serde_json::to_value(serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text).unwrap()).unwrap()
    });
    &CONTRACT
}

/// `docs/architecture.md`.
#[must_use]
pub fn architecture() -> String {
    fs::read_to_string(path("docs/architecture.md")).unwrap()
}

/// The attributes that `docs/operations.md` has an operator count up in what is copied back from a backup.
#[must_use]
pub fn counters_that_a_restore_moves_on() -> Vec<String> {
    let guide = fs::read_to_string(path("docs/operations.md")).unwrap();
    let (_, list) = guide.split_once("reduce (").unwrap();
    let (list, _) = list.split_once(") as $counter").unwrap();
    list.split(", ")
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}

/// The functions whose counting of a metric rings an alarm of `template.yaml`, by the metric.
#[must_use]
pub fn watchers() -> &'static BTreeMap<String, BTreeSet<String>> {
    static WATCHERS: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
        let text = fs::read_to_string(path("template.yaml")).unwrap();
        let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
        let mut watchers = BTreeMap::<String, BTreeSet<String>>::new();
        for resource in template["Resources"].as_mapping().unwrap().values() {
            let properties = &resource["Properties"];
            if resource["Type"] != "AWS::CloudWatch::Alarm" || properties["Namespace"] != "Billing" {
                continue;
            }
            let serde_yaml_ng::Value::Tagged(watched) = &properties["Dimensions"][0]["Value"] else {
                panic!("an alarm watches no function: {properties:?}")
            };
            let function = &template["Resources"][&watched.value]["Properties"]["Handler"];
            let metric = properties["MetricName"].as_str().unwrap().to_owned();
            let function = function.as_str().unwrap().to_owned();
            watchers.entry(metric).or_default().insert(function);
        }
        watchers
    });
    &WATCHERS
}

/// The statuses that the contract knows of a function.
#[must_use]
pub fn statuses(function: &str) -> BTreeSet<u16> {
    let contract = contract();
    let paths = contract["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|methods| methods.as_object().unwrap().values());
    let own = operations.filter(|operation| operation["operationId"] == function);
    own.flat_map(|operation| operation["responses"].as_object().unwrap().keys())
        .filter_map(|status| status.parse().ok())
        .collect()
}

/// The events in `events/`, each with the function that it is for.
#[must_use]
pub fn events() -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(path("events"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        let function = name.split('.').next().unwrap().to_owned();
        let event = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        (function, event)
    };
    files.into_iter().map(read).collect()
}
