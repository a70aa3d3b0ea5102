//! What `template.yaml` says about running the functions: time-outs, logs, alarms, the dashboard, queues for what failed; and that
//! `docs/operations.md` says what to do about each alarm.
//!
//! Everything is asked of every function that the template has, so a new one is included without anybody remembering. What a fault
//! says is what to add.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use serde_yaml_ng::{Mapping, Value as Yaml};

use crate::project;

/// A function as the template declares it.
struct Declared {
    id: String,
    name: String,
    resource: Yaml,
}

impl Declared {
    fn all() -> Vec<Self> {
        let template = project::template();
        let functions = of_type(&template, "AWS::Serverless::Function");
        let functions = functions.into_iter().map(|(id, resource)| Self {
            name: resource["Properties"]["Handler"].as_str().unwrap().to_owned(),
            id,
            resource,
        });
        functions.collect()
    }

    fn events(&self) -> impl Iterator<Item = &Yaml> {
        let events = self.resource["Properties"]["Events"].as_mapping();
        events.into_iter().flat_map(Mapping::values)
    }

    fn is_routed(&self) -> bool {
        self.events().any(|event| event["Type"] == "HttpApi")
    }

    fn is_fed_by_a_stream(&self) -> bool {
        let template = project::template();
        let feeds = of_type(&template, "AWS::Lambda::EventSourceMapping");
        feeds
            .values()
            .any(|feed| referred(&feed["Properties"]["FunctionName"]) == self.id)
    }

    /// Whether what it writes at Stripe may stay unknown: it calls Stripe, and keeps replies because repeating it matters.
    fn writes_at_stripe(&self) -> bool {
        let policies = text(&self.resource["Properties"]["Policies"]);
        policies.contains("StripeSecretArn") && policies.contains("REPLY#*")
    }

    /// Seconds.
    fn timeout(&self) -> u64 {
        let globals = project::template()["Globals"]["Function"]["Timeout"].as_u64();
        let own = self.resource["Properties"]["Timeout"].as_u64();
        own.or(globals).unwrap()
    }
}

