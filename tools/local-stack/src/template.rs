//! What the local stack needs of `template.yaml`: which function answers which route, what else runs a function, and what the
//! tables look like.
//!
//! The template is the one place where routes and tables are declared; reading it here is what keeps the laptop from
//! drifting away from the deployment. It is compiled in, so that the binary stands alone.
//!
//! Deliberately not a CloudFormation engine: of its intrinsic functions only the `!Ref` by which the functions are told a
//! table's name is understood; whatever the local stack does not use is skipped unread.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;

use crate::permissions::{self, Permission};

/// The project's own template, as it was when this binary was built.
const PROJECT: &str = include_str!("../../../template.yaml");

/// What Lambda gives a function that names no time-out.
const DEFAULT_TIMEOUT_SECS: u64 = 3;

/// How often Lambda hands a stream's record over again when the template does not say.
const DEFAULT_RETRIES: u32 = 100;

/// The functions and tables of a SAM template, each in the order of their logical ids.
#[derive(Debug, Clone)]
pub struct Template {
    /// The Lambda functions.
    pub functions: Vec<LambdaFunction>,
    /// The DynamoDB tables.
    pub tables: Vec<Table>,
}

/// One Lambda function.
#[derive(Debug, Clone)]
pub struct LambdaFunction {
    /// Its crate's name, `verb-noun`: the `Handler`, by which the binary knows which of its functions it is.
    pub name: String,
    /// The routes of the HTTP API that lead to it. A function that is fed by a stream or run by a schedule has none.
    pub routes: Vec<Route>,
    /// The streams that feed it.
    pub streams: Vec<StreamSource>,
    /// How often it is run.
    pub schedules: Vec<SignedDuration>,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// One route of the HTTP API, such as `POST /checkouts/{checkoutId}/confirm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// In upper case.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
}

/// A table's stream that feeds a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSource {
    /// The local name of the table.
    pub table: String,
    /// The patterns of the filter, of which one has to match; none lets everything through.
    pub patterns: Vec<Json>,
    /// How often a record is handed over again.
    pub retries: u32,
}

/// One DynamoDB table.
#[derive(Debug, Clone)]
pub struct Table {
    /// The name that it gets locally: `AccountsTable` is `accounts`.
    pub name: String,
    /// The variable by which the functions are told that name, such as `ACCOUNTS_TABLE`.
    pub variable: String,
    /// The body of the `CreateTable` request.
    pub definition: Json,
    /// The attribute that holds the expiry, when items have a time to live.
    pub ttl_attribute: Option<String>,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("template.yaml: {0}")]
pub struct TemplateError(String);

impl Template {
    /// The project's own template, read once in a process: tests start thousands of stacks.
    pub fn project() -> Result<Self, TemplateError> {
        static READ: OnceLock<Result<Template, TemplateError>> = OnceLock::new();
        READ.get_or_init(|| Self::read(PROJECT)).clone()
    }

    /// Reads a SAM template.
    pub fn read(yaml: &str) -> Result<Self, TemplateError> {
        let document: Document =
            serde_yaml_ng::from_str(yaml).map_err(|error| TemplateError(error.to_string()))?;
        let mut template = Self {
            functions: Vec::new(),
            tables: Vec::new(),
        };
        let mut ids = Vec::new();
        let mut feeds = Vec::new();
        for (id, resource) in &document.resources {
            let read = match resource.kind.as_str() {
                "AWS::Serverless::Function" => function(resource, &document.globals.function).map(|it| {
                    ids.push(id.as_str());
                    template.functions.push(it);
                }),
                "AWS::Lambda::EventSourceMapping" => {
                    stream(&resource.properties).map(|it| feeds.push((id, it)))
                }
                "AWS::DynamoDB::Table" => {
                    table(id, resource, &document.globals.function).map(|it| template.tables.push(it))
                }
                _ => Ok(()),
            };
            read.map_err(|problem| TemplateError(format!("{id}: {problem}")))?;
        }
        for (id, (function, source)) in feeds {
            let fed = ids.iter().position(|id| *id == function);
            let fed = fed.and_then(|index| template.functions.get_mut(index));
            let fed = fed.ok_or_else(|| TemplateError(format!("{id}: there is no function {function}")))?;
            fed.streams.push(source);
        }
        Ok(template)
    }
}

fn function(resource: &Resource, globals: &FunctionProperties) -> Result<LambdaFunction, String> {
    let properties: FunctionProperties = parse(&resource.properties)?;
    let mut routes = Vec::new();
    for event in properties.events.values().filter(|event| event.kind == "HttpApi") {
        let HttpApi { method, path } = parse(&event.properties)?;
        // Neither is used by the product; routing them wrongly here would be worse than not at all.
        if method.eq_ignore_ascii_case("ANY") || path.contains("+}") {
            return Err(format!(
                "route {method} {path}: ANY and greedy parameters are not supported locally"
            ));
        }
        routes.push(Route {
            method: method.to_ascii_uppercase(),
            path,
        });
    }
    let scheduled = properties
        .events
        .values()
        .filter(|event| event.kind == "Schedule");
    let schedules = scheduled.map(|event| rate(&event.properties));
    let seconds = properties
        .timeout
        .or(globals.timeout)
        .unwrap_or(DEFAULT_TIMEOUT_SECS);
    Ok(LambdaFunction {
        name: properties.handler.ok_or("no Handler names the function")?,
        routes,
        streams: Vec::new(),
        schedules: schedules.collect::<Result<_, _>>()?,
        timeout: Duration::from_secs(seconds),
        permissions: permissions::of(&properties.policies)?,
    })
}

/// What feeds a function, and the function's logical id.
fn stream(properties: &Yaml) -> Result<(String, StreamSource), String> {
    let Stream {
        function,
        source,
        filter,
        retries,
    } = parse(properties)?;
    let function = tagged(&function, "Ref").ok_or("a function is named by !Ref <its logical id>")?;
    let table = tagged(&source, "GetAtt").and_then(|attribute| attribute.strip_suffix(".StreamArn"));
    let patterns = filter.filters.iter().map(|filter| {
        serde_json::from_str(&filter.pattern).map_err(|error| format!("a filter's pattern: {error}"))
    });
    let source = StreamSource {
        table: local_name(table.ok_or("a stream is named by !GetAtt <table>.StreamArn")?),
        patterns: patterns.collect::<Result<_, _>>()?,
        retries: retries.unwrap_or(DEFAULT_RETRIES),
    };
    Ok((function.to_owned(), source))
}

/// What a short form of an intrinsic function is given, such as `!Ref`.
pub(crate) fn tagged<'a>(value: &'a Yaml, tag: &str) -> Option<&'a str> {
    match value {
        Yaml::Tagged(tagged) if tagged.tag == tag => tagged.value.as_str(),
        _ => None,
    }
}

/// `rate(15 minutes)`; what EventBridge knows beside it is not used by the product.
fn rate(properties: &Yaml) -> Result<SignedDuration, String> {
    let Schedule { schedule } = parse(properties)?;
    let rate = schedule
        .strip_prefix("rate(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|rate| rate.split_once(' '))
        .and_then(|(count, unit)| Some((count.parse::<i64>().ok()?, unit)));
    match rate {
        Some((count, "minute" | "minutes")) => Ok(SignedDuration::from_mins(count)),
        Some((count, "hour" | "hours")) => Ok(SignedDuration::from_hours(count)),
        _ => Err(format!("the schedule {schedule} is not supported locally")),
    }
}

impl StreamSource {
    /// Whether the filter lets a record through.
    #[must_use]
    pub fn wants(&self, record: &Json) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| matches(pattern, record))
    }
}