#[test]
fn a_function_has_its_alarms_its_log_and_its_line_of_the_dashboard() {
    let template = project::template();
    let mut faults = Vec::new();
    let dashboard = text(&template["Resources"]["Dashboard"]);
    for function in Declared::all() {
        let Declared { id, name, resource } = &function;
        let mut wanted = vec![
            ("AWS/Lambda", "Errors"),
            ("AWS/Lambda", "Throttles"),
            ("AWS/Lambda", "Duration"),
        ];
        if function.is_routed() {
            wanted.push(("Billing", "ServerErrors"));
        }
        if function.writes_at_stripe() {
            wanted.push(("Billing", "UnknownOutcomes"));
        }
        // One record that fails keeps those behind it waiting, and is neither an error nor often.
        if function.is_fed_by_a_stream() {
            wanted.push(("AWS/Lambda", "IteratorAge"));
        }
        for (namespace, metric) in wanted {
            if !alarms(&template)
                .values()
                .any(|alarm| watches(alarm, id, namespace, metric))
            {
                faults.push(format!("{name}: no alarm on {namespace} {metric} of !Ref {id}"));
            }
        }
        let log = resource["Properties"]["LoggingConfig"]["LogGroup"].clone();
        let kept = template["Resources"][referred(&log)]["Properties"]["RetentionInDays"].clone();
        if kept.is_null() {
            faults.push(format!(
                "{name}: no log group with RetentionInDays in its LoggingConfig"
            ));
        }
        if !dashboard.contains(&format!("\"title\": \"{name}\""))
            || !dashboard.contains(&format!("${{{id}}}"))
        {
            faults.push(format!("{name}: no widget of ${{{id}}} in the Dashboard"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Lambda counts what a function counts, and an alarm that watches another deployment's function, or nobody's, never rings.
#[test]
fn an_alarm_watches_something_of_this_template_and_tells_the_topic() {
    let template = project::template();
    let ids: Vec<_> = Declared::all().into_iter().map(|it| it.id).collect();
    for (alarm, properties) in alarms(&template) {
        let watched: Vec<_> = dimensions(&properties).collect();
        assert!(!watched.is_empty(), "{alarm} watches nothing of this deployment");
        for (dimension, id) in watched {
            match dimension.as_str() {
                "FunctionName" => assert!(ids.contains(&id), "{alarm}: {id} is no function"),
                _ => assert!(!template["Resources"][&id].is_null(), "{alarm}: there is no {id}"),
            }
        }
        for actions in ["AlarmActions", "OKActions"] {
            assert!(
                text(&properties[actions]).contains("AlarmTopicArn"),
                "{alarm}: {actions} do not tell the topic"
            );
        }
        // Where silence is what is wrong, nothing told is the alarm.
        let silence = properties["ComparisonOperator"] == "LessThanThreshold";
        let missing = if silence { "breaching" } else { "notBreaching" };
        assert_eq!(properties["TreatMissingData"], missing, "{alarm}");
        assert!(
            properties["AlarmDescription"].is_string(),
            "{alarm} does not say what it means"
        );
        // Below a thousand requests in the period it would not look at a percentile at all.
        assert!(
            properties["EvaluateLowSampleCountPercentile"].is_null(),
            "{alarm}"
        );
        // What a function counts is told at the end of its run, and dated at its beginning: the period may have been judged by then.
        let is_short = properties["Period"].as_u64() < Some(3600);
        assert!(
            properties["Namespace"] != "Billing"
                || !is_short
                || properties["EvaluationPeriods"].as_u64() > Some(1),
            "{alarm} looks at one period, when what belongs to it is not told yet"
        );
    }
}

/// An alarm for a slow function that only rings when it was ended already tells nothing that *Errors* does not. One that rings of a run
/// that takes the time it may is soon looked at by nobody.
#[test]
fn a_slow_function_is_told_of_before_its_time_out_and_not_of_what_it_does_by_design() {
    let template = project::template();
    let mut functions = 0;
    for function in Declared::all() {
        let alarms = alarms(&template).into_values();
        for alarm in alarms.filter(|alarm| watches(alarm, &function.id, "AWS/Lambda", "Duration")) {
            let threshold = alarm["Threshold"].as_u64().unwrap();
            let timeout = function.timeout() * 1000;
            assert!(
                threshold < timeout,
                "{}: {threshold} of {timeout} ms",
                function.name
            );
            if function.name == "reconcile" {
                let code = project::text("functions/reconcile/src/lib.rs");
                let (_, enough) = code
                    .split_once("const ENOUGH: Duration = Duration::from_secs(")
                    .unwrap();
                let enough: u64 = enough.split(')').next().unwrap().parse().unwrap();
                assert!(
                    threshold > timeout - enough * 1000,
                    "reconcile reads on for as long as {enough} s are left"
                );
            }
            functions += 1;
        }
    }
    assert_eq!(functions, Declared::all().len());
}

/// For an event of another kind SAM gives the function's role more than it needs: for a stream's, all streams of the AWS account.
#[test]
fn only_routes_and_clocks_are_events_of_a_function() {
    for function in Declared::all() {
        let events = function.resource["Properties"]["Events"].as_mapping();
        for event in events.into_iter().flat_map(|events| events.values()) {
            let kind = event["Type"].as_str().unwrap();
            assert!(
                ["HttpApi", "Schedule"].contains(&kind),
                "{}: {kind}",
                function.name
            );
        }
    }
}

/// Nobody waits for what a clock calls, so nobody would miss it.
#[test]
fn a_function_that_a_clock_calls_has_an_alarm_for_its_silence() {
    let template = project::template();
    let alarms: Vec<_> = alarms(&template).into_keys().collect();
    let mut clocks = 0;
    for (id, resource) in template["Resources"].as_mapping().unwrap() {
        let events = resource["Properties"]["Events"].as_mapping();
        if events.is_some_and(|events| events.values().any(|event| event["Type"] == "Schedule")) {
            let silence = format!("{}Silence", id.as_str().unwrap());
            assert!(alarms.contains(&silence), "there is no {silence}");
            clocks += 1;
        }
    }
    assert_eq!(clocks, 1, "reconcile");
}

/// What the code counts and nobody looks at is lost: each metric is watched by an alarm or drawn on the dashboard.
#[test]
fn what_is_counted_is_watched() {
    let template = project::template();
    let seen = text(&template["Resources"]);
    for metric in project::counted_metrics() {
        assert!(
            seen.contains(&format!("MetricName: {metric}\n")) || seen.contains(&format!("\"{metric}\"")),
            "{metric} is counted, and neither an alarm nor the Dashboard has it"
        );
    }
}

/// A number that nobody can read helps nobody.
#[test]
fn what_is_counted_is_explained() {
    let guide = project::text("docs/operations.md");
    for metric in project::counted_metrics() {
        assert!(
            guide.contains(&format!("`{metric}`")) || guide.contains(&format!("\n### {metric}\n")),
            "{metric} is counted, and docs/operations.md does not say what it tells"
        );
    }
}

/// An alarm or a graph of a metric that nobody tells never moves.
#[test]
fn what_is_watched_is_counted() {
    let template = project::template();
    let telemetry = project::text("shared/edge/src/telemetry.rs");
    let of_every_request = [
        "Latency",
        "DynamoDbCalls",
        "StripeCalls",
        "ColdStarts",
        "ServerErrors",
        "UnknownOutcomes",
    ];
    for metric in of_every_request {
        assert!(telemetry.contains(&format!("(\"{metric}\",")), "{metric}");
    }
    let mut told = project::counted_metrics();
    told.extend(of_every_request.map(str::to_owned));
    for (alarm, properties) in alarms(&template) {
        if properties["Namespace"] == "Billing" {
            let metric = properties["MetricName"].as_str().unwrap();
            assert!(told.contains(metric), "{alarm}: nobody tells {metric}");
        }
    }
    let resources = template["Resources"].as_mapping().unwrap();
    for [namespace, metric, _, owner] in drawn(&template) {
        let id = owner.trim_start_matches("${").trim_end_matches('}');
        assert!(
            resources.contains_key(id),
            "the dashboard draws {metric} of {owner}"
        );
        let known = match namespace.as_str() {
            "Billing" => told.contains(&metric),
            "AWS/Lambda" => ["Invocations", "Errors", "Throttles", "IteratorAge"].contains(&metric.as_str()),
            "AWS/ApiGateway" => ["Count", "4xx", "5xx", "Latency"].contains(&metric.as_str()),
            "AWS/DynamoDB" => [
                "ConsumedReadCapacityUnits",
                "ConsumedWriteCapacityUnits",
                "ReadThrottleEvents",
                "WriteThrottleEvents",
            ]
            .contains(&metric.as_str()),
            _ => false,
        };
        assert!(known, "the dashboard draws {namespace} {metric}");
    }
}

/// The limits hold for every route: none has one of its own, and none is an API of its own.
#[test]
fn every_route_is_throttled_and_its_requests_are_logged() {
    let template = project::template();
    let api = &template["Resources"]["Api"]["Properties"];
    for (limit, parameter) in [
        ("ThrottlingRateLimit", "ThrottleRate"),
        ("ThrottlingBurstLimit", "ThrottleBurst"),
    ] {
        assert_eq!(referred(&api["DefaultRouteSettings"][limit]), parameter);
    }
    assert!(api["RouteSettings"].is_null());
    assert_eq!(referred(&api["AccessLogSettings"]["DestinationArn"]), "AccessLog");
    for function in Declared::all() {
        for event in function.events().filter(|event| event["Type"] == "HttpApi") {
            assert_eq!(
                referred(&event["Properties"]["ApiId"]),
                "Api",
                "{}",
                function.name
            );
        }
    }
    for (log, properties) in of_type(&template, "AWS::Logs::LogGroup") {
        let kept = referred(&properties["Properties"]["RetentionInDays"]);
        assert_eq!(kept, "LogRetentionDays", "{log}");
    }
}

/// A command that names what the stack does not have fails whoever needs it in a hurry.
#[test]
fn what_the_guide_asks_of_the_stack_is_there() {
    let template = project::template();
    let guide = project::text("docs/operations.md") + &project::text("README.md");
    let named = |before: &str| {
        let rest = guide.split(before).skip(1);
        let word = |rest: &str| {
            let end = rest
                .find(|it: char| !it.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            rest[..end].to_owned()
        };
        rest.map(word)
            .filter(|word| word.starts_with(|it: char| it.is_ascii_uppercase()))
            .collect::<BTreeSet<_>>()
    };
    let outputs = named("output ");
    assert!(outputs.contains("AccountsTableName"), "{outputs:?}");
    for output in outputs {
        assert!(!template["Outputs"][&output].is_null(), "no output {output}");
    }
    for id in named("$(resource ") {
        assert!(!template["Resources"][&id].is_null(), "no resource {id}");
    }
    let logs = named("logs ");
    assert!(logs.contains("StripeWebhook"), "{logs:?}");
    for function in logs {
        let log = format!("{function}Log");
        assert!(!template["Resources"][&log].is_null(), "no {log}");
    }
    for function in Declared::all() {
        let log = referred(&function.resource["Properties"]["LoggingConfig"]["LogGroup"]);
        assert_eq!(
            log,
            format!("{}Log", function.id),
            "the guide looks for it under that name"
        );
    }
}

/// A request that API Gateway gave up on must not go on charging unseen.
#[test]
fn a_function_ends_before_its_caller_gives_up() {
    for function in Declared::all() {
        for event in function.events().filter(|event| event["Type"] == "HttpApi") {
            let limit = event["Properties"]["TimeoutInMillis"].as_u64();
            let limit = limit.unwrap_or_else(|| panic!("{}: no TimeoutInMillis", function.name));
            assert!(
                function.timeout() * 1000 + 2000 <= limit && limit <= 30_000,
                "{}: {} s against {limit} ms",
                function.name,
                function.timeout()
            );
        }
    }
}

/// A caller repeats a request, and Stripe an event. What a stream or a schedule brings is repeated by nobody once Lambda has given up, so
/// it goes to a queue, and the queue's depth is an alarm.
#[test]
fn what_nobody_repeats_goes_to_a_queue_that_is_watched() {
    let template = project::template();
    let mut watched = BTreeMap::new();
    for (alarm, properties) in alarms(&template) {
        if properties["MetricName"] == "ApproximateNumberOfMessagesVisible" {
            watched.extend(dimensions(&properties).map(|(_, queue)| (queue, alarm.clone())));
        }
    }
    for function in Declared::all() {
        for event in function.events().filter(|event| event["Type"] != "HttpApi") {
            let properties = &function.resource["Properties"];
            let places = [
                &event["Properties"]["DestinationConfig"],
                &event["Properties"]["DeadLetterConfig"],
                &properties["EventInvokeConfig"],
                &properties["DeadLetterQueue"],
            ];
            let told: String = places.into_iter().map(text).collect();
            let queues = of_type(&template, "AWS::SQS::Queue");
            let queue = queues.keys().find(|queue| told.contains(&format!("{queue}.Arn")));
            let queue = queue
                .unwrap_or_else(|| panic!("{}: what fails goes to no queue of this template", function.name));
            assert!(
                watched.contains_key(queue),
                "{queue}: no alarm on ApproximateNumberOfMessagesVisible"
            );
        }
    }
}

/// The alarms' headings are their logical ids without the function's or the table's: what `GetBillingErrors` and `StripeWebhookErrors` mean is
/// said once.
#[test]
fn every_alarm_has_its_paragraph_in_the_operations_guide() {
    let guide = project::text("docs/operations.md");
    let template = project::template();
    let tables = of_type(&template, "AWS::DynamoDB::Table").into_keys();
    let watched: Vec<_> = Declared::all()
        .into_iter()
        .map(|it| it.id)
        .chain(tables)
        .collect();
    for alarm in alarms(&template).keys() {
        let prefix = watched
            .iter()
            .map(String::as_str)
            .filter(|id| alarm.starts_with(id))
            .max_by_key(|id| id.len());
        let kind = alarm.strip_prefix(prefix.unwrap_or_default()).unwrap();
        let heading = format!("\n### {kind}\n");
        let (_, paragraph) = guide
            .split_once(&heading)
            .unwrap_or_else(|| panic!("docs/operations.md has no heading \"### {kind}\" for {alarm}"));
        let paragraph = paragraph.split("\n#").next().unwrap();
        assert!(
            paragraph.contains("**What to do.**"),
            "\"### {kind}\" does not say what to do"
        );
    }
}

/// An event that an endpoint was not registered with never comes: what is handled and what the README registers are the same.
#[test]
fn the_readme_registers_both_endpoints_with_what_is_handled() {
    fn registers(text: &str) -> BTreeSet<&str> {
        let events = text.split("enabled_events[]=").skip(1);
        events.filter_map(|rest| rest.split('"').next()).collect()
    }
    let readme = project::text("README.md");
    let (own, connected) = readme.split_once("-d connect=true").unwrap();
    assert_eq!(
        registers(own),
        billing_edge::EVENT_TYPES.iter().copied().collect()
    );
    assert_eq!(
        registers(connected),
        billing_edge::CONNECTED_EVENT_TYPES.iter().copied().collect()
    );
}

/// Secrets are named by ARN, and no log has a place for one.
#[test]
fn no_secret_stands_in_the_template() {
    let template = project::template();
    for (variable, value) in template["Globals"]["Function"]["Environment"]["Variables"]
        .as_mapping()
        .unwrap()
    {
        let variable = variable.as_str().unwrap();
        let secret = ["SECRET", "KEY", "TOKEN"]
            .iter()
            .any(|word| variable.contains(word));
        // What `sam local` alone sets is empty in the template, and not there in AWS.
        let local = text(value).contains("IsSamLocal");
        assert!(
            !secret || local || variable.ends_with("_ARN"),
            "{variable}: {value:?}"
        );
    }
    let format = text(&template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"]);
    for leak in [
        "$context.path",
        "authorizer",
        "queryString",
        "header",
        "userAgent",
    ] {
        assert!(!format.contains(leak), "the access log has {leak}");
    }
}

/// What the dashboard draws: namespace, metric, dimension and whose, with what CloudWatch's short forms leave out.
fn drawn(template: &Yaml) -> Vec<[String; 4]> {
    let Yaml::Tagged(body) = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"] else {
        panic!("the body of the dashboard is a !Sub")
    };
    let body: Json = serde_json::from_str(body.value.as_str().unwrap()).unwrap();
    let mut drawn = Vec::new();
    for widget in body["widgets"].as_array().unwrap() {
        let mut last = <[String; 4]>::default();
        for line in widget["properties"]["metrics"].as_array().unwrap() {
            let words: Vec<_> = line.as_array().unwrap().iter().filter_map(Json::as_str).collect();
            let from = match words.first() {
                Some(&"...") => 4 - (words.len() - 1),
                _ => 0,
            };
            for (place, word) in words.iter().filter(|word| **word != "...").enumerate() {
                if *word != "." {
                    last[from + place] = (*word).to_owned();
                }
            }
            drawn.push(last.clone());
        }
    }
    drawn
}

/// The alarms' properties, by logical id.
fn alarms(template: &Yaml) -> BTreeMap<String, Yaml> {
    let alarms = of_type(template, "AWS::CloudWatch::Alarm");
    alarms
        .into_iter()
        .map(|(id, alarm)| (id, alarm["Properties"].clone()))
        .collect()
}

fn of_type(template: &Yaml, kind: &str) -> BTreeMap<String, Yaml> {
    let resources = template["Resources"].as_mapping().unwrap().iter();
    resources
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str().unwrap().to_owned(), resource.clone()))
        .collect()
}

fn watches(alarm: &Yaml, function: &str, namespace: &str, metric: &str) -> bool {
    alarm["Namespace"] == namespace
        && alarm["MetricName"] == metric
        && dimensions(alarm).any(|(dimension, id)| dimension == "FunctionName" && id == function)
}

/// The dimensions of an alarm, of its metric or of its metrics: their names and the resources that they refer to.
fn dimensions(alarm: &Yaml) -> impl Iterator<Item = (String, String)> {
    let own = alarm["Dimensions"].as_sequence().cloned().unwrap_or_default();
    let metrics = alarm["Metrics"].as_sequence().cloned().unwrap_or_default();
    let combined = metrics.into_iter().flat_map(|metric| {
        let dimensions = &metric["MetricStat"]["Metric"]["Dimensions"];
        dimensions.as_sequence().cloned().unwrap_or_default()
    });
    own.into_iter().chain(combined).map(|dimension| {
        let name = dimension["Name"].as_str().unwrap().to_owned();
        (name, referred(&dimension["Value"]))
    })
}

/// The resource that a `!Ref` or a `!GetAtt` refers to.
fn referred(value: &Yaml) -> String {
    let Yaml::Tagged(tagged) = value else {
        return String::new();
    };
    let target = tagged.value.as_str().unwrap_or_default();
    target.split('.').next().unwrap_or_default().to_owned()
}

fn text(value: &Yaml) -> String {
    serde_yaml_ng::to_string(value).unwrap()
}