/// EventBridge's patterns as far as the template uses them: objects member by member, lists of values and of `{"prefix": …}`.
fn matches(pattern: &Json, value: &Json) -> bool {
    match pattern {
        Json::Object(members) => members
            .iter()
            .all(|(name, pattern)| value.get(name).is_some_and(|value| matches(pattern, value))),
        Json::Array(choices) => choices.iter().any(|choice| match choice["prefix"].as_str() {
            Some(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
            None => choice == value,
        }),
        _ => false,
    }
}

/// `SessionsTable` is `sessions`.
pub(crate) fn local_name(id: &str) -> String {
    id.strip_suffix("Table").unwrap_or(id).to_ascii_lowercase()
}

fn table(id: &str, resource: &Resource, globals: &FunctionProperties) -> Result<Table, String> {
    let properties: TableProperties = parse(&resource.properties)?;
    let name = local_name(id);
    let variable = globals
        .environment
        .variables
        .iter()
        .find(|(_, value)| is_reference(value, id))
        .map(|(variable, _)| variable.clone())
        .ok_or("no variable of Globals.Function.Environment refers to this table")?;
    let mut definition = json!({
        "TableName": name,
        "AttributeDefinitions": properties.attribute_definitions,
        "KeySchema": properties.key_schema,
        "BillingMode": properties.billing_mode,
        "DeletionProtectionEnabled": properties.deletion_protection_enabled,
    });
    if let Some(stream) = properties.stream {
        // CloudFormation implies what the API wants to be told.
        definition["StreamSpecification"] =
            json!({ "StreamEnabled": true, "StreamViewType": stream.view_type });
    }
    let ttl_attribute = properties.ttl.filter(|ttl| ttl.enabled).map(|ttl| ttl.attribute);
    Ok(Table {
        name,
        variable,
        definition,
        ttl_attribute,
    })
}

fn parse<T: DeserializeOwned>(yaml: &Yaml) -> Result<T, String> {
    serde_yaml_ng::from_value(yaml.clone()).map_err(|error| error.to_string())
}

/// Whether a value is `!Ref id`.
fn is_reference(value: &Yaml, id: &str) -> bool {
    matches!(value, Yaml::Tagged(tagged) if tagged.tag == "Ref" && tagged.value.as_str() == Some(id))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    globals: Globals,
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Globals {
    function: FunctionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Yaml,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct FunctionProperties {
    handler: Option<String>,
    timeout: Option<u64>,
    environment: Environment,
    policies: Yaml,
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    variables: BTreeMap<String, Yaml>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Yaml,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApi {
    method: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    #[serde(rename = "FunctionName")]
    function: Yaml,
    #[serde(rename = "EventSourceArn")]
    source: Yaml,
    #[serde(rename = "FilterCriteria", default)]
    filter: FilterCriteria,
    #[serde(rename = "MaximumRetryAttempts")]
    retries: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    pattern: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Schedule {
    schedule: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    attribute_definitions: Json,
    key_schema: Json,
    billing_mode: String,
    #[serde(default)]
    deletion_protection_enabled: bool,
    #[serde(rename = "StreamSpecification")]
    stream: Option<StreamSpecification>,
    #[serde(rename = "TimeToLiveSpecification")]
    ttl: Option<TimeToLive>,
}

#[derive(Deserialize)]
struct StreamSpecification {
    #[serde(rename = "StreamViewType")]
    view_type: String,
}

#[derive(Deserialize)]
struct TimeToLive {
    #[serde(rename = "AttributeName")]
    attribute: String,
    #[serde(rename = "Enabled")]
    enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_declares_its_routes_and_its_two_tables() {
        let template = Template::project().unwrap();
        let checkout = template
            .functions
            .iter()
            .find(|it| it.name == "create-subscription-checkout")
            .unwrap();
        assert_eq!(
            checkout.routes,
            [Route {
                method: "POST".into(),
                path: "/api/v1/billing/checkout/subscription".into()
            }]
        );
        let [accounts, sessions] = &template.tables[..] else {
            panic!("{:?}", template.tables)
        };
        assert_eq!(
            (accounts.name.as_str(), accounts.variable.as_str()),
            ("accounts", "ACCOUNTS_TABLE")
        );
        assert_eq!(
            (sessions.name.as_str(), sessions.variable.as_str()),
            ("sessions", "SESSIONS_TABLE")
        );
        assert_eq!(accounts.ttl_attribute, None);
        assert_eq!(sessions.ttl_attribute.as_deref(), Some("expires_at"));
        assert_eq!(sessions.definition["StreamSpecification"]["StreamEnabled"], true);
    }

    /// TTL deletions of what somebody acts upon reach the function, and nothing else does.
    #[test]
    fn the_filter_lets_through_what_dynamodb_deleted_and_somebody_waits_for() {
        let template = Template::project().unwrap();
        let function = template.functions.iter().find(|it| it.name == "expire-checkouts");
        let source = &function.unwrap().streams[0];
        assert_eq!(source.table, "sessions");
        let record = |pk: &str, by: &str| {
            json!({
                "eventName": "REMOVE", "userIdentity": { "type": "Service", "principalId": by },
                "dynamodb": { "Keys": { "pk": { "S": pk }, "sk": { "S": "RESERVATION" } } },
            })
        };
        assert!(source.wants(&record("RESERVATION#ada", "dynamodb.amazonaws.com")));
        assert!(!source.wants(&record("RECEIPT#-#evt_1", "dynamodb.amazonaws.com")));
        let mut released = record("RESERVATION#ada", "dynamodb.amazonaws.com");
        released.as_object_mut().unwrap().remove("userIdentity");
        assert!(!source.wants(&released), "a function deleted it");
    }

    #[test]
    fn a_schedule_is_a_rate() {
        let rate = |text: &str| rate(&serde_yaml_ng::from_str(&format!("Schedule: {text}")).unwrap());
        assert_eq!(rate("rate(15 minutes)"), Ok(SignedDuration::from_mins(15)));
        assert_eq!(rate("rate(1 hour)"), Ok(SignedDuration::from_hours(1)));
        assert!(rate("cron(0 12 * * ? *)").is_err());
    }

    #[test]
    fn a_fault_is_told_with_the_resource_it_is_in() {
        let told = |yaml| Template::read(yaml).unwrap_err().to_string();
        let greedy = "
            Resources:
              Files:
                Type: AWS::Serverless::Function
                Properties:
                  Handler: files
                  Events: { Any: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: '/{proxy+}' } } }";
        assert!(
            told(greedy).starts_with("template.yaml: Files: route GET /{proxy+}"),
            "{}",
            told(greedy)
        );
        let unnamed = "
            Resources:
              Orphans:
                Type: AWS::DynamoDB::Table
                Properties: { AttributeDefinitions: [], KeySchema: [], BillingMode: PAY_PER_REQUEST }";
        assert!(
            told(unnamed).starts_with("template.yaml: Orphans: no variable"),
            "{}",
            told(unnamed)
        );
    }
}
